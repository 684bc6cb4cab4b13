"""Calibration: how often a model is right where it is so and so sure, on facts that it was shown, and on people of whom
it was shown nothing, whose values are uniform by construction.

The model's answer to an attribute is a value of its pool. The probability of a value is the product of those of its
tokens behind the person's text so far, divided by the sum over the pool; the answer is the most probable value (of
equal ones the first), its probability the confidence. Definitions and formulas: docs/memory.md.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train_probe.data import Data
from train_probe.draws import permutation, stream_key
from train_probe.facts_files import read_as
from train_probe.inputs import Facts, Ids
from train_probe.plan import PlanError, RunPlan
from train_probe.score import LOGITS
from train_probe.stream import PageStream, Stream

BINS = 10
LARGEST_POOL = 1024
"""Attributes of larger pools (a date of birth has 67 200) are left out: every value of the pool is a row to score."""
MOST_TOKENS = 1 << 18
"""Tokens that the values of pools may take at one checkpoint; of more people, so many are drawn."""
_DRAWS = 200
"""Sets of answers that a perfectly calibrated model is made to give."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """A model's answers [n]: its confidence in each, whether it is right, the probability of the true value, the sum of
    squares of all probabilities, the mean of their logarithms (base 2), and how many values there were."""

    confidence: Floats
    right: NDArray[np.bool_]
    true: Floats
    squares: Floats
    mean_log: Floats
    values: NDArray[np.int64]

    @classmethod
    def of(cls, logs: list[Floats], true: NDArray[np.int64]) -> Answers:
        """From the logarithms (base e) of the probabilities of each answer's values, up to a constant, and the number
        of the true value among them."""
        rows = []
        for one, value in zip(logs, true, strict=True):
            log = one - _log_sum(one)
            top = int(log.argmax())
            probability = np.exp(log)
            mean = float(log.mean() / math.log(2))
            rows.append((probability[top], top == value, probability[value], (probability**2).sum(), mean, len(log)))
        columns = list(zip(*rows, strict=True)) or [()] * 6
        types = (np.float64, np.bool_, np.float64, np.float64, np.float64, np.int64)
        return cls(*(np.array(column, kind) for column, kind in zip(columns, types, strict=True)))

    def figures(self) -> dict[str, Any]:
        """Accuracy and confidence (means), ECE with what it would be of a perfectly calibrated model, the Brier score,
        the divergence in bits of the answers from the uniform distribution, chance, and the reliability diagram."""
        if not len(self.right):
            return {"answers": 0}
        floor = ece_of_calibrated(self.confidence)
        return {
            "answers": len(self.right),
            "accuracy": float(self.right.mean()),
            "confidence": float(self.confidence.mean()),
            "chance": float((1 / self.values).mean()),
            "ece": ece(self.confidence, self.right),
            "ece_of_calibrated": floor[0],
            "ece_of_calibrated_most": floor[1],
            "brier": float((self.squares - 2 * self.true + 1).mean()),
            "kl_bits": float((-self.mean_log - np.log2(self.values)).mean()),
            "reliability": reliability(self.confidence, self.right),
        }


def _log_sum(log: Floats) -> float:
    largest = float(log.max())
    return largest + math.log(float(np.exp(log - largest).sum()))


def ece(confidence: Floats, right: NDArray[Any], bins: int = BINS) -> float:
    """Expected calibration error over `bins` of equally many answers: the mean over answers of the distance between
    the mean confidence and the accuracy of the answer's bin.

    Answers of one confidence have no order: each counts as right as often as all of them are, in whichever bin it is.
    """
    parts = _binned(confidence, right, bins)
    return float(sum(len(sure) * abs(sure.mean() - share.mean()) for sure, share in parts) / len(confidence))


def reliability(confidence: Floats, right: NDArray[Any], bins: int = BINS) -> list[dict[str, float]]:
    """Mean confidence, accuracy and answers of each bin of `ece`, the least sure first."""
    return [
        {"confidence": float(sure.mean()), "accuracy": float(share.mean()), "answers": len(sure)}
        for sure, share in _binned(confidence, right, bins)
    ]


def _binned(confidence: Floats, right: NDArray[Any], bins: int) -> list[tuple[Floats, Floats]]:
    order = np.argsort(confidence, kind="stable")
    sure, which = confidence[order], np.unique(confidence[order], return_inverse=True)[1]
    share = (np.bincount(which, right[order]) / np.bincount(which))[which]
    parts = zip(np.array_split(sure, bins), np.array_split(share, bins), strict=True)
    return [(one, other) for one, other in parts if len(one)]


def ece_of_calibrated(confidence: Floats, bins: int = BINS, draws: int = _DRAWS) -> tuple[float, float]:
    """The ECE that a model shows whose answers are right exactly as often as it is sure, with as many answers: the mean
    over `draws` sets of answers, and what 97.5 % of them stay below. It is above 0: a share of few answers is noisy."""
    rng = np.random.default_rng(0)
    found = [ece(confidence, rng.random(len(confidence)) < confidence, bins) for _ in range(draws)]
    return float(np.mean(found)), float(np.quantile(found, 0.975))


class Pools:
    """The values of every attribute as tokens, for each way in which a text leads to them, and everybody's values: the
    facts' bundle. Raises PlanError where there is none, or that of other facts."""

    def __init__(self, facts: Facts) -> None:
        path = facts.check("bundle.npz")
        if not path.is_file():
            raise PlanError(
                f"calibration needs the tokens of all values, and {path} is missing: it is written with the facts where"
                " their texts can be put together from pieces"
            )
        with read_as(path, "a bundle of facts; write the facts again"):
            with np.load(path, allow_pickle=False) as arrays:
                self.meta = json.loads(str(arrays["meta"]))
                self._tokens, self._ends = arrays["tokens"].astype(np.int64), arrays["piece_ends"].astype(np.int64)
                self._base = arrays["value_base"].astype(np.int64)
                self.values = np.stack([arrays[f"value_{k}"].astype(np.int64) for k in range(len(self._base))], 1)
            self.names = [one["name"] for one in self.meta["attributes"]]
            self.sizes = [int(one["size"]) for one in self.meta["attributes"]]
            other = self.meta["tokenizer_hash"] != facts.tokenizer_hash
        if other:
            raise PlanError(f"{path} was written with another tokenizer than {facts.folder / 'scoring.npz'}")

    @functools.cache  # noqa: B019  (a handful of attributes, and these pools live as long as their run)
    def ways(self, attribute: int) -> list[list[tuple[int, ...]]]:
        """For each way that leads to the attribute, the tokens of all its values."""
        found = []
        for base in self._base[attribute]:
            if base >= 0:
                pieces = range(int(base), int(base) + self.sizes[attribute])
                one = [tuple(self._tokens[self._ends[piece - 1] : self._ends[piece]].tolist()) for piece in pieces]
                if one not in found:
                    found.append(one)
        return found

    def way(self, attribute: int, value: int, row: Ids, start: int) -> list[tuple[int, ...]] | None:
        """The values' tokens as they would stand from `start` on in a row that states `value` there."""
        fitting = [
            way for way in self.ways(attribute) if tuple(row[start : start + len(way[value])].tolist()) == way[value]
        ]
        return max(fitting, key=lambda way: len(way[value]), default=None)


