"""Calibration: scores added up by hand, models whose probabilities are known, values of several tokens."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from synth.corpus import facts_corpus
from synth.inject import Inject
from train_probe.asked import calibration
from train_probe.calibration import (
    Answers,
    Pools,
    answers,
    ece,
    ece_of_calibrated,
    questions_about,
    reliability,
)
from train_probe.inputs import read_facts
from train_probe.plan import PlanError


def test_ece_is_the_distance_in_bins_of_equally_many_answers():
    confidence = np.array([0.9, 0.2, 0.8, 0.4])
    right = np.array([True, False, False, True])
    # Two bins: (.2 wrong, .4 right) and (.8 wrong, .9 right).
    assert ece(confidence, right, 2) == pytest.approx(0.5 * abs(0.3 - 0.5) + 0.5 * abs(0.85 - 0.5))
    assert ece(confidence, right, 1) == pytest.approx(abs(0.575 - 0.5))
    assert ece(confidence, right, 10) == pytest.approx((0.2 + 0.6 + 0.8 + 0.1) / 4)  # a bin an answer
    assert reliability(confidence, right, 2) == [
        {"confidence": pytest.approx(0.3), "accuracy": 0.5, "answers": 2},
        {"confidence": pytest.approx(0.85), "accuracy": 0.5, "answers": 2},
    ]


def test_answers_of_one_confidence_have_no_order():
    confidence = np.full(12, 0.25)
    for right in ([1] * 3 + [0] * 9, [0] * 9 + [1] * 3, [0, 0, 0, 1] * 3):
        assert ece(confidence, np.array(right)) == pytest.approx(0.0)
        assert ece(confidence, 1 - np.array(right)) == pytest.approx(0.5)


def test_a_perfectly_calibrated_model_shows_an_ece_above_zero_and_none_where_it_is_sure():
    assert ece_of_calibrated(np.ones(400)) == (0.0, 0.0)
    few, many = (ece_of_calibrated(np.linspace(0.02, 0.98, count)) for count in (100, 10_000))
    # With m answers a bin, of confidence c, the mean distance is sqrt(2 / pi) sqrt(c (1 - c) / m).
    bins = np.linspace(0.02, 0.98, 100).reshape(10, 10).mean(1)
    for (mean, most), m in ((few, 10), (many, 1000)):
        assert mean == pytest.approx(float(np.sqrt(2 / math.pi * bins * (1 - bins) / m).mean()), rel=0.08)
        assert mean < most < 2 * mean


def test_a_guesser_and_a_memoriser_are_known_in_closed_form():
    uniform = Answers.of([np.zeros(4)] * 8, np.arange(8) % 4).figures()
    assert uniform["accuracy"] == uniform["confidence"] == uniform["chance"] == 0.25
    assert (uniform["ece"], uniform["kl_bits"]) == (pytest.approx(0.0), pytest.approx(0.0))
    assert uniform["brier"] == pytest.approx(1 - 1 / 4)
    sure = Answers.of([np.array([0.0, -800.0])] * 5, np.zeros(5, int)).figures()
    assert (sure["accuracy"], sure["ece"], sure["brier"]) == (1.0, 0.0, 0.0)
    wrong = Answers.of([np.log([0.75, 0.25])] * 2, np.ones(2, int)).figures()
    assert (wrong["accuracy"], wrong["ece"]) == (0.0, pytest.approx(0.75))
    assert wrong["brier"] == pytest.approx(0.75**2 + 0.75**2)
    assert wrong["kl_bits"] == pytest.approx(0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25))
    assert Answers.of([], np.zeros(0, int)).figures() == {"answers": 0}


class ByToken(nn.Module):
    """A model whose logits are a number for each token and position, whatever it read."""

    def __init__(self, vocabulary):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(200, vocabulary, generator=generator).double())
        self.vocabulary = vocabulary

    def forward(self, tokens):
        return self.table[: tokens.shape[1]].expand(len(tokens), -1, -1)


TABLE = """name,town,trade
Ada Berg,White,smith
Bo Holm,Whitehead,goldsmith
Cy Lund,White Hills,baker
Di Nord,Ost,smith
Eli Sund,Whitehead,baker
Fay Vik,Ost,tanner
Gil Ek,White,tanner
Hal Ros,White Hills,goldsmith
"""
"""Values that begin others: White, Whitehead, White Hills."""


@pytest.fixture(scope="module", params=["compact", "table"])
def facts(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "own.csv").write_text(TABLE)
    sizes = {"facts": str(folder / "own.csv"), "held_out": 2}
    if request.param == "compact":
        sizes = {"attributes": 3, "values": 5, "name_parts": [8, 8], "people": 6, "held_out": 4}
    facts_corpus(folder, Inject(kind=request.param, exposures=1, **sizes))
    return read_facts(folder / "facts")


def test_confidence_is_the_product_over_a_values_tokens_in_its_pool(facts):
    pools = Pools(facts)
    asked, left_out = questions_about(facts, pools, most_tokens=1)
    assert left_out == []
    model = ByToken(facts.vocabulary)
    begin = facts.begins(False)
    found = answers(model, facts, asked, begin)
    logs = model.table.detach().log_softmax(1)
    for number, one in enumerate(asked):
        # By hand: the row up to the value, then each value's tokens at their positions.
        told = tuple(facts.rows[one.row][one.start : one.start + len(one.values[one.true])].tolist())
        assert told == one.values[one.true]
        each = torch.stack([
            sum(logs[one.start + place, token] for place, token in enumerate((*value, *one.end)))
            for value in one.values
        ])  # fmt: skip
        chance = (each - each.logsumexp(0)).exp()
        assert found.confidence[number] == pytest.approx(float(chance.max()), rel=1e-6)
        assert found.true[number] == pytest.approx(float(chance[one.true]), rel=1e-6)
        assert found.right[number] == (int(chance.argmax()) == one.true)
        assert found.values[number] == len(one.values)
    if facts.kind == "table":
        assert max(len(value) for one in asked for value in one.values) > 1
        ended = {
            pools.names[one_of] for one_of in range(2) for one in asked if one.end and one.values in pools.ways(one_of)
        }
        assert ended == {"town"}
    else:
        assert len(asked) == 18 and all(not one.tokens for one in asked)


def test_large_pools_are_left_out_and_named(facts, monkeypatch):
    monkeypatch.setattr("train_probe.calibration.LARGEST_POOL", 4)
    asked, left_out = questions_about(facts, Pools(facts))
    if facts.kind == "compact":
        assert asked == [] and len(left_out) == 3
    else:
        assert left_out == [] and len(asked) == 12


def test_people_seen_and_people_held_out_are_told_apart(facts):
    if facts.kind == "table":
        pytest.skip("one kind is enough")
    found = calibration(ByToken(facts.vocabulary), facts)
    assert found["seen"]["answers"] == 18 and found["unseen"]["answers"] == 12 and found["left_out"] == []
    (facts.folder / "bundle.npz").unlink()
    with pytest.raises(PlanError, match="calibration needs the tokens of all values"):
        calibration(ByToken(facts.vocabulary), facts)
