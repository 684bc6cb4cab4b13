"""Numbers written in English words: `twenty-five` is `25`, `one hundred and fifty` is `150`.

Numbers of one word are told alike by their hashes (`curate.decontaminate.words`), so that a text without longer ones
costs nothing.
"""

from __future__ import annotations

import re

_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

SINGLE: dict[bytes, bytes] = {
    word.encode(): str(number).encode()
    for number, word in (
        (0, "zero"),
        *enumerate((*_UNITS, *_TEENS), start=1),
        *((10 * place, word) for place, word in enumerate(_TENS, start=2)),
    )
}
"""Numbers of one word, and their digits."""

# A mark ends a phrase: "two, hundred of them" is no number; a hyphen or white space does not.
_GAP = r"(?:\s*-\s*|\s+)"
_UNIT, _TEN = "|".join(_UNITS), "|".join(_TENS)
_SMALL = rf"(?:(?:{_TEN})(?:{_GAP}(?:{_UNIT}))?|{'|'.join(_TEENS)}|{_UNIT})"
_HUNDREDS = rf"(?:(?:a|{_UNIT}){_GAP}hundred(?:(?:{_GAP}and)?{_GAP}{_SMALL})?)"
_BELOW = rf"(?:{_HUNDREDS}|{_SMALL})"
_THOUSANDS = rf"(?:(?:a|{_BELOW}){_GAP}thousand(?:,?(?:{_GAP}and)?{_GAP}{_BELOW})?)"
_LONG = rf"\b(?:{_THOUSANDS}|{_HUNDREDS}|(?:{_TEN})\s*-\s*(?:{_UNIT}))\b"

PHRASE = re.compile(_LONG, re.IGNORECASE)
"""A number of several words, in a text."""

_PHRASE = re.compile(_LONG.encode())
_SIGNS = (b"hundred", b"thousand", b"ty-")
_VALUES = {word: int(digits) for word, digits in SINGLE.items()} | {b"a": 1}


def in_digits(folded: bytes) -> bytes:
    """A folded text with its numbers of several words in digits."""
    if not any(sign in folded for sign in _SIGNS):
        return folded
    return _PHRASE.sub(lambda phrase: str(_value(phrase[0])).encode(), folded)


def _value(phrase: bytes) -> int:
    whole = part = 0
    for word in re.findall(rb"[a-z]+", phrase):
        if word == b"thousand":
            whole, part = 1000 * part, 0
        elif word == b"hundred":
            part *= 100
        elif word != b"and":
            part += _VALUES[word]
    return whole + part
