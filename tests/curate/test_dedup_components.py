"""Clusters that many units decide, component by component, are those that one unit decides."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict

import numpy as np
import pytest
from generated_corpus import edited, prose, run_step
from test_dedup import families

from curate.dedup import MinHashDedup
from curate.dedup.tables import range_of
from curate.document import Document
from curate.step import Record


def chain(rng: random.Random, length: int) -> list[Document]:
    """Texts each of which is near the next one, and the first far from the last."""
    words, texts = prose(rng, 120), []
    for _ in range(length):
        texts.append(Document(key=f"c{rng.random()}", text=" ".join(words)))
        words = edited(rng, words, 2)
    return texts


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_the_outcome_is_that_of_one_unit_for_any_number_of_rounds(rounds):
    rng = random.Random(3)
    documents = [*families(31, 30, copies=4), *itertools.chain.from_iterable(chain(rng, 40) for _ in range(3))]
    outcomes = []
    for given in ({}, {"component_rounds": rounds}):
        kept, dropped = run_step(MinHashDedup(ranges=7, **given), documents, partitions=3, buckets=5)
        outcomes.append(({key: one.metadata for key, one in kept.items()}, {k: d.value for k, d in dropped.items()}))
    assert outcomes[0] == outcomes[1] and len(outcomes[0][1]) > 60


def through(step: MinHashDedup, records: list[Record], tmp_path) -> list[list[Record]]:
    """What each of the three kinds of rounds leaves of pairs as `verify` sends them."""
    left = []
    for one in [one for one in step.rounds() if one.name.partition("-")[0] in ("label", "close", "component")]:
        one.scratch = tmp_path
        by_key = defaultdict(list)
        for key, value in records:
            by_key[key].append(value)
        records = [
            record
            for key in sorted(by_key)
            for record in one.reduce(key, iter(sorted(by_key[key])) if one.streams else sorted(by_key[key]))
        ]
        left.append(records)
    return left


@pytest.mark.parametrize("seed", range(6))
def test_a_component_is_closed_when_no_class_is_farther_from_its_least_one_than_there_are_rounds(seed, tmp_path):
    rng = random.Random(seed)
    rounds = 1 + seed % 3
    step = MinHashDedup(ranges=3, component_rounds=rounds)
    layouts, width = step.search.layouts, step.search.order + 8
    keys = sorted(rng.randbytes(width - 1) + b"\1" for _ in range(60))
    pairs = sorted({tuple(sorted(rng.sample(keys, 2))) for _ in range(45)})
    neighbours = defaultdict(set)
    for earlier, later in pairs:
        neighbours[earlier].add(later)
        neighbours[later].add(earlier)
    # Distances from the least class of each component, by breadth.
    distance: dict[bytes, int] = {}
    component: dict[bytes, bytes] = {}
    for start in keys:
        if start in neighbours and start not in distance:
            distance[start], component[start], edge = 0, start, [start]
            while edge:
                edge = [(one, near) for one in edge for near in neighbours[one] if near not in distance]
                for one, near in edge:
                    distance[near], component[near] = distance[one] + 1, start
                edge = list(dict.fromkeys(near for _, near in edge))
    far = {component[one] for one, steps in distance.items() if steps > rounds}
    table = layouts.pairs.build(
        later=np.array([later for _, later in pairs], layouts.key),
        earlier=np.array([earlier for earlier, _ in pairs], layouts.key),
        similarity=0.9,
        later_count=1,
        earlier_count=1,
    )
    edges = layouts.edges.build(earlier=table["earlier"], later=table["later"])
    hashes = {
        side: np.array([int.from_bytes(k[-8:], "big") for k in table[side].tolist()], np.uint64)
        for side in ("later", "earlier")
    }
    records = []
    for rows, side in ((table, "later"), (edges, "earlier")):
        records += [(b"l" + n.to_bytes(2, "big"), t.pack()) for n, t in rows.cut(range_of(hashes[side], 3))]
    last = through(step, records, tmp_path)[-1]
    left = layouts.pairs.gather(value for key, value in last if key == b"p")
    assert {(one["earlier"], one["later"]) for one in left.rows} == {one for one in pairs if component[one[0]] in far}
    decided = layouts.outcomes.gather(value for key, value in last if key[:1] == b"m")
    assert sorted(decided["key"].tolist()) == sorted(one for one in distance if component[one] not in far)
    assert far and len(decided)
