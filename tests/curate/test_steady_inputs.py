"""An input that changes while a run reads it, or hides for a moment, is an error of the run and no outcome of it."""

import errno
import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from engine_steps import PUBLISHED, corpus_run, tree

from curate import Document, Edit, param
from curate.document import Unreadable
from curate.places import patience
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.serial import SerialEngine
from curate.run.tasks import readable
from curate.shards.text import read_text_shard
from curate.sources import Input, InputError, find_inputs, hub, path_of, split
from curate.sources.content import content_of
from curate.sources.partition import HubSet, Partition
from curate.sources.steady import CannotBeRead, Changed, refuse_changed, stamp_of


@dataclass(frozen=True)
class Meddles(Edit):
    """At the text TURN, changes a file as another program would, once: then there is .FILE.done."""

    name = "meddles"
    file: str = param("", "the file")
    how: str = param("", "what is done to it")
    words: str | None = param(None, "a file of words", path=True)

    def edit(self, document: Document) -> str:
        file = Path(self.file)
        done = file.with_name(f".{file.name}.done")
        if document.text == "TURN" and not done.exists():
            done.touch()
            meddle(file, self.how)
        return document.text


@dataclass(frozen=True)
class Replaces(Edit):
    """At the text TURN, puts another object into a store."""

    name = "replaces"
    address: str = param("", "the object")

    def edit(self, document: Document) -> str:
        path = path_of(self.address)
        if document.text == "TURN" and b"old" in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(b"old", b"new"))
        return document.text


