"""Telephone numbers in a text, by the numbering plans of all countries (ITU-T E.164, in libphonenumber's tables)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from curate.redact.found import Found

# Possessive throughout: no run of digits is ever cut in two ways. The first character comes before the look-behind, so
# that `re` searches for it in C.
_MARK = "\u00a0.\\-\u2010-\u2013\u2212\u30fc/"
# Chinese and Japanese put no space between a word and a number.
_NOT_AFTER = r"(?:(?<=[\u3040-\u30fa\u3400-\u9fff][(\d])|(?<![\w$€£#][(\d])(?<!\d[.,][(\d]))"
_RUN = re.compile(
    rf"[+(\d](?:(?<=\+) ?\(?+\+?+\d++|(?<=\()(?:(?<=[^\W\d_]\()|{_NOT_AFTER})\+?+\d++|(?<=\d){_NOT_AFTER}\d*+)"
    rf"(?:(?: ?[{_MARK}] ?| ?\(|\) ?[{_MARK}]? ?\(?| )\d++){{0,11}}+"
)
_DIGITS = re.compile(r"\d+")
_CALLED = re.compile(
    r"(?:\b(?:tele?(?:ph?one?|fon[oe]?)?|phones?|ph|call(?:ing)?|fax|mobiles?|mob|cell(?:[ -]?phone)?|whats ?app|sms"
    r"|text|dial|hotline|helpline|viber|handy|t[ée]l|portable)\b|\b[TPMFDO]\b(?=[.:|])|[☎☏📞📱✆🕻]"
    r"|電話(?:番号)?|电话|手机|手機|携帯|传真|傳真|전화(?:번호)?|휴대폰|\b(?:тел(?:ефон)?|моб|факс)\b)"
    r"(?:\s+(?:us|me|him|her|them|now|today|toll[- ]free|free|line|number|no|at|on|is|or|office|direct|to))*"
    r"[\s.:|/()#-]*\Z",
    re.IGNORECASE,
)
# `text(4155552671, 12)`: a function of a program, but `Tel(415) 555-2671` is a number.
_CODE = re.compile(r"\b(?:text|call|dial|cell|handy|portable)\Z")
_DOI = re.compile(r"10\.\d{4,9}/")
_SUM = re.compile(r"[\d)\]jx](?: *\+ (?=\d)|\+(?=\d++(?:\.\d++)?+(?![ (.-]?\(?\d)))")
"""Before a number that is added: `2*x + 39062500`, `6.2+3.7j`."""
_FACTOR = re.compile(r"\s?\*|[eE][-+]?\d|[jJfF]\b")
"""Behind figures that a program computes with."""
_NOT_CALLED = re.compile(
    r"\b(?:isbn|issn|doi|ean|upc|gtin|pmid|arxiv|sku|order|invoice|ticket|item|part|model|serial|patent|case|account"
    r"|acct|ref|id|vat|reg(?:istration)?|license|nct"
    r"|pp|pages?)\b\.?(?: ?(?:no|number|nr|#)\.?)?\s*[:#]?\s*\Z",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:1[5-9]|20)\d\d[-./ ][01]?\d[-./ ][0-3]?\d\b|[0-3]?\d[-./][0-3]?\d[-./](?:\d\d){1,2}\b"
    r"|(?:1[5-9]|20)\d\d\D{1,3}(?:1[5-9]|20)\d\d\Z"
)
_CONTEXT = 40
_MOST_GROUPS = 7
_FEWEST, _FEWEST_ALONE, _MOST = 7, 9, 17
"""Digits of a number: after a word such as `call`, by its form alone, and with two zeros before the country code."""


def phones(text: str, regions: tuple[str, ...] = ("US",)) -> Iterator[Found]:
    """Numbers that are valid in a numbering plan: with a country code, or of one of `regions`.

    Without a country code the digits must be in that country's groups, or follow a word such as `call` or `Tel.`.
    """
    for run in _RUN.finditer(text):
        # Most figures are years and amounts, which are shorter.
        if run.end() - run.start() < _FEWEST or _DOI.match(text, run.start()):
            continue
        groups = [group.span() for group in _DIGITS.finditer(text, *run.span())]
        if sum(end - start for start, end in groups) < _FEWEST:
            continue
        first = 0
        while first < len(groups):
            found, last = _begun(text, run.start(), groups, first, regions)
            if found is not None:
                yield found
            first = last


def _begun(
    text: str, floor: int, groups: list[tuple[int, int]], first: int, regions: tuple[str, ...]
) -> tuple[Found | None, int]:
    """The longest number that begins with a group of digits, and the group after it, which may begin other figures.

    It begins at `floor` or later.
    """
    start = groups[first][0]
    while start > floor and (text[start - 1] in "+(" or text[start - 2 : start] == "+ "):
        start -= 1
    international = "+" in text[start : groups[first][0]]
    if international and any(_SUM.match(text, start - back) for back in (1, 2) if start >= back):
        return None, first + 1
    called = False
    if first == 0 and not international:
        before = text[max(0, start - _CONTEXT) : start]
        called = _CALLED.search(before) is not None
        if called and text[start] == "(" and len(groups) == 1 and _CODE.search(before):
            return None, len(groups)
        if not called and _NOT_CALLED.search(before):
            return None, len(groups)
    for last in range(min(len(groups), first + _MOST_GROUPS), first, -1):
        count = sum(end - begin for begin, end in groups[first:last])
        if count < _FEWEST or (not international and not called and count < _FEWEST_ALONE):
            break
        if count <= _MOST and _ends_well(text, groups[first:last]):
            begin, end = start, groups[last - 1][1]
            if text[begin] == "(" and ")" not in text[begin:end]:
                begin += 1
            parts = [text[one:other] for one, other in groups[first:last]]
            if international:
                number = _valid("+" + "".join(parts), None)
            elif called:
                number = _national(parts, regions)
            else:
                number = _uncalled(text, begin, groups, first, last, parts, regions)
            if number:
                return Found(begin, end, "phone", number), last
    return None, first + 1


def _ends_well(text: str, groups: list[tuple[int, int]]) -> bool:
    """Whether a number may end here: letters may follow, where a page lost the space between; digits may not."""
    end = groups[-1][1]
    if _FACTOR.match(text, end):
        return False
    after = text[end : end + 2]
    if after[:1] in ("%", ".", ",") or after[:1].isalnum():
        if after[:1].isdigit() or after[:1] == "%" or (after[:1] in ".," and after[1:].isdigit()):
            return False
        if after[:1].isalpha() and len(groups) < 2:
            return False
    # The pages and year of a journal article, 425-442 (2000).
    return not (len(groups) > 1 and text[groups[-1][0] - 1] == "(" and after[:1] == ")")


def _uncalled(
    text: str,
    start: int,
    groups: list[tuple[int, int]],
    first: int,
    last: int,
    parts: list[str],
    regions: tuple[str, ...],
) -> str | None:
    """A number recognised by its form alone: one mark between its groups, which are those of its country."""
    if len(parts) < 2 or sum(map(len, parts)) > 15:
        return None
    if first and text[groups[first - 1][1] : groups[first][0]] == ".":
        # The decimals of a number, 2.817 940 2894.
        return None
    inside = {text[groups[place][1] : groups[place + 1][0]] for place in range(first, last - 1)}
    beside = {
        text[groups[place][1] : groups[place + 1][0]] for place in (first - 1, last - 1) if 0 <= place < len(groups) - 1
    }
    if beside & inside:
        # A part of a longer chain, or of a row of a table.
        return None
    if _DATE.match(text, start, groups[last - 1][1]):
        return None
    if parts[0].startswith("00") and (number := _valid("+" + "".join(parts)[2:], None)):
        return number
    if len({mark.strip() for mark in inside if not set(mark) & set("()")}) > 1:
        return None
    slash = any("/" in mark for mark in inside)
    for region in regions:
        if region == "US" and ([len(one) for one in parts[-3:]] != [3, 3, 4] or slash):
            continue
        number = _valid("".join(parts), region)
        if number and parts in _groupings(number, region):
            return number
    return None


def _national(parts: list[str], regions: tuple[str, ...]) -> str | None:
    digits = "".join(parts)
    if digits.startswith("00") and (number := _valid(f"+{digits[2:]}", None)):
        return number
    return next((number for region in regions if (number := _valid(digits, region))), None)


@functools.lru_cache(maxsize=4096)
def _valid(written: str, region: str | None) -> str | None:
    """The number as +CCNNN (E.164) if it is valid in the plan of its country."""
    import phonenumbers

    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@functools.lru_cache(maxsize=4096)
def _groupings(e164: str, region: str) -> list[list[str]]:
    """The groups of digits in which a country writes a number."""
    import phonenumbers

    number = phonenumbers.parse(e164, None)
    styles = phonenumbers.PhoneNumberFormat
    forms = [
        phonenumbers.format_number(number, styles.NATIONAL),
        phonenumbers.format_number(number, styles.INTERNATIONAL).lstrip("+"),
        phonenumbers.format_out_of_country_calling_number(number, region),
    ]
    found = [re.findall(r"\d+", form) for form in forms]
    # Without the trunk prefix that NATIONAL may begin with, and without the country code.
    return [*found, found[1][1:]]


def regions_of(host: str | None) -> tuple[str, ...]:
    """The country of a host's ending, where it has one: `example.co.uk` is GB."""
    import phonenumbers

    ending = (host or "").rpartition(".")[2].upper()
    region = {"UK": "GB", "EU": ""}.get(ending, ending)
    return (region,) if region in phonenumbers.SUPPORTED_REGIONS else ()
