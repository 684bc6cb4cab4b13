"""Domains as a run renders them: in front of facts and pages, on a share of them, at the start only, without a loss."""

import numpy as np
import pytest
import torch
from probe_world import END_OF_TEXT, PAGE_TAG, TAG, World
from torch.nn import functional as F

from curate.shards.domain_rendering import token_set_metadata
from curate.shards.tokens import TokenShardWriter, save_metadata
from synth.corpus import facts_corpus, own_vocabulary
from synth.inject import Inject
from train_probe.architecture import architecture
from train_probe.data import Data
from train_probe.inputs import read_inputs
from train_probe.model import Transformer
from train_probe.plan import PlanError, plan_of
from train_probe.stack.models import Stack
from train_probe.stack.step import StackStep
from train_probe.train import run_plan

BARE = {"tag": "useful", "bare": 0.5, "tag_loss": False}
PAGES = {"junk_kind": "shards", "junk_shards": "raw", "junk_ratio": 0.75, "windows": "mixed", "tag": "useful"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """40 records of 5 tokens, 6 exposures; pages of a token of domain, 20 to 200 words, an end of text."""
    return World(tmp_path_factory.mktemp("world"), people=40, exposures=6, page_tokens=9000)


def tokens_of(world, exposures=5, **run):
    plan = plan_of(world.plan([{"arm": "a", "exposures": exposures} | PAGES | run]))
    one = Data(plan, read_inputs(plan), torch.device("cpu")).stream(plan.runs[0])
    found = []
    for step in range(one.steps):
        for block, lengths in one.chunk(step, step + 1):
            found += [row[:count] for row, count in zip(block[0].tolist(), lengths[0].tolist(), strict=True)]
    flat = np.array([token for row in found for token in row])
    assert len(flat) == one.tokens
    return flat, one


def test_every_fact_and_page_has_its_domain_or_none(world):
    worn, one = tokens_of(world)
    bare, other = tokens_of(world, bare=1.0)
    pages = (worn == PAGE_TAG).sum()
    assert (worn == TAG).sum() == 200 and pages > 5
    assert not np.isin(bare, [TAG, PAGE_TAG]).any()
    # Bare facts stand behind an end of text, pages lose what stood in front: nothing else is another.
    assert (bare == END_OF_TEXT).sum() == (worn == END_OF_TEXT).sum() + 200
    assert len(bare) == len(worn) - pages
    for kind in (
        lambda token: token >= world.first_name,
        lambda token: (token > PAGE_TAG) & (token < world.first_name),
    ):
        assert np.array_equal(worn[kind(worn)], bare[kind(bare)])
    assert one.junk_ratio == pytest.approx(other.junk_ratio, abs=0.01)


def test_a_front_of_several_tokens_stands_before_every_fact(world):
    plain, _ = tokens_of(world)
    found, one = tokens_of(world, front=[5, 6, 7])
    assert len(found) == len(plain) + 2 * 200 and one.useful_tokens == 200 * (5 + 3)
    names = np.flatnonzero((found >= world.first_name) & (found < world.first_name + world.parts[0]))
    assert len(names) == 200
    assert all(found[place - 3 : place].tolist() == [5, 6, 7] for place in names)


def test_a_share_goes_bare_throughout_and_a_cool_down_at_the_end(world):
    found, _ = tokens_of(world, bare=0.5)
    tags = (found == TAG).sum() + (found == PAGE_TAG).sum()
    texts = 200 + (tokens_of(world)[0] == PAGE_TAG).sum()
    assert 0.38 * texts < tags < 0.62 * texts  # 5 standard deviations
    cooled, _ = tokens_of(world, cool_down=0.25)
    places = np.flatnonzero(np.isin(cooled, [TAG, PAGE_TAG]))
    assert len(places) == round(0.75 * texts)
    assert 0.65 * len(cooled) < places.max() < 0.85 * len(cooled)


def test_silent_domains_are_the_same_tokens_marked(world):
    plain, _ = tokens_of(world, front=[5, 6, 7])
    silent, _ = tokens_of(world, front=[5, 6, 7], tag_loss=False)
    assert np.array_equal(np.where(silent < 0, ~silent, silent), plain)
    assert (silent < 0).sum() == 3 * 200 + (plain == PAGE_TAG).sum()
    assert set(np.unique(~silent[silent < 0])) == {5, 6, 7, PAGE_TAG}


def test_silent_tokens_are_read_and_take_no_loss():
    """Against the reference model and torch's cross-entropy with `ignore_index`, in float64, gradients too."""
    one = architecture("gpt2", 2, 2, 16)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 40, (2, 3, 9), generator=generator)
    lengths = torch.randint(4, 10, (2, 3), generator=generator)
    silent = torch.rand(2, 3, 9, generator=generator) < 0.3
    stack = Stack(one, 40, 2, 9, torch.float64)
    stack.silences = True
    for slot in range(2):
        stack.reset(slot, slot)
    marked = torch.where(silent, ~tokens, tokens)
    losses = stack.loss(marked, lengths)
    (gradient,) = torch.autograd.grad(losses.sum(), stack.master)
    predicted = StackStep(stack, None).predicted([(marked, lengths)])  # type: ignore[arg-type]
    for slot in range(2):
        model = Transformer(one, 40, 9, seed=slot).double()
        targets = torch.where(silent[slot], -100, tokens[slot])[:, 1:].clone()
        targets[torch.arange(1, 9) >= lengths[slot][:, None]] = -100
        logits = model(tokens[slot][:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, 40), targets.reshape(-1), ignore_index=-100, reduction="sum")
        loss.backward()
        assert float(losses[slot].detach()) == pytest.approx(float(loss.detach()), rel=1e-12)
        assert int(predicted[slot]) == int((targets >= 0).sum())
        whole = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        assert torch.allclose(gradient[slot, : len(whole)], whole, rtol=1e-10, atol=1e-12)


