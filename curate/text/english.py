"""The words of one white-space chunk as spaCy's English tokenizer cuts it: the words of the `fineweb` dialect.

spaCy tokenizes one white-space chunk at a time, so its words are a pure function of the chunk. spaCy's tables (regular
expressions, special cases) are in `english_words.json`, with their source and licence. The procedure below follows
spaCy's but moves positions where spaCy copies text, so that a chunk of ten million marks takes linear time.

The tables' expressions cover all scripts and take microseconds for each match. Mostly one ASCII character at either end
of the chunk decides; it is looked at first.

One difference from spaCy: there a special case across a single space (`: )`) can keep a shorter one inside a chunk from
being merged; here each chunk is cut alone.
"""

from __future__ import annotations

import json
import re
import string
from itertools import pairwise
from pathlib import Path

_TABLES = Path(__file__).with_name("english_words.json")
_USER_INFO = r"(?:\S+(?::\S*)?@)?"
_LONG = 4096
_TAIL = 8
"""The longest suffix of fixed length has five characters and looks two further back."""

_MARKS = ",:;!?()[]{}<>_#*&'\"`”“’‘»«—–"
_PREFIX_LENGTHS = dict.fromkeys(_MARKS + "$%=", 1) | dict.fromkeys(
    (set(string.ascii_letters) - set("UCA")) | set(string.digits + "-/@|~^\\"), 0
)
"""Prefix length by first character, where that decides; only the prefixes `US$`, `C$` and `A$` begin with a letter."""
_SUFFIX_LENGTHS = dict.fromkeys(_MARKS, 1) | dict.fromkeys(string.digits + "-/=@|~^\\", 0)
_LETTERS = frozenset(string.ascii_letters)
_CAPITALS = string.ascii_uppercase
_UNITS = re.compile(r"\(\?<=\[0-9\]\)\(\?:km\|[^)]*\)").search
"""The part of the suffix table that lists units: only units and genitives are suffixes that end in a letter."""
_PLAIN = re.compile(r"""([("'\[]?)([A-Za-z]+(?:-[A-Za-z]+)*)([.,;:!?)"'\]]{0,2})$""").match
_LETTERS_ALONE = re.compile("[A-Za-z]+").findall
_ASCII_INFIXES = re.compile(
    r"""[-.,~+*^:<>=/](?:(?<=\.)\.+|(?<=[0-9][-+*^])(?=[0-9-])|(?<=[a-z'"`,]\.)(?=[A-Z'"`,])|(?<=[A-Za-z],)(?=[A-Za-z])"""
    r"""|(?<=[A-Za-z0-9][-~:<>=/])(?=[A-Za-z])|(?<=[A-Za-z0-9]-)--?(?=[A-Za-z]))"""
).finditer
"""The table's infixes, reduced to those that can match in ASCII text."""


