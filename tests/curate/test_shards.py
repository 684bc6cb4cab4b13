"""Several equal processes carry out one run through its folder, whatever becomes of any of them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from engine_steps import Perilous, Trim, corpus_run, tree, write_corpus
from hostile_steps import Peril, lines_of

from curate.audit.verify import verify
from curate.dedup import ExactDedup
from curate.errors import Refused
from curate.places import claims
from curate.places.claims import Pulse, Watch, make_once, read_row, refuse_unfit
from curate.run import sharded
from curate.run.engine import RunError, TaskError
from curate.run.folder import read_kills
from curate.run.session import Claims, Session, Shard
from curate.run.shard_status import shards_in
from curate.run.sharded import ShardedRun
from curate.run.stage_outputs import label_of
from curate.run.status import read_status

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.2)
    monkeypatch.setattr(claims, "STALE", 1.5)


def shard(inputs: Path, out: Path, steps: list, name: str, **options) -> ShardedRun:
    return ShardedRun.of(corpus_run(inputs, out, steps, **{"workers": 1, **options}), Shard.read(name))


def together(*jobs: ShardedRun) -> list:
    """What each shard returns or raises, when all of them are done."""
    results: list = [None] * len(jobs)

    def work(place: int) -> None:
        try:
            results[place] = jobs[place].execute()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a shard waits for ever"
    return results


def same(out: Path, alone: Path) -> bool:
    mine = {name: data for name, data in tree(out).items() if not name.startswith(".shards")}
    return mine == tree(alone)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process, with a document that ends its process."""
    root = tmp_path_factory.mktemp("alone")
    inputs = write_corpus(root / "in")
    with (inputs / "part-1.jsonl").open("a") as stream:
        stream.write('{"text": "and a neighbour of it"}\n{"text": "CRASH at once"}\n')
    corpus_run(inputs, root / "out", [Trim(), Perilous(), ExactDedup()], workers=1).execute()
    return root


def test_shards_give_the_same_bytes_and_the_same_account_as_one_process(alone, tmp_path):
    steps = [Trim(), Perilous(), ExactDedup()]
    jobs = [shard(alone / "in", tmp_path / "out", steps, f"{number}/3") for number in range(3)]
    summaries = together(*jobs)
    assert same(tmp_path / "out", alone / "out") and list(verify(tmp_path / "out")) == []
    assert sum(job.published for job in jobs) == 1 and summaries[0] == summaries[1] == summaries[2]
    before = json.loads((alone / "out" / "summary.json").read_text())
    parts = ("documents", "steps", "sources", "losses", "unreadable")
    for name in parts:
        one, other = (json.dumps(summary.get(name)) for summary in (summaries[0], before))
        assert name == "steps" or one == other
    assert read_kills(tmp_path / "out") == read_kills(alone / "out") and summaries[0]["workers"] == 3
    # Late, and twice: nothing is done again, and nothing changes.
    late = shard(alone / "in", tmp_path / "out", steps, "0/3").execute()
    assert late["units"]["done"] == 0 and late["documents"] == before["documents"]
    assert same(tmp_path / "out", alone / "out")


def test_a_shard_that_never_took_part_in_a_finished_run_has_nothing_to_do(tmp_path):
    inputs, out = write_corpus(tmp_path / "in"), tmp_path / "out"
    first = shard(inputs, out, [Trim()], "0/64").execute()
    assert shard(inputs, out, [Trim()], "63/64").execute() == first
    assert not (out / ".shards" / "0002.json").exists()


PROGRAM = """\
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from engine_steps import corpus_run
from hostile_steps import Peril
from curate.places import claims
from curate.run.sharded import ShardedRun, Shard
claims.BEAT, claims.STALE = 0.2, 1.5
if __name__ == "__main__":
    job = corpus_run(Path({inputs!r}), Path({out!r}), [Peril({diary!r})], workers=1)
    ShardedRun.of(job, Shard.read({name!r})).execute()
"""


@contextmanager
def killed_at_last(one: subprocess.Popen) -> Iterator[subprocess.Popen]:
    try:
        yield one
    finally:
        one.send_signal(signal.SIGKILL)
        one.wait()


def process(folder: Path, name: str) -> subprocess.Popen:
    given = {"inputs": str(folder / "in"), "out": str(folder / "out"), "diary": str(folder / "diary"), "name": name}
    program = folder / f"shard{name.replace('/', '-')}.py"
    program.write_text(PROGRAM.format(tests=str(ROOT / "tests" / "curate"), **given))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(program)], env=environment, stderr=subprocess.DEVNULL)


