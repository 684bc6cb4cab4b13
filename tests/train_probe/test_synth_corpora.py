"""The probe on what synth really writes: compact records and biographies."""

import numpy as np
import pytest

from synth.corpus import facts_corpus
from synth.inject import Inject
from train_probe.plan import plan_of
from train_probe.train import run_plan


@pytest.mark.parametrize("kind", ["compact", "people", "biod"])
def test_facts_of_synth_are_trained_on_and_scored(tmp_path, kind):
    inject = Inject(kind=kind, people=30, exposures=2)
    facts_corpus(tmp_path, inject)
    runs = [{"arm": "a", "exposures": 2}, {"arm": "b", "exposures": 1, "tag": "useful"}]
    plan = {
        "facts": str(tmp_path / "facts"),
        "useful": str(tmp_path / "tokens" / "facts"),
        "model": {"layers": 1, "heads": 1, "width": 8},
        "training": {"window": 128},
        "runs": runs,
        "processes": 1,
    }
    results = run_plan(plan_of(plan), tmp_path / "out")
    for result in results:
        assert "error" not in result
        assert result["people"] == 30
        # Untrained: worse than a guesser who knows the pools, far from anything stored.
        assert np.isfinite(result["value_bits"])
        assert (result["diversity_bits"] != 0) == (kind == "biod")
        assert result["value_bits"] < 0.2 * result["max_value_bits_per_parameter"] * result["parameters"]
