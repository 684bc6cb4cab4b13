"""Whatever a document does to its process, it costs that document alone; and a run can be interrupted at any time."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_steps import PUBLISHED, Trim, corpus_run, tree, write_corpus
from hostile_steps import PERILS, Mark, Peril, PerilousCorpus, lines_of

from curate.audit.verify import verify
from curate.dedup import ExactDedup
from curate.places.store import TEMPORARY
from curate.run.corpus import CorpusRun
from curate.run.engine import Progress, RunError, TaskError
from curate.run.folder import Kill, OutputFolder
from curate.run.ledger import read_rows
from curate.run.serial import SerialEngine
from curate.shards.text import read_text_shard

ROOT = Path(__file__).parents[2]
TOO_MUCH = "needed more than 300 MB of memory"
ENDS = {
    "HANG": "took longer than 2.4 s",
    "SPIN": "took longer than 0.6 s",
    "GROW": TOO_MUCH,
    "ARRAYS": TOO_MUCH,
    "TERABYTE": TOO_MUCH,
    "REFUSE": TOO_MUCH,
    "CRASH": "killed its process (SIGSEGV)",
    "RECURSE": "killed its process (SIGSEGV)",
    "EXIT": "ended its process (exit 7)",
    "LEAVE": "ended its process (exit 3)",
}


def write_perils(folder: Path, words: list[str]) -> Path:
    """Two files in which each peril stands between two neighbours; the first file begins with one, both end in one."""
    folder.mkdir(parents=True)
    for number, chosen in enumerate((words[::2], words[1::2])):
        texts = [f"neighbour {number} {place}" for place in range(len(chosen) + 1 - number)]
        mixed = [text for pair in zip([f"{word} !" for word in chosen], texts, strict=False) for text in pair]
        mixed += [f"{chosen[-1]} again"]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in mixed))
    return folder


def texts_of(out: Path) -> list[str]:
    return [row["text"] for path in sorted((out / "text").iterdir()) for row in read_text_shard(path)]


def kills_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "kills.jsonl").read_text().splitlines()]


def hostile(inputs: Path, out: Path, steps: list, **options) -> CorpusRun:
    return corpus_run(inputs, out, steps, **{"document_timeout": 0.6, "memory": 300, **options})


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, dict]:
    root = tmp_path_factory.mktemp("survived")
    inputs = write_perils(root / "in", list(ENDS))
    summary = hostile(inputs, root / "out", [Peril(str(root / "diary")), Mark()]).execute()
    return inputs, root / "out", root / "diary", summary


def test_every_way_to_end_a_process_is_tried():
    assert ENDS.keys() == PERILS.keys() - {"RAISE"}


def test_a_document_that_ends_its_process_costs_itself_alone(survived):
    inputs, out, _, summary = survived
    given = [json.loads(line)["text"] for path in sorted(inputs.iterdir()) for line in path.open()]
    perils = [text for text in given if text.split()[0] in ENDS]
    assert texts_of(out) == [f"+{text}" for text in given if text not in perils]
    account = summary["documents"]
    assert (account["input"], account["unreadable"], account["dropped"]) == (len(given), len(perils), 0)
    assert list(verify(out)) == []


def test_what_ended_a_process_is_kept_aside_with_its_text_and_its_error(survived):
    inputs, out, _, _ = survived
    rows = [row for path in sorted((out / "quarantine").rglob("*.zst")) for row in read_rows(path)]
    assert len(rows) == len(ENDS) + 2
    for row in rows:
        name, offset = row["key"].removeprefix("crawl/").split("@")
        text = json.loads((inputs / name).read_bytes()[int(offset) :].splitlines()[0])["text"]
        assert row["error"] == ENDS[text.split()[0]]
        assert base64.b64decode(row["raw_base64"]).decode() == text
    assert {(kill["key"], kill["reason"]) for kill in kills_of(out)} == {(row["key"], row["error"]) for row in rows}


def test_no_later_run_meets_a_document_that_ended_a_process(survived):
    inputs, out, diary, summary = survived
    met = diary.read_text()
    # Once may be no fault of its own.
    perils = [*ENDS, *(json.loads(path.read_text().splitlines()[-1])["text"].split()[0] for path in inputs.iterdir())]
    assert met_twice(met, perils)
    again = hostile(inputs, out, [Peril(str(diary)), Mark()], document_timeout=60.0).execute()
    assert again["units"]["done"] == 0 and again["documents"] == summary["documents"]
    changed = hostile(inputs, out, [Peril(str(diary)), Mark("-")], document_timeout=60.0).execute()
    assert changed["units"]["done"] > 0 and changed["documents"] == summary["documents"]
    assert all(text.startswith("-neighbour") for text in texts_of(out)) and list(verify(out)) == []
    assert diary.read_text() == met


def met_twice(diary: str, perils: list[str]) -> bool:
    """Whether each of these documents, and no other, was met twice at least before it was set aside."""
    met, least = Counter(line.split()[0] for line in diary.splitlines()), Counter(perils * 2)
    return met.keys() == least.keys() and met >= least


@pytest.mark.parametrize("at", ["emit", "decide"])
def test_a_document_may_hang_or_crash_in_a_round_and_when_a_step_decides(tmp_path, at):
    inputs = write_perils(tmp_path / "in", ["HANG", "CRASH"])
    steps = [Trim(), PerilousCorpus(at, str(tmp_path / "diary"))]
    summary = hostile(inputs, tmp_path / "out", steps, document_timeout=0.2).execute()
    assert sorted(texts_of(tmp_path / "out")) == ["neighbour 0 0", "neighbour 1 0"]
    assert summary["documents"]["unreadable"] == 4 and summary["documents"]["dropped"] == 0
    assert {kill["round"] for kill in kills_of(tmp_path / "out")} == {0 if at == "emit" else None}
    assert list(verify(tmp_path / "out")) == []
    met = (tmp_path / "diary").read_text()
    assert met_twice(met, ["CRASH", "HANG"] * 2)
    again = hostile(inputs, tmp_path / "out", steps).execute()
    assert again["units"]["done"] == 0 and (tmp_path / "diary").read_text() == met


def test_a_file_whose_name_is_no_text_loses_its_document_like_any_other(tmp_path):
    name = os.fsdecode(b"caf\xe9-" + "ß".encode() * 90 + b".jsonl")
    inputs = tmp_path / "in" / ("long" * 50) / ("long" * 50) / ("long" * 50) / ("long" * 50) / ("long" * 50)
    inputs.mkdir(parents=True)
    (inputs / name).write_text('{"text": "CRASH !"}\n{"text": "neighbour"}\n')
    summary = hostile(tmp_path / "in", tmp_path / "out", [Peril()]).execute()
    assert (summary["documents"]["kept"], summary["documents"]["unreadable"]) == (1, 1)
    assert list(verify(tmp_path / "out")) == []


def test_memory_that_no_document_takes_ends_the_run_with_the_unit_the_bound_and_the_remedy(tmp_path):
    inputs = write_corpus(tmp_path / "in", files=1)
    said = r"rounds/.*/reduce-0000\d: its worker needed more than 300 MB.*engine\.worker_memory"
    with pytest.raises(RunError, match=said):
        hostile(inputs, tmp_path / "out", [PerilousCorpus("reduce")], buckets=2).execute()
    assert not list((tmp_path / "out").rglob(f"*{TEMPORARY}"))


def test_a_fault_in_a_step_ends_the_run_and_names_the_document_in_hand(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "neighbour"}\n{"text": "RAISE !"}\n')
    with pytest.raises(TaskError, match=r"IndexError.*crawl/a\.jsonl@22"):
        hostile(tmp_path / "in", tmp_path / "out", [Peril()]).execute()


def meanwhile(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_that_somebody_else_kills_is_replaced_and_a_document_is_blamed_the_second_time(tmp_path, times):
    """The system kills one of several when memory is short: that one's document need not be the culprit."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "before"}\n{"text": "WAIT !"}\n{"text": "after"}\n')
    diary = tmp_path / "diary"

    def kill() -> None:
        for number in range(1, times + 1):
            (*_, (_, process)) = lines_of(diary, number)
            os.kill(int(process), signal.SIGKILL)
        (tmp_path / "go").touch()

    killer = meanwhile(kill)
    hostile(tmp_path / "in", tmp_path / "out", [Peril(str(diary))], document_timeout=600.0).execute()
    killer.join()
    if times == 1:
        assert texts_of(tmp_path / "out") == ["before", "WAIT !", "after"]
        assert not (tmp_path / "out" / "kills.jsonl").exists()
    else:
        assert texts_of(tmp_path / "out") == ["before", "after"]
        assert [kill["reason"] for kill in kills_of(tmp_path / "out")] == ["killed its process (SIGKILL)"]


