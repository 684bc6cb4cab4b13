"""The account of every document: each drop with step, rule, value and threshold, each edit with its sizes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from curate.document import Document, Drop, Unreadable
from curate.shards.text import read_lines

EXCERPT = 600
"""Characters of a dropped text that the ledger keeps, so that a report can show what left."""

QUARANTINED = 1 << 20
"""Bytes of an unreadable record that quarantine keeps; the whole stays in the input."""


def drop_row(drop: Drop, label: str) -> dict[str, Any]:
    """The row of a dropped document; `label` names the step in its recipe, where it may stand twice."""
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
        "excerpt": document.text[:EXCERPT],
    }


def edit_rows(document: Document) -> Iterator[dict[str, Any]]:
    for step, before, after in document.edits:
        yield {"event": "edit", "key": document.key, "step": step, "before": before, "after": after}


def quarantine_row(item: Unreadable) -> dict[str, Any]:
    raw = base64.b64encode(item.raw[:QUARANTINED]).decode("ascii")
    return {"key": item.key, "error": item.error, "bytes": len(item.raw), "raw_base64": raw}


def encode_row(row: dict[str, Any]) -> bytes:
    """One line of JSON. Values a rule reports may be numpy scalars; text may hold lone surrogates, written as '?'."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(_plain(row), option=orjson.OPT_APPEND_NEWLINE)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one ledger or quarantine file."""
    return map(orjson.loads, read_lines(path))
