"""What each arm of a comparison is judged against, and coins that drop as many pages of each length as an arm."""

import dataclasses
from pathlib import Path

import pytest
import torch

from curate.document import Document
from curate.shards.vocabulary import build_vocabulary
from recipes.app.measure.coins import arms_of, by_length, first_of, lengths_of, page_lengths
from recipes.app.measure.corpora import ArmRendering, Corpus, Entry, Tokenised, write_set
from train_probe.pages import Coin


def tokenised(name: str, tokens: int, corpus: str | None = None) -> Tokenised:
    return Tokenised(name, corpus or name, Path(name), 100, tokens, tokens)


def entry(name: str, corpus: str | None = None, **rendering: object) -> Entry:
    return Entry(name, Corpus(corpus or name, Path(name)), ArmRendering(**rendering))


def test_an_arm_is_judged_by_the_first_corpus_or_by_a_coin_of_its_size():
    names = {"raw": 100_000, "same": 97_000, "half": 50_000, "nearly half": 48_500, "tenth": 10_000, "double": 200_000}
    corpora = [tokenised(name, tokens) for name, tokens in names.items()]
    arms = {one.name: one for one in arms_of([*map(entry, names)], corpora)}
    assert {name: arms[name].against for name in names} == {
        "raw": None, "same": "raw", "half": "coin of 50%", "nearly half": "coin of 50%", "tenth": "coin of 10%",
        "double": "raw",
    }  # fmt: skip
    assert {name: one.kept for name, one in arms.items() if one.is_coin} == {"coin of 50%": 0.5, "coin of 10%": 0.1}
    assert all(arms[name].shards == "raw" for name in ("coin of 50%", "coin of 10%"))
    # A larger corpus is itself cut to the first one's size, by a coin of its own.
    assert arms["double"].kept == 0.5 and not arms["double"].is_coin
    assert len({arms[name].coin for name in ("coin of 50%", "coin of 10%", "double")}) == 3
    assert arms["double"].run() == {"kept": 0.5, "kept_by_length": [], "coin": arms["double"].coin}
    assert arms["raw"].run() == {}


def test_another_arm_changes_no_coin():
    two = {"raw": 100_000, "half": 50_000}
    three = two | {"tenth": 10_000}
    few = arms_of([*map(entry, two)], [tokenised(*one) for one in two.items()])
    many = arms_of([*map(entry, three)], [tokenised(*one) for one in three.items()])
    assert set(few) < set(many)


def test_a_rendering_is_judged_by_the_same_pages():
    entries = [
        entry("raw"),
        entry("clean"),
        entry("raw, tagged", "raw", domain="special"),
        entry("clean, tagged", "clean", domain="special"),
        entry("large"),
        entry("large, tagged", "large", domain="url"),
    ]
    sizes = [100, 50, 100, 50, 400, 400]
    corpora = [tokenised(one.name, size * 1000, one.corpus.name) for one, size in zip(entries, sizes, strict=True)]
    arms = {one.name: one for one in arms_of(entries, corpora)}
    assert {name: (one.against, one.paired) for name, one in arms.items()} == {
        "raw": (None, False), "clean": ("coin of 50%", False), "raw, tagged": ("raw", True),
        "clean, tagged": ("clean", True), "large": ("raw", False), "large, tagged": ("large", True),
        "coin of 50%": (None, False),
    }  # fmt: skip
    # Both read the same part of the same pages.
    assert arms["large, tagged"].run() == arms["large"].run()
    # Wherever they stand: a rendering before its corpus takes no coin from it.
    order = [3, 1, 2, 0]
    mixed = {one.name: one for one in arms_of([entries[2], *(entries[n] for n in order if n != 2)],
                                              [corpora[2], *(corpora[n] for n in order if n != 2)])}  # fmt: skip
    assert {name: (one.against, one.paired) for name, one in mixed.items()} == {
        "raw, tagged": ("raw", True), "clean, tagged": ("clean", True), "clean": ("coin of 50%", False),
        "raw": (None, False), "coin of 50%": (None, False),
    }  # fmt: skip
    assert mixed["coin of 50%"].shards == "raw" and first_of(list(mixed.values())).name == "raw"
    # Where only a rendering of a corpus is an arm, it is judged by the coin.
    tagged = [entries[0], entries[3]]
    alone = arms_of(tagged, [corpora[0], corpora[3]])
    assert [(one.against, one.paired) for one in alone[:2]] == [(None, False), ("coin of 50%", False)]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """300 pages of 5 to 304 words, and those of more than 150 of them."""
    root = tmp_path_factory.mktemp("shards")
    vocabulary = build_vocabulary(kind="bpe", texts=["stone river cloud"], size=300)
    pages = [Document(key=str(n), text=" ".join(["stone"] * n), source="corpus") for n in range(5, 305)]
    found = []
    for name, some in (("all", pages), ("long", [one for one in pages if len(one.text.split()) > 150])):
        metadata = write_set(iter(some), vocabulary, root / name)
        found.append(Tokenised(name, name, root / name, len(some), metadata["tokens"], metadata["tokens"]))
    return found


def test_a_coin_by_length_drops_as_much_of_each_length_as_the_arm(shards):
    whole, long = shards
    kept = by_length(long, whole)
    assert len(kept) == 5 and kept[0] == kept[1] == 0 and 0 < kept[2] < 1 and kept[3] == kept[4] == 1
    entries = [entry("all"), entry("long")]
    arm = next(one for one in arms_of(entries, shards, "length") if one.is_coin)
    lengths = torch.from_numpy(page_lengths(whole.folder))
    marks = torch.randint(-(2**62), 2**62, (len(lengths),), generator=torch.Generator().manual_seed(0))
    chosen = Coin(0, arm.coin, arm.kept, arm.kept_by_length).chosen(lengths, marks)
    assert int(lengths[chosen].sum()) == pytest.approx(long.tokens, rel=0.02)
    # So it keeps long pages, as the arm does; a coin of any pages does not.
    mean, largest = lengths_of(arm, whole.folder, range(6))
    any_mean, _ = lengths_of(dataclasses.replace(arm, kept_by_length=()), whole.folder, range(6))
    assert mean == pytest.approx(page_lengths(long.folder).mean(), rel=0.02)
    assert any_mean == pytest.approx(page_lengths(whole.folder).mean(), rel=0.1) and largest == lengths.max()


def test_lengths_that_an_arm_has_too_many_of_are_made_up_for_by_the_next(shards, tmp_path):
    """An arm of one page of four, cut to 20 words: more short text than there is."""
    whole, _ = shards
    vocabulary = build_vocabulary(kind="bpe", texts=["stone river cloud"], size=300)
    edited = (Document(key=str(n), text=" ".join(["stone"] * 20), source="corpus") for n in range(500))
    metadata = write_set(edited, vocabulary, tmp_path / "edited")
    arm = Tokenised("edited", "edited", tmp_path / "edited", 500, metadata["tokens"], metadata["tokens"])
    kept = by_length(arm, whole)
    lengths = sorted(page_lengths(whole.folder))
    held = [sum(lengths[n * 60 : n * 60 + 60]) for n in range(5)]
    assert kept[0] == 1 and kept[1] > 0 and kept[4] == 0
    assert sum(x * y for x, y in zip(kept, held, strict=True)) == pytest.approx(arm.tokens, rel=1e-6)
