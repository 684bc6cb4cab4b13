"""A sample is drawn over all files: what is true of the whole is true of it, within the error of sampling."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.document import Document
from curate.run import sample as sampling
from curate.run.sample import draw, thinned
from curate.run.tasks import readable, taken_of
from curate.sources import Input, find_inputs

FILES, EACH, UNLIKE = 8, 600, 3
WANTED = 400


def text_of(file: int, place: int) -> str:
    """The first file is unlike the rest, and so is the end of each: shorter, and with another word."""
    return "unlike" if file == 0 or place >= EACH - UNLIKE * 20 else "like the others " * (2 + place % 7)


def jsonl(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text, "more": "x" * (place % 90)}).encode() + b"\n" for place, text in
                    enumerate(texts))  # fmt: skip


def warc_record(text: str) -> bytes:
    body = f"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: {len(text)}\r\n\r\n{text}\r\n\r\n"
    return body.encode()


KINDS: dict[str, tuple[str, Callable[[list[str]], bytes]]] = {
    "lines": ("jsonl", jsonl),
    "one gzip stream": ("jsonl.gz", lambda texts: gzip.compress(jsonl(texts))),
    "a member for each record": (
        "wet.gz", lambda texts: b"".join(gzip.compress(warc_record(text + " " * 90)) for text in texts)
    ),
    "plain records": ("wet", lambda texts: b"".join(warc_record(text) for text in texts)),
}  # fmt: skip


def write_files(folder: Path, kinds: list[str]) -> Path:
    folder.mkdir()
    for number in range(FILES):
        ending, made = KINDS[kinds[number % len(kinds)]]
        (folder / f"{number}.{ending}").write_bytes(made([text_of(number, place) for place in range(EACH)]))
    return folder


def documents_of(sample: sampling.Sample) -> list[Document]:
    return [one for part in sample.parts for one in taken_of(readable(part.partition, part.piece), part.taken or ())]


@pytest.mark.parametrize("kinds", [[kind] for kind in KINDS] + [list(KINDS)], ids=str)
def test_the_share_in_a_sample_is_that_of_the_whole(tmp_path, monkeypatch, kinds):
    # Windows that hold few documents, so that neighbours, which are alike, count for little.
    monkeypatch.setattr(sampling, "LEAST", 1 << 9)
    partitions = find_inputs([Input("in", str(write_files(tmp_path / "in", kinds)))])
    truth = sum(text_of(file, place) == "unlike" for file in range(FILES) for place in range(EACH)) / (FILES * EACH)
    shares = []
    for seed in range(4):
        sample = draw(partitions, WANTED, seed)
        found = documents_of(sample)
        assert len(found) == sample.documents == WANTED and len(sample.partitions) == FILES and not sample.whole
        keys = [document.key for document in found]
        assert len(set(keys)) == len(keys)
        shares.append(sum(document.text.strip() == "unlike" for document in found) / WANTED)
    # Of each draw (neighbours are alike: a window counts for less than its documents), and of all together.
    assert all(abs(share - truth) < 0.12 for share in shares), (shares, truth)
    assert abs(sum(shares) / len(shares) - truth) < 3 * math.sqrt(truth * (1 - truth) / WANTED), (shares, truth)


def test_only_the_drawn_pieces_of_big_files_are_read(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.jsonl").write_bytes(jsonl(["word " * 100] * 20_000))
    partitions = find_inputs([Input("in", str(tmp_path / "in"))])
    seen = []

    def counted(*piece):
        for item in readable(*piece):
            seen.append(item)
            yield item

    monkeypatch.setattr(sampling, "readable", counted)
    sample = draw(partitions, 300)
    assert sample.documents == 300 and len(sample.parts) > 50 and len(seen) < 6000


def test_the_same_seed_draws_the_same_and_a_part_of_it_is_drawn_too(tmp_path):
    partitions = find_inputs([Input("in", str(write_files(tmp_path / "in", list(KINDS))))])
    first = draw(partitions, 50)
    assert first == draw(partitions, 50) and first != draw(partitions, 50, seed=1)
    few = thinned(first, 10)
    assert few.documents == 10
    assert {one.key for one in documents_of(few)} <= {one.key for one in documents_of(first)}
    assert [part.number for part in few.parts] == list(range(len(few.parts)))


def test_a_sample_of_more_than_there_is_holds_all(tmp_path):
    partitions = find_inputs([Input("in", str(write_files(tmp_path / "in", list(KINDS))))])
    sample = draw(partitions, FILES * EACH + 1)
    assert sample.whole and sample.documents == FILES * EACH == len(documents_of(sample))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.jsonl").write_text("")
    assert draw(find_inputs([Input("in", str(tmp_path / "none"))]), 5).documents == 0


def test_row_groups_and_folders_of_pages_are_drawn_too(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (tmp_path / "in" / "pages").mkdir(parents=True)
    for number in range(3):
        rows = pyarrow.table({"text": [f"row {number} {place}" for place in range(500)]})
        parquet.write_table(rows, tmp_path / "in" / f"{number}.parquet", row_group_size=50)
    for number in range(40):
        (tmp_path / "in" / "pages" / f"{number}.html").write_text("<p>page</p>")
    sample = draw(find_inputs([Input("in", str(tmp_path / "in"))]), 100)
    found = documents_of(sample)
    assert len(found) == 100 and len(sample.partitions) == 4 and len({one.key for one in found}) == 100
