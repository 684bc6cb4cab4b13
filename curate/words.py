"""Words and sentences as the `fineweb` dialect has them: those of spaCy's English tokenizer and sentencizer.

spaCy tokenizes one white-space chunk at a time, so a chunk is a pure function of its characters, and chunks repeat:
a bounded table chunk -> words makes the tokenizer a dictionary look-up. Its tables (regular expressions, special cases)
are data with their source and licence, in `english_words.json`; the procedure below follows spaCy's, with positions
instead of copies, so that a chunk of ten million marks costs linear time. Words here are without white space.

One thing differs from spaCy: a special case it finds across a single space (`: )`) can there keep a shorter one inside
a chunk from being merged; here chunks do not see each other.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from itertools import chain
from pathlib import Path

_TABLES = Path(__file__).with_name("english_words.json")
_USER_INFO = r"(?:\S+(?::\S*)?@)?"
_LONG = 4096
_TAIL = 8
"""The longest suffix of fixed length has five characters and looks two further back."""
_SPACE_THAT_IS_A_TOKEN = re.compile(r"^\s|\s\s|[^\S ]")
_RUN = re.compile(r"(\s+)|\S+")


class EnglishSplitter:
    """Cuts one chunk without white space into words, as spaCy's English tokenizer does."""

    def __init__(self) -> None:
        tables = json.loads(_TABLES.read_text(encoding="utf-8"))
        self._prefix = re.compile(tables["prefix"]).match
        self._suffix = re.compile(tables["suffix"]).search
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
        self._merges: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for chunk in self.specials:
            if self._prefix(chunk) or self._suffix(chunk) or next(self._infixes(chunk), None):
                words = tuple(self._cut(chunk, specials=False))
                self._merges.setdefault(words[0], []).append((words, chunk))

    def __call__(self, chunk: str) -> tuple[str, ...]:
        rule = self.specials.get(chunk)
        if rule is None and chunk.isascii() and chunk.isalpha():
            return (chunk,)
        words = list(rule) if rule is not None else self._cut(chunk, specials=True)
        return tuple(self._merged(words))

    def _cut(self, chunk: str, specials: bool) -> list[str]:
        """Marks off both ends, then what is left: a special case, a URL, or words around inner marks."""
        front: list[str] = []
        back: list[str] = []
        start, end = 0, len(chunk)
        known = False
        while start < end:
            known = specials and self._is_special(chunk, start, end)
            if known:
                break
            prefix = self._prefix(chunk, start, end)
            after = prefix.end() if prefix else start
            if prefix and specials and self._is_special(chunk, after, end):
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
            elif self._is_url(core):
                front.append(core)
            else:
                self._cut_inside(core, front)
        front.extend(reversed(back))
        return front

    def _is_special(self, chunk: str, start: int, end: int) -> bool:
        return 0 < end - start <= self._longest_special and chunk[start:end] in self.specials

    def _suffix_length(self, chunk: str, start: int, end: int) -> int:
        """Only the tail can hold a suffix; of all suffixes a run of full stops alone has no greatest length."""
        reach = _TAIL
        while True:
            first = max(start, end - reach)
            tail = chunk[first:end]
            found = self._suffix(tail)
            if found and found.start() == 0 and first > start:
                reach *= 2
                continue
            return found.end() - found.start() if found else 0

    def _is_url(self, text: str) -> bool:
        if "." not in text:
            return False
        if len(text) > _LONG:
            return self._url_head(text[:_LONG]) is not None
        return self._url(text) is not None

    def _cut_inside(self, core: str, words: list[str]) -> None:
        start = 0
        for mark in self._infixes(core):
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
        """Special cases that show once the words are cut (`and/or` in `foo-and/or`): longest first, then leftmost."""
        found = [
            (len(pattern), start, chunk)
            for start, word in enumerate(words)
            for pattern, chunk in self._merges.get(word, ())
            if tuple(words[start : start + len(pattern)]) == pattern
        ]
        if not found:
            return words
        taken: set[int] = set()
        chosen = {}
        for length, start, chunk in sorted(found, key=lambda match: (-match[0], match[1])):
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


class _ChunkTable(dict[str, tuple[str, ...]]):
    """Chunk -> words, filled as chunks come; emptied when full, which costs time and never changes a result."""

    CHUNKS = 200_000
    LONGEST = 64

    def __init__(self, split: EnglishSplitter) -> None:
        super().__init__()
        self._split = split

    def __missing__(self, chunk: str) -> tuple[str, ...]:
        words = self._split(chunk)
        if len(chunk) <= self.LONGEST:
            if len(self) >= self.CHUNKS:
                self.clear()
            self[chunk] = words
        return words


class _SentenceTable(dict[str, tuple[int, bool, int, bool]]):
    """Chunk -> (sentences begun, end mark pending), first with no end mark pending before it, then with one."""

    def __init__(self, words: _ChunkTable, ends: frozenset[str]) -> None:
        super().__init__()
        self._words = words
        self._ends = ends

    def __missing__(self, chunk: str) -> tuple[int, bool, int, bool]:
        words = self._words[chunk]
        effect = (*self._run(words, False), *self._run(words, True))
        if len(chunk) <= _ChunkTable.LONGEST:
            if len(self) >= _ChunkTable.CHUNKS:
                self.clear()
            self[chunk] = effect
        return effect

    def _run(self, words: tuple[str, ...], pending: bool) -> tuple[int, bool]:
        begun = 0
        for word in words:
            if word in self._ends:
                pending = True
            elif pending and not all(unicodedata.category(character)[0] == "P" for character in word):
                begun += 1
                pending = False
        return begun, pending


@cache
def _tables() -> tuple[_ChunkTable, _SentenceTable]:
    split = EnglishSplitter()
    words = _ChunkTable(split)
    return words, _SentenceTable(words, split.sentence_ends)


def split_words(text: str) -> list[str]:
    """The words of a text, marks included, white space not."""
    words, _ = _tables()
    return list(chain.from_iterable(map(words.__getitem__, text.split())))


def count_sentences(text: str) -> int:
    """How many sentences spaCy's rule-based sentencizer finds.

    A sentence ends at a closing mark and begins with the next word that is no mark. White space that is more than one
    space is a token for spaCy, and begins a sentence too.
    """
    if not text:
        return 0
    _, effects = _tables()
    begun, pending = 1, False
    if not _SPACE_THAT_IS_A_TOKEN.search(text):
        for chunk in text.split():
            without, then, within, after = effects[chunk]
            begun, pending = (begun + within, after) if pending else (begun + without, then)
        return begun
    for run in _RUN.finditer(text):
        if run.group(1):
            inner_space = run.start() > 0 and run.group() == " "
            if pending and not inner_space:
                begun, pending = begun + 1, False
        else:
            without, then, within, after = effects[run.group()]
            begun, pending = (begun + within, after) if pending else (begun + without, then)
    return begun
