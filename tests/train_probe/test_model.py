"""The model against formulas, against its parts written out, against autograd's own cross-entropy, and against figures
of the GPT2-RoPE that it grew out of."""

import math

import pytest
import torch
import torch.nn.functional as F

from train_probe.architecture import Architecture, architecture, layout
from train_probe.model import Block, Rotary, Transformer, routed

NAMES = ("gpt2", "gpt2_quarter", "gpt2_no_mlp", "gpt2_gated", "llama", "llama_plain", "mistral", "moe")


def gpt2(layers, heads, width, vocabulary, context, seed=0, **changes):
    return Transformer(architecture("gpt2", layers, heads, width, **changes), vocabulary, context, seed)


def of_heads(head, share=0.25):
    return Rotary(Architecture(1, 1, head, 4, rotary_share=share), context=40)


@pytest.mark.parametrize(("layers", "heads", "width", "vocabulary"), [(1, 1, 4, 11), (2, 2, 32, 1640), (3, 4, 64, 50)])
def test_parameters_are_those_of_the_formula(layers, heads, width, vocabulary):
    l, d, v = layers, width, vocabulary  # noqa: E741
    counted = sum(parameter.numel() for parameter in gpt2(layers, heads, width, vocabulary, 8).parameters())
    assert counted == l * (12 * d * d + 13 * d) + 2 * d + v * d


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_layout(name):
    one = architecture(name, 2, 4, 32)
    model = Transformer(one, 50, 8, seed=0)
    assert [(name, tuple(weight.shape)) for name, weight in model.state_dict().items()] == layout(one, 50)


def test_weights_of_gpt2_are_normal_with_deviation_0_02_and_biases_zero():
    model = gpt2(2, 2, 64, 1000, 8, seed=3, initialisation="gpt2")
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(parameter.mean().item()) < 0.001
        else:
            assert bool((parameter == 1).all())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [16, 64])
def test_weights_by_width(name, width):
    """Matrices N(0, 1/fan-in), those of each expert too; zero where the residual stream is written to; the embedding
    alike at all widths; the last norm makes up for the width of a head that is the embedding."""
    one = architecture(name, 2, 4, width)
    model = Transformer(one, 1000, 8, seed=3)
    for name, parameter in model.named_parameters():
        if name.endswith(("project.weight", "narrow.weight", "bias")):
            assert not parameter.any()
        elif parameter.ndim == 1:
            wanted = (16 / width) ** 0.5 if one.tied and name == "norm.weight" else 1.0
            assert parameter.detach().tolist() == pytest.approx([wanted] * width)
        else:
            wanted = 0.1 if name == "embedding.weight" else parameter.shape[-1] ** -0.5
            assert parameter.std().item() == pytest.approx(wanted, rel=0.2 if parameter.numel() < 2000 else 0.08)


def test_changes_of_what_is_drawn_change_nothing_else():
    usual, other = gpt2(2, 2, 64, 1000, 8), gpt2(2, 2, 64, 1000, 8, embedding_deviation=0.3, residual_outputs=0.5)
    for (name, one), (_, two) in zip(usual.named_parameters(), other.named_parameters(), strict=True):
        if name == "embedding.weight":
            assert torch.allclose(3 * one, two)
        elif name.endswith(("project.weight", "narrow.weight")):
            assert two.std().item() == pytest.approx(0.5 * two.shape[1] ** -0.5, rel=0.05)
        else:
            assert torch.equal(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_later_tokens_do_not_change_earlier_logits(name):
    model = Transformer(architecture(name, 2, 2, 16), 30, 12, seed=0).eval()
    rows = torch.randint(0, 30, (3, 12))
    changed = rows.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % 30
    before, after = model(rows), model(changed)
    # An expert's batch is as long as its tokens are many, which may change the order of sums.
    assert torch.allclose(before[:, :7], after[:, :7], rtol=0, atol=1e-7 if name == "moe" else 0)
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_rotary_makes_scores_depend_on_distance_alone():
    rotary = of_heads(16)
    query, key = torch.randn(16), torch.randn(16)
    turned_query, turned_key = rotary(query.expand(40, 16)), rotary(key.expand(40, 16))
    scores = turned_query @ turned_key.T
    for distance in (0, 1, 5):
        along = scores.diagonal(-distance)
        assert torch.allclose(along, along[0].expand_as(along), atol=1e-4)
    assert not torch.allclose(scores[0, 0], scores[9, 0], atol=1e-3)


@pytest.mark.parametrize(("head", "turned"), [(4, 2), (8, 2), (16, 4), (64, 16)])
def test_rotary_turns_a_quarter_of_the_head_by_the_published_angles(head, turned):
    rotary = of_heads(head)
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
    one = architecture("gpt2", 1, 2, 8)
    block = Block(one, Rotary(one, 6))
    x = torch.randn(1, 6, 8)
    query, key, value = block.qkv(block.attention_norm(x))[0].split(8, 1)
    heads = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        scores = block.rotary(query[:, part]) @ block.rotary(key[:, part]).T / math.sqrt(4)
        scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(1) @ value[:, part])
    middle = x[0] + block.project(torch.cat(heads, 1))
    written_out = middle + block.mlp.narrow(F.gelu(block.mlp.widen(block.mlp_norm(middle))))
    assert torch.allclose(block(x)[0], written_out, atol=1e-6)


