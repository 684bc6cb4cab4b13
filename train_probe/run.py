"""What a trained model has learnt: its losses as bits, and the figures of one run."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from train_probe.capacity import Bits, biod_bits, compact_bits
from train_probe.data import Data, model_vocabulary
from train_probe.facts import Facts
from train_probe.model import Transformer
from train_probe.plan import RunPlan
from train_probe.quantize import quantized
from train_probe.score import Losses, score


class Diverged(RuntimeError):
    """The loss is no longer a number."""


def learned(facts: Facts, losses: Losses) -> Bits:
    """The bits that a model's losses stand for."""
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


class Scorer:
    """Scores the weights of one run."""

    def __init__(self, data: Data, run: RunPlan) -> None:
        self.data, self.run = data, run
        self.facts, self.training = data.facts, data.plan.training_of(run)
        self.architecture = data.plan.model_of(run).built()
        self.parameters = self.architecture.parameters(self.facts.used_vocabulary)
        # Rows may be longer than those of training: positions are rotations, and end nowhere.
        rows = [row for facts in (self.facts, *data.inputs.held_out.values()) for row in facts.rows]
        model = Transformer(self.architecture, model_vocabulary(self.facts), 1 + max(map(len, rows)), seed=0)
        self._model = model.to(data.device)

    def bits(self, state: dict[str, Tensor]) -> dict[str, Any]:
        """What the weights know, whole and rounded: bits, losses in nats, and the same of what was held out.

        Raises Diverged where the losses are no numbers.
        """
        losses = self._losses(state, self.facts)
        if not (math.isfinite(losses.name) and math.isfinite(losses.value)):
            raise Diverged("the trained model's losses are not finite")
        bits = learned(self.facts, losses)
        return {
            **self._per_parameter(bits),
            "clipped": self._per_parameter(bits.clipped()),
            "name_nats": losses.name,
            "value_nats": losses.value,
            "quantized": {str(width): self._at(state, width) for width in self.training.evaluate_bits},
            "held_out": {name: self._held_out(state, facts) for name, facts in self.data.inputs.held_out.items()},
        }

    def most(self) -> Bits:
        """What a model knows that knows everything."""
        return learned(self.facts, Losses(math.log(self.facts.people), 0.0))

    def _at(self, state: dict[str, Tensor], width: int) -> dict[str, float]:
        training = self.training
        rounded = quantized(state, width, training.evaluate_group, training.evaluate_embeddings)
        return self._per_parameter(learned(self.facts, self._losses(rounded, self.facts)))

    def _held_out(self, state: dict[str, Tensor], facts: Facts) -> dict[str, float]:
        losses = self._losses(state, facts)
        return {"name_nats": losses.name, "value_nats": losses.value}

    def _losses(self, state: dict[str, Tensor], facts: Facts) -> Losses:
        self._model.load_state_dict(state)
        return score(self._model, facts, facts.begins(self.run.scored_tagged))

    def _per_parameter(self, bits: Bits) -> dict[str, float]:
        return {
            "name_bits": bits.name,
            "value_bits": bits.value,
            "diversity_bits": bits.diversity,
            "bits_per_parameter": bits.total / self.parameters,
            "value_bits_per_parameter": bits.value / self.parameters,
        }


def device_of(name: str | None = None) -> torch.device:
    """The named device, or CUDA where there is one, or the CPU."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
