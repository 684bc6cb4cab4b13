"""Facts of the corpora themselves: which are taken, who states them, halves that share no document, and bits stored."""

import math

import numpy as np
import pytest

from curate.document import Document
from curate.shards.text import write_text_shard
from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import build_vocabulary
from recipes.app.measure.asked import Comparison
from recipes.app.measure.compare import run_comparison
from recipes.app.measure.corpora import Entry, open_corpus
from recipes.app.measure.own_facts import FOUND, OwnFacts, read_table, sentences
from recipes.app.report.comparison import write_page
from train_probe.inputs import read_cloze
from train_probe.plan import PlanError

SENTENCE = "The old mill of place {n} was built by the river in 1{n:03d} by masons."


def corpus(root, name, numbers, texts=None):
    folder = root / name
    (folder / "text").mkdir(parents=True)
    texts = texts or [f"{SENTENCE.format(n=n)} It stands there still. Nobody lives in it now." for n in numbers]
    pages = (Document(key=f"p/{n}", text=text, source="s") for n, text in zip(numbers, texts, strict=True))
    with (folder / "text" / "00000.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, pages)
    return open_corpus(name, folder)


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    """Corpus `all` states 120 facts, `few` the first 40 of them."""
    root = tmp_path_factory.mktemp("own")
    return [Entry(one.name, one) for one in (corpus(root, "all", range(120)), corpus(root, "few", range(40)))]


@pytest.fixture(scope="module")
def vocabulary():
    return build_vocabulary(kind="bpe", texts=[SENTENCE.format(n=n) for n in range(50)], size=300)


def kept(entry):
    return [one.key for one in entry.corpus.documents()]


def test_sentences_with_numbers_and_names_are_found_and_halves_share_no_document(arms, vocabulary, tmp_path):
    own = OwnFacts.of("found", arms, vocabulary, tmp_path)
    whole = [len(kept(arm)) for arm in arms]
    assert own.counts == {
        "asked": whole[0], "unscorable": 0, "stated": {"all": whole[0], "few": whole[1]}, "scored": whole[0]
    }  # fmt: skip
    for arm, documents in zip(arms, whole, strict=True):
        without = [len(TokenShards.open(own.without[arm.name, half])) for half in (0, 1)]
        assert sum(without) == documents  # every document states one fact: left out of one half, never of both
    cloze = read_cloze(own.cloze, vocabulary.size)
    assert sorted(np.bincount(cloze.group)) == [whole[0] // 2, -(-whole[0] // 2)]
    for row, first, last in cloze.spans[:5]:
        assert vocabulary._tokenizer.decode(cloze.rows[row][first:last].tolist()).strip().startswith("1")


def test_facts_that_share_a_document_stand_in_one_half(vocabulary, tmp_path):
    texts = [f"{SENTENCE.format(n=2 * n)} {SENTENCE.format(n=2 * n + 1)}" for n in range(60)]
    entry = Entry("pairs", corpus(tmp_path, "pairs", range(60), texts))
    own = OwnFacts.of("found", [entry], vocabulary, tmp_path)
    cloze = read_cloze(own.cloze, vocabulary.size)
    group_of = {tuple(row.tolist()): group for row, group in zip(cloze.rows, cloze.group, strict=True)}
    for key in kept(entry):
        n = int(key.removeprefix("p/"))
        one, other = (tuple(vocabulary.encode([SENTENCE.format(n=m)])[0]) for m in (2 * n, 2 * n + 1))
        assert group_of[one] == group_of[other]


def test_facts_of_a_table_are_found_where_they_stand(arms, vocabulary, tmp_path):
    table = tmp_path / "facts.csv"
    rows = [f'{n},1{n:03d},"{SENTENCE.format(n=n)}"' for n in (*range(0, 60, 3), 500)]
    table.write_text("\n".join(["entity,value,sentence", *rows]) + "\n")
    own = OwnFacts.of(str(table), arms, vocabulary, tmp_path)
    held = set(kept(arms[0]))
    there = sum(f"p/{n}" in held for n in range(0, 60, 3))
    assert own.counts["asked"] == 21 and own.counts["scored"] == own.counts["stated"]["all"] == there
    assert own.counts["stated"]["few"] == sum(f"p/{n}" in set(kept(arms[1])) for n in range(0, 60, 3))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("entity,value\na,b\n", "need the column 'sentence'; the table has entity, value"),
        ("value,sentence\nParis,London is a town.\n", "line 2: the value 'Paris' must occur in the sentence"),
        ("value,sentence\n", "holds no row"),
    ],
)
def test_a_table_that_cannot_be_used_is_said(tmp_path, content, said):
    (tmp_path / "facts.csv").write_text(content)
    with pytest.raises(ValueError, match=said):
        read_table(tmp_path / "facts.csv")


