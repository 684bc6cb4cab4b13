"""Inputs in a store give the documents, keys and errors of the same files on this machine."""

import gzip
import json
import pickle
import random
import sys
import uuid
from pathlib import Path

import pytest
from store_server import s3_store

from curate.document import Document
from curate.places import patience
from curate.places import remote_input as remote_module
from curate.places.address import refuse_credentials
from curate.places.remote_input import RemoteFile
from curate.sources import Input, InputError, find_inputs, path_of, read_partition
from curate.sources.content import content_of, size_of
from curate.sources.split import cut

PAGE = b"<html><body><p>%d</p></body></html>"


@pytest.fixture(scope="module")
def s3():
    with s3_store() as address:
        yield address


@pytest.fixture(params=["memory", "s3"])
def store(request):
    """An address below which nothing is yet."""
    root = "memory://" if request.param == "memory" else request.getfixturevalue("s3") + "/"
    return f"{root}{uuid.uuid4().hex}"


def warc(number: int) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE % number
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/%d\r\nContent-Length: %d\r\n\r\n"
    return gzip.compress(head % (number, len(block)) + block + b"\r\n\r\n")


FILES = {
    "a.jsonl": b"".join(json.dumps({"text": f"line {number}"}).encode() + b"\n" for number in range(500)) + b"{bad\n",
    "x/b.warc.gz": b"".join(map(warc, range(200))) + b"damage" + warc(200),
    "x/y/c.jsonl.gz": gzip.compress(b'{"text": "zipped"}\n')[:-5],
    "x/y/1.html": PAGE % 1,
    "x/y/2.html": PAGE % 2,
    "x/nothing.warc": b"",
    "x/.hidden/d.jsonl": b'{"text": "hidden"}\n',
    "x/notes": b"of no known kind",
}


def put(root: str, files: dict[str, bytes] = FILES) -> None:
    for name, content in files.items():
        path = path_of(f"{root}/{name}")
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def items(address: str) -> list:
    return [item for one in find_inputs([Input("s", address)]) for item in read_partition(one)]


@pytest.mark.parametrize("below", ["", "/**", "/**/*.warc*", "/x/*", "/x/[ab].warc.gz", "/*.jsonl", "/x/y/1.html"])
def test_a_store_gives_what_a_folder_gives(tmp_path, store, below):
    put(str(tmp_path))
    put(store)
    local = items(f"{tmp_path}{below}")
    assert items(f"{store}{below}") == local
    assert any(isinstance(item, Document) for item in local)


