"""Rows in columns on disk: a small part of Apache Parquet, written and read without a library.

Every column is optional and flat; values are plain or, where few differ, in a dictionary; pages are compressed with
zstd and carry a CRC-32. Any Parquet reader opens the files; `read_columns` reads those that `ColumnWriter` wrote.
Format: parquet-format 2.11; its footer and page headers are `thrift.py`.

Why not a library: every run writes such files, so their writer is part of the base installation, which is limited to
350 MB. arro3, the smallest suitable library, takes 1.7 times less time to write and 34 MB, which do not fit
(docs/results/install-size.md).
"""

from __future__ import annotations

import functools
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zstandard

from curate.errors import Refused
from curate.shards.text import well_formed
from curate.shards.thrift import BINARY, I32, I64, LIST, STRUCT, Reader, Typed, encode, varint

ROWS = 65_536
SIZE = 32 << 20
LEVEL = 3
MAGIC = b"PAR1"
WRITER = b"goldsand"

_TYPES = {bool: 0, int: 2, float: 5, str: 6, bytes: 6}
_PLAIN, _RLE, _DICTIONARY = 0, 3, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_ZSTD = 6
_UTF8 = 0
_OPTIONAL = 1
_LENGTH = struct.Struct("<I")


class ColumnWriter:
    """Writes rows (dicts) as row groups of at most `rows` rows and about `size` bytes; the stream is never rewound.

    `columns` are names and types: str, int (64 bits), float, bool or bytes. A row may lack any of them. The bytes
    written depend on the rows alone.
    """

    def __init__(self, stream: BinaryIO, columns: dict[str, type], *, rows: int = ROWS, size: int = SIZE) -> None:
        self._stream = stream
        self._columns = columns
        self._most = (rows, size)
        self._waiting: dict[str, list[Any]] = {name: [] for name in columns}
        self._appends = [(name, values.append) for name, values in self._waiting.items()]
        self._rows = self._size = self._offset = self._total = 0
        self._groups: list[Typed] = []
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._put(MAGIC)

    def write(self, row: dict[str, Any]) -> None:
        for name, append in self._appends:
            value = row.get(name)
            append(value)
            if type(value) is str or type(value) is bytes:
                self._size += len(value)
        self._rows += 1
        if self._rows >= self._most[0] or self._size >= self._most[1]:
            self._flush()

    def close(self) -> None:
        """Write the rows in memory, and the footer. The stream stays open.

        Raises ValueError, as `write` does, for a value that its column cannot hold.
        """
        if self._rows:
            self._flush()
        schema: list[dict[int, Typed]] = [{4: (BINARY, b"schema"), 5: (I32, len(self._columns))}]
        for name, kind in self._columns.items():
            element: dict[int, Typed] = {
                1: (I32, _TYPES[kind]),
                3: (I32, _OPTIONAL),
                4: (BINARY, name.encode()),
            }
            if kind is str:
                element |= {6: (I32, _UTF8), 10: (STRUCT, {1: (STRUCT, {})})}
            schema.append(element)
        footer = encode(
            {
                1: (I32, 1),
                2: (LIST, (STRUCT, schema)),
                3: (I64, self._total),
                4: (LIST, (STRUCT, self._groups)),
                6: (BINARY, WRITER),
            }
        )
        self._put(footer + _LENGTH.pack(len(footer)) + MAGIC)

    def _put(self, data: bytes) -> int:
        offset, self._offset = self._offset, self._offset + len(data)
        self._stream.write(data)
        return offset

    def _flush(self) -> None:
        chunks = []
        size = 0
        begin = self._offset
        for name, kind in self._columns.items():
            chunk = self._chunk(name, kind, self._waiting[name])
            size += chunk[6][1]
            chunks.append({2: (I64, begin), 3: (STRUCT, chunk)})
            self._waiting[name].clear()
        self._groups.append({1: (LIST, (STRUCT, chunks)), 2: (I64, size), 3: (I64, self._rows)})  # type: ignore[arg-type]
        self._total += self._rows
        self._rows = self._size = 0

    def _chunk(self, name: str, kind: type, values: list[Any]) -> dict[int, Typed]:
        """Write the pages of one column of one row group; returns their entry in the footer."""
        present = [value for value in values if value is not None]
        begin, uncompressed = self._offset, 0
        dictionary: int | None = None
        encoding = _PLAIN
        distinct = dict.fromkeys(present) if kind is str else {}
        if kind is str and present and len(distinct) <= len(present) // 4:
            encoding = _DICTIONARY
            head: dict[int, Typed] = {1: (I32, len(distinct)), 2: (I32, _PLAIN)}
            dictionary, spent = self._page(_DICTIONARY_PAGE, 7, head, _plain(name, kind, list(distinct)))
            uncompressed += spent
            number = {value: place for place, value in enumerate(distinct)}
            body = _indexes([number[value] for value in present], len(distinct))
        else:
            body = _plain(name, kind, present)
        head = {1: (I32, len(values)), 2: (I32, encoding), 3: (I32, _RLE), 4: (I32, _RLE)}
        offset, spent = self._page(_DATA_PAGE, 5, head, _levels(values, len(present)) + body)
        uncompressed += spent
        chunk: dict[int, Typed] = {
            1: (I32, _TYPES[kind]),
            2: (LIST, (I32, sorted({encoding, _PLAIN, _RLE}))),
            3: (LIST, (BINARY, [name.encode()])),
            4: (I32, _ZSTD),
            5: (I64, len(values)),
            6: (I64, uncompressed),
            7: (I64, self._offset - begin),
            9: (I64, offset),
        }
        if dictionary is not None:
            chunk[11] = (I64, dictionary)
        return chunk

    def _page(self, kind: int, field: int, head: dict[int, Typed], body: bytes) -> tuple[int, int]:
        """Write a page; returns its offset, and its size before compression, header included."""
        packed = self._compressor.compress(body)
        crc = zlib.crc32(packed)
        header = encode(
            {
                1: (I32, kind),
                2: (I32, len(body)),
                3: (I32, len(packed)),
                4: (I32, crc - (1 << 32) if crc >> 31 else crc),
                field: (STRUCT, head),
            }
        )
        return self._put(header + packed), len(header) + len(body)


