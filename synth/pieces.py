"""Texts taken apart into pieces that a tokenizer encodes the same alone and side by side.

A piece keeps the space that precedes it in running text. Tokenizers that split at spaces and marks before they merge
bytes have a border in front of every such piece: the tokens of a text are then those of its pieces, one after the
other. This is checked, never assumed: neighbours are encoded together, and the tokens compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from curate.shards.vocabulary import Vocabulary
from synth.facts import FactsError

EMPTY = 0
"""The piece without tokens."""

_TAIL = 3
_ANCHORS = ("", "(", "a")
_BATCH = 8192


class Prefix(NamedTuple):
    """What precedes a word: the start of the text or not, and white space."""

    at_start: bool
    space: str


class Pieces:
    """Numbered pieces of text, and their tokens. Pieces of records are words that are reserved tokens."""

    def __init__(self, vocabulary: Vocabulary, reserved: bool = False) -> None:
        self._vocabulary = vocabulary
        self._reserved = reserved
        self.texts = [""]
        self._at_start = [False]
        self._known: dict[tuple[bool, str], int] = {(False, ""): EMPTY, (True, ""): EMPTY}
        self._tokens: list[list[int]] = [[]]
        self._anchors = dict(zip(_ANCHORS, [] if reserved else vocabulary.encode(_ANCHORS), strict=not reserved))

    def add(self, text: str, at_start: bool = False) -> int:
        """The number of one piece; the same text has the same number."""
        number = self._known.get((at_start, text))
        if number is None:
            number = self._known[at_start, text] = self.add_pool([text], Prefix(at_start, ""))
        return number

    def add_pool(self, words: Sequence[str], prefix: Prefix) -> int:
        """Add a piece for each word, in their order; the number of the first."""
        first = len(self.texts)
        self.texts += [prefix.space + word for word in words]
        self._at_start += [prefix.at_start] * len(words)
        return first

    def tokens(self) -> list[list[int]]:
        """The tokens of every piece. Raises FactsError for one whose tokens merge with any text in front of it."""
        begin = len(self._tokens)
        if self._reserved:
            self._tokens += [self._vocabulary.encode_words(text) for text in self.texts[begin:]]
            return self._tokens
        for first in range(begin, len(self.texts), _BATCH):
            numbers = range(first, min(first + _BATCH, len(self.texts)))
            for number, (anchor, ids) in zip(numbers, self._encoded([[number] for number in numbers]), strict=True):
                if ids[: len(anchor)] != anchor:
                    raise FactsError(_merged(self._anchor(number), self.texts[number]))
                self._tokens.append(ids[len(anchor) :])
        return self._tokens

    def check(self, runs: Iterable[Sequence[int]]) -> None:
        """Encode runs of pieces as text; raises FactsError that names the first two pieces whose tokens merge."""
        listed = list(runs)
        tokens = self.tokens()
        for first in range(0, len(listed), _BATCH):
            some = listed[first : first + _BATCH]
            for run, (anchor, ids) in zip(some, self._encoded(some), strict=True):
                if ids != anchor + [token for number in run for token in tokens[number]]:
                    raise FactsError(self._blame(run))

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """All tokens, one piece after the other, and where each piece ends."""
        tokens = self.tokens()
        ends = np.cumsum([len(ids) for ids in tokens])
        return np.array([token for ids in tokens for token in ids], np.int64), ends

    def _anchor(self, number: int) -> str:
        # Some tokenizers mark the start of a text: a piece from its middle is encoded after an anchor.
        if self._at_start[number]:
            return ""
        return "(" if self.texts[number][:1].isalnum() else "a"

    def _encoded(self, runs: Sequence[Sequence[int]]) -> list[tuple[list[int], list[int]]]:
        """For each run the tokens of its anchor, and of the anchor followed by the run."""
        marks = [self._anchor(run[0]) for run in runs]
        texts = [mark + "".join([self.texts[one] for one in run]) for mark, run in zip(marks, runs, strict=True)]
        encoded = self._vocabulary.encode_pool(texts)
        return [(self._anchors[mark], ids) for mark, ids in zip(marks, encoded, strict=True)]

    def _blame(self, run: Sequence[int]) -> str:
        run = [one for one in run if self.texts[one]]
        for end in range(2, len(run) + 1):
            ((anchor, ids),) = self._encoded([run[:end]])
            if ids != anchor + [token for one in run[:end] for token in self.tokens()[one]]:
                return _merged(self.texts[run[end - 2]], self.texts[run[end - 1]])
        return _merged(self.texts[run[0]], "".join(self.texts[one] for one in run[1:]))


class Borders:
    """Pairs of pieces that can be neighbours, one for each sort of border: the last three characters of the first, and
    the second up to its first letter."""

    def __init__(self, pieces: Pieces) -> None:
        self._texts = pieces.texts
        self._pairs: dict[tuple[str, str], tuple[int, int]] = {}
        self._ends: dict[range, dict[str, int]] = {}
        self._starts: dict[range, dict[str, int]] = {}

    def ends(self, numbers: Sequence[int]) -> dict[str, int]:
        """One piece for each sort of ending."""
        return self._sorts(self._ends, numbers, lambda text: text[-_TAIL:])

    def starts(self, numbers: Sequence[int]) -> dict[str, int]:
        """One piece for each sort of beginning."""
        return self._sorts(self._starts, numbers, lambda text: text[: len(text) - len(text.lstrip()) + 1])

    def _sorts(
        self, known: dict[range, dict[str, int]], numbers: Sequence[int], part: Callable[[str], str]
    ) -> dict[str, int]:
        # A pool is a range of numbers, and stands in many templates.
        if not isinstance(numbers, range):
            return {part(text): one for one in numbers if (text := self._texts[one])}
        if numbers not in known:
            known[numbers] = self._sorts(known, list(numbers), part)
        return known[numbers]

    def add(self, ends: dict[str, int], starts: dict[str, int]) -> None:
        """Every one of `ends` may precede every one of `starts`."""
        for end, left in ends.items():
            for start, right in starts.items():
                self._pairs.setdefault((end, start), (left, right))

    def pairs(self) -> list[tuple[int, int]]:
        return list(self._pairs.values())


def _merged(left: str, right: str) -> str:
    return (
        f"the tokens of {left!r} and {right!r} merge: encoded together, they are not those of one and then the other; "
        "take a tokenizer that splits at spaces and marks (such as GPT-2's, or kind `bpe`), or put a space between "
        "them in the template"
    )
