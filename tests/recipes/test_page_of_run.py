"""What the page of a run shows beside the summary: documents within its bytes, values with thresholds, other runs."""

import json
import shutil
from pathlib import Path

import pytest
from test_report import Page, summary
from typer.testing import CliRunner

from recipes.app.cli import app
from recipes.app.report.documents import Group, within
from recipes.app.report.drops import Drops
from recipes.app.report.kept import kept_of
from recipes.app.report.page import render
from recipes.app.report.rendering import LIMIT, rendered
from recipes.app.report.sweep import sweep_page

RECIPE = """
name: small
inputs: [{name: web, path: pages.jsonl}]
steps:
  - gopher_quality: {min_words: 60}
  - exact_dedup
output:
  tokenizer: {kind: bpe, size: 300}
  tokens: {plain: {domain: none}}
"""
LENGTHS = (20, 40, 64, 72, 80, 92, 100, 120)


def said(*words: object) -> str:
    """What a command prints; it succeeds."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight documents, two of them too short and one twice: a run, a run with another threshold, a profile."""
    folder = tmp_path_factory.mktemp("pages")
    rows = []
    for number, count in enumerate([*LENGTHS, LENGTHS[-1]]):
        words = " ".join(f"the river{place % 17} and stone" for place in range(count // 4))
        rows.append({"text": f"{words}.", "url": f"https://{'ab'[number % 2]}.example/{number}"})
    (folder / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "small.yaml").write_text(RECIPE)
    said("run", folder / "small.yaml", "-o", folder / "out", "--workers", 1)
    said("profile", folder / "small.yaml", "-o", folder / "profile", "--workers", 1)
    return folder


def test_tokens_of_languages_and_domains_are_those_of_the_token_shards(folder):
    of_run = json.loads((folder / "out" / "summary.json").read_text())
    kept = kept_of(folder / "out", of_run)
    assert kept.tokens == "plain" and kept.whole
    assert kept.total.documents == of_run["documents"]["kept"] == len(kept.random) == 6
    assert kept.total.tokens == of_run["tokens"]["plain"]
    assert sum(one.tokens for one in kept.domains.values()) == kept.total.tokens
    assert {row["domain"]: row["characters"] for row in of_run["domains"]} == {
        name: held.characters for name, held in kept.domains.items()
    } | {row["domain"]: 0 for row in of_run["domains"] if not row["kept"]}
    # What its worker held, of every stage.
    assert all(10 < step["memory_mb"] < 10_000 for step in of_run["steps"])
    assert "The most that a worker held in each stage" in (folder / "out" / "report.html").read_text()
    sizes = [row["characters"] for row in kept.longest]
    assert sizes == sorted(sizes, reverse=True) and [row["characters"] for row in kept.shortest] == sizes[::-1]
    index = next((folder / "out" / "tokens" / "plain").glob("*.ds.index"))
    copy = folder / "copy"
    shutil.copytree(folder / "out", copy)
    (copy / index.relative_to(folder / "out")).write_bytes(index.read_bytes()[:-8])
    with pytest.raises(ValueError, match="are not of one run"):
        kept_of(copy, of_run)


def test_a_profile_draws_all_values_and_what_other_thresholds_keep(folder):
    page = folder / "with.html"
    said("report", folder / "out", "--profile", folder / "profile", "-o", page)
    text = Page(page.read_text()).text
    assert "Values of all 9 documents of the profile" in text and "keeps 99 % at" in text
    figures = json.loads((folder / "profile" / "profile.json").read_text())
    (curve,) = [row for row in figures["curves"] if row["limit"] == "min_words"]
    made = curve["histogram"]
    assert sum(made["counts"]) == 9 and len(made["edges"]) == len(made["counts"]) + 1
    # The threshold lies within, and the two below it are in bins below it.
    assert made["edges"][0] < 60 < made["edges"][-1]
    assert sum(count for count, edge in zip(made["counts"], made["edges"][1:], strict=True) if edge <= 60) >= 1
    without = Page((folder / "out" / "report.html").read_text()).text
    assert "The ledger holds the values of what was dropped" in without and "threshold 60" in without
    other = {**figures, "recipe": "other", "curves": []}
    with pytest.raises(ValueError, match="which has no rule of this run"):
        render(summary(), Drops(), profile=other)


def test_a_folder_of_runs_is_one_page_and_each_other_folder_its_own(folder, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    for name in ("out", "profile"):
        shutil.copytree(folder / name, runs / name)
    (runs / "javascript:alert(1)").mkdir()
    (runs / "javascript:alert(1)" / "summary.json").write_text("{")
    said("report", runs)
    page = Page((runs / "report.html").read_text())
    assert "1 run, 1 profile, 0 probes, 0 comparisons" in page.text
    assert "javascript:alert(1) could not be read" in page.text
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert {"./out/report.html", "./profile/report.html"} <= links
    assert all(link.startswith(("#", "./")) for link in links)
    before = (runs / "profile" / "report.html").read_bytes()
    said("report", runs / "profile")
    assert (runs / "profile" / "report.html").read_bytes() == before
    refused = CliRunner().invoke(app, ["report", str(runs), "--probe", str(runs)])
    assert refused.exit_code == 2 and "go with the folder of a run" in " ".join(refused.output.split())
    nothing = CliRunner().invoke(app, ["report", str(tmp_path / "none")])
    assert nothing.exit_code == 2 and "goldsand run RECIPE" in nothing.output


def test_a_page_has_ten_megabytes_at_most_and_says_what_it_leaves_out():
    """Texts of marks that are each shown by a code of eight characters."""
    row = {"key": "k" * 300, "url": "\u202e" * 500, "domain": "\u202e" * 500, "value": "\u202e" * 500,
           "threshold": None,
           "characters": 9, "text": "\u202e" * 2_000, "step": "s", "rule": "r"}  # fmt: skip
    reasons = {f"rule {number}": {"documents": 20, "characters": 9} for number in range(400)}
    of_run = summary()
    of_run["steps"][0]["reasons"] = reasons
    examples = {("gopher_quality", rule): [row] * 12 for rule in reasons}
    html = render(of_run, Drops(examples=examples))
    assert 1_000_000 < len(html.encode()) <= LIMIT
    assert "more were drawn and left out, as a page has at most 10 MB" in Page(html).text
    assert "100 more reasons are in" in Page(html).text


def test_documents_are_taken_from_each_group_in_turn():
    one = {"text": "x" * 100, "url": None, "key": "k"}
    groups = [Group("a", "", [one] * 5), Group("b", "", [one] * 1), Group("c", "", [one] * 5)]
    taken = within(groups, 6 * 1_001 + 1)
    assert [(group.name, len(group.documents)) for group in taken] == [("a", 3), ("b", 1), ("c", 2)]
    assert within(groups, 0) == []


def test_headings_are_listed_and_only_ours():
    page = Page(rendered("folder.html", {}, name="<h2>x</h2>", runs=[], kept="", steps=[], profiles=[], probes=[],
                         comparisons=[], damaged=[("<h2>a</h2>", "b")], others=["<h2>c</h2>"], more=0))  # fmt: skip
    assert not [tag for tag, _ in page.tags if tag in ("h2", "nav")]


def row(arm: str, exposures: int, seed: int, share: float) -> dict:
    parts = [{"name": f"v{n}", "bits": 100 * share * n, "most": 200.0} for n in (1, 2)]
    return {
        "arm": arm, "exposures": exposures, "seed": seed, "learning_rate": 0.01, "junk_kind": "none", "junk_ratio": 0.0,
        "tag": "none", "parameters": 1000, "people": 10, "tokens": 5, "seconds": 1.0, "shards": [], "attributes": parts,
        "value_bits_per_parameter": 0.2 * share, "bits_per_parameter": 0.3 * share, "max_bits_per_parameter": 0.3,
        "max_value_bits_per_parameter": 0.2,
    }  # fmt: skip


def test_a_probe_shows_every_seed_and_the_interval_of_the_mean():
    rows = [
        row(arm, count, seed, min(count / half, 1) * (1 - seed / 50))
        for arm, half in (("alone", 20), ("<b>junk", 60))
        for count in (10, 20, 40)
        for seed in (0, 1, 2)
    ]
    html = sweep_page("p", [*rows, {"arm": "alone", "error": "<i>nan"}])
    page = Page(html)
    assert not [tag for tag, attributes in page.tags if tag == "i"] and html.count('class="span"') >= 2 * 3
    for heading in ("Learned bits by arm", "by exposures", "by attribute", "Exposures to half of the facts"):
        assert heading in page.text
    # At 40 exposures "alone" holds all: 0.2, 0.196, 0.192; t of 2 degrees of freedom, 4.30, times 0.004 / sqrt(3).
    assert "0.1960 ± 0.0099, 98.0%" in page.text
    assert "v1 98.0%" not in page.text and "49.0% ± 2.5%" in page.text
    assert html.count("<circle") == 2 * 3 * 3
    one = sweep_page("p", [one for one in rows if one["exposures"] == 40 and one["seed"] == 0])
    assert "half of the facts at" not in one and "Of the value bits that “alone” stores" in one
