"""Hostile input is bounded in memory and time, in a process of its own whose peak is measured, and accounted for."""

import gzip
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
import zstandard
from engine_steps import corpus_run

from curate.audit.verify import verify
from curate.document import Document, Drop, Unreadable
from curate.extract.extract import Extract
from curate.shards.text import read_text_shard
from curate.sources import open_source
from curate.sources.http import MAX_BODY

ROOT = Path(__file__).parents[2]
ZEROS = bytes(1 << 20)
READ = """\
import json, sys, time
from curate.extract.extract import Extract
from curate.sources import open_source

began = time.process_time()
items = []
for item in open_source(sys.argv[1]):
    kind = type(item).__name__
    if kind == "Document" and item.html is not None and len(sys.argv) > 2:
        extract = Extract()
        extract.open()
        (item,) = extract.apply([item])
        kind = type(item).__name__
    told = item.error if kind == "Unreadable" else [item.rule, item.value, item.threshold] if kind == "Drop" else ""
    items.append([kind, told, len(getattr(item, "raw", b""))])
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10
print(json.dumps({"items": items, "megabytes": peak, "seconds": time.process_time() - began}))
"""
NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


def measured(path: Path, *, extract: bool = False) -> dict:
    """What `open_source` makes of a file, with the peak and the seconds of a core of the process that read it."""
    # The peak in /proc begins with the process, that of getrusage with the one that started it.
    command = [sys.executable, "-c", READ, str(path), *(["extract"] if extract else [])]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"


def record(body: bytes, headers: bytes = b"", length: int | None = None) -> bytes:
    """A WARC response; `length` lies about its size."""
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + headers + b"\r\n" + body
    stated = len(block) if length is None else length
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\nContent-Length: %d\r\n\r\n"
    return head % stated + block + b"\r\n\r\n"


PROSE = "The boats lay still at the quay while the rain went on, and nobody spoke of the money that was owed. "
PAGE = f"<html><head><title>Quay</title></head><body><article><p>{PROSE * 3}</p></article></body></html>".encode()


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("kind", ["jsonl", "warc"])
def test_a_file_that_is_cut_off_gives_every_record_before_the_cut_and_one_loss(tmp_path, ending, kind):
    """One member for all: nothing but the bytes before the cut can be read."""
    draw = [zlib.crc32(str(number).encode()) for number in range(20_000)]
    texts = [" ".join(map(str, draw[place : place + 100])) for place in range(0, len(draw), 100)]
    if kind == "jsonl":
        records = [line(text) for text in texts]
    else:
        records = [record(PAGE.replace(b"</p>", text.encode() + b"</p>")) for text in texts]
    packed = (gzip if ending == ".gz" else zstandard).compress(b"".join(records))
    path = tmp_path / f"a.{kind}{ending}"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    *whole, loss = open_source(path)
    assert isinstance(loss, Unreadable) and "cut off" in loss.error
    # What a decompressor that is given the same bytes lets out, in whole records.
    unpack = zlib.decompressobj(31) if ending == ".gz" else zstandard.ZstdDecompressor().decompressobj()
    there = unpack.decompress(path.read_bytes())
    assert all(isinstance(item, Document) for item in whole)
    assert len(whole) == there.count(b"\n" if kind == "jsonl" else b"</html>\r\n\r\n") > 50


