"""Words as numbers: a bounded table white-space chunk -> its words, shared by all texts of a process.

A chunk is cut once, when it is first met; from then on a text becomes the numbers of its words by one look-up for each
chunk. What the rules ask of a word (length, letters, marks, hash) stands in arrays beside the table, so that they ask it
of all words of a text at once.
"""

from __future__ import annotations

import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from curate.punctuation import SYMBOLS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from curate.english import EnglishSplitter

_SYMBOLS = "".join(sorted(SYMBOLS))
_RUN = re.compile(r"\s+|\S+")
_LETTER = re.compile(r"[A-Za-z]").search
_WHITE = re.compile(r"\s")
_SLICE = 1 << 18
"""Characters of a text that are cut into chunks at a time, so that a giant line is never a giant list."""
_LONG_WORD = 4096
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_TOGETHER = 1024

LETTERED, WORDED, ENDS, MARKS, BORDER = 1, 2, 4, 8, 16
"""What a word is, as bits: it has a letter; it is not made of symbols alone (`curate.punctuation`); it ends a sentence;
all of its characters are punctuation by their Unicode category; it is no word but the border between two lines."""
SPACE = (0).to_bytes(4, sys.byteorder)
BREAK = (1).to_bytes(4, sys.byteorder)
"""Two numbers that are no words: white space that is a token of its own, and the border between two lines."""


class WordTable(dict[str, bytes]):
    """Chunk -> the numbers of its words, as the bytes of an int32 array.

    `words` are the words by number. A table only grows; a full one is replaced between two texts, and lives on as long as
    something counts by its numbers.
    """

    CHUNKS: ClassVar[int] = 200_000
    CHARACTERS: ClassVar[int] = 16_000_000
    LONGEST: ClassVar[int] = 64

    def __init__(self, split: Callable[[str], Iterable[str]], sentence_ends: frozenset[str] = frozenset()) -> None:
        super().__init__({" ": b""})
        self._split = split
        self._ends = sentence_ends
        self._lock = threading.Lock()
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}
        self._characters = 0
        for name in ("  ", "\n"):  # 0 is SPACE, 1 is BREAK
            self._number(name)
        self._features: _Features | None = None

    def __missing__(self, chunk: str) -> bytes:
        if chunk.isspace():
            return SPACE
        with self._lock:
            numbers = b"".join([self._number(word).to_bytes(4, sys.byteorder) for word in self._split(chunk)])
        if len(chunk) <= self.LONGEST:
            self[chunk] = numbers
        return numbers

    def _number(self, word: str) -> int:
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self.words)
            self.words.append(word)
            self._characters += len(word)
        return number

    def number(self, word: str) -> int | None:
        """The number of a word that some text has held, else None."""
        return self._numbers.get(word)

    @property
    def full(self) -> bool:
        return len(self) >= self.CHUNKS or self._characters >= self.CHARACTERS

    def read(self, text: str) -> bytes:
        """The numbers of the text's words, as the bytes of an int32 array."""
        if len(text) <= _SLICE:
            return b"".join(map(self.__getitem__, text.split()))
        return b"".join(b"".join(map(self.__getitem__, piece.split())) for piece in _pieces(text))

    def read_with_spaces(self, text: str) -> bytes:
        """The same, with SPACE for each run of white space that is more than a space between two words."""
        return b"".join(map(self.__getitem__, _RUN.findall(text)))

    @property
    def features(self) -> _Features:
        """What is known of each word, by its number."""
        if self._features is None or self._features.size < len(self.words):
            with self._lock:
                if self._features is None:
                    self._features = _Features()
                self._features.extend(self.words, self._kind)
        return self._features

    def _kind(self, word: str) -> int:
        if word.isalpha():
            return LETTERED | WORDED
        if word.isascii() and (word[0].isalnum() or word[-1].isalnum()):
            return WORDED | (LETTERED if _LETTER(word) else 0)
        if word == "\n":
            return BORDER
        kind = WORDED if word.strip(_SYMBOLS) else 0
        if kind and any(map(str.isalpha, word)):
            kind |= LETTERED
        if word in self._ends:
            kind |= ENDS
        elif all(unicodedata.category(character)[0] == "P" for character in word):
            kind |= MARKS
        return kind


