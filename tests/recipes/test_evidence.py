"""Intervals, exposures to half, multipliers: against closed forms, published tables and simulations."""

import math
import random

import pytest

from recipes.app.measure.statistics import (
    Half,
    arms_of,
    half_exposures,
    interval,
    log_halves,
    multiplier,
)


def test_intervals_are_those_of_the_table_of_t():
    """t of 2 and 4 degrees of freedom at 97.5 %: 4.303 and 2.776."""
    three, five = interval([1.0, 2.0, 3.0]), interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert three.half_width == pytest.approx(4.303 * 1 / math.sqrt(3), rel=1e-3)
    assert five.half_width == pytest.approx(2.776 * math.sqrt(2.5) / math.sqrt(5), rel=1e-3)
    assert (three.mean, three.count, three.decided) == (2.0, 3, False) and five.decided
    assert interval([3.0]).half_width == math.inf and not interval([3.0]).decided


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw = random.Random(0)
    covered = 0
    for _ in range(4000):
        found = interval([draw.gauss(0.3, 2.0) for _ in range(3)])
        covered += found.low <= 0.3 <= found.high
    assert covered / 4000 == pytest.approx(0.95, abs=0.012)


def test_half_is_found_between_two_rungs_on_a_logarithmic_scale():
    assert half_exposures({100: 0.25, 400: 0.75}).exposures == pytest.approx(200)
    assert half_exposures({50: 0.1, 100: 0.4, 200: 0.9}).exposures == pytest.approx(100 * 2**0.2)
    assert half_exposures({50: 0.6, 100: 0.9}) == Half(50, "<")
    assert half_exposures({50: 0.1, 100: 0.49}) == Half(100, ">")
    assert str(Half(100, ">")) == "> 100" and str(Half(66.7)) == "67"


def rows(arm, stored, rate=1e-3):
    """Results of an arm: share stored by (exposures, seed)."""
    return [
        {
            "arm": arm, "exposures": exposures, "seed": seed, "learning_rate": rate,
            "value_bits_per_parameter": share * 0.4, "max_value_bits_per_parameter": 0.4,
        }
        for (exposures, seed), share in stored.items()
    ]  # fmt: skip


def ladder(factor, seed_noise=0.0):
    """Shares that pass one half at 100 x factor exposures."""
    found = {}
    for seed in range(3):
        for exposures in (25, 50, 100, 200, 400, 800):
            middle = 100 * factor * math.exp(seed_noise * (seed - 1))
            found[exposures, seed] = 1 / (1 + (middle / exposures) ** 2)
    return found


def test_a_multiplier_is_the_ratio_of_exposures_to_half():
    found = arms_of([*rows("alone", ladder(1.0, 0.1)), *rows("junk", ladder(3.0, 0.1))])
    result = multiplier(found["junk"], found["alone"])
    assert result.value == pytest.approx(3, rel=0.05) and result.seeds == 3
    assert 2.7 < result.low <= result.value <= result.high < 3.4
    same = multiplier(found["alone"], found["alone"])
    assert same.value == pytest.approx(1)


def test_ceiling_and_floor_are_said_instead_of_a_ratio():
    middles = {"high": 0.1, "high too": 0.05, "low": 30, "low too": 40, "alone": 1.0}
    found = arms_of([row for name, factor in middles.items() for row in rows(name, ladder(factor))])
    assert "ceiling" in multiplier(found["high"], found["high too"]).bound
    assert "floor" in multiplier(found["low"], found["low too"]).bound
    assert multiplier(found["low"], found["alone"]).bound.startswith("more than 8")
    assert multiplier(found["high"], found["alone"]).bound.startswith("less than 0.25")


def test_each_arm_takes_the_rate_that_is_best_over_its_seeds_and_failed_runs_are_left_out():
    slow, fast = rows("a", ladder(3.0)), rows("a", ladder(1.0), rate=4e-3)
    failed = [{"arm": "a", "exposures": 100, "seed": 9, "error": "Diverged", "learning_rate": 4e-3}]
    (arm,) = arms_of([*slow, *fast, *failed, {"arm": "none", "error": "x"}]).values()
    assert arm.rate == 4e-3 and arm.seeds == [0, 1, 2]
    assert arm.half(0).exposures == pytest.approx(100, rel=0.02)


def test_a_seed_beyond_the_ladder_counts_as_one_rung_beyond_it():
    shares = {(10, 0): 0.1, (20, 0): 0.9, (10, 1): 0.1, (20, 1): 0.2, (40, 1): 0.4, (10, 2): 0.7}
    (arm,) = arms_of(rows("a", shares)).values()
    found = {seed: math.exp(value) for seed, value in log_halves(arm, (10, 20, 40)).items()}
    assert found == pytest.approx({0: 10 * 2**0.5, 1: 80, 2: 5})
