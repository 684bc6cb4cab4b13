"""Steps and sources from outside goldsand in recipes: docs/own-steps.md typed from top to bottom, and every mistake."""

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from pages import blocks, on_one_core

from curate.outside import declared
from recipes.app.recipe.load import RecipeError, load

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-steps.md").read_text()
SCRIPTS = {"pip": "pip", "goldsand": "recipes.app.start"}


class World:
    """An environment of its own, that sees the libraries of the suite's, with a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        venv.create(folder / "env")
        python = folder / "env" / "bin" / "python"
        (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
        paths = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        lines = [f"import site; site.addsitedir({path!r})\n" for path in paths]
        (packages / "suite.pth").write_text("".join(lines))
        for name, module in SCRIPTS.items():
            script = folder / "env" / "bin" / name
            script.write_text(f'#!/bin/sh\nexec {python} -m {module} "$@"\n')
            script.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{folder / 'env' / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            # What is needed to build is there already, and nothing is fetched.
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
        }

    def types(self, commands: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            preexec_fn=on_one_core,
        )

    def run(self, *options: str) -> dict[str, int]:
        """What a run of the page's recipe did, and what it found done, by group of units."""
        result = self.types(f"goldsand run recipe.yaml {' '.join(options)}")
        assert result.returncode == 0, result.stderr
        return json.loads((self.folder / options[-1] / "summary.json").read_text())["units"]

    def published(self, name: str) -> dict[str, str]:
        found = [*(self.folder / name / "text").iterdir(), *(self.folder / name / "ledger").iterdir()]
        assert found
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def times(self, name: str) -> dict[str, int]:
        """When each unit's manifest was written."""
        folder = self.folder / name / "manifests"
        return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.json")}

    def again(self, name: str, file: str) -> set[str]:
        """The groups of units that ran again after a line was added to a file."""
        (self.folder / file).write_text((self.folder / file).read_text() + "# edited\n")
        before = self.times(name)
        self.run("-o", name)
        after = self.times(name)
        changed = [unit.split("/") for unit in after if after[unit] != before.get(unit)]
        return {"inputs" if unit[0] == "inputs" else "/".join(unit[:2]) for unit in changed}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    for needed in ("pip", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"`{needed}` is not installed")
    found = World(tmp_path_factory.mktemp("world"))
    found.page = found.types("\n".join(block.text for block in blocks(PAGE) if block.language == "bash"))
    assert found.page.returncode == 0, found.page.stderr
    return found


def test_the_page_can_be_typed_from_top_to_bottom(world):
    said = world.page.stdout
    assert "max_share = 0.02  largest share of brackets" in said and "most = 2  documents that are kept" in said
    assert "recipe.yaml: no mistakes (3 steps)" in said
    assert "brackets.max_share" in said and "documents kept: 6 -> 5 of 8" in said
    assert "step per_domain, rule domain is full, value quotes, threshold 2" in said
    assert "step brackets, rule too many brackets, value 0.41" in said
    assert re.search(r"citations +3 +3 .*\nper_domain: domains +11 +0", said), "what stands before it is done again"


def test_the_package_of_the_page_writes_the_same_bytes_on_any_number_of_workers(world):
    world.run("--workers", "1", "-o", "one")
    world.run("--workers", "3", "-o", "three")
    assert world.published("one") == world.published("three")
    page = (world.folder / "three" / "report.html").read_text()
    assert "per_domain" in page and "brackets" in page


