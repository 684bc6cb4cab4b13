"""What a trained model has learnt: its losses as bits, and the figures of one run."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from curate.errors import Refused
from train_probe.capacity import Bits, biod_bits, compact_bits
from train_probe.data import Data, model_vocabulary
from train_probe.evaluate import Evaluation, opened
from train_probe.exceptions import by_majority
from train_probe.gptq import gptq
from train_probe.inputs import Cloze, Facts, Ids, Pages
from train_probe.model import Transformer
from train_probe.plan import RunPlan
from train_probe.quantize import quantized
from train_probe.score import Losses, page_nats, score, span_nats
from train_probe.stream import PageStream, Stream

CALIBRATED = 512
"""At most so many rows calibrate GPTQ."""

MEASURED = 1 << 16
"""Tokens of a chain on which a model's loss is measured."""


class Diverged(Refused):
    """The loss is no longer a number."""


def learned(facts: Facts, losses: Losses) -> Bits:
    """A model's losses as bits."""
    one = facts.strings
    if one is None:
        return compact_bits(facts.people, facts.name_pool_bits, facts.value_pool_bits, losses.name, losses.value)
    return biod_bits(
        facts.people,
        math.prod(facts.name_parts),
        one.attributes,
        one.chunks,
        one.strings,
        one.length,
        one.alphabet,
        losses.name,
        # bioD counts by attribute, not by person.
        losses.value / one.attributes,
        losses.first_chunk,
    )


def by_attribute(facts: Facts, losses: Losses) -> list[dict[str, Any]]:
    """What a model stores of each attribute's values, in bits of all people together, raw: `bits` of `most`."""
    return [
        {"name": name, "bits": facts.people * (bits - nats / math.log(2)), "most": facts.people * bits}
        for (name, bits), nats in zip(facts.attributes, losses.attributes, strict=True)
    ]


