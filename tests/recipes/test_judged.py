"""Answers: closed forms of the two variances, Holm, the three answers, and how often they are wrong by chance."""

import math
import random
import statistics

import pytest
from scipy import stats

from recipes.app.measure.coins import Arm
from recipes.app.measure.judged import TWO_LOOKS, Rule, beside, judged, plainly_worse, undecided
from recipes.app.measure.statistics import holm

RULE = Rule(0.05, (-0.14, 0.14), 0.001)
FIRST, COIN = Arm("raw", "raw", "raw"), Arm("coin", "raw", "raw", kept=0.5)
CLEAN = Arm("clean", "clean", "clean", against="coin")
TAGGED = Arm("tagged", "tagged", "clean", against="clean", paired=True)


def values(seed=0, seeds=6, noise=0.05, effects=None, names=("raw", "coin", "clean")):
    draw = random.Random(seed)
    found = {name: {} for name in names}
    for one in range(seeds):
        shared = draw.gauss(0, 1)
        for name in names:
            found[name][one] = shared + draw.gauss(0, noise) + (effects or {}).get(name, 0.0)
    return found


def test_the_noise_is_what_is_left_after_means_of_seeds_and_of_arms():
    """Against a two-way analysis of variance: residual mean square, 10 degrees of freedom, t of the difference. The
    first corpus, by which nothing is judged, is not in it."""
    data = values(effects={"clean": 0.1}, names=("other", "coin", "clean"))
    other = Arm("other", "other", "other", against="coin")
    one, _ = judged(data | {"raw": values(9, noise=9)["raw"]}, [FIRST, CLEAN, other, COIN], RULE, whole=False)
    rows = [[data[name][seed] for name in data] for seed in range(6)]
    grand = statistics.fmean(x for row in rows for x in row)
    arm = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    square = sum((x - statistics.fmean(row) - arm[k] + grand) ** 2 for row in rows for k, x in enumerate(row)) / 10
    assert one.free == 10 and one.spread == pytest.approx(math.sqrt(2 * square))
    assert one.mean == pytest.approx(arm[2] - arm[1])
    wide = math.sqrt(2 * square / 6)
    assert one.p == pytest.approx(2 * stats.t.sf(abs(one.mean) / wide, 10))
    assert one.high - one.mean == pytest.approx(stats.t.ppf(0.975, 10) * wide)
    assert one.inner_high - one.mean == pytest.approx(stats.t.ppf(0.95, 10) * wide)
    data = values()
    shown = beside(data, [FIRST, CLEAN, COIN], "raw", RULE)
    assert set(shown) == {"clean", "coin"}
    assert shown["clean"].mean == pytest.approx(statistics.fmean(data["clean"][n] - data["raw"][n] for n in range(6)))


def test_two_arms_are_the_paired_test():
    data = values(names=("raw", "clean"))
    (one,) = judged(data, [FIRST, Arm("clean", "clean", "clean", against="raw")], RULE)
    pairs = [data["clean"][seed] - data["raw"][seed] for seed in range(6)]
    assert one.p == pytest.approx(stats.ttest_1samp(pairs, 0).pvalue) and one.free == 5


def test_seeds_that_only_some_arms_have_add_their_own_degrees_of_freedom():
    data = values(seeds=12)
    data["raw"] = {seed: data["raw"][seed] for seed in range(6)}
    (one,) = judged(data, [FIRST, CLEAN, COIN], RULE)
    assert one.free == 11 and one.seeds == 12
    three = Arm("three", "three", "three", against="coin")
    data = values(seeds=12, names=("coin", "clean", "three"))
    data["three"] = {seed: data["three"][seed] for seed in range(6)}
    one, other = judged(data, [FIRST, CLEAN, three, COIN], RULE)
    assert one.free == other.free == 10 + 5 and (one.seeds, other.seeds) == (12, 6)
    assert undecided([one]) == ({"clean", "coin"} if one.answer == "undecided" else set())


