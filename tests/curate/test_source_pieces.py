"""A file that is read in pieces gives exactly what it gives as a whole, sound or damaged."""

import gzip
import itertools
import json
import random
from pathlib import Path

import pytest
import zstandard

from curate.document import Document
from curate.sources import WHOLE, Input, Partition, Piece, find_inputs, read_partition, split
from curate.sources.content import size_of
from curate.sources.split import cut

CASES = 60
CRAWL = Path(__file__).parents[3] / "shared" / "data" / "crawl"
needs_crawl = pytest.mark.skipif(not CRAWL.is_dir(), reason="the shared crawl is not there")


def in_pieces(partition: Partition, size: int) -> tuple[list, list]:
    """The items of all pieces, and the pieces; each piece must say that all of its bytes were read."""
    items, pieces = [], cut(partition, size)
    for piece in pieces:
        told: list[int] = []
        items += read_partition(partition, piece, told.append)
        end = size_of(partition) if piece.end is None else piece.end
        assert sum(told) == end - piece.start and all(one > 0 for one in told)
    return items, pieces


def partition_of(path: Path) -> Partition:
    (one,) = find_inputs([Input("p", str(path))])
    return one


def warc_record(chance: random.Random, number: int) -> bytes:
    body = b"<html><body>" + chance.randbytes(chance.randrange(40)) + b"\r\n" * chance.randrange(3)
    body += b"WARC/1.0 in a page\n" if chance.random() < 0.1 else b"a page of words\n" * chance.randrange(20)
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    length = len(block) + (chance.choice([-7, 9, 5000, 1 << 40]) if chance.random() < 0.06 else 0)
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/%d\r\nContent-Length: %d\r\n\r\n"
    return head % (number, length) + block + b"\r\n\r\n"


def arc_record(chance: random.Random, number: int) -> bytes:
    block = b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n<html>" + b"some words " * chance.randrange(30)
    length = len(block) + (chance.choice([-3, 900]) if chance.random() < 0.06 else 0)
    return b"http://a.example/%d 192.0.2.1 20200102030405 text/html %d\n" % (number, length) + block + b"\n"


