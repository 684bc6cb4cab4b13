"""Batches of useful windows and of junk, each drawn from its seed and step alone.

Arms with one seed see the same facts in the same order, whatever junk is around them. A fact's text is never cut: it
stands whole in one window. Where windows are pure, each is all useful or all junk, and junk is an exact share of
tokens, up to one window at any step; where they are mixed, junk fills what the facts leave of each window.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from train_probe.draws import below, permutation, stream_key, words
from train_probe.inputs import Facts
from train_probe.junk import Junk
from train_probe.plan import PlanError, RunPlan, TrainingPlan
from train_probe.texts import Texts, stretches
from train_probe.useful import UsefulTexts

_MEASURED = 1 << 16  # texts of junk that are measured at once

Shape = tuple[tuple[int, int], ...]
"""(length, rows) of each block of rows that a step has."""

Block = tuple[Tensor, Tensor]
"""Token ids int64 [steps, rows, length] and how many tokens of each row count, int64 [steps, rows]; the rest pads."""


class Rows:
    """Windows of `width` tokens that hold texts whole, and between them junk.

    `order` [D] are the useful texts in their order, those that are `bare` [D] without their domain; the first `junk`
    texts of the junk fill the windows, cut where one ends. Facts are spread evenly over windows; in each they stand
    first or last, as the window's number decides. `useful` and `total` count tokens, `lengths` [windows] those of each.
    Raises PlanError for a text that is longer than a window.
    """

    def __init__(
        self,
        texts: UsefulTexts,
        order: Tensor,
        width: int,
        bare: Tensor | None = None,
        filling: tuple[Junk, int, Tensor | None] | None = None,
    ) -> None:
        self._texts, self._order, self._bare, self.width = texts, order, bare, width
        device = order.device
        length = texts.lengths(order, bare)
        longest = int(length.max())
        if longest > width:
            raise PlanError(
                f"a text of a fact has {longest} tokens, and windows have {width}: it would be cut and scored whole;"
                f" ask for `window: {longest}` or more"
            )
        self.useful = int(length.sum())
        self._junk: Junk | None = None
        junk_ends = length.new_zeros(0)
        if filling is not None:
            self._junk, count, self._junk_bare = filling
            junk_ends = self._junk.lengths(torch.arange(count, device=device), self._junk_bare).cumsum(0)
        self._junk_ends = junk_ends
        junk = int(junk_ends[-1]) if len(junk_ends) else 0
        fewest = max(1, -(-(self.useful + junk) // width))
        ends = length.cumsum(0)
        starts = _starts(ends, width, fewest)
        self.count = max(len(starts), fewest)
        # Windows with facts lie evenly among all.
        place = (torch.arange(len(starts)) * self.count + self.count // 2) // len(starts)
        first = torch.zeros(self.count + 1, dtype=torch.int64)
        first[place + 1] = torch.tensor([*starts[1:], len(order)]) - torch.tensor(starts)
        first = first.cumsum(0).to(device)
        through = torch.cat([ends.new_zeros(1), ends])
        self._first, self._held = first, through[first[1:]] - through[first[:-1]]
        room = width - self._held
        filled = room.cumsum(0)
        if int(filled[-1]) - junk >= width:  # facts alone need more windows: junk is spread over all of them
            filled = (filled.double() * (junk / int(filled[-1]))).round().long()
            filled = filled.diff(prepend=filled.new_zeros(1)).minimum(room).cumsum(0)
        self._filled = torch.cat([filled.new_zeros(1), filled.clamp_max(junk)])
        self.lengths = self._held + self._filled.diff()
        self.total = int(self.lengths.sum())
        self.through = torch.cat([self.lengths.new_zeros(1), self.lengths.cumsum(0)])
        self._last = words(stream_key(0, "facts last"), torch.arange(self.count, device=device)) < 0

    def tokens(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Windows `first` to `last` - 1, int64 [last - first, width], and how many tokens of each count [last - first];
        beyond the last window they are empty."""
        lengths = self.lengths.new_zeros(last - first)
        rows = lengths.new_zeros((last - first) * self.width)
        end = min(last, self.count)
        if first >= end:
            return rows.view(-1, self.width), lengths
        lengths[: end - first] = self.lengths[first:end]
        begins = torch.arange(end - first, device=rows.device) * self.width
        held, filled = self._held[first:end], self._filled[first : end + 1].diff()
        facts_last = self._last[first:end]
        low, high = int(self._first[first]), int(self._first[end])
        if high > low:
            bare = None if self._bare is None else self._bare[low:high]
            place = stretches(begins + torch.where(facts_last, filled, 0), held)
            rows[place] = self._texts.tokens(self._order[low:high], bare)
        if self._junk is not None:
            place = stretches(begins + torch.where(facts_last, 0, held), filled)
            rows[place] = self._filling(int(self._filled[first]), int(self._filled[end]))
        return rows.view(-1, self.width), lengths

    def texts(self, first: int, last: int) -> tuple[Tensor, Tensor | None]:
        """The numbers of the texts in windows `first` to `last` - 1, and which of them are bare."""
        low, high = (int(self._first[min(one, self.count)]) for one in (first, last))
        return self._order[low:high], None if self._bare is None else self._bare[low:high]

    def holding(self, tokens: int) -> int:
        """How many windows it takes to see the first texts that have so many tokens behind one token each."""
        texts = int(torch.searchsorted(self._texts.texts.lengths(self._order).cumsum(0), tokens)) + 1
        return int(torch.searchsorted(self._first, texts))

    def _filling(self, first: int, last: int) -> Tensor:
        """Tokens `first` to `last` - 1 of the junk's stream."""
        ends = self._junk_ends
        if first == last or self._junk is None:
            return ends.new_zeros(0)
        low, high = torch.searchsorted(ends, torch.tensor([first, last - 1], device=ends.device), right=True).tolist()
        begin = int(ends[low - 1]) if low else 0
        numbers = torch.arange(low, high + 1, device=ends.device)
        bare = None if self._junk_bare is None else self._junk_bare[low : high + 1]
        return self._junk.tokens(numbers, bare)[first - begin : last - begin]


