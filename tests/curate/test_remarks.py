"""What a run points out: a step that takes most of a source, a tighter threshold that found nothing."""

import json
from pathlib import Path

import pytest

from curate.dedup import ExactDedup
from curate.filters import GopherQuality
from curate.run.corpus import CorpusRun
from curate.run.remarks import set_tighter
from curate.run.serial import SerialEngine
from curate.shuffle import Shuffle
from curate.sources import Input, find_inputs

WORDS = "the boats of the harbour lay still and waited with that which they have to be for us"


@pytest.fixture
def inputs(tmp_path: Path) -> list[Input]:
    """Forty prose pages, and forty of a forum of which three of four are too short."""
    (tmp_path / "forum.jsonl").write_text(
        "".join(json.dumps({"text": f"{WORDS} {n} " * (1 if n % 4 else 9)}) + "\n" for n in range(40))
    )
    (tmp_path / "prose.jsonl").write_text(
        "".join(json.dumps({"text": f"{WORDS} {n} of it " * 8}) + "\n" for n in range(40))
    )
    (tmp_path / "few.jsonl").write_text(json.dumps({"text": "short"}) + "\n")
    return [Input(name, str(tmp_path / f"{name}.jsonl")) for name in ("forum", "prose", "few")]


def remarks(inputs: list[Input], out: Path, steps: list, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))
    return CorpusRun("test", steps, find_inputs(inputs), out).execute()["remarks"]


def test_a_step_that_takes_most_of_a_source_is_told_with_its_rule_and_the_other_sources(inputs, tmp_path, monkeypatch):
    found = remarks(inputs, tmp_path / "out", [GopherQuality(), ExactDedup()], monkeypatch)
    assert found == {
        "most": [
            {"step": "gopher_quality", "source": "forum", "documents": 40, "dropped": 30, "rule": "gopher_short_doc",
             "by_rule": 30, "others": 41, "others_dropped": 1}
        ],
        "idle": [],
    }  # fmt: skip


def test_nothing_found_is_told_of_a_tighter_threshold_only(inputs, tmp_path, monkeypatch):
    lenient = GopherQuality(min_words=1, max_words=110_000, min_stop_words=0)
    found = remarks(inputs, tmp_path / "out", [ExactDedup(), lenient], monkeypatch)
    assert found == {"most": [], "idle": []}
    tighter = GopherQuality(min_words=1, max_words=50_000, min_stop_words=0)
    found = remarks(inputs, tmp_path / "tight", [ExactDedup(), tighter], monkeypatch)
    assert found["idle"] == [{"step": "gopher_quality", "documents": 81, "limits": ["max_words"]}]
    assert set_tighter(GopherQuality()) == [] == set_tighter(ExactDedup())


def test_behind_a_shuffle_nobody_knows_of_sources(inputs, tmp_path, monkeypatch):
    found = remarks(inputs, tmp_path / "out", [Shuffle(), GopherQuality()], monkeypatch)
    assert found == {"most": [], "idle": []}
