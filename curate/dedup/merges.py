"""Verified merges, the last four rounds: pairs gathered and verified, clusters decided, verdicts sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curate.dedup.candidates import TableRound
from curate.dedup.clusters import cluster
from curate.dedup.layouts import HALF_NAME, NOWHERE, VERDICTS, halves
from curate.dedup.shingles import common
from curate.dedup.tables import NAME, Layout, Table, begins, find, joined, leading
from curate.step import Record, partition_key

_PORTION = 1 << 22
"""Shingles that are sent together; a longer text alone."""


class GatherRound(TableRound):
    """Sends both sets of shingles of each candidate pair to one place: the range of the earlier class.

    A class without candidates and without copies ends here: its document survives.
    """

    name = "gather"

    def reduce_tables(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        candidates = self.layouts.candidates.gather(values)
        pairs = np.unique(joined(candidates["later"], candidates["earlier"])).view([("later", NAME), ("earlier", NAME)])
        self.counts["candidates"] += len(pairs)
        earlier = np.unique(self.layouts.earlier.gather(values)["name"])
        classes, shingles = self.classes(key, values, earlier)
        yield from self.members(key, classes, pairs, earlier)
        yield from self.survivors(key, classes, shingles, earlier)
        yield from self.duplicates(classes, shingles, pairs)

    def classes(self, key: bytes, values: list[bytes], earlier: npt.NDArray[Any]) -> tuple[Classes, Table]:
        """All classes of this range, and one set of shingles for each, by name.

        Of an index, those that are in the corpus too or are the earlier one of a candidate pair.
        """
        members, shingles = self.layouts.members.gather(values), self.layouts.shingles.gather(values)
        index = self.search.index
        if index:
            wanted = np.union1d(earlier, members["name"])
            indexed_members, indexed = index.classes(int.from_bytes(key[1:], "big"), self.layouts, wanted)
            members = self.layouts.members.gather([], [members, indexed_members])
            shingles = self.layouts.shingles.gather([], [shingles, indexed])
        # A class has a set of shingles from each batch of documents it is in, all the same.
        _, first = np.unique(shingles["name"], return_index=True)
        return in_classes(members), shingles.take(first)

    def members(
        self, key: bytes, classes: Classes, pairs: npt.NDArray[Any], earlier: npt.NDArray[Any]
    ) -> Iterator[Record]:
        """Members of classes with several documents or with candidates, for the verdicts; they stay in their range."""
        later = np.ascontiguousarray(pairs["later"])
        clustered = (classes.counts > 1) | np.isin(classes.names, later) | np.isin(classes.names, earlier)
        members = classes.members.take(np.repeat(clustered, classes.counts))
        if len(members):
            yield b"m" + key[1:], members.pack()

    def survivors(self, key: bytes, classes: Classes, shingles: Table, earlier: npt.NDArray[Any]) -> Iterator[Record]:
        """The earlier class of each candidate pair, and its best member's document key; both stay in their range."""
        if not len(earlier):
            return
        yield b"v" + key[1:], classes.compared(self.layouts.survivors, earlier, shingles).pack()
        best = classes.members.take(classes.starts[find(earlier, classes.names)])
        documents = self.layouts.survivor_documents.build(best.payload, name=earlier, size=best["size"])
        yield b"v" + key[1:], documents.pack()

    def duplicates(self, classes: Classes, shingles: Table, pairs: npt.NDArray[Any]) -> Iterator[Record]:
        """The later class of each candidate pair, sent to the earlier one, in portions that fit memory."""
        later, earlier = np.ascontiguousarray(pairs["later"]), np.ascontiguousarray(pairs["earlier"])
        for some in _portions(shingles["size"][find(later, shingles["name"])]):
            duplicates = classes.compared(self.layouts.duplicates, later[some], shingles, survivor=earlier[some])
            yield from self.send(b"v", duplicates, leading(earlier[some]))


def _portions(sizes: npt.NDArray[Any]) -> Iterator[slice]:
    """Stretches of rows whose items fit memory together, or are those of one row."""
    ends = np.cumsum(sizes, dtype=np.int64)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PORTION, "right")))
        yield slice(start, stop)
        start = stop