def test_pairs_of_the_same_pages_have_their_own_noise():
    data = values(noise=0.2)
    draw = random.Random(1)
    data["tagged"] = {seed: x - 0.05 + draw.gauss(0, 0.01) for seed, x in data["clean"].items()}
    clean, tagged = judged(data, [FIRST, CLEAN, TAGGED, COIN], RULE)
    assert tagged.paired and tagged.spread < 0.02 and tagged.free == 5 and tagged.answer == "better"
    assert clean.spread > 0.15 and clean.free == 5  # the tagged arm is not in it


def test_the_three_answers():
    def answer(mean, noise, seeds=6):
        return judged(values(3, seeds, noise, {"clean": mean}), [FIRST, CLEAN, COIN], RULE)[0].answer

    assert answer(-0.4, 0.05) == "better" and answer(0.4, 0.05) == "worse"
    assert answer(0.0, 0.03) == "alike" and answer(0.0, 0.3) == "undecided"
    assert answer(0.4, 0.05, seeds=2) == "undecided"  # two seeds decide nothing
    (one,) = judged(values(seeds=2, effects={"clean": 9}), [FIRST, CLEAN, COIN], RULE)
    assert one.p == 1 and one.low == -math.inf and one.smallest == math.inf


def test_equal_values_are_not_believed_to_be_without_noise():
    data = {name: dict.fromkeys(range(6), value) for name, value in (("raw", 1.0), ("coin", 1.0), ("clean", 1.0002))}
    (one,) = judged(data, [FIRST, CLEAN, COIN], RULE)
    assert one.spread == 0.001 and one.p > 0.3 and one.answer == "alike"


def test_the_smallest_difference_is_found_in_four_of_five():
    found = [judged(values(n), [FIRST, CLEAN, COIN], RULE)[0].smallest for n in range(200)]
    effect = statistics.fmean(found)
    decided = [
        judged(values(n, effects={"clean": effect}), [FIRST, CLEAN, COIN], RULE)[0].answer == "worse"
        for n in range(1000, 1600)
    ]
    assert statistics.fmean(decided) == pytest.approx(0.8, abs=0.06)


def test_several_arms_are_corrected_together_and_looks_have_their_threshold():
    arms = [FIRST, COIN, *(Arm(name, name, name, against="coin") for name in ("a", "b", "c"))]
    data = values(4, names=("raw", "coin", "a", "b", "c"), effects={"a": 0.09, "b": 0.07})
    plain = [judged(data, [FIRST, COIN, one], RULE)[0] for one in arms[2:]]
    whole = judged(data, arms, RULE)
    raw = judged(data, arms, RULE, whole=False)
    assert [one.p for one in whole] == pytest.approx(holm([one.p for one in raw]))
    assert [one.mean for one in whole] == pytest.approx([one.mean for one in plain])
    twice = Rule(TWO_LOOKS, RULE.margin, RULE.least_spread)
    assert twice.confidence == pytest.approx(0.9706)
    for one in judged(data, arms, twice):
        assert (one.answer in ("better", "worse")) == (one.p < TWO_LOOKS)


def test_corrections_for_several_arms_are_those_of_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_control_is_tested_once_and_to_one_side():
    base = dict.fromkeys(range(4), -0.6)
    assert plainly_worse({0: -0.4, 1: 0.0, 2: 0.0, 3: -0.1}, base, 0.01)  # .2, .6, .6, .5: not decided to two sides
    assert not plainly_worse({0: -0.6, 1: -0.7, 2: -0.5, 3: -0.6}, base, 0.01)
    assert not plainly_worse(dict.fromkeys(range(4), -0.9), base, 0.01)
    assert not plainly_worse({0: 0.0}, base, 0.01) and not plainly_worse({}, base, 0.01)


def test_equal_arms_are_told_apart_about_once_in_twenty():
    wrong = sum(
        judged(values(n, noise=0.2), [FIRST, CLEAN, COIN], RULE)[0].answer in ("better", "worse") for n in range(1000)
    )
    assert wrong <= 72  # 50 expected; more than 72 happens once in 1000 times
