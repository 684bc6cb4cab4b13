"""The stack on CUDA: graphs and compiled steps train as eager ones, bfloat16 learns, a slot stays alone."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("the stack's CUDA paths want a CUDA device, and there is none here", allow_module_level=True)

from torch import Tensor  # noqa: E402

from train_probe.architecture import architecture  # noqa: E402
from train_probe.stack.adamw import AdamWSettings, StackAdamW  # noqa: E402
from train_probe.stack.models import Stack  # noqa: E402
from train_probe.stack.step import StackStep  # noqa: E402

VOCABULARY, LENGTH, SLOTS = 128, 65, 3


def batches(steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(VOCABULARY, (SLOTS, 4, LENGTH), generator=generator) for _ in range(steps)]


def trained(
    device: str, dtype: torch.dtype, compute: torch.dtype | None = None, compiled: bool = False, graph: bool = False,
    poisoned: int | None = None, repeat: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Parameters [slot, P] and losses [step, slot] after 12 steps, of one batch over and over if `repeat`."""
    stack = Stack(architecture("gpt2", 2, 2, 64), VOCABULARY, SLOTS, LENGTH, dtype, device, compute)
    step = StackStep(stack, StackAdamW(stack.master, stack.rate_shares()), compiled, graph)
    for slot in range(SLOTS):
        stack.reset(slot, slot)
        step.optimizer.set(slot, AdamWSettings(2e-3 * (slot + 1), 12, 0.2, decay=0.01, clip=0.5))
    if poisoned is not None:
        stack.load(poisoned, torch.full((stack.parameters,), math.nan))
    losses = []
    for tokens in batches(1) * 12 if repeat else batches(12):
        losses.append(step([(tokens.to(device), None)])[0].cpu())
    return torch.stack([stack.read(slot) for slot in range(SLOTS)]).cpu(), torch.stack(losses)


def apart(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(("compiled", "graph"), [(False, False), (False, True), (True, False), (True, True)])
def test_float64_on_cuda_is_float64_on_a_cpu(compiled: bool, graph: bool) -> None:
    rows, losses = trained("cpu", torch.float64)
    found, lost = trained("cuda", torch.float64, None, compiled, graph)
    assert apart(found, rows) < 1e-11 and apart(lost, losses) < 1e-11


def test_bfloat16_learns_as_float32_does() -> None:
    _, losses = trained("cuda", torch.float32, repeat=True)
    _, lost = trained("cuda", torch.float32, torch.bfloat16, True, True, repeat=True)
    assert apart(lost[0], losses[0]) < 1e-3
    assert apart(lost[-1], losses[-1]) < 0.05


def test_a_slot_that_is_not_a_number_stays_alone_in_a_graph() -> None:
    rows, _ = trained("cuda", torch.float64, None, False, True)
    beside, _ = trained("cuda", torch.float64, None, False, True, poisoned=1)
    assert beside[1].isnan().all()
    for slot in (0, 2):
        assert apart(beside[slot], rows[slot]) < 1e-12


def test_a_captured_step_refuses_other_shapes() -> None:
    stack = Stack(architecture("gpt2", 1, 1, 32), VOCABULARY, SLOTS, LENGTH, device="cuda")
    step = StackStep(stack, StackAdamW(stack.master), graph=True)
    tokens = batches(1)[0].cuda()
    for _ in range(5):
        step([(tokens, None)])
    with pytest.raises(ValueError, match="a captured step takes rows of"):
        step([(tokens[:, :2], None)])
