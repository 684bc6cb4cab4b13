"""JSON Lines: one document a line; a bad line is one loss."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from curate.document import Document, Skipped, Unreadable
from curate.domains import registered_domain
from curate.places.address import reason_of
from curate.sources.compressed import KEPT, Run, mapped, runs
from curate.sources.meter import Reached
from curate.sources.partition import Partition, Piece
from curate.sources.rows import MAX_FIELD, Told, address_of, further, parsed, small

MAX_LINE = 64 << 20
"""Bytes of a line; a longer one is set aside."""

RowDocument = Callable[[dict[str, Any], str, str, str, str, bytes | None, str | None], Document | Unreadable]
"""Makes a document of a row: fields, key, source, names of the text and id fields, the row as it was read, and the name
of the field of its address."""

SKIPPED = 1 << 20
"""Bytes that are passed over at once."""

FEW = 1 << 20
MAX_VALUES = 1 << 21
"""Values of a line; only lines of more than `FEW` bytes can hold more, and are counted."""

MOST = 1 << 31
"""Facts and exposures are numbered below it, as token shards store them."""


def read_jsonl(
    partition: Partition, piece: Piece, reached: Reached | None
) -> Iterator[Document | Skipped | Unreadable]:
    """Every line that is not blank. Keys count bytes of the decompressed stream.

    `url`, or the first of `ADDRESSES` that holds one, becomes the document's address, the id field `metadata["id"]`;
    other fields that are short strings, numbers or truth values, and those within `metadata` or `meta`, stay in the
    metadata under their names. What is left out, or read otherwise than it is written, is a note. Raises OSError only,
    when the file cannot be opened.
    """
    return _lines(partition, piece, reached, row_document)


def read_shards(
    partition: Partition, piece: Piece, reached: Reached | None
) -> Iterator[Document | Skipped | Unreadable]:
    """Every row of goldsand's own text shards, whose injected documents stay protected."""
    return _lines(partition, piece, reached, shard_document)


def _lines(
    partition: Partition, piece: Piece, reached: Reached | None, made: RowDocument
) -> Iterator[Document | Skipped | Unreadable]:
    path, prefix, source = partition.path, partition.prefix, partition.source
    fields = (partition.text_field, partition.id_field, partition.url_field)
    with mapped(path) as data:
        for run in runs(data, piece, reached, path.name):
            _go_to(run, piece, reached)
            while True:
                if run.position >= piece.until if piece.until is not None else run.begins_from(piece.end):
                    return
                key = f"{prefix}@{run.position}"
                line = run.line(MAX_LINE)
                if not line:
                    break
                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    raw, size = line[:KEPT], len(line)
                    while line and not line.endswith(b"\n"):
                        line = run.line(MAX_LINE)
                        size += len(line)
                    yield Unreadable(key, f"a line of more than {MAX_LINE} bytes", raw, size)
                    continue
                if not line.endswith(b"\n") and run.damage is not None:
                    damage, run.damage = run.damage, None
                    yield Unreadable(key, damage.error, line[:KEPT], len(line) + damage.size, packed=damage.size)
                elif line.strip():
                    yield _document(line, key, source, *fields, made)
            if run.damage is not None:
                # Two places of damage may share one byte of the decompressed stream.
                key, size = f"{prefix}@{run.position}/{run.damage.offset}", run.damage.size
                yield Unreadable(key, run.damage.error, run.damage.raw, size, packed=size)


def _go_to(run: Run, piece: Piece, reached: Reached | None) -> None:
    """Go to where a piece begins within a member; what lies before it is not of the piece."""
    while run.position < piece.position:
        skipped = len(run.read(min(SKIPPED, piece.position - run.position)))
        if not skipped:
            return
        if reached is not None:
            reached(0, -skipped)


