"""The entropy of learnable junk is exact, and what a model loses beyond it is what it lacks."""

from __future__ import annotations

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

from probe_world import World  # noqa: E402

from train_probe.data import Data  # noqa: E402
from train_probe.inputs import read_inputs  # noqa: E402
from train_probe.junk import Front, JunkChain  # noqa: E402
from train_probe.plan import PlanError, plan_of  # noqa: E402
from train_probe.train import run_plan  # noqa: E402

FRONT = Front(0, 1, 0.0, 0)


def test_the_entropy_is_that_of_the_windows_that_are_drawn():
    chain = JunkChain(torch.arange(2, 8), 5, 3, FRONT)  # 6 states, 16 successors each: most are drawn twice
    windows = chain.windows(0, 400_000)
    seen = torch.zeros(5, 8, 8, dtype=torch.float64)
    for column in range(1, 5):
        pair = windows[:, column - 1] * 8 + windows[:, column]
        seen[column] = torch.bincount(pair, minlength=64).view(8, 8)
    nats = 0.0
    for column in range(1, 5):
        joint = seen[column] / seen[column].sum()
        nats -= float(torch.xlogy(joint, joint / joint.sum(1, keepdim=True).clamp_min(1e-300)).sum())
    assert chain.entropy() == pytest.approx(nats / 4, abs=2e-3)


def test_without_a_successor_drawn_twice_it_is_that_of_zipf():
    share = torch.tensor([1 / rank for rank in range(1, 17)], dtype=torch.float64)
    share /= share.sum()
    zipf = float(-(share * share.log()).sum())
    assert zipf == pytest.approx(2.3589, abs=1e-4)  # 3.4032 bits
    chain = JunkChain(torch.arange(50_000), 3, 0, FRONT)
    assert chain.entropy() == pytest.approx((math.log(50_000) + zipf) / 2, abs=1e-3)


def test_fewer_successors_leave_less_to_be_known():
    share = torch.tensor([1, 1 / 2, 1 / 3, 1 / 4], dtype=torch.float64) / (25 / 12)
    zipf = float(-(share * share.log()).sum())
    chain = JunkChain(torch.arange(50_000), 3, 0, FRONT, successors=4)
    assert chain.entropy() == pytest.approx((math.log(50_000) + zipf) / 2, abs=1e-3)
    assert all(int(b) in chain._next[int(a)].tolist() for a, b in chain.windows(0, 50)[:, 1:])


def test_windows_that_are_held_out_are_of_the_same_chain_and_of_no_training():
    chain = JunkChain(torch.arange(2, 50), 9, 1, FRONT)
    held = chain.held_out(3)
    assert held.shape == (3, 9) and not torch.equal(held, chain.windows(0, 3))
    assert all(
        int(b) in chain._next[int(a) - 2].add(2).tolist() for row in held for a, b in itertools.pairwise(row[1:])
    )


def test_a_run_reads_a_chain_alone_and_is_measured_on_it(tmp_path):
    world = World(tmp_path, people=6, exposures=4)
    runs = [
        {"arm": "chain", "exposures": 0, "tokens": tokens, "junk_kind": "learnable", "junk_ratio": 1.0}
        for tokens in (4_000, 120_000)
    ]
    runs.append({"arm": "facts", "exposures": 4, "junk_kind": "learnable", "junk_ratio": 0.5})
    runs.append({"arm": "none", "exposures": 4})
    model = {"layers": 1, "heads": 1, "width": 32}
    plan = plan_of(world.plan(runs, model=model, training={"batch": 16, "window": 32}))
    few, many, facts, none = run_plan(plan, tmp_path / "out")
    entropy = Data(plan, read_inputs(plan), torch.device("cpu")).chain(plan.runs[0]).entropy()
    assert few["learnable"]["entropy"] == many["learnable"]["entropy"] == entropy
    assert few["tokens"] == pytest.approx(4_000, rel=0.1) and few["value_bits"] == 0
    lacks = [one["learnable"]["nats_per_token"] - one["learnable"]["entropy"] for one in (few, many)]
    assert lacks[0] > lacks[1] > 0 and lacks[1] < 0.7 * lacks[0]
    assert facts["learnable"]["nats_per_token"] > facts["learnable"]["entropy"] and none["learnable"] is None
    with pytest.raises(PlanError, match="reads `tokens` of pages, or of a chain"):
        plan_of(world.plan([runs[0] | {"tokens": 0}]))
