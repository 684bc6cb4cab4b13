"""Deduplication: exact, near by MinHash with every merge verified, and of lines and passages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.dedup.exact import ExactDedup
    from curate.dedup.minhash import MinHashDedup
    from curate.dedup.repeats import LineDedup, PassageDedup

__all__ = ["ExactDedup", "LineDedup", "MinHashDedup", "PassageDedup"]

_HOMES = {
    "ExactDedup": "curate.dedup.exact",
    "LineDedup": "curate.dedup.repeats",
    "MinHashDedup": "curate.dedup.minhash",
    "PassageDedup": "curate.dedup.repeats",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
