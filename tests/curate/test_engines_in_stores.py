"""Shards and a Ray cluster over an object store: the same bytes, through whatever a store does for a moment."""

import http.client
import itertools
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import fsspec
import pytest
from engine_steps import PUBLISHED, Trim, corpus_run, tree, write_corpus

pytest.importorskip("moto")
pytest.importorskip("s3fs")

from store_server import s3_store

from curate.audit.verify import verify
from curate.errors import Refused
from curate.places.claims import make_once, refuse_unfit
from curate.places.store import Place, place_of
from curate.run.corpus import CorpusRun
from curate.run.ray_engine import RayCluster
from curate.run.session import Shard
from curate.run.sharded import ShardedRun
from curate.sources import Input, find_inputs

STEPS = [Trim()]
SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
KEY = "AKIAIOSFODNN7EXAMPLE"


class Trouble(BaseHTTPRequestHandler):
    """Passes requests on; of some, the answer is 503, a reset connection, or half of what was asked for."""

    protocol_version = "HTTP/1.1"
    behind = ""
    numbers = itertools.count()
    done: ClassVar[set[str]] = set()
    owed: ClassVar[list[str]] = []

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        number = next(self.numbers)
        if number % 15 == 9:
            self.owed.append(("busy", "reset", "short")[number // 15 % 3])
        # Only what was asked for can be cut short.
        due = self.owed and (self.owed[0] != "short" or (self.command == "GET" and "Range" in self.headers))
        kind = self.owed.pop(0) if due else ""
        if kind == "busy":
            self.done.add(kind)
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "reset":
            self.done.add(kind)
            self.connection.close()
            self.close_connection = True
            return
        client = http.client.HTTPConnection(self.behind)
        client.request(self.command, self.path, body, dict(self.headers.items()))
        got = client.getresponse()
        data = got.read()
        self.send_response(got.status)
        for name, value in got.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        size = got.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", size or "0")
        self.end_headers()
        if kind == "short" and len(data) > 20 and self.command == "GET":
            self.done.add(kind)
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer


@contextmanager
def troubled() -> Iterator[set[str]]:
    """The store behind a server that fails now and then; what it has done."""
    address = os.environ["AWS_ENDPOINT_URL"]
    Trouble.behind = urlsplit(address).netloc
    Trouble.done = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Trouble)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_port}"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        yield Trouble.done
    finally:
        os.environ["AWS_ENDPOINT_URL"] = address
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        server.shutdown()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_store() as address:
        yield address


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("local")
    corpus_run(write_corpus(root / "in", files=1), root / "out", STEPS, workers=1, buckets=1).execute()
    return root


@pytest.fixture
def place(s3, local) -> Place:
    """A folder in the store in which the input lies."""
    root = place_of(f"{s3}/{uuid.uuid4().hex}")
    for path in (local / "in").iterdir():
        (root / "in" / path.name).write_bytes(path.read_bytes())
    return root


def job(place: Place, **more) -> CorpusRun:
    partitions = find_inputs([Input("crawl", str(place / "in"))])
    return CorpusRun("test", STEPS, partitions, place / "out", buckets=1, workers=1, max_loss=1.0, **more)


@pytest.fixture
def credentials(s3, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    # This process has talked to the store before: as somebody else.
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def published(out: Place) -> dict[str, bytes]:
    """What a run published, once it is sure that nothing in its folder tells how the store was entered."""
    out.fs.invalidate_cache()
    found = out.fs.cat(out.fs.find(out.path))
    assert found and not [name for name, data in found.items() if SECRET.encode() in data or KEY.encode() in data]
    named = {name.removeprefix(out.path).lstrip("/"): data for name, data in found.items()}
    return {name: data for name, data in named.items() if name.split("/")[0] in PUBLISHED}


def test_a_store_makes_a_name_once(s3):
    place = place_of(f"{s3}/{uuid.uuid4().hex}")
    refuse_unfit(place)
    assert make_once(place / "a", b"one") and not make_once(place / "a", b"two")
    assert (place / "a").read_bytes() == b"one"


def test_a_store_that_knows_no_condition_is_refused(s3, monkeypatch):
    place = place_of(f"{s3}/{uuid.uuid4().hex}")
    put = place.fs.pipe_file
    monkeypatch.setattr(place.fs, "pipe_file", lambda path, data, mode="": put(path, data))
    with pytest.raises(Refused, match="no exclusive create"):
        refuse_unfit(place)


def test_shards_share_a_run_in_a_store_that_fails_now_and_then(credentials, local, place):
    with troubled() as done:
        shards = [ShardedRun.of(job(place), Shard(number, 2)) for number in range(2)]
        results: list = []
        threads = [threading.Thread(target=lambda one=one: results.append(one.execute())) for one in shards]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
    assert len(results) == 2 and results[0] == results[1]
    assert published(place / "out") == tree(local / "out", PUBLISHED) and list(verify(place / "out")) == []
    assert done == {"busy", "reset", "short"}


@pytest.mark.slow
def test_a_cluster_works_from_a_store_into_a_store(credentials, local, place):
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80 << 20)
    try:
        job(place, cluster=RayCluster("auto")).execute()
        logs = Path(ray._private.worker._global_node.get_logs_dir_path())
        told = [path for path in logs.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert list(logs.iterdir()) and not told
    finally:
        ray.shutdown()
    assert published(place / "out") == tree(local / "out", PUBLISHED)
