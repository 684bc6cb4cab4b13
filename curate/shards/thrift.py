"""Thrift's compact protocol, as far as the footer and the page headers of Parquet files (`parquet.py`) need it.

A struct is a dict: field number -> value. To write, a value is a pair of its kind and itself. Format: Apache Thrift,
"Thrift Compact protocol encoding".
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, I16, I32, I64, BINARY, LIST, STRUCT = 1, 2, 4, 5, 6, 8, 9, 12
DEPTH = 16
"""Most levels of nested structs when reading."""

Typed = tuple[int, Any]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(fields: dict[int, Typed]) -> bytes:
    """A struct, its fields in the order of their numbers. A list is (LIST, (kind of its items, items))."""
    out = bytearray()
    last = 0
    for number in sorted(fields):
        kind, value = fields[number]
        delta = number - last
        out += bytes([delta << 4 | kind]) if delta < 16 else bytes([kind]) + varint(_zigzag(number))
        out += _value(kind, value)
        last = number
    out.append(0)
    return bytes(out)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _value(kind: int, value: Any) -> bytes:
    if kind in (I16, I32, I64):
        return varint(_zigzag(value))
    if kind == BINARY:
        return varint(len(value)) + value
    if kind == STRUCT:
        return encode(value)
    if kind == LIST:
        of, items = value
        head = bytes([len(items) << 4 | of]) if len(items) < 15 else bytes([0xF0 | of]) + varint(len(items))
        return head + b"".join(_value(of, item) for item in items)
    return b""


class Reader:
    """Reads structs from bytes. Raises ValueError for bytes that are not a struct, or end too early."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position

    def _take(self, size: int) -> bytes:
        taken = self._data[self.position : self.position + size]
        if len(taken) != size:
            raise ValueError("it ends in the middle of a struct")
        self.position += size
        return taken

    def number(self) -> int:
        """The unsigned number that begins here."""
        value = shift = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def _signed(self) -> int:
        value = self.number()
        return value >> 1 if value % 2 == 0 else -((value + 1) >> 1)

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The struct that begins here: values by field number. ValueError for kinds that Parquet does not use."""
        if depth > DEPTH:
            raise ValueError("structs nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._take(1)[0]:
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._signed()
            fields[number] = self._read(kind, depth)
        return fields

    def _read(self, kind: int, depth: int, listed: bool = False) -> Any:
        if kind in (TRUE, FALSE):
            return self._take(1)[0] == TRUE if listed else kind == TRUE
        if kind == 3:
            return self._take(1)[0]
        if kind in (I16, I32, I64):
            return self._signed()
        if kind == 7:
            return self._take(8)
        if kind == BINARY:
            return self._take(self.number())
        if kind == LIST:
            head = self._take(1)[0]
            size = head >> 4 if head >> 4 < 15 else self.number()
            if size > len(self._data):
                raise ValueError("a list that is longer than the file")
            return [self._read(head & 15, depth, True) for _ in range(size)]
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"a field of kind {kind}")
