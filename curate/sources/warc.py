"""WARC, WET and ARC files, sound or not: every record comes out as exactly one item.

Records are framed here, not by a library, because a crawl's files are broken in ways that must be distinguished: a
record that is shorter or longer than it says is set aside, and reading goes on at the next line that begins a record.
Formats: ISO 28500 (WARC 1.1) and the Internet Archive's ARC 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.document import Document, Skipped, Unreadable
from curate.domains import registered_domain
from curate.places.address import reason_of
from curate.sources.compressed import KEPT, Damage, Run, mapped, runs
from curate.sources.http import (
    HTML_TYPES,
    NO_TYPES,
    BadBody,
    decoded_body,
    is_html,
    looks_like_html,
    media_type,
    parse_headers,
    parse_response,
)
from curate.sources.meter import Reached
from curate.sources.partition import WHOLE, Partition, Piece
from curate.sources.recovery import FIRST_LINE

if TYPE_CHECKING:
    from upath import UPath

MAX_RECORD = 64 << 20
"""Bytes of a record's block; a longer one is set aside."""

MAX_LINE = 1 << 16
MAX_HEADERS = 256
_WARC = re.compile(rb"WARC/\d")
_IP = rb"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]{2,39}|-)"
_ARC = re.compile(
    rb"[a-z][a-z0-9+.-]{1,30}:"
    # An address may hold spaces that nobody escaped: then an IP address shows where it ends.
    rb"(?:[^ \n]{0,8192} [^ \n]{0,64}|[^\n]{0,8192} " + _IP + rb") \d{8,18} [^ \n]{0,128} [^\n]{1,512}\n"
)
_ARC_FIELDS = tuple(
    re.compile(rf"(?P<url>.*?) {ip} (?P<date>\d{{8,18}}) (?P<type>[^ ;]*(?:; ?[^ ;]*)*)(?: .*)? (?P<length>\S+)\Z")
    for ip in (_IP.decode(), r"\S{0,64}")
)
_LATER = re.compile(rb"\n" + _ARC.pattern)
_KNOWN = re.compile(rb"(?:https?|ftp|gopher|nntp|dns|whois|filedesc|metadata):")
_VERSION = re.compile(rb"(?<!/)WARC/\d\.\d{1,2}[ \t]*\r?\n\Z")
_ONCE = ("warc-type", "warc-record-id", "warc-target-uri", "warc-date", "content-length")
_LENGTH = re.compile(r"\d{1,18}\Z", re.ASCII)
_BLANK = b"\r\n\t "
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(slots=True, frozen=True)
class WarcRecord:
    """A record whose frame is sound. `kind` is the WARC-Type, `response` for a page of an ARC file."""

    key: str
    kind: str
    headers: dict[str, str]
    block: bytes

    @property
    def url(self) -> str | None:
        """The target URL, without the angle brackets that some writers put around it, with spaces escaped."""
        url = self.headers.get("warc-target-uri", "").strip().removeprefix("<").removesuffix(">")[:8192]
        return _UNSAFE.sub(lambda match: f"%{ord(match.group()):02X}", url) or None


def read_warc(partition: Partition, piece: Piece, reached: Reached | None) -> Iterator[Document | Skipped | Unreadable]:
    """Every record of a file, or of one piece.

    Pages (2xx responses, resources and conversions that are HTML) and conversions to text become documents, other sound
    records `Skipped`, the rest `Unreadable`. Raises OSError only, when the file cannot be opened.
    """
    for item in read_records(partition.path, partition.prefix, piece, reached):
        if isinstance(item, Unreadable):
            yield item
            continue
        try:
            made = _item(item, partition.source)
        except Exception as error:
            reason = f"the record cannot be read: {type(error).__name__}: {reason_of(error)}"
            made = Unreadable(item.key, reason, item.block[:KEPT])
        yield made


