"""Small files share units of work until a unit is worth one, and nothing that is published shows it."""

import gzip
import json
import os
from pathlib import Path

import pytest
from engine_steps import PUBLISHED, Perilous, Trim, corpus_run, tree

import curate.run.lots as lots
import curate.run.unit
from curate.audit.difference import Difference
from curate.audit.story import story
from curate.audit.verify import verify
from curate.dedup import ExactDedup
from curate.extract import Extract
from curate.places.address import InputError
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.ledger import read_rows
from curate.run.output import Publication, Rendering, VocabularyChoice
from curate.run.serial import SerialEngine
from curate.run.stage_pool import open_pool
from curate.run.standing import Standing
from curate.shards.text import read_text_shard
from curate.shuffle import Shuffle
from curate.sources import Input, find_inputs
from recipes.app.recipe.planned_units import by_label, planned

READER = """\
import os, signal
from curate.document import Document

def read(path):
    for number, line in enumerate(path.read_text().splitlines()):
        if line == "CRASH":
            os.kill(os.getpid(), signal.SIGSEGV)
        yield Document(key=str(number), text=line)
"""


SELF_CHANGING = """\
from curate.document import Document

def read(path):
    yield Document(key="0", text=path.read_text())
    if path.name == "07.txt":
        path.write_text("another text")
"""


class _Serial(SerialEngine):
    peak_memory = 0


class _Backwards(_Serial):
    """Units that do not wait for each other may end in any order."""

    def map(self, label, tasks, on_kill=None):
        return super().map(label, tasks[::-1], on_kill)[::-1]


def line(number: int) -> bytes:
    # Some equal, some short.
    text = "short" if number % 7 == 3 else f"document {number % 40} | and a tail that an edit removes"
    return json.dumps({"text": text, "url": f"https://site{number % 3}.example.org/{number}"}).encode() + b"\n"


def write_files(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:04d}.jsonl").write_bytes(line(number))
    return folder


def write_mixed(folder: Path) -> Path:
    """Small files of several kinds, damaged ones too, and a large one between them."""
    write_files(folder, 50)
    (folder / "0010.jsonl").write_bytes(b"{broken\n" + line(10) + line(11))
    (folder / "0011.jsonl").write_bytes(b"")
    (folder / "0012.unknown").write_bytes(b"what is this")
    (folder / "0020b.jsonl.gz").write_bytes(gzip.compress(line(20) + line(21)))
    (folder / "0021b.jsonl.gz").write_bytes(gzip.compress(line(22) + line(23))[:-9])
    (folder / "0030b.jsonl").write_bytes(b"".join(map(line, range(1500))))
    return folder


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lots, "LEAST", 1 << 30)


def units(out: Path, kind: str) -> set[str]:
    return {path.relative_to(out / "manifests").as_posix() for path in (out / "manifests" / kind).rglob("*.json")}


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_published_does_not_show_who_shared_a_unit(tmp_path, monkeypatch, moved):
    steps = [Trim(), Perilous(), ExactDedup(), *([Shuffle()] if moved else [])]
    tokens = Publication(vocabulary=VocabularyChoice(size=300), renderings=[Rendering(name="bare")])
    files = write_mixed(tmp_path / "in")
    monkeypatch.setattr(lots, "ONE_IN", 16)
    run = corpus_run(files, tmp_path / "shared", steps, publication=tokens, split=1 << 15)
    together = run.execute()
    stages = units(tmp_path / "shared", "stages/00-trim")
    assert 3 <= len(stages) <= 16 and sum(".many" in one for one in stages) >= 2
    assert list(verify(tmp_path / "shared")) == []
    assert all(group.done == group.units for group in by_label(planned(run)))

    alone(monkeypatch)
    each = corpus_run(files, tmp_path / "each", steps, publication=tokens, split=1 << 15).execute()
    assert len(units(tmp_path / "each", "stages/00-trim")) > 45
    published = tree(tmp_path / "each", PUBLISHED)
    assert len(published) > 5 * 45
    assert tree(tmp_path / "shared", PUBLISHED) == published
    for name in ("documents", "characters", "unreadable", "records"):
        assert together.get(name) == each.get(name)


def test_a_limit_ends_in_the_middle_of_a_lot(tmp_path, monkeypatch):
    files = write_files(tmp_path / "in", 40)
    monkeypatch.setattr(CorpusRun, "engine", lambda run, on_progress=None: _Serial(on_progress))
    limited = corpus_run(files, tmp_path / "limited", [Trim()], limit=25).execute()
    alone(monkeypatch)
    each = corpus_run(files, tmp_path / "each", [Trim()], limit=25).execute()
    assert each["documents"] == limited["documents"] and each["documents"]["input"] == 25
    assert tree(tmp_path / "each", PUBLISHED) == tree(tmp_path / "limited", PUBLISHED)


