"""The page opens offline, says what the summary says, and takes nothing from a crawl at its word."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest

from curate.dedup import MinHashDedup
from curate.document import Document, Drop
from curate.errors import Refused
from curate.mix import Mix
from curate.run.corpus import CorpusRun
from curate.run.ledger import drop_row
from curate.sources import Input, find_inputs
from recipes.app.report.drops import Drops
from recipes.app.report.page import render, write_report
from recipes.app.report.rendering import visible

HOSTILE = "<script>alert(1)</script> \u202egnp.exe \x1b[31m & <img src=x onerror=alert(2)>"


def summary() -> dict:
    step = {
        "step": "gopher_quality",
        "stage": "00-gopher_quality",
        "documents_in": 10,
        "documents_out": 7,
        "documents_injected": 0,
        "characters_in": 5000,
        "characters_out": 4321,
        "characters_injected": 0,
        "characters_edited": 0,
        "documents_dropped": 3,
        "characters_dropped": 679,
        "seconds": 1.5,
        "reasons": {"gopher_short_doc": {"documents": 3, "characters": 679}},
    }
    return {
        "recipe": "a<b",
        "documents": {"input": 11, "kept": 7, "dropped": 3, "unreadable": 1, "injected": 0},
        "characters": {
            "input": 5044, "kept": 4321, "dropped": 679, "unreadable": 44, "injected": 0, "removed_by_edits": 0,
        },
        "records": {"read": 12, "documents": 10, "skipped": {"request": 1}, "unreadable": 1},
        "tokens": {"raw": 1234567},
        "steps": [step, {**step, "step": "safety", "documents_in": 7, "documents_dropped": 0, "characters_dropped": 0,
                         "reasons": {}}],
        "domains": [{"domain": HOSTILE, "documents": 10, "kept": 7, "characters": 4321, "lost": {"gopher_quality": 3}}],
        "unreadable": [{"key": HOSTILE, "error": HOSTILE, "bytes": 44}],
        "loss": 1 / 12,
        "max_loss": 0.01,
        "seconds": 2.0,
        "pages_per_second": 5.5,
        "workers": 2,
        "units": {"done": 3, "found_done": 0},
    }  # fmt: skip


def result(arm: str, bits: float, **more) -> dict:
    return {
        "arm": arm, "junk_kind": "endless", "junk_ratio": 0.875, "tag": "none", "exposures": 150, "seed": 0,
        "value_bits_per_parameter": bits, "bits_per_parameter": bits, "max_bits_per_parameter": 0.3,
        "max_value_bits_per_parameter": 0.2, "tokens": 5, "seconds": 1.0, "shards": ["ab" * 32], "parameters": 77_000,
        "people": 400, **more,
    }  # fmt: skip


class Page(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def examples() -> Drops:
    document = Document("crawl/a@1", HOSTILE, url="javascript:alert(3)", domain=HOSTILE)
    row = drop_row(Drop(document, "gopher_quality", "gopher_short_doc", 3, 50), "gopher_quality", HOSTILE)
    return Drops(examples={("gopher_quality", "gopher_short_doc"): [row]}, shortest=[row])


def test_the_page_says_what_the_summary_says():
    text = Page(render(summary(), examples())).text
    for figure in ("5,044", "4,321", "1,234,567", "7 of 11 documents were kept", "gopher_short_doc", "8.33"):
        assert figure in text
    # A step that found nothing at its published threshold is no news; one that takes most of a source is.
    assert "safety dropped nothing" not in text and "the recipe allows 1.00%" in text
    row = {"step": "language", "source": "forum", "documents": 40, "dropped": 30, "rule": "not_kept", "by_rule": 29,
           "others": 60, "others_dropped": 6}  # fmt: skip
    idle = {"step": "c4", "documents": 1_200, "limits": ["min_sentences"]}
    text = Page(render({**summary(), "remarks": {"most": [row], "idle": [idle]}}, examples())).text
    assert (
        "language takes 75% of the source 'forum' (30 of 40 documents, 10% of the other sources), 29 of them by its"
        " rule not_kept: look at the examples in report.html; is this language among those that are to be kept?"
    ) in text
    assert "c4 found nothing in 1,200 documents: is min_sentences set as you meant?" in text


def test_nothing_of_a_crawl_becomes_markup_a_link_or_an_invisible_mark():
    html = render(summary(), examples(), [result("<i>arm</i>", 0.1)])
    page = Page(html)
    assert not [tag for tag, _ in page.tags if tag in ("img", "i", "iframe")]
    assert all(re.fullmatch(r"#[a-z0-9-]+", attributes["href"]) for tag, attributes in page.tags if tag == "a")
    assert [tag for tag, _ in page.tags].count("script") == 1
    # The one script is ours, and the page allows no other.
    (script,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in html
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\u202e" not in html and "\x1b" not in html and "\u27e8U+202E\u27e9" in html


def test_the_page_opens_offline():
    html = render(summary(), examples(), [result("a", 0.1)])
    for tag, attributes in Page(html).tags:
        assert tag not in ("link", "img", "base")
        assert not {"src", "srcset", "data"} & set(attributes) and attributes.get("href", "#")[0] == "#"
    assert "url(" not in html and "@import" not in html


def test_the_bits_are_read_out_in_proportion():
    rows = [result("facts alone", 0.2), result("junk", 0.05), result("failed", 0, error="NaN at step 3")]
    text = Page(render(summary(), Drops(), rows)).text
    assert "\u201cjunk\u201d holds 25% of the value bits of \u201cfacts alone\u201d" in text
    assert "failed: NaN at step 3" in text and "77,000 parameters" in text


def test_runs_of_different_settings_are_neither_averaged_nor_compared():
    rows = [
        result("alone", 0.2, learning_rate=0.001), result("junk", 0.1, learning_rate=0.001),
        result("alone", 0.1, learning_rate=0.004), result("junk", 0.01, learning_rate=0.004, people=400),
    ]  # fmt: skip
    text = Page(render(summary(), Drops(), rows)).text
    assert "holds 50% of the value bits of \u201calone\u201d (learning rate 0.001)" in text
    assert "holds 10% of the value bits of \u201calone\u201d (learning rate 0.004)" in text
    assert "5 to 77,000 parameters" in Page(render(summary(), Drops(), [*rows, result("a", 0.1, parameters=5)])).text


def test_damaged_files_are_named(tmp_path: Path):
    (tmp_path / "summary.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ValueError, match=r"summary\.json is damaged"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({key: v for key, v in summary().items() if key != "units"}))
    with pytest.raises(ValueError, match="does not read like a run's summary"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(summary()))
    for content in ("[{}]", '{"a": 1}', "{}"):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(ValueError, match=r"results\.json is not a list"):
            write_report(tmp_path, tmp_path)
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "00000.parquet").write_bytes(b"no columns")
    with pytest.raises(ValueError, match=r"00000\.parquet is damaged"):
        write_report(tmp_path)


def changed(content, to):
    """The content with each part of it in turn left out, or replaced by what `to` makes of it."""
    if isinstance(content, dict | list):
        keys = list(content) if isinstance(content, dict) else range(len(content))
        for key in keys:
            for one in to(content[key]):
                copy = content.copy()
                copy[key] = one
                yield copy
            for inner in changed(content[key], to):
                copy = content.copy()
                copy[key] = inner
                yield copy
            if isinstance(content, dict):
                yield {other: value for other, value in content.items() if other != key}


def test_whatever_is_damaged_in_a_file_is_refused_or_does_not_matter(tmp_path: Path):
    """Rendering never meets it: an error there would be a fault."""
    refused = 0
    for name, content in (("summary.json", summary()), ("results.json", [result("one", 0.1, learning_rate=0.1)])):
        (tmp_path / "summary.json").write_text(json.dumps(summary()))
        for damaged in changed(content, lambda value: ["x", [1]] if not isinstance(value, str) else [{}]):
            (tmp_path / name).write_text(json.dumps(damaged))
            try:
                write_report(tmp_path, tmp_path if name == "results.json" else None)
            except Refused as error:
                assert name in str(error)
                refused += 1
    assert refused > 200


@pytest.mark.parametrize("kind", [KeyError, TypeError, AttributeError, jinja2.UndefinedError])
def test_an_error_while_rendering_is_a_fault_and_no_damaged_file(tmp_path, monkeypatch, kind):
    def fail(_):
        raise kind("of the program")

    (tmp_path / "summary.json").write_text(json.dumps(summary()))
    monkeypatch.setattr("recipes.app.report.page._verdict", fail)
    with pytest.raises(kind, match="of the program"):
        write_report(tmp_path)


def test_text_is_bounded_and_marked():
    assert visible("x" * 600, 10) == "x" * 10 + "\u2026"
    assert visible("a\u200bb\nc") == "a\u27e8U+200B\u27e9b\nc"


def test_what_is_missing_is_named_with_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(ValueError, match=r"goldsand run RECIPE -o"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match="does not read like a run's summary"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(summary()))
    with pytest.raises(ValueError, match="goldsand probe RECIPE"):
        write_report(tmp_path, tmp_path)
    assert write_report(tmp_path).read_text().startswith("<!doctype html>")


def test_what_steps_found_in_the_whole_corpus_is_on_the_page(tmp_path):
    """30 documents, 5 of them twice; then one of two sources made a quarter of the whole."""
    words = ["amber", "birch", "cedar", "delta", "ember"]
    for source, count in (("books", 30), ("web", 30)):
        lines = [json.dumps({"text": f"{source} {n} " + " ".join(words * 4)}) for n in [*range(count), *range(5)]]
        (tmp_path / f"{source}.jsonl").write_text("\n".join(lines) + "\n")
    partitions = find_inputs([Input(name, str(tmp_path / f"{name}.jsonl")) for name in ("books", "web")])
    steps = [MinHashDedup(ranges=2), Mix(weights={"books": 0.25, "web": 0.75})]
    out = tmp_path / "out"
    summary = CorpusRun("both", steps, partitions, out, workers=1).execute()
    (mix,) = (json.loads((out / "mix" / "mix.json").read_text()),)
    write_report(out)
    page = (out / "report.html").read_text()
    for name, number in summary["steps"][0]["found"].items():
        assert f"{name.replace('_', ' ')} {number:,}" in page
    for row in mix["groups"]:
        assert f"{row['realised']:,}</td><td>{row['share_asked'] * 100:.2f} %" in page
    assert "Test items in documents" not in page
    assert page.count("<b>kept</b>") == 3 and "Near-duplicates" in page
