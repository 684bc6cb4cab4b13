"""Results of the steps that see the whole corpus: counts of their rounds, shares of a mix, test items in documents."""

from __future__ import annotations

from typing import Any

from curate.audit.contamination import by_benchmark, by_item, found_in
from curate.decontaminate import Decontaminate
from curate.places.store import Place
from recipes.app.report.shapes import read_mixes

ITEMS = 20
"""Test items that the page lists."""


def whole_corpus(folder: Place, summary: dict[str, Any]) -> dict[str, Any]:
    """For the page: `counted` by step, `mixes` as `mix` reports them, the `benchmarks` and `items` that were found."""
    counted = [(step["step"], list(step["found"].items())) for step in summary["steps"] if step.get("found")]
    # The ledger is read only where the run has a step that looks for test items. The test sets may be missing by now.
    asked = any(step["step"].partition("#")[0] == Decontaminate.name for step in summary["steps"])
    found = list(found_in(folder)) if asked else []
    return {
        "counted": counted,
        "mixes": read_mixes(folder),
        "benchmarks": by_benchmark(found, ()),
        "items": by_item(found)[:ITEMS],
        "contaminated": len(found),
        "dropped": sum(one.dropped for one in found),
    }
