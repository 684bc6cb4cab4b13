"""Every record of a WARC or ARC file comes out as exactly one item, and what is broken is named."""

import gzip
import io
import random
from collections import Counter
from pathlib import Path

import brotli
import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from curate.document import Document, Skipped, Unreadable
from curate.sources import Input, find_inputs, open_source, read_partition
from curate.sources import http as http_module
from curate.sources.warc import WarcRecord, read_records

CRAWL = Path(__file__).parents[3] / "shared" / "data" / "crawl"
MALFORMED = CRAWL / "malformed"
needs_crawl = pytest.mark.skipif(not CRAWL.is_dir(), reason="the shared crawl is not there")
PAGE = b"<!doctype html><html><body><p>A page.</p></body></html>"


def read(path: Path) -> list:
    items = list(open_source(path, "t"))
    assert len({item.key for item in items}) == len(items), "two records with one key"
    return items


def kinds(items: list) -> Counter:
    return Counter(type(item).__name__ for item in items)


def record(
    body: bytes = PAGE, *, url: str | None = "http://a.example/", headers: bytes = b"", length: int = 0
) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + headers + b"\r\n" + body
    lines = [b"WARC/1.0", b"WARC-Type: response", b"Content-Type: application/http; msgtype=response"]
    lines += [b"WARC-Target-URI: " + url.encode()] if url else []
    lines.append(b"Content-Length: %d" % (length or len(block)))
    return b"\r\n".join(lines) + b"\r\n\r\n" + block + b"\r\n\r\n"


def written(tmp_path: Path, content: bytes, name: str = "a.warc.gz") -> list:
    path = tmp_path / name
    path.write_bytes(content)
    return read(path)


@needs_crawl
@pytest.mark.parametrize(
    "name",
    ["pages-00000.warc.gz", "aut-example.warc.gz", "commoncrawl-sample.warc.gz", "commoncrawl-sample.warc.wet.gz"],
)
def test_frames_are_those_of_warcio(name):
    """Offsets, types, targets and blocks, record by record."""
    ours = [one for one in read_records(CRAWL / name, "c") if isinstance(one, WarcRecord)]
    with (CRAWL / name).open("rb") as stream:
        iterator = ArchiveIterator(stream, no_record_parse=True)
        theirs = []
        for one in iterator:
            block = one.raw_stream.read()
            theirs.append(
                (
                    f"c@{iterator.get_record_offset()}",
                    one.rec_type,
                    one.rec_headers.get_header("WARC-Target-URI"),
                    block,
                )
            )
    assert len(ours) == len(theirs) > 1
    assert [(one.key, one.kind, one.url, one.block) for one in ours] == theirs


@needs_crawl
@pytest.mark.parametrize("name", ["aut-example.warc.gz", "commoncrawl-sample.warc.gz"])
def test_bodies_are_those_of_warcio(name):
    ours = {item.key: item.html for item in read(CRAWL / name) if isinstance(item, Document)}
    theirs = {}
    with (CRAWL / name).open("rb") as stream:
        iterator = ArchiveIterator(stream)
        for one in iterator:
            body = one.content_stream().read()
            theirs[f"t/{name}@{iterator.get_record_offset()}"] = body
    assert ours
    assert all(theirs[key] == body for key, body in ours.items())


# What each file really holds, by its bytes (and by warcio where it can read them): documents, skipped, unreadable.
HOLDS = {
    "bad.arc": (0, 1, 3),
    "example-bad-non-chunked.warc.gz": (1, 5, 0),
    "example-bad.warc.gz.bad": (1, 5, 0),
    "example-digest.warc": (0, 4, 0),
    "example-iana.org-chunked.warc": (1, 2, 0),
    "example-space-in-target-uri.warc.gz": (0, 2, 0),
    "example-trunc.warc": (0, 3, 1),
    "example-wget-bad-target-uri.warc.gz": (1, 5, 0),
    "example-wrong-chunks.warc.gz": (1, 1, 0),
    "example.arc.gz": (1, 1, 0),
    "example.warc": (1, 5, 0),
    "resiliparse-block-sized-records.warc.gz": (0, 3, 0),
    "resiliparse-clipped.warc.gz": (0, 0, 1),
    "resiliparse-clueweb-quirk.warc.gz": (29, 1, 0),
    "resiliparse-warcfile.warc.gz": (16, 34, 0),
}


@needs_crawl
@pytest.mark.parametrize("name", sorted(path.name for path in MALFORMED.iterdir()) if MALFORMED.is_dir() else [])
def test_malformed_files_give_what_is_sound_and_name_the_rest(name):
    items = read(MALFORMED / name)
    found = kinds(items)
    assert (found["Document"], found["Skipped"], found["Unreadable"]) == HOLDS[name]
    assert all(item.error and item.raw for item in items if isinstance(item, Unreadable))


