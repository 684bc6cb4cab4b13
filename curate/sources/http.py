"""One HTTP response as a crawl stores it: status, headers, and a body freed of its transfer and content codings."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

MAX_BODY = 20 << 20
"""Bytes that a decoded body may have."""

MAX_HEAD = 1 << 16
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})(?!\d)|HTTP/\d(?:\.\d)?\s+(\d{3})\Z")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1024})?\r?\n")
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|title|meta)[\s>]", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
HTML_TYPES = ("text/html", "application/xhtml+xml")


class BadBody(ValueError):
    """The body cannot be decoded, or is larger than allowed."""


@dataclass(slots=True, frozen=True)
class Response:
    """`headers` have lower-case names; the first of several with one name counts."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")[:200]

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()


def parse_headers(lines: list[bytes]) -> dict[str, str]:
    """Header lines as a dictionary; continuation lines are joined, lines without a colon passed over."""
    headers: dict[str, str] = {}
    last = None
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text[:1] in (" ", "\t") and last is not None:
            headers[last] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        last = None
        if colon and name.strip() and name.strip().lower() not in headers:
            last = name.strip().lower()
            headers[last] = value.strip()
    return headers


def parse_response(block: bytes) -> Response | None:
    """A response without decoding its body; None when the block does not begin with a status line."""
    if not block.startswith(b"HTTP/"):
        return None
    end = _HEAD_END.search(block, 0, MAX_HEAD)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block[:MAX_HEAD], b"")
    first, *lines = head.split(b"\n")
    status = _STATUS.match(first.strip())
    if status is None:
        return None
    return Response(int(status.group(1) or status.group(2)), parse_headers(lines), body)


def looks_like_html(body: bytes) -> bool:
    """Whether one of the elements that begin a page stands in the first 1 024 bytes."""
    return _HTML.search(body[:1024]) is not None


def is_html(response: Response, body: bytes) -> bool:
    """By the header; by the content when there is none, or one that says nothing."""
    if response.media_type in HTML_TYPES:
        return True
    return response.media_type in ("", "application/octet-stream", "unknown/unknown") and looks_like_html(body)


def decoded_body(response: Response) -> bytes:
    """The body without its codings. Raises BadBody.

    Crawlers often store a body decoded and leave the headers as they were, so a body that does not begin as its header
    says is taken as it is (and one that breaks later is not).
    """
    body = response.body
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        body = unchunked(body)
    codings = [one.strip().lower() for one in response.headers.get("content-encoding", "").split(",")]
    for coding in reversed(codings[:4]):
        if coding in ("gzip", "x-gzip") and body[:2] == b"\x1f\x8b":
            body = _inflated(body, 31)
        elif coding == "deflate" and not looks_like_html(body):
            # RFC 9110, 8.4.1.2: zlib's format; some servers send bare deflate.
            body = _inflated(body, 15 if body[:1] == b"\x78" else -15)
        elif coding == "br" and not looks_like_html(body):
            body = _unbrotlied(body)
        elif coding == "zstd" and body[:4] == b"\x28\xb5\x2f\xfd":
            body = _unzstd(body)
    if len(body) > MAX_BODY:
        raise BadBody(f"a body of {len(body)} bytes; at most {MAX_BODY} are read")
    return body


def unchunked(body: bytes) -> bytes:
    """RFC 9112, 7.1. A body whose first line is no chunk size was stored decoded. Raises BadBody."""
    if not body or _CHUNK.match(body) is None:
        return body
    parts: list[bytes] = []
    place = 0
    while True:
        head = _CHUNK.match(body, place)
        if head is None:
            raise BadBody(f"bad chunked encoding: no chunk size at byte {place} of the body")
        size = int(head.group(1), 16)
        if size == 0:
            return b"".join(parts)
        start, end = head.end(), head.end() + size
        if end > len(body):
            raise BadBody(f"bad chunked encoding: a chunk of {size} bytes, {len(body) - start} are left")
        parts.append(body[start:end])
        place = end
        if body[place : place + 2] == b"\r\n":
            place += 2
        elif body[place : place + 1] == b"\n":
            place += 1
        elif place == len(body):
            raise BadBody("bad chunked encoding: the last chunk is missing")
        else:
            raise BadBody(f"bad chunked encoding: the chunk that ends at byte {place} of the body has no line end")


def _inflated(body: bytes, window: int) -> bytes:
    inflate = zlib.decompressobj(window)
    try:
        out = inflate.decompress(body, MAX_BODY + 1)
    except zlib.error as reason:
        raise BadBody(f"bad compressed body: {reason}") from None
    if len(out) > MAX_BODY:
        raise BadBody(f"the body inflates to more than {MAX_BODY} bytes")
    if not inflate.eof:
        raise BadBody(f"the compressed body is cut off after {len(body)} bytes")
    return out


def _unbrotlied(body: bytes) -> bytes:
    try:
        import brotli
    except ImportError:
        raise BadBody("the body is coded with brotli, and the package `brotli` is not installed") from None
    decoder = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    try:
        # Small feeds keep a bomb small: one piece is inflated before the next is given.
        for place in range(0, len(body), 256):
            part = decoder.process(body[place : place + 256])
            size += len(part)
            if size > MAX_BODY:
                raise BadBody(f"the body inflates to more than {MAX_BODY} bytes")
            parts.append(part)
    except brotli.error as reason:
        raise BadBody(f"bad brotli body: {reason}") from None
    if not decoder.is_finished():
        raise BadBody(f"the brotli body is cut off after {len(body)} bytes")
    return b"".join(parts)


def _unzstd(body: bytes) -> bytes:
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body) as reader:
            out = reader.read(MAX_BODY + 1)
    except zstandard.ZstdError as reason:
        raise BadBody(f"bad zstd body: {reason}") from None
    if len(out) > MAX_BODY:
        raise BadBody(f"the body inflates to more than {MAX_BODY} bytes")
    return out
