"""Finds what identifies a person in a text: mail addresses, telephone numbers, IP addresses, IBANs, card numbers.

Each kind is found by its form and then tested as far as its standard allows: the top-level domain of an address,
the numbering plan of a telephone number (`phones.py`), the range of an IP address, checksums of IBANs (ISO 13616,
ISO 7064 mod 97-10) and cards (ISO/IEC 7812, Luhn). Addresses that are reserved for examples
identify no one and are left as they are, and so are the stand-ins of `redact.py`. Every search is linear in the text.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator

from curate.redact.found import Found
from curate.redact.phones import phones

KINDS = ("email", "iban", "card", "ipv6", "ipv4", "phone")
"""In order of precedence: where two kinds overlap, the first of them holds."""


def find(text: str, kinds: Iterable[str] = KINDS, regions: Iterable[str] = ("US",)) -> list[Found]:
    """Everything of these kinds in a text, by place, without overlaps.

    `regions` are the countries (ISO 3166 codes) whose telephone numbers are known without a country code.
    """
    wanted = set(kinds)
    found: list[Found] = []
    for kind in KINDS:
        if kind in wanted:
            found += phones(text, tuple(regions)) if kind == "phone" else _FINDERS[kind](text)
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


_LETTER = "A-Za-z0-9\\u00c0-\\u024f"
_LABEL = f"[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?"
# Plain letters first: others may come from a quotation mark in a wrong encoding.
_DOMAINS = tuple(
    re.compile(rf"{label}(?:\.{label}){{1,8}}") for label in (_LABEL.replace("\\u00c0-\\u024f", ""), _LABEL)
)
# `mail@site.comCustomer`: a page lost the space, and the capital letter shows where.
_GLUED = re.compile(r"[a-z]{2,}(?=[A-Z])")
# `(206) 735-3750mail@site.com`.
_NUMBER_BEFORE = re.compile(r"(?:\d++[.-])+\d++(?=[A-Za-z])")
_LOCAL = re.compile(rf"[{_LETTER}_.+'-]{{1,64}}\Z")
_USERINFO = re.compile(r"://[^\s/]*\Z")
_SPELLED_AT = re.compile(r"[\[({<] ?(?:at|@) ?[\])}>]", re.IGNORECASE)
_DOT = r"(?:\.| ?[\[({<] ?(?:dot|\.) ?[\])}>] ?| dot )"
_SPELLED_DOMAIN = re.compile(rf"{_LABEL}(?:{_DOT}{_LABEL}){{1,8}}", re.IGNORECASE)
_RESERVED = frozenset(("example.com", "example.net", "example.org", "example.edu"))


@functools.cache
def _endings() -> frozenset[str]:
    """The top-level domains of the public suffix list."""
    from curate.domains import suffixes

    return frozenset(suffixes().tlds)


def emails(text: str) -> Iterator[Found]:
    """Mail addresses, `name [at] site [dot] org` among them, but not `user@host.org:folder` or names in URLs."""
    place = text.find("@")
    while place >= 0:
        found = _email(text, place, place + 1, _DOMAINS[0]) or _email(text, place, place + 1, _DOMAINS[1])
        if found is not None and not _no_mail(text, found):
            yield found
        place = text.find("@", place + 1)
    for sign in _SPELLED_AT.finditer(text):
        left = sign.start() - (text[sign.start() - 1 : sign.start()] == " ")
        right = sign.end() + (text[sign.end() : sign.end() + 1] == " ")
        if found := _email(text, left, right, _SPELLED_DOMAIN):
            yield found


def _email(text: str, left: int, right: int, form: re.Pattern[str]) -> Found | None:
    domain = form.match(text, right)
    local = _LOCAL.search(text, max(0, left - 64), left)
    if domain is None or local is None:
        return None
    # Dots that lead up to an address, quotes and bullets are not part of it.
    start = max(local.start(), text.rfind("..", local.start(), left) + 2 if ".." in local.group() else 0)
    if number := _NUMBER_BEFORE.match(text, start, left):
        start = number.end()
    while start < left and not text[start].isalnum() and text[start] != "_":
        start += 1
    end = domain.end()
    host = re.sub(_DOT, ".", domain.group().lower())
    # `mail@site.org.Then` lacks a space, and `icon@2x.png` is a file.
    while "." in host and host.rpartition(".")[2] not in _endings():
        host, _, cut = host.rpartition(".")
        glued = _GLUED.match(text, end - len(cut))
        if glued and glued.group().lower() in _endings() and glued.end() < end:
            host, end = f"{host}.{glued.group().lower()}", glued.end()
        else:
            end -= len(cut) + 1
    if start == left or "." not in host or ".".join(host.split(".")[-2:]) in _RESERVED:
        return None
    return Found(start, end, "email", f"{text[start:left].lower()}@{host}")


def _no_mail(text: str, found: Found) -> bool:
    """Whether what looks like an address is a name in a URL, a target of a file copy (`host:path`), or a Fediverse
    name."""
    before = max(0, found.start - 200)
    after = text[found.end : found.end + 2]
    return (
        found.canonical.startswith("git@")
        or after in (":/", ":~")
        or text[found.start - 1 : found.start] == "@"
        or _USERINFO.search(text, before, found.start) is not None
    )


# The pattern begins with a set of characters, and the look-behind comes after it: only so does `re` search for the
# first character in C, three to five times as fast.
_IPV4 = re.compile(r"\d(?<![\w.]\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\w])(?!\.\d)")
_VERSION = re.compile(
    r"(?:\bv(?:er(?:sions?|\.)?|\.)?|\b(?:releases?|firmware|build|rev(?:ision)?|update|chapter|section|kernel|sect?)\.?|[A-Za-z]/|§|[\w.]-)\s*\Z",
    re.IGNORECASE,
)


_SERVED = re.compile(
    r"\b(?:ips?|ipv4|address(?:es)?|dns|servers?|hosts?|ping|subnet|gateway|proxy|resolvers?)\b|://|@", re.IGNORECASE
)


def ipv4s(text: str) -> Iterator[Found]:
    """Addresses that are routed on the internet, unless a word in front marks a version or a section."""
    for match in _IPV4.finditer(text):
        address = _global(match.group(), ipaddress.IPv4Address)
        if address is None or match.group().endswith(".0.0.0"):
            continue
        before = text[max(0, match.start() - 24) : match.start()]
        # One in a hundred routed addresses begins with two numbers below 20, and nearly every version does.
        small = all(int(number) < 20 for number in match.group().split(".")[:2])
        if not _VERSION.search(before) and not (small and not _SERVED.search(before)):
            yield Found(*match.span(), "ipv4", str(address))


_IPV6 = re.compile(r"[23](?<![\w:.][23])[0-9A-Fa-f]{3}:[0-9A-Fa-f:.]{2,41}")


def ipv6s(text: str) -> Iterator[Found]:
    """Addresses of the routed range, 2000::/3."""
    for match in _IPV6.finditer(text):
        written = match.group().rstrip(".")
        if written.endswith(":") and not written.endswith("::"):
            written = written[:-1]
        end = match.start() + len(written)
        address = _global(written, ipaddress.IPv6Address)
        if address is not None and not text[end : end + 1].isalnum():
            yield Found(match.start(), end, "ipv6", str(address))


def _global(
    written: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = kind(written)
    except ValueError:
        return None
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
_IBAN = re.compile(r"[A-Z](?<![A-Za-z0-9][A-Z])[A-Z]\d{2}(?=[ -]?[A-Z0-9])")


def ibans(text: str) -> Iterator[Found]:
    """IBANs with the length of their country and a right checksum, in groups or in one piece."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match.group()[:2])
        if length is None:
            continue
        code, place = match.group(), match.end()
        while len(code) < length and place < len(text):
            step = place + 1 if text[place] in " -\u00a0" else place
            if step >= len(text) or not (text[step].isascii() and (text[step].isdigit() or text[step].isupper())):
                break
            code, place = code + text[step], step + 1
        if len(code) == length and not text[place : place + 1].isalnum() and _mod97(code) == 1:
            yield Found(match.start(), place, "iban", code)


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
        if _ISSUERS.fullmatch(digits) and luhn(digits) and len(set(digits)) > 1:
            yield Found(*match.span(), "card", digits)


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
