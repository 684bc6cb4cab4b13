"""The model against formulas, against attention written out, and against autograd's own cross-entropy."""

import math

import pytest
import torch
import torch.nn.functional as F

from train_probe.model import Block, GPT2RoPE, Rotary, Shape


@pytest.mark.parametrize("shape", [Shape(1, 1, 4, 11), Shape(2, 2, 32, 1640), Shape(3, 4, 64, 50)])
def test_parameters_are_those_of_the_formula(shape):
    l, d, v = shape.layers, shape.width, shape.vocabulary  # noqa: E741
    model = GPT2RoPE(shape, 8, seed=0)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == shape.parameters() == l * (12 * d * d + 13 * d) + 2 * d + v * d


def test_only_embedding_rows_of_used_tokens_count():
    shape = Shape(2, 2, 32, 1000)
    assert shape.parameters() - shape.parameters(990) == 10 * 32


def test_weights_are_normal_with_deviation_0_02_and_biases_zero():
    model = GPT2RoPE(Shape(2, 2, 64, 1000), 8, seed=3)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(parameter.mean().item()) < 0.001
        else:
            assert bool((parameter == 1).all())


def test_later_tokens_do_not_change_earlier_logits():
    model = GPT2RoPE(Shape(2, 2, 16, 30), 12, seed=0)
    rows = torch.randint(0, 30, (3, 12))
    changed = rows.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % 30
    before, after = model(rows), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_rotary_makes_scores_depend_on_distance_alone():
    rotary = Rotary(head=16, context=40)
    query, key = torch.randn(16), torch.randn(16)
    turned_query, turned_key = rotary(query.expand(40, 16)), rotary(key.expand(40, 16))
    scores = turned_query @ turned_key.T
    for distance in (0, 1, 5):
        along = scores.diagonal(-distance)
        assert torch.allclose(along, along[0].expand_as(along), atol=1e-4)
    assert not torch.allclose(scores[0, 0], scores[9, 0], atol=1e-3)


@pytest.mark.parametrize(("head", "turned"), [(4, 2), (8, 2), (16, 4), (64, 16)])
def test_rotary_turns_a_quarter_of_the_head_by_the_published_angles(head, turned):
    rotary = Rotary(head, context=4)
    x = torch.randn(4, head)
    y = rotary(x)
    assert torch.equal(y[:, turned:], x[:, turned:])
    for pair in range(turned // 2):
        angle = 3 * 10_000 ** (-2 * pair / turned)
        a, b = x[3, pair].item(), x[3, pair + turned // 2].item()
        assert y[3, pair].item() == pytest.approx(a * math.cos(angle) - b * math.sin(angle), abs=1e-5)
        assert y[3, pair + turned // 2].item() == pytest.approx(b * math.cos(angle) + a * math.sin(angle), abs=1e-5)


def test_a_block_is_attention_and_mlp_written_out():
    torch.manual_seed(0)
    block = Block(Shape(1, 2, 8, 5), Rotary(4, 6))
    x = torch.randn(1, 6, 8)
    query, key, value = block.qkv(block.attention_norm(x))[0].split(8, 1)
    heads = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        scores = block.rotary(query[:, part]) @ block.rotary(key[:, part]).T / math.sqrt(4)
        scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(1) @ value[:, part])
    middle = x[0] + block.project(torch.cat(heads, 1))
    written_out = middle + block.narrow(F.gelu(block.widen(block.mlp_norm(middle))))
    assert torch.allclose(block(x)[0], written_out, atol=1e-6)


def test_the_tied_loss_and_its_gradients_are_those_of_cross_entropy():
    model = GPT2RoPE(Shape(2, 2, 16, 30), 9, seed=0).double()
    rows = torch.randint(0, 30, (5, 9))
    model.loss(rows).backward()
    ours = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    expected = F.cross_entropy(model(rows[:, :-1]).reshape(-1, 30), rows[:, 1:].reshape(-1), reduction="sum")
    expected.backward()
    assert model.loss(rows).item() == pytest.approx(expected.item(), rel=1e-12)
    for one, parameter in zip(ours, model.parameters(), strict=True):
        assert torch.allclose(one, parameter.grad, rtol=1e-9, atol=1e-12)


def test_the_seed_alone_draws_the_weights():
    one, same, other = (GPT2RoPE(Shape(1, 1, 8, 9), 4, seed=seed).embedding.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
