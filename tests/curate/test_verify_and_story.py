"""A folder can be checked from itself alone, and tell the whole story of each document."""

import json
from pathlib import Path

import pytest
import zstandard
from engine_steps import Perilous, Trim, corpus_run, write_corpus

from curate.audit.story import story
from curate.audit.verify import verify
from curate.dedup import ExactDedup, MinHashDedup
from curate.places.store import checksum
from curate.run.engine import RunError
from curate.run.ledger import COLUMNS, read_ledger, read_rows
from curate.run.output import Publication
from curate.run.status import read_status
from curate.run.unit import seal_of
from curate.shards.parquet import ColumnWriter
from curate.shards.text import read_lines
from synth.inject import Inject

STEPS = [Trim(), Perilous(), ExactDedup()]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    corpus_run(write_corpus(tmp_path / "in"), tmp_path / "out", STEPS).execute()
    return tmp_path / "out"


def test_a_finished_folder_is_whole(out):
    assert list(verify(out)) == []


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_any_harm_to_any_output_is_found(out, harm):
    """Every file that a unit wrote, one after the other: a changed byte, a lost end, a lost file."""
    outputs = [name for path in (out / "manifests").rglob("*.json") for name in json.loads(path.read_text())["outputs"]]
    assert len(outputs) > 20
    for name in outputs:
        path = out / name
        sound = path.read_bytes()
        if harm == "remove":
            path.unlink()
        else:
            path.write_bytes(sound[:-1] if harm == "cut" else sound[:-1] + bytes([sound[-1] ^ 1]))
        if harm == "remove":
            assert list(verify(out)) == [f"{name} is missing (unit {_unit(out, name)})"]
        else:
            assert next(verify(out)) == f"{name} is not what unit {_unit(out, name)} wrote"
        path.write_bytes(sound)


def _unit(out: Path, output: str) -> str:
    for path in (out / "manifests").rglob("*.json"):
        if output in json.loads(path.read_text())["outputs"]:
            return str(path.relative_to(out / "manifests").with_suffix(""))
    raise AssertionError(output)


def rewrite_ledger(out: Path, rows: list[dict]) -> None:
    path = out / "ledger" / "00000.parquet"
    with path.open("wb") as stream:
        writer = ColumnWriter(stream, COLUMNS)
        for row in rows:
            writer.write(row)
        writer.close()
    manifest = out / "manifests" / "ledger" / "00000.json"
    content = json.loads(manifest.read_text())
    content["outputs"]["ledger/00000.parquet"] = checksum(path)
    manifest.write_text(json.dumps({**content, "seal": seal_of(content)}))


def test_a_document_that_went_for_one_that_went_itself_is_found(out):
    rows = list(read_ledger(out / "ledger" / "00000.parquet"))
    copies = [row for row in rows if row["rule"] == "duplicate"]
    assert len(copies) > 1
    for row in rows:
        for name in ("value", "threshold"):
            row[name] = None if row[name] is None else json.dumps(row[name])
    copies[0]["value"] = json.dumps(copies[1]["key"])
    rewrite_ledger(out, rows)
    assert list(verify(out)) == ["exact_dedup dropped duplicates of 1 documents that it dropped as well"]


def test_a_drop_that_the_ledger_lost_is_found_even_where_the_checksums_agree(out):
    """Somebody rewrote a ledger and its checksum: the recount still tells."""
    rewrite_ledger(out, [row for row in read_ledger(out / "ledger" / "00000.parquet") if row["event"] != "drop"])
    assert list(verify(out)) == ["ledger/00000 holds 0 drops, the units of its input file count 3"]


def test_documents_that_a_stage_lost_are_found_even_where_the_checksums_agree(out):
    # The first file's: of the last, which repeats it, no document is left.
    unit = min((out / "manifests" / "stages" / "01-exact_dedup").iterdir()).stem
    path = out / "stages" / "01-exact_dedup" / f"{unit}.jsonl.zst"
    lines = list(read_lines(path))
    path.write_bytes(zstandard.compress(b"".join(line + b"\n" for line in lines[1:])))
    manifest = out / "manifests" / "stages" / "01-exact_dedup" / f"{unit}.json"
    content = json.loads(manifest.read_text())
    content["outputs"][f"stages/01-exact_dedup/{unit}.jsonl.zst"] = checksum(path)
    manifest.write_text(json.dumps({**content, "seal": seal_of(content)}))
    faults = list(verify(out))
    assert faults == [f"01-exact_dedup/{unit} holds {len(lines) - 1} documents, its manifest counts {len(lines)}"]


