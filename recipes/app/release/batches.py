"""The batches of a run as text: any step alone, or all of them as chunks of `data/`. The stream of a run is a function
of the step, so what a step reads is made again whenever it is asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.shards.tokens import TokenShards
from recipes.app.release.documents import Origin, PageDocuments, fact, generated
from recipes.app.release.opened import Opened
from train_probe.origins import flat, stretch_ends
from train_probe.plan import RunPlan
from train_probe.stream import PageStream, Stream
from train_probe.texts import ShardTexts

AnyStream = Stream | PageStream
_AT_ONCE = 1 << 18  # tokens that are made at once
JUNK = "<|junk|>"
"""How the token in front of tagged junk is shown, which trainers add to the vocabulary."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A text, or the part of it that a window holds, as a step reads it: `ids` are its tokens, `row` its window."""

    step: int
    row: int
    origin: Origin
    ids: list[int]
    text: str

    def line(self) -> dict[str, Any]:
        """The row of `data/`."""
        one = self.origin
        return {
            "step": self.step, "row": self.row, "kind": one.kind, "document": one.document, "source": one.source,
            "domain": one.domain, "url": one.url, "licence": one.licence, "tokens": len(self.ids), "ids": self.ids,
            "text": self.text,
        }  # fmt: skip


class Batches:
    """The batches of the runs of an opened plan. `unnamed` are the pages, by token set, whose documents are not
    known."""

    def __init__(self, opened: Opened) -> None:
        self._opened, self._vocabulary = opened, opened.vocabulary
        self._pages: dict[str, PageDocuments] = {}
        self._open: tuple[RunPlan, AnyStream, AnyStream] | None = None

    @property
    def unnamed(self) -> dict[str, int]:
        return {name: len(one.unnamed) for name, one in self._pages.items() if one.unnamed}

    def _streams(self, run: RunPlan) -> tuple[AnyStream, AnyStream]:
        """The batches of a run, and what they are of; those of the last run are kept: packing them takes a while."""
        if self._open is None or self._open[0] is not run:
            self._open = run, self._opened.data.stream(run), self._opened.data.origins(run)
        return self._open[1:]

    def steps(self, run: RunPlan) -> int:
        """How many steps a run has."""
        return self._streams(run)[0].steps

    def ends(self, run: RunPlan, steps: int | None = None) -> dict[int, int]:
        """The checkpoints of a run, by exposures, and after how many steps each was kept; `steps` are all that it did,
        where it stopped early."""
        stream, _ = self._streams(run)
        training = self._opened.plan.training_of(run)
        on_the_way = sorted(one for one in training.evaluate_exposures if one < run.exposures)
        ends = {one: stream.step_of(one) for one in on_the_way} | {run.exposures: stream.steps}
        return {one: end if steps is None else min(end, steps) for one, end in ends.items()}

    def pieces(self, run: RunPlan, first: int, last: int) -> Iterator[Piece]:
        """What steps `first` to `last` of a run read, counted from 1, in the order of training."""
        stream, origins = self._streams(run)
        per_step = max(1, sum(length * rows for length, rows in stream.shape))
        at_once = max(1, _AT_ONCE // per_step)
        for begin in range(first - 1, last, at_once):
            end = min(begin + at_once, last)
            ids, step, row = flat(stream.chunk(begin, end))
            of, _, _ = flat(origins.chunk(begin, end))
            ends = stretch_ends(of, row + step * (row.max(initial=0) + 1))
            begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)
            tokens = np.split(np.where(ids < 0, ~ids, ids), ends[:-1])
            named = self._named(run, of[begins])
            for place, one, origin, text in zip(begins.tolist(), tokens, named, self._texts(tokens), strict=True):
                yield Piece(begin + int(step[place]) + 1, int(row[place]), origin, one.tolist(), text)

    def _texts(self, tokens: list[np.ndarray]) -> list[str]:
        shown = self._vocabulary.decode([one.tolist() for one in tokens])
        beyond = [bool(len(one)) and int(one[0]) >= self._vocabulary.size for one in tokens]
        return [JUNK + text if front else text for text, front in zip(shown, beyond, strict=True)]

    def _named(self, run: RunPlan, of: np.ndarray) -> list[Origin]:
        """What texts are, by their numbers in the stream (`train_probe/origins.py`)."""
        opened, named = self._opened, {}
        # (A run's part of the people keeps the numbers of all.)
        texts = opened.data.texts if run.exposures else None
        distinct = np.unique(of)
        useful, junk = distinct[distinct >= 0], ~distinct[distinct < 0]
        if isinstance(texts, ShardTexts):
            assert opened.data.inputs.documents is not None
            documents = opened.data.inputs.documents
            entity, exposure = documents.entity[useful], documents.exposure[useful]
        else:
            entity, exposure = useful % opened.data.facts.people, useful // opened.data.facts.people
        for number, *shown in zip(useful.tolist(), entity.tolist(), exposure.tolist(), strict=True):
            named[number] = fact(shown[0], shown[1], opened.domain, opened.drawn)
        if run.junk_kind == "shards" and len(junk):
            import torch

            pages = opened.data.pages_of(run, torch.as_tensor(junk, device=opened.data.device)).tolist()
            of_page = self._documents(str(run.junk_shards))
            named |= {~number: of_page[page] for number, page in zip(junk.tolist(), pages, strict=True)}
        else:
            named |= {~number: generated(run.junk_kind, number) for number in junk.tolist()}
        return [named[number] for number in of.tolist()]

    def _documents(self, name: str) -> PageDocuments:
        if name not in self._pages:
            opened = self._opened
            shards = TokenShards.open(opened.plan.junk_shards[name])
            pages = opened.data.inputs.pages[name]
            self._pages[name] = PageDocuments(shards, pages, name, opened.corpus, opened.vocabulary)
        return self._pages[name]


class Mix:
    """What a run read, by kind and source: the tokens at the start (each page once, each person's facts once), by how
    much they were multiplied, and the total."""

    def __init__(self) -> None:
        self._start: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._total: Counter[tuple[str, str]] = Counter()

    def add(self, piece: Piece) -> None:
        one = piece.origin
        part = (one.kind, one.source)
        self._total[part] += len(piece.ids)
        text = one.document.rpartition("@")[0] if one.kind == "fact" else one.document
        self._start[part].setdefault(text, one.whole or len(piece.ids))

    def rows(self) -> list[dict[str, Any]]:
        """Of each part the tokens at the start, the multiplier, the total and its share."""
        whole = max(1, self._total.total())
        rows = []
        for (kind, source), total in sorted(self._total.items()):
            start = self._start[kind, source].total()
            rows.append(
                {
                    "kind": kind, "source": source, "start": start, "multiplier": round(total / max(1, start), 4),
                    "total": total, "share": round(total / whole, 6),
                }
            )  # fmt: skip
        return rows
