"""A cascade as a user has it: one word in the recipe; every page accounted for with the rule that dropped it."""

import json
import re
from pathlib import Path

import pytest

RECIPE = """\
name: cascade
inputs: [{path: pages/*.html}]
steps:
  - extract: {engine: %s}
  - language: {keep: [en]}
  - gopher_quality
output: {keep_dropped: all}
"""
ENGLISH = "<p>" + "The harbour was quiet that morning, and the boats lay still at the quay. " * 8 + "</p>"
GERMAN = "<p>" + "Der Hafen lag an diesem Morgen still, und die Boote ruhten am Kai, wie immer. " * 8 + "</p>"
PAGES = {"english": ENGLISH * 2, "german": GERMAN * 2, "short": "<p>Only a few words of this page.</p>", "empty": ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    for name, body in PAGES.items():
        page = f"<html lang=en><head><title>{name}</title></head><body><article>{body}</article></body></html>"
        (tmp_path / "pages" / f"{name}.html").write_text(page, encoding="utf-8")
    return tmp_path


def run(within, folder: Path, engine: str, *options: str) -> dict:
    (folder / f"{engine}.yaml").write_text(RECIPE % engine)
    done = within("run", f"{engine}.yaml", "-o", engine, "--workers", "1", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / engine / "summary.json").read_text())


def why(within, folder: Path, key: str, *options: str) -> str:
    done = within("why", "cascade", key, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_the_same_pages_are_kept_and_the_others_have_their_reason(folder, within):
    plain, cascade = run(within, folder, "trafilatura"), run(within, folder, "cascade")
    assert plain["documents"] == cascade["documents"]
    assert cascade["documents"]["input"] == 4 and cascade["documents"]["kept"] == 1
    reasons = {reason: count["documents"] for reason, count in cascade["steps"][0]["reasons"].items()}
    assert reasons == {"language: language": 1, "gopher_quality: gopher_short_doc": 1, "empty": 1}
    assert [step["documents_dropped"] for step in plain["steps"]] == [1, 1, 1]
    assert "language: language" in why(within, folder, "crawl/german.html@0")
    blocks = why(within, folder, "crawl/english.html@0", "--blocks")
    assert blocks.startswith("(this run extracted with cascade;")
    assert re.search(r" kept \d\.\d\d \d+ article p The harbour was quiet", blocks)
    assert re.search(r"[12] of 2 blocks, \d+ of \d+ words kept\Z", blocks)


def test_a_changed_threshold_behind_a_cascade_is_seen_by_it(folder, within):
    run(within, folder, "cascade")
    assert run(within, folder, "cascade", "--set", "language.keep=[en, de]")["documents"]["kept"] == 1
    assert "gopher_quality: gopher_enough_stop_words" in why(within, folder, "crawl/german.html@0")
