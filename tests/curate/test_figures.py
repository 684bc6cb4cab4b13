"""The number guard: which spellings are one figure, which lines are page furniture, and what stays guarded."""

from __future__ import annotations

import random

import pytest
from generated_corpus import prose, run_step

from curate.dedup import MinHashDedup
from curate.dedup.figures import LEAST_LINES, figures
from curate.document import Document

BODY = "\n".join(" ".join(prose(random.Random(number), 24)).capitalize() + "." for number in range(9))
TALK = "the people of the valley have lived beside the river for many generations"


def merged(one: str, other: str, **parameters: object) -> bool:
    documents = [Document(key="s/a", text=one), Document(key="s/b", text=other)]
    return bool(run_step(MinHashDedup(**parameters), documents)[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2019-2020", "2019\u20132020"),
        ("2019 - 2020", "2019 \u2013 2020"),
        ("2019\u20142020", "2019-2020"),
        ("1,000 men", "1000 men"),
        ("1\u202f000 men", "1\u00a0000 men"),
        ("1'250'000", "1,250,000"),
        ("12,34,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1.234,5", "1,234.5"),
        ("3,5 %", "3.5%"),
        ("\u22124 degrees", "-4 degrees"),
        ("\u20134 \u00b0C", "-4 \u00b0C"),
        ("-$5", "\u2212$5"),
        ("covid-19", "covid\u201119"),
        ("(in 1990)", "in 1990, "),
        ("\u0661\u066b\u0665", "1.5"),
    ],
)
def test_spellings_of_one_figure_are_one(one, other):
    assert figures(f"so {one} it was") == figures(f"so {other} it was") != b""
    assert merged(f"{BODY} so {one} it was.", f"{BODY} so {other} it was.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3-1", "1-3"),
        ("3\u20131", "1\u20133"),
        ("3 \u2013 1", "1 \u2013 3"),
        ("-$5", "$5"),
        ("\u20134", "4"),
        ("1.000", "1,000"),
        ("10\u00b2", "102"),
        ("5 m\u00b2", "5 m\u00b3"),
        ("3.10", "3.1"),
        ("12:30", "1:230"),
        ("7", "7 7"),
    ],
)
def test_figures_that_mean_another_thing_are_others(one, other):
    assert figures(f"so {one} it was") != figures(f"so {other} it was")
    assert not merged(f"{BODY} so {one} it was.", f"{BODY} so {other} it was.")


@pytest.mark.parametrize(
    "line",
    [
        "Last updated: 14 March 2024",
        "This page was last edited on 3 May 2024, at 10:24 UTC.",
        "Posted: Tue, 4 Mar 2025 10:14 am",
        "Published on 2024-03-14",
        "Last modified: March 2nd, 2024",
        "Version 2.3.1",
        "Build: 7",
        "Page 4 of 9",
        "page 3/7",
        "3 comments",
        "77 Comments | 55 Shares",
        "Comments (12)",
        "1,204 views",
        "\u00a9 2024 Example Inc.",
        "Copyright \u00a9 2009\u20132024 Example Media Ltd. All rights reserved.",
        "(c) 2024 Example",
        "Example Publishing Group \u00a9 2024",
    ],
)
def test_a_line_whose_words_say_what_it_is_holds_no_pair_apart(line):
    for text in (f"{BODY}\n{line}", f"{line}\n{BODY}", BODY.replace("\n", f"\n{line}\n", 1)):
        assert figures(text) == b""
    assert merged(BODY, f"{BODY}\n{line}")


@pytest.mark.parametrize(
    "line",
    [
        "The law was last modified on 14 March 2024.",
        "The Copyright Act of 1976 changed that.",
        "The plan drew 300 comments.",
        "The passage stands on page 7 of the register.",
        "Release 7 of the survey is out.",
        "Published: 1998",
        "Shares: 1,200",
        "Pages: 320",
        "Chapter 7",
        "Annual report 2019",
        "Weather for 14 March 2024",
        "12.50",
        "3\u20131",
        "Total\n120",
        "Leeds [3] York [1]",
        "rows[3] = rows[4] + 1;",
        "A field of 5 m\u00b2 and 40 feet\u00b2.",
        "(a) of old\n(b) of now\n(c) 1957 treaty",
    ],
)
def test_what_is_content_stays_guarded(line):
    for text in (f"{BODY}\n{line}", f"{line}\n{BODY}", BODY.replace("\n", f"\n{line}\n", 1)):
        assert figures(text) == figures(f"{TALK} {line}") != b""
    assert not merged(BODY, f"{BODY}\n{line}")


@pytest.mark.parametrize(
    "record",
    [
        ["Name: Abel", "Posted: 4 June 2020", "Town: Jena"],
        ["Posted: 4 June 2020", "Revision: 3", "Height: 170 cm"],
        ["Width 12", "Version 3", "Height 7"],
        ["name\tAbel", "version\t3"],
    ],
)
def test_in_a_record_such_a_line_is_a_field(record):
    digits = sum(any(c.isdigit() for c in line) for line in record)
    assert len(figures("\n".join([*record, BODY])).split()) >= digits
    about = "\n".join(["Name: Abel", "Last updated: 4 June 2020", "Height: 170 cm", BODY])
    assert figures(about) == b"170"


def test_footnotes_are_marks_in_prose_alone():
    notes = f"In the north {TALK}[1] and\u2009songs.[2][3] So it was [4] for long.\u00b2 They sang\u00b3 there."
    assert figures(notes) == b""
    assert merged(f"{BODY}\n{notes}", f"{BODY}\nIn the north {TALK} and songs. So it was for long. They sang there.")
    assert figures("Hi, I am here.[1] Come in.") == b""
    assert figures(f"{TALK} and x = y[3].") == b"3"


def test_furniture_within_a_line_is_seen_where_no_sentence_is_written_so():
    for phrase in ("Last updated: 14 March 2024", "Page 4 of 9", "\u00a9 2024 Example Inc.", "[1]"):
        assert figures(f"{TALK} {phrase} it was so.") == b""
    assert figures(f"{TALK} and it was last updated on 14 March 2024.") == b"14 2024"


def test_a_date_alone_opens_or_closes_a_text_and_is_content_between_its_lines():
    date = "14 March 2024"
    assert figures(f"{date}\n{BODY}") == figures(f"{BODY}\nTuesday, March 14, 2024") == b""
    assert figures(BODY.replace("\n", f"\n{date}\n", 1)) == b"14 2024"
    assert figures(f"{date}\n12 men came.\n{BODY}") == b"12 14 2024"
    few = "\n".join(BODY.split("\n")[: LEAST_LINES - 2])
    assert figures(f"{date}\n{few}") == b"14 2024"
    assert figures(f"{BODY}\n12") == b"12"


def test_peers_signatures_have_the_same_guard():
    one, other = f"{BODY}\nLast updated: 14 March 2024", f"{BODY}\nLast updated: 2 May 2024"
    assert merged(one, other, dialect="datatrove")
    assert not merged(f"{BODY} 14 men came.", f"{BODY} 15 men came.", dialect="datatrove")
