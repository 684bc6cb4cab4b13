"""The step `rights`: opt-outs and licences of pages, decided on what the crawl carries."""

from pathlib import Path

import pytest

from curate.document import Document, Drop
from curate.errors import Refused
from curate.extract.extract import Extract
from curate.rights import Rights
from curate.rights.licences import findings, licence_of, spdx
from curate.rights.opt_outs import opt_outs, trains


def page(url: str = "https://a.example/p", **metadata: str) -> Document:
    return Document("crawl/a.warc.gz@0", "A text.", url=url, metadata=dict(metadata))


def outcome(step: Rights, document: Document) -> Document | Drop:
    return next(iter(step.apply([document])))


@pytest.mark.parametrize(
    ("fields", "signal"),
    [
        ({"x_robots_tag": "noindex, noai"}, "x-robots-tag"),
        ({"x_robots_tag": "ccbot: noai"}, "x-robots-tag"),
        ({"x_robots_tag": "otherbot: noai"}, None),
        ({"x_robots_tag": "unavailable_after: 25 Jun 2010 15:00:00 PST, max-snippet: 3"}, None),
        # Two headers joined read like one: the stricter reading counts.
        ({"x_robots_tag": "otherbot: noindex, noai"}, "x-robots-tag"),
        ({"content_usage": "train-ai=n, search=y"}, "content-usage"),
        ({"content_usage": "bots=n, train-ai=y"}, None),
        ({"tdm_reservation": "1"}, "tdm-reservation"),
        ({"tdm_reservation": "0"}, None),
        ({"opt_out_signals": "meta robots: index, follow\nmeta robots: noai, noimageai"}, "robots"),
        ({"opt_out_signals": "meta gptbot: noai"}, "robots"),
        ({"opt_out_signals": "meta otherbot: noai"}, None),
        ({"opt_out_signals": "meta robots: noindex, noimageai"}, None),
        ({"opt_out_signals": "meta tdm-reservation: 1"}, "tdm-reservation"),
        ({"opt_out_signals": "meta disallowaitraining: true"}, "disallowaitraining"),
    ],
)
def test_a_statement_that_refuses_training_ends_a_page_under_its_name(
    fields: dict[str, str], signal: str | None
) -> None:
    ended = outcome(Rights(), page(**fields))
    assert (ended.rule if isinstance(ended, Drop) else None) == signal


def test_of_contradictory_statements_the_strictest_decides_and_all_are_kept() -> None:
    fields = {"tdm_reservation": "0", "opt_out_signals": "meta tdm-reservation: 1"}
    ended = outcome(Rights(), page(**fields))
    assert isinstance(ended, Drop) and ended.rule == "tdm-reservation"
    assert [(one["value"], one["where"]) for one in ended.value] == [("0", "header"), ("1", "page")]
    tagged = outcome(Rights(on_opt_out="tag"), page(**fields))
    assert isinstance(tagged, Document) and tagged.metadata["opt_out"] == ended.value
    assert tagged.notes == [("rights", "tdm-reservation", ended.value)]
    reported = outcome(Rights(on_opt_out="report"), page(**fields))
    assert isinstance(reported, Document) and "opt_out" not in reported.metadata and reported.notes == tagged.notes


def test_extract_hands_over_what_the_step_reads() -> None:
    html = b"""<html><head><meta name="robots" content="noai"><link rel="license"
    href="https://creativecommons.org/licenses/by/4.0/"></head><body><article><p>A long enough text of a page, which is
    kept by the extractor, since it says something in several words.</p></article></body></html>"""
    read = outcome(Extract(engine="resiliparse"), Document("a", url="https://a.example/", html=html))  # type: ignore[arg-type]
    ended = outcome(Rights(on_opt_out="tag"), read)  # type: ignore[arg-type]
    assert isinstance(ended, Document)
    assert ended.metadata["opt_out"] == [{"signal": "robots", "value": "noai", "where": "page"}]
    assert ended.metadata["license"] == "CC-BY-4.0"


