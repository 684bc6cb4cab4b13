"""Which arms a comparison trains, and what each is judged against: a coin that drops as much as the arm does.

A corpus that is a part of another is read more often, and anything that is dropped changes what is left; only a coin of
the same severity shows what dropping *these* pages does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from curate.shards.domain_rendering import drawn
from curate.shards.tokens import TokenShards
from recipes.app.measure.corpora import Entry, Tokenised

ALIKE = 0.95
"""Corpora whose tokens differ by less than this factor count as equally large; such arms share a coin."""
GROUPS = 5
"""Groups of equally many pages by length, in each of which a coin by length drops as much as the arm does."""
COIN = "coin of "
CoinOf = Literal["pages", "length"]


@dataclass(frozen=True)
class Arm:
    """What the models of one arm read: the token shards of a corpus, or the part of them that a coin keeps, another
    part for each seed (`train_probe.pages.Coin`).

    `against` is the arm that it is judged by: a coin of its size, the first corpus where that is as large, or, for a
    rendering, the same pages in another one (`paired`: both read them in the same order).
    """

    name: str
    shards: str
    corpus: str
    kept: float = 1.0
    kept_by_length: tuple[float, ...] = ()
    coin: int = 0
    against: str | None = None
    paired: bool = False

    @property
    def is_coin(self) -> bool:
        return self.against is None and self.kept < 1

    def run(self) -> dict[str, object]:
        """What it says of a run's pages."""
        if self.kept == 1:
            return {}
        return {"kept": self.kept, "kept_by_length": list(self.kept_by_length), "coin": self.coin}


def arms_of(entries: Sequence[Entry], corpora: Sequence[Tokenised], coin_of: CoinOf = "pages") -> list[Arm]:
    """The first corpus, the others, and their coins.

    A smaller corpus is judged by a coin that cuts the first one to its tokens. A larger one is itself cut to the first
    one's tokens, and judged by that: so a rule that is left out, or whose drops are mixed back, meets a coin too. Of
    the arms of one corpus, the one without rendered domains is judged so, wherever it stands, and the others by it;
    coins are of the first corpus without rendered domains, where that is an arm.
    """
    assert coin_of in get_args(CoinOf)
    of = {one.name: one for one in corpora}
    plain: dict[str, str] = {}  # the arm that stands for each corpus
    for entry in sorted(entries, key=lambda entry: entry.rendering.domain != "none"):
        plain.setdefault(entry.corpus.name, entry.name)
    first = of[plain[entries[0].corpus.name]]
    arms: dict[str, Arm] = {first.name: Arm(first.name, first.name, first.corpus)}
    coins: list[Arm] = []
    names = {entry.name for entry in entries}
    for one in (of[name] for name in plain.values() if name != first.name):
        share, number = one.tokens / first.tokens, drawn(one.name, "coin") >> 34
        if share > 1 / ALIKE:
            groups = by_length(first, one) if coin_of == "length" else ()
            arms[one.name] = Arm(one.name, one.name, one.corpus, 1 / share, groups, number, against=first.name)
        elif share >= ALIKE:
            arms[one.name] = Arm(one.name, one.name, one.corpus, against=first.name)
        else:
            groups = by_length(one, first) if coin_of == "length" else ()
            coin = next((arm for arm in coins if ALIKE <= share / arm.kept <= 1 / ALIKE and not groups), None)
            if coin is None:
                name = f"{COIN}{share:.0%}"
                if name in names | {arm.name for arm in coins}:
                    name = f"{COIN}{share:.0%} for {one.name}"
                coin = Arm(name, first.name, first.corpus, share, groups, number)
                coins.append(coin)
            arms[one.name] = Arm(one.name, one.name, one.corpus, against=coin.name)
    for entry in entries:
        same = arms[plain[entry.corpus.name]]
        if entry.name != same.name:
            arms[entry.name] = dataclasses.replace(
                same, name=entry.name, shards=entry.name, against=same.name, paired=True
            )
    return [arms[entry.name] for entry in entries] + coins


MOST_REPEATS = 4.0
"""Times that a corpus may be repeated: repetition alone lets a model store more (arXiv 2404.05405, result 11)."""


def most_repeats(arm: Arm, arms: Sequence[Arm], allowed: Sequence[str]) -> float:
    """How often an arm may repeat its corpus: as often as wanted where it is `allowed` by name, or an arm that it is
    the coin of; a coin that several arms share may be a little smaller than they are."""
    if {arm.name, *(other.name for other in arms if other.against == arm.name)} & set(allowed):
        return math.inf
    return MOST_REPEATS / ALIKE if arm.is_coin else MOST_REPEATS


def first_of(arms: Sequence[Arm]) -> Arm:
    """The arm of the first corpus that the others are judged by, or their coins are cut from."""
    return next(arm for arm in arms if arm.against is None and not arm.is_coin)


def by_length(small: Tokenised, large: Tokenised) -> tuple[float, ...]:
    """The shares of the tokens of `large` that a coin keeps in each of `GROUPS` groups of equally many of its pages by
    length, so that it keeps as many tokens as `small` has, as short and as long pages as `small` has."""
    lengths, wanted = np.sort(page_lengths(large.folder)), np.sort(page_lengths(small.folder))
    groups = np.array_split(lengths, GROUPS) if len(lengths) >= GROUPS else [lengths]
    held = np.array([group.sum() for group in groups], float)
    edges = [group[0] for group in groups[1:]]
    group_of = np.searchsorted(edges, wanted, side="right")
    kept = np.bincount(group_of, wanted, minlength=len(groups)).astype(float)
    while (over := kept - held).max() > held.sum() * 1e-6:  # an arm that edits its pages: to the next lengths
        full, room = int(over.argmax()), np.maximum(-over, 0)
        near = min((place for place in range(len(held)) if room[place] > 0), key=lambda place: abs(place - full))
        moved = min(over[full], room[near])
        kept[full], kept[near] = kept[full] - moved, kept[near] + moved
    return tuple(float(share) for share in np.minimum(1, kept / held))


def page_lengths(folder: Path) -> NDArray[np.int64]:
    """The tokens of each page of a set of token shards, without its rendered domain."""
    from train_probe.inputs import pages_of

    pages = pages_of(TokenShards.open(folder))
    return np.diff(pages.ends, prepend=0) - pages.prefix


def lengths_of(arm: Arm, folder: Path, seeds: Sequence[int]) -> tuple[float, float]:
    """The mean and the largest length, in tokens, of the pages that an arm reads; means over the seeds' coins."""
    if arm.kept == 1:
        lengths = page_lengths(folder)
        return float(lengths.mean()), float(lengths.max())
    import torch

    from train_probe.inputs import pages_of
    from train_probe.pages import Coin, page_marks

    pages = pages_of(TokenShards.open(folder))
    marks = page_marks(pages)
    tokens = torch.from_numpy(np.diff(pages.ends, prepend=0) - pages.prefix)
    kept = [tokens[Coin(seed, arm.coin, arm.kept, arm.kept_by_length).chosen(tokens, marks)].double() for seed in seeds]
    return float(np.mean([one.mean() for one in kept])), float(np.mean([one.max() for one in kept]))
