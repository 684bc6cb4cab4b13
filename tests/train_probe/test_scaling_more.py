"""Emergence, two steps and mixtures on made-up runs."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from curate.errors import Refused
from train_probe.scaling.emergence import emergence
from train_probe.scaling.mixtures import cross_validated, regression
from train_probe.scaling.two_step import sigmoid


def test_an_accuracy_that_is_a_power_of_a_probability_is_explained():
    loss = np.linspace(1.2, 0.05, 12)
    told = emergence(loss, 0.1 + 0.9 * np.exp(-20 * loss), 0.1)
    assert told.explained and told.power == pytest.approx(20, rel=1e-3) and told.rmse < 1e-6
    assert "is the smooth one" in str(told)


def test_a_jump_while_the_loss_falls_by_a_tenth_is_one_and_a_step_of_luck_is_not_explained():
    loss = np.linspace(2.0, 1.6, 9)
    told = emergence(loss, np.where(loss < 1.8, 0.9, 0.05))
    assert told.jumps and not told.explained and "a jump" in str(told)
    smooth = emergence(loss, np.linspace(0.1, 0.4, 9))
    assert not smooth.jumps
    with pytest.raises(Refused, match="4 runs"):
        emergence(loss[:3], loss[:3])


def test_a_sigmoid_is_recovered():
    loss = np.linspace(0.4, 1.4, 20)
    made = sigmoid(loss, 0.25 + 0.7 / (1 + np.exp(9 * (loss - 0.8))), 0.25)
    assert (made.low, made.high, made.steep, made.middle) == pytest.approx((0.25, 0.95, 9, 0.8), rel=1e-3)
    with pytest.raises(Refused, match="5 points"):
        sigmoid(loss[:4], loss[:4])


@pytest.fixture(scope="module")
def swarm():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 60)
    return shares, 2 + np.exp(shares @ np.array([0.2, -0.5, 1.0, 0.1]))


def test_an_exponential_mixture_is_recovered(swarm):
    made = regression(*swarm)
    assert made.about["floor"] == pytest.approx(2, rel=1e-3)
    assert made.about["weights"] == pytest.approx([0.2, -0.5, 1.0, 0.1], abs=5e-3)
    assert cross_validated(*swarm, "exponential") > 0.999 > cross_validated(*swarm, "linear") > 0.9


def test_boosted_trees_rank_mixtures_and_repeat_themselves(swarm):
    pytest.importorskip("lightgbm")
    assert cross_validated(*swarm, "boosted", folds=3) > 0.8
    assert (regression(*swarm, "boosted")(swarm[0]) == regression(*swarm, "boosted")(swarm[0])).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda shares, loss: (shares * 2, loss), "row 1: shares are not below 0 and add up to 1"),
        (lambda shares, loss: (shares, np.append(loss[:-1], np.inf)), "row 60: the loss is inf"),
        (lambda shares, loss: (shares[:5], loss[:5]), "need 6 runs at least"),
        (lambda shares, loss: (shares[:9], loss), "a row a run"),
    ],
)
def test_tables_that_are_no_mixtures_are_refused(swarm, change, message):
    with pytest.raises(Refused, match=message):
        regression(*change(*swarm))


def test_an_unknown_form_is_refused(swarm):
    with pytest.raises(Refused, match="no form 'cubic'"):
        regression(*swarm, "cubic")
