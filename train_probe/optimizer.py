"""AdamW over a stack of models: each slot with its own learning rate, schedule, decay, betas, clip and clock.

torch's AdamW takes one learning rate for all that it holds, and one clip over all gradients would couple the models.
The formulas are those of Loshchilov & Hutter, arXiv 1711.05101, in the order of `torch.optim.AdamW`; every parameter
decays, as there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

FINAL_SHARE = 0.1  # the cosine ends at a tenth of the learning rate


@dataclass(frozen=True)
class Settings:
    """How one slot is trained: for `steps` steps, a straight warm-up over its first `warmup` share of them, then a
    cosine from `rate` to a tenth of it. Gradients longer than `clip` (2-norm over the slot) are shortened to it."""

    rate: float
    steps: int
    warmup: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-6
    decay: float = 0.0
    clip: float = float("inf")


NAMES = ("short", "fresh1", "beta2", "fresh2", "size", "spread", "epsilon", "keep")
"""What `StackAdamW.coefficients` returns and `update` takes, in their order."""

_VECTORS = tuple(field.name for field in fields(Settings))


class StackAdamW:
    """AdamW for the rows of `master` [M, row]. A slot that was never set, or has done its steps, stands still.

    What a schedule needs is a column of float64 on the device, one number a slot, so that a step asks nothing of the
    host and no captured or compiled program changes with it.
    """

    def __init__(self, master: Tensor) -> None:
        self.master = master
        self.first, self.second = (torch.zeros_like(master, requires_grad=False) for _ in range(2))
        # float64, for 1 - beta2^t of the first steps has few digits left in float32.
        column = torch.zeros(len(master), 1, dtype=torch.float64, device=master.device)
        self.done = column.clone()
        self.columns = {name: column.clone() for name in _VECTORS}
        self.rising = column.clone()
        self.update = update

    @torch.no_grad()
    def set(self, slot: int, settings: Settings, done: int = 0, moments: Tensor | None = None) -> None:
        """Begin a slot's training with empty moments, or go on after `done` steps with what `moments` returned."""
        for name in _VECTORS:
            self.columns[name][slot] = float(getattr(settings, name))
        self.rising[slot] = round(settings.steps * settings.warmup)
        self.done[slot] = done
        for moment, kept in zip((self.first, self.second), (None, None) if moments is None else moments, strict=True):
            if kept is None:
                moment[slot] = 0
            else:
                moment[slot].copy_(kept)

    def moments(self, slot: int) -> Tensor:
        """A copy of a slot's first and second moments [2, row]."""
        return torch.stack([self.first[slot], self.second[slot]])

    def rates(self) -> Tensor:
        """Learning rates [M, 1] of the next step: 0 for a slot that is done."""
        column = self.columns
        rising = (self.done + 1) / self.rising.clamp_min(1)
        along = (self.done - self.rising) / (column["steps"] - self.rising).clamp_min(1)
        cosine = FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + torch.cos(torch.pi * along))
        share = torch.where(self.done < self.rising, rising, cosine)
        return torch.where(self.done < column["steps"], column["rate"] * share, 0.0)

    @torch.no_grad()
    def step(self, gradient: Tensor) -> Tensor:
        """Apply `gradient` [M, row], which is overwritten; returns each slot's gradient norm before the clip [M]."""
        norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        self.update(self.master, gradient, self.first, self.second, *self.coefficients(norm))
        return norm[:, 0]

    @torch.no_grad()
    def coefficients(self, norm: Tensor) -> list[Tensor]:
        """What a slot's numbers are multiplied with in this step, each [M, 1], for gradients of norms [M, 1]; moves the
        clocks on."""
        column = self.columns
        rate, beta1, beta2 = self.rates(), column["beta1"], column["beta2"]
        self.done += self.done < column["steps"]
        short = (column["clip"] / (norm + 1e-6)).clamp_max(1.0)
        size = rate / (1 - beta1**self.done)
        spread = (1 - beta2**self.done).sqrt()
        keep = 1 - rate * column["decay"]
        found = (short, 1 - beta1, beta2, 1 - beta2, size, spread, column["epsilon"], keep)
        return list(torch.stack(found).to(self.master.dtype).unbind())


def update(
    master: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    short: Tensor,
    fresh1: Tensor,
    beta2: Tensor,
    fresh2: Tensor,
    size: Tensor,
    spread: Tensor,
    epsilon: Tensor,
    keep: Tensor,
) -> None:
    """One AdamW step in place on tensors [M, row] with coefficients [M, 1]; compiled it is one pass."""
    gradient.mul_(short)
    first.lerp_(gradient, fresh1)
    second.mul_(beta2).addcmul_(gradient * fresh2, gradient)
    below = second.sqrt().div_(spread).add_(epsilon)
    master.mul_(keep).sub_(torch.div(first, below, out=below).mul_(size))
