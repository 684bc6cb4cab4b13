"""The figures of a text that the number guard holds two texts apart by, in one spelling, without those of page furniture.

Two reports whose figures differ are two documents, however much text they share. But one figure has many spellings,
and a line such as `Last updated: 14 March 2024`, `3 comments` or `Page 4 of 9` says of itself that its figures belong
to the page and not to the text. Whatever is not plainly that is guarded: a pair that is wrongly kept costs a copy, a
pair that is wrongly merged costs a fact.
"""

from __future__ import annotations

import re
from functools import lru_cache

from curate.text.folding import fold

LEAST_LINES = 8
"""In a text of fewer lines the first and the last are as likely its content as its furniture."""

_DIGIT = re.compile(r"[\d\u00b2\u00b3\u00b9\u2070-\u2089\u2460-\u2473]")
_WORD = re.compile(r"[^\W\d_]+")
_SHORT = 160
_FEW_WORDS = 10
_PROSE_WORDS = 8
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
_OWNED_AT_END = re.compile(rf"(?:\u00a9|\(c\)).*{_YEARS}\W*$|\ball rights reserved\W*$")
_YEAR = re.compile(rf"(?<!\d){_YEARS}(?!\d)")
_OWNER_WORDS = 18
_FIELD = re.compile(r"[^:|\t]{1,40}[:|\t].*\d")
_SENTENCE_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)]*\s*$")
_BARE = re.compile(r"\W*\d[\d.,:/ -]*\W*")
_SMALL = re.compile(r"\s*\d{1,3}\s*")

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
    ("[", re.compile(r"(?:(?<=[^\W\d_])|(?<=[.,;:!?)\u201d\u2019])) ?(?:\[\d{1,3}\])+(?=[\s.,;:!?)]|$)")),
)
_CODE = re.compile(r"[={}]|;\s*$")
_SUPER_MARK = re.compile(rf"(?:(?<=[.,;!?\u201d\u2019])|(?<=[^\W\d_]{{4}}))[{_SUPER}]{{1,2}}(?=[\s.,;:!?)]|$)")
_MEASURES = re.compile(r"(?:metres?|meters?|miles?|yards?|feet|foot|inch(?:es)?|acres?|met[er]{2}|pouces?)$", re.I)

