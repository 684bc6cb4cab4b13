"""Junk: windows without a fact to score, numbered from 0; the same numbers always give the same tokens.

Five kinds: records of other people in the form of the facts' own (endless, or a small population over and over), their
biographies drawn from a bundle, text of a chain that can be learnt, pages of token shards (`train_probe/pages.py`), and
questions about the facts.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from train_probe.draws import below, permutation, stream_key
from train_probe.inputs import Facts
from train_probe.plan import PlanError
from train_probe.question_rows import Questions
from train_probe.render import Renderer

_MEASURED = 1024  # texts whose mean length says how many fill a window


@dataclass(frozen=True)
class Front:
    """The token in front of junk: `usual`, and for a share `leak` of its texts, drawn by `seed`, `leaked`: the token of
    the facts, which is then no longer pure."""

    usual: int
    leaked: int
    leak: float
    seed: int

    def of(self, numbers: Tensor) -> Tensor:
        """The token in front of each text, by its number."""
        tokens = torch.full_like(numbers, self.usual)
        if self.leak:
            drawn = below(stream_key(self.seed, "leak"), numbers, 1 << 32)
            tokens[drawn < round(self.leak * 2**32)] = self.leaked
        return tokens


class Junk(Protocol):
    """A source of windows of one width, and of the texts that windows which are not pure are packed from."""

    width: int

    def windows(self, first: int, last: int) -> Tensor:
        """Token ids int64 [last - first, width]."""

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        """How many tokens the texts of these numbers have, int64 [n]; pages that are `bare` [n] come without their
        rendered domain, generated junk keeps its own token."""

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        """These texts one after another, int64 [sum]."""

    def owners(self, numbers: Tensor) -> Tensor:
        """What the texts of these numbers are, int64 [n]: a page's piece, a record's name, or their own numbers."""

    def origins(self, first: int, last: int) -> Tensor:
        """Of the tokens of `windows` each one's owner, int64 [last - first, width]."""


class JunkRecords:
    """Compact records of people who are not scored; a name that recurs keeps its values.

    `people` is the size of a repetitive population, None for an endless one: names drawn from all N0 - N others.
    """

    def __init__(self, facts: Facts, seed: int, people: int | None, front: Front, device: torch.device) -> None:
        if facts.names is None or facts.name_tokens is None or facts.value_tokens is None:
            raise PlanError(f"junk records can be drawn for compact records, not for '{facts.kind}'")
        self._device, self._front, self._seed, self._parts = device, front, seed, facts.name_parts
        first = np.concatenate([[0], np.cumsum(facts.name_parts)[:-1]])
        self._name_tokens = torch.as_tensor(facts.name_tokens, device=device)
        self._value_tokens = torch.as_tensor(facts.value_tokens, device=device)
        self._first_token = torch.as_tensor(first, device=device)
        self._values = facts.values_per_person
        scored = np.unique(facts.names)
        self._others = math.prod(facts.name_parts) - len(scored)
        # How many other names lie below each scored one.
        self._gaps = torch.as_tensor(scored - np.arange(len(scored)), device=device)
        if self._others < max(1, people or 1):
            raise PlanError(f"{people or 'endless'} junk people need names; the scored people leave {self._others}")
        self._population = None if people is None else self._distinct(people)
        self.width = 1 + len(self._parts) + self._values

    def names(self, first: int, last: int) -> Tensor:
        """The names (numbers below N0) of junk records `first` to `last` - 1."""
        if self._population is None:
            return self._drawn(torch.arange(first, last, device=self._device))
        return self._population[_in_turn(self._seed, "junk order", len(self._population), first, last, self._device)]

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return torch.full_like(numbers, self.width)

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return _rows(self, numbers)

    def owners(self, numbers: Tensor) -> Tensor:
        first, last = _span(numbers)
        return self.names(first, last)[numbers - first]

    def origins(self, first: int, last: int) -> Tensor:
        return self.names(first, last)[:, None].expand(-1, self.width)

    def windows(self, first: int, last: int) -> Tensor:
        names = self.names(first, last)
        parts: list[Tensor] = []
        left = names
        for size in reversed(self._parts):
            parts.insert(0, left % size)
            left = left // size
        attribute = names[:, None] * self._values + torch.arange(self._values, device=self._device)
        values = below(stream_key(self._seed, "junk values"), attribute, len(self._value_tokens))
        front = self._front.of(torch.arange(first, last, device=self._device))[:, None]
        name = self._name_tokens[self._first_token + torch.stack(parts, 1)]
        return torch.cat([front, name, self._value_tokens[values]], 1)

    def _drawn(self, number: Tensor) -> Tensor:
        rank = below(stream_key(self._seed, "junk names"), number, self._others)
        return rank + torch.searchsorted(self._gaps, rank, right=True)

    def _distinct(self, people: int) -> Tensor:
        drawn = people
        while True:
            names, first = np.unique(self._drawn(torch.arange(drawn, device=self._device)).cpu(), return_index=True)
            if len(names) >= people:
                return torch.as_tensor(names[np.argsort(first)][:people], device=self._device)
            drawn *= 2


