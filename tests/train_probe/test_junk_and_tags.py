"""What the probe is for: junk costs stored facts, and a domain token wins most of them back (2404.05405)."""

import pytest
from probe_world import JUNK_ARMS, tiny_scale

from train_probe.plan import plan_of
from train_probe.train import run_plan

RATES = (1e-3, 2e-3, 4e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [101, 102])
def test_junk_costs_facts_and_domain_tokens_win_them_back(tmp_path, seed, exposures=150):
    world = tiny_scale(tmp_path, seed, exposures=exposures)
    runs = [
        arm | {"exposures": exposures, "seed": seed, "training": {"learning_rate": rate}}
        for rate in RATES
        for arm in JUNK_ARMS[:3]
    ]
    model = {"layers": 2, "heads": 2, "width": 32, "initialisation": "gpt2"}  # the papers' own
    plan = world.plan(runs, model=model, training={"batch": 8}, processes=None)
    results = run_plan(plan_of(plan), tmp_path / "out")
    for rate in RATES:
        alone, junk, tagged = (
            result["value_bits_per_parameter"] for result in results if result["learning_rate"] == rate
        )
        assert alone > tagged > junk
        if rate == 2e-3:
            assert junk <= alone / 3
            assert tagged >= alone / 2
