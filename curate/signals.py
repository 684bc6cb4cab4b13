"""What the rules need to know of a text, computed once, when first asked for, and shared by all rules.

The signals are those of the `fineweb` dialect: datatrove 0.10.1's readings of the published rules, with spaCy's words.
All of them take time and memory linear in the text (n-grams: times a logarithm).
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from curate.punctuation import SYMBOLS
from curate.words import split_words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SYMBOLS = "".join(sorted(SYMBOLS))
_PARAGRAPH_BREAK = re.compile(r"\n{2,}")
_LINE_BREAK = re.compile(r"\n+")
_HASH_BASE = 0x9E3779B97F4A7C15
_HASH_INVERSE = pow(_HASH_BASE, -1, 1 << 64)


class Copies(NamedTuple):
    """Of a list of pieces: how many there are, how many repeat an earlier one, and the characters in those repeats."""

    pieces: int
    repeats: int
    characters: int

    @property
    def share(self) -> float:
        return self.repeats / self.pieces if self.pieces else 0.0


def count_copies(pieces: list[str]) -> Copies:
    """Second and later copies, the first not counted."""
    distinct = set(pieces)
    characters = sum(map(len, pieces)) - sum(map(len, distinct))
    return Copies(len(pieces), len(pieces) - len(distinct), characters)


class WordKinds(NamedTuple):
    """Of all words: those that are not marks alone, the characters in these, and the words with a letter."""

    worded: int
    characters: int
    alphabetic: int


class TextSignals:
    """The signals of one revision of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._gram_ids: dict[int, npt.NDArray[np.int64]] = {}

    @cached_property
    def words(self) -> list[str]:
        """Words, marks included (see `curate.words`)."""
        return split_words(self.text)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Each distinct word's number, in order of first appearance."""
        return {word: number for number, word in enumerate(dict.fromkeys(self.words))}

    @cached_property
    def word_ids(self) -> npt.NDArray[np.int64]:
        """The number of each word of the text; shape (words,)."""
        import numpy as np

        return np.fromiter(map(self.vocabulary.__getitem__, self.words), dtype=np.int64, count=len(self.words))

    @cached_property
    def word_lengths(self) -> npt.NDArray[np.int64]:
        """Characters of each word of the text; shape (words,)."""
        import numpy as np

        return np.fromiter(map(len, self.words), dtype=np.int64, count=len(self.words))

    @cached_property
    def word_kinds(self) -> WordKinds:
        import numpy as np

        counts = np.bincount(self.word_ids, minlength=len(self.vocabulary)).tolist() if self.words else []
        worded = characters = alphabetic = 0
        for word, count in zip(self.vocabulary, counts, strict=True):
            if word.isalpha():
                alphabetic += count
            elif not word.strip(_SYMBOLS):
                continue
            elif any(map(str.isalpha, word)):
                alphabetic += count
            worded += count
            characters += count * len(word)
        return WordKinds(worded, characters, alphabetic)

    @cached_property
    def lines(self) -> list[str]:
        """Lines at every line boundary Unicode knows, as Gopher's quality rules and C4 split them."""
        return self.text.splitlines()

    @cached_property
    def filled_lines(self) -> list[str]:
        """Lines between newlines that are not blank, as FineWeb's rules take them."""
        return [line for line in self.text.split("\n") if line and not line.isspace()]

    @cached_property
    def line_copies(self) -> Copies:
        """Repeats among lines between runs of newlines; a newline at the end adds an empty line."""
        return count_copies(_LINE_BREAK.split(self.text))

    @cached_property
    def paragraph_copies(self) -> Copies:
        """Repeats among paragraphs of the stripped text, split at two newlines or more."""
        return count_copies(_PARAGRAPH_BREAK.split(self.text.strip()))

    @cached_property
    def filled_line_copies(self) -> Copies:
        return count_copies(self.filled_lines)

    def gram_ids(self, n: int) -> npt.NDArray[np.int64]:
        """The number of each n-gram of words, equal for equal n-grams; shape (words - n + 1,), empty when too short."""
        import numpy as np

        if n == 1:
            return self.word_ids
        if n not in self._gram_ids:
            shorter = self.gram_ids(n - 1)
            if len(shorter) < 2:
                self._gram_ids[n] = shorter[:0]
            else:
                pairs = shorter[:-1] * len(self.vocabulary) + self.word_ids[n - 1 :]
                self._gram_ids[n] = np.unique(pairs, return_inverse=True)[1]
        return self._gram_ids[n]

    def top_gram_characters(self, n: int) -> int:
        """Characters (spaces between its words included) of the most frequent n-gram, times its count.

        Among n-grams of equal count the first in the text is taken. 0 when the text has fewer than n words.
        """
        import numpy as np

        ids = self.gram_ids(n)
        if not len(ids):
            return 0
        counts = np.bincount(ids)[ids]
        first = int(counts.argmax())
        return (int(self.word_lengths[first : first + n].sum()) + n - 1) * int(counts[first])

    @cached_property
    def _joined(self) -> tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """All words without spaces; where each begins; a polynomial hash of all before it, and its power's inverse."""
        import numpy as np

        joined = "".join(self.words)
        starts = np.concatenate(([0], np.cumsum(self.word_lengths)))
        characters = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
        powers = np.full(len(characters), _HASH_BASE, dtype=np.uint64)
        powers[:1] = 1
        np.multiply.accumulate(powers, out=powers)
        characters *= powers
        sums = np.concatenate((np.zeros(1, dtype=np.uint64), np.add.accumulate(characters)))[starts]
        inverses = np.full(len(characters) + 1, _HASH_INVERSE, dtype=np.uint64)
        inverses[0] = 1
        return joined, starts, sums, np.multiply.accumulate(inverses)[starts]

    def repeated_gram_characters(self, n: int) -> int:
        """Characters in repeats of n-grams, taken greedily from the left: after a repeat its n words are passed over.

        N-grams are compared as words joined without spaces, as datatrove does. Only n-grams whose hash occurs twice
        are looked at: the hash rules out, the string decides.
        """
        import numpy as np

        if len(self.words) <= n:
            return 0
        joined, starts, sums, inverses = self._joined
        hashes = (sums[n:] - sums[:-n]) * inverses[:-n]
        order = np.argsort(hashes, kind="stable")
        in_order = hashes[order]
        same = in_order[1:] == in_order[:-1]
        if not same.any():
            return 0
        repeated = np.zeros(len(hashes), dtype=bool)
        repeated[order[1:][same]] = True
        repeated[order[:-1][same]] = True
        places = np.flatnonzero(repeated)
        seen: set[str] = set()
        characters = resume = 0
        for place, start, end in zip(
            places.tolist(), starts[places].tolist(), starts[places + n].tolist(), strict=True
        ):
            if place < resume:
                continue
            gram = joined[start:end]
            if gram in seen:
                characters += end - start
                resume = place + n
            else:
                seen.add(gram)
        return characters
