"""The funnel of a run: what is left after each step, in documents, characters and tokens; and the figures on top."""

from __future__ import annotations

from typing import Any

from recipes.app.report.charts import Bar, bars
from recipes.app.report.kept import Kept


def funnel(summary: dict[str, Any], unit: str, rate: float | None = None) -> str:
    """Bars of what is left of the input after each step; with a `rate`, of tokens: so many a character, about."""

    def said(number: float) -> str:
        return f"{number:,}" if rate is None else _about(number * rate)

    account = summary[unit]
    rows = [Bar("input", account["input"], said(account["input"]), muted=True)]
    injected = 0
    for step in summary["steps"]:
        injected += step[f"{unit}_injected"]
        left = step[f"{unit}_out"] - injected
        lost = step[f"{unit}_in"] + step[f"{unit}_injected"] - step[f"{unit}_out"]
        words = said(left) + (f"  \u2212{said(lost)}" if lost > 0 else "")
        rows.append(Bar(step["step"], left, words, whole=left + max(lost, 0)))
    name = unit if rate is None else "tokens"
    return bars(rows, f"{name} of the input that are left after each step", account["input"], "input")


def _about(number: float) -> str:
    """A figure to three digits: 1.21 M, 412,000, 83."""
    for size, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{float(f'{number:.3g}'):,.0f}"


def tiles(summary: dict[str, Any], kept: Kept | None) -> list[tuple[str, str, str]]:
    """The figures on top of the page: name, figure, what it is of."""
    found = []
    for unit in ("documents", "characters"):
        one = summary[unit]
        share = f"{one['kept'] / one['input']:.0%} of " if one["input"] else "of "
        found.append((f"{unit} kept", f"{one['kept']:,}", f"{share}{one['input']:,}"))
    if kept is not None and kept.tokens is not None and kept.total.tokens:
        exact = kept.whole
        tokens = kept.total.tokens if exact else (kept.rate or 0.0) * summary["characters"]["kept"]
        found.append(("tokens kept", f"{tokens:,}" if exact else f"about {_about(tokens)}", f"in {kept.tokens}"))
    if summary["documents"]["injected"]:
        found.append(("injected", f"{summary['documents']['injected']:,}", "documents with known facts"))
    lost = summary["documents"]["unreadable"]
    found.append(("unreadable", f"{lost:,}", f"of {summary['records']['read']:,} records"))
    return found
