"""The text of a finished run as input: it is what its run wrote, or it is refused with the file's name. (Of random
damage: tests/test_mutants.py.)"""

import json
import shutil
import warnings

import pytest
import zstandard
from engine_steps import Trim, corpus_run, write_corpus

from curate.audit.verify import kept_documents
from curate.document import Document
from curate.errors import Refused, Unchecked
from curate.places.manifest import NotAsWritten, check_written
from curate.places.store import place_of
from curate.run.corpus import CorpusRun
from curate.run.unit import seal_of
from curate.shards.text import read_text_shard
from curate.sources import Input, find_inputs, read_partition
from curate.sources.content import content_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run with several text shards."""
    folder = tmp_path_factory.mktemp("finished")
    corpus_run(write_corpus(folder / "in"), folder / "out", [Trim()]).execute()
    assert len(list((folder / "out" / "text").iterdir())) > 1
    return folder / "out"


@pytest.fixture
def out(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def texts(path):
    """The texts as a run reads them: each file's checksum first."""
    partitions = find_inputs([Input("again", str(path), format="shards")])
    for one in partitions:
        content_of(one)
    return [item.text for one in partitions for item in read_partition(one) if isinstance(item, Document)]


@pytest.mark.filterwarnings("error::curate.errors.Unchecked")
def test_sound_shards_are_read_without_a_word(finished):
    rows = [row["text"] for path in sorted((finished / "text").iterdir()) for row in read_text_shard(path)]
    assert rows and texts(finished / "text") == rows == texts(finished / "text" / "*.jsonl.zst")
    assert check_written(finished, ["text", "ledger"])


def test_frames_carry_a_checksum(finished):
    for path in (finished / "text").iterdir():
        assert zstandard.get_frame_parameters(path.read_bytes()).has_checksum


def test_a_run_over_a_changed_shard_ends_with_its_name(out, tmp_path):
    path = min((out / "text").iterdir())
    rows = [row | {"text": "other"} for row in read_text_shard(path)]
    path.write_bytes(zstandard.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    partitions = find_inputs([Input("again", str(out / "text"), format="shards")])
    with pytest.raises(Refused, match=f"{path} is not what its run wrote"):
        CorpusRun("again", [Trim()], partitions, tmp_path / "again", workers=2).execute()


def test_a_folder_that_lacks_a_shard_or_was_never_finished_is_refused(out):
    first = min((out / "text").iterdir())
    manifest = out / "manifests" / "text" / first.name.replace(".jsonl.zst", ".json")
    shard, said = first.read_bytes(), manifest.read_bytes()
    first.unlink()
    with pytest.raises(NotAsWritten, match=f"{first} is missing"):
        texts(out / "text")
    manifest.unlink()
    with pytest.raises(NotAsWritten, match=f"{out / 'text'} lacks shards"):
        texts(out / "text")
    first.write_bytes(shard)
    with pytest.raises(NotAsWritten, match=f"{first} was written by no unit"):
        texts(out / "text")
    manifest.write_bytes(said)
    (out / "goldsand.json").write_text('{"format": 99}')
    with pytest.raises(NotAsWritten, match="was written in format 99"):
        texts(out / "text")
    (out / "goldsand.json").write_text('{"format": 2}')
    (out / "summary.json").unlink()
    with pytest.raises(NotAsWritten, match="is not the folder of a finished run"):
        texts(out / "text")


def test_shards_without_manifests_are_read_after_a_warning(finished, tmp_path):
    shutil.copytree(finished / "text", tmp_path / "copy")
    with pytest.warns(Unchecked, match=r"nobody can check \d+ shards") as said:
        assert texts(tmp_path / "copy") == texts(finished / "text")
    assert len(said) == 1
    shutil.copytree(finished / "text", tmp_path / "bare" / "text")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unchecked)
        assert not check_written(tmp_path / "bare", ["text"])


def test_a_copy_of_a_store_is_known_by_its_content(out):
    """A store gives an object another mark than the one that the run noted: the bytes decide."""
    for path in (out / "manifests" / "text").iterdir():
        manifest = json.loads(path.read_text())
        manifest["marks"] = dict.fromkeys(manifest["outputs"], "an-etag:12")
        path.write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))
    assert texts(out / "text") and check_written(out, ["text"])


def test_shards_in_a_store_are_asked_for_too(tmp_path):
    out = place_of("memory://shards/out")
    corpus_run(write_corpus(tmp_path / "in"), out, [Trim()]).execute()
    assert texts("memory://shards/out/text") and check_written(out, ["text", "ledger"])
    shard = out / "text" / "00000.jsonl.zst"
    sound = shard.read_bytes()
    shard.write_bytes(zstandard.compress(b""))
    with pytest.raises(NotAsWritten, match=f"{shard} is not what its run wrote"):
        texts("memory://shards/out/text")
    shard.unlink()
    with pytest.raises(NotAsWritten, match=f"{shard} is missing"):
        texts("memory://shards/out/text/*")
    shard.write_bytes(sound)
    assert texts("memory://shards/out/text/*")


def test_kept_documents_are_those_of_whole_stages(out):
    before = [document.key for document in kept_documents(out)]
    assert before
    path = next((out / "stages").rglob("*.jsonl.zst"))
    sound = path.read_bytes()
    path.write_bytes(zstandard.compress(b""))
    with pytest.raises(NotAsWritten, match=f"{path} is not what its run wrote"):
        kept_documents(out)
    path.write_bytes(sound)
    shutil.rmtree(out / "manifests")
    with pytest.raises(Refused, match="some are missing"):
        kept_documents(out)
