"""Test items in the documents of a run, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.audit.contamination import Contamination, by_benchmark, by_item, items_of, part_of, words_beside
from curate.decontaminate import Decontaminate, Item
from recipes.app.terminal.console import printable


def print_contamination(
    console: Console, found: Sequence[Contamination], steps: Sequence[Decontaminate], shown: int, item: str | None
) -> None:
    """A table of benchmarks, a table of items, then hits side by side with their items."""
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
    texts = items_of(steps, {one.evidence["item"] for one in chosen[:shown]})
    for one in chosen[:shown]:
        _print_hit(console, one, texts.get(one.evidence["item"]))
    if len(chosen) > shown:
        console.print(f"{len(chosen) - shown:,} more; --hits N shows more of them, --item NAME those of one item")


def json_of(found: Sequence[Contamination], steps: Sequence[Decontaminate]) -> str:
    """The same as JSON: `benchmarks`, `items`, `hits`."""
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


def _print_hit(console: Console, one: Contamination, item: Item | None) -> None:
    evidence = one.evidence
    heading = f"{evidence['item']}  {evidence['part']}  score {evidence['score']:.2f}  {evidence['bits']:.0f} bits"
    more = f"  and {evidence['hits'] - 1} more" if evidence["hits"] > 1 else ""
    console.print(Text(printable(f"\n{heading}{more}\n{one.key}  {one.url or ''}"), style="bold"))
    table = Table(show_header=True, expand=True)
    table.add_column("the item", ratio=1)
    table.add_column("the document", ratio=1)
    mine = part_of(item, evidence["part"]) if item else "(no longer in the test set)"
    table.add_row(_marked(mine, evidence["passage"]), _marked(evidence["passage"], mine))
    console.print(table)


def _marked(text: str, other: str) -> Text:
    """A text with the words that are missing from the other one in red."""
    shown = Text()
    for place, (word, there) in enumerate(words_beside(printable(text), other)):
        shown.append((" " if place else "") + word, style="" if there else "bold red")
    return shown
