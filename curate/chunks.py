"""The white-space chunks of a text as arrays, and a hash table that looks all of them up at once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Keys = npt.NDArray[np.uint64]

KEY = 16
"""Bytes of a chunk that fit into its key."""
_BITS = 16


def cut(text: str) -> tuple[bytes, Places, Places, npt.NDArray[np.bool_], Places]:
    """The text's bytes in UTF-8 between a space and many zeros; where its chunks begin and end in them; whether more than
    one space follows each before the next; and the numbers of the chunks that begin a line, with that of all at the end.
    """
    import numpy as np

    data = b" " + text.encode("utf-8", "surrogatepass") + b" " + bytes(KEY)
    raw = np.frombuffer(data, dtype=np.uint8)
    kinds = _byte_kinds()[raw[:-KEY]]
    if not text.isascii():
        _mark_wide_characters(raw, kinds)
    white = kinds & 1
    edges = np.flatnonzero(white[1:] != white[:-1]) + 1
    starts, ends = edges[0::2], edges[1::2]
    wide = np.ones(len(starts), dtype=bool)
    wide[:-1] = (starts[1:] - ends[:-1] != 1) | (raw[ends[:-1]] != 32)
    lines = np.concatenate(([0], np.searchsorted(starts, np.flatnonzero(kinds == 3)), [len(starts)]))
    return data, starts, ends, wide, lines[np.diff(lines, prepend=-1) > 0]


def keys(data: bytes, starts: Places, lengths: Places) -> tuple[Keys, Keys]:
    """The first sixteen bytes of each chunk as two integers, zeros behind its end."""
    import numpy as np

    eights = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    masks = _masks()
    inside = np.minimum(lengths, KEY)
    return eights[starts] & masks[inside], eights[starts + 8] & masks[np.maximum(inside - 8, 0)]


class ChunkTable:
    """An open hash table of chunks of at most 16 bytes: (their bytes as two integers, their length) -> entry.

    Of each entry: `firsts`, where its words begin in `words`, and `counts`, how many they are. Longer chunks have an entry
    that is not looked up here.
    """

    def __init__(self) -> None:
        import numpy as np

        self.size = 0
        self._bits = _BITS
        self._slots = np.full(1 << self._bits, -1, dtype=np.int32)
        self._low = np.zeros(1024, dtype=np.uint64)
        self._high = np.zeros(1024, dtype=np.uint64)
        self._lengths = np.zeros(1024, dtype=np.int32)
        self.firsts = np.zeros(1024, dtype=np.int32)
        self.counts = np.zeros(1024, dtype=np.int32)
        self.words = np.zeros(1024, dtype=np.int32)
        self._held = 0

    def _places(self, low: Keys, high: Keys) -> Places:
        import numpy as np

        mixed = low * np.uint64(0x9E3779B97F4A7C15) ^ high * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xD6E8FEB86659FD93)
        return (mixed >> np.uint64(64 - self._bits)).view(np.int64)

    def find(self, low: Keys, high: Keys, lengths: Places) -> Places:
        """The entry of each key, -1 where there is none."""
        import numpy as np

        places = self._places(low, high)
        entries = self._slots[places].astype(np.int64)
        wrong = self._wrong(entries, low, high, lengths)
        while len(wrong):
            places[wrong] = (places[wrong] + 1) & ((1 << self._bits) - 1)
            entries[wrong] = self._slots[places[wrong]]
            wrong = wrong[self._wrong(entries[wrong], low[wrong], high[wrong], lengths[wrong])]
        return entries

    def _wrong(
        self,
        entries: Places,
        low: Keys,
        high: Keys,
        lengths: Places,
    ) -> Places:
        """Where the entry is another key's. (An empty slot's -1 reads the last entry of the arrays, and is no fault.)"""
        import numpy as np

        different = (self._low[entries] != low) | (self._high[entries] != high) | (self._lengths[entries] != lengths)
        different &= entries >= 0
        return np.flatnonzero(different)

    def add(
        self,
        low: Keys,
        high: Keys,
        lengths: Places,
        counts: list[int],
        words: list[int],
    ) -> None:
        """Add entries, in order; those longer than a key get no slot."""
        import numpy as np

        old, new = self.size, self.size + len(counts)
        for name in ("_low", "_high", "_lengths", "firsts", "counts"):
            setattr(self, name, grown(getattr(self, name), new))
        self.words = grown(self.words, self._held + len(words))
        self._low[old:new], self._high[old:new], self._lengths[old:new] = low, high, lengths
        self.counts[old:new] = counts
        self.firsts[old:new] = self._held + np.cumsum([0, *counts[:-1]])[: len(counts)]
        self.words[self._held : self._held + len(words)] = words
        self._held += len(words)
        self.size = new
        if new * 4 > len(self._slots):
            self._bits = (new * 4).bit_length() + 1
            self._slots = np.full(1 << self._bits, -1, dtype=np.int32)
            old = 0
        self._place(old + np.flatnonzero(self._lengths[old:new] <= KEY))

    def _place(self, entries: Places) -> None:
        """Give each of these entries the first free slot from its own place on."""
        places = self._places(self._low[entries], self._high[entries])
        while len(entries):
            free = self._slots[places] < 0
            self._slots[places[free]] = entries[free]
            left = self._slots[places] != entries
            entries, places = entries[left], (places[left] + 1) & ((1 << self._bits) - 1)


def grown(array: npt.NDArray, size: int) -> npt.NDArray:
    import numpy as np

    if size <= len(array):
        return array
    return np.concatenate((array, np.zeros(max(size, len(array)), dtype=array.dtype)))


@cache
def _byte_kinds() -> npt.NDArray[np.uint8]:
    """Of each byte of UTF-8: 1 white space, 3 white space that ends a line, 4 it may begin white space of several bytes."""
    import numpy as np

    kinds = np.zeros(256, dtype=np.uint8)
    kinds[[0x09, 0x1F, 0x20]] = 1
    kinds[[0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E]] = 3
    kinds[[0xC2, 0xE1, 0xE2, 0xE3]] = 4
    return kinds


@cache
def _wide_characters() -> dict[int, int]:
    """White space beyond ASCII, as the integer of its UTF-8 bytes: 1, or 3 where it ends a line."""
    found = {}
    for character in map(chr, range(0x80, 0x10000)):
        if character.isspace():
            found[int.from_bytes(character.encode(), "big")] = 3 if len(f"a{character}b".splitlines()) == 2 else 1
    return found


def _mark_wide_characters(raw: npt.NDArray[np.uint8], kinds: npt.NDArray[np.uint8]) -> None:
    import numpy as np

    places = np.flatnonzero(kinds == 4)
    kinds[places] = 0
    first, second, third = (raw[places + offset].astype(np.int64) for offset in range(3))
    two, three = first << 8 | second, first << 16 | second << 8 | third
    spaces = _wide_characters()
    known = np.fromiter(spaces, dtype=np.int64)
    some = np.isin(two, known) | np.isin(three, known)
    for place, short, long in zip(places[some].tolist(), two[some].tolist(), three[some].tolist(), strict=True):
        size, kind = (2, spaces[short]) if short in spaces else (3, spaces[long])
        kinds[place : place + size] = kind


@cache
def _masks() -> npt.NDArray[np.uint64]:
    """What to keep of eight bytes of which the first so many are wanted; index 0 to 16."""
    import numpy as np

    return np.array([(1 << 8 * min(size, 8)) - 1 for size in range(KEY + 1)], dtype=np.uint64)
