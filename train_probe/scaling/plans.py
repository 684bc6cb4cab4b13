"""What a fit is for: how to split a budget, how many tokens are enough, which run to pay for next.

But: a plan is as good as the points that it rests on; `Plan.outside` says where they do not reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from curate.errors import Refused
from train_probe.scaling.fitting import Fit
from train_probe.scaling.intervals import Bootstrap, Worth, outside
from train_probe.scaling.laws import Array
from train_probe.scaling.points import Points

BIAS = (
    "IsoFLOP parabolas are biased where their points do not lie evenly around the minimum, or where the two exponents"
    " differ: a power law is no parabola in log N (on Llama 3's published points 6.5 % of the budget is misplaced so)."
)
"""What is known of the approach, stated wherever its result is."""


@dataclass(frozen=True)
class Plan:
    """The best size and tokens for a budget, with 95 % ranges over draws where there are some."""

    budget: float
    parameters: float
    tokens: float
    loss: float
    parameters_range: tuple[float, float] | None = None
    tokens_range: tuple[float, float] | None = None
    outside: str = ""
    served: float = 0.0
    unique: float | None = None


def _needs_both(made: Fit, unique: float | None = None) -> None:
    if "unique_tokens" in made.law.columns:
        if unique is None:
            raise Refused(
                f"the law '{made.law.name}' splits a budget for a number of unique tokens, which is not given"
            )
    elif set(made.law.columns) != {"parameters", "tokens"}:
        raise Refused(
            f"a budget is split by a law of parameters and tokens (hoffmann, kaplan), not by '{made.law.name}'"
        )


def _run(size: float, tokens: float, unique: float | None) -> dict[str, float]:
    known = {"parameters": size, "tokens": tokens}
    return known if unique is None else {**known, "unique_tokens": min(unique, tokens)}


def best_split(made: Fit, budget: float, served: float = 0.0, unique: float | None = None) -> tuple[float, float]:
    """N and D of least loss under 6 N D + 2 N served = budget: `served` tokens are read by the finished model."""
    from scipy.optimize import minimize_scalar

    if budget <= 0 or served < 0:
        raise Refused(f"a budget is above 0 and served tokens are not below: {budget:g}, {served:g}")

    def tokens(size: float) -> float:
        return (budget - 2 * size * served) / (6 * size)

    def loss(logarithm: float) -> float:
        size = float(np.exp(logarithm))
        left = max(tokens(size), 1e-300)
        return float(made.value(**_run(size, left, unique)))

    most = np.log(budget / 6 if not served else min(budget / 6, budget / (2 * served)))
    grid = np.linspace(0.0, most, 200)[:-1]
    place = int(np.argmin([loss(one) for one in grid]))
    low, high = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
    size = float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-9}).x))
    return size, tokens(size)


def closed_split(made: Fit, budget: float) -> tuple[float, float]:
    """The same of Hoffmann's form, by its formula: N = G (C / 6)^(beta / (alpha + beta))."""
    if made.law.name != "hoffmann":
        raise Refused(f"the formula is that of 'hoffmann', not of '{made.law.name}'")
    p = made.parameters
    both = p["alpha"] + p["beta"]
    size = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / both) * (budget / 6) ** (p["beta"] / both)
    return size, budget / 6 / size


def plan(
    made: Fit, budget: float, draws: Sequence[Bootstrap] = (), served: float = 0.0, unique: float | None = None
) -> Plan:
    """The best split of a budget, with the widest range of the bootstraps that are given. `unique` tokens are there,
    and more are repetitions, for the law of repeated data."""
    _needs_both(made, unique)
    if "unique_tokens" not in made.law.columns:
        unique = None
    quick = made.law.name == "hoffmann" and not served
    size, tokens = best_split(made, budget, served, unique)
    ranges = []
    for one in draws:
        if quick:
            ranges.append(one.of(lambda drawn: closed_split(drawn, budget)[0]))
        else:
            few = Bootstrap(one.fit, one.draws[:100], one.by)
            ranges.append(few.of(lambda drawn: best_split(drawn, budget, served, unique)[0]))
    target = _run(size, tokens, unique)
    loss = float(made.value(**target))
    if not ranges:
        return Plan(budget, size, tokens, loss, outside=outside(made, target), served=served, unique=unique)
    low, high = min(one[0] for one in ranges), max(one[1] for one in ranges)
    left = tuple((budget - 2 * one * served) / (6 * one) for one in (high, low))
    return Plan(budget, size, tokens, loss, (low, high), (left[0], left[1]), outside(made, target), served, unique)


