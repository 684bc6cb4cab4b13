"""Where reading goes on after a broken member or frame, at a cost that grows with the file and no faster.

A sound neighbour may begin within the bytes that a broken member took for its own, so every beginning there is tried.
Members laid into each other, all of them broken at the same byte, would be inflated again and again, and each would be
a loss of its own: so what begins there must end soundly, or reach at least as far beyond the broken bytes as it began
before them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FIRST_LINE = 9216
"""Bytes at which the next record is told: the first line of an ARC file's has an address, of up to 8 KiB."""

FED = 1 << 10
TRIES, TRIED = 4, 1 << 16
"""Bytes that are tried: so many times those of the broken member, and so many more."""


def next_sound(data: Any, after: int, reach: int, find: Callable[[int], int], begin: Callable[[], Any]) -> int:
    """The byte at which the next member begins, or the file's end.

    `after` is the first byte that may begin it, `reach` the byte at which the broken one was refused, `find` gives the
    next beginning from a byte on, `begin` a new decompressor.
    """
    left = TRIES * (reach - after) + TRIED
    place = find(after)
    while place < reach:
        if left <= 0:
            return find(reach)
        sound, spent = _is_sound(data, place, min(2 * reach - place, len(data)), left, begin)
        if sound:
            return place
        left -= spent
        place = find(place + 1)
    return place


def refused_at(data: Any, start: int, place: int, begin: Callable[[], Any]) -> int:
    """The byte behind the first one that a decompressor refuses, where it has refused a piece that begins at `place`
    of the member that begins at `start`."""
    inflate = begin()
    try:
        for at in range(start, place, FED):
            inflate.decompress(bytes(data[at : min(at + FED, place)]))
        while place < len(data):
            place += 1
            inflate.decompress(bytes(data[place - 1 : place]))
    except Exception:
        return place
    return place


def _is_sound(data: Any, start: int, end: int, most: int, begin: Callable[[], Any]) -> tuple[bool, int]:
    """Whether a member ends soundly before byte `end`, or is sound as far as that; and the bytes it took to see."""
    place = start
    try:
        inflate = begin()
        while place < end and not inflate.eof and place - start < most:
            fed = bytes(data[place : min(place + FED, end)])
            inflate.decompress(fed)
            place += len(fed)
    except Exception:
        # zlib's and zstd's errors alike: it is no member.
        return False, place - start + FED
    return inflate.eof or (place == end and end < len(data)), place - start + FED


def told(reason: Exception) -> str:
    """What zstd says of a frame that it does not read, with the remedy where the frame is sound."""
    if "too much memory" not in str(reason):
        return f"the zstd frame is broken: {reason}"
    return (
        "the zstd frame has a window of more than 128 MiB, for which no memory is set aside: make it again with"
        " `zstd --long=27`, or unpack it with `zstd -d --long=31`"
    )
