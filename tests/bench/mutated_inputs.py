"""Input files for `mutants.py`: of each format a small file whose records carry marks, and what is wrong with answers.

A record is *intact* when none of its bytes was touched. Without a word may be lost no intact record, may come out no
text that stands in no record (formats with checksums only), and no record's text under the address of another.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import damage
import zstandard
from mutation import Format, Said, asked

RECORDS = 24
MARK = re.compile(r"MARK(\d{4})X")

Made = tuple[bytes, list[tuple[int, int, int]]]
"""A file, and of each record the byte where it begins, the byte where it ends, and its number."""


def text_of(number: int) -> str:
    draw = random.Random(number)
    words = " ".join(draw.choice(["river", "stone", "hill", "water", "light"]) for _ in range(draw.randrange(20, 60)))
    return f"MARK{number:04d}X {words}"


def url_of(number: int) -> str:
    return f"http://site{number:04d}.example.org/page"


def warc(number: int) -> bytes:
    body = f"<html><head><title>t</title></head><body><p>{text_of(number)}</p></body></html>"
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{body}".encode()
    return _record("response", number, block)


def wet(number: int) -> bytes:
    return _record("conversion", number, text_of(number).encode())


def _record(kind: str, number: int, block: bytes) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url_of(number)}\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
    name = f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
    return f"{head}{name}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def arc(number: int) -> bytes:
    body = f"<html><head><title>t</title></head><body><p>{text_of(number)}</p></body></html>"
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{body}".encode()
    return f"{url_of(number)} 192.0.2.1 20200101000000 text/html {len(block)}\n".encode() + block + b"\n"


def line(number: int) -> bytes:
    return json.dumps({"text": text_of(number), "url": url_of(number)}).encode() + b"\n"


def page(number: int) -> bytes:
    return f"<html><head><title>t</title></head><body><p>{text_of(number)}</p></body></html>".encode()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def file_of(
    record: Callable[[int], bytes], pack: Callable[[bytes], bytes] = bytes, count: int = RECORDS, first: int = 0
) -> Made:
    """Records one after the other, each packed alone."""
    whole, places = bytearray(), []
    for number in range(first, first + count):
        data = pack(record(number))
        places.append((len(whole), len(whole) + len(data), number))
        whole += data
    return bytes(whole), places


def columns(first: int) -> Sequence[Any]:
    import pyarrow

    size = RECORDS // 4
    return [
        pyarrow.record_batch({"text": [text_of(n) for n in some], "url": [url_of(n) for n in some], "n": list(some)})
        for some in (range(place, place + size) for place in range(first, first + RECORDS, size))
    ]


def parquet(first: int) -> Made:
    """A row is intact as long as its row group is, and the footer."""
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(stream, columns(first)[0].schema) as writer:
        for batch in columns(first):
            writer.write_batch(batch)
    data = stream.getvalue()
    file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
    places, row = [], first
    for group in range(file.metadata.num_row_groups):
        about = file.metadata.row_group(group)
        starts = [about.column(n).dictionary_page_offset or about.column(n).data_page_offset for n in range(3)]
        ends = [start + about.column(n).total_compressed_size for n, start in enumerate(starts)]
        places += [(min(starts), max(ends), number) for number in range(row, row + about.num_rows)]
        row += about.num_rows
    return data, places


def arrow(form: str, first: int) -> Made:
    """A row is intact as long as its batch is."""
    import pyarrow

    stream = io.BytesIO()
    new = pyarrow.ipc.new_stream if form == "stream" else pyarrow.ipc.new_file
    places, row = [], first
    with new(stream, columns(first)[0].schema) as writer:
        for batch in columns(first):
            start = stream.tell()
            writer.write_batch(batch)
            places += [(start, stream.tell(), number) for number in range(row, row + batch.num_rows)]
            row += batch.num_rows
    return stream.getvalue(), places


MADE: dict[str, Callable[[int], Made]] = {
    "warc": lambda first: file_of(warc, first=first),
    "warc.gz": lambda first: file_of(warc, packed, first=first),
    "warc.zst": lambda first: file_of(warc, zstd, first=first),
    "arc": lambda first: file_of(arc, first=first),
    "arc.gz": lambda first: file_of(arc, packed, first=first),
    "wet": lambda first: file_of(wet, first=first),
    "wet.gz": lambda first: file_of(wet, packed, first=first),
    "jsonl": lambda first: file_of(line, first=first),
    "jsonl.gz": lambda first: file_of(line, packed, first=first),
    "jsonl.zst": lambda first: file_of(line, zstd, first=first),
    "html": lambda first: file_of(page, count=1, first=first),
    "html.gz": lambda first: file_of(page, packed, 1, first),
    "html.zst": lambda first: file_of(page, zstd, 1, first),
    "parquet": parquet,
    "stream.arrow": lambda first: arrow("stream", first),
    "file.arrow": lambda first: arrow("file", first),
}
CHECKED = (".gz", ".zst")
"""Formats whose bytes have checksums."""
OTHER = 1000
"""The number of the first record of the other sound file."""


def items(path: Path) -> list[Any]:
    """The texts and addresses that a file gives, and how many losses are said."""
    from curate.document import Document, Unreadable
    from curate.sources import open_source

    found: list[tuple[str, str]] = []
    losses = 0
    for item in open_source(str(path)):
        losses += isinstance(item, Unreadable)
        if isinstance(item, Document):
            text = item.text if item.html is None else item.html.decode("utf-8", "replace")
            found.append((text, item.url or ""))
    return [found, losses]


def set_aside(path: Path) -> list[Any]:
    """What a run makes of a file that ends the process which reads it. Raises unless it is set aside, and said."""
    from engine_steps import Trim, corpus_run

    summary = corpus_run(path, path.parent / "out", [Trim()], workers=1).execute()
    assert summary["documents"]["unreadable"] == 1 and summary["loss"] == 1, summary["documents"]
    return [[], 1]


class InputFormat(Format):
    """Files of one format of the input."""

    def __init__(self, name: str) -> None:
        super().__init__(self._make, (f"a.{name}",), {"items": lambda work: items(work / f"a.{name}")})
        self.name = name
        self.touched: list[tuple[int, int]] = []
        self.content, self.places = b"", []

    def _make(self, folder: Path, seed: int) -> None:
        (folder / f"a.{self.name}").write_bytes(MADE[self.name](seed * OTHER)[0])

    def harm(self, work: Path, other: Path, draw: random.Random, reader: str) -> str:
        if not self.content:
            self.content, self.places = MADE[self.name](0)
        content, file = self.content, f"a.{self.name}"
        changed = damage.stretches(content, draw, (other / file).read_bytes())
        self.touched = [(start, end) for start, end, put in changed if put != content[start:end]]
        (work / file).write_bytes(damage.damaged(content, changed))
        return "; ".join(f"[{start}:{end}] -> {put[:40]!r} ({len(put)})" for start, end, put in changed)

    def outcome(self, said: Said, sound: Said, work: Path) -> str:
        if said.kind == "crashes":
            said = asked(lambda folder: set_aside(folder / f"a.{self.name}"), work, 120)
            return "refused" if said.kind == "answer" else "crashes"
        if said.kind != "answer":
            return said.kind
        if sum(end - start for start, end in self.touched) == len(self.content):
            return "refused" if said.answer[1] else "unchecked"  # nothing is left of the file: it is another one
        if judged(self.name, self.places, self.touched, said.answer):
            return "silently_different"
        if said.answer[1]:
            return "refused"
        return "alike" if said.answer == sound.answer else "unchecked"


def judged(name: str, places: list[tuple[int, int, int]], touched: list[tuple[int, int]], answer: list) -> list[str]:
    """What is wrong with the texts, addresses and losses of one mutant: `silent`, `different`, `misplaced`."""
    found, losses = answer
    whole = {number for _, _, number in places}
    # What was put in between two records touches neither.
    harmed = {
        number for start, end, number in places for a, b in touched if a < end and max(b, a + (a > start)) > start
    }
    marks = {int(mark): (text, url) for text, url in found for mark in MARK.findall(text)[:1]}
    wrong = []
    if not losses and (whole - harmed) - marks.keys():
        wrong.append("silent")
    # A stretch of the other file may be put in.
    both = whole | {number + OTHER for number in whole}
    sound = {(text_of if "jsonl" in name or "wet" in name else lambda n: page(n).decode())(number) for number in both}
    # A page whose member is there twice is a page twice as long.
    if (
        not losses
        and name.endswith(CHECKED)
        and {text[: len(text) // max(1, text.count("MARK"))] for text, _ in found} - sound
    ):
        wrong.append("different")
    addresses = {url_of(number): number for number in both}
    if any(
        addresses.get(url, mark) != mark and text in sound and mark in whole - harmed
        for mark, (text, url) in marks.items()
    ):
        wrong.append("misplaced")
    return wrong


FORMATS: dict[str, Format] = {name: InputFormat(name) for name in MADE}
