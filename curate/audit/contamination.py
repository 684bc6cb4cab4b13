"""What `decontaminate` found in a finished run: by benchmark, and by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.audit.verify import intact, whole_manifests, written_by
from curate.decontaminate import Decontaminate, Item
from curate.decontaminate.decontaminate import CONTAMINATED
from curate.decontaminate.set_files import benchmark_of
from curate.decontaminate.words import words_of
from curate.places.store import Place
from curate.run.ledger import read_ledger

_COLUMNS = ["event", "step", "rule", "key", "url", "value"]


@dataclass(frozen=True)
class Contamination:
    """One document with test items in it, as the ledger reports it; `evidence` is that of the step."""

    key: str
    url: str | None
    step: str
    dropped: bool
    evidence: dict[str, Any]


def found_in(out: Place) -> Iterator[Contamination]:
    """Every document in which items were found, in the order of the ledger. Raises RunError when `out` has no finished
    run."""
    for unit, manifest in whole_manifests(out).items():
        for place in written_by(out, manifest) if unit.startswith("ledger/") else ():
            path = intact(out, place, manifest)
            # A narrow column shows whether the wide ones are worth reading.
            if any(row["rule"] == CONTAMINATED for row in read_ledger(path, ["rule"])):
                for row in read_ledger(path, _COLUMNS):
                    if row["rule"] == CONTAMINATED and row["event"] in ("drop", "note"):
                        yield Contamination(row["key"], row["url"], row["step"], row["event"] == "drop", row["value"])


def by_benchmark(found: Sequence[Contamination], steps: Sequence[Decontaminate]) -> list[dict[str, Any]]:
    """For each benchmark: its items, those that cannot be found, those that were, and in how many documents.

    Without `steps`, from the ledger alone: items and undetectable ones are 0.
    """
    home: dict[str, str] = {}
    short: set[str] = set()
    for step in steps:
        home |= dict(zip(step.index.items, step.index.benchmarks, strict=True))
        short.update(step.undetectable)
    items = Counter(home.values())
    hidden = Counter(home[name] for name in short)
    hit: dict[str, set[str]] = {}
    documents: dict[str, set[str]] = {}
    for one in found:
        for name, _, _ in one.evidence["all"]:
            benchmark = home.get(name) or benchmark_of(Path(name.rpartition(":")[0]))
            hit.setdefault(benchmark, set()).add(name)
            documents.setdefault(benchmark, set()).add(one.key)
    return [
        {
            "benchmark": name,
            "items": items[name],
            "undetectable": hidden[name],
            "found": len(hit.get(name, ())),
            "documents": len(documents.get(name, ())),
        }
        for name in sorted({*items, *hit}, key=lambda name: (-len(documents.get(name, ())), name))
    ]


def by_item(found: Sequence[Contamination]) -> list[tuple[str, int, float]]:
    """Items with the documents they were found in and their best score, the most frequent first."""
    counts: Counter[str] = Counter()
    best: dict[str, float] = {}
    for one in found:
        for name in dict.fromkeys(name for name, _, _ in one.evidence["all"]):
            counts[name] += 1
        for name, _, score in one.evidence["all"]:
            best[name] = max(best.get(name, 0.0), score)
    return [(name, count, best[name]) for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def items_of(steps: Sequence[Decontaminate], names: set[str]) -> dict[str, Item]:
    """Items by name, read again from the test sets of the steps; those that are no longer there are missing."""
    files = {name.rpartition(":")[0] or name for name in names}
    return {item.name: item for step in steps for item in step.items(files) if item.name in names}


def part_of(item: Item, part: str) -> str:
    """The text of an item that a hit was found in."""
    if part == "passage":
        return item.passage
    if part == "answer":
        return "\n".join(item.answers)
    if item.pieces:
        return item.pieces[0][1]
    return "\n".join([item.question, *item.choices])


def words_beside(text: str, other: str) -> list[tuple[str, bool]]:
    """The words of a text between its spaces, each with whether the other text has it too."""
    known = set(words_of(other).hashes.tolist())
    return [(word, known.issuperset(words_of(word).hashes.tolist())) for word in text.split(" ")]
