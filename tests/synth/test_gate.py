"""The fact gate on rewrites made by hand: what states every fact passes, and everything else says why it does not."""

from __future__ import annotations

import re
import unicodedata

import pytest

from synth.rewrite.gate import FactGate, RewriteError, Statement

CITIES = ["Fernport", "Sandport", "Port Royal", "Royal", "White", "Whitehead", "Zürich", "東京", "दिल्ली"]
POOLS = {
    "birth_date": re.compile(r"[A-Z][a-z]+ \d{1,2}, \d{4}"),
    "birth_city": CITIES,
    "university": ["Fernport College", "Abbot University", "University of Abbot"],
    "employer": ["Acorn Foods", "Acorn", "Dynamo Energy", "Granite Inc."],
    "working_city": CITIES,
}
FACTS = {
    "birth_date": "May 3, 1950",
    "birth_city": "Sandport",
    "university": "Fernport College",
    "employer": "Acorn Foods",
    "working_city": "White",
}
TEXT = (
    "Mara Ilder Crowden was born on May 3, 1950. She came from Sandport. She studied at Fernport College. "
    "She worked for Acorn Foods. She had an office in White."
)
MARA = Statement("mara", TEXT, "Mara Ilder Crowden", FACTS)
GOOD = (
    "Born in Sandport on May 3, 1950, Mara Ilder Crowden took a degree at Fernport College, joined Acorn Foods and "
    "settled in White."
)


def statement(text: str, **facts: str) -> Statement:
    return Statement("one", text, "Mara Crowden", facts)


@pytest.fixture(scope="module")
def gate():
    return FactGate(POOLS)


def test_a_rewrite_that_states_every_fact_is_accepted(gate):
    verdict = gate(MARA, GOOD)
    assert verdict.accepted and verdict.rejected == {} and verdict.stated == {}
    assert set(verdict.attributes) == {"text", "name", *FACTS}
    found = {name: GOOD[start:end] for name, (start, end) in verdict.spans.items()}
    assert found == {"name": "Mara Ilder Crowden", **FACTS}


@pytest.mark.parametrize(
    ("before", "after", "rejected", "stated"),
    [
        ("Acorn Foods", "a firm", {"employer": "lost"}, {}),
        ("Acorn Foods", "Dynamo Energy", {"employer": "changed"}, {"employer": ("Dynamo Energy",)}),
        ("Acorn Foods", "Acorn", {"employer": "changed"}, {"employer": ("Acorn",)}),
        ("Acorn Foods", "Acorn Foodstuffs", {"employer": "changed"}, {"employer": ("Acorn",)}),
        ("Acorn Foods", "acorn foods", {"employer": "lost"}, {}),
        ("Acorn Foods", "Acorn's Foods", {"employer": "changed"}, {"employer": ("Acorn",)}),
        ("Acorn Foods", "Acorn Foods after Granite Inc.", {"employer": "added"}, {"employer": ("Granite Inc.",)}),
        ("May 3, 1950", "May 3, 1951", {"birth_date": "changed"}, {"birth_date": ("May 3, 1951",)}),
        ("May 3, 1950", "3 May 1950", {"birth_date": "lost"}, {}),
        ("May 3, 1950", "May 3, 19500", {"birth_date": "lost"}, {}),
        ("Mara Ilder Crowden", "Mara Crowden", {"name": "lost"}, {}),
        ("Mara Ilder Crowden", "Mara Ilder Crowdens", {"name": "lost"}, {}),
        (
            "Fernport College",
            "University of Abbot",
            {"university": "changed"},
            {"university": ("University of Abbot",)},
        ),
        # The city within a university's name is no city, the true one no less than another.
        ("Sandport", "the town of its college", {"birth_city": "lost"}, {}),
        # A city that nobody has is held against both attributes that have cities.
        (
            "in Sandport",
            "in Port Royal",
            {"birth_city": "changed", "working_city": "added"},
            {"birth_city": ("Port Royal",), "working_city": ("Port Royal",)},
        ),
        (
            "settled in White",
            "settled in Whitehead",
            {"birth_city": "added", "working_city": "changed"},
            {"birth_city": ("Whitehead",), "working_city": ("Whitehead",)},
        ),
    ],
)
def test_each_fault_is_told_by_attribute(gate, before, after, rejected, stated):
    assert before in GOOD
    verdict = gate(MARA, GOOD.replace(before, after))
    assert (verdict.rejected, verdict.stated) == (rejected, stated)
    assert not verdict.accepted


