"""A run's papers: opt-outs in ledger and report, cards that their readers parse, a publication that opens."""

import json
from collections import Counter
from pathlib import Path

import pytest

from curate.errors import Refused
from curate.extract.extract import Extract
from curate.plain_yaml import read
from curate.redact import Redact
from curate.rights import Rights
from curate.run.corpus import CorpusRun
from curate.run.ledger import read_ledger
from curate.sources import Input, find_inputs
from recipes.app.papers.publish import publish_to
from recipes.app.papers.write import write_paper
from recipes.app.report.page import write_report

HTML = """<html lang="en"><head><title>T</title>{head}</head><body><article><p>{words} is what page {number} says, and
more: write to me@acme.com, a text that is long enough.</p></article></body></html>"""


def response(number: int, head: str = "", header: str = "") -> bytes:
    body = HTML.format(head=head, number=number, words=f"<b>| \\` evil [x](y) {number}</b>").encode()
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{header}\r\n".encode() + body
    record = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://h{number}.example/p\r\n"
        f"WARC-Date: 2024-0{number + 1}-01T00:00:00Z\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return record.encode() + block + b"\r\n\r\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("papers")
    pages = [
        response(0),
        response(1, header="X-Robots-Tag: noai\r\n"),
        response(2, head='<meta name="tdm-reservation" content="1">'),
        response(3, head='<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">'),
    ]
    (root / "a.warc").write_bytes(b"".join(pages))
    steps = [Extract(engine="resiliparse"), Rights(), Redact()]
    partitions = find_inputs([Input("crawl", str(root / "a.warc"))])
    CorpusRun("papers", steps, partitions, root / "out", workers=1).execute()
    return root / "out"


def front_matter(path: Path) -> dict:
    return read(path.read_text().split("---\n")[1])


def test_the_ledger_and_the_report_name_the_signal_that_ended_a_page(finished: Path) -> None:
    rows = [row for one in (finished / "ledger").iterdir() for row in read_ledger(one) if row["event"] == "drop"]
    assert [(row["rule"], row["value"][0]["where"]) for row in rows] == [
        ("x-robots-tag", "header"),
        ("tdm-reservation", "page"),
    ]
    page = Path(str(write_report(finished))).read_text()
    assert "Opt-outs and licences" in page and "h1.example" in page and "CC-BY-4.0" in page


def test_papers_say_what_the_run_knows_and_name_what_it_cannot_know(finished: Path, tmp_path: Path) -> None:
    for form in ("hf", "croissant", "eu"):
        write_paper(finished, form, tmp_path)
    card = front_matter(tmp_path / "README.md")
    assert card["language"] == ["en"] and card["size_categories"] == ["n<1K"] and card["license"] == "other"
    assert [one["config_name"] for one in card["configs"]] == ["text", "ledger"]
    assert card["dataset_info"][0]["splits"][0]["num_examples"] == 2
    prose = (tmp_path / "README.md").read_text()
    assert "| x-robots-tag | 1 |" in prose and "| CC-BY-4.0 | 1 |" in prose and "2024-01-01 to 2024-04-01" in prose
    croissant = json.loads((tmp_path / "croissant.json").read_text())
    assert (
        croissant["conformsTo"].endswith("/1.1")
        and croissant["prov:wasGeneratedBy"]["prov:used"][2]["name"] == "rights"
    )
    form = (tmp_path / "eu-summary.md").read_text()
    assert "[to be filled in: name, contact" in form and "tdm-reservation: 1 pages" in form and "h0.example" in form


@pytest.mark.slow
def test_its_own_library_finds_no_error_in_the_croissant_of_a_publication(finished: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant, in an environment of its own")
    publish_to(finished, tmp_path / "hub", 1_000_000)
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "hub" / "croissant.json"))
    assert not dataset.metadata.issues.errors
    assert {one.name for one in dataset.metadata.record_sets} == {"text", "ledger"}


def test_a_publication_opens_with_datasets_and_takes_its_place_as_a_whole(finished: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
    hub = tmp_path / "hub"
    publish_to(finished, hub, 1_000_000)
    text = datasets.load_dataset(str(hub), cache_dir=str(tmp_path / "cache"))["train"]
    assert text.features.keys() >= {"id", "text", "file", "offset", "license", "opt_out", "edited_by"}
    assert [(row["license"], row["fetched"][:10], row["edited_by"]) for row in text] == [
        ("", "2024-01-01", ["redact"]),
        ("CC-BY-4.0", "2024-04-01", ["redact"]),
    ]
    ledger = datasets.load_dataset(str(hub), "ledger", cache_dir=str(tmp_path / "cache"))["train"]
    # What its owner refused is not published by way of the ledger.
    assert Counter(ledger["event"])["drop"] == 2 and "text" not in ledger.features
    before = {one.name: one.read_bytes() for one in (hub / "data").iterdir()}
    publish_to(finished, hub, 1_000_000)
    assert {one.name: one.read_bytes() for one in (hub / "data").iterdir()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(Refused, match="holds other files"):
        publish_to(finished, tmp_path / "mine", 1_000_000)
