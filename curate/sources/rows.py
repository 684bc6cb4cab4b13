"""Fields of a row as a document has them: its address under the names that corpora give it, further fields as JSON can
hold them, and what JSON's own parser refuses (NaN, half surrogates) or changes (numbers of more than 64 bits)."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from curate.domains import registered_domain

READ = "read"
"""The step of a note that a reader makes. One without a value is counted, and is no line of the ledger."""

Told = list[tuple[str, str, Any]]

MAX_FIELDS = 32
MAX_FIELD = 1000
"""How many further fields of a row are kept as metadata, and how many characters of each."""

NESTED = ("metadata", "meta")
"""Fields that hold further fields of the document, as datatrove, dolma and RedPajama write them."""

_PLACES = [
    *("url", "source_url", "warc_url", "page_url", "URL", "uri", "warc_target_uri", "WARC-Target-URI"),
    *("source.url", "warc_headers.warc-target-uri", "warc_headers.WARC-Target-URI"),
]
ADDRESSES = ("url", *(f"{field}.{name}" for field in NESTED for name in _PLACES), *_PLACES[1:])
"""Where the address of a row is looked for, in this order."""

_BIG = 2**63
_HALF = re.compile("[\ud800-\udfff]")
_TWICE_CHECKED = 16


def parsed(line: bytes, told: Told) -> Any:
    """The value of a line of JSON. What standard JSON does not know and Python's writer writes is read: NaN, infinite
    numbers, halves of surrogate pairs (as U+FFFD); numbers of more than 64 bits are texts of their digits; of a name
    that stands twice the last value counts. Raises ValueError.
    """
    line = line.removeprefix(b"\xef\xbb\xbf")
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as reason:
        try:
            row = _slowly(line, told)
        except (ValueError, RecursionError):
            raise reason from None
    else:
        if isinstance(row, dict) and (_has_big(row) or _may_repeat(line, row)):
            row = _slowly(line, told)
    return row


def _has_big(row: Mapping[str, Any]) -> bool:
    """Whether a number may have been one of more than 64 bits, of which orjson keeps 53."""
    return any(
        (isinstance(value, float) and abs(value) >= _BIG) or (isinstance(value, dict) and _has_big(value))
        for value in row.values()
    )


def _may_repeat(line: bytes, row: Mapping[str, Any]) -> bool:
    return any(line.count(orjson.dumps(name)) > 1 for name in list(row)[:_TWICE_CHECKED])


def _slowly(line: bytes, told: Told) -> Any:
    twice: set[str] = set()
    big: list[str] = []

    def pairs(fields: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(fields)
        if len(made) < len(fields):
            names = [name for name, _ in fields]
            twice.update(_HALF.sub("\ufffd", name)[:60] for name in made if names.count(name) > 1)
        return made

    def whole(digits: str) -> int | str:
        if len(digits) < 21 and -_BIG <= (number := int(digits)) < 2 * _BIG:
            return number
        big.append(digits)
        return digits

    row = json.loads(line.decode("utf-8"), object_pairs_hook=pairs, parse_int=whole)
    mended = _mended(row)
    # (A value that was mended is another one; NaN is none that equals itself.)
    if _HALF.search(json.dumps(row, ensure_ascii=False)):
        told.append((READ, "half of a surrogate pair is U+FFFD", True))
    if big:
        told.append((READ, "a number of more than 64 bits is a text", big[0][:60]))
    if twice:
        told.append((READ, "a name stands twice, and its last value counts", ", ".join(sorted(twice)[:8])))
    return mended


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(one) for name, one in value.items()}
    return value


def address_of(row: dict[str, Any], field: str | None) -> str | None:
    """The address of a row, taken out of it: the field that is named, or the first of `ADDRESSES` that holds one."""
    if not field and not (isinstance(row.get("url"), str) and row["url"]):
        row.pop("url", None)
    for place in (field,) if field else ADDRESSES:
        inner, name = row, place
        while name not in inner and "." in name:
            first, _, name = name.partition(".")
            within = inner.get(first)
            inner = within if isinstance(within, dict) else {}
        value = inner.get(name)
        if isinstance(value, str) and value and (place in (field, "url") or registered_domain(value)):
            del inner[name]
            return value
    return None


def further(row: Mapping[str, Any], metadata: dict[str, Any], told: Told) -> None:
    """Add to a document's metadata the fields of a row that are short, and tell of those that are left out."""
    rows: list[Mapping[str, Any]] = [row]
    for name in NESTED:
        inner = row.get(name)
        if isinstance(inner, dict):
            rows.append(inner)
    for number, fields in enumerate(rows):
        for name, value in fields.items():
            if value is None or (not number and name in NESTED and isinstance(value, dict)):
                continue
            value = plain(value)
            if not small(name) or not small(value):
                left = "not finite" if isinstance(value, float) else "too long, or not plain"
                told.append((READ, f"field left out, {left}: {str(name)[:60]}", None))
            elif len(metadata) < MAX_FIELDS:
                metadata.setdefault(name, value)
            elif name not in metadata:
                told.append((READ, f"fields left out beyond {MAX_FIELDS}", None))


def plain(value: Any) -> Any:
    """A value of a column as JSON has it: dates and times in ISO 8601, decimals and long numbers by their digits."""
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, datetime.timedelta, uuid.UUID)):
        return str(value)
    if type(value) is int and not -_BIG <= value < 2 * _BIG:
        return str(value)
    return value


def small(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (bool, int)) or (isinstance(value, str) and len(value) <= MAX_FIELD)