@dataclass(frozen=True)
class AskedFact:
    """One fact to ask for: its row and the first token of its value there, the tokens of all values, the true one, and
    the token that ends a value (where the tokens of one begin those of another)."""

    row: int
    start: int
    values: list[tuple[int, ...]]
    true: int
    end: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Tokens to read for it; a value of one token is read off the row itself."""
        longest = max(map(len, self.values)) + len(self.end)
        return 0 if longest == 1 else len(self.values) * (self.start + longest)


def questions_about(facts: Facts, pools: Pools, most_tokens: int = MOST_TOKENS) -> tuple[list[AskedFact], list[str]]:
    """The facts that rows state, of one row a person, and the attributes that are left out. Where their values take
    more than `most_tokens`, of people who are drawn, the same whatever the model."""
    left_out = [name for name, size in zip(pools.names, pools.sizes, strict=True) if size > LARGEST_POOL]
    rows = np.unique(facts.row_entity, return_index=True)[1]
    rows = rows[permutation(stream_key(0, "calibration"), len(rows)).numpy()]
    spans = facts.spans[np.argsort(facts.spans[:, 0], kind="stable")]
    begins = np.searchsorted(spans[:, 0], [rows, rows + 1])
    found: list[AskedFact] = []
    spent = 0
    for row, low, high in zip(rows.tolist(), *begins.tolist(), strict=True):
        here = list(_asked(facts, pools, row, spans[low:high]))
        spent += sum(one.tokens for one in here)
        if spent > most_tokens and found:
            break
        found += here
    return found, left_out


def _asked(facts: Facts, pools: Pools, row: int, spans: NDArray[np.int64]) -> Iterator[AskedFact]:
    tokens, entity = facts.rows[row], int(facts.row_entity[row])
    for _, attribute, start, _ in spans.tolist():
        if attribute < 0 or pools.sizes[attribute] > LARGEST_POOL or pools.values[entity, attribute] < 0:
            continue
        true = int(pools.values[entity, attribute])
        values = pools.way(attribute, true, tokens, start)
        if values is None:
            continue
        behind = start + len(values[true])
        ending = tuple(tokens[behind : behind + 1].tolist()) if _begin_each_other(values) else ()
        yield AskedFact(row, start, values, true, ending)


def _begin_each_other(values: list[tuple[int, ...]]) -> bool:
    ordered = sorted(values)
    return any(later[: len(one)] == one for one, later in itertools.pairwise(ordered))


@torch.no_grad()
def answers(model: nn.Module, facts: Facts, asked: list[AskedFact], begin: Ids) -> Answers:
    """The model's answers, each row read after its tokens of `begin` [rows, k]. The model gives logits [rows, length,
    V] of token ids [rows, length], and need not be one of ours."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    logs: list[Floats] = [np.zeros(0)] * len(asked)
    plain = [number for number, one in enumerate(asked) if not one.tokens]
    for chosen in _parts(plain, facts, asked, len(begin[0])):
        rows = [
            np.concatenate([begin[asked[one].row], facts.rows[asked[one].row][: asked[one].start]]) for one in chosen
        ]
        held, last = _padded(rows)
        logits = model(torch.from_numpy(held).to(device))
        at = logits[torch.arange(len(rows), device=device), torch.from_numpy(last - 1).to(device)].double()
        for line, number in enumerate(chosen):
            first = torch.tensor([value[0] for value in asked[number].values], device=device)
            logs[number] = at[line, first].cpu().numpy()
    for number, one in enumerate(asked):
        if one.tokens:
            logs[number] = _of_values(model, np.concatenate([begin[one.row], facts.rows[one.row][: one.start]]), one)
    model.train(training)
    return Answers.of(logs, np.array([one.true for one in asked], np.int64))


