"""Memorisation as LLM360 defines it (arXiv 2312.06550, section 4.3): a model reads the first k tokens of a sequence and
goes on greedily for l tokens; the score is the share of them that the sequence has, and a sequence is memorised, or
k-extractable, where all are (Carlini et al., arXiv 2202.07646).

One pass over the sequence itself tells whether all match: while the greedy text is the true one, both passes read the
same. Where they part they do not, and the score is of the greedy text: it is generated, from the first miss on. The
share of tokens that one teacher-forced pass has right is another figure, `forced_match`. Of equal logits the lowest id
is taken.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from train_probe.data import Data, in_half
from train_probe.draws import permutation, stream_key
from train_probe.inputs import Facts
from train_probe.plan import PlanError, RunPlan
from train_probe.score import LOGITS, span_nats
from train_probe.stream import PageStream, Stream

LENGTH = 32
"""Tokens of the prompt, and of the continuation, of texts: those of LLM360."""
PARTS = 10
"""Chunks of a run that is scored at its end alone."""
_TRIED = 4
"""Texts that are drawn for each sequence wanted: some are too short, and some occur twice."""


class Memorised(NamedTuple):
    """Of each sequence [n]: whether the greedy continuation is the true one, the share of its tokens that are, the
    share that one teacher-forced pass has right, and the loss of the true continuation in nats."""

    full: NDArray[np.bool_]
    match: NDArray[np.float64]
    forced: NDArray[np.float64]
    nats: NDArray[np.float64]

    def figures(self) -> dict[str, float]:
        """Means over sequences; the loss in bits."""
        return {
            "full_match": float(self.full.mean()),
            "token_match": float(self.match.mean()),
            "forced_match": float(self.forced.mean()),
            "loss_bits": float(self.nats.mean() / math.log(2)),
        }

    def of(self, chosen: NDArray[np.int64]) -> Memorised:
        """The same of some of the sequences."""
        return Memorised(self.full[chosen], self.match[chosen], self.forced[chosen], self.nats[chosen])


@torch.no_grad()
def memorised(model: nn.Module, sequences: NDArray[np.int64], prompt: int, generate: bool = True) -> Memorised:
    """Ask a model for what follows the first `prompt` tokens of `sequences` [n, length], in the model's own type.

    The model gives logits [rows, length, V] of token ids [rows, length]. Without `generate` the score of a sequence
    that is not wholly right is unknown, NaN: one pass does it all. Raises ValueError where no token is left to ask for.
    """
    count, length = sequences.shape
    if not 1 <= prompt < length:
        raise ValueError(f"a prompt of {prompt} tokens leaves nothing of sequences of {length}: take 1 to {length - 1}")
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    rows = torch.from_numpy(np.ascontiguousarray(sequences)).to(device)
    right = torch.zeros(count, length - prompt, dtype=torch.bool, device=device)
    greedy = torch.zeros_like(rows)
    nats = torch.zeros(count, dtype=torch.float64, device=device)
    at_once = 1
    first = 0
    while first < count:
        part = slice(first, first + at_once)
        logits = model(rows[part, :-1])[:, prompt - 1 :].double()
        targets = rows[part, prompt:]
        greedy[part, prompt:] = logits.argmax(2)
        right[part] = greedy[part, prompt:] == targets
        nats[part] = (logits.logsumexp(2) - logits.gather(2, targets[..., None])[..., 0]).sum(1)
        first += at_once
        # The first row alone tells how many logits a row has.
        at_once = max(1, LOGITS // (logits.shape[2] * length))
    full = right.all(1)
    match = torch.where(full, 1.0, math.nan).double()
    if generate:
        match[~full] = _generated(model, rows[~full], greedy[~full], right[~full], at_once)
    model.train(training)
    forced = right.double().mean(1)
    return Memorised(full.cpu().numpy(), *(one.cpu().numpy() for one in (match, forced, nats)))


def _generated(model: nn.Module, rows: Tensor, greedy: Tensor, right: Tensor, at_once: int) -> Tensor:
    """The share of each row's greedy continuation that is the true one [n]. Up to its first miss `greedy` is the text
    that is wanted; behind it the model reads what it wrote."""
    missed = right.int().argmin(1)  # the first token that is wrong, counted from the prompt's end
    prompt = rows.shape[1] - right.shape[1]
    written = torch.where(torch.arange(rows.shape[1], device=rows.device) < prompt, rows, greedy)
    for place in range(1, right.shape[1]):
        behind = torch.nonzero(missed < place)[:, 0]
        for part in behind.split(at_once):
            if len(part):
                written[part, prompt + place] = model(written[part, : prompt + place])[:, -1].argmax(1)
    return (written[:, prompt:] == rows[:, prompt:]).double().mean(1)


def distribution(match: NDArray[np.float64]) -> list[int]:
    """How many scores are in each tenth from 0 to below 1, and, last, how many are 1."""
    tenths = np.minimum((match[match < 1] * PARTS + 1e-9).astype(int), PARTS - 1)
    return [*np.bincount(tenths, minlength=PARTS).tolist(), int(np.count_nonzero(match == 1))]


def course(kept: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """From each checkpoint's scores of one run's sequences: the correlation of any two checkpoints' (None where all
    scores of one are alike), and what each tells beforehand of the last."""
    counts = sorted(kept)
    scores = np.array([kept[count]["match"] for count in counts])
    full = np.array([kept[count]["full"] for count in counts], bool)
    return {
        "checkpoints": counts,
        "correlation": [[correlation(one, other) for other in scores] for one in scores],
        "foretold": [
            {"exposures": count, **foretold(one, full[-1])} for count, one in zip(counts[:-1], full, strict=False)
        ],
    }


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Pearson's, None where either is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def foretold(early: NDArray[np.bool_], last: NDArray[np.bool_]) -> dict[str, float | None]:
    """How well what is memorised `early` foretells what the `last` checkpoint holds, bool [n] each (Biderman et al.,
    arXiv 2304.11158): precision, recall (None of nothing), and beside them the share that it holds anyway."""
    both = int(np.count_nonzero(early & last))
    return {
        "sequences": len(last),
        "precision": both / int(early.sum()) if early.any() else None,
        "recall": both / int(last.sum()) if last.any() else None,
        "base_rate": float(last.mean()),
    }


class AskedSequences:
    """The sequences that one run is asked for at every checkpoint, in chunks of its steps."""

    def __init__(self, data: Data, run: RunPlan, stream: Stream | PageStream) -> None:
        self._data, self._run, self._stream = data, run, stream
        self._asked = data.plan.memorisation
        self.prompt, self.continuation = self._lengths(data.facts)
        longest = stream.longest
        if isinstance(stream, Stream) and self._asked.of == "facts":
            longest = stream.useful_longest
        elif isinstance(stream, Stream):
            stream.pages(0, 0)  # refuses a run without windows of pages
            longest = data.plan.training_of(run).window
        if self.prompt + self.continuation > longest:
            raise PlanError(
                f"memorisation: a prompt of {self.prompt} tokens and a continuation of {self.continuation} are"
                f" {self.prompt + self.continuation}, and the longest text of arm '{run.arm}' has {longest}: ask for"
                " less (`memorisation: {prompt: ..., continuation: ...}`)"
            )

    @classmethod
    def of_run(cls, data: Data, run: RunPlan, stream: Stream | PageStream) -> AskedSequences:
        """Raises PlanError where no text of the run is as long as prompt and continuation together."""
        return cls(data, run, stream)

    def _lengths(self, facts: Facts) -> tuple[int, int]:
        asked = self._asked
        if facts.kind != "compact" or self._asked.of == "pages":
            return asked.prompt or LENGTH, asked.continuation or LENGTH
        front = len(facts.name_parts) + max(1, len(self._run.front))
        prompt = asked.prompt or front
        return prompt, asked.continuation or max(1, front + facts.values_per_person - prompt)

    @functools.cached_property
    def steps(self) -> list[int]:
        """Where chunks end: at the checkpoints, or after equal parts of all steps."""
        stream, parts = self._stream, self._asked.chunks
        if parts is None and self._run.exposures:
            on_the_way = self._data.plan.training_of(self._run).evaluate_exposures
            ends = {stream.step_of(one) for one in on_the_way if one < self._run.exposures}
            return sorted(ends | {stream.steps})
        parts = min(parts or PARTS, stream.steps)
        return [-(-stream.steps * part // parts) for part in range(1, parts + 1)]

    @functools.cached_property
    def chunks(self) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], list[int]]:
        """All sequences [n, length], which of them each chunk holds, and how many of each chunk's texts were too
        short."""
        length, most = self.prompt + self.continuation, self._asked.sequences
        place: dict[bytes, int] = {}
        held, short = [], []
        for number, (first, last) in enumerate(zip([0, *self.steps], self.steps, strict=False)):
            texts = self._texts(first, last, _TRIED * most, stream_key(0, "memorised", number))
            long = [text[:length].cpu().numpy() for text in texts if len(text) >= length]
            short.append(len(texts) - len(long))
            found = dict.fromkeys(one.astype(np.int64).tobytes() for one in long)
            held.append(np.array([place.setdefault(one, len(place)) for one in list(found)[:most]], np.int64))
        sequences = np.frombuffer(bytearray().join(place), np.int64).reshape(-1, length)
        return sequences, held, short

    def _texts(self, first: int, last: int, most: int, drawn: int) -> Sequence[Tensor]:
        if isinstance(self._stream, Stream) and self._asked.of == "facts":
            return self._stream.texts(first, last, most, drawn)
        pages = self._stream.pages(first, last)
        pages = torch.where(pages < 0, ~pages, pages)
        if len(pages) <= most:
            return list(pages)
        return list(pages[permutation(drawn, len(pages), pages.device)[:most].sort().values])

    def __call__(self, model: nn.Module) -> dict[str, Any]:
        """Of every chunk: its steps, how many sequences, and their means; `each` has every sequence's figures, and the
        losses of every person's name and values, of people held out too."""
        sequences, held, short = self.chunks
        scores = memorised(model, sequences, self.prompt)
        chunks = []
        for (first, last), inside, missing in zip(
            zip([0, *self.steps], self.steps, strict=False), held, short, strict=True
        ):
            figures = scores.of(inside).figures() if len(inside) else {}
            chunks.append({"steps": [first, last], "sequences": len(inside), "too_short": missing, **figures})
        each = {
            "chunk": [inside.tolist() for inside in held],
            "full": scores.full.astype(int).tolist(),
            "match": np.round(scores.match, 6).tolist(),
            "loss_bits": np.round(scores.nats / math.log(2), 4).tolist(),
        }
        if self._run.exposures:
            each |= {"people": self._people(model, self._data.facts), "shown": self._data.members(self._run).tolist()}
            if "entities" in self._data.inputs.held_out:
                each |= {"held_out": self._people(model, self._data.inputs.held_out["entities"])}
                each |= {"held_out_shown": self._as_if_shown(each["held_out"]["person"])}
        found: dict[str, Any] = {"prompt": self.prompt, "continuation": self.continuation, "chunks": chunks}
        return found | {"distribution": distribution(scores.match), "each": each}

    def _as_if_shown(self, people: list[int]) -> list[int]:
        """Of people whom no model is shown, those who stand for the run's half: what halves differ in without being
        shown. None where they have no halves."""
        if not self._run.halves or len(people) % 2:
            return []
        return np.array(people)[
            in_half(len(people), self._run.halves, self._run.half, self._data.facts.folder)
        ].tolist()

    def _people(self, model: nn.Module, facts: Facts) -> dict[str, list[Any]]:
        """The loss in bits of the name and of all values of every person who is scored, shown or not."""
        begin = facts.begins(self._run.scored_tagged, self._run.front)
        nats = span_nats(model, facts.rows, begin, facts.spans[:, [0, 2, 3]], facts.vocabulary)
        rows = np.bincount(facts.row_entity)
        people = np.flatnonzero(rows)
        owner = facts.row_entity[facts.spans[:, 0]]
        names = facts.spans[:, 1] < 0
        found: dict[str, list[Any]] = {"person": people.tolist()}
        for name, chosen in (("name_bits", names), ("value_bits", ~names)):
            total = np.bincount(owner[chosen], nats[chosen], len(rows))[people] / rows[people]
            found[name] = np.round(total / math.log(2), 4).tolist()
        return found
