"""Safety: pages made of listed words. Thresholds and the built-in list are ours.

The density of a list is a coarse reading: it ends pages that consist of such words, and lets a page that speaks about
them pass. Nothing here was published; compare C4's rule (one listed word is enough), which `c4: bad_words` follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.filters.stamp import Stamp, stamp
from curate.step import Check, Rule, param
from curate.words import split_words

_BUILT_IN = Path(__file__).with_name("safety_words.txt")

Phrases = dict[str, list[tuple[str, ...]]]
"""First word -> the listed phrases that begin with it."""


@dataclass(frozen=True)
class Safety(Rule):
    """Too many listed words end a page as `unsafe_words`. Listed hosts: step `url`; learnt scores: `classifier`."""

    name: ClassVar[str] = "safety"
    version: ClassVar[int] = 2
    shaping: ClassVar[tuple[str, ...]] = ("min_distinct", "words")
    zero_is_off: ClassVar[bool] = True

    max_density: float | None = param(
        0.02, "largest share of words that are listed; 0 or None is off", source="ours, not published", ge=0, le=1
    )
    min_distinct: int = param(
        3, "a page is dropped only if this many different listed words stand in it", source="ours, not published", ge=1
    )
    words: str | None = param(
        None,
        "file of words or phrases, one a line, `#` begins a comment; a short English list when not given",
        path=True,
    )

    def __post_init__(self) -> None:
        if self.words is not None and not Path(self.words).is_file():
            raise ValueError(f"safety: words: there is no file {self.words}; give a text file with one entry a line")
        self._phrases()

    def open(self) -> None:
        self._phrases()

    def _phrases(self) -> Phrases:
        return _read_phrases(stamp(self.words or _BUILT_IN))

    def checks(self, document: Document) -> Iterator[Check]:
        if self.max_density:
            hits, distinct = self._count(document)
            density = hits / len(document.signals.word_ids) if hits else 0.0
            counted = density if distinct >= self.min_distinct else 0.0
            failed = counted > self.max_density
            yield Check("unsafe_words", density, self.max_density, failed, "max_density", "over", counted)

    def _count(self, document: Document) -> tuple[int, int]:
        """Listed words and phrases in the text, and how many different ones."""
        phrases = self._phrases()
        if not any(word.lower() in phrases for word in document.signals.vocabulary):
            return 0, 0
        words = [word.lower() for word in document.signals.words]
        hits = 0
        distinct = set()
        for place, word in enumerate(words):
            for phrase in phrases.get(word, ()):
                if len(phrase) == 1 or tuple(words[place : place + len(phrase)]) == phrase:
                    hits += len(phrase)
                    distinct.add(phrase)
        return hits, len(distinct)


@lru_cache(maxsize=4)
def _read_phrases(file: Stamp) -> Phrases:
    """Raises ValueError when the file holds no word."""
    phrases: Phrases = {}
    for line in Path(file.path).read_text(encoding="utf-8").splitlines():
        entry = tuple(split_words(line.partition("#")[0].lower()))
        if entry and entry not in phrases.setdefault(entry[0], []):
            phrases[entry[0]].append(entry)
    if not phrases:
        raise ValueError(f"safety: words: {file.path} holds no word; give a text file with one word or phrase a line")
    return phrases
