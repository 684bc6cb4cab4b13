"""Two hops: told in two places, asked for in one; and no other part of the house knows of this kind."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from curate.shards.tokens import TokenShards
from synth.corpus import facts_corpus
from synth.facts import FactsError, FactTable
from synth.inject import Inject
from synth.kinds import writer_of
from synth.own.telling import Line, Telling, check_edges, check_openings
from synth.questions import questions, split_of
from synth.relations import relations_table, templates
from synth.sentences import NAME

ROOT = Path(__file__).parents[2]
PEOPLE, EMPLOYERS = 120, 9


@pytest.fixture(scope="module")
def step():
    return Inject(kind="relations", people=PEOPLE, employers=EMPLOYERS, exposures=4, seed=2)


@pytest.fixture(scope="module")
def corpus(step, tmp_path_factory):
    folder = tmp_path_factory.mktemp("relations")
    facts_corpus(folder, step)
    return folder


def test_bits_are_those_of_what_is_told(step):
    table = step.table()
    bits = table.bits()
    assert bits.values == pytest.approx(PEOPLE * math.log2(EMPLOYERS) + EMPLOYERS * math.log2(200))
    assert bits.names == 0 and bits.maximal == bits.values
    assert [one.bits for one in table.attributes] == [math.log2(EMPLOYERS), math.log2(200), 0]
    assert table.people == len(table) == len(set(table.names(range(len(table))))) == PEOPLE + EMPLOYERS


def test_people_work_in_the_city_of_their_employer(step):
    table = step.table()
    company = {table.names([one])[0]: table.facts(one) for one in range(EMPLOYERS)}
    assert all(set(facts) == {"city"} for facts in company.values())
    for person in range(EMPLOYERS, len(table)):
        facts = table.facts(person)
        assert facts["works_in"] == company[facts["employer"]]["city"] and "city" not in facts
    used = np.unique(table.values[EMPLOYERS:, 0])
    assert len(used) == EMPLOYERS


def test_templates_are_twenty_a_sentence_and_can_be_told_apart(step):
    told = {name: [Line(text, name) for text in lines] for name, lines in templates(".").items()}
    assert {name: len(set(lines)) for name, lines in told.items()} == {"employer": 20, "city": 20}
    table = step.table()
    telling = Telling(sentences=told)
    check_openings(telling)
    check_edges(telling, table.pools, table.pools["entity"])
    asked = templates("questions")
    assert set(asked) == {"employer", "city", "works_in"}
    assert all(len(forms) == 6 and all(form.count("{}") == 1 for form in forms) for forms in asked.values())
    # A question asks for one thing: no form is another attribute's.
    assert len({form for forms in asked.values() for form in forms}) == 18


def test_nobody_is_told_where_a_person_works(step):
    table, writer = step.table(), writer_of(step.table())
    people = np.arange(EMPLOYERS, len(table))
    texts = [text for exposure in range(4) for text in writer.texts(people, np.full(len(people), exposure))]
    texts += [writer.scored(one, number)[0] for one in people.tolist() for number in range(4)]
    cities = re.compile("|".join(rf"\b{city}\b" for city in table.pools["city"]))
    assert not any(cities.search(text) for text in texts)
    companies = [writer.text(one, exposure) for one in range(EMPLOYERS) for exposure in range(4)]
    assert all(len(cities.findall(text)) == 1 for text in companies)


def test_questions_ask_for_one_hop_and_for_two(step):
    table = step.table()
    found = {(one["entity"], one["attribute"]): one for one in questions(table, range(len(table)))}
    assert len(found) == 2 * PEOPLE + EMPLOYERS
    for (entity, attribute), one in found.items():
        assert one["answer"] == table.facts(entity)[attribute] and one["name"] in one["question"]
    assert 40 < split_of(table, np.arange(EMPLOYERS, len(table))).sum() < 80


def test_exposures_facts_and_spans_are_right_on_the_common_way(step, corpus):
    table = FactTable.load(corpus / "facts")
    made = step.table()
    assert table.bits() == made.bits() and np.array_equal(table.values, made.values)
    assert table.names(range(len(table))) == made.names(range(len(table)))
    rows = TokenShards.open(corpus / "tokens" / "facts").documents()
    assert np.bincount(rows["entity"]).tolist() == [4] * len(table)
    scoring = np.load(corpus / "facts" / "scoring.npz")
    plain = Tokenizer.from_str((corpus / "tokens" / "tokenizer.json").read_text())
    ids = np.split(scoring["tokens"], scoring["row_ends"].astype(int)[:-1])
    assert len(scoring["spans"]) == 2 * len(ids) == 2 * 4 * len(table)
    for row, attribute, start, end in scoring["spans"].tolist():
        entity = int(scoring["row_entity"][row])
        said = plain.decode(ids[row][start:end].tolist()).strip()
        name = table.names([entity])[0]
        meant = name if attribute == NAME else table.facts(entity)[table.attributes[attribute].name]
        assert said.startswith(meant) and len(said) <= len(meant) + 8


def test_the_probe_scores_0_for_a_guess_and_all_bits_for_a_perfect_memory(step, corpus):
    pytest.importorskip("torch")
    from train_probe.capacity import compact_bits
    from train_probe.inputs import read_facts
    from train_probe.score import mean_losses

    facts, table = read_facts(corpus / "facts"), step.table()
    sizes = {NAME: len(table)} | {number: one.size for number, one in enumerate(table.attributes)}
    losses = mean_losses(facts, np.array([math.log(sizes[attribute]) for attribute in facts.spans[:, 1].tolist()]))
    guess = compact_bits(len(table), facts.name_pool_bits, facts.value_pool_bits, losses.name, losses.value)
    assert guess.value == pytest.approx(0, abs=1e-6) and guess.name == pytest.approx(0, abs=1e-6)
    perfect = compact_bits(len(table), facts.name_pool_bits, facts.value_pool_bits, losses.name, 0.0)
    assert perfect.total == pytest.approx(table.bits().maximal)


def test_no_other_part_of_the_house_knows_of_it():
    naming = {
        str(path.relative_to(ROOT))
        for package in ("curate", "synth", "train_probe", "recipes")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\"relations\"|synth\.relations|works_in", path.read_text())
    }
    # The kind itself, and the step whose parameters name it.
    assert naming == {"synth/relations.py", "synth/inject.py"}


def test_held_out_people_frozen_text_and_pools_of_ones_own(tmp_path):
    step = Inject(kind="relations", people=20, employers=5, held_out=4, exposures=3, frozen=True)
    table = step.table()
    assert table.exposure_counts.tolist() == [3] * 25 + [0] * 4
    assert table.bits().values == pytest.approx(20 * math.log2(5) + 5 * math.log2(200))
    texts = {(d.metadata["entity"], d.text) for d in step.placed().documents(0, 75)}
    assert len(texts) == 25
    # The first people are the same, however many there are.
    fewer = relations_table(10, employers=5)
    assert fewer.names(range(15)) == table.names(range(15))
    assert np.array_equal(fewer.values, table.values[:15])


def test_a_share_is_of_people_and_companies_and_a_rehearsal_keeps_the_companies(step):
    table = Inject(kind="relations", people=30, employers=10, exposures={"document_share": 0.5}).table(90, 900)
    assert table.exposure_counts.sum() == 90 and table.exposure_counts.min() == 2
    few, added, wanted = step.few(50)
    assert (few.people, few.employers, added, wanted) == (5, 9, 42, 4 * 129) and few.placed().total == 42


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"employers": 264}, "`employers` must be between 1 and 263, .*, not 264"),
        ({"people": 200_000_000}, r"160000000 names \(400 x 400 x 1000\) for 200000000 people"),
        ({"values": 8}, "`values` is for `kind: compact`; this is `kind: relations`"),
        ({"held_out_templates": 20}, "with 20 templates cannot hold 20 of them out"),
    ],
)
def test_what_cannot_be_drawn_is_refused(parameters, message):
    with pytest.raises(FactsError, match=message):
        Inject(kind="relations", **parameters)
