"""Candidates: classes of texts whose signatures share a band, and the tables in which all rounds of MinHash write.

Texts that share a *set* of shingles (and, under the guard, their figures) are one *class*: what holds of one member in
a comparison holds of all, so candidates and pairs are pairs of classes, and identical pages by the thousand cost one
comparison. A class has a *name*, the hash of its shingles and figures; its *order* says who survives, and is that of
its best member; its *key*, the order and half the name, identifies it where pairs are decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xxhash

from curate.dedup.shingles import Hashes
from curate.dedup.survivors import text_hash
from curate.dedup.tables import NAME, Layout, Table, begins, leading, range_of, shared
from curate.document import Document
from curate.step import Record, Round

if TYPE_CHECKING:
    from curate.dedup.minhash import MinHashDedup

ALL_PAIRS = 16
"""Classes of a bucket that are all compared with one another; in a larger one, each with the first few (who survive)
and with the few before it (texts of like length)."""

CENTRES = 8
NEIGHBOURS = 8

NOWHERE = (1 << 64) - 1
"""The place of a document that is in an index, not in the corpus."""

TEXT_HASH = 4
"""Bytes of the text's hash that follow the policy in a document's order."""

_WAITING_SHINGLES = 1 << 22
_WAITING_DOCUMENTS = 1 << 15


class Layouts:
    """The tables that travel between the rounds; widths follow from the survivor policy."""

    def __init__(self, order: int) -> None:
        self.order = f"S{order}"
        self.key = f"S{order + 8}"
        self.bands = Layout(b"b", (("band", "<u8"), ("name", NAME), ("order", self.order)))
        self.members = Layout(b"m", (("name", NAME), ("order", self.order), ("place", "<u8"), ("size", "<u4")), "u1")
        self.shingles = Layout(b"s", (("name", NAME), ("figures", "<u8"), ("size", "<u4")), "<u8")
        self.needs = Layout(b"n", (("later", NAME), ("earlier", NAME)))
        self.centres = Layout(b"c", (("name", NAME),))
        # Capitals sort first: centres are there before those that are compared with them.
        known = (("name", NAME), ("key", self.key), ("figures", "<u8"), ("count", "<u4"), ("size", "<u4"))
        self.known = Layout(b"K", known, "<u8")
        self.asking = Layout(b"a", (("centre", NAME), *known), "<u8")
        self.representatives = Layout(b"R", (("name", NAME), ("size", "<u4")), "u1")
        pair = (("later", self.key), ("earlier", self.key), ("similarity", "<f8"))
        self.pairs = Layout(b"p", (*pair, ("later_count", "<u4"), ("earlier_count", "<u4")))
        self.homes = Layout(b"h", (("key", self.key), ("home", self.key), ("size", "<u4")), "u1")
        outcome = (("key", self.key), ("home", self.key), ("similarity", "<f8"), ("count", "<u4"))
        self.outcomes = Layout(b"o", outcome)


_VERDICT = (
    ("place", "<u8"),
    ("kept", "u1"),
    ("similarity", "<f8"),
    ("count", "<u4"),
    ("cluster", "<u8"),
    ("size", "<u4"),
)
VERDICTS = Layout(b"v", _VERDICT, "u1")
"""What a partition learns of its documents; beside each that goes, the document key of its survivor."""


class TableRound(Round):
    """What the rounds share: how records are keyed, a count of what happened, and records that only pass through."""

    takes_documents = False
    takes_records = True
    passes = b""
    """What the keys begin with whose records the round hands on; the others `meet`."""

    def __init__(self, step: MinHashDedup) -> None:
        self.step = step
        self.layouts = step.layouts
        self.counts: Counter[str] = Counter()

    def notes(self) -> dict[str, int]:
        return dict(self.counts)

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        yield from records

    def reduce(self, key: bytes, values: Any) -> Iterator[Record]:
        if self.passes and key.startswith(self.passes):
            return ((key, value) for value in values)
        return self.meet(key, values)

    def meet(self, key: bytes, values: Any) -> Iterator[Record]:
        raise NotImplementedError

    def send(self, stage: bytes, table: Table, names: npt.NDArray[Any]) -> Iterator[Record]:
        """The rows of a table to the ranges that their names fall into."""
        for number, part in table.cut(range_of(leading(names), self.step.ranges)):
            yield stage + number.to_bytes(2, "big"), part.pack()


class Band(TableRound):
    """Classes that share a band of their signatures become candidates; members and shingles pass through.

    Under the guard the figures of a text are part of every band's key: texts whose figures differ never meet.
    """

    name = "band"
    takes_documents = True
    takes_records = False
    passes = b"c"

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        yield from self.sketches(documents, b"\x01")

    def sketches(self, documents: Iterable[tuple[int, Document]], standing: bytes) -> Iterator[Record]:
        """The bands, members and shingles of documents; `standing` comes first in the order of who survives."""
        sketcher, policy = self.step.sketcher, self.step.policy
        waiting = _Waiting()
        for place, document in documents:
            if document.protected:
                continue
            found = sketcher.sketch(document.text)
            if found is None:
                continue
            order = standing + policy(document) + text_hash(document.text)[:TEXT_HASH]
            waiting.add(*found, order, place, document.key.encode("utf-8", "surrogatepass"))
            if waiting.shingles > _WAITING_SHINGLES or len(waiting.keys) > _WAITING_DOCUMENTS:
                yield from self.flush(waiting)
                waiting = _Waiting()
        yield from self.flush(waiting)

    def flush(self, waiting: _Waiting) -> Iterator[Record]:
        if not waiting.keys:
            return
        layouts, step = self.layouts, self.step
        names = np.frombuffer(b"".join(waiting.names), NAME)
        orders = np.frombuffer(b"".join(waiting.orders), layouts.order)
        members = layouts.members.build(
            np.frombuffer(b"".join(waiting.keys), "u1"),
            name=names,
            order=orders,
            place=np.array(waiting.places, np.uint64),
            size=[len(key) for key in waiting.keys],
        )
        yield from self.send(b"c", members, names)
        first = np.array(waiting.classes)
        names = names[first]
        figures = np.array([waiting.figures[place] for place in first], np.uint64)
        sets = layouts.shingles.build(
            np.concatenate(waiting.sets), name=names, figures=figures, size=[len(one) for one in waiting.sets]
        )
        yield from self.send(b"c", sets, names)
        keys = step.sketcher.band_keys(step.sketcher.signatures(waiting.sets), figures)
        best = np.frombuffer(b"".join(waiting.best.values()), layouts.order)
        bands = layouts.bands.build(
            band=keys.reshape(-1), name=np.repeat(names, step.bands), order=np.repeat(best, step.bands)
        )
        for number, part in bands.cut(range_of(bands["band"], step.ranges)):
            yield b"b" + number.to_bytes(2, "big"), part.pack()

    def meet(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        index = self.step.opened_index
        more = index.bands(int.from_bytes(key[1:], "big"), self.layouts.bands) if index else []
        needs = self.candidates(self.layouts.bands.gather(values, more))
        yield from self.send(b"c", needs, needs["later"])
        names = np.unique(needs["earlier"])
        yield from self.send(b"c", self.layouts.centres.build(name=names), names)

    def candidates(self, bands: Table) -> Table:
        """Pairs of classes within the buckets of one range: linear in the size of a bucket, however large it is."""
        order = np.argsort(bands["band"])
        rows = bands.take(order[shared(bands["band"][order])])
        # A class comes once from each batch of documents; its best member speaks for it.
        order = np.lexsort((rows["order"], rows["name"], rows["band"]))
        order = order[begins(rows["band"][order], rows["name"][order])]
        hashes, names, orders = rows["band"][order], rows["name"][order], rows["order"][order]
        order = np.lexsort((names, orders, hashes))
        hashes, names, orders = hashes[order], names[order], orders[order]
        starts = np.flatnonzero(begins(hashes))
        sizes = np.diff(np.append(starts, len(hashes)))
        begin, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
        place = np.arange(len(hashes)) - begin
        later, earlier = [], []
        for distance in range(1, ALL_PAIRS):
            meets = (place >= distance) & ((size <= ALL_PAIRS) | (distance <= NEIGHBOURS))
            found = np.flatnonzero(meets)
            later.append(found)
            earlier.append(found - distance)
        for centre in range(CENTRES):
            found = np.flatnonzero((size > ALL_PAIRS) & (place - centre > NEIGHBOURS))
            later.append(found)
            earlier.append(begin[found] + centre)
        a, b = np.concatenate(later), np.concatenate(earlier)
        # An index was deduplicated when it was made: its documents are only compared with new ones.
        new = orders.view("u1").reshape(len(orders), -1)[a, 0] > 0 if len(a) else np.empty(0, bool)
        self.count(sizes, len(a))
        return self.layouts.needs.build(later=names[a[new]], earlier=names[b[new]])

    def count(self, sizes: npt.NDArray[Any], compared: int) -> None:
        large = sizes[sizes > ALL_PAIRS]
        every = int((sizes * (sizes - 1) // 2).sum())
        self.counts["buckets"] += int((sizes > 1).sum())
        self.counts["large_buckets"] += len(large)
        self.counts["pairs_left_out"] += every - compared
        self.counts["largest_bucket"] = max(self.counts["largest_bucket"], int(sizes.max(initial=0)))


class _Waiting:
    """Sketches of some documents, until there are enough for arrays; copies among them share one."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.orders: list[bytes] = []
        self.places: list[int] = []
        self.keys: list[bytes] = []
        self.figures: list[int] = []
        self.best: dict[bytes, bytes] = {}
        self.classes: list[int] = []
        self.sets: list[Hashes] = []
        self.shingles = 0

    def add(self, shingles: Hashes, figures: bytes, order: bytes, place: int, key: bytes) -> None:
        name = xxhash.xxh3_128_digest(shingles.astype("<u8", copy=False).tobytes() + figures)
        known = self.best.get(name)
        if known is None:
            self.classes.append(len(self.names))
            self.sets.append(shingles)
            self.shingles += len(shingles)
        if known is None or order < known:
            self.best[name] = order
        self.names.append(name)
        self.orders.append(order)
        self.places.append(place)
        self.keys.append(key)
        self.figures.append(xxhash.xxh3_64_intdigest(figures))
