"""The dialects of dolma and DCLM against stored decisions of the peers' own code: same decision, reason, text left."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from edge_texts import edge_texts
from make_decisions import digest
from make_dialect_decisions import BAD_WORDS
from make_sentences import OWN, hashed, sentence_texts
from page_texts import real_pages

from curate.filters import (
    DclmC4,
    DclmQuality,
    DclmRepetition,
    DolmaC4,
    DolmaQuality,
    DolmaRepetition,
    RefinedWebLines,
)
from curate.step import Step, Verdict
from curate.text.punkt import count_sentences, read_punkt

HERE = Path(__file__).parent
SHARED_CRAWL = Path(__file__).parents[3] / "shared" / "data" / "crawl"

STEPS: dict[str, dict[str, Step]] = {
    "dolma": {"quality": DolmaQuality(), "repetition": DolmaRepetition(), "edit": DolmaC4()},
    "dclm": {"quality": DclmQuality(), "repetition": DclmRepetition(), "edit": RefinedWebLines()},
}


def english_punkt() -> Path | None:
    """nltk's English model, where nltk itself would look for it."""
    homes = [
        *os.environ.get("NLTK_DATA", "").split(os.pathsep),
        str(Path.home() / "nltk_data"),
        f"{sys.prefix}/nltk_data",
    ]
    folders = [Path(home) / "tokenizers" / "punkt_tab" / "english" for home in homes if home]
    return next((folder for folder in folders if folder.is_dir()), None)


@pytest.fixture(autouse=True, scope="module")
def c4_of_dclm(tmp_path_factory: pytest.TempPathFactory) -> None:
    words = tmp_path_factory.mktemp("words") / "bad.txt"
    words.write_text("\n".join(BAD_WORDS))
    STEPS["dclm"]["c4"] = DclmC4(punkt=str(OWN), bad_words=str(words))
    if english_punkt() is not None:
        STEPS["dclm"]["c4_english"] = DclmC4(punkt=str(english_punkt()), bad_words=str(words))


@cache
def stored(peer: str) -> dict[str, dict[str, str]]:
    with (HERE / f"decisions-{peer}.tsv").open(encoding="utf-8") as lines:
        return {row["text"]: row for row in csv.DictReader(lines, delimiter="\t")}


def outcome(verdict: Verdict) -> str:
    if not verdict:
        return verdict.rule
    return "keep" if verdict.text is None else f"keep {digest(verdict.text)}"


def disagreements(peer: str, texts: list[str]) -> list[tuple[str, str, str, str]]:
    """Text, column, theirs, ours; where the peer raised, only that we do not is asked."""
    found = []
    for text in texts:
        theirs = stored(peer)[digest(text)]
        for column, step in STEPS[peer].items():
            ours = outcome(step(text))  # type: ignore[operator]
            if theirs[column] not in (ours, "error"):
                found.append((text[:60], column, theirs[column], ours))
    return found


@pytest.mark.parametrize("peer", STEPS)
def test_every_edge_text_ends_as_the_peer_ends_it(peer: str) -> None:
    texts = list(edge_texts())
    assert all(digest(text) in stored(peer) for text in texts), "run tests/parity/make_dialect_decisions.py again"
    assert disagreements(peer, texts) == []


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("peer", STEPS)
def test_every_real_page_ends_as_the_peer_ends_it(peer: str, every: int) -> None:
    if not SHARED_CRAWL.is_dir():
        pytest.skip(f"no crawl at {SHARED_CRAWL}")
    texts = real_pages(SHARED_CRAWL)[::every]
    known = [text for text in texts if digest(text) in stored(peer)]
    if len(known) < 0.9 * len(texts):
        pytest.skip("this version of resiliparse extracts other texts than the stored decisions are about")
    assert disagreements(peer, known) == []


@pytest.mark.parametrize("peer", STEPS)
def test_the_stored_decisions_hold_drops_and_keeps_of_each_step(peer: str) -> None:
    for column in STEPS[peer]:
        counts = Counter(row[column].split()[0] for row in stored(peer).values())
        assert counts["keep"] >= 100
        assert len(counts) >= 3, counts
        assert counts["error"] <= 20


@pytest.mark.parametrize("model", ["own", "english"])
def test_sentences_end_where_the_nltk_of_dclm_ended_them(model: str) -> None:
    folder = OWN if model == "own" else english_punkt()
    if folder is None:
        pytest.skip("nltk's English Punkt model is not here: `python -m nltk.downloader punkt_tab`")
    with (HERE / "sentences.tsv").open(encoding="utf-8") as lines:
        theirs = {row["text"]: row[model] for row in csv.DictReader(lines, delimiter="\t")}
    punkt = read_punkt(folder)
    texts = sentence_texts()
    assert len(texts) > 1000
    different = [text[:60] for text in texts if hashed(text, punkt.span_tokenize(text)) != theirs[digest(text)]]
    assert different == []
    counted = sum(count_sentences(text, folder) for text in texts)
    assert sum(int(row.split()[0]) for row in theirs.values()) == counted > 10_000


def test_dolma_itself_says_the_same_where_it_is_installed() -> None:
    pytest.importorskip("dolma", reason="dolma is not installed; stored decisions stand in for it")
    from make_dialect_decisions import dolma_rows

    row = dolma_rows()
    for text in edge_texts():
        theirs = row(text)
        assert tuple(outcome(step(text)) for step in STEPS["dolma"].values()) == theirs  # type: ignore[operator]
