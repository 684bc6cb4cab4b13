"""kNN-LM in closed form: its limits in lambda, k and temperature, and an exact search by another route."""

import math

import numpy as np
import pytest
import torch

from train_probe.architecture import architecture
from train_probe.knn import Entries, Mixture, Mixtures, RetrievalError, log_share, mixed, nearest, parts, states
from train_probe.model import Transformer


def store(count, width=6, seed=0, vocabulary=9):
    torch.manual_seed(seed)
    return Entries(torch.randn(count, width), torch.randint(0, vocabulary, (count,)), torch.arange(count) % 4)


def halves(one):
    return [Entries(*(column[:70] for column in one)), Entries(*(column[70:] for column in one))]


@pytest.fixture(scope="module")
def model():
    return Transformer(architecture("gpt2", 2, 2, 16, initialisation="gpt2"), 32, 64, seed=3).eval()


def test_search_is_exact_in_parts_too_with_ties_to_the_first_entry():
    one = store(200)
    one = one._replace(keys=torch.cat([one.keys[:100], one.keys[:100]]))  # every key twice
    queries = torch.randn(13, 6)
    distances = (queries[:, None].double() - one.keys.double()).square().sum(2)
    order = distances.argsort(dim=1, stable=True)
    for k in (1, 7, 200, 500):
        for given in ([one], halves(one)):
            found = nearest(queries, given, k)
            assert torch.equal(found.distances, distances.gather(1, order)[:, :k])
            assert torch.equal(found.tokens, one.tokens[order][:, :k])


def test_far_from_the_origin_the_rough_distances_do_not_decide():
    one = store(300)
    keys = one.keys * 1e-3 + 100  # float32 products are off by more than these distances
    queries = keys[:20] + 1e-4 * torch.randn(20, 6)
    distances = (queries[:, None].double() - keys.double()).square().sum(2)
    found = nearest(queries, [one._replace(keys=keys)], 5)
    assert torch.equal(found.distances, distances.sort(1).values[:, :5])


def test_entries_of_ones_own_are_left_out():
    one = store(40)
    found = nearest(one.keys, [one], 40, asking=one.owner)
    assert found.distances[:, 0].min() > 0  # without it each state finds itself
    assert found.distances[:, :30].isfinite().all() and found.distances[:, 30:].isinf().all()


def test_lambda_0_is_the_model_and_1_the_neighbours():
    model, near = torch.randn(9).double(), torch.randn(9).double()
    assert torch.equal(mixed(model, near, 0), model) and torch.equal(mixed(model, near, 1), near)
    assert mixed(model, torch.full((9,), -math.inf).double(), 0.25) == pytest.approx(model + math.log(0.75))


def test_the_nearest_alone_is_copied_with_k_1_and_with_all_at_no_temperature():
    one, queries = store(50), torch.randn(8, 6)
    closest = torch.cdist(queries.double(), one.keys.double()).argmin(1)
    for found, temperature in ((nearest(queries, [one], 1), 1.0), (nearest(queries, [one], 50), 1e-12)):
        for token in range(9):
            said = log_share(found, torch.full((8,), token), temperature).exp()
            assert torch.equal(said, (one.tokens[closest] == token).double())


def test_all_at_an_infinite_temperature_are_the_unigram_of_the_store():
    one = store(50)
    found = nearest(torch.randn(8, 6), [one], 50)
    for token in range(9):
        said = log_share(found, torch.full((8,), token), math.inf).exp()
        assert said.numpy() == pytest.approx(np.full(8, (one.tokens == token).double().mean().item()))


def test_shares_add_up_to_one_and_fewer_entries_than_k_do_no_harm():
    found = nearest(torch.randn(8, 6), [store(5)], 20)
    total = sum(log_share(found, torch.full((8,), token), 2.0).exp() for token in range(9))
    assert total.numpy() == pytest.approx(np.ones(8))
    left_out = nearest(torch.randn(8, 6), [store(5)], 20, asking=torch.zeros(8, dtype=torch.int64))
    total = sum(log_share(left_out, torch.full((8,), token), 2.0).exp() for token in range(9))
    assert total.numpy() == pytest.approx(np.ones(8))


def test_a_perfect_memoriser_gains_nothing():
    targets = torch.arange(8)
    found = nearest(torch.randn(8, 6), [store(60)], 20)
    nats = Mixtures(ks=(20,), temperatures=(1.0,), shares=(0.0, 0.5)).nats(torch.zeros(8).double(), found, targets)
    assert nats[Mixture(20, 1.0, 0.0)].tolist() == [0.0] * 8
    assert (nats[Mixture(20, 1.0, 0.5)] >= 0).all()


def test_a_store_finds_its_own_text_at_distance_0(model):
    rows = [torch.randint(0, 32, (length,)) for length in (9, 12, 12)]
    entries = Entries(*(torch.cat(column) for column in zip(*parts(model, rows, [0, 1, 2]), strict=True)))
    assert len(entries.tokens) == 8 + 11 + 11
    keys, _ = states(model, rows[1][None, :-1])
    found = nearest(keys[0], parts(model, rows, [0, 1, 2]), 1)
    assert found.distances.max() < 1e-9 and torch.equal(found.tokens[:, 0], rows[1][1:])


def test_keys_are_the_input_of_the_last_mlp_or_the_final_state(model):
    rows = torch.randint(0, 32, (2, 7))
    last = model.blocks[-1]
    before = model.blocks[0](model.embedding(rows))
    before = before + last.project(last._attention(last.attention_norm(before)))
    assert torch.allclose(states(model, rows)[0], last.mlp_norm(before))
    final, logits = states(model, rows, "final")
    assert torch.allclose(final, model.hidden(rows)) and torch.equal(logits, model(rows))
    assert not model.norm._forward_hooks and not last.mlp_norm._forward_hooks


def test_keys_of_experts_and_of_models_without_an_mlp():
    rows = torch.randint(0, 32, (2, 7))
    experts = Transformer(architecture("moe", 2, 2, 16), 32, 64, seed=3).eval()
    assert states(experts, rows)[0].shape == (2, 7, 16)
    none = Transformer(architecture("gpt2_no_mlp", 2, 2, 16), 32, 64, seed=3).eval()
    with pytest.raises(RetrievalError, match="keys: final"):
        states(none, rows)
    assert states(none, rows, "final")[0].shape == (2, 7, 16)


def test_keys_of_a_class_of_transformers_are_those_of_the_model_it_was_written_from(model, tmp_path):
    pytest.importorskip("transformers")
    from train_probe.export import export, load_hf

    export(model, tmp_path / "hf")
    theirs, rows = load_hf(tmp_path / "hf"), torch.randint(0, 32, (2, 7))
    for keys in ("mlp", "final"):
        assert torch.allclose(states(theirs, rows, keys)[0], states(model, rows, keys)[0], atol=1e-5)


def test_what_does_not_fit_is_refused_before_anything_is_searched():
    def never():
        raise AssertionError("the store was read")
        yield

    with pytest.raises(RetrievalError, match=r"the 1024 nearest of 100,000 states take 1.5 GiB, and 1.0 GiB are free"):
        nearest(torch.zeros(100_000, 4), never(), 1024, free=1 << 30)
    with pytest.raises(RetrievalError, match="holds no text"):
        nearest(torch.zeros(3, 4), [], 4)
    with pytest.raises(RetrievalError, match="at least 1"):
        nearest(torch.zeros(3, 4), [store(5, 4)], 0)
