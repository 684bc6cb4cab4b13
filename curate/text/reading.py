"""The words of a text as numbers, and the n-grams of words that it repeats: in plain Python.

The reference that is easy to read. Without numba the words are read by this file, with it by `chunks.py`. N-grams are
always counted by faster code, `grams.py` (arrays) or `native.py`; a test compares all of them with these functions.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_WHITES = re.compile(r"\s+")
_SHORT = 15

Split = Callable[[str], Sequence[str]]
"""From a white-space chunk to its words."""
Number = Callable[[Iterable[str]], list[int]]
"""From words to their numbers."""


class Reading(NamedTuple):
    """The words of a text and their places.

    `ids`: the number of each word. Of each white-space chunk: `counts`, its words; `wide`, whether more than one space
    follows it before the next chunk of its line. Of each line that is not blank: `lines`, the number of its first
    chunk, and at the end the number of all chunks.
    """

    ids: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    wide: npt.NDArray[np.bool_]
    lines: npt.NDArray[np.int64]


class Chunks(dict[str, bytes]):
    """White-space chunk -> the numbers of its words, four bytes each. A chunk is split once, when it is first seen.

    `long`: the characters that long chunks and their words take.
    """

    def __init__(self, split: Split, number: Number) -> None:
        super().__init__()
        self._split = split
        self._number = number
        self.long = 0

    def __missing__(self, chunk: str) -> bytes:
        if len(chunk) > _SHORT:
            self.long += 2 * len(chunk)
        numbers = self[chunk] = array("i", self._number(self._split(chunk))).tobytes()
        return numbers

    def read(self, text: str) -> Reading:
        """The words of a text, line by line.

        Gopher's rules count words but do not define them (Rae et al. 2021, appendix A.1.1); here `split` does.
        """
        import numpy as np

        words_of = self.__getitem__
        words: list[bytes] = []
        lines: list[int] = []
        gaps: list[int] = []
        for line in map(str.strip, text.splitlines()):
            chunks = line.split()
            if chunks:
                lines.append(len(words))
                if line != " ".join(chunks):
                    gaps += [place for place, gap in enumerate(_WHITES.findall(line), len(words)) if gap != " "]
                words += map(words_of, chunks)
        borders = np.array([*lines, len(words)], dtype=np.int64)
        wide = np.zeros(len(words), dtype=bool)
        wide[gaps] = True
        wide[borders[1:] - 1] = True
        return Reading(
            np.frombuffer(b"".join(words), dtype=np.int32),
            np.fromiter(map(len, words), dtype=np.int32, count=len(words)) // 4,
            wide,
            borders,
        )


def top_gram_characters(words: Sequence[str], n: int) -> int:
    """Characters of the most frequent n-gram, spaces included, times its count; among equals, the first in the text.

    Gopher, in a paraphrase: for n of 2, 3 and 4, the share of characters that lie in the most frequent n-gram (Rae et
    al. 2021, arXiv:2112.11446, appendix A.1.1). Raises IndexError for a text of fewer than n words.
    """
    grams = Counter(" ".join(words[place : place + n]) for place in range(len(words) - n + 1))
    gram, count = grams.most_common(1)[0]
    return len(gram) * count


def repeated_gram_characters(words: Sequence[str], n: int) -> int:
    """Characters in n-grams that occurred before, counted from the left; after a repeat its n words are skipped.

    Gopher, in a paraphrase: for n of 5 to 10, the share of characters that lie in repeated n-grams, where characters of
    overlapping n-grams count once (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1). As in datatrove, an n-gram is
    its words joined without spaces, and the first copy is not counted.
    """
    seen: set[str] = set()
    place = characters = 0
    while place + n <= len(words):
        gram = "".join(words[place : place + n])
        if gram in seen:
            characters += len(gram)
            place += n
        else:
            seen.add(gram)
            place += 1
    return characters
