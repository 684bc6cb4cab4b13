"""Where a big file can be cut, so that reading its pieces in order gives exactly the items of the whole.

A cut is made only where the sequential reader is at a clean boundary behind sound content: at a record that begins
a gzip member or zstd frame (anywhere, in a plain file) right behind a sound record; at a line that begins one, or lies
within a long one that is sound to its end; at a row group of a Parquet file. Damage is never next to a cut, and beyond
its piece a reader sees the same bytes as the sequential reader.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from curate.places.patience import patiently
from curate.sources.compressed import Damage, Data, ReadingStart, chunks_of, compression, mapped
from curate.sources.content import size_of
from curate.sources.parquet import row_group_starts
from curate.sources.partition import WHOLE, Partition, Piece
from curate.sources.warc import WarcRecord, read_records

_Boundary = tuple[int, int]
"""A byte of the file where a piece may begin, and the `position` of that piece."""

UNPACKED = 4
"""Within a member a piece has so many times the bytes, as they are after decompression: to get there, all that lies
before it in the member is decompressed again."""

WITHIN = 16
"""Pieces of one member at most, so that this takes at most eight times as long as decompressing it once."""

SMALL = 8
"""A compressed file of this part of a piece's bytes may hold several pieces."""


class _Line(NamedTuple):
    """A line at which a piece may begin: about where in the file, its position, and the member that it lies within,
    with the position of that (None: it begins the member)."""

    place: int
    position: int
    stream: tuple[int, int] | None = None


def cut(partition: Partition, size: int) -> list[Piece]:
    """Pieces of at least `size` bytes of the file, in order; `[WHOLE]` where a partition is small or cannot be divided.

    Compressed files and WARC are read through once to find the cuts (framing and decompression only). Raises OSError.
    """
    total = patiently(size_of, partition)
    if size > 0 and total >= size // SMALL and partition.format in ("jsonl", "shards"):
        with mapped(partition.path) as data:
            if compression(data, name := partition.path.name) != "plain":
                # From a store, all that lies before a piece would be fetched again.
                within = isinstance(partition.path, Path)
                return _pieces(_in_members(data, name, size, total, within))
    if size < 1 or total < 2 * size:
        return [WHOLE]
    if partition.format in ("warc", "wet"):
        starts = _spaced(_records(partition), size, total)
    elif partition.format == "parquet":
        starts = _spaced(iter(row_group_starts(partition)), size, total)
    elif partition.format in ("jsonl", "shards"):
        with mapped(partition.path) as data:
            starts = _lines(data, size)
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


def _pieces(lines: list[_Line]) -> list[Piece]:
    pieces = []
    begin = _Line(0, 0)
    for line in [*lines, None]:
        end = None if line is None else line.place
        until = line.position if line is not None and line.stream else None
        pieces.append(Piece(begin.place, end, begin.position, begin.stream, until))
        begin = line or begin
    return pieces


def _in_members(data: Data, name: str, size: int, total: int, within: bool) -> list[_Line]:
    """Members and frames whose first byte begins a line, at least `size` bytes apart and from both ends of the file;
    and, if asked for, lines within those that give many times as much."""
    kept: list[_Line] = []
    for line in _members(data, name, size):
        place = kept[-1].place if kept else 0
        if (within and line.place > place) if line.stream else place + size <= line.place <= total - size:
            kept.append(line)
    return kept


def _members(data: Data, name: str, size: int) -> Iterator[_Line]:
    """Members and frames whose first byte begins a line, and lines within sound ones, in order."""
    place = position = 0
    after_line = False
    candidate: int | None = None
    member: tuple[int, int] | None = None
    within: list[_Line] = []

    def reached(now: int, unpacked: int = 0, /) -> None:
        nonlocal place
        place = now

    for chunk in chunks_of(data, reached=reached, name=name):
        if isinstance(chunk, ReadingStart):
            yield from _far_apart(within, position, size)
            # Of several members that begin at one byte, the last holds it.
            candidate = chunk.offset if after_line else None
            member, within = (chunk.offset, position), []
        elif isinstance(chunk, Damage):
            after_line, candidate, member, within = False, None, None, []
        else:
            if candidate is not None:
                yield _Line(candidate, position)
            candidate = None
            if member is not None and position - (within[-1].position if within else member[1]) >= size:
                line = chunk.find(b"\n") + 1
                if 0 < line < len(chunk) and place > (within[-1].place if within else member[0]):
                    within.append(_Line(place, position + line, member))
            position += len(chunk)
            after_line = chunk.endswith(b"\n")
    yield from _far_apart(within, position, size)


def _far_apart(lines: list[_Line], end: int, size: int) -> Iterator[_Line]:
    """Of the lines within a sound member, which gives bytes up to `end`, those at which pieces begin."""
    if not lines or lines[0].stream is None:
        return
    begin = lines[0].stream[1]
    least = max(UNPACKED * size, (end - begin) // WITHIN)
    for line in lines:
        if line.position - begin >= least and end - line.position >= least // 2:
            begin = line.position
            yield line


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
