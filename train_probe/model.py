"""GPT2-RoPE, the architecture of the knowledge-capacity papers, as one readable model.

Pre-LN blocks with bias, GELU, a head tied to the token embedding, and rotary positions on a quarter of each head
(Allen-Zhu & Li, arXiv 2404.05405; rotary as in GPT-NeoX). In the paper d = 64 h; here d is a field of its own, so that
smaller models than one paper head exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train_probe.capacity import gpt2_parameters

ROTARY_BASE = 10_000.0
ROTARY_SHARE = 4  # one quarter of each head is rotated
INITIAL_DEVIATION = 0.02


@dataclass(frozen=True)
class Shape:
    """Layers l, heads h, width d and rows of the embedding V of a GPT2-RoPE."""

    layers: int
    heads: int
    width: int
    vocabulary: int

    @property
    def name(self) -> str:
        """The paper's name of the architecture, `GPT2-l-h`, with the width where it is not 64 h."""
        narrow = "" if self.width == 64 * self.heads else f"-d{self.width}"
        return f"GPT2-{self.layers}-{self.heads}{narrow}"

    def parameters(self, vocabulary: int | None = None) -> int:
        """P = l (12 d^2 + 13 d) + 2 d + V d: tied head once, V rows for the tokens that occur (2404.05405)."""
        rows = self.vocabulary if vocabulary is None else vocabulary
        return gpt2_parameters(self.layers, self.width, rows)


class Rotary(nn.Module):
    """Rotates the first quarter (at least two) of each head's dimensions by an angle that grows with the position."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, head: int, context: int) -> None:
        super().__init__()
        self.dimensions = max(2, head // ROTARY_SHARE // 2 * 2)
        frequency = ROTARY_BASE ** (-torch.arange(0, self.dimensions, 2).double() / self.dimensions)
        angle = torch.arange(context).double()[:, None] * frequency
        self.register_buffer("cosine", torch.cat([angle.cos(), angle.cos()], 1).float(), persistent=False)
        self.register_buffer("sine", torch.cat([-angle.sin(), angle.sin()], 1).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x is [..., position, head dimension]."""
        length = x.shape[-2]
        turned, kept = x[..., : self.dimensions], x[..., self.dimensions :]
        turned = turned * self.cosine[:length] + turned.roll(self.dimensions // 2, -1) * self.sine[:length]
        return torch.cat([turned, kept], -1)


class Block(nn.Module):
    """Attention, then an MLP of inner width 4 d, each behind a layer norm and added to the residual stream."""

    def __init__(self, shape: Shape, rotary: Rotary) -> None:
        super().__init__()
        d = shape.width
        self.heads = shape.heads
        self.rotary = rotary
        self.attention_norm = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.project = nn.Linear(d, d)
        self.mlp_norm = nn.LayerNorm(d)
        self.widen = nn.Linear(d, 4 * d)
        self.narrow = nn.Linear(4 * d, d)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, d = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(rows, length, 3, self.heads, d // self.heads)
        query_key = self.rotary(qkv[:, :, :2].permute(2, 0, 3, 1, 4))
        value = qkv[:, :, 2].transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query_key[0], query_key[1], value, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).reshape(rows, length, d))
        return x + self.narrow(F.gelu(self.widen(self.mlp_norm(x))))


class TiedLoss(torch.autograd.Function):
    """Summed cross-entropy of hidden states against a tied embedding, with its gradients taken in the forward pass.

    At d = 32 the logits are most of what a step touches: turning them into their own gradient in place halves the step.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
        gradient = torch.softmax(hidden @ embedding.T, 1)
        index = targets[:, None]
        # Below the smallest float the reported loss stops at 87 nats a token; the gradient is exact all the same.
        loss = -gradient.gather(1, index).clamp_min(torch.finfo(gradient.dtype).tiny).log().sum()
        gradient.scatter_add_(1, index, gradient.new_full(index.shape, -1.0))
        ctx.save_for_backward(gradient @ embedding, gradient.T @ hidden)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden, embedding = ctx.saved_tensors
        return hidden * gradients[0], embedding * gradients[0], None


class GPT2RoPE(nn.Module):
    """A GPT2-RoPE with N(0, 0.02) weights and zero biases drawn from `seed`, for rows of at most `context` tokens."""

    def __init__(self, shape: Shape, context: int, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        rotary = Rotary(shape.width // shape.heads, context)
        self.blocks = nn.ModuleList(Block(shape, rotary) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, 0.0, INITIAL_DEVIATION, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        count = sum(parameter.numel() for parameter in self.parameters())
        assert count == shape.parameters(), f"{count} parameters where the formula says {shape.parameters()}"

    def hidden(self, tokens: Tensor) -> Tensor:
        """Final hidden states [rows, length, d] of token ids [rows, length]."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [rows, length, V] of the token after each position."""
        return self.hidden(tokens) @ self.embedding.weight.T

    def loss(self, rows: Tensor) -> Tensor:
        """Summed loss in nats of every token of `rows` [rows, length] but the first of each row."""
        hidden = self.hidden(rows[:, :-1])
        return TiedLoss.apply(hidden.reshape(-1, self.shape.width), self.embedding.weight, rows[:, 1:].reshape(-1))
