"""Rounded weights against closed forms, on one model and on many at once, and in the results of a plan."""

from __future__ import annotations

import math

import pytest
import torch
from probe_world import World

from train_probe.architecture import architecture
from train_probe.model import Transformer
from train_probe.plan import PlanError, plan_of
from train_probe.quantize import QuantizeError, quantized, rounded
from train_probe.train import run_plan


@pytest.fixture
def weight():
    return torch.randn(40, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("group", [None, 32, 40])
def test_no_weight_moves_by_more_than_half_a_step(weight, bits, group):
    after = rounded(weight, bits, group)
    size = group or 96
    for first in range(0, 96, size):
        before, here = weight[:, first : first + size], after[:, first : first + size]
        step = before.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert bool(((here - before).abs() <= step / 2 * (1 + 1e-12)).all())
        assert bool(((here - before).abs() > step / 4).any())
        levels = here / step
        assert torch.allclose(levels, levels.round(), atol=1e-9)
        assert levels.abs().max() == pytest.approx(2 ** (bits - 1) - 1)
        assert len(levels.round().unique()) <= 2**bits - 1


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounding_twice_is_rounding_once(weight, bits):
    once = rounded(weight, bits, 32)
    assert torch.allclose(rounded(once, bits, 32), once, rtol=1e-14, atol=0)


def test_signs_and_zeros_stay():
    weight = torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.2], [0.7, 0.26, -0.24]])
    assert torch.equal(rounded(weight, 2), torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.0], [0.7, 0.0, 0.0]]))
    assert torch.equal(rounded(-weight, 4), -rounded(weight, 4))


@pytest.mark.parametrize("bits", [4, 8])
def test_the_error_of_many_even_weights_is_a_step_over_root_twelve(bits):
    weight = torch.rand(200, 500, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    step = 1 / (2 ** (bits - 1) - 1)
    assert (rounded(weight, bits) - weight).std().item() == pytest.approx(step / math.sqrt(12), rel=0.01)


def test_a_group_of_all_inputs_is_a_channel_and_smaller_groups_err_less(weight):
    assert torch.equal(rounded(weight, 4, 96), rounded(weight, 4))
    assert torch.equal(rounded(weight, 4, 128), rounded(weight, 4))
    errors = [(rounded(weight, 4, group) - weight).square().mean().item() for group in (96, 48, 16)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("name", ["gpt2", "llama", "moe"])
def test_models_at_once_are_rounded_as_each_alone(name):
    states = [Transformer(architecture(name, 2, 2, 16), 30, 8, seed).state_dict() for seed in range(3)]
    stacked = {key: torch.stack([state[key] for state in states]) for key in states[0]}
    together = quantized(stacked, 4, group=8)
    for number, state in enumerate(states):
        for key, weight in quantized(state, 4, group=8).items():
            assert torch.equal(together[key][number], weight), key


@pytest.mark.parametrize("name", ["gpt2", "llama", "moe"])
def test_matrices_alone_are_rounded_and_token_tables_when_asked(name):
    state = Transformer(architecture(name, 1, 2, 16, residual_outputs=1.0), 30, 8, 0).state_dict()
    for embeddings in (True, False):
        after = quantized(state, 3, embeddings=embeddings)
        assert list(after) == list(state)
        changed = {key for key in state if not torch.equal(state[key], after[key])}
        matrices = {key for key, weight in state.items() if weight.ndim > 1 and not key.endswith("bias")}
        assert changed == (matrices if embeddings else matrices - {"embedding.weight", "head.weight"})


def test_eight_bits_are_nearly_lossless_and_two_are_not():
    model = Transformer(architecture("gpt2", 2, 2, 32), 50, 12, 0)
    state = {key: weight.clone() for key, weight in model.state_dict().items()}
    rows = torch.randint(0, 50, (4, 12), generator=torch.Generator().manual_seed(2))
    exact = model(rows).detach()
    errors = []
    for bits in (8, 4, 2):
        model.load_state_dict(quantized(state, bits))
        errors.append(((model(rows) - exact).norm() / exact.norm()).item())
    assert errors[0] < 0.02 < 0.1 < errors[1] < errors[2]


def test_what_cannot_be_is_said(weight):
    with pytest.raises(QuantizeError, match="2 to 8 bits, not to 9"):
        rounded(weight, 9)
    with pytest.raises(QuantizeError, match="at least one input, not 0"):
        rounded(weight, 4, 0)


def test_a_plan_scores_its_models_at_fewer_bits(tmp_path):
    world = World(tmp_path, people=12, exposures=150)
    plan = world.plan(
        [{"arm": "a", "exposures": 150}],
        model={"layers": 2, "heads": 2, "width": 16},
        training={"batch": 4, "learning_rate": 1e-2, "evaluate_bits": [8, 2]},
    )
    (result,) = run_plan(plan_of(plan), tmp_path / "out")
    eight, two = result["quantized"]["8"], result["quantized"]["2"]
    assert eight["value_bits"] == pytest.approx(result["value_bits"], rel=0.02)
    assert two["value_bits"] < 0.5 * result["value_bits"]
    assert eight["value_bits_per_parameter"] == pytest.approx(eight["value_bits"] / result["parameters"])
    # The model has its own weights back: without the plan's bits the figures are the same.
    del plan["training"]["evaluate_bits"]
    (plain,) = run_plan(plan_of(plan), tmp_path / "out")
    assert plain["quantized"] == {}
    assert plain["value_bits"] == result["value_bits"]
    plan["training"]["evaluate_bits"] = [8, 16]
    with pytest.raises(PlanError, match=r"evaluate_bits\[1\]: must be at least 2 and at most 8, not 16"):
        plan_of(plan)
