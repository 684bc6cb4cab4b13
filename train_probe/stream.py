"""Batches of useful windows and of junk, each drawn from what it is (seed, step) and from nothing else.

Arms with one seed see the same facts in the same order in the same number of steps, whatever stands around them. A
window is all useful or all junk; junk is an exact share of tokens, up to one window at any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from train_probe.counter import draws, permutation, stream_key
from train_probe.facts import Documents, Facts, Ids
from train_probe.plan import PlanError, RunPlan, TrainingPlan

_CHUNK = 1 << 17  # tokens made at once: large enough for numpy, small beside everything else


def exposure_order(
    documents: Documents, counts: NDArray[np.int64], exposures: int, seed: int, placement: str = "even"
) -> NDArray[np.int64]:
    """Document numbers in training order: every exposure in turn, each a permutation of all people who have one; where
    exposures were not placed evenly, the order of the corpus.

    `counts` [N] is how often each person appears. Raises PlanError unless the documents hold exposures 0 .. n - 1 of
    each person exactly once, where n is the person's count or `exposures`, whichever is less, and some have all.
    """
    people = len(counts)
    if len(documents.entity) and documents.entity.max() >= people:
        raise PlanError(f"the useful shards expose person {documents.entity.max()}; the facts have {people} people")
    if exposures > counts.max():
        raise PlanError(f"the run wants {exposures} exposures, and no person of the facts has more than {counts.max()}")
    used = np.flatnonzero((documents.exposure >= 0) & (documents.exposure < exposures))
    place = documents.exposure[used] * people + documents.entity[used]
    seen = np.bincount(place, minlength=exposures * people).reshape(exposures, people)
    wanted = np.arange(exposures)[:, None] < counts
    if np.any(seen != wanted):
        exposure, person = (int(one[0]) for one in np.nonzero(seen != wanted))
        raise PlanError(
            f"the run wants {exposures} exposures of each of {people} people; the useful shards hold exposure "
            f"{exposure} of person {person} {seen[exposure, person]} times, not {int(wanted[exposure, person])}"
        )
    if placement != "even":
        return used
    number = np.full(exposures * people, -1, np.int64)
    number[place] = used
    by_place = number.reshape(exposures, people)
    order = np.concatenate([by_place[e][permutation(stream_key(seed, "order", e), people)] for e in range(exposures)])
    return order[order >= 0]


class Windows(Protocol):
    """A source of windows of one width, numbered from 0: asking for the same numbers gives the same tokens."""

    width: int

    def windows(self, first: int, last: int) -> Ids:
        """Token ids [last - first, width]."""


class UsefulWindows:
    """The facts' documents in training order as one packed stream, each behind one token (`begin` [D]), cut in windows.

    A compact record is a window of its own; people are packed, and the rest of their stream is a shorter last window.
    """

    def __init__(self, documents: Documents, order: NDArray[np.int64], begin: Ids, width: int | None) -> None:
        self._documents = documents
        self._order = order
        self._begin = begin
        lengths = documents.length[order] + 1
        if width is None:
            width = int(lengths[0])
            if np.any(lengths != width):
                raise PlanError(f"compact records are all of one length; these have {lengths.min()} to {lengths.max()}")
        self.width = width
        self._ends = np.cumsum(lengths)
        self.tokens = int(self._ends[-1])
        self.count = self.tokens // width

    def windows(self, first: int, last: int) -> Ids:
        return self._at(np.arange(first * self.width, last * self.width)).reshape(-1, self.width)

    def rest(self) -> Ids:
        """What is left behind the last whole window, as [1, tokens]."""
        return self._at(np.arange(self.count * self.width, self.tokens))[None]

    def _at(self, position: NDArray[np.int64]) -> Ids:
        place = np.searchsorted(self._ends, position, side="right")
        document = self._order[place]
        length = self._documents.length[document]
        inside = position - (self._ends[place] - length)  # -1 at the begin token
        body = self._documents.tokens[np.maximum(self._documents.start[document] + inside, 0)]
        return np.where(inside < 0, self._begin[document], body.astype(np.int64))


class JunkRecords:
    """Compact records of people who are not scored; a name that comes again keeps its values.

    `people` is the size of a repetitive population, None for an endless one: names drawn from all N0 - N others.
    """

    def __init__(self, facts: Facts, seed: int, people: int | None) -> None:
        if facts.names is None or facts.name_tokens is None or facts.value_tokens is None:
            raise PlanError(f"junk of the facts' own kind can be drawn for compact records, not for '{facts.kind}'")
        self._name_tokens, self._value_tokens = facts.name_tokens, facts.value_tokens
        self._parts = facts.name_parts
        self._first_token = np.concatenate([[0], np.cumsum(facts.name_parts)[:-1]])
        self._begin = facts.end_of_text
        self._values = facts.values_per_person
        self._seed = seed
        scored = np.unique(facts.names)
        self._others = int(np.prod(facts.name_parts, dtype=np.int64)) - len(scored)
        self._gaps = scored - np.arange(len(scored))  # how many other names lie below each scored one
        if self._others < max(1, people or 1):
            raise PlanError(f"{people or 'endless'} junk people want names; {self._others} are left by the scored ones")
        self._population = None if people is None else self._distinct(people)
        self.width = 1 + len(self._parts) + self._values

    def names(self, first: int, last: int) -> NDArray[np.int64]:
        """The names (numbers below N0) of junk records `first` to `last` - 1."""
        number = np.arange(first, last)
        if self._population is None:
            return self._drawn(number)
        size = len(self._population)
        passes = range(first // size, -(-last // size))
        order = [permutation(stream_key(self._seed, "junk order", one), size) for one in passes]
        return self._population[np.concatenate(order)[number - passes[0] * size]]

    def windows(self, first: int, last: int) -> Ids:
        names = self.names(first, last)
        parts = np.stack(np.unravel_index(names, self._parts), 1)
        attribute = names[:, None] * self._values + np.arange(self._values)
        pool = len(self._value_tokens)
        values = (draws(stream_key(self._seed, "junk values"), attribute) % np.uint64(pool)).astype(np.int64)
        begin = np.full((len(names), 1), self._begin)
        return np.hstack([begin, self._name_tokens[self._first_token + parts], self._value_tokens[values]])

    def _drawn(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        word = draws(stream_key(self._seed, "junk names"), number)
        rank = (word % np.uint64(self._others)).astype(np.int64)
        return rank + np.searchsorted(self._gaps, rank, side="right")

    def _distinct(self, people: int) -> NDArray[np.int64]:
        drawn = people
        while True:
            names, first = np.unique(self._drawn(np.arange(drawn)), return_index=True)
            if len(names) >= people:
                return names[np.argsort(first)][:people]
            drawn *= 2


class PageWindows:
    """Pages packed and cut in windows; each pass over them is another permutation. What fills no window is left out."""

    def __init__(self, tokens: NDArray[np.integer], width: int, seed: int, name: str) -> None:
        self.width = width
        self._count = len(tokens) // width
        if not self._count:
            raise PlanError(f"junk shards '{name}' hold {len(tokens)} tokens of pages, less than a window of {width}")
        self._windows = tokens[: self._count * width].reshape(-1, width)
        self._seed = seed

    def windows(self, first: int, last: int) -> Ids:
        passes = range(first // self._count, -(-last // self._count))
        order = [permutation(stream_key(self._seed, "pages", one), self._count) for one in passes]
        chosen = np.concatenate(order)[first - passes[0] * self._count : last - passes[0] * self._count]
        return self._windows[chosen].astype(np.int64)


class Stream:
    """All batches of one run. `tokens` and `junk_tokens` are totals; `junk_ratio` is the share really reached."""

    def __init__(
        self,
        facts: Facts,
        documents: Documents,
        pages: NDArray[np.integer] | None,
        training: TrainingPlan,
        run: RunPlan,
    ) -> None:
        order = exposure_order(documents, facts.exposures, run.exposures, run.seed, facts.placement)
        begin = documents.tag if run.tagged else np.full(len(documents.tag), facts.end_of_text)
        width = None if facts.kind == "compact" else training.window
        self.useful = UsefulWindows(documents, order, begin, width)
        self.batch = training.batch
        whole = -(-self.useful.count // self.batch)
        self.steps = max(1, whole)
        # As many junk tokens for each useful one; 7/8 and its like are exact in binary, others to one in a million.
        share = Fraction(run.junk_ratio).limit_denominator(10**6)
        self._junk_per_useful = share / (1 - share)
        self.junk = self._source(facts, pages, training, run)
        self.junk_tokens = self._junk_through(self.steps) * self.junk.width if self.junk else 0
        self.tokens = self.useful.tokens + self.junk_tokens
        self.junk_ratio = self.junk_tokens / self.tokens
        self.longest = max(self.useful.width, self.junk.width if self.junk else 0)

    def _source(
        self, facts: Facts, pages: NDArray[np.integer] | None, training: TrainingPlan, run: RunPlan
    ) -> Windows | None:
        if run.junk_kind == "none":
            return None
        if run.junk_kind == "shards":
            assert pages is not None
            width = page_width(self._junk_per_useful * self.batch * self.useful.width, training.window)
            return PageWindows(pages, width, run.seed, str(run.junk_shards))
        return JunkRecords(facts, run.seed, run.junk_people if run.junk_kind == "repetitive" else None)

    def _junk_through(self, steps: int) -> int:
        """Junk windows of the first `steps` steps."""
        if self.junk is None:
            return 0
        useful = min(steps * self.batch * self.useful.width, self.useful.tokens)
        if steps >= self.steps:
            useful = self.useful.tokens
        return int(useful * self._junk_per_useful / self.junk.width)

    def batches(self) -> Iterator[list[Ids]]:
        """Every step's rows, as few blocks [rows, length] as their lengths allow; useful rows stand first."""
        step_tokens = self.batch * self.useful.width * (1 + float(self._junk_per_useful))
        stride = max(1, int(_CHUNK / step_tokens))
        for first in range(0, self.steps, stride):
            last = min(first + stride, self.steps)
            low, high = first * self.batch, min(last * self.batch, self.useful.count)
            useful = self.useful.windows(low, high)
            through = [self._junk_through(step) for step in range(first, last + 1)]
            junk = self.junk.windows(through[0], through[-1]) if self.junk and through[-1] > through[0] else None
            for step in range(first, last):
                parts = [useful[step * self.batch - low : (step + 1) * self.batch - low]]
                if junk is not None:
                    parts.append(junk[through[step - first] - through[0] : through[step - first + 1] - through[0]])
                if step == self.steps - 1:
                    parts.append(self.useful.rest())
                yield _blocks(parts)


def page_width(junk_tokens: Fraction, longest: int) -> int:
    """The width of junk windows that makes `junk_tokens` of one step an exact number of windows of at most `longest`.

    Where no width of at least half of `longest` does, `longest` itself: the ratio then holds up to one window in a run.
    """
    if junk_tokens.denominator == 1:
        whole = int(junk_tokens)
        exact = [width for width in range(longest, max(1, longest // 2 - 1), -1) if whole % width == 0]
        if exact:
            return exact[0]
        if 2 <= whole < longest:
            return whole
    return longest


def _blocks(parts: list[Ids]) -> list[Ids]:
    by_length: dict[int, list[Ids]] = {}
    for part in parts:
        if part.shape[0] and part.shape[1] > 1:
            by_length.setdefault(part.shape[1], []).append(part)
    return [same[0] if len(same) == 1 else np.concatenate(same) for same in by_length.values()]
