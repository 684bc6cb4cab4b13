"""bioS: the published sizes, pools that cannot be confused, and sentences that never give a value away."""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from gpt2 import gpt2_tokenizer

from synth import people as module
from synth.facts import FactsError
from synth.people import (
    MONTHS,
    PRONOUNS,
    SENTENCES,
    people_table,
    read_pools,
)
from synth.sentences import Sentences

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "people"
SIZES = {
    "first_name": 400,
    "middle_name": 400,
    "last_name": 1000,
    "city": 200,
    "university": 300,
    "major": 100,
    "employer": 263,
    "working_city": 263,
}


class Told(NamedTuple):
    """A sentence without its subject: what stands before the value and what after it."""

    before: str
    after: str


@cache
def templates():
    return {one: [Told(*text.split("{}")) for text in texts] for one, texts in module.templates(".").items()}


ALL = templates()
SUBJECTS = [
    (
        {"birth_date", "birth_city"},
        r"born\b|birth|baby|cradle|midwife|toddler|infan|childhood|maternity|hometown|native",
    ),
    (
        {"university", "major"},
        r"\bstud(y|ied|ent|ents)\b|universit|college|campus|degree|major|graduat|diploma|alum|academ|lectur|exams?\b"
        r"|thesis|professor|faculty|scholar|\bcourse|textbook",
    ),
    (
        {"employer", "working_city"},
        r"\bwork|\bjob|\boffice|employ|compan|salary|career|\bprofession(al|ally)?\b|business|staff|corporate|\bhire"
        r"|\bwage|commut|meeting",
    ),
    ({"birth_city"}, r"\b(city|town|hometown|village|streets?|sidewalks?|birthplace|neighborhood|alleys)\b"),
    ({"birth_date"}, r"\b(birth date|birthdays?|date|dated|calendar)\b"),
]
"""Words that belong to a subject, and the sentences that may speak of it."""
ASKS = {
    "birth_date": r"\b([Ww]hen|date|day)\b",
    "birth_city": r"\bcity\b.*\b(born|birth|birthplace)\b|\bnative city\b|\bbirth\b.*\bcity\b",
    "university": r"\b(university|alma mater)\b",
    "major": r"\b(major|subject|field|discipline)\b",
    "employer": r"\b(company|firm|employer)\b",
    "working_city": r"\bcity\b.*\b(work|workplace|employed|job)\b|\boffice\b.*\bcity\b",
}
"""What a question must say to ask for an attribute, and for no other."""

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the published pools are not beside the repository")


@pytest.fixture(scope="module")
def table():
    return people_table(300, 2, seed=4)


def test_the_bits_of_a_person_are_those_of_the_paper(table):
    bits = table.bits()
    assert bits.name_pool == pytest.approx(27.2535, abs=5e-5)
    assert bits.value_pool == pytest.approx(47.5916, abs=5e-5)
    assert bits.value_pool == pytest.approx(math.log2(2 * 67_200 * 200 * 300 * 100 * 263))
    assert people_table(10_000, 1).bits().names == pytest.approx(139_657.8, abs=0.1)
    assert people_table(10_000, 1).bits().values == pytest.approx(475_916.2, abs=0.1)


@pytest.mark.parametrize("folder", [None, pytest.param(SHARED, marks=needs_shared)])
def test_pools_have_the_published_sizes(folder):
    assert {name: len(values) for name, values in read_pools(folder).items()} == SIZES


def test_no_value_of_our_own_pools_begins_another():
    pools = read_pools()
    del pools["working_city"]
    for values in pools.values():
        ordered = sorted(values)
        assert not [pair for pair in itertools.pairwise(ordered) if pair[1].startswith(pair[0])]


def test_no_value_of_our_own_pools_begins_another_in_the_tokens_of_gpt2():
    tokenizer = gpt2_tokenizer()
    assert tokenizer.encode("Hello world").ids == [15496, 995]
    pools = read_pools() | {"month": MONTHS, "day": module.DAYS, "year": module.YEARS, "pronoun": PRONOUNS}
    # A day ends where its comma comes: "1" begins "12" as text, and as tokens it must not.
    for name, values in pools.items():
        for space in (" ", ""):
            coded = sorted(tokenizer.encode(space + value).ids for value in set(values))
            assert not [two for two in itertools.pairwise(coded) if two[1][: len(two[0])] == two[0]], (name, space)