@needs_crawl
def test_a_wrong_length_costs_its_record_and_not_the_next():
    items = read(MALFORMED / "example-trunc.warc")
    lost = next(item for item in items if isinstance(item, Unreadable))
    assert lost.key.endswith("@1197") and "973 bytes" in lost.error
    assert [item.key.split("@")[1] for item in items if isinstance(item, Skipped)] == ["0", "488", "2566"]


@needs_crawl
def test_addresses_lose_their_brackets():
    page = next(item for item in read(MALFORMED / "example-wget-bad-target-uri.warc.gz") if isinstance(item, Document))
    assert (page.url, page.domain) == ("http://example.com/", "example.com")


def test_a_record_without_address_is_a_document(tmp_path):
    items = written(tmp_path, record(url=None) + record(), "a.warc")
    assert [(item.url, item.domain) for item in items] == [(None, "t"), ("http://a.example/", "a.example")]


@pytest.mark.parametrize("pack", ["plain", "gz", "one_gz", "zst", "one_zst"])
def test_every_packing_gives_the_same_pages(tmp_path, pack):
    records = [record(b"<html><p>page %d</p>" % number) for number in range(5)]
    compress = zstandard.ZstdCompressor().compress
    content, name = {
        "plain": (b"".join(records), "a.warc"),
        "gz": (b"".join(map(gzip.compress, records)), "a.warc.gz"),
        "one_gz": (gzip.compress(b"".join(records)), "a.warc.gz"),
        "zst": (b"".join(map(compress, records)), "a.warc.zst"),
        "one_zst": (compress(b"".join(records)), "a.warc.zst"),
    }[pack]
    assert [item.html for item in written(tmp_path, content, name)] == [b"<html><p>page %d</p>" % n for n in range(5)]


def test_a_zstd_dictionary_in_front_is_used(tmp_path):
    records = [record(b"<html><p>page %d of the crawl</p>" % number) for number in range(400)]
    dictionary = zstandard.train_dictionary(4096, records)
    compress = zstandard.ZstdCompressor(dict_data=dictionary).compress
    frame = b"\x5d\x2a\x4d\x18" + len(dictionary.as_bytes()).to_bytes(4, "little") + dictionary.as_bytes()
    items = written(tmp_path, frame + b"".join(map(compress, records[:3])), "a.warc.zst")
    assert kinds(items) == {"Document": 3}


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress])
def test_a_damaged_member_costs_its_record_alone(tmp_path, compress):
    members = [compress(record(b"<html>" + bytes(range(32, 127)) * number)) for number in (2, 3, 4)]
    broken = bytearray(members[1])
    for place in range(20, 40):
        broken[place] ^= 0x5A
    items = written(tmp_path, members[0] + bytes(broken) + members[2])
    assert kinds(items) == {"Document": 2, "Unreadable": 1}
    assert [item.key for item in items if isinstance(item, Document)][1].endswith(f"@{len(members[0]) + len(broken)}")


def test_a_wrong_checksum_is_a_loss_though_the_bytes_came_out(tmp_path):
    members = [bytearray(gzip.compress(record())) for _ in range(3)]
    members[1][-8] ^= 1
    items = written(tmp_path, b"".join(members))
    assert [type(item) for item in items] == [Document, Unreadable, Document]
    assert "incorrect data check" in items[1].error


def test_damage_late_in_one_long_member_keeps_the_records_before(tmp_path):
    packed = bytearray(gzip.compress(b"".join(record(b"<html>%d" % number) for number in range(50))))
    packed[-8] ^= 1
    assert kinds(written(tmp_path, bytes(packed))) == {"Document": 50, "Unreadable": 1}


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress])
def test_wherever_a_file_is_cut_the_records_before_are_kept(tmp_path, compress):
    members = [compress(record()) for _ in range(3)]
    whole = b"".join(members)
    for size in range(len(members[0]) + len(members[1]) + 1, len(whole), 3):
        assert kinds(written(tmp_path, whole[:size])) == {"Document": 2, "Unreadable": 1}


def test_a_length_that_swallows_the_next_record_gives_it_back(tmp_path):
    content = record(length=len(record()) + 40) + record() + record()
    assert kinds(written(tmp_path, content, "a.warc")) == {"Unreadable": 1, "Document": 2}


def test_lying_lengths_are_read_in_linear_time(tmp_path):
    """20 000 records that each say 60 MB: copying what they claim would take 1.2 TB."""
    liar = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 60000000\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    assert kinds(written(tmp_path, liar * 20_000, "a.warc")) == {"Unreadable": 20_000}


