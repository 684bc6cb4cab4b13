"""Facts that a first name tells for most people: drawn as asked, and scored apart for majority and exceptions."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from synth.corpus import facts_corpus
from synth.facts import FactsError
from synth.inject import Inject
from train_probe.exceptions import by_majority
from train_probe.inputs import read_facts


@pytest.fixture(scope="module")
def inject():
    return Inject(people=600, name_parts=[16, 64], attributes=2, values=4, majority=0.8, held_out=10, exposures=1)


@pytest.fixture(scope="module")
def facts(inject, tmp_path_factory):
    folder = tmp_path_factory.mktemp("majority")
    facts_corpus(folder, inject, name=None)
    return read_facts(folder / "facts")


class Answers(nn.Module):
    """A model that gives each position of each row the token that it is told to, and others a little."""

    def __init__(self, vocabulary, answers):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.vocabulary, self.answers = vocabulary, answers

    def forward(self, tokens):
        logits = torch.zeros(*tokens.shape, self.vocabulary)
        for row, line in enumerate(tokens.tolist()):
            for place, token in self.answers(tuple(line)).items():
                logits[row, place, token] = 3.0
        return logits


def test_most_have_what_their_first_name_tells_and_the_rest_one_of_the_others(inject):
    table = inject.table()
    told = np.array([table.details["told"][one.name] for one in table.attributes]).T[table.entities[:, 0]]
    exceptions = told != table.values
    assert exceptions.mean(0) == pytest.approx([0.2, 0.2], abs=0.04)
    away = (table.values - told)[exceptions] % 4
    assert set(away.tolist()) == {1, 2, 3} and np.bincount(away)[1:].min() > 60
    assert not np.array_equal(exceptions[:, 0], exceptions[:, 1])
    assert table.attributes[0].bits == pytest.approx(-0.8 * math.log2(0.8) - 0.2 * math.log2(0.2 / 3))


def test_the_first_people_are_the_same_for_every_number_and_without_a_majority_nothing_moved(inject):
    more = Inject(people=900, name_parts=[16, 64], attributes=2, values=4, majority=0.8, exposures=1).table()
    assert np.array_equal(more.values[:600], inject.table().values[:600])
    plain, before = (Inject(people=50, name_parts=[16, 64], majority=share).table() for share in (0.0, 0.5))
    assert plain.attributes[0].entropy is None and not plain.details and before.details["majority"] == 0.5


def test_only_compact_records_have_a_majority():
    with pytest.raises(FactsError, match="`majority` is for `kind: compact`"):
        Inject(kind="biod", majority=0.5)


def answers_of(facts, what):
    """A model that answers each value with what the name tells, or with the right one."""
    pool = facts.value_tokens
    told = {
        tuple(row[:2].tolist()): pool[facts.told[who]] for row, who in zip(facts.rows, facts.row_entity, strict=True)
    }
    right = {tuple(row[:2].tolist()): row[2:] for row in facts.rows}
    of = {"told": told, "right": right}[what]
    return Answers(facts.vocabulary, lambda line: {2 + k: int(token) for k, token in enumerate(of[line[1:3]])})


def test_a_model_that_knows_names_only_is_wrong_about_every_exception(facts):
    found = by_majority(answers_of(facts, "told"), facts, facts.begins(False))
    assert found["chance"] == 0.25
    assert found["majority"]["accuracy"] == 1 and found["exceptions"]["accuracy"] == 0
    assert found["exceptions"]["as_told"] == 1
    assert found["majority"]["values"] + found["exceptions"]["values"] == 2 * 600
    share = math.exp(3) / (math.exp(3) + 3)
    assert found["majority"]["probability"] == pytest.approx(share)
    assert found["exceptions"]["probability"] == pytest.approx((1 - share) / 3)


def test_a_model_that_knows_people_is_right_about_all(facts):
    found = by_majority(answers_of(facts, "right"), facts, facts.begins(False))
    assert found["majority"]["accuracy"] == found["exceptions"]["accuracy"] == 1
    assert found["exceptions"]["as_told"] == 0


def test_a_part_of_the_people_has_its_own_exceptions(facts):
    some = facts.part(np.arange(100, 300))
    whole, part = (by_majority(answers_of(one, "told"), one, one.begins(False)) for one in (facts, some))
    assert 0 < part["exceptions"]["values"] < whole["exceptions"]["values"]
    assert part["exceptions"]["accuracy"] == 0
