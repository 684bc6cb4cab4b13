"""The figures of a text that the number guard compares: in one spelling, without those of page furniture.

Two reports whose figures differ are two documents, however much text they share. But one figure has many spellings,
and a line such as `Last updated: 14 March 2024`, `3 comments` or `Page 4 of 9` says of itself that its figures belong
to the page and not to the text. Whatever is not plainly that is guarded: a pair that is wrongly kept costs a copy, a
pair that is wrongly merged costs a fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from curate.text.folding import fold

LEAST_LINES = 8
"""In a text of fewer lines the first and the last are as likely its content as its furniture."""

_DIGIT = re.compile(r"[\d\u00b2\u00b3\u00b9\u2070-\u2089\u2460-\u2473]")
_WORD = re.compile(r"[^\W\d_]+")
_SHORT = 160
_FEW_WORDS = 10
_REACH = 6
"""Lines that are looked at before and behind one: a bound, so that a text of such lines takes linear time."""
_FEW_LABELS = 4
_SUPER = "\u00b9\u00b2\u00b3\u2070\u2074-\u2079"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MONTHS = "january february march april may june july august september october november december"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_SHORTENED = "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun"
_CALENDAR = _set(f"{_MONTHS} {_DAYS} {_SHORTENED} st nd rd th of at on the am pm utc gmt")
_MONTH = "(?:" + "|".join((*_MONTHS.split(), *_SHORTENED.split()[:12])) + r")\b\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?\b\.?"
_TIME = r"\d{1,2}:\d\d(?::\d\d)?(?!\d)"
_DATE = (
    rf"(?:{_DAY} (?:of )?{_MONTH},? \d{{4}}|{_MONTH} {_DAY},? \d{{4}}|{_MONTH},? \d{{4}}"
    r"|\d{4}-\d\d-\d\d|\d{1,2}([/.-])\d{1,2}\1\d{2}(?:\d\d)?)(?!\d)"
)
_WHEN = re.compile(rf"{_DATE}(?:t?{_TIME})?|{_TIME}")
_BARE_DATE = re.compile(_DATE)

_DATED = _set("updated modified published posted printed retrieved edited revised reviewed accessed changed")
_LAST = re.compile(r"\blast (?:updated|modified|edited|changed)\b")
_DATED_BESIDE = _CALENDAR | _set("last first originally date time was is this page article document site content")
_VERSION = _set("version release build revision ver rev v")
_VERSION_BESIDE = _set("this is of current latest software document page the no number documentation")
_PAGE = re.compile(r"\W*(?:page|p\.?) ?\d{1,4}(?: ?(?:of|/) ?\d{1,4})?\W*")
_COUNTED = r"(?:comments?|repl(?:y|ies)|views?|likes?|shares?|responses?|retweets?)"
_COUNTER = re.compile(
    rf"\W*(?:(?:show|view|see|read|hide|all) )*\d[\d,.]*[km]? {_COUNTED}"
    rf"(?:\W{{1,3}}(?:and )?\d[\d,.]*[km]? {_COUNTED})*\W*|\W*(?:comments?|replies) ?(?:\(\d+\)|: ?\d+)\W*"
)
_YEARS = r"(?:19|20)\d\d(?: ?[-\u2013] ?(?:(?:19|20)\d\d|\d\d|present))?"
_OWNED = re.compile(rf"\W*(?:(?:\u00a9|\(c\)|copyright)\W*)+(?:by )?{_YEARS}(?!\d)|\W*all rights reserved\b")
_OWNED_AT_END = re.compile(rf"\u00a9.*{_YEARS}\W*$|\ball rights reserved\W*$")
_YEAR = re.compile(rf"(?<!\d){_YEARS}(?!\d)")
_OWNER_WORDS = 18
_OWNERS_MARKS = ("\u00a9", "(c)", "copyright", "reserved")
_LABEL = re.compile(r"[^\d:|\t]{1,40}([:|\t])\s*\S")
_SENTENCE_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)]*\s*$")

# Inside a longer line, where extraction ran lines together: only what no sentence is written like.
_INLINE = (
    (
        "Last ",
        re.compile(
            r"\bLast (?i:(?:updated|modified|edited|reviewed|revised|changed)(?: on)?:? "
            rf"{_DATE}(?:,?(?: at)? {_TIME})?)"
        ),
    ),
    ("Page ", re.compile(r"\bPage \d{1,4} of \d{1,4}\b(?![.,%]\d)")),
    ("\u00a9", re.compile(rf"\u00a9 ?{_YEARS}(?!\d)")),
)
# In prose figures in brackets are footnotes; in a row or in code they are its content.
_FOOTNOTE = re.compile(r"(?:(?<=[^\W\d_])|(?<=[.,;:!?)\u201d\u2019])) ?(?:\[\d{1,3}\])+(?=[\s.,;:!?)]|$)")
_FOOTNOTE_OF_SENTENCE = re.compile(r"(?<=[^\W\d_][.,;!?])(?:\[\d{1,3}\])+(?=\s|$)")
_FORMULA = re.compile(r"[={}^\u00d7\u00f7]|\s[+*]\s|;\s*$")
_SUPER_MARK = re.compile(rf"(?:(?<=[.,;!?\u201d\u2019])|(?<=[^\W\d_]{{4}}))[{_SUPER}]{{1,2}}(?=[\s.,;:!?)]|$)")
_MEASURES = re.compile(r"(?:metres?|meters?|miles?|yards?|feet|foot|inch(?:es)?|acres?|met[er]{2}|pouces?)$", re.I)

_SUPERS = re.compile(rf"[{_SUPER}]+")
# Each begins with what is rare, and looks back from there: that is how regular expressions are fast.
_GROUPS = re.compile(r"(?<=\d)([\u00a0\u202f\u2009'\u2019])\d{3}(?:\1\d{3})*(?!\d)")
_GROUP_MARKS = "\u00a0\u202f\u2009'\u2019"
_HEAD = re.compile(r"(?:^|[^\d.,])\d{1,3}$")
_DASH = re.compile(rf"[{_DASHES}](?<=\d.)(?=\d)")
_SPACED = re.compile(rf"[ \u00a0\u2009][-{_DASHES}][ \u00a0\u2009](?<=\d...)(?=\d)")
_CURRENCY = "$\u20ac\u00a3\u00a5"
_SIGN = re.compile(rf"[-\u2012\u2013\u2212](?<![^\s(\[|].)(?=[{_CURRENCY}]?[.,]?\d)[{_CURRENCY}]?")
_JOINED = re.compile(r"-(?<=[^\W\d_].)(?=\d)")
_NUMBER_BYTES = bytes(c if 48 <= c <= 57 or c in b".,:/-" else 32 for c in range(256))
_PART = re.compile(r"[0-9.,]+")
_COMMAS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d+)?")
_DOTS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")


def figures(text: str) -> bytes:
    """The multiset of a text's guarded figures, each in one spelling, in one order; the same for texts that may merge.

    Thousands are written without marks, decimals with a point, ranges with a hyphen; a sign stays one. Left out are
    lines whose words say what they are (a date of change, version, page, counter, copyright), marks of footnotes, and
    a date alone that opens or closes a text of `LEAST_LINES` lines or more.
    """
    if not _DIGIT.search(text):
        return b""
    lines = [line for line in text.splitlines() if line and not line.isspace()]
    guarded = [
        _without_marks(line)
        for place, line in enumerate(lines)
        if _DIGIT.search(line) and not (len(line) <= _SHORT and _furniture(lines, place))
    ]
    return b" ".join(sorted(_tokens(_spelled("\n".join(guarded)))))


def _tokens(text: str) -> list[bytes]:
    # A hyphen behind a letter is no sign: `covid-19`.
    tokens = _JOINED.sub(" ", text).encode().translate(_NUMBER_BYTES).split()
    return [token for token in map(_canonical, tokens) if token]


@lru_cache(maxsize=1 << 16)
def _canonical(token: bytes) -> bytes:
    """One token in its one spelling; empty if it has no digit."""
    figure = token.strip(b".,:/").rstrip(b"-.,:/")
    # Two hyphens are no sign either: `--5`.
    return _PART.sub(_plain, (figure.lstrip(b"-.,:/") if figure[:2] == b"--" else figure).decode()).encode()


def _plain(part: re.Match[str]) -> str:
    figure = part[0]
    if _COMMAS.fullmatch(figure):
        return figure.replace(",", "")
    if _DOTS.fullmatch(figure):
        return figure.replace(".", "").replace(",", ".")
    return figure.replace(",", ".") if _DECIMAL_COMMA.fullmatch(figure) else figure


def _spelled(text: str) -> str:
    """The text with marks that have several characters in one of them, in lower case, digits of all scripts as ours."""
    if any(mark in text for mark in _GROUP_MARKS):
        text = _GROUPS.sub(_grouped, text)
    text = _SPACED.sub("-", text)
    text = _SIGN.sub(" -", text)
    if text.isascii():
        return text.lower()
    text = _DASH.sub("-", text)
    if "\u066b" in text or "\u066c" in text:
        text = text.replace("\u066b", ".").replace("\u066c", ",")
    return fold(_SUPERS.sub(lambda raised: f" {raised[0]}", text)).decode("utf-8")


def _grouped(groups: re.Match[str]) -> str:
    """Groups of three digits without their marks, behind one to three digits that begin a number."""
    start = groups.start()
    return groups[0].replace(groups[1], "") if _HEAD.search(groups.string[max(0, start - 4) : start]) else groups[0]


def _without_marks(line: str) -> str:
    """A line without marks of footnotes and without furniture that no sentence is written like."""
    for sign, pattern in _INLINE:
        if sign in line:
            line = pattern.sub(" ", line)
    if _FORMULA.search(line):
        return line
    if "[" in line:
        prose = len(_WORD.findall(line)) >= _FEW_WORDS and _SENTENCE_END.search(line)
        line = (_FOOTNOTE if prose else _FOOTNOTE_OF_SENTENCE).sub(" ", line)
    if line.isascii() or not _SUPERS.search(line):
        return line
    return _SUPER_MARK.sub(
        lambda mark: mark[0] if _MEASURES.search(line[max(0, mark.start() - 12) : mark.start()]) else " ", line
    )


def _furniture(lines: list[str], place: int) -> bool:
    """Whether a short line's figures are the page's and not the text's."""
    line = lines[place].lower()
    if _says_so(line):
        # In a record it is one of the fields, unless it is about the record; behind (a) and (b) it is the third point.
        if "(c)" in line and any(
            other.lstrip().lower().startswith("(b)") for other in lines[max(0, place - _REACH) : place]
        ):
            return False
        return bool(_LAST.search(line)) or not any(_same_record(line, other) for other in _beside(lines, place))
    # A date alone that opens or closes the text.
    if len(lines) < LEAST_LINES or 0 < place < len(lines) - 1:
        return False
    if _DIGIT.search(lines[1 if place == 0 else -2]):
        return False
    return _CALENDAR.issuperset(_WORD.findall(line)) and _is_date(line)


