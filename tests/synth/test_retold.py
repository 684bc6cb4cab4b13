"""Facts as statements to rewrite, the gate of their pools, and what was accepted as documents of a corpus."""

from __future__ import annotations

import pytest

from curate.shards.text import read_text_shard, write_text_shard
from synth.codes import compact_table
from synth.facts import FactsError
from synth.people import people_table
from synth.rewrite.retold import gate_of, retold, statements


@pytest.fixture(scope="module")
def table():
    return people_table(30, 2, seed=3)


def retelling(one, **changes):
    facts = {**one.facts, **changes}
    return (
        f"We met {one.name} at the harbor, a native of {facts['birth_city']} whose first cry was heard on"
        f" {facts['birth_date']}. Years at {facts['university']} went into {facts['major']}; then {facts['employer']}"
        f" called, and the desk stood in {facts['working_city']}."
    )


def test_a_retelling_of_every_person_passes_and_each_fact_that_changes_is_named(table):
    gate = gate_of(table)
    told = list(statements(table))
    assert [one.id for one in told] == [f"inject/{entity}@0" for entity in range(30)]
    for one in told:
        assert set(one.facts) == set(table.templates)
        assert all(value in one.text for value in one.facts.values())
        assert gate(one, retelling(one)).accepted, gate(one, retelling(one)).rejected
        assert not gate(one, one.text).accepted
    one, other = told[:2]
    for name in one.facts:
        assert one.facts[name] != other.facts[name]
        verdict = gate(one, retelling(one, **{name: other.facts[name]}))
        assert not verdict.accepted and name in verdict.rejected, name
    date = gate(
        one, retelling(one, birth_date="May 1, 1900" if one.facts["birth_date"] != "May 1, 1900" else "May 2, 1900")
    )
    assert date.rejected == {"birth_date": "changed"}


def test_accepted_rewrites_are_documents_that_keep_their_entity(table, tmp_path):
    lines = [
        {"id": "inject/4@0", "style": "news", "text": "first"},
        {"id": "inject/4@0", "style": "diary", "rejected": {"major": "lost"}},
        {"id": "inject/4@0", "style": "profile", "text": "second"},
        {"id": "inject/7@0", "style": "news", "text": "third"},
    ]
    with (tmp_path / "t.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, retold(table, lines))
    rows = list(read_text_shard(tmp_path / "t.jsonl.zst"))
    assert [(row["id"], row["text"], row["injected"]) for row in rows] == [
        ("inject/4@0", "first", True),
        ("inject/4@1", "second", True),
        ("inject/7@0", "third", True),
    ]


def test_records_are_nothing_to_rewrite():
    with pytest.raises(FactsError, match="kind compact are records"):
        list(statements(compact_table(3)))
