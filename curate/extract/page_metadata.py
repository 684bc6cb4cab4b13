"""What a page states about itself: its title, author, language, day of publication, address and kind.

All of it is read from elements made to state it; it is never guessed from the text, and does not depend on today's
date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from curate.extract.blocks.mathml import value
from curate.extract.rights import signals
from curate.extract.statements import LONGEST, Statements, Token, attributes_of, gathered

NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
"""Not valid in a text: the character zero, and lone surrogates."""
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_TITLE = 300
_ADDRESS = 1000
_WORDS = re.compile(r"\w+")
_PARTS = re.compile(r"(\s+[|•·»«›–—:-]\s+|\s*\|\s*|\s*::\s*)")
_AUTHORS = ("author", "article:author", "dc.creator", "dcterms.creator", "parsely-author", "sailthru.author", "byl")
_OTHERS = ("Review", "Comment", "ImageObject", "VideoObject", "Answer", "Quotation", "UserReview")
"""What is by somebody else than the page is."""
_SCRIPTS = 20
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{2,8}){0,3}\s*$")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_EARLIEST = "1995-01-01"
_DATED = 500
"""Elements that can hold a date, that are looked at."""
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


def stated(
    tokens: Sequence[Token], scripts: Sequence[str], url: str | None, fetched: str, *, about: bool = True
) -> dict[str, str]:
    """What the page states, of its tags and JSON-LD as `tokens_of` gives them.

    Of `title`, `author`, `stated_language` (ISO 639), `published` (a day, ISO 8601), `canonical` (its address) and
    `page_type` where `about` is true; and always the signals of `rights.py`.

    `fetched`: when the record was made (ISO 8601). A page cannot have been published later, and a record without a date
    gives no such bound, so no day is read from its page. `page_type` is from schema.org or Open Graph marks: article,
    forum, product, documentation, collection, service.
    """
    page = gathered(tokens, scripts)
    statements = signals(page, url)
    if about:
        statements |= {
            "title": _title(page, url),
            "author": _author(page),
            "stated_language": _language(page),
            "published": _published(page, url, fetched),
            "canonical": _canonical(page, url),
            "page_type": _page_type(page),
        }
    return {name: NOT_TEXT.sub("", text) for name, text in statements.items() if text}


def _clean(text: str) -> str:
    return NOT_TEXT.sub("", " ".join(text.split()))


def _words(text: str) -> str:
    return " ".join(_WORDS.findall(text.lower()))


def _title(page: Statements, url: str | None) -> str:
    """What the page is called: the heading that its title repeats, without what the title adds (the site's name).

    The longest first heading that stands in `title` or `og:title`; else the only first heading; else `og:title`, or
    `title` without the name of the site.
    """
    title = _clean(page.titles[0]) if page.titles else ""
    shared = _clean(page.meta("og:title", "twitter:title"))
    site = _words(page.meta("og:site_name", "application-name"))
    host = _host(url).replace("-", "")
    headings = [heading for one in page.headings if (heading := _clean(one)) and len(heading) <= _TITLE]
    around = f" {_words(title)} {_words(shared)} "
    repeated = [heading for heading in headings if (words := _words(heading)) and f" {words} " in around]
    repeated = [heading for heading in repeated if not _of_site(heading, site, host)] or repeated
    if repeated:
        best = max(repeated, key=len)
        whole = shared or title
        # Where the only thing that the heading says is the site's name, the title says more.
        if not (_of_site(best, site, host) and len(whole) > len(best)):
            return best
    others = [heading for heading in dict.fromkeys(headings) if not _of_site(heading, site, host)]
    if len(others) == 1 and not (title and shared and _words(title) == _words(shared)):
        return _without_site(others[0], site, host)
    whole = shared or title
    return (_without_site(whole, site, host) if whole else next(iter(headings), ""))[:_TITLE]


def _of_site(text: str, site: str, host: str) -> bool:
    words = _words(text)
    return bool(words) and (words == site or words.replace(" ", "") in host)


def _without_site(title: str, site: str, host: str) -> str:
    """A title without the name of the site in front of it or behind it."""
    parts = _PARTS.split(title)
    if len(parts) < 3:
        return title
    if _of_site(parts[-1], site, host):
        return "".join(parts[:-2])
    if _of_site(parts[0], site, host):
        return "".join(parts[2:])
    return title


def _host(url: str | None) -> str:
    try:
        return (urlsplit(url or "").hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def _author(page: Statements) -> str:
    """The names of the authors, at most five, by `;`."""
    named: list[object] = []
    for thing in page.objects():
        kind = thing.get("@type")
        if "author" in thing and not (isinstance(kind, str) and kind in _OTHERS):
            found = thing["author"]
            for one in found if isinstance(found, list) else [found]:
                name = one.get("name") if isinstance(one, dict) else one
                named += name if isinstance(name, list) else [name]
            break
    if not any(isinstance(one, str) and one.strip() for one in named):
        cited = [content for name, content in page.metas if name == "citation_author"]
        named = [*(cited or [page.meta(*_AUTHORS)])]
    names = [_name(one) for one in named if isinstance(one, str)]
    if not any(names):
        names = [_name(one) for one in page.authors]
    return "; ".join(list(dict.fromkeys(filter(None, names)))[:5])[:_TITLE]


def _name(stated: str) -> str:
    name = _clean(stated)
    if name[:3].lower() == "by ":
        name = name[3:].strip()
    return "" if "://" in name or name.startswith("@") or len(name) > 100 else name


def _language(page: Statements) -> str:
    """The primary subtag of the language that the page declares, in lower case."""
    for declared in (
        value(page.root, "lang"),
        value(page.root, "xml:lang"),
        page.meta("content-language"),
        page.meta("og:locale"),
    ):
        if subtag := _LANGUAGE.match(declared.strip()[:40]):
            return subtag.group(1).lower()
    return ""


def _canonical(page: Statements, url: str | None) -> str:
    """The address that the page names as its own, whole."""
    named = [value(one, "href") for one in page.links if "canonical" in value(one, "rel").lower().split()]
    for target in (*named, page.meta("og:url")):
        try:
            whole = urljoin(url or "", target.strip())
            if target.strip() and urlsplit(whole).scheme in ("http", "https") and len(whole) <= _ADDRESS:
                return whole
        except ValueError:
            continue
    return ""


def _published(page: Statements, url: str | None, fetched: str) -> str:
    """By htmldate, on only those elements that can state a date, so that neither the text nor the clock has an
    effect."""
    day = _DAY.match(fetched)
    if day is None or day.group() < _EARLIEST:
        return ""
    from htmldate import find_date
    from lxml import etree, html

    made = html.Element("html")
    head, body = html.Element("head"), html.Element("body")
    made.extend((head, body))
    for tag, attributes, text in page.dated[:_DATED]:
        named = attributes_of(attributes)
        if tag == "abbr" and not named.get("title"):
            continue
        copied = html.Element(tag, {name: NOT_XML.sub("", named[name]) for name in _TELLING if named.get(name)})
        copied.text = NOT_XML.sub("", text)
        (head if tag == "meta" else body).append(copied)
    for script in page.scripts[:_SCRIPTS]:
        if script and len(script) <= LONGEST:
            copied = html.Element("script", {"type": "application/ld+json"})
            copied.text = NOT_XML.sub("", script)
            head.append(copied)
    try:
        date = find_date(
            made, url=url or "", extensive_search=False, original_date=True, min_date=_EARLIEST, max_date=day.group()
        )
    except (ValueError, OverflowError, TypeError, etree.LxmlError):
        return ""
    return date if date and _EARLIEST <= date <= day.group() else ""


def _page_type(page: Statements) -> str:
    marks = {content for name, content in page.metas if name == "og:type"}
    for script in page.scripts:
        marks.update(_TYPE.findall(script[:LONGEST]))
    for item in page.types:
        marks.update(_ITEM_TYPE.findall(item.strip()))
    return next((kind for kind, names in _KINDS.items() if not marks.isdisjoint(names)), "")
