"""Texts that hold facts, as runs of tokens on a device: read from token shards, or drawn from a bundle.

A text has a number; asking for the same numbers gives the same tokens, so a stream of them is a list of numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from train_probe.draws import permutation, stream_key
from train_probe.inputs import Documents
from train_probe.plan import PlanError
from train_probe.render import Renderer

_COUNTED = 1 << 18  # texts of a bundle that are measured at once


class Ids:
    """Token ids [n] in device memory, two bytes each where the vocabulary allows, four where it does not."""

    def __init__(self, array: np.ndarray, device: torch.device) -> None:
        self._wide = array.dtype.itemsize > 2
        kept = np.ascontiguousarray(array, np.int32) if self._wide else np.ascontiguousarray(array, np.uint16)
        self._kept = torch.tensor(kept.view(np.int32 if self._wide else np.int16), device=device)

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, place: Tensor) -> Tensor:
        """The ids at `place`, int64 of its shape."""
        ids = self._kept[place].long()
        return ids if self._wide else ids & 0xFFFF


def stretches(starts: Tensor, lengths: Tensor) -> Tensor:
    """The places of stretches one after another: `lengths` [n] of them from `starts` [n] on, int64 [sum]."""
    ends = lengths.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    places = torch.arange(total, device=lengths.device)
    return places.add_((starts - ends + lengths).repeat_interleave(lengths, output_size=total))


class Measured(NamedTuple):
    """How many tokens texts have, those in front included: all together, the shortest and the longest."""

    tokens: int
    shortest: int
    longest: int


class Texts(Protocol):
    """Texts by number, each behind one token, on `device`."""

    device: torch.device

    def part(self, members: np.ndarray) -> Texts:
        """The texts about some people alone."""

    def fixed(self) -> Texts:
        """The same with the text of each one's first exposure at every exposure."""

    def order(self, exposures: int, seed: int, blocks: int = 0) -> Tensor:
        """The numbers of the first `exposures` exposures of all people, int64 [D], in training order: every exposure
        in turn, each a permutation of its people; in `blocks` of people, the same for one block after another. Where
        exposures were not placed evenly, the order of the corpus."""

    def measured(self, exposures: int) -> Measured:
        """Of all texts of these exposures. Raises PlanError as `order` does."""

    def people(self, numbers: Tensor) -> Tensor:
        """Whom each is about, int64 [n]."""

    def lengths(self, numbers: Tensor) -> Tensor:
        """How many tokens each has, the one in front included, int64 [n]."""

    def tokens(self, numbers: Tensor, tagged: bool | Tensor) -> Tensor:
        """The texts one after another, int64 [sum], each behind the token of its domain where it is `tagged` (all,
        none, or bool [n]), behind the end of text elsewhere."""


class ShardTexts:
    """Documents of token shards that expose a fact. `counts` [N] is how often each of the people appears."""

    def __init__(
        self, documents: Documents, counts: np.ndarray, end_of_text: int, placement: str, device: torch.device
    ) -> None:
        self._documents, self._counts, self._placement, self.device = documents, counts, placement, device
        self._end_of_text, self._people = end_of_text, np.arange(len(counts))
        self._measured: dict[int, Measured] = {}
        self._fixed = False
        self._ids = Ids(documents.tokens, device)
        self._start, self._length, self._tag = (
            torch.as_tensor(column, device=device) for column in (documents.start, documents.length, documents.tag)
        )

    def part(self, members: np.ndarray) -> ShardTexts:
        one = copy.copy(self)
        one._people, one._measured = members, {}
        return one

    def fixed(self) -> ShardTexts:
        one = copy.copy(self)
        one._fixed, one._measured = True, {}
        return one

    def _table(self, exposures: int) -> np.ndarray:
        number = exposure_table(self._documents, self._counts, exposures)[:, self._people]
        return np.where(number >= 0, number[0], -1) if self._fixed else number

    def order(self, exposures: int, seed: int, blocks: int = 0) -> Tensor:
        """As `Texts.order`. Raises PlanError unless the shards hold exposures 0 .. n - 1 of each person exactly once,
        where n is the person's count or `exposures`, whichever is less, and some have all."""
        number = self._table(exposures)
        if self._placement != "even":
            return torch.as_tensor(np.sort(number[number >= 0]), device=self.device)
        table = torch.as_tensor(number, device=self.device)
        numbers = torch.cat([table[exposure][order] for exposure, order in _orders(table, seed, blocks)])
        return numbers[numbers >= 0]

    def measured(self, exposures: int) -> Measured:
        if exposures not in self._measured:
            number = self._table(exposures)
            length = self._documents.length[number[number >= 0]] + 1
            self._measured[exposures] = Measured(int(length.sum()), int(length.min()), int(length.max()))
        return self._measured[exposures]

    def people(self, numbers: Tensor) -> Tensor:
        return torch.as_tensor(self._documents.entity, device=self.device)[numbers]

    def lengths(self, numbers: Tensor) -> Tensor:
        return self._length[numbers] + 1

    def tokens(self, numbers: Tensor, tagged: bool | Tensor) -> Tensor:
        length = self.lengths(numbers)
        # The token before a text's first is another text's: it is overwritten.
        tokens = self._ids[stretches(self._start[numbers] - 1, length).clamp_min(0)]
        begins = length.cumsum(0) - length
        if isinstance(tagged, Tensor):
            tokens[begins] = torch.where(tagged, self._tag[numbers], self._end_of_text)
        else:
            tokens[begins] = self._tag[numbers] if tagged else self._end_of_text
        return tokens