class JunkTexts:
    """Biographies of people beyond a bundle's table, packed: window i holds people of its own, the last text cut.

    `people` is the size of a repetitive population, with new texts each time; None: everybody once, while names last.
    Raises PlanError where the bundle's table was not drawn from its pools, or the names do not suffice.
    """

    def __init__(self, renderer: Renderer, seed: int, people: int | None, width: int, front: Front) -> None:
        if not renderer.meta["drawn"]:
            raise PlanError("junk of the facts' own kind needs facts drawn from pools; these came from a table")
        self.width = width
        self._renderer, self._front, self._seed, self._people = renderer, front, seed, people
        self._others = math.prod(renderer.meta["name_sizes"]) - renderer.entities
        if self._others < max(1, people or 1):
            raise PlanError(f"{people or 'endless'} junk people need names; the scored people leave {self._others}")
        # Each seed begins at another place of the one endless population.
        self._first = stream_key(seed, "junk people") % self._others
        some = torch.arange(min(_MEASURED, self._others), device=renderer.device)
        mean = 1 + float(renderer.lengths(renderer.entities + some, torch.zeros_like(some)).double().mean())
        self._texts = math.ceil(width / mean) + 1  # of a window

    def windows(self, first: int, last: int) -> Tensor:
        number = self._numbers(first, last)
        return self._cut(*self._renderer.render(*self._people_of(number), self._front.of(number)))

    def owners(self, numbers: Tensor) -> Tensor:
        return numbers

    def origins(self, first: int, last: int) -> Tensor:
        number = self._numbers(first, last)
        length = self.lengths(number)
        return self._cut(number.repeat_interleave(length), length.cumsum(0))

    def _numbers(self, first: int, last: int) -> Tensor:
        # A window that its own texts do not fill ends with those of the next.
        return torch.arange(first * self._texts, (last + 1) * self._texts, device=self._renderer.device)

    def _cut(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """The windows of texts that end there, each of which begins with its own."""
        begins = torch.cat([ends.new_zeros(1), ends])[: len(ends) - self._texts : self._texts]
        return tokens[begins[:, None] + torch.arange(self.width, device=tokens.device)]

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return self._renderer.lengths(*self._people_of(numbers)) + 1

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return self._renderer.render(*self._people_of(numbers), self._front.of(numbers)).tokens

    def _people_of(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The person of each text, and how many texts of that person came before."""
        if self._people is None:
            person, before = (self._first + numbers) % self._others, numbers // self._others
        else:
            place = _placed(self._seed, "junk order", self._people, numbers)
            person, before = (self._first + place) % self._others, numbers // self._people
        return self._renderer.entities + person, before


class JunkChain:
    """Text that can be learnt: a chain in which each token has so many `successors` of its own, the r-th with a
    probability of 1/r in proportion (Zipf's law). `tokens` [V] is its vocabulary; each window begins anew."""

    def __init__(self, tokens: Tensor, width: int, seed: int, front: Front, successors: int = 16) -> None:
        self.width, self._tokens, self._seed, self._front = width, tokens, seed, front
        self.successors = successors
        share = (1 / torch.arange(1, self.successors + 1, dtype=torch.float64)).cumsum(0)
        self._limits = (share / share[-1] * 2**32).round().long().to(tokens.device)
        table = torch.arange(len(tokens) * self.successors, device=tokens.device)
        self._next = below(stream_key(seed, "chain"), table, len(tokens)).view(len(tokens), self.successors)

    def windows(self, first: int, last: int) -> Tensor:
        number = torch.arange(first, last, device=self._tokens.device)
        place = number[:, None] * self.width + torch.arange(self.width, device=number.device)
        drawn = below(stream_key(self._seed, "chain steps"), place, 1 << 32)
        rank = torch.searchsorted(self._limits, drawn, right=True)
        state = below(stream_key(self._seed, "chain begins"), number, len(self._tokens))
        columns = [self._front.of(number)]
        for column in range(1, self.width):
            columns.append(self._tokens[state])
            state = self._next[state, rank[:, column]]
        return torch.stack(columns, 1)

    def held_out(self, count: int) -> Tensor:
        """Windows that no run trains on [count, width]."""
        return self.windows(HELD_OUT, HELD_OUT + count)

    def entropy(self) -> float:
        """The mean entropy, in nats, of the tokens of a window but the one in front: what a model that knows the chain
        loses on each. Exact: a successor that was drawn twice counts as one, and the first states are uniform."""
        states = len(self._tokens)
        limits = self._limits.double().cpu() / 2**32
        share = limits.diff(prepend=limits.new_zeros(1))
        following = self._next.cpu()
        together = ((following[:, :, None] == following[:, None, :]).double() * share).sum(2)
        of_state = -(share * together.log()).sum(1)
        at = torch.full((states,), 1 / states, dtype=torch.float64)
        nats = math.log(states)
        for _ in range(self.width - 2):
            nats += float(at @ of_state)
            at = torch.zeros_like(at).scatter_add_(0, following.flatten(), (at[:, None] * share).flatten())
        return nats / (self.width - 1)

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return torch.full_like(numbers, self.width)

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return _rows(self, numbers)

    def owners(self, numbers: Tensor) -> Tensor:
        return numbers

    def origins(self, first: int, last: int) -> Tensor:
        return torch.arange(first, last, device=self._tokens.device)[:, None].expand(-1, self.width)


class ShownQuestions:
    """The questions that may be shown, as junk is: pass after pass, each in an order of its own. Windows hold questions
    one after another from a whole one on, and cut the last."""

    def __init__(self, questions: Questions, seed: int, width: int, device: torch.device) -> None:
        self.width, self._seed, self._device = width, seed, device
        shown = [row for row, half in zip(questions.rows, questions.split.tolist(), strict=True) if half == 0]
        self._tokens = torch.as_tensor(np.concatenate(shown), device=device)
        self._length = torch.tensor([len(row) for row in shown], device=device)
        self._start = self._length.cumsum(0) - self._length
        self._count = len(shown)
        self._in_window = -(-width // int(self._length.min())) + 1

    def windows(self, first: int, last: int) -> Tensor:
        return self._packed(first, last, self.tokens)

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return self._length[self._placed(numbers)]

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        place = self._placed(numbers)
        starts, lengths = self._start[place], self._length[place]
        ends = lengths.cumsum(0)
        total = int(ends[-1]) if len(ends) else 0
        shift = (starts - ends + lengths).repeat_interleave(lengths, output_size=total)
        return self._tokens[shift + torch.arange(total, device=self._device)]

    def owners(self, numbers: Tensor) -> Tensor:
        return self._placed(numbers)

    def origins(self, first: int, last: int) -> Tensor:
        return self._packed(first, last, lambda texts: self.owners(texts).repeat_interleave(self.lengths(texts)))

    def _packed(self, first: int, last: int, of: Callable[[Tensor], Tensor]) -> Tensor:
        """Windows of what `of` says of the tokens of texts, int64 [last - first, width]."""
        rows = []
        for number in range(first, last):
            texts = torch.arange(number * self._in_window, (number + 1) * self._in_window, device=self._device)
            rows.append(of(texts)[: self.width])
        return torch.stack(rows) if rows else self._tokens.new_zeros(0, self.width)

    def _placed(self, numbers: Tensor) -> Tensor:
        """The question of each number: every pass over all of them is a permutation of its own."""
        place = torch.empty_like(numbers)
        for turn in torch.unique(numbers // self._count).tolist():
            here = numbers // self._count == turn
            order = permutation(stream_key(self._seed, "question order", turn), self._count, self._device)
            place[here] = order[numbers[here] % self._count]
        return place


HELD_OUT = 1 << 40
"""The number of the first window of a chain that no run reaches."""


def _rows(junk: JunkRecords | JunkChain, numbers: Tensor) -> Tensor:
    """Windows that are texts, one after another."""
    first, last = _span(numbers)
    return junk.windows(first, last)[numbers - first].flatten()


def _span(numbers: Tensor) -> tuple[int, int]:
    """A range that holds these numbers, and at least one."""
    return (int(numbers.min()), int(numbers.max()) + 1) if len(numbers) else (0, 1)


@functools.lru_cache(maxsize=16)
def _pass(seed: int, stream: str, number: int, size: int, device: torch.device) -> Tensor:
    return permutation(stream_key(seed, stream, number), size, device)


def _in_turn(seed: int, stream: str, size: int, first: int, last: int, device: torch.device) -> Tensor:
    """Members `first` to `last` - 1 of pass after pass over range(size), each a permutation of its own."""
    passes = range(first // size, max(first // size + 1, -(-last // size)))
    order = torch.cat([_pass(seed, stream, one, size, device) for one in passes])
    return order[first - passes[0] * size : last - passes[0] * size]


def _placed(seed: int, stream: str, size: int, numbers: Tensor) -> Tensor:
    """The members at these places of pass after pass."""
    first, last = _span(numbers)
    return _in_turn(seed, stream, size, first, last, numbers.device)[numbers - first]
