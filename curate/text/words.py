"""Words as numbers: a bounded table from white-space chunks to their words, shared by all texts of a process.

A chunk is cut once, when it is first seen: `reading.py` looks chunks up line by line, `chunks.py` all chunks of a text
by compiled loops. A word's features (length, letters, marks, hash) are in arrays by the word's number, so that rules
look them up for all words of a text at once.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from curate.text.chunks import ChunkTable, grown
from curate.text.cutters import between_boundaries, english, in_any_language
from curate.text.punctuation import SYMBOLS
from curate.text.reading import Chunks, Reading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SYMBOLS = "".join(sorted(SYMBOLS))
_LETTER = re.compile(r"[A-Za-z]").search
_WHITES = re.compile(r"\s+")
_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]").search
_SLICE = 1 << 18
"""Characters of a text that are read together, so that a giant text needs no giant arrays."""
_LONG_WORD = 4096
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_TOGETHER = 1024

LETTERED, WORDED, ENDS, MARKS, SYMBOLIC = 1, 2, 4, 8, 16
"""The kind of a word, as bits: it has a letter; it is not made of symbols alone (`punctuation.py`); it ends a sentence;
all of its characters are punctuation by their Unicode category; it holds `#` or an ellipsis."""


class WordTable:
    """Chunk -> the numbers of its words. `words` are the words by number.

    A table only grows; a full one is replaced between two texts, and is freed once no signals use its numbers.
    """

    CHUNKS: ClassVar[int] = 200_000
    BYTES: ClassVar[int] = 16_000_000

    def __init__(self, split: Callable[[str], Sequence[str]], sentence_ends: frozenset[str] = frozenset()) -> None:
        self._split = split
        self._ends = sentence_ends
        self._lock = threading.RLock()
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}
        self._chunks: ChunkTable | Chunks | None = None
        self._features = _Features()

    def number(self, word: str) -> int | None:
        """The number of a word that occurred in some text, else None."""
        return self._numbers.get(word)

    @property
    def full(self) -> bool:
        chunks = self._chunks
        return chunks is not None and (len(chunks) >= self.CHUNKS or chunks.long >= self.BYTES)

    @property
    def features(self) -> _Features:
        """The features of each word, by its number."""
        if self._features.size < len(self.words):
            with self._lock:
                self._features.extend(self.words, self._kind)
        return self._features

    def read(self, text: str) -> Reading:
        """Cut a text into words."""
        import numpy as np

        if len(text) <= _SLICE:
            return self._read(text)
        parts, joints = [], []
        for piece, gap in _pieces(text):
            parts.append(self._read(piece))
            joints.append(gap)
        if not parts:
            return self._read("")
        for part, gap in zip(parts[:-1], joints, strict=False):
            part.wide[-1:] = gap != " "
        offsets = np.cumsum([0] + [len(part.counts) for part in parts])
        borders = [
            part.lines[:-1] + offset if place == 0 or _BREAK(joints[place - 1]) else part.lines[1:-1] + offset
            for place, (part, offset) in enumerate(zip(parts, offsets, strict=False))
        ]
        return Reading(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.wide for part in parts]),
            np.concatenate([*borders, offsets[-1:]]),
        )

    def _read(self, text: str) -> Reading:
        if self._chunks is None:
            loops = native()
            self._chunks = ChunkTable(self._split, self._number, loops) if loops else Chunks(self._split, self._number)
        return self._chunks.read(text)

    def _number(self, words: Iterable[str]) -> list[int]:
        """The numbers of words; a new word gets the next number."""
        numbers, held = self._numbers, self.words
        result = []
        with self._lock:
            for word in words:
                number = numbers.get(word)
                if number is None:
                    number = numbers[word] = len(held)
                    held.append(word)
                result.append(number)
        return result

    def _kind(self, word: str) -> int:
        if word.isalpha():
            return LETTERED | WORDED
        if word.isascii() and (word[0].isalnum() or word[-1].isalnum()):
            return WORDED | (LETTERED if _LETTER(word) else 0) | (SYMBOLIC if "#" in word else 0)
        kind = WORDED if word.strip(_SYMBOLS) else 0
        if any(map(str.isalpha, word)):
            kind |= LETTERED
        if "#" in word or "…" in word:
            kind |= SYMBOLIC
        if word in self._ends:
            kind |= ENDS
        elif all(unicodedata.category(character)[0] == "P" for character in word):
            kind |= MARKS
        return kind


class _Features:
    """Arrays by the number of a word: `lengths` in characters, `sizes` in bytes of UTF-8, and `kinds`."""

    def __init__(self) -> None:
        import numpy as np

        self.size = 0
        self.lengths: npt.NDArray[np.int32] = np.zeros(1024, dtype=np.int32)
        self.sizes: npt.NDArray[np.int32] = np.zeros(1024, dtype=np.int32)
        self.kinds: npt.NDArray[np.uint8] = np.zeros(1024, dtype=np.uint8)
        self._hashes: npt.NDArray[np.uint64] = np.zeros(1024, dtype=np.uint64)
        self._hashed = 0
        self._columns: dict[Callable[[str], int], npt.NDArray[np.uint8]] = {}

    def extend(self, words: list[str], kind: Callable[[str], int]) -> None:
        new = len(words)
        for name in ("lengths", "sizes", "kinds"):
            setattr(self, name, grown(getattr(self, name), new))
        for start in range(self.size, new, _TOGETHER):
            added = words[start : start + _TOGETHER]
            here = slice(start, start + len(added))
            self.lengths[here] = list(map(len, added))
            self.sizes[here] = self.lengths[here]
            for place, word in enumerate(added, start):
                if not word.isascii():
                    self.sizes[place] = len(word.encode("utf-8", "surrogatepass"))
            self.kinds[here] = list(map(kind, added))
        self.size = new

    def hashes(self, words: list[str]) -> npt.NDArray[np.uint64]:
        """A hash of each word, by its number: a polynomial of its characters modulo 2^64. Seldom needed."""
        self._hashes = grown(self._hashes, self.size)
        for start in range(self._hashed, self.size, _TOGETHER):
            here = slice(start, min(start + _TOGETHER, self.size))
            self._hashes[here] = _polynomials(words[here], self.lengths[here])
        self._hashed = self.size
        return self._hashes

    def column(self, of: Callable[[str], int], words: list[str]) -> npt.NDArray[np.uint8]:
        """The byte that `of` gives for each word, by its number. `of` is called once for each word of the table."""
        import numpy as np

        known = self._columns.get(of, np.zeros(0, dtype=np.uint8))
        if len(known) < self.size:
            fresh = np.array(list(map(of, words[len(known) : self.size])), dtype=np.uint8)
            known = self._columns[of] = np.concatenate((known, fresh))
        return known

    @staticmethod
    def shifts(lengths: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """For each length the power of the hash's base that shifts past a word of it, and the inverse of that power."""
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


