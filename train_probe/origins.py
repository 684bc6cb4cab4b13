"""Which text each token of a batch is of: the same streams, whose texts hold their own numbers in place of tokens.

A useful text is its number (`train_probe/texts.py`); a text of junk the bitwise complement of what it is (`owners`): a
page's piece, a record's name, or its number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train_probe.junk import Junk
from train_probe.stream import Stream
from train_probe.texts import Measured, Texts
from train_probe.useful import UsefulTexts


class NumberedTexts:
    """The same texts, whose tokens are their numbers."""

    def __init__(self, texts: Texts) -> None:
        self._texts, self.device = texts, texts.device

    def part(self, members: NDArray[Any]) -> NumberedTexts:
        return NumberedTexts(self._texts.part(members))

    def fixed(self) -> NumberedTexts:
        return NumberedTexts(self._texts.fixed())

    def order(self, exposures: int, seed: int, blocks: int = 0) -> Tensor:
        return self._texts.order(exposures, seed, blocks)

    def people(self, numbers: Tensor) -> Tensor:
        return self._texts.people(numbers)

    def measured(self, exposures: int) -> Measured:
        return self._texts.measured(exposures)

    def lengths(self, numbers: Tensor) -> Tensor:
        return self._texts.lengths(numbers)

    def tokens(self, numbers: Tensor, tagged: bool | Tensor) -> Tensor:
        return numbers.repeat_interleave(self.lengths(numbers))


class NumberedJunk:
    """The same junk, whose tokens are what it is of."""

    def __init__(self, junk: Junk) -> None:
        self._junk, self.width = junk, junk.width

    def windows(self, first: int, last: int) -> Tensor:
        return ~self._junk.origins(first, last)

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return self._junk.lengths(numbers, bare)

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return ~self.owners(numbers).repeat_interleave(self.lengths(numbers, bare))

    def owners(self, numbers: Tensor) -> Tensor:
        return self._junk.owners(numbers)

    def origins(self, first: int, last: int) -> Tensor:
        return self._junk.origins(first, last)


class _NumberedFronts(UsefulTexts):
    """Texts with what is in front of them: a domain's tokens belong to its text."""

    def tokens(self, numbers: Tensor, bare: Tensor | None) -> Tensor:
        return numbers.repeat_interleave(self.lengths(numbers, bare))


class NumberedStream(Stream):
    """The stream of a run, whose tokens are what they are of."""

    useful = _NumberedFronts


def stretch_ends(origins: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where stretches of one text end, of tokens in a row that are of these origins and in these rows."""
    change = np.flatnonzero((np.diff(origins) != 0) | (np.diff(row) != 0)) + 1
    return np.append(change, len(origins)) if len(origins) else change


def flat(blocks: list[tuple[Tensor, Tensor]]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The tokens that count of the blocks of several steps, in the order of training; the step of each, from 0, and its
    row, over all blocks of its step."""
    parts, before = [], 0
    for tokens, lengths in blocks:
        _, rows, length = tokens.shape
        counted = torch.arange(length, device=tokens.device) < lengths[..., None]
        step, row, _ = counted.nonzero(as_tuple=True)
        parts.append(torch.stack([step, row + before, tokens[counted]]))
        before += rows
    step, row, ids = torch.cat(parts, 1).cpu().numpy()
    order = np.argsort(step, kind="stable")
    return ids[order], step[order], row[order]
