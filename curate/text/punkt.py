"""Sentences as Punkt ends them (Kiss & Strunk 2006, Computational Linguistics 32:485), from a trained model's files.

The parameters and what they are asked are those of nltk 3.8.1, with which DCLM was made: a mark that white space or
punctuation follows ends a sentence unless the word before it is a known abbreviation, an initial or a number, and what
follows does not look like a beginning. tests/parity and tests/bench/sentences.py hold them to nltk's sentences. No
model is part of this package: nltk's are of unclear licence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from curate.errors import Refused
from curate.places.stamp import Stamp, stamp

FILES = ("abbrev_types.txt", "collocations.tab", "sent_starters.txt", "ortho_context.tab")
"""What a folder holds that nltk calls `punkt_tab/LANGUAGE`."""

# How a word was seen in the text that the model was trained on: where in a sentence, and with a capital or without.
_CAPITAL_INSIDE = 4
_CAPITAL = 2 | _CAPITAL_INSIDE | 8
_SMALL_FIRST = 16
_SMALL = _SMALL_FIRST | 32 | 64

_NO_WORD = r"[]!\"'()*:;?@[{}]"
_RUN = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
_MARK = re.compile(rf"[.?!](?=({_NO_WORD}|\s+(\S+)))")
_TOKEN = re.compile(rf"{_RUN}|[^]\"#&()*,:;@[`{{}}\s-]\S*?(?=\s|$|{_NO_WORD}|{_RUN}|,(?=$|\s|{_NO_WORD}|{_RUN}))|\S")
_ELLIPSIS = re.compile(r"\.{2,}")
_NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*")
_INITIAL = re.compile(r"[^\W\d]\.")
_CLOSING = re.compile(r"[])}\"']+?(?:\s+|(?=--)|$)", re.MULTILINE)
_CLOSERS = frozenset("])}\"'")
_BLANKS = " \t\n\r\v\f"
_NUMBER_TYPE = "##number##"


class Punkt(NamedTuple):
    """A trained model: word types are in lower case, without the mark behind them; numbers are one type.

    `collocations` are, for the first word of each, the second ones; `contexts` how a word was seen, as flags.
    """

    abbreviations: frozenset[str]
    collocations: dict[str, set[str]]
    starters: frozenset[str]
    contexts: dict[str, int]

    def count(self, text: str) -> int:
        """The sentences of a text that are not blank."""
        return sum(bool(text[start:end].strip()) for start, end in self.sentences(text))

    def sentences(self, text: str) -> Iterator[tuple[int, int]]:
        """Where each sentence begins and ends; closing quotes and brackets belong to what they close."""
        closed = 0
        pieces = self._pieces(text)
        start, end = next(pieces)
        for following in pieces:
            closing = text[following[0]] in _CLOSERS and _CLOSING.match(text, *following)
            if closing:
                yield start + closed, following[0] + len(closing.group().rstrip())
                closed = closing.end() - following[0]
            else:
                yield start + closed, end
                closed = 0
            start, end = following
        yield start + closed, end

    def _pieces(self, text: str) -> Iterator[tuple[int, int]]:
        begin = 0
        for mark, before in _candidates(text):
            place, end = mark.span()
            if (
                text[place] != "."
                or self._ends_plainly(text[before:place])
                or self._ends_in(f"{text[before:end]}{mark.group(1)}")
            ):
                yield begin, end
                begin = mark.start(2) if mark.group(2) else end
        yield begin, len(text.rstrip())

    def _ends_plainly(self, word: str) -> bool:
        """Whether a word is one of those, nearly all, that a full stop ends whatever follows. False tells nothing."""
        if len(word) < 2 or not word.isalpha():
            return False
        lowered = word.lower()
        return lowered not in self.abbreviations and lowered not in self.collocations

    def _ends_in(self, context: str) -> bool:
        """Whether a sentence ends in a context, before its last token."""
        tokens = [token for line in context.split("\n") for token in _TOKEN.findall(line)]
        return any(self._ends(token, following) for token, following in pairwise(tokens))

    def _ends(self, token: str, following: str) -> bool:
        """Whether a sentence ends with a token, by the one behind it."""
        if token[-1] != ".":
            return token in ("?", "!")
        if token == ".":
            return True
        kind = _kind(token)
        word = kind.removesuffix(".")
        run = token.endswith("..")
        known = _ELLIPSIS.fullmatch(token) is not None if run else self._abbreviates(token)
        initial = len(token) == 2 and _INITIAL.fullmatch(token) is not None
        telling = known or initial or kind == _NUMBER_TYPE
        if not telling and word not in self.collocations:
            return not run
        next_kind = self._kind_begun(following)
        if next_kind in self.collocations.get(word, ()):
            return False
        begins = self._begins(following, next_kind) if telling else None
        if known and not initial and (begins or (following[0].isupper() and next_kind in self.starters)):
            return True
        if initial and begins is None and following[0].isupper():
            # Of a word that was never seen small a capital tells nothing.
            begins = None if self.contexts.get(next_kind, 0) & _SMALL else False
        if (initial or kind == _NUMBER_TYPE) and begins is False:
            return False
        return not known and not run

    def _abbreviates(self, token: str) -> bool:
        word = token[:-1].lower()
        return word in self.abbreviations or word.rpartition("-")[2] in self.abbreviations

    def _kind_begun(self, token: str) -> str:
        """The type of a token that may begin a sentence: a mark that would end it at once is no part of it."""
        kind = _kind(token)
        if kind[-1] == "." and len(kind) > 1 and not token.endswith("..") and not self._abbreviates(token):
            return kind[:-1]
        return kind

    def _begins(self, token: str, kind: str) -> bool | None:
        """Whether a token begins a sentence, by how its type was seen; None: that does not tell."""
        if token in (";", ":", ",", ".", "!", "?"):
            return False
        seen = self.contexts.get(kind, 0)
        if token[0].isupper() and seen & _SMALL and not seen & _CAPITAL_INSIDE:
            return True
        if token[0].islower() and (seen & _CAPITAL or not seen & _SMALL_FIRST):
            return False
        return None


def _candidates(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Marks that may end a sentence, each with where the word before it begins: the last of marks in one word."""
    blanks = [sign for sign in _BLANKS if sign in text]
    held: tuple[re.Match[str], int] | None = None
    begin, end = 0, 0
    for mark in _MARK.finditer(text):
        place = mark.start()
        blank = max([text.rfind(sign, end, place) for sign in blanks], default=-1)
        word = blank + 1 if blank > end else begin
        if held and end <= word:
            yield held
        held = (mark, word)
        begin, end = word, place
    if held:
        yield held


