"""The rules of Gopher and C4 in the dialect of dolma 1.2.1: taggers `gopher_v1` and `c4_v1`, its v1.6 thresholds.

dolma's taggers only measure; the thresholds are those of configs/dolma-v1_6/mixing/cc-head.yaml, compared as there.
Words are what `str.split` gives, shares of characters are of the characters that are not white space, and the first
copy of a repeated line or n-gram counts too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from curate.document import Document
from curate.filters.bad_words import read_bad_words, require_bad_words
from curate.filters.gopher import STOP_WORDS, gram_limits
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Edit, Rule, over, param, under

_TAGGER = "dolma taggers/gopher.py; threshold: configs/dolma-v1_6/mixing/cc-head.yaml"
_C4 = "dolma taggers/c4.py"
_END_MARKS = (".", "?", "!", '"')


def _lines(text: str, skip_empty: bool) -> list[str]:
    lines = text.split("\n")
    if not skip_empty or len(lines) == 1:
        return lines
    return [line for place, line in enumerate(lines) if line or place in (0, len(lines) - 1)]


@dataclass(frozen=True)
class DolmaQuality(Rule):
    """Gopher's quality rules as dolma reads them. A limit of 0 or None is off."""

    name: ClassVar[str] = "gopher_quality_dolma"
    shaping: ClassVar[tuple[str, ...]] = ("stop_words", "skip_empty_lines")
    zero_is_off: ClassVar[bool] = True

    min_words: int | None = param(50, "fewest white-space words", source=_TAGGER, ge=0)
    max_words: int | None = param(100_000, "most white-space words", source=_TAGGER, ge=0)
    min_word_length: float | None = param(3, "shortest median word, in characters", source=_TAGGER, ge=0)
    max_word_length: float | None = param(10, "longest median word, in characters", source=_TAGGER, ge=0)
    max_symbol_words: float | None = param(
        0.1, "largest share of words that hold `#` or `…`", source=_TAGGER, ge=0, le=1
    )
    min_alphabetic_words: float | None = param(0.8, "smallest share of words with a letter", source=_TAGGER, ge=0, le=1)
    min_stop_words: int | None = param(2, "fewest stop words, repeats counted, case-sensitive", source=_TAGGER, ge=0)
    max_bullet_lines: float | None = param(
        0.9, "largest share of lines that begin with `*` or `-`", source=_TAGGER, ge=0, le=1
    )
    max_ellipsis_lines: float | None = param(
        0.3, "largest share of lines that end with `…`", source=_TAGGER, ge=0, le=1
    )
    stop_words: list[str] = param(STOP_WORDS, "the stop words", source=_TAGGER)
    skip_empty_lines: bool = param(False, "split lines at runs of newlines", source="dolma gopher_v2")

    def checks(self, document: Document) -> Iterator[Check]:
        signals = document.signals.spaced
        words = len(signals.word_ids)
        if self.min_words:
            yield under("word_count", words, self.min_words, "min_words")
        if self.max_words:
            yield over("word_count", words, self.max_words, "max_words")
        median = signals.median_word_length
        if self.min_word_length:
            yield under("median_word_length", median, self.min_word_length, "min_word_length")
        if self.max_word_length:
            yield over("median_word_length", median, self.max_word_length, "max_word_length")
        if self.max_symbol_words:
            yield over(
                "symbol_to_word_ratio", signals.symbol_words / max(words, 1), self.max_symbol_words, "max_symbol_words"
            )
        if self.min_alphabetic_words:
            share = signals.word_kinds.alphabetic / max(words, 1)
            yield under(
                "fraction_of_words_with_alpha_character", share, self.min_alphabetic_words, "min_alphabetic_words"
            )
        if self.min_stop_words:
            yield under(
                "required_word_count", signals.count_words(self.stop_words), self.min_stop_words, "min_stop_words"
            )
        lines = _lines(document.text, self.skip_empty_lines)
        if self.max_bullet_lines:
            share = sum(line.startswith(("*", "-")) for line in lines) / len(lines)
            yield over("fraction_of_lines_starting_with_bullet_point", share, self.max_bullet_lines, "max_bullet_lines")
        if self.max_ellipsis_lines:
            share = sum(line.endswith("…") for line in lines) / len(lines)
            yield over("fraction_of_lines_ending_with_ellipsis", share, self.max_ellipsis_lines, "max_ellipsis_lines")


