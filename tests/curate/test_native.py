"""The loops that numba compiles give what the same work over numpy's arrays gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from edge_texts import edge_texts

from curate.text import signals, words
from curate.text.signals import TextSignals
from curate.text.words import count_sentences, sentences_begun

pytest.importorskip("numba", reason="numba is not installed: there is one way only")


@contextmanager
def without_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for module in (words, signals):
            patch.setattr(module, "native", lambda: None)
        yield


def texts() -> list[str]:
    draw = random.Random(23)
    pool = [
        *map(chr, range(0x20)),
        *" \n\n  aab.b?!,é日\u2028\u2029\x85\xa0\u1680\u2003\u200b\u202f\u205f\u3000’…\ud800",
        "word",
        "The",
    ]
    made = ["".join(draw.choices(pool, k=draw.randint(0, 60))) for _ in range(600)]
    made += [" ".join(draw.choices(["in", "to", "into", "a", "an", "other", "é"], k=300)) for _ in range(30)]
    return made + [text for text in edge_texts() if len(text) < 1_000_000][::3]


def found(text: str) -> list[object]:
    read = TextSignals(text)
    reading = read.reading
    lines = np.repeat(np.arange(len(reading.lines) - 1), np.diff(reading.lines))
    lines[lines % 3 == 2] = -1
    return [
        list(map(read.table.words.__getitem__, reading.ids.tolist())),
        [part.tolist() for part in reading[1:]],
        [read.top_gram_characters(n) for n in (2, 3, 4)],
        [read.repeated_gram_characters(n) for n in range(5, 11)],
        sentences_begun(read.table, reading, lines),
        count_sentences(text),
    ]


def test_both_ways_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert words.native() is not None
    for text in texts():
        ours = found(text)
        with without_numba(monkeypatch):
            assert found(text) == ours, text[:80]


def test_each_way_fills_a_table_of_its_own_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    some = texts()[-300:]
    tables = []
    for numba in (True, False):
        monkeypatch.setattr(words, "_tables", {})
        if numba:
            ids = [words.word_table().read(text).ids.tolist() for text in some]
        else:
            with without_numba(monkeypatch):
                ids = [words.word_table().read(text).ids.tolist() for text in some]
        tables.append((ids, words.word_table().words))
    assert tables[0] == tables[1]
