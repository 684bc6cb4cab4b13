"""The words of a text for decontamination: its letters and digits alone, where words begin, and seeds to look up.

Case, spacing and punctuation are gone, so a page matches however it was reformatted: `well-known`, `well known` and
`wellknown` are the same nine letters. A *seed* is the `SEED` bytes that follow the beginning of a word. Everything is
computed for a whole text at once by numpy, without an object for each word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from curate.decontaminate.number_words import PHRASE, SINGLE, in_digits
from curate.text.folding import WORD_BYTES, fold

SEED = 12
"""Bytes of a seed: about three English words, so that a change of one word in ten leaves seeds between the changes."""

RARE = 12
"""Bits of a word that is not in the table: fewer than one passage in four thousand has it."""

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

_NUMBER = re.compile(rb"[0-9]+(?:[.,][0-9]+)*")
# White space ends a chunk; a script without it is taken a few characters at a time.
_CHUNK = re.compile(r"\S{1,64}")
_PADDING = bytes(16)
_A, _B, _C = (np.uint64(one) for one in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_SHIFT = np.uint64(29)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)


@dataclass(frozen=True)
class Words:
    """The words of a text: `stream`, their bytes without separators; `starts` and `lengths` in it; a hash of each.

    `at` reads eight bytes from any place of the stream as one number. With `numbers`, `five` has the hash of `5`.
    """

    stream: bytes
    starts: Ints
    lengths: Ints
    at: Hashes
    numbers: bool | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def size(self) -> int:
        """Bytes of the stream, without its padding."""
        return len(self.stream) - len(_PADDING)

    def seeds(self) -> Hashes:
        """The hash of the seed at each word, but for the last words, where less than a seed is left."""
        count = int(np.searchsorted(self.starts, self.size - SEED, "right"))
        starts = self.starts[:count]
        hashes = self.at[starts] * _A
        hashes ^= hashes >> _SHIFT
        hashes += (self.at[starts + 4] ^ _C) * _B
        hashes ^= hashes >> _SHIFT
        hashes *= _C
        return hashes

    @cached_property
    def hashes(self) -> Hashes:
        """A hash of each whole word; of a word of more than sixteen bytes, of its ends and its length."""
        first = self.at[self.starts] & _MASKS[np.minimum(self.lengths, 8)]
        last = np.where(self.lengths > 8, self.at[np.maximum(self.starts + self.lengths - 8, 0)], 0).astype(np.uint64)
        mixed = first * _A
        mixed ^= mixed >> _SHIFT
        mixed += (last + self.lengths.astype(np.uint64)) * _B
        mixed ^= mixed >> _SHIFT
        mixed *= _C
        if self.numbers is None:
            return mixed
        spelled, digits = _spelled(self.numbers)
        rows = np.minimum(np.searchsorted(spelled, mixed), len(spelled) - 1)
        return np.where(spelled[rows] == mixed, digits[rows], mixed)

    def numeric(self) -> npt.NDArray[np.bool_]:
        """A mask of the words with a digit, and of numbers in words but `one`, which is a pronoun too."""
        stream = np.frombuffer(self.stream, np.uint8)
        mask = np.zeros(len(self), np.bool_)
        mask[np.searchsorted(self.starts, np.flatnonzero((stream >= 48) & (stream <= 57)), "right") - 1] = True
        spelled = _words(b" ".join(word for word in SINGLE if word != b"one"), self.numbers)[0]
        return mask | np.isin(self.hashes, spelled.hashes) if self.numbers is not None else mask


def words_of(text: str, numbers: bool = True) -> Words:
    """The words of a text. Without `numbers`, every number is 0."""
    return _words(_folded(text, numbers), numbers)[0]


def words_of_all(texts: list[str], numbers: bool = True) -> tuple[Words, Ints]:
    """The words of many texts in one stream, and for each word the number of its text."""
    folded = b"\0".join(_folded(text.replace("\0", " "), numbers) for text in texts)
    words, begins = _words(folded, numbers)
    return words, np.searchsorted(np.flatnonzero(np.frombuffer(folded, np.uint8) == 0), begins)


def _folded(text: str, numbers: bool) -> bytes:
    folded = in_digits(fold(text))
    return folded if numbers else _NUMBER.sub(b"0", folded)


@lru_cache(maxsize=2)
def _spelled(numbers: bool) -> tuple[Hashes, Hashes]:
    """The hashes of numbers of one word, in order, and those of the same numbers in digits."""
    spelled = _words(b" ".join(SINGLE), None)[0].hashes
    digits = _words(b" ".join(SINGLE.values() if numbers else [b"0"] * len(SINGLE)), None)[0].hashes
    order = np.argsort(spelled)
    return spelled[order], digits[order]


def _words(folded: bytes, numbers: bool | None) -> tuple[Words, Ints]:
    """Words, and the offset of each in the folded text."""
    spaced = folded.translate(WORD_BYTES)
    inside = np.frombuffer(b" " + spaced + b" ", np.uint8) != 32
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    begins = edges[::2]
    lengths = edges[1::2] - begins
    stream = spaced.translate(None, b" ") + _PADDING
    at: Hashes = np.ndarray((len(stream) - 7,), "<u8", stream, strides=(1,))
    return Words(stream, np.cumsum(lengths) - lengths, lengths, at, numbers), begins


class Places:
    """Maps bytes of a text's stream to characters of the text, out to the next white space on either side."""

    def __init__(self, text: str, numbers: bool = True) -> None:
        begins, ends, sizes = [0], [0], [0]
        for chunk in _chunks(text):
            begins.append(chunk.start())
            ends.append(chunk.end())
            sizes.append(len(_folded(chunk.group(), numbers).translate(WORD_BYTES).translate(None, b" ")))
        self._begins, self._ends, self._sums = begins, ends, np.cumsum(sizes)

    def between(self, begin: int, end: int) -> tuple[int, int]:
        """The span, in characters, of the stream's bytes from `begin` to `end`."""
        first = int(np.searchsorted(self._sums, begin, "right"))
        last = int(np.searchsorted(self._sums, end))
        return self._begins[min(first, len(self._begins) - 1)], self._ends[min(last, len(self._ends) - 1)]


def _chunks(text: str) -> Iterator[re.Match[str]]:
    """White space ends a chunk, but not within a number of several words, which is folded as one."""
    place = 0
    for phrase in PHRASE.finditer(text):
        yield from _CHUNK.finditer(text, place, phrase.start())
        yield phrase
        place = phrase.end()
    yield from _CHUNK.finditer(text, place)


@lru_cache(maxsize=1)
def _common() -> dict[bytes, int]:
    lines = files("curate.decontaminate").joinpath("common_words.txt").read_text("utf-8").splitlines()
    bits_of: dict[bytes, int] = {}
    for line in lines:
        if not line.startswith("#"):
            bits, _, words = line.partition(" ")
            bits_of |= dict.fromkeys(words.encode().split(), int(bits))
    return bits_of


def weight(word: bytes) -> float:
    """Bits of information of a word: log2 of the inverse document frequency over passages of prose; of a number, by its
    length.

    From a fixed table, not from the given test sets, so that the score of one item does not depend on the others.
    """
    word = SINGLE.get(word, word)
    if word.isdigit():
        return min(2.0 + 2 * len(word), RARE)
    return _common().get(word, RARE)
