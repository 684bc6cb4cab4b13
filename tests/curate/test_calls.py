"""The figures of a run that was killed and resumed are those of all its calls; the last call's stand beside them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_steps import corpus_run

from curate.document import Document
from curate.run.calls import Call, Calls
from curate.run.engine import Progress
from curate.run.summary import UNKNOWN_CALLS
from curate.step import Edit

ROOT = Path(__file__).parents[2]
FILES, PAUSE = 6, 0.7


@dataclass(frozen=True)
class Slow(Edit):
    """Takes its time for each document, and the first one holds memory for a while."""

    name = "slow"

    def edit(self, document: Document) -> str:
        held = bytearray(100 << 20) if document.text.endswith("0") else b""
        time.sleep(PAUSE)
        return document.text + (" " if not held else "")


def write_inputs(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.jsonl").write_text(json.dumps({"text": f"text {number}"}) + "\n")
    return folder


def test_a_run_that_was_killed_twice_has_the_figures_of_all_its_calls(tmp_path):
    inputs, out = write_inputs(tmp_path / "in"), tmp_path / "out"
    script = tmp_path / "killed.py"
    script.write_text(
        "from pathlib import Path; import test_calls as t; from engine_steps import corpus_run\n"
        "if __name__ == '__main__':\n"
        f" corpus_run(Path({str(inputs)!r}), Path({str(out)!r}), [t.Slow()], workers=1).execute()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(ROOT)])}
    for done in (2, 4):
        process = subprocess.Popen([sys.executable, str(script)], env=environment, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(list((out / "manifests" / "stages").rglob("*.json"))) < done:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    summary = corpus_run(inputs, out, [Slow()], workers=1).execute()
    last = summary["last_call"]
    assert summary["calls"] == 3 and last["documents"] < FILES
    # A kill costs the figures what the last second brought.
    assert summary["seconds"] > FILES * PAUSE - 2 and last["seconds"] < summary["seconds"] - 1
    assert summary["pages_per_second"] == pytest.approx(FILES / summary["seconds"], rel=0.01, abs=0.006)  # two digits
    assert summary["worker_memory_mb"] > 90 > last["worker_memory_mb"]
    again = corpus_run(inputs, out, [Slow()], workers=1).execute()
    assert (again["seconds"], again["calls"]) == (summary["seconds"], 3)
    assert again["last_call"]["documents"] == 0 and again["last_call"]["seconds"] < 2


def test_what_earlier_calls_cost_is_said_to_be_unknown_where_it_is(tmp_path):
    inputs, out = write_inputs(tmp_path / "in"), tmp_path / "out"
    for _ in range(2):
        assert UNKNOWN_CALLS not in corpus_run(inputs, out, []).execute()["notices"]
    (out / "status.json").write_text("{")
    summary = corpus_run(inputs, out, []).execute()
    assert UNKNOWN_CALLS in summary["notices"] and summary["calls"] == 1


def test_a_call_that_makes_nothing_is_not_one_of_the_corpus():
    first = Calls()
    first.end(workers=2, memory=5, made=3)
    second = Calls(earlier=[Call(4.0, 9, 3)])
    second.note(Progress("a", 1, memory=70), made=0)
    assert len(second.rows(ended=False)) == 2 and second.rows(ended=True) == [{"seconds": 4.0, "memory": 9, "made": 3}]
    assert (len(first.counted), second.memory, second.seconds) == (1, 9, 4.0)
