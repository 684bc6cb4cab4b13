"""Knowledge density: exact counts on texts whose facts are known, and what it must not be moved by."""

from __future__ import annotations

import pytest

from curate.text.density import FactCounts, facts_of, kind_of
from curate.text.signals import TextSignals
from curate.text.words import WordTable


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        # Curie, Warsaw; 7, November and 1867 (a date); was born.
        ("Marie Curie was born in Warsaw on 7 November 1867 .", FactCounts(11, 1, 2, 2, 2)),
        # Nile, Africa; 6650; is a.
        ("The Nile is a river of Africa, 6650 kilometres long .", FactCounts(12, 1, 0, 2, 2)),
        # The first word of a sentence is no name, and a year is a date wherever it stands.
        ("Nothing happened. Later nothing happened in 1999 either .", FactCounts(10, 0, 1, 0, 0)),
        # No sentence: a menu.
        ("Home | About Paris | 25 Shoes | Contact Us", FactCounts(10, 0, 0, 0, 0)),
        ("", FactCounts(0, 0, 0, 0, 0)),
        ("one two three", FactCounts(3, 0, 0, 0, 0)),
    ],
)
def test_facts_are_counted_exactly(text: str, facts: FactCounts) -> None:
    assert facts_of(TextSignals(text)) == facts


def test_a_fact_counts_once_and_lines_of_no_sentence_only_dilute() -> None:
    line = "They met Ada Lovelace in London in 1833 ."
    once = facts_of(TextSignals(line))
    again = facts_of(TextSignals("\n".join([line] * 10)))
    assert again[1:] == once[1:] and again.density == pytest.approx(once.density / 10)
    menu = facts_of(TextSignals(line + "\nHome\nShop\nAbout Us\n" * 5))
    assert menu[1:] == once[1:] and menu.density < once.density


def test_nothing_makes_it_fail() -> None:
    for text in (
        "\u200b",
        "\ud800 a.",
        "....",
        "\n\n\n",
        "3",
        "A",
        "is",
        "Is a.",
        "“Quoted.”",
        "王 2020 年 .",
        "x" * 5000 + ".",
    ):
        found = facts_of(TextSignals(text))
        assert 0 <= found.density <= 1 and found.words == len(TextSignals(text).word_ids)


def test_each_word_of_a_table_is_asked_for_its_kind_once() -> None:
    table, asked = WordTable(lambda chunk: (chunk,)), []

    def kind(word: str) -> int:
        asked.append(word)
        return kind_of(word)

    for text in ("Ada met Ada", "Ada met nobody in 1833"):
        table.read(text)
        found = table.features.column(kind, table.words)
        assert found.tolist() == list(map(kind_of, table.words))
    assert asked == table.words == ["Ada", "met", "nobody", "in", "1833"]
