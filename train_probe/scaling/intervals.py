"""What a fit is worth: a bootstrap over runs or sizes, the largest left out, lack of fit, parameters that go together.

The rule of the interval of `predict` stands in `RULE`, in words, and in `_half_width`, in code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from curate.errors import Refused
from train_probe.scaling.fitting import Fit, fit, polish
from train_probe.scaling.laws import Array

RULE = (
    "On the logarithm: the wider of the 95 % ranges of two bootstraps, over runs and over sizes, moved to the point;"
    " plus 2 root mean squared residuals; plus the drift, which is twice the largest error per e-fold beyond the points"
    " (in N, in D and in D / N, added up) that leaving out the largest size, and leaving out the longest runs, shows,"
    " times the e-folds to the target."
)
"""How wide the interval of a prediction is."""
REACH = 0.5
"""Beyond the points by more than this share of their own span, in logarithms, a target is outside what they carry."""
ROUGH = 1e-8
"""Where the fit of a draw ends: draws differ among themselves by far more."""
FLAT = 3.84
"""The rise of the objective, in units of the residual variance, below which an exponent counts as free (95 %)."""


@dataclass(frozen=True)
class Bootstrap:
    """Fits of drawn points: fitted parameters, a row a draw."""

    fit: Fit
    draws: Array
    by: str
    checked: int = 0
    improved: int = 0
    redrawn: int = 0

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """The range of a parameter that holds `level` of the draws."""
        place = self.fit.law.parameters.index(name)
        values = np.exp(self.draws[:, place]) if self.fit.law.logs[place] else self.draws[:, place]
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def of(self, answer: Callable[[Fit], float], level: float = 0.95) -> tuple[float, float]:
        """The range of an answer that holds `level` of the draws."""
        values = [answer(replace(self.fit, inner=inner)) for inner in self.draws]
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def correlations(self, least: float = 0.95) -> list[tuple[str, str, float]]:
        """Pairs of parameters that move together over the draws, so that neither is known alone."""
        spread = self.draws.std(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            matrix = np.atleast_2d(np.corrcoef(self.draws.T))
        names = self.fit.law.parameters
        return [
            (names[i], names[j], float(matrix[i, j]))
            for i in range(len(names))
            for j in range(i + 1, len(names))
            if spread[i] > 0 and spread[j] > 0 and abs(matrix[i, j]) >= least
        ]


def sizes(made: Fit) -> Array:
    """The group of each point: its parameters, or the law's own column where that has none."""
    columns = made.points.columns
    return columns["parameters"] if "parameters" in columns else columns[made.law.columns[0]]


