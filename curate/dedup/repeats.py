"""Pieces of text that a corpus repeats: lines, paragraphs, and passages of many words.

Every piece is a hash of 128 bits with its position; one round groups equal pieces, and sends each partition the
positions to cut. Nothing is sampled: every repeat is found. Disk for the round: 36 bytes for each line or
paragraph, and for passages 36 bytes for each *word* of the corpus (before compression); a reduce holds the
records of one of `ranges` parts. Lines as CCNet removes them (Wenzek et al. 2020, section 3.1: paragraphs seen
before), passages as Lee et al. 2022 ("Deduplicating training data makes language models better", 50 tokens) without
a suffix array.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xxhash

from curate.dedup.shingles import Hashes, ngram_hashes, prefix_sums
from curate.dedup.tables import NAME, Layout, Table, begins, joined, leading, range_of, shared
from curate.document import Document, Drop
from curate.step import CorpusStep, Record, Round, param, partition_key
from curate.text.folding import INVISIBLE, fold

PIECES = Layout(b"x", (("name", NAME), ("owner", "<u8"), ("place", "<u8"), ("position", "<u4")))
"""A piece: its hash, the hash of its document's key, the document's place, the position in the document."""

CUTS = Layout(b"g", (("place", "<u8"), ("position", "<u4"), ("first", "<u4")))
"""A piece to cut; `first` is its first position that may be cut, where it overlaps the copy that stays."""

_WAITING = 1 << 20
_LINES = re.compile(r"[^\n]+")
_PARAGRAPHS = re.compile(r"[^\n]+(?:\n[^\n]+)*")
_WORDS = re.compile(r"\w+")
_PASSAGE_WORDS = re.compile(rf"\w+(?:[{INVISIBLE}]+\w+)*")
"""Words, whatever signs without a width are in them."""
_OTHER = np.uint64(0x9FB21C651E98DF25)


class _Repeats(Round):
    """Groups equal pieces; sends the position of each that is cut to its partition."""

    name = "repeats"

    def __init__(self, step: _RepeatsStep) -> None:
        self.step = step
        self.counts: Counter[str] = Counter()

    def notes(self) -> dict[str, int]:
        return dict(self.counts)

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        waiting: list[Table] = []
        count = 0
        for place, document in documents:
            if document.protected:
                continue
            names, positions = self.step.pieces(document.text)
            if not len(names):
                continue
            owner = xxhash.xxh3_64_intdigest(document.key.encode("utf-8", "surrogatepass"))
            table = PIECES.build(name=names, owner=np.uint64(owner), place=np.uint64(place), position=positions)
            waiting.append(table)
            count += len(table)
            if count > _WAITING:
                yield from self._flush(waiting)
                waiting, count = [], 0
        yield from self._flush(waiting)

    def _flush(self, waiting: list[Table]) -> Iterator[Record]:
        table = PIECES.gather([], waiting)
        for number, part in table.cut(range_of(leading(table["name"]), self.step.ranges)):
            yield number.to_bytes(2, "big"), part.pack()

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        table = PIECES.gather(values)
        order = np.argsort(table["name"], kind="stable")
        rows = table.take(order[shared(table["name"][order])]).rows
        # Of each piece, the copy that stays comes first: in the document with the smallest hash, at its first position.
        rows = rows[np.lexsort((rows["position"], rows["place"], rows["owner"], rows["name"]))]
        if not len(rows):
            return
        first_copy = begins(rows["name"])
        elsewhere = begins(rows["name"], rows["place"])
        starts = np.flatnonzero(first_copy)
        sizes = np.diff(np.append(starts, len(rows)))
        documents = np.add.reduceat(elsewhere.astype(np.int64), starts)
        many = np.repeat(self.step.repeated(documents, sizes), sizes)
        kept = rows[np.repeat(starts, sizes)]
        cut = many & ~(first_copy & self.step.keeps_first)
        # A copy that overlaps the one that stays is cut only behind the end of that one.
        overlaps = (rows["place"] == kept["place"]) & self.step.keeps_first
        first = np.where(overlaps, kept["position"] + self.step.length, 0)
        self.counts["pieces_repeated"] += int(self.step.repeated(documents, sizes).sum())
        self.counts["pieces_cut"] += int(cut.sum())
        cuts = CUTS.build(place=rows["place"][cut], position=rows["position"][cut], first=first[cut])
        for partition, part in cuts.cut((cuts["place"] >> np.uint64(32)).astype(np.int64)):
            yield partition_key(partition), part.pack()


@dataclass(frozen=True)
class _RepeatsStep(CorpusStep):
    """The part that lines and passages share; not a step of its own."""

    annotate: bool = param(
        False,
        "cut nothing, and leave in the documents' metadata, under the name of the step, how many repeated pieces begin"
        " in a document and how many characters they take",
    )

    edits: ClassVar[bool] = True
    length: ClassVar[int] = 1
    """Positions that a piece covers."""
    keeps_first: ClassVar[bool] = True
    ranges: ClassVar[int] = 256

    def pieces(self, text: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Hashes of all pieces of a text that are compared, and their positions."""
        raise NotImplementedError

    def repeated(self, documents: npt.NDArray[np.int64], copies: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """A mask of the pieces to cut, by the documents and the copies of each."""
        raise NotImplementedError

    def without(self, text: str, positions: npt.NDArray[Any], first: npt.NDArray[Any]) -> str:
        """The text without the pieces at these positions."""
        raise NotImplementedError

    def least(self) -> int:
        """Characters that must be left of a text that was cut."""
        raise NotImplementedError

    def memory(self, documents: int, characters: int) -> int:
        # Three copies of a range's rows while they are sorted; at worst, words as pieces.
        return 3 * PIECES.dtype.itemsize * characters // 6 // self.ranges

    def rounds(self) -> list[Round]:
        return [_Repeats(self)]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        cuts = CUTS.gather(values)
        cuts = cuts.take(np.lexsort((cuts["position"], cuts["place"])))
        # Once: to ask a table for a column is to copy it.
        places, positions, firsts = cuts["place"], cuts["position"], cuts["first"]
        for place, document in documents:
            start, stop = np.searchsorted(places, np.array([place, place + 1], np.uint64)).tolist()
            if start == stop:
                yield document
                continue
            before = len(document.text)
            text = self.without(document.text, positions[start:stop], firsts[start:stop])
            if self.annotate:
                document.metadata[self.name] = {"pieces": stop - start, "characters": before - len(text)}
                yield document
                continue
            if len(text.strip()) < max(1, self.least()):
                yield Drop(document, self.name, "little_left", len(text.strip()), max(1, self.least()))
                continue
            if text != document.text:
                document.edits.append((self.name, before, len(text)))
                document.rewrite(text)
            yield document


@dataclass(frozen=True)
class LineDedup(_RepeatsStep):
    """Remove lines (or paragraphs) that many documents of the corpus share: menus, notices, boilerplate.

    Lines are the same when their words and figures are, whatever case, space and marks. A line in `documents`
    documents or more is removed from all of them, or from all but one (`keep: first`: the one whose key has the
    smallest hash). A text with fewer than `min_left` characters left is dropped as `little_left`.
    """

    name: ClassVar[str] = "line_dedup"
    libraries: ClassVar[tuple[str, ...]] = ("xxhash", "numpy")

    unit: str = param("line", "line, or paragraph: lines up to an empty one", choices=("line", "paragraph"))
    documents: int = param(10, "a line in this many documents or more is removed", ge=2)
    keep: str = param("first", "first: one copy stays; none: all are removed", choices=("first", "none"))
    min_words: int = param(3, "lines of fewer words stay", ge=1)
    min_left: int = param(1, "characters that must be left of a text", ge=0)

    @property
    def keeps_first(self) -> bool:  # type: ignore[override]
        return self.keep == "first"

    def least(self) -> int:
        return self.min_left

    def _spans(self, text: str) -> Iterator[re.Match[str]]:
        return (_LINES if self.unit == "line" else _PARAGRAPHS).finditer(text)

    def pieces(self, text: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        names, positions = [], []
        for position, span in enumerate(self._spans(text)):
            words = _WORDS.findall(fold(span.group()).decode())
            if len(words) >= self.min_words:
                names.append(xxhash.xxh3_128_digest(" ".join(words).encode()))
                positions.append(position)
        return np.frombuffer(b"".join(names), NAME), np.array(positions, np.uint32)

    def repeated(self, documents: npt.NDArray[np.int64], copies: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return documents >= self.documents

    def without(self, text: str, positions: npt.NDArray[Any], first: npt.NDArray[Any]) -> str:
        gone = set(positions.tolist())
        kept = []
        end = 0
        for position, span in enumerate(self._spans(text)):
            if position not in gone:
                kept.append(text[end : span.end()])
            end = span.end()
        return "".join(kept).strip("\n")


@dataclass(frozen=True)
class PassageDedup(_RepeatsStep):
    """Remove passages of at least `length` words that the corpus repeats, within a document or across documents.

    Words and figures are compared, whatever case, space and marks. One copy of each passage stays: in the document
    whose key has the smallest hash. Takes disk for every word of the corpus: see the how-to page.
    """

    name: ClassVar[str] = "passage_dedup"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("xxhash", "numpy")

    length: int = param(50, "words of the shortest repeat that is cut", source="Lee et al. 2022 (50 tokens)", ge=8)  # type: ignore[misc]
    min_left: int = param(1, "characters that must be left of a text", ge=0)

    def least(self) -> int:
        return self.min_left

    def pieces(self, text: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        words = _passage_words(text)
        one = ngram_hashes(prefix_sums(words), self.length)
        two = ngram_hashes(prefix_sums((words ^ _OTHER) * _OTHER), self.length)
        names = joined(*(half.astype(">u8").view("S8") for half in (one, two)))
        return names.view(NAME), np.arange(len(names), dtype=np.uint32)

    def repeated(self, documents: npt.NDArray[np.int64], copies: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return copies > 1

    def without(self, text: str, positions: npt.NDArray[Any], first: npt.NDArray[Any]) -> str:
        spans = [match.span() for match in _PASSAGE_WORDS.finditer(text)]
        change = np.zeros(len(spans) + 1, np.int64)
        begin = np.maximum(positions, first).astype(np.int64)
        end = positions.astype(np.int64) + self.length
        inside = begin < end
        np.add.at(change, begin[inside], 1)
        np.add.at(change, end[inside], -1)
        gone = np.cumsum(change[:-1]) > 0
        edges = np.flatnonzero(np.diff(np.concatenate(([False], gone, [False])).astype(np.int8)))
        kept = []
        place = 0
        for start, stop in edges.reshape(-1, 2).tolist():
            kept.append(text[place : spans[start][0]])
            place = spans[stop][0] if stop < len(spans) else len(text)
            # Marks that closed the passage are cut with it; its line still ends.
            line_end = text.find("\n", spans[stop - 1][1], place)
            kept.append(text[line_end:place] if line_end >= 0 else "")
        kept.append(text[place:])
        return "".join(kept)


def _passage_words(text: str) -> Hashes:
    """One hash for each run of letters, digits and underscores, in the order of the text."""
    if text.isascii():
        words = _WORDS.findall(text.lower())
        return np.fromiter(map(_known_words.__getitem__, words), np.uint64, len(words))
    words = _PASSAGE_WORDS.findall(text)
    return np.fromiter((_known_words[fold(word).decode()] for word in words), np.uint64, len(words))


class _KnownWords(dict[str, int]):
    """A bounded cache of the xxh3 of words: a corpus repeats few words very often."""

    def __missing__(self, word: str) -> int:
        value = xxhash.xxh3_64_intdigest(word.encode())
        if len(self) >= 1 << 19:
            self.clear()
        if len(word) <= 64:
            self[word] = value
        return value


_known_words = _KnownWords()