def test_runs_of_every_rendering_train_side_by_side(world, tmp_path):
    """Renderings differ, and one without loss on tags has figures of its own; the row is scored behind its front."""
    arms = [
        {}, {"bare": 1.0}, {"front": [5, 6, 7]}, {"front": [5, 6, 7], "tag_loss": False}, {"cool_down": 0.2},
        {"tag_at_test": False},
    ]  # fmt: skip
    runs = [{"arm": str(n), "exposures": 6} | PAGES | {"junk_ratio": 0.5} | arm for n, arm in enumerate(arms)]
    results = run_plan(plan_of(world.plan(runs)), tmp_path)
    assert not [row.get("error") for row in results if row.get("error")]
    assert len({row["value_nats"] for row in results}) == len(arms)
    assert len({row["run"] for row in results}) == len(arms)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bare": 1.5}, r"runs\[0\]\.bare: must be at least 0 and at most 1, not 1\.5"),
        ({"cool_down": -0.1}, r"runs\[0\]\.cool_down: must be at least 0 and at most 1, not -0\.1"),
        ({"front": [-3]}, r"runs\[0\]\.front\[0\]: must be at least 0, not -3"),
        ({"windows": "pure", "bare": 0.1}, r"ask for windows: mixed"),
    ],
)
def test_what_cannot_be_rendered_is_said(world, changes, said):
    with pytest.raises(PlanError, match=said):
        plan_of(world.plan([{"arm": "a", "exposures": 5} | PAGES | changes]))


def test_compact_records_of_two_lengths_are_refused(world):
    with pytest.raises(PlanError, match="must all have one length"):
        tokens_of(world, front=[5, 6, 7], bare=0.5)


def test_step_by_step_the_stream_is_what_it_is_at_once(tmp_path):
    """Pages far longer than a window, and biographies that nearly fill one."""
    inject = Inject(kind="people", people=3, exposures=3, seed=0)
    vocabulary = own_vocabulary(inject.placed(), 400)
    facts_corpus(tmp_path, inject, name=None, vocabulary=vocabulary)
    with TokenShardWriter(tmp_path / "pages", 0) as writer:
        for page in range(8):
            writer.add([*range(20 + page, 320 + page), vocabulary.end_of_text], source=0, prefix=0)
    metadata = token_set_metadata(tmp_path / "pages", "pages", vocabulary, "none", ["test"])
    save_metadata(tmp_path / "pages", metadata)
    run = {"arm": "a", "exposures": 3, "junk_kind": "shards", "junk_shards": "pages", "junk_ratio": 0.5}
    plan = plan_of(
        {
            "facts": str(tmp_path / "facts"), "useful": None, "junk_shards": {"pages": str(tmp_path / "pages")},
            "model": {"layers": 1, "heads": 1, "width": 8}, "training": {"batch": 1, "window": 200},
            "runs": [run | {"windows": "mixed"} | more for more in ({}, BARE)],
        }
    )  # fmt: skip
    for number in (0, 1):
        one = Data(plan, read_inputs(plan), torch.device("cpu")).stream(plan.runs[number])
        ((whole, lengths),) = one.chunk(0, one.steps)
        for step in range(one.steps):
            ((tokens, held),) = one.chunk(step, step + 1)
            assert torch.equal(tokens[0], whole[step]) and torch.equal(held[0], lengths[step])
