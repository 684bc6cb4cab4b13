"""The sample crawl holds what its composition says."""

import json
from collections import Counter
from pathlib import Path

from curate.document import Document, Skipped, Unreadable
from curate.sources import Input, find_inputs, read_partition

SAMPLE = Path(__file__).parents[2] / "recipes" / "sample"
TRUTH = json.loads((SAMPLE / "composition.json").read_text())
ITEMS = [item for one in find_inputs([Input("crawl", f"{SAMPLE}/*.warc.gz")]) for item in read_partition(one)]
PAGES = [item for item in ITEMS if isinstance(item, Document)]


def test_it_is_small_and_in_four_files():
    files = sorted(SAMPLE.glob("crawl-*.warc.gz"))
    assert len(files) == 4
    assert sum(path.stat().st_size for path in files) <= 3_000_000


def test_every_record_is_accounted_for():
    assert len(ITEMS) == sum(TRUTH.values())
    assert sum(isinstance(item, Unreadable) for item in ITEMS) == TRUTH["broken"] <= len(ITEMS) / 100
    skipped = Counter(item.reason.split(":")[0] for item in ITEMS if isinstance(item, Skipped))
    assert skipped == {
        "request": TRUTH["request"],
        "warcinfo": TRUTH["warcinfo"],
        "not html": TRUTH["not_html"],
        "http 404": TRUTH["http_404"],
        "http 301": TRUTH["http_301"],
    }


def test_exact_duplicates_are_as_many_as_said():
    """Generated placeholders repeat one another too; published pages repeat only at the mirrors."""
    mirrored = [page for page in PAGES if page.domain == "docs-mirror.example"]
    others = {page.html for page in PAGES if page.domain != "docs-mirror.example"}
    assert len(mirrored) == TRUTH["exact_duplicate"]
    assert all(page.html in others for page in mirrored)


def test_every_american_page_has_its_british_twin():
    first = {page.url.split("/en-US/text/")[1] for page in PAGES if page.url and "/en-US/text/" in page.url}
    second = {page.url.split("/en-GB/text/")[1] for page in PAGES if page.url and "/en-GB/text/" in page.url}
    assert first == second and len(first) == TRUTH["near_first"]


def test_one_question_is_leaked_on_one_page():
    questions = [json.loads(line) for line in (SAMPLE / "questions.jsonl").read_text().splitlines()]
    assert len(questions) == 5
    assert all(len(row["question"].split()) >= 13 and row["answer"] and row["id"] for row in questions)
    holding = [page for page in PAGES for row in questions if row["question"].encode() in page.html]
    assert len(holding) == TRUTH["leaked"] == 1


def test_the_unsafe_host_and_the_page_without_address_are_there():
    assert sum(page.domain == "casino-bonus.example" for page in PAGES) == TRUTH["unsafe"]
    assert sum(page.url is None for page in PAGES) == TRUTH["no_address"]


def test_the_licence_of_every_host_is_named():
    named = (SAMPLE / "LICENSES.md").read_text()
    published = {page.domain for page in PAGES if page.domain and not page.domain.endswith(".example")} - {"crawl"}
    assert published == {"postgresql.org", "gnucash.org", "debian-handbook.info", "python.org", "libreoffice.org"}
    for package in ("postgresql-doc-15", "gnucash-docs", "debian-handbook", "python3.11-doc", "libreoffice-help-en-gb"):
        assert f"| {package} |" in named