def bootstrap(made: Fit, times: int = 1000, by: str = "run", seed: int = 0, check: int | None = None) -> Bootstrap:
    """Fit draws of the runs, or of the sizes with all their runs (`by`), each from the fit of all.

    Every tenth draw (`check`: how many) is fitted from all starts too, and the better one is kept. Draws of too few
    different points, or of one size alone, are drawn again and counted. Raises Refused where no draw carries the law.
    """
    random = np.random.default_rng(seed)
    groups = sizes(made) if by == "size" else np.arange(len(made.points))
    different = np.unique(groups)
    checked = max(1, times // 10) if check is None else check
    found: list[Array] = []
    improved = redrawn = 0
    while len(found) < times:
        chosen = random.choice(different, len(different))
        places = np.concatenate([np.flatnonzero(groups == one) for one in chosen])
        if not _carries(made, places):
            redrawn += 1
            if redrawn > 20 * times + 200:
                raise Refused(
                    f"draws by {by} do not carry the law '{made.law.name}': there are {len(different)} of them"
                )
            continue
        drawn = made.points.at(places)
        inner, _ = polish(made.law, drawn, made.objective, made.inner, 60, ROUGH)
        if len(found) < checked:
            anew = fit(drawn, made.law, objective=made.objective, starts=3, tolerance=ROUGH, limit=60)
            reached = made.objective.of(
                made.objective.residuals(made.law, inner, drawn.columns, drawn.target)[0]
            )  # fmt: skip
            if anew.sum < reached * (1 - 1e-3):
                improved += 1
                inner = anew.inner
        found.append(inner)
    return Bootstrap(made, np.array(found), by, checked, improved, redrawn)


def _carries(made: Fit, places: Any) -> bool:
    """Whether drawn points are enough for the law, in number and in each column."""
    distinct = np.unique(places)
    if len(distinct) < len(made.law.parameters) + 1:
        return False
    varied = [name for name in made.law.columns if name not in ("unique_tokens", "shown")]
    least = 3 if made.law.parameters[0] == "E" else 2
    every = {name: len(np.unique(made.points.columns[name])) for name in varied}
    return all(len(np.unique(made.points.columns[name][distinct])) >= min(least, every[name]) for name in varied)


@dataclass(frozen=True)
class LeftOut:
    """What the rest says of the largest, which it has not seen: errors, predicted less measured, as shares of the loss,
    or of the most bits."""

    what: str
    errors: Array
    beyond: Array

    @property
    def worst(self) -> float:
        return float(self.errors[np.argmax(np.abs(self.errors))])


def leave_largest_out(made: Fit) -> list[LeftOut]:
    """Fit without the largest value of each column of the law, and predict the points that have it."""
    found = []
    for column in made.law.columns:
        if column in ("unique_tokens", "shown"):
            continue
        values = made.points.columns[column]
        if column == "tokens" and "parameters" in made.law.columns:
            # The longest run of each size: where tokens grow with the size, the largest count is one run alone.
            per = values / made.points.columns["parameters"]
            values = np.round(per, 2 - int(np.floor(np.log10(per.max()))))
        largest = values == values.max()
        rest = np.flatnonzero(~largest)
        if not _carries(made, rest) or len(np.unique(made.points.columns[column][rest])) < 2:
            continue
        smaller = fit(made.points.at(rest), made.law, objective=made.objective, counted=made.counted)
        seen = made.points.at(largest)
        said = made.law.value(smaller.inner, seen.columns)[0]
        beyond = np.array([_beyond(smaller, {n: v[i] for n, v in seen.columns.items()}) for i in range(len(seen))])
        found.append(LeftOut(f"largest {column}", (said - seen.target) / _unit(made, seen.target), beyond))
    return found


def _unit(made: Fit, value: Any) -> Any:
    """What errors are shares of: a loss itself; of bits and shares, which may be 0, the largest that was measured."""
    return value if made.law.target == "loss" else float(np.abs(made.points.target).max()) or 1.0


def _beyond(made: Fit, columns: Any) -> float:
    """How far, in e-folds, a target lies beyond the points: the sum over the law's columns, and over tokens a parameter
    where it has both."""
    names = [name for name in made.law.columns if name not in ("unique_tokens", "shown")]
    pairs = [(made.points.columns[name], columns[name]) for name in names]
    if {"parameters", "tokens"} <= set(names):
        known = made.points.columns
        pairs.append((known["tokens"] / known["parameters"], columns["tokens"] / columns["parameters"]))
    far = 0.0
    for values, asked in pairs:
        far += max(0.0, np.log(asked / values.max()) - 1e-9, np.log(values.min() / asked) - 1e-9)
    return float(far)


def outside(made: Fit, columns: Any) -> str:
    """In which columns a target lies outside what the points carry, in words; empty where in none."""
    found = []
    for name in made.law.columns:
        if name in ("unique_tokens", "shown"):
            continue
        values = np.log(made.points.columns[name])
        low, high = float(values.min()), float(values.max())
        reach = REACH * (high - low)
        if not low - reach <= np.log(columns[name]) <= high + reach:
            nearest_, word = (low, "smallest") if np.log(columns[name]) < low else (high, "largest")
            times = np.exp(np.log(columns[name]) - nearest_)
            found.append(
                f"{name} {columns[name]:.3g} is {times:.3g} times the {word}, and {np.exp(reach):.2g} is the reach"
            )
    return "; ".join(found)


@dataclass(frozen=True)
class Prediction:
    """What a law says of a target, between two limits; `outside` is empty where the points carry it."""

    value: float
    low: float
    high: float
    outside: str = ""

    def __str__(self) -> str:
        words = f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"
        return f"{words}; outside what the points carry: {self.outside}" if self.outside else words


@dataclass(frozen=True)
class Worth:
    """A fit with everything that its intervals are made of."""

    fit: Fit
    runs: Bootstrap
    sizes: Bootstrap | None
    left_out: Sequence[LeftOut] = field(default=())

    @cached_property
    def drift(self) -> float:
        """Twice the largest error per e-fold beyond the points, when the largest are left out."""
        each = [np.abs(one.errors) / np.maximum(one.beyond, 0.25) for one in self.left_out]
        return 2 * max((float(one.max()) for one in each), default=0.0)

    @cached_property
    def flat(self) -> list[str]:
        """Exponents in which the objective is flat: half and one and a half of them fit no worse, the rest refitted."""
        return [name for name in self.fit.law.exponents if _is_flat(self.fit, name)]

    def predict(self, **columns: float) -> Prediction:
        """A prediction with the interval of `RULE`."""
        value = float(self.fit.value(**columns))
        wide = self._half_width(columns)
        if self.fit.law.target == "loss":
            low, high = value * float(np.exp(-wide)), value * float(np.exp(wide))
        else:
            low, high = value - wide * _unit(self.fit, value), value + wide * _unit(self.fit, value)
        return Prediction(value, low, high, outside(self.fit, columns))

    def _half_width(self, columns: dict[str, float]) -> float:
        def half(draws: Bootstrap) -> float:
            low, high = draws.of(lambda one: float(one.value(**columns)))
            return max(high - low, 0.0) / 2 / max(abs(float(_unit(self.fit, self.fit.value(**columns)))), 1e-300)

        by = max(half(one) for one in (self.runs, self.sizes) if one is not None)
        noise = self.fit.residuals()
        if not self.fit.objective.log:
            noise = noise / _unit(self.fit, self.fit.points.target)
        return by + 2 * float(np.sqrt(np.mean(noise**2))) + self.drift * _beyond(self.fit, columns)


def worth(made: Fit, times: int = 200, seed: int = 0) -> Worth:
    """Everything that the intervals of a fit are made of: two bootstraps of `times` draws, the largest left out."""
    runs = bootstrap(made, times, "run", seed)
    by_size = None
    if len(np.unique(sizes(made))) >= 3 and len(np.unique(sizes(made))) < len(made.points):
        try:
            by_size = bootstrap(made, times, "size", seed)
        except Refused:
            by_size = None  # too few sizes to draw from: runs alone, and the drift
    return Worth(made, runs, by_size, tuple(leave_largest_out(made)))


@dataclass(frozen=True)
class LackOfFit:
    """Residual variance beside the variance of runs that differ in their seed alone."""

    residual: float
    seeds: float
    repeats: int

    def __str__(self) -> str:
        if not self.repeats:
            return "no two runs differ in their seed alone: what the law misses and noise cannot be told apart"
        ratio = self.residual / max(self.seeds, 1e-300)
        told = "the law misses something" if ratio > 2 else "as much as seeds alone would do"
        return f"residuals {self.residual:.2g}, seeds {self.seeds:.2g} ({self.repeats} repeats): {told}"


def lack_of_fit(made: Fit) -> LackOfFit:
    """The spread of residuals, and that between runs of the same columns."""
    keys = np.stack([made.points.columns[name] for name in made.law.columns], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    target = np.log(made.points.target) if made.objective.log else made.points.target
    apart = [target[group == one] for one in range(group.max() + 1)]
    free = sum(len(one) - 1 for one in apart)
    seeds = float(np.sqrt(sum(((one - one.mean()) ** 2).sum() for one in apart) / free)) if free else 0.0
    rest = max(len(target) - len(made.law.parameters), 1)
    return LackOfFit(float(np.sqrt(np.sum(made.residuals() ** 2) / rest)), seeds, free)


def _is_flat(made: Fit, name: str) -> bool:
    """Whether an exponent may be half or one and a half of what it is, by the objective."""
    place = made.law.parameters.index(name)
    variance = max(made.sum / max(len(made.points) - len(made.law.parameters), 1), 1e-30)
    for factor in (0.5, 1.5):
        held = made.inner[place] * factor
        low, high = made.law.bounds[place]
        if not low < held < high:
            continue
        pinned = replace(
            made.law,
            bounds=tuple(
                (held - 1e-5, held + 1e-5) if i == place else one for i, one in enumerate(made.law.bounds)
            ),
        )  # fmt: skip
        start = made.inner.copy()
        start[place] = held
        inner, _ = polish(pinned, made.points, made.objective, start, 200)
        rest = made.objective.of(made.objective.residuals(made.law, inner, made.points.columns, made.points.target)[0])
        if (rest - made.sum) / variance < FLAT:
            return True
    return False
