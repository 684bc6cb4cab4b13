"""The same worker in an actor of Ray, on one machine."""

import pytest
from probe_world import World

from train_probe.plan import plan_of
from train_probe.train import run_plan

ray = pytest.importorskip("ray", reason="Ray is an extra: pip install 'goldsand[ray]'")


@pytest.fixture
def local(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    yield
    ray.shutdown()


def test_one_local_actor_gives_the_figures_of_one_process(tmp_path, local):
    world = World(tmp_path / "world")
    runs = [{"arm": "a", "exposures": 3}, {"arm": "b", "exposures": 2, "seed": 1}, {"arm": "bad", "exposures": 7}]
    runs[2] = {"arm": "bad", "exposures": 3, "training": {"learning_rate": 1e35}}
    here = run_plan(plan_of(world.plan(runs)), tmp_path / "here")
    there = run_plan(plan_of(world.plan(runs)), tmp_path / "there", ray="local")
    for one in (*here, *there):
        one.pop("seconds")
    assert here == there
    assert there[2]["error"].startswith("Diverged")
