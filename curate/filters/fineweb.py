"""The rules FineWeb added after C4's (Penedo et al. 2024, arXiv:2406.17557, section 3.6), as in datatrove 0.10.1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from curate.document import Document
from curate.step import Check, Rule, over, param, under
from curate.text.languages import LANGUAGE, check_language, times, tongue_of, words_in
from curate.text.punctuation import TERMINAL_PUNCTUATION

_SECTION = "FineWeb, section 3.6; datatrove fineweb_quality_filter.py"


@dataclass(frozen=True)
class FineWeb(Rule):
    """Are these lines of prose, or a menu? Use it after C4 has rewritten the text. A limit of None is off."""

    name: ClassVar[str] = "fineweb"
    shaping: ClassVar[tuple[str, ...]] = ("short_line", "language")

    min_line_punctuation: float | None = param(
        0.12, "smallest share of lines that end in terminal punctuation", source=_SECTION, ge=0, le=1
    )
    max_short_lines: float | None = param(0.67, "largest share of short lines", source=_SECTION, ge=0, le=1)
    short_line: int = param(30, "most characters of a short line", source=_SECTION, ge=0)
    max_char_duplicates: float | None = param(
        0.01, "largest share of characters in repeated lines, newlines not counted", source=_SECTION, ge=0, le=1
    )
    max_newlines: float | None = param(0.3, "most newlines for each word", source=_SECTION, ge=0)

    language: str = param("en", LANGUAGE, source="ours: curate/text/languages.py")

    def __post_init__(self) -> None:
        check_language(self.name, self.language)

    def checks(self, document: Document) -> Iterator[Check]:
        text, signals = document.text, words_in(document, self.language)
        tongue = tongue_of(document, self.language)
        lines = signals.filled_lines
        if not lines:
            yield Check("empty", 0, 1, True)
            return
        if self.min_line_punctuation is not None and tongue.end_marks:
            share = sum(line[-1] in TERMINAL_PUNCTUATION for line in lines) / len(lines)
            yield under("line_punct_ratio", share, self.min_line_punctuation, "min_line_punctuation")
        if self.max_short_lines is not None:
            short = times(self.short_line, tongue.characters) or 0
            share = sum(len(line) <= short for line in lines) / len(lines)
            yield over("short_line_ratio", share, self.max_short_lines, "max_short_lines")
        newlines = text.count("\n")
        if self.max_char_duplicates is not None:
            share = signals.filled_line_copies.characters / (len(text) - newlines)
            yield over("char_dup_ratio", share, self.max_char_duplicates, "max_char_duplicates")
        if self.max_newlines is not None:
            ratio, factor = newlines / len(signals.word_ids), 1 / tongue.words
            yield over("list_ratio", ratio, times(self.max_newlines, factor) or 0, "max_newlines", factor)
