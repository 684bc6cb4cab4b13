"""What a trained model knows: its loss on exactly the name's and the values' tokens of each scoring row, read alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from train_probe.facts import Facts, Ids

_LOGITS = 1 << 23  # logits held at once


@dataclass(frozen=True)
class Losses:
    """p1 and p2 in nats: means over people of the name's loss, and of the sum over attributes of the values' losses.

    `first_chunk` (bioD) is p3, the mean over people and attributes of the loss of a value's first chunk.
    """

    name: float
    value: float
    first_chunk: float = 0.0


@torch.no_grad()
def score(model: nn.Module, facts: Facts, begin: Ids) -> Losses:
    """Score every row of the facts behind its tokens of `begin` [rows, k] (the end of text, or its rendered domain).

    The model gives logits [rows, length, V] of token ids [rows, length], and need not be one of ours; it is not in
    training meanwhile. A span's loss is the sum over its tokens; where a person has several rows (other templates), the
    mean over them.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    nats = np.zeros(len(facts.spans))
    owner = facts.spans[:, 0]
    lengths = np.array([len(row) for row in facts.rows])
    by_length = np.argsort(lengths, kind="stable")
    front = begin.shape[1]
    rows = max(1, _LOGITS // (facts.vocabulary * (front - 1 + int(lengths.max()))))
    for first in range(0, len(by_length), rows):
        chosen = by_length[first : first + rows]
        width = front + int(lengths[chosen].max())
        tokens = np.full((len(chosen), width), facts.end_of_text)
        tokens[:, :front] = begin[chosen]
        for line, row in enumerate(chosen):
            tokens[line, front : front + lengths[row]] = facts.rows[row]
        batch = torch.from_numpy(tokens).to(device)
        logits = model(batch[:, :-1])
        loss = (logits.logsumexp(2) - logits.gather(2, batch[:, 1:, None])[..., 0]).double()
        # Behind the front, position i of `loss` is body token i: the row's first token is predicted from `begin`.
        body = loss[:, front - 1 :].cpu().numpy()
        through = np.concatenate([np.zeros((len(chosen), 1)), body.cumsum(1)], 1)
        line_of = {int(row): line for line, row in enumerate(chosen)}
        for span in np.flatnonzero(np.isin(owner, chosen)):
            row, _, start, end = facts.spans[span]
            line = line_of[int(row)]
            nats[span] = through[line, end] - through[line, start]
    model.train(training)
    return mean_losses(facts, nats)


def mean_losses(facts: Facts, nats: np.ndarray) -> Losses:
    """p1 and p2 from the loss of each span of `facts.spans`."""
    rows_of_person = np.bincount(facts.row_entity, minlength=facts.people)
    scored = np.count_nonzero(rows_of_person)
    share = nats / rows_of_person[facts.row_entity[facts.spans[:, 0]]] / scored
    names = facts.spans[:, 1] < 0
    first = 0.0
    if facts.strings is not None:
        begins = ~names & (facts.spans[:, 1] % facts.strings.chunks == 0)
        first = float(share[begins].sum() / facts.strings.attributes)
    return Losses(float(share[names].sum()), float(share[~names].sum()), first)
