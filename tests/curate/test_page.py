"""What a page says of itself, and only that."""

import pytest

from curate.extract.blocks.segment import tokens_of
from curate.extract.page_metadata import stated

FETCHED = "2020-01-31T10:00:00Z"


def told(head: str = "", body: str = "", attributes: str = "", url: str | None = None, fetched: str = FETCHED):
    page = f"<html {attributes}><head>{head}</head><body>{body}<p>Text.</p></body></html>"
    return stated(*tokens_of(page), url, fetched)


def test_a_page_that_says_nothing_has_nothing():
    assert told() == {}
    assert told(body="<p>Published on 2019-05-06, in English.</p>") == {}


def test_titles():
    assert told("<title> At the\n quay </title>")["title"] == "At the quay"
    assert told('<meta property="og:title" content="The  quay">')["title"] == "The quay"
    assert "title" not in told(body="<svg><title>icon</title></svg>")
    assert len(told(f"<title>{'x' * 5000}</title>")["title"]) == 300


@pytest.mark.parametrize(
    ("attributes", "head", "language"),
    [
        ('lang="en-US"', "", "en"),
        ('lang="DE"', "", "de"),
        ('lang="zh-Hant-TW"', "", "zh"),
        ('xml:lang="fr"', "", "fr"),
        ("", '<meta http-equiv="Content-Language" content="nds">', "nds"),
        ("", '<meta property="og:locale" content="pt_BR">', "pt"),
        ('lang="{{ lang }}"', '<meta property="og:locale" content="ja_JP">', "ja"),
        ('lang="english"', "", None),
        ('lang=""', "", None),
    ],
)
def test_the_language_a_page_declares(attributes, head, language):
    assert told(head, attributes=attributes).get("stated_language") == language


@pytest.mark.parametrize(
    ("head", "body", "url", "day"),
    [
        ('<meta property="article:published_time" content="2019-03-04T23:00:00Z">', "", None, "2019-03-04"),
        ('<script type="application/ld+json">{"datePublished": "2018-07-01"}</script>', "", None, "2018-07-01"),
        ("", '<time datetime="2017-02-03" pubdate="pubdate">3 Feb</time>', None, "2017-02-03"),
        ("", "", "https://a.example/2016/05/06/story", "2016-05-06"),
        ('<meta property="article:published_time" content="2020-02-01">', "", None, None),
        ('<meta property="article:published_time" content="2031-01-01">', "", None, None),
        ('<meta property="article:published_time" content="1970-01-01">', "", None, None),
        ('<meta property="article:published_time" content="soon">', "", None, None),
        ("", '<div on"click=1 a\x01b=2><time datetime=2019-09-09>x</time></div>', None, "2019-09-09"),
    ],
)
def test_the_day_is_stated_and_not_after_the_record_was_made(head, body, url, day):
    assert told(head, body, url=url).get("published") == day


def test_a_record_without_a_date_bounds_nothing():
    head = '<meta property="article:published_time" content="2019-03-04">'
    assert "published" not in told(head, fetched="")
    assert "published" not in told(head, fetched="0001-01-01")


@pytest.mark.parametrize(
    ("head", "body", "kind"),
    [
        ('<meta property="og:type" content="article">', "", "article"),
        ('<script type="application/ld+json">{"@graph": [{"@type": "Product"}]}</script>', "", "product"),
        ('<script type="application/ld+json">{"@type": ["QAPage"]}</script>', "", "forum"),
        ("", '<div itemscope itemtype="https://schema.org/BlogPosting"></div>', "article"),
        ('<meta property="og:type" content="website">', "", None),
        ('<script type="application/ld+json">{"@type": "Thing"</script>', "", None),
    ],
)
def test_the_page_type_a_page_states(head, body, kind):
    assert told(head, body).get("page_type") == kind