def test_the_loss_is_the_sum_over_every_token_but_the_first_of_each_row():
    model = gpt2(1, 1, 8, 30, 9).double()
    rows = torch.randint(0, 30, (5, 9), generator=torch.Generator().manual_seed(0))
    probability = model(rows).softmax(2)
    wanted = (probability[i, j, rows[i, j + 1]] for i in range(5) for j in range(8))
    assert model.loss(rows).item() == pytest.approx(-sum(math.log(one.item()) for one in wanted), rel=1e-12)


def test_the_seed_alone_draws_the_weights():
    one, same, other = (gpt2(1, 1, 8, 9, 4, seed).embedding.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_gpt2_draws_and_learns_as_the_model_before_it():
    """Figures of the GPT2-RoPE that was the only model once, its seed 3: the first and last weight of each matrix, and
    the loss over 20 steps of AdamW. On one machine they are the same bit for bit."""
    model = gpt2(2, 2, 32, 50, 12, seed=3, initialisation="gpt2")
    drawn = {
        "embedding.weight": (-0.0015328858280554414, 0.009193860925734043),
        "blocks.0.qkv.weight": (0.021793674677610397, -0.017835138365626335),
        "blocks.0.project.weight": (-0.006377765908837318, -0.01037100050598383),
        "blocks.0.mlp.widen.weight": (0.019388001412153244, -0.018564680591225624),
        "blocks.0.mlp.narrow.weight": (0.02071566693484783, 0.025840388610959053),
        "blocks.1.qkv.weight": (-0.0012432003859430552, -0.027569852769374847),
        "blocks.1.project.weight": (0.005314083769917488, -0.005644719582051039),
        "blocks.1.mlp.widen.weight": (0.04847310483455658, -0.010889999568462372),
        "blocks.1.mlp.narrow.weight": (0.004743997938930988, 0.03176583722233772),
    }
    parameters = dict(model.named_parameters())
    assert {name for name, weight in parameters.items() if weight.ndim > 1} == set(drawn)
    for name, ends in drawn.items():
        weight = parameters[name].flatten()
        assert (weight[0].item(), weight[-1].item()) == pytest.approx(ends, rel=1e-5)
    rows = torch.randint(0, 50, (4, 9), generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)
    losses = []
    for _ in range(20):
        loss = model.loss(rows) / 32
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert (losses[0], losses[-1]) == pytest.approx((3.9195139408111572, 2.0166332721710205), rel=1e-5)
    logits = model(rows)[0, -1, :3].tolist()
    assert logits == pytest.approx([-0.3040581941604614, -0.36580026149749756, 0.49179235100746155], rel=1e-3)


def test_a_block_of_llama_with_grouped_queries_is_its_parts_written_out():
    one = architecture("mistral", 1, 4, 16, kv_heads=2)
    torch.manual_seed(0)
    block = Block(one, Rotary(one, 6)).double()
    x = torch.randn(1, 6, 16, dtype=torch.float64)

    def norm(x, weight):
        return x / (x.square().mean(1, keepdim=True) + 1e-5).sqrt() * weight

    query, key, value = (norm(x[0], block.attention_norm.weight) @ block.qkv.weight.T).split([16, 8, 8], 1)
    heads = []
    for head in range(4):
        own, shared = slice(4 * head, 4 * head + 4), slice(4 * (head // 2), 4 * (head // 2) + 4)
        scores = block.rotary(query[:, own]) @ block.rotary(key[:, shared]).T / math.sqrt(4)
        scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(1) @ value[:, shared])
    middle = x[0] + torch.cat(heads, 1) @ block.project.weight.T
    normed = norm(middle, block.mlp_norm.weight)
    gate, wide = normed @ block.mlp.gate.weight.T, normed @ block.mlp.widen.weight.T
    written_out = middle + (gate / (1 + (-gate).exp()) * wide) @ block.mlp.narrow.weight.T
    assert torch.allclose(block(x)[0], written_out, atol=1e-7)  # the rotary tables are float32


def test_an_untied_head_is_a_table_of_its_own():
    model = Transformer(architecture("llama", 1, 2, 8), 9, 4, seed=0)
    rows = torch.randint(0, 9, (2, 4))
    assert torch.equal(model(rows), model.hidden(rows) @ model.head.weight.T)
    assert not torch.equal(model.head.weight, model.embedding.weight)


def test_the_router_follows_switch_for_one_expert_and_mixtral_for_more():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]])
    exact = logits.exp() / logits.exp().sum(1, keepdim=True)
    chosen, weight = routed(logits, 1)
    assert chosen.tolist() == [[1], [0]]
    assert torch.allclose(weight[:, 0], torch.stack([exact[0, 1], exact[1, 0]]))
    chosen, weight = routed(logits, 2)
    assert chosen.tolist() == [[1, 2], [0, 2]]
    assert weight[0].tolist() == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)])


