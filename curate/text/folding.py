"""Normalise a text so that reformatting does not change it, for near-duplicate search and decontamination.

The result depends on the text alone: no salt, no state.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from curate.text.unspaced import BLOCKS, HEXAGRAMS

INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
"""Signs without a width, as a set for `re`: joiners, soft hyphens, marks of direction, byte order marks."""

_HIDDEN = re.compile(f"[{INVISIBLE}]+")


def visible(text: str) -> str:
    """The text without signs that have no width."""
    return text if text.isascii() else _HIDDEN.sub("", text)


WORD_BYTES = bytes(
    c + 32 if 65 <= c <= 90 else c if 48 <= c <= 57 or 97 <= c <= 122 or c >= 128 else 32 for c in range(256)
)
"""A table for `bytes.translate`: letters and digits of folded UTF-8 stay, in lower case; all else becomes a space."""

# Each character of these blocks counts as a word; otherwise a whole sentence would be one word.
_UNSPACED = (*BLOCKS, HEXAGRAMS)
_ASCII = bytes(range(128))
_FEW_REPLACEMENTS = 32


def fold(text: str) -> bytes:
    """The normalised text in UTF-8: lower case, one form of each letter and digit.

    Letters of every script, combining marks and ASCII punctuation stay; other symbols become spaces, invisible
    characters are removed. Lone surrogates, which hostile JSON can hold, become spaces as well.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", _stream_safe(text))
        changes: dict[str, str] = {}
        for character in _beyond_ascii(text):
            folded = _folded(character)
            if folded != character:
                changes[character] = folded
        if len(changes) <= _FEW_REPLACEMENTS:
            for character, folded in sorted(changes.items()):
                text = text.replace(character, folded)
        else:
            text = text.translate({ord(character): folded for character, folded in changes.items()})
    return text.encode("utf-8").lower()


def _beyond_ascii(text: str) -> set[str]:
    """The characters of a text that are not ASCII."""
    return set(text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass"))


def _stream_safe(text: str) -> str:
    """Cut runs of combining marks at 30 (UAX 15, stream-safe text): normalising them takes quadratic time."""
    marks = "".join(sorted(character for character in _beyond_ascii(text) if _is_mark(character)))
    return re.sub(f"([{marks}]{{30}})[{marks}]+", r"\1", text) if marks else text


@lru_cache(maxsize=1 << 16)
def _is_mark(character: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFD", character)[0]) != 0


@lru_cache(maxsize=1 << 16)
def _folded(character: str) -> str:
    """What one non-ASCII character becomes, in lower case; folding the result again does not change it."""
    code = ord(character)
    if any(first <= code <= last for first, last in _UNSPACED):
        return f" {character} "
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf":
        return ""
    if category[0] == "M":
        return character
    if character.isalnum():
        plain = unicodedata.normalize("NFKC", character)
        plain = plain if plain.isalnum() and plain.isascii() else character
        # Only in lower case does a sigma at the end of a word have another form.
        return plain.lower().replace("\u03c2", "\u03c3")
    return {"\u2212": "-", "\u2044": "/"}.get(character, " ")
