"""Runs into stores: the same bytes as on a disk, finished after any death, and no secret in what they leave or say."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import fsspec
import pytest
from engine_steps import PUBLISHED, Perilous, Trim, corpus_run, tree, write_corpus
from store_server import s3_store

from curate.audit.story import story
from curate.audit.verify import verify
from curate.dedup import ExactDedup, MinHashDedup
from curate.places import lease
from curate.places.store import Place, place_of
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.lock import Lock, holder_of
from curate.run.output import Publication, Rendering, VocabularyChoice
from curate.run.status import read_status
from curate.sources import Input, InputError, find_inputs
from recipes.app.report.page import write_report
from synth.inject import Inject

ROOT = Path(__file__).parents[2]
GOLDSAND = [sys.executable, "-m", "recipes.app.start"]
SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
KEY = "AKIAIOSFODNN7EXAMPLE"
STEPS = [Trim(), Perilous(), ExactDedup(), MinHashDedup(), Inject(kind="compact", people=6, exposures=3)]
PUBLICATION = Publication(
    vocabulary=VocabularyChoice("joint", 300), renderings=[Rendering("bare"), Rendering("tagged", domain="special")]
)
INJECT = ", {inject: {kind: compact, people: 5, exposures: 2}}"
TOKENS = "output: {tokenizer: {kind: joint, size: 300}, tokens: {bare: {}}}\n"
RECIPE = f"""\
name: small
inputs: [{{path: in}}]
steps: [{{gopher_quality: {{min_words: 3}}}}, exact_dedup{INJECT}]
{TOKENS}\
max_loss: 1
engine: {{buckets: 1}}
"""


@pytest.fixture(scope="module")
def s3():
    with s3_store() as address:
        yield address


@pytest.fixture(params=["memory", "s3"])
def out(request) -> Place:
    """A place below which nothing is yet."""
    root = "memory://" if request.param == "memory" else request.getfixturevalue("s3") + "/"
    return place_of(f"{root}{uuid.uuid4().hex}/corpus")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("local")
    inputs = write_corpus(root / "in", files=2)
    run(inputs, root / "out").execute()
    return inputs, root / "out"


def run(inputs: Path, out: Place, **options) -> CorpusRun:
    # Few buckets: each is some requests, and the server on loopback takes its time for each. One worker, where it does
    # not matter: each takes half a second to load what speaks to the store.
    return corpus_run(inputs, out, STEPS, **{"publication": PUBLICATION, "buckets": 1, "workers": 1, **options})


def fetched(out: Place) -> dict[str, bytes]:
    out.fs.invalidate_cache()
    found = out.fs.cat(out.fs.find(out.path))
    return {name.removeprefix(out.path).lstrip("/"): data for name, data in found.items()}


def published(out: Place) -> dict[str, bytes]:
    return {name: data for name, data in fetched(out).items() if name.split("/")[0] in PUBLISHED}


@pytest.fixture(scope="module", params=["memory", "s3"])
def stored(request, local) -> tuple[Place, Place, dict]:
    """Inputs in a store, a finished run over them into the store, and its summary."""
    root = "memory://" if request.param == "memory" else request.getfixturevalue("s3") + "/"
    inputs = place_of(f"{root}{uuid.uuid4().hex}/in")
    for path in sorted(local[0].iterdir()):
        (inputs / path.name).write_bytes(path.read_bytes())
    out = place_of(f"{root}{uuid.uuid4().hex}/corpus")
    return inputs, out, run(inputs, out, workers=2).execute()


def test_a_run_from_a_store_into_a_store_publishes_the_same_bytes_and_does_nothing_twice(local, stored):
    _, disk = local
    inputs, out, summary = stored
    assert summary["documents"] == json.loads((disk / "summary.json").read_bytes())["documents"]
    assert published(out) == tree(disk, PUBLISHED)
    assert run(inputs, out).execute()["units"]["done"] == 0
    assert not [name for name in fetched(out) if name.endswith(".writing") or name == ".lock"]


def test_a_folder_in_a_store_is_read_like_any_other(local, stored):
    _, disk = local
    _, out, _ = stored
    assert list(verify(out)) == []
    assert read_status(out)["state"] == "finished"
    url = "https://site0.example.org/0"
    assert list(story(out, url)) == list(story(disk, url)) != []
    assert write_report(out).read_text().startswith("<!doctype html>")


def test_what_is_lost_or_changed_in_a_store_is_found_and_made_anew(stored):
    inputs, out, _ = stored
    before = published(out)
    (out / "text" / "00001.jsonl.zst").unlink()
    harmed = out / "ledger" / "00000.parquet"
    harmed.write_bytes(harmed.read_bytes()[:-1] + b"?")
    assert len(list(verify(out))) == 2
    assert run(inputs, out).execute()["units"]["done"] == 2
    assert published(out) == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "in").mkdir()
    for number in range(2):
        rows = [{"text": f"page {place} of {number}, with some words"} for place in range(200)]
        (tmp_path / "in" / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    return tmp_path


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*GOLDSAND, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def goldsand(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    process = start(folder, *arguments, **environment)
    said = "".join(process.communicate(timeout=600))
    return process.returncode, said


def test_a_run_killed_between_data_and_manifest_is_finished_to_the_same_bytes(folder, s3, within, monkeypatch):
    """There is no rename in a store: what was killed leaves data without a manifest, never the reverse; nor a manifest
    beside data of other settings, which the last run that is killed writes over those of a finished one."""
    (folder / "small.yaml").write_text(RECIPE.replace(INJECT, "").replace(TOKENS, ""))
    assert within("run", "small.yaml", "-o", "calm", cwd=folder).returncode == 0
    address = f"{s3}/{uuid.uuid4().hex}/corpus"
    out = place_of(address)
    other = ("--set", "gopher_quality.min_words=4")
    for number, (victim, settings) in enumerate((("worker", ()), ("parent", other))):
        once = folder / f"{number}.once"
        point = f"between data and manifest:{victim}:{once}"
        if victim == "parent":
            code, said = goldsand(folder, "run", "small.yaml", "-o", address, *settings, GOLDSAND_FAILPOINT=point)
        else:
            with monkeypatch.context() as patched:
                patched.setenv("GOLDSAND_FAILPOINT", point)
                done = within("run", "small.yaml", "-o", address, *settings, cwd=folder)
            code, said = done.returncode, done.stderr
        assert once.exists() and code == (-signal.SIGKILL if victim == "parent" else 0), said
        there = fetched(out)
        for name, data in there.items():
            if name.startswith("manifests/"):
                assert json.loads(data)["outputs"].keys() <= there.keys()
    assert within("run", "small.yaml", "-o", address, cwd=folder).returncode == 0
    assert published(out) == tree(folder / "calm", PUBLISHED)
    assert {name for name in fetched(out) if "/" in name} == {
        str(path.relative_to(folder / "calm")) for path in (folder / "calm").glob("*/**/*") if path.is_file()
    }


def test_the_command_line_takes_addresses_and_no_secret_is_left_or_said(folder, s3, monkeypatch, within):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    address = f"{s3}/{uuid.uuid4().hex}/corpus"
    code, output = goldsand(folder, "run", "small.yaml", "-o", address)
    assert code == 0, output
    said = [output]
    # This process has talked to the store before: as somebody else.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for arguments in (
        ("plan", "small.yaml", "-o", address, "--sample", "0"),
        ("status", address),
        ("verify", address),
        ("why", address, "crawl/0.jsonl@0"),
        ("report", address),
    ):
        result = within(*arguments, cwd=folder)
        assert result.returncode == 0, result.stderr
        said.append(result.stdout + result.stderr)
    for code, words, arguments in (
        (2, "bucket", ("run", "small.yaml", "-o", "s3://no-such-bucket/corpus")),
        (2, "credentials", ("run", "small.yaml", "-o", f"s3://{KEY}:{SECRET}@bucket/corpus")),
        (2, "no run was begun", ("status", f"{s3}/nothing")),
        (2, "not the folder of a finished run", ("verify", f"{s3}/nothing")),
        (2, "no file", ("run", "small.yaml", "--input", f"{s3}/nothing/*.jsonl", "-o", address)),
    ):
        result = within(*arguments, cwd=folder)
        assert result.returncode == code and words in result.stderr, result.stderr
        said.append(result.stdout + result.stderr)
    left = b"".join(fetched(place_of(address)).values()) + "".join(said).encode()
    assert SECRET.encode() not in left and KEY.encode() not in left


def test_a_store_that_is_not_there_is_one_sentence(folder):
    arguments = ("run", "small.yaml", "-o", "s3://bucket/corpus")
    code, said = goldsand(folder, *arguments, AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
    assert code == 2 and "Traceback" not in said and "s3://bucket/corpus" in said, said


def test_a_store_that_stops_giving_ends_the_run_and_nothing_counts_as_lost(local, s3, monkeypatch):
    from curate.places import patience
    from curate.places.remote_input import RemoteFile

    monkeypatch.setattr(patience, "PAUSES", (0.0,))
    inputs, _ = local
    root = place_of(f"memory://{uuid.uuid4().hex}")
    for path in sorted(inputs.iterdir()):
        (root / "in" / path.name).write_bytes(path.read_bytes())
    partitions = find_inputs([Input("crawl", str(root / "in"))])
    job = CorpusRun("test", STEPS, partitions, root / "out", PUBLICATION, 1, max_loss=1.0)
    sound = RemoteFile.__getitem__

    def broken(self, place):
        raise ConnectionResetError(104, "the connection was reset")

    monkeypatch.setattr(RemoteFile, "__getitem__", broken)
    with pytest.raises(
        InputError, match=r"crawl/part-0.jsonl: the store stopped serving it .*reset.*goes on from here"
    ):
        job.execute()
    monkeypatch.setattr(RemoteFile, "__getitem__", sound)
    assert job.execute()["documents"]["unreadable"] == 2


def test_a_lock_in_a_store_is_held_given_back_and_taken_from_the_dead(out, monkeypatch):
    import socket

    path = out / ".lock"
    first = Lock(path)
    first.take()
    assert holder_of(path)["process"] == os.getpid()
    with pytest.raises(RunError, match=rf"another run \(process {os.getpid()} on {socket.gethostname()}\)"):
        Lock(path).take()
    first.give_back()
    assert holder_of(path) is None and not path.is_file()
    # A process of this machine that is gone, and one of another machine that was not heard of for long.
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    path.write_text(json.dumps({"process": gone.pid, "host": socket.gethostname(), "time": time.time()}))
    assert holder_of(path) is None
    path.write_text(json.dumps({"process": 1, "host": "elsewhere", "time": time.time() - 60}))
    assert holder_of(path)["host"] == "elsewhere"
    monkeypatch.setattr(lease, "STALE", 30.0)
    second = Lock(path)
    second.take()
    second.give_back()
