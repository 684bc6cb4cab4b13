"""What counts as a document's time, and what becomes of one that takes too long."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from engine_steps import corpus_run
from hostile_steps import Burn, Peril, Slow, lines_of

from curate.run.engine import Progress
from curate.run.group import UnitGroup
from curate.run.unit import CUTTING, READING, Unit
from curate.run.worker import Worker, bounds
from curate.shards.text import read_text_shard


def write(folder: Path, **files: list[str]) -> Path:
    folder.mkdir()
    for name, texts in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder


def texts_of(out: Path) -> list[str]:
    return [row["text"] for path in sorted((out / "text").iterdir()) for row in read_text_shard(path)]


SPIN = """\
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""


@contextlib.contextmanager
def crowded(core: int, others: int) -> Iterator[None]:
    """Processes that take all they get of a core."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN, str(core)]) for _ in range(others)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system counts no waiting for a core")
def test_a_document_is_not_blamed_for_time_in_which_its_worker_waited_for_a_core(tmp_path):
    write(tmp_path / "in", a=["one"])
    core = min(os.sched_getaffinity(0))
    with crowded(core, others=6):
        run = corpus_run(tmp_path / "in", tmp_path / "out", [Burn(core, 0.6)], document_timeout=0.8)
        summary = run.execute()
    # A seventh of a core gives 0.6 s in 4.2 s.
    assert summary["seconds"] > 2 and texts_of(tmp_path / "out") == ["one"]
    assert not (tmp_path / "out" / "kills.jsonl").exists()


def test_a_document_is_not_blamed_for_time_in_which_the_machine_stood_still(tmp_path):
    """A lid that is closed twice while it is in hand: neither worker nor parent goes on for longer than any limit."""
    write(tmp_path / "in", a=["before", "WAIT !", "after"])
    diary = tmp_path / "diary"
    paused: list[int] = []

    def pause(progress: Progress) -> None:
        if len(paused) == 2:
            (tmp_path / "go").touch()
        elif diary.exists() and (lines := diary.read_text().splitlines()):
            paused.append(int(lines[0].split()[1]))
            os.kill(paused[-1], signal.SIGSTOP)
            time.sleep(1.5)
            os.kill(paused[-1], signal.SIGCONT)

    run = corpus_run(tmp_path / "in", tmp_path / "out", [Peril(str(diary))], document_timeout=0.3, on_progress=pause)
    run.execute()
    assert len(paused) == 2 and len(diary.read_text().splitlines()) == 1
    assert texts_of(tmp_path / "out") == ["before", "WAIT !", "after"]


class Suspends(threading.Thread):
    """Stops the worker that notes its number in the diary, `times` times and longer than any limit; then it may go."""

    def __init__(self, diary: Path, seconds: float, times: int) -> None:
        super().__init__(daemon=True)
        self.diary, self.seconds, self.times = diary, seconds, times

    def run(self) -> None:
        ((_, process),) = lines_of(self.diary, 1)
        for _ in range(self.times):
            os.kill(int(process), signal.SIGSTOP)
            time.sleep(self.seconds)
            os.kill(int(process), signal.SIGCONT)
            time.sleep(0.3)
        self.diary.with_name("go").touch()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say that a process is stopped")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_document_is_not_blamed_for_time_in_which_its_worker_was_stopped(tmp_path, workers):
    """By somebody, twice, while the rest of the machine goes on: the bound by the clock is 1.2 s."""
    write(tmp_path / "in", a=["before", "WAIT !", "after"], b=["neighbour"])
    diary = tmp_path / "diary"
    Suspends(diary, seconds=1.6, times=2).start()
    run = corpus_run(
        tmp_path / "in", tmp_path / "out", [Peril(str(diary))], document_timeout=0.3, workers=workers, memory=600
    )
    run.execute()
    assert len(diary.read_text().splitlines()) == 1, "another worker had to begin it again"
    assert texts_of(tmp_path / "out") == ["before", "WAIT !", "after", "neighbour"]
    assert not (tmp_path / "out" / "kills.jsonl").exists()


@pytest.mark.parametrize("word, workers", [("SPIN", 1), ("DOZE", 2)])
def test_a_document_that_took_too_long_twice_is_tried_once_more_alone(tmp_path, word, workers):
    write(tmp_path / "in", a=[f"{word} 2", "after"], b=[f"neighbour {number}" for number in range(20)])
    diary = tmp_path / "diary"
    run = corpus_run(tmp_path / "in", tmp_path / "out", [Slow(str(diary))], document_timeout=0.3, workers=workers)
    assert run.execute()["documents"]["unreadable"] == 0
    assert texts_of(tmp_path / "out")[:2] == [f"{word} 2", "after"]
    assert not (tmp_path / "out" / "kills.jsonl").exists()
    said = diary.read_text().splitlines()
    (alone,) = [place for place, line in enumerate(said) if line == f"went {word} 2"]
    assert said.count(f"came {word} 2") == 3
    assert {line for line in said[:alone] if "neighbour" in line} == {line for line in said if "neighbour" in line}


@pytest.mark.parametrize("word, seconds", [("SPIN", "0.3"), ("DOZE", "1.2")])
def test_a_document_that_takes_too_long_when_it_is_alone_is_given_up(tmp_path, word, seconds):
    """One that sleeps has four times as long: it may wait for a lock or a disk, but not for ever."""
    write(tmp_path / "in", a=["before", f"{word} 9", "after"])
    run = corpus_run(tmp_path / "in", tmp_path / "out", [Slow(str(tmp_path / "diary"))], document_timeout=0.3)
    (lost,) = run.execute()["unreadable"]
    assert lost["error"] == f"took longer than {seconds} s"
    assert texts_of(tmp_path / "out") == ["before", "after"]
    assert (tmp_path / "diary").read_text().count(f"came {word} 9") == 3


def test_a_document_at_work_is_timed_by_its_core_and_one_asleep_by_the_clock():
    """Each pair: seconds with a core, and of the clock without those of waiting for one, which may run backwards where
    the parent was late and the worker waited at the same time."""
    for times, said in (
        ([(1, 9), (3, 8), (5, 7)], [None, None, 3.0]),
        ([(1, 9), (1, 15), (1, 22)], [None, None, 12.0]),
        ([(1, 9), (2, 9), (3, 20)], [None, None, None]),
    ):
        worker = object.__new__(Worker)
        worker.shared = SimpleNamespace(signs=SimpleNamespace(value=1), in_hand="crawl/a.jsonl@0")
        worker._signs, worker._times = 0, iter(times).__next__
        # The first look sees a sign of life, the second begins to count.
        assert worker.overdue(3.0) is None
        assert [worker.overdue(3.0) for _ in times] == said
    assert bounds(READING, 3.0) == (30.0, 30.0) and min(bounds(CUTTING, 3.0)) > 1e9


def test_a_unit_that_is_to_be_alone_waits_for_all_others():
    class Named(Unit):
        name = "a unit"

    group = UnitGroup("a group", [Named(Path())] * 3, None)
    assert group.next([]) is group.queue
    group.take(group.queue)
    group.last.append(0)
    assert group.next([0, None]) is group.queue
    group.take(group.queue)
    group.take(group.queue)
    assert group.next([1]) is None and group.next([]) is group.last
    group.take(group.last)
    group.queue.append(1)
    assert group.alone == 0 and group.next([0]) is None and group.next([]) is group.queue