def test_the_units_of_a_dead_shard_are_done_by_another_and_its_folder_is_nobody_elses(tmp_path):
    inputs, out = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    for number in range(2):
        (inputs / f"{number}.jsonl").write_text(f'{{"text": "{"WAIT" if number == 0 else "a"} page"}}\n')
    steps = [Peril(str(tmp_path / "diary"))]
    with killed_at_last(process(tmp_path, "0/2")):
        next(lines_of(tmp_path / "diary", 1))
        # What it has in hand is said at the next beat.
        time.sleep(2 * claims.BEAT)
        status = read_status(out)
        assert status["alive"] and status["shards"][0].in_hand.keys() == {"stages/00-peril/" + label(out)}
        with pytest.raises(Refused, match=r"shard of 3, and the others are of 2.*: shard 0 on"):
            shard(inputs, out, steps, "1/3").execute()
        with pytest.raises(RunError, match="is being written by shards"):
            corpus_run(inputs, out, steps).execute()
        with pytest.raises(Refused, match="code of the step peril"):
            shard(inputs, out, [Trim()], "1/2").execute()
        (inputs / "2.jsonl").write_text('{"text": "one more"}\n')
        with pytest.raises(Refused, match=r"number of input files \(3 here, 2 there\)"):
            shard(inputs, out, steps, "1/2").execute()
        (inputs / "2.jsonl").unlink()
    (tmp_path / "go").touch()
    assert read_status(out)["state"] == "died" and shards_in(out)[1][0].lives is False
    assert together(shard(inputs, out, steps, "1/2"))[0]["documents"]["kept"] == 2
    assert list(out.rglob("*.claim-2.json")) and read_status(out)["state"] == "finished"
    assert list(verify(out)) == [] and not list((out / "stages").rglob("*.writing"))


def label(out: Path) -> str:
    return next(path.stem for path in sorted((out / "manifests" / "inputs").iterdir()) if "0-jsonl" in path.name)


def test_when_all_are_dead_another_number_of_shards_or_one_process_finishes_the_run(tmp_path):
    inputs, out = write_corpus(tmp_path / "in"), tmp_path / "out"
    steps = [Trim(), ExactDedup()]
    begun = shard(inputs, out, steps, "0/2")
    session = Session.join(out, begun.shard, begun._about(), begun._refuse_to_begin)
    session.pulse.end()
    assert shard(inputs, out, steps, "4/5").execute()["documents"]["kept"]
    assert [read_row(out / ".shards" / f"{number:04d}.json")["of"] for number in (1, 2)] == [2, 5]
    Session.join(out, Shard(0, 2), begun._about(), begun._refuse_to_begin).pulse.end()
    assert corpus_run(inputs, out, steps).execute()["units"]["done"] == 0
    assert read_row(out / ".shards" / "0003.end.json")["state"] == "replaced"


def test_a_unit_that_fails_ends_every_shard_with_its_message(tmp_path, monkeypatch):
    # One that comes later than the failure is told of it, too.
    monkeypatch.setenv("GOLDSAND_ATTEMPT", "one")
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(4):
        (inputs / f"{number}.jsonl").write_text(json.dumps({"text": "RAISE" if number == 1 else "a page"}) + "\n")
    jobs = [shard(inputs, tmp_path / "out", [Peril("")], f"{number}/3") for number in range(3)]
    errors = together(*jobs)
    assert all(isinstance(error, TaskError) and "1-jsonl" in str(error) for error in errors), errors
    assert sum(str(error).startswith("shard ") for error in errors) == 2
    monkeypatch.setenv("GOLDSAND_ATTEMPT", "two")
    # The same command tries it again, and nobody is told of what was mended since.
    (inputs / "1.jsonl").write_text('{"text": "another page"}\n')
    assert shard(inputs, tmp_path / "out", [Peril("")], "2/3").execute()["documents"]["kept"] == 4


def test_a_mark_of_the_array_says_who_was_started_together(tmp_path, monkeypatch):
    inputs, out = write_corpus(tmp_path / "in", files=1), tmp_path / "out"
    (inputs / "bad.jsonl").write_text('{"text": "RAISE"}\n')
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    with pytest.raises(TaskError):
        shard(inputs, out, [Peril("")], "0/2").execute()
    with pytest.raises(TaskError, match="shard 0/2"):
        shard(inputs, out, [Peril("")], "1/2").execute()
    (inputs / "bad.jsonl").unlink()
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "18")
    assert shard(inputs, out, [Peril("")], "1/2").execute()["documents"]["kept"]


