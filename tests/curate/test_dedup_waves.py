"""Clusters that many units decide in waves are those that one unit decides."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from generated_corpus import edited, prose, run_step
from test_dedup import families
from test_dedup_clusters import naive

from curate.dedup import MinHashDedup
from curate.dedup.layouts import halves
from curate.dedup.tables import leading, range_of
from curate.document import Document
from curate.step import Record


def chain(rng: random.Random, length: int) -> list[Document]:
    """Texts each of which is near the next one, and the first far from the last."""
    words, texts = prose(rng, 120), []
    for _ in range(length):
        texts.append(Document(key=f"c{rng.random()}", text=" ".join(words)))
        words = edited(rng, words, 2)
    return texts


@pytest.mark.parametrize("waves", [1, 2, 5])
def test_the_outcome_is_that_of_one_unit_for_any_number_of_waves(waves):
    rng = random.Random(3)
    documents = [*families(31, 30, copies=4), *itertools.chain.from_iterable(chain(rng, 40) for _ in range(3))]
    outcomes = []
    for given in ({}, {"waves": waves}):
        kept, dropped = run_step(MinHashDedup(ranges=7, **given), documents, partitions=3, buckets=5)
        outcomes.append(({key: one.metadata for key, one in kept.items()}, {k: d.value for k, d in dropped.items()}))
    assert outcomes[0] == outcomes[1] and len(outcomes[0][1]) > 60


def records_of(step: MinHashDedup, pairs: dict[tuple[bytes, bytes], float], counts: dict[bytes, int]) -> list[Record]:
    """Pairs as `verify` sends them."""
    layouts, records = step.search.layouts, []
    classes = {
        "later": np.array([later for later, _ in pairs], layouts.key),
        "earlier": np.array([earlier for _, earlier in pairs], layouts.key),
    }
    size = {side: [counts[one] for one in keys.tolist()] for side, keys in classes.items()}
    similarity = list(pairs.values())
    waiting = layouts.waiting.build(
        **classes, similarity=similarity, later_count=size["later"], earlier_count=size["earlier"], state=0
    )
    edges = layouts.edges.build(**classes, earlier_count=size["earlier"])
    for table, side in ((waiting, "later"), (edges, "earlier")):
        ranges = range_of(leading(halves(classes[side])), step.ranges)
        records += [(b"l" + number.to_bytes(2, "big"), one.pack()) for number, one in table.cut(ranges)]
    return records


def through(step: MinHashDedup, pairs, counts, tmp_path) -> tuple[list[Record], int]:
    """What the rounds up to `cluster` make of pairs, and how many pairs were left to its one unit."""
    records, left = records_of(step, pairs, counts), 0
    for one in step.rounds()[3:-1]:
        by_key = defaultdict(list)
        for key, value in records:
            by_key[key].append(value)
        one.scratch = tmp_path
        records = []
        for key in sorted(by_key):
            values = sorted(by_key[key])
            records += one.reduce(key, iter(values) if one.streams else values)
        left += one.notes().get("pairs_left_to_one_unit", 0)
    return records, left


@pytest.mark.parametrize("seed", range(12))
def test_outcomes_and_counts_are_those_of_the_rule_written_down(seed, tmp_path):
    rng = random.Random(seed)
    step = MinHashDedup(ranges=3, waves=1 + seed % 4)
    names = [b"\x01" + rng.randbytes(step.search.order - 2) + b"\x07" + rng.randbytes(7) + b"\x01" for _ in range(60)]
    counts = {name: rng.choice([1, 1, 1, 4]) for name in names}
    pairs = {}
    for _ in range(rng.choice([30, 120, 400])):
        earlier, later = sorted(rng.sample(names, 2))
        pairs[later, earlier] = rng.choice([0.8, 0.9, 0.95])
    records, _ = through(step, pairs, counts, tmp_path)
    assert {key[:1] for key, _ in records} == {b"m"}
    homes, sizes = {}, Counter()
    for key, home, similarity, size in step.search.layouts.outcomes.gather(one for _, one in records).rows.tolist():
        assert homes.setdefault(key, (home, similarity)) == (home, similarity)
        sizes[key] += size
    assert {key: (*home, sizes[key]) for key, home in homes.items()} == naive(pairs, counts)


@pytest.mark.parametrize(("waves", "left"), [(1, 8), (2, 6), (3, 6), (4, 4), (7, 2), (9, 0), (12, 0)])
def test_a_wave_decides_one_more_of_a_chain(waves, left, tmp_path):
    """Of nine classes each of which has a pair with the next one; who was told last is left with those who wait."""
    step = MinHashDedup(ranges=3, waves=waves)
    names = [bytes([1, number]) + b"\x07" * (step.search.order + 6) for number in range(9)]
    pairs = {(later, earlier): 0.9 for earlier, later in itertools.pairwise(names)}
    assert through(step, pairs, dict.fromkeys(names, 1), tmp_path)[1] == left
