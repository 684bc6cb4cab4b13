"""Documents as lines of JSON: nothing is lost between stages, and a user's reader sees one schema."""

from __future__ import annotations

import io
import json

import pytest

from curate.document import Document
from curate.shards.text import (
    document_from_json,
    document_to_json,
    read_text_shard,
    text_row,
    well_formed,
    write_text_shard,
)

COLUMNS = ["id", "text", "url", "domain", "source", "language", "injected", "metadata"]


def test_a_document_comes_back_with_everything_it_carries():
    document = Document(
        "a/b@1",
        "line\nline\x85\u2028 é",
        "https://x.org/",
        "x.org",
        "a",
        {"language": "en", "n": [1, {"z": None}]},
        None,
        True,
    )
    line = document_to_json(document)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert document_from_json(line) == document


def test_lone_surrogates_become_the_replacement_character_and_pairs_their_character():
    assert well_formed("a\ud800b") == "a\ufffdb"
    assert well_formed("\udc00\ud83d\ude00") == "\ufffd\U0001f600"
    untouched = "plain é"
    assert well_formed(untouched) is untouched
    document = Document("k\udfff", "x\ud800", metadata={"\ud800": ["\udc80", {"big": 2**70, "raw": b"\xff"}]})
    read = document_from_json(document_to_json(document))
    assert (read.key, read.text) == ("k\ufffd", "x\ufffd")
    assert read.metadata == {"\ufffd": ["\ufffd", {"big": str(2**70), "raw": "\ufffd"}]}


def test_metadata_nested_without_end_is_cut_and_not_followed():
    nested: list = []
    for _ in range(5000):
        nested = [nested]
    read = document_from_json(document_to_json(Document("k", metadata={"n": nested})))
    assert "nested too deep" in json.dumps(read.metadata)


def test_every_row_has_the_same_columns_of_the_same_types():
    bare = text_row(Document("k"))
    full = text_row(Document("k", "t", "u", "d", "s", {"language": "en"}, None, True))
    assert list(bare) == list(full) == COLUMNS
    assert [type(value) for value in bare.values()] == [type(value) for value in full.values()]
    assert json.loads(full["metadata"]) == {"language": "en"}


def test_a_shard_reads_as_it_was_written_and_the_prefix_is_a_line_before_the_text(tmp_path):
    documents = [Document("a", "one", domain="x.org"), Document("b", "two"), Document("c", "y" * 3_000_000)]
    for rendering, texts in (("none", ["one", "two"]), ("prefix", ["x.org\none", "two"])):
        path = tmp_path / f"{rendering}.jsonl.zst"
        with path.open("wb") as stream:
            counts = write_text_shard(stream, documents, rendering)
        assert counts == {"documents": 3, "characters": 3_000_006}
        assert [row["text"] for row in read_text_shard(path)][:2] == texts
    with pytest.raises(ValueError, match="none, prefix"):
        write_text_shard(io.BytesIO(), [], "special")


def test_the_same_documents_are_the_same_bytes():
    shards = [io.BytesIO(), io.BytesIO()]
    for shard in shards:
        write_text_shard(shard, [Document(str(number), "text " * number) for number in range(200)])
    assert shards[0].getvalue() == shards[1].getvalue()


def test_datasets_opens_shards_whose_rows_lack_different_things(tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    halves = ([Document("a", "one")], [Document("b", "two", "https://x.org/", "x.org", "s", {"n": 1}, None, True)])
    for number, documents in enumerate(halves):
        with (tmp_path / f"{number:05d}.jsonl.zst").open("wb") as stream:
            write_text_shard(stream, documents)
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "*.jsonl.zst"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.column_names == COLUMNS
    assert loaded["text"][:] == ["one", "two"] and loaded["injected"][:] == [False, True]