class EnglishSplitter:
    """Cuts one chunk without white space into words, as spaCy's English tokenizer does."""

    def __init__(self) -> None:
        tables = json.loads(_TABLES.read_text(encoding="utf-8"))
        self._prefix = re.compile(tables["prefix"]).match
        self._suffix = re.compile(tables["suffix"]).search
        units = _UNITS(tables["suffix"])
        if units is None:
            raise ValueError(
                f"{_TABLES}: the suffixes hold no units; rebuild the file with tests/parity/make_word_rules.py"
            )
        self._letter_suffix = re.compile(rf"(?:['’][sS]|{units.group()})$").search
        self._stop_after = {
            mark: 1 if self._suffix(mark + ".") else 0 for mark in map(chr, range(128)) if mark not in _CAPITALS + "."
        }
        self._infixes = re.compile(tables["infix"]).finditer
        # `\S+(?::\S*)?@` and `\S+@` accept the same strings; the first one takes quadratic time to refuse one.
        url = tables["url"].replace(_USER_INFO, r"(?:\S+@)?")
        self._url = re.compile(url).match
        self._url_head = re.compile(url.removesuffix(r"(?:[/?#]\S*)?$") + "[/?#]").match
        self.sentence_ends = frozenset(tables["sentence_ends"])
        self.specials: dict[str, tuple[str, ...]] = {
            chunk: tuple(rule.split(" ")) for chunk, rule in tables["specials"].items()
        }
        self._longest_special = max(map(len, self.specials))
        self._in_specials = frozenset(part for chunk in self.specials for part in _LETTERS_ALONE(chunk))
        self._merges: dict[tuple[str, str], list[tuple[tuple[str, ...], str]]] = {}
        for chunk in self.specials:
            if self._prefix(chunk) or self._suffix(chunk) or next(self._infixes(chunk), None):
                words = tuple(self._cut(chunk, specials=False))
                if len(words) > 1:  # the others are single marks
                    self._merges.setdefault((words[0], words[1]), []).append((words, chunk))

    def __call__(self, chunk: str) -> tuple[str, ...]:
        rule = self.specials.get(chunk)
        if rule is not None:
            return tuple(self._merged(list(rule)))
        if chunk.isascii():
            if chunk.isalpha():
                return (chunk,)
            plain = self._plain(chunk)
            if plain:
                return plain
        return tuple(self._merged(self._cut(chunk, specials=True)))

    def _plain(self, chunk: str) -> tuple[str, ...] | None:
        """The words of a plain chunk: letters, with hyphens between and a few marks around. None for other chunks."""
        match = _PLAIN(chunk)
        if not match:
            return None
        front, core, back = match.groups()
        parts = core.split("-")
        if back in self.specials or not self._in_specials.isdisjoint(parts):
            return None
        if "." in back and not (
            (back[0] == "." and back != ".." and core[-1].islower()) or (back[0] != "." and self._stop_after[back[0]])
        ):
            return None
        if len(parts) > 1:
            parts = core.replace("-", " - ").split(" ")
        return (*front, *parts, *back)

    def _cut(self, chunk: str, specials: bool) -> list[str]:
        """Cut marks off both ends; what is left is a special case, a URL, or words around inner marks."""
        front: list[str] = []
        back: list[str] = []
        start, end = 0, len(chunk)
        known = False
        while start < end:
            known = specials and self._is_special(chunk, start, end)
            if known:
                break
            after = start + self._prefix_length(chunk, start, end)
            if after > start and specials and self._is_special(chunk, after, end):
                front.append(chunk[start:after])
                start, known = after, True
                break
            before = end - self._suffix_length(chunk, after, end)
            if before < end and specials and self._is_special(chunk, start, before):
                back.append(chunk[before:end])
                end, known = before, True
                break
            if after == start and before == end:
                break
            if after > start:
                front.append(chunk[start:after])
            if before < end:
                back.append(chunk[before:end])
            start, end = after, before
        if start < end:
            core = chunk[start:end]
            if known:
                front.extend(self.specials[core])
            elif (core.isascii() and core.isalnum()) or self._is_url(core):
                front.append(core)
            else:
                self._cut_inside(core, front)
        front.extend(reversed(back))
        return front

    def _is_special(self, chunk: str, start: int, end: int) -> bool:
        return 0 < end - start <= self._longest_special and chunk[start:end] in self.specials

    def _prefix_length(self, chunk: str, start: int, end: int) -> int:
        length = _PREFIX_LENGTHS.get(chunk[start])
        if length is None:
            match = self._prefix(chunk, start, end)
            length = match.end() - start if match else 0
        return length

    def _suffix_length(self, chunk: str, start: int, end: int) -> int:
        """Search the tail only: every suffix but a run of full stops has a greatest length."""
        if start == end:
            return 0
        last = chunk[end - 1]
        length = _SUFFIX_LENGTHS.get(last)
        if length is not None:
            return length
        if last in _LETTERS:
            match = self._letter_suffix(chunk[max(start, end - _TAIL) : end])
            return match.end() - match.start() if match else 0
        if last == "." and end - start > 1:
            length = self._stop_after.get(chunk[end - 2])
            if length is not None:
                return length
        reach = _TAIL
        while True:
            first = max(start, end - reach)
            tail = chunk[first:end]
            match = self._suffix(tail)
            if match and match.start() == 0 and first > start:
                reach *= 2
                continue
            return match.end() - match.start() if match else 0

    def _is_url(self, text: str) -> bool:
        if "." not in text:
            return False
        if len(text) > _LONG:
            return self._url_head(text[:_LONG]) is not None
        return self._url(text) is not None

    def _cut_inside(self, core: str, words: list[str]) -> None:
        start = 0
        for mark in (_ASCII_INFIXES if core.isascii() else self._infixes)(core):
            if mark.start() == 0:
                continue
            if mark.start() > start:
                words.append(core[start : mark.start()])
            if mark.end() > mark.start():
                words.append(mark.group())
            start = mark.end()
        if start < len(core):
            words.append(core[start:])

    def _merged(self, words: list[str]) -> list[str]:
        """Merge special cases that appear after cutting (`and/or` in `foo-and/or`): longest first, then leftmost."""
        candidates = [
            (len(pattern), start, chunk)
            for start, pair in enumerate(pairwise(words))
            for pattern, chunk in self._merges.get(pair, ())
            if tuple(words[start : start + len(pattern)]) == pattern
        ]
        if not candidates:
            return words
        taken: set[int] = set()
        chosen = {}
        for length, start, chunk in sorted(candidates, key=lambda match: (-match[0], match[1])):
            if start not in taken and start + length - 1 not in taken:
                chosen[start] = (length, chunk)
            taken.update(range(start, start + length))
        merged: list[str] = []
        place = 0
        while place < len(words):
            if place in chosen:
                length, chunk = chosen[place]
                merged.extend(self.specials[chunk])
                place += length
            else:
                merged.append(words[place])
                place += 1
        return merged
