"""GPTQ against its definition: it minimises what products lose on the calibration rows, where rounding does not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from train_probe.architecture import architecture  # noqa: E402
from train_probe.gptq import _rounded, gptq  # noqa: E402
from train_probe.model import Transformer  # noqa: E402
from train_probe.quantize import QuantizeError, quantized, rounded  # noqa: E402


def test_products_lose_less_than_by_rounding_to_nearest():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(12, 24, generator=generator, dtype=torch.float64)
    # Inputs that go together: what one loses another can make up for.
    x = torch.randn(400, 6, generator=generator, dtype=torch.float64)
    x = x @ torch.randn(6, 24, generator=generator, dtype=torch.float64)
    x += 0.1 * torch.randn(400, 24, generator=generator, dtype=torch.float64)

    def lost(made: torch.Tensor) -> float:
        return float(((weight - made) @ x.T).square().sum())

    made = _rounded(weight, x.T @ x, 4, None, "a matrix")
    assert lost(made) < 0.3 * lost(rounded(weight, 4))
    steps = made / (weight.abs().amax(1, keepdim=True) / 7)
    assert torch.allclose(steps, steps.round(), atol=1e-9) and steps.abs().max() <= 7 + 1e-9
    by_group = _rounded(weight, x.T @ x, 4, 8, "a matrix")
    assert lost(by_group) < lost(rounded(weight, 4, 8))


def test_inputs_that_do_not_go_together_are_rounded_to_nearest():
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for weighed in (torch.eye(7, dtype=torch.float64), torch.zeros(7, 7, dtype=torch.float64)):
        assert torch.allclose(_rounded(weight, weighed, 3, None, "a matrix"), rounded(weight, 3))


@pytest.mark.parametrize("name", ["gpt2", "llama", "moe"])
def test_a_model_keeps_more_of_its_logits_and_its_tables_are_rounded_to_nearest(name):
    one = architecture(name, 2, 2, 32, **({"experts": 2} if name == "moe" else {}), residual_outputs=1.0)
    model = Transformer(one, 64, 16, seed=3).requires_grad_(False)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    rows = [torch.randint(64, (16, length), generator=torch.Generator().manual_seed(length)) for length in (12, 9)]
    whole = model.eval()(rows[0])
    nearest = quantized(state, 3)
    model.load_state_dict(nearest)
    by_rounding = float((model(rows[0]) - whole).square().sum())
    made = gptq(model, state, rows, 3)
    assert made.keys() == state.keys() and all(torch.equal(made[key], one) for key, one in model.state_dict().items())
    assert torch.equal(made["embedding.weight"], nearest["embedding.weight"])
    assert torch.equal(made["norm.weight"], state["norm.weight"])
    assert float((model(rows[0]) - whole).square().sum()) < by_rounding
    kept = gptq(model, state, rows, 3, embeddings=False)
    assert torch.equal(kept["embedding.weight"], state["embedding.weight"])
    if name == "llama":
        assert torch.equal(kept["head.weight"], state["head.weight"])
        assert not torch.equal(made["head.weight"], state["head.weight"])
    with pytest.raises(QuantizeError, match="2 to 8 bits"):
        gptq(model, state, rows, 1)
