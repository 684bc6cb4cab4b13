"""AdamW over a stack of models: each slot with its own learning rate, schedule, decay, betas, clip and step count.

torch's AdamW takes one learning rate for all that it holds, and one clip over all gradients would couple the models.
The formulas are those of Loshchilov & Hutter, arXiv 1711.05101, in the order of `torch.optim.AdamW`; every parameter
decays, as there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdamWSettings:
    """How one slot is trained: for `steps` steps, a straight warm-up over its first `warmup` share of them, then a
    cosine from `rate` to its share `final`. Gradients longer than `clip` (2-norm over the slot) are shortened to it."""

    rate: float
    steps: int
    warmup: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-6
    decay: float = 0.0
    clip: float = float("inf")
    final: float = 0.1


_SETTINGS = tuple(field.name for field in fields(AdamWSettings))
_ROWS = (*_SETTINGS, "rising", "done")
"""What the table of a stack holds, a row each: settings, steps of warm-up, steps done."""


class StackAdamW:
    """AdamW for the rows of `master` [M, row]. A slot that was never set, or has done its steps, does not change.

    `shares` [row] multiply the learning rate of each number of a row; None: all learn with the slot's.

    What a schedule needs is a table of float64 on the device, [row, slot, 1], so that a step asks nothing of the host
    and no captured or compiled program changes with it.
    """

    def __init__(self, master: Tensor, shares: Tensor | None = None) -> None:
        self.master, self.shares = master, shares
        self.first, self.second = (torch.zeros_like(master, requires_grad=False) for _ in range(2))
        # float64, because 1 - beta2^t of the first steps has few digits left in float32.
        self.table = torch.zeros(len(_ROWS), len(master), 1, dtype=torch.float64, device=master.device)
        self.update = update

    @torch.no_grad()
    def set(self, slot: int, settings: AdamWSettings, done: int = 0, moments: Tensor | None = None) -> None:
        """Begin a slot's training with empty moments, or go on after `done` steps with what `moments` returned."""
        values = [float(getattr(settings, name)) for name in _SETTINGS]
        values += [float(round(settings.steps * settings.warmup)), float(done)]
        self.table[:, slot, 0] = torch.tensor(values, dtype=torch.float64)
        for moment, kept in zip((self.first, self.second), (None, None) if moments is None else moments, strict=True):
            if kept is None:
                moment[slot] = 0
            else:
                moment[slot].copy_(kept)

    @property
    def done(self) -> Tensor:
        """Steps that each slot has done [M, 1]."""
        return self.table[_ROWS.index("done")]

    def moments(self, slot: int) -> Tensor:
        """A copy of a slot's first and second moments [2, row]."""
        return torch.stack([self.first[slot], self.second[slot]])

    @torch.no_grad()
    def step(self, gradient: Tensor) -> Tensor:
        """Apply `gradient` [M, row], which is overwritten; returns each slot's gradient norm before the clip [M]."""
        return self.update(self.master, gradient, self.first, self.second, self.table, self.shares)


def rates(table: Tensor) -> Tensor:
    """Learning rates [M, 1] of the next step: 0 for a slot that is done."""
    rate, steps, rising, done, final = (
        table[_ROWS.index(name)] for name in ("rate", "steps", "rising", "done", "final")
    )
    along = (done - rising) / (steps - rising).clamp_min(1)
    cosine = final + (1 - final) * 0.5 * (1 + torch.cos(torch.pi * along))
    share = torch.where(done < rising, (done + 1) / rising.clamp_min(1), cosine)
    return torch.where(done < steps, rate * share, 0.0)


class Coefficients(NamedTuple):
    """What a slot's numbers are multiplied with in a step, each [M, 1]."""

    short: Tensor
    fresh1: Tensor
    beta2: Tensor
    fresh2: Tensor
    size: Tensor
    spread: Tensor
    epsilon: Tensor
    fade: Tensor


def coefficients(table: Tensor, norm: Tensor, dtype: torch.dtype) -> Coefficients:
    """The coefficients of the next step for gradients of norms [M, 1], as `dtype`; counts the step."""
    steps, beta1, beta2, epsilon, decay, clip, done = (
        table[_ROWS.index(name)] for name in ("steps", "beta1", "beta2", "epsilon", "decay", "clip", "done")
    )
    rate = rates(table)
    done += done < steps
    short = (clip / (norm + 1e-6)).clamp_max(1.0)
    size = rate / (1 - beta1**done)
    spread = (1 - beta2**done).sqrt()
    values = (short, 1 - beta1, beta2, 1 - beta2, size, spread, epsilon, rate * decay)
    return Coefficients(*(one.to(dtype) for one in values))


def update(
    master: Tensor, gradient: Tensor, first: Tensor, second: Tensor, table: Tensor, shares: Tensor | None = None
) -> Tensor:
    """One AdamW step in place on tensors [M, row]; returns gradient norms [M]. Compiled it is two passes."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    by = coefficients(table, norm, master.dtype)
    gradient.mul_(by.short)
    first.lerp_(gradient, by.fresh1)
    second.mul_(by.beta2).addcmul_(gradient * by.fresh2, gradient)
    below = second.sqrt().div_(by.spread).add_(by.epsilon)
    size, fade = (by.size, by.fade) if shares is None else (by.size * shares, by.fade * shares)
    master.mul_(1 - fade).sub_(torch.div(first, below, out=below).mul_(size))
    return norm[:, 0]