def _starts(ends: Tensor, width: int, wanted: int) -> list[int]:
    """The number of the first text of each window, for texts that end at `ends` in their stream: each window takes
    texts as long as they fit into a part of it, the smallest at which `wanted` windows suffice, or else into all."""
    lengths = ends.diff(prepend=ends.new_zeros(1))

    def packed(part: int) -> list[int]:
        after = torch.searchsorted(ends, ends - lengths + part, right=True).tolist()
        starts, text = [], 0
        while text < len(after):
            starts.append(text)
            text = after[text]
        return starts

    starts = packed(width)
    low, high = int(lengths.max()), width
    while len(starts) < wanted and low < high:
        part = (low + high) // 2
        tried = packed(part)
        if len(tried) <= wanted:
            starts, high = tried, part
        else:
            low = part + 1
    return starts


class PageStream:
    """The batches of a run of pages, or of a chain, alone: `steps` of `batch` windows, about `tokens` in all. As
    `Stream`."""

    junk_ratio = 1.0

    def __init__(self, pages: Junk, batch: int, tokens: int) -> None:
        self._pages, self.batch = pages, batch
        self.shape: Shape = ((pages.width, batch),)
        self.longest = pages.width
        self.steps = max(1, round(tokens / (batch * pages.width)))
        self.tokens = self.steps * batch * pages.width

    def step_of(self, exposures: int) -> int:
        return self.steps

    def pages(self, first: int, last: int) -> Tensor:
        """The windows of steps `first` to `last` - 1, int64 [windows, width]."""
        return self._pages.windows(first * self.batch, last * self.batch)

    def chunk(self, first: int, last: int) -> list[Block]:
        windows = self._pages.windows(first * self.batch, last * self.batch)
        rows = windows.view(last - first, self.batch, self._pages.width)
        return [(rows, torch.full(rows.shape[:2], self._pages.width, device=rows.device))]


