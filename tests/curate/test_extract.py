"""The text of a page is that of the extractor, and of this page alone."""

import logging
import re
from copy import copy
from pathlib import Path

import pytest
import trafilatura
from lxml import etree
from trafilatura import core, external, main_extractor, xpaths

from curate.document import Document, Drop
from curate.errors import Refused
from curate.extract import shortcut
from curate.extract.encoding import decode_html
from curate.extract.extract import Extract, _parsed
from curate.filters import C4, GopherQuality, GopherRepetition, Language, Url
from curate.run.unit import describe_step
from curate.sources import open_source

PAGES = Path(__file__).parents[3] / "shared" / "data" / "crawl" / "pages-00000.warc.gz"
needs_pages = pytest.mark.skipif(not PAGES.is_file(), reason="the shared crawl is not there")
RULES = (Language(), Url(domains=["casino.example"]), GopherRepetition(), GopherQuality())
GERMAN = "<p>" + "Der Hafen lag an diesem Morgen still, und die Boote ruhten am Kai, als wäre nichts gewesen. " * 8
PROSE = "<p>" + "The harbour was quiet that morning, and the boats lay still at the quay. " * 8 + "</p>"


def extracted(html: bytes, content_type: str = "text/html", **parameters) -> Document | Drop:
    step = Extract(**parameters)
    step.open()
    (outcome,) = step.apply([Document(key="k", html=html, metadata={"content_type": content_type})])
    return outcome


@pytest.fixture(scope="module")
def pages() -> list[Document]:
    found = []
    for item in open_source(PAGES, "c"):
        found.append(item)
        if len(found) == 40:
            break
    return found


@needs_pages
@pytest.mark.parametrize("precision", [True, False])
def test_the_text_is_that_of_trafilatura_called_as_its_manual_says(pages, precision, monkeypatch):
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    pages = pages[precision::2][:12]
    step = Extract(favor_precision=precision)
    step.open()
    assert shortcut.install()
    outcomes = [outcome.text if isinstance(outcome, Document) else "" for outcome in step.apply(map(copy, pages))]
    saved = []
    monkeypatch.setattr(external, "try_readability", lambda tree: saved.append(tree) or external.HtmlElement())
    list(step.apply(map(copy, pages)))
    assert len(saved) < len(pages)  # the shortcut was taken
    monkeypatch.undo()
    monkeypatch.setattr(core, "compare_extraction", external.compare_extraction)
    for name in shortcut._ASKED:
        plain = [getattr(one, "original", one) for one in getattr(xpaths, name)]
        monkeypatch.setitem(vars(xpaths), name, plain)  # lists are shared by name: put the plain ones in their places
        for module in (core, external, main_extractor):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, plain)
    for page, got in zip(pages, outcomes, strict=True):
        expected = trafilatura.extract(
            decode_html(page.html, page.metadata.get("content_type", "")),
            favor_precision=precision,
            include_comments=False,
        )
        assert got == (expected or "").strip()


def test_a_made_page_has_the_text_of_trafilatura_where_any_alternative_decides():
    """tests/bench/shortcut_fuzz.py: each alternative of trafilatura's XPaths has its turn, in a page of its own."""
    import shortcut_fuzz

    found = shortcut_fuzz.compare(0, 300)
    assert found["values"] <= 300, "each alternative has its turn"
    assert (found["different"], found["first"]) == (0, [])


def test_an_anchor_within_a_group_holds_at_each_value():
    for pattern in ("(?:^| )ad-", "(^|\\s)link(\\s|$)", "(?i:^shar)", "^nav$", "x(?=y)", "(?<!a)b", "a++b"):
        exact, loose = re.compile(pattern), shortcut._among_others(pattern)
        values = ["ad-box", "my ad-box", "link", "a link b", "SHARE", "nav", "xy", "b", "ab", "aab"]
        for value in filter(exact.search, values):
            assert loose.search("\n".join(["", "first", value, "last", ""])), (pattern, value)
    assert not shortcut._among_others("(?:^| )ad-").search("\nread-box\nlad-x\n")


