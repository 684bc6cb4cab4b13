"""Where a big file can be cut, so that reading its pieces in order gives exactly the items of the whole.

A cut is made only where the sequential reader is at a clean boundary behind sound content: at a record that begins
a gzip member or zstd frame (anywhere, in a plain file) right behind a sound record; at a line that begins one; at a
row group of a Parquet file. Damage is never next to a cut, and beyond its piece a reader sees the same bytes as the
sequential reader.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from curate.places.patience import patiently
from curate.sources.compressed import Damage, Data, ReadingStart, chunks_of, compression, mapped
from curate.sources.content import size_of
from curate.sources.parquet import row_group_starts
from curate.sources.partition import WHOLE, Partition, Piece
from curate.sources.warc import WarcRecord, read_records

_Boundary = tuple[int, int]
"""A byte of the file where a piece may begin, and the `position` of that piece."""


def cut(partition: Partition, size: int) -> list[Piece]:
    """Pieces of at least `size` bytes of the file, in order; `[WHOLE]` where a partition is small or cannot be divided.

    Compressed files and WARC are read through once to find the cuts (framing and decompression only). Raises OSError.
    """
    total = patiently(size_of, partition)
    if size < 1 or total < 2 * size:
        return [WHOLE]
    if partition.format in ("warc", "wet"):
        starts = _spaced(_records(partition), size, total)
    elif partition.format == "parquet":
        starts = _spaced(iter(row_group_starts(partition)), size, total)
    elif partition.format in ("jsonl", "shards"):
        with mapped(partition.path) as data:
            name = partition.path.name
            plain = compression(data, name) == "plain"
            starts = _lines(data, size) if plain else _spaced(_members(data, name), size, len(data))
    else:
        return [WHOLE]
    bounds = [(0, 0), *starts]
    ends = [start for start, _ in starts] + [None]
    return [Piece(start, end, position) for (start, position), end in zip(bounds, ends, strict=True)]


_RECORD = re.compile(rb"WARC/\d|[a-z][a-z0-9+.-]{1,30}:\S")
_MEMBER = b"\x1f\x8b\x08"
_BEHIND = b"\r\n\r\nWARC/1."


def piece_between(partition: Partition, start: int, end: int | None) -> Piece | None:
    """The records that begin from byte `start` on and before `end`, without reading what lies before: for samples. None
    where none begins there, or where nobody knows without reading the file from its beginning.

    Unlike a cut it may begin in the middle of what only looks like a record. Raises OSError.
    """
    if start == 0:
        return Piece(0, end)
    with mapped(partition.path) as data:
        packing = compression(data, partition.path.name)
        place = -1
        if partition.format in ("warc", "wet") and packing == "gzip":
            place = _member_after(data, start, end)
        elif partition.format in ("warc", "wet") and packing == "plain":
            place = data.find(_BEHIND, max(0, start - 4))
            place += 4 if place >= 0 else 0
        elif partition.format in ("jsonl", "shards") and packing == "plain":
            place = data.find(b"\n", start - 1) + 1
        if place < start or place >= (len(data) if end is None else end):
            return None
        return Piece(place, end, 0 if packing == "gzip" else place)


def _member_after(data: Data, place: int, end: int | None) -> int:
    """The first gzip member from a byte on that begins with a record; -1 where there is none before `end`."""
    while (place := data.find(_MEMBER, place)) >= 0 and (end is None or place < end):
        try:
            if _RECORD.match(zlib.decompressobj(31).decompress(bytes(data[place : place + 512]), 64)):
                return place
        except zlib.error:
            pass
        place += 1
    return -1


def _spaced(boundaries: Iterator[_Boundary], size: int, total: int) -> list[_Boundary]:
    """Boundaries at least `size` bytes apart, from both ends of the file too."""
    kept: list[_Boundary] = []
    for start, position in boundaries:
        if start > total - size:
            break
        if start - (kept[-1][0] if kept else 0) >= size:
            kept.append((start, position))
    return kept


def _records(partition: Partition) -> Iterator[_Boundary]:
    with mapped(partition.path) as data:
        plain = compression(data, partition.path.name) == "plain"
    before = False
    for item in read_records(partition.path, ""):
        sound = isinstance(item, WarcRecord)
        offset = item.key[1:]
        if before and sound and offset.isdigit():
            yield int(offset), int(offset) if plain else 0
        before = sound


def _members(data: Data, name: str) -> Iterator[_Boundary]:
    """Members and frames whose first byte begins a line."""
    position = 0
    after_line = False
    candidate: int | None = None
    for chunk in chunks_of(data, name=name):
        if isinstance(chunk, ReadingStart):
            # Of several members that begin at one byte, the last holds it.
            candidate = chunk.offset if after_line else None
        elif isinstance(chunk, Damage):
            after_line, candidate = False, None
        else:
            if candidate is not None:
                yield candidate, position
            candidate = None
            position += len(chunk)
            after_line = chunk.endswith(b"\n")


def _lines(data: Data, size: int) -> list[_Boundary]:
    kept: list[_Boundary] = []
    place = size
    while place <= len(data) - size:
        start = data.find(b"\n", place - 1) + 1
        if not 0 < start <= len(data) - size:
            break
        kept.append((start, start))
        place = start + size
    return kept
