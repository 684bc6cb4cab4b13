"""The page of the laws of capacity: outcomes, the figures behind them, and what every run measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.places.store import write_atomically
from recipes.app.report.rendering import rendered


def write_laws_page(told: Mapping[str, Any], folder: Path) -> Path:
    """Write the page of what `recipes.app.measure.laws.run_laws` returns; returns where it is."""
    path = folder / "report.html"
    write_atomically(path, laws_page(told).encode())
    return path


def laws_page(told: Mapping[str, Any]) -> str:
    """The HTML of the laws' outcomes."""
    return rendered("laws.html", {"figure": figure_words, "limits": limit_words}, told=told)


def figure_words(one: Mapping[str, Any]) -> str:
    """A criterion's figure as a person reads it: 1.43 (1.31 to 1.57)."""
    if one["value"] is None:
        return f"none: {one['why']}"
    words = f"{one['value']:.3f}"
    if one["low"] is not None:
        words += f" ({one['low']:.3f} to {one['high']:.3f})"
    return f"{words} ({one['why']})" if one["why"] else words


def limit_words(limits: Sequence[float | None]) -> str:
    """A range, whose ends may be open: 2 to 2.3, at least 2."""
    low, high = limits
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