@dataclass(frozen=True)
class DolmaRepetition(Rule):
    """Gopher's repetition rules as dolma reads them: lines and n-grams, no paragraphs. A limit of 0 or None is off."""

    name: ClassVar[str] = "gopher_repetition_dolma"
    shaping: ClassVar[tuple[str, ...]] = ("skip_empty_lines",)
    zero_is_off: ClassVar[bool] = True

    dup_line_frac: float | None = param(0.3, "largest share of lines that occur twice", source=_TAGGER, ge=0, le=1)
    dup_line_char_frac: float | None = param(
        0.3, "most characters in lines that occur twice, for each that is not white space", source=_TAGGER, ge=0
    )
    top_2_gram: float | None = param(0.20, "largest share of the most frequent 2-gram", source=_TAGGER, ge=0)
    top_3_gram: float | None = param(0.18, "largest share of the most frequent 3-gram", source=_TAGGER, ge=0)
    top_4_gram: float | None = param(0.16, "largest share of the most frequent 4-gram", source=_TAGGER, ge=0)
    duplicated_5_grams: float | None = param(0.15, "largest share of repeated 5-grams", source=_TAGGER, ge=0, le=1)
    duplicated_6_grams: float | None = param(0.14, "largest share of repeated 6-grams", source=_TAGGER, ge=0, le=1)
    duplicated_7_grams: float | None = param(0.13, "largest share of repeated 7-grams", source=_TAGGER, ge=0, le=1)
    duplicated_8_grams: float | None = param(0.12, "largest share of repeated 8-grams", source=_TAGGER, ge=0, le=1)
    duplicated_9_grams: float | None = param(0.11, "largest share of repeated 9-grams", source=_TAGGER, ge=0, le=1)
    duplicated_10_grams: float | None = param(0.10, "largest share of repeated 10-grams", source=_TAGGER, ge=0, le=1)
    skip_empty_lines: bool = param(False, "split lines at runs of newlines", source="dolma gopher_v2")

    def checks(self, document: Document) -> Iterator[Check]:
        if not document.text:
            return
        signals = document.signals.spaced
        characters = max(signals.word_characters, 1)
        lines = _lines(document.text, self.skip_empty_lines)
        repeated = [(line, count) for line, count in Counter(lines).items() if count > 1]
        if self.dup_line_frac:
            share = sum(count for _, count in repeated) / len(lines)
            yield over("fraction_of_duplicate_lines", share, self.dup_line_frac, "dup_line_frac")
        if self.dup_line_char_frac:
            share = sum(len(line) * count for line, count in repeated) / characters
            rule = "fraction_of_characters_in_duplicate_lines"
            yield over(rule, share, self.dup_line_char_frac, "dup_line_char_frac")
        for n, parameter, limit in gram_limits(self):
            if not limit or len(signals.word_ids) < n:
                continue
            if n < 5:
                share = signals.top_gram_characters(n, spaces=False) / characters
                yield over(f"fraction_of_characters_in_most_common_{n}grams", share, limit, parameter)
            else:
                share = signals.share_of_repeated_grams(n)
                yield over(f"fraction_of_characters_in_duplicate_{n}grams", share, limit, parameter)


@dataclass(frozen=True)
class DolmaC4(Edit):
    """C4's rules as dolma reads them: drop pages with its phrases, and lines that are short or lack an end mark."""

    name: ClassVar[str] = "c4_dolma"
    shaping: ClassVar[tuple[str, ...]] = (
        "require_end_mark",
        "min_words_per_line",
        "javascript_inside_words",
        "bad_words",
    )

    require_end_mark: bool = param(True, 'delete lines that do not end in . ? ! or "', source=_C4)
    min_words_per_line: int | None = param(3, "delete lines of fewer white-space words; 0 is off", source=_C4, ge=0)
    drop_javascript: bool = param(True, "drop pages with the word `javascript`", source=_C4)
    drop_lorem_ipsum: bool = param(True, "drop pages with `lorem ipsum`", source=_C4)
    drop_curly_bracket: bool = param(True, "drop pages with `{`", source=_C4)
    javascript_inside_words: bool = param(False, "`javascript` inside a word counts too", source="dolma c4_v2")
    bad_words: str | None = param(
        None, "file of words (compared whole) and phrases (found anywhere), one a line", source=_C4, path=True
    )

    def __post_init__(self) -> None:
        require_bad_words(self.name, self.bad_words)

    def edit(self, document: Document) -> str | Check:
        failed = next((check for check in self._marks(document) if check.failed), None)
        return failed or self._left(document.text)

    def examine(self, document: Document) -> tuple[list[Check], str]:
        return list(self._marks(document)), self._left(document.text)

    def _marks(self, document: Document) -> Iterator[Check]:
        lowered = document.text.lower()
        words = lowered.split()
        if self.bad_words is not None:
            listed, phrases = _bad_words(stamp(self.bad_words))
            found = next((word for word in words if word in listed), None)
            found = found or next((phrase for phrase in phrases if phrase in lowered), None)
            if found:
                yield Check("has_naughty_word", found, None, True)
        if "javascript" in (lowered if self.javascript_inside_words else words):
            yield Check("has_javascript", "javascript", None, self.drop_javascript, "drop_javascript", "on")
        if "lorem ipsum" in lowered:
            yield Check("has_lorem_ipsum", "lorem ipsum", None, self.drop_lorem_ipsum, "drop_lorem_ipsum", "on")
        if "{" in lowered:
            yield Check("has_curly_brace", "{", None, self.drop_curly_bracket, "drop_curly_bracket", "on")

    def _left(self, text: str) -> str:
        return "".join(filter(self._keeps, _with_ends(text)))

    def _keeps(self, line: str) -> bool:
        if self.require_end_mark and not line.lower().strip().endswith(_END_MARKS):
            return False
        return not self.min_words_per_line or len(line.split()) >= self.min_words_per_line


def _with_ends(text: str) -> list[str]:
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + lines[-1:]


@lru_cache(maxsize=4)
def _bad_words(file: Stamp) -> tuple[frozenset[str], tuple[str, ...]]:
    """The file's words, and its phrases: the entries with a space in them."""
    entries = read_bad_words(DolmaC4.name, file.path)
    return frozenset(entry for entry in entries if " " not in entry), tuple(e for e in entries if " " in e)
