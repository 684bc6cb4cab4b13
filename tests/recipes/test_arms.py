"""Arms: what a command line or a recipe stands for, and what each arm's corpus then holds."""

import dataclasses
import json
from collections import Counter

import pytest

from curate.document import Document
from curate.run.ledger import read_ledger
from curate.shards.domain_rendering import domain_tokens
from curate.shards.text import write_text_shard
from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import VocabularyError, build_vocabulary
from recipes.app.measure.arms import entries_of
from recipes.app.measure.corpora import ArmRendering, Entry, open_corpus, shared_vocabulary, tokenised

WORDS = [
    "stone",
    "river",
    "cloud",
    "green",
    "paper",
    "silver",
    "garden",
    "window",
    "little",
    "summer",
    "winter",
    "market",
]


def page(number: int, words: int = 60) -> str:
    return (
        " ".join(WORDS[(number * 7 + place * (number % 5 + 1)) % len(WORDS)] for place in range(words)) + f" {number}."
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """200 pages of 10 domains, the first far more often than the others; an address each."""
    root = tmp_path_factory.mktemp("finished") / "pages"
    (root / "text").mkdir(parents=True)
    documents = []
    for number in range(200):
        host = f"site{number % 10 if number % 2 else 0}.example"
        url = f"https://{host}/page/{number}"
        documents.append(Document(key=f"p/{number}", text=page(number), url=url, domain=host, source="s"))
    with (root / "text" / "00000.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, documents)
    return root


def entries(given, out, **options):
    return entries_of(given, out, **options)


def test_an_arm_is_named_rendered_or_both(folder, tmp_path):
    found = entries(
        [str(folder), f"tagged={folder},domain=special,bare=0.1,tag-loss=off", f"{folder},domain=url"], tmp_path
    )
    assert [one.name for one in found] == ["pages", "tagged", "pages, domain=url"]
    assert found[1].rendering == ArmRendering("special", 0.1, 0.0, False, None)
    assert found[0].corpus == found[1].corpus  # read and tokenised once


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{},domain=sepcial", "domain: Input should be 'none', 'prefix', 'special', 'hashed' or 'url'"),
        ("{},domain=url,bare=2", "bare: Input should be less than or equal to 1"),
        ("{},bare=0.5", "`bare` is about rendered domains, and `domain` is none"),
        ("control={}", "'control' is the name of an arm that every comparison adds"),
    ],
)
def test_what_is_no_arm_is_said(folder, tmp_path, given, said):
    with pytest.raises(ValueError) as error:
        entries([given.format(folder)], tmp_path)
    assert said in str(error.value)


def test_a_recipe_of_arms_stands_for_all_of_them_over_one_corpus(folder, tmp_path):
    found = entries(["domain-tokens"], tmp_path, corpus=str(folder))
    assert len(found) == 9 and {one.corpus for one in found} == {open_corpus("pages", folder)}
    assert {one.rendering.domain for one in found} == {"none", "prefix", "special", "hashed", "url"}
    with pytest.raises(ValueError, match="arm 'bare' names no corpus: give one for all with --corpus OUT"):
        entries(["domain-tokens"], tmp_path)


def test_every_rendering_has_the_same_bodies_behind_what_it_says(folder, tmp_path):
    corpus = open_corpus("pages", folder)
    kinds = ("none", "prefix", "special", "hashed", "url")
    arms = [Entry(kind, corpus, ArmRendering(kind)) for kind in kinds]
    vocabulary = shared_vocabulary(corpus, iter([]), "facts", None, 400)
    found = {one.name: one for one in tokenised(arms, vocabulary, tmp_path)}
    assert vocabulary.buckets == 64 and vocabulary.domains[:2] == ["facts", "site0.example"]
    shards = {kind: TokenShards.open(found[kind].folder) for kind in kinds}
    bodies = {}
    for kind, shard in shards.items():
        prefix = shard.documents()["prefix"].tolist()
        bodies[kind] = [tuple(ids[count:]) for (ids, _), count in zip(shard, prefix, strict=True)]
        documents = list(corpus.documents())
        wanted = (
            domain_tokens([(one.domain, one.url) for one in documents], vocabulary, kind) if kind != "none" else [[]]
        )
        first, _ = next(iter(shard))
        assert first[: prefix[0]].tolist() == wanted[0]
        # The facts' front is what a page of their domain has.
        assert found[kind].used == shard.metadata["tokens"]
    assert all(one == bodies["none"] for one in bodies.values())
    assert vocabulary.encode(["facts\n"])[0] == list(found["prefix"].front)
    assert vocabulary.encode(["https://facts/\n"])[0] == list(found["url"].front)
    assert found["hashed"].front == (vocabulary.bucket_token("facts"),)
    assert found["special"].front == (vocabulary.domain_token("facts"),) and found["special"].more == 0
    assert found["url"].more == len(found["url"].front) - 1 and found["none"].front == ()


