"""Rows as people write them: marks, NaN, half surrogates, long numbers, dates, and addresses under many names."""

import datetime
import decimal
import gzip
import json
from pathlib import Path

import pytest

from curate.document import Document, Unreadable
from curate.sources import Input, InputError, find_inputs, read_partition
from recipes.app.recipe.given import inputs_of

pyarrow = pytest.importorskip("pyarrow")


def read(path: Path, **fields) -> list:
    return [item for one in find_inputs([Input("t", str(path), **fields)]) for item in read_partition(one)]


def rows(tmp_path: Path, *lines: str | dict | bytes, **fields) -> list:
    path = tmp_path / "a.jsonl"
    encoded = [json.dumps(one) if isinstance(one, dict) else one for one in lines]
    path.write_bytes(b"".join((one if isinstance(one, bytes) else one.encode()) + b"\n" for one in encoded))
    return read(path, **fields)


def told(item: Document) -> list[str]:
    return [rule for step, rule, _ in item.notes if step == "read"]


def test_a_byte_order_mark_is_no_part_of_a_row(tmp_path):
    items = rows(
        tmp_path, b'\xef\xbb\xbf{"text": "one"}', b'{"text": "two"}', b'\xef\xbb\xbf{"text": "of another file"}'
    )
    assert [item.text for item in items] == ["one", "two", "of another file"] and items[0].key == "t/a.jsonl@0"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_none_is_left_out_with_a_word(tmp_path, value):
    (item,) = rows(tmp_path, f'{{"text": "a", "score": {value}, "n": 1}}')
    assert item.metadata == {"n": 1} and told(item) == ["field left out, not finite: score"]


def test_halves_of_pairs_are_replaced_and_whole_pairs_are_not(tmp_path):
    items = rows(
        tmp_path, r'{"text": "a \ud83d"}', r'{"text": "b \ude00 c", "k\ud83d": "v"}', r'{"text": "\ud83d\ude00"}'
    )
    assert [item.text for item in items] == ["a \ufffd", "b \ufffd c", "\U0001f600"]
    assert items[1].metadata == {"k\ufffd": "v"}
    assert [len(told(item)) for item in items] == [1, 1, 0]


def test_long_numbers_keep_their_digits(tmp_path):
    long = "123456789012345678901234567890"
    (item,) = rows(
        tmp_path, f'{{"id": {long}, "text": "a", "n": -{long}, "most": {2**64 - 1}, "f": 1e22, "m": {2**64}}}'
    )
    assert item.metadata == {"id": long, "n": f"-{long}", "most": 2**64 - 1, "f": 1e22, "m": str(2**64)}
    assert told(item) == ["a number of more than 64 bits is a text"]
    (item,) = rows(tmp_path, '{"text": "a", "id": ' + "9" * 10_000 + "}")
    assert item.metadata["id"] == "9" * 1000


def test_a_name_that_stands_twice_is_told(tmp_path):
    one, other = rows(tmp_path, '{"text": "a", "text": "b"}', '{"text": "say \\"text\\"", "meta": {"text": "c"}}')
    assert one.text == "b" and told(one) == ["a name stands twice, and its last value counts"]
    assert told(other) == []


def test_what_no_document_has_a_place_for_is_told(tmp_path):
    fields = {f"f{number}": number for number in range(40)}
    one, other = rows(tmp_path, {"text": "a", "tags": ["x"], "long": "x" * 1001, "none": None}, {"text": "b", **fields})
    assert told(one) == ["field left out, too long, or not plain: tags", "field left out, too long, or not plain: long"]
    assert len(other.metadata) == 32 and told(other) == ["fields left out beyond 32"] * 8


@pytest.mark.parametrize("bad", [b'{"text": NaN}', b'{"text": "a"', b'{"a": Infinity}', b"NaN", b'{"text": "\xff"}'])
def test_what_stays_no_document_is_one_loss(tmp_path, bad):
    items = rows(tmp_path, b'{"text": "a"}', bad, b'{"text": "b"}')
    assert [type(item) for item in items] == [Document, Unreadable, Document]


@pytest.mark.parametrize(
    "place",
    [
        *("url", "source_url", "warc_url", "metadata.url", "meta.url", "metadata.source.url", "meta.source_url"),
        *("metadata.warc_headers.warc-target-uri", "WARC-Target-URI"),
    ],
)
def test_addresses_are_found_under_the_names_that_corpora_give_them(tmp_path, place):
    address = "https://news.example.co.uk/x"
    row: dict = {"text": "a"}
    *outer, name = place.split(".")
    inner = row
    for one in outer:
        inner = inner.setdefault(one, {})
    inner[name] = address
    (item,) = rows(tmp_path, row)
    assert (item.url, item.domain) == (address, "example.co.uk") and address not in item.metadata.values()
    table = pyarrow.Table.from_pylist([row])
    from pyarrow import parquet

    parquet.write_table(table, tmp_path / "a.parquet")
    (same,) = read(tmp_path / "a.parquet")
    assert (same.url, same.domain, same.metadata) == (item.url, item.domain, item.metadata)


