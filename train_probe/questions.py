"""What can be asked for, beside what is stored: questions about half of the people, shown in training or in tuning,
and asked about the other half (Allen-Zhu & Li, "Physics of Language Models: Part 3.1", arXiv 2309.14316)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train_probe.data import Data
from train_probe.draws import stream_key
from train_probe.inputs import Ids
from train_probe.plan import PlanError, RunPlan
from train_probe.question_rows import Questions
from train_probe.score import LOGITS
from train_probe.stream import PageStream, Stream
from train_probe.tuning import tuned

SHOWN, ASKED = 0, 1
"""Halves of the people."""


class AskedQuestions:
    """The questions that one run is asked at every checkpoint."""

    def __init__(self, data: Data, run: RunPlan) -> None:
        if data.inputs.questions is None:
            raise PlanError("questions: the plan names no file of `questions`; a recipe's probe writes one")
        if not run.exposures:
            raise PlanError(f"questions: arm '{run.arm}' shows no facts that could be asked for")
        self._data, self._run = data, run
        self._questions: Questions = data.inputs.questions
        self._stated = _stated(data, run)

    @classmethod
    def of_run(cls, data: Data, run: RunPlan, stream: Stream | PageStream) -> AskedQuestions:
        """Raises PlanError where the plan has no questions."""
        return cls(data, run)

    def __call__(self, model: nn.Module) -> dict[str, Any]:
        """The share of values that are right word for word, greedily: `stored`, in the run's own text (of sentences: in
        new ones); `shown` and `asked`, in answers about the half whose questions may be shown and the other; `tuned`
        has both after tuning. `chance` guesses a value of the pool."""
        one = self._questions
        found: dict[str, Any] = {"chance": float(np.mean(1 / one.size[one.split == ASKED]))}
        rows, begins, ends, entity = self._stated
        right = answered(model, rows, begins, ends)
        found["stored"] = float(right[one.is_asked(entity)].mean())
        found |= self._both(model)
        asking = self._data.plan.asking
        if asking.tune:
            shown = [row for row, half in zip(one.rows, one.split.tolist(), strict=True) if half == SHOWN]
            starts = one.answer[one.split == SHOWN]
            seed = stream_key(self._run.seed, "tuning")
            found["tuned"] = {
                kind: self._both(tuned(model, shown, starts, kind, asking, seed).double()) for kind in asking.tune
            }
        return found

    def _both(self, model: nn.Module) -> dict[str, float]:
        one = self._questions
        right = answered(model, one.rows, one.answer, np.array([len(row) for row in one.rows]))
        return {name: float(right[one.split == half].mean()) for name, half in (("shown", SHOWN), ("asked", ASKED))}


def _stated(data: Data, run: RunPlan) -> tuple[Sequence[Ids], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows that state values, and for each value where it begins and ends in its row, and whose it is. Each value has
    its own copy of the row."""
    facts = data.facts_of(run)
    members = data.members(run)
    if facts.strings is None:
        spans = facts.spans[facts.spans[:, 1] >= 0]
        begin = facts.begins(run.scored_tagged, run.front)
        rows = [np.concatenate([begin[row], facts.rows[row]]) for row in range(len(facts.rows))]
        front = begin.shape[1]
        owner = members[facts.row_entity[spans[:, 0]]]
        return [rows[row] for row in spans[:, 0]], spans[:, 2] + front, spans[:, 3] + front, owner
    # Of records, the text of the first exposure, whose form is known: a name, then marks and values.
    texts, one = data.texts_of(run), facts.strings
    numbers = texts.order(1, 0)
    split = texts.tokens(numbers, run.tag in ("useful", "both")).split(texts.lengths(numbers).tolist())
    size = one.chunks * one.length
    first = 1 + len(facts.name_parts) + 1
    begins = np.tile(first + np.arange(one.attributes) * (1 + size), len(split))
    whole = [row.cpu().numpy() for row in split for _ in range(one.attributes)]
    owner = np.repeat(texts.people(numbers).cpu().numpy(), one.attributes)
    return whole, begins, begins + size, owner


@torch.no_grad()
def answered(
    model: nn.Module, rows: Sequence[Ids], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether a model that reads each row up to its `begins` goes on greedily with its tokens up to its `ends`, bool
    [rows]; of equal logits the lowest id is taken. One pass tells: while all is right, both texts are the same."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    right = np.zeros(len(rows), bool)
    order = np.argsort([len(row) for row in rows], kind="stable")
    at_once, first = 1, 0
    while first < len(order):
        some = order[first : first + at_once]
        width = max(len(rows[number]) for number in some)
        batch = np.zeros((len(some), width), np.int64)  # padding comes after every answer
        for line, number in enumerate(some):
            batch[line, : len(rows[number])] = rows[number]
        logits = model(torch.from_numpy(batch[:, :-1]).to(device))
        same = logits.argmax(2).cpu().numpy() == batch[:, 1:]
        place = np.arange(1, width)
        outside = (place < begins[some, None]) | (place >= ends[some, None])
        right[some] = (same | outside).all(1)
        first += len(some)
        # The first row alone tells how many logits a row has.
        at_once = max(1, LOGITS // (logits.shape[2] * max(len(row) for row in rows)))
    model.train(training)
    return right
