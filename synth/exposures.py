"""How often each entity appears, and where: exact counts, and an order of all appearances that can be cut anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from synth.draws import permutation, stream, words
from synth.facts import FactsError, chunks

PLACEMENTS = ("even", "clustered", "curriculum")

SLICE = 1 << 19
"""Appearances that are put in order at once."""

Placement = str | Mapping[str, int]
"""One of `PLACEMENTS`, or `{"blocks": n}`."""

Exposures = int | Sequence[int] | Mapping[str, float]


def exposure_counts(exposures: Exposures, people: int, held_out: int = 0) -> np.ndarray:
    """How often each of `people` entities appears, and 0 for each of `held_out` more: int32 [people + held_out].

    A number is the same for all. The counts of a list go to the people in turn, each to an equal part of them. A
    mapping `{power: a, most: m, least: l}` gives the person of rank r = 1 .. N max(l, m r^-a), rounded. Raises
    FactsError for anything else.
    """
    if people < 1:
        raise FactsError(f"`people` must be at least 1, not {people}")
    if isinstance(exposures, Mapping):
        if unknown := set(exposures) - {"power", "most", "least"}:
            raise FactsError(f"`exposures` has no {sorted(unknown)[0]!r}: a power law has power, most and least")
        if "power" not in exposures or "most" not in exposures:
            raise FactsError("a power law of `exposures` needs `power` and `most`, as in {power: 1.0, most: 1000}")
        power, most, least = (exposures.get(name, 1) for name in ("power", "most", "least"))
        # Written so that NaN and infinite numbers are refused too.
        if not (1 <= least <= most < math.inf and 0 <= power < math.inf):
            raise FactsError(f"a power law needs power >= 0 and 1 <= least <= most, not {power}, {least}, {most}")
        ranks = np.arange(1, people + 1, dtype=np.float64)
        counts = np.maximum(least, np.rint(most * ranks**-power))
    else:
        if isinstance(exposures, bool):
            raise FactsError("`exposures` must be a number, a list of numbers or a power law, not true or false")
        listed = np.array([exposures] if isinstance(exposures, int) else list(exposures))
        if not listed.size or listed.min() < 1:
            raise FactsError("`exposures` must be at least 1: a number, or a list of numbers")
        if len(listed) > people:
            raise FactsError(f"`exposures` lists {len(listed)} counts for {people} people: some would apply to nobody")
        counts = np.resize(listed, people)
    if counts.max() >= 1 << 24:
        raise FactsError(f"`exposures` must be at most {(1 << 24) - 1} for one person, not {int(counts.max())}")
    return np.concatenate([counts, np.zeros(held_out)]).astype(np.int32)


def blocks_of(placement: Placement) -> int:
    """Into how many blocks a placement puts the entities; 0 where it has none. Raises FactsError for anything else."""
    if isinstance(placement, Mapping):
        blocks = placement.get("blocks")
        if set(placement) == {"blocks"} and isinstance(blocks, int) and not isinstance(blocks, bool) and blocks >= 1:
            return blocks
    elif placement in PLACEMENTS:
        return 0
    said = dict(placement) if isinstance(placement, Mapping) else placement
    raise FactsError(f"`placement` must be one of {', '.join(PLACEMENTS)}, or {{blocks: n}} with n >= 1, not {said!r}")


class Schedule:
    """The order of all appearances of N entities, `counts` [N] of each.

    Appearance e of an entity that appears E times lies in part e of the E equal parts of that entity's stretch, at a
    place drawn for it. `even`: the stretch of all is the whole corpus, so where all appear equally often, everybody
    appears once before anybody appears again. `clustered`: stretches follow each other. `curriculum`: entities enter
    one after another over the first half, and stay until the end. `{"blocks": n}`: entities are in n blocks of equally
    many, which follow each other; within a block everybody appears once before anybody appears again, as in `even`.
    """

    def __init__(self, counts: np.ndarray, seed: int, placement: Placement = "even") -> None:
        blocks = blocks_of(placement)
        self.counts = np.asarray(counts, np.int64)
        self.total = int(self.counts.sum())
        self._seed = seed
        self._slices = max(1, -(-self.total // SLICE))
        self.placement = placement if isinstance(placement, str) else dict(placement)
        if placement != "even":
            shown = self.counts[self.counts > 0]
            order = permutation(stream(seed, "rank"), len(self.counts))
            order = order[self.counts[order] > 0]
            self._begin = np.zeros(len(self.counts))
            if blocks > len(shown):
                raise FactsError(
                    f"{len(shown)} people do not fill {blocks} blocks: take fewer `placement: {{blocks: n}}`"
                )
            if blocks:
                self._length = np.ones(len(self.counts))
                through = 0
                for block in np.array_split(order, blocks):
                    held = int(self.counts[block].sum())
                    self._begin[block], self._length[block] = through / self.total, held / self.total
                    through += held
            elif placement == "clustered":
                self._begin[order] = np.concatenate([[0], np.cumsum(self.counts[order])[:-1]]) / self.total
            else:
                self._begin[order] = np.arange(len(shown)) / (2 * len(shown))
        self._through = lru_cache(maxsize=4096)(self._count_before)

    def between(self, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Entity and exposure of appearances `begin` to `end` of the whole order, int64 each."""
        if begin >= end:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        first, last = 0, self._slices
        while last - first > 1:
            middle = (first + last) // 2
            first, last = (middle, last) if self._through(middle) <= begin else (first, middle)
        slices = []
        while (here := self._through(first)) < end:
            entities, exposures = self._slice(first)
            slices.append((entities[max(0, begin - here) : end - here], exposures[max(0, begin - here) : end - here]))
            first += 1
        return np.concatenate([one for one, _ in slices]), np.concatenate([one for _, one in slices])

    def _slice(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        low, high = number / self._slices, (number + 1) / self._slices
        parts = []
        for _, entities in chunks(len(self.counts)):
            first, last = self._part(entities, low) - 1, self._part(entities, high) + 1
            first = np.clip(first, 0, self.counts[entities])
            repeats = np.clip(last + 1, 0, self.counts[entities]) - first
            repeats = np.maximum(repeats, 0)
            owner = np.repeat(entities, repeats)
            exposure = np.arange(len(owner)) - np.repeat(np.cumsum(repeats) - repeats - first, repeats)
            place = self._place(owner, exposure)
            inside = (place >= low) & (place < high) if number + 1 < self._slices else place >= low
            parts.append((place[inside], owner[inside], exposure[inside]))
        place, owner, exposure = (np.concatenate([part[column] for part in parts]) for column in range(3))
        order = np.lexsort((exposure, owner, place))
        return owner[order], exposure[order]

    def _count_before(self, number: int) -> int:
        """Appearances before slice `number`."""
        if number >= self._slices:
            return self.total
        bound = number / self._slices
        total = 0
        for _, entities in chunks(len(self.counts)):
            sure = np.clip(self._part(entities, bound) - 1, 0, self.counts[entities])
            total += int(sure.sum())
            for step in range(3):
                exposure = sure + step
                there = exposure < self.counts[entities]
                total += int(np.count_nonzero(self._place(entities[there], exposure[there]) < bound))
        return total

    def _part(self, entities: np.ndarray, bound: float) -> np.ndarray:
        """The part of each entity's stretch in which a place of the corpus lies."""
        begin, length = self._stretch(entities)
        return np.floor((bound - begin) / length * self.counts[entities]).astype(np.int64)

    def _place(self, entities: np.ndarray, exposures: np.ndarray) -> np.ndarray:
        begin, length = self._stretch(entities)
        drawn = words(stream(self._seed, "place"), entities * (1 << 24) + exposures) >> np.uint64(11)
        return begin + length * ((exposures + drawn * 2.0**-53) / self.counts[entities])

    def _stretch(self, entities: np.ndarray) -> tuple[Any, Any]:
        if self.placement == "even":
            return 0.0, 1.0
        begin = self._begin[entities]
        if isinstance(self.placement, dict):
            return begin, self._length[entities]
        if self.placement == "clustered":
            return begin, np.maximum(self.counts[entities], 1) / self.total
        return begin, 1.0 - begin
