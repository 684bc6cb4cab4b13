"""A hundred random damages to a file of each format: no intact record is lost in silence (tests/bench/mutants.py)."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BENCH = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "mutants.py"))
WRONG = ("silent", "different", "misplaced", "tracebacks", "hangs")


@pytest.fixture(scope="module")
def reader() -> Iterator[Callable]:
    one = BENCH["Reader"]()
    yield one
    one.close()


@pytest.mark.parametrize("name", list(BENCH["FORMATS"]))
def test_no_damage_takes_a_neighbour_in_silence(name, tmp_path, reader):
    if "arrow" in name or "parquet" in name:
        pytest.importorskip("pyarrow")
    counts = BENCH["tried"](name, 100, 7, tmp_path, reader)
    assert {kind: counts[kind] for kind in WRONG} == dict.fromkeys(WRONG, 0), counts
    assert counts["with_losses"] > 30


def test_the_bench_sees_what_is_lost_in_silence():
    """One record less, and no loss; a text under the address of another; a loss that was said."""
    _, places = BENCH["FORMATS"]["jsonl"]()
    found = [(BENCH["text_of"](number), BENCH["url_of"](number)) for number in range(len(places))]
    judged = BENCH["judged"]
    assert judged("jsonl", places, [], [found, 0, ""]) == []
    assert judged("jsonl", places, [], [found[1:], 0, ""]) == ["silent"]
    assert judged("jsonl", places, [(1, 2)], [found[1:], 0, ""]) == []
    assert judged("jsonl", places, [], [found[1:], 1, ""]) == []
    assert judged("jsonl", places, [], [[(found[0][0], found[1][1]), *found[1:]], 0, ""]) == ["misplaced"]
