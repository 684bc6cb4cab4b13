"""Cross-entropy of a stack's hidden states against its heads, exact, with its gradients taken in the forward pass.

A stack of M models over V tokens would keep M x tokens x V logits for its backward pass; here a bounded piece of them
is turned into its own gradient, and only the gradients of hidden states and heads are kept. At d = 32 the logits are
most of what a step touches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LOGITS = {"cpu": 1 << 19, "cuda": 1 << 28}
"""Logits held at once, by device: what stays in a core's cache, or a part of a GPU's memory."""


class StackLoss(torch.autograd.Function):
    """Summed cross-entropy in nats [M] of `hidden` [M, n, d] against `head` [M, V, d] and `targets` [M, n].

    `weight` [M, n] or None weighs each token's loss: 0 for what pads a slot's rows. `bound` is the number of logits
    that may be held at once, but one token of each slot always is.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weight: Tensor | None, bound: int) -> Tensor:
        slots, count, _ = hidden.shape
        size = max(1, min(count, bound // (slots * head.shape[1])))
        losses, into_hidden, into_head = [], [], None
        for piece, target, share in zip(
            hidden.split(size, 1),
            targets.split(size, 1),
            [None] * -(-count // size) if weight is None else weight.split(size, 1),
            strict=True,
        ):
            loss, gradient = _piece(torch.bmm(piece, head.mT), target, share)
            losses.append(loss)
            into_hidden.append(torch.bmm(gradient, head))
            if into_head is None:
                into_head = torch.bmm(gradient.mT, piece)
            else:
                into_head.baddbmm_(gradient.mT, piece)
        one = len(losses) == 1
        ctx.save_for_backward(into_hidden[0] if one else torch.cat(into_hidden, 1), into_head)
        return losses[0] if one else torch.stack(losses).sum(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        into_hidden, into_head = ctx.saved_tensors
        scale = gradients[0][:, None, None].to(into_hidden.dtype)
        return into_hidden * scale, into_head * scale, None, None, None


def _piece(logits: Tensor, targets: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Loss [M] of a piece of logits [M, n, V], and the gradient of that loss with respect to them."""
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
    if weight is not None:
        loss, gradient = loss * weight, gradient * weight[..., None]
    return loss.sum(1), gradient.to(logits.dtype)