_SUPERS = re.compile(rf"[{_SUPER}]+")
_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?:([\u00a0\u202f\u2009'\u2019])\d{3})(?:\1\d{3})*(?!\d)")
_DASH = re.compile(rf"(?<=\d)[{_DASHES}](?=\d)")
_SPACED_DASH = re.compile(rf"(?<=\d)[ \u00a0\u2009][-{_DASHES}][ \u00a0\u2009](?=\d)")
_SIGN = re.compile(r"(?:(?<=[\s(\[|])|^)[-\u2012\u2013\u2212](?=[$\u20ac\u00a3\u00a5]?[.,]?\d)[$\u20ac\u00a3\u00a5]?", re.M)
_ARABIC_MARKS = str.maketrans({"\u066b": ".", "\u066c": ","})
_TOKEN = re.compile(r"[-.,:/0-9]*[0-9][-.,:/0-9]*")
_PART = re.compile(r"[0-9.,]+")
_COMMAS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d+)?")
_DOTS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")


def figures(text: str) -> bytes:
    """The multiset of a text's guarded figures, each in one spelling, in one order; the same for texts that may merge.

    Thousands are written without marks, decimals with a point, ranges with a hyphen; a sign stays one. Left out are
    lines whose words say what they are (a date of change, version, page, counter, copyright), marks of footnotes, and
    a date or a page number alone that opens or closes a text of `LEAST_LINES` lines or more.
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
    found = []
    for match in _TOKEN.finditer(text):
        token = match[0].strip(".,:/").rstrip("-.,:/")
        # A hyphen behind a letter or another one is no sign: `covid-19`, `--5`.
        if token[0] == "-" and (token[1] == "-" or text[match.start() - 1 : match.start()].isalnum()):
            token = token.lstrip("-.,:/")
        found.append(_canonical(token))
    return found


@lru_cache(maxsize=1 << 16)
def _canonical(token: str) -> bytes:
    return _PART.sub(_plain, token).encode()


def _plain(part: re.Match[str]) -> str:
    figure = part[0]
    if _COMMAS.fullmatch(figure):
        return figure.replace(",", "")
    if _DOTS.fullmatch(figure):
        return figure.replace(".", "").replace(",", ".")
    return figure.replace(",", ".") if _DECIMAL_COMMA.fullmatch(figure) else figure


def _spelled(text: str) -> str:
    """The text with marks that have several characters in one of them, in lower case, digits of all scripts as ours."""
    text = _GROUPS.sub(lambda groups: groups[0].replace(groups[1], ""), text)
    text = _SPACED_DASH.sub("-", text)
    text = _SIGN.sub(" -", text)
    if text.isascii():
        return text.lower()
    text = _SUPERS.sub(lambda raised: f" {raised[0]}", _DASH.sub("-", text.translate(_ARABIC_MARKS)))
    return fold(text).decode("utf-8")


def _without_marks(line: str) -> str:
    """A line without marks of footnotes and without furniture that no sentence is written like."""
    for sign, pattern in _INLINE:
        if sign not in line:
            continue
        # Figures in brackets are footnotes in prose alone: in a row or in code they are its content.
        if sign != "[" or not (_CODE.search(line) or len(_WORD.findall(line)) < _FEW_WORDS):
            line = pattern.sub(" ", line)
    if line.isascii():
        return line
    return _SUPER_MARK.sub(lambda mark: mark[0] if _MEASURES.search(line[: mark.start()]) else " ", line)


def _furniture(lines: list[str], place: int) -> bool:
    """Whether a short line's figures are the page's and not the text's."""
    line = lines[place].lower()
    beside = [lines[other] for other in (place - 1, place + 1) if 0 <= other < len(lines)]
    if _says_so(line):
        # In a record, a field of that name is one of its fields.
        return not any(len(other) <= _SHORT and _is_field(other.lower()) for other in beside)
    return len(beside) == 1 and len(lines) >= LEAST_LINES and _stands_alone(line, beside[0], lines)


def _is_field(line: str) -> bool:
    return bool(_FIELD.match(line)) and len(_WORD.findall(line)) <= _FEW_WORDS and not _says_so(line)


def _says_so(line: str) -> bool:
    """Whether the words of a line, in lower case, say that it is a date, version, page, counter or copyright."""
    if _PAGE.fullmatch(line) or _COUNTER.fullmatch(line):
        return True
    words = _WORD.findall(line)
    if len(words) <= _OWNER_WORDS and (_OWNED.match(line) or _OWNED_AT_END.search(line)):
        return not _DIGIT.search(_YEAR.sub(" ", line))
    if not _DATED.isdisjoint(words):
        return all(word in _DATED or word in _DATED_BESIDE for word in words) and _is_date(line)
    if not _VERSION.isdisjoint(words):
        return all(word in _VERSION or word in _VERSION_BESIDE for word in words)
    return False


def _is_date(line: str) -> bool:
    """Whether all figures of a line are those of a date and a time."""
    return bool(_BARE_DATE.search(line)) and not _DIGIT.search(_WHEN.sub(" ", line))


def _stands_alone(line: str, neighbour: str, lines: list[str]) -> bool:
    """Whether a line that opens or closes a text is a date alone, or a page's number beside a sentence."""
    if _DIGIT.search(neighbour):
        return False
    if _CALENDAR.issuperset(_WORD.findall(line)) and _is_date(line):
        return True
    if not _SMALL.fullmatch(line) or not _SENTENCE_END.search(neighbour):
        return False
    return len(_WORD.findall(neighbour)) >= _PROSE_WORDS and sum(bool(_BARE.fullmatch(one)) for one in lines) == 1
