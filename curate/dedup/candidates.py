"""Near-duplicates in five rounds; of these here the first, which pairs classes whose signatures share a band.

Texts that share a *set* of shingles (and, under the guard, their figures) are one *class*: what holds of one member in
a comparison holds of all, so candidates are pairs of classes, and identical pages by the thousand cost one comparison.
Records are tables (layouts.py), keyed by a range of hashes: of a band's (b), or of a class's name (c, v, m).

    round    reads, by key               and emits, by key
    band     documents                   bands (b); members, shingles of their classes (c)
             b: bands                    candidates to the later class, the name of the earlier class (c)
             c                           as it came
    gather   c: candidates, earlier,     members of classes with copies or candidates (m); of each candidate pair both
                members, shingles        sets of shingles to the earlier class: survivors, duplicates (v)
    verify   v: survivors, duplicates    pairs, by true similarity, all to one key (p); verified: each pair to the later
                                         class, with its survivor's document key (m)
             m                           as it came
    cluster  p: pairs                    outcomes: of each class with a pair, its survivor or itself (m)
             m                           as it came
    verdict  m: members, verified,       verdicts, to the partition of each duplicate and of each survivor
                outcomes
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from curate.dedup.layouts import TEXT_HASH
from curate.dedup.search import Search
from curate.dedup.shingles import Hashes
from curate.dedup.survivors import text_hash
from curate.dedup.tables import NAME, Table, begins, leading, range_of, shared
from curate.document import Document
from curate.step import Record, Round

ALL_PAIRS = 16
"""Classes of a bucket that are all compared with one another. In a larger bucket each is compared with the first
`FIRST` in survivor order and with the `NEIGHBOURS` before it, texts of like length."""

FIRST = 8
NEIGHBOURS = 8

_BATCH_SHINGLES = 1 << 22
_BATCH_DOCUMENTS = 1 << 15


class TableRound(Round):
    """A round whose records are tables: how they are keyed, counts for the summary, and keys that only pass through."""

    takes_documents = False
    takes_records = True
    passes = b""
    """What keys begin with whose records the round hands on as they came; `reduce_tables` reduces all others."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.layouts = search.layouts
        self.counts: Counter[str] = Counter()

    def notes(self) -> dict[str, int]:
        return dict(self.counts)

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        yield from records

    def reduce(self, key: bytes, values: Any) -> Iterator[Record]:
        if self.passes and key.startswith(self.passes):
            return ((key, value) for value in values)
        return self.reduce_tables(key, values)

    def reduce_tables(self, key: bytes, values: Any) -> Iterator[Record]:
        raise NotImplementedError

    def send(self, stage: bytes, table: Table, hashes: npt.NDArray[np.uint64]) -> Iterator[Record]:
        """The rows of a table, each to the range of its hash."""
        for number, part in table.cut(range_of(hashes, self.search.ranges)):
            yield stage + number.to_bytes(2, "big"), part.pack()


