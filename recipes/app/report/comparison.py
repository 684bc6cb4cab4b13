"""The page of a comparison: the decision, what each corpus stores, what was measured, and what it means."""

from __future__ import annotations

import statistics
from typing import Any

from recipes.app.compare import AGAIN, CONTROL, multiplier_words
from recipes.app.report.charts import Bar, bars
from recipes.app.report.rendering import rendered


def comparison_page(found: dict[str, Any]) -> str:
    """The HTML of what `recipes.app.compare.report` returns; what came from names of corpora is escaped."""
    from markupsafe import Markup

    charts = [(rung, Markup(_chart(found, rung))) for rung in found["asked"]["exposures"]]
    repeats = {one["arm"]: one["repeats"] for one in found["rungs"]}  # of the last rung
    return rendered("comparison.html", {"times": multiplier_words}, found=found, charts=charts, repeats=repeats)


def _chart(found: dict[str, Any], rung: int) -> str:
    """What each arm stores at a rung: the mean, and a dot for each seed."""
    rows = []
    for name, by_rung in found["stored"].items():
        by_seed = by_rung.get(rung)
        if by_seed:
            values = list(by_seed.values())
            mean = statistics.fmean(values)
            rows.append(Bar(_label(name, found), mean, f"{mean:.1%}", dots=values, muted=name in (AGAIN, CONTROL)))
    return bars(rows, f"share of the facts stored at rung {rung}", 1.0, "all facts")


def _label(name: str, found: dict[str, Any]) -> str:
    first = found["corpora"][0]["name"]
    return {AGAIN: f"{first}, another shuffle", CONTROL: "control: 7/8 endless junk"}.get(name, name)