def experts_of(**changes):
    """A block of 3 experts over d = 6 with weights far from zero, in float64."""
    one = architecture("moe", 1, 1, 6, **({"experts": 3, "capacity_factor": 1.0} | changes))
    torch.manual_seed(0)
    block = Block(one, Rotary(one, 4)).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    return block


def written_out(block, x, places):
    """Token by token: its experts in the order of their probability, each as long as it has places left."""
    one, mlp = block.architecture, block.mlp
    left = [places] * one.experts
    rows, kept = [], 0
    for token in x:
        row = torch.zeros_like(token)
        chosen, weight = routed((block.router.weight @ token)[None], one.top_k)
        for expert, share in zip(chosen[0].tolist(), weight[0], strict=True):
            if left[expert]:
                left[expert] -= 1
                kept += 1
                wide = mlp.widen.weight[expert] @ token + mlp.widen.bias[expert]
                if one.gated:
                    wide = F.gelu(mlp.gate.weight[expert] @ token + mlp.gate.bias[expert]) * wide
                else:
                    wide = F.gelu(wide)
                row = row + share * (mlp.narrow.weight[expert] @ wide + mlp.narrow.bias[expert])
        rows.append(row)
    return torch.stack(rows), kept


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(
    ("top_k", "factor", "places"), [(1, 0.75, 3), (1, 0.5, 2), (2, 0.9, 6), (2, 0.25, 2), (3, 3.0, 10)]
)
def test_experts_take_tokens_in_order_up_to_their_capacity(gated, top_k, factor, places):
    block = experts_of(top_k=top_k, capacity_factor=factor, gated=gated)
    x = torch.randn(10, 6, dtype=torch.float64, requires_grad=True)
    expected, kept = written_out(block, x, places)
    assert (kept < 10 * top_k) == (factor < 3)
    assert torch.allclose(block._experts(x), expected)
    parameters = [parameter for name, parameter in block.named_parameters() if name.startswith(("router", "mlp."))]
    seed = torch.randn(10, 6, dtype=torch.float64)
    ours = torch.autograd.grad(block._experts(x), [x, *parameters], seed)
    for one, other in zip(ours, torch.autograd.grad(expected, [x, *parameters], seed, allow_unused=True), strict=True):
        assert torch.allclose(one, torch.zeros_like(one) if other is None else other)
    assert bool(ours[1].any())  # the router learns


def test_out_of_training_no_token_is_turned_away():
    block = experts_of(capacity_factor=0.1).eval()
    x = torch.randn(10, 6, dtype=torch.float64)
    assert torch.allclose(block._experts(x), written_out(block, x, 10)[0])
    assert torch.allclose(block._experts(x)[3:4], block._experts(x[3:4]))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(name):
    changes = {"residual_outputs": 1.0} | ({"experts": 4} if name == "moe" else {})
    model = Transformer(architecture(name, 2, 4, 32, **changes), 40, 16, seed=1)
    model.loss(torch.randint(0, 40, (8, 16), generator=torch.Generator().manual_seed(0))).backward()
    for name, parameter in model.named_parameters():
        assert bool(parameter.grad.any()), name
