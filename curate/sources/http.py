"""One HTTP response as a crawl stores it: status, headers, and a body freed of its transfer and content codings."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curate.sources.compressed import GZIP, INFLATED, ZSTD, ZSTD_FEED, ZSTD_WINDOW

MAX_BODY = 20 << 20
"""Most bytes of a decoded body."""

MAX_MEMBERS = 1000
MAX_HEAD = 1 << 20
"""Bytes in which a response's header must end."""

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})(?!\d)|HTTP/\d(?:\.\d)?\s+(\d{3})\Z")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1024})?\r?\n")
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|title|meta)[\s>]", re.IGNORECASE)
_FIELD = re.compile(rb"[^\s<>:]+[ \t]*:|[ \t]|\r?\Z")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_ESSENCE = re.compile(r"[a-z0-9!#$&^_.+*-]{1,127}/[a-z0-9!#$&^_.+*-]{1,127}")
HTML_TYPES = ("text/html", "application/xhtml+xml")
NO_TYPES = ("", "application/octet-stream", "unknown/unknown", "no-type", "unknown", "none", "application/unknown")
"""What servers and crawlers write where they do not know: then the content says whether it is a page."""


SIGNALS = ("x-robots-tag", "content-usage", "tdm-reservation", "tdm-policy")
"""Headers that say who may use a page. A document has them as fields, raw, so that a later step decides on them."""

_SEVERAL = (*SIGNALS, "link")
MAX_SIGNAL = 1000


class BadBody(ValueError):
    """The body cannot be decoded, or is larger than allowed."""


