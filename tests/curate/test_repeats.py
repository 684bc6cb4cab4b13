"""Repeated lines and passages against the same rules written down naively, and what must never change."""

from __future__ import annotations

import random
import re
from collections import defaultdict

import numpy as np
import pytest
import xxhash
from generated_corpus import prose, run_step

from curate.dedup import LineDedup, PassageDedup
from curate.dedup.repeats import CUTS
from curate.dedup.tables import Table
from curate.document import Document


def by_hash(key: str) -> int:
    return xxhash.xxh3_64_intdigest(key.encode())


def naive_passages(documents: list[Document], length: int) -> dict[str, list[str]]:
    """Words that are left of each document when every window but the first of its kind is cut."""
    texts = {d.key: d.text.split() for d in documents}
    windows = defaultdict(list)
    for key, words in texts.items():
        for place in range(len(words) - length + 1):
            windows[tuple(words[place : place + length])].append((by_hash(key), place, key))
    gone = defaultdict(set)
    for found in windows.values():
        (_, first, home), *others = sorted(found)
        for _, place, key in others:
            begin = max(place, first + length) if key == home else place
            gone[key] |= set(range(begin, place + length))
    return {key: [w for place, w in enumerate(words) if place not in gone[key]] for key, words in texts.items()}


def outcome(kept, dropped, documents):
    return {d.key: kept[d.key].text.split() if d.key in kept else [] for d in documents}


@pytest.mark.parametrize("seed", range(6))
def test_passages_are_those_a_naive_search_finds(seed):
    rng = random.Random(seed)
    passages = [prose(rng, rng.randrange(6, 40)) for _ in range(5)]
    documents = []
    for number in range(30):
        words = []
        for _ in range(rng.randrange(1, 6)):
            words += prose(rng, rng.randrange(0, 30)) + rng.choice(passages)[rng.randrange(4) :]
        documents.append(Document(key=f"s/{number}", text=" ".join(words)))
    documents.append(Document(key="s/same", text="ba " * 40))
    expected, before = naive_passages(documents, 12), sum(len(d.text.split()) for d in documents)
    kept, dropped = run_step(PassageDedup(length=12), documents, partitions=3)
    assert outcome(kept, dropped, documents) == expected
    assert sum(map(len, expected.values())) < before


def test_a_passage_stays_once_and_what_stands_around_it_stays_as_it_was():
    rng = random.Random(1)
    shared = " ".join(prose(rng, 60))
    documents = [
        Document(key=f"s/{n}", text=f"{a}\n\n  {shared.upper() if n else shared}!\n{b}")
        for n, (a, b) in enumerate([(" ".join(prose(rng, 9)), " ".join(prose(rng, 9))) for _ in range(3)])
    ]
    before = {d.key: d.text for d in documents}
    kept, dropped = run_step(PassageDedup(), documents)
    whole = [d for d in kept.values() if shared in d.text.lower()]
    assert len(whole) == 1 and not dropped
    for document in documents:
        if document.key != whole[0].key:
            first, *_, last = before[document.key].split("\n")
            assert kept[document.key].text == f"{first}\n\n  \n{last}"
            assert kept[document.key].edits == [
                ("passage_dedup", len(before[document.key]), len(kept[document.key].text))
            ]


def test_figures_make_another_passage():
    words = prose(random.Random(2), 80)
    texts = [" ".join([*words[:40], figure, *words[40:]]) for figure in ("1990", "1991")]
    documents = [Document(key=f"s/{n}", text=text) for n, text in enumerate(texts)]
    kept, _ = run_step(PassageDedup(length=45), documents)
    assert {d.text for d in kept.values()} == set(texts)


