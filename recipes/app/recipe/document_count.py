"""How many documents each source of an input holds: counted in a moment, or else estimated from what was read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from curate.document import Document
from curate.run.tasks import readable
from curate.run.unit import Pulse
from curate.sources import Partition
from curate.sources.content import size_of

FILES = 16
"""Files of a source of which documents are counted, spread over all."""


@dataclass
class SourceCount:
    """A source of the input: its bytes, how many documents it holds, counted or estimated by size, and their bytes."""

    size: int
    documents: int = 0
    unpacked: int = 0
    counted: bool = True


def partitions_by_source(partitions: Sequence[Partition]) -> dict[str, list[Partition]]:
    found: dict[str, list[Partition]] = {}
    for partition in partitions:
        found.setdefault(partition.source, []).append(partition)
    return found


class _Meter(Pulse):
    """Counts the bytes that are read."""

    size = 0

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        self.size += size


def counted_by_source(partitions: Sequence[Partition], seconds: float) -> dict[str, SourceCount]:
    """How many documents each source holds: what is not read within its share of the time is estimated by size."""
    sources = partitions_by_source(partitions)
    return {name: _count(members, seconds / len(sources)) for name, members in sources.items()}


def _count(partitions: Sequence[Partition], seconds: float) -> SourceCount:
    source = SourceCount(sum(map(size_or_nothing, partitions)))
    deadline = time.monotonic() + seconds
    documents = unpacked = size = 0
    for number, partition in enumerate(_interleaved(partitions)):
        now = time.monotonic()
        if now > deadline and size:
            source.counted = False
            break
        # Each file has its share of the time that is left.
        share = (deadline - now) / max(1, min(FILES, len(partitions)) - number)
        some, their_bytes, read, ended = _count_file(partition, now + share)
        documents, unpacked, size = documents + some, unpacked + their_bytes, size + read
        source.counted = source.counted and ended
    whole = 1 if source.counted else source.size / max(1, size)
    source.documents, source.unpacked = round(documents * whole), round(unpacked * whole)
    return source


def _count_file(partition: Partition, deadline: float) -> tuple[int, int, int, bool]:
    """How many documents, of how many bytes, so many bytes of a file hold; whether those are all."""
    meter = _Meter()
    documents = unpacked = size = 0
    begun: tuple[int, int, int] | None = None
    for item in readable(partition, pulse=meter):
        if meter.size > size:
            # One reader tells of a block before it yields what is in it, another afterwards: between two such moments
            # lies as much of the one as of the other.
            if begun is None:
                begun = (documents, unpacked, meter.size)
            elif time.monotonic() > deadline:
                return documents - begun[0], unpacked - begun[1], meter.size - begun[2], False
            size = meter.size
        if isinstance(item, Document):
            documents += 1
            unpacked += len(item.text if item.html is None else item.html)
    return documents, unpacked, size_or_nothing(partition), True


def cut_to(sources: dict[str, SourceCount], limit: int | None) -> None:
    """The first documents of all, in the order of the sources."""
    left = limit
    for source in sources.values():
        if left is not None:
            taken = min(source.documents, left)
            source.unpacked = source.unpacked * taken // max(1, source.documents)
            source.documents = taken
            left -= taken


def _interleaved(partitions: Sequence[Partition]) -> Iterator[Partition]:
    """Every input file once, in steps across the input, so that a count that ends early has seen all kinds."""
    step = max(1, len(partitions) // FILES)
    for begin in range(step):
        yield from partitions[begin::step]


def size_or_nothing(partition: Partition) -> int:
    with contextlib.suppress(OSError):
        return size_of(partition)
    return 0
