"""Workers that cannot start, or cannot be sent a unit, end a run soon, with the cause."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from curate.run.fit_for_workers import never_began

ROOT = Path(__file__).parents[2]
PROGRAM = """\
from dataclasses import dataclass
from pathlib import Path
from curate import Check, Rule, param
from curate.filters.gopher import GopherQuality
from curate.run.corpus import CorpusRun
from curate.sources import Input, find_inputs

@dataclass(frozen=True)
class Mine(Rule):
    name = "mine"
    by: object = param(None, "what it measures by")

    def checks(self, document):
        yield Check("none", 1, 2, False)

def run(step):
    partitions = find_inputs([Input("in", "in")])
    print(CorpusRun("own", [step], partitions, Path("out"), workers=8).execute()["documents"]["kept"])

"""
GUARDED = PROGRAM + "if __name__ == '__main__':\n    "
NO_FILE = "importing the program that started the run, and .*<stdin> is no file: write it to a file"
NO_NAME = "workers cannot import what a notebook, a prompt or a program without a file defines .*Mine.*file of its own"


def started(folder: Path, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "in").mkdir()
    for number in range(8):
        (folder / "in" / f"{number}.jsonl").write_text('{"text": "one"}\n')
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
    )


def deaths(done: subprocess.CompletedProcess[str]) -> int:
    """Workers that ended by an exception: each prints where it began."""
    return done.stderr.count(", in _fixup_main_from_path") + done.stderr.count("Process ForkServerProcess-")


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("step", ["GopherQuality()", "Mine()"])
def test_a_program_fed_by_standard_input_starts_no_worker(tmp_path, step):
    done = started(tmp_path, "-", typed=f"{PROGRAM}run({step})")
    assert re.search(NO_FILE, last_line(done))
    assert done.returncode == 1 and deaths(done) == 0


def test_a_program_on_the_command_line_needs_no_file(tmp_path):
    done = started(tmp_path, "-c", f"{PROGRAM}run(GopherQuality())")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


@pytest.mark.parametrize(
    "step, said",
    [
        ("Mine()", NO_NAME),
        ("Mine(lambda text: text)", r"a parameter of the step mine is no value .*function"),
        ("type('Inner', (Mine,), {})()", r"cannot be sent to a worker .*Inner.*file of its own"),
    ],
)
def test_a_rule_that_workers_cannot_name_is_refused_at_once(tmp_path, step, said):
    done = started(tmp_path, "-c", f"{PROGRAM}run({step})")
    assert re.search(said, last_line(done)), done.stderr
    assert re.search("RunError|Refused", last_line(done)) and deaths(done) == 0


def test_a_program_without_a_guard_is_named_after_three_deaths(tmp_path):
    (tmp_path / "program.py").write_text(f"{PROGRAM}run(GopherQuality())")
    done = started(tmp_path, "program.py")
    assert re.search(r"3 workers died before .*program\.py.*__main__", last_line(done)), done.stderr
    assert deaths(done) == 3


def test_a_rule_of_the_program_itself_runs_where_workers_can_import_it(tmp_path):
    (tmp_path / "program.py").write_text(f"{GUARDED}run(Mine())")
    done = started(tmp_path, "program.py")
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


def test_a_worker_that_is_ended_by_the_system_is_no_fault_of_the_program():
    assert "want of memory" in never_began(3, "killed its process (SIGKILL)")
