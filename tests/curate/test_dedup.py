"""Deduplication against brute force, closed forms and datasketch, on a tiny runner of the round contract."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter

import pytest
from datasketch import MinHash
from generated_corpus import biography, edited, prose, run_step, slow_jaccard

from curate.dedup import ExactDedup, MinHashDedup
from curate.dedup.figures import figures
from curate.dedup.shingles import jaccard, shingle_set, word_hashes
from curate.dedup.signatures import Sketcher
from curate.document import Document
from curate.text.folding import fold


def families(seed: int, count: int, copies: int = 3, length: int = 120) -> list[Document]:
    """Texts and edited copies of them, from hardly touched to half rewritten."""
    rng = random.Random(seed)
    documents = []
    for family in range(count):
        words = prose(rng, length)
        for copy in range(copies):
            text = " ".join(edited(rng, words, rng.randrange(0, 9) if copy else 0))
            documents.append(Document(key=f"s/f.warc@{family * 10 + copy}", text=text))
    return documents


def test_exact_keeps_the_smallest_document_key_of_each_text():
    documents = [Document(key=f"s/a@{i}", text="same" if i % 2 else f"other {i}") for i in range(10)]
    kept, dropped = run_step(ExactDedup(), documents)
    assert sorted(dropped) == ["s/a@3", "s/a@5", "s/a@7", "s/a@9"]
    assert {(d.step, d.rule, d.value) for d in dropped.values()} == {("exact_dedup", "duplicate", "s/a@1")}
    assert len(kept) == 6


def test_exact_ignores_space_and_case_only_when_asked():
    documents = [Document(key="s/a", text="One  text\n"), Document(key="s/b", text="one TEXT")]
    assert run_step(ExactDedup(), documents)[1] == {}
    assert len(run_step(ExactDedup(normalise="whitespace-and-case"), documents)[1]) == 1


@pytest.mark.parametrize("step", [ExactDedup(), MinHashDedup()], ids=["exact", "minhash"])
def test_protected_documents_neither_go_nor_make_others_go(step):
    text = " ".join(prose(random.Random(5), 60))
    documents = [Document(key="s/a", text=text, protected=True), Document(key="s/b", text=text)]
    documents += [Document(key="s/c", text=text, protected=True)]
    assert run_step(step, documents)[1] == {}


@pytest.mark.parametrize("step", [ExactDedup(), MinHashDedup()], ids=["exact", "minhash"])
def test_outcome_is_the_same_for_any_partitions_buckets_and_order(step):
    outcomes = []
    for partitions, buckets, shuffle in [(1, 1, 0), (3, 5, 1), (7, 16, 2), (7, 3, 3)]:
        documents = families(9, 30, copies=4)
        documents += [Document(key=f"t/{d.key}", text=d.text) for d in documents[::3]]
        kept, dropped = run_step(step, documents, partitions, buckets, shuffle)
        outcomes.append(
            (
                sorted((d.key, d.text, tuple(d.metadata.items())) for d in kept.values()),
                sorted((key, d.rule, str(d.value), d.threshold) for key, d in dropped.items()),
            )
        )
    assert outcomes[0][1]
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_every_dropped_document_is_near_its_own_survivor_by_brute_force():
    documents = families(1, 60)
    texts = {d.key: d.text for d in documents}
    kept, dropped = run_step(MinHashDedup(), documents)
    assert len(dropped) > 30
    for key, drop in dropped.items():
        assert drop.value["survivor"] in kept
        assert drop.value["similarity"] == pytest.approx(
            slow_jaccard(texts[key], texts[drop.value["survivor"]]), abs=1e-12
        )
        assert drop.value["similarity"] >= drop.threshold == 0.8
    sizes = Counter(drop.value["survivor"] for drop in dropped.values())
    assert {key: d.metadata["cluster_size"] for key, d in kept.items() if d.metadata} == {
        k: n + 1 for k, n in sizes.items()
    }


def test_survivors_are_never_near_one_another_when_bands_are_many():
    documents = families(2, 40)
    kept, dropped = run_step(MinHashDedup(bands=60, rows=4), documents)
    near = [(a.key, b.key) for a, b in itertools.combinations(kept.values(), 2) if slow_jaccard(a.text, b.text) >= 0.8]
    assert dropped
    assert near == []


def test_a_chain_of_edits_never_drops_a_page_unlike_its_survivor():
    rng = random.Random(3)
    words = prose(rng, 300)
    documents = []
    for step in range(12):
        documents.append(Document(key=f"s/{step:02d}", text=" ".join(words)))
        words = [*words[12:], *prose(rng, 12)]
    texts = {d.key: d.text for d in documents}
    kept, dropped = run_step(MinHashDedup(), documents)
    assert 1 < len(kept) < len(documents)
    assert all(slow_jaccard(texts[key], texts[d.value["survivor"]]) >= 0.8 for key, d in dropped.items())


def test_share_of_pairs_found_follows_the_closed_form():
    """1 - (1 - s^8)^14 over pairs of one similarity; the interval is four standard errors of 400 pairs."""
    rng = random.Random(4)
    step = MinHashDedup(threshold=0.0)
    for edits in (3, 5, 8):
        found, expected = 0, 0.0
        documents = []
        for pair in range(400):
            words = prose(rng, 150)
            for half in (words, edited(rng, words, edits)):
                documents.append(Document(key=f"s/{pair}-{half is words}", text=" ".join(half)))
            s = slow_jaccard(documents[-1].text, documents[-2].text)
            expected += 1 - (1 - s**8) ** 14
        _, dropped = run_step(step, documents)
        found = sum(d.document.key.split("-")[0] == d.value["survivor"].split("-")[0] for d in dropped.values())
        error = 4 * (400 * 0.25) ** 0.5
        assert abs(found - expected) < error, (edits, found, expected)


def test_signatures_estimate_jaccard_as_well_as_datasketch_does():
    rng = random.Random(6)
    ours, theirs = [], []
    for _ in range(60):
        words = prose(rng, 200)
        pair = [" ".join(words), " ".join(edited(rng, words, rng.randrange(1, 20)))]
        sets = [shingle_set(word_hashes(fold(text)), 5) for text in pair]
        true = slow_jaccard(*pair)
        assert jaccard(*sets) == pytest.approx(true, abs=1e-12)
        a, b = Sketcher(bands=112, rows=1, seed=11).signatures(sets)
        ours.append(float((a == b).mean()) - true)
        sketches = []
        for s in sets:
            sketch = MinHash(num_perm=112, hashfunc=lambda x: x & 0xFFFFFFFF)
            sketch.update_batch([int(x) for x in s])
            sketches.append(sketch)
        theirs.append(sketches[0].jaccard(sketches[1]) - true)
    mean_square = [sum(e * e for e in errors) / len(errors) for errors in (ours, theirs)]
    assert abs(sum(ours) / len(ours)) < 4 * (0.25 / 112 / 60) ** 0.5
    assert mean_square[0] < 2 * mean_square[1]


def test_templated_biographies_that_differ_in_facts_are_all_kept():
    rng = random.Random(7)
    documents = [Document(key=f"s/{i}", text=biography(rng)) for i in range(2000)]
    assert run_step(MinHashDedup(), documents)[1] == {}


@pytest.mark.parametrize(("length", "changed"), [(200, 1), (500, 5), (1500, 20)])
def test_reports_whose_figures_differ_are_all_kept_under_the_guard(length, changed):
    rng = random.Random(8)
    words = prose(rng, length)
    places = sorted(rng.sample(range(length), max(changed, 20)))
    for place in places:
        words[place] = f"{rng.randrange(10, 1000)}.{rng.randrange(10)}"
    documents = []
    for report in range(10):
        copy = list(words)
        for place in places[:changed]:
            copy[place] = f"{rng.randrange(1000, 9000) + report * 10000}.{rng.randrange(10)}"
        documents.append(Document(key=f"s/{report}", text=" ".join(copy)))
    assert run_step(MinHashDedup(), documents)[1] == {}
    assert run_step(MinHashDedup(numbers="ignore", threshold=0.5), documents)[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rose 5.1 %", "rose 1.5 %"),
        ("at -4 degrees", "at 4 degrees"),
        ("at \u22124 degrees", "at 4 degrees"),
        ("2 2", "2"),
    ],
)
def test_numbers_that_mean_another_thing_differ(one, other):
    assert figures(one) != figures(other)


def test_numbers_are_the_same_in_any_order_and_punctuation():
    assert figures("In 1990, 3,000 men.") == figures("3,000 men (in 1990)") == b"1990 3000"
    assert figures("\u0663 \u0664") == b"3 4"


def test_large_buckets_lose_no_copy_of_a_popular_page():
    rng = random.Random(10)
    words = prose(rng, 400)
    documents = [Document(key=f"s/{i:03d}", text=" ".join([*words, *prose(rng, i % 7)])) for i in range(300)]
    kept, dropped = run_step(MinHashDedup(), documents)
    assert len(kept) == 1
    assert next(iter(kept.values())).metadata["cluster_size"] == 300
    assert len(dropped) == 299


def test_short_texts_are_kept_and_empty_ones_harm_nothing():
    documents = [Document(key=f"s/{i}", text="only four words here") for i in range(3)] + [Document(key="s/e")]
    assert run_step(MinHashDedup(), documents)[1] == {}


def test_words_survive_reformatting_in_many_scripts():
    plain = word_hashes(fold("Caf\u00e9 na\u00efve 42 don't"))
    assert list(plain) == list(word_hashes(fold("CAFE\u0301\u00a0na\u00ef\u00adve \u2014 \u201c42\u201d don\u2019t")))
    assert len(word_hashes(fold("\u6771\u4eac\u90fd\u5e81"))) == 4
    assert len(word_hashes(fold("\ud800 \udfff ok"))) == 1


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0f73", "\u0344\u0323"])
def test_a_page_of_combining_marks_costs_linear_time(marks):
    """Two marks in turn, 200 000 times, take the plain normalisation of the standard library over a minute."""
    started = time.process_time()
    folded = fold("e" + marks * 200_000)
    assert time.process_time() - started < 5
    assert len(folded.decode()) <= 100


def test_the_longest_of_a_group_survives():
    words = prose(random.Random(12), 200)
    documents = [Document(key=f"s/{i}", text=" ".join(words[: 180 + i])) for i in (3, 20, 0, 11)]
    kept, _ = run_step(MinHashDedup(), documents)
    assert list(kept) == ["s/20"]
