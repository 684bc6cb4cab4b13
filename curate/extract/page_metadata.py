"""What a page states about itself: its title, language, day of publication and kind.

All of it is read from the tree that the extractor parses anyway, from elements made to state it; it is never guessed
from the text, and does not depend on today's date.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.html import HtmlElement

NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
"""Not valid in a text: the character zero, and lone surrogates."""
_TITLE = 300
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{2,8}){0,3}\s*$")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_EARLIEST = "1995-01-01"
_LONGEST = 1 << 18
"""Characters of JSON-LD, and elements that can hold a date, that are looked at."""
_DATED = 500
_TELLING = (
    *("type", "name", "property", "itemprop", "http-equiv", "content", "datetime", "pubdate", "title", "class"),
    "data-utime",
)
"""Attributes that htmldate reads; the names of other attributes may be invalid."""
_TYPE = re.compile(r'"@type"\s{0,8}:\s{0,8}(?:\[\s{0,8})?"(?:https?://schema\.org/)?([A-Za-z]{3,40})"')
_ITEM_TYPE = re.compile(r"schema\.org/([A-Za-z]{3,40})$")

# Page types of schema.org and the Open Graph protocol, under the names of the benchmark WCXB. The first kind that a
# page names is taken: a thread also names its posts' articles, a shop's page its seller.
_KINDS = {
    "forum": ("DiscussionForumPosting", "QAPage"),
    "product": ("Product", "ProductGroup", "IndividualProduct", "product", "product.item", "og:product"),
    "documentation": ("TechArticle", "APIReference"),
    "article": (
        *(
            "Article",
            "NewsArticle",
            "BlogPosting",
            "Report",
            "ScholarlyArticle",
            "OpinionNewsArticle",
            "LiveBlogPosting",
        ),
        *("ReportageNewsArticle", "AnalysisNewsArticle", "Recipe", "HowTo", "article"),
    ),
    "collection": ("CollectionPage", "ItemList", "OfferCatalog", "product.group"),
    "service": ("Service", "ProfessionalService", "LocalBusiness"),
}


def stated(tree: HtmlElement, url: str | None, fetched: str) -> dict[str, str]:
    """What the page states of `title`, `stated_language` (ISO 639), `published` (a day, ISO 8601) and `page_type`.

    `fetched`: when the record was made (ISO 8601). A page cannot have been published later, and a record without a date
    gives no such bound, so no day is read from its page. `page_type` is from schema.org or Open Graph marks: article,
    forum, product, documentation, collection, service.
    """
    statements = {
        "title": _title(tree),
        "stated_language": _language(tree),
        "published": _published(tree, url, fetched),
        "page_type": _page_type(tree),
    }
    return {name: value for name, value in statements.items() if value}


def _clean(text: str) -> str:
    return NOT_TEXT.sub("", " ".join(text.split()))


def _title(tree: HtmlElement) -> str:
    title = _clean(str(tree.xpath("string((//head//title|//title[not(ancestor::svg)])[1])")))
    return (title or _clean(str(tree.xpath("string((//meta[@property='og:title']/@content)[1])"))))[:_TITLE]


def _language(tree: HtmlElement) -> str:
    """The primary subtag of the language that the page declares, in lower case."""
    for path in (
        "string(/html/@lang)",
        "string(/html/@*[name()='xml:lang'])",
        "string((//meta[translate(@http-equiv, 'CONTELAGU', 'contelagu')='content-language']/@content)[1])",
        "string((//meta[@property='og:locale']/@content)[1])",
    ):
        if subtag := _LANGUAGE.match(str(tree.xpath(path)).strip()[:40]):
            return subtag.group(1).lower()
    return ""


def _published(tree: HtmlElement, url: str | None, fetched: str) -> str:
    """By htmldate, on only those elements that can state a date, so that neither the text nor the clock has an
    effect."""
    day = _DAY.match(fetched)
    if day is None or day.group() < _EARLIEST:
        return ""
    from htmldate import find_date
    from lxml import etree, html

    page = html.Element("html")
    head, body = html.Element("head"), html.Element("body")
    page.extend((head, body))
    for number, element in enumerate(tree.iter("meta", "script", "time", "abbr")):
        if number >= _DATED:
            break
        copied = html.Element(element.tag, {name: value for name in _TELLING if (value := element.get(name))})
        if element.tag == "script":
            if element.get("type") != "application/ld+json" or not element.text or len(element.text) > _LONGEST:
                continue
        elif element.tag == "abbr" and not element.get("title"):
            continue
        copied.text = element.text
        (head if element.tag in ("meta", "script") else body).append(copied)
    try:
        date = find_date(
            page, url=url or "", extensive_search=False, original_date=True, min_date=_EARLIEST, max_date=day.group()
        )
    except (ValueError, OverflowError, TypeError, etree.LxmlError):
        return ""
    return date if date and _EARLIEST <= date <= day.group() else ""


def _page_type(tree: HtmlElement) -> str:
    marks = set(tree.xpath("//meta[@property='og:type']/@content")[:4])
    for script in tree.iterfind('.//script[@type="application/ld+json"]'):
        marks.update(_TYPE.findall((script.text or "")[:_LONGEST]))
    for item in tree.xpath("//@itemtype")[:100]:
        marks.update(_ITEM_TYPE.findall(str(item).strip()))
    return next((kind for kind, names in _KINDS.items() if not marks.isdisjoint(names)), "")
