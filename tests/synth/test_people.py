"""bioS: the published sizes, pools that cannot be confused, and sentences that never give a value away."""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
from pathlib import Path

import pytest

from synth import people as module
from synth.facts import FactsError
from synth.people import (
    PRONOUNS,
    SENTENCES,
    people_table,
    read_pools,
    templates,
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


def test_the_pools_are_what_their_composer_writes():
    path = Path(module.__file__).parent / "pools" / "compose.py"
    spec = importlib.util.spec_from_file_location("compose", path)
    composer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(composer)
    for name, lines in composer.pools().items():
        assert path.with_name(f"{name}.txt").read_text(encoding="utf-8").splitlines() == lines


def test_there_are_at_least_46_templates_a_sentence_all_different():
    for sentence, found in templates().items():
        assert len(set(found)) == len(found) >= 46, sentence
        for template in found:
            assert template.before.endswith(" ") and not template.before.startswith(" ")
            assert template.after.endswith(".") and not template.after[0].isalnum()


def test_no_opening_begins_another_so_an_opening_tells_its_attribute_before_the_value():
    openings = {(template.before, sentence) for sentence, found in templates().items() for template in found}
    words = sorted(before for before, _ in openings)
    assert len(set(words)) == len(words)
    assert not [pair for pair in itertools.pairwise(words) if pair[1].startswith(pair[0])]


def test_no_template_names_the_pronoun_or_a_value():
    gendered = re.compile(r"\b(he|she|him|his|her|hers)\b", re.IGNORECASE)
    values = re.compile("|".join(rf"\b{re.escape(value)}\b" for value in set().union(*read_pools().values())))
    for found in templates().values():
        for template in found:
            sentence = template.before + "X" + template.after
            assert not gendered.search(sentence)
            assert not values.search(sentence)


def test_a_biography_says_all_six_facts_once_and_the_name_in_front_only(table):
    for entity in range(50):
        text, facts = Sentences(table).text(entity, 1), table.facts(entity)
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
    texts = [Sentences(table).text(7, exposure) for exposure in range(200)]
    assert len(set(texts)) == 200
    assert texts == [Sentences(table).text(7, exposure) for exposure in range(200)]
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
    names = [one.name for one in table.attributes]
    for entity in range(100):
        text, spans = Sentences(table).scored(entity, 0)
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
    for exposure in range(60):
        assert ".." not in Sentences(table).text(entity, exposure)


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
        ({"city": "X\nY\nX\n"}, r"city\.txt, line 3: 'X' stands in line 1 already"),
        ({"major": "X\n\nY\n"}, r"field\.txt holds one value a line; line 2 is empty"),
        ({"university": ""}, r"university\.txt holds one value a line; it is empty"),
    ],
)
def test_a_bad_pool_is_named_with_its_line(tmp_path, changes, message):
    write_pools(tmp_path, **changes)
    with pytest.raises(FactsError, match=message):
        read_pools(tmp_path)


def test_a_missing_pool_is_named(tmp_path):
    with pytest.raises(FactsError, match=r"cannot read the pool .*first_name\.txt: No such file"):
        read_pools(tmp_path)
