"""Injection: exact exposures, an even spread, pages as they were, and the same corpus however it is partitioned."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from curate.document import Document
from curate.filters import GopherQuality
from curate.shards.domain_rendering import save_set
from curate.shards.text import document_to_json, write_text_shard
from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import Vocabulary, build_vocabulary
from curate.sources import Input, find_inputs, read_partition
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


def domains_of(out):
    return Counter(document.domain for document in out if document.protected)


def test_domains_are_their_own_or_follow_the_corpus_by_entity_or_by_document():
    corpus = [Document(f"c/{n}", "t", domain=f"d{min(n % 10, 3)}.org", source="c") for n in range(1000)]
    own = flat(run(Inject(people=300, exposures=5), [corpus]))
    assert domains_of(own) == {"facts": 1500}
    expected = np.array([100, 100, 100, 700]) * 1.5
    for mode in ("corpus", "shuffled"):
        step = Inject(people=300, exposures=5, domains=mode)
        out = flat(run(step, split(corpus, 3)))
        assert [document for document in out if not document.protected] == corpus
        found = domains_of(out)
        counts = np.array([found[f"d{n}.org"] for n in range(4)])
        assert counts.sum() == 1500
        of_entity = {}
        for document in out:
            if document.protected:
                of_entity.setdefault(document.metadata["entity"], set()).add(document.domain)
        several = sum(len(names) > 1 for names in of_entity.values())
        # An entity keeps its domain, or draws one for each of five documents: 1 - (3 x 0.1^5 + 0.7^5) of 300.
        assert several == 0 if mode == "corpus" else 220 < several < 275
        # Three degrees of freedom; people of one domain come in fives.
        assert ((counts - expected) ** 2 / expected).sum() < (80 if mode == "corpus" else 20)
        assert [d.domain for d in out] == [d.domain for d in flat(run(step, [corpus]))]


def test_a_corpus_without_domains_leaves_the_facts_their_own():
    out = flat(run(Inject(people=5, exposures=2, domains="corpus"), [[Document("c/1", "t", source="c")]]))
    assert domains_of(out) == {"facts": 10}


@pytest.mark.parametrize("kind", ["compact", "people"])
def test_a_share_of_documents_or_of_tokens_is_met_by_exposures_that_differ_by_one_at_most(kind):
    corpus = [Document(f"c/{n}", "one two three, four", source="c") for n in range(8000)]
    out = flat(run(Inject(kind=kind, people=300, exposures={"document_share": 0.125}), split(corpus, 3)))
    added = [document for document in out if document.protected]
    assert len(added) == round(8000 / 7)
    counts = Counter(document.metadata["entity"] for document in added)
    assert set(counts.values()) == {3, 4} and len(counts) == 300
    out = flat(run(Inject(kind=kind, people=30, exposures={"token_share": 0.2}), split(corpus, 3)))
    piece = re.compile(r"\w+|[^\w\s]")
    pieces = [sum(len(piece.findall(d.text)) for d in out if d.protected == told) for told in (True, False)]
    if kind == "compact":
        pieces[0] = sum(len(d.text.split(" ")) for d in out if d.protected)
    assert pieces[0] / sum(pieces) == pytest.approx(0.2, abs=0.005)


def test_a_share_of_tokens_is_counted_with_the_tokenizer_that_is_named(tmp_path):
    build_vocabulary(kind="bpe", texts=["page of words"] * 9, size=300).save(tmp_path / "t.json")
    step = Inject(kind="people", people=30, exposures={"token_share": 0.25}, tokenizer=str(tmp_path / "t.json"))
    vocabulary = Vocabulary.load(tmp_path / "t.json")
    out = flat(run(step, split([Document(f"c/{n}", "page of words " * 40, source="c") for n in range(900)], 3)))
    told = [sum(len(ids) for ids in vocabulary.encode([d.text for d in out if d.protected == one])) for one in (1, 0)]
    assert told[0] / sum(told) == pytest.approx(0.25, abs=0.005)


def test_a_share_that_leaves_some_people_out_is_refused():
    with pytest.raises(FactsError, match="is 1 documents, fewer than 400 people"):
        flat(run(Inject(exposures={"document_share": 0.1}), [pages(9)]))


def test_what_was_injected_stays_protected_when_text_shards_are_read_again(tmp_path):
    before = flat(run(Inject(kind="people", people=20, exposures=3, domains="corpus"), [pages(50)]))
    with (tmp_path / "00000.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, before)
    (partition,) = find_inputs([Input("again", str(tmp_path), format="shards")])
    after = list(read_partition(partition))
    for name in ("text", "url", "domain", "protected"):
        assert [getattr(one, name) for one in after] == [getattr(one, name) for one in before]
    told = [(one.metadata["entity"], one.metadata["exposure"]) for one in after if one.protected]
    assert told == [(one.metadata["entity"], one.metadata["exposure"]) for one in before if one.protected]
    # A second injection would count them among its own entities.
    with pytest.raises(FactsError, match=r"again/.*@\d+ states facts of an earlier run"):
        run(Inject(kind="people", people=20, exposures=3), [after])
    # No rule reads them: pages of two words fall, biographies do not.
    kept = [one for one in GopherQuality(min_words=500).apply(after) if isinstance(one, Document)]
    assert kept == [one for one in after if one.protected] and len(kept) == 60
    # As plain JSON Lines the same file is a claim that anybody could make.
    (partition,) = find_inputs([Input("again", str(tmp_path))])
    assert not any(one.protected for one in read_partition(partition))


@pytest.mark.parametrize("kind", ["compact", "people", "biod"])
def test_those_held_out_are_in_the_facts_and_in_no_document(tmp_path, kind):
    step = Inject(kind=kind, people=12, exposures=[1, 3], held_out=5)
    out = flat(run(step, [pages(10)]))
    seen = Counter(document.metadata["entity"] for document in out if document.protected)
    step.write_facts(tmp_path, None)
    table = FactTable.load(tmp_path)
    assert len(table) == 17 and table.people == 12 and table.exposures == 3
    assert seen == {entity: count for entity, count in enumerate(table.exposure_counts.tolist()) if count}
    assert not np.any(table.exposure_counts[12:])
    names = set(table.names(range(12, 17)))
    assert not names & set(table.names(range(12)))
    assert not any(name in document.text for name in names for document in out)
    assert table.bits().values == pytest.approx(12 * sum(one.bits for one in table.attributes))


def test_frozen_people_have_one_text_and_held_out_templates_never_appear():
    frozen = flat(run(Inject(kind="people", people=4, exposures=5, frozen=True), [[]]))
    assert len({d.text for d in frozen}) == 4
    step = Inject(kind="people", people=40, exposures=5, held_out_templates=10)
    table = step.table()
    texts = " ".join(d.text for d in flat(run(step, [[]])))
    for templates in table.templates.values():
        openings = [template.partition("{}")[0] for template in templates]
        assert all(f" {opening}" not in texts for opening in openings[-10:])
        assert sum(f" {opening}" in texts for opening in openings[:-10]) > len(openings[:-10]) * 0.7


def test_bits_of_biod_are_those_of_the_paper():
    table = Inject(
        kind="biod", people=100, name_parts=[100, 100], attributes=3, chunks=2, strings=50, alphabet=20
    ).table()
    bits = table.bits()
    assert bits.names == pytest.approx(100 * np.log2(10_000 / 100))
    assert bits.values == pytest.approx(100 * 3 * 2 * np.log2(50))
    assert bits.diversity == pytest.approx(3 * 50 * np.log2(20**3 / 50))
    for number in (1, 2, 3):
        assert len(set(table.pools[f"d{number}"])) == 50
        assert all(len(one.split(" ")) == 3 for one in table.pools[f"d{number}"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"people": 65_537}, r"65536 names \(256 x 256\) for 65537 people"),
        ({"pools": "folder"}, "`pools` is for `kind: people or relations`; this is `kind: compact`"),
        ({"kind": "people", "values": 8}, "`values` is for `kind: compact`; this is `kind: people`"),
        ({"kind": "compact", "frozen": True}, "`frozen` is for `kind: biod, people, relations or table`"),
        ({"kind": "biod", "alphabet": 2, "length": 3, "strings": 9}, "there are 8 strings of 3 words out of 2, and 9"),
        ({"kind": "people", "held_out_templates": 999}, "cannot hold 999 of them out"),
        ({"people": 65_000, "held_out": 1000}, "for 66000 people"),
        ({"exposures": {"token_share": 1.5}}, "one number between 0 and 1"),
        ({"exposures": {"share": 0.5}}, "no 'share'"),
        ({"name_parts": []}, r"for example \[256, 256\]"),
        ({"domain": "two words"}, "a name of letters, digits"),
        ({"domain": "other"}, "and not 'other'"),
        ({"kind": "people", "pools": "no/such/folder"}, r"cannot read the pool no/such/folder/first_name\.txt"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(parameters, message):
    with pytest.raises(FactsError, match=message):
        Inject(**parameters)
