"""Fitting: variable projection with a polish by analytic gradients, and the published L-BFGS from many starts.

Both minimise the same sum, of squared or of Huber's errors, on the value or its logarithm. But: points have no weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from curate.errors import Refused
from train_probe.scaling.laws import Array, Columns, Law, law_of
from train_probe.scaling.points import Points, enough, points

Status = Literal["converged", "at a bound", "at the iteration limit"]
COUNTS = {"all": "all parameters, with embeddings", "body": "parameters without embeddings", "unsaid": "not said"}
"""How parameters were counted."""
POLISHED = 6
"""Starts that are polished, of those that a scan ranks."""


@dataclass(frozen=True)
class Objective:
    """What is minimised: the sum over points of `kind` of errors on the value or its logarithm (`log`)."""

    kind: Literal["huber", "squared"] = "huber"
    log: bool = True
    delta: float = 1e-3

    def residuals(self, law: Law, inner: Array, columns: Columns, target: Array) -> tuple[Array, Array]:
        """Prediction less what was measured, and the derivatives."""
        value, slopes = law.value(inner, columns)
        if self.log:
            value = np.maximum(value, 1e-300)
            return np.log(value) - np.log(target), slopes / value[:, None]
        return value - target, slopes

    def of(self, residuals: Array) -> float:
        """The objective of residuals: half of each square, linear beyond `delta` for Huber."""
        size = np.abs(residuals)
        if self.kind == "squared":
            return float(0.5 * np.sum(size**2))
        return float(np.sum(np.where(size <= self.delta, 0.5 * size**2, self.delta * (size - 0.5 * self.delta))))

    @property
    def words(self) -> str:
        """The objective in words, as a result names it."""
        where = "its logarithm" if self.log else "the value"
        return f"Huber (delta {self.delta:g}) on {where}" if self.kind == "huber" else f"squared error on {where}"


@dataclass(frozen=True)
class Fit:
    """A law with the parameters that fit these points best, and how that ended."""

    law: Law
    points: Points
    inner: Array
    objective: Objective
    sum: float
    status: Status
    why: str
    counted: str = "unsaid"
    method: str = "projection"
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters as the formula writes them."""
        return self.law.named(self.inner)

    @property
    def rmse(self) -> float:
        """The root of the mean squared residual, where the objective looks."""
        return float(np.sqrt(np.mean(self.residuals() ** 2)))

    def residuals(self) -> Array:
        """Predicted less measured, on the scale of the objective."""
        return self.objective.residuals(self.law, self.inner, self.points.columns, self.points.target)[0]

    def value(self, **columns: Any) -> Array:
        """What the law says at other places: `fit.value(parameters=1e9, tokens=2e10)`."""
        missing = [name for name in self.law.columns if name not in columns]
        if missing:
            raise Refused(f"the law '{self.law.name}' needs {' and '.join(missing)} to predict")
        data = dict(zip(columns, np.broadcast_arrays(*columns.values()), strict=True))
        shape = next(iter(data.values())).shape
        flat = {name: np.atleast_1d(np.asarray(one, dtype=float)).ravel() for name, one in data.items()}
        return self.law.value(self.inner, flat)[0].reshape(shape)


def fit(
    data: Points | Mapping[str, Iterable[float]],
    law: Law | str = "hoffmann",
    *,
    objective: Objective | None = None,
    method: Literal["projection", "lbfgs"] = "projection",
    counted: str = "unsaid",
    starts: Sequence[Array] | int | None = None,
    average: bool = False,
    limit: int = 1000,
    tolerance: float = 1e-13,
) -> Fit:
    """Fit a law. `counted` says how parameters were counted: `all`, `body` (without embeddings), or `unsaid`.

    `starts` are the places to begin at (fitted parameters), or how many of the method's own are polished. `lbfgs` is
    the published fit of Hoffmann's form; with `average` it minimises the mean by finite differences, which stops early:
    kept to show that.
    `tolerance` is the relative change of the objective at which a polish ends. Raises Refused for points that cannot
    carry the law, and for an unknown law.
    """
    chosen = law_of(law) if isinstance(law, str) else law
    if counted not in COUNTS:
        raise Refused(f"parameters are counted as one of {', '.join(COUNTS)}, not '{counted}'")
    known = data if isinstance(data, Points) else points(data, chosen)
    if any(name not in known.columns for name in chosen.columns):
        known = points({**known.columns, known.name: known.target}, chosen, known.rows)
    enough(known, chosen)
    if objective is None:
        objective = Objective() if chosen.target == "loss" else Objective("squared", log=False)
    if average and method != "lbfgs":
        raise Refused("averaging is of the method lbfgs alone")
    run = _published if method == "lbfgs" else _projection
    inner, ended = run(chosen, known, objective, starts, average, limit, tolerance)
    residuals = objective.residuals(chosen, inner, known.columns, known.target)[0]
    status, why = _status(chosen, known, inner, ended)
    return Fit(
        chosen, known, inner, objective, objective.of(residuals), status, why, counted, method, known.notes
    )  # fmt: skip


