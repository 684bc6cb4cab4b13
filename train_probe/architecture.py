"""What a model is made of, each choice a named field: the architectures whose capacity the papers compare.

Allen-Zhu & Li, arXiv 2404.05405, section 3 and appendix: GPT2 with rotary positions, LLaMA, Mistral, and GPT2 and LLaMA
with other MLPs; mixtures of experts, section 9. No torch here: sizes are computed where no model is built.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from curate.errors import Refused, nearest
from train_probe.settings import mistakes, setting

NORMS = ("layer", "rms")
INITIALISATIONS = ("fan-in", "gpt2")
ACTIVATIONS = ("gelu", "silu")
"""Names; the functions are in `train_probe/model.py`, whose import checks that it has the same names."""


class ArchitectureError(Refused):
    """An architecture that cannot be built: the message says which choice does not fit, and what would."""


@dataclass(frozen=True)
class Architecture:
    """A causal transformer of pre-norm blocks: attention with rotary positions, then an MLP.

    Biases are those of all linear layers and, with `norm` "layer", of the norms. An expert takes at most
    `capacity_factor` times its even share of the tokens of a batch.
    A new field is declared here, with its meaning and its values, and used by `layout`, `parameters` and
    `training_flops`, where it changes sizes, by `train_probe/model.py` and by `train_probe/stack/models.py`: recipes
    and plans then accept it. Raises ArchitectureError where the choices do not fit.
    """

    layers: int = setting(..., "blocks", ge=1)
    heads: int = setting(..., "heads of queries", ge=1)
    width: int = setting(..., "width d of the residual stream", ge=1)
    inner: int = setting(..., "inner width of the MLP; 0: no MLP", ge=0)
    kv_heads: int | None = setting(None, "heads of keys and values", ge=1)
    norm: str = setting("layer", "the norm before attention, MLP and head", choices=NORMS)
    norm_epsilon: float = setting(1e-5, "added to the variance in a norm", gt=0)
    activation: str = setting("gelu", "the MLP's activation", choices=ACTIVATIONS)
    gated: bool = setting(False, "the MLP is multiplied by a second projection")
    bias: bool = setting(True, "linear layers, and layer norms, have biases")
    tied: bool = setting(True, "the head is the embedding")
    rotary_share: float = setting(0.25, "share of each head that is rotated", gt=0, le=1)
    rotary_base: float = setting(10_000.0, "pair i of a head's n rotated turns by base^(-2i/n) a position", gt=0)
    experts: int = setting(0, "experts of the MLP; 0: it is not a mixture", ge=0)
    top_k: int = setting(1, "experts that a token is routed to", ge=1)
    capacity_factor: float = setting(2.0, "the most that an expert takes, in even shares of the tokens", gt=0)
    balance: float = setting(
        0.0,
        "weight in the loss, in that which is reported too, of how unevenly tokens go to experts (2101.03961, eq. 4)",
        ge=0,
    )
    initialisation: str = setting(
        "fan-in",
        "what matrices are drawn from: N(0, 1/fan-in), or gpt2: N(0, 0.02^2) at every width",
        choices=INITIALISATIONS,
    )
    embedding_deviation: float | None = setting(
        None, "standard deviation of the embedding's normal distribution; empty: that of the initialisation", gt=0
    )
    residual_outputs: float | None = setting(
        None,
        "deviation of the matrices whose product is added to the residual stream, in those of other matrices; empty:"
        " that of the initialisation",
        ge=0,
    )

    def __post_init__(self) -> None:
        for name, mistake in mistakes(self):
            raise ArchitectureError(f"{name} {mistake}")
        if self.width % self.heads or self.head_width < 2:
            raise ArchitectureError(f"width {self.width} does not divide into {self.heads} heads of at least 2")
        if self.heads % self.groups:
            raise ArchitectureError(f"{self.heads} heads do not share {self.groups} keys and values evenly")
        if self.experts and not self.inner:
            raise ArchitectureError("experts need an inner width above 0")
        if self.experts and self.top_k > self.experts:
            raise ArchitectureError(f"top_k must be between 1 and {self.experts}, the experts, not {self.top_k}")

    @property
    def program(self) -> Architecture:
        """The architecture with the same steps: it may draw its first weights otherwise."""
        return replace(self, initialisation="fan-in", embedding_deviation=None, residual_outputs=None)

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def rotated(self) -> int:
        """Dimensions of each head that are rotated: an even number, at least two."""
        return max(2, int(self.head_width * self.rotary_share) // 2 * 2)

    def parameters(self, vocabulary: int) -> int:
        """P: every trainable parameter once, a tied head once, embedding rows of `vocabulary` tokens, all experts.

        For GPT2-RoPE this is l (12 d^2 + 13 d) + 2 d + V d.
        """
        d, f, b = self.width, self.inner, int(self.bias)
        kv = self.groups * self.head_width
        norm = d * (1 + int(self.bias and self.norm == "layer"))
        attention = d * (d + 2 * kv) + b * (d + 2 * kv) + d * d + b * d
        projections = 3 if self.gated else 2
        mlp = projections * d * f + b * ((projections - 1) * f + d) if f else 0
        if self.experts:
            mlp = self.experts * mlp + d * self.experts
        block = norm * (2 if f else 1) + attention + mlp
        return self.layers * block + norm + vocabulary * d * (1 if self.tied else 2)


def training_flops(one: Architecture, vocabulary: int, length: int) -> float:
    """Floating-point operations of training on one row of `length` tokens: 6 for each weight that a token is multiplied
    with, a head of `vocabulary` rows included, and 12 d a layer for each pair of tokens in attention (Kaplan et al.,
    arXiv 2001.08361, section 2.1, with causal attention counted once). Norms, activations and the optimiser are not
    counted."""
    d, f, seen = one.width, one.inner, length - 1
    mlp = (3 if one.gated else 2) * d * f * (one.top_k if one.experts else 1) + d * one.experts
    block = 2 * d * d + 2 * d * one.groups * one.head_width + mlp
    return seen * (6 * (one.layers * block + vocabulary * d) + 12 * one.layers * d * (seen + 1) / 2)


NARROWEST, WIDEST = 8, 4096
"""Widths of the models of a recipe: more is taken for a typing error there. A plan has no such limits."""
APART = 0.15
"""The most that the parameters of models of equal parameters differ by, as a share: results are bits a parameter."""


def equal_width(build: Callable[[int], Architecture], heads: int, wanted: int, vocabulary: int) -> int:
    """The width, of `heads` heads, at which what `build` makes of it has about `wanted` parameters over `vocabulary`
    tokens.

    Raises ArchitectureError where none comes near: small models have few widths.
    """

    def parameters(width: int) -> int:
        return build(width).parameters(vocabulary)

    widths = range(max(2 * heads, -(-NARROWEST // heads) * heads), WIDEST + 1, heads)
    above = bisect.bisect_left(widths, wanted, key=parameters)
    near = min(widths[max(0, above - 1) : above + 1], key=lambda width: abs(parameters(width) - wanted))
    if abs(parameters(near) / wanted - 1) > APART:
        raise ArchitectureError(
            f"no width has {wanted:,} parameters: {near} has {parameters(near):,}; take another size or other heads"
        )
    return near


def layout(one: Architecture, vocabulary: int) -> list[tuple[str, tuple[int, ...]]]:
    """Every parameter in its order: its name in the reference model, and its shape. Matrices are [out, in], as torch
    has them, those of experts [expert, out, in]."""
    d, f, kv = one.width, one.inner, one.groups * one.head_width
    parameters: list[tuple[str, tuple[int, ...]]] = [("embedding.weight", (vocabulary, d))]

    def norm(name: str) -> None:
        parameters.append((f"{name}.weight", (d,)))
        if one.bias and one.norm == "layer":
            parameters.append((f"{name}.bias", (d,)))

    def linear(name: str, out: int, into: int) -> None:
        outer = (one.experts,) if one.experts and ".mlp." in name else ()
        parameters.append((f"{name}.weight", (*outer, out, into)))
        if one.bias:
            parameters.append((f"{name}.bias", (*outer, out)))

    for number in range(one.layers):
        block = f"blocks.{number}"
        norm(f"{block}.attention_norm")
        linear(f"{block}.qkv", d + 2 * kv, d)
        linear(f"{block}.project", d, d)
        if f:
            norm(f"{block}.mlp_norm")
            if one.experts:
                parameters.append((f"{block}.router.weight", (one.experts, d)))
            linear(f"{block}.mlp.widen", f, d)
            if one.gated:
                linear(f"{block}.mlp.gate", f, d)
            linear(f"{block}.mlp.narrow", d, f)
    norm("norm")
    if not one.tied:
        parameters.append(("head.weight", (vocabulary, d)))
    return parameters


def _third(d: int) -> int:
    """The inner width f at which a gated MLP (3 d f parameters) has as many parameters as a plain one of 4 d."""
    return max(1, round(8 * d / 3))


_LLAMA: dict[str, Any] = {"norm": "rms", "activation": "silu", "bias": False, "tied": False, "rotary_share": 1.0}
PUBLISHED: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "gpt2": lambda heads, d: {"inner": 4 * d},
    "gpt2_quarter": lambda heads, d: {"inner": d},
    "gpt2_no_mlp": lambda heads, d: {"inner": 0},
    "gpt2_gated": lambda heads, d: {"inner": _third(d), "gated": True},
    "llama": lambda heads, d: _LLAMA | {"inner": _third(d), "gated": True},
    "llama_plain": lambda heads, d: _LLAMA | {"inner": 4 * d},
    "mistral": lambda heads, d: _LLAMA | {"inner": round(3.5 * d), "gated": True, "kv_heads": max(1, heads // 4)},
    "moe": lambda heads, d: {"inner": d, "experts": 32, "balance": 0.01},
}
"""The fields of each published architecture, from its heads and its width d: gpt2 (GPT2-RoPE), gpt2_quarter
(an MLP of d instead of 4 d), llama_plain (no gate), moe (32 experts d -> d -> d, top 1, balanced as in Switch). mistral
has a quarter as many heads of keys and values as of queries, at least one: our reading of the paper's rule, the ratio
of Mistral 7B (8 of 32, arXiv 2310.06825); `kv_heads` is another."""


def architecture(name: str, layers: int, heads: int, width: int | None = None, **changes: Any) -> Architecture:
    """A published architecture by its name, `width` 64 a head by default, with some fields changed.

    Raises ArchitectureError for an unknown name or field, and where the choices do not fit.
    """
    if name not in PUBLISHED:
        raise ArchitectureError(
            f"there is no architecture '{name}'{nearest(name, PUBLISHED)}. There are: {', '.join(PUBLISHED)}"
        )
    known = [item.name for item in fields(Architecture)]
    for change in changes:
        if change not in known:
            raise ArchitectureError(
                f"an architecture has no field '{change}'{nearest(change, known)}. It has: {', '.join(known)}"
            )
    d = 64 * heads if width is None else width
    return Architecture(layers, heads, d, **PUBLISHED[name](heads, d) | changes)