def _document(
    line: bytes, key: str, source: str, text_field: str, id_field: str, url_field: str | None, made: RowDocument
) -> Document | Unreadable:
    if len(line) > FEW and (values := _values(line)) > MAX_VALUES:
        return Unreadable(
            key,
            f"a line of {len(line)} bytes that holds {values} values; at most {MAX_VALUES} are read",
            line[:KEPT],
            len(line),
        )
    told: Told = []
    try:
        row = parsed(line, told)
    except ValueError as reason:
        return Unreadable(key, f"not JSON: {reason}", line[:KEPT])
    if not isinstance(row, dict):
        return Unreadable(key, f"a JSON {type(row).__name__}, not an object", line[:KEPT])
    document = made(row, key, source, text_field, id_field, line, url_field)
    if told and isinstance(document, Document):
        document.notes += told
    return document


def _values(line: bytes) -> int:
    """About how many values a line of JSON holds: each costs a hundred bytes or more when it is an object of Python's,
    and a line of megabytes may hold nothing else. Marks within strings do not count."""
    unescaped = line.replace(b"\\\\", b"").replace(b'\\"', b"")
    inside = values = 0
    for place in range(0, len(unescaped), FEW):
        parts = unescaped[place : place + FEW].split(b'"')
        values += sum(part.count(b",") + part.count(b"[") + part.count(b"{") for part in parts[inside::2])
        inside ^= (len(parts) - 1) & 1
    return values


def row_document(
    row: dict[str, Any],
    key: str,
    source: str,
    text_field: str,
    id_field: str,
    raw: bytes | None = None,
    url_field: str | None = None,
) -> Document | Unreadable:
    """The document of a row of fields; `raw` is the row as it was read, rebuilt from its fields where it is not
    given. A row that no document can be made of, for whatever reason, is one loss."""
    try:
        return _row_document(row, key, source, text_field, id_field, raw, url_field)
    except Exception as error:
        return Unreadable(
            key, f"the row cannot be read: {type(error).__name__}: {reason_of(error)}", (raw or b"")[:KEPT]
        )


def _row_document(
    row: dict[str, Any],
    key: str,
    source: str,
    text_field: str,
    id_field: str,
    raw: bytes | None,
    url_field: str | None,
) -> Document | Unreadable:
    text = row.get(text_field)
    if not isinstance(text, str):
        others = ", ".join([repr(name[:40]) for name in row if name != text_field][:8]) or "none"
        if raw is None:
            raw = orjson.dumps(row, default=repr, option=orjson.OPT_NON_STR_KEYS)
        return Unreadable(key, f"no string in the field '{text_field}'; other fields: {others}", raw[:KEPT])
    del row[text_field]
    url = address_of(row, url_field)
    metadata: dict[str, Any] = {}
    if row.get(id_field) is not None:
        metadata["id"] = row.pop(id_field)
        if not small(metadata["id"]) or (type(metadata["id"]) is int and metadata["id"].bit_length() > 64):
            metadata["id"] = str(metadata["id"])[:MAX_FIELD]
    told: Told = []
    further(row, metadata, told)
    domain = registered_domain(url) or source
    return Document(key=key, text=text, url=url, domain=domain, source=source, metadata=metadata, notes=told)


def shard_document(
    row: dict[str, Any],
    key: str,
    source: str,
    text_field: str,
    id_field: str,
    raw: bytes | None = None,
    url_field: str | None = None,
) -> Document | Unreadable:
    """The document of a row of a goldsand text shard: an injected document is protected again, and a page has its
    domain, its language and its metadata. Any other row is read as one of JSON Lines. An injected one whose fact has no
    number, or an impossible one, is a loss."""
    injected, stored, domain = (row.pop(name, None) for name in ("injected", "metadata", "domain"))
    document = row_document(row, key, source, text_field, id_field, raw, url_field)
    try:
        metadata = orjson.loads(stored)
    except (ValueError, TypeError):
        return document
    if isinstance(document, Document) and isinstance(metadata, dict) and isinstance(domain, str):
        document.metadata |= metadata
        document.domain = domain or None
        document.protected = injected is True
        if document.protected and metadata.keys() & {"entity", "exposure"}:
            for name in ("entity", "exposure"):
                value = metadata.get(name)
                if type(value) is not int or not 0 <= value < MOST:
                    error = f"an injected row whose {name} is {reprlib.repr(value)}, not a number below {MOST}"
                    return Unreadable(key, error, (raw or b"")[:KEPT])
    return document
