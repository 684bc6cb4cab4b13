"""Words and sentences of the `fineweb` dialect."""

from __future__ import annotations

import hashlib
import random
import time
from itertools import pairwise

import numpy as np
import pytest
from edge_texts import edge_texts

from curate.text import words
from curate.text.punctuation import PUNCTUATION, SYMBOLS, TERMINAL_PUNCTUATION
from curate.text.words import count_sentences, split_words


@pytest.mark.parametrize(
    ("characters", "size", "sha256"),
    [
        (PUNCTUATION, 129, "c1d565a777f266c9"),
        (SYMBOLS, 281, "add6d54a8847e51e"),
        (TERMINAL_PUNCTUATION, 159, "223fdebf0f768738"),
    ],
)
def test_the_character_sets_are_the_published_ones(characters: frozenset[str], size: int, sha256: str) -> None:
    assert len(characters) == size
    assert hashlib.sha256("".join(sorted(characters)).encode()).hexdigest()[:16] == sha256


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I can't go.", ["I", "ca", "n't", "go", "."]),
        ("It's 10km (about) 6.2 miles...", ["It", "'s", "10", "km", "(", "about", ")", "6.2", "miles", "..."]),
        ("see www.example.com/a?b=c, ok", ["see", "www.example.com/a?b=c", ",", "ok"]),
        ("well-known a.m. U.S.", ["well", "-", "known", "a.m.", "U.S."]),
        ("foo-and/or", ["foo", "-", "and/or"]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_words_are_cut_as_spacy_cuts_them(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0),
        ("One", 1),
        ("One. Two! Three?", 3),
        ('He said "no." Then he left.', 2),
        ("Wait... what", 1),
        ("Dr. Who came.", 1),
        ("One.  ", 2),
        ("One. ", 1),
    ],
)
def test_sentences_are_counted_as_spacy_counts_them(text: str, sentences: int) -> None:
    assert count_sentences(text) == sentences


def test_spacy_itself_says_the_same_where_it_is_installed() -> None:
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed; stored decisions stand in for it")
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    different = 0
    texts = list(edge_texts())
    for text in texts:
        nlp.max_length = len(text) + 1
        document = nlp(text)
        different += [token.text.strip() for token in document if token.text.strip()] != split_words(text)
        different += (len(list(document.sents)) if text else 0) != count_sentences(text)
    assert different <= len(texts) // 500


def test_no_character_is_lost_or_added() -> None:
    for text in edge_texts():
        assert "".join(split_words(text)) == "".join(text.split())


def test_a_full_table_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = list(edge_texts())[-60:]
    expected = [(split_words(text), count_sentences(text)) for text in texts]
    monkeypatch.setattr(words.WordTable, "CHUNKS", 3)
    assert [(split_words(text), count_sentences(text)) for text in texts] == expected


def test_a_giant_text_is_read_in_pieces_as_it_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(7)
    spaces = [" ", " ", " ", "  ", "\n", "\r\n", "\t", "\u2028", "\xa0", "\x1f", " \n ", "\x85"]
    *texts, giant = list(edge_texts())[-200:]
    texts += ["".join(draw.choice("ab.é日") + draw.choice(spaces) for _ in range(400)) for _ in range(50)]
    table = words.word_table()
    whole = [table.read(text) for text in texts]
    for size in (1, 7, 100):
        monkeypatch.setattr(words, "_SLICE", size)
        for text, expected in zip(texts, whole, strict=True):
            found = table.read(text)
            assert [part.tolist() for part in found] == [part.tolist() for part in expected]
    # The giant text is some 40 of the slices in use.
    monkeypatch.undo()
    found = table.read(giant)
    assert len(giant) > 30 * words._SLICE
    monkeypatch.setattr(words, "_SLICE", len(giant))
    assert all(np.array_equal(*both) for both in zip(found, table.read(giant), strict=True))


def test_chunks_and_lines_are_those_of_python() -> None:
    draw = random.Random(11)
    pool = [chr(code) for code in range(0x3100) if chr(code).isspace()] + [
        "\r\n",
        "a",
        "é",
        "\x00",
        "日",
        "\ud800",
        "’",
    ]
    table = words.word_table("spaces")
    for _ in range(3000):
        text = "".join(draw.choices(pool, k=draw.randint(0, 30)))
        reading = table.read(text)
        held = list(map(table.words.__getitem__, reading.ids.tolist()))
        assert held == text.split()
        borders = reading.lines.tolist()
        assert [held[a:b] for a, b in pairwise(borders)] == [line.split() for line in text.splitlines() if line.strip()]


def test_chunks_that_differ_in_length_alone_or_late_are_not_mixed_up() -> None:
    table = words.word_table("spaces")
    chunks = ["a" * size + end for size in range(40) for end in ("", "b", "\x00", "\x00\x00")][1:]
    text = " ".join(chunks)
    for _ in range(2):
        assert list(map(table.words.__getitem__, table.read(text).ids.tolist())) == chunks


@pytest.mark.parametrize(
    "unit", [")", "(", ".", "'", "a.", ":@", "://", "a@", "1+", ".)", "……", "'s", "日", "\ud800", "-", "€5", ":)", "A."]
)
def test_time_grows_with_length_not_with_its_square(unit: str) -> None:
    def seconds(characters: int) -> float:
        text = unit * (characters // len(unit))
        started = time.process_time()
        assert sum(map(len, split_words(text))) == len(text)
        count_sentences(text)
        return time.process_time() - started

    small = min(seconds(size) for size in (5_000, 5_100))  # a chunk met again costs nothing
    assert seconds(40_000) < 8 * 4 * small + 0.05


def test_a_hostile_chunk_is_cut_without_an_error() -> None:
    draw = random.Random(5)
    text = "".join(draw.choice("a.:@/-'()[]{}<>!?…’“\ud800\x00é日$9") for _ in range(50_000))
    assert "".join(split_words(text)) == text
