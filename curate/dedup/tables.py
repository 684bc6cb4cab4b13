"""Many records in one: tables of fixed rows, cut into ranges of their hashes.

A round's record costs microseconds; a row of an array costs nanoseconds. So deduplication keys its records by a *range*
(names are hashes, and a range is an equal share of all of them), and a value is a table: every row of one batch that
falls into the range. A reduce then holds one range, whatever the number of documents, and works on whole arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NAME = "S16"
"""The type of a 128-bit name. Zeros at the end make no difference to comparisons between names of one width."""

HEAD = 5
"""Bytes of a value in front of its rows: the kind, and the number of rows."""


@dataclass(frozen=True)
class Layout:
    """A kind of table: one byte that identifies it, the fields of its rows, and, where there is a field `size`, the
    type of the `size` items that belong to each row."""

    kind: bytes
    fields: tuple[tuple[str, str], ...]
    unit: str | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(list(self.fields))

    def empty(self) -> Table:
        return Table(self, np.empty(0, self.dtype), None if self.unit is None else np.empty(0, self.unit))

    def unpack(self, value: bytes) -> Table:
        """The table that `Table.pack` made into a value."""
        count = int.from_bytes(value[1:HEAD], "little")
        rows = np.frombuffer(value, self.dtype, count, HEAD)
        payload = None if self.unit is None else np.frombuffer(value, self.unit, offset=HEAD + rows.nbytes)
        return Table(self, rows, payload)

    def gather(self, values: Iterable[bytes], more: Iterable[Table] = ()) -> Table:
        """All rows of this kind among the values of a key, in one table."""
        tables = [self.unpack(value) for value in values if value[:1] == self.kind] + list(more)
        if len(tables) < 2:
            return tables[0] if tables else self.empty()
        rows = np.concatenate([one.rows for one in tables])
        payloads = [one.payload for one in tables if one.payload is not None]
        return Table(self, rows, np.concatenate(payloads) if payloads else None)

    def build(self, payload: npt.NDArray[Any] | None = None, **columns: Any) -> Table:
        """A table from its columns."""
        rows = np.empty(len(next(iter(columns.values()))), self.dtype)
        for name, values in columns.items():
            rows[name] = values
        return Table(self, rows, payload)


@dataclass
class Table:
    """Rows, and in `payload` the items of each row, one row after another."""

    layout: Layout
    rows: npt.NDArray[Any]
    payload: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return np.ascontiguousarray(self.rows[name])

    def ends(self) -> npt.NDArray[np.int64]:
        """Offsets at which each row's items begin and end: shape (rows + 1,)."""
        ends = np.zeros(len(self.rows) + 1, np.int64)
        np.cumsum(self.rows["size"], out=ends[1:])
        return ends

    def items(self, row: int, ends: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        assert self.payload is not None
        return self.payload[ends[row] : ends[row + 1]]

    def take(self, index: npt.NDArray[Any]) -> Table:
        """The rows at these places (or under this mask), with their items."""
        if index.dtype == bool:
            index = np.flatnonzero(index)
        rows = self.rows[index]
        if self.payload is None:
            return Table(self.layout, rows)
        sizes = rows["size"].astype(np.int64)
        after = np.cumsum(sizes)
        places = np.repeat(self.ends()[index] - after + sizes, sizes)
        places += np.arange(len(places))
        return Table(self.layout, rows, self.payload[places])

    def pack(self) -> bytes:
        payload = b"" if self.payload is None else self.payload.tobytes()
        return self.layout.kind + len(self.rows).to_bytes(4, "little") + self.rows.tobytes() + payload

    def cut(self, owner: npt.NDArray[Any]) -> Iterator[tuple[int, Table]]:
        """The rows of each owner, as a table of their own; `owner` is a number for each row."""
        if not len(self.rows):
            return
        order = np.argsort(owner, kind="stable")
        whole = self.take(order)
        owner = owner[order]
        starts = np.flatnonzero(begins(owner))
        stops = [*starts[1:].tolist(), len(owner)]
        ends = whole.ends() if whole.payload is not None else None
        for start, stop in zip(starts.tolist(), stops, strict=True):
            payload = None
            if ends is not None and whole.payload is not None:
                payload = whole.payload[ends[start] : ends[stop]]
            yield int(owner[start]), Table(self.layout, whole.rows[start:stop], payload)


def begins(*columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """A mask of the rows that differ from the one before in some column, and of the first row."""
    mask = np.ones(len(columns[0]), bool)
    mask[1:] = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        mask[1:] |= column[1:] != column[:-1]
    return mask


def shared(ordered: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """A mask of the rows of a sorted column whose value some other row has too."""
    first = begins(ordered)
    return ~(first & np.append(first[1:], True)) if len(first) else first


def leading(names: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """The first eight bytes of names, as numbers that sort like them."""
    width = names.dtype.itemsize
    prefix = np.ascontiguousarray(names).view("u1").reshape(len(names), width)[:, :8]
    return np.ascontiguousarray(prefix).view(">u8").reshape(-1).astype(np.uint64)


def range_of(hashes: npt.NDArray[np.uint64], ranges: int) -> npt.NDArray[np.int64]:
    """The number of the range of each hash: all 64-bit hashes are cut into `ranges` equal ones."""
    return (((hashes >> np.uint64(32)) * np.uint64(ranges)) >> np.uint64(32)).astype(np.int64)


def joined(*columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Columns of bytes side by side: one column that sorts like all of them in this order."""
    width = sum(column.dtype.itemsize for column in columns)
    whole = np.empty((len(columns[0]), width), np.uint8)
    place = 0
    for column in columns:
        size = column.dtype.itemsize
        whole[:, place : place + size] = np.ascontiguousarray(column).view("u1").reshape(len(column), size)
        place += size
    return whole.reshape(-1).view(f"S{width}")


def find(wanted: npt.NDArray[Any], ordered: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The position of each of `wanted` among sorted distinct values; -1: not among them."""
    if not len(ordered):
        return np.full(len(wanted), -1, np.int64)
    places = np.searchsorted(ordered, wanted)
    places[places == len(ordered)] = 0
    return np.where(ordered[places] == wanted, places, -1)
