"""An index: what is near a document in it goes, whatever was added when; other parameters are refused."""

from __future__ import annotations

import multiprocessing
import random

import orjson
import pytest
import xxhash
from generated_corpus import edited, prose, run_step
from test_dedup import families

from curate.dedup import MinHashDedup
from curate.dedup.add import add_to_index
from curate.dedup.index import Index, IndexMismatch, sealed
from curate.document import Document
from curate.places.held import Busy

SHORT = {"ranges": 16}


def corpus(seed: int, source: str, families_of: int = 40) -> list[Document]:
    return [Document(key=f"{source}/{d.key}", text=d.text, source=source) for d in families(seed, families_of)]


@pytest.fixture
def old_and_new():
    """Two crawls: the second has copies and edited copies of documents of the first, and clusters of its own."""
    rng = random.Random(11)
    old = corpus(12, "old")
    new = corpus(13, "new", 20)
    for number, one in enumerate(old[::2]):
        words = edited(rng, one.text.split(), rng.randrange(0, 9)) + prose(rng, rng.randrange(3))
        new.append(Document(key=f"new/x{number:03d}", text=" ".join(words), source="new"))
    return old, new


def test_against_an_index_falls_what_falls_when_both_are_deduplicated_together(tmp_path, old_and_new):
    old, new = old_and_new
    kept_old, _ = run_step(MinHashDedup(**SHORT), old)
    add_to_index(tmp_path / "i", MinHashDedup(**SHORT), kept_old.values(), "old")
    kept, dropped = run_step(MinHashDedup(index=str(tmp_path / "i"), **SHORT), new, partitions=3, buckets=5)
    # The same decided at once, with what the first crawl had kept in front of the second.
    both = [*(Document(key=d.key, text=d.text, source="old") for d in kept_old.values()), *new]
    together = MinHashDedup(survivor=["source", "cleanest"], sources=["old", "new"], **SHORT)
    kept_both, dropped_both = run_step(together, both)
    assert sorted(kept) == sorted(key for key in kept_both if key.startswith("new/"))
    assert {key: d.value["survivor"].removeprefix("index:") for key, d in dropped.items()} == {
        key: d.value["survivor"] for key, d in dropped_both.items()
    }
    assert {key: d.value["similarity"] for key, d in dropped.items()} == {
        key: d.value["similarity"] for key, d in dropped_both.items()
    }
    indexed = [d for d in dropped.values() if d.value["survivor"].startswith("index:old/")]
    assert 10 < len(indexed) < len(dropped)


def test_layers_together_do_what_one_index_of_all_does(tmp_path, old_and_new):
    old, new = old_and_new
    kept_old, _ = run_step(MinHashDedup(**SHORT), old)
    documents = list(kept_old.values())
    add_to_index(tmp_path / "one", MinHashDedup(**SHORT), documents, "old")
    for number in range(3):
        about = add_to_index(tmp_path / "three", MinHashDedup(**SHORT), documents[number::3], f"old {number}")
    assert [layer["documents"] for layer in about["layers"]] == [len(documents[number::3]) for number in range(3)]
    outcomes = []
    for name in ("one", "three"):
        kept, dropped = run_step(MinHashDedup(index=str(tmp_path / name), **SHORT), new)
        outcomes.append((sorted(kept), sorted((key, str(d.value)) for key, d in dropped.items())))
    assert outcomes[0] == outcomes[1]


def test_the_same_corpus_again_leaves_nothing_of_what_the_index_can_tell(tmp_path):
    documents = corpus(14, "s", 10)
    kept, _ = run_step(MinHashDedup(**SHORT), documents)
    add_to_index(tmp_path / "i", MinHashDedup(**SHORT), kept.values(), "s")
    step = MinHashDedup(index=str(tmp_path / "i"), **SHORT)
    again, dropped = run_step(step, documents)
    assert not set(again) & set(kept) and all(dropped[key].value["survivor"] == f"index:{key}" for key in kept)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"shingle": 4}, "shingle: 5 in the index, 4 here"),
        ({"numbers": "ignore"}, "numbers: 'guard' in the index, 'ignore' here"),
        ({"seed": 2}, "seed"),
        ({"dialect": "fineweb"}, "dialect"),
        ({"survivor": ["shortest"]}, "survivor"),
    ],
)
def test_other_parameters_are_refused_by_name(tmp_path, other, named):
    add_to_index(tmp_path / "i", MinHashDedup(), corpus(15, "s", 2), "s")
    with pytest.raises(IndexMismatch, match=named):
        MinHashDedup(index=str(tmp_path / "i"), **other)
    with pytest.raises(IndexMismatch, match=named):
        add_to_index(tmp_path / "i", MinHashDedup(**other), corpus(16, "s", 2), "t")
    MinHashDedup(index=str(tmp_path / "i"), threshold=0.9, measure="containment")