def test_bad_bytes_bad_json_and_half_a_record_cost_themselves_alone(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    bad = [
        b'{"text": "caf\xe9"}\n',
        b'{"text": "half\n',
        b"[1, 2]\n",
        b'{"text": 7}\n',
        b'{"text": "\\ud800"}\n',
        b"\0\n",
    ]
    mixed = b"".join(part for number, one in enumerate(bad) for part in (line(f"sound {number}"), one))
    (folder / "a.jsonl").write_bytes(mixed + b"[" * 100_000 + b"\n" + line("sound 6"))
    half = record(PAGE)
    (folder / "b.warc").write_bytes(record(PAGE) + half[: len(half) // 2] + b"\r\n\r\n" + record(PAGE) + half[:-200])
    latin = b"<html><body><p>" + PROSE.encode() + b"caf\xe9 " + b"\xff\xfe\x00\x80" * 10 + b"</p></body></html>"
    (folder / "c.html").write_bytes(latin)
    summary = corpus_run(folder, tmp_path / "out", [Extract()]).execute()
    account = summary["documents"]
    # Half a surrogate costs no row: it is read as U+FFFD, and told.
    assert account["kept"] == 7 + 1 + 2 + 1 and account["unreadable"] == len(bad) - 1 + 1 + 2
    assert account["input"] == account["kept"] + account["unreadable"] and account["dropped"] == 0
    assert list(verify(tmp_path / "out")) == []
    texts = [row["text"] for path in sorted((tmp_path / "out" / "text").iterdir()) for row in read_text_shard(path)]
    assert sum(text.startswith("sound") for text in texts) == 7 and sum("boats" in text for text in texts) == 3


def write_long_line(path: Path, size: int) -> None:
    """A line of so many bytes between two sound ones, packed as the file's name says."""
    begin, end = line("before") + b'{"text": "', b'"}\n' + line("after")
    if path.suffix == ".jsonl":
        with path.open("wb") as stream:
            stream.write(begin)
            stream.truncate(size)
            stream.seek(size)
            stream.write(end)
        return
    pack = gzip.compress if path.suffix == ".gz" else zstandard.compress
    # Members follow one another as if they were one.
    path.write_bytes(pack(begin) + pack(ZEROS * 64) * (size >> 26) + pack(end))


@NEEDS_PROC
@pytest.mark.parametrize("ending, megabytes", [(".gz", 640), (".zst", 640)])
def test_a_line_without_end_is_one_loss_in_little_memory(tmp_path, ending, megabytes):
    path = tmp_path / f"a.jsonl{ending}"
    write_long_line(path, megabytes << 20)
    found = measured(path)
    before, loss, after = found["items"]
    assert before[0] == after[0] == "Document"
    assert loss[0] == "Unreadable" and "a line of more than" in loss[1] and loss[2] <= 1 << 20
    assert found["megabytes"] < 500 and found["seconds"] < 20


def test_a_plain_line_of_700_megabytes_passes_a_worker_that_may_take_500(tmp_path):
    """The file is mapped: its pages are the system's, and no reason to take the worker for one that grows. (Pages of a
    file that lies in memory, as `tmp_path` may, are the worker's like any it shares.)"""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as disk:
        write_long_line(Path(disk) / "a.jsonl", 700 << 20)
        run = corpus_run(Path(disk), tmp_path / "out", [Extract()], memory=500, split=0, workers=1)
        summary = run.execute()
    assert (summary["documents"]["kept"], summary["documents"]["unreadable"]) == (2, 1)
    assert "a line of more than" in summary["unreadable"][0]["error"]
    assert not (tmp_path / "out" / "kills.jsonl").exists()


@NEEDS_PROC
def test_a_member_that_inflates_to_half_a_gigabyte_is_one_loss_and_the_next_record_is_read(tmp_path):
    path = tmp_path / "a.warc.gz"
    with gzip.open(path, "wb", 1) as stream:
        stream.write(record(b"<html>", length=len(record(b"<html>")) + (1 << 29))[:-4])
        for _ in range(512):
            stream.write(ZEROS)
        stream.write(b"\r\n\r\n" + record(PAGE))
    assert path.stat().st_size < 8 << 20
    found = measured(path)
    loss, after = found["items"]
    assert "at most" in loss[1] and loss[2] <= 1 << 20 and after[0] == "Document"
    assert found["megabytes"] < 200 and found["seconds"] < 20


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_records_after_one_that_inflates_a_thousandfold_lose_nothing(tmp_path, ending):
    """Members of some kilobytes that stand for megabytes: the next ones are read together with their end."""
    pack = gzip.compress if ending == ".gz" else zstandard.compress
    bodies = [PAGE + bytes(size) for size in (0, 3 << 20, 100, (1 << 20) - 200, 1 << 20, 15 << 20, 0)]
    path = tmp_path / f"a.warc{ending}"
    path.write_bytes(b"".join(pack(record(body)) for body in bodies))
    assert [getattr(item, "html", item) for item in open_source(path)] == bodies


def inflating(coding: str, megabytes: int) -> bytes:
    """A small body that stands for a big one."""
    if coding == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    elif coding == "deflate":
        packer = zlib.compressobj(9)
    elif coding == "zstd":
        packer = zstandard.ZstdCompressor().compressobj()
    else:
        packer = brotli.Compressor(quality=5, lgwin=24)
    step = packer.process if coding == "br" else packer.compress
    parts = [step(b"<html>"), *(step(ZEROS) for _ in range(megabytes))]
    return b"".join(parts) + (packer.finish() if coding == "br" else packer.flush())


@NEEDS_PROC
def test_bodies_that_inflate_without_end_are_losses_in_little_memory(tmp_path):
    """Once, and in one another: gzip in gzip stands for a thousand times a thousand."""
    bombs = {coding: inflating(coding, 300) for coding in ("gzip", "deflate", "zstd", "br")}
    assert max(map(len, bombs.values())) < 1 << 20
    bombs["gzip, gzip"] = gzip.compress(bombs["gzip"])
    bombs["br, gzip, zstd"] = zstandard.compress(gzip.compress(bombs["br"]))
    bombs["gzip, gzip, gzip, gzip"] = gzip.compress(gzip.compress(gzip.compress(bombs["gzip"])))
    records = [record(body, b"Content-Encoding: " + coding.encode() + b"\r\n") for coding, body in bombs.items()]
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(records) + record(PAGE))
    found = measured(path)
    *losses, after = found["items"]
    assert [loss[1] for loss in losses] == [f"the body inflates to more than {MAX_BODY} bytes"] * len(bombs)
    assert after[0] == "Document" and found["megabytes"] < 250 and found["seconds"] < 10


@pytest.mark.parametrize("coding, pack", [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_body_of_two_members_is_read_whole_and_a_cut_one_is_a_loss(tmp_path, coding, pack):
    whole = pack(PAGE[:100]) + pack(PAGE[100:])
    header = b"Content-Encoding: " + coding.encode() + b"\r\n"
    path = tmp_path / "a.warc"
    path.write_bytes(record(whole, header) + record(pack(PAGE)[:-6], header) + record(pack(b"") * 2000, header))
    page, cut, many = open_source(path)
    assert isinstance(page, Document) and page.html == PAGE
    assert isinstance(cut, Unreadable) and "cut off" in cut.error
    assert isinstance(many, Unreadable) and "members" in many.error


def test_a_dictionary_that_says_it_is_a_terabyte_reserves_nothing(tmp_path):
    frame = bytearray(zstandard.ZstdCompressor(write_content_size=True).compress(bytes(1 << 20)))
    assert frame[4] >> 6 == 2, "four bytes state the size"
    frame[4] |= 0b1100_0000
    frame[6 if frame[4] & 0x20 == 0 else 5 : 10 if frame[4] & 0x20 == 0 else 9] = (1 << 40).to_bytes(8, "little")
    path = tmp_path / "a.warc.zst"
    path.write_bytes(b"\x5d\x2a\x4d\x18" + len(frame).to_bytes(4, "little") + frame + zstandard.compress(record(PAGE)))
    loss, *rest = open_source(path)
    assert isinstance(loss, Unreadable) and "dictionary is broken: it states" in loss.error
    assert [type(item) for item in rest] == [Document]


def around(inner: str) -> str:
    return f"<html><head><title>t</title></head><body>{inner}<article><p>{PROSE * 3}</p></article></body></html>"


HOSTILE_PAGES = {
    "100 000 nested": (around("<div>" * 100_000 + "</div>" * 100_000), "too_deep"),
    "100 000 unclosed": (around("<b>" * 100_000), "too_deep"),
    "100 000 unclosed side by side": (around("<p>x" * 100_000), "too_many_nodes"),
    "a million elements": (around("<i></i>" * 1_000_000), "too_many_nodes"),
    "a million attributes": (
        around("<p " + " ".join(f"a{n:x}=1" for n in range(1_000_000)) + ">x</p>"),
        "crowded_element",
    ),
    "attributes everywhere": (
        around(("<b " + " ".join(f"a{n}=1" for n in range(20)) + ">x</b>") * 39_000),
        "too_many_attributes",
    ),
    "spans in a table": (
        around("<table>" + "<tr><td colspan=1000 rowspan=1000>x</td></tr>" * 300 + "</table>"),
        "too_many_nodes",
    ),
    "one wide row": (
        around("<table><tr><td colspan=100>x</td></tr>" + "<tr><td>x</td></tr>" * 5000 + "</table>"),
        "too_many_nodes",
    ),
    "eleven million bytes": (around("x" * 11_000_000), "too_large"),
    "a giant attribute": (around(f"<p class='{'a ' * 4_000_000}'>x</p>"), None),
    "a giant script": (around("<script>" + "if (a<b && c) d = e / f;\n" * 100_000 + "</script>"), None),
    "a giant comment": (around("<!--" + "<p a b c d " * 500_000 + "-->"), None),
    "a giant text": (around(f"<p>{PROSE * 50_000}</p>"), None),
    "a million blanks": (around(f"<p>a{' ' * 5_000_000}b</p>"), None),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    folder = tmp_path_factory.mktemp("pages")
    path = folder / "a.warc"
    path.write_bytes(b"".join(record(html.encode()) for html, _ in HOSTILE_PAGES.values()))
    yield measured(path, extract=True)


@NEEDS_PROC
def test_hostile_pages_are_verdicts_with_value_and_threshold_in_bounded_memory_and_time(pages):
    for (name, (_, rule)), (kind, told, _) in zip(HOSTILE_PAGES.items(), pages["items"], strict=True):
        if rule is None:
            assert kind == "Document", f"{name}: {told}"
        else:
            assert kind == "Drop" and told[0] == rule, f"{name}: {told}"
            assert rule == "too_deep" or told[1] > told[2]
    assert pages["megabytes"] < 1000 and pages["seconds"] < 40


def outcome(html: str, **parameters: int | str) -> Document | Drop:
    extract = Extract(**parameters)
    extract.open()
    (found,) = extract.apply([Document(key="k", html=html.encode())])
    return found


@pytest.mark.parametrize(
    "rule, parameter, inner, value",
    [
        ("too_large", "max_bytes", "", len(around(""))),
        ("too_many_nodes", "max_nodes", "<i></i>" * 100, 106),
        ("too_many_attributes", "max_attributes", "<i a=1 b=2></i>" * 100, 200),
        ("too_deep", "max_depth", "<div>" * 100 + "</div>" * 100, 102),
        # 6 of the page, table and tbody... a table of 2 rows and 2 cells, and the extractor's: 3 x 2 - 1 cells of the
        # span, two rows filled up to 3 columns.
        ("too_many_nodes", "max_nodes", "<table><tr><td colspan=3 rowspan=2>a<tr><td>b</table>", 11 + 5 + 6),
    ],
)
def test_a_page_on_a_bound_is_extracted_and_one_above_it_is_dropped(rule, parameter, inner, value):
    assert isinstance(outcome(around(inner), **{parameter: value}), Document)
    above = outcome(around(inner), **{parameter: value - 1})
    assert isinstance(above, Drop) and above.rule == rule and above.threshold == value - 1
    assert above.value == (f"more than {value - 1}" if rule == "too_deep" else value)


@pytest.mark.parametrize("engine", ["trafilatura", "blocks"])
def test_attributes_without_a_value_are_counted_too(engine):
    above = outcome(around("<i a b></i>" * 100), engine=engine, max_attributes=199)
    assert isinstance(above, Drop) and (above.rule, above.value) == ("too_many_attributes", 200)


def test_the_default_bounds_hold_to_the_element(tmp_path):
    elements = Extract().max_nodes - 6
    assert isinstance(outcome(around("<i></i>" * elements)), Document)
    above = outcome(around("<i></i>" * (elements + 1)))
    assert isinstance(above, Drop) and (above.value, above.threshold) == (elements + 7, elements + 6)
    deep = Extract().max_depth - 2
    assert isinstance(outcome(around("<div>" * deep + "</div>" * deep)), Document)
    assert outcome(around("<div>" * (deep + 1) + "</div>" * (deep + 1))).rule == "too_deep"


def test_the_parser_reads_as_deep_as_the_bound_allows():
    """Beyond 256 elements it leaves the rest of the page out in silence: no bound may let such a page pass."""
    from dataclasses import fields

    (field,) = [one for one in fields(Extract) if one.name == "max_depth"]
    most = field.metadata["le"]
    inner = "<div>" * (most - 4) + "<article><p>at the bottom" + "</article>" + "</div>" * (most - 4)
    found = outcome(around(inner), max_depth=most)
    assert isinstance(found, Document) and "boats" in found.text
    assert outcome(around("<div>" * 300 + "</div>" * 300), max_depth=most).rule == "too_deep"