def test_what_no_attribute_fulfils_is_not_looked_for_and_all_else_is_found_as_by_xpath():
    shortcut.install()
    values = [
        "share-x",
        "Sharepoint",
        "sidebar",
        " ad ",
        "x ad y",
        "nav",
        "subnav",
        "comment-list",
        "commentary",
        "post",
    ]
    values += ["entry", "an entry", "reply-1", "x reply-", "hidden", "cookie", "bottom", "x bottom", "bottoms", "link"]
    values += [
        "permalink",
        "true",
        "display: none",
        "border:0",
        "Main-Content",
        "PAGE-content",
        "fullText",
        "",
        "teaser",
    ]
    body = "".join(
        f'<{tag} {one}="{value}" {two}="{other}">text</{tag}>'
        for tag in ("div", "p", "span", "section", "article", "ul", "a")
        for value, other in zip(values, values[3:] + values[:3], strict=True)
        for one, two in (("class", "id"), ("id", "class"), ("style", "role"), ("aria-hidden", "style"))
    )
    tree = _parsed(f"<html><body>{body}<div data-lp-replacement-content>x</div></body></html>")
    lists = [getattr(xpaths, name) for name in shortcut._ASKED]
    asked = [one for expressions in lists for one in expressions if isinstance(one, shortcut.Expression)]
    assert len(asked) >= 15 and sum(bool(one.original(tree)) for one in asked) >= 12
    with shortcut.page(tree):
        for one in asked:
            assert one(tree) == one.original(tree), str(one)
    empty = _parsed(f"<html><body>{PROSE}</body></html>")
    with shortcut.page(empty):
        assert all(one(empty) == one.original(empty) == [] for one in asked)


@pytest.mark.parametrize(
    "path",
    [".//*[re:test(@id, 'a?')]", ".//*[not(@id)]", "//div[@id='a']", ".//*[@id='a'] | .//p", ".//*[@id='a' and @b]"],
)
def test_an_xpath_of_another_shape_stays_as_it_is(path):
    namespaces = {"re": "http://exslt.org/regular-expressions"}
    assert shortcut.understood(etree.XPath(path, namespaces=namespaces)) is None


@needs_pages
def test_the_text_of_a_page_does_not_depend_on_the_pages_before(pages):
    step = Extract()
    some = pages[:15]

    def texts(documents):
        return {one.key: one.text for one in step.apply(copy(page) for page in documents) if isinstance(one, Document)}

    alone = texts(some)
    assert len(alone) > 10
    assert texts(reversed(some)) == alone
    assert [one.text for one in step.apply(copy(some[0]) for _ in range(4))] == [alone[some[0].key]] * 4


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse", "cascade"])
def test_a_page_becomes_text_and_keeps_its_title(engine):
    html = (
        f"<html><head><title> At the\n quay </title></head><body><article>{PROSE * 2}</article></body></html>".encode()
    )
    page = extracted(html, engine=engine)
    assert isinstance(page, Document)
    assert page.html is None and page.metadata["title"] == "At the quay"
    assert "boats lay still" in page.text and "<" not in page.text


def test_text_passes_as_it_is():
    (page,) = Extract().apply([Document(key="k", text="as it is\x00")])
    assert page.text == "as it is\x00"


@pytest.mark.parametrize("engine", ["trafilatura", "cascade"])
@pytest.mark.parametrize("tag", ["div", "b", "table", "span", "p"])
def test_a_hundred_thousand_nested_elements_are_a_verdict(tag, engine):
    html = f"<html><body>{f'<{tag}>' * 100_000}{PROSE}".encode()
    outcome = extracted(html, engine=engine, ahead=RULES if engine == "cascade" else ())
    assert isinstance(outcome, Drop) and outcome.rule in ("too_deep", "too_many_nodes")


def test_bounds_are_exact():
    html = f"<html><body><article>{PROSE}</article></body></html>".encode()
    assert isinstance(extracted(html, max_bytes=len(html)), Document)
    assert extracted(html, max_bytes=len(html) - 1).rule == "too_large"
    assert isinstance(extracted(html, max_nodes=4), Document)
    assert extracted(html, max_nodes=3).rule == "too_many_nodes"
    assert isinstance(extracted(html, max_depth=4), Document)
    assert extracted(html, max_depth=3).rule == "too_deep"


@pytest.mark.parametrize("html", [b"", b"\x00\x01\x02", b"<html><body></body></html>", b"<!-- -->", b"\xff\xfe"])
def test_nothing_to_read_is_a_drop(html):
    outcome = extracted(html)
    assert isinstance(outcome, Drop) and outcome.rule == "empty"


def test_a_failure_costs_its_page_alone(monkeypatch):
    def fails(page, tree):
        if "<p>bad" in page:
            raise RecursionError("too much")
        return "text"

    monkeypatch.setattr(Extract, "_text", lambda self, page, tree: fails(page, tree))
    pages = [
        Document(key=word, html=f"<html><body><p>{word}</p>{PROSE}</body></html>".encode())
        for word in ("one", "bad", "two")
    ]
    outcomes = list(Extract().apply(pages))
    assert [isinstance(one, Drop) for one in outcomes] == [False, True, False]
    assert (outcomes[1].rule, outcomes[1].value) == ("failed", "RecursionError: too much")


