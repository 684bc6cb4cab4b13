"""Which viewers a folder has: those of a run's own files, by the columns of text shards and ledger."""

from __future__ import annotations

from typing import Any

from curate.run.ledger import COLUMNS
from curate.shards.parquet import read_columns
from recipes.app.papers.about import About
from recipes.app.papers.hub_card import Config

TEXT = ("id", "text", "url", "domain", "source", "language", "injected", "metadata")


def of_run(about: About) -> list[Config]:
    """The configs of an output folder as it stands: text shards and ledger."""
    text = [{"name": name, "dtype": "bool" if name == "injected" else "string"} for name in TEXT]
    ledger = [{"name": name, "dtype": dtype(kind)} for name, kind in COLUMNS.items()]
    rows = sum(1 for place in about.ledgers for _ in read_columns(place, ["event"]))
    return [
        Config("text", "text/*.jsonl.zst", text, about.counted.documents, about.counted.bytes, stored(about.texts)),
        Config("ledger", "ledger/*.parquet", ledger, rows, stored(about.ledgers), stored(about.ledgers)),
    ]


def dtype(kind: type) -> str:
    return {str: "string", int: "int64", float: "float64", bool: "bool"}[kind]


def stored(places: list[Any]) -> int:
    """Bytes of files."""
    return sum(place.stat().st_size for place in places)
