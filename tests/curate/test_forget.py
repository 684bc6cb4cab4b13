"""The step `forget`: what was asked to be removed leaves the corpus, and no text of it stays in the ledger."""

from pathlib import Path

import pytest

from curate.audit.verify import verify
from curate.dedup.exact import ExactDedup
from curate.document import Document, Drop
from curate.errors import Refused
from curate.extract.extract import Extract
from curate.filters import GopherQuality
from curate.rights.forget import Forget
from curate.run.corpus import CorpusRun
from curate.run.ledger import read_ledger
from curate.run.output import Publication, Rendering, VocabularyChoice
from curate.run.publish import TextTask
from curate.run.stage_outputs import Published
from curate.shards.text import read_text_shard
from curate.shards.tokens import TokenShards
from curate.sources import Input, find_inputs


def record(url: str, text: str) -> bytes:
    page = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><p>{text}</p></body></html>".encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Length: {len(page)}\r\n\r\n"
    return head.encode() + page + b"\r\n\r\n"


def forget(tmp_path: Path, *lines: str) -> Forget:
    file = tmp_path / "forget.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    return Forget(str(file))


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("https://a.example/people/ann", {"/people/ann", "/people/ann?full=1", "/people/ann/photos"}),
        ("http://www.a.example/people/ann?full=1", {"/people/ann?full=1"}),
        ("a.example/people", {"/people/ann", "/people/ann?full=1", "/people/ann/photos", "/people/bob"}),
        ("a.example", {"/people/ann", "/people/ann?full=1", "/people/ann/photos", "/people/bob", "/"}),
        ("A.Example", {"/people/ann", "/people/ann?full=1", "/people/ann/photos", "/people/bob", "/"}),
        ("web/a.warc.gz@4", {"/"}),
        ("web/a.warc.gz@40", set()),
        ("https://a.example/people/an", set()),
        ("other.a.example", set()),
        ("# a.example", set()),
    ],
)
def test_a_line_is_an_address_with_all_below_it_or_a_domain_or_an_id(tmp_path, line, gone):
    paths = ["/people/ann", "/people/ann?full=1", "/people/ann/photos", "/people/bob", "/"]
    pages = [Document(f"web/a.warc.gz@{n}", "t", url=f"https://www.a.example{path}") for n, path in enumerate(paths)]
    pages += [Document("web/b@0", "t", url="https://b.org/people/ann"), Document("web/b@1", "t")]
    step = forget(tmp_path, "", line)
    step.open()
    dropped = [item for item in step.apply(pages) if isinstance(item, Drop)]
    assert {one.document.url.removeprefix("https://www.a.example") for one in dropped} == gone
    assert {one.rule for one in dropped} <= {"on_request"}


def test_a_domain_given_in_letters_of_its_own_is_the_one_that_name_servers_know(tmp_path):
    step = forget(tmp_path, "bücher.example")
    assert not step("A text.", url="https://shop.xn--bcher-kva.example/1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a.example\nhttps:///people\n", "line 2: 'https:///people' is no address"),
        (b"https://a.example/x y\n", "line 1: 'https://a.example/x y' is no address"),
        (b"caf\xe9.example\n", "not UTF-8"),
    ],
)
def test_a_line_that_names_nothing_is_refused(tmp_path, content, said):
    (tmp_path / "forget.txt").write_bytes(content)
    with pytest.raises(Refused, match=said):
        Forget(str(tmp_path / "forget.txt")).open()
    with pytest.raises(Refused, match="there is no file"):
        Forget(str(tmp_path / "none.txt"))


def test_in_a_run_no_copy_comes_back_and_no_text_stays(tmp_path):
    written = "{} lived in the old hall by the river, and wrote letters to all of them for a year."
    texts = {"a.example/ann": written.format("Ann"), "b.example/ann": written.format("Ann")}
    texts |= {"a.example/hall": "The hall was built in 1911 by masons from the next valley."}
    # Dropped by a rule before, and asked for all the same; and one that nobody asked for.
    texts |= {"a.example/ann/2": "Ann writes.", "c.example/ann": "Bob writes."}
    (tmp_path / "in.warc").write_bytes(b"".join(record(f"https://{url}", text) for url, text in texts.items()))
    steps = [
        Extract(engine="resiliparse"),
        ExactDedup(),
        GopherQuality(min_words=5, min_stop_words=0),
        forget(tmp_path, "https://a.example/ann"),
    ]
    publication = Publication(
        keep_dropped="all",
        vocabulary=VocabularyChoice(kind="bpe", size=300),
        renderings=[Rendering("raw", source="extract"), Rendering("curated")],
    )
    out = tmp_path / "out"
    given = ("corpus", steps, find_inputs([Input("web", str(tmp_path / "in.warc"))]), out, publication)
    summary = CorpusRun(*given, workers=1).execute()
    assert [row["url"] for row in read_text_shard(out / "text/00000.jsonl.zst")] == ["https://a.example/hall"]
    assert summary["reasons"] == {
        "gopher_quality.gopher_short_doc": 2,
        "exact_dedup.duplicate": 1,
        "forget.on_request": 1,
    }
    ledger = [row for row in read_ledger(out / "ledger/00000.parquet") if row["event"] == "drop"]
    assert {row["url"].removeprefix("https://"): (row["step"], row["text"] or "") for row in ledger} == {
        "a.example/ann": ("forget", ""),
        "b.example/ann": ("exact_dedup", texts["b.example/ann"]),
        "a.example/ann/2": ("gopher_quality", ""),
        "c.example/ann": ("gopher_quality", "Bob writes."),
    }
    assert [row["value"] for row in ledger if row["step"] == "forget"] == ["a.example/ann"]
    sets = [TokenShards.open(out / "tokens" / name).metadata["documents"] for name in ("raw", "curated")]
    assert sets == [3, 1]
    assert list(verify(out)) == []


def test_a_run_without_removals_has_the_units_it_always_had():
    files = Published(0, [], ["content"])
    assert TextTask(Path(), files, "none").configuration().keys().isdisjoint({"removed"})