@pytest.mark.parametrize(
    ("text", "encoding", "content_type", "meta"),
    [
        ("Grüße aus Köln", "utf-8", "text/html; charset=iso-8859-1", ""),
        ("Grüße – „Köln“", "cp1252", "text/html; charset=ISO-8859-1", ""),
        ("日本語のページです", "euc_jp", 'text/html; charset="EUC-JP"', ""),
        (
            "日本語のページです",
            "cp932",
            "text/html",
            '<meta http-equiv="content-type" content="text/html; charset=Shift_JIS">',
        ),
        ("простой русский текст", "cp1251", "", '<meta charset="windows-1251">'),
        ("汉语文本", "gb18030", "text/html; charset=gb2312", ""),
        ("Ελληνικά", "utf-16", "text/html; charset=utf-8", ""),
        ("Grüße", "cp1252", "text/html; charset=unicode_escape", '<meta charset="rot13">'),
    ],
)
def test_a_page_is_read_in_its_encoding(text, encoding, content_type, meta):
    assert text in decode_html(f"<html><head>{meta}</head><body>{text}".encode(encoding), content_type)


def test_xhtml_is_read_in_the_encoding_of_its_declaration():
    html = '<?xml version="1.0" encoding="ISO-8859-2"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml">'
    body = f'<body><p>Žluťoučký kůň</p><meta charset="koi8-r"/><div>{PROSE * 2}</div></body></html>'
    assert "Žluťoučký kůň" in decode_html((html + body).encode("iso-8859-2"))
    page = extracted((html + body).encode("iso-8859-2"))
    assert isinstance(page, Document) and "boats lay still" in page.text


@pytest.mark.parametrize("engine", ["trafilatura", "cascade"])
def test_a_page_of_eight_megabytes_is_text(engine):
    paragraphs = "".join(PROSE.replace("that morning", f"on day {number}") for number in range(13_000))
    page = extracted(f"<html><body><article>{paragraphs}</article></body></html>".encode(), engine=engine)
    assert isinstance(page, Document) and page.text.count("boats lay still") == 8 * 13_000


def test_an_encoding_that_nobody_names_is_detected():
    text = "Это обычный русский текст, который никто не подписал, и его всё равно надо прочитать правильно. " * 5
    assert text in decode_html(f"<html><body>{text}".encode("cp1251"))


def test_no_text_leaves_with_nul_or_lone_surrogates():
    page = extracted(
        f"<html><body><article>{PROSE}<p>A line with &#xD800; and &#0; in it, and more words.</p></article>".encode()
    )
    page.text.encode("utf-8")
    assert "\x00" not in page.text


def cascade(html: str, url: str | None = None) -> Document | Drop:
    step = Extract(engine="cascade").followed_by(RULES)
    step.open()
    page = f"<html><body><nav><a>Home</a> <a>About</a></nav><article>{html}</article></body></html>"
    (outcome,) = step.apply([Document(key="k", html=page.encode(), url=url)])
    return outcome


def test_a_cascade_knows_the_rules_that_can_tell():
    step = Extract(engine="cascade").followed_by([*RULES, C4()])
    assert [one.name for one in step.ahead] == ["language", "url", "gopher_quality"]
    assert Extract().followed_by(RULES).ahead == ()
    told = describe_step(step)["parameters"]["ahead"]
    assert told[0]["parameters"]["keep"] == ["en"] and describe_step(Extract(engine="cascade")) != describe_step(step)


def test_a_cascade_drops_by_the_rules_to_come_and_says_which():
    other = cascade(GERMAN)
    assert isinstance(other, Drop)
    assert (other.step, other.rule, other.value, other.threshold) == ("extract", "language: language", "de", ["en"])
    assert "Hafen" in other.document.text and other.document.metadata["language"] == "de"
    few = cascade("<p>Just a few words of the page and that is all.")
    assert isinstance(few, Drop) and few.rule == "gopher_quality: gopher_short_doc" and 10 <= few.value < 50
    signs = cascade("<p>" + "12 34 56 78 90 -- 11 and the 22 rows of it 33 44 55 -- 66 77 to 88 %% 99 be " * 9)
    assert isinstance(signs, Drop) and signs.rule == "gopher_quality: gopher_below_alpha_threshold"
    assert signs.value < 0.88 * signs.threshold == 0.88 * GopherQuality().min_alphabetic_words
    listed = cascade(PROSE, url="https://www.casino.example/a")
    assert isinstance(listed, Drop) and listed.rule == "url: domain"
    assert isinstance(cascade(PROSE, url="https://www.harbour.example/a"), Document)


def test_a_menu_in_another_language_ends_no_page():
    menu = f"<nav><ul>{'<li><a href=/a>Der Hafen lag an diesem Morgen still</a></li>' * 40}</ul></nav>"
    assert isinstance(cascade(f"</article>{menu}<article>{PROSE * 2}"), Document)


