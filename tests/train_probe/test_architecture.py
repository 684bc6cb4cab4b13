"""Sizes of architectures, against the formulas of the papers and against their own layout."""

from __future__ import annotations

import math

import pytest

from train_probe.architecture import PUBLISHED, Architecture, ArchitectureError, architecture, layout


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (2, 4), (12, 12)])
def test_gpt2_has_the_parameters_of_the_formula(layers, heads):
    one = architecture("gpt2", layers, heads)
    d = 64 * heads
    assert one.parameters(3275) == layers * (12 * d**2 + 13 * d) + 2 * d + 3275 * d


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_layout_has_as_many_parameters_as_the_formula(name):
    one = architecture(name, 3, 4)
    found = layout(one, 1000)
    assert sum(math.prod(shape) for _, shape in found) == one.parameters(1000)
    assert len({name for name, _ in found}) == len(found)


def test_gpt2_of_openai_and_llama_of_meta_have_their_published_sizes():
    # GPT-2 small without its 1024 learnt positions: 124 439 808 - 1024 x 768.
    assert architecture("gpt2", 12, 12).parameters(50_257) == 124_439_808 - 1024 * 768
    # LLaMA-7B: 32 layers, 32 heads of 128, inner width 11 008, vocabulary 32 000.
    assert architecture("llama", 32, 32, 4096, inner=11_008).parameters(32_000) == 6_738_415_616
    # Mistral-7B: 8 heads of keys and values, inner width 14 336.
    assert architecture("mistral", 32, 32, 4096, kv_heads=8).parameters(32_000) == 7_241_732_096


def test_a_gated_mlp_of_eight_thirds_has_the_size_of_a_plain_one():
    plain, gated = (architecture(name, 4, 12).parameters(1000) for name in ("llama_plain", "llama"))
    assert abs(plain - gated) / plain < 0.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "width 64 does not divide into 3 heads"),
        ({"heads": 4, "kv_heads": 3}, "4 heads do not share 3"),
        ({"norm": "batch"}, "norm must be one of layer, rms"),
        ({"rotary_share": 0.0}, "above 0 and at most 1"),
        ({"inner": 0, "experts": 4}, "experts need an inner width above 0"),
        ({"experts": 4, "top_k": 5}, "between 1 and 4, the experts, not 5"),
        ({"layers": 0}, "layers must be at least 1"),
    ],
)
def test_choices_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ArchitectureError, match=message):
        Architecture(**({"layers": 2, "heads": 2, "width": 64, "inner": 256} | changes))


def test_the_nearest_name_is_offered():
    with pytest.raises(ArchitectureError, match="did you mean 'mistral'"):
        architecture("mistrall", 2, 2)
