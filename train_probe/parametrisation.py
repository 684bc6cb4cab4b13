"""How weights are drawn, and how fast each kind of them learns, by the width of the model.

At one width any constant can be made to fit. Over widths, what a layer adds and what a step changes must stay of one
size (Yang et al., "Tensor Programs V", arXiv 2203.03466, table 3 for Adam): matrices are drawn with 1/sqrt(fan-in) and
learn with 1/width, a head of its own among them. An embedding that is the head too keeps its deviation and its rate,
and the gain of the last norm makes up for the width: between the 1 of an embedding and the 1/width of a head,
1/sqrt(width) measured best. What is added to the residual stream begins at zero. With that the best rate still rose a
little with the width, on text and facts alike, so that all rates are multiplied by width^0.15. Found at widths 8 to
256: docs/results/initialisation.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

from train_probe.architecture import Architecture

GPT2_DEVIATION = 0.02
"""Standard deviation of GPT-2's matrices, whose width is 768 and more; there it is about half of 1/sqrt(width)."""
EMBEDDING_DEVIATION = 0.1
"""Standard deviation of the embedding with `fan-in`: larger and smaller ones measured worse at widths 16 and 128."""
WIDTH = 16
"""The width at which all weights learn with the learning rate itself."""
RISE = 0.15
"""The power of the width that all rates are multiplied by."""


def deviation(one: Architecture, name: str, shape: tuple[int, ...]) -> float:
    """The standard deviation of the normal distribution that a matrix, or the embedding, is drawn from."""
    by_width = one.initialisation == "fan-in"
    if name == "embedding.weight":
        usual = EMBEDDING_DEVIATION if by_width else GPT2_DEVIATION
        return usual if one.embedding_deviation is None else one.embedding_deviation
    usual = shape[-1] ** -0.5 if by_width else GPT2_DEVIATION
    if name.endswith((".project.weight", ".narrow.weight")):
        share = (0.0 if by_width else 1.0) if one.residual_outputs is None else one.residual_outputs
        return usual * share
    return usual


def drawn(one: Architecture, name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """The first weights of a parameter of `layout(one, vocabulary)`: matrices normal, biases zero, the gains of norms
    one, but for that of the last with `fan-in`."""
    if name.endswith("bias"):
        return torch.zeros(shape)
    if len(shape) == 1:
        return torch.full(shape, last_gain(one) if name == "norm.weight" else 1.0)
    return torch.empty(shape).normal_(0.0, 1.0, generator=generator) * deviation(one, name, shape)


def last_gain(one: Architecture) -> float:
    """The gain of the norm before the head at first."""
    return (WIDTH / one.width) ** 0.5 if one.initialisation == "fan-in" and one.tied else 1.0


def rate_share(one: Architecture, name: str) -> float:
    """The learning rate of a parameter as a share of the run's, where rates go by width: matrices 1/width, a head of
    its own among them, the norm before a tied head 1/sqrt(width), all others 1; all times width^0.15, in widths of
    `WIDTH`."""
    width = one.width / WIDTH
    if name in ("norm.weight", "norm.bias") and one.tied:
        return width ** (RISE - 0.5)
    if name == "embedding.weight" or name.endswith("bias") or "norm" in name:
        return width**RISE
    return width ** (RISE - 1)
