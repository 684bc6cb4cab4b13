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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from curate.run.tasks import Lot, Part, identity
from curate.run.unit import Outputs, Pulse, Unit
from curate.sources import Partition
from curate.sources.content import size_of

LEAST = 16
"""Files of a lot: fewer are units of their own, so that several workers share them."""

ONE_IN = 512
"""By the hash of its name, one file in so many is the last of its lot."""

MOST = 2048
"""Files of a lot, whatever their names."""

WORTH = 4 << 20
"""Bytes that are worth a unit: a lot that has so many ends."""


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


@dataclass
class ContentsTask(Unit):
    """The checksums of the files of one lot, which are not cut."""

    label: str
    partitions: tuple[Partition, ...]
    total: int

    def __post_init__(self) -> None:
        self._contents: list[str] = []

    @property
    def name(self) -> str:
        return f"inputs/{self.label}"

    @property
    def reads_input(self) -> bool:
        return True

    def size(self) -> int:
        return self.total

    def configuration(self) -> dict[str, Any]:
        self._contents = list(map(identity, self.partitions))
        return {"sources": [one.describe() for one in self.partitions], "contents": self._contents}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        pulse.count(size=self.total)
        return {"contents": self._contents}

    def expected(self) -> dict[str, Any]:
        return {**super().expected(), "contents": ["not read"] * len(self.partitions)}
