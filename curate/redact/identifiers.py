"""Finds what identifies a person in a text: mail addresses, telephone numbers, IP addresses, IBANs, card numbers.

Each kind is found by its form and then tested as far as its standard allows: the top-level domain of an address
(`mail.py`), the numbering plan of a telephone number (`phones.py`), the range of an IP address, checksums of IBANs (ISO
13616, ISO 7064 mod 97-10) and cards (ISO/IEC 7812, Luhn). Addresses that are reserved for examples identify no one and
are left as they are, and so are the stand-ins of `redact.py` (`nobody.py`). Full-width signs, and digits of any script,
are read as the plain ones. Every search is linear in the text.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from curate.redact.found import Found
from curate.redact.mail import emails
from curate.redact.nobody import DOCUMENTED, nobody
from curate.redact.phones import phones

KINDS = ("email", "iban", "card", "ipv6", "ipv4", "phone")
"""In order of precedence: where two kinds overlap, the first of them holds."""


def find(
    text: str,
    kinds: Iterable[str] = KINDS,
    regions: Iterable[str] = ("US",),
    leave: Iterable[str] = ("examples",),
) -> list[Found]:
    """Everything of these kinds in a text, by place, without overlaps.

    `regions` are the countries (ISO 3166 codes) whose telephone numbers are known without a country code; `leave` says
    which addresses that identify nobody are passed over (`nobody.NOBODY`).
    """
    wanted = set(kinds)
    text = plain(text)
    found: list[Found] = []
    for kind in KINDS:
        if kind in wanted:
            found += phones(text, tuple(regions)) if kind == "phone" else _FINDERS[kind](text)
    left = set(leave)
    found = [one for one in found if nobody(one) not in left]
    if len(found) < 2:
        return found
    rank = {kind: place for place, kind in enumerate(KINDS)}
    taken: list[Found] = []
    # A sweep by place: among identifiers that overlap, the one of an earlier kind stays.
    for one in sorted(found, key=lambda item: (item.start, rank[item.kind])):
        if not taken or one.start >= taken[-1].end:
            taken.append(one)
        elif rank[one.kind] < rank[taken[-1].kind]:
            taken[-1] = one
    return taken


_ASCII = bytes(range(128))


def plain(text: str) -> str:
    """The text with full-width and small forms of ASCII, full stops of East Asia and digits of any script as ASCII: as
    many characters, so that each place is the same."""
    if text.isascii():
        return text
    others = text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")
    changes = {ord(one): ascii_form for one in set(others) if (ascii_form := _ascii_form(one))}
    return text.translate(changes) if changes else text


@lru_cache(maxsize=1 << 16)
def _ascii_form(character: str) -> str:
    if character in "\u3002\uff61":
        return "."
    if "\ufe50" <= character <= "\ufe6b" or "\uff01" <= character <= "\uff5e":
        form = unicodedata.normalize("NFKC", character)
        return form if form.isascii() else ""
    digit = unicodedata.decimal(character, None)
    return "" if digit is None else str(digit)


# The pattern begins with a set of characters, and the look-behind comes after it: only so does `re` search for the
# first character in C, three to five times as fast.
# Japanese, Chinese and Korean put no space beside an address.
_BESIDE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_IPV4 = re.compile(
    rf"\d(?:(?<=[{_BESIDE}]\d)|(?<![\w.]\d))\d{{0,2}}\.(?:\d{{1,3}}\.){{2}}\d{{1,3}}(?:(?=[{_BESIDE}])|(?!\w))(?!\.\d)"
)
_GOES_ON = re.compile(rf"[^\W{_BESIDE}]")
_NUMBERED = re.compile(
    r"(?:\bv(?:er(?:sions?|\.)?|\.)?|version|\b(?:releases?|firmwares?|builds?|rev(?:isions?)?|updates?|upgrades?|patch(?:es)?"
    r"|kernels?|drivers?)\.?|\b(?:updat|upgrad)(?:e|ed|es|ing) (?:from|to)|[A-Za-z]/|§|[\w.]-)[\s:#(\"'=<>~^]*\Z"
    r"|\w[=!<>~^]=\Z"
    r"|\b(?:chapters?|ch|sect(?:ions?|s)?|secs?|subsections?|clauses?|paragraphs?|paras?|articles?|appendix|figures?|figs?"
    r"|tables?|equations?)\.?(?: (?:no|nos|number|numbers)\.?)?[ \u00a0#(]*\Z",
    re.IGNORECASE,
)
"""Before four numbers that are a version of a program, or a section of a manual."""
_NUMBERED_AFTER = re.compile(
    # The name of a file, or of a release.
    r"\.(?:jar|war|zip|tar|t?gz|tgz|bz2|xz|7z|rar|exe|msi|deb|rpm|apk|whl|egg|gem|nupkg|dll|so|dmg|pkg|iso|img|bin|txt|log"
    r"|pdf|html?|js|css|json|xml|md)\b|-(?:[A-Za-z]|\d+[A-Za-z])"
    r"|\s*[)\]]?\s*(?:release|firmware|build|version|update|patch|beta|alpha|rc ?\d|lts)\b"
    r"|\s*[)\]]?,?\s*(?:or|and) (?:later|newer|higher|above|earlier|older|below)\b",
    re.IGNORECASE,
)
_SERIES = re.compile(
    r"(?:\d{1,4}(?:\.\d{1,4}){1,5}\s*(?:,|;|/|&|-|\u2013|\bto|\band|\bor|\bthrough)\s*(?:and |or )?)+\Z"
)
"""The numbers of a list before its last one: `sections 22.1.4.1, 22.1.4.2 and `."""
_FEW = 20
"""Versions begin with small numbers, and sections of a manual hold three of them: of routed addresses one in a hundred
begins with two below this, and two in a thousand have three."""

_SERVED = re.compile(
    r"\b(?:ips?|ipv4|address(?:es)?|dns|servers?|hosts?|ping|subnet|gateway|proxy|resolvers?)\b|://|@", re.IGNORECASE
)


def ipv4s(text: str) -> Iterator[Found]:
    """Addresses that are routed on the internet, unless a word beside them, or their size, marks a version or a section
    of a manual."""
    for match in _IPV4.finditer(text):
        address = _global(match.group(), ipaddress.IPv4Address)
        if address is None or match.group().endswith(".0.0.0"):
            continue
        before = text[max(0, match.start() - 80) : match.start()]
        numbers = [int(number) for number in match.group().split(".")]
        small = not _documented(address) and (max(numbers[:2]) < _FEW or sum(number < _FEW for number in numbers) >= 3)
        series = _SERIES.search(before)
        numbered = _NUMBERED.search(before[: series.start()] if series else before)
        numbered = numbered or _NUMBERED_AFTER.match(text, match.end(), match.end() + 24)
        if not numbered and not (small and not _SERVED.search(before[-24:])):
            yield Found(*match.span(), "ipv4", str(address))


_IPV6 = re.compile(r"[23](?<![\w:.][23])[0-9A-Fa-f]{3}:[0-9A-Fa-f:.]{2,41}")


_EMBEDDED = re.compile(r":\d{1,3}(?:\.\d{1,3}){3}\Z")


def ipv6s(text: str) -> Iterator[Found]:
    """Addresses of the routed range, 2000::/3."""
    for match in _IPV6.finditer(text):
        written = match.group().rstrip(".")
        if "." in written and not _EMBEDDED.search(written):
            # `2001:db8::1.De`: the next sentence, without its space.
            written = written[: written.index(".")]
        if written.endswith(":") and not written.endswith("::"):
            written = written[:-1]
        end = match.start() + len(written)
        address = _global(written, ipaddress.IPv6Address)
        if address is not None and not _GOES_ON.match(text, end):
            yield Found(match.start(), end, "ipv6", str(address))


def _documented(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in network for network in DOCUMENTED)


def _global(
    written: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = kind(written)
    except ValueError:
        return None
    if _documented(address):
        return address
    if isinstance(address, ipaddress.IPv6Address) and (inner := address.sixtofour) and not inner.is_global:
        return None
    # Multicast (RFC 6676) is nobody's.
    return address if address.is_global and not address.is_multicast else None


# Characters of an IBAN by country: SWIFT's registry, release 99.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_LETTERED = frozenset(
    (
        *("AD", "AL", "AZ", "BG", "BH", "BR", "BY", "CH", "CY", "DO", "FK", "FR", "GB", "GE", "GI", "GR", "GT", "HN"),
        *("IE", "IQ", "IT", "JO", "KW", "KZ", "LB", "LC", "LI", "LU", "LV", "MC", "MD", "MK", "MT", "MU", "NI", "NL"),
        *("OM", "PK", "PS", "QA", "RO", "RU", "SA", "SC", "SM", "SV", "TR", "UA", "VG", "YE"),
    )
)
"""Countries whose accounts may hold letters."""
# Figures are rarer than letters, and so what is searched for first.
_IBAN = re.compile(r"\d(?<=(?<![A-Za-z0-9])[A-Za-z]{2}\d)\d(?=[ -]?[A-Za-z0-9])")


def ibans(text: str) -> Iterator[Found]:
    """IBANs with the length of their country and a right checksum, in groups or in one piece, in capitals or not.

    In small letters a piece of a hexadecimal number looks alike, so that then only some countries' have letters.
    """
    for match in _IBAN.finditer(text):
        start, place = match.start() - 2, match.end()
        code = text[start:place]
        length = _IBAN_LENGTHS.get(code[:2].upper())
        if length is None:
            continue
        while len(code) < length and place < len(text):
            step = place + 1 if text[place] in " -\u00a0" else place
            if step >= len(text) or not (text[step].isascii() and text[step].isalnum()):
                break
            code, place = code + text[step], step + 1
        if len(code) != length or text[place : place + 1].isalnum():
            continue
        if code != code.upper() and (code[:2].upper() not in _LETTERED and not code[4:].isdigit()):
            continue
        if _mod97(code.upper()) == 1:
            yield Found(start, place, "iban", code.upper())


def _mod97(code: str) -> int:
    """ISO 7064 mod 97-10 of an IBAN: 1 where its check digits are right."""
    return int("".join(str(int(character, 36)) for character in code[4:] + code[:4])) % 97


_CARD = re.compile(
    r"\d(?<![\w.,$€£/-]\d)(?:\d{12,18}"
    r"|\d{3}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{3}([ -])\d{6}\2\d{4,5})(?![\w/]|[.,-]\d)"
)
# Issuers' first digits and lengths (ISO/IEC 7812 numbers in use): Visa, Mastercard, American Express, Discover,
# UnionPay, JCB, Diners Club, Maestro.
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d|9\d)\d{11}"
    r"|(?:50[0-9]|5[6-8]\d|6[37]\d)\d{9,16}"
)


def cards(text: str) -> Iterator[Found]:
    """Numbers of an issuer's form and length with a right check digit, in the printed groups or without groups."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", match.group())
        if _ISSUERS.fullmatch(digits) and luhn(digits) and len(set(digits)) > 1 and not _in_code(text, *match.span()):
            yield Found(*match.span(), "card", digits)


_GROUPS_BEFORE = re.compile(r"(?:\b[0-9A-Fa-f]{4,5}\s){1,2}\Z")
_GROUPS_AFTER = re.compile(r"(?:\s[0-9A-Fa-f]{4,5}\b){1,2}")
_ARGUMENT = re.compile(r"[A-Za-z_]\(+\Z|\[\Z")


def _in_code(text: str, start: int, end: int) -> bool:
    """Whether groups of four are some of a table of code points, or figures without groups an argument of a call; one
    group behind a card may be the month in which it ends."""
    if text[start:end].isdigit():
        return _ARGUMENT.search(text, max(0, start - 3), start) is not None
    before = _GROUPS_BEFORE.search(text, max(0, start - 12), start)
    after = _GROUPS_AFTER.match(text, end)
    return bool(before and after) or any(len(some.group()) > 6 for some in (before, after) if some)


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


_FINDERS: dict[str, Callable[[str], Iterable[Found]]] = {
    "email": emails,
    "iban": ibans,
    "card": cards,
    "ipv6": ipv6s,
    "ipv4": ipv4s,
}