def test_an_older_normaliser_is_refused_and_so_is_what_is_no_index(tmp_path, monkeypatch):
    add_to_index(tmp_path / "i", MinHashDedup(), corpus(15, "s", 2), "s")
    with pytest.raises(IndexMismatch, match="holds s already"):
        add_to_index(tmp_path / "i", MinHashDedup(), [], "s")
    monkeypatch.setattr("curate.dedup.minhash.NORMALISER", 99)
    with pytest.raises(IndexMismatch, match="normaliser: 3 in the index, 99 here"):
        MinHashDedup(index=str(tmp_path / "i"))
    (tmp_path / "j").mkdir()
    with pytest.raises(IndexMismatch, match="is not an index"):
        Index(tmp_path / "j")
    (tmp_path / "j" / "index.json").write_text('{"format": 0}')
    with pytest.raises(IndexMismatch, match="format 0"):
        Index(tmp_path / "j")


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """The files of an index of two layers."""
    folder = tmp_path_factory.mktemp("layers") / "i"
    for number in range(2):
        add_to_index(folder, MinHashDedup(**SHORT), corpus(17 + number, "s", 4), f"s{number}")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def written(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_damaged_index_is_refused_with_the_name_of_the_file(tmp_path, layers):
    """Wherever one byte is flipped, missing or too many, in any of its files, when it is opened and when it grows."""
    rng = random.Random(3)
    folder = written(tmp_path / "i", layers)
    assert Index(folder).about["layers"][1]["documents"] == 12
    for name, content in layers.items():
        if name == ".lock":
            continue
        damages = [None, b"", content[:-1], content + b"\0", bytes(len(content))]
        for _ in range(25):
            place = rng.randrange(len(content))
            flipped = bytes([content[place] ^ 1 << rng.randrange(8)])
            damages.append(content[:place] + flipped + content[place + 1 :])
            damages.append(content[:place] + content[place + rng.randrange(1, 40) :])
        for damage in damages:
            if damage is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(damage)
            if damage and name == "index.json" and _equal(damage, content):
                continue
            with pytest.raises(IndexMismatch, match=f"{name}|has index format"):
                Index(folder)
            written(folder, {name: content})
    with pytest.raises(IndexMismatch, match=r"00000\.0000\.bands is damaged"):
        (folder / "00000.0000.bands").write_bytes(b"")
        add_to_index(folder, MinHashDedup(**SHORT), [], "t")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../00000"},
        {"name": "/etc/passwd"},
        {"name": "00001"},
        {"name": 0},
        {"checksums": {"bands": ["0" * 32]}},
        {"checksums": {"bands": "0" * 32, "classes": "0" * 32}},
        {"checksums": {"bands": [], "classes": []}},
        {"checksums": None},
        {"documents": -1},
        {"documents": 1.5},
        {"from": ["a"]},
    ],
)
def test_a_layer_that_cannot_be_is_refused_even_under_a_seal(tmp_path, layers, change):
    folder = written(tmp_path / "i", layers)
    about = orjson.loads(layers["index.json"])
    about["layers"][0] |= change
    (folder / "index.json").write_bytes(orjson.dumps(sealed(about)))
    with pytest.raises(IndexMismatch, match=r"index\.json is damaged"):
        Index(folder)


def test_a_layer_that_is_lost_from_the_list_is_missed(tmp_path, layers):
    folder = written(tmp_path / "i", layers)
    about = orjson.loads(layers["index.json"])
    for other in (about | {"layers": about["layers"][:1]}, about | {"parameters": {}}, about | {"layers": {}}, [], 3):
        (folder / "index.json").write_bytes(orjson.dumps(other))
        with pytest.raises(IndexMismatch):
            Index(folder)


