"""The climb to half of the facts: every key ends with two neighbouring rungs around it, in as few runs as can be."""

import math
import random

import pytest

from recipes.app.measure.ladder import LADDER, climbed, lower, next_rung
from recipes.app.measure.statistics import half_exposures


def share(middle, rung):
    return 1 / (1 + (middle / rung) ** 4)


@pytest.mark.parametrize("start", LADDER)
def test_every_seed_brackets_one_half_with_no_run_too_many(start):
    draw = random.Random(start)
    middles = {
        ("arm", seed): math.exp(draw.uniform(math.log(LADDER[0] + 1), math.log(LADDER[-1] - 1))) for seed in range(40)
    }
    rounds = []

    def train(wanted):
        rounds.append(wanted)
        return [share(middles[key], rung) for key, rung in wanted]

    found = climbed(dict.fromkeys(middles, (LADDER, start)), train)
    asked = [pair for one in rounds for pair in one]
    assert len(set(asked)) == len(asked)
    for key, middle in middles.items():
        low, high = max(rung for rung in LADDER if rung < middle), min(rung for rung in LADDER if rung >= middle)
        half = half_exposures(found[key])
        assert half.sense == "=" and low <= half.exposures <= high
        assert half.exposures == pytest.approx(middle, rel=0.03)
        # Nothing is trained but the way from the start to the farther end of the bracket.
        way = (start, low) if start >= high else (start, high)
        assert sorted(found[key]) == [rung for rung in LADDER if min(way) <= rung <= max(way)]


def test_who_is_beyond_the_ladder_ends_at_its_end():
    found = climbed(
        dict.fromkeys(["early", "late"], ((10, 20, 40), 20)),
        lambda wanted: [float(key == "early") for key, _ in wanted],
    )
    assert found == {"early": {20: 1.0, 10: 1.0}, "late": {20: 0.0, 40: 0.0}}
    assert next_rung((10, 20, 40), {20: 0.5, 10: 0.49}, 20) is None


def test_a_run_that_failed_ends_its_seed_alone():
    found = climbed(
        dict.fromkeys(["sound", "broken"], ((10, 20), 10)),
        lambda wanted: [0.1 if key == "sound" else None for key, _ in wanted],
    )
    assert found == {"sound": {10: 0.1, 20: 0.1}, "broken": {}}


def test_each_key_may_have_a_ladder_of_its_own():
    assert lower((10, 20)) == [1, 2, 3, 4, 6, 8, 10, 20]
    found = climbed({"one": ((10, 20), 20), "two": ((1, 2, 3), 2)}, lambda wanted: [rung / 15 for _, rung in wanted])
    assert found["one"] == pytest.approx({20: 20 / 15, 10: 10 / 15}) and set(found["two"]) == {2, 3}