def read_records(
    path: Path | UPath, prefix: str, piece: Piece = WHOLE, reached: Reached | None = None
) -> Iterator[WarcRecord | Unreadable]:
    """The frames of a file, or of one piece, in order. `prefix` is the part before `@` in the keys."""
    with mapped(path) as data:
        if not data:
            yield Unreadable(f"{prefix}@0", "the file is empty")
            return
        for run in runs(data, piece, reached, path.name):
            held: WarcRecord | Unreadable | None = None
            for item in _framed(run, prefix, piece.end):
                if held is not None:
                    yield held
                held = item
            if run.begins_from(piece.end):
                # Damage may have been seen already, but it lies behind a record of the next piece.
                if held is not None:
                    yield held
                return
            if run.damage is not None:
                yield from _damaged(held, run, run.damage, prefix)
            elif held is not None:
                yield held


def _damaged(
    last: WarcRecord | Unreadable | None, run: Run, damage: Damage, prefix: str
) -> Iterator[WarcRecord | Unreadable]:
    """The last item before damage, and the damage. They are one loss when the damage cut the record in two, or when
    the member held this record alone: its bytes were read, but their checksum is wrong or missing."""
    if isinstance(last, Unreadable):
        yield Unreadable(last.key, f"{damage.error}; {last.error}", last.raw, last.lost + damage.size, damage.size)
        return
    if last is not None and last.key == f"{prefix}@{damage.offset}":
        yield Unreadable(last.key, damage.error, last.block[:KEPT])
        return
    if last is not None:
        yield last
    place = run.place()
    if place.partition("+")[0] != str(damage.offset):
        place = str(damage.offset)
    yield Unreadable(f"{prefix}@{place}", damage.error, damage.raw, damage.size, damage.size)


def _framed(run: Run, prefix: str, end: int | None) -> Iterator[WarcRecord | Unreadable]:
    while True:
        while run.peek(1) and run.peek(1) in _BLANK:
            run.line(MAX_LINE) if run.peek(2).strip(_BLANK) == b"" else run.read(1)
        head = run.peek(1)
        if not head or run.begins_from(end):
            return
        key = f"{prefix}@{run.place()}"
        if head == b"\0":
            size = _zeros(run)
            yield Unreadable(key, f"{size} zero bytes where a record should begin", bytes(min(size, KEPT)), size)
        elif _WARC.match(run.peek(16)):
            yield _warc_record(run, key)
        elif _ARC.match(run.peek(MAX_LINE)):
            yield _arc_record(run, key)
        else:
            raw, size = run.skip_to(_START, _VERSION)
            if raw.strip(_BLANK):
                yield Unreadable(
                    key, f"{size} bytes that are no record: they begin with {raw[:24]!r}", raw[:KEPT], size
                )


def _zeros(run: Run) -> int:
    """Go to the next byte that is not zero; returns how many were."""
    size = 0
    while part := run.peek(MAX_LINE):
        size += len(run.read(len(part) - len(part.lstrip(b"\0"))))
        if part[-1]:
            break
    return size


_START = re.compile(rb"(?:WARC/\d|" + _ARC.pattern + rb")")


def _warc_record(run: Run, key: str) -> WarcRecord | Unreadable:
    lines: list[bytes] = []
    first = run.line(MAX_LINE)
    if (begun := _VERSION.search(first)) and begun.start():
        return _header_cut_off(run, key, first, begun.start())
    while True:
        line = run.line(MAX_LINE)
        if not line.strip(b"\r\n"):
            break
        if begun := _VERSION.search(line):
            return _header_cut_off(
                run, key, first + b"".join(lines) + line, len(first) + sum(map(len, lines)) + begun.start()
            )
        lines.append(line)
        if len(lines) > MAX_HEADERS or len(line) == MAX_LINE:
            raw, _ = run.skip_to(_WARC, _VERSION)
            return Unreadable(key, "the record's header has no end", (first + b"".join(lines) + raw)[:KEPT])
    headers = parse_headers(lines)
    if twice := _twice(lines, headers):
        raw, _ = run.skip_to(_WARC, _VERSION)
        error = f"the record's header says {twice} twice: it is that of two records"
        return Unreadable(key, error, (first + b"".join(lines) + raw)[:KEPT])
    return _block(run, key, headers.get("warc-type", "").strip().lower(), headers, first + b"".join(lines), _WARC)


