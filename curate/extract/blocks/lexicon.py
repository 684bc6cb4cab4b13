"""Words that say something of a block: those of its elements' classes, and those of short blocks and headings.

Each has a score, about thirty times the log-odds that text under such a class, or in such a block, is content; a word
that was not seen in training says nothing. Only the letters a to z are looked at: nothing depends on a table of case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMED = re.compile(r' (?:class|id|role|itemprop)="([^"]*)"')
_CLASS = re.compile(r' class="([^"]*)"')
_HIDDEN = re.compile(r' hidden(?:="| |$)|display:\s?none|aria-hidden="true"|visibility:\s?hidden', re.ASCII)
_PIECES = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_WORD = re.compile("[a-z]{2,}")
_SMALL = bytes(one + 32 if one in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" else one for one in range(256))
_REMEMBERED = 50_000
_LONGEST = 25
SHORT = 200
"""Characters of a block whose words are looked at."""


def _small(text: str) -> str:
    """A text in small letters; what is not ASCII is a question mark."""
    return text.encode("ascii", "replace").translate(_SMALL).decode("ascii")


def class_words(attributes: str) -> list[str]:
    """The words of an element's class, id, role and itemprop, in small letters: `postBody-text` is three."""
    return [word for word in _class_words(attributes) if 1 < len(word) < _LONGEST]


def _class_words(attributes: str) -> list[str]:
    return _small(" ".join(_PIECES.findall(" ".join(_NAMED.findall(attributes))))).split()


def text_words(text: str) -> list[str]:
    """The words of a short text, in small letters."""
    return [word for word in _WORD.findall(_small(text)) if len(word) < _LONGEST]


class Lexicon:
    """Scores of words; those of whole attributes are remembered."""

    def __init__(self, classes: dict[str, int], texts: dict[str, int]) -> None:
        self.classes = classes
        self.texts = texts
        self._of_element: dict[str, tuple[str, bool, int, int]] = {}

    def of_element(self, attributes: str) -> tuple[str, bool, int, int]:
        """Of an element's attributes: its class, whether they hide it, and of its words the score farthest from 0, of
        two the lower, and the sum, bounded."""
        known = self._of_element.get(attributes)
        if known is None:
            scored = self.classes
            values = [scored[word] for word in _class_words(attributes) if word in scored]
            low, high = (min(values), max(values)) if values else (0, 0)
            named = _CLASS.search(attributes)
            known = (
                named.group(1) if named else "",
                ("hidden" in attributes or "display:" in attributes) and _HIDDEN.search(attributes) is not None,
                low if -low >= high else high,
                max(-300, min(300, sum(values))) if values else 0,
            )
            if len(self._of_element) > _REMEMBERED:
                self._of_element.clear()
            self._of_element[attributes] = known
        return known

    def of_texts(self, texts: Sequence[str]) -> tuple[list[int], list[int]]:
        """Of each text, which has no line end: the lowest score of its words, and the mean; 0 for a long one."""
        scored = self.texts  # holds no word too long for `text_words`
        lows: list[int] = []
        means: list[int] = []
        if not texts:
            return lows, means
        for text in _small("\n".join([text if len(text) < SHORT else "" for text in texts])).split("\n"):
            values = [scored[word] for word in _WORD.findall(text) if word in scored]
            lows.append(min(values) if values else 0)
            means.append(sum(values) // len(values) if values else 0)
        return lows, means