def test_an_index_that_changes_while_it_is_in_use_ends_the_run(tmp_path, layers):
    folder = written(tmp_path / "i", layers)
    step = MinHashDedup(index=str(folder), **SHORT)
    assert step.opened_index.bands(0, step.search.layouts.bands)
    written(folder, {"00001.0000.bands": layers["00001.0000.bands"][:-8]})
    with pytest.raises(IndexMismatch, match=r"00001\.0000\.bands was changed"):
        step.opened_index.bands(0, step.search.layouts.bands)


def test_what_was_sealed_by_another_hand_is_no_traceback(tmp_path, layers):
    """Frames that hold no tables, under checksums that fit."""
    rng = random.Random(5)
    about = orjson.loads(layers["index.json"])
    refused = 0
    for _ in range(200):
        content = bytearray(layers["00000.0000.classes"])
        for _ in range(rng.choice((1, 3))):
            # The table of frames ends the file.
            content[rng.choice((rng.randrange(len(content)), -rng.randrange(1, 300)))] ^= 1 << rng.randrange(8)
        folder = written(tmp_path / "i", layers | {"00000.0000.classes": bytes(content)})
        about["layers"][0]["checksums"]["classes"] = [xxhash.xxh3_128_hexdigest(bytes(content))]
        (folder / "index.json").write_bytes(orjson.dumps(sealed(about)))
        step = MinHashDedup(index=str(folder), **SHORT)
        layouts = step.search.layouts
        try:
            for number in range(16):
                step.opened_index.classes(number, layouts, layouts.members.empty()["name"])
        except IndexMismatch:
            refused += 1
    assert refused > 50


def test_whatever_stops_the_adding_leaves_the_index_as_it_was(tmp_path, layers):
    folder = written(tmp_path / "i", layers)

    def damaged():
        yield from corpus(19, "s", 4)
        raise OSError("input/output error")

    with pytest.raises(OSError, match="input/output"):
        add_to_index(folder, MinHashDedup(**SHORT), damaged(), "t")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == layers | {
        ".lock": (folder / ".lock").read_bytes()
    }
    # What a writer that was killed left behind is in nobody's way.
    written(folder, {"00002.0000.bands": b"half", "00002.0000.bands.12345678.writing": b"half"})
    about = add_to_index(folder, MinHashDedup(**SHORT), corpus(19, "s", 4), "t")
    assert len(about["layers"]) == 3 and not list(folder.glob("*.writing")) and Index(folder)


def _add(folder, name, begun, go):
    def slowly():
        for number, document in enumerate(corpus(20, name, 4)):
            if number == 1:
                begun.set()
                assert go.wait(120)
            yield document

    add_to_index(folder, MinHashDedup(**SHORT), slowly(), name)


def test_one_writer_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    begun, go = context.Event(), context.Event()
    other = context.Process(target=_add, args=(tmp_path / "i", "first", begun, go))
    other.start()
    try:
        assert begun.wait(120)
        with pytest.raises(Busy, match=rf"i is being written by another .* \(process {other.pid}\)"):
            add_to_index(tmp_path / "i", MinHashDedup(**SHORT), corpus(21, "second", 4), "second")
        go.set()
        other.join(120)
        assert other.exitcode == 0
    finally:
        other.kill()
    about = add_to_index(tmp_path / "i", MinHashDedup(**SHORT), corpus(21, "second", 4), "second")
    assert [layer["from"] for layer in about["layers"]] == ["first", "second"]
    step = MinHashDedup(index=str(tmp_path / "i"), **SHORT)
    for seed, name in ((20, "first"), (21, "second")):
        kept, _ = run_step(step, corpus(seed, name, 4))
        assert not kept


def test_a_writer_that_was_killed_holds_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    begun, go = context.Event(), context.Event()
    other = context.Process(target=_add, args=(tmp_path / "i", "first", begun, go))
    other.start()
    assert begun.wait(120)
    other.kill()
    other.join()
    about = add_to_index(tmp_path / "i", MinHashDedup(**SHORT), corpus(20, "first", 4), "first")
    assert len(about["layers"]) == 1


def _equal(one, other):
    """Whether two JSON files say the same: space between the parts is no part of them."""
    try:
        return orjson.loads(one) == orjson.loads(other)
    except orjson.JSONDecodeError:
        return False