def _header_cut_off(run: Run, key: str, taken: bytes, begins: int) -> Unreadable:
    """The next record begins within a record's header: that one is lost, and the next is read as its own."""
    run.back(taken[begins:])
    return Unreadable(key, "the record's header is cut off: the next record begins in it", taken[:begins][:KEPT])


def _twice(lines: list[bytes], headers: dict[str, str]) -> str:
    """The field that a header states twice, with two values, where a record has one."""
    for line in lines:
        name, colon, value = line.partition(b":")
        field = name.strip().lower().decode("latin-1")
        words = value.decode("utf-8", "replace").split()
        # A value may go on in further lines.
        if colon and field in _ONCE and headers[field].split()[: len(words)] != words:
            return field
    return ""


def _arc_record(run: Run, key: str) -> WarcRecord | Unreadable:
    line = run.line(MAX_LINE)
    written = line.decode("utf-8", "replace").rstrip("\r\n")
    fields = next(filter(None, (form.match(written) for form in _ARC_FIELDS)), None)
    if fields is None:
        return Unreadable(key, "an ARC record whose first line has no address, date, type and length", line[:KEPT])
    url, date = fields["url"], fields["date"]
    headers = {"warc-target-uri": url, "content-type": fields["type"], "content-length": fields["length"]}
    if len(date) == 14:
        headers["warc-date"] = f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14]}Z"
    kind = "filedesc" if url.startswith("filedesc:") else "response"
    return _block(run, key, kind, headers, line, _ARC)


def _block(
    run: Run, key: str, kind: str, headers: dict[str, str], head: bytes, start: re.Pattern[bytes]
) -> WarcRecord | Unreadable:
    stated = headers.get("content-length", "").strip()
    if not _LENGTH.match(stated):
        error = f"the record's length is {stated[:40]!r}, not a number of bytes"
    elif int(stated) > MAX_RECORD:
        error = f"a record of {stated} bytes; at most {MAX_RECORD} are read"
    else:
        length = int(stated)
        # Peeked at before it is taken: a wrong length may cover sound records.
        gap = run.ahead(length, 8)
        if gap is None:
            error = f"the record says {length} bytes, and {run.left} are there"
        else:
            blank = len(gap) - len(gap.lstrip(b"\r\n"))
            following = run.ahead(length + blank, FIRST_LINE) if blank < len(gap) else b""
            # Too few bytes mean that the run ends here; `damage` alone does not, since it may lie far ahead.
            short = following is not None and len(following) < FIRST_LINE and b"\n" not in following
            cut_off = run.damage is not None and short
            # (Records of ARC begin with any scheme: behind no blank line, one letter of theirs may be another's.)
            begun = start.match(following or b"") and (blank or start is _WARC or _KNOWN.match(following or b""))
            # Two line ends say that the length is right, whatever stands behind them.
            ended = start is _WARC and gap.startswith(b"\r\n\r\n")
            ended = ended or (start is _ARC and bool(blank) and not begun and _whole(run.peek(length)))
            if not following or cut_off or begun or ended or (blank and following.startswith(b"\0")):
                return WarcRecord(key, kind, headers, run.read(length))
            error = f"the record says {length} bytes, but no record begins after them"
    if start.match(run.peek(FIRST_LINE)):
        return Unreadable(key, error, head)
    raw, _ = run.skip_to(start, _VERSION if start is _WARC else None)
    return Unreadable(key, error, (head + b"\r\n" + raw)[:KEPT])


def _whole(block: bytes) -> bool:
    """Whether a block shows by itself that it ends where it ought to: behind a record of an ARC file stands one line
    end, as behind any line of a page."""
    if any(_KNOWN.match(block, one.start() + 1) for one in _LATER.finditer(block)):
        return False
    try:
        response = parse_response(block)
    except BadBody:
        return False
    stated = response.headers.get("content-length", "") if response else ""
    return (
        stated == str(len(response.body)) if response and stated else block[-16:].strip().lower().endswith(b"</html>")
    )