@pytest.mark.parametrize("keep", ["first", "none"])
@pytest.mark.parametrize("unit", ["line", "paragraph"])
def test_lines_in_many_documents_go_and_no_others(unit, keep):
    rng = random.Random(3)
    lines = {count: " ".join(prose(rng, 8)) for count in (1, 2, 3, 4, 9)}
    documents = []
    for number in range(12):
        own = [" ".join(prose(rng, 8)), *(line for count, line in lines.items() if number < count), "two words"]
        own += own[:1]
        documents.append(Document(key=f"s/{number}", text=("\n" if unit == "line" else "\n\n").join(own)))
    firsts = {d.key: d.text.split("\n")[0] for d in documents}
    kept, dropped = run_step(LineDedup(unit=unit, documents=4, keep=keep), documents, partitions=3)
    assert not dropped
    for count, line in lines.items():
        left = [d.key for d in kept.values() if line in d.text]
        first = min((f"s/{n}" for n in range(count)), key=by_hash)
        assert left == ([first] if keep == "first" else []) if count >= 4 else len(left) == count
    # A line that one document repeats is no line of many documents; short lines stay.
    for key, first in firsts.items():
        assert kept[key].text.count(first) == 2
        assert "two words" in kept[key].text


def test_lines_meet_whatever_their_case_and_marks_but_not_their_figures():
    texts = [
        "Terms of use (2019)\nOne own line here",
        "TERMS  of use: 2019!\nAnother own line",
        "Terms of use 2020\nx y z",
    ]
    documents = [Document(key=f"s/{n}", text=text) for n, text in enumerate(texts)]
    kept, _ = run_step(LineDedup(documents=2, keep="none"), documents)
    assert [d.text for d in sorted(kept.values(), key=lambda d: d.key)] == [
        "One own line here",
        "Another own line",
        texts[2],
    ]


def test_a_text_of_which_too_little_is_left_is_dropped_whole():
    rng = random.Random(4)
    menu = "\n".join(" ".join(prose(rng, 6)) for _ in range(5))
    documents = [Document(key=f"s/{n}", text=menu) for n in range(4)]
    documents += [Document(key="s/p", text=menu, protected=True)]
    kept, dropped = run_step(LineDedup(documents=2, keep="none"), documents)
    assert list(kept) == ["s/p"] and kept["s/p"].text == menu
    assert {(d.rule, d.value, d.threshold, d.document.text) for d in dropped.values()} == {("little_left", 0, 1, menu)}


@pytest.mark.parametrize("step", [LineDedup(documents=2), PassageDedup(length=8)], ids=["lines", "passages"])
def test_partitions_buckets_and_order_change_nothing(step):
    rng = random.Random(5)
    shared = [" ".join(prose(rng, 12)) for _ in range(10)]
    documents = [
        Document(key=f"s/{n}", text="\n".join([*rng.sample(shared, 3), " ".join(prose(rng, 12))])) for n in range(40)
    ]
    outcomes = []
    for partitions, buckets, shuffle in [(1, 1, 0), (3, 5, 1), (7, 16, 2)]:
        copies = [Document(key=d.key, text=d.text) for d in documents]
        kept, dropped = run_step(step, copies, partitions, buckets, shuffle)
        outcomes.append((sorted((d.key, d.text) for d in kept.values()), sorted(dropped)))
    assert re.search("[a-z]", outcomes[0][0][0][1])
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_columns_of_the_cuts_are_copied_once_however_many_documents_are_cut(monkeypatch):
    """To ask a table for a column is to copy it: for each document, that was quadratic work."""
    asked = []
    column = Table.__getitem__
    monkeypatch.setattr(Table, "__getitem__", lambda table, name: asked.append(name) or column(table, name))
    counts = []
    for documents in (10, 80):
        places = np.arange(documents, dtype=np.uint64)
        none = np.zeros(documents, np.uint32)
        cuts = CUTS.build(place=places, position=none, first=none).pack()
        incoming = [
            (place, Document(key=str(place), text="a line of words\nand one more")) for place in range(documents)
        ]
        asked.clear()
        left = list(LineDedup().decide(incoming, [cuts], 0))
        assert [document.text for document in left] == ["and one more"] * documents
        counts.append(len(asked))
    assert counts[0] == counts[1]