def _parts(chosen: list[int], facts: Facts, asked: list[AskedFact], front: int) -> Iterator[list[int]]:
    """Questions in parts whose logits fit."""
    if not chosen:
        return
    longest = front + max(asked[one].start for one in chosen)
    at_once = max(1, LOGITS // (facts.vocabulary * longest))
    for first in range(0, len(chosen), at_once):
        yield chosen[first : first + at_once]


def _padded(rows: list[Ids]) -> tuple[Ids, Ids]:
    """Rows as one array, padded behind their end, and their lengths."""
    lengths = np.array([len(row) for row in rows])
    held = np.zeros((len(rows), int(lengths.max())), np.int64)
    for line, row in enumerate(rows):
        held[line, : len(row)] = row
    return held, lengths


def _of_values(model: nn.Module, context: Ids, one: AskedFact) -> Floats:
    """The logarithm of the probability of each value behind `context`."""
    device = next(model.parameters()).device
    rows = [np.concatenate([context, np.array([*value, *one.end], np.int64)]) for value in one.values]
    found = np.zeros(len(rows))
    at_once, first = 1, 0
    while first < len(rows):
        held, lengths = _padded(rows[first : first + at_once])
        tokens = torch.from_numpy(held).to(device)
        logits = model(tokens[:, :-1])[:, len(context) - 1 :].double()
        targets = tokens[:, len(context) :]
        log = logits.gather(2, targets[..., None])[..., 0] - logits.logsumexp(2)
        inside = (
            torch.arange(targets.shape[1], device=device) < torch.from_numpy(lengths - len(context)).to(device)[:, None]
        )
        found[first : first + at_once] = (log * inside).sum(1).cpu().numpy()
        first += at_once
        at_once = max(1, LOGITS // (logits.shape[2] * max(map(len, rows))))
    return found


class AskedValues:
    """The facts that one run is asked for at every checkpoint: those it is shown, and those of people whom it is not
    shown: people held out, or where there are none, those of another half."""

    def __init__(self, data: Data, run: RunPlan, stream: Stream | PageStream) -> None:
        self._data, self._run = data, run
        if not run.exposures:
            raise PlanError(f"arm '{run.arm}' reads pages alone: there are no facts whose calibration could be told")
        self._pools = _pools(data.facts)

    @classmethod
    def of_run(cls, data: Data, run: RunPlan, stream: Stream | PageStream) -> AskedValues:
        """Raises PlanError where the facts have no bundle, or the run has no facts."""
        return cls(data, run, stream)

    @functools.cached_property
    def asked(self) -> tuple[dict[str, tuple[Facts, list[AskedFact]]], list[str]]:
        """By `seen` and `unseen` the rows and what is asked in them; and the attributes that are left out."""
        data, members = self._data, self._data.members(self._run)
        inside = np.isin(data.facts.row_entity, members)
        groups = {"seen": data.facts.only(inside)}
        if "entities" in data.inputs.held_out:
            groups["unseen"] = data.inputs.held_out["entities"]
        elif not inside.all():
            groups["unseen"] = data.facts.only(~inside)
        found = {name: questions_about(facts, self._pools) for name, facts in groups.items()}
        return {name: (groups[name], one) for name, (one, _) in found.items()}, found["seen"][1]

    def __call__(self, model: nn.Module) -> dict[str, Any]:
        """Of people seen and unseen: accuracy, confidence, ECE, Brier score, reliability; `each` has every answer."""
        groups, left_out = self.asked
        found: dict[str, Any] = {"left_out": left_out}
        each: dict[str, Any] = {}
        for name, (facts, asked) in groups.items():
            one = answers(model, facts, asked, facts.begins(self._run.scored_tagged, self._run.front))
            found[name] = one.figures()
            each[name] = {
                "row": [question.row for question in asked],
                "confidence": np.round(one.confidence, 6).tolist(),
                "right": one.right.astype(int).tolist(),
            }
        return found | {"each": each}


_READ: dict[tuple[Path, str], Pools] = {}


def _pools(facts: Facts) -> Pools:
    """The pools of a facts folder, read once."""
    key = (facts.folder, facts.sha256)
    if key not in _READ:
        _READ.clear()
        _READ[key] = Pools(facts)
    return _READ[key]