def test_a_cascade_follows_the_thresholds_of_its_recipe():
    page = Document(key="k", html=f"<html><body><article>{GERMAN}</article></body></html>".encode())
    for keep, kept in ((["en", "de"], True), (["de"], True), (["fr"], False)):
        step = Extract(engine="cascade").followed_by([Language(keep=keep)])
        step.open()
        assert [isinstance(outcome, Document) for outcome in step.apply([copy(page)])] == [kept]
    short = "<p>Just a few words of the page, and that is all there is to be read."
    step = Extract(engine="cascade").followed_by([GopherQuality(min_words=5)])
    step.open()
    assert isinstance(next(step.apply([Document(key="k", html=f"<html><body>{short}".encode())])), Document)


def test_what_a_cascade_keeps_is_what_trafilatura_alone_gives():
    alone = extracted(f"<html><body><article>{PROSE}</article></body></html>".encode())
    assert isinstance(alone, Document) and cascade(PROSE).text == alone.text


def test_a_page_whose_cheap_text_is_empty_goes_to_the_good_extractor(monkeypatch):
    from resiliparse.extract import html2text

    monkeypatch.setattr(html2text, "extract_plain_text", lambda page, **options: " ")
    assert isinstance(cascade(PROSE), Document)


def test_text_in_noscript_counts_for_a_cascade():
    outcome = cascade(f"<div id=app></div></article><noscript>{PROSE * 3}</noscript><article>")
    assert isinstance(outcome, Document) or outcome.rule == "empty"  # trafilatura's verdict, whatever it is


@needs_pages
def test_a_cascade_keeps_the_same_pages(pages):
    rules, pages = [*RULES, C4()], pages[:15]

    def kept(step):
        documents = step.followed_by(rules).apply(map(copy, pages))
        for rule in rules:
            documents = rule.apply(one for one in documents if isinstance(one, Document))
        return {one.key: one.text for one in documents if isinstance(one, Document)}

    assert kept(Extract(engine="cascade")) == kept(Extract())


def test_of_whose_text_trafilatura_takes_little_resiliparse_extracts():
    posts = "".join(
        f'<div class="row"><span>user{number}</span><div class="comment">Short post {number} here.</div></div>'
        for number in range(40)
    )
    html = f"<html><body><main>{PROSE}<section>{posts}</section></main></body></html>".encode()
    alone, mixed = extracted(html, favor_precision=False), extracted(html, favor_precision=False, min_share=0.99)
    assert isinstance(alone, Document) and isinstance(mixed, Document)
    assert "boats lay still" in mixed.text and mixed.text.count("Short post") > alone.text.count("Short post")
    assert extracted(html, favor_precision=False, min_share=0.01).text == alone.text


def test_a_shorter_text_never_takes_the_place_of_a_longer_one():
    menu = "".join(
        f'<li><a href="/p{number}">Entry {number} of the long menu of this site</a></li>' for number in range(400)
    )
    hidden = f'<div aria-hidden="true"><article>{PROSE * 3}</article></div>'  # resiliparse leaves it out
    for html in (f"<body><ul>{menu}</ul>{hidden}</body>", f"<body><ul>{menu}</ul>{PROSE}</body>"):
        alone, mixed = extracted(html.encode()), extracted(html.encode(), min_share=1.0)
        assert isinstance(alone, Document) and isinstance(mixed, Document)
        assert len(mixed.text) >= len(alone.text) > 100


def test_more_text_than_less_is_the_default():
    assert Extract().favor_precision is False


SIGNALLING = (
    b'<title>The quay</title><meta name="robots" content="noai"><h1>The quay</h1>'
    b'<footer><a rel="license" href="https://a.example/by">CC</a></footer>' + PROSE.encode() * 3
)


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse", "blocks"])
def test_what_a_page_says_of_itself_is_the_same_whatever_extracts_it(engine):
    signals = {
        "licence_signals": "a rel=license (footer): https://a.example/by",
        "opt_out_signals": "meta robots: noai",
    }
    asked = {"content_type": "text/html"}
    assert extracted(SIGNALLING, engine=engine, metadata=False).metadata == asked | signals
    assert extracted(SIGNALLING, engine=engine).metadata == asked | signals | {"title": "The quay"}


def test_the_text_is_markdown_where_it_is_asked_for():
    page = b"<body><article><h1>The quay</h1><h2>Boats</h2>" + PROSE.encode() * 2 + b"<ul><li>" + PROSE[3:].encode()
    assert "\n\n## Boats\n\n" in extracted(page, engine="blocks", text_format="markdown").text
    assert "## Boats\n" in extracted(page, text_format="markdown").text
    with pytest.raises(Refused, match="resiliparse gives plain text"):
        Extract(engine="resiliparse", text_format="markdown")
