"""Three ways to cut a chunk of text into words: spaCy's English, Unicode's boundaries, and one for any language."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from curate.text.unspaced import SCRIPTS

if TYPE_CHECKING:
    from curate.text.english import EnglishSplitter


@cache
def english() -> EnglishSplitter:
    """spaCy's English words."""
    from curate.text.english import EnglishSplitter

    return EnglishSplitter()


@cache
def _boundaries() -> Callable[[str], list[str]]:
    import regex

    return regex.compile(r"(?wV1)\b").split


def between_boundaries(chunk: str) -> list[str]:
    """Words by Unicode's default boundaries (UAX 29) that begin with a letter or digit."""
    if chunk.isascii() and chunk.isalnum():
        return [chunk]
    # regex keeps an apostrophe with the vowel that follows it; the rules of the standard do not.
    words = (word.lstrip("'’") for word in _boundaries()(chunk))
    return [word for word in words if word[:1].isalnum()]


@cache
def in_any_language() -> Callable[[str], list[str]]:
    """Words in scripts with spaces, pairs of characters in scripts without; each punctuation mark is a word."""
    import regex

    unspaced = rf"[{SCRIPTS}ー々]\p{{M}}*+"
    letter = rf"[\p{{L}}\p{{N}}--[{SCRIPTS}]]"
    # Up to two characters of a script without spaces; else letters, digits and what joins them; else one mark.
    return regex.compile(
        rf"(?V1)(?:{unspaced}){{1,2}}+|{letter}[\p{{M}}\u200c\u200d]*+(?:[’'_.·-]?{letter}[\p{{M}}\u200c\u200d]*+)*+|\S"
    ).findall