def json_line(chance: random.Random, number: int) -> bytes:
    if chance.random() < 0.05:
        return chance.choice([b"\n", b"{broken\n", b"[1]\n", b'{"text": 5}\n'])
    return json.dumps({"text": f"text {number} " + "word " * chance.randrange(40)}).encode() + b"\n"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def in_blocks(data: bytes) -> bytes:
    """One frame of small blocks, as large ones have many."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    blocks = (data[place : place + 300] for place in range(0, len(data), 300))
    packed = [packer.compress(one) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for one in blocks]
    return b"".join(packed) + packer.flush()


KINDS = {
    "a.warc": (warc_record, bytes),
    "a.warc.gz": (warc_record, gzip.compress),
    "a.warc.zst": (warc_record, zstd),
    "a.arc.gz": (arc_record, gzip.compress),
    "a.jsonl": (json_line, bytes),
    "a.jsonl.gz": (json_line, gzip.compress),
    "a.jsonl.zst": (json_line, zstd),
}


def members(chance: random.Random, kind: str) -> list[bytes]:
    """Records packed one or a few to a member; now and then a member ends within a record, or is empty."""
    record, pack = KINDS[kind]
    packed, held = [], b""
    for number in range(40):
        held += record(chance, number)
        if chance.random() < 0.85:
            end = chance.randrange(len(held)) if chance.random() < 0.05 else len(held)
            packed.append(pack(held[:end]))
            held = held[end:]
        if chance.random() < 0.03:
            packed.append(pack(b""))
    return [*packed, pack(held)]


def damaged(chance: random.Random, parts: list[bytes]) -> bytes:
    """Some of: garbage between members, a changed byte, a stretch that is gone, an end that is gone."""
    parts = list(parts)
    if chance.random() < 0.4:
        garbage = chance.choice([chance.randbytes(chance.randrange(1, 60)), b"\0" * 30, b"\n\n\n", b"\x1f\x8b\x08junk"])
        parts.insert(chance.randrange(len(parts)), garbage)
    data = bytearray(b"".join(parts))
    for _ in range(chance.choice([0, 1, 1, 4])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    if chance.random() < 0.2:
        start = chance.randrange(len(data))
        del data[start : start + chance.randrange(1, 400)]
    if chance.random() < 0.25:
        del data[chance.randrange(len(data) // 2, len(data)) :]
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_sound_and_damaged_files_give_the_items_of_the_whole(tmp_path, kind):
    """Sixty files of each kind, 420 in all, each cut into the smallest pieces there are and into a few."""
    divided = 0
    for seed in range(CASES):
        chance = random.Random(f"{kind} {seed}")
        parts = members(chance, kind)
        (tmp_path / kind).write_bytes(b"".join(parts) if seed % 6 == 0 else damaged(chance, parts))
        partition = partition_of(tmp_path / kind)
        whole = list(read_partition(partition))
        for size in (1, 600):
            items, pieces = in_pieces(partition, size)
            assert items == whole, f"seed {seed}, pieces of {size} bytes"
            divided += len(pieces) > 3
    assert divided > 55, "the test must cut most files"


@pytest.mark.parametrize("kind", ["a.jsonl.gz", "a.jsonl.zst"])
def test_long_members_are_cut_within_and_give_the_items_of_the_whole_though_others_are_damaged(
    tmp_path, kind, monkeypatch
):
    """Small bites stand for large files: sixty files of a few members, sound or not, that hold many lines each."""
    for bite in ("FEED", "INFLATED", "ZSTD_FEED"):
        monkeypatch.setattr(f"curate.sources.compressed.{bite}", 100)
    pack = gzip.compress if kind.endswith("gz") else in_blocks
    within = 0
    for seed in range(CASES):
        chance = random.Random(f"long {kind} {seed}")
        held = [b"".join(json_line(chance, number) for number in range(chance.choice([3, 60]))) for _ in range(4)]
        # Now and then a member ends within a line.
        parts = [pack(one[: len(one) - chance.choice([0, 0, 0, 7])]) for one in held]
        (tmp_path / kind).write_bytes(b"".join(parts) if seed % 3 == 0 else damaged(chance, parts))
        partition = partition_of(tmp_path / kind)
        whole = list(read_partition(partition))
        for size in (1, 100, 400):
            items, pieces = in_pieces(partition, size)
            assert items == whole, f"seed {seed}, pieces of {size} bytes"
            within += sum(piece.stream is not None for piece in pieces)
            assert [Piece.of(json.loads(json.dumps(piece.plain()))) for piece in pieces] == pieces
    assert within > 10 * CASES, "the test must cut within members"


def test_pieces_of_one_stream_have_the_bytes_that_were_asked_for_and_are_few(tmp_path):
    rows = [json.dumps({"text": f"row {number} " + "word " * 50}).encode() + b"\n" for number in range(20_000)]
    (tmp_path / "a.jsonl.zst").write_bytes(zstd(b"".join(rows)))
    partition = partition_of(tmp_path / "a.jsonl.zst")
    unpacked = sum(map(len, rows))
    items, pieces = in_pieces(partition, 200_000)
    lengths = [after.position - before.position for before, after in itertools.pairwise(pieces)]
    assert len(lengths) >= 4 and all(800_000 <= one < 1_100_000 for one in lengths)
    assert unpacked - pieces[-1].position < 1_600_000
    assert len(items) == len(rows) and items == list(read_partition(partition))
    assert len(cut(partition, 1)) <= split.WITHIN


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.endswith(("gz", "zst"))])
def test_sound_members_that_begin_records_are_all_cut_points(tmp_path, kind):
    record, pack = KINDS[kind]
    chance = random.Random(11)
    packed = [
        pack(b"".join(record(random.Random(7), number) for _ in range(chance.randint(1, 3)))) for number in range(20)
    ]
    (tmp_path / kind).write_bytes(b"".join(packed))
    starts = [sum(map(len, packed[:number])) for number in range(20)]
    assert [piece.start for piece in cut(partition_of(tmp_path / kind), 1)] == starts


def test_what_was_seen_far_ahead_does_not_change_how_a_record_is_judged(tmp_path):
    """A length that lies by much makes the reader look as far as the damage at the end; a fresh one does not."""

    def packed(length: int, block: bytes) -> bytes:
        head = b"WARC/1.0\r\nWARC-Type: resource\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % length
        return gzip.compress(head + block + b"\r\n\r\n")

    sound = packed(4, b"page")
    (tmp_path / "a.warc.gz").write_bytes(
        sound + packed(1 << 20, b"page") + sound * 3 + packed(4, b"page" + b"x" * 100_000) + sound * 2 + b"damage"
    )
    partition = partition_of(tmp_path / "a.warc.gz")
    items, pieces = in_pieces(partition, 1)
    assert items == list(read_partition(partition)) and len(pieces) > 3


def test_a_dictionary_in_front_of_a_zstd_file_serves_every_piece(tmp_path):
    chance = random.Random(3)
    records = [warc_record(chance, number) for number in range(200)]
    dictionary = zstandard.train_dictionary(2000, records)
    raw = dictionary.as_bytes()
    frames = [zstandard.ZstdCompressor(dict_data=dictionary).compress(one) for one in records]
    (tmp_path / "a.warc.zst").write_bytes(b"\x5d\x2a\x4d\x18" + len(raw).to_bytes(4, "little") + raw + b"".join(frames))
    partition = partition_of(tmp_path / "a.warc.zst")
    items, pieces = in_pieces(partition, 1)
    assert len(pieces) > 150 and items == list(read_partition(partition))
    assert sum(isinstance(item, Document) for item in items) > 150


def test_pieces_have_the_size_that_was_asked_for(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a line of some words"}\n' * 10_000)
    partition = partition_of(tmp_path / "a.jsonl")
    total = size_of(partition)
    pieces = cut(partition, 10_000)
    ends = [total if piece.end is None else piece.end for piece in pieces]
    assert [piece.start for piece in pieces] == [0, *ends[:-1]] and ends[-1] == total
    assert all(10_000 <= end - piece.start < 20_100 for piece, end in zip(pieces, ends, strict=True))
    assert cut(partition, total // 2 + 1) == [WHOLE]


@pytest.mark.parametrize("name", ["one-member.jsonl.gz", "one-frame.jsonl.zst", "page.html", "notes.bin"])
def test_what_cannot_be_divided_is_one_piece(tmp_path, name):
    content = b'{"text": "a line"}\n' * 1000
    packed = {"gz": gzip.compress, "zst": zstd}.get(name.rsplit(".", 1)[1], bytes)(content)
    (tmp_path / name).write_bytes(packed)
    (partition,) = find_inputs([Input("p", str(tmp_path))])
    assert cut(partition, 10) == [WHOLE]


@needs_crawl
def test_pieces_of_a_real_crawl_give_its_items():
    for partition in find_inputs([Input("c", str(CRAWL))]):
        whole = list(read_partition(partition))
        assert in_pieces(partition, max(1, size_of(partition) // 12))[0] == whole, partition.relative


@needs_crawl
def test_every_record_of_a_real_file_can_be_a_piece():
    partition = partition_of(CRAWL / "commoncrawl-sample.warc.gz")
    items, pieces = in_pieces(partition, 1)
    assert items == list(read_partition(partition)) and len(pieces) == len(items)
