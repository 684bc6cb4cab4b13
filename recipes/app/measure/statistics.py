"""Statistics of runs over several seeds: means with intervals, exposures to half of the facts, multiples of them.

An arm is compared with another by pairs: the same seed has the same facts, the same first weights and the same order in
both. Intervals are Student's t on paired differences; a bootstrap of three seeds covers only 73 %.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
FLOOR, CEILING = 0.05, 0.95
"""Shares of the facts stored, below and above which arms cannot be distinguished."""


@dataclass(frozen=True)
class Interval:
    """A mean of `count` values and the half-width of its 95 % interval; infinite for one value."""

    mean: float
    half_width: float
    count: int

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    @property
    def decided(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The mean of values and its interval by Student's t. Raises ValueError without values."""
    if not values:
        raise ValueError("a mean needs at least one value")
    if len(values) == 1:
        return Interval(values[0], math.inf, 1)
    from scipy.stats import t

    spread = statistics.stdev(values) / math.sqrt(len(values))
    return Interval(statistics.fmean(values), float(t.ppf((1 + confidence) / 2, len(values) - 1)) * spread, len(values))


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm, Scand. J. Statist. 6, 1979), in their order."""
    corrected = [1.0] * len(values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda place: values[place])):
        largest = max(largest, min(1.0, values[place] * (len(values) - rank)))
        corrected[place] = largest
    return corrected


@dataclass(frozen=True)
class Half:
    """Exposures at which half of the facts are stored. `sense` is "=" where the ladder brackets it, ">" where even its
    highest count stores less, "<" where its lowest stores more; `exposures` is then that count."""

    exposures: float
    sense: str = "="

    def __str__(self) -> str:
        return f"{'' if self.sense == '=' else self.sense + ' '}{self.exposures:.0f}"


def half_exposures(stored: Mapping[int, float]) -> Half:
    """Where the share of facts that are stored first passes one half, by exposures; between two counts a straight line
    over the logarithm of exposures. Raises ValueError without any count."""
    ladder = sorted(stored)
    if not ladder:
        raise ValueError("half of the facts needs a ladder of exposures")
    if stored[ladder[0]] >= 0.5:
        return Half(ladder[0], "<")
    for low, high in itertools.pairwise(ladder):
        if stored[high] >= 0.5:
            share = (0.5 - stored[low]) / (stored[high] - stored[low])
            return Half(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))
    return Half(ladder[-1], ">")


Row = Mapping[str, Any]


def stored_share(row: Row) -> float:
    """The share of all value bits that a run's model stores, at least 0."""
    return max(0.0, row["value_bits_per_parameter"] / row["max_value_bits_per_parameter"])


@dataclass(frozen=True)
class ArmResults:
    """The runs of one arm at one learning rate: the share of the facts stored, by exposures and seed."""

    name: str
    stored: dict[int, dict[int, float]]
    rate: float | None = None
    runs: tuple[Row, ...] = ()

    @property
    def seeds(self) -> list[int]:
        return sorted(set().union(*self.stored.values()))

    def half(self, seed: int) -> Half:
        """The half of one seed, from the rungs that it was trained at."""
        return half_exposures(
            {exposures: by_seed[seed] for exposures, by_seed in self.stored.items() if seed in by_seed}
        )

    def mean_half(self) -> Half:
        """The geometric mean over seeds; where a seed leaves the ladder, the half of the mean shares."""
        halves = [self.half(seed) for seed in self.seeds]
        if all(one.sense == "=" for one in halves):
            return Half(statistics.geometric_mean(one.exposures for one in halves))
        return half_exposures(
            {exposures: statistics.fmean(shares.values()) for exposures, shares in self.stored.items()}
        )


def log_halves(arm: ArmResults, ladder: Sequence[int]) -> dict[int, float]:
    """The logarithm of the rung of half of the facts, by seed. A seed that does not reach half on the ladder counts as
    one rung above it, one that stores more at the lowest rung as one below it; one whose climb ended before, because a
    run failed, has none."""
    rungs = sorted(ladder)
    step = rungs[-1] / rungs[-2] if len(rungs) > 1 else 2.0
    never, sooner = beyond(arm, ladder)
    values = {seed: half.exposures for seed in arm.seeds if (half := arm.half(seed)).sense == "="}
    values |= dict.fromkeys(never, rungs[-1] * step) | dict.fromkeys(sooner, rungs[0] / step)
    return {seed: math.log(value) for seed, value in values.items()}


