"""Verified merges: shingles meet where they are compared, pairs where they are decided, verdicts where they act."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curate.dedup.candidates import NOWHERE, VERDICTS, TableRound
from curate.dedup.clusters import cluster
from curate.dedup.shingles import common
from curate.dedup.tables import NAME, Table, begins, find, joined, leading
from curate.step import Record, partition_key

_HALF_NAME = "S8"
_PORTION = 1 << 22
"""Shingles that are sent together; a longer text alone."""


class Gather(TableRound):
    """Shingles go where they are needed: of each pair, the later class's travel to the earlier one's range.

    A class without candidates and without copies ends here.
    """

    name = "gather"

    def meet(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        needs, centres = layouts.needs.gather(values), layouts.centres.gather(values)
        members, shingles = layouts.members.gather(values), layouts.shingles.gather(values)
        wanted = np.unique(centres["name"])
        index = self.step.opened_index
        if index:
            more = np.union1d(wanted, members["name"])
            more_members, more_shingles = index.classes(int.from_bytes(key[1:], "big"), layouts, more)
            members = layouts.members.gather([], [members, more_members])
            shingles = layouts.shingles.gather([], [shingles, more_shingles])
        members, starts, counts, names, keys = in_classes(members)
        pairs = np.unique(joined(needs["later"], needs["earlier"])).view([("later", NAME), ("earlier", NAME)])
        later, earlier = np.ascontiguousarray(pairs["later"]), np.ascontiguousarray(pairs["earlier"])
        self.counts["candidates"] += len(pairs)
        hot = (counts > 1) | np.isin(names, later) | np.isin(names, wanted)
        staying = members.take(np.repeat(hot, counts))
        if len(staying):
            yield b"m" + key[1:], staying.pack()
        # One set of shingles for each class, whichever batch it came in.
        _, once = np.unique(shingles["name"], return_index=True)
        sets = shingles.take(once)
        at = find(wanted, names)
        sets_at = find(wanted, sets["name"])
        known = sets.take(sets_at)
        table = layouts.known.build(
            known.payload,
            name=wanted,
            key=keys[at],
            figures=known["figures"],
            count=counts[at],
            size=known["size"],
        )
        if len(table):
            yield b"v" + key[1:], table.pack()
            first = members.take(starts[at])
            spoken = layouts.representatives.build(first.payload, name=wanted, size=first["size"])
            yield b"v" + key[1:], spoken.pack()
        at, sets_at = find(later, names), find(later, sets["name"])
        for some in _portions(sets["size"][sets_at]):
            known = sets.take(sets_at[some])
            asking = layouts.asking.build(
                known.payload,
                centre=earlier[some],
                name=later[some],
                key=keys[at[some]],
                figures=known["figures"],
                count=counts[at[some]],
                size=known["size"],
            )
            yield from self.send(b"v", asking, earlier[some])


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
    """Members by class, the best of each first (by order, then by document key); of each class: where it begins, how
    many members it has, its name and its key."""

    members: Table
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    names: npt.NDArray[Any]
    keys: npt.NDArray[Any]


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
    # What was swapped has one order: the key of a class is that of either.
    keys = joined(orders[starts], np.ascontiguousarray(names[starts]).view(_HALF_NAME)[::2])
    return Classes(members.take(swaps), starts, counts, names[starts], keys)


class Verify(TableRound):
    """Both sets of shingles of a pair meet: it is verified, or it ends here."""

    name = "verify"
    streams = True
    passes = b"m"

    def meet(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        centres, spoken = layouts.known.empty(), layouts.representatives.empty()
        waiting: list[bytes] = []
        size = 0
        for value in values:
            # One table of centres, and one of what speaks for them, in the same order; they sort first.
            if value[:1] == layouts.known.kind:
                centres = layouts.known.unpack(value)
            elif value[:1] == layouts.representatives.kind:
                spoken = layouts.representatives.unpack(value)
            else:
                # They come in small tables, one from each range: many at once, as far as memory allows.
                waiting.append(value)
                size += len(value)
                if size > 8 * _PORTION:
                    yield from self.verified(centres, spoken, layouts.asking.gather(waiting))
                    waiting, size = [], 0
        if waiting:
            yield from self.verified(centres, spoken, layouts.asking.gather(waiting))

    def verified(self, centres: Table, spoken: Table, asking: Table) -> Iterator[Record]:
        layouts = self.layouts
        at = find(asking["centre"], centres["name"])
        order = np.argsort(at, kind="stable")
        asking, at = asking.take(order), at[order]
        similar = self.similarity(centres, asking, at)
        good = (similar >= self.step.threshold) & (asking["figures"] == centres["figures"][at])
        self.counts["verified"] += int(good.sum())
        self.counts["refused"] += len(good) - int(good.sum())
        asking, at, similar = asking.take(good), at[good], similar[good]
        pairs = layouts.pairs.build(
            later=asking["key"],
            earlier=centres["key"][at],
            similarity=similar,
            later_count=asking["count"],
            earlier_count=centres["count"][at],
        )
        if len(pairs):
            yield b"p", pairs.pack()
        who = spoken.take(at)
        homes = layouts.homes.build(who.payload, key=asking["key"], home=centres["key"][at], size=who["size"])
        yield from self.send(b"m", homes, asking["name"])

    def similarity(self, centres: Table, asking: Table, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of each asking class and its centre; rows come grouped by centre."""
        assert centres.payload is not None and asking.payload is not None
        shared = np.zeros(len(asking), np.int64)
        ends, centre_ends = asking.ends(), centres.ends()
        starts = np.flatnonzero(begins(at))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(at)], strict=False):
            own = ends[start : stop + 1]
            one = centres.items(at[start], centre_ends)
            shared[start:stop] = common(asking.payload[own[0] : own[-1]], own - own[0], one)
        sizes = asking["size"].astype(np.int64)
        if self.step.measure == "containment":
            return shared / sizes
        return shared / (sizes + centres["size"][at] - shared)