def test_an_edited_file_runs_again_what_it_shaped_and_nothing_else(world):
    world.run("-o", "out")
    units = world.run("-o", "out")
    assert units["found_done"] > 10 and units["done"] == 0
    read, counted = {"inputs", "stages/00-citations"}, {"rounds/01-per_domain-0-domains", "stages/01-per_domain"}
    step = world.again("out", "mypackage/corpus.py")
    assert step >= counted and not step & read
    # What is left of the documents is the same all the same, so the work behind it stands.
    for file in ("mypackage/filters.py", "mypackage/sources.py"):
        shaped = world.again("out", file)
        assert "stages/00-citations" in shaped and not shaped & counted
        assert ("inputs" in shaped) == (file == "mypackage/sources.py")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a recipe of a file beside it; what is imported from there is forgotten afterwards."""
    before = set(sys.modules)
    # Where one stands is not on the path of a command.
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    declared.cache_clear()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one\ntwo two\n\nthree three three\n")
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    yield tmp_path
    declared.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


BESIDE = '''\
"""Words and lines."""

from dataclasses import dataclass

from curate import Check, Document, Rule, Skipped, Unreadable, param
from curate.step import under


@dataclass(frozen=True)
class Words(Rule):
    """Drops texts of few words."""

    name = "words"
    shaping = ()
    least: int | None = param(2, "fewest words", ge=0)

    def __post_init__(self):
        if self.least == 13:
            raise ValueError("13 words bring no luck")

    def checks(self, document):
        yield under("few words", len(document.text.split()), self.least or 0, "least")


def lines(path):
    place = 0
    for line in path.read_bytes().splitlines(keepends=True):
        if line.startswith(b"FAIL"):
            raise KeyError("no such thing")
        if line.startswith(b"AWAY"):
            raise FileNotFoundError("what stands beside it is away")
        if line.startswith(b"WRONG"):
            place = {"key": -1, "text": place, "item": place, "none": place}[line.split()[1].decode()]
            if b"none" in line:
                yield None
            yield "item" if b"item" in line else Document(str(place), 3 if b"text" in line else "x")
        key, place = str(place), place + len(line)
        if line.startswith(b"LOST"):
            yield Unreadable(key, "lost", line)
        elif line.startswith(b"TORN"):
            yield Document(key, "\\ud800")
        else:
            yield Document(key, line.decode().strip()) if line.strip() else Skipped(key, "blank")


three = 3
'''
RECIPE = """\
name: mine
inputs:
  - {path: in, format: beside.py:lines}
steps:
  - beside.py:Words: {least: 2}