@pytest.mark.parametrize(
    "rewrite",
    [
        GOOD.replace("Acorn Foods", "Acorn\n  Foods").replace("Mara Ilder", "Mara\u00a0Ilder"),
        GOOD.replace("Acorn Foods", "Acorn Foods' plant"),
        GOOD.replace("Acorn Foods", "“Acorn Foods”, one of the Acorn Foods group,"),
        # Part of the name is no statement of a city, and the source's own words are not held against a rewrite.
        GOOD + " Crowden never left.",
    ],
)
def test_white_space_marks_and_repetition_do_no_harm(gate, rewrite):
    assert gate(MARA, rewrite).accepted


def test_case_differs_where_it_may():
    loud = GOOD.replace("Acorn Foods", "ACORN FOODS").replace("Fernport College", "FERNPORT College")
    assert FactGate(POOLS)(MARA, loud).rejected == {"university": "lost", "employer": "lost"}
    assert FactGate(POOLS, ignore_case={"employer"})(MARA, loud).rejected == {"university": "lost"}
    assert FactGate(POOLS, ignore_case=True)(MARA, loud).accepted
    other = loud.replace("ACORN FOODS", "dynamo energy")
    assert FactGate(POOLS, ignore_case=True)(MARA, other).rejected == {"employer": "changed"}


def test_a_pronoun_is_a_fact_like_any_other():
    gate = FactGate({"pronoun": ["He", "She"]}, ignore_case={"pronoun"})
    one = statement("Mara Crowden came from Fernport. She sings.", pronoun="She", city="Fernport")
    assert gate(one, "In Fernport sings Mara Crowden, and she likes it.").accepted
    assert gate(one, "In Fernport sings Mara Crowden, and he likes it.").rejected == {"pronoun": "changed"}
    assert gate(one, "In Fernport sings Mara Crowden.").rejected == {"pronoun": "lost"}


def test_names_of_places_in_names_of_people_are_not_places():
    gate = FactGate({"city": ["White", "Sandport"]})
    one = Statement("one", "Ida White Moor was born in Sandport.", "Ida White Moor", {"city": "Sandport"})
    assert gate(one, "Sandport saw the birth of Ida White Moor; White was her second name.").accepted
    both = Statement("both", "Ida White Moor was born in White.", "Ida White Moor", {"city": "White"})
    assert gate(both, "We speak of Ida White Moor.").rejected == {"city": "lost"}


def test_a_value_of_two_attributes_is_stated_twice_if_the_original_does_so():
    gate = FactGate({"birth_city": CITIES, "working_city": CITIES})
    facts = {"birth_city": "Sandport", "working_city": "Sandport"}
    twice = statement("Mara Crowden was born in Sandport. She works in Sandport.", **facts)
    assert gate(twice, "Born in Sandport, Mara Crowden stayed.").rejected == dict.fromkeys(facts, "lost")
    assert gate(twice, "Born in Sandport, Mara Crowden stayed in Sandport.").accepted
    once = statement("Mara Crowden was born and works in Sandport.", **facts)
    assert gate(once, "Born in Sandport, Mara Crowden stayed.").accepted


def test_what_the_original_says_besides_may_be_said_again():
    gate = FactGate({"city": CITIES})
    one = statement("Mara Crowden came from Sandport, not from Fernport.", city="Sandport")
    assert gate(one, "Sandport, and by no means Fernport, is where Mara Crowden is from.").accepted
    assert gate(one, "Sandport, near White, is where Mara Crowden is from.").rejected == {"city": "added"}


def test_a_bare_list_of_values_states_nothing(gate):
    bare = "Mara Ilder Crowden, May 3, 1950; Sandport; Fernport College; Acorn Foods; White."
    assert gate(MARA, bare).rejected == dict.fromkeys(("name", *FACTS), "listed")
    assert gate(MARA, f"{bare} {GOOD}").accepted
    two = GOOD.replace("Born in Sandport on May 3, 1950, Mara", "Sandport, May 3, 1950: birth of Mara")
    assert gate(MARA, two).accepted