class _Features:
    """Arrays by the number of a word: `lengths` in characters and `kinds`; and for the hash of words that stand side by
    side without spaces, a polynomial of the word's characters modulo 2^64 (`hashes`)."""

    def __init__(self) -> None:
        import numpy as np

        self.size = 0
        self.lengths: npt.NDArray[np.int32] = np.zeros(1024, dtype=np.int32)
        self.kinds: npt.NDArray[np.uint8] = np.zeros(1024, dtype=np.uint8)
        self.hashes: npt.NDArray[np.uint64] = np.zeros(1024, dtype=np.uint64)

    def extend(self, words: list[str], kind: Callable[[str], int]) -> None:
        import numpy as np

        new = len(words)
        if new > len(self.lengths):
            for name in ("lengths", "kinds", "hashes"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate((array, np.zeros(max(new, len(array)), dtype=array.dtype))))
        for start in range(self.size, new, _TOGETHER):
            added = words[start : start + _TOGETHER]
            here = slice(start, start + len(added))
            self.lengths[here] = list(map(len, added))
            self.kinds[here] = list(map(kind, added))
            self.hashes[here] = _polynomials(added, self.lengths[here])
        self.size = new

    @staticmethod
    def shifts(lengths: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """The power of the polynomials' base that moves what follows words of these lengths, and its inverse."""
        import numpy as np

        short = np.minimum(lengths, _LONG_WORD)
        moves, returns = _powers(_BASE)[short], _powers(_INVERSE)[short]
        for place in np.flatnonzero(lengths > _LONG_WORD).tolist():
            moves[place] = pow(_BASE, int(lengths[place]), 1 << 64)
            returns[place] = pow(_INVERSE, int(lengths[place]), 1 << 64)
        return moves, returns


@cache
def _powers(base: int) -> npt.NDArray[np.uint64]:
    import numpy as np

    powers = np.full(_LONG_WORD + 1, base, dtype=np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def _polynomials(words: list[str], lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    import numpy as np

    if int(lengths.max()) > _LONG_WORD:
        return np.array([_long_polynomial(word) for word in words], dtype=np.uint64)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    characters = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    characters += np.uint64(1)
    characters *= _powers(_BASE)[np.arange(len(characters)) - np.repeat(starts, lengths)]
    return np.add.reduceat(characters, starts)


def _long_polynomial(word: str) -> int:
    import numpy as np

    total = 0
    move = pow(_BASE, _LONG_WORD, 1 << 64)
    for start in reversed(range(0, len(word), _LONG_WORD)):
        block = word[start : start + _LONG_WORD]
        hashes = _polynomials([block], np.array([len(block)], dtype=np.int32))
        total = (int(hashes[0]) + total * move) % (1 << 64)
    return total


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        border = _WHITE.search(text, start + _SLICE)
        end = border.end() if border else len(text)
        yield text[start:end]
        start = end


def count_chunks(text: str) -> int:
    """White-space chunks of a text of any length."""
    return sum(len(piece.split()) for piece in _pieces(text))


@cache
def _english() -> EnglishSplitter:
    from curate.english import EnglishSplitter

    return EnglishSplitter()


_tables: dict[str, WordTable] = {}


def word_table(kind: str = "english") -> WordTable:
    """The table in use: `english` cuts as spaCy does (the `fineweb` dialect), `spaces` at white space alone."""
    table = _tables.get(kind)
    if table is None or table.full:
        if kind == "english":
            table = WordTable(_english(), _english().sentence_ends)
        elif kind == "spaces":
            table = WordTable(lambda chunk: (chunk,))
        else:
            raise KeyError(f"there is no way to cut words called {kind!r}; there are 'english' and 'spaces'")
        _tables[kind] = table
    return table


def split_words(text: str) -> list[str]:
    """The words of a text, marks included, white space not."""
    table = word_table()
    numbers = memoryview(table.read(text)).cast("i")
    return list(map(table.words.__getitem__, numbers))


def count_sentences(text: str) -> int:
    """How many sentences spaCy's rule-based sentencizer finds.

    A sentence ends at a closing mark and begins with the next word that is no mark. White space that is more than one
    space is a token for spaCy, and begins a sentence too.
    """
    if not text:
        return 0
    table = word_table()
    return 1 + sentences_begun(table, table.read_with_spaces(text))


def sentences_begun(table: WordTable, numbers: bytes) -> int:
    """Sentences that begin after another in the same line; `numbers` hold BREAK between lines."""
    import numpy as np

    kinds = table.features.kinds[np.frombuffer(numbers, dtype=np.int32)]
    kinds = kinds[(kinds & MARKS) == 0]
    after = (kinds[:-1] & ENDS) != 0
    return int(np.count_nonzero(after & ((kinds[1:] & (ENDS | BORDER)) == 0)))
