"""A file that ends the process that reads it costs itself, and not the run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import curate.run.killed
from curate.audit.verify import verify
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.ledger import read_rows
from curate.shards.text import read_text_shard
from curate.sources import Input, find_inputs
from curate.step import Step

READER = """\
import os, signal
from curate.document import Document

def read(path):
    for number, line in enumerate(path.read_text().splitlines()):
        if line == "CRASH" and not path.with_name("mended").exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        if line == "DISK":
            os.kill(os.getpid(), signal.SIGBUS)
        if line == "GROW":
            taken = bytearray()
            while True:
                taken += bytes(50 << 20)
        if line == "RAISE":
            raise KeyError("of a library")
        yield Document(key=str(number), text=line)
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Callable[..., CorpusRun]:
    # Modules have names for all tests.
    reader = tmp_path / f"reader_{tmp_path.name}.py"
    reader.write_text(READER)
    (tmp_path / "in").mkdir()

    def run(word: str, steps: tuple[Step, ...] = ()) -> CorpusRun:
        (tmp_path / "in" / "a.txt").write_text("one of a\ntwo of a\n")
        (tmp_path / "in" / "b.txt").write_text(f"one of b\n{word}\ntwo of b\n")
        (tmp_path / "in" / "c.txt").write_text("one of c\n")
        source = Input("s", str(tmp_path / "in" / "*.txt"), format=f"{reader}:read")
        options = {"workers": 2, "memory": 300, "max_loss": 1.0}
        return CorpusRun("test", list(steps), find_inputs([source]), tmp_path / "out", **options)

    return run


def texts_of(out: Path) -> list[str]:
    return [row["text"] for path in sorted((out / "text").iterdir()) for row in read_text_shard(path)]


def test_a_file_that_kills_its_reader_three_times_is_one_loss_of_its_bytes(tmp_path, hostile, monkeypatch):
    summary = hostile("CRASH").execute()
    out = tmp_path / "out"
    assert texts_of(out) == ["one of a", "two of a", "one of c"]
    size = (tmp_path / "in" / "b.txt").stat().st_size
    assert (summary["documents"]["unreadable"], summary["characters"]["unreadable"]) == (1, size)
    (lost,) = [row for path in sorted((out / "quarantine").iterdir()) for row in read_rows(path)]
    assert lost["key"] == "s/b.txt@0/file" and lost["bytes"] == size
    assert lost["error"] == "reading it 3 times killed the process (SIGSEGV)"
    assert list(verify(out)) == []
    kills = (out / "kills.jsonl").read_text()
    assert json.loads(kills)["read_with"].startswith("goldsand ")

    # The same version does not try it again, another does.
    (tmp_path / "in" / "mended").touch()
    assert hostile("CRASH").execute()["documents"]["unreadable"] == 1
    assert (out / "kills.jsonl").read_text() == kills
    monkeypatch.setattr(curate.run.killed, "read_with", lambda partition: "goldsand 99")
    assert hostile("CRASH").execute()["documents"]["unreadable"] == 0
    assert len(texts_of(out)) == 6


def test_a_file_that_takes_too_much_memory_names_what_allows_more(tmp_path, hostile):
    (lost,) = hostile("GROW").execute()["unreadable"]
    assert lost["error"] == ("reading it 3 times needed more than 300 MB of memory; `engine.worker_memory` allows more")
    assert texts_of(tmp_path / "out") == ["one of a", "two of a", "one of c"]


def test_a_disk_that_gives_errors_ends_the_run_and_costs_no_file(tmp_path, hostile):
    """A mapped file that cannot be read on ends the process (SIGBUS): not by what it holds."""
    with pytest.raises(RunError, match=r"in/b\.txt was cut shorter while it was read, or its disk gives errors"):
        hostile("DISK").execute()
    assert not (tmp_path / "out" / "kills.jsonl").exists()
    hostile("mended").execute()
    assert len(texts_of(tmp_path / "out")) == 6


def test_an_exception_of_a_reader_costs_the_rest_of_its_file(tmp_path, hostile):
    (lost,) = hostile("RAISE").execute()["unreadable"]
    assert "KeyError" in lost["error"] and not (tmp_path / "out" / "kills.jsonl").exists()
    assert texts_of(tmp_path / "out") == ["one of a", "two of a", "one of b", "one of c"]


def test_a_file_that_cannot_be_cut_is_read_whole(tmp_path, monkeypatch):
    """What looks for cuts dies of the file: it is read in one piece, and the stage finds out what it is."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in").mkdir()
    parquet.write_table(pyarrow.table({"text": list("abcdef")}), tmp_path / "in" / "a.parquet", row_group_size=2)
    (partition,) = find_inputs([Input("s", str(tmp_path / "in"))])
    run = CorpusRun("test", [], [partition], tmp_path / "out", workers=1, split=100, max_loss=1.0)

    class Dies:
        def map(self, label, units, on_kill):
            assert on_kill(units[0], "reading", "reading it 3 times killed the process (SIGABRT)").split == 0
            raise StopIteration

    from curate.run.folder import OutputFolder

    with OutputFolder(run.out) as folder, pytest.raises(StopIteration):
        run._parts(folder, Dies())
    run.execute()
    assert texts_of(tmp_path / "out") == list("abcdef")
    assert len(list((tmp_path / "out" / "stages" / "00-read").glob("*.jsonl.zst"))) == 1
