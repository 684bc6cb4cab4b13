"""The blocks of a page that another extractor chose, found by the text that it gave.

An extractor that hands out a text alone has lost by then what `text.py` says of exponents, dates and rows. Its choice
is still in its text: a block is chosen where most of its words stand there, three in a row.
"""

from __future__ import annotations

import re
from collections import Counter

from curate.extract.blocks.segment import Page

_WORDS = re.compile(r"[^\s!-/:-@\[-`{-~\xa0-\xbf\u2000-\u206f\u3000-\u303f\uff00-\uff0f]+", re.ASCII)
_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])")
_INVISIBLE = {ord(one): None for one in "\u200b\u200c\u200d\u200e\u200f\ufeff\xad"}
_ROW = 3
_LONG = 8
"""Words of a block that stands in a text by more than chance."""
_BESIDE = 4
"""Blocks in front of the first long one, and behind the last, where short ones are looked for (titles, ends)."""


def covered(page: Page, text: str) -> list[int]:
    """The blocks whose words are in a text, ascending.

    What the text says once is one block, the first. Short ones must be a line or a cell of it, and where most of what
    is found is in long ones they stand among those: a menu repeats headings.
    """
    words = _words(text)
    rows = Counter(zip(words, words[1:], words[2:], strict=False))
    lines = text.split("\n")
    short = Counter(tuple(_words(line)) for line in lines)
    short += Counter(tuple(_words(cell)) for line in lines if line.startswith("|") for cell in line.split("|")[:200])
    found: list[int] = []
    long: list[int] = []
    balance = 0
    for block in range(len(page.begins)):
        said = _words(page.raw(block))
        if len(said) < _ROW:
            if not said or not short[tuple(said)]:
                continue
            short[tuple(said)] -= 1
        else:
            own = list(zip(said, said[1:], said[2:], strict=False))
            if 2 * sum(rows[row] > 0 for row in own) <= len(own):
                continue
            rows.subtract(own)
        found.append(block)
        balance += len(said) if len(said) >= _LONG else -len(said)
        if len(said) >= _LONG:
            long.append(block)
    if long and balance > 0:
        found = [block for block in found if long[0] - _BESIDE <= block <= long[-1] + _BESIDE]
    return found


def _words(text: str) -> list[str]:
    """The words of a text, characters of scripts without spaces one by one, without what no extractor keeps alike."""
    if not text.isascii():
        text = _UNSPACED.sub(r" \1 ", text.translate(_INVISIBLE))
    return _WORDS.findall(text)
