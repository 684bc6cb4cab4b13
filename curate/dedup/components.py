"""Verified pairs, shared out by component: three rounds that stand between `verify` and `cluster` where a step asks for
them (`component_rounds`), so that many units decide clusters.

Whether a class is a duplicate depends on the classes that a chain of verified pairs connects it with: its *component*.
Classes therefore take the least key that they hear of as their *label*, from their neighbours, once a round. After n
rounds the labels of a component with no class more than n pairs away from its least one are all the same: such a
component is closed, and one unit decides it. What is still open is left for the one unit of `cluster`, so that the
outcome is that of one unit for all, whatever the number of rounds.

    round      reads, by key                      and emits, by key
    label      l: pairs of the later class,       the same, with new labels; what these are, told to all neighbours (l)
               edges of the earlier one, labels,
               what neighbours told
    close      l: the same                        pairs, with the label of their later class; where the classes of a
                                                  pair have two labels, both of these, as open (d)
    component  d: labelled pairs, open labels     outcomes of closed components (m); pairs of open ones, to one key (p)
               m                                  as it came, in all three
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.dedup.candidates import TableRound
from curate.dedup.layouts import halves
from curate.dedup.merges import ClusterRound
from curate.dedup.search import Search
from curate.dedup.tables import Table, begins, find, joined, leading
from curate.step import Record

_PORTION = 1 << 16


class LabelRound(TableRound):
    """Each class takes the least of its own label and those that its neighbours told; at first all are keys."""

    passes = b"m"

    def __init__(self, search: Search, number: int) -> None:
        super().__init__(search)
        self.name = f"label-{number}"

    def reduce_tables(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        pairs, edges = layouts.pairs.gather(values), layouts.edges.gather(values)
        at = np.concatenate([pairs["later"], edges["earlier"]])
        to = np.concatenate([pairs["earlier"], edges["later"]])
        labels, told = layouts.labels.gather(values), layouts.told.gather(values)
        if not len(labels):
            own = np.unique(at)
            labels = layouts.labels.build(key=own, label=own)
            told = layouts.told.build(key=at, neighbour=to, label=to)
        labels = self.least(labels, told)
        for table in (pairs, edges, labels):
            if len(table):
                yield key, table.pack()
        # Pairs are symmetric here: each class is a neighbour of its neighbours.
        news = layouts.told.build(key=to, neighbour=at, label=labels["label"][find(at, labels["key"])])
        yield from self.send(b"l", news, leading(halves(to)))

    def least(self, labels: Table, told: Table) -> Table:
        """The least label of each class, sorted by class."""
        keys = np.concatenate([labels["key"], told["key"]])
        values = np.concatenate([labels["label"], told["label"]])
        order = np.lexsort((values, keys))
        order = order[begins(keys[order])]
        return self.layouts.labels.build(key=keys[order], label=values[order])


class CloseRound(TableRound):
    """Tells components that are closed from those that are not: there two neighbours have two labels."""

    name = "close"
    passes = b"m"

    def reduce_tables(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        pairs = layouts.pairs.gather(values)
        if not len(pairs):
            return
        labels, told = layouts.labels.gather(values), layouts.told.gather(values)
        own = labels["label"][find(pairs["later"], labels["key"])]
        sides = joined(told["key"], told["neighbour"])
        order = np.argsort(sides)
        theirs = told["label"][order[find(joined(pairs["later"], pairs["earlier"]), sides[order])]]
        columns = {name: pairs[name] for name in layouts.pairs.dtype.names or ()}
        yield from self.send(b"d", layouts.labelled.build(label=own, **columns), leading(halves(own)))
        apart = own != theirs
        two = np.unique(np.concatenate([own[apart], theirs[apart]]))
        yield from self.send(b"d", layouts.open.build(label=two), leading(halves(two)))


class ComponentRound(ClusterRound):
    """Decides the closed components of one range of labels, as a stream; the pairs of open ones go on to `cluster`."""

    name = "component"

    def reduce_tables(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        opened = np.empty(0, layouts.key)
        waiting = self.scratch / "open"

        def closed(stream: Any) -> Iterator[npt.NDArray[Any]]:
            nonlocal opened
            for value in values:
                # Open labels are of a kind that sorts before pairs.
                if value[:1] == layouts.open.kind:
                    opened = np.union1d(opened, layouts.open.unpack(value)["label"])
                    continue
                labelled = layouts.labelled.unpack(value)
                stays = np.isin(labelled["label"], opened)
                pairs = np.empty(len(labelled), layouts.pairs.dtype)
                for name in pairs.dtype.names or ():
                    pairs[name] = labelled[name]
                stream.write(pairs[stays].tobytes())
                yield pairs[~stays]

        with waiting.open("wb") as written:
            yield from self.decided(closed(written))
        with waiting.open("rb") as stream:
            while block := stream.read(_PORTION * layouts.pairs.dtype.itemsize):
                rows = np.frombuffer(block, layouts.pairs.dtype)
                self.counts["pairs_of_open_components"] += len(rows)
                yield b"p", Table(layouts.pairs, rows).pack()
        waiting.unlink()
