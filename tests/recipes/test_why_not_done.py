"""What a run was made with stands in clear, and `plan` and `status` name what made a unit not done."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.dedup.exact import ExactDedup
from curate.errors import version
from curate.filters.gopher import GopherQuality
from curate.run import unit
from curate.run.made_of import NEVER, READ, differences, made_of, why
from recipes.app.cli import app
from recipes.app.recipe.build import corpus_run
from recipes.app.recipe.load import load
from recipes.app.recipe.planned_units import by_label, planned

RULE = """\
from dataclasses import dataclass
from curate import Check, Rule, param

@dataclass(frozen=True)
class Own(Rule):
    name = "own"
    words: str = param(..., "a list of words", path=True)
    least: int = param(1, "characters")

    def checks(self, document):
        yield Check("short", len(document.text), self.least, len(document.text) < self.least)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A finished run of two files in `out`."""
    root = tmp_path_factory.mktemp("built")
    (root / "in").mkdir()
    for number in range(2):
        rows = [json.dumps({"text": f"the {number} and that of {place} have it to be with"}) for place in range(20)]
        (root / "in" / f"{number}.jsonl").write_text("\n".join(rows) + "\n")
    (root / "own_rule_20.py").write_text(RULE)
    (root / "words.txt").write_text("a\n")
    recipe = {
        "name": "built",
        "inputs": [{"path": "in"}],
        "steps": [
            {"gopher_quality": {"min_words": 1, "min_word_length": None}},
            {f"{root / 'own_rule_20.py'}:Own": {"words": "words.txt"}},
            "exact_dedup",
        ],
        "engine": {"buckets": 1},
    }
    (root / "recipe.yaml").write_text(json.dumps(recipe))
    said(root, "run", "recipe.yaml", "-o", "out", "--workers", "1")
    return root


def said(root: Path, *arguments: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def mine(built, tmp_path) -> Path:
    shutil.copytree(built, tmp_path / "mine", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return tmp_path / "mine"


def reasons(root: Path, *sets: str, limit: int | None = None, label: str = "gopher_quality") -> dict[str, int]:
    groups = by_label(planned(corpus_run(load(str(root / "recipe.yaml"), sets), root / "out", limit=limit)))
    (group,) = [one for one in groups if one.label == label]
    assert group.units - group.done == sum(group.why.values())
    return dict(group.why)


def test_what_a_run_was_made_with_stands_in_clear(built):
    marker = json.loads((built / "out" / "goldsand.json").read_text())
    made = json.loads((built / "out" / "summary.json").read_text())["made_with"]
    assert all(marker[name] == value for name, value in made.items())
    assert made["goldsand"] == version() and made["python"]
    assert made["recipe"]["sha256"] == hashlib.sha256((built / "out" / "recipe.yaml").read_bytes()).hexdigest()
    assert [(one["step"], one["version"]) for one in made["steps"]] == [
        ("gopher_quality", GopherQuality.version), ("own", 1), ("exact_dedup", ExactDedup.version)
    ]  # fmt: skip
    assert made["libraries"]["xxhash"] == unit.library_version("xxhash")
    assert made["files"] == [{"step": "own", "name": "words.txt", "sha256": hashlib.sha256(b"a\n").hexdigest()}]
    parameters = [one["parameters"] for one in marker["described"].values() if one["step"] == "gopher_quality"]
    assert parameters[0]["min_words"] == 1
    assert version() in said(built, "--version")


def test_nothing_is_said_of_what_is_done(mine):
    assert reasons(mine) == {}
    assert " unit of " not in said(mine, "plan", "recipe.yaml", "-o", "out", "--sample", "0")


def test_a_changed_input_is_named(mine):
    with (mine / "in" / "0.jsonl").open("a") as stream:
        stream.write('{"text": "more"}\n')
    assert reasons(mine) == {READ: 1} and reasons(mine, label="inputs") == {"input changed": 1}
    (mine / "in" / "2.jsonl").write_text('{"text": "more"}\n')
    assert reasons(mine, label="inputs") == {"input changed": 1, NEVER: 1}


def test_a_changed_threshold_is_named_with_both_values(mine):
    line = "2 units of gopher_quality: gopher_quality.min_words 1 -> 7"
    assert reasons(mine, "gopher_quality.min_words=7") == {line.partition(": ")[2]: 2}
    assert line in said(
        mine, "plan", "recipe.yaml", "-o", "out", "--sample", "0", "--set", "gopher_quality.min_words=7"
    )
    made = said(mine, "run", "recipe.yaml", "-o", "out", "--workers", "1", "--set", "gopher_quality.min_words=7")
    assert "units were already done" in made
    assert f"made again: {line}" in said(mine, "status", "out")


def test_a_step_a_library_and_code_of_another_version_are_named(mine, monkeypatch):
    monkeypatch.setattr(GopherQuality, "version", 9)
    assert list(reasons(mine)) == ["step gopher_quality version 1 -> 9"]
    monkeypatch.undo()
    known = unit.library_version
    other = lambda name: "0.4.1" if name == "xxhash" else known(name)  # noqa: E731
    monkeypatch.setattr(unit, "library_version", other)
    monkeypatch.setattr("curate.run.provenance.library_version", other)
    assert list(reasons(mine, label="exact_dedup: text")) == [f"library xxhash {known('xxhash')} -> 0.4.1"]
    assert f"since then: xxhash {known('xxhash')} -> 0.4.1" in said(mine, "status", "out")
    assert "of exact_dedup: text, exact_dedup: library xxhash" in said(mine, "status", "out", "--why")
    monkeypatch.undo()
    monkeypatch.setattr(
        unit, "code_of", lambda made: {"files": [["own_rule_20.py", "0"]]} if "Own" in str(made) else {}
    )
    assert list(reasons(mine)) == ["code of own changed (own_rule_20.py)"]


def test_another_file_step_limit_or_damage_is_named(mine):
    (mine / "words.txt").write_text("b\n")
    assert list(reasons(mine)) == ["another content of a file that own reads (words.txt)"]
    (mine / "words.txt").write_text("a\n")
    assert reasons(mine, limit=5) == {"another --limit": 2}
    for path in (mine / "out" / "stages").glob("00-*/*0-jsonl*.jsonl.zst"):
        path.write_bytes(b"")
    assert list(reasons(mine)) == ["an output is missing, or is not what was written"]
    for path in (mine / "out" / "manifests" / "stages").glob("00-*/*0-jsonl*.json"):
        path.write_bytes(path.read_bytes()[:-9])
    assert list(reasons(mine)) == ["its manifest is damaged"]


def test_steps_that_came_and_went_are_named_and_so_are_those_behind_a_cascade():
    one = unit.describe_step(GopherQuality())
    other = {**one, "step": "other"}
    assert differences([one], [other]) == ["step gopher_quality removed", "step other added"]
    assert differences([one, other], [other, one]) == ["steps in another order"]
    changed = unit.describe_step(replace(GopherQuality(), min_words=7))
    cascade = [{**other, "parameters": {"rules": [rule]}} for rule in (one, changed)]
    assert differences(cascade[:1], cascade[1:]) == ["gopher_quality.min_words 50 -> 7"]


def test_a_manifest_holds_what_is_short_in_clear_and_the_rest_as_digests(tmp_path):
    row = made_of({"limit": None, "source": {"piece": [0, None, 0], "files": ["name"] * 50}})
    assert row["limit"] is None and row["source.piece"] == [0, None, 0] and row["source.files"].startswith("#")
    assert why(tmp_path, "stages/none", {}) == NEVER


def test_status_says_whose_recipe_it_lacks(mine):
    (mine / "out" / "recipe.yaml").write_text("name: other\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(mine)
        result = CliRunner().invoke(app, ["status", "out", "--why"])
    assert result.exit_code == 2
