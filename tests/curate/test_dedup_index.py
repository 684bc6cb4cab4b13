"""An index: what is near a document in it goes, whatever was added when; other parameters are refused."""

from __future__ import annotations

import random

import pytest
from generated_corpus import edited, prose, run_step
from test_dedup import families

from curate.dedup import MinHashDedup
from curate.dedup.add import add_to_index
from curate.dedup.index import Index, IndexMismatch
from curate.document import Document

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
    together = MinHashDedup(survivor=["source", "longest"], sources=["old", "new"], **SHORT)
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
    with pytest.raises(IndexMismatch, match="normaliser: 2 in the index, 99 here"):
        MinHashDedup(index=str(tmp_path / "i"))
    (tmp_path / "j").mkdir()
    with pytest.raises(IndexMismatch, match="is not an index"):
        Index(tmp_path / "j")
    (tmp_path / "j" / "index.json").write_text('{"format": 0}')
    with pytest.raises(IndexMismatch, match="format 0"):
        Index(tmp_path / "j")
