"""Retrieval against storage: what a store of the training texts adds to a model that was trained on them (kNN-LM).

Facts are asked for in sentences that training never showed, so no context finds itself. k, temperature and lambda are
chosen on other people, half of them for the other half. The same store without a person's own texts says what
retrieval adds that is no knowledge of that person.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from train_probe.data import Data
from train_probe.estimate import free_memory
from train_probe.facts_files import FactsFiles
from train_probe.inputs import Facts, Ids, Pages
from train_probe.knn import Entries, Mixture, Mixtures, Neighbours, RetrievalError, nearest, parts, states
from train_probe.plan import PlanError, RunPlan
from train_probe.score import LOGITS
from train_probe.stream import PageStream, Stream
from train_probe.useful import UsefulTexts

FACTS = "facts"
"""The store of the run's own texts of facts; other names are those of token shards."""
_KEPT = 0.5  # of the free memory
_NOBODY = -1

Nats = dict[Mixture, NDArray[np.float64]]


class RetrievedFacts:
    """The retrieval that one run is asked for at every checkpoint."""

    def __init__(self, data: Data, run: RunPlan) -> None:
        self._data, self._run, self._asked = data, run, data.plan.retrieval
        self.facts = data.facts_of(run)
        self.grid = Mixtures(self._asked.neighbours, self._asked.temperatures, self._asked.shares)
        self._refuse()

    @classmethod
    def of_run(cls, data: Data, run: RunPlan, stream: Stream | PageStream) -> RetrievedFacts:
        """Raises PlanError where retrieval would say nothing, or does not fit into memory."""
        return cls(data, run)

    def _refuse(self) -> None:
        facts, run = self.facts, self._run
        if not run.exposures:
            raise PlanError(f"retrieval: arm '{run.arm}' shows no facts, and facts are what is asked for")
        if facts.kind in ("compact", "biod") or FactsFiles(facts.folder).json("facts.json").get("frozen"):
            raise PlanError(
                "retrieval: texts that are the same at every exposure find themselves in the store, at distance 0; take"
                " facts of `kind: people`, not frozen, which are asked for in new sentences"
            )
        if self._asked.keys == "mlp" and not self._data.plan.model_of(run).built().inner:
            raise PlanError("retrieval: the model has no MLP whose input would be the key: take `keys: final`")
        for name in self._asked.stores:
            if name != FACTS and name not in self._data.inputs.pages:
                there = ", ".join([FACTS, *self._data.inputs.pages])
                raise PlanError(f"retrieval: there is no store '{name}'; there are: {there} (token sets of the arms)")
        scored = self._scored()[0]
        queries = int(np.sum(scored.spans[:, 3] - scored.spans[:, 2]))
        free = free_memory(self._data.device)
        needed = queries * max(self.grid.ks) * 16
        if free is not None and needed > _KEPT * free:
            raise PlanError(
                f"retrieval: the {max(self.grid.ks)} nearest of {queries:,} states take {needed / 2**30:.1f} GiB of"
                f" {free / 2**30:.1f} that are free: ask for fewer `neighbours`, or score fewer people (`most`)"
            )

    def store(self, model: nn.Module) -> Iterable[Entries]:
        """The entries of the stores; held where half of the free memory is enough, else made anew for every reading."""
        rows, owners = self._texts()
        width = self._data.plan.model_of(self._run).built().width
        needed = sum(map(len, rows)) * (4 * width + 16)
        free = free_memory(self._data.device)
        if free is None or needed < _KEPT * free:
            return list(parts(model, rows, owners, self._asked.keys))
        return _Again(lambda: parts(model, rows, owners, self._asked.keys))

    def _texts(self) -> tuple[list[Tensor], list[int]]:
        rows: list[Tensor] = []
        owners: list[int] = []
        for name in self._asked.stores:
            if name == FACTS:
                texts = self._data.texts_of(self._run)
                numbers = texts.order(self._run.exposures, self._run.seed)
                useful = UsefulTexts(texts, self._run)
                tokens = useful.tokens(numbers, None)
                rows += torch.where(tokens < 0, ~tokens, tokens).split(useful.lengths(numbers, None).tolist())
                members = torch.as_tensor(self._data.members(self._run), device=numbers.device)
                owners += torch.searchsorted(members, texts.people(numbers)).tolist()
            else:
                window = self._data.plan.training_of(self._run).window
                pages = page_rows(self._data.inputs.pages[name], self.facts.end_of_text, window)
                rows, owners = rows + pages, owners + [_NOBODY] * len(pages)
        return rows, owners

    def __call__(self, model: nn.Module) -> dict[str, Any]:
        """By exposures, bits of values of a person, means with standard errors: of the `model` alone, with retrieval
        (`near`), and with a store without the person's own texts (`others`)."""
        facts, who = self._scored()
        begin = facts.begins(self._run.scored_tagged, self._run.front)
        keys, targets, log_model, spans = asked(model, facts, begin, self._asked.keys)
        owner = torch.as_tensor(who[facts.row_entity[facts.spans[spans, 0]]], device=keys.device)
        store, k = self.store(model), max(self.grid.ks)
        nats = {
            "near": self._by_person(facts, spans, log_model, nearest(keys, store, k), targets),
            "others": self._by_person(facts, spans, log_model, nearest(keys, store, k, asking=owner), targets),
        }
        people = np.unique(facts.row_entity)
        counts = np.minimum(facts.exposures[people], self._run.exposures)
        groups = [
            {"exposures": int(count)} | self._told(np.flatnonzero(counts == count), nats) for count in np.unique(counts)
        ]
        return {"queries": len(keys), "groups": groups}

    def _scored(self) -> tuple[Facts, NDArray[np.int64]]:
        """The facts with the rows that are read, and the numbers of their people: so many as are asked for, equally
        spaced among all."""
        people, most = self.facts.people, min(self._asked.most, self.facts.people)
        who = np.unique(np.linspace(0, people - 1, most).astype(np.int64))
        facts = self.facts.part(who)
        # Rows of one person stand together.
        place = np.arange(len(facts.rows)) - np.searchsorted(facts.row_entity, facts.row_entity)
        return facts.only(place < self._asked.texts), who

    def _by_person(
        self, facts: Facts, spans: NDArray[np.int64], log_model: Tensor, found: Neighbours, targets: Tensor
    ) -> Nats:
        """The loss in nats of all values of each person [people], by mixture."""
        people, person = np.unique(facts.row_entity, return_inverse=True)
        rows = np.bincount(person)
        values = facts.spans[spans, 1] >= 0
        owner = person[facts.spans[spans, 0]]
        return {
            mixture: np.bincount(owner[values], nats[values], len(people)) / rows
            for mixture, nats in self.grid.nats(log_model, found, targets).items()
        }

    def _told(self, group: NDArray[np.int64], nats: dict[str, Nats]) -> dict[str, Any]:
        """The figures of one group of people."""
        alone = next(losses for mixture, losses in nats["near"].items() if mixture.share == 0)[group]
        told: dict[str, Any] = {"people": len(group), "model": self._bits(alone)}
        for name, by_mixture in nats.items():
            here = {mixture: losses[group] for mixture, losses in by_mixture.items()}
            everybody = np.setdiff1d(np.arange(len(by_mixture[next(iter(here))])), group)
            best, chosen = chosen_on_others(here)
            told[name] = self._bits(best) | {"gain": _mean((alone - best) / math.log(2))} | {"chosen": chosen}
            if len(everybody):
                # One mixture for facts of any number of exposures, as a user has to take one.
                one = min(by_mixture, key=lambda mixture: float(by_mixture[mixture][everybody].sum()))
                told[name]["one_for_all"] = self._bits(here[one]) | {"chosen": [str(one)]}
            whole = min(here, key=lambda mixture: float(here[mixture].sum()))
            told[name]["by_share"] = [
                [share, self._bits(here[Mixture(whole.k, whole.temperature, share)])["bits"]]
                for share in self.grid.shares
            ]
        return told

    def _bits(self, nats: NDArray[np.float64]) -> dict[str, Any]:
        mean, error = _mean(self.facts.value_pool_bits - nats / math.log(2))
        return {"bits": mean, "error": error}


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def chosen_on_others(nats: Nats) -> tuple[NDArray[np.float64], list[str]]:
    """Each person's loss with the mixture that is best for the other half of the people, and the two mixtures."""
    count = len(next(iter(nats.values())))
    half = np.arange(count) % 2
    best, chosen = np.empty(count), []
    for own in (0, 1):
        others = half != own if count > 1 else half == own
        mixture = min(nats, key=lambda one: float(nats[one][others].sum()))
        best[half == own] = nats[mixture][half == own]
        chosen.append(str(mixture))
    return best, chosen


