"""Scores of models whose knowledge is known: a guesser, a memoriser, and a real model added up by hand."""

import math

import numpy as np
import pytest
import torch
from probe_world import END_OF_TEXT, TAG, World
from torch import nn

from train_probe.architecture import architecture
from train_probe.capacity import compact_bits
from train_probe.inputs import read_inputs
from train_probe.model import Transformer
from train_probe.plan import plan_of
from train_probe.score import mean_losses, score
from train_probe.scorer import by_attribute


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), people=20, values=3)


@pytest.fixture(scope="module")
def facts(world):
    return read_inputs(plan_of(world.plan([{"arm": "a", "exposures": 5}]))).facts


def bits(facts, losses):
    return compact_bits(facts.people, facts.name_pool_bits, facts.value_pool_bits, losses.name, losses.value)


class Known(nn.Module):
    """A model given by its probabilities of the next token after each beginning of a row."""

    def __init__(self, vocabulary, probabilities):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.vocabulary, self.probabilities = vocabulary, probabilities

    def forward(self, tokens):
        logits = torch.full((*tokens.shape, self.vocabulary), -1e9)
        for row, line in enumerate(tokens.tolist()):
            for position in range(len(line)):
                for token, chance in self.probabilities(tuple(line[1 : position + 1])).items():
                    logits[row, position, token] = math.log(chance)
        return logits


def test_a_guesser_that_knows_only_the_pools_scores_nothing(world, facts):
    def uniform(seen):
        pools = [(world.first_name, 8), (world.first_name + 8, 8)]
        first, size = pools[len(seen)] if len(seen) < 2 else (world.first_value, 4)
        return dict.fromkeys(range(first, first + size), 1 / size)

    got = bits(facts, score(Known(world.vocabulary, uniform), facts, facts.begins(False)))
    assert got.name == pytest.approx(0, abs=1e-4)
    assert got.value == pytest.approx(0, abs=1e-4)


def test_a_memoriser_scores_all_there_is(world, facts):
    def recall(seen):
        following = [body[len(seen)] for body in world.bodies.tolist() if tuple(body[: len(seen)]) == seen]
        return {token: following.count(token) / len(following) for token in set(following)}

    got = bits(facts, score(Known(world.vocabulary, recall), facts, facts.begins(False)))
    most = compact_bits(facts.people, facts.name_pool_bits, facts.value_pool_bits, math.log(facts.people), 0.0)
    assert got.name == pytest.approx(most.name, abs=1e-3)
    assert got.value == pytest.approx(most.value, abs=1e-3)
    assert most.value == 20 * 3 * 2


@pytest.mark.parametrize("begin", [END_OF_TEXT, TAG])
def test_a_score_is_the_sum_of_the_log_probabilities_of_its_tokens(world, facts, begin):
    model = Transformer(architecture("gpt2", 2, 2, 16), world.vocabulary, 12, seed=1)
    with torch.no_grad():
        model.embedding.weight.mul_(40)  # probabilities far from uniform
    name, value = 0.0, 0.0
    for body in world.bodies.tolist():
        seen = [begin]
        for place, token in enumerate(body):
            logits = model(torch.tensor([seen]))[0, -1].double()
            nats = -torch.log_softmax(logits, 0)[token].item()
            name, value = (name + nats, value) if place < 2 else (name, value + nats)
            seen.append(token)
    losses = score(model, facts, facts.begins(begin == TAG))
    assert losses.name == pytest.approx(name / 20, rel=1e-5)
    assert losses.value == pytest.approx(value / 20, rel=1e-5)


def test_several_rows_of_a_person_are_averaged_and_attributes_summed(world, facts):
    from dataclasses import replace

    twice = replace(
        facts,
        rows=facts.rows * 2,
        row_entity=np.tile(facts.row_entity, 2),
        spans=np.concatenate([facts.spans, facts.spans + np.array([20, 0, 0, 0])]),
    )
    nats = np.where(np.arange(len(twice.spans)) < len(facts.spans), 1.0, 3.0)
    losses = mean_losses(twice, nats)
    assert losses.name == pytest.approx(2.0)
    assert losses.value == pytest.approx(3 * 2.0)


def test_the_bits_of_attributes_are_the_parts_of_those_of_all_values(facts):
    attributes = len(facts.attributes)
    assert attributes == facts.spans[:, 1].max() + 1 and all(size > 0 for _, size in facts.attributes)
    nats = np.where(facts.spans[:, 1] < 0, 9.0, 0.5 + 0.1 * facts.spans[:, 1])
    losses = mean_losses(facts, nats)
    assert losses.attributes == pytest.approx([0.5 + 0.1 * number for number in range(attributes)])
    parts = by_attribute(facts, losses)
    assert sum(one["bits"] for one in parts) == pytest.approx(bits(facts, losses).value)
    assert [one["most"] for one in parts] == [facts.people * size for _, size in facts.attributes]


def test_rows_of_different_lengths_are_scored_as_if_alone(world, facts):
    from dataclasses import replace

    model = Transformer(architecture("gpt2", 1, 1, 8), world.vocabulary, 12, seed=1)
    short = replace(
        facts,
        rows=tuple(row[: 3 + n % 3] for n, row in enumerate(facts.rows)),
        spans=np.array([[n, 0, 2, 3] for n in range(20)]),
    )
    expected, begins = replace(facts, spans=short.spans), facts.begins(False)
    assert score(model, short, begins).value == pytest.approx(score(model, expected, begins).value, rel=1e-6)