def test_preferences_on_training_come_before_those_on_all_use() -> None:
    assert [
        trains(one) for one in ("train-ai=n", "all=n", "all=n, ai-train=yes", "search=n", "train-ai=y, train-ai=n")
    ] == [
        False,
        False,
        True,
        None,
        False,
    ]
    assert not list(opt_outs({"x_robots_tag": 7, "opt_out_signals": None}, ["CCBot"]))


RFC = [
    # The cases of RFC 9309: the rule that matches longest, groups of one agent as one, `*` and `$`, escapes.
    ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
    ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
    ("User-agent: *\nDisallow: /\n\nUser-agent: ccbot\nDisallow: /p", "/q", True),
    ("User-agent: CCBot\nDisallow: /a\n\nUser-agent: X\nDisallow: /\n\nUser-agent: CCBot\nDisallow: /b", "/b", False),
    ("User-agent: CCBot\n\nUser-agent: X\nDisallow: /b", "/b", False),
    ("User-agent: *\nDisallow: /*.gif$", "/x/y.gif", False),
    ("User-agent: *\nDisallow: /*.gif$", "/x/y.gif?z", True),
    ("User-agent: *\nDisallow: /*?", "/x?y", False),
    ("User-agent: *\nDisallow:", "/x", True),
    ("User-agent: *\nDisallow: /foo/%62%61%7A", "/foo/baz", False),
    ("User-agent: *\nDisallow: /foo/ツ", "/foo/%E3%83%84", False),
    ("User-agent: CC\nDisallow: /", "/x", True),
    ("User-agent: CCBot-News\nDisallow: /", "/x", True),
    ("User-agent: CCBot/2.0 (x)\nDisallow: /", "/x", False),
    ("\ufeffUser-agent: CCBot # us\r\nDisallow: / # all", "/x", False),
    ("User-agent: CCBot\nCrawl-delay: 3\nUser-agent: Z\nDisallow: /", "/x", False),
    ("User-agent: CCBot\rDisallow: /\r", "/x", False),
    ("Disallow: /\nUser-agent: CCBot\nDisallow: /b", "/x", True),
    ("User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /", "/x", False),
    ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y", "/open/x", True),
]


@pytest.mark.parametrize(("written", "path", "allowed"), RFC)
def test_robots_files_are_read_by_the_standard(tmp_path: Path, written: str, path: str, allowed: bool) -> None:
    pytest.importorskip("protego", reason="the extra `robots` is not installed")
    (tmp_path / "a.example.txt").write_bytes(written.encode())
    ended = outcome(Rights(agents=["CCBot"], robots=str(tmp_path)), page(f"https://a.example{path}"))
    assert isinstance(ended, Document) == allowed
    elsewhere = outcome(Rights(agents=["CCBot"], robots=str(tmp_path)), page(f"https://b.example{path}"))
    assert isinstance(elsewhere, Document)


