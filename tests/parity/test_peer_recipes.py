"""The recipes of docs/from-peers.md end every text as the peer's decisions, one after another, say it ends."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import pytest
from edge_texts import edge_texts
from make_decisions import digest
from page_texts import real_pages

from curate.document import Document, Drop
from curate.registry import step_class
from curate.step import Step

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "from-peers.md"
SHARED_CRAWL = HERE.parents[2] / "shared" / "data" / "crawl"

# The stored decisions of a recipe's rules, in its order. FineWeb's rules were asked about what C4's left.
COLUMNS = {
    "datatrove": ("gopher_repetition", "gopher_quality", "c4", "fineweb"),
    "dolma": ("quality", "repetition", "edit"),
    "dclm": ("left", "quality", "repetition", "edit"),
}
FILES = {
    "datatrove": ("decisions.tsv",),
    "dolma": ("decisions-dolma.tsv",),
    "dclm": ("decisions-dclm.tsv", "decisions-dclm-text.tsv"),
}
EVERY = (3, pytest.param(1, marks=pytest.mark.slow))


@cache
def stored(peer: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name in FILES[peer]:
        with (HERE / name).open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                found.setdefault(row.pop("text"), {}).update(row)
    return found


@cache
def rules(peer: str) -> list[Step]:
    """The steps of the page's recipe that look at one text."""
    from ruamel.yaml import YAML

    block = re.search(rf"```yaml\n(# {peer}\.yaml\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    listed = YAML(typ="safe").load(block[1])["steps"]
    steps = [(step, {}) if isinstance(step, str) else next(iter(step.items())) for step in listed]
    return [step_class(name)(**given) for name, given in steps if name not in ("extract", "minhash_dedup")]


def through(steps: list[Step], text: str) -> str:
    """The rule that drops the text, or what is left of it."""
    document = Document(key="s/a", text=text)
    for step in steps:
        (outcome,) = step.apply([document])
        if isinstance(outcome, Drop):
            return outcome.rule
        document = outcome
    return f"keep {digest(document.text)}"


def expected(peer: str, text: str) -> str | None:
    """What follows from the stored decisions; None where a peer raised, or where a rule behind an edit was asked about
    the text before it."""
    row, left = stored(peer).get(digest(text), {}), digest(text)
    for place, column in enumerate(COLUMNS[peer]):
        decision = row.get(column, "error")
        if decision == "error":
            return None
        if decision.split()[0] != "keep":
            return decision
        left = decision.partition(" ")[2] or left
        asked_before = left != digest(text) and peer == "dclm" and place == 0
        if asked_before:
            return None
    return f"keep {left}"


def compared(peer: str, texts: list[str]) -> tuple[int, list[tuple[str, str, str]]]:
    known = [(text, end) for text in texts if (end := expected(peer, text)) is not None]
    ours = [(text, end, through(rules(peer), text)) for text, end in known]
    return len(known), [(text[:60], end, own) for text, end, own in ours if end != own]


@pytest.mark.parametrize("peer", COLUMNS)
def test_every_edge_text_ends_as_the_peers_decisions_end_it(peer: str) -> None:
    # The giant text is decided rule by rule in test_dialects.py and test_filter_parity.py, which takes long enough.
    count, differences = compared(peer, [text for text in edge_texts() if len(text) < 1_000_000])
    assert differences == []
    assert count > 400


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("peer", COLUMNS)
def test_every_real_page_ends_as_the_peers_decisions_end_it(peer: str, every: int) -> None:
    if not SHARED_CRAWL.is_dir():
        pytest.skip(f"no crawl at {SHARED_CRAWL}")
    count, differences = compared(peer, list(real_pages(SHARED_CRAWL)[::every]))
    if count < 100 // every:
        pytest.skip("this version of resiliparse extracts other texts than the stored decisions are about")
    assert differences == []


@pytest.mark.parametrize("every", EVERY)
def test_every_text_is_left_as_dclms_first_edits_leave_it(every: int) -> None:
    texts = [*edge_texts(), *(real_pages(SHARED_CRAWL)[::every] if SHARED_CRAWL.is_dir() else [])]
    (step,) = (one for one in rules("dclm") if one.name == "dclm_text")
    asked = [text for text in texts if "left" in stored("dclm").get(digest(text), {})]
    assert len(asked) > 400
    assert [text[:60] for text in asked if through([step], text) != stored("dclm")[digest(text)]["left"]] == []
    assert sum(stored("dclm")[digest(text)]["left"] != f"keep {digest(text)}" for text in asked) > 20