def test_a_text_file_named_warc_is_one_loss(tmp_path):
    (item,) = written(tmp_path, b"Dear reader,\nthis is no archive.\n", "a.warc")
    assert isinstance(item, Unreadable) and "no record" in item.error and item.raw.startswith(b"Dear reader")


def test_an_empty_file_is_one_loss(tmp_path):
    assert [item.error for item in written(tmp_path, b"", "a.warc.gz")] == ["the file is empty"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
def test_a_decompression_bomb_is_bounded(tmp_path, coding):
    import zlib

    zeros = b"<html>" + bytes(http_module.MAX_BODY + 1000)
    packed = {
        "gzip": gzip.compress,
        "br": lambda data: brotli.compress(data, quality=3),
        "zstd": zstandard.ZstdCompressor().compress,
        "deflate": zlib.compress,
    }[coding](zeros)
    (item,) = written(tmp_path, record(packed, headers=b"Content-Encoding: " + coding.encode() + b"\r\n"), "a.warc")
    assert isinstance(item, Unreadable) and "more than" in item.error


def test_codings_that_warcio_writes_are_undone(tmp_path):
    path = tmp_path / "w.warc.gz"
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for coding, body in {"gzip": gzip.compress(PAGE), "br": brotli.compress(PAGE), "identity": PAGE}.items():
            head = StatusAndHeaders("200 OK", [("Content-Type", "text/html"), ("Content-Encoding", coding)], "HTTP/1.1")
            writer.write_record(
                writer.create_warc_record("http://b.example/", "response", payload=io.BytesIO(body), http_headers=head)
            )
    assert [item.html for item in read(path)] == [PAGE] * 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"5\r\n<html\r\n1;x=y\r\n>\r\n0\r\n\r\n", b"<html>"),
        (PAGE, PAGE),
        (b"5\r\n<html\r\n", b"<html"),
        (b"5\r\n<html\r\nzz\r\n>\r\n0\r\n\r\n", None),
        (b"ff\r\n<html>", None),
    ],
)
def test_chunks_are_joined_and_bad_ones_named(tmp_path, body, expected):
    (item,) = written(tmp_path, record(body, headers=b"Transfer-Encoding: chunked\r\n"), "a.warc")
    if expected is None:
        assert isinstance(item, Unreadable) and "chunked" in item.error
    else:
        assert item.html == expected


@needs_crawl
def test_partitions_do_not_depend_on_how_a_folder_is_named(tmp_path):
    by_folder = find_inputs([Input("c", str(CRAWL))])
    by_glob = find_inputs([Input("c", f"{CRAWL}/**")])
    assert by_folder == by_glob and len(by_folder) == 6 + len(HOLDS)
    assert sum(isinstance(item, Document) for one in by_glob for item in read_partition(one)) > 700


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_no_damage_raises_or_gives_one_key_twice(tmp_path, pack):
    """Seeded damage before and after packing: bytes changed, removed, repeated, cut."""
    draw = random.Random(20240301)
    whole = b"".join(record(b"<html>" + PAGE * number, headers=b"X-N: 1\r\n") for number in range(4))
    for turn in range(150):
        content = bytearray(pack(whole) if turn % 2 else whole)
        for _ in range(draw.randint(1, 6)):
            place, other = draw.randrange(len(content)), draw.randrange(len(content))
            change = draw.randrange(4)
            if change == 0:
                content[place] = draw.randrange(256)
            elif change == 1:
                del content[place : place + draw.randint(1, 40)]
            elif change == 2:
                content[place:place] = content[other : other + draw.randint(1, 80)]
            else:
                del content[max(place, 20) :]
        assert written(tmp_path, bytes(content) if turn % 2 else pack(bytes(content)))


def test_headers_that_say_who_may_use_a_page_are_fields_of_its_document(tmp_path):
    headers = (
        b"X-Robots-Tag: noai\r\nx-robots-tag: otherbot: noindex\r\nContent-Usage: train-ai=n\r\ntdm-reservation: 1\r\n"
        b'Link: </style.css>; rel=preload\r\nLink: <https://a.example/l>; rel="license"\r\nSet-Cookie: a=b\r\n'
    )
    (document,) = written(tmp_path, record(headers=headers), "a.warc")
    assert document.metadata == {
        "content_type": "text/html",
        "x_robots_tag": "noai, otherbot: noindex",
        "content_usage": "train-ai=n",
        "tdm_reservation": "1",
        "link": '</style.css>; rel=preload, <https://a.example/l>; rel="license"',
    }
    many = b"X-Robots-Tag: noarchive\r\n" * 2000 + b"Link: <a>; rel=preload\r\n"
    (document,) = written(tmp_path, record(headers=many), "b.warc")
    assert len(document.metadata.pop("x_robots_tag")) == 1000
    assert document.metadata == {"content_type": "text/html"}
