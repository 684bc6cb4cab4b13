"""Rows of Arrow batches as documents, and the Arrow files that `save_to_disk` of `datasets` leaves behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from curate.document import Document, Unreadable
from curate.places.address import need, reason_of
from curate.sources.compressed import KEPT, Data, mapped
from curate.sources.jsonl import MAX_LINE, row_document
from curate.sources.meter import Reached
from curate.sources.partition import Partition, Piece
from curate.sources.rows import ADDRESSES, MAX_FIELDS, NESTED, READ, Told

if TYPE_CHECKING:
    import pyarrow

TAIL = 10
"""Bytes at the end of an Arrow file: the size of its footer, and `ARROW1`."""

NEXT = b"\xff\xff\xff\xff"
"""In front of each message of a stream since 2019, and of its end mark."""

END_MARK = 72
"""Bytes that may lie between the last batch and the footer: a mark, and padding."""

ROWS = 64
"""Rows that are Python objects at once."""


class ArrowStream(io.RawIOBase):
    """A file's bytes as a stream that pyarrow reads. An error of the file itself is kept in `failure`; `furthest` is
    the end of what was read."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._place = 0
        self.furthest = 0
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._data)}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        try:
            part = self._data[self._place : self._place + len(buffer)]
        except OSError as error:
            self.failure = error
            raise
        buffer[: len(part)] = part
        self._place += len(part)
        self.furthest = max(self.furthest, self._place)
        return len(part)


def columns_of(schema: pyarrow.Schema, text_field: str, id_field: str, url_field: str | None = None) -> list[str]:
    """The columns that are read: text, id, address, what they lie in, and the first others that hold strings, numbers,
    dates, times or truth values."""
    from pyarrow import types

    def scalar(kind: pyarrow.DataType) -> bool:
        if types.is_dictionary(kind):
            kind = kind.value_type
        string = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
        return string or number or types.is_boolean(kind) or types.is_temporal(kind)

    wanted = {text_field, id_field, "url", *(place.partition(".")[0] for place in (*ADDRESSES, url_field or ""))}
    nested = {
        field.name for field in schema if types.is_struct(field.type) and field.name not in (text_field, id_field)
    }
    inside = nested & {*NESTED, (url_field or "").partition(".")[0]}
    wanted = {name for name in wanted if name not in nested} | inside | ({url_field} if url_field else set())
    named = [name for name in schema.names if name in wanted]
    others = [field.name for field in schema if field.name not in named and scalar(field.type)]
    return list(dict.fromkeys(named + others[:MAX_FIELDS]))


def left_out(there: list[str], names: list[str]) -> Told:
    """What is told of each row of a file with columns that no document has a place for."""
    return [(READ, f"column left out: {name[:60]}", None) for name in dict.fromkeys(there) if name not in names]


def batch_items(
    batch: pyarrow.RecordBatch, row: int, prefix: str, partition: Partition, left: Told | None = None
) -> Iterator[Document | Unreadable]:
    """Every row of a batch whose first is number `row` of its file; a bad row is one loss. `left` tells of columns that
    are in the file and not in the batch."""
    source, text_field, id_field = partition.source, partition.text_field, partition.id_field
    # A schema may have a name twice: the first counts.
    names = batch.schema.names
    batch = batch.select([names.index(name) for name in dict.fromkeys(names)])
    for first in range(0, batch.num_rows, ROWS):
        some = batch.slice(first, ROWS)
        try:
            rows: list[dict[str, Any] | None] = some.to_pylist()
            raw: dict[int, list[str]] = {}
        except MemoryError:
            raise
        except Exception:
            # Of whatever class: what a value is made of is a library's or Python's own affair.
            raw = {place: [] for place in range(row + first, row + first + some.num_rows)}
            rows = [_row(some, place, raw[row + first + place]) for place in range(some.num_rows)]
        for place, fields in enumerate(rows, row + first):
            key = f"{prefix}@{place}"
            if fields is None:
                yield Unreadable(key, "a row that cannot be decoded: a string in it is not UTF-8")
                continue
            text = fields.get(text_field)
            if isinstance(text, str) and len(text) > MAX_LINE:
                begin = text[:KEPT].encode("utf-8", "replace")[:KEPT]
                yield Unreadable(key, f"a text of more than {MAX_LINE} characters", begin)
            else:
                item = row_document(fields, key, source, text_field, id_field, None, partition.url_field)
                if isinstance(item, Document):
                    item.notes += [(READ, "raw_value", told) for told in raw.get(place, [])]
                    item.notes += left or []
                yield item


