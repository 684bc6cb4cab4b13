"""Survivors among verified pairs against the same rule written down naively, policies, measures, what is reported."""

from __future__ import annotations

import random

import numpy as np
import pytest
from generated_corpus import edited, prose, run_step, slow_shingles

from curate.dedup import ExactDedup, MinHashDedup, clusters, merges
from curate.dedup.candidates import ALL_PAIRS, BandRound
from curate.dedup.exact import same_url
from curate.dedup.survivors import PolicyError
from curate.document import Document

PAIR = MinHashDedup().search.layouts.pairs.dtype


def naive(pairs: dict[tuple[bytes, bytes], float], counts: dict[bytes, int]) -> dict[bytes, tuple[bytes, float, int]]:
    """In order, each goes to the most similar of those that stay, or stays itself; with what it stands for."""
    home: dict[bytes, tuple[bytes, float]] = {}
    for key in sorted({one for pair in pairs for one in pair}):
        staying = [(-s, a) for (b, a), s in pairs.items() if b == key and home[a][0] == a]
        home[key] = (min(staying)[1], -min(staying)[0]) if staying else (key, 1.0)
    sizes = dict.fromkeys(home, 0)
    for key, (other, _) in home.items():
        sizes[other] += counts[key]
    return {key: (other, s, sizes[key]) for key, (other, s) in home.items()}


@pytest.mark.parametrize("seed", range(8))
def test_clusters_are_those_of_the_rule_written_down(seed, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "RANKS", 7)
    monkeypatch.setattr(clusters, "CHUNK", 5)
    rng = random.Random(seed)
    names = [b"\x01" + rng.randbytes(9) + b"\x07" + rng.randbytes(7) for _ in range(60)]
    counts = {name: rng.choice([1, 1, 1, 4]) for name in names}
    pairs = {}
    for _ in range(rng.choice([20, 120, 400])):
        a, b = sorted(rng.sample(names, 2))
        pairs[b, a] = rng.choice([0.8, 0.9, 0.95])
    rows = [(b, a, s, counts[b], counts[a]) for (b, a), s in pairs.items()]
    rng.shuffle(rows)
    table = np.array(rows, PAIR)
    cuts = [table[start : start + 11] for start in range(0, len(table), 11)]
    found = {}
    for some in clusters.cluster(iter(cuts), tmp_path):
        for key, home, similarity, size in zip(
            some.key.tolist(), some.survivor.tolist(), some.similarity.tolist(), some.count.tolist(), strict=True
        ):
            assert key not in found
            found[key] = (home, similarity, size)
    expected = {k.rstrip(b"\0"): (h.rstrip(b"\0"), s, n) for k, (h, s, n) in naive(pairs, counts).items()}
    assert found == expected and any(home != key for key, (home, _, _) in found.items())


def documents_alike(**metadata: list) -> list[Document]:
    rng = random.Random(1)
    words = prose(rng, 300)
    count = len(next(iter(metadata.values())))
    found = []
    for number in range(count):
        own = {name: values[number] for name, values in metadata.items() if values[number] is not None}
        text = " ".join(edited(rng, words, 3))
        found.append(
            Document(key=f"{own.get('source', 's')}/{number}", text=text, metadata=own, source=own.get("source", "s"))
        )
    return found


@pytest.mark.parametrize(
    ("policy", "metadata", "survivor"),
    [
        (["newest"], {"date": ["2020-01-01", "2024-06-01T10:00:00Z", "2024-06-01T10:00:00-05:00", None, "soon"]}, 2),
        (["oldest"], {"date": ["2020-01-01", "1999-06-01T10:00:00Z", None, "2019-01-01"]}, 1),
        (["most:score"], {"score": [0.5, -3, None, 0.75, True, float("nan"), "9"]}, 3),
        (["least:score"], {"score": [0.5, -3, None, 0.75, -2.5]}, 1),
        (
            ["source", "newest"],
            {"source": ["crawl", "wiki", "wiki", "books"], "date": ["2025", "2020-01-01", "2021-01-01", "2024-01-01"]},
            2,
        ),
    ],
)
def test_who_survives_follows_the_policy(policy, metadata, survivor):
    documents = documents_alike(**metadata)
    sources = ["wiki", "books"] if "source" in policy else []
    for step in (MinHashDedup(survivor=policy, sources=sources), ExactDedup(survivor=policy, sources=sources)):
        some = documents
        if isinstance(step, ExactDedup):
            some = [Document(key=d.key, text="the same", metadata=d.metadata, source=d.source) for d in documents]
        kept, dropped = run_step(step, some, partitions=3, shuffle=survivor)
        assert list(kept) == [documents[survivor].key]
        assert len(dropped) == len(documents) - 1


def test_a_signal_of_the_text_can_choose():
    rng = random.Random(2)
    words = prose(rng, 300)
    texts = [" ".join(words), " ".join(words) + ".\n" * 40, " ".join(words) + "!"]
    documents = [Document(key=f"s/{n}", text=text) for n, text in enumerate(texts)]
    assert list(run_step(MinHashDedup(survivor=["shortest"]), documents)[0]) == ["s/0"]
    assert list(run_step(MinHashDedup(survivor=["longest"]), documents)[0]) == ["s/1"]


