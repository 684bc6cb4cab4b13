"""Which n-grams of words a text repeats: compared by the numbers of the words or, as datatrove does, by characters.

Repeats are found with one scatter and one gather for each length: every n-gram writes its place into the slot of its
hash, the earliest last, and reads back which place the slot holds. No sort is needed, and the slots are never cleared,
since only slots that were just written are read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Keys = npt.NDArray[np.uint64]
    Lengths = npt.NDArray[np.int32]

_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
_FEW = 160
_MANY = 1500
_TOGETHER = 1 << 14
_SLOTS_FOR_EACH = 8
_KEPT_SLOTS = 1 << 20
_WINDOW = 16
_LONG_WINDOW = 24
_scratch = threading.local()


def first_places(keys: npt.NDArray[np.uint64], attempt: int = 0) -> Places:
    """For each key the place of the first equal key; shape (keys,)."""
    import numpy as np

    size = len(keys)
    if size <= _FEW:
        seen: dict[int, int] = {}
        return np.array([seen.setdefault(key, place) for place, key in enumerate(keys.tolist())], dtype=np.int64)
    if attempt == len(_MULTIPLIERS):
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return first[inverse]
    bits = (size * _SLOTS_FOR_EACH).bit_length()
    slots = _slots(1 << bits)
    wanted = ((keys * np.uint64(_MULTIPLIERS[attempt])) >> np.uint64(64 - bits)).view(np.int64)
    slots[wanted[::-1]] = np.arange(size - 1, -1, -1, dtype=np.int32)
    first = slots[wanted].astype(np.int64)
    others = np.flatnonzero(keys[first] != keys)
    if len(others):
        # None of these keys holds its slot, so `others` has all copies of each.
        first[others] = others[first_places(keys[others], attempt + 1)]
    return first


def _slots(size: int) -> npt.NDArray[np.int32]:
    import numpy as np

    if size > _KEPT_SLOTS:
        return np.empty(size, dtype=np.int32)
    slots = getattr(_scratch, "slots", None)
    if slots is None or len(slots) < size:
        slots = _scratch.slots = np.empty(size, dtype=np.int32)
    return slots


def repeated_keys(keys: npt.NDArray[np.uint64]) -> tuple[Places, npt.NDArray[np.bool_]]:
    """`first_places`, and which keys occur more than once."""
    import numpy as np

    first = first_places(keys)
    later = np.flatnonzero(first != np.arange(len(keys)))
    repeated = np.zeros(len(keys), dtype=bool)
    repeated[later] = True
    repeated[first[later]] = True
    return first, repeated


class Repeats(NamedTuple):
    """The places of n-grams that occur more than once, in order, and for each the place of its first copy."""

    places: Places
    first: Places


def repeats_of_words(ids: npt.NDArray[np.int32], shorter: Repeats | None, n: int) -> Repeats:
    """The repeated n-grams (n >= 2) of a text with the word numbers `ids`; `shorter`: its repeated (n-1)-grams.

    An n-gram can occur twice only if the (n-1)-grams that it begins and ends with do, so each length has fewer
    candidates. Exact: the key of an n-gram is the first place of the (n-1)-gram it begins with, and its last word.
    """
    import numpy as np

    if shorter is not None and not len(shorter.places):
        return shorter
    if shorter is None:
        places = np.arange(max(len(ids) - 1, 0), dtype=np.int64)
        heads = ids[:-1].astype(np.uint64) if len(ids) else np.zeros(0, dtype=np.uint64)
    else:
        followed = np.flatnonzero(shorter.places[1:] == shorter.places[:-1] + 1)
        places = shorter.places[followed]
        heads = shorter.first[followed].astype(np.uint64)
    first, repeated = repeated_keys((heads << np.uint64(32)) | ids[places + (n - 1)].astype(np.uint64))
    return Repeats(places[repeated], places[first[repeated]])


class Joined:
    """The words of a text joined without spaces, as datatrove compares n-grams of five words and more.

    `data`: the joined words in UTF-8. For each word: `lengths` in characters, `sizes` in bytes. `hashed` computes three
    more arrays when needed: the words' hashes and the two arrays of `_Features.shifts` in `curate.text.words`.
    """

    def __init__(
        self, data: bytes, lengths: Lengths, sizes: Lengths, hashed: Callable[[], tuple[Keys, Keys, Keys]]
    ) -> None:
        import numpy as np

        self._data = data
        self._hashed = hashed
        self._starts = sums_before(lengths)
        self._bytes = self._starts if int(self._starts[-1]) == len(data) else sums_before(sizes)
        # Equal n-grams of at least 16 bytes begin with the same 16 bytes, so no true repeat is ruled out here.
        eights: Keys = np.ndarray(
            (len(data) + _LONG_WINDOW - 7,), dtype="<u8", buffer=data + bytes(_LONG_WINDOW), strides=(1,)
        )
        begins = self._bytes[:-1]
        keys = eights[begins] * np.uint64(_MULTIPLIERS[2])
        keys ^= eights[8:][begins] * np.uint64(_MULTIPLIERS[3])
        _, may_repeat = repeated_keys(keys)
        sizes_of_five = self._bytes[5:] - self._bytes[:-5]
        may_repeat[: len(sizes_of_five)] |= sizes_of_five < _WINDOW
        self._may_repeat = np.flatnonzero(may_repeat)
        # N-grams of seven words and more are mostly longer: among the candidates left, compare 24 bytes.
        begins = self._bytes[self._may_repeat]
        _, may_repeat = repeated_keys(keys[self._may_repeat] ^ (eights[16:][begins] * np.uint64(_MULTIPLIERS[1])))
        ends = self._bytes[np.minimum(self._may_repeat + 7, len(lengths))]
        self._long_may_repeat = self._may_repeat[may_repeat | (ends - begins < _LONG_WINDOW)]

    @cached_property
    def _polynomials(self) -> tuple[Keys, Keys]:
        """Hashes of the text before each word and of the whole text, and factors that shift them to the beginning."""
        import numpy as np

        hashes, moves, returns = self._hashed()
        ahead, back = np.ones((2, len(hashes) + 1), dtype=np.uint64)
        np.multiply.accumulate(moves, out=ahead[1:])
        np.multiply.accumulate(returns, out=back[1:])
        sums = np.zeros(len(hashes) + 1, dtype=np.uint64)
        np.cumsum(hashes * ahead[:-1], out=sums[1:])
        return sums, back

    def repeated_characters(self, n: int) -> int:
        """Characters in repeated n-grams (n >= 5), greedily from the left: after a repeat its n words are skipped.

        Among many n-grams only those whose hash occurs twice are compared; the bytes decide.
        """
        import numpy as np

        starts = self._starts
        places = self._may_repeat if n < 7 else self._long_may_repeat
        places = places[: np.searchsorted(places, len(starts) - n)]
        if len(places) > _MANY:
            sums, back = self._polynomials
            _, repeated = repeated_keys((sums[places + n] - sums[places]) * back[places])
            places = places[repeated]
        seen: set[bytes] = set()
        characters = resume = 0
        for start in range(0, len(places), _TOGETHER):
            block = places[start : start + _TOGETHER]
            ends = block + n
            borders = zip(self._bytes[block].tolist(), self._bytes[ends].tolist(), strict=True)
            grams = [self._data[begin:end] for begin, end in borders]
            if len(places) <= _TOGETHER and len(set(grams)) == len(grams):
                return 0
            lengths = (starts[ends] - starts[block]).tolist()
            for place, length, gram in zip(block.tolist(), lengths, grams, strict=True):
                if place < resume:
                    continue
                if gram in seen:
                    characters += length
                    resume = place + n
                else:
                    seen.add(gram)
        return characters


def sums_before(values: Lengths) -> Places:
    """For each value the sum of those before it, and last the sum of all; shape (values + 1,)."""
    import numpy as np

    sums = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=sums[1:])
    return sums