TENFOLD = {
    "Kaplan 2020, exponents .73 and .27": (10**0.73, 10**0.27, "quoted as 5.5 and 1.8"),
    "Hoffmann 2022, approaches 1 and 2, .5 and .5": (10**0.5, 10**0.5, "3.16 each"),
    "Hoffmann 2022, parametric, .34 and .28": (10 ** (0.28 / 0.62), 10 ** (0.34 / 0.62), "2.8 and 3.5"),
}
"""For ten times the compute: times N, times D, as it is quoted."""
DISAGREEMENT = (
    "The three disagree: Kaplan grows the model most (parameters without embeddings, one schedule for all lengths),"
    " Hoffmann's first two approaches both alike, his own parametric fit the tokens most."
)


def tenfold(made: Fit, budget: float, unique: float | None = None) -> tuple[float, float]:
    """By how much N and D of the best split grow for ten times the budget."""
    _needs_both(made, unique)
    before, after = best_split(made, budget, unique=unique), best_split(made, 10 * budget, unique=unique)
    return after[0] / before[0], after[1] / before[1]


@dataclass(frozen=True)
class Parabola:
    """The minimum of one budget's points on log N, and how far from the middle of its points that lies (in e-folds)."""

    budget: float
    parameters: float
    loss: float
    points: int
    off_centre: float


@dataclass(frozen=True)
class IsoFlop:
    """N and D of least loss as powers of compute, a parabola a budget. `warnings` hold the bias of the approach."""

    parabolas: Sequence[Parabola]
    size_exponent: float
    token_exponent: float
    warnings: Sequence[str]


def isoflop(points: Points, width: float = 0.1) -> IsoFlop:
    """Hoffmann's second approach: points whose compute differs by less than `width` share a budget.

    Raises Refused where fewer than two budgets have three sizes and a minimum.
    """
    size, target = points.columns["parameters"], np.log(points.target)
    compute = points.columns.get("compute", 6 * size * points.columns["tokens"])
    order = np.argsort(compute)
    groups: list[list[int]] = []
    for place in order:
        if groups and np.log(compute[place] / compute[groups[-1][0]]) < width:
            groups[-1].append(int(place))
        else:
            groups.append([int(place)])
    found, warnings = [], [BIAS]
    for group in groups:
        logs = np.log(size[group])
        if len(np.unique(logs)) < 3:
            continue
        bend, slope, height = np.polyfit(logs - logs.mean(), target[group], 2)
        if bend <= 0:
            continue
        minimum = -slope / (2 * bend)
        middle = (logs.min() + logs.max()) / 2 - logs.mean()
        budget = float(np.exp(np.log(compute[group]).mean()))
        one = Parabola(
            budget,
            float(np.exp(minimum + logs.mean())),
            float(np.exp(height - slope**2 / (4 * bend))),
            len(group),
            float(minimum - middle),
        )
        found.append(one)
        if abs(one.off_centre) > (logs.max() - logs.min()) / 4:
            warnings.append(
                f"the minimum at {budget:.2g} lies off the centre of its points, by {one.off_centre:+.2f} e-folds"
            )
    if len(found) < 2:
        raise Refused("IsoFLOP parabolas need two budgets at least, each with three sizes around a minimum")
    exponent = float(np.polyfit(np.log([one.budget for one in found]), np.log([one.parameters for one in found]), 1)[0])
    return IsoFlop(found, exponent, 1 - exponent, warnings)


