"""Extraction is done once for all output folders: what is shared, what is not, and what damage and death do to it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from engine_steps import tree

from curate.audit.verify import verify
from curate.dedup import ExactDedup
from curate.errors import Refused
from curate.extract.extract import Extract
from curate.filters import GopherQuality, Language
from curate.places.lease import Lease
from curate.places.store import place_of
from curate.run import shared_extraction
from curate.run.corpus import CorpusRun
from curate.run.output import Publication
from curate.run.serial import SerialEngine
from curate.run.shared_extraction import SharedExtraction
from curate.run.stage_pool import BESIDE, contents, open_pool, pool_beside, prune
from curate.run.tasks import Part
from curate.run.unit import Pulse
from curate.sources import WHOLE, Input, find_inputs
from curate.sources.content import content_of

PAGES = 6
EXTRACT = Extract(engine="resiliparse")


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in range(PAGES):
        body = f"<p>{'The harbour was quiet that morning, and the boats lay still. ' * 12}{number}</p>"
        body = "" if number == 4 else "<p>few words</p>" if number == 5 else body
        (folder / f"{number}.html").write_text(f"<html><body><article>{body}</article></body></html>")
    return folder


@pytest.fixture
def extracted(monkeypatch) -> list[str]:
    """The pages that were extracted, one by one; runs work in this process."""
    seen: list[str] = []
    sound = Extract._extracted

    def counted(self, document, html):
        seen.append(document.key)
        return sound(self, document, html)

    monkeypatch.setattr(Extract, "_extracted", counted)
    monkeypatch.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))
    monkeypatch.setattr(shared_extraction, "LOOKS", 0.01)
    return seen


def run(pages, out, *steps, pool="beside", **options) -> CorpusRun:
    partitions = find_inputs([Input("crawl", str(pages))])
    job = CorpusRun("test", list(steps) or [EXTRACT, GopherQuality()], partitions, out, **options)
    job.steps = [step.followed_by(job.steps[place + 1 :]) for place, step in enumerate(job.steps)]
    job.__post_init__()
    job.pool = pool_beside(out) if pool == "beside" else pool
    job.execute()
    return job


def test_a_second_folder_takes_the_text_and_is_the_same_to_the_byte(pages, tmp_path, extracted):
    first = run(pages, tmp_path / "raw", EXTRACT)
    assert len(extracted) == PAGES and first.sharing.taken == 0
    second = run(pages, tmp_path / "clean", EXTRACT, GopherQuality(min_words=3), ExactDedup())
    assert len(extracted) == PAGES and (second.sharing.taken, second.sharing.units) == (1, 1)
    run(pages, tmp_path / "alone", EXTRACT, GopherQuality(min_words=3), ExactDedup(), pool=None)
    assert tree(tmp_path / "clean") == tree(tmp_path / "alone") and len(extracted) == 2 * PAGES
    (held,) = (tmp_path / "clean" / "stages" / "00-extract").glob("*.jsonl.zst")
    (first_held,) = (tmp_path / "raw" / "stages" / "00-extract").glob("*.jsonl.zst")
    assert held.samefile(first_held) and held.stat().st_nlink == 3
    # Nothing of a folder needs the pool or another folder.
    shutil.rmtree(tmp_path / "raw")
    shutil.rmtree(tmp_path / BESIDE)
    assert list(verify(tmp_path / "clean")) == []
    run(pages, tmp_path / "clean", EXTRACT, GopherQuality(min_words=4), ExactDedup(), pool=None, replace=True)
    assert list(verify(tmp_path / "clean")) == [] and len(extracted) == 2 * PAGES


@pytest.mark.parametrize("keep", ["none", "all"])
def test_what_shapes_no_extracted_byte_is_not_part_of_the_key(pages, tmp_path, extracted, keep):
    run(pages, tmp_path / "raw")
    run(pages, tmp_path / "other", publication=Publication(keep_dropped=keep), split=1 << 30, buckets=3)
    assert len(extracted) == PAGES
    run(pages, tmp_path / "alone", publication=Publication(keep_dropped=keep), pool=None)
    assert tree(tmp_path / "other", ("ledger", "text")) == tree(tmp_path / "alone", ("ledger", "text"))
    run(pages, tmp_path / "rules", Extract(engine="resiliparse", include_comments=True))
    assert len(extracted) == 3 * PAGES


def test_a_cascade_shares_where_its_rules_are_equal(pages, tmp_path, extracted):
    cascade = Extract(engine="cascade")
    run(pages, tmp_path / "a", cascade, GopherQuality())
    run(pages, tmp_path / "b", cascade, GopherQuality(), ExactDedup())
    run(pages, tmp_path / "c", cascade, GopherQuality(), publication=Publication(keep_dropped="none"))
    assert len(extracted) == PAGES
    run(pages, tmp_path / "d", cascade, GopherQuality(min_words=5))
    run(pages, tmp_path / "e", cascade, GopherQuality(), Language())
    assert len(extracted) == 3 * PAGES
    # Without rules to ask it is trafilatura.
    run(pages, tmp_path / "f", cascade)
    run(pages, tmp_path / "g", Extract(), GopherQuality())
    assert len(extracted) == 4 * PAGES


def files_of(pool: Path) -> list[Path]:
    return sorted(path for path in (pool / "units").rglob("*") if path.is_file())


def test_damage_in_the_pool_is_noticed_and_mended(pages, tmp_path, extracted):
    run(pages, tmp_path / "raw")
    pool = tmp_path / BESIDE
    for path in files_of(pool):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        # In place: the first folder's file is the same one.
        path.write_bytes(data)
    run(pages, tmp_path / "clean")
    assert len(extracted) == 2 * PAGES and list(verify(tmp_path / "clean")) == []
    assert "is not what unit" in " ".join(verify(tmp_path / "raw"))
    run(pages, tmp_path / "raw")
    assert len(extracted) == 2 * PAGES and list(verify(tmp_path / "raw")) == []
    for path in (pool / "manifests").rglob("*.json"):
        path.write_text(path.read_text().replace('"documents":6', '"documents":7'))
    run(pages, tmp_path / "third")
    assert len(extracted) == 3 * PAGES and list(verify(tmp_path / "third")) == []


def test_a_second_name_that_a_killed_run_left_is_not_written_through(pages, tmp_path, extracted):
    run(pages, tmp_path / "raw")
    pool = tmp_path / BESIDE
    before = {path.name: path.read_bytes() for path in files_of(pool)}
    job = run(pages, tmp_path / "clean", Extract(engine="resiliparse", include_tables=False))
    (held,) = (tmp_path / "clean" / "stages" / "00-extract").glob("*.jsonl.zst")
    shutil.rmtree(job.out / "manifests")
    held.unlink()
    kept = next(path for path in files_of(pool) if path.name in before and path.name.endswith(".jsonl.zst"))
    os.link(kept, held.with_name(held.name + ".writing"))
    run(pages, tmp_path / "clean", Extract(engine="resiliparse", max_nodes=5), pool=None)
    assert {name: (kept.parent / name).read_bytes() for name in before} == before


def unit(pages: Path, out: Path, pool: Path) -> SharedExtraction:
    (partition,) = find_inputs([Input("crawl", str(pages))])
    job = CorpusRun("test", [EXTRACT], [partition], out, pool=pool)
    part = Part(0, "part", partition, WHOLE, 0, content_of(partition))
    task = job._map_task(job.stages[0], part)
    assert isinstance(task, SharedExtraction)
    return task


def test_of_two_runs_one_builds_and_the_other_waits(pages, tmp_path, extracted, monkeypatch):
    pool = open_pool(tmp_path / "pool")
    slow = Extract._extracted
    monkeypatch.setattr(Extract, "_extracted", lambda *given: time.sleep(0.02) or slow(*given))
    tasks = [unit(pages, tmp_path / name, pool) for name in "abc"]
    done: list[dict] = []
    threads = [threading.Thread(target=lambda task=task: done.append(task.run(Pulse()))) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(extracted) == PAGES and sum("from_pool" in one for one in done) == 2
    assert (
        len({json.dumps(one["outputs"], sort_keys=True) for one in done}) == 1
        and list((pool / "leases").iterdir()) == []
    )


def test_the_lease_of_a_dead_builder_expires(pages, tmp_path, extracted):
    pool = open_pool(tmp_path / "pool")
    task = unit(pages, tmp_path / "out", pool)
    key = unit(pages, tmp_path / "x", open_pool(tmp_path / "other")).run(Pulse())["fingerprint"]
    path = pool / "leases" / f"{key}.json"
    path.parent.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, now = socket.gethostname(), time.time()
    for holder in (
        {"process": gone.pid, "host": here, "time": now},
        {"process": 1, "host": "elsewhere", "time": now - 100},
        {"process": 1, "host": "elsewhere", "time": now + 1000},
    ):
        path.write_text(json.dumps(holder))
        lease = Lease(path)
        assert lease.take() and not Lease(path).take()
        lease.give_back()
    path.write_text(json.dumps({"process": 1, "host": "elsewhere", "time": now}))
    assert not Lease(path).take()
    working = threading.Thread(target=task.run, args=(Pulse(),))
    working.start()
    working.join(0.3)
    assert working.is_alive() and len(extracted) == PAGES
    path.unlink()
    working.join()
    assert len(extracted) == 2 * PAGES and not path.exists()


def test_what_goes_is_what_no_folder_uses_and_then_what_is_old(pages, tmp_path, extracted):
    pool = tmp_path / BESIDE
    for name, step in (("a", EXTRACT), ("b", Extract(engine="resiliparse", max_nodes=9)), ("c", Extract())):
        run(pages, tmp_path / name, step)
    shutil.rmtree(tmp_path / "b")
    units = contents(pool)
    assert sorted(len(one.folders) for one in units) == [0, 1, 1]
    (unused,) = [one for one in units if one.unused]
    assert prune(pool, units, True, None, dry_run=True) == [unused] and len(contents(pool)) == 3
    held = Lease(pool / "leases" / f"{unused.key}.json")
    held.take()
    assert prune(pool, units, True, None, dry_run=False) == [] and len(contents(pool)) == 3
    held.give_back()
    goes = prune(pool, units, False, max(one.size for one in units), dry_run=True)
    assert goes[0] == unused and goes[1].folders == (str(tmp_path / "a"),)
    stray = pool / "units" / "00" / "00half.jsonl.zst"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"a builder was killed between data and manifest")
    assert prune(pool, units, True, None, dry_run=False) == [unused] and len(contents(pool)) == 2
    assert not stray.exists()
    prune(pool, contents(pool), False, 0, dry_run=False)
    assert contents(pool) == [] and files_of(pool) == []
    assert list(verify(tmp_path / "a")) == [] and len(extracted) == 3 * PAGES
    # A finished folder fills the pool again without extracting anything.
    run(pages, tmp_path / "a", EXTRACT)
    assert len(contents(pool)) == 1 and len(extracted) == 3 * PAGES


def test_a_pool_in_a_store_holds_copies(pages, tmp_path, extracted):
    pool = open_pool(place_of(f"memory://{uuid.uuid4().hex}"))
    run(pages, tmp_path / "a", pool=pool)
    assert run(pages, tmp_path / "b", pool=pool).sharing.taken == 1 and len(extracted) == PAGES
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    out = place_of(f"memory://{uuid.uuid4().hex}") / "out"
    assert run(pages, out, pool=pool).sharing.taken == 1 and list(verify(out)) == []
    units = contents(pool)
    assert units[0].folders == (str(tmp_path / "a"), str(tmp_path / "b"), str(out)) and units[0].size > 0
    prune(pool, units, False, 0, dry_run=False)
    assert contents(pool) == [] and list(verify(out)) == []


def test_a_pool_is_no_other_folder(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(Refused, match="holds other files than shared stages"):
        open_pool(tmp_path / "letters")
    with pytest.raises(Refused, match="holds no shared stages"):
        contents(tmp_path / "letters")
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="stages cannot be shared in"):
        open_pool(tmp_path / "file" / "pool")
    assert pool_beside(place_of("memory://bucket/out")) is None
    pool = open_pool(tmp_path / "newer")
    (pool / "goldsand-stages.json").write_text('{"format": 99}')
    with pytest.raises(Refused, match="format 99"):
        open_pool(pool)


def test_a_pool_that_cannot_be_written_costs_sharing_alone(pages, tmp_path, extracted):
    pool = open_pool(tmp_path / "pool")
    (pool / "units").write_text("a file where a folder should be")
    job = run(pages, tmp_path / "out", pool=pool)
    assert job.sharing.not_shared and list(verify(job.out)) == []
    assert replace(job.sharing, not_shared="") != job.sharing
