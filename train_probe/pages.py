"""Pages of token shards as windows and texts: cut into pieces first, then shuffled, so that a run that reads a part of
the tokens reads a part of every page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train_probe.draws import order_of, stream_key, words
from train_probe.inputs import Pages
from train_probe.plan import PlanError, RunPlan
from train_probe.texts import Ids, stretches

_HASHED = 1 << 20  # tokens whose pages are hashed at once
_STRIDE = 0x632BE59BD9B4E019  # between the marks of a page's pieces
_OCCURRENCE = -0x61C8864680B583EB  # and between those of equal pages


@dataclass(frozen=True, eq=False)
class PagesOnDevice:
    """Pages on a device. `ends` [pages] is where each ends in `tokens`, `prefix` [pages] how many tokens of rendered
    domain it begins with; `marks` [pages] numbers each by its content, so that pages that two corpora share are
    shuffled alike in both."""

    tokens: Ids
    ends: Tensor
    prefix: Tensor
    marks: Tensor

    @classmethod
    def of(cls, pages: Pages, device: torch.device) -> PagesOnDevice:
        columns = (torch.as_tensor(column, device=device) for column in (pages.ends, pages.prefix, page_marks(pages)))
        return cls(Ids(pages.tokens, device), *columns)


def page_marks(pages: Pages) -> Tensor:
    """A number for each page, int64 [pages]: a hash of its tokens without the rendered domain, and of how many equal
    pages come before it."""
    starts = np.concatenate([[0], pages.ends[:-1]]).astype(np.int64)
    marks = torch.zeros(len(pages.ends), dtype=torch.int64)
    first = 0
    while first < len(marks):
        last = max(first + 1, int(np.searchsorted(pages.ends, starts[first] + _HASHED)))
        begins = torch.from_numpy(starts[first:last] + pages.prefix[first:last])
        lengths = torch.from_numpy(pages.ends[first:last]) - begins
        ids = torch.from_numpy(np.asarray(pages.tokens[stretches(begins, lengths).numpy()]).astype(np.int64))
        hashed = (ids + 1) * words(0, stretches(torch.zeros_like(lengths), lengths))
        through = torch.cat([hashed.new_zeros(1), hashed.cumsum(0)])
        ends = lengths.cumsum(0)
        marks[first:last] = through[ends] - through[ends - lengths]
        first = last
    _, group, count = marks.unique(return_inverse=True, return_counts=True)
    order = torch.argsort(group, stable=True)
    before = torch.empty_like(marks)
    before[order] = stretches(torch.zeros_like(count), count)
    return words(0, marks + before * _OCCURRENCE)


@dataclass(frozen=True)
class Coin:
    """A draw of pages that hold a share of all tokens, or of those of each group of equally many pages by length
    (`by_length`, the shortest first). Coins of other seeds or numbers are independent."""

    seed: int
    number: int = 0
    kept: float = 1.0
    by_length: tuple[float, ...] = ()

    @classmethod
    def of(cls, run: RunPlan) -> Coin | None:
        """The coin of a run; None where it reads all pages."""
        if run.kept == 1 and not run.kept_by_length:
            return None
        return cls(run.seed, run.coin, run.kept, run.kept_by_length)

    def chosen(self, lengths: Tensor, marks: Tensor) -> Tensor:
        """The numbers of the pages that it keeps, ascending, of pages with so many tokens behind their domains, and
        these marks [pages]."""
        drawn = order_of(words(stream_key(self.seed, "coin", self.number), marks)[None])[0]
        if not self.by_length:
            return drawn[_filling(lengths[drawn], self.kept)].sort().values
        rank = torch.empty_like(drawn)
        rank[torch.argsort(lengths, stable=True)] = torch.arange(len(lengths), device=lengths.device)
        group = (rank * len(self.by_length) // len(lengths))[drawn]
        groups = [drawn[group == number] for number in range(len(self.by_length))]
        kept = [one[_filling(lengths[one], share)] for one, share in zip(groups, self.by_length, strict=True)]
        return torch.cat(kept).sort().values


def _filling(lengths: Tensor, share: float) -> Tensor:
    """Which of pages in a row to take, bool, so that they hold a share of all tokens: each that still fits, until less
    than a two-hundredth of it lacks."""
    wanted = share * float(lengths.sum())
    through = lengths.cumsum(0)
    taken = through <= wanted
    held = float(lengths[taken].sum())
    for place in range(int(taken.sum()), len(lengths)):
        if wanted - held < wanted / 200:
            break
        if held + float(lengths[place]) <= wanted * 1.005:
            taken[place] = True
            held += float(lengths[place])
    return taken


class PagePieces:
    """Pages cut into pieces of at most about `width` tokens, each behind its page's rendered domain; each pass over
    them is another order, endlessly.

    Texts are the pieces, by their place in pass after pass; windows are `width` tokens of the stream of all pieces.
    Where domains are `silent`, their tokens are given as their bitwise complement. A `coin` chooses the pages. Raises
    PlanError where they do not fill one window.
    """

    def __init__(
        self, pages: PagesOnDevice, width: int, seed: int, name: str, silent: bool = False, coin: Coin | None = None
    ) -> None:
        self.width, self._pages, self._seed, self._silent = width, pages, seed, silent
        chosen = torch.arange(len(pages.ends), device=pages.ends.device)
        self._length = length = pages.ends.diff(prepend=pages.ends.new_zeros(1))
        if coin is not None:
            chosen = coin.chosen(length - pages.prefix, pages.marks)
        prefix = pages.prefix[chosen]
        body = length[chosen] - prefix
        size = (width - prefix).clamp_min(max(1, width // 2))
        # How many pieces a page has, and which page of `chosen` each piece belongs to.
        self._count = count = (-(-body // size)).clamp_min(1)
        self._owner = owner = torch.arange(len(chosen), device=chosen.device).repeat_interleave(count)
        self._before = count.cumsum(0) - count
        number = torch.arange(len(owner), device=owner.device) - self._before[owner]
        # Pieces of one page have the same length, but for one token.
        begin, end = body[owner] * number // count[owner], body[owner] * (number + 1) // count[owner]
        self._page, self._part, self._prefix = chosen[owner], end - begin, prefix[owner]
        self._begin = (pages.ends[chosen] - body)[owner] + begin
        self._whole = self._prefix + self._part
        self._page_marks, self._marks = pages.marks[chosen], pages.marks[self._page] + number * _STRIDE
        self.pass_tokens = int(self._whole.sum())
        if self.pass_tokens < width:
            of = "" if coin is None else f", of which a coin keeps {self.pass_tokens}"
            raise PlanError(
                f"junk shards '{name}' hold {int(length.sum())} tokens of pages{of}, less than a window of {width}"
            )
        self._passes: dict[int, tuple[Tensor, Tensor]] = {}

    def _pass(self, number: int) -> tuple[Tensor, Tensor]:
        """The pieces in the order of a pass, and where each ends in its stream; the last two asked for are kept."""
        if number not in self._passes:
            while len(self._passes) > 1:
                del self._passes[next(iter(self._passes))]
            self._passes[number] = self._order(number)
        return self._passes[number]

    def _order(self, number: int) -> tuple[Tensor, Tensor]:
        """As `_pass`. The pieces of a page are evenly apart, in an order of their own."""
        key, owner = stream_key(self._seed, "pages", number), self._owner
        drawn = order_of(words(key, self._marks)[None])[0]
        by_page = drawn[torch.argsort(owner[drawn], stable=True)]
        rank = torch.empty_like(owner)
        rank[by_page] = torch.arange(len(owner), device=owner.device) - self._before[owner[by_page]]
        offset = (words(key, self._page_marks) & (1 << 53) - 1).double() / 2**53
        order = torch.argsort((rank + offset[owner]) / self._count[owner], stable=True)
        return order, self._whole[order].cumsum(0)

    def windows(self, first: int, last: int) -> Tensor:
        """Token ids int64 [last - first, width]."""
        return self._windows(first, last, lambda piece: self._of(piece, None))

    def origins(self, first: int, last: int) -> Tensor:
        """The piece that each token of these windows is of."""
        return self._windows(first, last, lambda piece: piece.repeat_interleave(self._whole[piece]))

    def pages_of(self, pieces: Tensor) -> Tensor:
        """The numbers of the pages that pieces are of."""
        return self._page[pieces]

    def owners(self, numbers: Tensor) -> Tensor:
        return self._pieces(numbers)

    def _windows(self, first: int, last: int, of: Callable[[Tensor], Tensor]) -> Tensor:
        parts = [self._whole.new_zeros(0)]
        place, end = first * self.width, last * self.width
        while place < end:
            number, inside = divmod(place, self.pass_tokens)
            order, ends = self._pass(number)
            until = min(self.pass_tokens, inside + end - place)
            low, high = torch.searchsorted(
                ends, torch.tensor([inside, until - 1], device=ends.device), right=True
            ).tolist()
            begins = int(ends[low - 1]) if low else 0
            parts.append(of(order[low : high + 1])[inside - begins : until - begins])
            place += until - inside
        return torch.cat(parts).view(-1, self.width)

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        """How many tokens the pieces at these places have, int64 [n]; those that are `bare` [n] come without their
        domain."""
        piece = self._pieces(numbers)
        return self._whole[piece] if bare is None else self._whole[piece] - torch.where(bare, self._prefix[piece], 0)

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        """These pieces one after another, int64 [sum]."""
        return self._of(self._pieces(numbers), bare)

    def _pieces(self, numbers: Tensor) -> Tensor:
        count = len(self._page)
        passes = numbers // count
        piece = torch.empty_like(numbers)
        for one in passes.unique().tolist():
            here = passes == one
            piece[here] = self._pass(one)[0][numbers[here] % count]
        return piece

    def _of(self, piece: Tensor, bare: Tensor | None) -> Tensor:
        page = self._page[piece]
        carried = self._prefix[piece] if bare is None else torch.where(bare, 0, self._prefix[piece])
        starts = self._pages.ends[page] - self._length[page]
        lengths = torch.stack([carried, self._part[piece]], 1).flatten()
        tokens = self._pages.tokens[stretches(torch.stack([starts, self._begin[piece]], 1).flatten(), lengths)]
        if not self._silent:
            return tokens
        inside = torch.tensor([True, False], device=tokens.device).repeat(len(piece)).repeat_interleave(lengths)
        return torch.where(inside, ~tokens, tokens)