def exposure_table(documents: Documents, counts: np.ndarray, exposures: int) -> np.ndarray:
    """The number of the document that holds each exposure of each person, int64 [exposures, N]; -1 where there is none.
    Raises PlanError as `ShardTexts.order`."""
    people = len(counts)
    if len(documents.entity) and documents.entity.max() >= people:
        raise PlanError(f"the useful shards expose person {documents.entity.max()}; the facts have {people} people")
    check_exposures(counts, exposures)
    used = np.flatnonzero((documents.exposure >= 0) & (documents.exposure < exposures))
    place = documents.exposure[used] * people + documents.entity[used]
    seen = np.bincount(place, minlength=exposures * people).reshape(exposures, people)
    wanted = np.arange(exposures)[:, None] < counts
    if np.any(seen != wanted):
        exposure, person = (int(one[0]) for one in np.nonzero(seen != wanted))
        raise PlanError(
            f"the run needs {exposures} exposures of each of {people} people; the useful shards hold exposure "
            f"{exposure} of person {person} {seen[exposure, person]} times, not {int(wanted[exposure, person])}"
        )
    number = np.full(exposures * people, -1, np.int64)
    number[place] = used
    return number.reshape(exposures, people)


def check_exposures(counts: np.ndarray, exposures: int) -> None:
    """Raises PlanError where nobody has so many exposures."""
    if exposures > counts.max():
        raise PlanError(f"the run needs {exposures} exposures, but no person of the facts has more than {counts.max()}")


class DrawnTexts:
    """Texts drawn on the device from a bundle: number e N + i is exposure e of person i."""

    def __init__(self, renderer: Renderer, counts: np.ndarray, end_of_text: int, tag: int) -> None:
        self._renderer, self._people, self._front = renderer, len(counts), (end_of_text, tag)
        self._most, self.device = counts, renderer.device
        self._shown = torch.arange(len(counts), device=self.device)
        self._measured: list[Measured] = []
        self._fixed = False
        self._counts = torch.as_tensor(counts, device=self.device)

    def part(self, members: np.ndarray) -> DrawnTexts:
        one = copy.copy(self)
        one._shown, one._measured = torch.as_tensor(members, device=self.device), []
        return one

    def fixed(self) -> DrawnTexts:
        one = copy.copy(self)
        one._fixed, one._measured = True, []
        return one

    def order(self, exposures: int, seed: int, blocks: int = 0) -> Tensor:
        """As `Texts.order`. Raises PlanError where nobody has so many exposures."""
        check_exposures(self._most, exposures)
        number = torch.arange(exposures * self._people, device=self.device).view(exposures, -1)[:, self._shown]
        numbers = []
        for exposure, order in _orders(number, seed, blocks):
            numbers.append(number[exposure][order][(self._counts[self._shown] > exposure)[order]])
        return torch.cat(numbers)

    def measured(self, exposures: int) -> Measured:
        check_exposures(self._most, exposures)
        people = torch.arange(self._people, device=self.device)[self._shown]
        for exposure in range(len(self._measured), exposures):
            length = self.lengths(people[self._counts[self._shown] > exposure] + exposure * self._people)
            here = Measured(int(length.sum()), int(length.min()), int(length.max()))
            before = self._measured[-1] if self._measured else Measured(0, here.shortest, here.longest)
            self._measured.append(
                Measured(before.tokens + here.tokens, min(before[1], here[1]), max(before[2], here[2]))
            )
        return self._measured[exposures - 1]

    def people(self, numbers: Tensor) -> Tensor:
        return numbers % self._people

    def lengths(self, numbers: Tensor) -> Tensor:
        parts = [self._renderer.lengths(*self._split(part)) for part in numbers.split(_COUNTED)]
        return (torch.cat(parts) if parts else numbers) + 1

    def tokens(self, numbers: Tensor, tagged: bool | Tensor) -> Tensor:
        bare, tag = self._front
        front = torch.where(tagged, tag, bare) if isinstance(tagged, Tensor) else tag if tagged else bare
        return self._renderer.render(*self._split(numbers), front).tokens

    def _split(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        people = numbers % self._people
        return people, torch.zeros_like(people) if self._fixed else numbers // self._people


def _orders(table: Tensor, seed: int, blocks: int) -> Iterator[tuple[int, Tensor]]:
    """For each exposure of a table [exposures, N], in turn, its own permutation of the people; in `blocks`, of those of
    one block after another, whom a permutation of the seed puts there."""
    exposures, people = table.shape
    if not blocks:
        for exposure in range(exposures):
            yield exposure, permutation(stream_key(seed, "order", exposure), people, table.device)
        return
    split = permutation(stream_key(seed, "blocks"), people, table.device).tensor_split(blocks)
    for number, block in enumerate(split):
        for exposure in range(exposures):
            order = permutation(stream_key(seed, "order", exposure, number), len(block), table.device)
            yield exposure, block[order]
