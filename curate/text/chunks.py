"""The white-space chunks of a text, looked up in a hash table by the compiled loops of `native.py`.

Gives the same reading as `reading.Chunks`; used where numba is installed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING

from curate.text.reading import Number, Reading, Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Keys = npt.NDArray[np.uint64]
    Entries = npt.NDArray[np.int32]

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
"""The kind of each byte of UTF-8: odd for white space (1: the space, 3: ends a line), 4 if it may begin white space of
several bytes, else 0."""


class ChunkTable:
    """A hash table of chunks of at most fifteen bytes, open-addressed. A key is two integers: the bytes and the length.

    `slots`: 2^`bits` slots, each the number of an entry, or -1 if empty. `rows`, one for each entry: its key, then
    where its words begin in `words` (upper half) and how many there are (lower half). Longer chunks have entries too,
    but no slot; `long`: the bytes that they and their words take. `loops` is `native.py`.
    """

    def __init__(self, split: Split, number: Number, loops: ModuleType) -> None:
        import numpy as np

        self.size = 0
        self.bits = 16
        self.slots = np.full(1 << self.bits, -1, dtype=np.int32)
        self.rows = np.zeros((1024, 3), dtype=np.uint64)
        self.words = np.zeros(1024, dtype=np.int32)
        self._held = 0
        self.long = 0
        self._long: dict[bytes, int] = {}
        self._split = split
        self._number = number
        self._loops = loops
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.size

    def read(self, text: str) -> Reading:
        """Chunks and lines exactly as `str.split` and `str.splitlines` find them."""
        import numpy as np

        data = b" " + text.encode("utf-8", "surrogatepass") + b" " + bytes(KEY + 1)
        raw = np.frombuffer(data, dtype=np.uint8)
        known = self.size
        starts, lengths, wide, lines, low, high, entries, missing = self._scan(raw)
        if missing:
            with self._lock:
                if known != self.size:  # another thread may have added some of them by now
                    entries = self._scan(raw)[6]
                self._add(data, starts, lengths, low, high, entries)
        ids, counts = self._loops.spread(entries, self.rows, self.words)
        return Reading(ids, counts, wide, lines)

    def _scan(self, raw: npt.NDArray[np.uint8]) -> tuple[Places, Places, npt.NDArray, Places, Keys, Keys, Entries, int]:
        return self._loops.scan(raw, len(raw) - KEY - 1, _byte_kinds(), self.slots, self.rows, self.bits)

    def _add(self, data: bytes, starts: Places, lengths: Places, low: Keys, high: Keys, entries: Entries) -> None:
        """Cut the chunks that have no entry into words, add them to the table, and fill in `entries`."""
        import numpy as np

        missing = np.flatnonzero(entries < 0)
        short: dict[bytes, int] = {}
        numbers: list[int] = []
        places: list[int] = []
        added: list[str] = []
        for place, start, length in zip(
            missing.tolist(), starts[missing].tolist(), lengths[missing].tolist(), strict=True
        ):
            chunk = data[start : start + length]
            known = short if length <= KEY else self._long
            entry = known.get(chunk)
            if entry is None:
                entry = known[chunk] = self.size + len(places)
                places.append(place)
                added.append(chunk.decode("utf-8", "surrogatepass"))
                if length > KEY:
                    self.long += 2 * length
            numbers.append(entry)
        self._enter(low[places], high[places], list(map(self._split, added)))
        entries[missing] = numbers

    def _enter(self, low: Keys, high: Keys, words: list[Sequence[str]]) -> None:
        """Add entries in order; chunks longer than a key get no slot."""
        import numpy as np

        old, new = self.size, self.size + len(words)
        counts = np.fromiter(map(len, words), dtype=np.uint64, count=len(words))
        numbers = self._number(chain.from_iterable(words))
        self.rows = grown(self.rows, new)
        self.words = grown(self.words, self._held + len(numbers))
        begins = np.cumsum(counts) - counts + np.uint64(self._held)
        self.rows[old:new, 0], self.rows[old:new, 1], self.rows[old:new, 2] = (
            low,
            high,
            begins << np.uint64(32) | counts,
        )
        self.words[self._held : self._held + len(numbers)] = numbers
        self._held += len(numbers)
        self.size = new
        if new * 3 > len(self.slots):
            self.bits = (new * 4).bit_length()
            self.slots = np.full(1 << self.bits, -1, dtype=np.int32)
            old = 0
        self._loops.place(old, new, self.slots, self.rows, self.bits)


def grown(array: npt.NDArray, size: int) -> npt.NDArray:
    """The array, or a longer copy with at least `size` rows, the new ones zero."""
    import numpy as np

    if size <= len(array):
        return array
    return np.concatenate((array, np.zeros((max(size, len(array)), *array.shape[1:]), dtype=array.dtype)))


@cache
def _byte_kinds() -> npt.NDArray[np.uint8]:
    import numpy as np

    return np.frombuffer(BYTE_KINDS, dtype=np.uint8)
