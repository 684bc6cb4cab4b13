"""Files of columns open with every Parquet reader, come back as they went in, and never fail but with a sentence."""

import random
import tracemalloc
from pathlib import Path

import pytest

from curate.shards.parquet import ColumnWriter, read_columns

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: nothing to hold the files against")

COLUMNS = {"key": str, "rule": str, "count": int, "share": float, "flag": bool, "raw": bytes}


def write(path: Path, written: list[dict], columns: dict[str, type] | None = None, **options: int) -> Path:
    with path.open("wb") as stream:
        writer = ColumnWriter(stream, columns or COLUMNS, **options)
        for row in written:
            writer.write(row)
        writer.close()
    return path


def some_rows(count: int, seed: int, gaps: float = 0.2) -> list[dict]:
    draw = random.Random(seed)
    made = {
        "key": lambda: "".join(draw.choices("aä字\U0001f600 \n\0", k=draw.randrange(9))),
        "rule": lambda: draw.choice(["short", "long", "", "字"]),
        "count": lambda: draw.choice([0, -1, 2**63 - 1, -(2**63), draw.randrange(1000)]),
        "share": lambda: draw.choice([0.0, -1.5, 1e300, float("inf"), draw.random()]),
        "flag": lambda: draw.random() < 0.5,
        "raw": lambda: draw.randbytes(draw.randrange(5)),
    }
    return [{name: None if draw.random() < gaps else one() for name, one in made.items()} for _ in range(count)]


def by_pyarrow(path: Path) -> list[dict]:
    file = pq.ParquetFile(path)
    table = file.read()
    table.validate(full=True)
    assert file.metadata.num_rows == len(table)
    return table.to_pylist()


@pytest.mark.parametrize("gaps", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 500])
def test_random_rows_come_back_from_pyarrow_and_from_here(tmp_path, count, gaps):
    rows = some_rows(count, seed=count, gaps=gaps)
    for size in (1, 300, 1 << 20):
        path = write(tmp_path / "a.parquet", rows, rows=100, size=size)
        assert by_pyarrow(path) == rows == list(read_columns(path))


def test_duckdb_reads_them_too(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    rows = some_rows(500, seed=1)
    path = write(tmp_path / "a.parquet", rows, rows=100)
    found = duckdb.sql(f"select key, rule, count, share, flag, raw from '{path}'").fetchall()
    assert found == [tuple(row.values()) for row in rows]


def test_few_different_values_are_written_once(tmp_path):
    long = ["a rule with a rather long name, " * 9, "another one, " * 20]
    rows = [{"rule": long[number % 2], "key": f"{number:064d}"} for number in range(4000)]
    path = write(tmp_path / "a.parquet", rows, {"rule": str, "key": str})
    chunks = [pq.ParquetFile(path).metadata.row_group(0).column(number) for number in range(2)]
    assert chunks[0].has_dictionary_page and not chunks[1].has_dictionary_page
    assert chunks[0].total_uncompressed_size < 4000 < chunks[1].total_uncompressed_size
    assert by_pyarrow(path) == rows == list(read_columns(path))


@pytest.mark.parametrize("distinct", [1, 2, 3, 255, 256, 257, 5000])
def test_dictionaries_of_any_size(tmp_path, distinct):
    rows = [{"rule": f"rule {number * 7919 % distinct}"} for number in range(4 * distinct + 3)]
    path = write(tmp_path / "a.parquet", rows, {"rule": str})
    assert by_pyarrow(path) == rows == list(read_columns(path))


def test_the_named_columns_are_read_and_no_others(tmp_path):
    rows = some_rows(50, seed=3)
    path = write(tmp_path / "a.parquet", rows)
    assert list(read_columns(path, ["count", "key"])) == [{"count": row["count"], "key": row["key"]} for row in rows]
    # A page that is not asked for is not looked at: here every byte of the first column is wrong.
    data = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data[4 : 4 + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(data)
    assert [row["count"] for row in read_columns(path, ["count"])] == [row["count"] for row in rows]
    with pytest.raises(ValueError, match="no column 'colour'"):
        list(read_columns(path, ["colour"]))


def test_half_characters_are_repaired_and_what_does_not_fit_names_its_column(tmp_path):
    path = write(tmp_path / "a.parquet", [{"key": "a\ud800b"}, {"key": "\ud83d\ude00"}])
    assert [row["key"] for row in by_pyarrow(path)] == ["a\ufffdb", "\U0001f600"]
    for row, column in (({"count": 2**63}, "count"), ({"key": 5}, "key"), ({"share": "x"}, "share")):
        with pytest.raises(ValueError, match=f"column '{column}'"):
            write(tmp_path / "b.parquet", [row])


def test_a_damaged_file_is_refused_with_a_sentence_and_nothing_else(tmp_path):
    rows = some_rows(60, seed=4)
    sound = write(tmp_path / "a.parquet", rows, rows=25).read_bytes()
    draw = random.Random(0)
    path = tmp_path / "b.parquet"
    refused = 0
    for trial in range(600):
        data = bytearray(sound)
        if trial % 3 == 0:
            del data[draw.randrange(len(data)) :]
        else:
            for _ in range(draw.randrange(1, 4)):
                data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            list(read_columns(path))
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 500
    foreign = pytest.importorskip("pyarrow").table({"key": ["a"]})
    pq.write_table(foreign, path)
    with pytest.raises(ValueError, match="another program"):
        list(read_columns(path))


def test_memory_is_that_of_one_row_group(tmp_path):
    tracemalloc.start()
    with (tmp_path / "a.parquet").open("wb") as stream:
        writer = ColumnWriter(stream, {"text": str}, size=2 << 20)
        for number in range(30_000):
            writer.write({"text": f"{number:01000d}"})
        writer.close()
    peak = tracemalloc.get_traced_memory()[1]
    assert sum(1 for _ in read_columns(tmp_path / "a.parquet")) == 30_000
    assert tracemalloc.get_traced_memory()[1] < 20 << 20 and peak < 20 << 20
    tracemalloc.stop()
