"""Files of keyed records between the rounds of a corpus step: sections of zstd frames, one section for each bucket."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import xxhash
import zstandard

from curate.step import Record

_HEAD = struct.Struct("<II")
_TAIL = struct.Struct("<Q")


def bucket_of(key: bytes, buckets: int) -> int:
    return xxhash.xxh3_64_intdigest(key) % buckets


def write_sections(stream: BinaryIO, sections: list[list[Record]]) -> None:
    """Write each section as one frame of length-prefixed records, then the offsets of the frames and their number."""
    compressor = zstandard.ZstdCompressor(level=1)
    offsets = [0]
    for records in sections:
        body = b"".join(_HEAD.pack(len(key), len(value)) + key + value for key, value in records)
        frame = compressor.compress(body)
        stream.write(frame)
        offsets.append(offsets[-1] + len(frame))
    stream.write(b"".join(_TAIL.pack(offset) for offset in offsets))
    stream.write(_TAIL.pack(len(sections)))


def read_section(path: Path, section: int) -> Iterator[Record]:
    """The records of one section, in the order in which they were written."""
    with path.open("rb") as stream:
        stream.seek(-_TAIL.size, 2)
        count = _TAIL.unpack(stream.read(_TAIL.size))[0]
        stream.seek(-_TAIL.size * (count + 2), 2)
        table = struct.unpack(f"<{count + 1}Q", stream.read(_TAIL.size * (count + 1)))
        stream.seek(table[section])
        frame = stream.read(table[section + 1] - table[section])
    body = zstandard.ZstdDecompressor().decompress(frame)
    position = 0
    while position < len(body):
        key_length, value_length = _HEAD.unpack_from(body, position)
        middle = position + _HEAD.size + key_length
        yield body[position + _HEAD.size : middle], body[middle : middle + value_length]
        position = middle + value_length


def by_key(records: Iterable[Record]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Group records by key, keys and values in byte order, so that no order of arrival can show."""
    current: bytes | None = None
    values: list[bytes] = []
    for key, value in sorted(records):
        if key != current:
            if current is not None:
                yield current, values
            current, values = key, []
        values.append(value)
    if current is not None:
        yield current, values
