"""Token shards: what was written comes back, in the format that datatrove reads, and damage is named."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest

from curate.shards.tokens import (
    NO_DOMAIN,
    ShardError,
    TokenShards,
    TokenShardWriter,
    dtype_for,
    write_metadata,
)

DOCUMENTS = [[5, 6, 7, 0], [65_535, 0], [0], [*range(300), 0]]


def write(folder, dtype="uint16", shards=(DOCUMENTS, [], DOCUMENTS[:1])):
    for number, documents in enumerate(shards):
        with TokenShardWriter(folder, number, dtype) as writer:
            for place, ids in enumerate(documents):
                writer.add(ids, source=1, domain=place if place else NO_DOMAIN, entity=place - 1, exposure=3, prefix=0)
    return write_metadata(
        folder,
        name="test",
        tokenizer="tokenizer.json",
        tokenizer_hash="0" * 64,
        vocabulary=65_536,
        dtype=dtype,
        end_of_text=0,
        domain_rendering="none",
        sources=["a", "b"],
        domains=[{"name": "x.org", "token": None}],
    )


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_documents_come_back_as_they_were_written(tmp_path, dtype):
    write(tmp_path, dtype)
    shards = TokenShards.open(tmp_path)
    shards.verify()
    assert [ids.tolist() for ids, _ in shards] == [*DOCUMENTS, DOCUMENTS[0]]
    rows = shards.documents()
    assert rows["entity"].tolist() == [-1, 0, 1, 2, -1]
    assert rows["domain"].tolist() == [NO_DOMAIN, 1, 2, 3, NO_DOMAIN]
    assert len(shards) == 5 and shards.end_of_text == 0
    assert shards.used().sum() == 301


def test_the_files_are_what_the_format_says_read_with_struct_alone(tmp_path):
    metadata = write(tmp_path)
    index = (tmp_path / "00000.ds.index").read_bytes()
    assert struct.unpack("<4Q", index) == (4, 6, 7, 308)
    data = (tmp_path / "00000.ds").read_bytes()
    assert struct.unpack("<7H", data[:14]) == (5, 6, 7, 0, 65_535, 0, 0)
    assert metadata["shards"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert [entry["documents"] for entry in metadata["shards"]] == [4, 0, 1]
    assert (metadata["documents"], metadata["tokens"]) == (5, 312)


def test_datatrove_reads_the_shards_itself(tmp_path):
    reader = pytest.importorskip("datatrove.utils.dataset", reason="datatrove is not installed")
    write(tmp_path, shards=(DOCUMENTS,))
    dataset = reader.DatatroveFileDataset(str(tmp_path / "00000.ds"), seq_len=6, token_size=2, return_positions=True)
    assert dataset[0]["input_ids"].tolist() == [5, 6, 7, 0, 65_535, 0, 0]
    assert dataset[0]["positions"].tolist() == [0, 1, 2, 3, 0, 1, 0]


def test_rows_of_one_length_are_the_same_shard_as_documents_one_by_one(tmp_path):
    ids = np.arange(40).reshape(8, 5)
    with TokenShardWriter(tmp_path / "one", 0) as writer:
        for number, row in enumerate(ids):
            writer.add(row, source=0, entity=number)
    rows = TokenShardWriter(tmp_path / "one", 1)
    rows.close()
    table = np.load(tmp_path / "one" / "00000.ds.documents.npy")
    with TokenShardWriter(tmp_path / "two", 0) as writer:
        writer.add_rows(ids, table)
    for name in ("00000.ds", "00000.ds.index", "00000.ds.documents.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_token_that_does_not_fit_is_refused(tmp_path):
    writer = TokenShardWriter(tmp_path, 0, "uint16")
    writer.add([65_536], source=0)
    with pytest.raises(ValueError, match="65536 does not fit uint16"):
        writer.close()
    assert (dtype_for(65_535), dtype_for(65_536)) == ("uint16", "uint32")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_damage_is_named_with_its_place(tmp_path):
    with pytest.raises(ShardError, match="there is no folder"):
        TokenShards.open(tmp_path / "absent")
    with pytest.raises(ShardError, match=r"has no metadata\.json"):
        TokenShards.open(tmp_path)
    write(tmp_path)
    data = (tmp_path / "00000.ds").read_bytes()
    (tmp_path / "00000.ds").write_bytes(data[:-2])
    with pytest.raises(ShardError, match=r"00000\.ds has 614 bytes; 308 tokens of 2 bytes are 616"):
        TokenShards.open(tmp_path)
    (tmp_path / "00000.ds").write_bytes(b"\x01" + data[1:])
    with pytest.raises(ShardError, match=r"00000\.ds was changed after it was written"):
        TokenShards.open(tmp_path).verify()
    (tmp_path / "00000.ds").write_bytes(data)
    (tmp_path / "00002.ds.documents.npy").write_bytes(b"not numpy")
    with pytest.raises(ShardError, match=r"00002\.ds\.documents\.npy is not a readable numpy array"):
        TokenShards.open(tmp_path)
    edit(tmp_path / "metadata.json", dtype="int64")
    with pytest.raises(ShardError, match="it must be uint16 or uint32"):
        TokenShards.open(tmp_path)
    edit(tmp_path / "metadata.json", dtype="uint16", shards=[{"file": "../../secret.ds", "documents": 1, "tokens": 1}])
    with pytest.raises(ShardError, match="must name a file of this folder"):
        TokenShards.open(tmp_path)
    (tmp_path / "metadata.json").write_text("{")
    with pytest.raises(ShardError, match="is not JSON"):
        TokenShards.open(tmp_path)


def test_a_shard_without_its_index_cannot_be_described(tmp_path):
    write(tmp_path)
    (tmp_path / "00002.ds.index").unlink()
    with pytest.raises(ShardError, match=r"has no 00002\.ds\.index beside it"):
        write(tmp_path, shards=())
