"""Shares come out as asked, to a document; nothing else of the corpus changes."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from engine_steps import PUBLISHED, tree

from curate.audit.verify import verify
from curate.dedup import MinHashDedup
from curate.document import Document
from curate.mix import Mix
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.shards.text import read_text_shard
from curate.shuffle import Shuffle
from curate.sources import Input, find_inputs
from curate.step import CorpusStep
from recipes.app.recipe.plan_by_rehearsal import estimate
from recipes.app.recipe.planned_units import planned
from synth.inject import Inject

SOURCES = {"web": 2000, "books": 300, "wiki": 700}


def rows_of(out: Path) -> list[dict]:
    return [row for path in sorted((out / "text").iterdir()) for row in read_text_shard(path)]


def tokens(row: dict) -> int:
    return len(row["text"].split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Documents of 5 to 100 words, and of no marks, so that words are all there is to count."""
    root = tmp_path_factory.mktemp("mix")
    rng = random.Random(1)
    for source, count in SOURCES.items():
        for part in range(2):
            path = root / source / f"{part}.jsonl"
            path.parent.mkdir(exist_ok=True)
            texts = [" ".join([f"w{rng.randrange(9)}"] * rng.randint(5, 100)) for _ in range(count // 2)]
            urls = [f"https://www.site{number * number % 13}.example/{number}" for number in range(count // 2)]
            lines = [json.dumps({"text": text, "url": url}) for text, url in zip(texts, urls, strict=True)]
            path.write_text("\n".join(lines) + "\n")
    return root


def run(folder: Path, out: Path, *steps: CorpusStep, **options) -> tuple[dict, list[dict], dict]:
    """The summary, the documents and the report of `mix`."""
    partitions = find_inputs([Input(source, str(folder / source)) for source in SOURCES])
    summary = CorpusRun("mix", steps, partitions, out, **{"workers": 2, **options}).execute()
    return summary, rows_of(out), json.loads((out / "mix" / "mix.json").read_text())


def by_source(rows: list[dict]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["source"]] += tokens(row)
    return counts


@pytest.fixture(scope="module")
def all_tokens(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain") / "out"
    _, rows, report = run(folder, out, Mix())
    assert len(rows) == sum(SOURCES.values())
    counts = by_source(rows)
    assert {row["group"]: row["available"] for row in report["groups"]} == counts
    return counts


def test_shares_are_within_half_a_percent_and_reported_as_they_are(folder, all_tokens, tmp_path):
    asked = {"web": 0.5, "books": 0.3, "wiki": 0.2}
    summary, rows, report = run(folder, tmp_path / "out", Mix(weights=asked, max_repeats=4))
    counts = by_source(rows)
    total = sum(counts.values())
    for row in report["groups"]:
        share = counts[row["group"]] / total
        assert abs(share - asked[row["group"]]) < 0.005
        assert row["share_realised"] == pytest.approx(share, abs=1e-6)
        assert row["share_asked"] == pytest.approx(asked[row["group"]])
        assert row["realised"] == counts[row["group"]]
        assert row["documents"] == sum(one["source"] == row["group"] for one in rows)
    # Books are scarcest: they come four times, and decide how much there can be.
    assert counts["books"] == 4 * all_tokens["books"]
    copies = [row for row in rows if "#" in row["id"]]
    assert Counter(row["id"].split("#")[1] for row in copies if row["source"] == "books") == {
        str(number): SOURCES["books"] for number in (2, 3, 4)
    }
    assert len({row["id"] for row in rows}) == len(rows)
    documents = summary["documents"]
    assert (documents["copied"], documents["injected"]) == (len(copies), 0)
    assert documents["input"] == documents["kept"] + documents["dropped"] == sum(SOURCES.values())
    assert list(verify(tmp_path / "out")) == []


def test_a_budget_is_met_and_what_is_not_named_leaves(folder, tmp_path):
    summary, rows, _ = run(folder, tmp_path / "out", Mix(weights={"wiki": 1, "web": 3}, budget=20_000))
    counts = by_source(rows)
    assert set(counts) == {"wiki", "web"}
    assert abs(sum(counts.values()) - 20_000) < 100
    assert abs(counts["wiki"] / sum(counts.values()) - 0.25) < 0.005
    (reasons,) = (step["reasons"] for step in summary["steps"] if step["step"] == "mix")
    assert set(reasons) == {"not_drawn"}


def test_caps_and_repeats_by_name(folder, all_tokens, tmp_path):
    step = Mix(repeat={"books": 2.5, "other": 1}, cap={"web": 30_000})
    _, rows, _ = run(folder, tmp_path / "out", step)
    counts = by_source(rows)
    assert abs(counts["books"] - 2.5 * all_tokens["books"]) < 100
    assert abs(counts["web"] - 30_000) < 100
    assert counts["wiki"] == all_tokens["wiki"]


def test_a_cap_for_each_domain(folder, tmp_path):
    _, rows, report = run(folder, tmp_path / "out", Mix(by="domain", cap=50, unit="documents"))
    counts = Counter(row["domain"] for row in rows)
    assert max(counts.values()) == 50 and len(counts) == 7
    assert {row["group"]: row["documents"] for row in report["groups"]} == counts


@pytest.mark.parametrize("ratio", [0.5, 0.875])
def test_the_junk_ratio_of_a_corpus_is_a_number_one_can_set(folder, tmp_path, ratio):
    inject = Inject(kind="compact", people=50, exposures=30)
    _, rows, _ = run(folder, tmp_path / "out", inject, Mix(junk_ratio=ratio, max_repeats=4))
    junk = sum(tokens(row) for row in rows if not row["injected"])
    useful = sum(tokens(row) for row in rows if row["injected"])
    assert sum(row["injected"] for row in rows) == 1500
    assert abs(junk / (junk + useful) - ratio) < 0.005


def test_the_same_bytes_otherwise_carried_out_and_shuffled_afterwards(folder, tmp_path):
    steps = [Mix(weights={"web": 1, "other": 2}, max_repeats=2), Shuffle()]
    calm = run(folder, tmp_path / "calm", *steps)
    for name, options in {"one": {"workers": 1}, "cut": {"split": 9000}, "buckets": {"buckets": 3}}.items():
        assert run(folder, tmp_path / name, *steps, **options)[1:] == calm[1:]
        assert tree(tmp_path / name, PUBLISHED) == tree(tmp_path / "calm", PUBLISHED)
    assert list(verify(tmp_path / "calm")) == []


def test_clusters_of_duplicates_may_come_more_often():
    step = Mix(cluster_copies={2: 2, 10: 3})
    sizes = {1: 1, 2: 2, 9: 2, 10: 3, 500: 3}
    for size, copies in sizes.items():
        document = Document("s/a", "text", source="s", metadata={"cluster_size": size})
        verdict = {"group": "s", "rounds": 1, "limit": 0, "asked": 1, "available": 1}
        found = list(step.decide([(0, document)], [json.dumps(verdict).encode()], 0))
        assert [one.key for one in found] == ["s/a", *(f"s/a#{number}" for number in range(2, copies + 1))]
    assert step.copies_of(Document("s/a", "text")) == 1


def test_a_run_repeats_what_had_a_duplicate(tmp_path):
    twice, once = "one page that came two times, word for word", "another page that came a single time, as most do"
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in (twice, once, twice)))
    steps = [MinHashDedup(), Mix(cluster_copies={2: 3})]
    inputs = find_inputs([Input("web", str(tmp_path / "a.jsonl"))])
    summary = CorpusRun("mix", steps, inputs, tmp_path / "out", workers=1).execute()
    assert Counter(row["text"] for row in rows_of(tmp_path / "out")) == {twice: 3, once: 1}
    assert (summary["documents"]["kept"], summary["documents"]["copied"]) == (2, 2)


@pytest.mark.parametrize(
    ("parameters", "targets"),
    [
        ({}, {"a": 100, "b": 400, "c": 0}),
        ({"weights": {"a": 1, "b": 1}}, {"a": 100, "b": 100, "c": 0}),
        ({"weights": {"a": 1, "b": 1}, "max_repeats": 3}, {"a": 300, "b": 300, "c": 0}),
        ({"weights": {"a": 1, "other": 1}, "cap": {"a": 50}}, {"a": 50, "b": 50, "c": 0}),
        ({"budget": 250}, {"a": 50, "b": 200, "c": 0}),
        ({"budget": 1200, "max_repeats": 2}, {"a": 200, "b": 800, "c": 0}),
        ({"budget": 1000, "cap": {"b": 300}, "max_repeats": 2}, {"a": 200, "b": 300, "c": 0}),
        ({"budget": 550, "cap": {"b": 400}, "max_repeats": 2}, {"a": 150, "b": 400, "c": 0}),
        ({"junk_ratio": 0.5}, {"a": 10, "b": 40, "c": 0}),
    ],
)
def test_targets(parameters, targets):
    assert Mix(**parameters).targets({"a": 100, "b": 400, "c": 0}, 50) == pytest.approx(targets)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"weights": {"a": 1}, "repeat": {"a": 1}}, "give one of them"),
        ({"budget": 5, "junk_ratio": 0.5}, "give one of them"),
        ({"weights": {"a": -1, "b": 2}}, "must not be below 0, and one must be above"),
        ({"cap": -5}, "must not be below 0"),
        ({"cluster_copies": {2: 0}}, "must be at least 1"),
    ],
)
def test_what_does_not_fit_together_is_refused(parameters, said):
    with pytest.raises(ValueError, match=said):
        Mix(**parameters)


def test_names_that_no_document_has_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no document has the source 'boks' \(did you mean 'books'"):
        Mix(weights={"boks": 1}).targets({"books": 5, "web": 5})
    with pytest.raises(ValueError, match="`mix` gets no injected ones"):
        Mix(junk_ratio=0.5).targets({"web": 5}, 0)


def test_a_name_that_is_not_there_ends_a_run_with_a_sentence(folder, tmp_path):
    with pytest.raises(RunError, match="`weights` of mix: no document has the source 'boks'") as error:
        run(folder, tmp_path / "out", Mix(weights={"boks": 1}))
    assert "Traceback" not in str(error.value)


def test_a_rehearsal_does_not_miss_the_groups_it_does_not_meet(folder, tmp_path):
    partitions = find_inputs([Input("web", str(folder / "web")), Input("wiki", str(folder / "wiki"))])
    steps = [Mix(weights={"web": 1, "books": 1}), Shuffle()]
    job = CorpusRun("plan", steps, partitions, tmp_path / "out", workers=1)
    cost = estimate(job, planned(job), 20)
    assert cost is not None and cost.disk > 0
