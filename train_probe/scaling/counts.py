"""Compute and parameters, counted in the two ways that papers use: C = 6 N D, and exactly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A transformer's sizes. `inner` is the width of its feed-forward blocks, `matrices` how many those have."""

    layers: int
    width: int
    vocabulary: int
    window: int
    inner: int = 0
    matrices: int = 2
    tied: bool = True

    @property
    def body(self) -> int:
        """Parameters without embeddings, biases and norms left out."""
        return self.layers * (4 * self.width**2 + self.matrices * self.width * (self.inner or 4 * self.width))

    @property
    def all(self) -> int:
        """Parameters with embeddings."""
        return self.body + (1 if self.tied else 2) * self.vocabulary * self.width


def by_rule(parameters: float, tokens: float) -> float:
    """C = 6 N D: two operations a parameter and token forward, four backward."""
    return 6 * parameters * tokens


def exact(shape: Shape, tokens: float) -> float:
    """Operations of training: the matrices, the head, and attention over the whole window (12 layers width window a
    token, as PaLM counts). Lookup of embeddings costs none."""
    head = shape.vocabulary * shape.width
    return tokens * (6 * (shape.body + head) + 12 * shape.layers * shape.width * shape.window)


def rule_over_exact(shape: Shape, tokens: float = 1.0) -> dict[str, float]:
    """6 N D as a share of the exact count, with both counts of N."""
    true = exact(shape, tokens)
    return {"all": by_rule(shape.all, tokens) / true, "body": by_rule(shape.body, tokens) / true}
