"""Results of the steps that see the whole corpus: counts of their rounds, shares of a mix, clusters of near-duplicates
with what differs, test items beside the passages they were found in."""

from __future__ import annotations

from typing import Any

from curate.audit.clusters import differences, drops, largest, texts
from curate.audit.contamination import Contamination, by_benchmark, by_item, found_in, items_of, part_of, words_beside
from curate.decontaminate import Decontaminate
from curate.dedup.minhash import MinHashDedup
from curate.errors import Refused
from curate.places.store import Place, files_below
from curate.rights.forget import Forget
from recipes.app.recipe.of_run import decontaminate_steps
from recipes.app.report.shapes import read_mixes

ITEMS = 20
"""Test items that the page lists."""

HITS = 12
"""Hits that it shows beside their items."""

CLUSTERS, MEMBERS = 8, 2
PARTS = 60
"""Differences of one pair that it shows."""

READ = 200_000_000
"""Bytes of a stage's documents that are read through for the texts of clusters; of more, they are left out."""


def whole_corpus(folder: Place, summary: dict[str, Any]) -> dict[str, Any]:
    """For the page: `counted` by step, `mixes` as `mix` reports them, `clusters`, the `benchmarks` and `items` that
    were found, and `hits`."""
    counted = [(step["step"], list(step["found"].items())) for step in summary["steps"] if step.get("found")]
    # The ledger is read only where the run has a step that looks for test items. The test sets may be missing by now.
    found = list(found_in(folder)) if _has(summary, Decontaminate.name) else []
    return {
        "counted": counted,
        "mixes": read_mixes(folder),
        "clusters": clusters_of(folder, texts_too=not _has(summary, Forget.name))
        if _has(summary, MinHashDedup.name)
        else [],
        "benchmarks": by_benchmark(found, ()),
        "items": by_item(found)[:ITEMS],
        "hits": _beside(folder, found[:HITS]),
        "contaminated": len(found),
        "dropped": sum(one.dropped for one in found),
    }


def _has(summary: dict[str, Any], name: str) -> bool:
    return any(step["step"].partition("#")[0] == name for step in summary["steps"])


def clusters_of(folder: Place, texts_too: bool = True) -> list[dict[str, Any]]:
    """The largest clusters: `survivor`, `size`, and `members`, the least similar first, each with what differs (None
    where the texts are not read: the stage is large, or holds documents that were removed from what is published)."""
    found = largest(folder, CLUSTERS, MEMBERS)
    known: dict[str, str] = {}
    if found and texts_too and _before(folder) <= READ:
        known = texts(folder, {key for one in found for key in [one.survivor, *(key for key, _ in one.members)]})
    shown = []
    for one in found:
        members = []
        for key, similarity in one.members:
            parts = None
            if one.survivor in known and key in known:
                all_parts = list(differences(known[one.survivor], known[key]))
                parts = (all_parts[:PARTS], max(len(all_parts) - PARTS, 0))
            members.append((key, similarity, parts))
        shown.append({"survivor": one.survivor, "size": one.size, "members": members})
    return shown


def _before(folder: Place) -> int:
    """Bytes of the documents of the largest stage, of which one was read by the step that drops near-duplicates."""
    if next(drops(folder), None) is None:
        return 0
    sizes: dict[str, int] = {}
    for path in files_below(folder / "stages"):
        if path.name.endswith(".jsonl.zst"):
            sizes[path.parent.name] = sizes.get(path.parent.name, 0) + path.stat().st_size
    return max(sizes.values(), default=0)


def _beside(folder: Place, found: list[Contamination]) -> list[dict[str, Any]]:
    """Hits with their items: `mine` and `theirs`, the words of each with whether the other has them too. `mine` is None
    where the test set is no longer there."""
    if not found:
        return []
    try:
        items = items_of(decontaminate_steps(folder, None), {one.evidence["item"] for one in found})
    except Refused:
        items = {}
    hits = []
    for one in found:
        item, passage = items.get(one.evidence["item"]), one.evidence["passage"]
        text = part_of(item, one.evidence["part"]) if item is not None else None
        hits.append({
            "key": one.key, "url": one.url, "dropped": one.dropped, "evidence": one.evidence,
            "mine": None if text is None else words_beside(text, passage),
            "theirs": words_beside(passage, passage if text is None else text),
        })  # fmt: skip
    return hits
