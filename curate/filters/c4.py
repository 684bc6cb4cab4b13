"""C4's cleaning (Raffel et al. 2020, JMLR 21:140, section 2.2), dialect `fineweb`: as datatrove 0.10.1 does it.

An edit: it drops lines, joins the kept ones by newlines, and drops some pages whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from curate.document import Document
from curate.filters.bad_words import read_bad_words, require_bad_words
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Edit, param, under
from curate.text.languages import LANGUAGE, check_language, tongue_of, words_in
from curate.text.signals import TextSignals
from curate.text.words import count_sentences, sentences_begun

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SECTION = "C4, section 2.2"
_CODE = "C4's code, as in datatrove c4_filters.py"
CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_END_MARKS = (".", "?", "!", '"', "'")
_PHRASES = (b"lorem ipsum", b"javascript", b"{", b"terms of use", b"privacy policy", b"cookie")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


@dataclass(frozen=True)
class C4(Edit):
    """Keep lines of prose; drop pages of code, filler text or too few sentences. A limit of None or 0 is off."""

    name: ClassVar[str] = "c4"
    zero_is_off: ClassVar[bool] = True
    shaping: ClassVar[tuple[str, ...]] = (
        "require_end_mark",
        "min_words_per_line",
        "max_word_length",
        "remove_citations",
        "drop_javascript",
        "drop_policy",
        "bad_words",
        "language",
    )

    require_end_mark: bool = param(
        False,
        "drop lines without terminal punctuation; C4 did, FineWeb's recipe does not",
        source="FineWeb, section 3.5",
    )
    min_sentences: int | None = param(5, "fewest sentences in the kept lines", source=_SECTION, ge=0)
    min_words_per_line: int | None = param(
        3, "fewest white-space words of a line, citations counted", source=_SECTION, ge=0
    )
    max_word_length: int | None = param(1000, "most characters of a white-space word of a line", source=_CODE, ge=0)
    remove_citations: bool = param(True, "delete [1], [edit] and [citation needed]", source=_CODE)
    drop_lorem_ipsum: bool = param(True, "drop pages with `lorem ipsum`", source=_SECTION)
    drop_javascript: bool = param(True, "drop lines with `javascript`", source=_SECTION)
    drop_curly_bracket: bool = param(True, "drop pages with `{`", source=_SECTION)
    drop_policy: bool = param(True, "drop lines about cookies, privacy policy, terms of use", source=_CODE)
    bad_words: str | None = param(
        None, "file of bad words or phrases, one a line; a page with one of them is dropped", source=_SECTION, path=True
    )

    language: str = param("en", LANGUAGE, source="ours: curate/text/languages.py")

    def __post_init__(self) -> None:
        check_language(self.name, self.language)
        require_bad_words(self.name, self.bad_words)

    def open(self) -> None:
        if self.bad_words is not None:
            _bad_words_pattern(stamp(self.bad_words))

    def edit(self, document: Document) -> TextSignals | Check:
        checks, left = self.examine(document)
        return next((check for check in checks if check.failed), left)

    def examine(self, document: Document) -> tuple[list[Check], TextSignals]:
        """Every check in order (the first that fails decides), and the signals of the text that line rules leave."""
        import numpy as np

        signals = words_in(document, self.language)
        reading, table = signals.reading, signals.table
        checks: list[Check] = []
        rewritten: list[str] = []
        if self._needs_word_counts_only(document.text, signals):
            unchanged = np.flatnonzero(self._line_sizes(signals) >= (self.min_words_per_line or 1)).tolist()
            lines = signals.filled_stripped
            kept = [lines[number] for number in unchanged]
        else:
            kept, unchanged = self._read_lines(document.text, signals, checks, rewritten)
        lines_of_chunks = _numbered(reading.lines, unchanged)
        if self.min_sentences and tongue_of(document, self.language).end_marks:
            sentences = len(unchanged) + sentences_begun(table, reading, lines_of_chunks)
            sentences += sum(count_sentences(line, table) for line in rewritten)
            checks.append(under("too_few_sentences", sentences, self.min_sentences, "min_sentences"))
        text = "\n".join(kept).strip()
        if self.bad_words is not None:
            match = _bad_words_pattern(stamp(self.bad_words)).search(text.lower())
            checks.append(Check("document_removed_with_badwords", match and match.group(1), None, match is not None))
        if rewritten or self.language != "en":
            return checks, TextSignals(text)
        return checks, TextSignals(text, reading.ids[np.repeat(lines_of_chunks >= 0, reading.counts)], table)

    def _line_sizes(self, signals: TextSignals) -> npt.NDArray[np.int64]:
        """Words in each line that is not blank: white-space chunks in English, else words as `signals` cuts them."""
        import numpy as np

        reading = signals.reading
        if self.language == "en":
            return np.diff(reading.lines)
        return np.diff(np.concatenate(([0], np.cumsum(reading.counts, dtype=np.int64)))[reading.lines])

    def _needs_word_counts_only(self, text: str, signals: TextSignals) -> bool:
        """Whether the word count alone decides on every line of this text."""
        longest = self.max_word_length
        return (
            bool(self.min_words_per_line)
            and not self.require_end_mark
            and not (self.remove_citations and "[" in text)
            and not (longest and len(text) > longest and any(len(line) > longest for line in signals.lines))
            and not _holds_a_phrase(text)
        )

    def _read_lines(
        self, text: str, signals: TextSignals, checks: list[Check], rewritten: list[str]
    ) -> tuple[list[str], list[int]]:
        """The kept lines, and the numbers of those that are unchanged; the others are added to `rewritten`."""
        sizes = iter(self._line_sizes(signals).tolist())
        look_inside = _holds_a_phrase(text)
        lorem_ipsum = curly_bracket = False
        kept: list[str] = []
        unchanged: list[int] = []
        number = -1
        fewest = self.min_words_per_line or 0
        for full_line in signals.lines:
            line = full_line.strip()
            count = 0
            if line:
                number, count = number + 1, next(sizes)
            if count < fewest:
                continue
            longest = self.max_word_length
            if longest and len(line) > longest and any(len(word) > longest for word in line.split()):
                continue
            look, whole = look_inside, True
            if self.remove_citations and "[" in line:
                shorter = CITATION.sub("", line)
                if shorter != line:
                    # Cutting a citation can create a phrase.
                    line, look, whole = shorter, True, False
            if self.require_end_mark and (not line.endswith(_END_MARKS) or line.endswith("...")):
                continue
            if look:
                lowered = line.lower()
                if "lorem ipsum" in lowered and not lorem_ipsum:
                    lorem_ipsum, drops = True, self.drop_lorem_ipsum
                    checks.append(Check("lorem_ipsum", "lorem ipsum", None, drops, "drop_lorem_ipsum", "on"))
                if self.drop_javascript and "javascript" in lowered:
                    continue
                if "{" in line and not curly_bracket:
                    curly_bracket, drops = True, self.drop_curly_bracket
                    checks.append(Check("curly_bracket", "{", None, drops, "drop_curly_bracket", "on"))
                if self.drop_policy and any(policy in lowered for policy in POLICIES):
                    continue
            kept.append(line)
            if not whole:
                rewritten.append(line)
            elif count:
                unchanged.append(number)
        return kept, unchanged


def _holds_a_phrase(text: str) -> bool:
    """Whether any line may hold a phrase that the rules search for; False is certain."""
    if "\u212a" in text:  # the Kelvin sign: the only character beyond ASCII whose lower case is in ASCII
        return True
    lowered = text.encode("utf-8", "surrogatepass").lower()
    return any(phrase in lowered for phrase in _PHRASES)


def _numbered(borders: npt.NDArray[np.int64], kept: list[int]) -> npt.NDArray[np.int64]:
    """The line of each chunk, -1 for chunks of lines that are not kept."""
    import numpy as np

    numbers = np.full(len(borders) - 1, -1, dtype=np.int64)
    numbers[kept] = kept
    return np.repeat(numbers, np.diff(borders))


@lru_cache(maxsize=4)
def _bad_words_pattern(file: Stamp) -> re.Pattern[str]:
    """Any of the file's words, between characters that are not word characters."""
    words = sorted(set(map(str.strip, read_bad_words(C4.name, file.path))), key=lambda word: (-len(word), word))
    return re.compile(r"(?:\W|^)({})(?:\W|$)".format("|".join(map(re.escape, words))))
