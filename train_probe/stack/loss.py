"""Cross-entropy of a stack's hidden states against its heads, exact, with its gradients taken in the forward pass.

A stack of M models over V tokens would keep M x tokens x V logits for its backward pass; here a bounded piece of them
is turned into its own gradient, and only the gradients of hidden states and heads are kept. At d = 32 the logits are
most of what a step touches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LOGITS = {"cpu": (1 << 17, 1 << 19), "cuda": (1 << 22, 1 << 28)}
"""Logits held at once, of a slot and of all: what stays in a core's cache, or a part of a GPU's memory."""


class StackLoss(torch.autograd.Function):
    """Summed cross-entropy in nats [M] of `hidden` [M, n, d] against `head` [M, V, d] and `targets` [M, n].

    `weight` [M, n] or None weighs each token's loss: 0 for what pads a slot's rows. `held` is the number of logits that
    may be held at once of a slot and of all slots; one token's always may. A slot's pieces depend on the first alone,
    so that its sums are added in one order whatever the other slots are.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weight: Tensor | None, held: tuple[int, int]
    ) -> Tensor:
        size = max(1, min(hidden.shape[1], held[0] // head.shape[1]))
        group = max(1, held[1] // (size * head.shape[1]))
        groups = [
            _group(hidden[i : i + group], head[i : i + group], targets[i : i + group],
                   None if weight is None else weight[i : i + group], size)
            for i in range(0, len(hidden), group)
        ]  # fmt: skip
        loss, into_hidden, into_head = (_joined(list(parts), 0) for parts in zip(*groups, strict=True))
        ctx.save_for_backward(into_hidden, into_head)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        into_hidden, into_head = ctx.saved_tensors
        scale = gradients[0][:, None, None].to(into_hidden.dtype)
        return into_hidden * scale, into_head * scale, None, None, None


def _group(
    hidden: Tensor, head: Tensor, targets: Tensor, weight: Tensor | None, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss and gradients, into hidden states and head, of some slots, `size` tokens of each at a time."""
    losses, into_hidden, into_head = [], [], None
    for i in range(0, hidden.shape[1], size):
        piece = hidden[:, i : i + size]
        share = None if weight is None else weight[:, i : i + size]
        loss, gradient = _piece(torch.bmm(piece, head.mT), targets[:, i : i + size])
        back = torch.bmm(gradient, head)
        if share is not None:  # d numbers a token to weigh, where logits would be V
            share = share[..., None]
            loss, back, piece = loss * share[..., 0], back * share.to(back.dtype), piece * share.to(piece.dtype)
        losses.append(loss.sum(1))
        into_hidden.append(back)
        if into_head is None:
            into_head = torch.bmm(gradient.mT, piece)
        else:
            into_head.baddbmm_(gradient.mT, piece)
    assert into_head is not None, "a loss of no tokens"
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum(0), _joined(into_hidden, 1), into_head


def _joined(parts: list[Tensor], dimension: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dimension)


def _piece(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Loss [M, n] of each token of a piece of logits [M, n, V], and the gradient of their sum."""
    index = targets[..., None]
    wide = torch.float32 if logits.dtype in (torch.bfloat16, torch.float16) else logits.dtype
    top = logits.amax(2, keepdim=True)
    wanted = (logits.gather(2, index) - top).to(wide)
    gradient = torch.softmax(logits, 2, dtype=wide)
    # The most probable token has exp(0) / sum: the sum's logarithm without a second pass of exponentials.
    loss = (-gradient.amax(2, keepdim=True).log() - wanted)[..., 0]
    if torch.compiler.is_compiling():  # a part of the same pass, where a scatter would be a pass of its own
        gradient = torch.where(torch.arange(logits.shape[2], device=logits.device) == index, gradient - 1, gradient)
    else:
        gradient.scatter_add_(2, index, gradient.new_full(index.shape, -1.0))
    return loss, gradient.to(logits.dtype)