def _kind(token: str) -> str:
    lowered = token.lower()
    return lowered if lowered[0].isalpha() or not _NUMBER.fullmatch(lowered) else _NUMBER_TYPE


def read_punkt(folder: str | Path) -> Punkt:
    """The model in a folder of nltk's `punkt_tab`. Raises Refused where a file is missing or is none of a model."""
    missing = next((name for name in FILES if not (Path(folder) / name).is_file()), None)
    if missing:
        raise Refused(f"{folder} holds no {missing}, and is no folder of a Punkt model")
    return _read(tuple(stamp(Path(folder) / name) for name in FILES))


@lru_cache(maxsize=2)
def _read(files: tuple[Stamp, ...]) -> Punkt:
    abbreviations, collocations, starters, contexts = (_lines(file.path) for file in files)
    try:
        pairs: dict[str, set[str]] = {}
        for first, second in (line.split("\t") for line in collocations):
            pairs.setdefault(first, set()).add(second)
        seen = {word: int(flags) for word, flags in (line.split("\t") for line in contexts)}
    except ValueError:
        raise Refused(
            f"{Path(files[1].path).parent} is no folder of a Punkt model: its tables are not two columns, "
            "word and word, word and number"
        ) from None
    return Punkt(frozenset(abbreviations), pairs, frozenset(starters), seen)


def _lines(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8 text, as a file of a Punkt model is") from None
    return [line for line in text.split("\n") if line]