def test_a_bare_share_counts_in_what_a_pass_holds(folder, tmp_path):
    corpus = open_corpus("pages", folder)
    arms = [Entry("all", corpus, ArmRendering("prefix")), Entry("half", corpus, ArmRendering("prefix", bare=0.5))]
    vocabulary = shared_vocabulary(corpus, iter([]), "facts", None, 400)
    whole, half = tokenised(arms, vocabulary, tmp_path)
    assert whole.folder == half.folder and whole.tokens == half.tokens
    prefix = whole.used - whole.tokens
    assert half.used == whole.tokens + round(prefix / 2) and half.more == whole.more / 2


def test_rare_domains_share_a_token_or_are_hashed():
    alone = build_vocabulary(kind="bpe", texts=[page(0)], size=300, domains=["a.example"])
    hashed = build_vocabulary(kind="bpe", texts=[page(0)], size=300, domains=["a.example"], buckets=8)
    names = [f"site{n}.example" for n in range(200)]
    assert len({alone.domain_token(name) for name in names}) == 1
    tokens = Counter(hashed.domain_token(name) for name in names)
    assert len(tokens) == 8 and max(tokens.values()) < 60  # 25 expected of each
    assert hashed.domain_token("a.example") not in tokens and hashed.domains == ["a.example"]
    assert hashed.size == alone.size + 8
    with pytest.raises(VocabularyError, match="no buckets to hash domains to"):
        alone.bucket_token("a.example")


LINES = [f"Alpha beta gamma delta epsilon is what page {n} says and more of it follows here." for n in range(60)]
RECIPE = """
name: three
inputs: [{{name: pages, path: "{path}"}}]
steps: [{{gopher_quality: {{min_words: 10, min_stop_words: 0}}}}, exact_dedup]
output: {{tokens: {{all: {{}}}}}}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """60 pages, 30 more of five words, and the first 25 once more."""
    root = tmp_path_factory.mktemp("recipe")
    texts = [*LINES, *[f"Only five words {n} here" for n in range(30)], *LINES[:25]]
    rows = [json.dumps({"id": str(n), "text": text}) for n, text in enumerate(texts)]
    (root / "pages.jsonl").write_text("\n".join(rows) + "\n")
    (root / "three.yaml").write_text(RECIPE.format(path=root / "pages.jsonl"))
    return root / "three.yaml"


def test_an_ablation_leaves_each_step_out_in_turn(recipe, tmp_path):
    found = entries([str(recipe)], tmp_path, ablate=True)
    assert [one.name for one in found] == ["three", "without gopher_quality", "without exact_dedup"]
    held = {one.name: list(one.corpus.documents()) for one in found}
    assert {name: len(documents) for name, documents in held.items()} == {
        "three": 60, "without gopher_quality": 90, "without exact_dedup": 85,
    }  # fmt: skip
    assert (tmp_path / "runs" / "three-without-exact_dedup" / "recipe.yaml").read_text().count("exact_dedup") == 0
    again = entries([str(recipe)], tmp_path, ablate=True)
    assert [one.corpus for one in again] == [one.corpus for one in found]
    of_run = entries([str(tmp_path / "runs" / "three")], tmp_path / "more", ablate=True)
    assert [one.name for one in of_run] == [one.name for one in found]


def test_what_a_rule_dropped_is_mixed_back_by_reason(recipe, tmp_path):
    found = entries([str(recipe)], tmp_path, mix_back=[None, 0.25])
    # The recipe beside an arm is the one that was run: `goldsand retry` runs it again.
    assert "keep_dropped: all" in (tmp_path / "runs" / "three" / "recipe.yaml").read_text()
    names = [one.name for one in found]
    assert names[0] == "three" and names[1].startswith("three + gopher_quality.") and names[2].endswith(" 25%")
    assert any("exact_dedup" in name for name in names)
    dropped = [row for path in (tmp_path / "runs" / "three" / "ledger").glob("*.parquet") for row in read_ledger(path)]
    reasons = Counter((row["step"], row["rule"]) for row in dropped if row["event"] == "drop")
    for entry in found[1:]:
        texts = [one.text for one in entry.corpus.documents()]
        own = [text for text in texts if text in set(LINES)]
        back = len(texts) - len(own) if "gopher" in entry.name else len(texts) - len(set(texts))
        if not entry.name.endswith("%"):
            assert back == reasons[entry.corpus.reason]
        elif "gopher" in entry.name:  # 30 short pages are a quarter of three times their characters
            short = sum(len(text) for text in texts if text not in set(LINES))
            assert 0.1 < short / sum(map(len, texts)) < 0.4
    held = dataclasses.replace(found[1].corpus, without=frozenset(row["key"] for row in dropped))
    assert {one.key for one in held.documents()} < {one.key for one in found[1].corpus.documents()}


def test_a_ledger_without_texts_cannot_be_mixed_back(recipe, tmp_path, folder):
    (folder / "ledger").mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=r"run the recipe with --set output\.keep_dropped=all"):
        entries([str(folder)], tmp_path, mix_back=[None])
