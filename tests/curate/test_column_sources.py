"""Parquet and Arrow files and data sets of `datasets` give the documents that the same rows give as JSON Lines."""

import json
import pickle
import random
import sys
from pathlib import Path

import pytest

from curate.document import Document, Unreadable
from curate.sources import Input, InputError, find_inputs, open_source, path_of, read_partition
from curate.sources.content import content_of, size_of
from curate.sources.split import cut

pyarrow = pytest.importorskip("pyarrow", reason="the extra `hub` is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `hub` is not installed")

ROWS = [
    {"text": f"text {number} " + "word " * (number % 30), "id": f"n{number}", "url": f"http://a{number % 7}.example/"}
    | {"score": number / 4, "long": "x" * (2000 if number % 2 else 20), "good": number % 3 == 0, "deep": {"a": 1}}
    for number in range(1000)
]


def written(path: Path, rows: list[dict] = ROWS, group: int = 100, **options) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=group, **options)
    return path


def said(items: list) -> list:
    """What documents say, whatever their keys count."""
    return [(one.text, one.url, one.domain, one.metadata) for one in items]


def test_parquet_rows_are_the_documents_of_the_same_json_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    items = list(open_source(written(tmp_path / "a.parquet")))
    assert said(items) == said(list(open_source(tmp_path / "a.jsonl")))
    assert [one.key for one in items] == [f"source/a.parquet@{number}" for number in range(1000)]


@pytest.mark.parametrize("seed", range(40))
def test_pieces_of_a_parquet_file_sound_or_damaged_give_its_items(tmp_path, seed):
    path = written(tmp_path / "a.parquet", compression=["snappy", "zstd", "none", "gzip"][seed % 4])
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for _ in range(seed % 5):
        # In the rows: what stands in the footer decides whether there are rows at all.
        data[chance.randrange(4, footer)] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    (partition,) = find_inputs([Input("p", str(path))])
    whole = list(read_partition(partition))
    pieces = cut(partition, 1)
    assert len(pieces) == 10
    told: list[int] = []
    assert [item for piece in pieces for item in read_partition(partition, piece, told.append)] == whole
    assert sum(told) == size_of(partition)
    assert len({item.key for item in whole}) == len(whole)
    if seed % 5 == 0:
        assert len(whole) == 1000 and all(isinstance(item, Document) for item in whole)


def test_a_row_without_a_string_is_lost_alone(tmp_path):
    texts = ["one", None, "three"]
    table = pyarrow.table({"text": texts, "n": [1, 2, float("nan")]})
    parquet.write_table(table, tmp_path / "a.parquet")
    items = list(open_source(tmp_path / "a.parquet"))
    assert [type(item) for item in items] == [Document, Unreadable, Document]
    assert "no string in the field 'text'" in items[1].error and b'"n":2' in items[1].raw
    assert items[2].metadata == {}, "JSON knows no NaN"


def test_a_string_that_is_not_utf8_costs_its_row_alone(tmp_path):
    good = pyarrow.array([b"one", b"\xff\xfe", b"three"], pyarrow.binary())
    texts = pyarrow.Array.from_buffers(pyarrow.string(), 3, good.buffers())
    parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "a.parquet")
    items = list(open_source(tmp_path / "a.parquet"))
    assert [type(item) for item in items] == [Document, Unreadable, Document]
    assert "UTF-8" in items[1].error


def test_a_file_without_texts_names_its_columns(tmp_path):
    written(tmp_path / "a.parquet", [{"content": "x", "n": 1}] * 5)
    (item,) = open_source(tmp_path / "a.parquet")
    assert isinstance(item, Unreadable) and "no column 'text'" in item.error and "'content', 'n'" in item.error
    (partition,) = find_inputs([Input("p", str(tmp_path), text_field="content")])
    assert len(list(read_partition(partition))) == 5