def _row(batch: pyarrow.RecordBatch, place: int, raw: list[str]) -> dict[str, Any] | None:
    """One row; None when a string in it is not UTF-8. A value that Python has none for stays as text, and is told in
    `raw`."""
    fields: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            fields[name] = column[place].as_py()
        except UnicodeDecodeError:
            return None
        except MemoryError:
            raise
        except Exception as error:
            fields[name] = _as_written(column[place])
            raw.append(f"{name}: {fields[name]} ({type(error).__name__}: {reason_of(error)})")
    return fields


def _as_written(value: pyarrow.Scalar) -> str | None:
    """A value that Python has none for as text: a time in a zone nobody knows, a date beyond the year 9999; None where
    it has no text either."""
    import pyarrow

    zone = getattr(value.type, "tz", None)
    try:
        if zone:
            value = value.cast(pyarrow.int64()).cast(pyarrow.timestamp(value.type.unit))
        text = value.cast(pyarrow.string()).as_py()
    except Exception:
        return None
    return f"{text} {zone}" if zone else text


def no_text(names: list[str], prefix: str, text_field: str, size: int, rows: int = 1) -> Unreadable:
    """The one loss that counts for all rows, and all bytes, of a file without a column of texts."""
    columns = ", ".join(repr(name[:40]) for name in names[:8]) or "none"
    return Unreadable(f"{prefix}@0", f"no column '{text_field}'; columns: {columns}", b"", size, size, max(1, rows))


def read_arrow(partition: Partition, piece: Piece, reached: Reached | None) -> Iterator[Document | Unreadable]:
    """Every row of an Arrow file (IPC, stream or file format); keys count rows. Raises OSError only.

    Batches are read until the file ends or breaks; the rest is one loss, at the first row that was not read.
    """
    need("pyarrow", "an Arrow file")
    prefix = partition.prefix
    with mapped(partition.path) as data:
        stream = ArrowStream(data)
        row = read = 0
        try:
            names, left = None, Told()
            for batch in _batches(data, stream):
                if names is None:
                    names = columns_of(batch.schema, partition.text_field, partition.id_field, partition.url_field)
                    left = left_out(batch.schema.names, names)
                    if partition.text_field not in names:
                        yield no_text(batch.schema.names, prefix, partition.text_field, len(data))
                        return
                batch.validate(full=True)
                yield from batch_items(select(batch, names), row, prefix, partition, left)
                row += batch.num_rows
                read = stream.tell()
                if reached:
                    reached(read)
            if more := _left(data, stream):
                raise ValueError(more)
        except Exception as error:
            if stream.failure is not None:
                raise stream.failure from None
            raw = bytes(data[:KEPT]) if row == 0 else b""
            broken, size = f"the Arrow file is broken: {reason_of(error)}", len(data) - read
            yield Unreadable(f"{prefix}@{row}", broken, raw, size, packed=size)


def select(batch: pyarrow.RecordBatch, names: list[str]) -> pyarrow.RecordBatch:
    """The columns of these names; of several of one name the first."""
    return batch.select([batch.schema.names.index(name) for name in names])


def _left(data: Data, stream: ArrowStream) -> str:
    """Why a file whose batches were all read has bytes that belong to none, or may lack some; empty for a sound one."""
    if bytes(data[:6]) == b"ARROW1":
        footer = len(data) - TAIL - int.from_bytes(data[len(data) - TAIL : len(data) - 6], "little")
        if footer - stream.furthest > END_MARK:
            return f"{footer - stream.furthest} bytes behind the last batch belong to none"
    elif stream.tell() < len(data):
        return f"{len(data) - stream.tell()} bytes behind its end mark belong to no batch"
    elif bytes(data[:4]) == NEXT and bytes(data[len(data) - 8 :]) != NEXT + bytes(4):
        return "it has no end mark, and may be cut off"
    return ""


def _batches(data: Data, stream: ArrowStream) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    if bytes(data[:6]) == b"ARROW1":
        reader = pyarrow.ipc.open_file(stream)
        # The footer was read first; what counts is how far its batches reach.
        stream.furthest = 0
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
        if not reader.num_record_batches:
            stream.seek(8)
            for _ in pyarrow.ipc.open_stream(stream):
                raise ValueError("its footer names no batch, and there are some")
            stream.furthest = len(data)
    else:
        yield from pyarrow.ipc.open_stream(stream)
