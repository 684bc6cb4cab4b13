"""A shuffle loses nothing, follows from seed and keys alone, and breaks up what a crawl put together."""

import itertools
import json
import statistics
import tracemalloc
from pathlib import Path

import pytest
import xxhash
from engine_steps import PUBLISHED, Trim, corpus_run, tree, write_corpus

from curate.audit.story import story
from curate.audit.verify import verify
from curate.shards.records import SectionWriter, by_key, in_order, read_section
from curate.shards.text import read_text_shard
from curate.shuffle import Shuffle, home_of


def keys_of(out: Path) -> list[str]:
    return [row["id"] for path in sorted((out / "text").iterdir()) for row in read_text_shard(path)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("shuffle") / "in", files=3, documents=200)


def test_the_whole_is_a_permutation_in_the_order_of_a_keyed_hash(inputs, tmp_path):
    corpus_run(inputs, tmp_path / "plain", [Trim()]).execute()
    summary = corpus_run(inputs, tmp_path / "out", [Trim(), Shuffle(seed=7)]).execute()
    before, after = keys_of(tmp_path / "plain"), keys_of(tmp_path / "out")
    assert after == sorted(before, key=lambda key: xxhash.xxh3_64_intdigest(key.encode(), 7)) != before
    assert summary["documents"]["kept"] == len(before) == 600
    assert summary["documents"]["injected"] == 0
    assert list(verify(tmp_path / "out")) == []
    sizes = [sum(1 for _ in read_text_shard(path)) for path in sorted((tmp_path / "out" / "text").iterdir())]
    assert len(sizes) == 3 and min(sizes) > 160
    # Neighbours come from the same file as often as chance has it.
    same = statistics.mean(a.split("@")[0] == b.split("@")[0] for a, b in itertools.pairwise(after))
    assert abs(same - 1 / 3) < 0.08


OTHERWISE = {
    "one worker": {"workers": 1},
    "three workers": {"workers": 3},
    "cut into pieces": {"split": 5000},
    "other buckets": {"buckets": 3},
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_same_bytes_otherwise_carried_out(inputs, tmp_path, name):
    corpus_run(inputs, tmp_path / "calm", [Trim(), Shuffle()]).execute()
    corpus_run(inputs, tmp_path / "out", [Trim(), Shuffle()], **OTHERWISE[name]).execute()
    assert tree(tmp_path / "out", PUBLISHED) == tree(tmp_path / "calm", PUBLISHED)
    if name == "cut into pieces":
        cuts = [json.loads(path.read_text())["pieces"] for path in (tmp_path / "out/manifests/inputs").iterdir()]
        assert all(len(pieces) > 2 for pieces in cuts)


def test_another_seed_is_another_order(inputs, tmp_path):
    orders = []
    for seed in (1, 2):
        corpus_run(inputs, tmp_path / str(seed), [Shuffle(seed)]).execute()
        orders.append(keys_of(tmp_path / str(seed)))
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])


def test_the_story_of_a_document_goes_on_in_another_file(inputs, tmp_path):
    corpus_run(inputs, tmp_path / "out", [Shuffle()]).execute()
    texts = sorted((tmp_path / "out" / "text").iterdir())
    moved = next(row["id"] for row in read_text_shard(texts[0]) if "part-2" in row["id"])
    assert [(event.stage, event.what) for event in story(tmp_path / "out", moved)] == [
        ("00-read", "passed"),
        ("01-shuffle", "kept"),
    ]


@pytest.mark.parametrize("files", [(0,), (0, 0, 0), (0, 1, 1, 2), (3, 3, 5, 9, 9, 9, 9)])
def test_every_file_gets_the_same_share_however_it_is_cut(files):
    names = list(dict.fromkeys(files))
    step = 2**64 // 5040
    homes = [home_of(place * step, files) for place in range(5040)]
    assert homes == sorted(homes) and set(homes) == set(range(len(files)))
    for number, name in enumerate(names):
        inside = [place for place, home in enumerate(homes) if files[home] == name]
        # The same numbers go to a file as when it is one piece.
        assert inside == [place for place in range(5040) if home_of(place * step, tuple(names)) == number]
        assert abs(len(inside) - 5040 / len(names)) <= 1
    assert home_of(2**64 - 1, files) == len(files) - 1


def test_memory_is_that_of_the_buffers_not_of_the_corpus(tmp_path):
    """One bucket of 12 MB (20 MB as objects) through sort, write and merge, with budgets of 1 MB."""
    step, budget, text = Shuffle(), 1 << 20, "x" * 200
    (scatter,) = step.rounds()
    scatter.files = (0,)
    record = '{"key":"%s","text":"%s","url":null,"domain":null,"source":"","metadata":{},"protected":false}\n'
    keys = (f"s/{number}" for number in range(40_000))
    incoming = ((xxhash.xxh3_64_digest(key.encode()) + key.encode(), (record % (key, text)).encode()) for key in keys)
    tracemalloc.start()
    with (tmp_path / "bucket").open("wb") as stream:
        writer = SectionWriter(stream, 1, budget)
        for key, values in by_key(in_order(incoming, tmp_path, budget)):
            for made in scatter.reduce(key, values):
                writer.add(0, made)
        writer.close()
    merged = step.decide(iter(()), [(value for _, value in read_section(tmp_path / "bucket", 0))], 0)
    assert sum(len(document.text) for document in merged) == 8_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15 << 20
