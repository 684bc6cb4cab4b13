"""Weights rounded to a few bits, to ask how much of its knowledge a model keeps (arXiv 2404.05405, result 8).

Round-to-nearest, symmetric: within a group of weights of one output channel the step is the largest weight divided by
2^(bits - 1) - 1, and every weight goes to the nearest multiple of the step. Norms and biases stay as they are: they are
few, and formats in use keep them too.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from curate.errors import Refused

NARROWEST, WIDEST = 2, 8
TABLES = ("embedding.weight", "head.weight")
"""Tables of the vocabulary, which the switch `embeddings` leaves alone; a tied head is the embedding."""


class QuantizeError(Refused):
    """Weights that cannot be rounded as asked; the message says what is allowed."""


def quantized(
    state: Mapping[str, Tensor], bits: int, group: int | None = None, embeddings: bool = True
) -> dict[str, Tensor]:
    """The parameters of a reference model, its matrices rounded to `bits` (2 to 8) bits.

    Matrices are [..., out, in]: those of experts or of M models at once have leading dimensions. `group` is how many
    inputs of an output channel share a step (usual: 32 to 128; the last group may hold fewer), all of them where None.
    `embeddings` says whether token tables are rounded too. New tensors of the same types and shapes; what is not
    rounded is the same tensor. Raises QuantizeError.
    """
    return {
        name: rounded(weight, bits, group, name) if _is_matrix(name) and (embeddings or name not in TABLES) else weight
        for name, weight in state.items()
    }


def rounded(weight: Tensor, bits: int, group: int | None = None, name: str = "a matrix") -> Tensor:
    """A matrix [..., out, in] rounded to `bits` bits, `group` inputs with a step of their own. Raises QuantizeError."""
    if not NARROWEST <= bits <= WIDEST:
        raise QuantizeError(f"weights must be rounded to {NARROWEST} to {WIDEST} bits, not to {bits}")
    inputs = weight.shape[-1]
    size = inputs if group is None else min(group, inputs)
    if size < 1:
        raise QuantizeError(f"{name}: a group must hold at least one input, not {group}")
    # Zeros fill up a last group that is shorter: they change no step.
    parts = F.pad(weight, (0, -inputs % size)).unflatten(-1, (-1, size))
    most = 2 ** (bits - 1) - 1
    largest = parts.abs().amax(-1, keepdim=True)
    # A group of zeros stays zero, whatever its step.
    step = torch.where(largest > 0, largest / most, 1)
    return ((parts / step).round().clamp(-most, most) * step).flatten(-2)[..., :inputs]


def _is_matrix(name: str) -> bool:
    """By the names of `layout`: dimensions do not decide, as M norms at once are a matrix too."""
    return name.endswith(".weight") and not name.rpartition(".")[0].endswith("norm")
