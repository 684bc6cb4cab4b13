"""Mixtures of experts in a stack: every slot routes its own tokens to its own experts.

As `train_probe.model` does: a token goes to its `top_k` most probable experts, weighed by the probability for one
(Switch, arXiv 2101.03961), renormalised for more (Mixtral, arXiv 2401.04088). In training an expert takes
`capacity_factor` times its even share of its slot's tokens, the first that come.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from train_probe.architecture import Architecture


def mixed_experts(
    one: Architecture,
    x: Tensor,
    router: Tensor,
    mlp: Callable[[Tensor], Tensor],
    counted: Tensor | None,
    training: bool,
) -> tuple[Tensor, Tensor]:
    """What experts add to tokens x [M, n, d], and how unevenly the counted ones go to them [M]
    (`train_probe.model.Block`).

    `router` is [M, expert, d]; `mlp` maps [M, expert, place, d] to the same shape. Tokens that are not in `counted`
    [M, n] take no expert's place and get no output. Out of training there is no limit, and the number of places is read
    from the device.
    """
    slots, count, width = x.shape
    probability = torch.bmm(x, router.mT).softmax(2, dtype=torch.promote_types(x.dtype, torch.float32))
    weight, chosen = probability.topk(one.top_k, 2)
    if one.top_k > 1:
        weight = weight / weight.sum(2, keepdim=True)
    expert = chosen.flatten(1)  # token after token, its k choices side by side
    assigned = F.one_hot(expert, one.experts)
    taken = None if counted is None else counted.repeat_interleave(one.top_k, 1)
    if taken is not None:
        assigned = assigned * taken[..., None]
    place = assigned.cumsum(1).gather(2, expert[..., None])[..., 0] - 1
    if not training:
        places = int(assigned.sum(1).max())
        fits = place < places
    else:
        places = math.ceil(one.capacity_factor * one.top_k * count / one.experts)
        fits = place < places
        if counted is not None:  # each slot's own capacity, from the tokens that it has
            own = one.capacity_factor * one.top_k * counted.sum(1, keepdim=True, dtype=torch.float64) / one.experts
            fits = place < own.ceil()
    if taken is not None:
        fits = fits & taken
    # Every expert's places side by side, and one more for what no expert takes.
    spare = one.experts * places
    index = torch.where(fits, expert * places + place, spare)
    rows = torch.arange(slots, device=x.device)[:, None]
    held = x.new_zeros(slots, spare + 1, width).index_put((rows, index), x.repeat_interleave(one.top_k, 1))
    added = mlp(held[:, :-1].view(slots, one.experts, places, width)).flatten(1, 2)
    added = torch.cat([added, added.new_zeros(slots, 1, width)], 1)
    added = (added[rows, index].view(slots, count, one.top_k, width) * weight[..., None]).sum(2)
    return added, imbalance(one, probability, assigned, counted)


def imbalance(one: Architecture, probability: Tensor, assigned: Tensor, counted: Tensor | None) -> Tensor:
    """Of each slot [M]: its counted tokens x experts x the sum over experts of the share of its choices that fall on
    one, from `assigned` [M, n k, expert], and the mean probability of it, from `probability` [M, n, expert]."""
    if counted is None:
        tokens = probability.new_full((len(probability),), probability.shape[1])
    else:
        tokens = counted.sum(1).to(probability.dtype)
        probability = probability * counted[..., None]
    going = assigned.sum(1) / (tokens * one.top_k).clamp_min(1)[:, None]
    return one.experts * (going * probability.sum(1)).sum(1)
