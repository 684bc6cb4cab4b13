"""kNN-LM: a model's next token mixed with the tokens that followed the nearest states of a store of text
(Khandelwal et al., arXiv 1911.00172).

p = (1 - lambda) p_LM + lambda p_kNN, and p_kNN(v) is the share of the k nearest entries whose token is v, each weighed
by exp(-d² / T) of its squared distance. Search is exact: whatever finds candidates, their distances are computed again
in float64, and of equal ones the entry that came first is nearer. The store is read in parts and never held whole.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from curate.errors import Refused
from train_probe.evaluation_plans import KEYS

MLPS = ("mlp", "feed_forward", "ffn", "block_sparse_moe")
"""Names of the part that a key of kind mlp goes into, in our models and in classes of transformers."""
_HELD = 1 << 24  # numbers held at once
_SPARE = 32  # candidates beyond k that are measured again


class RetrievalError(Refused):
    """A model without the states that are asked for, or a search that does not fit: the message says what would."""


class Entries(NamedTuple):
    """Entries of a store: states float32 [n, d], the token after each int64 [n], and whose text it is int64 [n]."""

    keys: Tensor
    tokens: Tensor
    owner: Tensor


class Neighbours(NamedTuple):
    """Of each query the nearest entries, the nearest first: squared distances float64 [q, k], infinite where the store
    holds fewer, and their tokens int64 [q, k]."""

    distances: Tensor
    tokens: Tensor

    def first(self, k: int) -> Neighbours:
        return Neighbours(self.distances[:, :k], self.tokens[:, :k])


@dataclass(frozen=True)
class Mixture:
    """k, temperature T and lambda of a kNN-LM."""

    k: int
    temperature: float
    share: float

    def __str__(self) -> str:
        return f"k {self.k}, T {self.temperature:g}, lambda {self.share:g}"


@torch.no_grad()
def states(model: nn.Module, rows: Tensor, keys: str = "mlp") -> tuple[Tensor, Tensor]:
    """The states [rows, length, d] behind each position of token ids [rows, length], and the model's logits there.
    `keys` mlp: the input of the last MLP, behind its norm, as published; final: the final hidden state.

    Raises RetrievalError where the model has no such part.
    """
    kept: list[Tensor] = []
    with contextlib.ExitStack() as stack:
        part, outgoing = _part(model, keys)
        if outgoing:
            handle = part.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        else:
            handle = part.register_forward_pre_hook(lambda _module, inputs: kept.append(inputs[0]))
        stack.callback(handle.remove)
        logits = model(rows)
    return kept[-1].reshape(*rows.shape, -1), logits


def _part(model: nn.Module, keys: str) -> tuple[nn.Module, bool]:
    """The module whose input, or output, is the key, and whether it is the output."""
    if keys not in KEYS:
        raise RetrievalError(f"keys are {' or '.join(KEYS)}, not {keys!r}")
    ours = getattr(model, "blocks", None)
    if keys == "final":
        head = getattr(getattr(model, "model", None), "get_output_embeddings", lambda: None)()
        if ours is not None or head is None:
            last = getattr(model, "norm", None)
            if not isinstance(last, nn.Module):
                raise RetrievalError("the model names no head whose input would be the final state")
            return last, True
        return head, False
    if ours is not None and hasattr(ours[-1], "mlp_norm"):
        # Experts read a part of the tokens each: the norm in front of them reads all.
        return ours[-1].mlp_norm, True
    found = [one for name, one in model.named_modules() if name.rpartition(".")[2] in MLPS]
    if not found:
        raise RetrievalError("the model has no MLP whose input would be the key: take keys: final")
    return found[-1], False


def parts(model: nn.Module, rows: Sequence[Tensor], owners: Sequence[int], keys: str = "mlp") -> Iterator[Entries]:
    """A store of texts: an entry for every token of `rows` but the first of each, whose key is the state in front of
    it. Rows are read alone, those of equal length together; nothing is kept of a part that was read."""
    device = next(model.parameters()).device
    by_length: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        if len(row) > 1:
            by_length.setdefault(len(row), []).append(number)
    for length, numbers in sorted(by_length.items()):
        at_once = max(1, (1 << 14) // length)
        for begin in range(0, len(numbers), at_once):
            some = numbers[begin : begin + at_once]
            batch = torch.stack([rows[number] for number in some]).to(device)
            found, _ = states(model, batch[:, :-1], keys)
            owner = torch.tensor([owners[number] for number in some], device=device)
            yield Entries(
                found.reshape(-1, found.shape[-1]).float(),
                batch[:, 1:].reshape(-1),
                owner.repeat_interleave(length - 1),
            )


@torch.no_grad()
def nearest(
    queries: Tensor, store: Iterable[Entries], k: int, asking: Tensor | None = None, free: int | None = None
) -> Neighbours:
    """The `k` entries of a store nearest to each of `queries` [q, d], by squared Euclidean distance.

    An entry whose owner is that of a query (`asking` [q]) is left out for it. Raises RetrievalError where the answers
    alone take more than `free` bytes.
    """
    if k < 1:
        raise RetrievalError(f"k is at least 1, not {k}")
    queries = queries.float()
    needed = len(queries) * k * 16
    if free is not None and needed > free:
        raise RetrievalError(
            f"the {k} nearest of {len(queries):,} states take {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are"
            " free: take a smaller k, or score fewer people"
        )
    found = Neighbours(
        torch.zeros(len(queries), 0, dtype=torch.float64, device=queries.device),
        torch.zeros(len(queries), 0, dtype=torch.int64, device=queries.device),
    )
    for part in _joined(store):
        rows = max(1, _HELD // max(1, len(part.tokens)))
        nearer = [
            _within(some, part, k, None if asking is None else asking[begin : begin + rows])
            for begin, some in zip(range(0, len(queries), rows), queries.split(rows), strict=True)
        ]
        here = Neighbours(*(torch.cat(column) for column in zip(*nearer, strict=True)))
        distances = torch.cat([found.distances, here.distances], 1)
        tokens = torch.cat([found.tokens, here.tokens], 1)
        order = distances.argsort(dim=1, stable=True)[:, :k]
        found = Neighbours(distances.gather(1, order), tokens.gather(1, order))
    if not found.tokens.shape[1]:
        raise RetrievalError("the store holds no text: no state has a token after it")
    return found


def _joined(store: Iterable[Entries], most: int = 1 << 16) -> Iterator[Entries]:
    """The same entries in parts of about `most`."""
    waiting: list[Entries] = []
    for part in store:
        waiting.append(part)
        if sum(len(one.tokens) for one in waiting) >= most:
            yield Entries(*(torch.cat(column) for column in zip(*waiting, strict=True)))
            waiting = []
    if waiting:
        yield Entries(*(torch.cat(column) for column in zip(*waiting, strict=True)))


def _within(queries: Tensor, part: Entries, k: int, asking: Tensor | None) -> Neighbours:
    """The nearest entries of one part, in float64."""
    count = len(part.tokens)
    squares, sizes = queries.square().sum(1), part.keys.square().sum(1)
    rough = squares[:, None] - 2 * (queries @ part.keys.T) + sizes
    if asking is not None:
        rough = rough.masked_fill(asking[:, None] == part.owner, math.inf)
    # Rounding of the product moves a distance by no more than this.
    error = 4 * queries.shape[1] * torch.finfo(torch.float32).eps * float(squares.max() + sizes.max())
    taken = min(count, k + _SPARE)
    while True:
        near, place = rough.topk(taken, 1, largest=False)
        last = near[:, min(k, taken) - 1]
        if taken == count or bool(((near[:, -1] > last + error) | last.isinf()).all()):
            break
        taken = min(count, 4 * taken)
    place = place.sort(1).values  # of equal distances the first entry is nearer
    exact = torch.empty(place.shape, dtype=torch.float64, device=queries.device)
    at_once = max(1, _HELD // (taken * queries.shape[1]))
    for begin in range(0, len(queries), at_once):
        some = slice(begin, begin + at_once)
        exact[some] = (queries[some, None].double() - part.keys[place[some]].double()).square().sum(2)
    exact = exact.masked_fill(rough.gather(1, place).isinf(), math.inf)
    order = exact.argsort(dim=1, stable=True)[:, :k]
    return Neighbours(exact.gather(1, order), part.tokens[place.gather(1, order)])


def log_share(found: Neighbours, targets: Tensor, temperature: float) -> Tensor:
    """log p_kNN of each query's target [q], float64: -inf where no neighbour says it. An infinite temperature weighs
    all alike; towards 0 the nearest alone counts."""
    # From the nearest on: a temperature near 0 must not make all weights 0.
    away = found.distances - found.distances[:, :1]
    weights = torch.where(found.distances.isinf(), -math.inf, -(away / temperature))
    weights = torch.where((away == 0) & found.distances.isfinite(), 0.0, weights)
    said = torch.where(found.tokens == targets[:, None], weights, -math.inf)
    return torch.logsumexp(said, 1) - torch.logsumexp(weights, 1)


def mixed(log_model: Tensor, log_near: Tensor, share: float) -> Tensor:
    """log p of targets: of the model for a `share` (lambda) of 0, of the neighbours for 1."""
    if share == 0:
        return log_model
    if share == 1:
        return log_near
    return torch.logaddexp(log_model + math.log1p(-share), log_near + math.log(share))


@dataclass(frozen=True)
class Mixtures:
    """The mixtures that are tried on held-out text."""

    ks: tuple[int, ...] = (8, 64)
    temperatures: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0)
    shares: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

    def nats(self, log_model: Tensor, found: Neighbours, targets: Tensor) -> dict[Mixture, NDArray[np.float64]]:
        """The loss of each target in nats [q], by mixture."""
        nats = {}
        for k in self.ks:
            near = found.first(k)
            for temperature in self.temperatures:
                log_near = log_share(near, targets, temperature)
                for share in self.shares:
                    nats[Mixture(k, temperature, share)] = -mixed(log_model, log_near, share).cpu().numpy()
        return nats
