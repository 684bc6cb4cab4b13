"""What the tests of rewriting share: people as statements, and the gate that knows their pools."""

from __future__ import annotations

import re

from synth.people import people_table
from synth.rewrite.gate import FactGate, Statement
from synth.sentences import Sentences

DATE = re.compile(
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December) \d+, \d{4}"
)


def biographies(count: int) -> tuple[list[Statement], FactGate]:
    table = people_table(count, 1, seed=3)
    found = []
    for entity, text in enumerate(Sentences(table).texts(range(count), [0] * count)):
        facts = {name: value for name, value in table.facts(entity).items() if name != "pronoun"}
        found.append(Statement(f"inject/{entity}@0", text, table.names([entity])[0], facts))
    pools = {name: table.pools[name] for name in ("university", "major", "employer", "working_city")}
    return found, FactGate({**pools, "birth_date": DATE, "birth_city": table.pools["city"]})


def short_statements(count: int) -> tuple[list[Statement], FactGate]:
    """Three facts in one sentence: as much as a model of 135M parameters retells now and then."""
    people, gate = biographies(count)
    found = []
    for one in people:
        facts = {name: one.facts[name] for name in ("birth_city", "major", "employer")}
        text = "{} was born in {}, studied {} and worked for {}.".format(one.name, *facts.values())
        found.append(Statement(one.id, text, one.name, facts))
    return found, gate