class Scorer:
    """Scores the weights of one run."""

    def __init__(self, data: Data, run: RunPlan) -> None:
        self.data, self.run = data, run
        self.facts, self.training = data.facts_of(run), data.plan.training_of(run)
        self.architecture = data.plan.model_of(run).built()
        self.parameters = self.architecture.parameters(self.facts.used_vocabulary)
        # Rows may be longer than those of training: rotary positions have no limit.
        inputs = data.inputs
        scored: list[Facts | Cloze] = [self.facts, *inputs.held_out.values(), *inputs.cloze.values()]
        longest = max(len(row) for one in scored for row in one.rows)
        context = max(self.training.window, max(1, len(run.front)) + longest)
        model = Transformer(self.architecture, model_vocabulary(self.facts), context, seed=0)
        self._model = model.to(data.device).eval()
        self._evaluations: dict[str, Evaluation] | None = None

    def bits(self, state: dict[str, Tensor]) -> dict[str, Any]:
        """What the weights know, whole and rounded: bits, losses in nats, and the same of what was held out.

        Raises Diverged where the losses are not finite.
        """
        self._model.load_state_dict(state)
        if not self.run.exposures:
            return self._without_facts()
        losses = self._losses(self.facts)
        if not (math.isfinite(losses.name) and math.isfinite(losses.value)):
            raise Diverged("the trained model's losses are not finite")
        bits = learned(self.facts, losses)
        inputs = self.data.inputs
        text = {name: self._text(pages) for name, pages in inputs.text.items()}
        cloze = {name: self._cloze(one) for name, one in inputs.cloze.items()}
        held_out = {name: self._losses(facts) for name, facts in inputs.held_out.items()}
        return {
            **self._per_parameter(bits),
            "clipped": self._per_parameter(bits.clipped()),
            "name_nats": losses.name,
            "value_nats": losses.value,
            "attributes": by_attribute(self.facts, losses),
            "quantized": {str(width): self._at(state, width) for width in self.training.evaluate_bits},
            "gptq": self._by_gptq(state) if self.training.evaluate_gptq else None,
            "text": text,
            "cloze": cloze,
            "learnable": self._learnable(),
            "held_out": {name: {"name_nats": one.name, "value_nats": one.value} for name, one in held_out.items()},
            **({} if self.facts.told is None else {"told": by_majority(self._model, self.facts, self._begins())}),
        }

    def _without_facts(self) -> dict[str, Any]:
        """The figures of a model that read no facts: losses on text, page by page too, and no bits."""
        inputs = self.data.inputs
        text = {name: self._text(pages, by_page=True) for name, pages in inputs.text.items()}
        learnable = self._learnable()
        if not all(math.isfinite(one["nats_per_token"]) for one in [*text.values(), learnable] if one):
            raise Diverged("the trained model's losses are not finite")
        cloze = {name: self._cloze(one) for name, one in inputs.cloze.items()}
        return self._per_parameter(Bits(0.0, 0.0, 0.0)) | {"text": text, "cloze": cloze, "learnable": learnable}

    def _learnable(self) -> dict[str, float] | None:
        """The mean loss in nats of a token of windows of the run's chain that it did not train on, and the chain's
        entropy: what lies between them is what the model lacks."""
        chain = self.data.chain(self.run)
        if chain is None:
            return None
        rows = chain.held_out(max(1, MEASURED // chain.width)).cpu().numpy()
        spans = np.stack([np.arange(len(rows)), np.zeros(len(rows)), np.full(len(rows), chain.width - 1)], 1)
        nats = span_nats(self._model, list(rows[:, 1:]), rows[:, :1], spans.astype(np.int64), self.facts.vocabulary)
        tokens = len(rows) * (chain.width - 1)
        return {"nats_per_token": float(nats.sum()) / tokens, "entropy": chain.entropy(), "tokens": tokens}

    def model(self, state: dict[str, Tensor]) -> Transformer:
        """The readable model with these weights; the next call changes it."""
        self._model.load_state_dict(state)
        return self._model

    def evaluated(self, state: dict[str, Tensor], stream: Stream | PageStream) -> dict[str, dict[str, Any]]:
        """What the plan's `evaluate` tells of the weights, by its name; in float64, so that no tie is of rounding."""
        if not self.data.plan.evaluate:
            return {}
        if self._evaluations is None:
            self._evaluations = opened(self.data, self.run, stream)
        self._model.load_state_dict(state)
        model = copy.deepcopy(self._model).double()
        return {name: evaluation(model) for name, evaluation in self._evaluations.items()}

    def most(self) -> Bits:
        """The bits of a model that knows everything; none where it was shown no facts."""
        if not self.run.exposures:
            return Bits(0.0, 0.0, 0.0)
        return learned(self.facts, Losses(math.log(self.facts.people), 0.0))

    def _at(self, state: dict[str, Tensor], width: int) -> dict[str, float]:
        training = self.training
        self._model.load_state_dict(quantized(state, width, training.evaluate_group, training.evaluate_embeddings))
        return self._per_parameter(learned(self.facts, self._losses(self.facts)))

    def _by_gptq(self, state: dict[str, Tensor]) -> dict[str, dict[str, float]]:
        """Calibrated on rows of the facts, as they are scored, whose lengths are the same in each batch."""
        training, facts = self.training, self.facts
        begin = facts.begins(self.run.scored_tagged, self.run.front)
        by_length: dict[int, list[np.ndarray]] = {}
        for number in np.unique(np.linspace(0, len(facts.rows) - 1, CALIBRATED).astype(np.int64)):
            row = np.concatenate([begin[number], facts.rows[number]])
            by_length.setdefault(len(row), []).append(row)
        rows = [torch.from_numpy(np.stack(one)).to(self.data.device) for one in by_length.values()]
        made = {}
        for width in training.evaluate_bits:
            gptq(self._model, state, rows, width, training.evaluate_group, training.evaluate_embeddings)
            made[str(width)] = self._per_parameter(learned(facts, self._losses(facts)))
        return made

    def _cloze(self, cloze: Cloze) -> list[dict[str, float]]:
        """The summed loss in nats of each group's spans, each sentence alone after an end of text."""
        begin = np.full((len(cloze.rows), 1), self.facts.end_of_text)
        nats = span_nats(self._model, cloze.rows, begin, cloze.spans, self.facts.vocabulary)
        groups = range(int(cloze.group.max()) + 1)
        return [
            {"facts": int((cloze.group == one).sum()), "nats": float(nats[cloze.group == one].sum())} for one in groups
        ]

    def _text(self, pages: Pages, by_page: bool = False) -> dict[str, Any]:
        """Mean loss in nats of a token of pages; `by_page` also the summed loss of each page."""
        if not len(pages.tokens):
            return {"nats_per_token": math.nan, "tokens": 0}
        nats = page_nats(self._model, pages, self.facts.end_of_text, self.training.window, self.facts.vocabulary)
        tokens = len(pages.tokens)
        mean = {"nats_per_token": float(nats.sum()) / tokens, "tokens": tokens}
        return mean | ({"page_nats": nats.tolist()} if by_page else {})

    def _losses(self, facts: Facts) -> Losses:
        return score(self._model, facts, self._begins(facts))

    def _begins(self, facts: Facts | None = None) -> Ids:
        return (facts or self.facts).begins(self.run.scored_tagged, self.run.front)

    def _per_parameter(self, bits: Bits) -> dict[str, float]:
        return {
            "name_bits": bits.name,
            "value_bits": bits.value,
            "diversity_bits": bits.diversity,
            "bits_per_parameter": bits.total / self.parameters,
            "value_bits_per_parameter": bits.value / self.parameters,
        }


def device_of() -> torch.device:
    """CUDA where there is a GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
