"""What archives hold in practice: addresses with spaces, no HTTP headers, lists of types, bad neighbours."""

from pathlib import Path

import pytest
import zstandard

from curate.document import Document, Skipped, Unreadable
from curate.sources import open_source
from curate.sources.http import media_type

PAGE = b"<!doctype html><html><body><p>A page.</p></body></html>"
TEXT = b"The first mill on the river was built by a farmer."


def read(tmp_path: Path, content: bytes, name: str = "a.warc") -> list:
    path = tmp_path / name
    path.write_bytes(content)
    return list(open_source(path, "t"))


def warc(kind: str, block: bytes, *fields: str, length: int | None = None) -> bytes:
    head = ["WARC/1.0", f"WARC-Type: {kind}", "WARC-Target-URI: http://a.example/x", *fields]
    head.append(f"Content-Length: {len(block) if length is None else length}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def http(*fields: str, body: bytes = PAGE) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *fields]).encode() + b"\r\n\r\n" + body


def arc(url: str, block: bytes, kind: str = "text/html", length: int | None = None) -> bytes:
    size = len(block) if length is None else length
    return f"{url} 192.0.2.7 20040925001013 {kind} {size}\n".encode() + block + b"\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("text/html", "text/html"),
        ("TEXT/HTML; Charset=UTF-8", "text/html"),
        ("text/html,text/html", "text/html"),
        ("text/html, text/html; charset=utf-8", "text/html"),
        ("text/html; charset=utf-8, */*", "text/html"),
        ("text/html;;charset=utf-8", "text/html"),
        ("text/html charset=utf-8", "text/html"),
        ('"text/html"', "text/html"),
        (" 'text/html' ; charset=x", "text/html"),
        ("image/png, text/html", "text/html"),
        ("text/html, image/png", "image/png"),
        ("text/htmlx", "text/htmlx"),
        ("html", "html"),
        ("", ""),
    ],
)
def test_types_are_read_as_browsers_read_them(written, meant):
    assert media_type(written) == meant


def test_addresses_of_arc_files_may_hold_spaces(tmp_path):
    urls = ["http://a.example/two words", "http://a.example/x y 20040101 z", "http://a.example/" + "l" * 3000]
    content = b"".join(arc(url, http("Content-Type: text/html")) for url in urls)
    content += arc("http://a.example/typed", http("Content-Type: text/html"), "text/html; charset=utf-8")
    content += b"http://a.example/v2 192.0.2.7 20040925001013 text/html 200 SUM - 0 x.arc %d\n" % len(http()) + http()
    items = read(tmp_path, content, "a.arc")
    assert [type(item) for item in items] == [Document] * 5, items
    assert [item.url for item in items[:2]] == [url.replace(" ", "%20") for url in urls[:2]]
    assert {item.metadata["date"] for item in items} == {"2004-09-25T00:10:13Z"}


@pytest.mark.parametrize(
    ("block", "kind", "is_page"),
    [
        (PAGE, "text/html", True),
        (b"<p>no beginning</p>", "text/html", True),
        (b"<SCRIPT></SCRIPT>\n" + PAGE, "no-type", True),
        (b"GIF89a...", "image/gif", False),
        (PAGE, "image/gif", False),
        (b"plain words", "no-type", False),
    ],
)
def test_a_page_without_an_http_header_is_a_page(tmp_path, block, kind, is_page):
    for content, name in (
        (arc("http://a.example/", block, kind), "a.arc"),
        (warc("response", block, f"Content-Type: {kind}"), "a.warc"),
    ):
        (item,) = read(tmp_path, content, name)
        assert item.html == block if is_page else item.reason == "not http"


def test_what_is_no_web_page_stays_none(tmp_path):
    content = b"".join(arc(url, b"<html>") for url in ("dns:a.example", "ftp://a.example/x.html"))
    assert [item.reason for item in read(tmp_path, content, "a.arc")] == ["not http"] * 2