@cache
def native() -> ModuleType | None:
    """The module of compiled loops where numba is installed, else None; results are the same."""
    if find_spec("numba") is None:
        return None
    from curate.text import native as loops

    return loops


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Parts of a long text, cut at white space, each with the white space that follows it."""
    start = 0
    while start < len(text):
        border = _WHITES.search(text, start + _SLICE)
        piece = text[start : border.start() if border else len(text)]
        end = border.end() if border else len(text)
        bare = piece.rstrip()
        if bare:
            yield bare, text[start + len(bare) : end]
        start = end


_tables: dict[str, WordTable] = {}


def word_table(kind: str = "english") -> WordTable:
    """The table in use: `english` cuts as spaCy does (dialect `fineweb`), `spaces` at white space (`dolma`), `unicode`
    at Unicode's word boundaries (`dclm`), `any` in the way that suits any language, marks included."""
    table = _tables.get(kind)
    if table is None or table.full:
        if kind == "english":
            table = WordTable(english(), english().sentence_ends)
        elif kind == "spaces":
            table = WordTable(lambda chunk: (chunk,))
        elif kind == "unicode":
            table = WordTable(between_boundaries)
        elif kind == "any":
            table = WordTable(in_any_language(), english().sentence_ends)
        else:
            raise KeyError(f"`kind` must be one of english, spaces, unicode, any, not {kind!r}")
        _tables[kind] = table
    return table


def split_words(text: str) -> list[str]:
    """The words of a text, marks included, white space not."""
    table = word_table()
    return list(map(table.words.__getitem__, table.read(text).ids.tolist()))


def count_sentences(text: str, table: WordTable | None = None) -> int:
    """How many sentences spaCy's rule-based sentencizer finds.

    A sentence ends at a closing mark and begins with the next word that is not a mark. White space longer than one
    space is a token for spaCy, and begins a sentence too.
    """
    import numpy as np

    if not text:
        return 0
    if text[len(text.rstrip()) :] not in ("", " "):
        text += "x"  # white space at the end is a token too; a word after it adds no other sentence
    table = table or word_table()
    reading = table.read(text)
    return 1 + sentences_begun(table, reading, np.zeros(len(reading.counts), dtype=np.int64))


def sentences_begun(table: WordTable, reading: Reading, lines: npt.NDArray[np.int64]) -> int:
    """Sentences that begin after another in the same line; `lines`: the line of each chunk, -1 for chunks left out."""
    import numpy as np

    fast = native()
    if fast:
        kinds = table.features.kinds
        return int(fast.sentences(kinds, reading.ids, reading.counts, reading.wide, lines, ENDS, MARKS))
    gaps = np.flatnonzero(reading.wide[:-1] & (lines[1:] == lines[:-1]))
    sizes = reading.counts.copy()
    sizes[gaps] += 1  # a wide gap is one more token after the chunk's words
    lines_of_tokens = np.repeat(lines, sizes)
    is_word = np.ones(len(lines_of_tokens), dtype=bool)
    is_word[np.cumsum(sizes)[gaps] - 1] = False
    kinds = np.zeros(len(lines_of_tokens), dtype=np.uint8)
    kinds[is_word] = table.features.kinds[reading.ids]
    unmarked = np.flatnonzero((kinds & MARKS == 0) & (lines_of_tokens >= 0))
    ends, lines_of_tokens = (kinds[unmarked] & ENDS) != 0, lines_of_tokens[unmarked]
    return int(np.count_nonzero(ends[:-1] & ~ends[1:] & (lines_of_tokens[1:] == lines_of_tokens[:-1])))
