"""The signals of a text that rules compare: each computed once, when first used, and shared by all rules.

Words are cut once, line by line, and then handled as numbers (`words.py`). All signals take time and memory linear
in the text.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from curate.text.reading import Reading
from curate.text.words import LETTERED, SYMBOLIC, WORDED, WordTable, native, word_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from curate.text.grams import Joined, Repeats

_LONGEST_TOP = 4
_REPEATED = (5, 10)
_MOST_HASHED = 1 << 21
"""Longest text, in characters, whose repeated n-grams the compiled loops count: they keep two numbers for each byte."""
_ASCII_WHITE = bytes(byte for byte in range(128) if chr(byte).isspace())


class Copies(NamedTuple):
    """Of a list of pieces: how many there are, how many repeat an earlier one, and the characters in those repeats."""

    pieces: int
    repeats: int
    characters: int

    @property
    def share(self) -> float:
        return self.repeats / self.pieces if self.pieces else 0.0


def count_copies(pieces: list[str]) -> Copies:
    """Count the second and later copies of equal pieces."""
    distinct = set(pieces)
    if len(distinct) == len(pieces):
        return Copies(len(pieces), 0, 0)
    characters = sum(map(len, pieces)) - sum(map(len, distinct))
    return Copies(len(pieces), len(pieces) - len(distinct), characters)


class WordKinds(NamedTuple):
    """Counts over all words: those not made of marks alone, the characters in these, and the words with a letter."""

    worded: int
    characters: int
    alphabetic: int


class TextSignals:
    """The signals of one version of a text. `ids`: the words' numbers in `table`, if the caller has them."""

    def __init__(self, text: str, ids: npt.NDArray[np.int32] | None = None, table: WordTable | None = None) -> None:
        self.text = text
        self.table = table or word_table()
        self._ids = ids
        self._repeats: dict[int, Repeats] = {}

    @cached_property
    def lines(self) -> list[str]:
        """Lines at every line boundary Unicode knows, as Gopher's quality rules and C4 split them."""
        return self.text.splitlines()

    @cached_property
    def reading(self) -> Reading:
        """The words of the text, by chunk and line; its lines are those of `lines` that are not blank."""
        return self.table.read(self.text)

    @cached_property
    def word_ids(self) -> npt.NDArray[np.int32]:
        """The number of each word of the text; shape (words,)."""
        return self.reading.ids if self._ids is None else self._ids

    @cached_property
    def filled_stripped(self) -> list[str]:
        """Those of `lines` that are not blank, without the white space around them."""
        return [bare for line in self.lines if (bare := line.strip())]

    @cached_property
    def unicode(self) -> TextSignals:
        """The signals of the same text with Unicode's words, those that begin with a letter or digit, as in DCLM."""
        return TextSignals(self.text, table=word_table("unicode"))

    @cached_property
    def in_any_language(self) -> TextSignals:
        """The signals of the same text with words cut in the way that suits any language, marks included."""
        return TextSignals(self.text, table=word_table("any"))

    @cached_property
    def spaced(self) -> TextSignals:
        """The signals of the same text with words cut at white space alone, as dolma cuts them."""
        return TextSignals(self.text, table=word_table("spaces"))

    @cached_property
    def words(self) -> list[str]:
        """Words, marks included (see `curate.text.english`)."""
        return list(map(self.table.words.__getitem__, self.word_ids.tolist()))

    @cached_property
    def vocabulary(self) -> set[str]:
        """The distinct words."""
        import numpy as np

        return set(map(self.table.words.__getitem__, np.unique(self.word_ids).tolist()))

    def holds(self, words: list[str]) -> int:
        """How many of these distinct words the text holds."""
        numbers = (self.table.number(word) for word in set(words))
        return sum(bool((self.word_ids == number).any()) for number in numbers if number is not None)

    @cached_property
    def word_lengths(self) -> npt.NDArray[np.int32]:
        """Characters of each word of the text; shape (words,)."""
        ids = self.word_ids
        return self.table.features.lengths[ids]

    @cached_property
    def word_kinds(self) -> WordKinds:
        import numpy as np

        ids = self.word_ids
        kinds = self.table.features.kinds[ids]
        worded = (kinds & WORDED) != 0
        return WordKinds(
            int(np.count_nonzero(worded)),
            int(self.word_lengths[worded].sum(dtype=np.int64)),
            int(np.count_nonzero(kinds & LETTERED)),
        )

    @cached_property
    def _between_newlines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def filled_lines(self) -> list[str]:
        """Lines between newlines that are not blank, as FineWeb's rules split them."""
        return [line for line in self._between_newlines if line and not line.isspace()]

    @cached_property
    def line_copies(self) -> Copies:
        """Repeats among lines between runs of newlines; a newline at either end of the text adds an empty line."""
        lines = list(filter(None, self._between_newlines))
        if not self.text:
            return Copies(1, 0, 0)
        lines.extend([""] * (self.text.startswith("\n") + self.text.endswith("\n")))
        return count_copies(lines)

    @cached_property
    def paragraph_copies(self) -> Copies:
        """Repeats among paragraphs of the stripped text, split at two newlines or more."""
        stripped = self.text.strip()
        if "\n\n" not in stripped:
            return Copies(1, 0, 0)
        return count_copies([piece.lstrip("\n") for piece in stripped.split("\n\n") if piece])

    @cached_property
    def filled_line_copies(self) -> Copies:
        """Repeats among lines between newlines that are not blank."""
        return count_copies(self.filled_lines)

    @cached_property
    def filled_paragraph_copies(self) -> Copies:
        """Repeats among paragraphs, split at blank lines, of white space or of nothing."""
        if len(self.filled_lines) == sum(map(bool, self._between_newlines)):
            return self.paragraph_copies
        pieces: list[list[str]] = []
        last = False
        for line in self._between_newlines:
            filled = bool(line) and not line.isspace()
            if filled and last:
                pieces[-1].append(line)
            elif filled:
                pieces.append([line])
            last = filled
        return count_copies(list(map("\n".join, pieces))) if pieces else Copies(1, 0, 0)

    def repeats(self, n: int) -> Repeats:
        """The places of n-grams of words (n >= 2) that occur more than once."""
        from curate.text.grams import repeats_of_words

        if n not in self._repeats:
            shorter = self.repeats(n - 1) if n > 2 else None
            self._repeats[n] = repeats_of_words(self.word_ids, shorter, n)
        return self._repeats[n]

    @cached_property
    def word_characters(self) -> int:
        """Characters of all words."""
        return int(self.word_lengths.sum(dtype="int64"))

    @cached_property
    def median_word_length(self) -> float:
        """Characters of the median word, 0 for a text without words."""
        import numpy as np

        return float(np.median(self.word_lengths)) if len(self.word_ids) else 0.0

    @cached_property
    def symbol_words(self) -> int:
        """Words that hold `#` or an ellipsis."""
        import numpy as np

        ids = self.word_ids
        return int(np.count_nonzero(self.table.features.kinds[ids] & SYMBOLIC))

    def count_words(self, words: list[str], lowered: bool = False) -> int:
        """How often these words occur in the text, together; `lowered`: compare lower-cased words of the text."""
        import numpy as np

        wanted = set(words)
        numbers, counts = np.unique(self.word_ids, return_counts=True)
        held = map(self.table.words.__getitem__, numbers.tolist())
        matches = [(word.lower() if lowered else word) in wanted for word in held]
        return int(counts[matches].sum())

    def gram_lengths(self, n: int) -> npt.NDArray[np.int64]:
        """Characters of the words of each n-gram; shape (words - n + 1,)."""
        import numpy as np

        ends = np.concatenate(([0], np.cumsum(self.word_lengths, dtype=np.int64)))
        return ends[n:] - ends[:-n]

    def share_of_repeated_grams(self, n: int) -> float:
        """The share of all n-grams' characters that is in n-grams that occur more than once, first copies counted."""
        lengths = self.gram_lengths(n)
        return int(lengths[self.repeats(n).places].sum()) / max(int(lengths.sum()), 1)

    def characters_in_repeated_grams(self, n: int) -> int:
        """Characters of the words in any n-gram that occurs more than once, each word counted once."""
        import numpy as np

        places = self.repeats(n).places
        borders = np.bincount(places, minlength=len(self.word_ids) + 1) - np.bincount(
            places + n, minlength=len(self.word_ids) + 1
        )
        return int(self.word_lengths[np.cumsum(borders)[:-1] > 0].sum(dtype=np.int64))

    def longest_top_gram_characters(self, n: int) -> int:
        """Characters of the longest of the most frequent n-grams, times its count; 0 if no n-gram occurs twice."""
        import numpy as np

        repeats = self.repeats(n)
        if not len(repeats.places):
            return 0
        counts = np.bincount(repeats.first)
        most = int(counts.max())
        return int(self.gram_lengths(n)[np.flatnonzero(counts == most)].max()) * most

    def top_gram_characters(self, n: int, spaces: bool = True) -> int:
        """Characters (`spaces` between its words included) of the most frequent n-gram, times its count.

        Among n-grams of equal count, the first in the text. 0 if the text has fewer than n words.
        """
        import numpy as np

        if len(self.word_ids) < n:
            return 0
        fast = native()
        if fast and n <= _LONGEST_TOP:
            place, count = self._tops[n]
            return (int(self.word_lengths[place : place + n].sum()) + (n - 1 if spaces else 0)) * count
        first = self.repeats(n).first
        place, count = 0, 1
        if len(first):
            counts = np.bincount(first)
            place = int(counts.argmax())
            count = int(counts[place])
        return (int(self.word_lengths[place : place + n].sum()) + (n - 1 if spaces else 0)) * count

    @cached_property
    def _tops(self) -> list[list[int]]:
        fast = native()
        assert fast
        return fast.top_grams(self.word_ids, _LONGEST_TOP).tolist()

    @cached_property
    def _side_by_side(self) -> tuple[bytes, npt.NDArray[np.int32]]:
        """The words without spaces in UTF-8, and the bytes of each."""
        ids = self.word_ids
        sizes = self.table.features.sizes[ids]
        data = self.text.encode("utf-8", "surrogatepass").translate(None, _ASCII_WHITE)
        if len(data) != int(sizes.sum(dtype="int64")):
            data = "".join(self.text.split()).encode("utf-8", "surrogatepass")
        return data, sizes

    @cached_property
    def _repeated(self) -> list[int]:
        import numpy as np

        from curate.text.grams import sums_before

        fast = native()
        assert fast
        data, sizes = self._side_by_side
        raw = np.frombuffer(data, dtype=np.uint8)
        return fast.repeated_grams(raw, sums_before(sizes), sums_before(self.word_lengths), *_REPEATED).tolist()

    @cached_property
    def _joined(self) -> Joined:
        from curate.text.grams import Joined

        ids, features = self.word_ids, self.table.features
        data, sizes = self._side_by_side
        return Joined(
            data,
            self.word_lengths,
            sizes,
            lambda: (features.hashes(self.table.words)[ids], *features.shifts(self.word_lengths)),
        )

    def repeated_gram_characters(self, n: int) -> int:
        """Characters in repeated n-grams, greedily from the left: after a repeat its n words are skipped.

        N-grams are compared as words joined without spaces, as datatrove does.
        """
        if len(self.word_ids) <= n:
            return 0
        if native() and _REPEATED[0] <= n <= _REPEATED[1] and len(self.text) <= _MOST_HASHED:
            return self._repeated[n]
        return self._joined.repeated_characters(n)
