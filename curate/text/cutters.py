"""How a chunk of text is cut into words: as spaCy does, at Unicode's boundaries, as any language's can be."""

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
    # regex leaves an apostrophe at the vowel that follows it, which the standard's rules do not.
    words = (word.lstrip("'’") for word in _boundaries()(chunk))
    return [word for word in words if word[:1].isalnum()]


@cache
def in_any_language() -> Callable[[str], list[str]]:
    """Words where spaces stand between them, pairs of characters elsewhere; marks are words of their own."""
    import regex

    unspaced = rf"[{SCRIPTS}ー々]\p{{M}}*+"
    letter = rf"[\p{{L}}\p{{N}}--[{SCRIPTS}]]"
    # Two characters where nothing stands between words; else letters, figures and what joins them; else a mark.
    return regex.compile(
        rf"(?V1)(?:{unspaced}){{1,2}}+|{letter}[\p{{M}}\u200c\u200d]*+(?:[’'_.·-]?{letter}[\p{{M}}\u200c\u200d]*+)*+|\S"
    ).findall
