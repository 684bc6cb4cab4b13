"""Damages input files at random and counts what is lost without a word.

    python tests/bench/mutants.py [--mutants 2000] [--seed 0] [--format NAME ...]

Of each format a small file is made whose records carry marks. Each mutant has one or two of: a changed bit, a stretch
of zeros, of other bytes, a stretch that is gone, doubled or put in, an end that is gone. A record is *intact* when none
of its bytes was touched. Prints one JSON line; for each format:
- `mutants`, and of them `with_losses` (at least one record was said to be unreadable);
- `silent`: an intact record does not come out, and no loss is said;
- `different`: a text that stands in no record comes out, and no loss is said (formats with checksums only);
- `misplaced`: a record's text comes out under the address of another;
- `tracebacks`; `hangs` (more than 30 s);
- `ended`: the library that reads the format ended the process: a run sets such a file aside.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import re
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import zstandard

ROOT = Path(__file__).parents[2]
RECORDS = 24
SECONDS = 30
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


def file_of(record: Callable[[int], bytes], pack: Callable[[bytes], bytes] = bytes, count: int = RECORDS) -> Made:
    """Records one after the other, each packed alone."""
    whole, places = bytearray(), []
    for number in range(count):
        data = pack(record(number))
        places.append((len(whole), len(whole) + len(data), number))
        whole += data
    return bytes(whole), places


def columns() -> Sequence[object]:
    import pyarrow

    size = RECORDS // 4
    return [
        pyarrow.record_batch({"text": [text_of(n) for n in some], "url": [url_of(n) for n in some], "n": list(some)})
        for some in (range(first, first + size) for first in range(0, RECORDS, size))
    ]


def parquet() -> Made:
    """A row is intact as long as its row group is, and the footer."""
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(stream, columns()[0].schema) as writer:
        for batch in columns():
            writer.write_batch(batch)
    data = stream.getvalue()
    file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
    places, row = [], 0
    for group in range(file.metadata.num_row_groups):
        about = file.metadata.row_group(group)
        starts = [about.column(n).dictionary_page_offset or about.column(n).data_page_offset for n in range(3)]
        ends = [start + about.column(n).total_compressed_size for n, start in enumerate(starts)]
        places += [(min(starts), max(ends), number) for number in range(row, row + about.num_rows)]
        row += about.num_rows
    return data, places


def arrow(form: str) -> Made:
    """A row is intact as long as its batch is."""
    import pyarrow

    stream = io.BytesIO()
    new = pyarrow.ipc.new_stream if form == "stream" else pyarrow.ipc.new_file
    places, row = [], 0
    with new(stream, columns()[0].schema) as writer:
        for batch in columns():
            start = stream.tell()
            writer.write_batch(batch)
            places += [(start, stream.tell(), number) for number in range(row, row + batch.num_rows)]
            row += batch.num_rows
    return stream.getvalue(), places


FORMATS: dict[str, Callable[[], Made]] = {
    "warc": lambda: file_of(warc),
    "warc.gz": lambda: file_of(warc, packed),
    "warc.zst": lambda: file_of(warc, zstd),
    "arc": lambda: file_of(arc),
    "arc.gz": lambda: file_of(arc, packed),
    "wet": lambda: file_of(wet),
    "wet.gz": lambda: file_of(wet, packed),
    "jsonl": lambda: file_of(line),
    "jsonl.gz": lambda: file_of(line, packed),
    "jsonl.zst": lambda: file_of(line, zstd),
    "html.gz": lambda: file_of(page, packed, 1),
    "html.zst": lambda: file_of(page, zstd, 1),
    "parquet": parquet,
    "stream.arrow": lambda: arrow("stream"),
    "file.arrow": lambda: arrow("file"),
}
CHECKED = (".gz", ".zst")
"""Formats whose bytes have checksums."""


def mutant(data: bytes, draw: random.Random) -> tuple[bytes, list[tuple[int, int]]]:
    """The damaged file, and the stretches of the sound one that were touched."""
    changed: list[tuple[int, int, bytes]] = []
    place = len(data)
    # From the end, so that the places before stay what they were.
    for _ in range(draw.choice([1, 1, 2])):
        start = draw.randrange(place) if place else 0
        end = min(place, start + draw.choice([1, 4, 30, draw.randrange(1, 2000)]))
        kind = draw.randrange(8)
        if kind <= 1:
            end = min(place, start + 1)
            put = bytes(byte ^ 1 << draw.randrange(8) for byte in data[start:end])
        elif kind == 2:
            put = bytes(end - start)
        elif kind == 3:
            put = draw.randbytes(end - start)
        elif kind == 4:
            put = b""
        elif kind == 5:
            put = data[start:end] * 2
        elif kind == 6:
            end, put = start, draw.choice([draw.randbytes(draw.randrange(1, 50)), data[:40], bytes(30)])
        else:
            end, put = place, b""
        changed.append((start, end, put))
        place = start
    parts, place = [], 0
    for start, end, put in reversed(changed):
        parts += [data[place:start], put]
        place = end
    return b"".join([*parts, data[place:]]), [(start, end) for start, end, put in changed if put != data[start:end]]


def read() -> None:
    """The process that reads: a path a line in, what came out of it a line out."""
    from curate.document import Document, Unreadable
    from curate.sources import open_source

    for path in sys.stdin:
        found: list[tuple[str, str]] = []
        losses = 0
        failed = ""
        try:
            for item in open_source(path.strip()):
                losses += isinstance(item, Unreadable)
                if isinstance(item, Document):
                    text = item.text if item.html is None else item.html.decode("utf-8", "replace")
                    found.append((text, item.url or ""))
        except Exception as error:
            failed = repr(error)
        print(json.dumps([found, losses, failed]), flush=True)


class Reader:
    """A process that reads, replaced when a file ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, path: Path) -> list | str:
        """What `read` says of a file, or `ended` or `hangs`."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--read"],
                cwd=ROOT,
                env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{path}\n".encode())
        self._process.stdin.flush()
        there, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        answer = self._process.stdout.readline() if there else b""
        if answer:
            return json.loads(answer)
        self.close()
        return "ended" if there else "hangs"

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def judged(name: str, places: list[tuple[int, int, int]], touched: list[tuple[int, int]], answer: list) -> list[str]:
    """What is wrong with the answer for one mutant."""
    found, losses, failed = answer
    if failed:
        return ["tracebacks"]
    whole = set(range(len(places)))
    # What was put in between two records touches neither.
    harmed = {
        number for start, end, number in places for a, b in touched if a < end and max(b, a + (a > start)) > start
    }
    marks = {int(mark): (text, url) for text, url in found for mark in MARK.findall(text)[:1]}
    wrong = []
    if not losses and (whole - harmed) - marks.keys():
        wrong.append("silent")
    sound = {(text_of if "jsonl" in name or "wet" in name else lambda n: page(n).decode())(number) for number in whole}
    # A page whose member is there twice is a page twice as long.
    if (
        not losses
        and name.endswith(CHECKED)
        and {text[: len(text) // max(1, text.count("MARK"))] for text, _ in found} - sound
    ):
        wrong.append("different")
    if any(url and url != url_of(mark) and text in sound and mark not in harmed for mark, (text, url) in marks.items()):
        wrong.append("misplaced")
    return wrong


def tried(name: str, mutants: int, seed: int, folder: Path, reader: Reader) -> dict[str, int | list[int]]:
    """Counts for one format; `seeds` are those of the mutants that went wrong."""
    data, places = FORMATS[name]()
    counts: Counter[str] = Counter(
        dict.fromkeys(["silent", "different", "misplaced", "tracebacks", "hangs", "ended"], 0)
    )
    bad: list[int] = []
    path = folder / f"a.{name}"
    for number in range(seed * mutants, (seed + 1) * mutants):
        damaged, touched = mutant(data, random.Random(f"{name} {number}"))
        path.write_bytes(damaged)
        answer = reader(path)
        counts["mutants"] += 1
        wrong = [answer] if isinstance(answer, str) else judged(name, places, touched, answer)
        counts["with_losses"] += isinstance(answer, list) and answer[1] > 0
        counts.update(wrong)
        bad += [number] if wrong else []
    return {**counts, "seeds": bad[:20]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", nargs="*", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--read", action="store_true")
    options = parser.parse_args()
    if options.read:
        read()
        return
    reader = Reader()
    with tempfile.TemporaryDirectory() as folder:
        counts = {one: tried(one, options.mutants, options.seed, Path(folder), reader) for one in options.format}
    reader.close()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
