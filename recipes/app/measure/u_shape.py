"""Whether accuracy on exceptions to a majority makes a U: below chance first, and right in the end."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ERRORS = 2.0
"""Standard errors below chance that make a fall."""
RIGHT = 0.9
"""Accuracy above which exceptions are learnt."""


@dataclass(frozen=True)
class Point:
    """What one size answers at one number of exposures, means over seeds: `bits` is the share of the values' bits."""

    exposures: int
    exceptions: float
    as_told: float
    probability: float
    majority: float
    bits: float
    annealed: bool


@dataclass(frozen=True)
class USize:
    """The curve of one size over exposures. `error` is that of an accuracy at chance on so many exceptions."""

    arm: str
    parameters: int
    seeds: int
    exceptions: int
    chance: float
    points: tuple[Point, ...]

    @property
    def error(self) -> float:
        return math.sqrt(self.chance * (1 - self.chance) / self.exceptions)

    @property
    def lowest(self) -> Point:
        return min(self.points, key=lambda point: point.exceptions)

    @property
    def falls(self) -> bool:
        """Whether exceptions are answered worse than a guess would."""
        return self.lowest.exceptions < self.chance - ERRORS * self.error

    def rises(self, above: float = RIGHT) -> bool:
        """Whether after that they are answered right."""
        last = max(point.exposures for point in self.points if point.exceptions == self.lowest.exceptions)
        return any(point.exposures > last and point.exceptions > above for point in self.points)

    @property
    def half(self) -> int | None:
        """The fewest exposures behind the lowest at which half of the exceptions are right."""
        behind = [
            one.exposures for one in self.points if one.exposures > self.lowest.exposures and one.exceptions > 0.5
        ]
        return min(behind, default=None)

    @property
    def steepest(self) -> tuple[float, float]:
        """Of accuracy on exceptions and of bits: the largest step between two neighbouring numbers of exposures, as a
        share of the whole rise."""
        return _steepest([one.exceptions for one in self.points]), _steepest([one.bits for one in self.points])

    def __str__(self) -> str:
        low = self.lowest
        told = f"{low.exceptions:.2f} at {low.exposures} exposures, {self.points[-1].exceptions:.2f} at the end"
        if not self.falls:
            return f"no U: {told}, never below {self.chance - ERRORS * self.error:.2f}"
        return f"{'a U' if self.rises() else 'a fall without a rise'}: {told}"


def _steepest(values: Sequence[float]) -> float:
    whole = max(values) - min(values)
    steps = [after - before for before, after in itertools.pairwise(values)]
    return max(steps, default=0.0) / whole if whole else 0.0


def u_sizes(results: Sequence[dict[str, Any]]) -> list[USize]:
    """The curves of a probe's runs on facts with a majority, by arm and size, the smallest first; runs that failed and
    those of other facts are left out. Where a number of exposures was reached in a run's course and by a run of its
    own, the second counts."""
    sizes: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in results:
        if not row.get("error") and row.get("told"):
            sizes.setdefault((row["arm"], row["parameters"]), []).append(row)
    curves = []
    for (arm, parameters), rows in sorted(sizes.items(), key=lambda one: one[0][1]):
        by_count: dict[tuple[bool, int], list[Point]] = {}
        for row in rows:
            whole = row["people"] * _value_bits(row)
            for one in [*(row.get("curve") or []), row]:
                point = _point(one, one is row, whole)
                by_count.setdefault((point.annealed, point.exposures), []).append(point)
        counts = {count: annealed for annealed, count in sorted(by_count)}
        told = rows[0]["told"]
        points = tuple(_mean(by_count[annealed, count]) for count, annealed in sorted(counts.items()))
        seeds = len({row["seed"] for row in rows})
        curves.append(USize(arm, parameters, seeds, told["exceptions"]["values"], told["chance"], points))
    return curves


def _value_bits(row: dict[str, Any]) -> float:
    return float(row["max_value_bits_per_parameter"]) * row["parameters"] / row["people"]


def _point(one: dict[str, Any], annealed: bool, whole: float) -> Point:
    told = one["told"]
    return Point(
        one["exposures"],
        told["exceptions"]["accuracy"],
        told["exceptions"]["as_told"],
        told["exceptions"]["probability"],
        told["majority"]["accuracy"],
        max(0.0, one["value_bits"] / whole),
        annealed,
    )


def _mean(points: Sequence[Point]) -> Point:
    names = ("exceptions", "as_told", "probability", "majority", "bits")
    means: dict[str, Any] = {name: statistics.fmean(getattr(point, name) for point in points) for name in names}
    return dataclasses.replace(points[0], **means)
