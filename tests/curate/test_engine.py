"""Runs that can be trusted: accounts that balance, the same bytes on any number of workers, any document survived."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_steps import Perilous, Trim, corpus_run, tree, write_corpus

from curate.dedup import ExactDedup, MinHashDedup
from curate.places import patience
from curate.run import local
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.ledger import read_ledger, read_rows
from curate.run.output import Publication, Rendering, VocabularyChoice
from curate.run.stage import cut
from curate.run.stage_outputs import StageOutputs
from curate.run.summary import Balance, RecordCounts, Row, Size
from curate.shards.text import read_text_shard
from curate.shards.tokens import TokenShards
from synth.inject import Inject

STEPS = [Trim(), Perilous(), ExactDedup(), MinHashDedup(), Inject(kind="compact", people=6, exposures=3)]


def published(kind: str = "joint") -> Publication:
    renderings = [Rendering("bare"), Rendering("tagged", domain="special")]
    return Publication(vocabulary=VocabularyChoice(kind, 300), renderings=renderings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    root = tmp_path_factory.mktemp("finished")
    inputs = write_corpus(root / "in")
    return inputs, root / "out", corpus_run(inputs, root / "out", STEPS, publication=published()).execute()


def test_input_is_kept_dropped_or_unreadable_in_documents_and_in_characters(finished):
    inputs, out, summary = finished
    lines = [line for path in sorted(inputs.iterdir()) for line in path.read_text().splitlines(keepends=True)]
    texts, bad = [], []
    for line in lines:
        try:
            texts.append(json.loads(line)["text"])
        except json.JSONDecodeError:
            bad.append(line)
    rows = [row for path in sorted((out / "text").iterdir()) for row in read_text_shard(path)]
    kept = [row["text"] for row in rows if not row["injected"]]
    for unit, size in (("documents", lambda items: len(items)), ("characters", lambda items: sum(map(len, items)))):
        account = summary[unit]
        assert account["input"] == size(texts) + account["unreadable"]
        assert account["kept"] == size(kept)
        assert account["input"] == account["kept"] + account["dropped"] + account["unreadable"]
    assert summary["documents"]["unreadable"] == len(bad) == 3
    assert summary["documents"]["injected"] == 18 == sum(row["injected"] for row in rows)


@pytest.mark.parametrize("kept, edited, unit", [(2, 4, None), (2, 1, "characters"), (1, 4, "documents")])
def test_a_document_or_a_character_that_is_nowhere_is_an_error(kept, edited, unit):
    records = {"documents": 3, "characters": 30, "unreadable": 1, "unreadable_characters": 9, "skipped": {"x": 2}}
    manifest = {
        "steps": {"trim": {"documents_in": 3, "reasons": {"short": [1, 5]}, "characters_edited": edited}},
        "records": records,
        "domains": {"kept": {"a.org": [kept, 21]}, "lost": {}},
        "seconds": {},
    }
    stages = cut([Trim()])
    outputs = StageOutputs([], stages, [], [], manifests=[[manifest]])
    rows = [Row.of("trim", stages[0], [manifest])]
    if unit is not None:
        with pytest.raises(RunError, match=f"do not balance in {unit}"):
            Balance.of(outputs, rows)
        return
    balance = Balance.of(outputs, rows)
    assert (balance.input, balance.gone, balance.kept) == (Size(4, 39), Size(1, 9), Size(2, 21))
    assert RecordCounts.of([manifest, manifest]).count == 12


def test_every_drop_and_every_edit_stands_in_the_ledger(finished):
    _, out, summary = finished
    rows = [row for path in sorted((out / "ledger").iterdir()) for row in read_ledger(path)]
    drops = [row for row in rows if row["event"] == "drop"]
    assert len(drops) == summary["documents"]["dropped"]
    short = [row for row in drops if row["rule"] == "short"]
    assert {(row["value"], row["threshold"], row["text"]) for row in short} == {(5, 10, "short")} and len(short) == 3
    edits = [row for row in rows if row["event"] == "edit"]
    assert (
        len(edits) == 57
        and sum(row["characters"] - row["after"] for row in edits) == summary["characters"]["removed_by_edits"]
    )


def test_what_could_not_be_read_is_kept_aside_with_its_error(finished):
    _, out, summary = finished
    rows = [row for path in sorted((out / "quarantine").rglob("*.zst")) for row in read_rows(path)]
    assert len(rows) == 3 and all("part-" in row["key"] and row["error"] for row in rows)
    assert [item["key"] for item in summary["unreadable"]] == [row["key"] for row in rows]
    told = [row for path in sorted((out / "ledger").iterdir()) for row in read_ledger(path)]
    assert [(row["key"], row["error"]) for row in told if row["event"] == "unreadable"] == [
        (row["key"], row["error"]) for row in rows
    ]


def test_injected_facts_are_counted_back_from_the_token_shards(finished):
    _, out, _ = finished
    for name in ("bare", "tagged"):
        shards = TokenShards.open(out / "tokens" / name)
        shards.verify()
        seen = [(int(row["entity"]), int(row["exposure"])) for _, row in shards if row["entity"] >= 0]
        assert sorted(seen) == [(entity, exposure) for entity in range(6) for exposure in range(3)]


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_writes_the_same_bytes(finished, tmp_path, workers):
    inputs, out, _ = finished
    corpus_run(inputs, tmp_path / "out", STEPS, publication=published(), workers=workers).execute()
    assert tree(tmp_path / "out") == tree(out)


def test_a_finished_run_does_nothing_again_and_a_lost_output_is_made_anew(finished):
    inputs, out, _ = finished
    before = tree(out)
    again = corpus_run(inputs, out, STEPS, publication=published()).execute()
    assert again["units"]["done"] == 0
    (out / "text" / "00001.jsonl.zst").unlink()
    repaired = corpus_run(inputs, out, STEPS, publication=published()).execute()
    assert repaired["units"]["done"] == 1 and tree(out) == before


def test_a_changed_threshold_runs_again_what_depends_on_it_and_nothing_before(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    first = corpus_run(inputs, tmp_path / "out", [Trim(), ExactDedup(), Perilous()]).execute()
    second = corpus_run(inputs, tmp_path / "out", [Trim(), ExactDedup(), Perilous(shortest=3)]).execute()
    # Left alone: 3 inputs, 3 files trimmed, 3 emitted, 8 buckets reduced, 2 texts and 2 parts of the ledger that the
    # threshold leaves as they were. Done again: the decision on each file, the text and the ledger of the one in which
    # the short document survives.
    assert second["units"] == {"done": 5, "found_done": 21}
    assert second["documents"]["kept"] == first["documents"]["kept"] + 1


@dataclass(frozen=True)
class TrimAgain(Trim):
    """The same step in a later version."""

    version = 2


def test_a_raised_version_runs_again_exactly_what_the_step_shaped(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    corpus_run(inputs, tmp_path / "out", [ExactDedup(), Trim()]).execute()
    again = corpus_run(inputs, tmp_path / "out", [ExactDedup(), TrimAgain()]).execute()
    # The stage that trims, 3 files; what it writes is the same as before, so that nothing after it runs again.
    assert again["units"]["done"] == 3
    before = corpus_run(inputs, tmp_path / "out2", [TrimAgain(), ExactDedup()]).execute()["units"]
    assert corpus_run(inputs, tmp_path / "out2", [TrimAgain(), ExactDedup()]).execute()["units"] == {
        "done": 0,
        "found_done": before["done"],
    }


def test_a_changed_file_runs_its_own_units_again(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    corpus_run(inputs, tmp_path / "out", [Trim(), Perilous()]).execute()
    with (inputs / "part-1.jsonl").open("a") as stream:
        stream.write('{"text": "one more document at the end"}\n{"text": \n')
    again = corpus_run(inputs, tmp_path / "out", [Trim(), Perilous()]).execute()
    # What it holds, its stage, its text, its part of the ledger; of each other file, all four are found done.
    assert again["units"] == {"done": 4, "found_done": 8}


def test_a_change_that_touches_one_bucket_and_one_file_leaves_the_others_of_a_round_alone(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    corpus_run(inputs, tmp_path / "out", [ExactDedup()]).execute()
    with (inputs / "part-2.jsonl").open("a") as stream:
        stream.write('{"text": "a text that stands nowhere else"}\n')
    again = corpus_run(inputs, tmp_path / "out", [ExactDedup()]).execute()
    # The file's own input, reading, emit, decision and text, and the one bucket to which its new record goes.
    assert again["units"]["done"] == 6


def test_an_added_file_leaves_the_units_of_the_others_alone(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    corpus_run(inputs, tmp_path / "out", [Trim(), Perilous()]).execute()
    (inputs / "a-first.jsonl").write_text('{"text": "a document in a file that comes before the others"}\n')
    again = corpus_run(inputs, tmp_path / "out", [Trim(), Perilous()]).execute()
    stages = list((tmp_path / "out/manifests/stages").rglob("*.json"))
    assert len(stages) == 4 and again["documents"]["kept"] == 58
    # Its own four units; the published files of the others have new numbers, and are written anew.
    assert again["units"] == {"done": 4 + 6, "found_done": 6}


def test_fewer_inputs_leave_nothing_of_the_earlier_run(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    corpus_run(inputs, tmp_path / "out", STEPS, publication=published()).execute()
    (inputs / "part-2.jsonl").unlink()
    corpus_run(inputs, tmp_path / "out", STEPS, publication=published()).execute()
    corpus_run(inputs, tmp_path / "fresh", STEPS, publication=published()).execute()
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


@pytest.mark.parametrize("peril, reason", [("HANG", "took longer than"), ("CRASH", "SIGSEGV")])
def test_a_document_that_hangs_or_kills_its_worker_costs_itself_alone(tmp_path, peril, reason):
    inputs = write_corpus(tmp_path / "in", files=2, documents=6)
    with (inputs / "part-0.jsonl").open("a") as stream:
        stream.write(json.dumps({"text": f"{peril} this one"}) + "\n" + json.dumps({"text": "the one after it"}) + "\n")
    summary = corpus_run(inputs, tmp_path / "out", [Perilous()], document_timeout=0.3).execute()
    lost = [item for item in summary["unreadable"] if reason in item["error"]]
    assert len(lost) == 1 and summary["documents"]["unreadable"] == 3
    kept = [row["text"] for path in sorted((tmp_path / "out" / "text").iterdir()) for row in read_text_shard(path)]
    assert "the one after it" in kept
    # The kill is written down: the next run sets the document aside without meeting it, which would be one more kill.
    kills = (tmp_path / "out" / "kills.jsonl").read_text()
    again = corpus_run(inputs, tmp_path / "out", [Perilous(shortest=1)], document_timeout=0.3).execute()
    assert again["documents"]["unreadable"] == 3 and (tmp_path / "out" / "kills.jsonl").read_text() == kills


def test_a_file_that_is_gone_ends_the_run_and_is_read_when_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "PAUSES", (0.0,) * 4)
    # Workers forked from this process: in others, the pauses are as long as ever.
    monkeypatch.setattr(local, "context_of_workers", lambda: multiprocessing.get_context("fork"))
    inputs = write_corpus(tmp_path / "in")
    run = corpus_run(inputs, tmp_path / "out", [Trim()])
    (inputs / "part-1.jsonl").rename(tmp_path / "away")
    with pytest.raises(RunError, match=r"part-1.jsonl.*cannot be read \(No such file.*tried 5 times"):
        run.execute()
    (tmp_path / "away").rename(inputs / "part-1.jsonl")
    assert run.execute()["documents"]["kept"] == 60


def test_a_run_killed_in_the_middle_is_finished_by_the_same_command(finished, tmp_path):
    inputs, out, _ = finished
    code = (
        "import sys; from pathlib import Path; import test_engine as t; from engine_steps import corpus_run\n"
        "if __name__ == '__main__':\n"
        f" out = Path({str(tmp_path / 'out')!r})\n"
        f" corpus_run(Path({str(inputs)!r}), out, t.STEPS, publication=t.published()).execute()"
    )
    script = tmp_path / "killed.py"
    script.write_text(code)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for stage in ("00-trim", "01-exact_dedup"):
        process = subprocess.Popen([sys.executable, str(script)], env=environment, start_new_session=True)
        deadline = time.monotonic() + 600
        while not list((tmp_path / "out" / "stages" / stage).glob("*.jsonl.zst")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "summary.json").exists()
    corpus_run(inputs, tmp_path / "out", STEPS, publication=published()).execute()
    assert tree(tmp_path / "out") == tree(out)


def test_the_first_documents_of_the_whole_input_are_taken_in_order(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    summary = corpus_run(inputs, tmp_path / "out", [Trim()], limit=25).execute()
    assert summary["documents"]["kept"] == 25
    ids = [row["id"] for path in sorted((tmp_path / "out" / "text").iterdir()) for row in read_text_shard(path)]
    assert all("part-0" in key for key in ids[:20]) and all("part-1" in key for key in ids[20:])


@pytest.mark.parametrize("limit", [0, 5, 30])
def test_the_first_documents_end_the_reading_wherever_the_file_is_cut(tmp_path, limit):
    """Lines that cannot be read stand behind the last document that is taken, and where pieces begin."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    lines = [json.dumps({"text": f"document {number}"}) if number % 3 else "{bad" for number in range(90)]
    (inputs / "a.jsonl").write_text("\n".join(lines))
    (inputs / "b.jsonl").write_text("{bad\n" + json.dumps({"text": "last"}))
    found = []
    for split in (0, 40, 300):
        out = tmp_path / f"out-{split}"
        account = corpus_run(inputs, out, [Trim()], limit=limit, split=split, max_loss=1).execute()["documents"]
        assert account["kept"] + account["dropped"] == limit
        found.append([account, tree(out, ("text", "ledger", "quarantine"))])
    assert found[0] == found[1] == found[2]
    # Of three lines the first is bad: behind the Nth document nothing counts.
    assert found[0][0]["unreadable"] == (limit + 1) // 2


def test_two_runs_on_one_folder_the_second_says_who_holds_it(tmp_path):
    import fcntl

    inputs = write_corpus(tmp_path / "in")
    corpus_run(inputs, tmp_path / "out", [Trim()]).execute()
    with (tmp_path / "out" / ".lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match=r"another run \(process 4711\)"):
            corpus_run(inputs, tmp_path / "out", [Trim()]).execute()
    assert isinstance(corpus_run(inputs, tmp_path / "out", [Trim()]), CorpusRun)


def test_every_step_lets_injected_documents_pass_untouched(tmp_path):
    """An injected record is short, repeats, has no sentence and no language: every rule here would drop it."""
    from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition, Language, Safety

    inputs = write_corpus(tmp_path / "in", files=1, documents=4)
    rules = [Language(), GopherRepetition(), GopherQuality(), C4(), FineWeb(), Safety(), ExactDedup(), MinHashDedup()]
    steps = [Inject(kind="compact", people=5, exposures=4), *rules]
    summary = corpus_run(inputs, tmp_path / "out", steps).execute()
    assert summary["documents"]["injected"] == 20
    rows = [row for path in sorted((tmp_path / "out" / "text").iterdir()) for row in read_text_shard(path)]
    assert sum(row["injected"] for row in rows) == 20