def _beside(lines: list[str], place: int) -> Iterator[str]:
    """The next lines before and behind that are no furniture by their words, if they are short."""
    for step in (-1, 1):
        other = place + step
        while 0 <= other < len(lines) and abs(other - place) <= _REACH and len(lines[other]) <= _SHORT:
            line = lines[other].lower()
            if not _says_so(line):
                yield line
                break
            other += step


def _same_record(line: str, other: str) -> bool:
    """Whether a line beside one of furniture looks like the next field of one record, or the next row."""
    words = len(_WORD.findall(other))
    if words <= _FEW_LABELS and _DIGIT.search(other):
        return True
    mine, its = _LABEL.match(line), _LABEL.match(other)
    return bool(mine and its and mine[1] == its[1] and words <= _FEW_WORDS)


def _says_so(line: str) -> bool:
    """Whether the words of a line, in lower case, say that it is a date, version, page, counter or copyright."""
    if _PAGE.fullmatch(line) or _COUNTER.fullmatch(line):
        return True
    words = _WORD.findall(line)
    owned = len(words) <= _OWNER_WORDS and any(mark in line for mark in _OWNERS_MARKS)
    if owned and (_OWNED.match(line) or _OWNED_AT_END.search(line)):
        return not _DIGIT.search(_YEAR.sub(" ", line))
    if not _DATED.isdisjoint(words):
        return all(word in _DATED or word in _DATED_BESIDE for word in words) and _is_date(line)
    if not _VERSION.isdisjoint(words):
        return all(word in _VERSION or word in _VERSION_BESIDE for word in words)
    return False


def _is_date(line: str) -> bool:
    """Whether all figures of a line are those of a date and a time."""
    return bool(_BARE_DATE.search(line)) and not _DIGIT.search(_WHEN.sub(" ", line))
