"""Scoring rows: exactly the tokens of names and values, in rows that are the documents the probe trains on."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import Vocabulary, VocabularyError, build_vocabulary, domain_word
from synth.codes import compact_table
from synth.corpus import facts_corpus
from synth.facts import FactsError, FactTable
from synth.inject import Inject
from synth.people import people_table
from synth.scoring import _values_that_begin_others, write_scoring
from synth.sentences import Sentences

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "people"


def text_vocabulary(table, size=600):
    texts = list(Sentences(table).texts(range(table.people), [0] * table.people))
    return build_vocabulary(kind="bpe", texts=texts, size=size, domains=["facts"])


def rows_of(folder):
    scoring = dict(np.load(folder / "scoring.npz"))
    return scoring, np.split(scoring["tokens"], scoring["row_ends"].astype(int)[:-1])


def test_compact_rows_are_the_bodies_of_the_documents_in_the_shards(tmp_path):
    facts_corpus(tmp_path, Inject(people=50, exposures=3, seed=5), name="set")
    shards = TokenShards.open(tmp_path / "tokens" / "set")
    shards.verify()
    scoring, rows = rows_of(tmp_path / "facts")
    assert scoring["row_entity"].tolist() == list(range(50))
    seen = np.zeros((50, 3), int)
    for ids, row in shards:
        assert ids[row["prefix"] : -1].tolist() == rows[row["entity"]].tolist()
        assert ids[-1] == scoring["end_of_text"] == shards.end_of_text
        seen[row["entity"], row["exposure"]] += 1
    assert np.all(seen == 1)
    assert shards.metadata["domains"][shards.documents()["domain"][0]]["name"] == "facts"
    assert (
        json.loads((tmp_path / "facts" / "scoring.json").read_text())["tokenizer_hash"]
        == (shards.metadata["tokenizer_hash"])
    )


def test_a_uniform_guesser_among_the_tokens_that_can_stand_there_pays_exactly_the_bits_on_offer(tmp_path):
    table = compact_table(40, 1, name_parts=[256, 128], values=64, attributes=6)
    facts_corpus(tmp_path, Inject(people=40, exposures=1, name_parts=[256, 128]))
    scoring, rows = rows_of(tmp_path / "facts")
    names, values = scoring["name_tokens"], scoring["value_tokens"]
    assert len(names) == 256 + 128 and len(values) == 64
    pools = [set(names[:256].tolist()), set(names[256:].tolist())]
    name_bits = value_bits = 0.0
    for row, attribute, start, end in scoring["spans"].tolist():
        for place in range(start, end):
            pool = pools[place] if attribute == -1 else set(values.tolist())
            assert int(rows[row][place]) in pool
            if attribute == -1:
                name_bits += np.log2(len(pool))
            else:
                value_bits += np.log2(len(pool))
    assert name_bits == 40 * table.bits().name_pool
    assert value_bits == table.bits().values


def test_sixty_thousand_records_are_written_with_exact_counts(tmp_path):
    facts_corpus(tmp_path, Inject(people=400, exposures=150))
    shards = TokenShards.open(tmp_path / "tokens" / "facts")
    rows = shards.documents()
    assert len(rows) == 60_000 and shards.metadata["tokens"] == 60_000 * 9
    assert np.all(np.bincount(rows["entity"].astype(int) * 150 + rows["exposure"]) == 1)


def test_the_corpus_of_facts_alone_is_the_injection_of_a_run_without_pages(tmp_path):
    from curate.shards.domain_rendering import save_set

    step = Inject(people=30, exposures=4, seed=2)
    facts_corpus(tmp_path, step)
    vocabulary = Vocabulary.load(tmp_path / "tokens" / "tokenizer.json")
    save_set(tmp_path / "again", "facts", [step.placed().documents(0, 120)], vocabulary, "none", ["inject"])
    for path in (tmp_path / "tokens" / "facts").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


@pytest.fixture(scope="module", params=[(size, pools) for pools in (None, SHARED) for size in (256, 300, 1000)])
def people(request, tmp_path_factory):
    """Sixty people in a vocabulary, with their scoring rows: to check all values of the pools takes a second."""
    size, pools = request.param
    if pools is not None and not pools.is_dir():
        pytest.skip("the published pools are not beside the repository")
    table = people_table(60, 1, pools=pools, seed=1)
    vocabulary = text_vocabulary(table, size)
    folder = tmp_path_factory.mktemp("people")
    write_scoring(folder, table, vocabulary, draws=3)
    return pools, table, vocabulary, *rows_of(folder)


def test_spans_of_biographies_spell_the_facts(people):
    pools, table, vocabulary, scoring, rows = people
    plain = Tokenizer.from_str(vocabulary._content.decode())
    assert np.bincount(scoring["row_entity"]).tolist() == [3] * 60
    spans = scoring["spans"]
    assert len(spans) == 60 * 3 * 7
    extended = 0
    for row, attribute, start, end in spans.tolist():
        entity = int(scoring["row_entity"][row])
        facts = table.facts(entity)
        value = table.names([entity])[0] if attribute == -1 else facts[table.attributes[attribute].name]
        spelt = plain.decode(rows[row][start:end].tolist()).removeprefix(" ")
        assert spelt.startswith(value)
        extended += spelt != value
    assert extended == 0 or pools is not None
    assert scoring["tag"] == vocabulary.reserved(domain_word("facts")) and scoring["vocabulary"] == vocabulary.size


def test_scored_texts_are_no_training_texts(tmp_path):
    table = people_table(20, 30)
    vocabulary = text_vocabulary(table)
    write_scoring(tmp_path, table, vocabulary)
    _, rows = rows_of(tmp_path)
    trained = list(Sentences(table).texts(np.repeat(range(20), 30), [*range(30)] * 20))
    assert not {tuple(row.tolist()) for row in rows} & {tuple(ids) for ids in vocabulary.encode(trained)}


def with_pools(tmp_path, **changes):
    return people_table(4, 1, pools=small_pools(tmp_path, **changes))


def small_pools(tmp_path, **changes):
    folder = tmp_path / "pools"
    folder.mkdir()
    for name in ("first_name", "middle_name", "last_name", "city", "university", "field"):
        (folder / f"{name}.txt").write_text(changes.get(name, "Aba\nOno\n"))
    (folder / "company.txt").write_text("Ibi; Aba\nUlu; Ono\n")
    return folder


def test_a_value_that_begins_another_is_scored_with_the_token_after_it(tmp_path):
    table = with_pools(tmp_path, city="White\nWhitehead\n")
    vocabulary = build_vocabulary(kind="bpe", size=256, domains=["facts"])
    write_scoring(tmp_path, table, vocabulary, draws=2)
    scoring, rows = rows_of(tmp_path)
    plain = Tokenizer.from_str(vocabulary._content.decode())
    said = {
        plain.decode(rows[row][start:end].tolist())
        for row, attribute, start, end in scoring["spans"].tolist()
        if attribute == 1
    }
    assert " Whitehead" in said and said & {" White.", " White "}
    assert said <= {" Whitehead", " White.", " White "}


@pytest.mark.parametrize("lower", [False, True])
def test_values_that_cannot_begin_others_are_left_out_and_none_that_can(tmp_path, lower):
    """Against the tokens of all values; a tokenizer that lowers letters begins "Whitehead" with "white"."""
    draw = random.Random(5)
    pool = ["".join(draw.choices("abAé ", k=draw.randint(1, 7))).strip() or "b" for _ in range(300)]
    pool = list({value.lower(): value for value in pool}.values())
    vocabulary = build_vocabulary(kind="bpe", texts=[" ".join(pool)] * 2, size=330, domains=["facts"])
    if lower:
        described = json.loads(vocabulary._content)
        vocabulary = Vocabulary(json.dumps({**described, "normalizer": {"type": "Lowercase"}}).encode())
    assert vocabulary.plain is not lower
    table = with_pools(tmp_path, city="".join(f"{value}\n" for value in pool))
    cities = table.words(1)
    coded = vocabulary.encode([f" {value}" for value in cities])
    known = {
        cities[one]
        for one, ids in enumerate(coded)
        if any(other != one and longer[: len(ids)] == ids for other, longer in enumerate(coded))
    }
    found = {value for number, value in _values_that_begin_others(table, vocabulary) if number == 1}
    beginning = {value for value in cities if any(one != value and one.startswith(value) for one in cities)}
    assert found == known
    # Not all that begin as texts do so as tokens; only where letters are lowered is it the other way round as well.
    assert beginning - known and bool(known - beginning) is lower


def test_a_value_that_ends_inside_a_token_is_an_error_that_names_it(tmp_path):
    from tokenizers import decoders, models, pre_tokenizers, trainers

    table = with_pools(tmp_path)
    across = Tokenizer(models.BPE())
    across.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    across.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    across.train_from_iterator(
        [Sentences(table).text(0, 0)] * 5,
        trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False),
    )
    across.save(str(tmp_path / "across.json"))
    vocabulary = build_vocabulary(kind="file", file=tmp_path / "across.json", domains=["facts"])
    with pytest.raises(FactsError, match=r"entity \d \(.*\), \w+: '.*' begins or ends inside a token"):
        write_scoring(tmp_path, table, vocabulary)


def test_a_vocabulary_without_the_facts_domain_or_words_is_refused(tmp_path):
    table = compact_table(5, 1)
    with pytest.raises(VocabularyError, match="no reserved token '<n1:000>'"):
        write_scoring(tmp_path, table, build_vocabulary(kind="bpe", size=256, domains=["facts"]))
    people = with_pools(tmp_path)
    with pytest.raises(VocabularyError, match=r"no reserved token '<\|domain:facts\|>'"):
        write_scoring(tmp_path, people, build_vocabulary(kind="bpe", size=256))


def test_a_corpus_of_people_alone_trains_its_own_vocabulary_and_is_the_same_twice(tmp_path):
    names = "Aba\nOno\nUlu\nIbi\n"
    pools = small_pools(tmp_path, first_name=names, middle_name=names, last_name=names)
    step = Inject(kind="people", people=15, exposures=3, pools=str(pools))
    has_questions = bool(step.table().questions)
    for folder in ("one", "two"):
        facts_corpus(tmp_path / folder, step)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 16 + 2 * has_questions
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    assert FactTable.load(tmp_path / "one" / "facts").people == 15
    shards = TokenShards.open(tmp_path / "one" / "tokens" / "facts")
    scoring, _ = rows_of(tmp_path / "one" / "facts")
    assert scoring["used_vocabulary"] == shards.used().sum() + 1


def guess(rows, scoring, vocabulary, pools):
    """The loss in nats, of each span, of a guesser who knows the pools, draws each value uniformly and says it token by
    token: the probability of a token is the share of the values that go on so among those that are still open."""
    tries = {}
    for attribute, pool in pools.items():
        coded = [tuple(ids) for ids in vocabulary.encode([f" {value}" for value in pool])]
        counts = Counter(ids[:length] for ids in coded for length in range(len(ids) + 1))
        ends = Counter(coded)
        tries[attribute] = counts, ends
    found = []
    for row, attribute, start, end in scoring["spans"].tolist():
        if attribute not in tries:
            continue
        counts, ends = tries[attribute]
        said, nats = (), 0.0
        for token in rows[row][start:end].tolist():
            if (*said, token) in counts:
                nats -= math.log(counts[(*said, token)] / counts[said])
            else:  # the token behind a value that begins another: all that end here go on with it
                nats -= math.log(ends[said] / counts[said])
            said = (*said, token)
        found.append((attribute, nats))
    return found


def test_however_values_are_split_into_tokens_a_uniform_guesser_pays_exactly_their_bits(people):
    _, table, vocabulary, scoring, rows = people
    chosen = {table.column(name): table.words(table.column(name)) for name in ("birth_city", "university", "employer")}
    losses = guess(rows, scoring, vocabulary, chosen)
    assert len(losses) == 60 * 3 * 3
    for attribute, nats in losses:
        assert nats / math.log(2) == pytest.approx(table.attributes[attribute].bits, abs=1e-9)


def test_words_of_the_vocabulary_that_no_fact_uses_change_no_span(tmp_path):
    table = people_table(20, seed=1)
    texts = list(Sentences(table).texts(range(20), [0] * 20))
    found = []
    for name, more in (("one", []), ("two", [f"example{number}.org" for number in range(200)])):
        vocabulary = build_vocabulary(kind="bpe", texts=texts, size=600, domains=["facts", *more])
        (tmp_path / name).mkdir()
        write_scoring(tmp_path / name, table, vocabulary, used=500)
        found.append(rows_of(tmp_path / name)[0])
    for name in ("tokens", "row_ends", "row_entity", "spans", "used_vocabulary"):
        assert np.array_equal(found[0][name], found[1][name]), name
    assert found[1]["vocabulary"] == found[0]["vocabulary"] + 200
