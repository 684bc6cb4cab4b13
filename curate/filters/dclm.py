"""The rules of Gopher, RefinedWeb and C4 as DCLM reads them (Li et al. 2024, arXiv:2406.11794; its baselines/mappers).

Steps and thresholds are those of baselines_configs/dclm_baseline_refinedweb.yaml; a reason is the name of the function
there that drops the page. Repetition counts the first copy of a line or n-gram too. The rules of C4 are those of
baselines_configs/c4.yaml, with the reasons of step `c4`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from curate.document import Document
from curate.errors import Refused
from curate.filters.bad_words import read_bad_words, require_bad_words
from curate.filters.c4 import CITATION, POLICIES
from curate.filters.gopher import STOP_WORDS, gram_limits
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Edit, Rule, over, param, under
from curate.text.punkt import GET_NLTK, GET_PUNKT, count_sentences, read_punkt

_YAML = "DCLM dclm_baseline_refinedweb.yaml"
_REPETITION = "DCLM content_filters.py, massive_web_repetition_filters"
_C4_YAML = "DCLM baselines_configs/c4.yaml"
_SYMBOLS = ("#", "...", ". . .", "…")
_ELLIPSES = ("...", ". . .", "…")
_BULLETS = ("●", "•", "*", "-")
_FASTTEXT_WHITE = re.compile("[ \n\r\t\v\f\0]+")
_COUNTED = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
_COUNTER = re.compile(rf"^\W*\d[,.\d]*[kmb]?\s+(?:{_COUNTED})\W*$")
_CUTS = (
    re.compile(r"\s?items in cart", re.IGNORECASE),
    re.compile(r"\s?read more...$", re.IGNORECASE),
    re.compile(r"^sign-in\s?", re.IGNORECASE),
)
"""In this order. The full stops of the second match any character, as in DCLM."""
_JAVASCRIPT = re.compile("javascript", re.IGNORECASE)
_END_MARKS = (".", "?", "!", '"', "…")
_POLICIES = re.compile("|".join(POLICIES), re.IGNORECASE)


def count_words(text: str) -> int:
    """fastText's tokens that begin with a letter or digit."""
    return sum(word[:1].isalnum() for word in _FASTTEXT_WHITE.split(text))


def _segments(text: str, border: str) -> list[str]:
    return [piece for segment in text.split(border) if (piece := segment.strip())]


@dataclass(frozen=True)
class DclmQuality(Rule):
    """Gopher's quality rules as DCLM reads them. A limit of None is off."""

    name: ClassVar[str] = "gopher_quality_dclm"
    shaping: ClassVar[tuple[str, ...]] = ("stop_words",)

    min_words: int | None = param(50, "fewest words that begin with a letter or digit", source=_YAML, ge=0)
    max_words: int | None = param(100_000, "most words that begin with a letter or digit", source=_YAML, ge=0)
    min_word_length: float | None = param(3, "shortest mean white-space word, in characters", source=_YAML, ge=0)
    max_word_length: float | None = param(10, "longest mean white-space word, in characters", source=_YAML, ge=0)
    max_symbol_ratio: float | None = param(0.1, "most `#` and ellipses, together, for each word", source=_YAML, ge=0)
    max_bullet_lines: float | None = param(
        0.9, "largest share of lines that begin with a bullet", source=_YAML, ge=0, le=1
    )
    max_ellipsis_lines: float | None = param(
        0.3, "largest share of lines that end with an ellipsis", source=_YAML, ge=0, le=1
    )
    max_words_without_letter: float | None = param(
        0.2, "largest share of words without a letter", source=_YAML, ge=0, le=1
    )
    min_stop_words: int | None = param(2, "fewest stop words, repeats counted, in any case", source=_YAML, ge=0)
    stop_words: list[str] = param(STOP_WORDS, "the stop words", source="DCLM content_filters.py, stop_word_filter")

    def checks(self, document: Document) -> Iterator[Check]:
        text, signals = document.text, document.signals.spaced
        words = len(signals.word_ids)
        counted = count_words(text)
        if self.min_words is not None:
            yield under("page_length_filter", counted, self.min_words, "min_words")
        if self.max_words is not None:
            yield over("page_length_filter", counted, self.max_words, "max_words")
        mean = signals.word_characters / words if words else 0.0
        if self.min_word_length is not None:
            yield _unless_empty(words, under("word_length_filter", mean, self.min_word_length, "min_word_length"))
        if self.max_word_length is not None:
            yield _unless_empty(words, over("word_length_filter", mean, self.max_word_length, "max_word_length"))
        if self.max_symbol_ratio is not None:
            ratio = sum(map(text.count, _SYMBOLS)) / max(words, 1)
            yield _unless_empty(words, over("symbol_ratio_filter", ratio, self.max_symbol_ratio, "max_symbol_ratio"))
        lines = _segments(text, "\n")
        for rule, marked, parameter in (
            ("bullet_count_filter", sum(line.startswith(_BULLETS) for line in lines), "max_bullet_lines"),
            ("ellipsis_count_filter", sum(line.endswith(_ELLIPSES) for line in lines), "max_ellipsis_lines"),
        ):
            limit = getattr(self, parameter)
            if limit is not None:
                share, failed = marked / max(len(lines), 1), marked > limit * len(lines)
                yield Check(rule, share, limit, failed, parameter, "over share", (marked, len(lines)))
        if self.max_words_without_letter is not None:
            limit = self.max_words_without_letter
            share = (words - signals.word_kinds.alphabetic) / max(words, 1)
            check = over("alphabetic_word_ratio_filter", share, limit, "max_words_without_letter")
            yield _unless_empty(words, check)
        if self.min_stop_words is not None:
            count = signals.count_words(self.stop_words, lowered=True)
            # At least one, even if the limit is 0.
            yield _unless_empty(count, under("stop_word_filter", count, max(self.min_stop_words, 1), "min_stop_words"))


