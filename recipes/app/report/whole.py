"""What steps that see the whole corpus found: counts of their rounds, shares of a mix, test items in documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.decontaminate.items import benchmark_of
from curate.run.store import Place, files_below
from recipes.app.contamination import Found, by_item, found_in

ITEMS = 20
"""Test items that the page lists."""


def whole_corpus(folder: Place, summary: dict[str, Any]) -> dict[str, Any]:
    """For the page: `counted` by step, `mixes` as `mix` reports them, the `benchmarks` and `items` that were found."""
    counted = [(step["step"], list(step["found"].items())) for step in summary["steps"] if step.get("found")]
    mixes = [json.loads(path.read_bytes()) for path in files_below(folder / "mix") if path.suffix == ".json"]
    found = list(found_in(folder))
    return {
        "counted": counted,
        "mixes": mixes,
        "benchmarks": _benchmarks(found),
        "items": by_item(found)[:ITEMS],
        "contaminated": len(found),
        "dropped": sum(one.dropped for one in found),
    }


def _benchmarks(found: list[Found]) -> list[dict[str, Any]]:
    """Items and documents by benchmark, from the ledger alone: the test sets may be elsewhere by now."""
    items: dict[str, set[str]] = {}
    documents: dict[str, set[str]] = {}
    for one in found:
        for name, _, _ in one.evidence["all"]:
            benchmark = benchmark_of(Path(name.rpartition(":")[0]))
            items.setdefault(benchmark, set()).add(name)
            documents.setdefault(benchmark, set()).add(one.key)
    rows = [{"benchmark": name, "found": len(items[name]), "documents": len(documents[name])} for name in items]
    return sorted(rows, key=lambda row: (-row["documents"], row["benchmark"]))