def test_facts_that_stand_nowhere_are_refused(arms, vocabulary, tmp_path):
    (tmp_path / "facts.csv").write_text('value,sentence\n1999,"It was built in 1999 or so."\n')
    with pytest.raises(ValueError, match="0 of 1 facts are stated in a corpus, too few"):
        OwnFacts.of(str(tmp_path / "facts.csv"), arms, vocabulary, tmp_path)


def test_stored_bits_are_what_the_seeing_model_loses_less(arms, vocabulary, tmp_path):
    """Half 1 costs 10 nats unseen and 4 seen, half 2 costs 20 and 15: 11 nats are stored."""
    own = OwnFacts.of("found", arms, vocabulary, tmp_path)
    middle = [{"arm": arm, "rung": 2, "seed": seed, "junk_shards": arm} for arm in ("all", "few") for seed in (0, 1)]
    runs = own.runs([*middle, {"arm": "control", "rung": 2, "seed": 0}])
    assert len(runs) == 8 and {run["junk_shards"] for run in runs} == {run["arm"] for run in runs}
    nats = {0: (10.0, 15.0), 1: (4.0, 20.0)}  # of the two groups, without each half
    rows = [
        {**run, "cloze": {"own": [{"facts": 5, "nats": x + 0.1 * run["seed"]} for x in nats[place % 2]]}}
        for place, run in enumerate(runs)
    ]
    found = own.stored(rows)
    assert found["arms"]["all"]["bits"] == pytest.approx(11 / math.log(2))
    assert found["arms"]["all"]["unseen_bits"] == pytest.approx(30.1 / math.log(2))


def test_a_file_that_holds_no_sentences_is_refused(tmp_path):
    np.savez(tmp_path / "bad.npz", tokens=np.arange(5), row_ends=[5], spans=[[0, 2, 9]], group=[0])
    with pytest.raises(PlanError, match="its spans lie outside its rows"):
        read_cloze(tmp_path / "bad.npz", 100)


def test_sentences_end_at_marks_and_lines():
    assert list(sentences("One is  here. Two is\nnot. Three? v1.2 is one!")) == [
        "One is here.", "not.", "Three?", "v1.2 is one!"
    ]  # fmt: skip
    assert FOUND == 400


@pytest.mark.slow
def test_a_comparison_with_own_facts_for_real(arms, tmp_path):
    asked = Comparison(
        people=4, exposures=(2, 3), seeds=2, more=0, rates=(4e-3,), layers=1, width=16, batch=2,
        may_repeat=("all", "few"), text_tokens=4_000,
    )  # fmt: skip
    found = run_comparison(arms, tmp_path, asked, own="found")
    assert set(found["own_facts"]["arms"]) == {"all", "few"}
    assert all(one["seeds"] == 2 and math.isfinite(one["bits"]) for one in found["own_facts"]["arms"].values())
    page = write_page(found, tmp_path).read_text()
    assert "Facts of the corpora themselves" in page and "without half" not in page
