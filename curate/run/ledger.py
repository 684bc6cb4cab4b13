"""The account of every document: each drop with step, rule, value and threshold, each edit with its sizes, each loss.

While units run, each writes its *events* beside its documents, as lines of JSON. When all stages are done, the events
of one input file become its part of the *ledger*: a Parquet file, and in `quarantine/` the bytes that could not be
read.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import orjson
import xxhash
import zstandard

from curate.document import Document, Drop, Unreadable
from curate.places.store import Place
from curate.shards.parquet import ColumnWriter, read_columns
from curate.shards.text import plain, read_lines

COLUMNS: dict[str, type] = {
    "event": str,  # drop, edit, note or unreadable
    "stage": str,
    "step": str,
    "rule": str,
    "key": str,
    "url": str,
    "domain": str,
    "value": str,  # JSON
    "threshold": str,  # JSON
    "characters": int,  # of the dropped text, or before an edit
    "after": int,  # characters after an edit
    "bytes": int,  # of what could not be read
    "error": str,
    "text": str,  # of dropped documents, as far as `keep_dropped` says
}

SAMPLED = 20
"""Texts that `sample` keeps for each reason in each input file: the first ones."""

ONE_IN = 64
"""Of the others, `sample` keeps one in so many, by the hash of the key."""

QUARANTINED = 1 << 20
"""Bytes of an unreadable record that quarantine keeps; the whole stays in the input."""


class DroppedTexts:
    """Which texts of dropped documents are kept: `none`, `all`, or a sample that depends on keys and order alone."""

    def __init__(self, keep: str) -> None:
        self._keep = keep
        self._seen: Counter[tuple[str, str]] = Counter()

    def __call__(self, key: str, step: str, rule: str, text: str | None) -> str | None:
        if self._keep != "sample":
            return text if self._keep == "all" else None
        self._seen[step, rule] += 1
        return text if self._seen[step, rule] <= SAMPLED or keeps_text(key) else None


def keeps_text(key: str) -> bool:
    """Whether `sample` keeps the text of a dropped document wherever it stands."""
    return not xxhash.xxh3_64_intdigest(plain(key).encode()) % ONE_IN


def drop_row(drop: Drop, label: str, text: str | None) -> dict[str, Any]:
    """The event of a dropped document; `label` names the step in its recipe, which may use it twice."""
    document = drop.document
    return {
        "event": "drop",
        "key": document.key,
        "url": document.url,
        "domain": document.domain,
        "step": label,
        "rule": drop.rule,
        "value": drop.value,
        "threshold": drop.threshold,
        "characters": len(document.text),
        "text": text,
    }


def edit_rows(document: Document) -> Iterator[dict[str, Any]]:
    """The events of a document that stayed, or of a dropped one before its drop: its edits, and its notes."""
    for step, before, after in document.edits:
        yield {"event": "edit", "key": document.key, "step": step, "characters": before, "after": after}
    for step, rule, value in document.notes:
        row = {"event": "note", "key": document.key, "url": document.url, "domain": document.domain}
        yield {**row, "step": step, "rule": rule, "value": value}


def lost_row(item: Unreadable) -> dict[str, Any]:
    raw = base64.b64encode(item.raw[:QUARANTINED]).decode("ascii")
    return {"event": "unreadable", "key": item.key, "error": item.error, "bytes": item.lost, "raw_base64": raw}


def encode_row(row: dict[str, Any]) -> bytes:
    """One line of JSON. Values a rule reports may be numpy scalars; text may hold lone surrogates."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(plain(row), option=orjson.OPT_APPEND_NEWLINE)


def read_rows(place: Place, on_bytes: Callable[[int], None] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of one file of events, or of quarantine."""
    return map(orjson.loads, read_lines(place, on_bytes))


def read_ledger(place: Place, names: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of one part of a ledger, with the named columns only; values and thresholds decoded."""
    for row in read_columns(place, None if names is None else list(names)):
        for name in ("value", "threshold"):
            if row.get(name) is not None:
                row[name] = orjson.loads(row[name])
        yield row


def write_ledger(
    events: Iterable[tuple[str, dict[str, Any]]], ledger: BinaryIO, quarantine: BinaryIO, keep: str
) -> dict[str, Any]:
    """Write (stage, event) pairs as one part of the ledger; returns its counts by stage and event."""
    counts: dict[str, dict[str, int]] = {}
    texts = DroppedTexts(keep)
    writer = ColumnWriter(ledger, COLUMNS)
    with zstandard.ZstdCompressor(level=3).stream_writer(quarantine, closefd=False) as lost:
        for stage, row in events:
            event = row["event"]
            by_event = counts.setdefault(stage, {})
            by_event[event] = by_event.get(event, 0) + 1
            row["stage"] = stage
            if event == "drop":
                row["text"] = texts(row["key"], row["step"], row["rule"], row["text"])
                row["value"] = _json(row["value"])
                row["threshold"] = _json(row["threshold"])
            elif event == "note":
                row["value"] = _json(row["value"])
            elif event == "unreadable":
                raw = row.pop("raw_base64")
                lost.write(encode_row({**row, "raw_base64": raw}))
            writer.write(row)
    writer.close()
    return {"events": counts}


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
