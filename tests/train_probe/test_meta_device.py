"""Without a GPU: a step of every architecture on torch's meta device, where nothing may lie on another device, and no
value may be asked for on the way, as a captured graph could not give it; and a step compiled as one graph."""

import pytest

torch = pytest.importorskip("torch")

from train_probe.architecture import PUBLISHED, architecture  # noqa: E402
from train_probe.stack.adamw import AdamWSettings, StackAdamW  # noqa: E402
from train_probe.stack.models import Stack  # noqa: E402
from train_probe.stack.step import StackStep  # noqa: E402

VOCABULARY, SLOTS, LENGTH = 64, 3, 17


def step_on(device: str, name: str, compute: torch.dtype | None, **changes: object) -> StackStep:
    stack = Stack(architecture(name, 2, 2, 32, **changes), VOCABULARY, SLOTS, LENGTH, torch.float32, device, compute)
    step = StackStep(stack, StackAdamW(stack.master, stack.rate_shares()))
    for slot in range(SLOTS):
        step.optimizer.set(slot, AdamWSettings(1e-3, 10, 0.1, decay=0.01, clip=0.5))
    return step


def rows(device: str, lengths: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    tokens = torch.zeros((SLOTS, 4, LENGTH), dtype=torch.int64, device=device)
    return tokens, torch.full((SLOTS, 4), LENGTH, device=device) if lengths else None


@pytest.mark.parametrize("compute", [None, torch.bfloat16], ids=["whole", "bfloat16"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_step_stays_on_its_device_and_waits_for_nothing(name, compute):
    step = step_on("meta", name, compute)
    for blocks in ([rows("meta", False)], [rows("meta", True), rows("meta", False)]):
        said = step(blocks)
        assert said.device.type == "meta" and said.shape == (2, SLOTS) and said.dtype == torch.float32


def test_the_meta_device_finds_what_it_is_for():
    step = step_on("meta", "gpt2", None)
    with pytest.raises(RuntimeError, match="device"):
        step([rows("cpu", True)])
    with pytest.raises(RuntimeError, match="meta"):
        step([rows("meta", False)])[0, 0].item()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_loss_is_one_graph(name):
    # What breaks a graph here would be left out of the code generated for a device.
    step = step_on("cpu", name, None)
    whole = torch.compile(step.stack.loss, backend="eager", fullgraph=True, dynamic=False)
    assert torch.allclose(whole(*rows("cpu", True)), step.stack.loss(*rows("cpu", True)))
