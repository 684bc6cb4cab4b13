"""A sample of an input: documents spread over all its files by a draw with a seed, of which only the pieces are read
that they lie in.

Every document has the same chance, whatever file it lies in and however that is compressed. Where reading can begin
anywhere (WARC with a member for each record, plain files), windows of equally many bytes are drawn over all files, and
a document is in a window when it begins there. Other files (one gzip stream, row groups of Parquet, a folder of pages)
are drawn as a whole, each with the same chance, and read to their end. Of a data set of the hub only the beginning is
read: nobody says how long it is.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import xxhash

from curate.document import Document
from curate.run.lots import Part
from curate.run.stage_outputs import label_of
from curate.run.tasks import readable
from curate.sources import WHOLE, Partition, Piece
from curate.sources.content import size_of
from curate.sources.parquet import row_group_starts
from curate.sources.split import piece_between

SEED = 20

WINDOWS = 64
"""Windows that are drawn over the files in which reading can begin anywhere."""

LEAST = 1 << 14
"""Bytes of the first windows that are tried; of a smaller file all is read."""

BUDGET = 64 << 20
"""Bytes of files (or row groups) that are read whole, beyond the least number of them."""

MORE = 1.25
"""How many more documents are looked at than are wanted, so that there are enough."""


@dataclass(frozen=True)
class Sample:
    """The input files that a sample is drawn from, their drawn parts, whether these hold every document, how many
    documents the pieces hold that were read for it, and the bytes of the drawn documents of each part."""

    partitions: list[Partition]
    parts: list[Part]
    whole: bool = False
    looked_at: int = 0
    sizes: dict[str, dict[int, int]] = field(default_factory=dict)

    @property
    def documents(self) -> int:
        return sum(len(part.taken or ()) for part in self.parts)


@dataclass
class _Read:
    """A piece that was looked at: how many documents it holds, and a digest of them."""

    partition: int
    piece: Piece
    documents: int = 0
    content: str = ""
    chosen: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def draw(
    partitions: Sequence[Partition], wanted: int, seed: int = SEED, windows: int = WINDOWS, beginnings: bool = False
) -> Sample:
    """A sample of `wanted` documents, the same for the same input; all where the input has no more. It lies in
    `windows` places or, where files are read whole, in at least a quarter as many files; with `beginnings` only as many
    documents of such a file are read, its first, as are wanted of all. Raises OSError."""
    looked = _Looked(partitions, wanted, Random(seed), windows, beginnings)
    more = MORE
    while True:
        chosen = looked.chosen(more)
        if len(chosen) >= wanted or looked.whole or more > 64:
            break
        more *= 2
    if len(chosen) > wanted:
        chosen = Random(seed).sample(chosen, wanted)
        whole = False
    else:
        whole = looked.whole
    for read, number in chosen:
        read.chosen.append(number)
    used = [read for read in looked.reads if read.chosen]
    return replace(_sample(partitions, used, whole), looked_at=sum(read.documents for read in used))


def thinned(sample: Sample, wanted: int, seed: int = SEED) -> Sample:
    """A part of a sample."""
    every = [(place, number) for place, part in enumerate(sample.parts) for number in part.taken or ()]
    kept = set(Random(seed).sample(every, min(wanted, len(every))))
    parts: list[Part] = []
    for place, part in enumerate(sample.parts):
        if taken := tuple(number for number in part.taken or () if (place, number) in kept):
            parts.append(replace(part, number=len(parts), taken=taken))
    return replace(_renumbered(sample.partitions, parts), looked_at=sample.looked_at, sizes=sample.sizes)


def joined(samples: Sequence[Sample]) -> Sample:
    """Samples of several inputs, in their order, as one."""
    partitions: list[Partition] = []
    parts: list[Part] = []
    for sample in samples:
        for part in sample.parts:
            number = part.partition_number + len(partitions)
            parts.append(replace(part, number=len(parts), partition_number=number))
        partitions += sample.partitions
    looked_at = sum(sample.looked_at for sample in samples)
    sizes = {label: known for sample in samples for label, known in sample.sizes.items()}
    return Sample(partitions, parts, all(sample.whole for sample in samples), looked_at, sizes)


class _Looked:
    """What was read of the input to draw from it."""

    def __init__(
        self, partitions: Sequence[Partition], wanted: int, random: Random, windows: int, beginnings: bool
    ) -> None:
        self._beginnings = beginnings
        self._cut_short = False
        self._partitions, self._wanted, self._random, self._number = partitions, wanted, random, windows
        sizes = [_size(one) for one in partitions]
        self._anywhere = [
            place for place, size in enumerate(sizes) if size > LEAST and _is_open(partitions[place], size)
        ]
        self._sizes = [sizes[place] for place in self._anywhere]
        self._width = LEAST
        self._windows: list[_Read] = []
        self._share = 0.0
        self._clusters = list(self._as_clusters(sizes))
        random.shuffle(self._clusters)
        self._read: list[_Read] = []
        self._start = random.random()
        self._look(windows // 4, BUDGET)
        self._slide()

    @property
    def reads(self) -> list[_Read]:
        return [*self._windows, *self._read]

    @property
    def whole(self) -> bool:
        """Whether all documents of the input were seen."""
        every = len(self._read) == len(self._clusters) and (not self._anywhere or self._share >= 1)
        return every and not self._cut_short

    def chosen(self, more: float) -> list[tuple[_Read, int]]:
        """Documents with equal chances: `more` times as many as are wanted, of all that the input seems to hold."""
        share = 1.0
        for _ in range(4):
            share = min(1.0, more * self._wanted / max(1.0, self._estimate()))
            self._look(round(share * len(self._clusters) + 0.5), 0)
            if not self._anywhere or self._share >= share:
                break
            self._width = round(self._width * max(1.1, share / self._share))
            self._slide()
        found = []
        for reads, seen in ((self._windows, self._share), (self._read, self._read_share())):
            thin = min(1.0, share / seen) if seen else 0.0
            found += [
                (read, number) for read in reads for number in range(read.documents) if self._random.random() < thin
            ]
        return found

    def _estimate(self) -> float:
        """Documents of the whole input."""
        windows = sum(read.documents for read in self._windows) / (self._share or 1)
        return windows + sum(read.documents for read in self._read) / (self._read_share() or 1)

    def _read_share(self) -> float:
        return len(self._read) / len(self._clusters) if self._clusters else 0.0

    def _as_clusters(self, sizes: Sequence[int]) -> Iterator[tuple[int, Piece, int]]:
        anywhere = set(self._anywhere)
        for place, (partition, size) in enumerate(zip(self._partitions, sizes, strict=True)):
            if place in anywhere:
                continue
            starts: list[tuple[int, int]] = []
            if partition.format == "parquet":
                with contextlib.suppress(OSError):
                    starts = row_group_starts(partition)
            bounds = [(0, 0), *starts]
            ends = [start for start, _ in starts] + [None]
            for (start, position), end in zip(bounds, ends, strict=True):
                piece = Piece(start, end, position) if starts else WHOLE
                yield place, piece, (size if end is None else end) - start

    def _look(self, least: int, budget: int) -> None:
        """Read more of the files that are read whole: so many, and so many bytes."""
        spent = sum(size for _, _, size in self._clusters[: len(self._read)])
        for place, piece, size in self._clusters[len(self._read) :]:
            if len(self._read) >= least and spent + size > budget:
                return
            spent += size
            self._read.append(self._count(place, piece, self._wanted if self._beginnings else None))

    def _slide(self) -> None:
        """Read all windows of the present width."""
        total = sum(self._sizes)
        if not total:
            return
        step = total / self._number
        self._windows = []
        self._share = min(1.0, self._width / step)
        if self._share == 1.0:
            # They touch: everything is read.
            self._windows = [self._count(place, WHOLE) for place in self._anywhere]
            return
        for number in range(self._number):
            begin = int((number + self._start) * step) % total
            end = begin + self._width
            # The bytes are a ring: those at its seam are in as many windows as others.
            for bounds in [(begin, min(end, total)), (0, end - total)]:
                for place, start, until in self._within(*bounds):
                    piece = piece_between(self._partitions[place], start, until)
                    if piece is not None:
                        self._windows.append(self._count(place, piece))

    def _within(self, begin: int, end: int) -> Iterator[tuple[int, int, int | None]]:
        """The ranges of files that a range of all their bytes, in order, covers; None: to the file's end."""
        ends = list(itertools.accumulate(self._sizes))
        for place, size, after in zip(self._anywhere, self._sizes, ends, strict=True):
            before = after - size
            if before < end and begin < after:
                yield place, max(0, begin - before), None if end >= after else end - before

    def _count(self, place: int, piece: Piece, most: int | None = None) -> _Read:
        """What a piece holds; of a data set of the hub, and where `most` says so, as far as it is looked at."""
        partition = self._partitions[place]
        most = self._wanted if partition.dataset is not None else most
        read, digest = _Read(place, piece), xxhash.xxh3_128()
        for item in readable(partition, piece):
            if isinstance(item, Document):
                digest.update(item.key.encode("utf-8", "replace"))
                content = item.html if item.html is not None else item.text.encode("utf-8", "replace")
                digest.update(content)
                read.sizes.append(len(content))
                read.documents += 1
                if read.documents == most:
                    self._cut_short = True
                    break
        read.content = digest.hexdigest()
        return read


