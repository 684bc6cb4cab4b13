"""Many models of one architecture as one program: M slots, each a model of its own, trained side by side.

The weights of all slots are views of one buffer [M, P], a row a slot, in the order of `layout`: a checkpoint is a row,
a refill is a copy, and the optimiser sees one tensor. Products are batched over slots; attention's batch is the rows of
all slots. No operation mixes slots, so none can change another: what a slot computes is what
`train_probe.model.Transformer` computes, as the tests check.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from train_probe.architecture import NORMS, Architecture, layout
from train_probe.model import ACTIVATION
from train_probe.parametrisation import drawn, rate_share
from train_probe.stack.experts import mixed_experts
from train_probe.stack.loss import LOGITS, StackLoss

SHORT = 32
"""Rows up to this length take plain attention on a CPU: each head of each row costs the fused one a fixed time."""

NORM: dict[str, Callable[..., Tensor]] = {"layer": F.layer_norm, "rms": F.rms_norm}
"""Norms without their weights, which differ from slot to slot."""

assert set(NORM) == set(NORMS), "train_probe/architecture.py names other norms"


class Stack:
    """`slots` models of `architecture` over `vocabulary` tokens, for rows of at most `context` tokens.

    `master` [M, row], in `dtype` on `device`, holds every slot's P parameters, and zeros that align the next row. With
    a `compute` type (bfloat16 on CUDA) products are of that type; masters, the residual stream, norms and the loss are
    not.
    Of experts, `training` says whether their capacity is limited: False to score. `silences` says whether some tokens
    are read without a loss (see `loss`). Raises ValueError for no slots.
    """

    training = True
    silences = False

    def __init__(
        self,
        architecture: Architecture,
        vocabulary: int,
        slots: int,
        context: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        compute: torch.dtype | None = None,
    ) -> None:
        if slots < 1:
            raise ValueError(f"a stack has at least one slot, not {slots}")
        self.architecture, self.vocabulary, self.slots, self.context = architecture, vocabulary, slots, context
        self.device, self.dtype, self.compute = torch.device(device), dtype, compute or dtype
        self.layout = layout(architecture, vocabulary)
        self.sizes = [math.prod(shape) for _, shape in self.layout]
        self.parameters = sum(self.sizes)
        # Rows begin at multiples of 64 numbers: sums over a row come out the same in every slot, and loads are aligned.
        row = -(-self.parameters // 64) * 64
        self.master = torch.zeros(slots, row, dtype=dtype, device=self.device, requires_grad=True)
        self.logits = LOGITS.get(self.device.type, LOGITS["cpu"])
        half = architecture.rotated // 2
        frequency = architecture.rotary_base ** (-torch.arange(half).double() * 2 / architecture.rotated)
        angle = torch.arange(context).double()[:, None] * frequency
        # Rounded to float32 as in the reference, whatever the type of the weights.
        cosine, sine = (torch.cat(pair, 1).float() for pair in ([angle.cos()] * 2, [-angle.sin(), angle.sin()]))
        self._cosine, self._sine = (one[:, None].to(self.device, dtype) for one in (cosine, sine))
        self._first = torch.arange(slots, device=self.device)[:, None]

    # Slots

    def reset(self, slot: int, seed: int, architecture: Architecture | None = None) -> None:
        """Draw a slot's weights from `seed` as the reference does (`train_probe.parametrisation.drawn`), of an
        `architecture` with the same program."""
        one = architecture or self.architecture
        generator = torch.Generator().manual_seed(seed)
        weights = [drawn(one, name, shape, generator).flatten() for name, shape in self.layout]
        self.load(slot, torch.cat(weights))

    def rate_shares(self) -> Tensor:
        """The learning rate of each number of a row [row], as a share of the slot's; 0 for those that align rows."""
        named = zip(self.layout, self.sizes, strict=True)
        shares = [
            torch.full((size,), rate_share(self.architecture, name), dtype=torch.float64) for (name, _), size in named
        ]
        padding = torch.zeros(self.master.shape[1] - self.parameters)
        return torch.cat([*shares, padding]).to(self.device, self.dtype)

    @torch.no_grad()
    def load(self, slot: int, row: Tensor) -> None:
        """Put a model's P parameters [P], in the order of `layout`, in place of a slot's. Raises ValueError."""
        if row.shape != (self.parameters,):
            raise ValueError(f"a slot takes {self.parameters} parameters in one row, not {list(row.shape)}")
        self.master[slot, : self.parameters].copy_(row)

    @torch.no_grad()
    def read(self, slot: int) -> Tensor:
        """A copy of a slot's P parameters [P]."""
        return self.master[slot, : self.parameters].clone()

    def state(self, slot: int) -> dict[str, Tensor]:
        """A slot's parameters by their names in the reference model: its `state_dict`."""
        pieces = self.read(slot).split(self.sizes)
        return {name: piece.view(shape) for (name, shape), piece in zip(self.layout, pieces, strict=True)}

    # The models

    def weights(self) -> dict[str, Tensor]:
        """Every parameter of all slots [M, *shape] by its name: views of the masters, or of one copy in `compute`."""
        flat = self.master if self.compute == self.dtype else self.master.to(self.compute)
        pieces = flat.split([*self.sizes, flat.shape[1] - self.parameters], 1)[:-1]
        return {name: piece.view(self.slots, *shape) for (name, shape), piece in zip(self.layout, pieces, strict=True)}

    def hidden(
        self,
        tokens: Tensor,
        weights: dict[str, Tensor] | None = None,
        counted: Tensor | None = None,
        imbalances: list[Tensor] | None = None,
    ) -> Tensor:
        """Final hidden states [M, rows, length, d] of each slot's own token ids [M, rows, length].

        Where experts have a limited capacity, only the `counted` tokens [M, rows, length] use it (None: all). How
        unevenly these go to the experts of each layer [M] is added to `imbalances`.
        """
        slots, rows, length = tokens.shape
        w = self.weights() if weights is None else weights
        x = w["embedding.weight"][self._first, tokens.reshape(slots, -1)].to(self.dtype)
        taking = None
        if counted is not None and self.architecture.experts:
            taking = counted.flatten(1)
        for number in range(self.architecture.layers):
            x = self._block(x, w, f"blocks.{number}", length, taking, imbalances)
        return self._norm(x, w, "norm").view(slots, rows, length, -1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [M, rows, length, V] of the token after each position."""
        w = self.weights()
        return torch.einsum("mrld,mvd->mrlv", self.hidden(tokens, w), self._head(w))

    def loss(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Each slot's summed loss in nats [M] of every token of its rows [M, rows, length] but the first of each row,
        in training with the imbalance of its experts, where that has a weight.

        Of each row the first `lengths` [M, rows] tokens count, or all; the others must be valid token ids. With
        `silences` a token id given as its bitwise complement is read, and no loss is taken on it.
        """
        slots, rows, length = tokens.shape
        w = self.weights()
        counted = weight = None
        if lengths is not None:
            counted = torch.arange(1, length, device=tokens.device) < lengths[..., None]
            weight = counted.to(self.dtype).reshape(slots, -1)
        if self.silences:
            heard = (tokens[..., 1:] >= 0).to(self.dtype).reshape(slots, -1)
            weight = heard if weight is None else weight * heard
            tokens = torch.where(tokens < 0, ~tokens, tokens)
        imbalances: list[Tensor] = []
        hidden = self.hidden(tokens[..., :-1], w, counted, imbalances).view(slots, rows * (length - 1), -1)
        targets = tokens[..., 1:].reshape(slots, -1)
        nats: Tensor = StackLoss.apply(hidden, self._head(w), targets, weight, self.logits)
        if not (self.training and self.architecture.balance):
            return nats
        return nats + self.architecture.balance * torch.stack(imbalances).sum(0).to(nats.dtype)

    def _head(self, w: dict[str, Tensor]) -> Tensor:
        return w["embedding.weight"] if self.architecture.tied else w["head.weight"]

    def _block(
        self,
        x: Tensor,
        w: dict[str, Tensor],
        block: str,
        length: int,
        counted: Tensor | None,
        imbalances: list[Tensor] | None = None,
    ) -> Tensor:
        one = self.architecture
        mixed = self._attention(self._norm(x, w, f"{block}.attention_norm"), w, block, length)
        x = x + self._linear(mixed, w, f"{block}.project")
        if not one.inner:
            return x
        normed = self._norm(x, w, f"{block}.mlp_norm")
        if not one.experts:
            return x + self._mlp(normed, w, f"{block}.mlp")
        router = w[f"{block}.router.weight"]
        added, uneven = mixed_experts(
            one, normed, router, lambda held: self._mlp(held, w, f"{block}.mlp"), counted, self.training
        )
        if imbalances is not None:
            imbalances.append(uneven)
        return x + added

    def _mlp(self, x: Tensor, w: dict[str, Tensor], mlp: str) -> Tensor:
        wide = self._linear(x, w, f"{mlp}.widen")
        activation = ACTIVATION[self.architecture.activation]
        if not self.architecture.gated:
            return self._linear(activation(wide), w, f"{mlp}.narrow")
        gate = activation(self._linear(x, w, f"{mlp}.gate"))
        return self._linear(gate * wide, w, f"{mlp}.narrow")

    def _linear(self, x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
        """x [M, n, in] through each slot's own matrix [out, in], or [M, expert, n, in] through each expert's."""
        matrix, bias = w[f"{name}.weight"].mT, w[f"{name}.bias"] if self.architecture.bias else None
        if matrix.ndim == 4:
            shape = (*x.shape[:-1], matrix.shape[3])
            x, matrix = x.flatten(0, 1), matrix.flatten(0, 1)
            bias = None if bias is None else bias.flatten(0, 1)
            return (torch.bmm(x, matrix) if bias is None else torch.baddbmm(bias[:, None], x, matrix)).view(shape)
        return torch.bmm(x, matrix) if bias is None else torch.baddbmm(bias[:, None], x, matrix)

    def _norm(self, x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
        one = self.architecture
        normed = NORM[one.norm](x, (one.width,), eps=one.norm_epsilon)
        weight, bias = w[f"{name}.weight"][:, None], w.get(f"{name}.bias")
        normed = normed * weight if bias is None else torch.addcmul(bias[:, None], normed, weight)
        return normed.to(self.compute)

    def _attention(self, x: Tensor, w: dict[str, Tensor], block: str, length: int) -> Tensor:
        """The heads' mixed values [M, n, d]; rows of all slots are one batch. `qkv` is queries, keys, then values."""
        one = self.architecture
        qkv = self._linear(x, w, f"{block}.qkv").view(-1, length, one.heads + 2 * one.groups, one.head_width)
        both = qkv[:, :, : one.heads + one.groups]
        turned, kept = both[..., : one.rotated], both[..., one.rotated :]
        turned = turned * self._cosine[:length] + turned.roll(one.rotated // 2, -1) * self._sine[:length]
        both = torch.cat([turned.to(kept.dtype), kept], -1).transpose(1, 2)
        query, key = both[:, : one.heads], both[:, one.heads :]
        value = qkv[:, :, one.heads + one.groups :].transpose(1, 2)
        if one.groups < one.heads:
            key, value = (each.repeat_interleave(one.heads // one.groups, 1) for each in (key, value))
        if self.device.type == "cpu" and length <= SHORT:
            mixed = plain_attention(query, key, value)
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(x.shape[0], -1, one.width)


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention of [batch, head, length, width] by its definition."""
    length = query.shape[2]
    scores = (query @ key.mT) * query.shape[3] ** -0.5
    later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(3) @ value
