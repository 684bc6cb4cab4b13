"""A run's signatures added to an index by units: the same bytes on any engine, and none lost when it is stopped."""

from __future__ import annotations

import pytest
import zstandard
from generated_corpus import run_step
from test_dedup import families

import curate.run.index_units as units
from curate.dedup import MinHashDedup
from curate.dedup.add import add_to_index
from curate.dedup.index import Index, IndexMismatch
from curate.places.manifest import NotAsWritten, Written
from curate.places.store import checksum
from curate.run.local import LocalEngine
from curate.run.serial import SerialEngine
from curate.shards.text import document_to_json

STEP = MinHashDedup(ranges=16)


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """What a run kept, in three files, for a layer of four."""
    monkeypatch.setattr(units, "DOCUMENTS_OF_A_FILE", 50)
    kept, _ = run_step(STEP, families(41, 70))
    documents = sorted(kept.values(), key=lambda one: one.key)
    found = []
    for number in range(3):
        place = tmp_path / f"part-{number}.jsonl.zst"
        own = documents[number::3]
        place.write_bytes(zstandard.compress(b"".join(map(document_to_json, own))))
        found.append((place, Written(checksum(place)), len(own)))
    return documents, found


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_units_leave_the_same_bytes_on_any_engine_and_what_documents_alone_would(tmp_path, parts):
    documents, found = parts
    with LocalEngine(2, 60.0) as engine:
        units.add_run_to_index(tmp_path / "two", STEP, found, "a run", engine)
    about = units.add_run_to_index(tmp_path / "one", STEP, found, "a run", SerialEngine())
    assert content(tmp_path / "one") == content(tmp_path / "two")
    (layer,) = about["layers"]
    assert len(layer["checksums"]["bands"]) == 4 and layer["documents"] == len(documents)
    add_to_index(tmp_path / "alone", STEP, documents, "a run")
    new = families(41, 80)
    outcomes = []
    for name in ("one", "alone"):
        kept, dropped = run_step(MinHashDedup(ranges=16, index=str(tmp_path / name)), new)
        outcomes.append((sorted(kept), sorted((key, str(one.value)) for key, one in dropped.items())))
    assert outcomes[0] == outcomes[1] and len(outcomes[0][1]) > 200
    with pytest.raises(IndexMismatch, match="holds a run already"):
        units.add_run_to_index(tmp_path / "one", STEP, found, "a run", SerialEngine())


def test_what_was_done_before_a_stop_is_not_done_again(tmp_path, parts, monkeypatch):
    documents, found = parts
    units.add_run_to_index(tmp_path / "sound", STEP, found, "a run", SerialEngine())
    real, sketched = units.sketch, []
    monkeypatch.setattr(units, "sketch", lambda *given: sketched.append(1) or real(*given))
    with monkeypatch.context() as stopping:
        stopping.setattr(units, "write_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            units.add_run_to_index(tmp_path / "i", STEP, found, "a run", SerialEngine())
    assert len(sketched) == 3 and not (tmp_path / "i" / "index.json").exists()
    units.add_run_to_index(tmp_path / "i", STEP, found, "a run", SerialEngine())
    assert len(sketched) == 3 and content(tmp_path / "i") == content(tmp_path / "sound")
    assert Index(tmp_path / "i").about["layers"][0]["documents"] == len(documents)


def test_a_part_that_is_not_what_the_run_wrote_is_refused_and_the_index_stays(tmp_path, parts):
    _, found = parts
    units.add_run_to_index(tmp_path / "i", STEP, found, "a run", SerialEngine())
    before = (tmp_path / "i" / "index.json").read_bytes()
    place, _, _ = found[1]
    place.write_bytes(place.read_bytes()[:-9])
    with pytest.raises(NotAsWritten, match=r"part-1\.jsonl\.zst is not what its run wrote"):
        units.add_run_to_index(tmp_path / "i", STEP, found, "another", SerialEngine())
    assert (tmp_path / "i" / "index.json").read_bytes() == before and Index(tmp_path / "i")
