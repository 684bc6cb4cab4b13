"""How dense a text is in facts: numbers, dates, names and definitions in its sentences, for each word of the text.

A cheap heuristic of ours, not a published one: it looks at single words and pairs of words and needs no model. Facts
are counted only in lines that end as sentences do, so that menus, price lists and lists of links add words but no
facts. Each distinct word of a number, date or name counts once, so that a name on every line of a page is one name.
Names are recognised by capitals within a sentence: a script without capitals yields no names, German too many. Months
and the words of definitions are English.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from curate.text.words import WORDED

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from curate.text.signals import TextSignals

_CAPITAL, _NUMBER, _YEAR, _MONTH, _COPULA, _ARTICLE, _DEFINES, _JOINS = (1 << bit for bit in range(8))
_FULL_MONTHS = "January February March April May June July August September October November December"
_MONTHS = frozenset(_FULL_MONTHS.split()) | {month[:3] for month in _FULL_MONTHS.split()} | {"Sept"}
_LISTED = {
    **dict.fromkeys(("is", "are", "was", "were", "Is", "Are", "Was", "Were", "be", "been", "also"), _COPULA),
    **dict.fromkeys(("a", "an", "the", "one", "any"), _ARTICLE),
    **dict.fromkeys(("known", "called", "defined", "born", "named", "located", "founded", "written", "made"), _DEFINES),
    **dict.fromkeys((",", "(", ";", "/", "-", "–", "&"), _JOINS),
    **dict.fromkeys(_MONTHS, _MONTH | _CAPITAL),
}
_SENTENCE_ENDS = frozenset(".!?…")
_CLOSING = "\"'”’»)]"


class FactCounts(NamedTuple):
    """Distinct words of numbers, dates and names, words of definitions, and `words`: all words of the text."""

    words: int
    numbers: int
    dates: int
    names: int
    definitions: int

    @property
    def density(self) -> float:
        """Words that state facts, over all words; 0 for a text without words."""
        return sum(self[1:]) / self.words if self.words else 0.0


def kind_of(word: str) -> int:
    """Which kinds of facts a word can be part of, as bits."""
    listed = _LISTED.get(word)
    if listed is not None:
        return listed
    first = word[0]
    if first.isdigit():
        year = len(word) == 4 and word.isdecimal() and "1000" <= word < "2100"
        return _NUMBER | (_YEAR if year else 0)
    return _CAPITAL if len(word) > 1 and first.isupper() else 0


def facts_of(signals: TextSignals) -> FactCounts:
    """Count the facts of a text; `signals` must have cut its words as English."""
    import numpy as np

    reading, table = signals.reading, signals.table
    ids, words = reading.ids, len(reading.ids)
    if not words:
        return FactCounts(0, 0, 0, 0, 0)
    kinds = table.features.column(kind_of, table.words)[ids]
    worded = (table.features.kinds[ids] & WORDED) != 0
    prose = np.array([(line.rstrip(_CLOSING) or line)[-1] in _SENTENCE_ENDS for line in signals.filled_stripped])
    lines = _lines_of_words(reading.counts, reading.lines)
    in_prose = prose[lines]
    joined = np.zeros(words, dtype=np.bool_)
    joined[1:] = (lines[1:] == lines[:-1]) & in_prose[1:]
    before, after = np.zeros_like(kinds), np.zeros_like(kinds)
    before[1:] = np.where(joined[1:], kinds[:-1], 0)
    after[:-1] = np.where(joined[1:], kinds[1:], 0)
    follows = np.zeros(words, dtype=np.bool_)
    follows[1:] = joined[1:] & (worded[:-1] | (kinds[:-1] & _JOINS != 0))
    dated = (kinds & _MONTH != 0) & ((before | after) & _NUMBER != 0)
    years = (kinds & _YEAR != 0) & in_prose
    named = (kinds & _CAPITAL != 0) & follows & ~dated
    numbered = (kinds & _NUMBER != 0) & in_prose & ~years
    defined = (before & _COPULA != 0) & (kinds & (_ARTICLE | _DEFINES) != 0)
    return FactCounts(
        words,
        _distinct(ids[numbered]),
        _distinct(ids[dated | years]),
        _distinct(ids[named]),
        2 * int(np.count_nonzero(defined)),
    )


def _lines_of_words(counts: npt.NDArray[np.int32], borders: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The number of each word's line, from the words of each chunk and the chunks of each line."""
    import numpy as np

    lines = np.repeat(np.arange(len(borders) - 1), np.diff(borders))
    return np.repeat(lines, counts)


def _distinct(numbers: npt.NDArray[np.int32]) -> int:
    return len(set(numbers.tolist()))