def test_a_thousand_files_wait_for_the_disk_about_as_often_as_one(tmp_path, monkeypatch):
    """Counted, not timed: a busy machine must not decide. Each wait is some milliseconds."""
    waits = {"now": 0}
    real = os.fsync

    def waited(file: int) -> None:
        waits["now"] += 1
        real(file)

    def together(files: list[Path]) -> None:
        waits["now"] += 1

    monkeypatch.setattr(os, "fsync", waited)
    monkeypatch.setattr(curate.run.unit, "sync_together", together)
    monkeypatch.setattr(CorpusRun, "engine", lambda run, on_progress=None: _Serial(on_progress))
    many = write_files(tmp_path / "many", 1000)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "all.jsonl").write_bytes(b"".join(map(line, range(1000))))
    counts = {}
    for name, folder in (("one", tmp_path / "one"), ("many", many)):
        waits["now"] = 0
        summary = corpus_run(folder, tmp_path / f"out-{name}", [Trim(), Perilous(), ExactDedup()]).execute()
        counts[name] = (waits["now"], summary["units"]["done"])
    # Alone, each file is 6 units, and waits 14 times.
    assert counts["many"][0] < 3 * counts["one"][0] and counts["many"][1] < 3 * counts["one"][1]
    assert len(list((tmp_path / "out-many" / "text").iterdir())) == 1000


def test_where_a_lot_ends_follows_from_names(tmp_path, monkeypatch):
    monkeypatch.setattr(lots, "ONE_IN", 64)

    def cut(folder: Path) -> list[list[str]]:
        partitions = find_inputs([Input("s", str(folder))])
        found = lots.in_lots(partitions, lots.sizes_of(partitions), 0)
        assert [number for lot in found for number in lot] == list(range(len(partitions)))
        return [[partitions[number].relative for number in lot] for lot in found]

    folder = write_files(tmp_path / "in", 1000)
    before = cut(folder)
    assert 5 < len(before) < 30 and min(map(len, before)) >= lots.LEAST
    (folder / "0000-new.jsonl").write_bytes(line(1))
    (folder / "0500.jsonl").unlink()
    after = cut(folder)
    changed = [lot for lot in after if lot not in before]
    assert len(changed) == 2 and any("0000-new.jsonl" in lot for lot in changed)
    # A large file is alone, and few small ones are units of their own.
    (folder / "0400.jsonl").write_bytes(bytes(lots.WORTH))
    assert ["0400.jsonl"] in cut(folder)
    few = write_files(tmp_path / "few", lots.LEAST - 1)
    assert cut(few) == [[path.name] for path in sorted(few.iterdir())]


def test_a_changed_file_costs_its_lot(tmp_path, monkeypatch):
    monkeypatch.setattr(lots, "ONE_IN", 20)
    folder = write_files(tmp_path / "in", 150)
    corpus_run(folder, tmp_path / "out", [Trim()]).execute()
    assert corpus_run(folder, tmp_path / "out", [Trim()]).execute()["units"]["done"] == 0
    made = len(units(tmp_path / "out", "stages"))
    assert made >= 3
    (folder / "0070.jsonl").write_bytes(line(1000))
    # Checksums, documents, text and ledger of one lot, which names no event that differs.
    again = corpus_run(folder, tmp_path / "out", [Trim()]).execute()
    assert again["units"]["done"] <= 4 and again["units"]["found_done"] >= 4 * (made - 1)
    *_, event = story(tmp_path / "out", "crawl/0070.jsonl@0")
    assert event.what == "kept" and event.document is not None and event.document.text == "document 0 "
    alone(monkeypatch)
    corpus_run(folder, tmp_path / "fresh", [Trim()]).execute()
    assert tree(tmp_path / "out", PUBLISHED) == tree(tmp_path / "fresh", PUBLISHED)


def test_files_with_other_numbers_and_other_lots_end_in_any_order(tmp_path, monkeypatch):
    """A unit that has fewer files than before must not remove what its neighbour has just written."""
    monkeypatch.setattr(lots, "ONE_IN", 20)
    monkeypatch.setattr(CorpusRun, "engine", lambda run, on_progress=None: _Backwards(on_progress))
    folder = write_files(tmp_path / "in", 80)
    corpus_run(folder, tmp_path / "out", [Trim()]).execute()
    assert len(units(tmp_path / "out", "text")) > 1
    for number in range(20, 25):
        (folder / f"{number:04d}.jsonl").unlink()
    corpus_run(folder, tmp_path / "out", [Trim()]).execute()
    assert list(verify(tmp_path / "out")) == []
    alone(monkeypatch)
    corpus_run(folder, tmp_path / "fresh", [Trim()]).execute()
    assert tree(tmp_path / "out", PUBLISHED) == tree(tmp_path / "fresh", PUBLISHED)