def test_a_field_of_the_address_may_be_named(tmp_path):
    row = {"text": "a", "url": "https://a.example.org/", "where": {"page": "https://b.example.net/x"}}
    (item,) = rows(tmp_path, row, url_field="where.page")
    assert item.domain == "example.net" and item.metadata["url"] == "https://a.example.org/"
    (item,) = rows(tmp_path, row, url_field="no.such")
    assert item.url is None
    (plain,) = rows(tmp_path, {"text": "a", "source_url": "from my notes"})
    assert plain.url is None and plain.metadata == {"source_url": "from my notes"}


def test_fields_within_metadata_are_the_documents_own(tmp_path):
    (item,) = rows(tmp_path, {"text": "a", "lang": "en", "metadata": {"date": "2024-01-01", "lang": "de", "in": {}}})
    assert item.metadata == {"lang": "en", "date": "2024-01-01"}


def test_columns_of_dates_times_and_decimals_are_kept(tmp_path):
    from pyarrow import parquet

    moment = datetime.datetime(2025, 3, 1, 12, 30, 15)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    table = pyarrow.table(
        {
            "text": pyarrow.array(["a"], pyarrow.large_string()),
            "day": pyarrow.array([moment.date()], pyarrow.date32()),
            "date": pyarrow.array([moment], pyarrow.timestamp("ms")),
            "there": pyarrow.array([moment.replace(tzinfo=zone)], pyarrow.timestamp("us", tz="+02:00")),
            "hour": pyarrow.array([moment.time()], pyarrow.time64("us")),
            "price": pyarrow.array([decimal.Decimal("12.50")], pyarrow.decimal128(9, 2)),
            "kind": pyarrow.array(["x"]).dictionary_encode(),
            "score": pyarrow.array([float("nan")]),
            "blob": pyarrow.array([b"x"], pyarrow.binary()),
            "list": pyarrow.array([[1, 2]]),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    with pyarrow.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        (item,) = read(tmp_path / name)
        assert item.metadata == {
            **{"day": "2025-03-01", "date": "2025-03-01T12:30:15", "there": "2025-03-01T12:30:15+02:00"},
            **{"hour": "12:30:15", "price": "12.50", "kind": "x"},
        }
        assert sorted(told(item)) == [
            "column left out: blob",
            "column left out: list",
            "field left out, not finite: score",
        ]


def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path):
    folder = tmp_path / "crawl [2026]" / "data"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"text": "a"}\n')
    for pattern in ("data/*.jsonl", "*/a.jsonl", "**", "data/[a-c].jsonl"):
        (one,) = find_inputs([Input("t", f"{folder.parent}/{pattern}")])
        assert one.path == folder / "a.jsonl"
    (one,) = find_inputs([Input("t", f"{tmp_path}/crawl */data/*.jsonl")])
    assert one.relative == "crawl [2026]/data/a.jsonl"


def test_json_lines_named_json_are_told_by_their_first_bytes(tmp_path):
    line = b'{"text": "a"}\n'
    for name, content in {"a.json.gz": gzip.compress(line), "b.json": line, "c.jsonl.gz": gzip.compress(line)}.items():
        (tmp_path / name).write_bytes(content)
        assert [item.text for item in read(tmp_path / name)] == ["a"]
    (tmp_path / "d.json").write_text('{\n  "text": "laid out"\n}\n')
    (tmp_path / "e.jsonl.xz").write_bytes(b"\xfd7zXZ\x00")
    for name, said in (("d.json", "format:"), ("e.jsonl.xz", "pack it with gzip or zstd")):
        with pytest.raises(InputError, match=said):
            read(tmp_path / name)


def test_the_command_line_says_a_format(tmp_path):
    named = inputs_of(["web=jsonl:data/a.txt", "b=hub:owner/name", "c=s3://bucket/x.warc.gz"])
    assert named[0] == {"name": "web", "path": str(Path("data/a.txt").absolute()), "format": "jsonl"}
    assert named[1] == {"name": "b", "path": "owner/name", "format": "hub"}
    assert named[2] == {"name": "c", "path": "s3://bucket/x.warc.gz"}
    assert inputs_of(["parquet:x.data"])[0] == {
        **{"name": "crawl", "path": str(Path("x.data").absolute()), "format": "parquet"},
    }
    assert inputs_of(["strange:x.data"])[0]["path"] == str(Path("strange:x.data").absolute())
