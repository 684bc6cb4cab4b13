"""The rules of a run in pictures: the values that each met with its threshold, and what other thresholds would keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curate.errors import Refused
from recipes.app.report.charts import Bar, bars
from recipes.app.report.drops import Reason, Values
from recipes.app.report.pictures import curves, histogram, lost_side, near
from recipes.app.report.rendering import short, visible

SHOWN = 80
"""Rules that have a picture, those that dropped most first."""

WORDS = 8
"""Values that are no numbers, of each rule."""


def pictures_of(
    summary: dict[str, Any], values: Mapping[Reason, Values], profile: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """For the page, a rule each: `step`, `rule`, `documents` (dropped), `picture`, `curve` and `keeping` (empty
    without a profile), `threshold`, that of the profile where it is another one (`profiled`), `whole` (whether the
    picture shows kept documents too). Raises Refused where the profile has no rule of the run."""
    dropped = {
        (step["step"], rule): counts["documents"]
        for step in summary["steps"]
        for rule, counts in step["reasons"].items()
    }
    profiled = _by_reason(profile)
    labels = {step["step"] for step in summary["steps"]}
    if profile is not None and not labels & {step for step, _ in profiled}:
        raise Refused(f"the profile is of the recipe '{profile['recipe']}', which has no rule of this run")
    order = list({**dropped, **{key: 0 for key in profiled if key[0] in labels}})
    order.sort(key=lambda key: -dropped.get(key, 0))
    shown = [
        _pictured(key, dropped.get(key, 0), values.get(key, Values()), profiled.get(key), profile)
        for key in order[:SHOWN]
    ]
    return [one for one in shown if one["picture"]]


def _by_reason(profile: dict[str, Any] | None) -> dict[Reason, dict[str, Any]]:
    return {(row["step"], row["rule"]): row for row in reversed((profile or {}).get("curves", []))}


def _pictured(
    key: Reason, documents: int, values: Values, row: dict[str, Any] | None, profile: dict[str, Any] | None
) -> dict[str, Any]:
    from markupsafe import Markup

    step, rule = key
    title = f"values of {step}.{rule}"
    about = {"step": step, "rule": rule, "documents": documents, "threshold": values.threshold}
    made = (row or {}).get("histogram")
    if row is not None and profile is not None and made:
        # The run's own threshold, where it dropped anything by it.
        now = row["threshold"] if values.threshold is None else values.threshold
        lost = lost_side(row["side"])
        title += f" in {profile['documents']:,} documents of the profile"
        words = ("documents", profile["counted_in"])
        return {
            **about,
            "threshold": now,
            "whole": True,
            "profiled": row["threshold"] if row["threshold"] != now else None,
            "picture": Markup(histogram(made["edges"], made["counts"], title, now, lost)),
            "curve": Markup(curves(row["points"], f"share kept by {step}.{rule}, by threshold", now, words)),
            "keeping": [(share, short(threshold)) for share, threshold, *_ in row["keeping"]],
        }
    picture = ""
    if values.numbers:
        edges, counts = _counted(np.asarray(values.numbers, dtype=float), values.threshold)
        picture = histogram(edges, counts, f"{title} that dropped a document", values.threshold, "all")
    elif values.words and len(values.words) <= max(WORDS, values.seen // 2):
        # Not where each document has its own, as the name of the one that it repeats.
        most = values.words.most_common(WORDS)
        rows = [Bar(visible(word, 60), count, f"{count:,}") for word, count in most]
        if rest := values.words.total() - sum(count for _, count in most) + values.others:
            rows.append(Bar("others", rest, f"{rest:,}", muted=True))
        picture = bars(rows, f"{title} that dropped a document")
    return {**about, "whole": False, "profiled": None, "picture": Markup(picture), "curve": "", "keeping": []}


def _counted(numbers: np.ndarray, threshold: float | None) -> tuple[Sequence[float], Sequence[int]]:
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return [0.0, 1.0], [0]
    low, high = (float(np.quantile(numbers, share)) for share in (0.005, 0.995))
    if threshold is not None and near(threshold, low, high):
        low, high = min(low, threshold), max(high, threshold)
    edges = np.linspace(low, high, 31) if high > low else np.array([low - 0.5, low + 0.5])
    counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
    return edges.tolist(), counts.tolist()
