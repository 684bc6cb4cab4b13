"""The documentation: no file holds conflict markers, links lead somewhere, code blocks run as they are.

Pages that train for long (docs/compare.md, and those in SLOW) are run by `make test-slow`; all others in the suite."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import LANGUAGES, NOT_RUN, blocks, on_one_core, without_blocks

ROOT = Path(__file__).parent.parent
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIALS = [page for page in PAGES if page.parent.name != "results" and page.name != "CHANGELOG.md"]
CONFLICT = re.compile(r"^(<<<<<<<|=======$|>>>>>>>|\|\|\|\|\|\|\|)", re.MULTILINE)


def tracked() -> list[Path]:
    """The files that git tracks; where there is no repository, every text file outside `.venv`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*.[mpyt]*") if path.is_file() and ".venv" not in path.parts]


def test_no_tracked_text_holds_conflict_markers():
    marked = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if CONFLICT.search(text):
            marked.append(str(path.relative_to(ROOT)))
    assert marked == []


def anchors(page: str) -> set[str]:
    """The anchors of a page: its headings, as GitHub turns them into ids."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = without_blocks(page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_code_is_in_fences_that_name_its_language(page):
    text = page.read_text(encoding="utf-8")
    assert [block.line for block in blocks(text) if block.language not in LANGUAGES] == []
    rest = without_blocks(text)
    assert re.findall(r"^(?:\n|\A) {4}\S.*$", rest, re.MULTILINE) == [], "an indented block would never be run"


def test_every_block_that_is_not_run_is_still_there():
    texts = [block.text for page in TUTORIALS for block in blocks(page.read_text(encoding="utf-8"))]
    assert [start for start in NOT_RUN if not any(text.startswith(start) for text in texts)] == []


def run_in_a_clone(page: Path, folder: Path) -> str:
    """What a page prints when it is typed in a fresh clone with goldsand installed."""
    for name in ("recipes", "tests") if not (folder / "bin").exists() else ():
        # Copies: a page may write where its reader stands.
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "goldsand").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m recipes.app.start "$@"\n')
    (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for program in (folder / "bin").iterdir():
        program.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": f"{ROOT}:{ROOT / 'recipes'}", "COLUMNS": "200"}
    command = [sys.executable, str(ROOT / "tests" / "pages.py"), str(page)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, preexec_fn=on_one_core
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_the_readme_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("torch")
    printed = run_in_a_clone(ROOT / "README.md", tmp_path)
    assert "facts alone" in printed and "open report.html" in printed
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_comparison_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("torch")
    printed = run_in_a_clone(ROOT / "docs" / "compare.md", tmp_path)
    assert "undecided" in printed and "no evidence above this scale" in printed
    assert (tmp_path / "answer" / "report.html").is_file()


def test_runs_and_stores_run_from_top_to_bottom(tmp_path):
    """With an S3 server whose bucket holds some text, and its credentials in the environment."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    from store_server import s3_store

    with s3_store() as bucket:
        import fsspec

        with fsspec.open(f"{bucket}/crawl/pages.jsonl", "w") as stream:
            for number in range(20):
                stream.write(json.dumps({"text": f"Page {number} says that the sea is wide and blue."}) + "\n")
        run_in_a_clone(ROOT / "docs" / "runs.md", tmp_path)


APART = ("README", "compare", "runs", "own-facts", "own-steps")
"""Pages with a test of their own: above, in tests/synth/test_own_facts.py and in tests/recipes/test_own_steps.py."""
SLOW = (
    *("probe", "asked", "knowledge", "scaling", "papers", "first-measurement", "compare-two-corpora"),
    *("read-a-corpus", "interrupted-runs", "disk-space", "score-a-model", "python", "release"),
)
"""Pages that train, and some whose commands have tests of their own; the README, which trains too, is in the suite."""
BEGUN = ("change-a-threshold", "what-happened-to-a-page", "read-a-corpus", "interrupted-runs")
"""Pages that begin with the corpus of docs/start/first-corpus.md."""
NEEDS = {
    "adapters": ("datasets", "ray", "pandas", "polars"),
    "asked": ("torch",),
    "knowledge": ("torch", "transformers"),
    "many-machines": ("ray",),
    "papers": ("datasets", "pyarrow", "protego"),
    "compare-two-corpora": ("torch",),
    "first-measurement": ("torch",),
    "probe": ("torch",),
    "release": ("torch", "safetensors"),
    "read-a-corpus": ("datasets",),
    "score-a-model": ("torch", "transformers"),
    "what-happened-to-a-page": ("pandas", "pyarrow"),
    "profile": ("pandas", "pyarrow"),
    "python": ("pandas",),
    "scaling": ("torch", "scipy"),
}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem in SLOW))
        for page in TUTORIALS
        if page.stem not in (*APART, "first-corpus") and any(blocks(page.read_text(encoding="utf-8")))
    ],
)
def test_a_page_runs_from_top_to_bottom(page, tmp_path, request):
    for module in NEEDS.get(page.stem, ()):
        pytest.importorskip(module)
    run_in_a_clone(page, request.getfixturevalue("first_corpus") if page.stem in BEGUN else tmp_path)


@pytest.fixture(scope="module")
def first_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of somebody who has read the first page."""
    folder = tmp_path_factory.mktemp("first")
    run_in_a_clone(ROOT / "docs" / "start" / "first-corpus.md", folder)
    return folder


def test_the_first_corpus_keeps_two_of_four_pages(first_corpus):
    summary = json.loads((first_corpus / "corpus" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["documents"]["input"], summary["documents"]["kept"]) == (4, 2)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
