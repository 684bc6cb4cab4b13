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


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title>The mill | Valley News</title>", "<h1>The mill</h1>", "The mill"),
        ("<title>The mill | Valley News</title>", "<h1>Valley</h1><h1>The mill</h1>", "The mill"),
        ("<title>The mill - Valley</title>", "", "The mill"),
        ("<title>The mill - Otters</title>", "", "The mill - Otters"),
        ("<title>Q&amp;A</title>", "<h1>Q&amp;A <a class=headerlink href=#q>¶</a></h1>", "Q&A"),
        (
            "<title>Valley: The mill of 1702</title>",
            "<h1><div>The mill</div><div>of 1702</div></h1>",
            "The mill of 1702",
        ),
        ("", "<h1>The mill</h1>", "The mill"),
    ],
)
def test_the_title_is_that_of_the_page_without_the_name_of_the_site(head, body, title):
    assert told(head, body, url="https://www.valley.example/a")["title"] == title


@pytest.mark.parametrize(
    ("head", "body", "author"),
    [
        ('<meta name="author" content="By Ann Miller">', "", "Ann Miller"),
        ('<meta property="article:author" content="https://a.example/ann">', "", None),
        ('<script type="application/ld+json">{"author": [{"name": "Ann"}, "Bo"]}</script>', "", "Ann; Bo"),
        ('<script type="application/ld+json">{"@type": "Review", "author": "Reader"}</script>', "", None),
        ('<meta name="citation_author" content="A, B"><meta name="citation_author" content="C">', "", "A, B; C"),
        ("", '<a rel="author" href="/ann">Ann <b>Miller</b></a>', "Ann Miller"),
        ("", '<div itemprop="author"><img><span itemprop="name">Ann</span> since 2003</div>', "Ann"),
    ],
)
def test_the_author_a_page_states(head, body, author):
    assert told(head, body).get("author") == author


def test_the_address_a_page_names_as_its_own_is_whole():
    assert (
        told('<link rel="canonical" href="/mill">', url="https://a.example/x?y=1")["canonical"]
        == "https://a.example/mill"
    )
    assert told('<meta property="og:url" content="https://a.example/m">')["canonical"] == "https://a.example/m"
    assert "canonical" not in told('<link rel="canonical" href="javascript:0">', url="https://a.example/")
    assert "canonical" not in told('<link rel="canonical" href="http://[">', url="https://a.example/")


BY = "https://creativecommons.org/licenses/by/4.0/"


@pytest.mark.parametrize(
    ("head", "body", "line"),
    [
        (f'<link rel="license" href="{BY}">', "", f"link rel=license (head): {BY}"),
        ("", f'<footer><a rel="nofollow license" href="{BY}">CC</a></footer>', f"a rel=license (footer): {BY}"),
        ("", f'<article><p>Photo: <a href="{BY}">CC BY</a></p></article>', f"a (article): {BY}"),
        ("", '<aside><a rel=license href="/terms">T</a></aside>', "a rel=license (aside): https://a.example/terms"),
        ("", f'<main><span itemprop="license" content="{BY}"></span></main>', f"span itemprop=license (main): {BY}"),
        ("", f'<a property="dct:license" href="{BY}">x</a>', f"a property=license (body): {BY}"),
        ('<meta name="DC.rights" content="All rights reserved">', "", "meta dc.rights: All rights reserved"),
        (
            f'<script type="application/ld+json">{{"@type": "ImageObject", "license": "{BY}"}}</script>',
            "",
            f"JSON-LD ImageObject: {BY}",
        ),
        (
            f'<script type="application/ld+json">{{"@graph": [{{"license": {{"@id": "{BY}"}}}}]}}</script>',
            "",
            f"JSON-LD object: {BY}",
        ),
        (
            "",
            f'<footer>X. <em>Text</em> is available  under <a href="{BY}">a licence</a> of Creative Commons.</footer>',
            f"a (footer): {BY}\ntext (footer): {BY} X. Text is available under a licence of Creative Commons.",
        ),
        (
            "",
            "<footer>Content <b>licensed under</b> CC BY 4.0</footer><p>Other words.</p>",
            "text (footer): Content licensed under CC BY 4.0",
        ),
        (
            "",
            "<p>Content is shared under <b>CC BY 4.0</b>, code is <i>licensed under CC0</i>.</p>",
            "text (body): Content is shared under CC BY 4.0, code is licensed under CC0.\n"
            "text (body): CC BY 4.0, code is licensed under CC0.",
        ),
        ("", "<p>The kitchen is licensed under the city's rules, and shared under a tree.</p>", None),
        ("", '<i data-x-license-name="CC BY-SA 4.0"></i>', "i license-name (body): CC BY-SA 4.0"),
        ("", '<a href="/driving-licence">Licences</a> <a href="https://creativecommons.org/">CC</a>', None),
    ],
)
def test_what_a_page_says_of_its_licence_is_kept_raw_with_its_place(head, body, line):
    url = "https://a.example/x"
    assert told(head, body, url=url).get("licence_signals") == line
    assert stated(*tokens_of(head + body), url, FETCHED, about=False).get("licence_signals") == line


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ('<meta name="robots" content="index, NOAI">', "meta robots: index, NOAI"),
        ('<meta name="GPTBot" content="noindex">', "meta gptbot: noindex"),
        ('<meta name="tdm-reservation" content="1">', "meta tdm-reservation: 1"),
        ('<meta http-equiv="X-Robots-Tag" content="noarchive">', "meta x-robots-tag: noarchive"),
        ('<meta name="tdm-policy" content="https://a.example/p">', "meta tdm-policy: https://a.example/p"),
        ('<meta name="audience" content="all">', None),
        ('<meta name="keywords" content="robots, mills">', None),
    ],
)
def test_what_a_page_says_of_who_may_use_it_is_kept_raw(head, line):
    assert told(head).get("opt_out_signals") == line


def test_signals_are_bounded_and_what_does_not_fit_is_counted():
    links = "".join(f'<a rel="license" href="https://a.example/{"x" * 190}{number}">l</a>' for number in range(90))
    kept = told(body=links)["licence_signals"]
    assert len(kept) <= 1000
    assert kept.split("\n")[-1] == "and 86 more"
