"""Words that say something of a block: those of its elements' classes, and those of short blocks and headings.

Each has a score, about thirty times the log-odds that text under such a class, or in such a block, is content; a word
that was not seen in training says nothing. Only the letters a to z are looked at: nothing depends on a table of case.
"""

from __future__ import annotations

import re

_NAMED = re.compile(r' (?:class|id|role|itemprop)="([^"]*)"')
_CLASS = re.compile(r' class="([^"]*)"')
_HIDDEN = re.compile(r' hidden(?:="| |$)|display:\s?none|aria-hidden="true"|visibility:\s?hidden', re.ASCII)
_PIECES = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_WORD = re.compile("[a-z]{2,}")
_SMALL = {ord(a): ord(a) + 32 for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_REMEMBERED = 50_000
_LONGEST = 25
SHORT = 200
"""Characters of a block whose words are looked at."""


def class_words(attributes: str) -> list[str]:
    """The words of an element's class, id, role and itemprop, in small letters: `postBody-text` is three."""
    if '="' not in attributes:
        return []
    words = _PIECES.findall(" ".join(_NAMED.findall(attributes)))
    return [word.translate(_SMALL) for word in words if 1 < len(word) < _LONGEST]


def text_words(text: str) -> list[str]:
    """The words of a short text, in small letters."""
    return [word for word in _WORD.findall(text.translate(_SMALL)) if len(word) < _LONGEST]


class Lexicon:
    """Scores of words, remembered for whole attributes and texts."""

    def __init__(self, classes: dict[str, int], texts: dict[str, int]) -> None:
        self.classes = classes
        self.texts = texts
        self._of_element: dict[str, tuple[str, bool, int, int]] = {}
        self._of_text: dict[str, tuple[int, int]] = {}

    def of_element(self, attributes: str) -> tuple[str, bool, int, int]:
        """Of an element's attributes: its class, whether they hide it, and of its words the score farthest from 0, of
        two the lower, and the sum, bounded."""
        known = self._of_element.get(attributes)
        if known is None:
            values = [self.classes[word] for word in class_words(attributes) if word in self.classes]
            low, high = min(values, default=0), max(values, default=0)
            named = _CLASS.search(attributes)
            known = (
                named.group(1) if named else "",
                _HIDDEN.search(attributes) is not None,
                low if -low >= high else high,
                max(-300, min(300, sum(values))),
            )
            if len(self._of_element) > _REMEMBERED:
                self._of_element.clear()
            self._of_element[attributes] = known
        return known

    def of_text(self, text: str) -> tuple[int, int]:
        """Of a short text: the lowest score, and the mean."""
        known = self._of_text.get(text)
        if known is None:
            values = [self.texts[word] for word in text_words(text) if word in self.texts]
            known = (0, 0)
            if values:
                known = min(values), sum(values) // len(values)
            if len(self._of_text) > _REMEMBERED:
                self._of_text.clear()
            self._of_text[text] = known
        return known