def meddle(file: Path, how: str) -> None:
    content, status = file.read_bytes(), file.stat()
    other = content.replace(b"old", b"new")
    if how == "replaced":
        beside = file.with_name(".beside")
        beside.write_bytes(other)
        # As `cp -p` and `rsync -t` leave it: size and time tell nothing.
        os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
        beside.rename(file)
    elif how == "rewritten with its old time":
        file.write_bytes(other)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "grown":
        file.write_bytes(content + b'{"text": "new at the end"}\n')
    elif how == "cut shorter":
        os.truncate(file, len(content) // 2)
    elif how == "emptied":
        os.truncate(file, 0)
    elif how == "gone":
        file.unlink()
    else:
        file.write_bytes(other)


def write(path: Path, documents: int = 60, turn: int | None = 30, filler: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [f"old document {number} of {path.stem}{filler}" for number in range(documents)]
    if turn is not None:
        texts[turn] = "TURN"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def texts_of(out: Path) -> list[str]:
    return [row["text"] for path in sorted((out / "text").iterdir()) for row in read_text_shard(path)]


@pytest.fixture
def here(monkeypatch) -> None:
    """Runs in this process, which waits for nothing."""
    monkeypatch.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("how", ["rewritten", "rewritten with its old time", "replaced", "grown", "cut shorter"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_changes_while_it_is_read_ends_the_run_and_is_read_anew(tmp_path, how, workers):
    changed = write(tmp_path / "in" / "a.jsonl")
    write(tmp_path / "in" / "b.jsonl", turn=None)
    steps = [Meddles(file=str(changed), how=how)]
    out = tmp_path / "out"
    with pytest.raises(RunError, match=r"in/a\.jsonl changed while the run read it.*run the same command again"):
        corpus_run(tmp_path / "in", out, steps, workers=workers).execute()
    assert not (out / "summary.json").exists() and not (out / "text").exists()
    assert not list((out / "manifests" / "stages").rglob("*-a-jsonl-*"))
    summary = corpus_run(tmp_path / "in", out, steps, workers=workers).execute()
    whole = [json.loads(line)["text"] for line in changed.read_text().splitlines() if line.endswith("}")]
    assert texts_of(out)[: len(whole)] == whole and summary["documents"]["unreadable"] == (how == "cut shorter")


def test_a_file_that_changes_while_it_is_looked_through_for_cuts(tmp_path, here, monkeypatch):
    changed = write(tmp_path / "in" / "a.jsonl")
    cut = split.cut

    def meddling(partition, size):
        meddle(changed, "rewritten with its old time")
        return cut(partition, size)

    with monkeypatch.context() as patched:
        patched.setattr(split, "cut", meddling)
        with pytest.raises(Changed, match=r"in/a\.jsonl changed"):
            corpus_run(tmp_path / "in", tmp_path / "out", []).execute()
    assert not list((tmp_path / "out" / "manifests").rglob("*.json"))
    corpus_run(tmp_path / "in", tmp_path / "out", []).execute()
    assert texts_of(tmp_path / "out")[0] == "new document 0 of a"


def test_a_piece_read_before_the_change_does_not_stand_beside_one_read_after_it(tmp_path, here):
    """Cut files: what was done of a file before it changed is done again, though its unit had ended well."""
    changed = write(tmp_path / "in" / "a.jsonl", documents=200, turn=None)
    write(tmp_path / "in" / "b.jsonl")
    steps = [Meddles(file=str(changed), how="rewritten")]
    out = tmp_path / "out"
    with pytest.raises(Changed, match=r"in/a\.jsonl changed"):
        corpus_run(tmp_path / "in", out, steps, split=1000).execute()
    # Every unit had ended; only together they are of no file.
    assert len(list((out / "stages").rglob("crawl-a-jsonl-*.jsonl.zst"))) > 3 and not (out / "text").exists()
    corpus_run(tmp_path / "in", out, steps, split=1000).execute()
    assert sum(text.startswith("new") for text in texts_of(out)) == 200


def test_a_file_cut_shorter_under_a_mapping_is_no_document_that_kills(tmp_path):
    """Whoever reads on where a mapped file has ended gets SIGBUS: no document and no format is to blame."""
    changed = write(tmp_path / "in" / "a.jsonl", documents=50, turn=3, filler="x" * 100_000)
    run = corpus_run(tmp_path / "in", tmp_path / "out", [Meddles(file=str(changed), how="emptied")], workers=1)
    with pytest.raises(RunError, match=r"in/a\.jsonl changed while the run read it"):
        run.execute()
    assert not (tmp_path / "out" / "kills.jsonl").exists()


def test_a_word_list_that_changes_ends_the_run(tmp_path, here):
    words = write(tmp_path / "words.txt")
    write(tmp_path / "in" / "a.jsonl")
    steps = [Meddles(file=str(words), how="rewritten with its old time", words=str(words))]
    with pytest.raises(InputError, match=r"words\.txt changed while the run was using it"):
        corpus_run(tmp_path / "in", tmp_path / "out", steps).execute()
    assert not list((tmp_path / "out" / "manifests").rglob("stages/**/*.json"))
    corpus_run(tmp_path / "in", tmp_path / "out", steps).execute()


def test_a_name_more_or_other_rights_change_no_content(tmp_path):
    partition = one(write(tmp_path / "a.jsonl"))
    before, content = stamp_of(partition), content_of(partition)
    os.link(tmp_path / "a.jsonl", tmp_path / "a.link")
    (tmp_path / "a.jsonl").chmod(0o600)
    assert stamp_of(partition) != before
    refuse_changed(partition, before, content, last=True)


def one(path: Path, format: str = "auto"):
    (partition,) = find_inputs([Input("s", str(path), format=format)])
    return partition


def away(monkeypatch, path: Path, back: bool) -> Callable[[], None]:
    """Take a file away, which comes back in the second pause, or does not."""
    monkeypatch.setattr(patience, "PAUSES", (1.0, 2.0, 3.0))
    hidden = path.with_name(f".{path.name}.hidden")
    path.rename(hidden)
    pauses = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if back and len(pauses) == 2:
            hidden.rename(path)

    monkeypatch.setattr(patience.time, "sleep", wait)
    return lambda: hidden.rename(path)


READER = """\
from curate.document import Document

def read(path):
    for number, line in enumerate(open(path)):
        yield Document(key=str(number), text=line)
"""


def inputs_of_every_format(folder: Path) -> Iterator[tuple[Path, str]]:
    rows = "".join(json.dumps({"text": f"document {number}"}) + "\n" for number in range(5)).encode()
    (folder / "a.jsonl").write_bytes(rows)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(rows))
    head = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 5\r\n\r\nwords\r\n\r\n"
    (folder / "c.warc").write_bytes(head * 5)
    (folder / "d.html").write_bytes(b"<html><p>words</p></html>")
    (folder / "reader_of_steady_inputs.py").write_text(READER)
    (folder / "e.txt").write_bytes(rows)
    yield from ((folder / name, "auto") for name in ("a.jsonl", "b.jsonl.gz", "c.warc", "d.html"))
    yield folder / "a.jsonl", "shards"
    yield folder / "e.txt", f"{folder / 'reader_of_steady_inputs.py'}:read"
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return
    table = pyarrow.table({"text": ["one", "two"]})
    parquet.write_table(table, folder / "f.parquet")
    with pyarrow.OSFile(str(folder / "g.arrow"), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    yield folder / "f.parquet", "auto"
    yield folder / "g.arrow", "auto"


@pytest.mark.filterwarnings("ignore:.*nobody can check")
def test_every_format_waits_for_a_file_and_counts_nothing_of_it_as_lost(tmp_path):
    for path, format in inputs_of_every_format(tmp_path):
        partition = one(path, format)
        calm = list(readable(partition))
        assert all(isinstance(item, Document) for item in calm) and calm
        with pytest.MonkeyPatch.context() as patched:
            away(patched, path, back=True)
            assert list(readable(partition)) == calm
        with pytest.MonkeyPatch.context() as patched:
            bring_back = away(patched, path, back=False)
            with pytest.raises(CannotBeRead, match=rf"{path.name}.*cannot be read.*tried 4 times.*goes on from here"):
                list(readable(partition))
            bring_back()


@pytest.mark.parametrize("error", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ETIMEDOUT, errno.EISDIR])
def test_a_file_that_cannot_be_read_ends_the_run_which_the_same_command_finishes(tmp_path, here, monkeypatch, error):
    inputs = tmp_path / "in"
    write(inputs / "a.jsonl", turn=None)
    write(inputs / "b.jsonl", turn=None)
    corpus_run(inputs, tmp_path / "calm", []).execute()
    opened, failures = Path.open, []

    def fails(self, *arguments, **options):
        if self.name == "b.jsonl" and (len(failures) < 4 or None in failures):
            failures.append(error)
            raise OSError(error, os.strerror(error), str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", fails)
    with pytest.raises(CannotBeRead, match=rf"crawl/b\.jsonl.*{os.strerror(error)}"):
        corpus_run(inputs, tmp_path / "out", []).execute()
    assert not list((tmp_path / "out" / "manifests").rglob("*b-jsonl*"))
    # Twice only: the run waits, and goes on.
    del failures[2:]
    corpus_run(inputs, tmp_path / "out", []).execute()
    assert tree(tmp_path / "out", PUBLISHED) == tree(tmp_path / "calm", PUBLISHED)


def test_a_page_that_disappears_is_no_loss_and_no_silence(tmp_path, here):
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(3):
        (inputs / f"{number}.html").write_text(f"<html><p>page {number}</p></html>")
    run = corpus_run(inputs, tmp_path / "out", [Meddles(file=str(inputs / "1.html"), how="gone")])
    (inputs / "1.html").unlink()
    with pytest.raises(CannotBeRead, match=r"in/1\.html"):
        run.execute()


def test_a_folder_that_cannot_be_listed_is_not_passed_over(tmp_path, monkeypatch):
    write(tmp_path / "in" / "a.jsonl")
    write(tmp_path / "in" / "deep" / "b.jsonl")
    assert len(find_inputs([Input("s", f"{tmp_path}/in/**/*.jsonl")])) == 2
    assert len(find_inputs([Input("s", f"{tmp_path}/in/**")])) == 2
    assert len(find_inputs([Input("s", f"{tmp_path}/*/deep/b*")])) == 1
    monkeypatch.setattr(patience, "PAUSES", (0.0,))
    listed = os.scandir

    def denied(path="."):
        if Path(path).name == "deep":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", denied)
    for below in ("", "/**", "/**/*.jsonl", "/*/b*"):
        with pytest.raises(InputError, match=r"in/deep' cannot be listed or looked at: Permission denied"):
            find_inputs([Input("s", f"{tmp_path}/in{below}")])


def test_a_link_to_a_disk_that_is_away_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "PAUSES", (0.0,))
    write(tmp_path / "in" / "a.jsonl")
    (tmp_path / "in" / ".hidden").symlink_to(tmp_path / "gone")
    (tmp_path / "in" / "b.jsonl").symlink_to(tmp_path / "disk" / "b.jsonl")
    for below in ("", "/*.jsonl", "/**"):
        with pytest.raises(InputError, match=r"in/b\.jsonl' cannot be listed or looked at: No such file"):
            find_inputs([Input("s", f"{tmp_path}/in{below}")])
    write(tmp_path / "disk" / "b.jsonl")
    assert len(find_inputs([Input("s", f"{tmp_path}/in")])) == 2


def test_an_error_of_content_is_a_loss_and_no_error_of_the_run(tmp_path):
    (tmp_path / "bad_reader_of_steady_inputs.py").write_text(
        "import gzip\ndef read(path):\n    yield from gzip.open(path)\n"
    )
    (tmp_path / "a.txt").write_text("no gzip\n")
    (item,) = readable(one(tmp_path / "a.txt", f"{tmp_path / 'bad_reader_of_steady_inputs.py'}:read"))
    assert isinstance(item, Unreadable) and "BadGzipFile" in item.error and item.lost == 8
    assert not patience.passes(OSError("a library's word for bad content"))
    assert patience.passes(TimeoutError()) and patience.passes(OSError(errno.ESTALE, "stale"))


@pytest.fixture
def server(monkeypatch) -> Iterator[tuple[str, list[int], list[bytes]]]:
    """A page server that answers with the statuses of a list before it serves, and what it serves."""
    refusals: list[int] = []
    content = [b""]

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if refusals:
                self.send_response(refusals.pop())
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body, status = content[0], 200
            if asked := self.headers.get("Range"):
                first, last = asked.removeprefix("bytes=").split("-")
                body, status = body[int(first) : int(last) + 1], 206
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            return None

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/a.jsonl", refusals, content
    served.shutdown()


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_store_that_is_busy_is_asked_again_and_then_ends_the_run(server, tmp_path, here, status):
    pytest.importorskip("aiohttp")
    address, refusals, content = server
    content[0] = b'{"text": "served"}\n' * 3
    partitions = find_inputs([Input("s", address)])
    refusals[:] = [status] * 1000
    with pytest.raises(CannotBeRead, match=r"s/a\.jsonl.*the store stopped serving it.*goes on from here"):
        CorpusRun("test", [], partitions, tmp_path / "out").execute()
    assert not list((tmp_path / "out" / "manifests").rglob("*.json"))
    refusals[:] = [status] * 3
    assert CorpusRun("test", [], partitions, tmp_path / "out").execute()["documents"]["kept"] == 3
    assert not refusals


def test_an_object_that_changes_while_it_is_read_ends_the_run(tmp_path, here):
    address = f"memory://{tmp_path.name}/a.jsonl"
    path = path_of(address)
    path.write_bytes(b'{"text": "old"}\n{"text": "TURN"}\n')
    run = CorpusRun("test", [Replaces(address=address)], find_inputs([Input("s", address)]), tmp_path / "out")
    with pytest.raises(Changed, match=r"a\.jsonl changed while the run read it"):
        run.execute()
    run.execute()
    assert texts_of(tmp_path / "out") == ["new", "TURN"]


def test_a_hub_out_of_reach_ends_the_run_and_a_broken_data_set_is_a_loss(monkeypatch):
    away = type("ReadTimeout", (Exception,), {"__module__": "httpx"})("the hub does not answer")
    wrapped = RuntimeError("while a data set was read")
    wrapped.__cause__ = away
    partition = Partition(
        "h", Path("owner/set"), "owner/set", "hub", dataset=HubSet("owner/set", None, "train", True, "a")
    )
    for error in (away, wrapped, OSError("bad content"), ValueError("bad content")):

        def rows(*arguments, error=error):
            yield {"text": "one"}
            raise error

        monkeypatch.setattr(hub, "_loaded", lambda *arguments, rows=rows: (rows(), []))
        items = readable(partition)
        assert next(items).text == "one"
        if "bad content" in str(error):
            assert "the data set is broken: bad content" in next(items).error
        else:
            with pytest.raises(CannotBeRead, match=r"h/owner/set"):
                next(items)
