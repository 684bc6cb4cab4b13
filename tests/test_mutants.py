"""Some random damages to every format that is read: nothing else comes out without a word, nothing ends a process, and
nothing is a traceback (tests/bench/mutants.py)."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import damage
import pytest
from mutated_inputs import MADE, MARK, judged, text_of, url_of
from mutation import WRONG

BENCH = Path(__file__).parent / "bench" / "mutants.py"
FIRST = 7_000_000
"""The number of the first mutant: none that the bench tries in minutes."""
PARTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "inputs": (30, tuple(MADE)),
    "runs": (2, ("shards", "ledger", "stages", "states of a run", "profile", "index")),
    "probes": (2, ("facts", "tokens", "states of a probe")),
    "recipes": (12, ("recipes",)),
    "models": (10, ("fasttext", "vocabularies")),
    "transformers": (3, ("transformers",)),
}
NEEDS = {
    "inputs": ("pyarrow",), "probes": ("torch",), "models": ("fasttext",), "transformers": ("torch", "transformers"),
}  # fmt: skip


@pytest.mark.parametrize("part", list(PARTS))
def test_no_damage_is_silent_or_ends_a_process(part):
    for module in NEEDS.get(part, ()):
        pytest.importorskip(module)
    mutants, names = PARTS[part]
    command = [sys.executable, str(BENCH), "--mutants", str(mutants), "--from", str(FIRST), "--only", *names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    # Of few mutants of one format all may do no harm.
    assert sum(counts["alike"] for counts in found.values()) < sum(counts["mutants"] for counts in found.values())
    for name, counts in found.items():
        assert {kind: counts[kind] for kind in WRONG} == dict.fromkeys(WRONG, 0), (name, counts)
        assert counts["mutants"] == mutants, (name, counts)


def test_every_format_of_the_bench_is_tried_here():
    from mutants import formats

    assert sorted(formats()) == sorted(name for _, names in PARTS.values() for name in names)


def test_the_bench_sees_what_is_lost_in_silence():
    """One record less, and no loss; a text under the address of another; a loss that was said."""
    content, places = MADE["jsonl"](0)
    assert len(MARK.findall(content.decode())) == len(places)
    found = [(text_of(number), url_of(number)) for number in range(len(places))]
    assert judged("jsonl", places, [], [found, 0]) == []
    assert judged("jsonl", places, [], [found[1:], 0]) == ["silent"]
    assert judged("jsonl", places, [(1, 2)], [found[1:], 0]) == []
    assert judged("jsonl", places, [], [found[1:], 1]) == []
    assert judged("jsonl", places, [], [[(found[0][0], found[1][1]), *found[1:]], 0]) == ["misplaced"]


def test_a_seed_says_all_of_a_damage(tmp_path):
    for which in ("one", "other"):
        (tmp_path / which).mkdir()
        (tmp_path / which / "a.json").write_text(json.dumps({"a": [1, 2, {"b": which}], "c": 1.5}))
        (tmp_path / which / "b.json").write_text("[]")
    seen = set()
    for number in range(40):
        said = []
        for place in ("x", "y"):
            work = tmp_path / f"{number}{place}"
            work.mkdir()
            for path in (tmp_path / "one").iterdir():
                (work / path.name).write_bytes(path.read_bytes())
            done = damage.harm(work, tmp_path / "other", ["a.json", "b.json"], random.Random(number))
            said.append((done, {path.name: path.read_bytes() for path in work.iterdir()}))
        assert said[0] == said[1]
        seen.add(str(said[0]))
    assert len(seen) > 25
