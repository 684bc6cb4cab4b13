"""The plain forms of `curate/text/reading.py`: the fast ways give the same, over arrays and compiled by numba."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from curate.text import reading, signals, words
from curate.text.cutters import english
from curate.text.signals import TextSignals
from curate.text.words import WordTable, count_sentences, sentences_begun

ROOT = Path(__file__).parents[2]
SHARED_CRAWL = ROOT.parent / "shared" / "data" / "crawl"
sys.path.insert(0, str(ROOT / "tests" / "parity"))

from edge_texts import edge_texts  # noqa: E402
from page_texts import page_texts  # noqa: E402

WAYS = [
    "numpy",
    pytest.param("numba", marks=pytest.mark.skipif(not find_spec("numba"), reason="numba is not installed")),
]


def drawn_texts() -> Iterator[str]:
    draw = random.Random(23)
    pool = [
        *map(chr, range(0x20)),
        *" \n\n  aab.b?!,é日\u2028\u2029\x85\xa0\u1680\u2003\u200b\u202f\u205f\u3000’…\ud800",
        "word",
        "The",
    ]
    for _ in range(600):
        yield "".join(draw.choices(pool, k=draw.randint(0, 60)))
    for _ in range(30):
        yield " ".join(draw.choices(["in", "to", "into", "a", "an", "other", "é"], k=300))


def texts_of(source: str) -> list[str]:
    if source == "drawn texts":
        return list(drawn_texts())
    if source == "edge texts":
        return [text for text in edge_texts() if len(text) < 1_000_000]
    folder = ROOT / "recipes" / "sample" if source == "sample pages" else SHARED_CRAWL
    if not folder.is_dir():
        pytest.skip(f"no crawl at {folder}")
    texts = list(page_texts(folder))
    return texts[:: len(texts) // 30]


def take(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loops = words.native() if way == "numba" else None
    assert bool(loops) == (way == "numba")
    for module in (words, signals):
        monkeypatch.setattr(module, "native", lambda: loops)
    monkeypatch.setattr(words, "_tables", {})


def english_table() -> WordTable:
    return WordTable(english(), english().sentence_ends)


@pytest.mark.parametrize("source", ["drawn texts", "edge texts", "sample pages", "crawl pages"])
@pytest.mark.parametrize("way", WAYS)
def test_the_fast_ways_find_what_the_plain_forms_find(source: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(way, monkeypatch)
    # Without numba the table reads plainly too, but a long text in slices, which must not show.
    monkeypatch.setattr(words, "_SLICE", 500)
    texts, table, plain = texts_of(source), english_table(), english_table()
    chunks = reading.Chunks(english(), plain._number)
    grams = 0
    for text in texts:
        fast, expected = TextSignals(text, table=table), chunks.read(text)
        for name, found, wanted in zip(reading.Reading._fields, fast.reading, expected, strict=True):
            assert found.dtype == wanted.dtype and np.array_equal(found, wanted), (name, text[:80])
        held = [plain.words[number] for number in expected.ids.tolist()]
        assert fast.words == held
        for n in range(2, 11):
            if len(held) >= n:
                assert fast.top_gram_characters(n) == reading.top_gram_characters(held, n), (n, text[:80])
            if n >= 5:
                repeated = reading.repeated_gram_characters(held, n)
                assert fast.repeated_gram_characters(n) == repeated, (n, text[:80])
                grams += repeated > 0
    assert table.words == plain.words
    assert len(texts) >= 30 and grams > 20


def test_wide_gaps_and_lines_are_read_as_they_stand() -> None:
    table = english_table()
    found = table.read(" One  two\tthree. \n\n \u3000\nDon't stop\r\nhere\u2028now ")
    held = [table.words[number] for number in found.ids.tolist()]
    assert held == ["One", "two", "three", ".", "Do", "n't", "stop", "here", "now"]
    assert found.counts.tolist() == [1, 1, 2, 2, 1, 1, 1]
    assert found.wide.tolist() == [True, True, True, False, True, True, True]
    assert found.lines.tolist() == [0, 3, 5, 6, 7]


@pytest.mark.skipif(not find_spec("numba"), reason="numba is not installed: sentences are counted in one way only")
def test_numba_counts_the_sentences_that_numpy_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*drawn_texts(), *texts_of("edge texts")[::3]]
    counted = []
    for way in ("numba", "numpy"):
        with monkeypatch.context() as patch:
            take(way, patch)
            table = english_table()
            counted.append([sentences(table, text) for text in texts])
    assert counted[0] == counted[1]
    assert sum(begun for begun, _ in counted[0]) > 1000


def sentences(table: WordTable, text: str) -> tuple[int, int]:
    """Those that begin in a line after another, every third line left out, and those of the whole text."""
    read = table.read(text)
    lines = np.repeat(np.arange(len(read.lines) - 1), np.diff(read.lines))
    lines[lines % 3 == 2] = -1
    return sentences_begun(table, read, lines), count_sentences(text, table)
