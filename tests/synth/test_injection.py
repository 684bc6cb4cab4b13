"""Injection: exact exposures, an even spread, pages as they were, and the same corpus however it is partitioned."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from curate.document import Document
from curate.shards.rendering import save_set
from curate.shards.text import document_to_json
from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import build_vocabulary
from curate.step import partition_key
from synth.facts import FactsError, FactTable
from synth.inject import Inject


def pages(count):
    return [Document(f"crawl/p@{n}", f"page {n} <n1:001>", domain="x.org", source="crawl") for n in range(count)]


def split(documents, parts):
    bounds = np.linspace(0, len(documents), parts + 1).astype(int)
    return [documents[a:b] for a, b in pairwise(bounds)]


def run(step, partitions):
    """The step as an engine carries it out: rounds, then one decision for each partition."""
    (counting,) = step.rounds()
    records = [
        record
        for number, documents in enumerate(partitions)
        for record in counting.emit_documents(((number << 32 | i, d) for i, d in enumerate(documents)), number)
    ]
    (key,) = {key for key, _ in records}
    places = dict(counting.reduce(key, sorted(value for _, value in records)))
    return [
        list(step.decide(((n << 32 | i, d) for i, d in enumerate(documents)), [places[partition_key(n)]], n))
        for n, documents in enumerate(partitions)
    ]


def flat(partitions):
    return [document for partition in partitions for document in partition]


@pytest.mark.parametrize("kind", ["compact", "people"])
@pytest.mark.parametrize("count", [0, 1, 10, 333])
def test_every_person_appears_exactly_as_often_as_asked(kind, count):
    out = flat(run(Inject(kind=kind, people=17, exposures=5), split(pages(count), 3)))
    added = [document for document in out if document.protected]
    seen = Counter((document.metadata["entity"], document.metadata["exposure"]) for document in added)
    assert seen == {(entity, exposure): 1 for entity in range(17) for exposure in range(5)}
    assert len({document.key for document in added}) == 85


def test_pages_are_untouched_and_in_order():
    before = [document_to_json(document) for document in pages(100)]
    out = flat(run(Inject(people=40, exposures=3), split(pages(100), 4)))
    assert [document_to_json(document) for document in out if not document.protected] == before


@pytest.mark.parametrize("count", [0, 2, 50, 1000])
def test_the_corpus_is_the_same_for_1_3_and_7_partitions(count):
    step = Inject(people=30, exposures=4, seed=3)
    whole = [document_to_json(document) for document in flat(run(step, [pages(count)]))]
    for parts in (3, 7):
        assert [document_to_json(document) for document in flat(run(step, split(pages(count), parts)))] == whole


def test_injected_documents_stand_where_the_rule_says():
    out = flat(run(Inject(people=30, exposures=4), split(pages(77), 5)))
    places, seen = [], -1
    for document in out:
        if document.protected:
            places.append(seen)
        else:
            seen += 1
    assert places == [int((j + 0.5) * 77 / 120) for j in range(120)]


def test_all_people_appear_once_before_any_appears_again_in_orders_of_their_own():
    out = [
        document.metadata for document in flat(run(Inject(people=30, exposures=4), [pages(9)])) if document.protected
    ]
    exposures = [[m["entity"] for m in out if m["exposure"] == e] for e in range(4)]
    assert [m["exposure"] for m in out] == sorted(m["exposure"] for m in out)
    assert all(sorted(order) == list(range(30)) for order in exposures)
    assert len({tuple(order) for order in exposures}) == 4


def test_the_seed_decides_the_facts():
    one, same, other = (flat(run(Inject(people=5, exposures=1, seed=s), [[]])) for s in (1, 1, 2))
    assert one == same and [d.text for d in one] != [d.text for d in other]


def test_exposures_counted_back_from_token_shards_are_those_that_were_asked_for(tmp_path):
    step = Inject(people=25, exposures=6)
    vocabulary = build_vocabulary(
        kind="joint", texts=["page"], size=260, domains=["facts"], reserved=step.reserved_tokens()
    )
    save_set(tmp_path, "end", run(step, split(pages(60), 3)), vocabulary, "special", ["crawl", "inject"])
    shards = TokenShards.open(tmp_path)
    shards.verify()
    rows = shards.documents()
    assert len(rows) == 60 + 150
    assert np.bincount(rows["entity"][rows["entity"] >= 0]).tolist() == [6] * 25
    # A page that spells a name word is text: only injected documents hold its token.
    first = vocabulary.reserved("<n1:000>")
    names = [ids[row["prefix"]] for ids, row in shards if row["entity"] >= 0]
    assert all(first <= token < first + 256 for token in names)
    assert all(np.all(ids < first) for ids, row in shards if row["entity"] < 0)


def test_the_facts_beside_the_shards_are_those_in_the_text(tmp_path):
    step = Inject(people=12, exposures=2, seed=9)
    step.write_facts(tmp_path, None)
    table = FactTable.load(tmp_path)
    for document in flat(run(step, [pages(3)])):
        if document.protected:
            entity = document.metadata["entity"]
            numbers = [int(word.strip("<>").partition(":")[2]) for word in document.text.split(" ")]
            assert numbers == [*table.entities[entity], *table.values[entity]]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"people": 65_537}, r"65536 names \(256 x 256\) for 65537 people"),
        ({"pools": "folder"}, "compact records have words of their own"),
        ({"name_parts": []}, r"for example \[256, 256\]"),
        ({"domain": "two words"}, "a name of letters, digits"),
        ({"domain": "other"}, "and not 'other'"),
        ({"kind": "people", "pools": "no/such/folder"}, r"cannot read the pool no/such/folder/first_name\.txt"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(parameters, message):
    with pytest.raises(FactsError, match=message):
        Inject(**parameters)
