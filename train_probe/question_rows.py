"""Questions about the facts: read from the file that `synth/asking.py` writes, and shown in training beside facts."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train_probe.checked import PlanError
from train_probe.draws import permutation, stream_key

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Questions:
    """Rows [n] of a question and its answer, each behind one token; of each the `entity` asked about, the first token
    of the `answer`, how many values there are (`size`), and the `split`: 0 may be shown, 1 is only asked."""

    rows: tuple[Ids, ...]
    entity: Ids
    answer: Ids
    size: Ids
    split: Ids
    sha256: str

    def is_asked(self, entity: Ids) -> NDArray[np.bool_]:
        """Whether each of these people is of the half that is only asked about."""
        return np.isin(entity, self.entity[self.split == 1])


def read_questions(path: Path, front: int, vocabulary: int) -> Questions:
    """Read a file of questions, whose rows begin with the token `front`. Raises PlanError for an invalid one."""
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: array.astype(np.int64) for name, array in file.items()}
        bodies = np.split(arrays["tokens"], arrays["row_ends"][:-1])
        lengths = np.diff(arrays["row_ends"], prepend=0)
        columns = [arrays[name] for name in ("entity", "answer", "size", "split")]
        sound = all(len(column) == len(bodies) for column in columns) and arrays["tokens"].max() < vocabulary
        if not sound or np.any(arrays["answer"] < 1) or np.any(arrays["answer"] >= lengths):
            raise ValueError("its answers lie outside its rows, or its tokens outside the vocabulary")
        if set(arrays["split"].tolist()) != {0, 1}:
            raise ValueError("it needs people whose questions are shown, and people who are only asked about")
    except (Exception, MemoryError) as error:
        raise PlanError(f"{path} does not hold questions about the facts ({error})") from error
    rows = tuple(np.concatenate([[front], body]) for body in bodies)
    return Questions(
        rows,
        arrays["entity"],
        arrays["answer"] + 1,
        arrays["size"],
        arrays["split"],
        hashlib.sha256(content).hexdigest(),
    )


class ShownQuestions:
    """The questions that may be shown, as junk is: pass after pass, each in an order of its own. Windows hold questions
    one after another from a whole one on, and cut the last."""

    def __init__(self, questions: Questions, seed: int, width: int, device: torch.device) -> None:
        self.width, self._seed, self._device = width, seed, device
        shown = [row for row, half in zip(questions.rows, questions.split.tolist(), strict=True) if half == 0]
        self._tokens = torch.as_tensor(np.concatenate(shown), device=device)
        self._length = torch.tensor([len(row) for row in shown], device=device)
        self._start = self._length.cumsum(0) - self._length
        self._count = len(shown)
        self._in_window = -(-width // int(self._length.min())) + 1

    def windows(self, first: int, last: int) -> Tensor:
        rows = []
        for number in range(first, last):
            texts = torch.arange(number * self._in_window, (number + 1) * self._in_window, device=self._device)
            rows.append(self.tokens(texts)[: self.width])
        return torch.stack(rows) if rows else self._tokens.new_zeros(0, self.width)

    def lengths(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        return self._length[self._placed(numbers)]

    def tokens(self, numbers: Tensor, bare: Tensor | None = None) -> Tensor:
        place = self._placed(numbers)
        starts, lengths = self._start[place], self._length[place]
        ends = lengths.cumsum(0)
        total = int(ends[-1]) if len(ends) else 0
        shift = (starts - ends + lengths).repeat_interleave(lengths, output_size=total)
        return self._tokens[shift + torch.arange(total, device=self._device)]

    def _placed(self, numbers: Tensor) -> Tensor:
        """The question of each number: every pass over all of them is a permutation of its own."""
        place = torch.empty_like(numbers)
        for turn in torch.unique(numbers // self._count).tolist():
            here = numbers // self._count == turn
            order = permutation(stream_key(self._seed, "question order", turn), self._count, self._device)
            place[here] = order[numbers[here] % self._count]
        return place