max_loss: 1.0
"""


def texts(out: Path) -> list[str]:
    from curate.run.tasks import read_documents

    return [
        document.text
        for path in sorted((out / "stages" / "00-words").glob("*.jsonl.zst"))
        for document in read_documents(path)
    ]


def test_a_file_beside_the_recipe_runs_in_workers_and_again_from_the_output(folder, within, tmp_path_factory):
    assert "(1 steps)" in within("check", "recipe.yaml", cwd=folder).stdout
    result = within("run", "recipe.yaml", "-o", "out", "--workers", "2", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert texts(folder / "out") == ["two two", "three three three"]
    assert "words.least (few words)" in within("why", "out", "crawl/a.txt@0", cwd=folder).stdout
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    result = within("run", folder / "out" / "recipe.yaml", "-o", "out", cwd=elsewhere)
    assert result.returncode == 0, result.stderr
    assert texts(elsewhere / "out") == texts(folder / "out")


def test_two_steps_of_one_name_are_told_apart(folder, within):
    (folder / "recipe.yaml").write_text(RECIPE.replace("max_loss", "  - beside.py:Words: {least: 3}\nmax_loss"))
    assert within("run", "recipe.yaml", "-o", "out", cwd=folder).returncode == 0
    steps = json.loads((folder / "out" / "summary.json").read_text())["steps"]
    assert [(step["step"], step["documents_dropped"]) for step in steps] == [("words", 1), ("words#2", 1)]


def test_a_step_that_is_not_there_ends_the_list_of_steps_with_its_nearest_match(folder, within):
    for name, near in (("beside.py:Wrods", "Words"), ("curate.filters.c5:C4", "curate.filters.c4"), ("c44", "c4")):
        result = within("steps", name, cwd=folder)
        assert result.returncode == 2 and f"did you mean '{near}'" in result.stderr


def test_set_addresses_a_step_by_its_name_however_it_is_written(folder):
    recipe = str(folder / "recipe.yaml")
    assert load(recipe).steps[0].least == 2
    assert load(recipe, ["words.least=5"]).steps[0].least == 5
    assert load(recipe, ["steps.words.least=6"]).steps[0].least == 6
    (folder / "recipe.yaml").write_text("name: mine\nsteps: [beside.py:Words]\n")
    assert load(recipe, ["words.least=7"]).steps[0].least == 7


@pytest.mark.parametrize(
    "written, line, message",
    [
        ("beside.py:Word: {}", 5, "'beside' has no 'Word' (did you mean 'Words'?)"),
        ("besides.py:Words: {}", 5, "besides.py (did you mean 'beside.py'?)"),
        ("beside:Words: {}", 5, "the file beside the recipe is `beside.py:Words`"),
        ("beside.py:Words: {leest: 3}", 5, "unknown key (did you mean 'least'?)"),
        ("beside.py:Words: {least: -1}", 5, "greater than or equal to 0 (it says -1)"),
        ("beside.py:Words: {least: 13}", 5, "13 words bring no luck"),
        ("beside.py:lines: {}", 5, "is not a step: derive a class"),
        ("Beside.Words: {}", 5, "there is no step 'Beside.Words'"),
        ("gopher_qualty: {}", 5, "there is no step 'gopher_qualty' (did you mean 'gopher_quality'?)"),
    ],
)
def test_a_step_that_cannot_be_had_is_one_mistake_with_its_line(folder, within, written, line, message):
    recipe = RECIPE.replace("beside.py:lines", "jsonl").replace("beside.py:Words: {least: 2}", written)
    (folder / "recipe.yaml").write_text(recipe)
    with pytest.raises(RecipeError) as caught:
        load(str(folder / "recipe.yaml"))
    (problem,) = caught.value.problems
    assert problem.line == line and message in problem.message
    result = within("check", "recipe.yaml", cwd=folder)
    assert result.returncode == 2 and "1 mistake in the recipe" in result.stderr


@pytest.mark.parametrize(
    "written, message",
    [
        ("beside.py:line", "'beside' has no 'line' (did you mean 'lines'?)"),
        ("beside:lines", "the file beside the recipe is `beside.py:lines`"),
        ("beside.py:three", "is not a reader"),
        ("jsnl", "there is no format 'jsnl' (did you mean 'jsonl'?)"),
    ],
)
def test_a_format_that_cannot_be_had_is_one_mistake_with_its_line(folder, written, message):
    recipe = RECIPE.replace("beside.py:Words: {least: 2}", "exact_dedup")
    (folder / "recipe.yaml").write_text(recipe.replace("beside.py:lines", written))
    with pytest.raises(RecipeError) as caught:
        load(str(folder / "recipe.yaml"))
    (problem,) = caught.value.problems
    assert problem.line == 3 and message in problem.message


def declare(folder: Path, name: str, steps: str = "", sources: str = "") -> None:
    about = folder / f"{name}-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    points = f"[goldsand.steps]\n{steps}\n[goldsand.sources]\n{sources}\n"
    (about / "entry_points.txt").write_text(points)


def test_entry_points_name_steps_and_sources_and_what_is_broken_is_listed_with_its_error(folder, within):
    declare(folder, "ours", "words = beside:Words\nbroken = broken:Broken", "lines = beside:lines")
    declare(folder, "others", "url = beside:Words")
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    sys.path.append(str(folder))
    (folder / "recipe.yaml").write_text(RECIPE.replace("beside.py:Words", "words").replace("beside.py:lines", "lines"))
    assert within("run", "recipe.yaml", "-o", "out", cwd=folder).returncode == 0
    assert texts(folder / "out") == ["two two", "three three three"]
    listed = within("steps", cwd=folder)
    assert listed.returncode == 0
    assert "words  Drops texts of few words. (ours 1)" in listed.stdout
    assert re.search(r"broken  \(ours 1\) cannot be used: .*No module named 'nothing_of_that_name'", listed.stdout)
    assert re.search(r"url  \(others 1\) cannot be used: .*goldsand itself .* and others 1", listed.stdout)
    assert "least = 2  fewest words" in within("steps", "words", cwd=folder).stdout
    (folder / "recipe.yaml").write_text("name: mine\nsteps: [url]\n")
    result = within("check", "recipe.yaml", cwd=folder)
    assert result.returncode == 2 and "`curate.filters.url:Url`" in result.stderr and "others 1" in result.stderr


def read(folder: Path) -> list[tuple[str, str]]:
    from curate.sources import Input, find_inputs, read_partition

    (partition,) = find_inputs([Input("c", str(folder / "in"), f"{folder}/beside.py:lines")])
    items = read_partition(partition)
    return [(item.key, getattr(item, "text", None) or getattr(item, "error", None) or item.reason) for item in items]


def test_a_readers_records_get_goldsands_keys_and_what_it_fails_with_is_the_loss_of_the_rest(folder):
    file = folder / "in" / "a.txt"
    file.write_text("a b\n\nLOST\nTORN\nc\nFAIL\nd\n")
    assert read(folder) == [
        ("c/a.txt@0", "a b"),
        ("c/a.txt@4", "blank"),
        ("c/a.txt@5", "lost"),
        ("c/a.txt@10", "the reader beside.py:lines gives text with lone surrogates, which is none"),
        ("c/a.txt@15", "c"),
        ("c/a.txt@16", "the reader beside.py:lines failed: KeyError: 'no such thing'"),
    ]
    file.write_text("a\nAWAY\n")
    assert read(folder)[1:] == [
        ("c/a.txt@1", "the reader beside.py:lines failed: FileNotFoundError: what stands beside it is away")
    ]


@pytest.mark.parametrize("error, lost", [("OSError('busy')", False), ("gzip.BadGzipFile('torn')", True)])
def test_a_store_that_stops_giving_a_file_is_no_loss_and_torn_content_is(folder, error, lost, monkeypatch):
    from curate.places import patience
    from curate.sources import Input, find_inputs, path_of, read_partition

    monkeypatch.setattr(patience, "PAUSES", (0.0,))
    (folder / "store.py").write_text(f"import gzip\ndef read(path):\n    raise {error}\n")
    path_of("memory://own/a.txt").write_text("one\n")
    (partition,) = find_inputs([Input("c", "memory://own/a.txt", f"{folder}/store.py:read")])
    if lost:
        (item,) = read_partition(partition)
        assert item.key == "c/a.txt@0" and "BadGzipFile: torn" in item.error
    else:
        with pytest.raises(OSError, match="busy"):
            list(read_partition(partition))


@pytest.mark.parametrize(
    "line, message",
    [
        ("WRONG none", "gives a NoneType: give"),
        ("WRONG item", "gives a str: give Document, Skipped or Unreadable"),
        ("WRONG key", "gives the key '-1' after '0': a key must be"),
        ("WRONG text", "whose text is of another type"),
    ],
)
def test_a_reader_that_breaks_the_contract_ends_the_run_with_a_message(folder, within, line, message):
    (folder / "in" / "a.txt").write_text(f"one\n{line}\n")
    result = within("run", "recipe.yaml", "-o", "out", cwd=folder)
    assert result.returncode == 2 and message in " ".join(result.stderr.split())


def test_an_edited_reader_reads_again_and_a_moved_one_does_not(folder):
    def told(path: Path) -> dict:
        code = (
            "import sys, json; from curate.sources import Input, find_inputs; (one,) ="
            f" find_inputs([Input('c', {str(folder / 'in')!r}, {f'{path}:lines'!r})]);"
            " print(json.dumps(one.describe()))"
        )
        printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(printed.stdout)

    before = told(folder / "beside.py")
    (folder / "other").mkdir()
    (folder / "other" / "beside.py").write_text(BESIDE)
    assert told(folder / "other" / "beside.py") == before and before["format"] == "beside.py:lines"
    (folder / "beside.py").write_text(BESIDE + "# edited\n")
    assert told(folder / "beside.py") == before | {"code": told(folder / "beside.py")["code"]} != before
