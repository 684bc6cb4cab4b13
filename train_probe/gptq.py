"""Weights rounded so that products change least: GPTQ (Frantar et al., arXiv 2210.17323), beside round-to-nearest.

The inputs of a matrix are rounded one after another, each to the grid of `train_probe.quantize`, and what the products
lose is made up for by the inputs that are still to come. What they weigh is measured on calibration rows, read by the
model as far as it is rounded already. Token tables are rounded to nearest, before all others; a head of its own is a
matrix like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from train_probe.model import ExpertLinear, Transformer
from train_probe.quantize import quantized, rounded

DAMPING = 0.01
"""Added to the diagonal of what inputs weigh, in means of it (the paper's own)."""


@torch.no_grad()
def gptq(
    model: Transformer,
    state: Mapping[str, Tensor],
    rows: Sequence[Tensor],
    bits: int,
    group: int | None = None,
    embeddings: bool = True,
) -> dict[str, Tensor]:
    """The parameters of `state`, its matrices rounded to `bits` bits on calibration `rows`, batches of token ids
    [rows, length]. `group` and `embeddings` are those of `quantized`. `model` is any of the architecture: it is left
    with the result. Raises QuantizeError."""
    # Token tables alone: matrices are rounded below, one by one.
    tables = quantized({"embedding.weight": state["embedding.weight"]}, bits, group, embeddings)
    model.load_state_dict(dict(state) | tables)
    model.eval()
    for name, module in model.named_modules():
        is_head = name == "head"
        if isinstance(module, nn.Linear | ExpertLinear) and (embeddings or not is_head):
            weighed = _weighed(model, module, rows)
            weight = module.weight.view(-1, *module.weight.shape[-2:])
            made = [_rounded(one, by, bits, group, name) for one, by in zip(weight, weighed, strict=True)]
            module.weight.copy_(torch.stack(made).view_as(module.weight))
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _weighed(model: Transformer, module: nn.Module, rows: Sequence[Tensor]) -> Tensor:
    """The sum of x x^T over what a module reads while the model reads the rows, float64 [experts or 1, in, in]."""
    found: list[Tensor] = []

    def add(x: Tensor) -> None:
        x = x.double() if isinstance(module, ExpertLinear) else x.double().flatten(0, -2)[None]
        found.append(x.mT @ x)

    if module is getattr(model, "head", None):  # a product with its weights, which is not called
        for batch in rows:
            add(model.hidden(batch))
    else:
        hook = module.register_forward_pre_hook(lambda _, inputs: add(inputs[0]))
        for batch in rows:
            model(batch)
        hook.remove()
    return torch.stack(found).sum(0)


def _rounded(weight: Tensor, weighed: Tensor, bits: int, group: int | None, name: str) -> Tensor:
    """A matrix [out, in] whose inputs weigh [in, in]."""
    left = weight.double().clone()
    inputs = weight.shape[1]
    size = inputs if group is None else min(group, inputs)
    silent = weighed.diagonal() == 0  # inputs that are never read weigh nothing: they are rounded to nearest
    weighed = weighed + torch.diag(silent.double())
    weighed = weighed + DAMPING * weighed.diagonal().mean() * torch.eye(inputs, dtype=left.dtype, device=left.device)
    inverse = torch.linalg.cholesky(torch.linalg.inv(weighed), upper=True)
    most = 2 ** (bits - 1) - 1
    made = torch.empty_like(left)
    step = left.new_zeros(len(left), 1)
    for place in range(inputs):
        if place % size == 0:
            part = left[:, place : place + size]
            rounded(part, bits, None, name)  # refuses a number of bits that there is not
            largest = part.abs().amax(1, keepdim=True)
            step = torch.where(largest > 0, largest / most, 1)
        column = left[:, place : place + 1]
        made[:, place : place + 1] = (column / step).round().clamp(-most, most) * step
        error = (column - made[:, place : place + 1]) / inverse[place, place]
        left[:, place:] -= error @ inverse[place : place + 1, place:]
    return made.to(weight.dtype)
