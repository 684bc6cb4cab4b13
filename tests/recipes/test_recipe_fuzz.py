"""Any recipe that a person can type, and some that nobody would: `check` says what is wrong in lines, with exit code 2,
and never with a traceback."""

import os
import random
import time
from pathlib import Path

import pytest
from mutated_recipes import VALUES, mutant
from typer.testing import CliRunner

from recipes.app.cli import app
from recipes.app.recipe.load import BUILT_IN, built_in_names, load

SEED = int(os.environ.get("GOLDSAND_FUZZ_SEED", "7"))
TRIES = int(os.environ.get("GOLDSAND_FUZZ_TRIES", "120"))
SECONDS = 20


def test_no_recipe_is_a_traceback(tmp_path):
    draw = random.Random(SEED)
    texts = [(BUILT_IN / f"{name}.yaml").read_text() for name in built_in_names()]
    path = tmp_path / "recipe.yaml"
    refused = 0
    for number in range(TRIES):
        text = mutant(draw, texts)
        path.write_text(text, encoding="utf-8")
        begun = time.monotonic()
        done = CliRunner().invoke(app, ["check", str(path)])
        spent = time.monotonic() - begun
        assert isinstance(done.exception, SystemExit | None), f"{number}: {done.exception!r}\n{text}"
        assert done.exit_code in (0, 2), text
        assert spent < SECONDS, f"{spent:.1f} s\n{text}"
        refused += done.exit_code == 2
        if done.exit_code == 2:
            first, *rest = done.stderr.rstrip("\n").split("\n")
            count = int(first.split()[1])
            assert len(rest) == count and all(line.startswith(str(path)) for line in rest), done.stderr
        assert all(c.isprintable() or c == "\n" for c in done.output), repr(done.output)
    assert refused > TRIES // 2


TARGETS = ("inputs.0.path", "description", "minhash_dedup.threshold", "steps.1", "output.tokens")


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", TARGETS)
def test_no_value_of_set_is_a_traceback(target, every, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\ninputs: [{path: a}]\nsteps: [exact_dedup, minhash_dedup]\noutput: {tokens: {a: {}}}\n")
    for value in VALUES[TARGETS.index(target) % every :: every]:  # among the targets, all of them
        done = CliRunner().invoke(app, ["check", str(path), "--set", f"{target}={value}"])
        assert isinstance(done.exception, SystemExit | None) and done.exit_code in (0, 2), (value, done.exception)
        assert all(c.isprintable() or c == "\n" for c in done.output), repr(done.output)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("inputs.0.path=*.gz", "put in quotes"),
        ("inputs.9.path=a", "there is no `inputs.9` in it"),
        ("inputs.²=a", "there is no `inputs.²` in it"),
        ("steps.99=3", "there is no `steps.99` in it"),
        ("inputs.0.path.a=3", "there is no `inputs.0.path.a` in it"),
        ("name.0=b", "there is no `name.0` in it"),
        (f"inputs.{'9' * 5000}.path=a", "there is no"),
        ("a..b=c", "write it as"),
    ],
)
def test_a_set_that_changes_nothing_is_refused(assignment, said):
    done = CliRunner().invoke(app, ["check", "quickstart", "--set", assignment])
    assert done.exit_code == 2 and said in done.stderr and "--set" in done.stderr


def test_a_long_text_of_set_is_no_path():
    assert load("quickstart", [f"description={'x' * 5000}"]).recipe.description == "x" * 5000


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: t\nsteps: [3]", 2, "a step is a name"),
        ("name: t\nsteps:\n  - exact_dedup\n  - 2001-12-14\n", 4, "written as a date"),
        ("name: t\ndescription: !!int x", 2, "no finite number"),
        (f"name: t\nmax_loss: {'9' * 20}", 2, "too large a number"),
        ("name: t\nmax_loss: .nan", 2, "no finite number"),
        (f"name: t\nsteps: {'[' * 500}{']' * 500}", 2, "levels deep"),
        ("name: t\nx: &a\n  b: *a", 2, "stands in what it names"),
        ("name: t\n? [a]\n: b", 2, "a key must be a text or a number"),
        ("name: t\noutput:\n  tokens: {tokenizer.json: {}}", 3, "is taken"),
        ("name: t\noutput:\n  tokens: {Tokenizer.JSON: {}}", 3, "is taken"),
        ("name: t\nsteps: [exact_dedup]\noutput:\n  tokens: {a: {domain: hashed}}", 4, "output.tokenizer.buckets"),
        ("name: t\noutput:\n  tokenizer: {kind: file, file: gone.json}", 3, "cannot read the tokenizer file"),
        ("name: t\ncompare: {1: a, '1': b}", 2, "duplicate"),
        (
            "name: t\nprobe:\n  arms: [{arm: x}]\n  grid: {model.layers: [1, 1, 1], training.batch: &b ["
            + "8, " * 999
            + "8], model.width: *b, training.window: *b}",
            2,
            "3,000,000,000 runs",
        ),
        ("name: t\n" + "".join(f"{a}: &{a} [{f'*{b}, ' * 9}]\n" for a, b in zip("bcdefghij", "abcdefghi", strict=True))
         .replace("*a, ", "x, "), None, "aliases"),
    ],
)  # fmt: skip
def test_what_a_recipe_cannot_hold_is_said_with_its_line(text, line, said, tmp_path):
    path = Path(tmp_path / "recipe.yaml")
    path.write_text(text)
    begun = time.process_time()
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 2 and said in done.stderr and time.process_time() - begun < 5, done.stderr
    assert f"recipe.yaml:{line}:" in done.stderr or line is None


def test_aliases_and_merges_give_plain_values_of_their_own(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: t\ninputs:\n  - &one {path: a, name: one}\n  - {<<: *one, name: two}\n  - *one\nsteps: [exact_dedup]\n"
    )
    loaded = load(str(path), ["inputs.2.name=three"])
    assert [(one.name, one.path) for one in loaded.recipe.inputs] == [("one", "a"), ("two", "a"), ("three", "a")]