def _projection(
    law: Law, known: Points, objective: Objective, starts: Any, average: bool, limit: int, tolerance: float
) -> tuple[Array, bool]:
    places = starts if starts is not None and not isinstance(starts, int) else law.starts(known.columns, known.target)
    if starts is None or isinstance(starts, int):
        places = _spread(places, starts or POLISHED, law, known, objective)
    best: tuple[float, Array, bool] | None = None
    agreed = 0
    for place in places:
        inner, ended = polish(law, known, objective, place, limit, tolerance)
        reached = objective.of(objective.residuals(law, inner, known.columns, known.target)[0])
        agreed += best is not None and bool(np.allclose(inner, best[1], rtol=1e-6))
        if best is None or reached < best[0] * (1 - 1e-12):
            best = reached, inner, ended
        if agreed == 2:  # three starts, one minimum
            break
    assert best is not None
    return best[1], best[2]


def _spread(places: Sequence[Array], count: int, law: Law, known: Points, objective: Objective) -> list[Array]:
    """The best places to begin at, by the objective, and not all of them neighbours."""
    near = list(places[: 8 * count])
    reached = [objective.of(objective.residuals(law, one, known.columns, known.target)[0]) for one in near]
    order = [near[i] for i in np.argsort(reached, kind="stable")]
    return [*order[: count // 2], *order[count // 2 :: max(1, len(order) // max(1, count - count // 2))]][:count]


def polish(
    law: Law, known: Points, objective: Objective, start: Array, limit: int = 2000, tolerance: float = 1e-14
) -> tuple[Array, bool]:
    """Minimise the objective from one place with the analytic gradient: parameters, and whether that converged."""
    from scipy.optimize import least_squares

    low, high = np.array(law.bounds).T
    held: dict[str, Any] = {"key": None}

    def both(inner: Array) -> tuple[Array, Array]:
        if held["key"] is None or not np.array_equal(held["key"], inner):
            held["key"] = inner.copy()
            held["both"] = objective.residuals(law, inner, known.columns, known.target)
        return held["both"]  # type: ignore[no-any-return]

    result = least_squares(
        lambda inner: both(inner)[0],
        np.clip(start, low + 1e-6, high - 1e-6),
        lambda inner: both(inner)[1],
        bounds=(low, high),
        loss="huber" if objective.kind == "huber" else "linear",
        f_scale=objective.delta if objective.kind == "huber" else 1.0,
        x_scale="jac",
        ftol=tolerance,
        xtol=10 * tolerance,
        gtol=1e-15,
        max_nfev=limit,
    )
    return result.x, result.status > 0


def _published(
    law: Law, known: Points, objective: Objective, starts: Any, average: bool, limit: int, tolerance: float
) -> tuple[Array, bool]:
    from scipy.optimize import minimize

    places = starts if starts is not None and not isinstance(starts, int) else published_grid(law, known)
    if isinstance(starts, int) and len(places) > starts:
        reached = [objective.of(objective.residuals(law, one, known.columns, known.target)[0]) for one in places]
        places = [places[i] for i in np.argsort(reached, kind="stable")[:starts]]

    def both(inner: Array) -> tuple[float, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            residuals, slopes = objective.residuals(law, inner, known.columns, known.target)
        pull = residuals if objective.kind == "squared" else np.clip(residuals, -objective.delta, objective.delta)
        share = len(residuals) if average else 1
        return objective.of(residuals) / share, pull @ slopes / share

    best: Any = None
    for place in places:
        # Without an analytic gradient, as published: of a mean, differences are lost in rounding, and it stops.
        result = minimize(
            (lambda inner: both(inner)[0]) if average else both,
            place,
            jac=not average,
            method="L-BFGS-B",
            options={"maxiter": limit},
        )
        if np.isfinite(result.fun) and (best is None or result.fun < best.fun):
            best = result
    if best is None:
        raise Refused("no start of the grid reached a finite objective")
    return best.x, bool(best.status == 0)


def published_grid(law: Law, known: Points) -> list[Array]:
    """The grid of starts of Hoffmann et al. (2022): 4 500 places; another law begins where its scan says."""
    if law.name != "hoffmann":
        return law.starts(known.columns, known.target)[:50]
    height, weight, power = np.arange(-1, 1.5, 0.5), np.arange(0, 30, 5), np.arange(0, 2.5, 0.5)
    return [np.array(one, dtype=float) for one in itertools.product(height, weight, weight, power, power)]


def _status(law: Law, known: Points, inner: Array, ended: bool) -> tuple[Status, str]:
    for name, (low, high), one in zip(law.parameters, law.bounds, inner, strict=True):
        if one - low < 1e-4 or high - one < 1e-4:
            return "at a bound", f"{name} lies at its bound: the points do not carry it"
    if law.parameters[0] == "E":
        value, slopes = law.value(inner, known.columns)
        shares = np.max(np.abs(slopes) / value[:, None], axis=0)
        for name, share, log in zip(law.parameters, shares, law.logs, strict=True):
            if log and name != "half_life" and share < 1e-4:
                return "at a bound", f"the term of {name} is 0 to four digits: the points do not carry it"
    return ("converged", "") if ended else ("at the iteration limit", "more iterations may fit better")
