"""Mixtures: which shares of which sources make which loss, from runs with random ones. Knows no scaling law.

Linear; `exponential`, c + k exp(t . shares), log-linear above its floor; boosted trees by LightGBM, which the extra
`mixtures` brings. All are judged by rank correlation, cross-validated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from curate.errors import Refused

Array = NDArray[np.float64]
Form = Literal["linear", "exponential", "boosted"]


@dataclass(frozen=True)
class Regression:
    """A fitted form: shares in, loss out. `about` holds its parameters, where it has some."""

    form: Form
    say: Callable[[Array], Array]
    about: dict[str, Any]

    def __call__(self, shares: Array) -> Array:
        return self.say(np.atleast_2d(np.asarray(shares, dtype=float)))


def regression(shares: Array, loss: Array, form: Form = "exponential", seed: int = 0) -> Regression:
    """Fit losses of runs by the shares of their sources, a row a run. Raises Refused for what is no such table."""
    shares, loss = np.asarray(shares, dtype=float), np.asarray(loss, dtype=float)
    _checked(shares, loss)
    if form not in FORMS:
        raise Refused(f"there is no form '{form}': {', '.join(FORMS)}")
    return FORMS[form](shares, loss, seed)


def _checked(shares: Array, loss: Array) -> None:
    if shares.ndim != 2 or len(shares) != len(loss):
        raise Refused(f"mixtures have a row a run: {shares.shape} shares and {len(loss)} losses")
    for row, (one, value) in enumerate(zip(shares, loss, strict=True), 1):
        if not np.isfinite(value) or value <= 0:
            raise Refused(f"row {row}: the loss is {value:g}, and it must be a finite number above 0")
        if not np.isfinite(one).all() or one.min() < 0 or not 0.97 < one.sum() < 1.03:
            raise Refused(f"row {row}: shares are not below 0 and add up to 1, and these add up to {one.sum():.3g}")
    if len(shares) < shares.shape[1] + 2:
        raise Refused(
            f"{shares.shape[1]} sources need {shares.shape[1] + 2} runs at least, and there are {len(shares)}"
        )


def _linear(shares: Array, loss: Array, seed: int) -> Regression:
    # Shares add up to one: the constant is among them.
    weights = np.linalg.lstsq(shares, loss, rcond=None)[0]
    return Regression("linear", lambda one: np.asarray(one @ weights), {"weights": weights.tolist()})


def _exponential(shares: Array, loss: Array, seed: int) -> Regression:
    """Squared error of c + exp(shares . t): k is in t, since shares add up to one. The floor c is scanned first."""
    from scipy.optimize import least_squares

    def start(floor: float) -> tuple[float, Array]:
        logs = np.log(loss - floor)
        weights = np.linalg.lstsq(shares, logs, rcond=None)[0]
        return float(np.sum((floor + np.exp(shares @ weights) - loss) ** 2)), np.append(weights, floor)

    least = float(loss.min())
    best = min((start(least * part) for part in (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)), key=lambda one: one[0])[1]

    def slopes(inner: Array) -> Array:
        grown = np.exp(np.clip(shares @ inner[:-1], -50, 50))
        return np.column_stack([grown[:, None] * shares, np.ones(len(loss))])

    result = least_squares(
        lambda inner: inner[-1] + np.exp(np.clip(shares @ inner[:-1], -50, 50)) - loss, best, slopes, max_nfev=300
    )
    weights, floor = result.x[:-1], float(result.x[-1])
    return Regression(
        "exponential",
        lambda one: np.asarray(floor + np.exp(np.clip(one @ weights, -50, 50))),
        {"floor": floor, "weights": weights.tolist(), "converged": bool(result.status > 0)},
    )


def _boosted(shares: Array, loss: Array, seed: int) -> Regression:
    import lightgbm

    settings = {
        "objective": "regression", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 5, "verbosity": -1,
        "seed": seed, "deterministic": True, "num_threads": 1, "force_col_wise": True,
    }  # fmt: skip
    trees = lightgbm.train(settings, lightgbm.Dataset(shares, loss), num_boost_round=300)
    return Regression("boosted", lambda one: np.asarray(trees.predict(one)), {"trees": 300})


FORMS: dict[str, Callable[[Array, Array, int], Regression]] = {
    "linear": _linear,
    "exponential": _exponential,
    "boosted": _boosted,
}


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's, ties sharing their mean rank."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def cross_validated(shares: Array, loss: Array, form: Form = "exponential", folds: int = 5, seed: int = 0) -> float:
    """The rank correlation of what each run is said to have by a fit of the other folds."""
    shares, loss = np.asarray(shares, dtype=float), np.asarray(loss, dtype=float)
    _checked(shares, loss)
    order = np.random.default_rng(seed).permutation(len(loss))
    said = np.zeros(len(loss))
    for fold in range(folds):
        held = order[fold::folds]
        rest = np.setdiff1d(order, held)
        said[held] = regression(shares[rest], loss[rest], form, seed)(shares[held])
    return rank_correlation(said, loss)
