"""Finds addresses of mail in a text, as they are and as people write them for people: `name [at] site [dot] org`,
`name&#64;site.org`, `name AT site DOT org`, `e-mail: name @ site . org`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from curate.domains import ascii_host
from curate.redact.found import Found
from curate.redact.mail_in_code import is_code

_LETTER = "A-Za-z0-9\\u00c0-\\u024f"
_LABEL = f"[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?"
# Vowel signs and accents are no letters to `re`.
_MARKS = (
    "\\u0300-\\u036f\\u0483-\\u0487\\u0591-\\u05bd\\u05bf\\u05c1-\\u05c7\\u0610-\\u061a\\u064b-\\u065f\\u0670\\u0900-\\u0963"
    "\\u0966-\\u0dff\\u0e31-\\u0e4e\\u0eb1-\\u0ece\\u102b-\\u109d\\u17b4-\\u17d3"
)
_ANY = rf"(?:[^\W_]|[{_MARKS}])"
_ANY_LABEL = f"{_ANY}(?:(?:{_ANY}|-){{0,61}}{_ANY})?"
# Plain letters first: others may come from a quotation mark in a wrong encoding, or follow without a space.
_DOMAINS = tuple(
    re.compile(rf"{label}(?:\.{label}){{1,8}}") for label in (_LABEL.replace("\\u00c0-\\u024f", ""), _LABEL, _ANY_LABEL)
)
# `mail@site.comCustomer`: a page lost the space, and the capital letter shows where.
_GLUED = re.compile(r"[a-z]{2,}(?=[A-Z])")
_PLAIN_ENDING = re.compile(r"[A-Za-z]{2,}(?=[^\x00-\x7f])")
# `(206) 735-3750mail@site.com`.
_NUMBER_BEFORE = re.compile(r"(?:\d++[.-])+\d++(?=[A-Za-z])")
_LOCAL = re.compile(rf"[{_LETTER}_.+'-]{{1,64}}\Z")
_ANY_LOCAL = re.compile(rf"[\w{_MARKS}.+'-]{{1,64}}\Z")
# Scripts that put no space in front of a name, or let endings follow one.
_UNSPACED = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u9fff\\uac00-\\ud7a3"
_WORD_BEFORE = re.compile(r".*(?:[はがをにへで](?![\u3040-\u309f])|[是为為至到])(?=.)", re.DOTALL)
"""What leads to a name in Japanese and Chinese."""
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")

_SPACE = "[ \u00a0]"
_AT = "at|@|ät|arroba|arobase|chiocciola|собака|アットマーク|アット|あっと"
_SPELLED_AT = re.compile(
    rf"[\[({{<&](?:(?<!&){_SPACE}?(?:{_AT}){_SPACE}?[\])}}>]|(?<=&)(?:#0{{0,4}}64|#x0{{0,4}}40|commat);)",
    re.IGNORECASE,
)
_DOT = (
    rf"(?:\.|{_SPACE}?[\[({{<]{_SPACE}?(?:dot|punkt|punto|ponto|point|точка|ドット|\.){_SPACE}?[\])}}>]{_SPACE}?"
    rf"|{_SPACE}dot{_SPACE}|&(?:#0{{0,4}}46|#x0{{0,4}}2e|period);)"
)
_SPELLED_DOMAINS = tuple(
    re.compile(rf"{label}(?:{_DOT}{label}){{1,8}}", re.IGNORECASE) for label in (_LABEL, _ANY_LABEL)
)
# Not `site. Then`, the end of a sentence.
_SPACED_DOMAIN = re.compile(rf"{_LABEL}(?:(?:\.|{_SPACE}\.{_SPACE}?){_LABEL}){{1,8}}")
_FORMS = (*_DOMAINS, *_SPELLED_DOMAINS)
_PLAIN_FORMS = (_DOMAINS[0], _SPELLED_DOMAINS[0])
_ANY_DOT = re.compile(rf"{_DOT}|{_SPACE}\.{_SPACE}?", re.IGNORECASE)
# In lower case `at` is a word of every other sentence, and `dot` may be.
_CAPITAL_AT = re.compile(rf" AT (?=[{_LETTER}])")
_CAPITAL_DOMAIN = re.compile(rf"{_LABEL}(?: DOT {_LABEL}){{1,8}}")
_ANNOUNCED = re.compile(
    r"(?:\be-?mails?\b|\bmail(?:to)?\b|\bcontact\b|\b(?:write|writing) to\b|[\u2709\U0001f4e7])[^.!?\n@]{0,24}\Z"
    r"|<\s*\Z",
    re.IGNORECASE,
)
# `q_1 @ k.to(device)`: what follows a product of matrices.
_INDEXED = frozenset("([_=")
_NO_WORD = re.compile(r"[\d_.+-]")


@functools.cache
def _endings() -> frozenset[str]:
    """The top-level domains of the public suffix list, international ones in both spellings."""
    from curate.domains import suffixes

    tlds = suffixes().tlds
    return frozenset((*tlds, *(ascii_host(name) for name in tlds if not name.isascii())))


def emails(text: str) -> Iterator[Found]:
    """Mail addresses, spelled out ones among them, but not `user@host.org:folder` or names in URLs.

    Around a sign with spaces (`me @ work.com`) there is an address only where a word before says so, or where the name
    has a figure or a mark in it.
    """
    place = text.find("@")
    while place >= 0:
        found = _signed(text, place)
        if found is not None and not is_code(text, found, place):
            yield found
        place = text.find("@", place + 1)
    for sign in _SPELLED_AT.finditer(text):
        left, right = _around(text, *sign.span())
        found = next(filter(None, (_email(text, left, right, form) for form in _SPELLED_DOMAINS)), None)
        if found:
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
        # What is all ASCII needs no form for other letters.
        forms = _PLAIN_FORMS if text[right : right + 256].isascii() else _FORMS
        for form in forms:
            if found := _email(text, left, right, form):
                return found
    found = _email(text, left, right, _SPACED_DOMAIN)
    if found is None or not text[found.end - 2 : found.end].islower() or text[found.end : found.end + 1] in _INDEXED:
        return None
    if (left, right) == (place, place + 1):
        return found
    # `photo by me @ site.com`, `lunch @ home.com` name places.
    told = _NO_WORD.search(text, found.start, left) or _ANNOUNCED.search(text, max(0, found.start - 48), found.start)
    return found if told else None


def _email(text: str, left: int, right: int, form: re.Pattern[str]) -> Found | None:
    domain = form.match(text, right)
    start = _name_before(text, left) if domain else left
    if domain is None or start == left:
        return None
    # Dots that lead up to an address, quotes and bullets are not part of it.
    dots = text.rfind("..", start, left)
    start = dots + 2 if dots >= 0 else start
    if number := _NUMBER_BEFORE.match(text, start, left):
        start = number.end()
    while start < left and not text[start].isalnum() and text[start] != "_":
        start += 1
    marks = [mark.span() for mark in _ANY_DOT.finditer(text, *domain.span())]
    begins, ends = [right, *(end for _, end in marks)], [*(begin for begin, _ in marks), domain.end()]
    labels = [text[begin:end].lower() for begin, end in zip(begins, ends, strict=True)]
    # `mail@site.org.Then` lacks a space, and `icon@2x.png` is a file.
    while len(labels) > 1 and labels[-1] not in _endings():
        end = _glued_ending(text, begins[-1], ends[-1])
        if end:
            labels[-1], ends[-1] = text[begins[-1] : end].lower(), end
        else:
            del labels[-1], begins[-1], ends[-1]
    if start == left or len(labels) < 2:
        return None
    return Found(start, ends[-1], "email", f"{text[start:left].lower()}@{ascii_host('.'.join(labels))}")


def _name_before(text: str, left: int) -> int:
    """Where the name in front of a sign begins; `left` where there is none.

    A name in Latin letters may follow another script without a space (`邮箱jo@`); one in that script has no letter of
    Latin's, or a mark between them (`иван.petrov@`).
    """
    floor = max(0, left - 64)
    latin = _LOCAL.search(text, floor, left)
    if latin is not None and (latin.start() == floor or not _ANY_LOCAL.match(text, latin.start() - 1, latin.start())):
        return latin.start()
    any_script = _ANY_LOCAL.search(text, floor, left)
    if any_script is None:
        return left
    start = any_script.start()
    lettered = latin is not None and any(map(str.isalpha, latin.group()))
    if latin and lettered and (latin.group()[0].isalpha() or _UNSPACED_RUN.match(text, latin.start() - 1)):
        return latin.start()
    word = _WORD_BEFORE.match(text, start, left)
    return word.end() if word else start


def _glued_ending(text: str, begin: int, end: int) -> int:
    """Where a top-level domain ends whose page lost the space behind it, or whose script has none; 0 if none does."""
    glued = _GLUED.match(text, begin, end)
    if glued and glued.end() < end and glued.group().lower() in _endings():
        return glued.end()
    if unspaced := _UNSPACED_RUN.match(text, begin, end):
        return next((at for at in range(unspaced.end(), begin, -1) if text[begin:at] in _endings()), 0)
    plain = _PLAIN_ENDING.match(text, begin, end)
    return plain.end() if plain and plain.group().lower() in _endings() else 0
