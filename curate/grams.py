"""Which n-grams of words a text repeats: by the numbers of its words, and, as datatrove compares them, by characters.

Repeats are found with one scatter and one gather for each length: every n-gram writes its place into the slot its hash
names, the earliest last, and reads back who stands there. Nothing is sorted, and the slots are never cleared, since
only those are read that were just written.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]

_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
_FEW = 64
_SLOTS_FOR_EACH = 8
_KEPT_SLOTS = 1 << 20
_WINDOW = 16
_scratch = threading.local()


def first_places(keys: npt.NDArray[np.uint64], attempt: int = 0) -> Places:
    """For each key the place where an equal key stands first; shape (keys,)."""
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
        # None of these holds its slot, so all copies of their keys are among them.
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
    """The places of n-grams that occur more than once, in order, and for each the place where its like stands first."""

    places: Places
    first: Places


def repeats_of_words(ids: npt.NDArray[np.int32], shorter: Repeats | None, n: int) -> Repeats:
    """The repeated n-grams (n >= 2) of a text whose words have these numbers; `shorter` are its (n-1)-grams' repeats.

    An n-gram can only occur twice where the (n-1)-grams it begins and ends with do: so there is less to look at with
    each length. Exact: the key of an n-gram is the first place of the (n-1)-gram it begins with, and its last word.
    """
    import numpy as np

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
    """The words of a text side by side, without spaces, where datatrove compares n-grams of five words and more.

    `starts`: where each word begins, and the end; `hashes`, `moves` and `returns` of each word as in `curate.words`.
    """

    def __init__(
        self,
        text: str,
        lengths: npt.NDArray[np.int32],
        hashes: npt.NDArray[np.uint64],
        moves: npt.NDArray[np.uint64],
        returns: npt.NDArray[np.uint64],
    ) -> None:
        import numpy as np

        size = len(lengths)
        self._text = text
        self._starts = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(lengths, out=self._starts[1:])
        ahead, self._returns = np.ones(size + 1, dtype=np.uint64), np.ones(size + 1, dtype=np.uint64)
        np.multiply.accumulate(moves, out=ahead[1:])
        np.multiply.accumulate(returns, out=self._returns[1:])
        self._sums = np.zeros(size + 1, dtype=np.uint64)
        np.cumsum(hashes * ahead[:-1], out=self._sums[1:])
        # Equal n-grams of at least 16 characters begin with the same 16. Characters that are not Latin are all one
        # here: what this rules out is ruled out for certain.
        window = np.frombuffer(text.encode("latin-1", "replace") + bytes(_WINDOW), dtype=np.uint8)
        eights: npt.NDArray[np.uint64] = np.ndarray(
            (len(text) + _WINDOW - 7,), dtype="<u8", buffer=window, strides=(1,)
        )
        begins = self._starts[:-1]
        keys = eights[begins] * np.uint64(_MULTIPLIERS[2]) + eights[begins + 8] * np.uint64(_MULTIPLIERS[3])
        _, may_repeat = repeated_keys(keys)
        lengths_of_five = self._starts[5:] - self._starts[:-5]
        may_repeat[: len(lengths_of_five)] |= lengths_of_five < _WINDOW
        self._may_repeat = np.flatnonzero(may_repeat)

    def repeated_characters(self, n: int) -> int:
        """Characters in repeats of n-grams (n >= 5), taken greedily from the left: a repeat's n words are passed over.

        Only n-grams whose hash occurs twice are looked at: the hash rules out, the string decides.
        """
        import numpy as np

        starts, sums = self._starts, self._sums
        places = self._may_repeat[: np.searchsorted(self._may_repeat, len(starts) - n)]
        _, repeated = repeated_keys((sums[places + n] - sums[places]) * self._returns[places])
        places = places[repeated]
        if not len(places):
            return 0
        text = self._text
        seen: set[str] = set()
        characters = resume = 0
        begins, ends = starts[places].tolist(), starts[places + n].tolist()
        for place, start, end in zip(places.tolist(), begins, ends, strict=True):
            if place < resume:
                continue
            gram = text[start:end]
            if gram in seen:
                characters += end - start
                resume = place + n
            else:
                seen.add(gram)
        return characters
