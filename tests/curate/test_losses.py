"""What is lost of a file counts by its bytes, and by its rows where they are known: the larger share decides."""

import gzip
import json
import random

import pytest
from engine_steps import corpus_run

from curate.run.corpus import CorpusRun
from curate.run.serial import SerialEngine


@pytest.fixture
def summary_of(tmp_path, monkeypatch):
    monkeypatch.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))

    def run(split: int = 0, **files: bytes) -> dict:
        (tmp_path / "in").mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / "in" / name.replace("__", ".")).write_bytes(content)
        return corpus_run(tmp_path / "in", tmp_path / f"out-{split}", [], split=split).execute()

    return run


def lines(number: int) -> bytes:
    chance = random.Random(number)
    return b"".join(json.dumps({"text": f"{chance.getrandbits(400):x}"}).encode() + b"\n" for _ in range(number))


def test_a_broken_row_group_counts_its_rows(summary_of, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = [json.loads(line)["text"] for line in lines(400).splitlines()]
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": texts}), path, row_group_size=100, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    column = parquet.ParquetFile(path).metadata.row_group(2).column(0)
    middle = column.data_page_offset + column.total_compressed_size // 2
    content[middle : middle + 8] = bytes(8)
    for split in (0, 15_000):
        summary = summary_of(split, a__parquet=bytes(content))
        assert summary["documents"]["unreadable"] == 1 and summary["records"]["documents"] == 300
        # Before, this was one record of 301.
        assert summary["losses"]["records"] == 0.25 and 0.2 < summary["losses"]["bytes"] < 0.3
        assert summary["loss"] == max(summary["losses"].values())


def test_what_is_lost_of_a_compressed_file_counts_by_the_bytes_that_lie_there(summary_of):
    packed = gzip.compress(lines(600))
    broken = bytearray(gzip.compress(lines(300)))
    broken[20:30] = bytes(10)
    losses = summary_of(a__jsonl__gz=packed, b__jsonl__gz=bytes(broken))["losses"]
    assert losses["bytes"] == pytest.approx(len(broken) / (len(packed) + len(broken)), abs=0.02)
    assert losses["records"] < 0.01


def test_a_bad_line_takes_the_same_share_in_a_compressed_file(summary_of):
    bad = lines(99) + b'{"text": ' + b"1" * 5000 + b"\n" + lines(200)
    losses = summary_of(a__jsonl=bad)["losses"]
    assert losses["bytes"] == pytest.approx(5000 / len(bad), rel=0.01)
    again = summary_of(1, b__jsonl__gz=gzip.compress(bad), a__jsonl=b"")["losses"]
    assert again["bytes"] == pytest.approx(losses["bytes"], rel=0.01)


def test_a_file_of_which_nothing_can_be_read_counts_whole(summary_of, tmp_path):
    pytest.importorskip("pyarrow")
    sound = lines(100)
    losses = summary_of(a__jsonl=sound, b__parquet=b"PAR1" + bytes(len(sound)), c__tar=bytes(1000))["losses"]
    assert losses["bytes"] == pytest.approx((len(sound) + 1004) / (2 * len(sound) + 1004), rel=0.01)


def test_the_command_says_of_what_the_share_is(tmp_path, within):
    broken = bytearray(gzip.compress(lines(300)))
    broken[20:30] = bytes(10)
    (tmp_path / "a.jsonl").write_bytes(lines(300))
    (tmp_path / "b.jsonl.gz").write_bytes(bytes(broken))
    (tmp_path / "r.yaml").write_text(
        "name: r\ninputs: [{path: '*.jsonl*'}]\nsteps: [exact_dedup]\nengine: {buckets: 1}\n"
    )
    result = within("run", "r.yaml", "-o", "out", cwd=tmp_path)
    assert result.returncode == 3
    assert "1 of 301 records could not be read (" in result.stderr and "% of the bytes)" in result.stderr
    assert "of the bytes of the input could not be read" in (tmp_path / "out" / "report.html").read_text()
