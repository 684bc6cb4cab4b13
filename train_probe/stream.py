"""Batches of useful windows and of junk, each drawn from its seed and step alone.

Arms with one seed see the same facts in the same order in the same number of steps, whatever junk is around them. Where
windows are pure, each is all useful or all junk, and junk is an exact share of tokens, up to one window at any step;
where they are mixed, whole texts of both kinds are packed in one stream.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from train_probe.draws import below, stream_key
from train_probe.inputs import Facts
from train_probe.junk import Junk
from train_probe.plan import PlanError, RunPlan, TrainingPlan
from train_probe.texts import Texts

_MEASURED = 1 << 16  # texts of junk that are measured at once

Shape = tuple[tuple[int, int], ...]
"""(length, rows) of each block of rows that a step has."""

Block = tuple[Tensor, Tensor]
"""Token ids int64 [steps, rows, length] and how many tokens of each row count, int64 [steps, rows]; the rest pads."""


class Packed:
    """Texts in an order as one stream of `total` tokens, `useful` of them of facts; those that are `bare` [D] come
    without their domain."""

    def __init__(self, texts: UsefulTexts | Mixed, order: Tensor, bare: Tensor | None = None) -> None:
        self._texts, self._order, self._bare = texts, order, bare
        lengths = texts.lengths(order, bare)
        self._ends = lengths.cumsum(0)
        self.total, self.useful = int(lengths.sum()), int(lengths[order >= 0].sum())

    def tokens(self, first: int, last: int) -> Tensor:
        """Tokens `first` to `last` - 1 of the stream."""
        ends = self._ends
        low, high = torch.searchsorted(ends, torch.tensor([first, last - 1], device=ends.device), right=True).tolist()
        begin = int(ends[low - 1]) if low else 0
        bare = None if self._bare is None else self._bare[low : high + 1]
        return self._texts.tokens(self._order[low : high + 1], bare)[first - begin : last - begin]


class UsefulTexts:
    """Useful texts as a run shows them: after their domain, or bare. Tokens of a `silent` domain are given as their
    bitwise complement: they are read, and no loss is taken on them. A domain's tokens are the run's `front`, or its
    one token."""

    def __init__(self, texts: Texts, run: RunPlan) -> None:
        self.texts, self._tagged, self._silent = texts, run.tag in ("useful", "both"), not run.tag_loss
        front = run.front if self._tagged else ()
        self.more = max(0, len(front) - 1)
        self._front = torch.tensor(front, dtype=torch.int64, device=texts.device)

    def lengths(self, numbers: Tensor, bare: Tensor | None) -> Tensor:
        length = self.texts.lengths(numbers)
        return length + self.more * (1 if bare is None else (~bare).long()) if self.more else length

    def tokens(self, numbers: Tensor, bare: Tensor | None) -> Tensor:
        tagged = self._tagged if bare is None or not self._tagged else ~bare
        tokens = self.texts.tokens(numbers, tagged)
        if not self._tagged or not (len(self._front) or self._silent):
            return tokens
        length = self.texts.lengths(numbers)
        begins = length.cumsum(0) - length
        carrying = torch.ones_like(begins, dtype=torch.bool) if bare is None else ~bare
        if self.more:
            copies = torch.ones_like(tokens)
            copies[begins[carrying]] += self.more
            tokens = tokens.repeat_interleave(copies)
            begins = begins + self.more * (carrying.cumsum(0) - carrying.long())
        place = begins[carrying][:, None] + torch.arange(1 + self.more, device=tokens.device)
        if len(self._front):
            tokens[place] = self._front
        if self._silent:
            tokens[place] = ~tokens[place]
        return tokens


class Mixed:
    """Useful texts, by their own numbers, and texts of junk: text i of the junk has the number -1 - i."""

    def __init__(self, useful: UsefulTexts, junk: Junk) -> None:
        self._useful, self._junk = useful, junk

    def order(self, useful: Tensor, junk: int) -> Tensor:
        """The useful texts in their order and the first `junk` texts of the junk in theirs, both spread evenly."""
        place = [(torch.arange(n, device=useful.device).double() + 0.5) / n for n in (len(useful), junk)]
        numbers = torch.cat([useful, -1 - torch.arange(junk, device=useful.device)])
        return numbers[torch.argsort(torch.cat(place), stable=True)]

    def lengths(self, numbers: Tensor, bare: Tensor | None) -> Tensor:
        is_junk = numbers < 0
        lengths = torch.empty_like(numbers)
        lengths[is_junk] = self._junk.lengths(-1 - numbers[is_junk], _of(bare, is_junk))
        lengths[~is_junk] = self._useful.lengths(numbers[~is_junk], _of(bare, ~is_junk))
        return lengths

    def tokens(self, numbers: Tensor, bare: Tensor | None) -> Tensor:
        is_junk = numbers < 0
        of_junk = is_junk.repeat_interleave(self.lengths(numbers, bare))
        tokens = torch.empty(len(of_junk), dtype=torch.int64, device=numbers.device)
        tokens[of_junk] = self._junk.tokens(-1 - numbers[is_junk], _of(bare, is_junk))
        tokens[~of_junk] = self._useful.tokens(numbers[~is_junk], _of(bare, ~is_junk))
        return tokens


def _of(bare: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if bare is None else bare[chosen]


class Stream:
    """All batches of one run, `steps` of them, each of rows as `shape` says.

    `tokens` is how many there are in all, `junk_ratio` the share of junk actually reached. Raises PlanError where the
    facts do not hold the exposures that the run asks for.
    """

    def __init__(self, facts: Facts, texts: Texts, junk: Junk | None, training: TrainingPlan, run: RunPlan) -> None:
        self._texts, self._junk, self._run, self.batch = texts, junk, run, training.batch
        self._useful = UsefulTexts(texts, run)
        useful = texts.measured(run.exposures)
        self.width = training.window
        if facts.kind == "compact":
            self.width = useful.longest + self._useful.more
            if self._useful.more and (run.bare or run.cool_down):
                raise PlanError(
                    "compact records must all have one length: with a front of several tokens, none can be bare"
                )
            if useful.shortest != useful.longest:
                raise PlanError(
                    f"compact records must all have one length; these have {useful.shortest} to {useful.longest} tokens"
                )
        self.useful_tokens = useful.tokens
        self.mixed = run.windows == "mixed" and junk is not None
        self._share = junk_per_useful(run.junk_ratio)
        self._junk_texts = junk_tokens = 0
        if self.mixed:
            assert junk is not None
            self._junk_texts, junk_tokens = _texts_of(junk, int(useful.tokens * self._share), texts)
        self._packed: Packed | None = None
        if self._useful.more or run.bare or run.cool_down:
            # How many tokens fronts add, or bare texts lack, is known once all texts are in order.
            self._packed = self._stream()
            self.useful_tokens = self._packed.useful
            junk_tokens = self._packed.total - self.useful_tokens
        if self.mixed:
            rows = max(1, round(self.batch * (1 + self._share)))
            self.shape: Shape = ((self.width, rows),)
        else:
            rows = self.batch
        windows = -(-(self.useful_tokens + junk_tokens) // self.width)
        self.steps = max(1, -(-windows // rows))
        if not self.mixed:
            by_length = {self.width: self.batch}
            if junk is not None:
                junk_tokens = self._junk_through(self.steps) * junk.width
                most = min(
                    math.ceil(self.batch * self.width * self._share / junk.width), self._junk_through(self.steps)
                )
                by_length[junk.width] = by_length.get(junk.width, 0) + most
            self.shape = tuple(by_length.items())
        self.tokens = self.useful_tokens + junk_tokens
        self.junk_ratio = junk_tokens / self.tokens

    @property
    def longest(self) -> int:
        return max(length for length, _ in self.shape)

    def step_of(self, exposures: int) -> int:
        """After how many steps the first `exposures` exposures of everybody were seen."""
        share = Fraction(self._texts.measured(exposures).tokens, self._texts.measured(self._run.exposures).tokens)
        return min(self.steps, -(-share.numerator * self.steps // share.denominator))

    def chunk(self, first: int, last: int) -> list[Block]:
        """Steps `first` to `last` - 1, the blocks of `shape` in turn; useful rows come before junk."""
        if self._packed is None:
            self._packed = self._stream()
        rows = self.shape[0][1] if self.mixed else self.batch
        total = self.tokens if self.mixed else self.useful_tokens
        steps, width = last - first, self.width
        low, high = min(total, first * rows * width), min(total, last * rows * width)
        made = self._packed.tokens(low, high) if high > low else torch.zeros(0, dtype=torch.int64)
        tokens = made.new_zeros(steps * rows * width)
        tokens[: high - low] = made
        lengths = (high - low - torch.arange(steps * rows, device=made.device) * width).clamp(0, width)
        blocks = {width: (tokens.view(steps, rows, width), lengths.view(steps, rows))}
        if self._junk is not None and not self.mixed:
            self._add_junk(blocks, first, last)
        return [blocks[length] for length, _ in self.shape]

    def _stream(self) -> Packed:
        run, texts = self._run, self._useful
        order = self._texts.order(run.exposures, run.seed)
        both: UsefulTexts | Mixed = texts
        if self.mixed:
            assert self._junk is not None
            both = Mixed(texts, self._junk)
            order = both.order(order, self._junk_texts)
        return Packed(both, order, self._bare(len(order), order.device))

    def _bare(self, texts: int, device: torch.device) -> Tensor | None:
        """Which of so many texts in a row come without their domain, bool; None: no text does."""
        run = self._run
        if not (run.bare or run.cool_down):
            return None
        place = torch.arange(texts, device=device)
        drawn = below(stream_key(run.seed, "bare"), place, 1 << 32) < round(run.bare * 2**32)
        return drawn | (place >= round(texts * (1 - run.cool_down)))

    def _add_junk(self, blocks: dict[int, Block], first: int, last: int) -> None:
        assert self._junk is not None
        width, steps = self._junk.width, last - first
        before, through = self._junk_through(first), self._junk_through(last)
        rows = dict(self.shape)[width] - (self.batch if width == self.width else 0)
        windows = self._junk.windows(before, through)
        tokens = windows.new_zeros(steps * rows, width)
        lengths = tokens.new_zeros(steps * rows)
        per_step = torch.tensor([self._junk_of(step) for step in range(first, last)], device=windows.device)
        begins = per_step.cumsum(0) - per_step
        step = torch.arange(steps, device=windows.device).repeat_interleave(per_step)
        place = step * rows + torch.arange(len(windows), device=windows.device) - begins[step]
        tokens[place], lengths[place] = windows, width
        block = tokens.view(steps, rows, width), lengths.view(steps, rows)
        if width in blocks:
            block = (torch.cat([blocks[width][0], block[0]], 1), torch.cat([blocks[width][1], block[1]], 1))
        blocks[width] = block

    def _junk_of(self, step: int) -> int:
        return self._junk_through(step + 1) - self._junk_through(step)

    def _junk_through(self, steps: int) -> int:
        """Junk windows of the first `steps` steps."""
        if self._junk is None:
            return 0
        useful = self.useful_tokens if steps >= self.steps else steps * self.batch * self.width
        return int(useful * self._share / self._junk.width)


def junk_per_useful(ratio: float) -> Fraction:
    """Junk tokens for each useful one: 7/8 and its like are exact in binary, other ratios to one in a million."""
    share = Fraction(ratio).limit_denominator(10**6)
    return share / (1 - share)


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


def _texts_of(junk: Junk, wanted: int, useful: Texts) -> tuple[int, int]:
    """How many texts of junk hold about `wanted` tokens, and how many tokens they hold."""
    count, tokens = 0, 0
    while tokens < wanted:
        ends = junk.lengths(torch.arange(count, count + _MEASURED, device=useful.device)).cumsum(0)
        # To the nearest border between two texts.
        inside = int(torch.searchsorted(ends, wanted - tokens))
        if inside == _MEASURED:
            count, tokens = count + _MEASURED, tokens + int(ends[-1])
            continue
        below = int(ends[inside - 1]) if inside else 0
        if int(ends[inside]) + below <= 2 * (wanted - tokens):
            return count + inside + 1, tokens + int(ends[inside])
        return count + inside, tokens + below
    return count, tokens