@torch.no_grad()
def asked(model: nn.Module, facts: Facts, begin: Ids, keys: str) -> tuple[Tensor, Tensor, Tensor, NDArray[np.int64]]:
    """Of every token of the facts' spans: the state in front of it [q, d], the token [q], its log probability by the
    model float64 [q], and the number of its span [q]. Rows are read alone, each after its tokens of `begin`."""
    device, front = next(model.parameters()).device, begin.shape[1]
    by_row: dict[int, list[int]] = {}
    for span, row in enumerate(facts.spans[:, 0].tolist()):
        by_row.setdefault(row, []).append(span)
    ordered = sorted(by_row, key=lambda row: len(facts.rows[row]))
    longest = front + max(len(row) for row in facts.rows)
    at_once = max(1, LOGITS // (facts.vocabulary * longest))
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    numbers: list[int] = []
    for first in range(0, len(ordered), at_once):
        some = ordered[first : first + at_once]
        width = front + max(len(facts.rows[row]) for row in some)
        batch = np.zeros((len(some), width), np.int64)  # padding comes after every span
        line_of: list[int] = []
        place_of: list[int] = []
        for line, row in enumerate(some):
            batch[line, : front + len(facts.rows[row])] = np.concatenate([begin[row], facts.rows[row]])
            for span in by_row[row]:
                start, end = facts.spans[span, 2:]
                line_of += [line] * (end - start)
                place_of += range(front + start, front + end)
                numbers += [span] * (end - start)
        tokens = torch.from_numpy(batch).to(device)
        kept, logits = states(model, tokens[:, :-1], keys)
        lines, places = torch.tensor(line_of, device=device), torch.tensor(place_of, device=device)
        target = tokens[lines, places]
        log_of = logits[lines, places - 1].double().log_softmax(1)
        found.append((kept[lines, places - 1].float(), target, log_of.gather(1, target[:, None])[:, 0]))
    key, target, log = (torch.cat(column) for column in zip(*found, strict=True))
    return key, target, log, np.array(numbers, np.int64)


def page_rows(pages: Pages, end_of_text: int, window: int) -> list[Tensor]:
    """Pages as rows of at most `window` tokens, each after the token before it, or after an end of text."""
    rows = []
    begin = 0
    for end in pages.ends.tolist():
        before = end_of_text
        for place in range(begin, end, window - 1):
            tokens = np.asarray(pages.tokens[place : min(end, place + window - 1)], np.int64)
            rows.append(torch.from_numpy(np.concatenate([[before], tokens])))
            before = int(tokens[-1])
        begin = end
    return rows


@torch.no_grad()
def retrieved_text(
    model: nn.Module,
    store: Sequence[Tensor],
    held_out: Sequence[Tensor],
    asked_for: Sequence[Tensor],
    grid: Mixtures | None = None,
    keys: str = "mlp",
) -> dict[str, Any]:
    """What a store of any texts adds to any model on other texts: nats a token of `asked_for`, of the model alone and
    mixed as is best on `held_out`. Texts are rows of token ids of at least two, the first of which is only read.

    Raises RetrievalError where a text is longer than the model reads, or has tokens that it does not know.
    """
    grid = grid or Mixtures()
    for row in (*store, *held_out, *asked_for):
        _refuse_row(model, row)
    entries = list(parts(model, store, [_NOBODY] * len(store), keys))
    nats = []
    for rows in (held_out, asked_for):
        key, target, log = (torch.cat(column) for column in zip(*_read(model, rows, keys), strict=True))
        free = free_memory(key.device)
        nats.append(grid.nats(log, nearest(key, entries, max(grid.ks), free=free), target))
    best = min(nats[0], key=lambda mixture: float(nats[0][mixture].sum()))
    alone = next(losses for mixture, losses in nats[1].items() if mixture.share == 0) if 0 in grid.shares else None
    return {
        "chosen": str(best),
        "tokens": len(nats[1][best]),
        "model": None if alone is None else float(alone.mean()),
        "near": float(nats[1][best].mean()),
    }


def _read(model: nn.Module, rows: Sequence[Tensor], keys: str) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
    device = next(model.parameters()).device
    for row in rows:
        tokens = row.to(device)[None]
        kept, logits = states(model, tokens[:, :-1], keys)
        target = tokens[0, 1:]
        yield kept[0].float(), target, logits[0].double().log_softmax(1).gather(1, target[:, None])[:, 0]


def _refuse_row(model: nn.Module, row: Tensor) -> None:
    config = getattr(model, "config", None)
    known = getattr(model, "vocabulary", None) or getattr(model, "rows", None)
    context = getattr(model, "context", None) or getattr(config, "max_position_embeddings", None)
    if len(row) < 2:
        raise RetrievalError("a text needs two tokens: one to read, and one to ask for")
    if known is not None and int(row.max()) >= known:
        raise RetrievalError(
            f"a text holds token {int(row.max())}, the model has {known}: it was written with another tokenizer; encode"
            " it with the model's own"
        )
    if context is not None and len(row) - 1 > context:
        raise RetrievalError(f"a text has {len(row)} tokens, the model reads {context}: cut it")


class _Again:
    """What a function gives, made anew for every reading."""

    def __init__(self, make: Callable[[], Iterable[Entries]]) -> None:
        self._make = make

    def __iter__(self) -> Any:
        return iter(self._make())
