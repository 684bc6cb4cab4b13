"""Rows of Arrow batches as documents, and the Arrow files that `save_to_disk` of `datasets` leaves behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from curate.document import Document, Unreadable
from curate.places.address import need, reason_of
from curate.sources.compressed import KEPT, Data, Reached, mapped
from curate.sources.jsonl import MAX_FIELDS, MAX_LINE, row_document
from curate.sources.partition import Partition, Piece

if TYPE_CHECKING:
    import pyarrow

ROWS = 64
"""Rows that are Python objects at once."""


class ArrowStream(io.RawIOBase):
    """A file's bytes as a stream that pyarrow reads. An error of the file itself is kept in `failure`."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._place = 0
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
        return len(part)


def columns_of(schema: pyarrow.Schema, text_field: str, id_field: str) -> list[str]:
    """The columns that are read: text, id, url, and the first others that hold strings, numbers or truth values."""
    from pyarrow import types

    def scalar(kind: pyarrow.DataType) -> bool:
        if types.is_dictionary(kind):
            kind = kind.value_type
        string = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
        return string or types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)

    named = [name for name in schema.names if name in (text_field, id_field, "url")]
    others = [field.name for field in schema if field.name not in named and scalar(field.type)]
    return list(dict.fromkeys(named + others[:MAX_FIELDS]))


def batch_items(
    batch: pyarrow.RecordBatch, row: int, prefix: str, source: str, text_field: str, id_field: str
) -> Iterator[Document | Unreadable]:
    """Every row of a batch whose first is number `row` of its file; a bad row is one loss."""
    import pyarrow

    for first in range(0, batch.num_rows, ROWS):
        some = batch.slice(first, ROWS)
        try:
            rows: list[dict[str, Any] | None] = some.to_pylist()
        except (UnicodeDecodeError, pyarrow.ArrowException):
            rows = [_row(some, place) for place in range(some.num_rows)]
        for place, fields in enumerate(rows, row + first):
            key = f"{prefix}@{place}"
            if fields is None:
                yield Unreadable(key, "a row that cannot be decoded: a string in it is not UTF-8")
                continue
            text = fields.get(text_field)
            if isinstance(text, str) and len(text) > MAX_LINE:
                raw = text[:KEPT].encode("utf-8", "replace")[:KEPT]
                yield Unreadable(key, f"a text of more than {MAX_LINE} characters", raw)
            else:
                yield row_document(fields, key, source, text_field, id_field)


def _row(batch: pyarrow.RecordBatch, place: int) -> dict[str, Any] | None:
    import pyarrow

    try:
        return batch.slice(place, 1).to_pylist()[0]
    except (UnicodeDecodeError, pyarrow.ArrowException):
        return None


def no_text(names: list[str], prefix: str, text_field: str) -> Unreadable:
    """The one loss that counts for all rows of a file without a column of texts."""
    columns = ", ".join(repr(name[:40]) for name in names[:8]) or "none"
    return Unreadable(f"{prefix}@0", f"no column '{text_field}'; columns: {columns}")


def read_arrow(partition: Partition, piece: Piece, reached: Reached | None) -> Iterator[Document | Unreadable]:
    """Every row of an Arrow file (IPC, stream or file format); keys count rows. Raises OSError only.

    Batches are read until the file ends or breaks; the rest is one loss, at the first row that was not read.
    """
    need("pyarrow", "an Arrow file")
    import pyarrow

    fields = (partition.source, partition.text_field, partition.id_field)
    prefix = partition.prefix
    with mapped(partition.path) as data:
        stream = ArrowStream(data)
        row = 0
        try:
            names = None
            for batch in _batches(data, stream):
                if names is None:
                    names = columns_of(batch.schema, *fields[1:])
                    if partition.text_field not in names:
                        yield no_text(batch.schema.names, prefix, partition.text_field)
                        return
                batch.validate(full=True)
                yield from batch_items(batch.select(names), row, prefix, *fields)
                row += batch.num_rows
                if reached:
                    reached(stream.tell())
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
            if stream.failure is not None:
                raise stream.failure from None
            raw = bytes(data[:KEPT]) if row == 0 else b""
            yield Unreadable(f"{prefix}@{row}", f"the Arrow file is broken: {reason_of(error)}", raw)


def _batches(data: Data, stream: ArrowStream) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    if bytes(data[:6]) == b"ARROW1":
        reader = pyarrow.ipc.open_file(stream)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
    else:
        yield from pyarrow.ipc.open_stream(stream)
