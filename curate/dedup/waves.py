"""Clusters decided by many units, in waves: rounds between `verify` and `cluster`, where a step asks for them.

In survivor order a class is a duplicate where it has a verified pair with a survivor, and else survives. So a class
without an earlier neighbour survives at once (the first wave), its later neighbours are duplicates (the second), a
class whose earlier neighbours are all duplicates survives (the third), and so on: each wave knows what the one before
told. Few waves decide nearly all (Blelloch, Fineman and Shun 2012, "Greedy sequential maximal independent set and
matching are parallel on average"). The rest is left to the one unit of `cluster`: the outcome is the same for any
number of waves.

    round  reads, by key                       and emits, by key
    wave   l: pairs of the later class, edges  the same, less what is decided; what a class is, to later neighbours (l);
           of the earlier one, what earlier    outcomes, and what a duplicate adds to its survivor's cluster (m)
           neighbours told
           m                                   as it came
    rest   l: the same                         pairs that are still open, to one key (p); outcomes (m)
           m                                   as it came
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from curate.dedup.candidates import TableRound
from curate.dedup.layouts import halves
from curate.dedup.search import Search
from curate.dedup.tables import Table, begins, find, joined, leading
from curate.step import Record

OPEN, SURVIVES, DUPLICATE = 0, 1, 2
"""What is known of the earlier class of a pair."""


class WaveRound(TableRound):
    """One wave, or, without a number, the rest, which tells nobody: there a class is decided only if nobody waits."""

    passes = b"m"

    def __init__(self, search: Search, number: int | None = None) -> None:
        super().__init__(search)
        self.name = "rest" if number is None else f"wave-{number}"
        self.last = number is None

    def reduce_tables(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        layouts = self.layouts
        pairs, edges = layouts.waiting.gather(values), layouts.edges.gather(values)
        state = self.state(pairs, layouts.told.gather(values))
        # Of a class that has neither pairs nor edges any more all has been said.
        names = np.concatenate([pairs["later"], edges["earlier"]])
        counts = np.concatenate([pairs["later_count"], edges["earlier_count"]])
        here, first = np.unique(names, return_index=True)
        counts = counts[first]

        rows = pairs.rows.copy()
        rows["state"] = state
        pairs = Table(layouts.waiting, rows[state != DUPLICATE])
        of_pair, of_edge = find(pairs["later"], here), find(edges["earlier"], here)
        survives, duplicate, whole = np.ones(len(here), bool), np.zeros(len(here), bool), np.ones(len(here), bool)
        survives[of_pair] = False
        duplicate[of_pair[pairs["state"] == SURVIVES]] = True
        whole[of_pair[pairs["state"] == OPEN]] = False
        if self.last:
            awaited = np.zeros(len(here), bool)
            awaited[of_edge] = True
            survives, duplicate = survives & ~awaited, duplicate & ~awaited
        yield from self.survivors(here[survives], counts[survives])
        finished = (duplicate & whole)[of_pair]
        yield from self.duplicates(pairs.take(finished))
        pairs = pairs.take(~finished)
        if self.last:
            yield from self.rest(pairs)
            return
        news = np.where(survives, SURVIVES, np.where(duplicate, DUPLICATE, OPEN))[of_edge]
        told = edges.take(news != OPEN)
        told = layouts.told.build(later=told["later"], earlier=told["earlier"], state=news[news != OPEN])
        yield from self.send(b"l", told, leading(halves(told["later"])))
        for table in (pairs, edges.take(news == OPEN)):
            if len(table):
                yield key, table.pack()

    def state(self, pairs: Table, told: Table) -> npt.NDArray[np.uint8]:
        """What is known of the earlier class of each pair by now."""
        sides = joined(told["later"], told["earlier"])
        order = np.argsort(sides)
        at = find(joined(pairs["later"], pairs["earlier"]), sides[order])
        state = pairs["state"].copy()
        state[at >= 0] = told["state"][order[at[at >= 0]]]
        return state

    def survivors(self, keys: npt.NDArray[np.bytes_], counts: npt.NDArray[np.uint32]) -> Iterator[Record]:
        table = self.layouts.outcomes.build(key=keys, survivor=keys, similarity=1.0, count=counts)
        yield from self.send(b"m", table, leading(halves(keys)))

    def duplicates(self, pairs: Table) -> Iterator[Record]:
        """The outcome of each later class, of whose pairs these are all: the most similar survivor, of those the first;
        and what its documents add to that cluster."""
        order = np.lexsort((pairs["earlier"], -pairs["similarity"], pairs["later"]))
        order = order[begins(pairs["later"][order])]
        best = pairs.take(order)
        table = self.layouts.outcomes.build(
            key=best["later"], survivor=best["earlier"], similarity=best["similarity"], count=0
        )
        yield from self.send(b"m", table, leading(halves(best["later"])))
        homes, of_home = np.unique(best["earlier"], return_inverse=True)
        yield from self.survivors(homes, np.bincount(of_home, best["later_count"], len(homes)).astype(np.uint32))

    def rest(self, pairs: Table) -> Iterator[Record]:
        """What one unit has to decide. The documents of a survivor that is known are counted already."""
        left = np.empty(len(pairs), self.layouts.pairs.dtype)
        for name in left.dtype.names or ():
            left[name] = pairs[name]
        left["earlier_count"][pairs["state"] == SURVIVES] = 0
        self.counts["pairs_left_to_one_unit"] += len(left)
        if len(left):
            yield b"p", Table(self.layouts.pairs, left).pack()
