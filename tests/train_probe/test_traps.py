"""The seven traps of measuring bits: each test shows what the naive way would count, and that ours does not."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import nn

from curate.shards.vocabulary import build_vocabulary
from synth.corpus import facts_corpus
from synth.facts import Attribute, draw
from synth.inject import Inject
from synth.people import people_table
from synth.scoring import write_scoring
from synth.sentences import NAME, Sentences
from train_probe.inputs import read_facts
from train_probe.score import mean_losses, score


@pytest.fixture(scope="module")
def table():
    return people_table(400, seed=3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traps")
    facts_corpus(folder, Inject(kind="people", people=40, exposures=2, seed=3))
    return folder


@pytest.fixture(scope="module")
def facts(corpus):
    return read_facts(corpus / "facts")


def spelled(corpus, ids):
    return Tokenizer.from_file(str(corpus / "tokens" / "tokenizer.json")).decode(ids.tolist())


def test_1_the_working_city_never_stands_before_the_employer_whom_it_gives_away(table):
    employer, city = table.column("employer"), table.column("working_city")
    known = people_table(20_000).values[:, [employer, city]]
    by_city = Counter(known[:, 1].tolist())
    given_away = -sum(n / 20_000 * math.log2(n / 20_000) for n in by_city.values())
    assert given_away > 4  # bits of the employer that its city tells, in our own pools
    writer = Sentences(table)

    def city_first(text, entity):
        told = table.facts(entity)
        return text.index(told["working_city"]) < text.index(told["employer"])

    plain = [e for e in range(400) if table.facts(e)["birth_city"] != table.facts(e)["working_city"]]
    naive = sum(city_first(writer.text(entity, 0), entity) for entity in plain)
    assert 0.4 < naive / len(plain) < 0.6
    assert not any(city_first(writer.scored(entity, 0)[0], entity) for entity in plain)
    assert not any(span.attribute == city for entity in plain for span in writer.scored(entity, 0)[1])


def test_2_the_pronoun_is_scored_once_though_it_stands_five_times(table):
    writer, pronoun = Sentences(table), table.column("pronoun")
    for entity in range(50):
        text, spans = writer.scored(entity, 1)
        assert text.count(f" {table.facts(entity)['pronoun']} ") == 5
        assert sum(span.attribute == pronoun for span in spans) == 1


def test_3_an_opening_that_leaves_the_attribute_open_costs_a_model_that_knows_everything(table):
    """What a perfect model pays for not knowing the sentence: the entropy of what may follow its opening."""

    def paid(templates):
        openings = [(text.partition("{}")[0], name) for name, texts in templates.items() for text in texts]
        return sum(
            any(other.startswith(opening) and name != whose for other, whose in openings) for opening, name in openings
        )

    assert paid({"major": ("studied {}.",), "university": ("studied at {}.",)}) == 1
    assert paid(table.templates) == 0


def test_4_a_value_that_begins_another_is_scored_with_what_ends_it(tmp_path):
    pools = {"name": ["Ann", "Bob", "Cyd", "Dan"], "city": ["White", "Whitehead"]}
    table = draw(
        "table", np.ones(4, int), 0, "facts", [Attribute("city", "city", 2)], ["name"], pools,
        templates={"city": ("lives in {}.",)},
    )  # fmt: skip
    vocabulary = build_vocabulary(kind="bpe", size=257, domains=["facts"])
    write_scoring(tmp_path, table, vocabulary)
    scoring = np.load(tmp_path / "scoring.npz")
    rows = np.split(scoring["tokens"], scoring["row_ends"].astype(int)[:-1])
    plain = Tokenizer.from_str(vocabulary._content.decode())
    said = {plain.decode(rows[r][a:b].tolist()).strip() for r, k, a, b in scoring["spans"].tolist() if k == 0}
    # Naive spans, "White" and "Whitehead", would give a model that only knows "White" both values' bits.
    assert said == {"White.", "Whitehead"}


def test_5_a_row_is_one_biography_alone_for_a_person_recurs_in_a_window(corpus, facts):
    names = Counter()
    for row, ids in enumerate(facts.rows):
        text = spelled(corpus, ids)
        entity = int(facts.row_entity[row])
        names[entity] += 1
        assert facts.end_of_text not in ids.tolist()
        assert sum(text.count(name) for name in people_table(40, seed=3).names(range(40))) == 1
    assert set(names.values()) == {4}


def test_6_tokens_are_summed_attributes_are_summed_and_draws_are_averaged(facts):
    nats = (facts.spans[:, 3] - facts.spans[:, 2]).astype(float)  # one nat a token
    losses = mean_losses(facts, nats)
    values = facts.spans[:, 1] != NAME
    per_row = np.bincount(facts.spans[values, 0], nats[values])
    assert losses.value == pytest.approx(per_row.mean())
    naive = (nats[values] / nats[values]).mean()  # a mean over tokens forgets how many there are
    assert losses.value > 6 * naive


class BehindItsTag(nn.Module):
    """Knows every row, but only behind the tag of the facts; anywhere else it guesses among all tokens."""

    def __init__(self, facts):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.vocabulary, self.tag = facts.vocabulary, facts.tag

    def forward(self, tokens):
        logits = torch.zeros((*tokens.shape, self.vocabulary))
        following = torch.cat([tokens[:, 1:], self.last[:, None]], 1)
        behind = (tokens[:, :1] == self.tag).float() * 60
        return logits.scatter(2, following[..., None], behind[..., None].expand(*tokens.shape, 1))


def test_7_a_model_of_a_tagged_corpus_is_scored_with_the_tag_in_place(facts):
    one = replace(facts, rows=tuple(row[:40] for row in facts.rows), spans=np.array([[r, 0, 5, 9] for r in range(160)]))
    model = BehindItsTag(one)
    model.last = torch.tensor([int(row[39]) for row in one.rows])
    assert score(model, one, one.begins(True)).value == pytest.approx(0, abs=1e-4)
    assert score(model, one, one.begins(False)).value == pytest.approx(4 * math.log(facts.vocabulary), rel=1e-4)
