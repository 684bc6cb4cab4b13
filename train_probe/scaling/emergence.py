"""Emergence, told straight: the same runs by loss, by accuracy, and by the probability of a token.

Wei et al. (2022): loss falls by a tenth, ability jumps. Schaeffer et al. (2023): where an answer is right only if k
tokens are, accuracy is the k-th power of a probability that grows smoothly. Both are tested here on the same runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.errors import Refused
from train_probe.scaling.laws import Array


@dataclass(frozen=True)
class Emergence:
    """`explained` is whether the power of the smooth curve leaves no more than `allowed` of accuracy unexplained."""

    power: float
    chance: float
    rmse: float
    worst: float
    allowed: float
    loss_drop: float
    accuracy_rise: float
    sharpest: tuple[float, float]
    fitted: Array

    @property
    def explained(self) -> bool:
        return self.rmse <= self.allowed

    @property
    def jumps(self) -> bool:
        """The claim: between two runs next to each other the loss falls by a tenth at most, and accuracy rises by a
        half of all it rises."""
        drop, rise = self.sharpest
        return 0 <= drop <= 0.1 and self.accuracy_rise > 0 and rise >= 0.5 * self.accuracy_rise

    def __str__(self) -> str:
        drop, rise = self.sharpest
        told = (
            f"loss falls by {self.loss_drop:.1%} in all and accuracy rises by {self.accuracy_rise:.3f}; in its largest"
            f" step loss falls by {drop:.1%} and accuracy rises by {rise:.3f}: {'a' if self.jumps else 'no'} jump"
        )
        why = (
            f"accuracy is per-token probability to the power of {self.power:.3g}, above a chance of {self.chance:.2f}"
            f" (rmse {self.rmse:.3f})"
        )
        if self.explained:
            return f"{told}. The sudden curve is the smooth one: {why}."
        return f"{told}. The smooth curve does not explain it: at best, {why}, and {self.allowed:.3f} would be noise."


def emergence(loss: Array, accuracy: Array, chance: float = 0.0, allowed: float = 0.02) -> Emergence:
    """Fit accuracy = chance + (1 - chance) p^k with p = exp(-loss), the probability of a token.

    `loss` is nats a token of the answer; `allowed` is the noise of an accuracy. Raises Refused for fewer than 4 runs.
    """
    from scipy.optimize import minimize_scalar

    loss, accuracy = np.asarray(loss, dtype=float), np.asarray(accuracy, dtype=float)
    if len(loss) < 4:
        raise Refused(f"a curve needs 4 runs at least, and there are {len(loss)}")
    if not (np.isfinite(loss).all() and np.isfinite(accuracy).all()):
        raise Refused("losses and accuracies must be finite numbers")

    def said(logarithm: float) -> Array:
        return np.asarray(chance + (1 - chance) * np.exp(-np.exp(logarithm) * np.maximum(loss, 0)))

    grid = np.linspace(-6, 6, 121)
    start = grid[int(np.argmin([np.sum((said(one) - accuracy) ** 2) for one in grid]))]
    best = minimize_scalar(
        lambda one: float(np.sum((said(one) - accuracy) ** 2)), bounds=(start - 0.1, start + 0.1), method="bounded",
        options={"xatol": 1e-10},
    ).x  # fmt: skip
    errors = said(best) - accuracy
    order = np.argsort(-loss, kind="stable")
    drops = -np.diff(loss[order]) / loss[order][:-1]
    rises = np.diff(accuracy[order])
    place = int(np.argmax(rises))
    return Emergence(
        *(float(np.exp(best)), chance, float(np.sqrt(np.mean(errors**2))), float(np.abs(errors).max()), allowed),
        loss_drop=float((loss.max() - loss.min()) / loss.max()),
        accuracy_rise=float(accuracy[order][-1] - accuracy[order][0]),
        sharpest=(float(drops[place]), float(rises[place])),
        fitted=said(best),
    )
