"""The page of two corpora compared: which documents they treat otherwise, and why."""

from __future__ import annotations

from typing import Any

from curate.audit.difference import Difference, Outcome
from curate.audit.recipes_apart import KINDS
from recipes.app.report.charts import Bar, bars
from recipes.app.report.rendering import rendered, short, visible


def in_words(outcome: Outcome | None) -> str:
    """How a document ended: kept, or what dropped it with value and threshold."""
    if outcome is None:
        return "not there"
    if outcome["verdict"] == "kept":
        return f"kept ({outcome['characters']:,} characters)"
    if outcome["verdict"] == "unreadable":
        return f"unreadable ({outcome['error']})"
    step, rule = outcome["step"], outcome["rule"]
    limit = f" (threshold {short(outcome['threshold'])})" if outcome["threshold"] is not None else ""
    return f"{step if step == rule else f'{step}.{rule}'} {visible(short(outcome['value']), 60)}{limit}"


def difference_page(difference: Difference) -> str:
    """The HTML of a comparison that was gone through. All text of a crawl is escaped."""
    from markupsafe import Markup

    filters: dict[str, Any] = {"words": in_words}
    causes = difference.causes()
    rows = [Bar(cause.words, counts.total(), f"{counts.total():,}") for cause, counts in causes]
    return rendered(
        "difference.html",
        filters,
        old=str(difference.old),
        new=str(difference.new),
        difference=difference,
        changes=difference.changes(),
        causes=causes,
        kinds=KINDS,
        chart=Markup(bars(rows, "documents that ended otherwise, by cause")) if rows else "",
    )
