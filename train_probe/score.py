"""What a trained model knows: its loss on exactly the name's and the values' tokens of each scoring row, read alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train_probe.inputs import Facts, Ids, Pages

LOGITS = 1 << 23  # logits held at once


@dataclass(frozen=True)
class Losses:
    """p1 and p2 in nats: means over people of the name's loss, and of the sum over attributes of the values' losses.

    `first_chunk` (bioD) is p3, the mean over people and attributes of the loss of a value's first chunk. `attributes`
    are the parts of `value`, by attribute.
    """

    name: float
    value: float
    first_chunk: float = 0.0
    attributes: tuple[float, ...] = ()


def score(model: nn.Module, facts: Facts, begin: Ids) -> Losses:
    """Score every row of the facts after its tokens of `begin` [rows, k] (the end of text, or its rendered domain).

    Where a person has several rows (other templates), the mean over them.
    """
    return mean_losses(facts, span_nats(model, facts.rows, begin, facts.spans[:, [0, 2, 3]], facts.vocabulary))


@torch.no_grad()
def span_nats(model: nn.Module, rows: Sequence[Ids], begin: Ids, spans: np.ndarray, vocabulary: int) -> np.ndarray:
    """The loss in nats of each span [spans, 3] (row, first token, past the last), summed over its tokens, float64
    [spans].

    Rows are read alone, each after its tokens of `begin` [rows, k]. The model gives logits [rows, length, V] of token
    ids [rows, length], and need not be one of ours; it is in evaluation mode meanwhile.
    """
    training = model.training
    model.eval()
    nats = np.zeros(len(spans))
    owner = spans[:, 0]
    lengths = np.array([len(row) for row in rows])
    by_length = np.argsort(lengths, kind="stable")
    front = begin.shape[1]
    at_once = max(1, LOGITS // (vocabulary * (front - 1 + int(lengths.max()))))
    for first in range(0, len(by_length), at_once):
        chosen = by_length[first : first + at_once]
        width = front + int(lengths[chosen].max())
        tokens = np.zeros((len(chosen), width), np.int64)  # padding comes after every span
        tokens[:, :front] = begin[chosen]
        for line, row in enumerate(chosen):
            tokens[line, front : front + lengths[row]] = rows[row]
        # After the front, position i of the losses is body token i: the row's first is predicted from `begin`.
        body = _token_nats(model, tokens)[:, front - 1 :]
        through = np.concatenate([np.zeros((len(chosen), 1)), body.cumsum(1)], 1)
        line_of = {int(row): line for line, row in enumerate(chosen)}
        for span in np.flatnonzero(np.isin(owner, chosen)):
            row, start, end = spans[span]
            line = line_of[int(row)]
            nats[span] = through[line, end] - through[line, start]
    model.train(training)
    return nats


@torch.no_grad()
def page_nats(model: nn.Module, pages: Pages, end_of_text: int, window: int, vocabulary: int) -> NDArray[np.float64]:
    """The summed loss in nats of each page, float64 [pages]: of every token once, each predicted from those before it
    in windows of `window` tokens that begin with the page's last token before them, or with the end of text."""
    starts = np.concatenate([[0], pages.ends[:-1]]).astype(np.int64)
    size = max(1, window - 1)
    begins = [place for start, end in zip(starts, pages.ends, strict=True) for place in range(start, end, size)]
    first = np.array(begins, np.int64)
    owner = np.searchsorted(pages.ends, first, side="right")
    length = np.minimum(size, pages.ends[owner] - first)
    by_length = np.argsort(-length, kind="stable")
    at_once = max(1, LOGITS // (vocabulary * window))
    nats = np.zeros(len(pages.ends))
    for chosen in np.split(by_length, range(at_once, len(by_length), at_once)):
        width = int(length[chosen].max())
        inside = np.arange(width) < length[chosen][:, None]
        place = np.where(inside, first[chosen][:, None] + np.arange(width), 0)
        target = np.asarray(pages.tokens)[place].astype(np.int64)
        before = np.where(first[chosen] == starts[owner[chosen]], end_of_text, pages.tokens[first[chosen] - 1])
        loss = _token_nats(model, np.concatenate([before[:, None].astype(np.int64), target], 1))
        np.add.at(nats, owner[chosen], (loss * inside).sum(1))
    return nats


def _token_nats(model: nn.Module, rows: Ids) -> NDArray[np.float64]:
    """The loss in nats of every token of `rows` [rows, length] but the first of each."""
    batch = torch.from_numpy(rows).to(next(model.parameters()).device)
    logits = model(batch[:, :-1])
    return (logits.logsumexp(2) - logits.gather(2, batch[:, 1:, None])[..., 0]).double().cpu().numpy()


def mean_losses(facts: Facts, nats: np.ndarray) -> Losses:
    """p1 and p2 from the loss of each span of `facts.spans`."""
    rows_of_person = np.bincount(facts.row_entity, minlength=facts.people)
    scored = np.count_nonzero(rows_of_person)
    share = nats / rows_of_person[facts.row_entity[facts.spans[:, 0]]] / scored
    names = facts.spans[:, 1] < 0
    first = 0.0
    attribute = facts.spans[:, 1] // (facts.strings.chunks if facts.strings is not None else 1)
    parts = np.bincount(attribute[~names], share[~names], minlength=len(facts.attributes))
    if facts.strings is not None:
        begins = ~names & (facts.spans[:, 1] % facts.strings.chunks == 0)
        first = float(share[begins].sum() / facts.strings.attributes)
    return Losses(float(share[names].sum()), float(share[~names].sum()), first, tuple(parts.tolist()))