def _size(partition: Partition) -> int:
    with contextlib.suppress(OSError):
        return size_of(partition)
    return 0


def _is_open(partition: Partition, size: int) -> bool:
    """Whether reading can begin anywhere in a file."""
    if partition.files or partition.dataset is not None:
        return False
    with contextlib.suppress(OSError):
        return piece_between(partition, size // 2, None) is not None
    return False


def _sample(partitions: Sequence[Partition], reads: list[_Read], whole: bool) -> Sample:
    reads.sort(key=lambda read: (read.partition, read.piece.start))
    parts: list[Part] = []
    sizes: dict[str, dict[int, int]] = {}
    for place, group in itertools.groupby(reads, lambda read: read.partition):
        label = label_of(partitions[place])
        for number, read in enumerate(group):
            taken = tuple(sorted(read.chosen))
            name = f"{label}.{number:05d}"
            sizes[name] = {one: read.sizes[one] for one in taken}
            parts.append(Part(len(parts), name, partitions[place], read.piece, place, read.content, taken=taken))
    return replace(_renumbered(list(partitions), parts, whole), sizes=sizes)


def _renumbered(partitions: list[Partition], parts: list[Part], whole: bool = False) -> Sample:
    """With those input files alone that parts lie in."""
    used = sorted({part.partition_number for part in parts})
    numbers = {old: new for new, old in enumerate(used)}
    parts = [replace(part, partition_number=numbers[part.partition_number]) for part in parts]
    return Sample([partitions[place] for place in used], parts, whole)
