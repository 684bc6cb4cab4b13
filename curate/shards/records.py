"""Files of keyed records between the rounds of a corpus step, and the sorting of more records than memory holds.

A file has a section for each bucket. Records are buffered up to a budget and then written, each section's as one
zstd frame; a table of frames ends the file. Each section has a digest of its content, so that a unit that reads one
section runs again only when that section changed.
"""

from __future__ import annotations

import heapq
import itertools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import xxhash
import zstandard

from curate.places.store import Place
from curate.step import Record

BUDGET = 64 << 20
"""Bytes of memory for buffered records, before they are written or sorted."""

OVERHEAD = 160
"""Overhead in bytes of two `bytes` objects and their tuple (CPython, 64 bits)."""

FRAME = 1 << 20
"""Bytes in a frame of a spilled file, about, or a 64th of a smaller budget: merging holds one frame of each file."""

_HEAD = struct.Struct("<II")
_FRAME = struct.Struct("<IQQ")
_END = struct.Struct("<Q")


class Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


def bucket_of(key: bytes, buckets: int) -> int:
    return xxhash.xxh3_64_intdigest(key) % buckets


def _pack(record: Record) -> bytes:
    key, value = record
    return _HEAD.pack(len(key), len(value)) + key + value


def _unpack(body: bytes) -> Iterator[Record]:
    position = 0
    while position < len(body):
        key_length, value_length = _HEAD.unpack_from(body, position)
        middle = position + _HEAD.size + key_length
        yield body[position + _HEAD.size : middle], body[middle : middle + value_length]
        position = middle + value_length


class SectionWriter:
    """Writes records into the sections of one file, in memory that does not grow with their number."""

    def __init__(self, stream: Writable, sections: int, budget: int = BUDGET) -> None:
        self._stream = stream
        self._budget = budget
        self._waiting: list[list[bytes]] = [[] for _ in range(sections)]
        self._digests = [xxhash.xxh3_64() for _ in range(sections)]
        self._frames: list[bytes] = []
        self._size = self._offset = 0
        self._compressor = zstandard.ZstdCompressor(level=1)

    def add(self, section: int, record: Record) -> None:
        packed = _pack(record)
        self._waiting[section].append(packed)
        self._size += len(packed) + OVERHEAD
        if self._size > self._budget:
            self._flush()

    def _flush(self) -> None:
        for section, packed in enumerate(self._waiting):
            if packed:
                body = b"".join(packed)
                self._digests[section].update(body)
                frame = self._compressor.compress(body)
                self._stream.write(frame)
                self._frames.append(_FRAME.pack(section, self._offset, len(frame)))
                self._offset += len(frame)
                packed.clear()
        self._size = 0

    def close(self) -> list[str]:
        """Write the buffered records and the table; returns a digest of each section's records."""
        self._flush()
        self._stream.write(b"".join(self._frames) + _END.pack(len(self._frames)))
        return [digest.hexdigest() for digest in self._digests]


class Sections:
    """The sections of one file, whose table of frames is read once. Raises ValueError for a table that is none."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._frames: dict[int, list[tuple[int, int]]] = {}
        with place.open("rb") as stream:
            end = stream.seek(-_END.size, 2)
            (count,) = _END.unpack(stream.read(_END.size))
            self._end = end - count * _FRAME.size
            if self._end < 0:
                raise ValueError(f"{place} holds no table of {count} frames")
            stream.seek(self._end)
            for section, offset, size in _FRAME.iter_unpack(stream.read(count * _FRAME.size)):
                self._frames.setdefault(section, []).append((offset, size))

    def read(self, section: int) -> Iterator[Record]:
        """The records of one section, in the order in which they were written; one frame in memory at a time.

        Raises ValueError where the table points outside the file.
        """
        if section not in self._frames:
            return
        with self._place.open("rb") as stream:
            for offset, size in self._frames[section]:
                if offset + size > self._end:
                    raise ValueError(f"{self._place} holds no frame of {size} bytes at {offset}")
                stream.seek(offset)
                yield from _unpack(zstandard.ZstdDecompressor().decompress(stream.read(size)))


def read_section(place: Place, section: int) -> Iterator[Record]:
    """The records of one section of a file, as `Sections.read` gives them."""
    yield from Sections(place).read(section)


def in_order(records: Iterable[Record], scratch: Path, budget: int = BUDGET) -> Iterator[Record]:
    """The records sorted by key and value; what does not fit the budget is sorted in `scratch`, and merged."""
    spilled: list[Iterator[Record]] = []
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record[0]) + len(record[1]) + OVERHEAD
        if size > budget:
            chunk.sort()
            path = scratch / f"{len(spilled):05d}.sorted"
            _spill(chunk, path, budget)
            spilled.append(_spilled(path))
            chunk, size = [], 0
    chunk.sort()
    return heapq.merge(*spilled, chunk) if spilled else iter(chunk)


def _spill(chunk: list[Record], path: Path, budget: int) -> None:
    compressor = zstandard.ZstdCompressor(level=1)
    with path.open("wb") as stream:
        for packed in _frames(map(_pack, chunk), min(FRAME, budget // 64)):
            frame = compressor.compress(packed)
            stream.write(_END.pack(len(frame)) + frame)


def _frames(packed: Iterable[bytes], frame: int) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for one in packed:
        waiting.append(one)
        size += len(one) + OVERHEAD
        if size > frame:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _spilled(path: Path) -> Iterator[Record]:
    with path.open("rb") as stream:
        while head := stream.read(_END.size):
            frame = stream.read(_END.unpack(head)[0])
            yield from _unpack(zstandard.ZstdDecompressor().decompress(frame))


def by_key(records: Iterable[Record], streams: bool = False) -> Iterator[tuple[bytes, Any]]:
    """Group sorted records by key; the values of a key are in byte order, so that the order of arrival has no effect.

    They are a list, or, with `streams`, an iterator that is valid until the next key.
    """
    for key, group in itertools.groupby(records, key=lambda record: record[0]):
        values = (value for _, value in group)
        yield key, values if streams else list(values)
