"""Inputs are found in one order, JSON Lines lose only their bad lines, folders of HTML are few partitions."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from curate.document import Document, Unreadable
from curate.domains import registered_domain
from curate.sources import Input, InputError, find_inputs, open_source, read_partition
from curate.sources import jsonl as jsonl_module
from curate.sources.content import content_of, size_of


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.ndjson"])
def test_jsonl_documents_carry_their_fields(tmp_path, name):
    content = lines(
        {"body": "one", "n": 7, "url": "https://news.bbc.co.uk/x", "deep": {"a": 1}}, {"body": "two", "n": 8}
    )
    pack = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}.get(name.rsplit(".", 1)[1], bytes)
    (tmp_path / name).write_bytes(pack(content))
    (one,) = find_inputs([Input("j", str(tmp_path / name), text_field="body", id_field="n")])
    first, second = read_partition(one)
    assert (first.text, first.url, first.domain, first.metadata) == (
        "one",
        "https://news.bbc.co.uk/x",
        "bbc.co.uk",
        {"id": 7},
    )
    assert (second.text, second.domain) == ("two", "j")
    assert int(second.key.split("@")[1]) == content.index(b"\n") + 1


def test_a_bad_line_is_lost_alone(tmp_path):
    good = [{"text": f"text {number}"} for number in range(4)]
    content = lines(good[0]) + b'{"text": "cut\n' + lines(good[1]) + b'{"text": "\xff\xfe"}\n'
    content += lines({"content": "x"}, good[2]) + b"\n[1]\n" + lines({"text": 5}, good[3])[:-1]
    (tmp_path / "a.jsonl").write_bytes(content)
    items = list(open_source(tmp_path / "a.jsonl"))
    assert [item.text for item in items if isinstance(item, Document)] == [row["text"] for row in good]
    errors = [item.error for item in items if isinstance(item, Unreadable)]
    assert len(errors) == 5
    assert "field 'text'" in errors[2] and "'content'" in errors[2]


def test_a_truncated_gzip_gives_its_complete_lines_and_one_loss(tmp_path):
    rows = [{"text": f"line {number} {number * 7919 % 1000003}"} for number in range(2000)]
    packed = gzip.compress(lines(*rows))
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    items = list(open_source(tmp_path / "a.jsonl.gz"))
    texts = [item.text for item in items if isinstance(item, Document)]
    assert 500 < len(texts) < 1500
    assert texts == [row["text"] for row in rows[: len(texts)]]
    assert [type(item) for item in items[len(texts) :]] == [Unreadable]
    assert "cut off" in items[-1].error


def test_a_line_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl_module, "MAX_LINE", 1000)
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "x" * 5000}, {"text": "short"}))
    first, second = open_source(tmp_path / "a.jsonl")
    assert isinstance(first, Unreadable) and "more than 1000 bytes" in first.error
    assert second.text == "short"


def test_a_folder_of_html_is_one_partition_in_sorted_order(tmp_path):
    for name in ("b/2.html", "a.htm", "b/1.html.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(b"<p>zipped") if name.endswith("gz") else f"<p>{name}".encode())
    (one,) = find_inputs([Input("h", str(tmp_path))])
    documents = list(read_partition(one))
    assert [item.key for item in documents] == ["h/a.htm@0", "h/b/1.html.gz@0", "h/b/2.html@0"]
    assert documents[1].html == b"<p>zipped"
    assert all(one.holds(item.key) for item in documents) and not one.holds("h/c.html@0")


def test_html_partitions_are_bounded_and_every_page_shapes_their_content(tmp_path):
    for number in range(501):
        (tmp_path / f"{number:04d}.html").write_text("<p>x")
    before = find_inputs([Input("h", str(tmp_path))])
    assert [len(one.files) for one in before] == [500, 1]
    content = [content_of(one) for one in before]
    assert [size_of(one) for one in before] == [500 * 4, 4]
    (tmp_path / "0003.html").write_text("<p>y")
    assert [content_of(one) == old for one, old in zip(before, content, strict=True)] == [False, True]


def test_the_root_is_the_longest_folder_without_a_wildcard(tmp_path):
    for name in ("x/a.jsonl", "x/y/b.jsonl", "x/y/z/c.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(lines({"text": "t"}))

    def relative(path: str) -> list[str]:
        return [one.relative for one in find_inputs([Input("s", str(tmp_path / path))])]

    assert relative("x/**/*.jsonl") == relative("x/**") == relative("x") == ["a.jsonl", "y/b.jsonl", "y/z/c.jsonl"]
    assert relative("x/y/*.jsonl") == ["b.jsonl"]
    assert relative("x/y/b.jsonl") == ["b.jsonl"]


@pytest.mark.parametrize(
    ("path", "said"), [("none.jsonl", "no file or folder"), ("*.warc", "no file matches"), ("gone/*.warc", "no folder")]
)
def test_a_missing_input_is_named(tmp_path, path, said):
    with pytest.raises(InputError, match=said):
        find_inputs([Input("s", str(tmp_path / path))])


def test_an_unknown_kind_is_refused_by_name_and_set_aside_in_a_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "t"}))
    (tmp_path / "archive").write_bytes(b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n")
    with pytest.raises(InputError, match="is of an unknown kind"):
        find_inputs([Input("s", str(tmp_path / "notes.txt"))])
    items = [item for one in find_inputs([Input("s", str(tmp_path))]) for item in read_partition(one)]
    assert Counter(type(item).__name__ for item in items) == {"Document": 1, "Skipped": 1, "Unreadable": 1}


def test_two_files_of_one_name_need_two_sources(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").write_bytes(lines({"text": folder}))
    paths = [str(tmp_path / folder) for folder in ("two", "one")]
    with pytest.raises(InputError, match="different names"):
        find_inputs([Input("s", path) for path in paths])
    found = find_inputs([Input(Path(path).name, path) for path in paths])
    assert [one.source for one in found] == ["one", "two"]


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://News.BBC.co.uk/world?x=1", "bbc.co.uk"),
        ("http://someone.github.io/page", "github.io"),
        ("http://192.168.7.1:8080/", "192.168.7.1"),
        ("http://[2001:db8::1]/", "2001:db8::1"),
        ("http://localhost/", "localhost"),
        ("http://www.shop.example/", "shop.example"),
        ("http://www.city.kawasaki.jp./", "city.kawasaki.jp"),
        ("http://[broken", None),
        ("no address", None),
        (None, None),
    ],
)
def test_the_registered_domain_follows_the_public_suffix_list(url, domain):
    """`city.kawasaki.jp` is an exception rule of the list (`!city.kawasaki.jp`); private rules are not used."""
    assert registered_domain(url) == domain


def test_a_link_to_a_folder_is_followed_and_one_that_leads_back_is_not(tmp_path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in ("in/a/1.jsonl", "elsewhere/2.jsonl"):
        (tmp_path / path).write_text('{"text": "x"}\n')
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "a" / "up").symlink_to(tmp_path / "in")
    found = find_inputs([Input("crawl", str(tmp_path / "in"))])
    assert [one.relative for one in found] == ["a/1.jsonl", "link/2.jsonl"]