@pytest.mark.parametrize("content", [b"", b"PAR1", b"nothing of the kind" * 9, b"PAR1" + b"\xff" * 50 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_one_loss(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    (item,) = open_source(tmp_path / "a.parquet")
    assert isinstance(item, Unreadable) and "not a sound Parquet file" in item.error


def test_only_what_a_document_needs_is_read(tmp_path):
    import numpy

    noise = numpy.random.default_rng(1).bytes(400_000)
    rows = [row | {"image": noise[number * 4000 : number * 4000 + 4000]} for number, row in enumerate(ROWS[:100])]
    address = "memory://column-sources/a.parquet"
    path_of(address).write_bytes(written(tmp_path / "a.parquet", rows).read_bytes())
    assert said(list(open_source(address))) == said(list(open_source(tmp_path / "a.parquet")))
    from curate.sources import arrow

    read = []
    original = arrow.ArrowStream.readinto

    def counting(self, buffer):
        read.append(original(self, buffer))
        return read[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow.ArrowStream, "readinto", counting)
        assert len(list(open_source(tmp_path / "a.parquet"))) == 100
    assert sum(read) < 100_000 < 400_000 < (tmp_path / "a.parquet").stat().st_size


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    written(tmp_path / "a.parquet", ROWS[:2])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow, which is not installed: pip install 'goldsand\[hub\]'"):
        find_inputs([Input("p", str(tmp_path / "a.parquet"))])
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"needs datasets, which is not installed: pip install 'goldsand\[hub\]'"):
        find_inputs([Input("p", "owner/name", format="hub")])


def test_a_truncated_arrow_file_gives_its_whole_batches_and_one_loss(tmp_path):
    table = pyarrow.Table.from_pylist(ROWS)
    for form, kind in (("stream", pyarrow.ipc.new_stream), ("file", pyarrow.ipc.new_file)):
        path = tmp_path / f"{form}.arrow"
        with kind(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=100)
        items = list(open_source(path))
        assert said(items) == said(list(open_source(written(tmp_path / "a.parquet"))))
    cut_off = (tmp_path / "stream.arrow").read_bytes()
    (tmp_path / "stream.arrow").write_bytes(cut_off[: len(cut_off) // 2])
    items = list(open_source(tmp_path / "stream.arrow"))
    assert len(items) % 100 == 1 and 200 < len(items) < 800
    assert isinstance(items[-1], Unreadable) and items[-1].key == f"source/stream.arrow@{len(items) - 1}"


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    """The library, out of reach of the network, with a cache of its own."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    module = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
    monkeypatch.setattr(module.config, "HF_DATASETS_CACHE", tmp_path / "home")
    return module


@pytest.mark.parametrize("form", ["hub", "auto"])
def test_a_folder_that_datasets_saved_is_read_from_its_arrow_files(tmp_path, datasets, form):
    rows = datasets.Dataset.from_list(ROWS)
    rows.save_to_disk(str(tmp_path / "one"), num_shards=3)
    datasets.DatasetDict({"train": rows, "test": rows.select(range(10))}).save_to_disk(str(tmp_path / "many"))
    partitions = find_inputs([Input("s", str(tmp_path / "one"), format=form)])
    assert [one.relative for one in partitions] == [f"data-0000{number}-of-00003.arrow" for number in range(3)]
    items = [item for one in partitions for item in read_partition(pickle.loads(pickle.dumps(one)))]
    assert [one.text for one in items] == [row["text"] for row in ROWS]
    assert said(items) == said(list(open_source(written(tmp_path / "a.parquet"))))
    assert items[0].key == "s/data-00000-of-00003.arrow@0" and partitions[0].holds(items[0].key)
    (test,) = find_inputs([Input("s", str(tmp_path / "many"), format=form, split="test")])
    assert test.relative == "test/data-00000-of-00001.arrow" and len(list(read_partition(test))) == 10
    with pytest.raises(InputError, match="no split 'dev'; it has: test, train"):
        find_inputs([Input("s", str(tmp_path / "many"), format=form, split="dev")])


@pytest.mark.parametrize("state", [b"{", b"{}", b'{"_data_files": [{"filename": "../secret.arrow"}]}'])
def test_a_saved_folder_cannot_point_outside_itself(tmp_path, state):
    (tmp_path / "state.json").write_bytes(state)
    (tmp_path / "dataset_info.json").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"unreadable state\.json"):
        find_inputs([Input("s", str(tmp_path))])


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("streaming", [True, False])
def test_a_folder_is_loaded_like_a_data_set_of_the_hub(tmp_path, datasets, kind, streaming):
    folder = tmp_path / "my-set"
    folder.mkdir()
    written(folder / "train.parquet")
    expected = said(list(open_source(folder / "train.parquet")))
    if kind == "jsonl":
        (folder / "train.parquet").unlink()
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (partition,) = find_inputs([Input("s", str(folder), format="hub", streaming=streaming)])
    items = list(read_partition(pickle.loads(pickle.dumps(partition))))
    assert said(items) == expected
    assert [items[0].key, items[-1].key] == ["s/my-set/train@0", "s/my-set/train@999"]
    before = content_of(partition)
    assert cut(partition, 1) == [cut(partition, 1)[0]] and content_of(partition) == before
    (folder / f"train.{kind}").write_bytes((folder / f"train.{kind}").read_bytes() + b"\n")
    assert content_of(partition) != before


def test_a_hub_id_that_cannot_be_reached_is_one_line(datasets):
    (partition,) = find_inputs([Input("s", "owner/no-such-set", format="hub")])
    for use in (lambda: list(read_partition(partition)), lambda: content_of(partition)):
        with pytest.raises(InputError, match="'owner/no-such-set'") as raised:
            use()
        assert "\n" not in str(raised.value)
    (pinned,) = find_inputs([Input("s", "owner/no-such-set", format="hub", revision="0" * 40)])
    assert content_of(pinned) == "commit:" + "0" * 40
    with pytest.raises(InputError, match=r"no folder '\./gone'"):
        find_inputs([Input("s", "./gone", format="hub")])