@pytest.mark.parametrize("text", ["5/4", "0/0", "3", "a/b", "-1/4", "1/", "²/4"])
def test_a_shard_that_cannot_be_is_refused_before_anything_is_written(text, tmp_path, within):
    with pytest.raises(Refused, match="--shard"):
        Shard.read(text)
    done = within("run", "quickstart", "-o", "out", "--shard", text, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


def test_shards_are_counted_from_nought_or_one():
    assert [Shard.read(text).number for text in ("0/4", "1/4", "4/4")] == [0, 1, 0]


def test_other_versions_and_other_code_are_refused_by_name(tmp_path, monkeypatch):
    job = shard(write_corpus(tmp_path / "in"), tmp_path / "out", [Trim()], "0/2")
    session = Session.join(job.out, job.shard, job._about(), job._refuse_to_begin)
    about = job._about
    changes = {
        "version of goldsand": ("goldsand", "version of goldsand"),
        "version of zstandard": ("libraries", "version of zstandard"),
        "code of the step trim": ("steps", "code of the step trim"),
    }
    for said, (part, name) in changes.items():
        other = json.loads(json.dumps(about()))
        other[part][name] = "another"
        with pytest.raises(Refused, match=rf"differs from the others in {said} \(another here"):
            Session.join(job.out, Shard(1, 2), other, job._refuse_to_begin)
    session.pulse.end()


def test_a_folder_of_another_recipe_or_of_nobodys_is_refused_and_left_alone(tmp_path):
    inputs, out = write_corpus(tmp_path / "in"), tmp_path / "out"
    corpus_run(inputs, out, [Trim()]).execute()
    job = shard(inputs, out, [Trim()], "0/2")
    job.name = "another"
    with pytest.raises(RunError, match="this recipe is named 'another'"):
        job.execute()
    assert not (out / ".shards").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(RunError, match="holds files that no run wrote"):
        shard(inputs, tmp_path / "mine", [Trim()], "0/2").execute()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def elsewhere(place: Path) -> Pulse:
    """A pulse as a process on another machine has it: this machine's system knows nothing of it."""
    pulse = Pulse(place)
    pulse._row |= {"machine": "another", "host": "far"}
    assert pulse.take()
    return pulse


def test_a_process_lives_while_its_counter_changes_by_the_watchers_own_clock(tmp_path):
    pulse = elsewhere(tmp_path / "pulse")
    watch = Watch()
    assert watch.lives(pulse.place) and watch.knows(pulse.place) is None
    until = time.monotonic() + 2 * claims.STALE
    while time.monotonic() < until:
        assert watch.lives(pulse.place)
        time.sleep(0.1)
    # On a busy machine a beat may come late.
    until = time.monotonic() + 60
    while watch.knows(pulse.place) is not True:
        assert watch.lives(pulse.place) and time.monotonic() < until
        time.sleep(0.05)
    # Killed: it says nothing more. Its file's time is that of a clock two years ahead.
    pulse._ended.set()
    os.utime(pulse.place, (time.time() + 6e7, time.time() + 6e7))
    began = time.monotonic()
    while watch.lives(pulse.place):
        time.sleep(0.05)
    assert time.monotonic() - began > claims.STALE / 2
    # One that says it has ended is dead at once.
    other = elsewhere(tmp_path / "other")
    other.end()
    assert not Watch().lives(other.place)


def test_time_in_which_the_watcher_did_not_look_counts_against_nobody(tmp_path, monkeypatch):
    pulse = elsewhere(tmp_path / "pulse")
    pulse._ended.set()
    watch = Watch()
    assert watch.lives(pulse.place)
    later = time.monotonic() + 1000
    monkeypatch.setattr(claims.time, "monotonic", lambda: later)
    assert watch.lives(pulse.place)


def test_a_shard_that_stood_still_gives_up_what_others_took(tmp_path, monkeypatch):
    """Its claim was overtaken while it was stopped: its worker ends, and the other's outcome counts."""
    inputs, out = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    (inputs / "0.jsonl").write_text('{"text": "WAIT page"}\n')
    diary = tmp_path / "diary"
    job = shard(inputs, out, [Peril(str(diary))], "0/2")
    results: list = []
    thread = threading.Thread(target=lambda: results.extend(together(job)))
    thread.start()
    next(lines_of(diary, 1))
    session = Session(out, 1, Shard(1, 2))
    session._take_part("")
    overtaken = next(path for path in out.rglob("0002/000000.claim-1.json"))
    make_once(overtaken.with_name("000000.claim-2.json"), json.dumps({"pulse": session.pulse.place.name}).encode())
    monkeypatch.setattr(Pulse, "stood_still", lambda self: 100.0)
    # The other one finds nothing to do for so long, and dies.
    time.sleep(0.5)
    session.pulse.end()
    (tmp_path / "go").touch()
    thread.join(30)
    assert results[0]["documents"]["kept"] == 1 and list(out.rglob("0002/000000.claim-3.json"))


def test_what_a_dead_shard_set_aside_is_set_aside_by_whoever_takes_over(tmp_path):
    inputs, out = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    (inputs / "0.jsonl").write_text('{"text": "HANG page"}\n{"text": "a page"}\n')
    diary = tmp_path / "diary"
    job = shard(inputs, out, [Peril(str(diary))], "1/2", document_timeout=0.3)
    session = Session.join(out, Shard(0, 2), job._about(), job._refuse_to_begin)
    unit = f"stages/00-peril/{label_of(job.partitions[0])}"
    Claims(session, "0002").claim(0)
    session.note_kill({"kill": {}, "unit": unit, "in_hand": "crawl/0.jsonl@0", "reason": "took longer than 0.3 s"})
    kills = session.pulse.place.with_name("kills-00000.1.jsonl")
    session.pulse.end()
    with suppress(TypeError):
        read_kills(out)
    row = json.loads(kills.read_text())
    row["kill"] = {"stage": "00-peril", "part": unit[16:], "round": None, "key": row["in_hand"],
                   "reason": row["reason"]}  # fmt: skip
    kills.write_text(json.dumps(row) + "\n")
    summary = job.execute()
    assert summary["documents"]["kept"] == 1 and summary["documents"]["unreadable"] == 1
    assert not diary.exists(), "the document was met again"


def test_a_disk_without_hard_links_will_do(tmp_path, monkeypatch):
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    refuse_unfit(tmp_path)
    assert make_once(tmp_path / "a", b"one") and not make_once(tmp_path / "a", b"two")
    jobs = [shard(write_corpus(tmp_path / "in"), tmp_path / "out", [Trim()], "0/1")]
    assert together(*jobs)[0]["documents"]["kept"]


def test_a_file_system_without_exclusive_names_or_renaming_is_refused_at_the_start(tmp_path, monkeypatch):
    job = shard(write_corpus(tmp_path / "in"), tmp_path / "out", [Trim()], "0/2")
    with monkeypatch.context() as patch:
        patch.setattr(claims.os, "link", lambda source, target: source.replace(target))
        with pytest.raises(Refused, match="no exclusive create"):
            job.execute()

    def no_rename(self: Path, target: Path) -> None:
        raise OSError(38, "Function not implemented")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", no_rename)
        with pytest.raises(Refused, match=r"cannot be renamed.*Function not implemented"):
            job.execute()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_stale_reads_and_late_listings_make_no_difference(alone, tmp_path, monkeypatch):
    """Every small file is not there for the first two who ask, and a listing shows what was there at the start."""
    asked: dict[tuple[int, str], int] = {}
    read = claims.read_whole

    def stale(place: Path) -> bytes | None:
        key = threading.get_ident(), str(place)
        asked[key] = asked.get(key, 0) + 1
        return None if asked[key] <= 2 and "trial" not in place.name else read(place)

    def nothing(folder: Path, *_: object) -> list:
        return [] if ".shards" in str(folder) else listed(folder)

    listed = Path.iterdir
    monkeypatch.setattr(claims, "read_whole", stale)
    monkeypatch.setattr(Path, "iterdir", nothing)
    steps = [Trim(), Perilous(), ExactDedup()]
    jobs = [shard(alone / "in", tmp_path / "out", steps, f"{number}/2") for number in range(2)]
    summaries = together(*jobs)
    assert not any(isinstance(one, Exception) for one in summaries), summaries
    monkeypatch.undo()
    assert same(tmp_path / "out", alone / "out")


def test_one_publishes_though_all_see_the_end(tmp_path, monkeypatch):
    inputs = write_corpus(tmp_path / "in", files=1)
    jobs = [shard(inputs, tmp_path / "out", [Trim()], f"{number}/4") for number in range(4)]
    published: list = []
    publish = sharded.ShardedRun._publish
    monkeypatch.setattr(
        sharded.ShardedRun, "_publish", lambda self, *given: published.append(self.shard) or publish(self, *given)
    )
    assert all(isinstance(one, dict) for one in together(*jobs)) and len(published) == 1