def seed_noise(points: Points, columns: Sequence[str]) -> float:
    """The standard deviation of what was measured over runs that share all of `columns`. Raises Refused without any."""
    keys = np.stack([points.columns[name] for name in columns], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    apart = [points.target[group == one] for one in range(int(group.max()) + 1)]
    free = sum(len(one) - 1 for one in apart)
    if not free:
        raise Refused("no two runs differ in their seed alone: noise is not known; repeat one run with another seed")
    return float(np.sqrt(sum(((one - one.mean()) ** 2).sum() for one in apart) / free))


def enough_tokens(made: Fit, parameters: float, noise: float) -> float:
    """The D at which the loss is within `noise` of that of infinite data: below it, more data shows over the seeds."""
    from scipy.optimize import brentq

    _needs_both(made)
    never = float(made.value(parameters=parameters, tokens=1e60))
    if made.law.name == "hoffmann":
        p = made.parameters
        return float((p["B"] / noise) ** (1 / p["beta"]))
    return float(
        np.exp(
            brentq(
                lambda one: float(made.value(parameters=parameters, tokens=np.exp(one))) - never - noise,
                *(0.0, 130.0),
            )
        )
    )


@dataclass(frozen=True)
class NextRun:
    """A run that could be paid for: its cost, and the standard deviation of log N of the answer with it, as a share of
    that without it."""

    parameters: float
    tokens: float
    cost: float
    left: float


def next_runs(made: Fit, budget: float, candidates: Iterable[tuple[float, float]], most: float) -> list[NextRun]:
    """Which affordable run (6 N D at most `most`) narrows the best size for `budget` most, the best first.

    By the derivatives at the fit: the answer's variance is g' V g, and a run adds its row to the information.
    """
    _needs_both(made)
    _, slopes = made.objective.residuals(made.law, made.inner, made.points.columns, made.points.target)
    ridge = 1e-9 * np.eye(slopes.shape[1]) * float(np.trace(slopes.T @ slopes))
    spread = np.linalg.inv(slopes.T @ slopes + ridge)
    pull = _gradient(made, budget)
    before = float(pull @ spread @ pull)
    found = []
    for size, tokens in candidates:
        cost = 6 * size * tokens
        if cost > most:
            continue
        value, row = made.law.value(made.inner, {"parameters": np.array([size]), "tokens": np.array([tokens])})
        one = row[0] / value[0] if made.objective.log else row[0]
        gone = float((pull @ spread @ one) ** 2 / (1 + one @ spread @ one))
        found.append(NextRun(size, tokens, cost, float(np.sqrt(max(before - gone, 0.0) / before))))
    if not found:
        raise Refused(f"no candidate costs at most {most:.3g}")
    return sorted(found, key=lambda one: (one.left, one.cost))


def affordable(points: Points, most: float) -> list[tuple[float, float]]:
    """Runs that could be next: sizes and tokens from half of the smallest to 4 times the largest, by halves of a
    decade, that cost at most `most`."""
    size, tokens = points.columns["parameters"], points.columns["tokens"]
    sizes = 10 ** np.arange(np.log10(size.min() / 2), np.log10(size.max() * 4), 0.25)
    lengths = 10 ** np.arange(np.log10(tokens.min() / 2), np.log10(tokens.max() * 4), 0.25)
    return [(float(n), float(d)) for n in sizes for d in lengths if 6 * n * d <= most]


def _gradient(made: Fit, budget: float) -> Array:
    from dataclasses import replace

    pull = []
    for place in range(len(made.inner)):
        step = 1e-4 * max(1.0, abs(made.inner[place]))
        each = []
        for sign in (1, -1):
            inner = made.inner.copy()
            inner[place] += sign * step
            moved = replace(made, inner=inner)
            split = closed_split if made.law.name == "hoffmann" else best_split
            each.append(np.log(split(moved, budget)[0]))
        pull.append((each[0] - each[1]) / (2 * step))
    return np.array(pull)


def ranked(worths: Sequence[Worth]) -> list[tuple[str, float]]:
    """Laws by their error on what was left out: the root mean square of relative errors over all that could be."""
    found = []
    for one in worths:
        errors = np.concatenate([left.errors for left in one.left_out]) if one.left_out else np.array([np.inf])
        found.append((one.fit.law.name, float(np.sqrt(np.mean(errors**2)))))
    return sorted(found, key=lambda pair: pair[1])
