"""Formats of other trainers, read by their own libraries (slow), and by the layouts that those libraries document."""

import json
import struct
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from curate.shards import exports
from curate.shards.exports import write_mds, write_megatron
from curate.shards.tokens import TokenShards, TokenShardWriter, write_metadata

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["uint16", "uint32"])
def shards(request, tmp_path):
    draw = np.random.default_rng(5)
    high = 65_000 if request.param == "uint16" else 200_000
    texts = [[draw.integers(0, high, size) for size in sizes] for sizes in ((3, 1, 400), (), (7,))]
    for number, documents in enumerate(texts):
        with TokenShardWriter(tmp_path / "set", number, request.param) as writer:
            for ids in documents:
                writer.add(ids, source=0, domain=0)
    described = {"name": "set", "tokenizer": "none", "tokenizer_hash": "", "vocabulary": high, "end_of_text": 0}
    write_metadata(
        tmp_path / "set", **described, dtype=request.param, domain_rendering="none", sources=["a"], domains=[]
    )
    return TokenShards.open(tmp_path / "set"), [ids for documents in texts for ids in documents]


def test_megatron_finds_every_document_where_the_index_says(shards, tmp_path):
    given, documents = shards
    made = write_megatron(given, tmp_path / "out" / "set")
    assert made == {"documents": 4, "tokens": 411}
    index = (tmp_path / "out/set.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0"
    version, code, sequences, borders = struct.unpack_from("<QBQQ", index, 9)
    dtype = {8: np.uint16, 4: np.int32}[code]
    assert (version, sequences, borders) == (1, 4, 5)
    lengths = np.frombuffer(index, "<i4", 4, 34)
    starts = np.frombuffer(index, "<i8", 4, 34 + 16)
    assert np.frombuffer(index, "<i8", 5, 34 + 16 + 32).tolist() == [0, 1, 2, 3, 4] and len(index) == 34 + 16 + 32 + 40
    content = (tmp_path / "out/set.bin").read_bytes()
    for ids, length, start in zip(documents, lengths, starts, strict=True):
        assert np.frombuffer(content, dtype, length, start).tolist() == ids.tolist()


def samples_of(folder: Path) -> list[list[bytes]]:
    found = []
    for shard in json.loads((folder / "index.json").read_text())["shards"]:
        content = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(content) == shard["raw_data"]["bytes"]
        count = struct.unpack_from("<I", content)[0]
        offsets = struct.unpack_from(f"<{count + 1}I", content, 4)
        assert count == shard["samples"] and offsets[-1] == len(content)
        settings = json.loads(content[4 + 4 * (count + 1) : offsets[0]])
        assert settings["column_names"] == shard["column_names"] == sorted(settings["column_names"])
        columns = len(settings["column_names"])
        for begin in offsets[:-1]:
            sizes = struct.unpack_from(f"<{columns}I", content, begin)
            place, values = begin + 4 * columns, []
            for size in sizes:
                values.append(content[place : place + size])
                place += size
            found.append(values)
    return found


def test_mds_has_its_columns_by_name_in_shards_of_a_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "SHARD", 900)
    rows = [{"url": f"https://a.example/{number}", "text": "é" * number} for number in range(60)]
    made = write_mds(rows, {"text": "str", "url": "str"}, tmp_path / "mds")
    assert made["samples"] == 60 and made["shards"] > 5
    assert all(path.stat().st_size <= 900 for path in (tmp_path / "mds").glob("*.mds"))
    assert samples_of(tmp_path / "mds") == [[row["text"].encode(), row["url"].encode()] for row in rows]
    assert write_mds([], {"text": "str"}, tmp_path / "none") == {"samples": 0, "shards": 0}


READ = """
import importlib.machinery, json, sys, types
# Its data sets of pictures want a torchvision that was built for this very torch: nothing here does.
for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
sys.modules["torchvision.datasets"].VisionDataset = object
sys.modules["torchvision.transforms.functional"].to_tensor = None
from streaming import StreamingDataset
from megatron.core.datasets.indexed_dataset import IndexedDataset
folder = sys.argv[1]
texts = [one["text"] for one in StreamingDataset(local=folder + "/texts", shuffle=False, batch_size=1)]
ids = [one["tokens"].tolist() for one in StreamingDataset(local=folder + "/tokens", shuffle=False, batch_size=1)]
data = IndexedDataset(folder + "/set", mmap=True)
print(json.dumps([texts, ids, [data[n].tolist() for n in range(len(data))], data.document_indices.tolist()]))
"""


@pytest.mark.slow
@pytest.mark.network
def test_the_libraries_themselves_read_them(tmp_path, shards):
    given, documents = shards
    if given.metadata["dtype"] == "uint32":
        pytest.skip("one environment is enough: the other type is tested by its layout")
    texts = [f"Text {number} ü" for number in range(9)]
    write_mds(({"text": one} for one in texts), {"text": "str"}, tmp_path / "out/texts")
    write_mds(({"tokens": ids} for ids, _ in given), {"tokens": "ndarray:uint16"}, tmp_path / "out/tokens")
    write_megatron(given, tmp_path / "out/set")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    wanted = ["torch==2.13.0", "torchvision", "mosaicml-streaming==0.13.0", "megatron-core==0.16.1"]
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-cache-dir", *wanted], check=True)
    done = subprocess.run([python, "-c", READ, tmp_path / "out"], stdout=subprocess.PIPE, text=True, check=True)
    expected = [ids.tolist() for ids in documents]
    assert json.loads(done.stdout.splitlines()[-1]) == [texts, expected, expected, [0, 1, 2, 3, 4]]
