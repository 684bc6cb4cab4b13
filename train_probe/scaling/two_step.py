"""The ladder in two steps: size and tokens to a task's loss, that loss to its accuracy by a sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.errors import Refused
from train_probe.scaling.fitting import Fit, Objective, fit
from train_probe.scaling.laws import Array
from train_probe.scaling.points import Points


@dataclass(frozen=True)
class Sigmoid:
    """accuracy = low + (high - low) / (1 + exp(steep (loss - middle)))."""

    low: float
    high: float
    steep: float
    middle: float
    rmse: float
    converged: bool

    def __call__(self, loss: Array) -> Array:
        wait = np.clip(self.steep * (np.asarray(loss) - self.middle), -500, 500)
        return np.asarray(self.low + (self.high - self.low) / (1 + np.exp(wait)))


def sigmoid(loss: Array, accuracy: Array, chance: float = 0.0) -> Sigmoid:
    """Fit the second step by squared error, between `chance` and 1. Raises Refused for fewer than five points."""
    from scipy.optimize import least_squares

    if len(loss) < 5:
        raise Refused(f"a sigmoid has 4 parameters and needs 5 points at least, and there are {len(loss)}")
    span = max(float(np.ptp(loss)), 1e-9)

    def errors(inner: Array) -> Array:
        wait = np.clip(np.exp(inner[2]) * (loss - inner[3]), -500, 500)
        return np.asarray(inner[0] + (inner[1] - inner[0]) / (1 + np.exp(wait)) - accuracy)

    best = None
    for middle in np.quantile(loss, [0.0, 0.25, 0.5, 0.75, 1.0]):
        for steep in (1.0, 4.0, 15.0):
            start = np.array([min(max(chance, accuracy.min()), 0.98), 0.99, np.log(steep / span), middle])
            bounds = ([0.0, 0.0, -5.0, loss.min() - 3 * span], [1.0, 1.0, 8.0, loss.max() + 3 * span])
            result = least_squares(errors, np.clip(start, *bounds), bounds=bounds, x_scale=[0.1, 0.1, 1, span])
            if best is None or result.cost < best.cost:
                best = result
    assert best is not None
    low, high, steep, middle = best.x
    rmse = float(np.sqrt(np.mean(best.fun**2)))
    return Sigmoid(float(low), float(high), float(np.exp(steep)), float(middle), rmse, best.status > 0)


@dataclass(frozen=True)
class TwoStep:
    """Both steps, and the errors of each on the points that they were fitted to."""

    first: Fit
    second: Sigmoid

    def predict(self, parameters: float, tokens: float) -> tuple[float, float, float]:
        """Accuracy, and what one root mean squared error of both steps makes of it on either side."""
        loss = float(self.first.value(parameters=parameters, tokens=tokens))
        wide = self.first.rmse * (loss if self.first.objective.log else 1.0)
        high, middle, low = (float(one) for one in self.second(np.array([loss - wide, loss, loss + wide])))
        return middle, low - self.second.rmse, high + self.second.rmse


def two_step(points: Points, accuracy: Array, chance: float = 0.0) -> TwoStep:
    """`points` hold parameters, tokens and the task's loss; `accuracy` has one value a point."""
    first = fit(points, "hoffmann", objective=Objective("squared", log=False))
    return TwoStep(first, sigmoid(points.target, np.asarray(accuracy, dtype=float), chance))