class Cluster(TableRound):
    """All verified pairs, as a stream: who stays, and who stands for whom."""

    name = "cluster"
    streams = True
    passes = b"m"

    def meet(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        pairs = (layouts.pairs.unpack(value).rows for value in values)
        for outcome in cluster(pairs, self.scratch):
            table = layouts.outcomes.build(
                key=outcome.key, home=outcome.home, similarity=outcome.similarity, count=outcome.size
            )
            stays = outcome.size > 0
            self.counts["clusters"] += int(stays.sum())
            self.counts["largest_cluster"] = max(self.counts["largest_cluster"], int(outcome.size.max(initial=0)))
            yield from self.send(b"m", table, halves(table["key"]))


def halves(keys: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The halves of names that keys end in."""
    width = keys.dtype.itemsize
    whole = np.ascontiguousarray(keys).view("u1").reshape(len(keys), width)
    return np.ascontiguousarray(whole[:, width - 8 :]).reshape(-1).view(_HALF_NAME)


class Verdict(TableRound):
    """Each member of a class learns what became of the class, and the document key of its survivor."""

    name = "verdict"

    def meet(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        members, starts, counts, _, keys = in_classes(layouts.members.gather(values))
        homes, outcomes = layouts.homes.gather(values), layouts.outcomes.gather(values)
        # A class without a verified pair stays, and stands for its copies.
        home, similar, size = keys.copy(), np.ones(len(keys)), counts.copy()
        outcomes = outcomes.take(np.argsort(outcomes["key"]))
        at = find(keys, outcomes["key"])
        decided = np.flatnonzero(at >= 0)
        fates = outcomes.rows[at[decided]]
        home[decided], similar[decided], size[decided] = fates["home"], fates["similarity"], fates["count"]
        goes = home != keys
        group = leading(halves(home))
        of_class = np.repeat(np.arange(len(starts)), counts)

        # A class that goes: the pair that was verified brought its survivor's document key.
        homes = homes.take(np.argsort(joined(homes["key"], homes["home"])))
        rows = np.flatnonzero(goes[of_class])
        own = of_class[rows]
        who = homes.take(find(joined(keys[own], home[own]), joined(homes["key"], homes["home"])))
        yield from tell(members["place"][rows], who, similarity=similar[own], cluster=group[own])
        # Copies in a class that stays have the same shingles as its best member.
        rows = np.delete(np.arange(len(members)), starts)
        rows = rows[~goes[of_class[rows]]]
        own = of_class[rows]
        yield from tell(members["place"][rows], members.take(starts[own]), similarity=1.0, cluster=group[own])
        stays = np.flatnonzero(~goes & (size > 1))
        yield from tell(members["place"][starts[stays]], None, kept=1, count=size[stays], cluster=group[stays])


def tell(
    places: npt.NDArray[Any],
    survivors: Table | None,
    *,
    cluster: Any,
    kept: int = 0,
    similarity: Any = 1.0,
    count: Any = 0,
) -> Iterator[Record]:
    """Verdicts to the partitions of these places; an index has no partition."""
    columns = {"kept": kept, "similarity": similarity, "count": count, "cluster": cluster}
    payload = np.empty(0, "u1") if survivors is None else survivors.payload
    table = VERDICTS.build(payload, place=places, size=0 if survivors is None else survivors["size"], **columns)
    table = table.take(places != NOWHERE)
    for partition, part in table.cut((table["place"] >> np.uint64(32)).astype(np.int64)):
        yield partition_key(partition), part.pack()