def _levels(values: list[Any], present: int) -> bytes:
    """Which values are present, in Parquet's hybrid of runs and bits."""
    if present in (0, len(values)):
        runs = varint(len(values) << 1) + bytes([present > 0])
    else:
        bits = np.fromiter((value is not None for value in values), np.bool_, len(values))
        packed = np.packbits(bits, bitorder="little").tobytes()
        runs = varint(len(packed) << 1 | 1) + packed
    return _LENGTH.pack(len(runs)) + runs


def _indexes(numbers: list[int], distinct: int) -> bytes:
    """Places in the dictionary, packed into as many bits as the largest needs."""
    width = max(1, (distinct - 1).bit_length())
    padded = np.zeros(-(-len(numbers) // 8) * 8, "<u4")
    padded[: len(numbers)] = numbers
    bits = np.unpackbits(padded.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")[:, :width]
    return (
        bytes([width]) + varint(len(padded) // 8 << 1 | 1) + np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    )


def _plain(name: str, kind: type, values: list[Any]) -> bytes:
    try:
        if kind is str:
            try:
                values = [value.encode() for value in values]
            except UnicodeEncodeError:
                values = [well_formed(value).encode() for value in values]
        if kind in (str, bytes):
            lengths = np.fromiter(map(len, values), "<u4", len(values)).tobytes()
            heads = (lengths[place : place + 4] for place in range(0, len(lengths), 4))
            return b"".join(itertools.chain.from_iterable(zip(heads, values, strict=True)))
        if kind is bool:
            return np.packbits(np.array(values, np.bool_), bitorder="little").tobytes()
        return np.array(values, "<i8" if kind is int else "<f8").tobytes()
    except (OverflowError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"column '{name}' holds {kind.__name__} values, and one does not fit: {error}") from None


def read_columns(source: Path, names: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a file that ColumnWriter wrote, with the named columns (all of them, if no names are given).

    Reads the pages of these columns only, one row group at a time. Raises Refused, with the reason, for a file that
    is damaged or was not written by ColumnWriter.
    """
    try:
        with source.open("rb") as stream:
            footer = _footer(stream)
            kinds = {element[4].decode(): element for element in footer[2][1:]}
            wanted = list(kinds) if names is None else list(names)
            missing = [name for name in wanted if name not in kinds]
            if missing:
                raise ValueError(f"it has no column {missing[0]!r}; it has {', '.join(kinds)}")
            places = {name: place for place, name in enumerate(kinds)}
            for group in footer[4]:
                columns = []
                for name in wanted:
                    columns.append(_column(stream, group[1][places[name]][3], kinds[name]))
                    if len(columns[-1]) != group[3]:
                        raise ValueError(f"a column has {len(columns[-1])} values for {group[3]} rows")
                if not wanted:
                    yield from ({} for _ in range(group[3]))
                for row in zip(*columns, strict=True):
                    yield dict(zip(wanted, row, strict=True))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise Refused(f"{source}: not a whole file of columns: {error}") from None
    except zstandard.ZstdError as error:
        raise Refused(f"{source}: a damaged page: {error}") from None


@functools.lru_cache(maxsize=4)
def _parsed(footer: bytes) -> dict[int, Any]:
    # Of thousands of small files, most hold no row: their footers are one and the same.
    return Reader(footer).struct()


def _footer(stream: BinaryIO) -> dict[int, Any]:
    end = stream.seek(0, 2)
    stream.seek(max(0, end - 8))
    tail = stream.read(8)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or size > end - 12:
        raise ValueError("it does not end as a Parquet file does")
    stream.seek(end - 8 - size)
    footer = _parsed(stream.read(size))
    if footer.get(6) != WRITER:
        raise ValueError("it was written by another program: read it with pyarrow")
    return footer


def _column(stream: BinaryIO, chunk: dict[int, Any], element: dict[int, Any]) -> list[Any]:
    begin = chunk.get(11, chunk[9])
    if not 0 <= begin < 1 << 62 or not 0 <= chunk[7] < 1 << 62:
        raise ValueError("a column has no place in the file")
    stream.seek(begin)
    data = stream.read(chunk[7])
    if len(data) != chunk[7]:
        raise ValueError("a column is cut off")
    dictionary: list[Any] = []
    values: list[Any] = []
    text = element.get(6) == _UTF8
    reader = Reader(data)
    while reader.position < len(data):
        head = reader.struct()
        packed = data[reader.position : reader.position + head[3]]
        reader.position += head[3]
        if zlib.crc32(packed) != head[4] % (1 << 32):
            raise ValueError("a page is damaged: its checksum differs")
        body = zstandard.ZstdDecompressor().decompress(packed)
        if head[1] == _DICTIONARY_PAGE:
            dictionary = _values(body, element[1], head[7][1], text)
        else:
            values += _data(body, head[5], element[1], text, dictionary)
    return values


def _data(body: bytes, head: dict[int, Any], kind: int, text: bool, dictionary: list[Any]) -> list[Any]:
    count = head[1]
    size = _LENGTH.unpack_from(body)[0]
    bits = _hybrid(body[4 : 4 + size], 1, count).astype(np.bool_)
    rest = body[4 + size :]
    present = int(bits.sum())
    if head[2] == _DICTIONARY:
        numbers = _hybrid(rest[1:], rest[0], present).tolist()
        filled = [dictionary[number] for number in numbers]
    else:
        filled = _values(rest, kind, present, text)
    if present == count:
        return filled
    waiting = iter(filled)
    return [next(waiting) if there else None for there in bits.tolist()]


def _hybrid(data: bytes, width: int, count: int) -> np.ndarray:
    """The one run, of equal values or of bits, that this writer writes."""
    head = Reader(data)
    kind = head.number()
    if kind % 2 == 0:
        return np.full(count, data[head.position], np.uint32)
    flat = np.unpackbits(np.frombuffer(data, np.uint8, offset=head.position), bitorder="little")
    bits = flat[: (kind >> 1) * 8 * width].reshape(-1, width)
    if len(bits) < count:
        raise ValueError("a page holds fewer values than it says")
    return (bits[:count].astype(np.uint32) << np.arange(width, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)


def _values(data: bytes, kind: int, count: int, text: bool) -> list[Any]:
    if kind == _TYPES[bool]:
        return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[:count].astype(np.bool_).tolist()
    if kind in (_TYPES[int], _TYPES[float]):
        return np.frombuffer(data, "<i8" if kind == _TYPES[int] else "<f8", count).tolist()
    values: list[Any] = []
    place = 0
    for _ in range(count):
        size = int.from_bytes(data[place : place + 4], "little")
        value = data[place + 4 : place + 4 + size]
        if len(value) != size:
            raise ValueError("a value is cut off")
        values.append(value.decode() if text else value)
        place += 4 + size
    return values
