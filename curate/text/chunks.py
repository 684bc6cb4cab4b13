"""The white-space chunks of a text as arrays, and a hash table that looks all of them up at once."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Keys = npt.NDArray[np.uint64]

KEY = 15
"""Bytes of a chunk that fit into its key."""
BYTE_KINDS = bytes(
    1
    if byte == 0x20
    else 5
    if byte in b"\t\x1f"
    else 3
    if byte in b"\n\v\f\r\x1c\x1d\x1e"
    else 4
    if byte in b"\xc2\xe1\xe2\xe3"
    else 0
    for byte in range(256)
)
"""Of each byte of UTF-8: odd for white space, 1 the space, 3 what ends a line; 4 what may begin white space of several
bytes."""


class Chunks(NamedTuple):
    """The white-space chunks of a text: where they begin in `data` (its UTF-8 bytes) and their lengths in bytes.

    `wide`: whether more than one space follows a chunk before the next. `lines`: the number of the first chunk of each
    line that is not blank, and at the end the number of all chunks.
    """

    data: bytes
    starts: Places
    lengths: Places
    wide: npt.NDArray[np.bool_]
    lines: Places


def cut(text: str) -> Chunks:
    """Chunks and lines exactly as `str.split` and `str.splitlines` find them."""
    import numpy as np

    data = b" " + text.encode("utf-8", "surrogatepass") + b" "
    kinds = np.frombuffer(data.translate(BYTE_KINDS), dtype=np.uint8)
    if not text.isascii():
        kinds = _with_wide_characters(data, kinds)
    data += bytes(16)
    edges = np.flatnonzero(((kinds[1:] ^ kinds[:-1]) & 1).view(bool)) + 1
    starts, ends = edges[0::2], edges[1::2]
    wide = np.ones(len(starts), dtype=bool)
    wide[:-1] = (starts[1:] - ends[:-1] != 1) | (kinds[ends[:-1]] != 1)
    lines = np.concatenate(([0], np.searchsorted(starts, np.flatnonzero(kinds == 3)), [len(starts)]))
    return Chunks(data, starts, ends - starts, wide, lines[np.diff(lines, prepend=-1) > 0])


def keys(chunks: Chunks) -> tuple[Keys, Keys]:
    """Chunks of at most fifteen bytes as two integers: their bytes, zeros behind, and their length in the last byte.

    Longer chunks get keys that no short chunk has.
    """
    import numpy as np

    eights = np.ndarray((len(chunks.data) - 7,), dtype="<u8", buffer=chunks.data, strides=(1,))
    first_mask, second_mask, last = _masks()
    sizes = np.minimum(chunks.lengths, KEY + 1)
    high = eights[8:][chunks.starts] & second_mask[sizes]
    return eights[chunks.starts] & first_mask[sizes], high | last[sizes]


class ChunkTable:
    """An open hash table of chunks of at most fifteen bytes, by their keys.

    `slots` hold entries (-1: none), 2^`bits` of them. `rows`, one for each entry: its key's two integers, and where its
    words begin in `words` (upper half) and how many they are. Longer chunks have entries too, but no slot.
    """

    def __init__(self) -> None:
        import numpy as np

        self.size = 0
        self.bits = 16
        self.slots = np.full(1 << self.bits, -1, dtype=np.int32)
        self.rows = np.zeros((1024, 3), dtype=np.uint64)
        self.words = np.zeros(1024, dtype=np.int32)
        self._held = 0

    def words_of(self, entries: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Of each of these entries: where its words begin in `words`, and how many they are."""
        import numpy as np

        places = self.rows[entries, 2]
        return (places >> np.uint64(32)).view(np.int64), places.astype(np.int32)

    def _places(self, low: Keys, high: Keys) -> Places:
        import numpy as np

        mixed = low * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= high * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xD6E8FEB86659FD93)
        mixed >>= np.uint64(64 - self.bits)
        return mixed.view(np.int64)

    def find(self, low: Keys, high: Keys) -> npt.NDArray[np.int32]:
        """The entry of each key, -1 where there is none."""
        places = self._places(low, high)
        entries = self.slots[places]
        wrong = self._wrong(entries, low, high)
        while len(wrong):
            places[wrong] = (places[wrong] + 1) & ((1 << self.bits) - 1)
            entries[wrong] = self.slots[places[wrong]]
            wrong = wrong[self._wrong(entries[wrong], low[wrong], high[wrong])]
        return entries

    def _wrong(self, entries: npt.NDArray[np.int32], low: Keys, high: Keys) -> Places:
        """Where the entry is another key's. An empty slot's -1 reads the end of the arrays, and is no fault."""
        import numpy as np

        held = self.rows[entries]
        different = (held[:, 0] != low) | (held[:, 1] != high)
        different &= entries >= 0
        return np.flatnonzero(different)

    def add(self, low: Keys, high: Keys, counts: list[int], words: list[int], fast: ModuleType | None = None) -> None:
        """Add entries, in order; those longer than a key get no slot. `fast`: `native.py`, where it is at hand."""
        import numpy as np

        old, new = self.size, self.size + len(counts)
        self.rows = grown(self.rows, new)
        self.words = grown(self.words, self._held + len(words))
        many = np.array(counts, dtype=np.uint64)
        begins = np.cumsum(many) - many + np.uint64(self._held)
        self.rows[old:new, 0], self.rows[old:new, 1], self.rows[old:new, 2] = low, high, begins << np.uint64(32) | many
        self.words[self._held : self._held + len(words)] = words
        self._held += len(words)
        self.size = new
        if new * 3 > len(self.slots):
            self.bits = (new * 4).bit_length()
            self.slots = np.full(1 << self.bits, -1, dtype=np.int32)
            old = 0
        if fast:
            fast.place(old, new, self.slots, self.rows, self.bits)
        else:
            entries = np.arange(old, new, dtype=np.int32)
            self._place(entries[self.rows[old:new, 1] >> np.uint64(56) <= KEY])

    def _place(self, entries: npt.NDArray[np.int32]) -> None:
        """Give each of these entries the first free slot from its own place on."""
        places = self._places(self.rows[entries, 0], self.rows[entries, 1])
        while len(entries):
            free = self.slots[places] < 0
            self.slots[places[free]] = entries[free]
            left = self.slots[places] != entries
            entries, places = entries[left], (places[left] + 1) & ((1 << self.bits) - 1)