def test_pieces_of_a_remote_file_give_its_items(store, monkeypatch):
    monkeypatch.setattr(remote_module, "BLOCK", 10_000)
    put(store)
    for partition in find_inputs([Input("s", store)]):
        # On loopback each piece is some requests, which the server answers in its own time.
        pieces = cut(partition, 2000 if store.startswith("memory") else max(2000, size_of(partition) // 5))
        in_pieces = [item for piece in pieces for item in read_partition(pickle.loads(pickle.dumps(partition)), piece)]
        assert in_pieces == list(read_partition(partition))
        assert (len(pieces) > 3) == (partition.relative in ("a.jsonl", "x/b.warc.gz"))


def test_a_remote_file_is_read_like_bytes_within_a_bound(store, monkeypatch):
    monkeypatch.setattr(remote_module, "BLOCK", 64)
    chance = random.Random(5)
    content = bytes(chance.choice(b"ab") for _ in range(3000))
    put(store, {"f": content})
    data = RemoteFile(path_of(f"{store}/f"))
    assert len(data) == 3000
    for _ in range(300 if store.startswith("memory") else 12):
        start, stop = chance.randrange(3100), chance.randrange(3100)
        assert data[start:stop] == content[start:stop]
        sought = bytes(chance.choice(b"ab") for _ in range(chance.randint(1, 14)))
        assert data.find(sought, start) == content.find(sought, start)
    assert sum(map(len, data._blocks.values())) <= 64 * remote_module.BLOCKS_HELD


def test_content_is_told_apart_by_what_the_store_says(store):
    put(store, {"a.jsonl": b'{"text": "one"}\n'})
    (partition,) = find_inputs([Input("s", f"{store}/a.jsonl")])
    before = content_of(partition)
    assert content_of(partition) == before and size_of(partition) == 16
    put(store, {"a.jsonl": b'{"text": "two"}\n'})
    assert content_of(partition) != before


@pytest.mark.parametrize(
    ("below", "said"),
    [("/gone.jsonl", "no file or folder"), ("/*.warc", "no file matches"), ("/x/notes", "is of an unknown kind")],
)
def test_a_missing_remote_input_is_named(store, below, said):
    put(store)
    with pytest.raises(InputError, match=said) as raised:
        find_inputs([Input("crawl", f"{store}{below}")])
    assert f"{store}{below}" in str(raised.value) and "'crawl'" in str(raised.value)


def test_a_missing_bucket_and_a_store_out_of_reach_are_one_line(s3, monkeypatch):
    with pytest.raises(InputError, match="no file or folder 's3://no-such-bucket"):
        find_inputs([Input("s", "s3://no-such-bucket/a.jsonl")])
    put(s3, {"r/1.html": PAGE % 1, "r/2.html": PAGE % 2})
    (partition,) = find_inputs([Input("s", f"{s3}/r")])

    monkeypatch.setattr(patience, "PAUSES", (0.0,))

    def refuse(self, *arguments, **options):
        raise ConnectionResetError("the line is dead")

    monkeypatch.setattr(path_of(s3).fs, "info", refuse)
    with pytest.raises(InputError, match="cannot be read: the line is dead"):
        find_inputs([Input("s", f"{s3}/r")])
    with pytest.raises(OSError, match="the line is dead"):
        list(read_partition(partition))


SECRET = "sEcReT/with+signs"


@pytest.mark.parametrize(
    "address",
    [
        f"s3://AKIA1234:{SECRET}@bucket/a.jsonl",
        f"s3://AKIA1234:123/{SECRET}@bucket/a.jsonl",
        f"https://host/a.jsonl?token={SECRET}",
        f"https://host/a.jsonl?version=1&X-Amz-Signature={SECRET}",
        f"ftp://user:{SECRET}@host:2121/a.jsonl",
        f"gs://bucket/*.jsonl?access_token={SECRET}",
        f"S3://AKIA1234:{SECRET}@bucket/a.jsonl",
        *(
            f"https://{one}/a.jsonl"
            for one in ("AKIA1234@host", "user%3AAKIA1234@host", "AKIA1234%40host", "u:AKIA@[::1]")
        ),
        *(f"https://host/a.jsonl?{one}=AKIA1234" for one in ("%74oken", "%2574oken", "jwt", "code", "sv", "x", "")),
        *(f"https://host/a.jsonl{one}" for one in ("?AKIA1234", "#AKIA1234", ";jsessionid=AKIA1234", "?raw=1;k=AKIA1")),
        f"https://host/a.jsonl?version={'AKIA1234' * 8}",
        "webhdfs://host:9870/a.jsonl?delegation=AKIA1234",
        "hf://AKIA1234@datasets/owner/name/a.jsonl",
        "abfs://AKIA1234:key@account.dfs.core.windows.net/a.jsonl",
        "s3://bucket/a.jsonl?jwt=AKIA1234",
        "s3://bucket/a.jsonl#jwt=AKIA1234",
        "simplecache::https://AKIA1234@host/a.jsonl",
        "zip://a.jsonl::https://host/a.zip?jwt=AKIA1234",
        "file://AKIA1234:key@host/a.jsonl",
        "https://host\\@AKIA1234@other/a.jsonl",
    ],
)
def test_an_address_with_credentials_is_refused_without_repeating_them(address):
    for use in (path_of, lambda one: find_inputs([Input("s", one)])):
        with pytest.raises(InputError, match=r"credentials.*recipe is copied") as raised:
            use(address)
        assert SECRET not in str(raised.value) and "AKIA" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        *("s3://bucket/a@b/c#1;d/[ab]-?/year=202?/*.jsonl", "s3://b-*/x", "s3://bucket/a.gz?versionId=Ab.c_d-1"),
        *("http://localhost:9000/x", "http://[::1]:9000/x", "https://münchen.example/a?raw=true&ref=v1.0"),
        *(
            "https://host/page-?.html",
            "https://host/a.csv?download",
            "hf://datasets/owner/name@refs%2Fpr%2F1/a.parquet",
        ),
        *("abfs://container@account.dfs.core.windows.net/a", "sftp://anna@host:22/a", "simplecache::s3://bucket/[ab]*"),
        *("zip://a b.csv::https://host/a.zip", "file:///a@b:c?d=e#f", "memory://a/b?.gz", "a:b@c/d?token=e", "gs://b"),
    ],
)
def test_an_address_that_names_data_and_no_more_is_taken(address):
    refuse_credentials(address)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("a/b?.gz", Path),
        ("~/x", Path),
        ("file:///etc/x", Path),
        ("memory://b/a?.gz", None),
        ("http://h:8080/a@b", None),
    ],
)
def test_an_address_is_local_unless_it_has_a_scheme(address, kind):
    path = path_of(address)
    assert isinstance(path, Path) == (kind is Path)
    assert not str(path).startswith("~")


def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(InputError, match=r"s3fs is not installed: pip install 'goldsand\[s3\]'"):
        path_of("s3://some-other-bucket/x")
    with pytest.raises(InputError, match="no protocol 'nosuch'"):
        path_of("nosuch://x/y")


def test_a_folder_may_have_brackets_and_other_signs_of_globs_in_its_name(store):
    for name in ("crawl [2026]", "all*", "what?"):
        put(f"{store}/{name}", {"x.jsonl": b'{"text": "one"}\n', "[y].jsonl": b'{"text": "two"}\n'})
        for path, count in (("", 2), ("/x.jsonl", 1), ("/[y].jsonl", 1), ("/*.jsonl", 2), ("/[x].jsonl", 1)):
            found = find_inputs([Input("p", f"{store}/{name}{path}")])
            assert len(found) == count and all(len(list(read_partition(one))) == 1 for one in found), (name, path)