def _unless_empty(count: int, check: Check) -> Check:
    """The check; a text without words (or stop words) fails it, whatever the limit."""
    return check if count else check._replace(failed=True, side="always")


@dataclass(frozen=True)
class DclmRepetition(Rule):
    """Gopher's repetition rules as DCLM reads them. A limit of None is off.

    Words are those of Unicode's word boundaries that begin with a letter or digit. DCLM has one name for all of these
    rules; here a reason says what was repeated.
    """

    name: ClassVar[str] = "gopher_repetition_dclm"
    shaping: ClassVar[tuple[str, ...]] = ()
    libraries: ClassVar[tuple[str, ...]] = ("regex",)

    dup_line_frac: float | None = param(0.3, "largest share of lines that occur twice", source=_REPETITION, ge=0, le=1)
    dup_para_frac: float | None = param(
        0.3, "largest share of paragraphs that occur twice", source=_REPETITION, ge=0, le=1
    )
    dup_line_char_frac: float | None = param(
        0.2, "largest share of characters in such lines", source=_REPETITION, ge=0, le=1
    )
    dup_para_char_frac: float | None = param(
        0.2, "largest share of characters in such paragraphs", source=_REPETITION, ge=0, le=1
    )
    top_2_gram: float | None = param(0.20, "largest share of the most frequent 2-gram", source=_REPETITION, ge=0)
    top_3_gram: float | None = param(0.18, "largest share of the most frequent 3-gram", source=_REPETITION, ge=0)
    top_4_gram: float | None = param(0.16, "largest share of the most frequent 4-gram", source=_REPETITION, ge=0)
    duplicated_5_grams: float | None = param(0.15, "largest share in repeated 5-grams", source=_REPETITION, ge=0, le=1)
    duplicated_6_grams: float | None = param(0.14, "largest share in repeated 6-grams", source=_REPETITION, ge=0, le=1)
    duplicated_7_grams: float | None = param(0.13, "largest share in repeated 7-grams", source=_REPETITION, ge=0, le=1)
    duplicated_8_grams: float | None = param(0.12, "largest share in repeated 8-grams", source=_REPETITION, ge=0, le=1)
    duplicated_9_grams: float | None = param(0.11, "largest share in repeated 9-grams", source=_REPETITION, ge=0, le=1)
    duplicated_10_grams: float | None = param(
        0.10, "largest share in repeated 10-grams", source=_REPETITION, ge=0, le=1
    )

    def checks(self, document: Document) -> Iterator[Check]:
        lines, paragraphs = _segments(document.text, "\n"), _segments(document.text, "\n\n")
        if not lines:
            yield Check("empty", 0, 1, True)
            return
        for rule, pieces in (
            ("dup_line_frac", lines),
            ("dup_para_frac", paragraphs),
            ("dup_line_char_frac", lines),
            ("dup_para_char_frac", paragraphs),
        ):
            limit = getattr(self, rule)
            if limit is not None and len(pieces) > 1:
                size = len if rule.endswith("char_frac") else lambda piece: 1
                repeated = sum(size(piece) * count for piece, count in Counter(pieces).items() if count > 1)
                yield over(rule, repeated / sum(map(size, pieces)), limit, rule)
        signals = document.signals.unicode
        for n, name, limit in gram_limits(self):
            if limit is None or len(signals.word_ids) < n:
                continue
            characters = signals.longest_top_gram_characters(n) if n < 5 else signals.characters_in_repeated_grams(n)
            yield over(name, characters / signals.word_characters, limit, name)


