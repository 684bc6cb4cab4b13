"""What reading says of the inputs, counted: fields and columns that were left out, values that were read otherwise than
they were written, and inputs of rows none of which has an address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from curate.document import Document
from curate.sources.rows import READ

ROWS = ("jsonl", "parquet", "arrow", "hub")
"""Formats whose rows may have an address."""

MOST = 64
"""Different sayings of one unit that are counted by themselves: names of fields are an input's own."""


def count_row(format: str, records: dict[str, Any]) -> None:
    """Count a document that was read, where it was a row."""
    if format in ROWS:
        records["rows"] = records.get("rows", 0) + 1


def note_read(document: Document, format: str, records: dict[str, Any]) -> None:
    """Count what a reader said of a document. What it said with a value stays a line of the ledger."""
    if document.url and format in ROWS:
        records["addresses"] = records.get("addresses", 0) + 1
    if not document.notes:
        return
    told = records.setdefault("told", {})
    for step, rule, _ in document.notes:
        if step == READ:
            name = rule if rule in told or len(told) < MOST else "more of this kind"
            told[name] = told.get(name, 0) + 1
    document.notes = [note for note in document.notes if note[0] != READ or note[2] is not None]


def read_notices(units: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """A line for each input and saying. `units` are the source and the records of each first unit."""
    told: Counter[tuple[str, str]] = Counter()
    documents: Counter[str] = Counter()
    addresses: Counter[str] = Counter()
    for source, records in units:
        for rule, count in records.get("told", {}).items():
            told[source, rule] += count
        if "rows" in records:
            documents[source] += records["rows"]
            addresses[source] += records.get("addresses", 0)
    lines = [
        f"input '{source}': {rule} ({count} document{'s' * (count != 1)})" for (source, rule), count in told.items()
    ]
    lines += [
        f"input '{source}': none of its {count} documents has an address, so that their domain is the input's name;"
        " `url_field` names the field that holds it"
        for source, count in documents.items()
        if count and not addresses[source]
    ]
    return sorted(lines)