class Classes(NamedTuple):
    """Members by class, the best of each class first (by order, then by document key). Of each class: the row of that
    member, the number of members, the name and the key; sorted by name."""

    members: Table
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    names: npt.NDArray[Any]
    keys: npt.NDArray[Any]

    def compared(self, layout: Layout, names: npt.NDArray[Any], shingles: Table, **columns: Any) -> Table:
        """A table of what a comparison needs of the classes with these names, and more columns."""
        at = find(names, self.names)
        sets = shingles.take(find(names, shingles["name"]))
        columns |= {"name": names, "key": self.keys[at], "count": self.counts[at]}
        return layout.build(sets.payload, figures=sets["figures"], size=sets["size"], **columns)


def in_classes(members: Table) -> Classes:
    order = np.lexsort((members["place"], members["order"], members["name"]))
    members = members.take(order)
    names, orders = members["name"], members["order"]
    starts = np.flatnonzero(begins(names))
    counts = np.diff(np.append(starts, len(members)))
    ends = members.ends()
    swaps = np.arange(len(members))
    several = starts[counts > 1]
    for start, stop in zip(several.tolist(), (several + counts[counts > 1]).tolist(), strict=True):
        tied = start + 1
        while tied < stop and orders[tied] == orders[start]:
            tied += 1
        if tied > start + 1:
            best = min(range(start, tied), key=lambda row: members.items(row, ends).tobytes())
            swaps[start], swaps[best] = best, start
    # Members that were swapped have the same order, so the key of a class is that of either.
    keys = joined(orders[starts], np.ascontiguousarray(names[starts]).view(HALF_NAME)[::2])
    return Classes(members.take(swaps), starts, counts, names[starts], keys)


