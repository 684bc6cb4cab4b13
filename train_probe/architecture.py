"""What a model is made of, each choice a named field: the architectures whose capacity the papers compare.

Allen-Zhu & Li, arXiv 2404.05405, section 3 and appendix: GPT2 with rotary positions, LLaMA, Mistral, and GPT2 and LLaMA
with other MLPs; mixtures of experts, section 9. No torch here: sizes are asked for where no model is built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from curate.errors import Refused, nearest

NORMS = ("layer", "rms")
ACTIVATIONS = ("gelu", "silu")
PUBLISHED = ("gpt2", "gpt2_quarter", "gpt2_no_mlp", "gpt2_gated", "llama", "llama_plain", "mistral", "moe")


class ArchitectureError(Refused):
    """An architecture that cannot be built: the message says which choice does not fit, and what would."""


@dataclass(frozen=True)
class Architecture:
    """A causal transformer of `layers` pre-norm blocks of width d = `width` with `heads` heads.

    `kv_heads` (grouped queries; None: as many as heads) share keys and values. `inner` is the MLP's inner width (0: no
    MLP), `gated` multiplies it by a second projection. `bias` are biases of all linear layers and, with `norm` "layer",
    of the norms. `tied`: the head is the embedding. `rotary_share` of each head's dimensions is rotated. `experts` > 0
    makes the MLP a mixture, of which each token meets `top_k`, each taking at most `capacity_factor` times its even
    share of the tokens of a batch.
    """

    layers: int
    heads: int
    width: int
    inner: int
    kv_heads: int | None = None
    norm: str = "layer"
    norm_epsilon: float = 1e-5
    activation: str = "gelu"
    gated: bool = False
    bias: bool = True
    tied: bool = True
    rotary_share: float = 0.25
    rotary_base: float = 10_000.0
    experts: int = 0
    top_k: int = 1
    capacity_factor: float = 2.0

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "width"):
            if getattr(self, name) < 1:
                raise ArchitectureError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.width % self.heads or self.head_width < 2:
            raise ArchitectureError(f"width {self.width} does not part into {self.heads} heads of at least 2")
        if self.heads % self.groups:
            raise ArchitectureError(f"{self.heads} heads do not share {self.groups} keys and values evenly")
        if self.norm not in NORMS or self.activation not in ACTIVATIONS:
            raise ArchitectureError(
                f"norm is one of {', '.join(NORMS)} and activation one of {', '.join(ACTIVATIONS)}, not"
                f" {self.norm!r} and {self.activation!r}"
            )
        if not 0 < self.rotary_share <= 1:
            raise ArchitectureError(f"rotary_share is a share of a head above 0 and at most 1, not {self.rotary_share}")
        if self.inner < 0 or (self.experts and not self.inner):
            raise ArchitectureError("experts want an inner width" if self.experts else "the inner width is at least 0")
        if self.experts and not 1 <= self.top_k <= self.experts:
            raise ArchitectureError(f"a token can meet 1 to {self.experts} experts, not {self.top_k}")

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


def layout(one: Architecture, vocabulary: int) -> list[tuple[str, tuple[int, ...]]]:
    """Every parameter in its order: its name in the reference model, and its shape. Matrices are [out, in], as torch
    has them, those of experts [expert, out, in]."""
    d, f, kv = one.width, one.inner, one.groups * one.head_width
    found: list[tuple[str, tuple[int, ...]]] = [("embedding.weight", (vocabulary, d))]

    def norm(name: str) -> None:
        found.append((f"{name}.weight", (d,)))
        if one.bias and one.norm == "layer":
            found.append((f"{name}.bias", (d,)))

    def linear(name: str, out: int, into: int) -> None:
        outer = (one.experts,) if one.experts and ".mlp." in name else ()
        found.append((f"{name}.weight", (*outer, out, into)))
        if one.bias:
            found.append((f"{name}.bias", (*outer, out)))

    for number in range(one.layers):
        block = f"blocks.{number}"
        norm(f"{block}.attention_norm")
        linear(f"{block}.qkv", d + 2 * kv, d)
        linear(f"{block}.project", d, d)
        if f:
            norm(f"{block}.mlp_norm")
            if one.experts:
                found.append((f"{block}.router.weight", (one.experts, d)))
            linear(f"{block}.mlp.widen", f, d)
            if one.gated:
                linear(f"{block}.mlp.gate", f, d)
            linear(f"{block}.mlp.narrow", d, f)
    norm("norm")
    if not one.tied:
        found.append(("head.weight", (vocabulary, d)))
    return found


def architecture(name: str, layers: int, heads: int, width: int | None = None, **changes: Any) -> Architecture:
    """A published architecture by its name, `width` 64 a head unless said, with some fields changed.

    gpt2 (GPT2-RoPE), gpt2_quarter (an MLP of d instead of 4 d), gpt2_no_mlp, gpt2_gated, llama, llama_plain (no gate),
    mistral, moe (GPT2 with 32 experts d -> d -> d, top 1). Raises ArchitectureError for another name.
    """
    d = 64 * heads if width is None else width
    gpt2 = Architecture(layers, heads, d, inner=4 * d)
    bare: dict[str, Any] = {"norm": "rms", "activation": "silu", "bias": False, "tied": False, "rotary_share": 1.0}
    # Gated MLPs have 3 d f parameters: f = 8/3 d makes them those of a plain one of 4 d.
    third = max(1, round(8 * d / 3))
    known = {
        "gpt2": gpt2,
        "gpt2_quarter": replace(gpt2, inner=d),
        "gpt2_no_mlp": replace(gpt2, inner=0),
        "gpt2_gated": replace(gpt2, inner=third, gated=True),
        "llama": replace(gpt2, inner=third, gated=True, **bare),
        "llama_plain": replace(gpt2, **bare),
        "mistral": replace(gpt2, inner=round(3.5 * d), gated=True, kv_heads=max(1, heads // 4), **bare),
        "moe": replace(gpt2, inner=d, experts=32),
    }
    if name not in known:
        raise ArchitectureError(
            f"there is no architecture '{name}'{nearest(name, known)}. There are: {', '.join(known)}"
        )
    return replace(known[name], **changes)