@dataclass(frozen=True)
class RefinedWebLines(Edit):
    """RefinedWeb's line rules as DCLM reads them: drop capitals, numbers, counters and short lines; cut phrases.

    A page that is then empty, or that has lost too many words, is dropped.
    """

    name: ClassVar[str] = "refinedweb_lines"
    shaping: ClassVar[tuple[str, ...]] = (
        "max_uppercase",
        "max_digits",
        "drop_counters",
        "min_words_per_line",
        "cut_phrases",
        "cut_up_to",
    )

    max_uppercase: float = param(0.5, "largest share of capitals in a line", source=_YAML, ge=0, le=1)
    max_digits: float = param(0.999999, "largest share of digits in a line", source=_YAML, ge=0, le=1)
    drop_counters: bool = param(True, "drop lines such as `3 likes`", source=_YAML)
    min_words_per_line: int = param(2, "fewest white-space words of a line", source=_YAML, ge=0)
    cut_phrases: bool = param(
        True, "in short lines cut `items in cart`, `Read more...` at the end, `Sign-in` in front", source=_YAML
    )
    cut_up_to: int = param(10, "most white-space words of a line in which phrases are cut", source=_YAML, ge=0)
    max_removed_words: float | None = param(0.05, "largest share of words that may go", source=_YAML, ge=0, le=1)

    def edit(self, document: Document) -> str | Check:
        checks, left = self.examine(document)
        return next((check for check in checks if check.failed), left)

    def examine(self, document: Document) -> tuple[list[Check], str]:
        text = document.text
        for keeps in (self._is_not_uppercase, self._is_not_numeric, self._is_not_counter):
            text = "\n".join(filter(keeps, text.split("\n"))).strip()
        text = "\n".join(filter(self._is_long, text.split("\n")))
        if self.cut_phrases:
            for phrase in _CUTS:
                text = "\n".join(self._cut(text.split("\n"), phrase)).strip()
        if not text:
            return [Check("empty", 0, 1, True)], text
        if self.max_removed_words is None:
            return [], text
        before = count_words(document.text)
        removed = (before - count_words(text)) / before if before else 1.0
        check = over("word_removal_ratio_filter", removed, self.max_removed_words, "max_removed_words")
        return [_unless_empty(before, check)], text

    def _is_not_uppercase(self, line: str) -> bool:
        return not line or sum(map(str.isupper, line)) / len(line) <= self.max_uppercase

    def _is_not_numeric(self, line: str) -> bool:
        return not line or sum(map(str.isdigit, line)) / len(line) <= self.max_digits

    def _is_not_counter(self, line: str) -> bool:
        return not (self.drop_counters and _COUNTER.search(line.lower()))

    def _is_long(self, line: str) -> bool:
        return not line or len(line.split()) >= self.min_words_per_line

    def _cut(self, lines: list[str], phrase: re.Pattern[str]) -> Iterator[str]:
        for line in lines:
            if len(line.split()) <= self.cut_up_to:
                shorter = phrase.sub("", line)
                if line and not shorter.strip():
                    continue
                line = shorter
            yield line