def beyond(arm: ArmResults, ladder: Sequence[int]) -> tuple[list[int], list[int]]:
    """The seeds of an arm that store less than half at the highest rung, and those that store more at the lowest."""
    halves = {seed: arm.half(seed) for seed in arm.seeds}
    never = [seed for seed, half in halves.items() if half.sense == ">" and half.exposures >= max(ladder)]
    return never, [seed for seed, half in halves.items() if half.sense == "<" and half.exposures <= min(ladder)]


def arms_of(results: Sequence[Row], key: str = "exposures") -> dict[str, ArmResults]:
    """Every arm by its name, in the order of the results, with its ladder by `key`, at the learning rate that reaches
    half of the facts first, or else stores most. Failed runs are left out, and arms whose runs all failed."""
    by_arm: dict[str, dict[float, list[Row]]] = {}
    for row in results:
        if not row.get("error"):
            by_arm.setdefault(row["arm"], {}).setdefault(row["learning_rate"], []).append(row)
    best = {}
    for name, by_rate in by_arm.items():
        arms = []
        for rate, rows in by_rate.items():
            stored: dict[int, dict[int, float]] = {}
            for row in sorted(rows, key=lambda row: row[key]):
                stored.setdefault(row[key], {})[row["seed"]] = stored_share(row)
            arms.append(ArmResults(name, stored, rate, tuple(rows)))
        best[name] = min(arms, key=_rank)
    return best


def _rank(arm: ArmResults) -> tuple[float, ...]:
    """Order of learning rates: seeds that did not fail, then exposures to half of the facts, then the mean share
    stored."""
    half = arm.mean_half()
    mean = statistics.fmean(share for by_seed in arm.stored.values() for share in by_seed.values())
    return -len(arm.seeds), half.exposures if half.sense != ">" else math.inf, -mean


@dataclass(frozen=True)
class Multiplier:
    """How many times the exposures of `base` an arm needs for half of the facts.

    `value` is the geometric mean over seeds with its 95 % interval `low` .. `high`. Where the ladder does not bracket
    one half for every seed, `bound` says so in words, and `value` may be None.
    """

    value: float | None
    low: float | None
    high: float | None
    seeds: int
    bound: str = ""


def log_times(arm: ArmResults, base: ArmResults) -> list[float]:
    """The logarithms of an arm's exposures to half of the facts over those of `base`, for each seed that both have;
    empty where the ladder does not bracket one half for every one of them."""
    halves = [(arm.half(seed), base.half(seed)) for seed in sorted(set(arm.seeds) & set(base.seeds))]
    if any(half.sense != "=" for pair in halves for half in pair):
        return []
    return [math.log(one.exposures / other.exposures) for one, other in halves]


def multiplier(arm: ArmResults, base: ArmResults) -> Multiplier:
    """An arm's exposures to half of the facts against those of `base`, paired by seed."""
    seeds = set(arm.seeds) & set(base.seeds)
    if times := log_times(arm, base):
        mean = interval(times)
        value, low, high = (math.exp(min(bound, 700)) for bound in (mean.mean, mean.low, mean.high))
        return Multiplier(value, low, high, len(times))
    one, other = arm.mean_half(), base.mean_half()
    if one.sense == "<" and other.sense == "<":
        return Multiplier(None, None, None, len(seeds), "both store half at the fewest exposures: the ceiling")
    if one.sense == ">" and other.sense == ">":
        return Multiplier(None, None, None, len(seeds), "neither stores half at the most exposures: the floor")
    value = one.exposures / other.exposures
    if one.sense == "=" == other.sense:
        return Multiplier(value, None, None, len(seeds), "some seeds leave the ladder")
    sense = "more than" if one.sense == ">" or other.sense == "<" else "less than"
    return Multiplier(value, None, None, len(seeds), f"{sense} {value:.2g}")


def multiplier_words(given: Multiplier | dict[str, Any]) -> str:
    """A multiplier as a person reads it."""
    one = Multiplier(**given) if isinstance(given, dict) else given
    if one.value is None or (one.bound and one.low is None and not one.bound.startswith("some")):
        return one.bound
    if one.low is None or one.high is None or not math.isfinite(one.high):
        return f"{one.value:.2f} ({one.bound or 'one seed'})"
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