def test_what_stands_and_what_differs_is_told_by_file(tmp_path, monkeypatch):
    monkeypatch.setattr(CorpusRun, "engine", lambda run, on_progress=None: _Serial(on_progress))
    folder = write_files(tmp_path / "in", 40)
    (folder / "0012.jsonl").write_bytes(line(100) + line(102))
    corpus_run(folder, tmp_path / "one", [Trim(), Perilous()]).execute()
    standing = Standing.read(tmp_path / "one")
    assert standing is not None
    files = list(standing.files())
    assert [one.names for one in files] == [[f"crawl/{number:04d}.jsonl"] for number in range(40)]
    assert [one.kept for one in files] == [2 if n == 12 else int(n % 7 != 3) for n in range(40)]
    assert len({unit for one in files for unit in one.units}) == 1

    (folder / "0020.jsonl").write_bytes(line(20).replace(b"document 20", b"another text of it"))
    corpus_run(folder, tmp_path / "two", [Trim(), Perilous()]).execute()
    difference = Difference(tmp_path / "one", tmp_path / "two")
    (document,) = difference.differing()
    assert document.key == "crawl/0020.jsonl@0" and document.cause.words == "an input file is another"
    # Without most of its files it is another corpus.
    for number in range(15, 40):
        (folder / f"{number:04d}.jsonl").unlink()
    change = corpus_run(folder, tmp_path / "two", [Trim(), Perilous()]).change()
    assert change is not None and "25 of 40 input files" in change.gone and change.refusal


def test_a_small_file_that_changes_while_it_is_read_is_no_outcome(tmp_path):
    reader = tmp_path / f"reader_{tmp_path.name}.py"
    reader.write_text(SELF_CHANGING)
    (tmp_path / "in").mkdir()
    for number in range(20):
        (tmp_path / "in" / f"{number:02d}.txt").write_text("one text")
    inputs = find_inputs([Input("s", str(tmp_path / "in" / "*.txt"), format=f"{reader}:read")])
    with pytest.raises((InputError, RunError), match=r"07\.txt changed while the run read it"):
        CorpusRun("t", [], inputs, tmp_path / "out", workers=1).execute()


def test_a_lot_is_extracted_once_for_all_folders(tmp_path):
    sample = sorted((Path(__file__).parents[2] / "recipes" / "sample").glob("*.warc.gz"))[0]
    members = sample.read_bytes().split(b"\x1f\x8b\x08")[1:41]
    (tmp_path / "in").mkdir()
    for number, member in enumerate(members):
        (tmp_path / "in" / f"{number:02d}.warc.gz").write_bytes(b"\x1f\x8b\x08" + member)
    pool = open_pool(tmp_path / "pool")
    runs = [corpus_run(tmp_path / "in", tmp_path / name, [Extract(engine="resiliparse")], pool=pool) for name in "ab"]
    runs[0].execute()
    assert next(group for group in by_label(planned(runs[1])) if group.label == "extract").done == 1
    runs[1].execute()
    assert runs[1].sharing is not None and (runs[1].sharing.units, runs[1].sharing.taken) == (1, 1)
    assert tree(tmp_path / "a", PUBLISHED) == tree(tmp_path / "b", PUBLISHED)


def test_files_that_kill_their_reader_cost_themselves_and_not_their_lot(tmp_path):
    reader = tmp_path / f"reader_{tmp_path.name}.py"
    reader.write_text(READER)
    (tmp_path / "in").mkdir()
    for number in range(20):
        words = [f"one of {number}", *(["CRASH"] if number in (4, 5) else []), f"two of {number}"]
        (tmp_path / "in" / f"{number:02d}.txt").write_text("\n".join(words))
    source = Input("s", str(tmp_path / "in" / "*.txt"), format=f"{reader}:read")

    def run(steps: list) -> dict:
        return CorpusRun("t", steps, find_inputs([source]), tmp_path / "out", workers=2, max_loss=1.0).execute()

    summary = run([])
    texts = [row["text"] for path in sorted((tmp_path / "out" / "text").iterdir()) for row in read_text_shard(path)]
    assert texts == [f"{word} of {number}" for number in range(20) if number not in (4, 5) for word in ("one", "two")]
    lost = [row for path in sorted((tmp_path / "out" / "quarantine").iterdir()) for row in read_rows(path)]
    assert [row["key"] for row in lost] == ["s/04.txt@0/file", "s/05.txt@0/file"]
    assert {row["error"] for row in lost} == {"reading it 3 times killed the process (SIGSEGV)"}
    assert summary["characters"]["unreadable"] == sum((tmp_path / f"in/0{one}.txt").stat().st_size for one in (4, 5))
    assert len((tmp_path / "out" / "kills.jsonl").read_text().splitlines()) == 2
    assert run([])["units"]["done"] == 0 and list(verify(tmp_path / "out")) == []


def test_a_document_that_kills_a_worker_costs_itself_and_not_its_lot(tmp_path):
    folder = write_files(tmp_path / "in", 20)
    (folder / "0008.jsonl").write_bytes(json.dumps({"text": "CRASH of a document"}).encode() + b"\n" + line(8))
    summary = corpus_run(folder, tmp_path / "out", [Trim(), Perilous(), ExactDedup()]).execute()
    assert summary["documents"]["unreadable"] == 1
    (kill,) = (tmp_path / "out" / "kills.jsonl").read_text().splitlines()
    assert json.loads(kill)["key"] == "crawl/0008.jsonl@0"
    assert json.loads(kill)["part"].startswith("crawl-0008-jsonl-") and list(verify(tmp_path / "out")) == []
