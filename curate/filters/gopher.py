"""The quality and repetition rules of Gopher (Rae et al. 2021, arXiv:2112.11446, section A.1.1 and table A1).

Dialect `fineweb`: the decisions, reasons and order of datatrove 0.10.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from curate.document import Document
from curate.step import Check, Preview, Rule, over, param, under
from curate.text.languages import LANGUAGE, check_language, times, tongue_of, words_in

_A1_1 = "Gopher, section A.1.1"
_TABLE_A1 = "Gopher, table A1"
_BULLETS = ("•", "-")
_ELLIPSES = ("...", "…")
_HOPELESS = 0.88
"""A factor of the threshold: where the likely content has a smaller share of words with a letter, the full extraction
almost never had enough of them (`docs/results/extraction.md`)."""
_LETTERS_AND_SPACE = bytes(byte for byte in range(256) if byte >= 128 or chr(byte).isalpha() or chr(byte).isspace())
STOP_WORDS = ["the", "be", "to", "of", "and", "that", "have", "with"]


_GRAM_LIMITS = [(n, f"top_{n}_gram" if n < 5 else f"duplicated_{n}_grams") for n in range(2, 11)]


def gram_limits(rule: Rule) -> Iterator[tuple[int, str, float | None]]:
    """The limits of table A1 for n-grams of words, in order: n, the parameter's name and its value. Up to 4 words they
    limit the most frequent n-gram, beyond that all repeated ones."""
    return ((n, name, getattr(rule, name)) for n, name in _GRAM_LIMITS)


@dataclass(frozen=True)
class GopherQuality(Rule):
    """Is this prose? Length, word length, symbols, bullets, letters and stop words. A limit of 0 or None is off."""

    name: ClassVar[str] = "gopher_quality"
    shaping: ClassVar[tuple[str, ...]] = ("stop_words", "language")
    zero_is_off: ClassVar[bool] = True

    min_words: int | None = param(50, "fewest words, marks alone not counted", source=_A1_1, ge=0)
    max_words: int | None = param(100_000, "most words, marks alone not counted", source=_A1_1, ge=0)
    min_word_length: float | None = param(3, "shortest mean word, in characters", source=_A1_1, ge=0)
    max_word_length: float | None = param(10, "longest mean word, in characters", source=_A1_1, ge=0)
    max_symbol_ratio: float | None = param(
        0.1, "most `#` per word; and, separately, most ellipses per word", source=_A1_1, ge=0
    )
    max_bullet_lines: float | None = param(
        0.9, "largest share of lines that begin with a bullet", source=_A1_1, ge=0, le=1
    )
    max_ellipsis_lines: float | None = param(
        0.3, "largest share of lines that end with an ellipsis", source=_A1_1, ge=0, le=1
    )
    min_alphabetic_words: float | None = param(
        0.8, "smallest share of words (marks are words here) with a letter", source=_A1_1, ge=0, le=1
    )
    min_stop_words: int | None = param(2, "fewest distinct stop words, case-sensitive", source=_A1_1, ge=0)
    stop_words: list[str] = param(STOP_WORDS, "the stop words of English", source=_A1_1)
    language: str = param("en", LANGUAGE, source="ours: curate/text/languages.py")

    def __post_init__(self) -> None:
        check_language(self.name, self.language)

    def checks(self, document: Document) -> Iterator[Check]:
        text, signals = document.text, words_in(document, self.language)
        tongue = tongue_of(document, self.language)
        words, kinds = len(signals.word_ids), signals.word_kinds
        if limit := times(self.min_words, tongue.words):
            yield under("gopher_short_doc", kinds.worded, limit, "min_words", tongue.words)
        if limit := times(self.max_words, tongue.words):
            yield over("gopher_long_doc", kinds.worded, limit, "max_words", tongue.words)
        if kinds.worded:
            mean, factor = kinds.characters / kinds.worded, tongue.word_length
            if limit := times(self.min_word_length, factor):
                yield under("gopher_below_avg_threshold", mean, limit, "min_word_length", factor)
            if limit := times(self.max_word_length, factor):
                yield over("gopher_above_avg_threshold", mean, limit, "max_word_length", factor)
        ellipses = sum(map(text.count, _ELLIPSES))
        if self.max_symbol_ratio and words:
            yield over("gopher_too_many_hashes", text.count("#") / words, self.max_symbol_ratio, "max_symbol_ratio")
            yield over("gopher_too_many_ellipsis", ellipses / words, self.max_symbol_ratio, "max_symbol_ratio")
        if signals.lines:
            if self.max_bullet_lines:
                bullets = sum([line[0] in _BULLETS for line in signals.filled_stripped])
                yield over(
                    "gopher_too_many_bullets", bullets / len(signals.lines), self.max_bullet_lines, "max_bullet_lines"
                )
            if self.max_ellipsis_lines:
                ends = sum(line.endswith(_ELLIPSES) for line in signals.filled_stripped) if ellipses else 0
                yield over(
                    "gopher_too_many_end_ellipsis",
                    ends / len(signals.lines),
                    self.max_ellipsis_lines,
                    "max_ellipsis_lines",
                )
        if self.min_alphabetic_words:
            share = kinds.alphabetic / words if words else 0.0
            yield under("gopher_below_alpha_threshold", share, self.min_alphabetic_words, "min_alphabetic_words")
        if self.min_stop_words and (self.language == "en" or tongue.stop_words):
            english = self.language == "en"
            count = signals.holds(self.stop_words) if english else tongue.stop_words_in(text, signals)
            yield under("gopher_enough_stop_words", count, self.min_stop_words, "min_stop_words")

    def foretell(self, page: Preview) -> Check | None:
        """Too few words, stop words or letters in the likely content, and in the whole page."""
        content = page.content.text
        if self.language != "en" or not content:
            return None
        words = content.split()
        # A word without a letter has at least one of these.
        others = len(content.encode("utf-8", "replace").translate(None, _LETTERS_AND_SPACE))
        if (
            len(words) - others >= 2 * (self.min_words or 0)
            and len(set(self.stop_words).intersection(words)) >= (self.min_stop_words or 0)
            and others <= (1 - _HOPELESS * (self.min_alphabetic_words or 0)) * len(words)
        ):
            return None
        poor = {check.rule for check in self.checks(page.content) if check.failed and _is_hopeless(check)}
        if not poor:
            return None  # no need to look at the whole page
        return next((check for check in self.checks(page.whole) if check.failed and check.rule in poor), None)


def _is_hopeless(check: Check) -> bool:
    if check.rule == "gopher_below_alpha_threshold":
        return bool(check.value < _HOPELESS * check.threshold)
    return check.rule in ("gopher_short_doc", "gopher_enough_stop_words")


@dataclass(frozen=True)
class GopherRepetition(Rule):
    """Does the text repeat itself? Lines, paragraphs and n-grams of words. A limit of 0 or None is off.

    Limits of n-grams are shares of the text's characters; the number in a limit's name is the n-gram's length. A line
    of white space is blank: no line that repeats another, and the end of a paragraph. datatrove, and so FineWeb, counts
    it as a line (`dialect: datatrove`).
    """

    name: ClassVar[str] = "gopher_repetition"
    version: ClassVar[int] = 2
    shaping: ClassVar[tuple[str, ...]] = ("language", "dialect")
    zero_is_off: ClassVar[bool] = True

    dup_para_frac: float | None = param(0.3, "largest share of repeated paragraphs", source=_TABLE_A1, ge=0, le=1)
    dup_para_char_frac: float | None = param(
        0.2, "largest share of characters in repeated paragraphs", source=_TABLE_A1, ge=0, le=1
    )
    dup_line_frac: float | None = param(0.3, "largest share of repeated lines", source=_TABLE_A1, ge=0, le=1)
    dup_line_char_frac: float | None = param(
        0.2, "largest share of characters in repeated lines", source=_TABLE_A1, ge=0, le=1
    )
    top_2_gram: float | None = param(0.20, "largest share of the most frequent 2-gram", source=_TABLE_A1, ge=0)
    top_3_gram: float | None = param(0.18, "largest share of the most frequent 3-gram", source=_TABLE_A1, ge=0)
    top_4_gram: float | None = param(0.16, "largest share of the most frequent 4-gram", source=_TABLE_A1, ge=0)
    duplicated_5_grams: float | None = param(0.15, "largest share in repeated 5-grams", source=_TABLE_A1, ge=0, le=1)
    duplicated_6_grams: float | None = param(0.14, "largest share in repeated 6-grams", source=_TABLE_A1, ge=0, le=1)
    duplicated_7_grams: float | None = param(0.13, "largest share in repeated 7-grams", source=_TABLE_A1, ge=0, le=1)
    duplicated_8_grams: float | None = param(0.12, "largest share in repeated 8-grams", source=_TABLE_A1, ge=0, le=1)
    duplicated_9_grams: float | None = param(0.11, "largest share in repeated 9-grams", source=_TABLE_A1, ge=0, le=1)
    duplicated_10_grams: float | None = param(0.10, "largest share in repeated 10-grams", source=_TABLE_A1, ge=0, le=1)

    language: str = param("en", LANGUAGE, source="ours: curate/text/languages.py")
    dialect: str = param(
        "goldsand",
        "datatrove: lines of white space are lines, which repeat each other",
        source="datatrove gopher_repetition_filter.py",
        choices=("goldsand", "datatrove"),
    )

    def __post_init__(self) -> None:
        check_language(self.name, self.language)

    def checks(self, document: Document) -> Iterator[Check]:
        signals, characters = words_in(document, self.language), len(document.text)
        if not characters:
            yield Check("empty", 0, 1, True)
            return
        theirs = self.dialect == "datatrove"
        lines = signals.line_copies if theirs else signals.filled_line_copies
        paragraphs = signals.paragraph_copies if theirs else signals.filled_paragraph_copies
        if self.dup_para_frac:
            yield over("dup_para_frac", paragraphs.share, self.dup_para_frac, "dup_para_frac")
        if self.dup_para_char_frac:
            share = paragraphs.characters / characters
            yield over("dup_para_char_frac", share, self.dup_para_char_frac, "dup_para_char_frac")
        if self.dup_line_frac:
            yield over("dup_line_frac", lines.share, self.dup_line_frac, "dup_line_frac")
        if self.dup_line_char_frac:
            share = lines.characters / characters
            yield over("dup_line_char_frac", share, self.dup_line_char_frac, "dup_line_char_frac")
        for n, name, limit in gram_limits(self):
            if limit and n < 5:
                yield over(name, signals.top_gram_characters(n) / characters, limit, name)
            elif limit:
                share = signals.repeated_gram_characters(n) / characters
                yield over(f"duplicated_{n}_n_grams", share, limit, name)
