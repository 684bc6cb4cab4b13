"""Every field of an architecture means something, and the same to the reference and to the stack: one that is used by
neither, or by one of them, fails here."""

import dataclasses
import importlib.util
import math
import sys
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

import train_probe.architecture  # noqa: E402
import train_probe.groups  # noqa: E402
import train_probe.model  # noqa: E402
import train_probe.plan  # noqa: E402
import train_probe.stack.models  # noqa: E402
from train_probe.architecture import ACTIVATIONS, NORMS, Architecture, architecture, layout  # noqa: E402
from train_probe.export import ExportError, target  # noqa: E402
from train_probe.model import Transformer  # noqa: E402
from train_probe.stack.models import Stack  # noqa: E402

VOCABULARY, LENGTH, ROWS = 40, 9, 4
GPT2 = {"layers": 2, "heads": 4, "width": 64}
MOE = GPT2 | {"inner": 32, "experts": 4, "capacity_factor": 0.5}
OTHERWISE = {
    "layers": (GPT2, 3),
    "heads": (GPT2, 2),
    "width": (GPT2, 32),
    "inner": (GPT2, 48),
    "kv_heads": (GPT2, 2),
    "norm": (GPT2, "rms"),
    "norm_epsilon": (GPT2, 0.1),
    "activation": (GPT2, "silu"),
    "gated": (GPT2, True),
    "bias": (GPT2, False),
    "tied": (GPT2, False),
    "rotary_share": (GPT2, 0.5),
    "rotary_base": (GPT2, 7.0),
    "experts": (MOE, 2),
    "top_k": (MOE, 2),
    "capacity_factor": (MOE, 1.0),
    "balance": (MOE, 0.5),
    "initialisation": (GPT2, "gpt2"),
    "embedding_deviation": (GPT2, 0.3),
    "residual_outputs": (GPT2, 0.5),
}
"""Each field: a model, and another value for it there."""


def of(given: dict) -> Architecture:
    return architecture("gpt2", **given)


def parameters(one: Architecture) -> torch.Tensor:
    """Weights far from those that are drawn at first, of which all matter."""
    count = sum(math.prod(shape) for _, shape in layout(one, VOCABULARY))
    return torch.randn(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.3


def drawn(one: Architecture) -> torch.Tensor:
    """The weights that a seed draws, which are the same in a stack."""
    model, stack = Transformer(one, VOCABULARY, LENGTH, seed=5), Stack(one, VOCABULARY, 1, LENGTH)
    stack.reset(0, 5)
    found = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    assert torch.equal(found, stack.read(0))
    return found


def both(one: Architecture) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, then the loss of each row, of the reference and of a stack with the same weights."""
    tokens = torch.randint(VOCABULARY, (ROWS, LENGTH), generator=torch.Generator().manual_seed(2))
    model = Transformer(one, VOCABULARY, LENGTH, seed=0).double()
    torch.nn.utils.vector_to_parameters(parameters(one), model.parameters())
    stack = Stack(one, VOCABULARY, 1, LENGTH, torch.float64)
    stack.load(0, parameters(one))
    with torch.no_grad():
        reference = torch.cat([model(tokens).flatten(), model.loss(tokens)[None]])
        stacked = torch.cat([stack.forward(tokens[None]).flatten(), stack.loss(tokens[None])])
    return reference, stacked


def test_every_field_is_tried():
    assert set(OTHERWISE) == {item.name for item in dataclasses.fields(Architecture)}


@pytest.mark.parametrize("name", OTHERWISE)
def test_another_value_of_a_field_is_another_model_and_the_same_one_in_the_stack(name):
    given, value = OTHERWISE[name]
    usual, other = of(given), of(given | {name: value})
    assert getattr(usual, name) != value
    reference, stacked = both(other)
    assert torch.allclose(reference, stacked, rtol=1e-10, atol=1e-10)
    found = drawn(other)
    if layout(other, VOCABULARY) == layout(usual, VOCABULARY) and torch.equal(found, drawn(usual)):
        assert (reference - both(usual)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_and_activation_is_the_same_in_the_stack(norm, activation):
    reference, stacked = both(of(GPT2 | {"norm": norm, "activation": activation}))
    assert torch.allclose(reference, stacked, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("field", "name"), [("activation", "relu"), ("norm", "batch")])
def test_the_stack_trains_nothing_in_place_of_what_it_does_not_know(field, name):
    one = of(GPT2)
    object.__setattr__(one, field, name)
    with pytest.raises(KeyError, match=name):
        Stack(one, VOCABULARY, 1, LENGTH).loss(torch.zeros(1, 1, LENGTH, dtype=torch.int64))
    with pytest.raises(KeyError, match=name):
        Transformer(one, VOCABULARY, LENGTH, seed=0)
    if field == "norm":
        with pytest.raises(ExportError, match="norm 'batch'"):
            target(one)


def again(module: ModuleType) -> None:
    """Import a module's file once more, as a module that nobody knows."""
    spec = importlib.util.spec_from_file_location("imported_again", module.__file__)
    assert spec is not None and spec.loader is not None
    sys.modules["imported_again"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules["imported_again"])
    finally:
        del sys.modules["imported_again"]


@pytest.mark.parametrize(
    ("module", "names", "of"),
    [
        (train_probe.model, "ACTIVATIONS", train_probe.architecture),
        (train_probe.model, "NORMS", train_probe.architecture),
        (train_probe.stack.models, "NORMS", train_probe.architecture),
        (train_probe.groups, "PRECISIONS", train_probe.plan),
    ],
)
def test_a_name_without_a_function_is_an_error_at_import(module, names, of, monkeypatch):
    again(module)
    monkeypatch.setattr(of, names, (*getattr(of, names), "one more"))
    with pytest.raises(AssertionError, match="names other"):
        again(module)
