"""How far the reading of a file has come."""

from __future__ import annotations

from collections.abc import Callable

METER_STEP = 1 << 18


class Meter:
    """Reports how many more bytes of a file were read: each byte once, in steps large enough to be worth a call."""

    def __init__(self, start: int, end: int, on_bytes: Callable[[int], None]) -> None:
        self._reported = start
        self._end = end
        self._on_bytes = on_bytes

    def reached(self, place: int) -> None:
        place = min(place, self._end)
        if place - self._reported >= METER_STEP:
            self._on_bytes(place - self._reported)
            self._reported = place

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self._end - self._reported

    def finish(self) -> None:
        """Report the rest: the piece has been read to its end."""
        if self._end > self._reported:
            self._on_bytes(self._end - self._reported)
            self._reported = self._end
