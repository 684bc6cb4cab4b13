"""Shuffling by a keyed hash of document keys: the same order on any number of workers."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import xxhash

from curate.document import Document, Drop
from curate.shards.text import document_from_json, document_to_json
from curate.step import CorpusStep, Record, Round, param, partition_key

_HASH_BYTES = 8


def drawn(seed: int, key: str) -> int:
    """A number below 2^64 for a document, which follows from the seed and its key alone."""
    return xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass"), seed)


class _Scatter(Round):
    """First pass: every document goes to the bucket of its number. Second pass: the documents of a bucket, in order, go
    to their partitions.

    All numbers are divided evenly among the input files, and a file's among its partitions, so that the order of the
    whole does not depend on how files were cut.
    """

    name = "scatter"
    streams = True
    moves = True

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._homes: Homes | None = None

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        for _, document in documents:
            number = drawn(self.seed, document.key).to_bytes(_HASH_BYTES, "big")
            yield number + document.key.encode("utf-8", "surrogatepass"), document_to_json(document)

    def reduce(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        if self._homes is None:
            self._homes = Homes(self.files)
        number = int.from_bytes(key[:_HASH_BYTES], "big")
        home = partition_key(self._homes.of(number))
        for value in values:
            yield home, key[:_HASH_BYTES] + value


class Homes:
    """Which partition a document goes to; `files` is the file of each partition."""

    def __init__(self, files: Sequence[int]) -> None:
        self._names = list(dict.fromkeys(files))
        self._counts = Counter(files)
        self._first: dict[int, int] = {}
        for place, file in enumerate(files):
            self._first.setdefault(file, place)

    def of(self, number: int) -> int:
        """The partition whose share of the numbers below 2^64 holds this one."""
        place = number * len(self._names)
        file, rest = self._names[place >> 64], place & ((1 << 64) - 1)
        return self._first[file] + (rest * self._counts[file] >> 64)


def home_of(number: int, files: Sequence[int]) -> int:
    """`Homes.of` for one number."""
    return Homes(files).of(number)


@dataclass(frozen=True)
class Shuffle(CorpusStep):
    """Put all documents, injected ones too, in an order that follows from the seed and their keys.

    Without it shards, and so training, follow the crawl: a site's pages come together. Every output file gets the same
    share of the documents. Memory does not grow with the corpus; while it runs, disk holds two more copies of the
    texts.
    """

    name: ClassVar[str] = "shuffle"
    libraries: ClassVar[tuple[str, ...]] = ("xxhash",)
    streams: ClassVar[bool] = True
    # A step after it in the same pass would be blamed for documents of another partition.
    ends_stage: ClassVar[bool] = True

    seed: int = param(0, "another seed gives another order", ge=0, le=2**63 - 1)

    def rounds(self) -> list[Round]:
        return [_Scatter(self.seed)]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: Any, partition: int
    ) -> Iterator[Document | Drop]:
        # The partition's own documents come back by their numbers, here or elsewhere.
        deque(documents, maxlen=0)
        for value in heapq.merge(*values):
            yield document_from_json(value[_HASH_BYTES:])