def record(url: str, body: bytes, status: str = "200 OK") -> bytes:
    block = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n\r\n".encode() + body
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-01T00:00:00Z\r\n"
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def test_robots_of_the_crawl_and_of_today_are_both_asked_and_files_that_are_none_are_said(tmp_path: Path) -> None:
    pytest.importorskip("protego", reason="the extra `robots` is not installed")
    refusal = b"User-agent: GPTBot\nDisallow: /\n"
    records = [
        record("https://a.example/robots.txt", refusal),
        record("https://gone.example/robots.txt", refusal, "404 Not Found"),
        record("https://a.example/page", refusal),
        record("https://[a.example/robots.txt", refusal),
    ]
    (tmp_path / "robotstxt.warc").write_bytes(b"".join(records))
    (tmp_path / "today").mkdir()
    (tmp_path / "today" / "a.example.txt").write_text("User-agent: *\nAllow: /\n")
    (tmp_path / "html.example.txt").write_text("<!DOCTYPE html><p>User-agent: *\nDisallow: /")
    (tmp_path / "bytes.example.txt").write_bytes(b"\x00\xff" * 1000)
    (tmp_path / "large.example.txt").write_bytes(b"User-agent: *\nDisallow: /x\n" + b"Disallow: /y\n" * 400_000)
    step = Rights(robots=str(tmp_path))
    ended = outcome(step, page("https://a.example/p"))
    assert isinstance(ended, Drop) and ended.rule == "robots.txt"
    assert "GPTBot" in ended.value[0]["value"] and "as crawled 2024-05-01" in ended.value[0]["where"]
    for kept in ("https://gone.example/", "https://html.example/", "https://bytes.example/", "https://a.example:8080/"):
        assert isinstance(outcome(step, page(kept)), Document), kept
    assert isinstance(outcome(step, page("https://large.example/x\udc80")), Drop)
    assert step.notice().startswith("2 robots.txt hold no directives") and "html.example" in step.notice()


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ("link rel=license (head): https://creativecommons.org/licenses/by-sa/4.0/deed.en", "CC-BY-SA-4.0"),
        ("JSON-LD Article: http://creativecommons.org/licenses/by-nc-sa/3.0/de/", "CC-BY-NC-SA-3.0-DE"),
        ("a (footer): https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        # A sentence that says what it offers; of a program, a picture or somebody else's work it is none of the page's.
        ("text (footer): Content is available under GNU Free Documentation License 1.3 or later", "GFDL-1.3-or-later"),
        ("text (body): This page is licensed under the Python Software Foundation License Version 2.", "PSF-2.0"),
        (
            "text (body): This work is licensed under a Creative Commons Attribution-Noncommercial-No Derivative Works"
            " 3.0 United States License.",
            "CC-BY-NC-ND-3.0",
        ),
        (
            "text (main): https://creativecommons.org/licenses/by/4.0/ the content of this page is licensed under the"
            " Creative Commons Attribution 4.0 License, and code samples are licensed under the Apache 2.0",
            "CC-BY-4.0",
        ),
        ("text (footer): text, and code samples are licensed under https://www.apache.org/licenses/LICENSE-2.0", ""),
        ("text (footer): the article's images are used under CC BY 4.0", ""),
        ("text (article): The ontology is available under https://creativecommons.org/licenses/by/4.0/", ""),
        ("text (figure): This work is licensed under CC BY 4.0", ""),
        ("text (footer): user contributions licensed under CC BY-SA", ""),
        ("div license-name (body): CC BY-SA 3.0\na license-name (body): CC BY-SA 4.0", "CC-BY-SA-4.0"),
        # By a picture, in an article, in a quotation; another thing on the page.
        ("a (figure): https://creativecommons.org/licenses/by/4.0/", ""),
        ("a rel=license (figure): https://creativecommons.org/licenses/by/4.0/", ""),
        ("a (article): https://creativecommons.org/licenses/by/4.0/", ""),
        ("JSON-LD ImageObject: https://creativecommons.org/licenses/by/4.0/", ""),
        ("meta dcterms.rightsholder: CC BY 4.0 Ltd", ""),
        # The surest statement, and of equally sure ones the most restrictive.
        (
            "a rel=license (body): https://creativecommons.org/licenses/by-nc-nd/4.0/\n"
            "link rel=license (head): https://creativecommons.org/licenses/by/4.0/\n"
            "meta dc.rights: CC BY-NC 4.0",
            "CC-BY-NC-4.0",
        ),
    ],
)
def test_the_licence_of_a_page_is_its_surest_statement(lines: str, licence: str) -> None:
    found = list(findings({"licence_signals": lines}))
    assert licence_of(found, "medium") == licence
    kept = outcome(Rights(allow=["cc-by-sa-4.0", "cc0-1.0"]), page(licence_signals=lines))
    if licence in ("CC-BY-SA-4.0", "CC0-1.0"):
        assert isinstance(kept, Document) and kept.metadata["license"] == licence
    else:
        assert isinstance(kept, Drop) and (kept.rule, kept.value) == ("licence", licence or None)


def test_what_is_no_known_licence_has_no_name() -> None:
    assert [spdx(one) for one in ("https://shop.example/license", "CC BY-NC-ND 4.0", "mit", "GPL")] == [
        "",
        "CC-BY-NC-ND-4.0",
        "MIT",
        "",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"robots": "nowhere"}, "there is no folder nowhere"),
        ({"agents": ["CCBot/2.0"]}, "not the name of a robot"),
        ({"allow": ["cc-by-sa-40"]}, "did you mean 'cc-by-sa-4.0'"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict, said: str) -> None:
    with pytest.raises(Refused, match=said):
        Rights(**given)