@dataclass(frozen=True)
class DclmC4(Edit):
    """C4's cleaning as DCLM reads it, within a page: keep lines of prose; drop pages of code, filler or few sentences.

    The rest of DCLM's C4 recipe is done by other steps: repeated addresses and paragraphs across pages (`exact_dedup`,
    `line_dedup`) and the language (`language`). A limit of None or 0 is off.
    """

    name: ClassVar[str] = "c4_dclm"
    libraries: ClassVar[tuple[str, ...]] = ("nltk",)
    zero_is_off: ClassVar[bool] = True
    shaping: ClassVar[tuple[str, ...]] = (
        "max_word_length",
        "remove_citations",
        "require_end_mark",
        "drop_ellipsis_lines",
        "min_words_per_line",
        "drop_javascript",
        "drop_policy",
        "drop_repeated_lines",
        "bad_words",
        "punkt",
    )
    needs: ClassVar[dict[str, str]] = {"min_sentences": "punkt"}

    max_characters: int | None = param(190_000, "most characters of a page", source=_C4_YAML, ge=0)
    max_word_length: int | None = param(1000, "most characters of a white-space word of a line", source=_C4_YAML, ge=0)
    remove_citations: bool = param(True, "delete [1], [edit] and [citation needed]", source=_C4_YAML)
    require_end_mark: bool = param(True, 'drop lines that do not end in . ? ! " or …', source=_C4_YAML)
    drop_ellipsis_lines: bool = param(
        True, "drop lines that end in an ellipsis, if `require_end_mark` is on", source=_C4_YAML
    )
    min_words_per_line: int | None = param(5, "fewest white-space words of a line", source=_C4_YAML, ge=0)
    drop_lorem_ipsum: bool = param(True, "drop pages with `lorem ipsum`", source=_C4_YAML)
    drop_javascript: bool = param(True, "drop lines with `javascript`", source=_C4_YAML)
    drop_curly_bracket: bool = param(True, "drop pages with `{`", source=_C4_YAML)
    drop_policy: bool = param(True, "drop lines about cookies, privacy policy, terms of use", source=_C4_YAML)
    min_sentences: int | None = param(
        3, "fewest sentences, before and after repeated lines are dropped", source=_C4_YAML, ge=0
    )
    drop_repeated_lines: bool = param(True, "of equal lines of a page keep the first", source=_C4_YAML)
    bad_words: str | None = param(
        None, "file of bad words or phrases, one a line; a page with one of them is dropped", source=_C4_YAML, path=True
    )
    punkt: str | None = param(
        None,
        "folder of the English Punkt model that splits sentences: `punkt_tab/english` of nltk's data",
        source="DCLM core_utils.py, split_sentences",
        path=True,
    )

    def __post_init__(self) -> None:
        require_bad_words(self.name, self.bad_words)
        if self.punkt is not None:
            try:
                read_punkt(self.punkt)
            except Refused as error:
                raise Refused(f"c4_dclm: punkt: {error}") from None
        elif self.min_sentences:
            raise Refused(
                f"c4_dclm: punkt: nltk counts sentences with its English Punkt model; {GET_NLTK}, {GET_PUNKT};"
                " or set `min_sentences: 0`"
            )

    def open(self) -> None:
        if self.punkt is not None:
            read_punkt(self.punkt)
        if self.bad_words is not None:
            _bad_words_pattern(stamp(self.bad_words))

    def edit(self, document: Document) -> str | Check:
        return next(result for result in self._read(document.text) if isinstance(result, str) or result.failed)

    def examine(self, document: Document) -> tuple[list[Check], str]:
        *checks, left = self._read(document.text)
        return checks, left  # type: ignore[return-value]

    def _read(self, text: str) -> Iterator[Check | str]:
        """Every check in DCLM's order, then the text that is left."""
        if self.max_characters:
            yield over("page_length", len(text), self.max_characters, "max_characters")
        text = self._lines_of_prose(text)
        if "lorem ipsum" in text.lower():
            yield Check("lorem_ipsum", "lorem ipsum", None, self.drop_lorem_ipsum, "drop_lorem_ipsum", "on")
        if self.drop_javascript:
            text = _without(_JAVASCRIPT, text)
        if "{" in text:
            yield Check("curly_bracket", "{", None, self.drop_curly_bracket, "drop_curly_bracket", "on")
        if self.drop_policy:
            text = _without(_POLICIES, text)
        if not text:
            yield Check("empty", 0, 1, True)
        yield from self._sentences(text)
        if self.drop_repeated_lines:
            once = _without_repeats(text)
            if once != text:
                text = once
                yield from self._sentences(text)
        if self.bad_words is not None:
            match = _bad_words_pattern(stamp(self.bad_words)).search(text.lower())
            yield Check("document_removed_with_badwords", match and match.group(), None, match is not None)
        yield text

    def _lines_of_prose(self, text: str) -> str:
        longest, fewest = self.max_word_length, self.min_words_per_line
        if longest and len(text) > longest:
            lines = text.split("\n")
            text = "\n".join(x for x in lines if len(x) <= longest or max(map(len, x.split()), default=0) <= longest)
        if self.remove_citations:
            text = CITATION.sub("", text)
        lines = text.split("\n")
        if self.require_end_mark:
            lines = [line for line in lines if not line or self._is_ended(line.rstrip())]
        if fewest:
            lines = [line for line in lines if not line or len(line.split()) >= fewest]
        return "\n".join(lines)

    def _is_ended(self, line: str) -> bool:
        return line.endswith(_END_MARKS) and not (self.drop_ellipsis_lines and line.endswith(("...", "…")))

    def _sentences(self, text: str) -> Iterator[Check]:
        if self.min_sentences and self.punkt is not None:
            sentences = count_sentences(text, self.punkt)
            yield under("too_few_sentences", sentences, self.min_sentences, "min_sentences")


def _without(phrases: re.Pattern[str], text: str) -> str:
    """The text without the lines that hold one of some phrases."""
    if phrases.search(text):
        text = "\n".join(line for line in text.split("\n") if not phrases.search(line))
    return text.strip()


def _without_repeats(text: str) -> str:
    seen: set[str] = set()
    lines = []
    for line in text.split("\n"):
        plain = line.strip().lower()
        if not plain or plain not in seen:
            lines.append(line)
            seen.add(plain)
    return "\n".join(lines)


@lru_cache(maxsize=4)
def _bad_words_pattern(file: Stamp) -> re.Pattern[str]:
    """Any of the file's entries between word boundaries."""
    entries = [line.lower() for line in read_bad_words(DclmC4.name, file.path)]
    return re.compile(r"\b(?:{})\b".format("|".join(map(re.escape, entries))))