COMMAND = """\
from recipes.app.cli import main
if __name__ == "__main__":
    main()
"""


def started(folder: Path) -> subprocess.Popen[str]:
    """`goldsand run` on a recipe of which two workers wait, each with a document in hand."""
    inputs = folder / "in"
    if not inputs.exists():
        inputs.mkdir()
        for name in ("a", "b", "c"):
            (inputs / f"{name}.jsonl").write_text('{"text": "before"}\n{"text": "WAIT !"}\n{"text": "after"}\n')
        (folder / "command.py").write_text(COMMAND)
        recipe = {
            "name": "waits",
            "inputs": [{"path": "in"}],
            "steps": [{"hostile_steps:Peril": {"diary": str(folder / "diary")}}],
            "engine": {"document_timeout": 3600},
        }
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
    paths = [str(Path(__file__).parent), str(ROOT)]
    return subprocess.Popen(
        [sys.executable, "command.py", "run", "recipe.yaml", "-o", "out", "--workers", "2"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that runs in the background hands down that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def alive(session: int) -> list[str]:
    """Every process of a run that was started in a session of its own: workers, and what helps to start them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            command, _, fields = path.read_text().rpartition(")")
            state, _, _, of, *_ = fields.split()
            found += [command] if int(of) == session and state != "Z" else []
    return found


@pytest.mark.parametrize(
    "whom, sent, code",
    [
        ("group", signal.SIGINT, 130),
        ("parent", signal.SIGTERM, 130),
        pytest.param("parent", signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param("group", signal.SIGTERM, 130, marks=pytest.mark.slow),
        ("parent", signal.SIGKILL, -9),
    ],
)
def test_an_interrupted_run_leaves_no_process_and_no_half_file_and_can_be_finished(tmp_path, whom, sent, code):
    run = started(tmp_path)
    lines_of(tmp_path / "diary", 2)
    assert len(alive(run.pid)) >= 3
    (os.killpg if whom == "group" else os.kill)(run.pid, sent)
    # The documents in hand wait for ever: a run that waited for them would not end.
    _, said = run.communicate(timeout=300)
    assert run.returncode == code
    deadline = time.monotonic() + 300
    while alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(run.pid)
    if code == 130:
        assert "the same command goes on from here" in said and "Traceback" not in said
        assert not list((tmp_path / "out").rglob(f"*{TEMPORARY}"))
    assert not (tmp_path / "out" / "kills.jsonl").exists()
    (tmp_path / "go").touch()
    again = started(tmp_path)
    _, said = again.communicate(timeout=600)
    assert again.returncode == 0, said
    assert texts_of(tmp_path / "out") == ["before", "WAIT !", "after"] * 3
    assert not list((tmp_path / "out").rglob(f"*{TEMPORARY}"))


def test_progress_tells_share_rate_and_time_left(monkeypatch):
    now = [1020.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = Progress("a group", tasks=10, total_size=1000, started=1000.0)
    assert progress.kept_share() is None and progress.left() is None and progress.rate() == 0
    # 4 units of 100 bytes each were found done; of the other 600 bytes, 200 took 20 s.
    progress.reused, progress.done, progress.reused_size, progress.size = 4, 6, 400, 600
    progress.documents, progress.kept = 40, 10
    assert progress.kept_share() == 0.25
    assert progress.rate() == 2
    assert progress.left() == 40
    # Where no unit knows its size, units count: 2 in 20 s, 4 are left.
    progress.total_size = progress.size = progress.reused_size = 0
    assert progress.left() == 40
    progress.ended = progress.started + 20
    now[0] += 1
    assert progress.seconds() == 20
    progress.done = 10
    assert progress.left() == 0


@pytest.mark.parametrize("kind", ["local", "serial"])
def test_progress_of_a_run_counts_what_the_run_did(tmp_path, kind):
    inputs = write_corpus(tmp_path / "in")
    size = sum(path.stat().st_size for path in inputs.iterdir())
    told: dict[str, list[tuple]] = {}

    def listen(progress: Progress) -> None:
        row = (progress.documents, progress.kept, progress.size, progress.done, progress.reused, progress.left())
        told.setdefault(progress.label, []).append(row)

    make = Serial if kind == "serial" else CorpusRun
    run = hostile(inputs, tmp_path / "out", [Trim(), ExactDedup()], on_progress=listen)
    run = make(**{name: getattr(run, name) for name in run.__dataclass_fields__})
    summary = run.execute()
    assert told["inputs"][-1] == (0, 0, size, 3, 0, 0.0)
    assert told["trim"][-1] == (60, 60, size, 3, 0, 0.0)
    documents, kept, *_, left = told["exact_dedup"][-1]
    assert (documents, kept, left) == (60, summary["documents"]["kept"], 0.0)
    assert all(rows == sorted(rows) for rows in ([row[:4] for row in told[label]] for label in ("inputs", "trim")))
    told.clear()
    run.execute()
    assert told["trim"][-1] == (0, 0, size, 3, 3, 0.0)


def test_progress_forgets_what_a_killed_worker_did(tmp_path):
    inputs = write_perils(tmp_path / "in", ["CRASH", "EXIT"])
    told: list[Progress] = []
    hostile(inputs, tmp_path / "out", [Peril()], on_progress=told.append).execute()
    peril = [progress for progress in told if progress.label == "peril"][-1]
    assert (peril.documents, peril.kept, peril.left()) == (2, 2, 0)


class Serial(CorpusRun):
    """A run in this process alone."""

    def engine(self, on_progress: Callable[[Progress], None] | None = None) -> SerialEngine:
        return SerialEngine(on_progress)


def test_one_process_writes_what_several_write(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    several = hostile(inputs, tmp_path / "several", [Trim(), ExactDedup(), Peril()], split=200)
    several.execute()
    options = {name: getattr(several, name) for name in several.__dataclass_fields__}
    Serial(**{**options, "out": tmp_path / "one"}).execute()
    assert tree(tmp_path / "one") == tree(tmp_path / "several")
    assert tree(tmp_path / "one", PUBLISHED)


def test_half_a_line_of_kills_swallows_no_later_one_and_a_wrong_line_is_named(tmp_path):
    """A run that died while writing a kill down: the next run adds another, and the run after that reads it."""
    first, second = (Kill("00-trim", "part", None, key, "took longer than 1 s") for key in ("a@0", "b@0"))
    with OutputFolder(tmp_path / "out") as folder:
        folder.set_aside(first)
    path = tmp_path / "out" / "kills.jsonl"
    path.write_bytes(path.read_bytes() + b'{"stage":"00-tr')
    with OutputFolder(tmp_path / "out") as folder:
        assert folder.kills == [first]
        folder.set_aside(second)
    with OutputFolder(tmp_path / "out") as folder:
        assert folder.kills == [first, second]
    for wrong in ('{"stage": "00-trim"}', "[1]", '"text"', "wrong}"):
        path.write_text(f"\n{wrong}\n")
        with pytest.raises(RunError, match=r"kills\.jsonl:2 .*remove this line"), OutputFolder(tmp_path / "out"):
            pass


def test_what_was_killed_is_not_set_aside_in_a_file_that_was_changed(tmp_path):
    """Somebody mends the file: what stands at the same key now never hung."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "a.jsonl").write_text('{"text": "CRASH !"}\n{"text": "neighbour"}\n')
    run = hostile(inputs, tmp_path / "out", [Peril(str(tmp_path / "diary"))], workers=1)
    assert run.execute()["documents"]["unreadable"] == 1
    assert run.execute()["documents"]["unreadable"] == 1
    (inputs / "a.jsonl").write_text('{"text": "mended"}\n{"text": "neighbour"}\n')
    again = hostile(inputs, tmp_path / "out", [Peril(str(tmp_path / "diary"))], workers=1).execute()
    assert (again["documents"]["unreadable"], again["documents"]["kept"]) == (0, 2)
    assert len(kills_of(tmp_path / "out")) == 1


def test_a_folder_for_temporary_files_with_a_long_name_costs_a_run_its_server_and_nothing_else(tmp_path):
    """A socket's address has 108 bytes on Linux; workers are then started one by one."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "one"}\n')
    deep = tmp_path / ("temporary" * 12)
    deep.mkdir()
    (tmp_path / "recipe.yaml").write_text(json.dumps({"name": "long", "inputs": [{"path": "in"}], "steps": ["c4"]}))
    command = [sys.executable, "-m", "recipes.app.start", "run", "recipe.yaml", "-o", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(deep)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
