"""How far the reading of a file has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from curate.document import Unreadable

METER_STEP = 1 << 18


class Reached(Protocol):
    """Called now and then with the byte of the file that reading has reached, sometimes with an earlier one again; and
    with how many more bytes a compressed file gave."""

    def __call__(self, place: int, unpacked: int = 0, /) -> None: ...


@dataclass
class Volume:
    """The bytes of a file that were read and the bytes that they gave (0 where it is not compressed), and the losses
    among them: bytes as they lie in the file, other bytes, and records as far as their number is known."""

    packed: int = 0
    unpacked: int = 0
    lost_packed: int = 0
    lost_other: int = 0
    lost_rows: int = 0

    def lose(self, item: Unreadable) -> None:
        self.lost_packed += item.packed
        self.lost_other += item.lost - item.packed
        self.lost_rows += item.rows

    @property
    def lost(self) -> int:
        """About how many bytes of the file were lost: a record of a compressed file takes as large a share of it as of
        what it gave."""
        ratio = self.packed / self.unpacked if self.unpacked else 1.0
        return min(self.packed, round(self.lost_packed + self.lost_other * ratio))


class Meter:
    """Reports how many more bytes of a file were read: each byte once, in steps large enough to be worth a call.

    `unpacked` counts the bytes that a compressed file gave; it stays 0 where a reader does not tell.
    """

    def __init__(self, start: int, end: int, on_bytes: Callable[[int], None]) -> None:
        self._start = self._place = self._reported = start
        self._end = end
        self._on_bytes = on_bytes
        self.unpacked = 0

    def reached(self, place: int, unpacked: int = 0, /) -> None:
        self.unpacked += unpacked
        place = min(place, self._end)
        self._place = max(place, self._place)
        if place - self._reported >= METER_STEP:
            self._on_bytes(place - self._reported)
            self._reported = place

    @property
    def read(self) -> int:
        """Bytes that were read, the last ones not reported yet among them."""
        return self._place - self._start

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self._end - self._reported

    def finish(self) -> None:
        """Report the rest: the piece has been read to its end."""
        self._place = self._end
        if self._end > self._reported:
            self._on_bytes(self._end - self._reported)
            self._reported = self._end
