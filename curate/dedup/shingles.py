"""Words and word n-grams (shingles) of a folded text as 64-bit hashes, and similarities of their sets.

Everything here is a pure function of the text: no salt, no state that could show in a result.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import xxhash

from curate.dedup.tables import begins
from curate.text.folding import WORD_BYTES

Hashes = npt.NDArray[np.uint64]

_CACHED_WORDS = 1 << 19
_CACHED_WORD_BYTES = 64
# An odd multiplier has an inverse modulo 2^64, which lets one table of prefix sums serve n-grams of every size.
_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


class _WordHashes(dict[bytes, int]):
    """A bounded cache of the xxh3 of words: a corpus repeats few words very often."""

    def __missing__(self, word: bytes) -> int:
        value = xxhash.xxh3_64_intdigest(word)
        if len(word) <= _CACHED_WORD_BYTES:
            if len(self) >= _CACHED_WORDS:
                self.clear()
            self[word] = value
        return value


_word_hashes = _WordHashes()


def word_hashes(folded: bytes) -> Hashes:
    """One 64-bit hash a word, in order. A word is a run of letters and digits."""
    words = folded.translate(WORD_BYTES).split()
    return np.fromiter(map(_word_hashes.__getitem__, words), np.uint64, len(words))


def character_hashes(folded: bytes) -> Hashes:
    """One 64-bit hash a character of the words of a text, with one space between words."""
    text = " ".join(re.findall(r"\w+", folded.decode("utf-8")))
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint64)
    # Any fixed injection into 64 bits would do; this one leaves no small numbers.
    return (codes + np.uint64(1)) * np.uint64(_BASE) ^ _MIX


_powers = (np.ones(1, np.uint64), np.ones(1, np.uint64))


def _powers_of_base(count: int) -> tuple[Hashes, Hashes]:
    """The first `count` powers of the base, and of its inverse."""
    global _powers
    if len(_powers[0]) < count:
        size = max(4096, 1 << (count - 1).bit_length())
        exponents = []
        for base in (_BASE, _BASE_INVERSE):
            factors = np.full(size, base, np.uint64)
            factors[0] = 1
            exponents.append(np.multiply.accumulate(factors))
        _powers = (exponents[0], exponents[1])
    return _powers[0][:count], _powers[1][:count]


def prefix_sums(words: Hashes) -> Hashes:
    """Sums of word hash times power of the base over the first 0, 1, 2, ... words (Rabin-Karp, modulo 2^64)."""
    powers, _ = _powers_of_base(len(words) + 1)
    sums = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words * powers[:-1], out=sums[1:])
    return sums


def ngram_hashes(sums: Hashes, size: int) -> Hashes:
    """One 64-bit hash for each n-gram of `size` words, in order, from `prefix_sums`."""
    count = len(sums) - size
    if count < 1:
        return np.empty(0, np.uint64)
    _, inverses = _powers_of_base(len(sums))
    mixed = (sums[size:] - sums[:count]) * inverses[:count]
    # A sum keeps linear relations between neighbouring n-grams; permutations must not see them.
    mixed ^= mixed >> _HALF
    mixed *= _MIX
    mixed ^= mixed >> _HALF
    return mixed


def distinct(hashes: Hashes) -> Hashes:
    """The set of hashes, sorted (numpy's own `unique` takes eight times as long on short arrays)."""
    ordered = np.sort(hashes)
    return ordered[begins(ordered)]


def common(sets: Hashes, ends: npt.NDArray[np.int64], other: Hashes) -> npt.NDArray[np.int64]:
    """How many elements each of several sorted sets, laid end to end, shares with one more: shape (sets,)."""
    if not len(other) or len(ends) < 2:
        return np.zeros(len(ends) - 1, np.int64)
    places = np.searchsorted(other, sets)
    places[places == len(other)] = 0
    shared = np.zeros(len(sets) + 1, np.int64)
    np.cumsum(other[places] == sets, out=shared[1:])
    return shared[ends[1:]] - shared[ends[:-1]]


def jaccard(a: Hashes, b: Hashes) -> float:
    """Size of the intersection over size of the union of two sorted sets of hashes; 1.0 for two empty sets."""
    shared = int(common(a, np.array([0, len(a)]), b)[0])
    union = len(a) + len(b) - shared
    return shared / union if union else 1.0


def shingle_set(words: Hashes, size: int) -> Hashes:
    """The sorted set of hashes of all n-grams of `size` words."""
    return distinct(ngram_hashes(prefix_sums(words), size))