def test_conversions_are_texts_only_where_their_type_says_so(tmp_path):
    kinds = ["text/plain", "TEXT/MARKDOWN; charset=utf-8", "", "application/octet-stream", "image/png", "video/webm"]
    blocks = [TEXT, TEXT, TEXT, TEXT + b"\0", TEXT, TEXT]
    content = b"".join(warc("conversion", b, f"Content-Type: {k}") for b, k in zip(blocks, kinds, strict=True))
    items = read(tmp_path, content)
    assert [item.text for item in items[:3]] == [TEXT.decode()] * 3
    assert [item.reason for item in items[3:]] == [
        *("not text: application/octet-stream", "not text: image/png", "not text: video/webm"),
    ]
    content = warc("conversion", PAGE, "Content-Type: text/html")
    content += warc("conversion", "Мельница".encode("cp1251"), "Content-Type: text/plain; charset=windows-1251")
    page, text = read(tmp_path, content)
    assert page.html == PAGE and text.text == "Мельница"


def test_what_the_crawler_identified_decides_where_the_server_said_nothing_or_a_page(tmp_path):
    said = "WARC-Identified-Payload-Type: "
    content = warc("response", http(body=b"<p>Words"), said + "text/html")
    content += warc("response", http("Content-Type: text/html", body=b"\xff\xd8\xff\xe0"), said + "image/jpeg")
    content += warc("response", http("Content-Type: text/html"), said + "image/jpeg")
    content += warc("response", http("Content-Type: text/plain"), said + "text/html")
    items = read(tmp_path, content)
    assert [type(item) for item in items] == [Document, Skipped, Document, Skipped]
    assert items[1].reason == "not html: text/html, identified as image/jpeg"


def test_a_body_without_its_last_chunk_is_a_page_that_says_so(tmp_path):
    chunked = ("Content-Type: text/html", "Transfer-Encoding: chunked")
    whole = b"6\r\n<html>\r\n"
    content = warc("response", http(*chunked, body=whole + b"0\r\n\r\n"))
    content += warc("response", http(*chunked, body=whole))
    content += warc("response", http(*chunked, body=whole + b"40\r\nhalf"))
    content += warc("response", http(*chunked, body=whole + b"40\r\nhalf"), "WARC-Truncated: length")
    content += warc("response", http(*chunked, body=whole + b"4"), "WARC-Truncated: length")
    items = read(tmp_path, content)
    assert [type(item) for item in items] == [Document, Document, Unreadable, Document, Document]
    assert [item.html for item in items if isinstance(item, Document)] == [b"<html>"] * 2 + [b"<html>half", b"<html>"]
    assert [item.metadata.get("truncated") for item in items if isinstance(item, Document)] == [
        *(None, "the last chunk is missing", "length", "length"),
    ]


@pytest.mark.parametrize("form", ["warc", "arc"])
@pytest.mark.parametrize("bad", ["long", "short", "far too long", "no number", "cut", "zeros", "noise"])
def test_the_neighbours_of_a_bad_record_are_read(tmp_path, form, bad):
    """Each record is in exactly one count, and only the bad one is lost."""
    body = PAGE + b"\n" * 3 + b"words\n" * 40
    block = http("Content-Type: text/html", f"Content-Length: {len(body)}", body=body)

    def one(url: str, length: int | None = None, kind: str = "text/html") -> bytes:
        if form == "arc":
            return arc(url, block, kind, length)
        return warc("response", block, "X-Number: 1", length=length).replace(b"http://a.example/x", url.encode())

    size = len(block)
    middle = one("http://b.example/")
    broken = {
        "long": lambda: one("http://b.example/", size + 37),
        "short": lambda: one("http://b.example/", size - 37),
        "far too long": lambda: one("http://b.example/", 10**9),
        "no number": lambda: middle.replace(f"{size}".encode(), b"1e3", 1),
        "cut": lambda: middle[: len(middle) // 2] + b"\n",
        "zeros": lambda: bytes(len(middle)),
        "noise": lambda: b"\x81noise\n" * 30,
    }[bad]()
    sound = [one(f"http://{name}.example/") for name in "acd"]
    items = read(tmp_path, sound[0] + broken + sound[1] + sound[2], f"a.{form}")
    assert [item.url for item in items if isinstance(item, Document)] == [f"http://{name}.example/" for name in "acd"]
    assert [type(item) for item in items].count(Unreadable) == 1 and len(items) == 4


def test_a_zstd_window_that_is_too_long_names_its_remedy(tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b'{"text": "x"}\n') + packer.flush()
    (item,) = read(tmp_path, packed, "a.jsonl.zst")
    assert isinstance(item, Unreadable) and "--long=27" in item.error
