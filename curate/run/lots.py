"""Lots: consecutive small files of one input are one unit of work, until a unit is worth what it costs.

A unit writes a dozen files of its own on its way through a run (checksums, documents, events, records, manifests), and
waits for the disk at each: more than a file of one line takes. So the files of a lot share them. What is published
stays one file for each input file, and every file keeps its number, its part and its place in the rounds.

Where a lot ends follows from the names of its files, not from how many came before: a file that is added or removed
changes its own lot, at most the next one, and no other.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from curate.sources import Partition, Piece
from curate.sources.content import size_of
from curate.sources.steady import Stamp

LEAST = 16
"""Files of a lot: fewer are units of their own, so that several workers share them."""

ONE_IN = 512
"""By the hash of its name, one file in so many is the last of its lot."""

MOST = 2048
"""Files of a lot, whatever their names."""

WORTH = 4 << 20
"""Bytes that are worth a unit: a lot that has so many ends."""


@dataclass(frozen=True)
class Part:
    """One piece of one input file, as the stages see it. `label` names it in the folder, `number` counts all parts;
    `lot` is the label of the lot that it is in, if of several files, and `size` then its bytes.

    `taken` are the numbers of those of its documents that are read, in a run over a sample; None: all.
    """

    number: int
    label: str
    partition: Partition
    piece: Piece
    partition_number: int
    content: str
    lot: str = ""
    size: int = 0
    stamp: Stamp | None = None
    taken: tuple[int, ...] | None = None

    @property
    def whole_key(self) -> str:
        """Names all that the part holds, where it is lost as a whole."""
        return f"{self.partition.prefix}@{self.piece.start}/file"

    @property
    def extent(self) -> int:
        """Bytes of the input that it covers. Raises OSError."""
        if self.lot:
            return self.size
        return (size_of(self.partition) if self.piece.end is None else self.piece.end) - self.piece.start


@dataclass(frozen=True)
class Lot:
    """What one unit works on: a part, under its label, or several consecutive parts that are small files."""

    label: str
    parts: tuple[Part, ...]

    @property
    def many(self) -> bool:
        return len(self.parts) > 1

    @property
    def source(self) -> str:
        """The source of all its files."""
        return self.parts[0].partition.source


def sizes_of(partitions: Sequence[Partition]) -> list[int]:
    """Bytes of each; 0 for one that cannot be asked, which its own unit finds out."""
    sizes = []
    for partition in partitions:
        size = 0
        with contextlib.suppress(OSError):
            size = size_of(partition)
        sizes.append(size)
    return sizes


def in_lots(partitions: Sequence[Partition], sizes: Sequence[int], split: int) -> list[list[int]]:
    """The numbers of the partitions, in order, by lot. A file that could be cut (`split` bytes) is alone, as pages are,
    of which many are one partition."""
    lots: list[list[int]] = []
    lot: list[int] = []
    size = 0
    # Whether the lot before this one is of the same row of small files.
    follows = False
    for number, partition in enumerate(partitions):
        alone = bool(partition.files) or partition.dataset is not None or sizes[number] >= _large(split)
        if lot and (alone or partition.source != partitions[lot[0]].source):
            _close(lots, lot, follows)
            lot, size, follows = [], 0, False
        if alone:
            lots.append([number])
            follows = False
            continue
        lot.append(number)
        size += sizes[number]
        if len(lot) == MOST or size >= WORTH or (len(lot) >= LEAST and _ends(partition)):
            _close(lots, lot, follows)
            lot, size, follows = [], 0, True
    _close(lots, lot, follows)
    return lots


def _large(split: int) -> int:
    return min(WORTH // 4, 2 * split) if split else WORTH // 4


def _ends(partition: Partition) -> bool:
    return xxhash.xxh3_64_intdigest(partition.prefix.encode("utf-8", "surrogatepass")) % ONE_IN == 0


def _close(lots: list[list[int]], lot: list[int], follows: bool) -> None:
    """Few files go to the lot before them, or else are units of their own."""
    if len(lot) >= LEAST:
        lots.append(lot)
    elif follows and len(lots[-1]) >= LEAST:
        lots[-1] += lot
    else:
        lots += [[number] for number in lot]


def lots_of(parts: Sequence[Part]) -> list[Lot]:
    """What the units of the stages work on: each part alone, or those of a lot together."""
    grouped = itertools.groupby(parts, key=lambda part: part.lot or part.label)
    return [Lot(label, tuple(members)) for label, members in grouped]


def by_turns(documents: Iterable[Any], counts: Iterable[int]) -> Iterator[Iterator[Any]]:
    """What several files hold, one after the other in one stream: an iterator for each."""
    stream = iter(documents)
    for count in counts:
        own = itertools.islice(stream, count)
        yield own
        # A reader may stop before the end of its file.
        deque(own, maxlen=0)
