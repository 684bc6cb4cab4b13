"""What lies at the edges of sound records is a loss that is said, and costs no neighbour."""

import datetime
import gzip
import json
import struct
from collections import Counter
from pathlib import Path

import orjson
import pytest
import zstandard

from curate.document import Document, Skipped, Unreadable
from curate.mix import Mix
from curate.sources import Input, find_inputs, open_source, read_partition
from curate.sources import jsonl as jsonl_module

PAGE = b"<html><head><title>t</title></head><body><p>%d</p></body></html>"


def record(number: int, kind: str = "conversion", block: bytes | None = None) -> bytes:
    block = b"text of page %d" % number if block is None else block
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://site{number}.example/\r\n"
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def row(number: int) -> bytes:
    return json.dumps({"text": f"text {number}"}).encode() + b"\n"


def read(path: Path, content: bytes) -> list:
    path.write_bytes(content)
    return list(open_source(path))


def told(items: list) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Texts with their addresses, and the losses."""
    texts = [(item.text, item.url) for item in items if isinstance(item, Document)]
    return texts, [item.error for item in items if isinstance(item, Unreadable)]


@pytest.mark.parametrize("glued", [b"", b"WARC-Da"])
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_record_cut_off_inside_its_header_takes_no_neighbour(tmp_path, kept, glued):
    lines = record(1).split(b"\r\n")[:kept]
    cut = b"\r\n".join([*lines, glued]) if kept > 1 or not glued else lines[0] + b"\r\n" + glued
    texts, losses = told(read(tmp_path / "a.wet", cut + record(2) + record(3)))
    assert texts == [("text of page 2", "http://site2.example/"), ("text of page 3", "http://site3.example/")]
    assert losses == ["the record's header is cut off: the next record begins in it"]


def test_a_header_made_of_two_is_a_loss_and_no_text_comes_under_the_wrong_address(tmp_path):
    first, second = record(1), record(2)
    mixed = first[: first.index(b"Content-Length")] + second[second.index(b"WARC-Target-URI") :]
    texts, (loss,) = told(read(tmp_path / "a.wet", mixed + record(3)))
    assert texts == [("text of page 3", "http://site3.example/")] and "warc-target-uri twice" in loss


def test_a_value_that_begins_like_another_is_another(tmp_path):
    """Half a header before a whole one: the first date ends in the middle of an address."""
    whole, date = record(1), b"WARC-Date: 2020-01-01T00:00:00Z\r\n"
    length = whole[whole.index(b"Content-Length") :]
    mixed = whole[: whole.index(b"Content-Length")] + date[:-2] + b"17.example.org/page\r\n" + date + length
    texts, (loss,) = told(read(tmp_path / "a.wet", mixed + record(3)))
    assert texts == [("text of page 3", "http://site3.example/")] and "warc-date twice" in loss


def test_a_version_in_an_address_begins_no_record(tmp_path):
    whole = record(1).replace(b"http://site1.example/", b"http://site1.example/WARC/1.0")
    texts, losses = told(read(tmp_path / "a.wet", whole))
    assert texts == [("text of page 1", "http://site1.example/WARC/1.0")] and not losses


def test_an_arc_record_ends_where_the_next_begins_whatever_letters_are_left_of_it(tmp_path):
    line = b"http://site%d.example/ 192.0.2.1 20200101000000 text/html %d\n"
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE % 1
    stolen = line % (1, len(block) + 3) + block + b"\n" + line % (2, len(block)) + block + b"\n"
    documents, (loss,) = told(read(tmp_path / "a.arc", stolen))
    assert [url for _, url in documents] == ["http://site2.example/"] and "no record begins after them" in loss


@pytest.mark.parametrize("size, outcome", [(70_000, Document), (2 << 20, Unreadable)])
def test_a_long_http_header_is_read_or_a_loss_and_never_an_empty_body(tmp_path, size, outcome):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Long: " + b"x" * size + b"\r\n\r\n" + PAGE % 1
    (item,) = read(tmp_path / "a.warc", record(1, "response", block))
    assert isinstance(item, outcome)
    assert getattr(item, "html", None) == PAGE % 1 or "header has no end" in item.error


def test_a_response_without_the_end_of_its_header_is_empty_only_when_it_is_all_header(tmp_path):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    empty, broken = read(tmp_path / "a.warc", record(1, "response", head) + record(2, "response", head + PAGE % 2))
    assert isinstance(empty, Skipped) and empty.reason == "empty body"
    assert isinstance(broken, Unreadable) and "header has no end" in broken.error


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_hole_of_zeros_is_a_loss_wherever_it_lies(tmp_path, place):
    """A copy that was cut short: the file has its size, and zeros where members were."""
    members = [gzip.compress(record(number)) for number in range(6)]
    members[place] = bytes(len(members[place]))
    members[place + 1] = bytes(len(members[place + 1]))
    texts, (loss,) = told(read(tmp_path / "a.wet.gz", b"".join(members)))
    assert len(texts) == 4 and loss.endswith("bytes that are no gzip member")
    plain = [record(number) for number in range(6)]
    plain[place] = bytes(len(plain[place]))
    texts, (loss,) = told(read(tmp_path / "a.wet", b"".join(plain)))
    assert len(texts) == 5 and "zero bytes where a record should begin" in loss


def test_a_few_zeros_at_the_end_are_padding(tmp_path):
    texts, losses = told(read(tmp_path / "a.jsonl.gz", gzip.compress(row(1)) + bytes(16)))
    assert len(texts) == 1 and not losses


@pytest.mark.parametrize("pack, ending", [(gzip.compress, "gz"), (zstandard.compress, "zst")])
@pytest.mark.parametrize("bit", range(0, 32, 5))
def test_a_changed_bit_in_the_first_bytes_costs_a_member_and_makes_no_text_of_it(tmp_path, pack, ending, bit):
    for name, one in (("a.jsonl", row), ("a.wet", record), ("a.html", lambda number: PAGE % number)):
        content = bytearray(pack(one(1)) + pack(one(2)))
        content[bit // 8] ^= 1 << bit % 8
        items = read(tmp_path / f"{name}.{ending}", bytes(content))
        assert Counter(type(item).__name__ for item in items)["Unreadable"] == 1, items
        assert len(items) == (1 if name == "a.html" else 2)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.wet.gz"])
def test_an_emptied_compressed_file_is_a_loss(tmp_path, name):
    assert told(read(tmp_path / name, b"")) == ([], ["the file is empty"])
    assert read(tmp_path / "a.jsonl", b"") == []


def test_a_plain_file_under_a_compressed_name_is_still_read(tmp_path):
    assert told(read(tmp_path / "a.jsonl.gz", row(1)))[1] == []
    (page,) = read(tmp_path / "a.html.zst", "<html><body>caf\xe9</body></html>".encode("latin-1") * 10)
    assert isinstance(page, Document)


@pytest.mark.parametrize("beyond", [True, False])
def test_a_skippable_frame_swallows_nothing(tmp_path, beyond):
    rest = b"".join(zstandard.compress(row(number)) for number in range(1, 5))
    size = 1 << 31 if beyond else 4 + len(rest)
    frame = b"\x50\x2a\x4d\x18" + size.to_bytes(4, "little") + b"abcd"
    texts, losses = told(read(tmp_path / "a.jsonl.zst", zstandard.compress(row(0)) + frame + rest))
    assert len(texts) == 5 and losses == ["a skippable zstd frame whose length is false"]
    sound = zstandard.compress(row(0)) + frame[:4] + (4).to_bytes(4, "little") + frame[8:]
    assert told(read(tmp_path / "a.jsonl.zst", sound + rest)) == (texts, [])


def test_a_dictionary_that_cannot_be_loaded_is_damage(tmp_path):
    broken = b"\x37\xa4\x30\xec" + bytes(range(200))
    frame = b"\x5d\x2a\x4d\x18" + len(broken).to_bytes(4, "little") + broken
    texts, losses = told(read(tmp_path / "a.warc.zst", frame + zstandard.compress(record(1))))
    assert texts == [("text of page 1", "http://site1.example/")] and "dictionary is broken" in losses[0]


def test_rows_that_nothing_can_be_made_of_cost_themselves(tmp_path, monkeypatch):
    deep = b'{"text": "x", "id": ' + b"[" * 1000 + b"]" * 1000 + b"}\n"
    texts, (loss,) = told(read(tmp_path / "a.jsonl", row(1) + deep + row(2)))
    assert len(texts) == 2 and "RecursionError" in loss
    monkeypatch.setattr(jsonl_module, "FEW", 1 << 10)
    monkeypatch.setattr(jsonl_module, "MAX_VALUES", 1 << 10)
    many = b'{"text": "x", "a": [' + b",".join([b'{"":0}'] * 2000) + b"]}\n"
    commas = json.dumps({"text": ',[{"\\' * 2000}).encode() + b"\n"
    texts, (loss,) = told(read(tmp_path / "a.jsonl", row(1) + many + commas))
    assert len(texts) == 2 and f"a line of {len(many)} bytes that holds 40" in loss


def test_injected_rows_of_shards_with_impossible_numbers_are_refused_one_by_one(tmp_path):
    def shard(**metadata: object) -> bytes:
        about = orjson.dumps(metadata).decode()
        return orjson.dumps({"text": "t", "injected": True, "domain": "d.com", "metadata": about}) + b"\n"

    wrong = [{"entity": "q"}, {"entity": -5, "exposure": 1}, {"entity": 1, "exposure": 99999999999999}, {"entity": 3}]
    sound = [{}, {"entity": 0, "exposure": 2**31 - 1}]
    (tmp_path / "a.jsonl").write_bytes(b"".join(shard(**one) for one in [*wrong, *sound]))
    (partition,) = find_inputs([Input("s", str(tmp_path / "a.jsonl"), format="shards")])
    items = list(read_partition(partition))
    assert [type(item) for item in items] == [Unreadable] * 4 + [Document] * 2
    assert all(item.protected for item in items[4:])


def test_a_cluster_size_of_a_page_may_be_anything():
    mix = Mix(weights={"a": 1.0}, cluster_copies={5: 2})
    sizes = [mix.copies_of(Document("k", metadata={"cluster_size": size})) for size in ("x", None, 7, 1)]
    assert sizes == [1, 1, 2, 1]


def stream_of(rows: int, form: str, **columns: list) -> bytes:
    import pyarrow

    batch = pyarrow.record_batch({"text": [f"text {n}" for n in range(rows)], **columns})
    sink = pyarrow.BufferOutputStream()
    with (pyarrow.ipc.new_stream if form == "stream" else pyarrow.ipc.new_file)(sink, batch.schema) as writer:
        for _ in range(3):
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def test_an_arrow_stream_ends_where_the_file_ends(tmp_path):
    pytest.importorskip("pyarrow")
    whole = stream_of(10, "stream")
    assert len(told(read(tmp_path / "a.arrow", whole))[0]) == 30
    (size,) = struct.unpack("<i", whole[4:8])
    ended = whole[: 8 + size + 4] + bytes(4) + whole[8 + size + 8 :]
    texts, (loss,) = told(read(tmp_path / "a.arrow", ended))
    assert not texts and "behind its end mark" in loss
    texts, (loss,) = told(read(tmp_path / "a.arrow", whole[:-8]))
    assert len(texts) == 30 and "no end mark" in loss
    assert told(read(tmp_path / "a.arrow", stream_of(10, "file")))[1] == []


def test_a_column_that_is_there_twice_is_read_once(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    names = ["text", "lang", "lang"]
    batch = pyarrow.RecordBatch.from_arrays([pyarrow.array([one]) for one in ("t", "en", "de")], names=names)
    with pyarrow.ipc.new_stream(str(tmp_path / "a.arrow"), batch.schema) as writer:
        writer.write_batch(batch)
    pyarrow.parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_batches([batch]), tmp_path / "a.parquet")
    for name in ("a.arrow", "a.parquet"):
        (document,) = open_source(tmp_path / name)
        assert document.metadata == {"lang": "en"}


def test_dates_that_python_has_not_and_zones_that_nobody_knows_stay_as_text_and_are_noted(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    text = pyarrow.array(["one", "two"])
    far = pyarrow.array([0, 2**60], pyarrow.timestamp("us"))
    nowhere = pyarrow.array([0, 1_000_000], pyarrow.int64()).cast(pyarrow.timestamp("us", "Mars/Base"))
    known = pyarrow.array([datetime.datetime(2020, 1, 1)] * 2, pyarrow.timestamp("us"))
    found = {}
    for name, column in (("far", far), ("nowhere", nowhere), ("known", known)):
        parquet.write_table(pyarrow.table({"text": text, "id": column}), tmp_path / f"{name}.parquet")
        found[name] = list(open_source(tmp_path / f"{name}.parquet"))
    assert all(isinstance(item, Document) for items in found.values() for item in items)
    assert [item.metadata["id"] for item in found["nowhere"]][1] == "1970-01-01 00:00:01.000000 Mars/Base"
    assert found["far"][0].metadata["id"] == "1970-01-01 00:00:00" and found["far"][1].metadata.get("id") != ""
    assert [len(item.notes) for item in found["far"]] == [0, 1]
    assert "UnknownTimeZoneError" in found["nowhere"][0].notes[0][2] or found["nowhere"][0].notes
    assert [(item.metadata["id"], item.notes) for item in found["known"]] == [("2020-01-01 00:00:00", [])] * 2


def test_a_footer_that_hides_rows_is_a_loss(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"text": list("abcdef")}), tmp_path / "a.parquet", row_group_size=3)
    from curate.sources import parquet as module

    monkeypatch.setattr(module, "_texts", lambda file, group, field: 5)
    _, losses = told(list(open_source(tmp_path / "a.parquet")))
    assert len(losses) == 2 and all("2 texts belong to no row" in one for one in losses)


def test_a_reader_that_fails_costs_the_rest_of_its_file(tmp_path, monkeypatch):
    """Of whatever class: a file is nothing that may end a run."""
    import curate.sources

    def failing(partition, piece, reached):
        yield Document("a", "one")
        raise LookupError("deep inside a library")

    monkeypatch.setattr(curate.sources, "reader_of", lambda format: failing)
    document, loss = read(tmp_path / "a.jsonl", row(1))
    assert isinstance(document, Document) and loss.error == (
        "the rest of the file cannot be read: LookupError: deep inside a library"
    )