@dataclass(slots=True, frozen=True)
class Response:
    """`headers` have lower-case names; of several with the same name the first counts, and of `SIGNALS` all, with
    commas between them (RFC 9110, 5.3)."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def signals(self) -> dict[str, str]:
        """The headers that say who may use the page, and a licence that `Link` names, as fields of a document."""
        named = {name: self.headers[name] for name in SIGNALS if self.headers.get(name)}
        if "license" in (link := self.headers.get("link", "")).lower():
            named["link"] = link
        return {name.replace("-", "_"): value[:MAX_SIGNAL] for name, value in named.items()}

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")[:200]

    @property
    def media_type(self) -> str:
        return media_type(self.content_type)


def media_type(written: str) -> str:
    """The type and subtype of a `Content-Type`, in lower case, as browsers read it (Fetch, "extract a MIME type"): of a
    list the last that is one, without quotation marks; a parameter that lacks its semicolon is none the less one. What
    is no media type stays as it is written."""
    for one in reversed(written.split(",")):
        essence = _ESSENCE.match(one.strip(" \t\r\n\"'").lower())
        if essence and essence.group() != "*/*":
            return essence.group()
    return written.partition(";")[0].strip().lower()


def parse_headers(lines: list[bytes]) -> dict[str, str]:
    """Header lines as a dictionary; continuation lines are joined, lines without a colon skipped."""
    headers: dict[str, str] = {}
    last = None
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text[:1] in (" ", "\t") and last is not None:
            headers[last] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        last, name = None, name.strip().lower()
        if colon and name and name not in headers:
            last = name
            headers[last] = value.strip()
        elif colon and name in _SEVERAL and len(headers[name]) < MAX_SIGNAL:
            headers[name] += ", " + value.strip()
    return headers


def parse_response(block: bytes) -> Response | None:
    """A response without decoding its body; None when the block does not begin with a status line.

    Raises BadBody for a header without end, unless it is all there is.
    """
    if not block.startswith(b"HTTP/"):
        return None
    end = _HEAD_END.search(block, 0, MAX_HEAD)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block[:MAX_HEAD], b"")
    first, *lines = head.split(b"\n")
    status = _STATUS.match(first.strip())
    if status is None:
        return None
    if end is None and (len(block) > MAX_HEAD or not all(_FIELD.match(line) for line in lines)):
        raise BadBody(f"the HTTP header has no end in its first {MAX_HEAD} bytes")
    return Response(int(status.group(1) or status.group(2)), parse_headers(lines), body)


def looks_like_html(body: bytes) -> bool:
    """Whether the first 1 024 bytes hold one of the elements that begin a page."""
    return _HTML.search(body[:1024]) is not None


def is_html(response: Response, body: bytes) -> bool:
    """By the header; by the content when the header is missing or generic."""
    if response.media_type in HTML_TYPES:
        return True
    return response.media_type in NO_TYPES and looks_like_html(body)


def decoded_body(response: Response, cut: bool = False) -> tuple[bytes, bool]:
    """The body without its codings, and whether it ends before its last chunk. Raises BadBody, for a chunk that is cut
    in two too, unless the archive says itself that the record was `cut`.

    Crawlers often store a body decoded and leave the headers as they were, so a body that does not begin as its header
    says is taken as it is (one that begins so and breaks later is refused).
    """
    body, ends_early = response.body, False
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        body, ends_early = unchunked(body, cut)
    codings = [one.strip().lower() for one in response.headers.get("content-encoding", "").split(",")]
    for coding in reversed(codings[:4]):
        if coding in ("gzip", "x-gzip") and body.startswith(GZIP):
            body = _inflated(body, 31, GZIP)
        elif coding == "deflate" and not looks_like_html(body):
            # RFC 9110, 8.4.1.2: zlib's format; some servers send bare deflate.
            body = _inflated(body, 15 if body[:1] == b"\x78" else -15)
        elif coding == "br" and not looks_like_html(body):
            body = _unbrotlied(body)
        elif coding == "zstd" and body.startswith(ZSTD):
            body = _unzstd(body)
    if len(body) > MAX_BODY:
        raise BadBody(f"a body of {len(body)} bytes; at most {MAX_BODY} are read")
    return body, ends_early


def unchunked(body: bytes, cut: bool = False) -> tuple[bytes, bool]:
    """RFC 9112, 7.1, and whether the last chunk is missing: then all that came is there, and a page that is not whole
    is a page, as one that a crawler cut is. A body whose first line is not a chunk size was stored decoded.

    Raises BadBody; of a record that was `cut`, a last chunk that is not all there is no fault.
    """
    if not body or _CHUNK.match(body) is None:
        return body, False
    parts: list[bytes] = []
    place = 0
    while True:
        head = _CHUNK.match(body, place)
        if head is None:
            if place == len(body) or (cut and len(body) - place < 1024 and b"\n" not in body[place:]):
                return b"".join(parts), True
            raise BadBody(f"bad chunked encoding: no chunk size at byte {place} of the body")
        size = int(head.group(1), 16)
        if size == 0:
            return b"".join(parts), False
        start, end = head.end(), head.end() + size
        if end > len(body):
            if cut:
                return b"".join([*parts, body[start:]]), True
            raise BadBody(f"bad chunked encoding: a chunk of {size} bytes, {len(body) - start} are left")
        parts.append(body[start:end])
        place = end
        if body[place : place + 2] == b"\r\n":
            place += 2
        elif body[place : place + 1] == b"\n":
            place += 1
        elif place == len(body):
            return b"".join(parts), True
        else:
            raise BadBody(f"bad chunked encoding: the chunk that ends at byte {place} of the body has no line end")


def _members(body: bytes, begin: Callable[[], Any], magic: bytes | None) -> bytes:
    """Inflate one member after the other, as RFC 1952 (2.2) and RFC 8878 (3) allow; `magic` begins each, None says that
    there is only one. What follows the last is ignored. Raises BadBody, and what the codec raises."""
    parts: list[bytes] = []
    size = place = 0
    for _ in range(MAX_MEMBERS):
        inflate = begin()
        while not inflate.eof:
            if place == len(body):
                raise BadBody(f"the compressed body is cut off after {len(body)} bytes")
            fed = body[place : place + ZSTD_FEED]
            part = inflate.decompress(fed)
            place += len(fed) - len(inflate.unused_data)
            size += len(part)
            if size > MAX_BODY:
                raise BadBody(f"the body inflates to more than {MAX_BODY} bytes")
            parts.append(part)
        if magic is None or not body.startswith(magic, place):
            return b"".join(parts)
    raise BadBody(f"the body has more than {MAX_MEMBERS} compressed members")


def _inflated(body: bytes, window: int, magic: bytes | None = None) -> bytes:
    try:
        return _members(body, lambda: zlib.decompressobj(window), magic)
    except zlib.error as reason:
        raise BadBody(f"bad compressed body: {reason}") from None


def _unbrotlied(body: bytes) -> bytes:
    try:
        import brotli
    except ImportError:
        raise BadBody("the body is coded with brotli, and the package `brotli` is not installed") from None
    decoder = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    fed = body
    try:
        while not decoder.is_finished():
            # A few hundred bytes can unpack to a gigabyte: the output is bounded, not only the input.
            part = decoder.process(fed, output_buffer_limit=INFLATED)
            size += len(part)
            if size > MAX_BODY:
                raise BadBody(f"the body inflates to more than {MAX_BODY} bytes")
            if not part and decoder.can_accept_more_data():
                break
            parts.append(part)
            fed = b""
    except brotli.error as reason:
        raise BadBody(f"bad brotli body: {reason}") from None
    if not decoder.is_finished():
        raise BadBody(f"the brotli body is cut off after {len(body)} bytes")
    return b"".join(parts)


def _unzstd(body: bytes) -> bytes:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    try:
        return _members(body, decompressor.decompressobj, ZSTD)
    except zstandard.ZstdError as reason:
        raise BadBody(f"bad zstd body: {reason}") from None