class VerifyRound(TableRound):
    """Compares both sets of shingles of each candidate pair; a pair that is not similar enough ends here."""

    name = "verify"
    streams = True
    passes = b"m"

    def reduce_tables(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        survivors, documents = layouts.survivors.empty(), layouts.survivor_documents.empty()
        waiting: list[bytes] = []
        size = 0
        for value in values:
            # One table of survivors and one of their document keys, in the same order, sort before all duplicates.
            if value[:1] == layouts.survivors.kind:
                survivors = layouts.survivors.unpack(value)
            elif value[:1] == layouts.survivor_documents.kind:
                documents = layouts.survivor_documents.unpack(value)
            else:
                # Duplicates come in small tables, one from each range: many at once, as far as memory allows.
                waiting.append(value)
                size += len(value)
                if size > 8 * _PORTION:
                    yield from self.verified(survivors, documents, layouts.duplicates.gather(waiting))
                    waiting, size = [], 0
        if waiting:
            yield from self.verified(survivors, documents, layouts.duplicates.gather(waiting))

    def verified(self, survivors: Table, documents: Table, duplicates: Table) -> Iterator[Record]:
        layouts = self.layouts
        at = find(duplicates["survivor"], survivors["name"])
        order = np.argsort(at, kind="stable")
        duplicates, at = duplicates.take(order), at[order]
        similarity = self.similarity(survivors, duplicates, at)
        merges = (similarity >= self.search.threshold) & (duplicates["figures"] == survivors["figures"][at])
        self.counts["verified"] += int(merges.sum())
        self.counts["refused"] += len(merges) - int(merges.sum())
        duplicates, at, similarity = duplicates.take(merges), at[merges], similarity[merges]
        classes = {"later": duplicates["key"], "earlier": survivors["key"][at]}
        earlier_count = survivors["count"][at]
        columns = {**classes, "similarity": similarity, "later_count": duplicates["count"]}
        if self.search.waves:
            waiting = layouts.waiting.build(**columns, earlier_count=earlier_count, state=0)
            yield from self.send(b"l", waiting, leading(halves(classes["later"])))
            edges = layouts.edges.build(**classes, earlier_count=earlier_count)
            yield from self.send(b"l", edges, leading(halves(classes["earlier"])))
        elif len(duplicates):
            yield b"p", layouts.pairs.build(**columns, earlier_count=earlier_count).pack()
        best = documents.take(at)
        verified = layouts.verified.build(
            best.payload, key=duplicates["key"], survivor=survivors["key"][at], size=best["size"]
        )
        yield from self.send(b"m", verified, leading(duplicates["name"]))

    def similarity(self, survivors: Table, duplicates: Table, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of each duplicate and the survivor at that row; duplicates come grouped by survivor."""
        assert survivors.payload is not None and duplicates.payload is not None
        shared = np.zeros(len(duplicates), np.int64)
        ends, survivor_ends = duplicates.ends(), survivors.ends()
        starts = np.flatnonzero(begins(at))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(at)], strict=False):
            own = ends[start : stop + 1]
            one = survivors.items(at[start], survivor_ends)
            shared[start:stop] = common(duplicates.payload[own[0] : own[-1]], own - own[0], one)
        sizes = duplicates["size"].astype(np.int64)
        if self.search.measure == "containment":
            return shared / sizes
        return shared / (sizes + survivors["size"][at] - shared)


class ClusterRound(TableRound):
    """Decides over all verified pairs, as a stream, which class survives and which survivor replaces each other one."""

    name = "cluster"
    streams = True
    passes = b"m"

    def reduce_tables(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        pairs = (layouts.pairs.unpack(value).rows for value in values)
        for some in cluster(pairs, self.scratch):
            table = layouts.outcomes.build(
                key=some.key, survivor=some.survivor, similarity=some.similarity, count=some.count
            )
            yield from self.send(b"m", table, leading(halves(table["key"])))


class VerdictRound(TableRound):
    """Sends each document of a cluster its verdict: a survivor the size of its cluster, a duplicate its survivor."""

    name = "verdict"

    def reduce_tables(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        members, starts, counts, _, keys = in_classes(layouts.members.gather(values))
        verified, outcomes = layouts.verified.gather(values), layouts.outcomes.gather(values)
        # A class without a verified pair survives, and its best member replaces its copies.
        survivor, similarity, size = keys.copy(), np.ones(len(keys)), counts.copy()
        # Several units may have added to a survivor's cluster.
        outcomes = outcomes.take(np.argsort(outcomes["key"]))
        first = np.flatnonzero(begins(outcomes["key"]))
        counts_of = np.add.reduceat(outcomes["count"], first) if len(first) else outcomes["count"]
        outcomes = outcomes.take(first)
        at = find(keys, outcomes["key"])
        paired = np.flatnonzero(at >= 0)
        decided = outcomes.rows[at[paired]]
        survivor[paired], similarity[paired] = decided["survivor"], decided["similarity"]
        size[paired] = counts_of[at[paired]]
        self.counts["clusters"] += int((size[paired] > 0).sum())
        self.counts["largest_cluster"] = max(self.counts["largest_cluster"], int(size[paired].max(initial=0)))
        duplicate = survivor != keys
        cluster_of = leading(halves(survivor))
        class_of = np.repeat(np.arange(len(starts)), counts)

        # Duplicates in another class than their survivor: its document key came with the verified pair.
        verified = verified.take(np.argsort(joined(verified["key"], verified["survivor"])))
        rows = np.flatnonzero(duplicate[class_of])
        own = class_of[rows]
        survivors = verified.take(find(joined(keys[own], survivor[own]), joined(verified["key"], verified["survivor"])))
        yield from verdicts(members["place"][rows], survivors, similarity=similarity[own], cluster=cluster_of[own])
        # Duplicates in the class of their survivor: the same shingles as its best member.
        rows = np.delete(np.arange(len(members)), starts)
        rows = rows[~duplicate[class_of[rows]]]
        own = class_of[rows]
        yield from verdicts(members["place"][rows], members.take(starts[own]), similarity=1.0, cluster=cluster_of[own])
        kept = np.flatnonzero(~duplicate & (size > 1))
        yield from verdicts(members["place"][starts[kept]], None, kept=1, count=size[kept], cluster=cluster_of[kept])


def verdicts(
    places: npt.NDArray[Any],
    survivors: Table | None,
    *,
    cluster: Any,
    kept: int = 0,
    similarity: Any = 1.0,
    count: Any = 0,
) -> Iterator[Record]:
    """Verdicts to the partitions of the documents at these places; those in an index have no partition."""
    columns = {"kept": kept, "similarity": similarity, "count": count, "cluster": cluster}
    payload = np.empty(0, "u1") if survivors is None else survivors.payload
    table = VERDICTS.build(payload, place=places, size=0 if survivors is None else survivors["size"], **columns)
    table = table.take(places != NOWHERE)
    for partition, part in table.cut((table["place"] >> np.uint64(32)).astype(np.int64)):
        yield partition_key(partition), part.pack()
