"""What a law is judged by: named figures of the rows of a probe's runs, each over arms of one part of the experiment.

A figure is of means over seeds at the rate that the file of laws lists; a ratio is the mean of logarithms of pairs of
one seed, with its interval by Student's t.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.errors import Refused
from recipes.app.measure.statistics import arms_of, interval, multiplier

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Found:
    """A figure's value, with its interval where it has one, or why there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


class Unknown(Refused):
    """A figure that the runs do not give."""


@dataclass(frozen=True)
class Asked:
    """The runs that a figure is of: those of each arm, those of `base` to compare with, and `bits` of rounding."""

    arms: tuple[Rows, ...]
    base: tuple[Rows, ...] = ()
    bits: int = 8


def bits_of(row: Mapping[str, Any], rounded: str = "", width: int = 8) -> float:
    """Bits a parameter of a run, raw; with weights rounded to nearest, or by gptq."""
    return float(row[rounded][str(width)]["bits_per_parameter"] if rounded else row["bits_per_parameter"])


def mean_bits(rows: Rows, rounded: str = "", width: int = 8) -> float:
    """Their mean over seeds."""
    return statistics.fmean(bits_of(row, rounded, width) for row in rows)


def _share(rows: Rows) -> float:
    return mean_bits(rows) / rows[0]["max_bits_per_parameter"]


def _spread(asked: Asked) -> Found:
    means = [mean_bits(rows) for rows in asked.arms]
    return Found(max(means) / min(means) if min(means) > 0 else math.inf)


def _lost(asked: Asked, rounded: str, most: Callable[[Sequence[float]], float]) -> Found:
    return Found(most([1 - mean_bits(rows, rounded, asked.bits) / mean_bits(rows) for rows in asked.arms]))


def _ratio(asked: Asked) -> Found:
    """The arm's bits a parameter over those of `base`, paired by seed."""
    (arm,), (base,) = asked.arms, asked.base
    own, others = ({row["seed"]: bits_of(row) for row in rows} for rows in (arm, base))
    seeds = sorted(own.keys() & others.keys())
    if not seeds or min(own[seed] for seed in seeds) <= 0 or min(others[seed] for seed in seeds) <= 0:
        raise Unknown("an arm has stored nothing")
    mean = interval([math.log(own[seed] / others[seed]) for seed in seeds])
    if mean.count == 1:
        return Found(math.exp(mean.mean), why="one seed")
    return Found(math.exp(mean.mean), math.exp(mean.low), math.exp(mean.high))


def _after(asked: Asked, most: Callable[[Sequence[float]], float]) -> Found:
    """Means of arms over those of the arms of `base` in the same places."""
    return Found(most([mean_bits(one) / mean_bits(two) for one, two in zip(asked.arms, asked.base, strict=True)]))


def _exposures(asked: Asked) -> Found:
    """Exposures to half of the facts, as a multiple of those of `base`."""
    arm, base = (next(iter(arms_of(list(rows)).values())) for rows in (asked.arms[0], asked.base[0]))
    times = multiplier(arm, base)
    if times.value is None:
        raise Unknown(times.bound)
    high = times.high if times.high is not None and math.isfinite(times.high) else None
    return Found(times.value, times.low if high is not None else None, high, times.bound)


def _won_back(asked: Asked) -> Found:
    """The share of the logarithm of what the first arm costs, over `base`, that the second one does not cost."""
    junk, tagged = asked.arms
    costs = [_exposures(Asked((rows,), asked.base)).value for rows in (junk, tagged)]
    whole, left = (math.log(one) for one in costs if one is not None)
    if whole <= 0:
        raise Unknown("the junk costs nothing that could be won back")
    return Found(1 - left / whole)


FIGURES: dict[str, tuple[str, Callable[[Asked], Found]]] = {
    "highest R": ("the highest R of an arm", lambda of: Found(max(map(mean_bits, of.arms)))),
    "lowest R": ("the lowest R of an arm", lambda of: Found(min(map(mean_bits, of.arms)))),
    "lowest share": ("the lowest share of R_max that an arm stores", lambda of: Found(min(map(_share, of.arms)))),
    "spread of R": ("the highest R over the lowest", _spread),
    "R ratio": ("R over that of the other arm", _ratio),
    "least R ratio": ("the least R over that of the same arm there", lambda of: _after(of, min)),
    "most R ratio": ("the most R over that of the same arm there", lambda of: _after(of, max)),
    "most lost": ("the most that rounding costs an arm, as a share", lambda of: _lost(of, "quantized", max)),
    "least lost": ("the least that rounding costs an arm, as a share", lambda of: _lost(of, "quantized", min)),
    "highest R by gptq": (
        "the highest R of an arm rounded by GPTQ",
        lambda of: Found(max(mean_bits(rows, "gptq", of.bits) for rows in of.arms)),
    ),
    "exposures ratio": ("exposures to half of the facts over those of the other arm", _exposures),
    "won back": ("the share of the logarithm of the junk's cost that the second arm wins back", _won_back),
}
"""Every figure by its name, in words, and how it is computed."""