def test_the_pools_are_what_their_composer_writes():
    path = Path(module.__file__).parent / "pools" / "compose.py"
    spec = importlib.util.spec_from_file_location("compose", path)
    composer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(composer)
    for name, lines in composer.pools().items():
        assert path.with_name(f"{name}.txt").read_text(encoding="utf-8").splitlines() == lines


def words_of(template):
    return f"{template.before}X{template.after}"


def test_there_are_at_least_50_templates_a_sentence_all_different():
    for sentence, found in templates().items():
        assert len(set(found)) == len(found) >= 50, sentence
        for template in found:
            assert template.before.endswith(" ") and not template.before.startswith(" ")
            assert template.after.endswith(".") and not template.after[0].isalnum()
            assert "  " not in words_of(template) and " ." not in words_of(template)


def open_at_the_value(openings):
    """Pairs of openings of which one goes on where the other's value comes: there the attribute is still open."""
    ordered = sorted(openings)
    return [pair for pair in itertools.pairwise(ordered) if pair[1].startswith(pair[0])]


def test_no_opening_begins_another_so_an_opening_tells_its_attribute_before_the_value():
    openings = [template.before for found in templates().values() for template in found]
    assert len(set(openings)) == len(openings)
    assert open_at_the_value(openings) == []
    assert open_at_the_value(["studied ", "took on ", "studied at "]) == [("studied ", "studied at ")]


def test_a_sentence_and_its_neighbor_in_meaning_come_to_their_values_by_different_words():
    """A reader who has the last word before the value knows: on a date, in a city; in a major, at a university."""
    for one, other in zip(SENTENCES[::2], SENTENCES[1::2], strict=True):
        last = [{template.before.split()[-1] for template in templates()[name]} for name in (one, other)]
        assert not last[0] & last[1], (one, other)
    for university, major in itertools.product(templates()["university"], templates()["major"]):
        pair = university.before.split(), major.before.split()
        same = sum(1 for _ in itertools.takewhile(lambda two: two[0] == two[1], zip(*pair, strict=False)))
        assert min(map(len, pair)) - same >= 2, pair


def test_an_ending_is_used_by_few_templates():
    endings = Counter(template.after for found in templates().values() for template in found)
    assert endings.pop(".") < 0.8 * sum(len(found) for found in templates().values())
    assert max(endings.values()) <= 3


def test_what_follows_a_company_or_a_city_never_grows_together_with_its_last_mark():
    """`Inc.` and `, as` would share the GPT-2 token `.,`: a value would end inside a token."""
    for sentence in ("birth_city", "employer", "working_city"):
        assert {template.after for template in templates()[sentence] if template.after[0] != " "} == {"."}


@needs_shared
def test_no_other_published_value_ends_in_a_mark():
    pools = read_pools(SHARED)
    assert all(value[-1].isalnum() for name in ("university", "major") for value in pools[name])


def test_no_template_names_the_pronoun_or_a_value():
    gendered = re.compile(r"\b(he|she|him|his|hers?|himself|herself|alumn(us|a|ae))\b", re.IGNORECASE)
    pool = set().union(MONTHS, *read_pools().values())
    values = re.compile("|".join(rf"\b{re.escape(value)}\b" for value in pool), re.IGNORECASE)
    for found in templates().values():
        for template in found:
            said = template.before + "#" + template.after
            assert not gendered.search(said) and not values.search(said), said
            assert said == said.lower() and not re.search(r"\d", said), said


@pytest.mark.parametrize(("sentences", "subject"), SUBJECTS)
def test_a_sentence_speaks_of_its_own_subject_only(sentences, subject):
    """So no sentence but the working city's can say where work is done, and no ending tells of another attribute."""
    said = {name: [words_of(one) for one in found if re.search(subject, words_of(one))] for name, found in ALL.items()}
    assert [name for name in SENTENCES if name not in sentences and said[name]] == []
    assert all(said[name] for name in sentences)


