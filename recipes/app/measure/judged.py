"""The answers of a comparison: whether an arm is better or worse than what it is judged against, as good, or neither
is shown.

Two kinds of noise are never mixed. Arms that read other pages, or other parts of them, than each other differ by one
residual variance over blocks of seed and arm: of all arms that are judged, and of what they are judged by. The first
corpus is not among these where coins stand for it: a coin shares its pages with it, so the two differ by less than a
coin and an arm do (docs/results/compare.md). Arms that read the very same pages in the same order (renderings of
domains) are pairs with a variance of their own, which is much smaller.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from recipes.app.measure.coins import Arm
from recipes.app.measure.statistics import holm

FEWEST = 3
"""Seeds below which nothing is decided."""
ANSWERS = {"better": "better", "worse": "worse", "alike": "as good", "undecided": "not decided"}
"""The answers as a table shows them."""
TWO_LOOKS = 0.0294
"""The p value that decides at each of two looks, so that both together decide 5 % of equal arms (Pocock, Biometrika 64,
1977)."""

Values = Mapping[str, Mapping[int, float]]
"""A figure of each arm by seed: less is better."""
Answer = Literal["better", "worse", "alike", "undecided"]


@dataclass(frozen=True)
class Judged:
    """An arm against another, over the seeds that both have: the mean difference of a figure of which less is better.

    `low` .. `high` is its interval at `confidence`, `inner_low` .. `inner_high` that at 90 %. `p` is two-sided,
    corrected by Holm. The arms are `alike` where the 90 % interval lies inside the margin. `smallest` is the difference
    that these seeds would have found in four of five comparisons, whatever the other arms are; `spread` is the standard
    deviation of a pair, with `free` degrees of freedom.
    """

    arm: str
    against: str
    paired: bool
    seeds: int
    mean: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    p: float
    smallest: float
    spread: float
    free: int
    answer: Answer = "undecided"

    @property
    def decided(self) -> bool:
        return self.answer != "undecided"


@dataclass(frozen=True)
class Rule:
    """How differences are judged: the p value that decides at one look; the margin, from and to, within which arms are
    as good as each other; and the smallest standard deviation of a pair that is believed."""

    threshold: float
    margin: tuple[float, float]
    least_spread: float

    @property
    def confidence(self) -> float:
        return 1 - self.threshold


def judged(values: Values, arms: Sequence[Arm], rule: Rule, whole: bool = True) -> list[Judged]:
    """Every arm that has something to be judged against, and values of at least one seed that it shares with it. Where
    these are not the `whole` family of answers, p is not corrected yet."""
    pairs = [(arm.name, arm.against) for arm in arms if arm.against is not None and not arm.paired]
    noise = _Noise.of(values, dict.fromkeys(name for pair in pairs for name in pair), rule.least_spread)
    found = []
    for arm in arms:
        if arm.against is None or not (values.get(arm.name, {}).keys() & values.get(arm.against, {}).keys()):
            continue
        found.append(_judged(values, arm.name, arm.against, None if arm.paired else noise, rule))
    return corrected(found, rule) if whole else found


def corrected(found: Sequence[Judged], rule: Rule) -> list[Judged]:
    """A family of differences with p corrected for their number, and their answers."""
    family = holm([one.p for one in found])
    return [_answered(one, p, rule, len(found)) for one, p in zip(found, family, strict=True)]


def kept_answers(before: Sequence[Judged], after: Sequence[Judged]) -> list[Judged]:
    """The answers after a second look: those that were decided at the first one stay as they were."""
    decided = {(one.arm, one.against): one for one in before if one.decided}
    return [decided.get((one.arm, one.against), one) for one in after]


def without_answers(found: Sequence[Judged]) -> list[Judged]:
    """The same differences, of which none is decided."""
    return [dataclasses.replace(one, answer="undecided") for one in found]


def beside(values: Values, arms: Sequence[Arm], first: str, rule: Rule) -> dict[str, Judged]:
    """Every other arm against the first corpus, whatever it is judged against: to be shown beside the answer."""
    noise = _Noise.of(values, (arm.name for arm in arms if not arm.paired), rule.least_spread)
    same = {first} | {arm.name for arm in arms if arm.paired and arm.against == first}
    return {
        arm.name: _judged(values, arm.name, first, None if arm.name in same else noise, rule)
        for arm in arms
        if arm.name != first and values.get(arm.name, {}).keys() & values.get(first, {}).keys()
    }


def undecided(found: Iterable[Judged]) -> set[str]:
    """The arms that need more seeds: the undecided ones, and what they are judged against."""
    return {name for one in found if not one.decided for name in (one.arm, one.against)}


def plainly_worse(values: Mapping[int, float], base: Mapping[int, float], least_spread: float) -> bool:
    """Whether a control is worse than the first corpus, tested once and one-sided at 5 %; less is better."""
    pairs = [values[seed] - base[seed] for seed in sorted(values.keys() & base.keys())]
    if len(pairs) < 2:
        return False
    from scipy.stats import t

    spread = max(statistics.stdev(pairs), least_spread)
    return statistics.fmean(pairs) / (spread / math.sqrt(len(pairs))) > float(t.ppf(0.95, len(pairs) - 1))


@dataclass(frozen=True)
class _Noise:
    """The standard deviation of a pair of arms, with its degrees of freedom."""

    spread: float
    free: int

    @classmethod
    def of(cls, values: Values, names: Iterable[str], least: float) -> _Noise:
        """From what is left of each value after the means of its seed and of its arm. Seeds that were trained with the
        same arms are one block."""
        some = [name for name in names if values.get(name)]
        blocks: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for seed in sorted({seed for name in some for seed in values[name]}):
            blocks[tuple(name for name in some if seed in values[name])].append(seed)
        squares, free = 0.0, 0
        for present, seeds in blocks.items():
            if len(present) < 2 or len(seeds) < 2:
                continue
            by_arm = {name: statistics.fmean(values[name][seed] for seed in seeds) for name in present}
            by_seed = {seed: statistics.fmean(values[name][seed] for name in present) for seed in seeds}
            mean = statistics.fmean(by_arm.values())
            squares += sum(
                (values[name][seed] - by_arm[name] - by_seed[seed] + mean) ** 2 for name in present for seed in seeds
            )
            free += (len(present) - 1) * (len(seeds) - 1)
        return cls(max(math.sqrt(2 * squares / free), least) if free else math.inf, free)


def _judged(values: Values, arm: str, against: str, noise: _Noise | None, rule: Rule) -> Judged:
    one, other = values[arm], values[against]
    seeds = sorted(one.keys() & other.keys())
    pairs = [one[seed] - other[seed] for seed in seeds]
    mean, paired = statistics.fmean(pairs), noise is None
    if noise is None:
        spread = max(statistics.stdev(pairs), rule.least_spread) if len(pairs) > 1 else math.inf
        noise = _Noise(spread, len(pairs) - 1)
    wide = noise.spread / math.sqrt(len(seeds))
    if len(seeds) < FEWEST or not math.isfinite(wide):
        nothing = -math.inf, math.inf
        return Judged(
            arm, against, paired, len(seeds), mean, *nothing, *nothing, 1.0, math.inf, noise.spread, noise.free
        )
    from scipy.stats import t

    outer, inner = float(t.ppf(1 - rule.threshold / 2, noise.free)) * wide, float(t.ppf(0.95, noise.free)) * wide
    p = 2 * float(t.sf(abs(mean) / wide, noise.free))
    return Judged(
        arm, against, paired, len(seeds), mean, mean - outer, mean + outer, mean - inner, mean + inner, p,
        math.inf, noise.spread, noise.free,
    )  # fmt: skip


def _answered(one: Judged, p: float, rule: Rule, arms: int) -> Judged:
    answer: Answer = "undecided"
    smallest = math.inf
    if math.isfinite(one.low):
        from scipy.stats import t

        both = float(t.ppf(1 - rule.threshold / arms / 2, one.free) + t.ppf(0.8, one.free))
        smallest = both * one.spread / math.sqrt(one.seeds)
    if p < rule.threshold:
        answer = "better" if one.mean < 0 else "worse"
    elif rule.margin[0] < one.inner_low and one.inner_high < rule.margin[1]:
        answer = "alike"
    return dataclasses.replace(one, p=p, answer=answer, smallest=smallest)