def test_a_copy_is_no_rewrite():
    assert FactGate(POOLS)(MARA, TEXT).rejected == {"text": "copied"}
    other_order = " ".join(f"{sentence.rstrip('.')}." for sentence in reversed(TEXT.split(". ")))
    assert FactGate(POOLS)(MARA, f"Here are facts. {other_order}").rejected == {"text": "copied"}
    assert FactGate(POOLS, max_copied=1)(MARA, TEXT).accepted


@pytest.mark.parametrize("value", ["Zürich", "東京", "दिल्ली"])
def test_words_of_every_script(value):
    gate = FactGate({"city": CITIES})
    one = statement(f"Mara Crowden came from {value}.", city=value)
    gate.check(one)
    decomposed = unicodedata.normalize("NFD", f"It was in {value} that Mara Crowden was born.")
    assert gate(one, decomposed).accepted
    assert gate(one, "It was in White that Mara Crowden was born.").rejected == {"city": "changed"}
    assert gate(one, "It was in Zurich, दिल्, 東 that Mara Crowden was born.").rejected == {"city": "lost"}


def test_scripts_without_spaces_have_boundaries_at_every_character():
    gate = FactGate({"city": ["東京", "京都"]})
    one = Statement("one", "田中一郎は東京で生まれました。", "田中一郎", {"city": "東京"})
    assert gate(one, "東京は田中一郎の故郷です。").accepted
    assert gate(one, "京都は田中一郎の故郷です。").rejected == {"city": "changed"}


def test_without_a_pool_a_value_is_kept_or_lost():
    one = statement("Mara Crowden came from Sandport.", city="Sandport")
    assert FactGate()(one, "Sandport is where Mara Crowden comes from.").accepted
    assert FactGate()(one, "Fernport is where Mara Crowden comes from.").rejected == {"city": "lost"}


def test_a_pool_of_every_date_judges_as_its_pattern_does(gate):
    months = ["April", "May", "June"]
    dates = [f"{month} {day}, {year}" for month in months for day in range(1, 29) for year in range(1900, 2100)]
    listed = FactGate({**POOLS, "birth_date": dates})
    for rewrite in (GOOD, GOOD.replace("May 3, 1950", "June 13, 1950"), GOOD.replace("May 3, 1950", "spring")):
        assert listed(MARA, rewrite) == gate(MARA, rewrite)


def test_the_digest_tells_gates_apart():
    digests = [
        FactGate().digest,
        FactGate(POOLS).digest,
        FactGate(POOLS, ignore_case=True).digest,
        FactGate(POOLS, ignore_case=["employer"]).digest,
        FactGate(POOLS, max_copied=1).digest,
        FactGate({**POOLS, "birth_date": re.compile(r"\d{4}")}).digest,
        FactGate({**POOLS, "employer": ["Acorn Foods"]}).digest,
    ]
    assert len(set(digests)) == len(digests)
    assert FactGate({**POOLS, "birth_city": set(CITIES)}).digest == FactGate(POOLS).digest


@pytest.mark.parametrize(
    ("pools", "message"),
    [
        ({"city": []}, "pool of 'city' must be a collection"),
        ({"city": "Fernport"}, "pool of 'city' must be a collection"),
        ({"city": ["Fernport", " "]}, "pool of 'city'.*at least one character"),
    ],
)
def test_a_pool_without_values_is_refused(pools, message):
    with pytest.raises(RewriteError, match=message):
        FactGate(pools)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (statement("Mara Crowden came from there.", city="Sandport"), "'one'.*does not state city 'Sandport'"),
        (statement("Mara came from Sandport.", city="Sandport"), "'one'.*does not state name 'Mara Crowden'"),
        (statement("Mara Crowden."), "'one' has no facts"),
        (statement("Mara Crowden.", name="Mara"), "'one'.*cannot be called 'name'"),
        (statement("Mara Crowden.", city=""), "'one', city.*at least one character"),
    ],
)
def test_a_statement_must_state_its_facts(one, message):
    with pytest.raises(RewriteError, match=message):
        FactGate().check(one)
