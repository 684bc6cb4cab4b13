"""One run: a model, its stream, AdamW with warm-up and cosine, and the bits it has learnt at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from train_probe.capacity import Bits, biod_bits, compact_bits
from train_probe.counter import stream_key
from train_probe.facts import Facts, Ids, Inputs
from train_probe.model import Transformer
from train_probe.plan import Plan, RunPlan
from train_probe.quantize import quantized
from train_probe.score import Losses, score
from train_probe.stream import Stream

FINAL_SHARE = 0.1  # the cosine ends at a tenth of the learning rate
_REPORT = 100  # steps between looks at the loss, which wait for the device

Progress = Callable[[int, int, int, float], None]
"""Called with steps done, steps in all, tokens seen, and the last batch's mean loss in nats."""


class Diverged(RuntimeError):
    """The loss is no longer a number."""


def rate_share(step: int, steps: int, warmup: float) -> float:
    """The share of the learning rate at a step: a straight warm-up, then a cosine from 1 to 0.1 over the rest."""
    rising = round(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done))


def model_of(plan: Plan, run: RunPlan, facts: Facts, longest: int) -> Transformer:
    """The untrained model of a run; its weights depend on seed and architecture alone, so arms share them."""
    context = max([longest, *(1 + len(row) for row in facts.rows)])
    return Transformer(plan.model.built(), facts.vocabulary, context, stream_key(run.seed, "weights") >> 1)


def fit(model: Transformer, stream: Stream, plan: Plan, run: RunPlan, progress: Progress | None = None) -> None:
    """Train on every batch of the stream: the loss is the mean over all predicted tokens of a batch, junk included.

    Raises Diverged as soon as a looked-at loss is not finite.
    """
    training = plan.training
    device = next(model.parameters()).device
    rate = plan.learning_rate(run)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        parameters,
        lr=rate,
        betas=(training.beta1, training.beta2),
        eps=training.epsilon,
        weight_decay=training.weight_decay,
        fused=True,
    )
    tokens = 0
    for step, blocks in enumerate(stream.batches()):
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_share(step, stream.steps, training.warmup)
        predicted = sum(block.shape[0] * (block.shape[1] - 1) for block in blocks)
        loss = torch.stack([model.loss(_tensor(block, device)) for block in blocks]).sum() / predicted
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, training.clip)
        optimizer.step()
        tokens += sum(block.size for block in blocks)
        if (step + 1) % _REPORT == 0 or step + 1 == stream.steps:
            seen = loss.item()
            if not math.isfinite(seen):
                raise Diverged(f"the loss was {seen} at step {step + 1} of {stream.steps}")
            if progress is not None:
                progress(step + 1, stream.steps, tokens, seen)


def _tensor(block: Ids, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(block)).to(device)


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


def train_run(
    plan: Plan,
    run: RunPlan,
    inputs: Inputs,
    device: torch.device,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train one run and score it: its measured figures, in bits, bits per parameter, tokens and seconds."""
    started = time.monotonic()
    facts = inputs.facts
    stream = Stream(facts, inputs.documents, inputs.pages.get(run.junk_shards or ""), plan.training, run)
    model = model_of(plan, run, facts, stream.longest).to(device)
    fit(model, stream, plan, run, progress)
    losses = score(model, facts, facts.begins(run.tagged))
    if not (math.isfinite(losses.name) and math.isfinite(losses.value)):
        raise Diverged("the trained model's losses are not finite")
    bits = learned(facts, losses)
    most = learned(facts, Losses(math.log(facts.people), 0.0))
    clipped = bits.clipped()
    parameters = model.architecture.parameters(facts.used_vocabulary)
    return {
        "architecture": plan.model.name,
        "parameters": parameters,
        "people": facts.people,
        "junk_ratio": stream.junk_ratio,
        "name_bits": bits.name,
        "value_bits": bits.value,
        "diversity_bits": bits.diversity,
        "bits_per_parameter": bits.total / parameters,
        "value_bits_per_parameter": bits.value / parameters,
        "max_bits_per_parameter": most.total / parameters,
        "max_value_bits_per_parameter": most.value / parameters,
        "clipped": {
            "name_bits": clipped.name,
            "value_bits": clipped.value,
            "diversity_bits": clipped.diversity,
            "bits_per_parameter": clipped.total / parameters,
            "value_bits_per_parameter": clipped.value / parameters,
        },
        "quantized": _at_fewer_bits(plan, run, facts, model, parameters),
        "name_nats": losses.name,
        "value_nats": losses.value,
        "steps": stream.steps,
        "tokens": stream.tokens,
        "seconds": time.monotonic() - started,
        "device": str(device),
    }


def _at_fewer_bits(
    plan: Plan, run: RunPlan, facts: Facts, model: Transformer, parameters: int
) -> dict[str, dict[str, float]]:
    """What is left of the bits when the weights are rounded, by the plan's bit widths; the model is rounded in place
    and given its weights back."""
    found = {}
    trained = {name: weight.clone() for name, weight in model.state_dict().items()}
    for width in plan.training.evaluate_bits:
        model.load_state_dict(quantized(trained, width))
        bits = learned(facts, score(model, facts, facts.begins(run.tagged)))
        found[str(width)] = {
            "name_bits": bits.name,
            "value_bits": bits.value,
            "value_bits_per_parameter": bits.value / parameters,
        }
    model.load_state_dict(trained)
    return found
