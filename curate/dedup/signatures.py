"""The sketch of a text for near-duplicate search: its set of shingles, its figures, the bands of its signature.

Broder 1997 ("On the resemblance and containment of documents") for shingles and min-wise hashing. Signatures of the
`goldsand` dialect are R-MinHash (rensa), which is Fast Similarity Sketching (Dahlgaard, Knudsen, Thorup 2017): two sets
share each value with a probability of their Jaccard similarity s, and at least one band with about
1 - (1 - s^rows)^bands. Those of `fineweb` (SHA-1, as FineWeb was made) and `datatrove` (xxHash, its default) are
datatrove 0.10.1's, value for value: numbers folded to 0, spaCy's words, a permutation that wraps at 2^64 before it is
reduced modulo 2^61 - 1.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xxhash

from curate.dedup.figures import figures
from curate.dedup.shingles import Hashes, character_hashes, distinct, shingle_set, word_hashes
from curate.text.folding import fold
from curate.text.punctuation import PUNCTUATION
from curate.text.words import split_words

NORMALISER = 3
"""Version of shingles and figures, raised when the same text would give others; an index records its own."""

DIALECTS = ("goldsand", "fineweb", "datatrove")

_MERSENNE = np.uint64((1 << 61) - 1)
_NUMBER = re.compile(r"\d+(?:[.,\u060c\u066b\u2396\u2397\u2398]\d+)?")
_MARKS = str.maketrans(dict.fromkeys(PUNCTUATION, " "))
_SPACE = re.compile(r"\s+")
_BATCH = 4096
_CELLS = 1 << 21
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Sketcher:
    """Texts to shingles and signatures, by one dialect and its parameters."""

    dialect: str = "goldsand"
    unit: str = "words"
    shingle: int = 5
    bands: int = 14
    rows: int = 8
    seed: int = 1
    numbers: str = "guard"
    min_words: int = 5

    def sketch(self, text: str) -> tuple[Hashes, bytes] | None:
        """The sorted set of a text's shingles, and its figures under the guard; None: the text is too short."""
        if self.dialect == "goldsand":
            folded = fold(text)
            pieces = word_hashes(folded)
            if len(pieces) < self.min_words:
                return None
            if self.unit == "characters":
                pieces = character_hashes(folded)
            shingles = shingle_set(pieces, self.shingle)
        else:
            words = split_words(simplify(text))
            if len(words) < self.min_words:
                return None
            shingles = distinct(peer_shingles(words, self.shingle, _PEER_HASHES[self.dialect]))
        if not len(shingles):
            return None
        return shingles, figures(text) if self.numbers == "guard" else b""

    def signatures(self, sets: Sequence[Hashes]) -> Hashes:
        """One row of values for each set of shingles: shape (sets, bands * rows)."""
        values = self.bands * self.rows
        if self.dialect == "goldsand":
            matrices = [self._digest(sets[start : start + _BATCH]) for start in range(0, len(sets), _BATCH)]
        else:
            matrices = [peer_signature(one, values, self.seed)[None] for one in sets]
        return np.concatenate(matrices) if matrices else np.empty((0, values), np.uint64)

    def _digest(self, sets: Sequence[Hashes]) -> Hashes:
        from rensa import RMinHash

        ends = np.zeros(len(sets) + 1, np.uint64)
        np.cumsum([len(one) for one in sets], out=ends[1:])
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            np.concatenate(sets), ends, self.bands * self.rows, self.seed
        )
        return np.array(matrix.to_rows(), np.uint32).astype(np.uint64)

    def band_keys(self, signatures: Hashes, figures: Hashes) -> Hashes:
        """A 64-bit hash for each band of each signature, its number and the text's figures: shape (sets, bands).

        Equal bands have equal keys. Different bands collide once in 2^64: such a candidate fails verification.
        """
        values = signatures.reshape(len(signatures), self.bands, self.rows)
        keys = figures[:, None] + _mixed(np.arange(1, self.bands + 1, dtype=np.uint64))[None, :]
        for row in range(self.rows):
            keys = _mixed(keys ^ values[:, :, row])
        return keys


def _mixed(hashes: Hashes) -> Hashes:
    """The finaliser of SplitMix64: a permutation of all 64-bit numbers that leaves no pattern in them."""
    hashes = hashes + np.uint64(0x9E3779B97F4A7C15)
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _MIX[0]
    hashes = (hashes ^ (hashes >> np.uint64(27))) * _MIX[1]
    return hashes ^ (hashes >> np.uint64(31))


def simplify(text: str) -> str:
    """datatrove's `simplify_text`: lower case, numbers to 0, marks to spaces, one space for each run, no diacritics."""
    text = _NUMBER.sub("0", text.lower()).translate(_MARKS)
    text = _SPACE.sub(" ", text.strip())
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return text.strip()


def _sha1(shingle: bytes) -> int:
    return int.from_bytes(hashlib.sha1(shingle, usedforsecurity=False).digest()[:8], "little")


_PEER_HASHES: dict[str, Callable[[bytes], int]] = {"fineweb": _sha1, "datatrove": xxhash.xxh64_intdigest}


def peer_shingles(words: list[str], size: int, hashed: Callable[[bytes], int]) -> Hashes:
    """One hash for each n-gram of words joined by a space, in order."""
    grams = (" ".join(words[place : place + size]) for place in range(len(words) - size + 1))
    return np.fromiter((hashed(gram.encode("utf-8", "surrogatepass")) for gram in grams), np.uint64)


@lru_cache(maxsize=8)
def _permutations(count: int, seed: int) -> tuple[Hashes, Hashes]:
    random = np.random.RandomState(seed)
    top = int(_MERSENNE)
    return (
        random.randint(1, top, dtype=np.uint64, size=(1, count)),
        random.randint(0, top, dtype=np.uint64, size=(1, count)),
    )


def peer_signature(shingles: Hashes, count: int, seed: int) -> npt.NDArray[np.uint64]:
    """The smallest value of each permutation: shape (count,). Cut into pieces, so that memory stays bounded."""
    a, b = _permutations(count, seed)
    step = max(1, _CELLS // count)
    smallest = [
        ((shingles[start : start + step, None] * a + b) % _MERSENNE).min(axis=0)
        for start in range(0, len(shingles), step)
    ]
    return np.minimum.reduce(smallest)