def questions():
    folder = Path(module.__file__).parent / "templates" / "questions"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(SENTENCES)
    return {name: (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines() for name in SENTENCES}


def test_there_are_six_question_forms_an_attribute_all_different():
    found = questions()
    assert [len(forms) for forms in found.values()] == [6] * 6
    assert len(set().union(*found.values())) == 36
    for form in itertools.chain(*found.values()):
        assert form.count("{}") == 1 and form.endswith("?") and form.count("?") == 1
        assert form[0].isupper() and form.isascii() and form == " ".join(form.split())
        assert not re.search(r"\b(he|she|him|his|hers?|himself|herself)\b", form, re.IGNORECASE)


def test_a_question_asks_for_one_attribute_and_tells_no_value():
    values = re.compile("|".join(rf"\b{re.escape(value)}\b" for value in set().union(*read_pools().values())))
    for name, forms in questions().items():
        for form in forms:
            assert [one for one, asks in ASKS.items() if re.search(asks, form)] == [name], form
            assert not values.search(form)


def test_a_biography_says_all_six_facts_once_and_the_name_in_front_only(table):
    writer = Sentences(table)
    for entity in range(50):
        text, facts = writer.text(entity, 1), table.facts(entity)
        name, pronoun = table.names([entity])[0], facts["pronoun"]
        assert text.startswith(name + " ") and text.count(name) == 1
        assert len(re.findall(rf"(?<=\. ){pronoun} ", text)) == 5
        other = PRONOUNS[1 - PRONOUNS.index(pronoun)]
        assert not re.search(rf"\b{other}\b", text)
        for sentence in SENTENCES:
            assert text.count(facts[sentence]) == 1 + (
                sentence.endswith("city") and facts["birth_city"] == facts["working_city"]
            )


def test_every_exposure_has_new_templates_and_a_new_order(table):
    texts = list(Sentences(table).texts([7] * 200, range(200)))
    assert len(set(texts)) == 200
    assert texts == [Sentences(table).text(7, 0), *Sentences(table).texts([7] * 199, range(1, 200))]
    facts = table.facts(7)
    orders = {tuple(sorted(SENTENCES, key=lambda sentence: text.index(facts[sentence]))) for text in texts}
    # 200 draws of 720 orders leave 174.7 different ones on average.
    assert 155 < len(orders) < 195


def test_two_people_of_one_employer_work_in_one_city(table):
    city = {}
    for entity in range(table.people):
        facts = table.facts(entity)
        assert city.setdefault(facts["employer"], facts["working_city"]) == facts["working_city"]
    assert len(city) < table.people


def test_the_spans_to_score_are_the_facts_and_the_employer_stands_before_its_city(table):
    writer = Sentences(table)
    names = [one.name for one in table.attributes]
    for entity in range(100):
        text, spans = writer.scored(entity, 0)
        facts = table.facts(entity)
        said = {names[number] if number >= 0 else "name": text[start:end] for number, start, end in spans}
        assert len(spans) == 7
        assert said == {"name": table.names([entity])[0]} | {
            name: facts[name] for name in names if name != "working_city"
        }
        employer = next(start for number, start, _ in spans if number == names.index("employer"))
        if facts["working_city"] != facts["birth_city"]:
            assert facts["working_city"] not in text[:employer]
        pronoun = next(start for number, start, _ in spans if number == names.index("pronoun"))
        assert not re.search(rf"\b{facts['pronoun']}\b", text[:pronoun])


@needs_shared
def test_a_value_that_ends_in_a_full_stop_ends_its_sentence():
    table = people_table(3000, 1, pools=SHARED)
    entity = next(i for i in range(3000) if table.facts(i)["employer"] == "Caterpillar Inc.")
    writer = Sentences(table)
    for exposure in range(60):
        assert ".." not in writer.text(entity, exposure)


def write_pools(folder, **changes):
    for name, file in module.FILES.items():
        (folder / file).write_text(changes.get(name, "One; Town\nTwo; Town\n" if name == "employer" else "A\nB\n"))


def test_a_users_own_pools_decide_the_bits(tmp_path):
    write_pools(tmp_path, city="Here\nThere\nNowhere\nEverywhere\n")
    bits = people_table(3, 1, pools=tmp_path).bits()
    assert bits.name_pool == 3
    assert bits.value_pool == pytest.approx(math.log2(67_200) + 2 + 1 + 1 + 1 + 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"employer": "One\n"}, r"company\.txt, line 1: must be `Company; City`"),
        ({"city": "X\nY\nX\n"}, r"city\.txt, line 3: 'X' is already in line 1"),
        ({"major": "X\n\nY\n"}, r"field\.txt must hold one value a line; line 2 is empty"),
        ({"university": ""}, r"university\.txt must hold one value a line; it is empty"),
    ],
)
def test_a_bad_pool_is_named_with_its_line(tmp_path, changes, message):
    write_pools(tmp_path, **changes)
    with pytest.raises(FactsError, match=message):
        read_pools(tmp_path)


def test_a_missing_pool_is_named(tmp_path):
    with pytest.raises(FactsError, match=r"cannot read the pool .*first_name\.txt: No such file"):
        read_pools(tmp_path)
