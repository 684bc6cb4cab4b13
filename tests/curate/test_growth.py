"""Work grows with the input and no faster: counted in bytes that are inflated, and in time where it was minutes."""

import gzip
import json
import struct
import time
import zlib

import pytest
import zstandard

from curate.document import Document, Unreadable
from curate.shards.vocabulary import LONGEST_PIECE, build_vocabulary
from curate.sources import Input, find_inputs, read_partition
from curate.sources.recovery import FED, TRIED, TRIES, next_sound

SENTENCE = "An ordinary sentence of words here. " * 10


def nested_gzip(count: int) -> bytes:
    """Members in stored blocks of which each holds the next, and none ends."""
    data = b""
    for _ in range(count):
        size = len(data) + 1 & 0xFFFF
        data = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\0" + struct.pack("<HH", size, size ^ 0xFFFF) + data + b"\n"
    return data


def nested_zstd(count: int) -> bytes:
    """The same of frames, with raw blocks of which none is the last."""
    data = b""
    for _ in range(count):
        data = b"\x28\xb5\x2f\xfd\0\x58" + struct.pack("<I", len(data) + 1 << 3)[:3] + data + b"\n"
    return data


def rows(first: int, count: int) -> bytes:
    return b"".join(json.dumps({"text": f"page {number}"}).encode() + b"\n" for number in range(first, first + count))


def read(path) -> list:
    (partition,) = find_inputs([Input("s", str(path))])
    return list(read_partition(partition))


@pytest.mark.parametrize(
    ("name", "nested"), [("a.warc.gz", nested_gzip), ("a.jsonl.gz", nested_gzip), ("a.jsonl.zst", nested_zstd)]
)
def test_members_laid_into_each_other_are_one_damage(name, nested, tmp_path):
    (tmp_path / name).write_bytes(nested(4000))
    begun = time.monotonic()
    lost = read(tmp_path / name)
    assert time.monotonic() - begun < 5
    damages = [one for one in lost if "cut off" in one.error or "broken" in one.error]
    assert len(damages) == 1 and all(isinstance(one, Unreadable) for one in lost)


@pytest.mark.parametrize("count", [1000, 2000, 4000])
def test_what_is_tried_after_damage_is_bounded_by_the_file(count):
    data, fed = nested_gzip(count), 0

    class Counted:
        def __init__(self) -> None:
            self.inflate = zlib.decompressobj(31)

        def decompress(self, given: bytes) -> bytes:
            nonlocal fed
            fed += len(given)
            return self.inflate.decompress(given)

        @property
        def eof(self) -> bool:
            return self.inflate.eof

    def find(place: int) -> int:
        found = data.find(b"\x1f\x8b\x08", place)
        return len(data) if found < 0 else found

    assert next_sound(data, 2, len(data), find, Counted) == len(data)
    assert 0 < fed <= (TRIES + 2) * len(data) + TRIED + FED


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("hurt", [(1,), (1, 2), (0, 2, 4), (4,), (1, 3, 4)])
def test_the_neighbours_of_broken_members_are_all_read(kind, hurt, tmp_path):
    """Each broken member is a loss of its own, however close the next one is."""
    press = gzip.compress if kind == "gzip" else zstandard.ZstdCompressor(write_checksum=True).compress
    members = [press(rows(number * 40, 40)) for number in range(5)]
    for number in hurt:
        broken = bytearray(members[number])
        broken[-2] ^= 0xFF
        members[number] = bytes(broken)
    (tmp_path / f"a.jsonl.{'gz' if kind == 'gzip' else 'zst'}").write_bytes(b"".join(members))
    found = read(next(tmp_path.iterdir()))
    texts = {one.text for one in found if isinstance(one, Document)}
    sound = {f"page {number * 40 + row}" for number in range(5) if number not in hurt for row in range(40)}
    assert sound <= texts
    assert len([one for one in found if isinstance(one, Unreadable)]) == len(hurt)


@pytest.mark.parametrize("run", ["a", "ab", "-=", " ", "1", "字", "é"])
def test_a_tokenizer_is_trained_on_a_run_without_a_break(run):
    begun = time.monotonic()
    vocabulary = build_vocabulary(kind="bpe", texts=[SENTENCE, run * (400_000 // len(run))], size=400)
    assert time.monotonic() - begun < 10
    assert vocabulary.encode([SENTENCE])[0]


def test_pieces_that_people_write_give_the_vocabulary_of_old():
    """The file does not say that longer pieces were cut: it is used as ever, and encodes them whole."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = [
        SENTENCE,
        "https://example.org/" + "a1-b2/" * 100,
        "字" * (LONGEST_PIECE // 3),
        "-" * LONGEST_PIECE,
        "é ü " * 99,
    ]
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    options = {"vocab_size": 500, "initial_alphabet": alphabet, "max_token_length": 32, "show_progress": False}
    plain.train_from_iterator(texts, trainers.BpeTrainer(**options))
    vocabulary = build_vocabulary(kind="bpe", texts=texts, size=500)
    assert vocabulary.encode(texts) == [one.ids for one in plain.encode_batch(texts)]
