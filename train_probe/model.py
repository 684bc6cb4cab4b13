"""The readable reference of every architecture that the probe trains: one transformer, its choices as named fields.

Pre-norm blocks of attention with rotary positions and of an MLP: plain, gated, none, or a mixture of experts. With the
fields of `architecture("gpt2", ...)` this is the GPT2-RoPE of Allen-Zhu & Li (arXiv 2404.05405; rotary as in GPT-NeoX).
In the paper d = 64 h; here d is a field of its own, so that smaller models than one paper head exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train_probe.architecture import ACTIVATIONS, NORMS, Architecture, layout
from train_probe.parametrisation import drawn

ACTIVATION: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "silu": F.silu}
"""Each name of `ACTIVATIONS` and its function, for the stack too."""

NORM: dict[str, Callable[[Architecture], nn.Module]] = {
    "layer": lambda one: nn.LayerNorm(one.width, one.norm_epsilon, bias=one.bias),
    "rms": lambda one: nn.RMSNorm(one.width, one.norm_epsilon),
}

assert set(ACTIVATION) == set(ACTIVATIONS) and set(NORM) == set(NORMS), "train_probe/architecture.py names others"


class Rotary(nn.Module):
    """Rotates the first `architecture.rotated` of each head's dimensions by an angle that grows with the position."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, architecture: Architecture, context: int) -> None:
        super().__init__()
        self.dimensions = architecture.rotated
        frequency = architecture.rotary_base ** (-torch.arange(0, self.dimensions, 2).double() / self.dimensions)
        angle = torch.arange(context).double()[:, None] * frequency
        self.register_buffer("cosine", torch.cat([angle.cos(), angle.cos()], 1).float(), persistent=False)
        self.register_buffer("sine", torch.cat([-angle.sin(), angle.sin()], 1).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x is [..., position, head dimension]."""
        length = x.shape[-2]
        turned, kept = x[..., : self.dimensions], x[..., self.dimensions :]
        turned = turned * self.cosine[:length] + turned.roll(self.dimensions // 2, -1) * self.sine[:length]
        return torch.cat([turned, kept], -1)


class ExpertLinear(nn.Module):
    """One linear layer for each expert: [expert, token, in] -> [expert, token, out]."""

    def __init__(self, experts: int, into: int, out: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, out, into))
        self.bias = nn.Parameter(torch.empty(experts, out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        product = x @ self.weight.mT
        return product if self.bias is None else product + self.bias[:, None]


class Mlp(nn.Module):
    """narrow(activation(widen x)), or with a gate narrow(activation(gate x) * widen x); experts side by side."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        d, f, experts, bias = architecture.width, architecture.inner, architecture.experts, architecture.bias

        def linear(into: int, out: int) -> nn.Module:
            return ExpertLinear(experts, into, out, bias) if experts else nn.Linear(into, out, bias)

        self.activation = ACTIVATION[architecture.activation]
        self.widen = linear(d, f)
        self.gate = linear(d, f) if architecture.gated else None
        self.narrow = linear(f, d)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is None:
            return self.narrow(self.activation(self.widen(x)))
        return self.narrow(self.activation(self.gate(x)) * self.widen(x))


def routed(logits: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """The experts [token, k] of each token, most probable first, and their weights [token, k], from the router's
    `logits` [token, expert].

    For k = 1 the weight is the expert's probability (Switch, Fedus et al., arXiv 2101.03961): renormalised it would be
    1, without a gradient for the router. For k > 1 the weights of the chosen add up to 1 (Mixtral, arXiv 2401.04088).
    """
    weight, chosen = logits.softmax(1).topk(top_k, 1)
    return chosen, weight if top_k == 1 else weight / weight.sum(1, keepdim=True)


class Block(nn.Module):
    """Attention, then an MLP (if there is one), each after a norm and added to the residual stream.

    `imbalance` is that of the last batch in training: tokens x experts x sum over experts of the share of the tokens
    that go there and the mean probability of going there (Fedus et al., arXiv 2101.03961, equation 4).
    """

    imbalance: Tensor | float = 0.0

    def __init__(self, architecture: Architecture, rotary: Rotary) -> None:
        super().__init__()
        self.architecture, self.rotary = architecture, rotary
        d, bias = architecture.width, architecture.bias
        self.attention_norm = NORM[architecture.norm](architecture)
        self.qkv = nn.Linear(d, d + 2 * architecture.groups * architecture.head_width, bias)
        self.project = nn.Linear(d, d, bias)
        if architecture.inner:
            self.mlp_norm = NORM[architecture.norm](architecture)
            if architecture.experts:
                self.router = nn.Linear(d, architecture.experts, bias=False)
            self.mlp = Mlp(architecture)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.project(self._attention(self.attention_norm(x)))
        if not self.architecture.inner:
            return x
        normed = self.mlp_norm(x)
        if not self.architecture.experts:
            return x + self.mlp(normed)
        return x + self._experts(normed.flatten(0, 1)).view_as(x)

    def _attention(self, x: Tensor) -> Tensor:
        """The heads' mixed values [row, position, d]. `qkv` holds all heads' queries, then keys, then values."""
        rows, length, d = x.shape
        heads, groups = self.architecture.heads, self.architecture.groups
        qkv = self.qkv(x).view(rows, length, heads + 2 * groups, self.architecture.head_width).transpose(1, 2)
        turned, value = self.rotary(qkv[:, : heads + groups]), qkv[:, heads + groups :]
        query, key = turned[:, :heads], turned[:, heads:]
        if groups < heads:
            # Head i reads keys and values i // (heads / groups).
            key, value = (one.repeat_interleave(heads // groups, 1) for one in (key, value))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(rows, length, d)

    def _experts(self, x: Tensor) -> Tensor:
        """What the experts add to each token; x is [token, d].

        In training an expert takes `capacity_factor` times its even share of the batch's tokens, the first that come in
        token order; a token over capacity keeps its residual alone. Out of training (`model.eval()`) there is no limit:
        what a model knows must not depend on which rows are scored together.
        """
        one = self.architecture
        logits = self.router(x)
        chosen, weight = routed(logits, one.top_k)
        expert = chosen.flatten()  # token after token, its k choices side by side
        assigned = F.one_hot(expert, one.experts)
        if self.training and one.balance:
            going = assigned.sum(0).to(x.dtype) / len(expert)
            self.imbalance = len(x) * one.experts * (going * logits.softmax(1).mean(0)).sum()
        place = assigned.cumsum(0).gather(1, expert[:, None])[:, 0] - 1
        if self.training:
            places = math.ceil(one.capacity_factor * one.top_k * len(x) / one.experts)
        else:
            places = int(assigned.sum(0).max())
        # Every expert's places side by side, and one more for what no expert takes.
        slot = torch.where(place < places, expert * places + place, one.experts * places)
        taken = x.new_zeros(one.experts * places + 1, x.shape[1])
        taken = taken.index_put((slot,), x.repeat_interleave(one.top_k, 0))
        added = self.mlp(taken[:-1].view(one.experts, places, -1)).flatten(0, 1)
        added = torch.cat([added, added.new_zeros(1, x.shape[1])])
        return (added[slot].view(len(x), one.top_k, -1) * weight[..., None]).sum(1)


class Transformer(nn.Module):
    """A model of an architecture over `vocabulary` tokens, for rows of at most `context` tokens.

    Parameters are those of `layout(architecture, vocabulary)`, drawn in its order from `seed` as
    `train_probe.parametrisation` says.
    """

    def __init__(self, architecture: Architecture, vocabulary: int, context: int, seed: int) -> None:
        super().__init__()
        self.architecture, self.vocabulary, self.context = architecture, vocabulary, context
        self.embedding = nn.Embedding(vocabulary, architecture.width)
        rotary = Rotary(architecture, context)
        self.blocks = nn.ModuleList(Block(architecture, rotary) for _ in range(architecture.layers))
        self.norm = NORM[architecture.norm](architecture)
        if not architecture.tied:
            self.head = nn.Linear(architecture.width, vocabulary, bias=False)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(drawn(architecture, name, tuple(parameter.shape), generator))
        shapes = [(name, tuple(parameter.shape)) for name, parameter in self.named_parameters()]
        assert shapes == layout(architecture, vocabulary), "the model and the layout of its architecture differ"

    @property
    def head_weight(self) -> Tensor:
        """The head's rows [V, d]: the embedding's where it is tied."""
        return self.embedding.weight if self.architecture.tied else self.head.weight

    def hidden(self, tokens: Tensor) -> Tensor:
        """Final hidden states [rows, length, d] of token ids [rows, length]."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [rows, length, V] of the token after each position."""
        return self.hidden(tokens) @ self.head_weight.T

    def loss(self, rows: Tensor) -> Tensor:
        """Summed loss in nats of every token of `rows` [rows, length] but the first of each row; in training with the
        experts' imbalance, where it has a weight."""
        nats = F.cross_entropy(self(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), reduction="sum")
        if not (self.training and self.architecture.balance):
            return nats
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        return nats + self.architecture.balance * sum(block.imbalance for block in blocks)
