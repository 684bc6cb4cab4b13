"""AdamW with a guard: a step whose gradient is far longer than those before is skipped, or shortened to their mean.

Each slot has an exponential mean and variance of its gradient norms. A norm beyond mean + `spread` deviations is a
spike; it counts as a norm at that limit, so that a run whose gradients stay longer is let on after a while. While there
is none, every number is that of `StackAdamW`, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from train_probe.stack.adamw import AdamWSettings, Coefficients, StackAdamW, apply, coefficients, running

ACTIONS = ("skip", "shrink")
_WATCHED = ("mean", "variance", "seen", "skipped", "spread", "window")
"""What is known of a slot's gradients, a row each; the last two are settings."""


class GuardedAdamW(StackAdamW):
    """As `StackAdamW`. `limit` [M] is what the norms of the last step were held against."""

    def __init__(self, master: Tensor, shares: Tensor | None = None, schedule: str = "cosine", action: str = "skip"):
        super().__init__(master, shares, schedule)
        self.watched = torch.zeros(len(_WATCHED), len(master), 1, dtype=torch.float64, device=master.device)
        self.limit = torch.zeros(len(master), dtype=master.dtype, device=master.device)
        self.update = _by(schedule, action)

    def set(
        self,
        slot: int,
        settings: AdamWSettings,
        done: int = 0,
        moments: Tensor | None = None,
        watched: Tensor | None = None,
    ) -> None:
        """As `StackAdamW.set`; `watched` is what the method of this name returned."""
        super().set(slot, settings, done, moments)
        with torch.no_grad():
            known = torch.zeros(len(_WATCHED), dtype=torch.float64) if watched is None else watched.double().cpu()
            known[_WATCHED.index("spread")] = settings.spread
            known[_WATCHED.index("window")] = settings.window
            self.watched[:, slot, 0] = known

    def watched_of(self, slot: int) -> Tensor:
        """A copy of what is known of a slot's gradients."""
        return self.watched[:, slot, 0].clone()

    @torch.no_grad()
    def step(self, gradient: Tensor) -> Tensor:
        norm, self.limit = self.update(
            self.master, gradient, self.first, self.second, self.table, self.watched, self.shares
        )
        return norm


def guarded(
    master: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    table: Tensor,
    watched: Tensor,
    shares: Tensor | None,
    schedule: str,
    action: str,
) -> tuple[Tensor, Tensor]:
    """One step in place, as `train_probe.stack.adamw.update`; returns gradient norms and their limits, [M] each."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    mean, variance, seen, skipped, spread, window = watched
    length, active = norm.double(), running(table)
    limit = torch.where(seen >= window, mean + spread * variance.sqrt(), torch.inf)
    broken = ~torch.isfinite(length)
    spike = ((length > limit) | broken) & active
    skip = spike if action == "skip" else spike & broken
    by = coefficients(table, norm, master.dtype, schedule, skipped)
    short = by.short
    if action == "shrink":
        short = torch.where(spike, torch.minimum(short, (mean / (length + 1e-6)).to(short.dtype)), short)
    still = Coefficients(
        short.masked_fill(skip, 1.0),
        by.fresh1.masked_fill(skip, 0.0),
        by.beta2.masked_fill(skip, 1.0),
        by.fresh2.masked_fill(skip, 0.0),
        by.size.masked_fill(skip, 0.0),
        by.spread.masked_fill(skip, 1.0),
        by.epsilon,
        by.fade.masked_fill(skip, 0.0),
    )
    apply(master, torch.where(skip, 0.0, gradient), first, second, still, shares)
    told = torch.where(spike, torch.where(torch.isfinite(limit), limit, mean), length)
    part = torch.where(active, 1 / torch.minimum(seen + 1, window.clamp_min(1)), 0.0)
    apart = torch.where(active, told - mean, 0.0)
    mean += part * apart
    variance.copy_((1 - part) * (variance + part * apart.square()))
    seen += active
    skipped += skip
    return norm[:, 0], limit[:, 0].to(norm.dtype)


def _by(schedule: str, action: str) -> Callable[..., tuple[Tensor, Tensor]]:
    def chosen(
        master: Tensor,
        gradient: Tensor,
        first: Tensor,
        second: Tensor,
        table: Tensor,
        watched: Tensor,
        shares: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        return guarded(master, gradient, first, second, table, watched, shares, schedule, action)

    return chosen