def grown(array: npt.NDArray, size: int) -> npt.NDArray:
    import numpy as np

    if size <= len(array):
        return array
    return np.concatenate((array, np.zeros((max(size, len(array)), *array.shape[1:]), dtype=array.dtype)))


def _with_wide_characters(data: bytes, kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The kinds of bytes, with the white space beyond ASCII marked."""
    import numpy as np

    raw = np.frombuffer(data, dtype=np.uint8)
    begins = np.flatnonzero(kinds == 4)
    if not len(begins):
        return kinds
    kinds = kinds.copy()
    kinds[begins] = 0
    second, third = _seconds_and_thirds()
    likely = begins[
        second[raw[begins + 1]] & (third[raw[np.minimum(begins + 2, len(raw) - 1)]] | (raw[begins] == 0xC2))
    ]
    spaces = _wide_characters()
    for place in likely.tolist():
        for size in (2, 3):
            kind = spaces.get(data[place : place + size])
            if kind:
                kinds[place : place + size] = kind
    return kinds


@cache
def _wide_characters() -> dict[bytes, int]:
    """White space beyond ASCII as UTF-8: 3 where it ends a line, else 5."""
    found = {}
    for character in map(chr, range(0x80, 0x10000)):
        if character.isspace():
            found[character.encode()] = 3 if len(f"a{character}b".splitlines()) == 2 else 5
    return found


@cache
def _seconds_and_thirds() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which bytes are the second, and the third, of some white space beyond ASCII."""
    import numpy as np

    tables = np.zeros((2, 256), dtype=bool)
    for character in _wide_characters():
        for place, byte in enumerate(character[1:]):
            tables[place, byte] = True
    return tables[0], tables[1]


@cache
def _masks() -> tuple[Keys, Keys, Keys]:
    """By the length of a chunk, at most 16: what to keep of its first and its second eight bytes, and its last byte."""
    import numpy as np

    sizes = range(KEY + 2)
    first = [(1 << 8 * min(size, 8)) - 1 for size in sizes]
    second = [(1 << 8 * min(max(size - 8, 0), 7)) - 1 for size in sizes]
    last = [size << 56 for size in sizes]
    return np.array(first, np.uint64), np.array(second, np.uint64), np.array(last, np.uint64)
