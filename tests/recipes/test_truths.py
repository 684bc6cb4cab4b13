"""Answers about corpora whose truth is known, trained for real: the smallest form of tests/bench/compare.py."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch")
BENCH = Path(__file__).parents[1] / "bench" / "compare.py"


@pytest.mark.usefixtures("trained_here")
def test_a_filter_that_drops_look_alikes_beats_its_coin_and_a_random_half_does_not(monkeypatch):
    spec = importlib.util.spec_from_file_location("compare_bench", BENCH)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    monkeypatch.setattr(bench, "TOKENS", 100_000)
    given = {"people": 40, "exposures": [8, 11, 15, 20, 27], "rate": 1.6e-2, "seeds": 4, "more": 0}
    found = bench.one_set(0, given, ("clean", "a random half"))
    assert found["clean"]["answer"] == "better" and found["a random half"]["answer"] in ("alike", "undecided")
