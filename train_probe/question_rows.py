"""Questions about the facts: as the file that `synth/asking.py` writes has them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train_probe.checked import PlanError

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
