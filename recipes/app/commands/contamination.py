"""What `decontaminate` found in a finished run: by benchmark, by item, and each hit side by side with its item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.audit.verify import read_manifests
from curate.decontaminate import Decontaminate, Item, read_items
from curate.decontaminate.items import benchmark_of
from curate.decontaminate.rule import CONTAMINATED
from curate.decontaminate.words import words_of
from curate.places.store import Place
from curate.run.engine import RunError
from curate.run.ledger import read_ledger
from recipes.app.recipe.load import BUILT_IN, steps_of_run
from recipes.app.terminal.console import printable

_COLUMNS = ["event", "step", "rule", "key", "url", "value"]


@dataclass(frozen=True)
class Found:
    """One document with test items in it, as the ledger tells of it; `evidence` is that of the step."""

    key: str
    url: str | None
    step: str
    dropped: bool
    evidence: dict[str, Any]


def found_in(out: Place) -> Iterator[Found]:
    """Every document in which items were found, in the order of the ledger. Raises RunError for no finished run."""
    for unit in read_manifests(out):
        if unit.startswith("ledger/"):
            path = out / f"{unit}.parquet"
            # A narrow column tells whether the wide ones are worth reading.
            if any(row["rule"] == CONTAMINATED for row in read_ledger(path, ["rule"])):
                for row in read_ledger(path, _COLUMNS):
                    if row["rule"] == CONTAMINATED and row["event"] in ("drop", "note"):
                        yield Found(row["key"], row["url"], row["step"], row["event"] == "drop", row["value"])


def steps_of(out: Place, questions: str | None) -> list[Decontaminate]:
    """The steps of the run's recipe, or one with other test sets. Raises RunError where the files are no more."""
    found = []
    for name, given in steps_of_run(out):
        if name == Decontaminate.name:
            names = questions or given["questions"]
            here = [_there(one) for one in ([names] if isinstance(names, str) else names)]
            found.append(Decontaminate(**{**given, "questions": here}))
    return found


def _there(name: str) -> str:
    for place in (Path(name), BUILT_IN / name):
        if place.exists():
            return str(place)
    raise RunError(f"the test set {name} is not here; say where it is with --questions PATH")


def show(console: Console, out: Place, questions: str | None, shown: int, item: str | None, as_json: bool) -> None:
    """Print the report of a finished run, or all of it as JSON. Raises RunError where there is nothing to report on."""
    found = list(found_in(out))
    steps = steps_of(out, questions)
    if not steps:
        raise RunError(f"the recipe of {out} has no step `decontaminate`")
    if as_json:
        console.out(json_of(found, steps), highlight=False)
    else:
        print_contamination(console, found, steps, shown, item)


def by_benchmark(found: Sequence[Found], steps: Sequence[Decontaminate]) -> list[dict[str, Any]]:
    """For each benchmark: its items, those that cannot be found, those that were, and in how many documents.

    Without `steps`, what the ledger alone tells: items and undetectable ones are 0.
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


def by_item(found: Sequence[Found]) -> list[tuple[str, int, float]]:
    """Items with the documents they were found in and their best score, the most frequent first."""
    counts: Counter[str] = Counter()
    best: dict[str, float] = {}
    for one in found:
        for name in dict.fromkeys(name for name, _, _ in one.evidence["all"]):
            counts[name] += 1
        for name, _, score in one.evidence["all"]:
            best[name] = max(best.get(name, 0.0), score)
    return [(name, count, best[name]) for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def print_contamination(
    console: Console, found: Sequence[Found], steps: Sequence[Decontaminate], shown: int, item: str | None
) -> None:
    """The report: a table of benchmarks, one of items, then hits beside their items."""
    table = Table(box=None, pad_edge=False)
    for column in ("benchmark", "items", "too short", "found", "documents"):
        table.add_column(column, justify="left" if column == "benchmark" else "right")
    for row in by_benchmark(found, steps):
        table.add_row(
            Text(row["benchmark"]), *(f"{row[name]:,}" for name in ("items", "undetectable", "found", "documents"))
        )
    console.print(table)
    console.print(f"{len(found):,} documents with test items, {sum(one.dropped for one in found):,} of them dropped")
    items = by_item(found)
    if items:
        table = Table(box=None, pad_edge=False)
        for column in ("item", "documents", "best score"):
            table.add_column(column, justify="left" if column == "item" else "right")
        for name, count, score in items[:shown]:
            table.add_row(Text(printable(name)), f"{count:,}", f"{score:.2f}")
        console.print(table)
    chosen = [one for one in found if item is None or any(name == item for name, _, _ in one.evidence["all"])]
    texts = _items(steps, {one.evidence["item"] for one in chosen[:shown]})
    for one in chosen[:shown]:
        _print_hit(console, one, texts.get(one.evidence["item"]))
    if len(chosen) > shown:
        console.print(f"{len(chosen) - shown:,} more; --hits N shows more of them, --item NAME those of one item")


def json_of(found: Sequence[Found], steps: Sequence[Decontaminate]) -> str:
    """The same for programs: `benchmarks`, `items`, `hits`."""
    return orjson.dumps(
        {
            "benchmarks": by_benchmark(found, steps),
            "items": [{"item": name, "documents": count, "score": score} for name, count, score in by_item(found)],
            "hits": [
                {"key": one.key, "url": one.url, "step": one.step, "dropped": one.dropped, **one.evidence}
                for one in found
            ],
        },
        option=orjson.OPT_INDENT_2,
    ).decode()


def _items(steps: Sequence[Decontaminate], names: set[str]) -> dict[str, Item]:
    files = {name.rpartition(":")[0] for name in names}
    return {
        item.name: item
        for step in steps
        for path in step.resources()
        if path.name in files
        for item in read_items(path, step.fields)
        if item.name in names
    }


def _print_hit(console: Console, one: Found, item: Item | None) -> None:
    evidence = one.evidence
    told = f"{evidence['item']}  {evidence['part']}  score {evidence['score']:.2f}  {evidence['bits']:.0f} bits"
    more = f"  and {evidence['hits'] - 1} more" if evidence["hits"] > 1 else ""
    console.print(Text(printable(f"\n{told}{more}\n{one.key}  {one.url or ''}"), style="bold"))
    table = Table(show_header=True, expand=True)
    table.add_column("the item", ratio=1)
    table.add_column("the document", ratio=1)
    mine = _part_of(item, evidence["part"]) if item else "(the test set does not hold it any more)"
    table.add_row(_marked(mine, evidence["passage"]), _marked(evidence["passage"], mine))
    console.print(table)


def _part_of(item: Item, part: str) -> str:
    if part == "passage":
        return item.passage
    if part == "answer":
        return "\n".join(item.answers)
    return "\n".join([item.question, *item.choices])


def _marked(text: str, other: str) -> Text:
    """A text in which the words that the other one lacks stand out."""
    known = set(words_of(other).hashes.tolist())
    shown = Text()
    for place, word in enumerate(printable(text).split(" ")):
        hashes = words_of(word).hashes.tolist()
        shown.append((" " if place else "") + word, style="" if known.issuperset(hashes) else "bold red")
    return shown
