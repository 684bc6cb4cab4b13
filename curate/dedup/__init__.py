"""Deduplication: exact, and near by MinHash with every merge verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.dedup.exact import ExactDedup
    from curate.dedup.minhash import MinHashDedup

__all__ = ["ExactDedup", "MinHashDedup"]

_HOMES = {"ExactDedup": "curate.dedup.exact", "MinHashDedup": "curate.dedup.minhash"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