class Stream:
    """All batches of one run, `steps` of them, each of rows as `shape` says.

    `tokens` is how many there are in all, `junk_ratio` the share of junk actually reached. Raises PlanError where the
    facts do not hold the exposures that the run asks for, or where a window does not hold a fact's text.
    """

    useful = UsefulTexts

    def __init__(self, facts: Facts, texts: Texts, junk: Junk | None, training: TrainingPlan, run: RunPlan) -> None:
        self._texts, self._junk, self._run, self.batch = texts, junk, run, useful_rows(training, run)
        self._useful = self.useful(texts, run)
        useful = texts.measured(run.exposures)
        self.useful_longest = useful.longest + self._useful.more
        self.width = training.window
        # In blocks where the run asks for it, or where the facts were placed so and their texts have no other order.
        self._blocks = run.blocks or facts.blocks
        if run.blocks and facts.placement != "even":
            raise PlanError(
                f"arm '{run.arm}' wants {run.blocks} blocks of people, and the facts in {facts.folder} were placed in"
                f" an order of their own ({facts.placement}): take facts with `placement: even`"
            )
        self._even = facts.placement == "even" and not self._blocks
        compact = facts.kind == "compact"
        if compact:
            self.width = self.useful_longest
            if self._useful.more and (run.bare or run.cool_down):
                raise PlanError(
                    "compact records must all have one length: with a front of several tokens, none can be bare"
                )
            if useful.shortest != useful.longest:
                raise PlanError(
                    f"compact records must all have one length; these have {useful.shortest} to {useful.longest} tokens"
                )
        self.mixed = run.windows == "mixed" and junk is not None
        self._share = junk_per_useful(run.junk_ratio)
        self._junk_texts = 0
        if self.mixed:
            assert junk is not None
            self._junk_texts = _texts_of(junk, int(useful.tokens * self._share), texts)
        self._rows: Rows | None = None
        if compact and not self.mixed:
            # A record is a window: nothing is to be packed before training.
            count = useful.tokens // useful.longest
            self.useful_tokens, junk_tokens = count * self.width, 0
        else:
            self._rows = self._packed()
            count, self.useful_tokens = self._rows.count, self._rows.useful
            junk_tokens = self._rows.total - self.useful_tokens
        rows = self.batch
        if self.mixed:
            rows = training.batch
            if training.batch_of == "useful":
                rows = max(1, round(self.batch * (1 + self._share)))
            self.shape: Shape = ((self.width, rows),)
        self._per_step = rows
        self.steps = max(1, -(-count // rows))
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
        """After how many steps the first `exposures` exposures of everybody were seen; where exposures were not placed
        evenly, that share of the steps."""
        if self._rows is not None and self._even:
            return min(self.steps, -(-self._rows.holding(self._texts.measured(exposures).tokens) // self._per_step))
        share = Fraction(self._texts.measured(exposures).tokens, self._texts.measured(self._run.exposures).tokens)
        return min(self.steps, -(-share.numerator * self.steps // share.denominator))

    def chunk(self, first: int, last: int) -> list[Block]:
        """Steps `first` to `last` - 1, the blocks of `shape` in turn; useful rows come before junk."""
        if self._rows is None:
            self._rows = self._packed()
        rows, steps = self._per_step, last - first
        tokens, lengths = self._rows.tokens(first * rows, last * rows)
        blocks = {self.width: (tokens.view(steps, rows, self.width), lengths.view(steps, rows))}
        if self._junk is not None and not self.mixed:
            self._add_junk(blocks, first, last)
        return [blocks[length] for length, _ in self.shape]

    def texts(self, first: int, last: int, most: int, drawn: int) -> list[Tensor]:
        """The useful texts that steps `first` to `last` - 1 show, each with the tokens in front of it; of more than
        `most`, so many that are `drawn` from this seed, in their order."""
        if self._rows is None:
            self._rows = self._packed()
        numbers, bare = self._rows.texts(first * self._per_step, last * self._per_step)
        if len(numbers) > most:
            chosen = permutation(drawn, len(numbers), numbers.device)[:most].sort().values
            numbers, bare = numbers[chosen], None if bare is None else bare[chosen]
        if not len(numbers):
            return []
        tokens = self._useful.tokens(numbers, bare)
        return list(torch.where(tokens < 0, ~tokens, tokens).split(self._useful.lengths(numbers, bare).tolist()))

    def pages(self, first: int, last: int) -> Tensor:
        """The windows of junk of steps `first` to `last` - 1, int64 [windows, width]. Raises PlanError where junk is in
        no windows of its own."""
        if self._junk is None or self.mixed:
            raise PlanError("the run has no windows of pages alone: sequences are `of: facts`")
        return self._junk.windows(self._junk_through(first), self._junk_through(last))

    def _packed(self) -> Rows:
        run = self._run
        order = self._texts.order(run.exposures, run.seed, self._blocks)
        filling = None
        if self.mixed:
            assert self._junk is not None
            filling = (self._junk, self._junk_texts, self._bare("bare junk", self._junk_texts, order.device))
        return Rows(self._useful, order, self.width, self._bare("bare", len(order), order.device), filling)

    def _bare(self, stream: str, texts: int, device: torch.device) -> Tensor | None:
        """Which of so many texts in a row come without their domain, bool; None: no text does."""
        run = self._run
        if not (run.bare or run.cool_down):
            return None
        place = torch.arange(texts, device=device)
        drawn = below(stream_key(run.seed, stream), place, 1 << 32) < round(run.bare * 2**32)
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
        return int(self._useful_through(steps) * self._share / self._junk.width)

    def _useful_through(self, steps: int) -> int:
        """Tokens of facts in the first `steps` steps."""
        if steps >= self.steps:
            return self.useful_tokens
        if self._rows is None:
            return steps * self.batch * self.width
        return int(self._rows.through[steps * self.batch])


def useful_rows(training: TrainingPlan, run: RunPlan) -> int:
    """Useful records, or windows, of each step where windows are pure. Raises PlanError where a batch of all does not
    hold a whole number of them."""
    if training.batch_of == "useful" or run.windows == "mixed":
        return training.batch
    rows = training.batch / (1 + junk_per_useful(run.junk_ratio))
    if rows.denominator > 1:
        raise PlanError(
            f"a batch of {training.batch} in all, {run.junk_ratio:g} of it junk, holds {float(rows):.3g} useful ones;"
            f" take a multiple of {rows.denominator} times {training.batch}, or batch_of: useful"
        )
    return int(rows)


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


def _texts_of(junk: Junk, wanted: int, useful: Texts) -> int:
    """How many texts of junk hold about `wanted` tokens."""
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
            return count + inside + 1
        return count + inside
    return count
