"""Finds addresses of mail in a text, as they are and as people write them for people: `name [at] site [dot] org`,
`name&#64;site.org`, `name AT site DOT org`, `e-mail: name @ site . org`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from curate.redact.found import Found

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

_SPACE = "[ \u00a0]"
_SPELLED_AT = re.compile(
    rf"[\[({{<&](?:(?<!&){_SPACE}?(?:at|@){_SPACE}?[\])}}>]|(?<=&)(?:#0{{0,4}}64|#x0{{0,4}}40|commat);)", re.IGNORECASE
)
_DOT = (
    rf"(?:\.|{_SPACE}?[\[({{<]{_SPACE}?(?:dot|\.){_SPACE}?[\])}}>]{_SPACE}?"
    rf"|{_SPACE}dot{_SPACE}|&(?:#0{{0,4}}46|#x0{{0,4}}2e|period);)"
)
_SPELLED_DOMAIN = re.compile(rf"{_LABEL}(?:{_DOT}{_LABEL}){{1,8}}", re.IGNORECASE)
# Not `site. Then`, the end of a sentence.
_SPACED_DOMAIN = re.compile(rf"{_LABEL}(?:(?:\.|{_SPACE}\.{_SPACE}?){_LABEL}){{1,8}}")
_ANY_DOT = re.compile(rf"{_DOT}|{_SPACE}\.{_SPACE}?", re.IGNORECASE)
# In lower case `at` is a word of every other sentence, and `dot` may be.
_CAPITAL_AT = re.compile(rf" AT (?=[{_LETTER}])")
_CAPITAL_DOMAIN = re.compile(rf"{_LABEL}(?: DOT {_LABEL}){{1,8}}")
_ANNOUNCED = re.compile(
    r"(?:\be-?mails?\b|\bmail(?:to)?\b|\bcontact\b|\b(?:write|writing) to\b|[\u2709\U0001f4e7])[^.!?\n@]{0,24}\Z"
    r"|<\s*\Z",
    re.IGNORECASE,
)
_NO_WORD = re.compile(r"[\d_.+-]")
_RESERVED = frozenset(("example.com", "example.net", "example.org", "example.edu"))
"""Domains of RFC 2606, and their fellow of universities; the endings that it reserves are no top-level domains."""


@functools.cache
def _endings() -> frozenset[str]:
    """The top-level domains of the public suffix list."""
    from curate.domains import suffixes

    return frozenset(suffixes().tlds)


def emails(text: str) -> Iterator[Found]:
    """Mail addresses, spelled out ones among them, but not `user@host.org:folder` or names in URLs.

    Around a sign with spaces (`me @ work.com`) there is an address only where a word before says so, or where the name
    has a figure or a mark in it.
    """
    place = text.find("@")
    while place >= 0:
        found = _signed(text, place)
        if found is not None and not _no_mail(text, found):
            yield found
        place = text.find("@", place + 1)
    for sign in _SPELLED_AT.finditer(text):
        left, right = _around(text, *sign.span())
        if found := _email(text, left, right, _SPELLED_DOMAIN):
            yield found
    for sign in _CAPITAL_AT.finditer(text):
        if found := _email(text, *sign.span(), _CAPITAL_DOMAIN):
            yield found


def _around(text: str, left: int, right: int) -> tuple[int, int]:
    """A sign with a space on either side of it."""
    return left - (text[left - 1 : left] in (" ", "\u00a0")), right + (text[right : right + 1] in (" ", "\u00a0"))


def _signed(text: str, place: int) -> Found | None:
    """The address whose `@` is at a place."""
    left, right = _around(text, place, place + 1)
    if (left, right) == (place, place + 1):
        for form in (*_DOMAINS, _SPELLED_DOMAIN):
            if found := _email(text, left, right, form):
                return found
    found = _email(text, left, right, _SPACED_DOMAIN)
    if found is None or not text[found.end - 2 : found.end].islower():
        return None
    if (left, right) == (place, place + 1):
        return found
    # `photo by me @ site.com`, `lunch @ home.com` name places.
    told = _NO_WORD.search(text, found.start, left) or _ANNOUNCED.search(text, max(0, found.start - 48), found.start)
    return found if told else None


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
    marks = [mark.span() for mark in _ANY_DOT.finditer(text, *domain.span())]
    begins, ends = [right, *(end for _, end in marks)], [*(begin for begin, _ in marks), domain.end()]
    labels = [text[begin:end].lower() for begin, end in zip(begins, ends, strict=True)]
    # `mail@site.org.Then` lacks a space, and `icon@2x.png` is a file.
    while len(labels) > 1 and labels[-1] not in _endings():
        glued = _GLUED.match(text, begins[-1])
        if glued and glued.group().lower() in _endings() and glued.end() < ends[-1]:
            labels[-1], ends[-1] = glued.group().lower(), glued.end()
        else:
            del labels[-1], begins[-1], ends[-1]
    if start == left or len(labels) < 2 or ".".join(labels[-2:]) in _RESERVED:
        return None
    return Found(start, ends[-1], "email", f"{text[start:left].lower()}@{'.'.join(labels)}")


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