def _item(record: WarcRecord, source: str) -> Document | Skipped | Unreadable:
    stated = record.headers.get("content-type", "")
    media = media_type(stated)
    if record.kind in ("conversion", "resource") and media in HTML_TYPES:
        return _document(record, source, {"content_type": stated[:200]}, html=record.block)
    if record.kind == "conversion":
        # Tools convert to pictures and films, too; a text has no NUL, whatever nobody said of it.
        if not (media.startswith("text/") or (media in NO_TYPES and b"\0" not in record.block)):
            return Skipped(record.key, f"not text: {media[:60] or 'no type'}")
        return _document(record, source, {}, text=_text(record.block, stated))
    if record.kind == "resource":
        return Skipped(record.key, f"not html: {media[:60] or 'no type'}")
    if record.kind != "response":
        return Skipped(record.key, record.kind[:60] or "record without a type")
    try:
        response = parse_response(record.block)
    except BadBody as reason:
        return Unreadable(record.key, str(reason), record.block[:KEPT])
    if response is None:
        return _bare(record, source, media, stated)
    if not 200 <= response.status < 300:
        return Skipped(record.key, f"http {response.status}")
    if not response.body:
        return Skipped(record.key, "empty body")
    if response.media_type not in (*NO_TYPES, *HTML_TYPES):
        return Skipped(record.key, f"not html: {response.media_type[:60]}")
    try:
        body, ends_early = decoded_body(response, "warc-truncated" in record.headers)
    except BadBody as reason:
        return Unreadable(record.key, str(reason), record.block[:KEPT])
    identified = media_type(record.headers.get("warc-identified-payload-type", ""))
    if not (is_html(response, body) or (response.media_type in NO_TYPES and identified in HTML_TYPES)):
        return Skipped(record.key, f"not html: {response.media_type[:60] or 'no type'}")
    if _OTHER.match(identified) and not looks_like_html(body):
        return Skipped(
            record.key, f"not html: {response.media_type[:60] or 'no type'}, identified as {identified[:60]}"
        )
    more = {"truncated": "the last chunk is missing"} if ends_early else {}
    return _document(record, source, {"content_type": response.content_type, **more, **response.signals}, html=body)


def _bare(record: WarcRecord, source: str, media: str, stated: str) -> Document | Skipped:
    """A response without a status line: a page where its record says so, or says nothing and it begins as one. Early
    crawlers stored the body alone, as HTTP/0.9 sent it."""
    of_web = (record.url or "").lower().startswith(("http:", "https:"))
    page = media in HTML_TYPES or (media in (*NO_TYPES, "application/http") and looks_like_html(record.block))
    if not (of_web and page and record.block):
        return Skipped(record.key, "not http")
    document = _document(
        record, source, {"content_type": stated[:200]} if media in HTML_TYPES else {}, html=record.block
    )
    document.notes.append(("read", "a page without an HTTP header", None))
    return document


_OTHER = re.compile(r"(?:image|audio|video|font)/|application/(?:pdf|zip|gzip|x-gzip|x-shockwave-flash)\Z")
"""Types of a payload, as the crawler identified it, that a server's `text/html` does not outweigh, unless the bytes
begin as a page does."""


def _text(block: bytes, content_type: str) -> str:
    """A converted text: UTF-8, as WET has it, or else what its type names."""
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError:
        import webencodings

        label = re.search(r"charset\s*=\s*[\"']?([^\s\"';,]{1,40})", content_type, re.IGNORECASE)
        named = webencodings.lookup(label.group(1)) if label else None
        return webencodings.decode(block, named or webencodings.UTF8)[0]


def _document(
    record: WarcRecord, source: str, metadata: dict[str, str], *, text: str = "", html: bytes | None = None
) -> Document:
    kept = {"date": record.headers.get("warc-date", "")[:40], **metadata}
    if "warc-truncated" in record.headers:
        kept["truncated"] = record.headers["warc-truncated"][:40]
    return Document(
        key=record.key,
        text=text,
        url=record.url,
        domain=registered_domain(record.url) or source,
        source=source,
        metadata={name: value for name, value in kept.items() if value},
        html=html,
    )
