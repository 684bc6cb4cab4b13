"""Recipes and values of `--set` for `mutants.py`: whatever a person can type is read, or refused in lines with their
places, and what is read means the same when it is written beside its output."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import damage
from mutation import Format

from curate.errors import Refused

VALUES = (
    *(
        "2001-13-45",
        "2001-12-14",
        "12:30:45",
        "!!int x",
        "!!float y",
        "!!binary ???",
        "!!set {a}",
        "!!omap [a]",
        "!x {}",
    ),
    *("!!python/object:os.system ls", "!!timestamp q", "!!bool maybe", "!!null x", "~", "''", "yes", "<<", "{<<: 3}"),
    *("9" * 20, "-" + "9" * 20, "9" * 5000, "0x" + "f" * 40, "1e999", ".inf", "-.nan", "1e-400", "0o9", "1_000", "-0"),
    *("[" * 60 + "]" * 60, "{a: " * 60 + "}" * 60, "&a [*a]", "&a {b: *a}", "*gone", "[1, [2, [3]]]", "{1: 2, '1': 3}"),
    *("? [a]\n: b", "{[a]: b}", "{{a: 1}: 2}", "{null: 1}", "{true: 1}", "{1.5: 1}", "[{}, [], null]", "{a: {b: {}}}"),
    *(
        '"\\e[31mred\\a"',
        '"\\0"',
        '"\\ud800"',
        '"\\x9b2J"',
        '"a\\nb\\nc"',
        '"\\u202e"',
        '"' + "x" * 5000 + '"',
        "|\n  a\n  b",
    ),
    *(
        "a/../b",
        "~nobody/x",
        "s3://KEY:SECRET@bucket",
        "*.gz",
        "&",
        "%x",
        "@y",
        "`z`",
        "- - -",
        ": :",
        "#",
        "\t",
        "\x07",
    ),
    *("os:system", "gone.py:Name", "__main__:x", "a:b:c", ":", "curate.step:Step", "json:loads", "inject", "extract"),
)


def mutant(draw: random.Random, texts: list[str]) -> str:
    """A shipped recipe with up to four changes: a value in place of another, lines moved, cut or doubled, noise."""
    lines = draw.choice(texts).split("\n")
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(lines))
        line = lines[place]
        key, colon, _ = line.partition(":")
        kind = draw.randrange(9)
        if kind <= 2 and colon:
            lines[place] = f"{key}: {draw.choice(VALUES)}"
        elif kind == 3 and "- " in line:
            lines[place] = f"{line.partition('- ')[0]}- {draw.choice(VALUES)}"
        elif kind == 4:
            lines[place] = line[draw.randint(0, 6) :] if draw.random() < 0.5 else " " * draw.randint(1, 4) + line
        elif kind == 5:
            del lines[place : place + draw.randint(1, 3)]
            lines = lines or [""]
        elif kind == 6:
            lines[place:place] = draw.choice(texts).split("\n")[: draw.randint(1, 6)]
        elif kind == 7:
            at = draw.randint(0, len(line))
            lines[place] = line[:at] + draw.choice("\"'{}[]&*!|>%@`?:-#,\t\x1b\x00\ud7ff\u2028é") + line[at:]
        else:
            indent = " " * (len(line) - len(line.lstrip()))
            lines.insert(
                place, f"{indent}{draw.choice(('name', 'steps', 'x', '<<', '1', 'inputs'))}: {draw.choice(VALUES)}"
            )
    return "\n".join(lines)


TARGETS = ("inputs.0.path", "description", "minhash_dedup.threshold", "steps.1", "output.tokens", "max_loss", "probe")


def write_recipe(folder: Path, seed: int) -> None:
    from recipes.app.recipe.load import BUILT_IN, built_in_names

    (folder / "recipe.yaml").write_text((BUILT_IN / f"{built_in_names()[seed]}.yaml").read_text())
    (folder / "sets.json").write_text("[]")


def checked(work: Path) -> Any:
    """What `check` says; and what a recipe without mistakes means, and means again when a run has written it."""
    from typer.testing import CliRunner

    from recipes.app.cli import app
    from recipes.app.recipe import build
    from recipes.app.recipe.load import load

    path, sets = work / "recipe.yaml", json.loads((work / "sets.json").read_text())
    done = CliRunner().invoke(app, ["check", str(path), *(part for one in sets for part in ("--set", one))])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert all(c.isprintable() or c == "\n" for c in done.output), repr(done.output)
    if done.exit_code:
        first, *rest = done.stderr.rstrip("\n").split("\n")
        assert done.exit_code == 2 and len(rest) == int(first.split()[1]), done.stderr
        assert all(line.startswith(str(path)) for line in rest), done.stderr
        raise Refused(done.stderr)
    loaded = load(str(path), sets)
    (work / "beside").mkdir(exist_ok=True)
    (work / "beside" / "recipe.yaml").write_bytes(build.recipe_text(loaded))
    again = load(str(work / "beside" / "recipe.yaml"))
    assert again.recipe.model_dump(exclude={"inputs", "output", "steps"}) == loaded.recipe.model_dump(
        exclude={"inputs", "output", "steps"}
    )
    assert again.steps == loaded.steps
    return json.dumps(loaded.resolved)


class RecipeFormat(Format):
    """A shipped recipe with some changes, or values for `--set`."""

    def __init__(self) -> None:
        super().__init__(write_recipe, ("recipe.yaml",), {"check": checked}, foreign=True)

    def harm(self, work: Path, other: Path, draw: random.Random, reader: str) -> str:
        from recipes.app.recipe.load import BUILT_IN, built_in_names

        path = work / "recipe.yaml"
        texts = [(BUILT_IN / f"{name}.yaml").read_text() for name in built_in_names()]
        kind = draw.randrange(8)
        if kind <= 3:
            path.write_text(mutant(draw, texts), encoding="utf-8")
            return path.read_text()
        if kind == 4:
            sets = [f"{draw.choice(TARGETS)}={draw.choice(VALUES)}" for _ in range(draw.choice([1, 1, 2]))]
            (work / "sets.json").write_text(json.dumps(sets))
            return f"--set {sets}"
        path.write_text(draw.choice(texts))
        damage.harm_file(path, draw, draw.choice(texts).encode())
        return path.read_bytes().decode("utf-8", "backslashreplace")


FORMATS: dict[str, Format] = {"recipes": RecipeFormat()}