def test_a_folder_of_another_version_or_of_no_run_says_what_to_do(out, tmp_path):
    with pytest.raises(RunError, match="not the folder of a finished run"):
        list(verify(tmp_path / "in"))
    (out / "goldsand.json").write_text('{"format": 99}')
    for read in (lambda: list(verify(out)), lambda: list(story(out, "x")), lambda: read_status(out), run_again(out)):
        with pytest.raises(RunError, match=r"written in format 99, and .* reads and writes 2: a newer goldsand"):
            read()
    (out / "goldsand.json").unlink()
    for read in (lambda: list(verify(out)), lambda: list(story(out, "x")), lambda: read_status(out), run_again(out)):
        with pytest.raises(RunError, match=r"written in format 1, .* into a new folder"):
            read()


def test_a_folder_that_a_second_run_left_half_done_is_not_called_whole(out):
    """Each file is as some run wrote it, but they are of two recipes: here, with and without the domain."""
    changed = corpus_run(out.parent / "in", out, STEPS, publication=Publication(text_domain="prefix"), workers=1)
    stopper = out / "text" / "00001.jsonl.zst.writing"
    stopper.mkdir()
    with pytest.raises(RunError, match="Is a directory"):
        changed.execute()
    with pytest.raises(RunError, match="not the folder of a finished run"):
        list(verify(out))
    changed.execute()
    assert list(verify(out)) == []


@pytest.mark.parametrize("harm", [b"{}", b"[]", b"null", b"", None])
def test_a_harmed_manifest_is_found_and_its_unit_runs_again(out, harm):
    """Figures are taken from manifests: a changed count is not believed (None: it stays JSON, one figure moves)."""
    before = json.loads((out / "summary.json").read_text())
    path = min((out / "manifests" / "stages" / "00-trim").iterdir())
    content = json.loads(path.read_text())
    content["records"]["skipped"] = {"a response": 7}
    path.write_bytes(json.dumps(content).encode() if harm is None else harm)
    with pytest.raises(RunError, match=f"{path.name} is damaged"):
        list(verify(out))
    after = run_again(out)()
    assert after["records"] == before["records"] and after["units"]["done"] == 1
    assert list(verify(out)) == []


def test_a_lost_manifest_and_a_file_that_no_unit_wrote_are_found(out):
    path = min((out / "manifests" / "stages" / "00-trim").iterdir())
    sound = path.read_bytes()
    path.unlink()
    faults = list(verify(out))
    assert faults[0] == f"stages/00-trim/{path.stem}.events.zst was not written by any unit of this run"
    path.write_bytes(sound)
    (out / "text" / "00099.jsonl.zst").write_bytes((out / "text" / "00000.jsonl.zst").read_bytes())
    assert list(verify(out)) == ["text/00099.jsonl.zst was not written by any unit of this run"]


@pytest.mark.parametrize("name", ["status.json", "summary.json"])
@pytest.mark.parametrize("harm", ["{}", "[]", "null", "{"])
def test_a_status_or_a_summary_of_another_shape_is_said_to_be_damaged(out, name, harm):
    (out / name).write_text(harm)
    if name == "summary.json":
        assert list(verify(out)) == ["summary.json is damaged"]
    else:
        with pytest.raises(RunError, match=r"status\.json is damaged|no run was begun"):
            read_status(out)


def test_a_stage_that_became_another_with_the_same_events_makes_another_ledger(tmp_path):
    inputs = write_corpus(tmp_path / "in")
    corpus_run(inputs, tmp_path / "out", [Trim(), ExactDedup(), Inject(people=2, exposures=1)]).execute()
    corpus_run(inputs, tmp_path / "out", [Trim(), ExactDedup(), MinHashDedup()]).execute()
    assert list(verify(tmp_path / "out")) == []


def run_again(out: Path):
    return corpus_run(out.parent / "in", out, STEPS).execute


def events(out: Path, name: str) -> list[tuple[str, str, str]]:
    return [(event.key.split("@")[0], event.stage, event.what) for event in story(out, name)]


def test_the_story_of_a_kept_a_dropped_and_a_lost_document(out):
    keys = [row["key"] for row in read_ledger(out / "ledger" / "00000.parquet")]
    assert events(out, keys[0]) == [
        ("crawl/part-0.jsonl", "00-trim", "edit"),
        ("crawl/part-0.jsonl", "00-trim", "passed"),
        ("crawl/part-0.jsonl", "01-exact_dedup", "kept"),
    ]
    lost = next(row["key"] for row in read_rows(out / "quarantine" / "00001.jsonl.zst"))
    assert events(out, lost) == [("crawl/part-1.jsonl", "00-trim", "unreadable")]
    assert list(story(out, "crawl/nothing@0")) == []


def test_a_url_tells_the_story_of_every_document_that_was_there(out):
    told = events(out, "https://site2.example.org/5")
    assert [event for event in told if event[2] == "drop"] == [
        (f"crawl/part-{number}.jsonl", "00-trim", "drop") for number in range(3)
    ]
    copies = events(out, "https://site0.example.org/0")
    assert ("crawl/part-2.jsonl", "01-exact_dedup", "drop") in copies
    assert ("crawl/part-0.jsonl", "01-exact_dedup", "kept") in copies