class BandRound(TableRound):
    """Pairs the classes that share a band of their signatures: candidates. Members and shingles pass through.

    Under the guard a text's figures are part of every band's key, so texts whose figures differ share none.
    """

    name = "band"
    takes_documents = True
    takes_records = False
    passes = b"c"

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        yield from self.sketches(documents, b"\x01")

    def sketches(self, documents: Iterable[tuple[int, Document]], rank: bytes) -> Iterator[Record]:
        """The bands, members and shingles of documents; `rank`, one byte, comes first in their survivor order."""
        sketcher, policy = self.search.sketcher, self.search.policy
        batch = Batch()
        for place, document in documents:
            if document.protected:
                continue
            sketch = sketcher.sketch(document.text)
            if sketch is None:
                continue
            order = rank + policy(document) + text_hash(document.text)[:TEXT_HASH]
            batch.add(*sketch, order, place, document.key.encode("utf-8", "surrogatepass"))
            if batch.shingles > _BATCH_SHINGLES or len(batch.keys) > _BATCH_DOCUMENTS:
                yield from self.flush(batch)
                batch = Batch()
        yield from self.flush(batch)

    def flush(self, batch: Batch) -> Iterator[Record]:
        if not batch.keys:
            return
        layouts, sketcher = self.layouts, self.search.sketcher
        names = np.frombuffer(b"".join(batch.names), NAME)
        members = layouts.members.build(
            np.frombuffer(b"".join(batch.keys), "u1"),
            name=names,
            order=np.frombuffer(b"".join(batch.orders), layouts.order),
            place=np.array(batch.places, np.uint64),
            size=[len(key) for key in batch.keys],
        )
        yield from self.send(b"c", members, leading(names))
        first = np.array(batch.first)
        names = names[first]
        figures = np.array([batch.figures[row] for row in first], np.uint64)
        sets = layouts.shingles.build(
            np.concatenate(batch.sets), name=names, figures=figures, size=[len(one) for one in batch.sets]
        )
        yield from self.send(b"c", sets, leading(names))
        keys = sketcher.band_keys(sketcher.signatures(batch.sets), figures)
        best = np.frombuffer(b"".join(batch.best.values()), layouts.order)
        bands = layouts.bands.build(
            band=keys.reshape(-1), name=np.repeat(names, sketcher.bands), order=np.repeat(best, sketcher.bands)
        )
        yield from self.send(b"b", bands, bands["band"])

    def reduce_tables(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        index = self.search.index
        indexed = index.bands(int.from_bytes(key[1:], "big"), self.layouts.bands) if index else []
        candidates = self.candidates(self.layouts.bands.gather(values, indexed))
        yield from self.send(b"c", candidates, leading(candidates["later"]))
        earlier = np.unique(candidates["earlier"])
        yield from self.send(b"c", self.layouts.earlier.build(name=earlier), leading(earlier))

    def candidates(self, bands: Table) -> Table:
        """Pairs of classes within the buckets of one range: linear in the size of a bucket, however large it is."""
        order = np.argsort(bands["band"])
        rows = bands.take(order[shared(bands["band"][order])])
        # Each batch of documents has a row for a class: the one of the best member counts.
        order = np.lexsort((rows["order"], rows["name"], rows["band"]))
        order = order[begins(rows["band"][order], rows["name"][order])]
        hashes, names, orders = rows["band"][order], rows["name"][order], rows["order"][order]
        order = np.lexsort((names, orders, hashes))
        hashes, names, orders = hashes[order], names[order], orders[order]
        starts = np.flatnonzero(begins(hashes))
        sizes = np.diff(np.append(starts, len(hashes)))
        # Of each class: its bucket's first row and size, and its place in the bucket, in survivor order.
        start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
        place = np.arange(len(hashes)) - start
        later, earlier = [], []
        for distance in range(1, ALL_PAIRS):
            rows_with_one = (place >= distance) & ((size <= ALL_PAIRS) | (distance <= NEIGHBOURS))
            later.append(np.flatnonzero(rows_with_one))
            earlier.append(later[-1] - distance)
        for first in range(FIRST):
            later.append(np.flatnonzero((size > ALL_PAIRS) & (place - first > NEIGHBOURS)))
            earlier.append(start[later[-1]] + first)
        a, b = np.concatenate(later), np.concatenate(earlier)
        # An index was deduplicated when it was made: its documents are only compared with new ones.
        new = orders.view("u1").reshape(len(orders), -1)[a, 0] > 0 if len(a) else np.empty(0, bool)
        self.count(sizes, len(a))
        return self.layouts.candidates.build(later=names[a[new]], earlier=names[b[new]])

    def count(self, sizes: npt.NDArray[Any], compared: int) -> None:
        large = sizes[sizes > ALL_PAIRS]
        every = int((sizes * (sizes - 1) // 2).sum())
        self.counts["buckets"] += int((sizes > 1).sum())
        self.counts["large_buckets"] += len(large)
        self.counts["pairs_left_out"] += every - compared
        self.counts["largest_bucket"] = max(self.counts["largest_bucket"], int(sizes.max(initial=0)))


class Batch:
    """Sketches of some documents, as many as arrays pay for; documents of one class share its set of shingles.

    For each document: `names` (of its class), `orders`, `places`, `keys`, `figures`. For each class, in order of its
    first document: the number of that document (`first`), its set of shingles, and the best of its orders.
    """

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.orders: list[bytes] = []
        self.places: list[int] = []
        self.keys: list[bytes] = []
        self.figures: list[int] = []
        self.first: list[int] = []
        self.sets: list[Hashes] = []
        self.best: dict[bytes, bytes] = {}
        self.shingles = 0

    def add(self, shingles: Hashes, figures: bytes, order: bytes, place: int, key: bytes) -> None:
        name = xxhash.xxh3_128_digest(shingles.astype("<u8", copy=False).tobytes() + figures)
        best = self.best.get(name)
        if best is None:
            self.first.append(len(self.names))
            self.sets.append(shingles)
            self.shingles += len(shingles)
        if best is None or order < best:
            self.best[name] = order
        self.names.append(name)
        self.orders.append(order)
        self.places.append(place)
        self.keys.append(key)
        self.figures.append(xxhash.xxh3_64_intdigest(figures))