@pytest.mark.parametrize(
    "wrong", [{"survivor": ["bigest"]}, {"survivor": ["most:"]}, {"survivor": ["source"]}, {"sources": ["wiki"]}]
)
def test_a_policy_that_says_nothing_is_refused(wrong):
    with pytest.raises(PolicyError):
        MinHashDedup(**wrong)


def test_containment_merges_a_part_with_its_whole_and_jaccard_does_not():
    rng = random.Random(3)
    words = prose(rng, 300)
    documents = [Document(key="s/whole", text=" ".join(words)), Document(key="s/part", text=" ".join(words[:200]))]
    assert run_step(MinHashDedup(bands=60, rows=2), documents)[1] == {}
    _, dropped = run_step(MinHashDedup(bands=60, rows=2, measure="containment"), documents)
    assert dropped["s/part"].value["similarity"] == 1.0 and dropped["s/part"].value["survivor"] == "s/whole"


def test_shingles_of_characters_are_those_of_the_text():
    one, other = "Knowledge-dense text, 1990", "knowledge dense texts (1990)"
    step = MinHashDedup(unit="characters", shingle=4, threshold=0.5, bands=60, rows=1, min_words=1)
    documents = [Document(key="s/0", text=one), Document(key="s/1", text=other)]
    _, dropped = run_step(step, documents)
    plain = ["knowledge dense text 1990", "knowledge dense texts 1990"]
    a, b = ({text[n : n + 4] for n in range(len(text) - 3)} for text in plain)
    assert [d.value["similarity"] for d in dropped.values()] == [len(a & b) / len(a | b)]


def test_large_buckets_are_bounded_and_reported():
    rng = random.Random(4)
    words = prose(rng, 400)
    documents = [Document(key=f"s/{i}", text=" ".join([*words, *prose(rng, 1 + i % 3)])) for i in range(200)]
    step = MinHashDedup(ranges=1)
    band = BandRound(step.search)
    emitted = list(band.emit_documents(((n, d) for n, d in enumerate(documents)), 0))
    (bucket,) = {key for key, _ in emitted if key[:1] == b"b"}
    list(band.reduce(bucket, [value for key, value in emitted if key == bucket]))
    notes = band.notes()
    rows = step.search.layouts.bands.gather([value for key, value in emitted if key == bucket]).rows
    sizes = np.unique(rows["band"], return_counts=True)[1]
    assert notes["buckets"] == (sizes > 1).sum() and notes["largest_bucket"] == sizes.max() > 10 * ALL_PAIRS
    assert notes["large_buckets"] == (sizes > ALL_PAIRS).sum() > 0
    compared = int((sizes * (sizes - 1) // 2).sum()) - notes["pairs_left_out"]
    assert 0 < compared <= ALL_PAIRS * int(sizes[sizes > 1].sum())


def test_the_ledger_names_the_cluster_and_the_survivor_carries_it():
    documents = documents_alike(score=[1, 2, 3, 4])
    kept, dropped = run_step(MinHashDedup(), documents)
    (survivor,) = kept.values()
    assert survivor.metadata["cluster_size"] == 4 and len(survivor.metadata["cluster"]) == 16
    assert {d.value["cluster"] for d in dropped.values()} == {survivor.metadata["cluster"]}
    shingles = {d.key: slow_shingles(d.text) for d in documents}
    for key, drop in dropped.items():
        a, b = shingles[key], shingles[survivor.key]
        assert drop.value["similarity"] == pytest.approx(len(a & b) / len(a | b), abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://www.Example.org:80/a/", "https://example.org/a#top", True),
        ("https://example.org/a?b=1", "https://example.org/a", False),
        ("https://example.org/A", "https://example.org/a", False),
        ("https://example.org:8080/a", "https://example.org/a", False),
        ("http://[bad", "http://[bad", True),
    ],
)
def test_addresses_are_one_when_they_lead_to_one_page(one, other, same):
    assert (same_url(one, "words") == same_url(other, "words")) == same
    documents = [Document(key=f"s/{n}", text=str(n), url=url) for n, url in enumerate((one, other, None))]
    _, dropped = run_step(ExactDedup(by="url", normalise="words"), documents)
    assert list(dropped) == (["s/1"] if same else [])
    assert list(run_step(ExactDedup(by="url"), documents)[1]) == (["s/1"] if one == other else [])


def test_words_alone_make_a_text_the_same_when_asked():
    documents = [Document(key=f"s/{n}", text=text) for n, text in enumerate(["Hi, you: 3!", "hi  you 3", "hi you 4"])]
    assert list(run_step(ExactDedup(normalise="words"), documents)[1]) == ["s/1"]


def test_long_texts_are_sent_in_portions_and_that_changes_nothing(monkeypatch):
    rng = random.Random(6)
    documents = []
    for family in range(12):
        words = prose(rng, 80 + 40 * family)
        documents += [Document(key=f"s/{family}-{n}", text=" ".join(edited(rng, words, n))) for n in range(4)]
    outcomes = []
    for portion in (1 << 22, 1000, 1):
        monkeypatch.setattr(merges, "_PORTION", portion)
        _, dropped = run_step(MinHashDedup(ranges=2), documents)
        outcomes.append({key: drop.value for key, drop in dropped.items()})
    assert outcomes[0] == outcomes[1] == outcomes[2] and len(outcomes[0]) > 20
