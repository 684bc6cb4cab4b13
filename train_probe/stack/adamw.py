"""AdamW over a stack of models: each slot with its own learning rate, schedule, decay, betas, clip and step count.

torch's AdamW takes one learning rate for all that it holds, and one clip over all gradients would couple the models.
The formulas are those of Loshchilov & Hutter, arXiv 1711.05101, in the order of `torch.optim.AdamW`; every parameter
decays, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdamWSettings:
    """How one slot is trained: for `steps` steps, a straight warm-up over its first `warmup` share of them, then from
    `rate` to its share `final` by the stack's schedule; `falling` is the share of the steps in which a constant rate
    falls at the end. Gradients longer than `clip` (2-norm over the slot) are shortened to it. `spread` and `window` are
    those of a guard (`train_probe/stack/guard.py`)."""

    rate: float
    steps: int
    warmup: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-6
    decay: float = 0.0
    clip: float = float("inf")
    final: float = 0.1
    falling: float = 0.2
    spread: float = 6.0
    window: float = 100.0


_SETTINGS = tuple(field.name for field in fields(AdamWSettings) if field.name not in ("spread", "window"))
_ROWS = (*_SETTINGS, "rising", "done")
"""What the table of a stack holds, a row each: settings, steps of warm-up, steps done."""


class StackAdamW:
    """AdamW for the rows of `master` [M, row]. A slot that was never set, or has done its steps, does not change.

    `shares` [row], or [M, row], multiply the learning rate of each number; None: all learn with the slot's. `schedule`
    is one of `train_probe.plan.SCHEDULES`.

    What a schedule needs is a table of float64 on the device, [row, slot, 1], so that a step asks nothing of the host
    and no captured or compiled program changes with it.
    """

    limit: Tensor | None = None

    def __init__(self, master: Tensor, shares: Tensor | None = None, schedule: str = "cosine") -> None:
        self.master, self.shares = master, shares
        self.first, self.second = (torch.zeros_like(master, requires_grad=False) for _ in range(2))
        # float64, because 1 - beta2^t of the first steps has few digits left in float32.
        self.table = torch.zeros(len(_ROWS), len(master), 1, dtype=torch.float64, device=master.device)
        self.update: Callable[..., Any] = UPDATES[schedule]

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


def _cosine(table: Tensor) -> Tensor:
    steps, rising, done, final = (table[_ROWS.index(name)] for name in ("steps", "rising", "done", "final"))
    along = (done - rising) / (steps - rising).clamp_min(1)
    return final + (1 - final) * 0.5 * (1 + torch.cos(torch.pi * along))


def _linear(table: Tensor) -> Tensor:
    steps, rising, done, final = (table[_ROWS.index(name)] for name in ("steps", "rising", "done", "final"))
    return final + (1 - final) * (1 - (done - rising) / (steps - rising).clamp_min(1))


def _constant(table: Tensor) -> Tensor:
    """Constant, then straight down over the last `falling` share of the steps (Hu et al., arXiv 2404.06395)."""
    steps, done, final, falling = (table[_ROWS.index(name)] for name in ("steps", "done", "final", "falling"))
    left = (steps - done) / (steps * falling).clamp_min(1)
    return final + (1 - final) * left.clamp_max(1)


SHARES: dict[str, Callable[[Tensor], Tensor]] = {"cosine": _cosine, "linear": _linear, "constant": _constant}
"""The share of its learning rate that a slot has after the warm-up, [M, 1]."""


def rates(table: Tensor, schedule: str = "cosine") -> Tensor:
    """Learning rates [M, 1] of the next step: 0 for a slot that is done."""
    rate, steps, rising, done = (table[_ROWS.index(name)] for name in ("rate", "steps", "rising", "done"))
    share = torch.where(done < rising, (done + 1) / rising.clamp_min(1), SHARES[schedule](table))
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


def running(table: Tensor) -> Tensor:
    """Which slots have steps to do, bool [M, 1]."""
    return table[_ROWS.index("done")] < table[_ROWS.index("steps")]


def coefficients(
    table: Tensor, norm: Tensor, dtype: torch.dtype, schedule: str = "cosine", skipped: Tensor | None = None
) -> Coefficients:
    """The coefficients of the next step for gradients of norms [M, 1], as `dtype`; counts the step. `skipped` [M, 1] of
    the steps done left the moments as they were."""
    steps, beta1, beta2, epsilon, decay, clip, done = (
        table[_ROWS.index(name)] for name in ("steps", "beta1", "beta2", "epsilon", "decay", "clip", "done")
    )
    rate = rates(table, schedule)
    done += done < steps
    short = (clip / (norm + 1e-6)).clamp_max(1.0)
    taken = done if skipped is None else done - skipped
    size = rate / (1 - beta1**taken)
    spread = (1 - beta2**taken).sqrt()
    values = (short, 1 - beta1, beta2, 1 - beta2, size, spread, epsilon, rate * decay)
    return Coefficients(*(one.to(dtype) for one in values))


def update(
    master: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    table: Tensor,
    shares: Tensor | None = None,
    schedule: str = "cosine",
) -> Tensor:
    """One AdamW step in place on tensors [M, row]; returns gradient norms [M]. Compiled it is two passes."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    apply(master, gradient, first, second, coefficients(table, norm, master.dtype, schedule), shares)
    return norm[:, 0]


def apply(
    master: Tensor, gradient: Tensor, first: Tensor, second: Tensor, by: Coefficients, shares: Tensor | None
) -> None:
    """The step itself, in place; `gradient` is overwritten."""
    gradient.mul_(by.short)
    first.lerp_(gradient, by.fresh1)
    second.mul_(by.beta2).addcmul_(gradient * by.fresh2, gradient)
    below = second.sqrt().div_(by.spread).add_(by.epsilon)
    size, fade = (by.size, by.fade) if shares is None else (by.size * shares, by.fade * shares)
    master.mul_(1 - fade).sub_(torch.div(first, below, out=below).mul_(size))


def _by(schedule: str) -> Callable[..., Tensor]:
    def scheduled(
        master: Tensor, gradient: Tensor, first: Tensor, second: Tensor, table: Tensor, shares: Tensor | None = None
    ) -> Tensor:
        return update(master, gradient, first, second, table, shares, schedule)

    return scheduled


UPDATES: dict[str, Callable[..., Tensor]] = {"cosine": update} | {
    name: _by(name) for name in SHARES if name != "cosine"
}
"""A step by schedule: that of most runs is the plain function, whose program no other schedule changes."""
