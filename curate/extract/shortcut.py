"""trafilatura with the same output, in about two thirds of the time.

Half of trafilatura's time goes into a dozen XPaths that search the classes, ids and styles of each element for
tell-tale words (`sidebar`, `share-`, `article-body`), and nearly all of them match no element. Here the attributes of
a page are gathered once, each value is tested once, and an expression that no value on the page fulfils is not
evaluated at all. That is sound since trafilatura gives no element a class, id, role or style that the page does not
have.

After its own extraction trafilatura runs another algorithm (readability) on the whole page, and takes that one's
text where its own is empty, or less than half as long, or without a paragraph. Often all the text of the page is less
than twice as long as the extracted text: then readability cannot win, and is not run. The rule is trafilatura's own
(`external.py`, `_prefer_readability` and `compare_extraction`).

It takes formatting out of a paragraph and leaves the texts between the elements side by side; lxml then looks from each
text back to the last element, in quadratic time. Texts that are side by side are made one: they are one text to all
readers.

Where a part of trafilatura's code is not the code this was written for, that part runs unchanged, and `notice` says so;
pyproject.toml allows no other version.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from itertools import chain
from typing import TYPE_CHECKING, Any

from curate.errors import BASE

if TYPE_CHECKING:
    from lxml.etree import XPath, _Element

WRITTEN_FOR = "2.3"
"""The version of trafilatura that this was written for."""

_SHAPE = ["cleaned_tree", "raw_tree", "body", "text", "options"]
_PRUNES = ["tree", "potential_tags", "options", "keep_teasers"]
_OPEN_QUESTIONS = ("SANITIZED_XPATH", "_prefer_readability", "try_readability", "justext_rescue")
_RAW = ("xmp", "noembed", "noframes", "plaintext")
_ASKED = (
    *("BODY_XPATH", "COMMENTS_XPATH", "COMMENTS_DISCARD_XPATH", "DISCARD_IMAGE_ELEMENTS", "OVERALL_DISCARD_XPATH"),
    *("PRECISION_DISCARD_XPATH", "RAW_TREE_PRUNE_XPATH", "REMOVE_COMMENTS_XPATH", "REMOVE_COMMENTS_AND_LISTS_XPATH"),
    *("TEASER_DISCARD_XPATH",),
)

Names = tuple[str, ...]
"""An attribute, or two of which the one first in the page's source counts."""

_AT = r"@([\w-]+)(?:\|@([\w-]+))?"
_TEXT = r",\s*'([^']*)'"
_FORMS: tuple[tuple[str, Callable[..., str]], ...] = (
    (rf"re:test\({_AT}{_TEXT}(?:,\s*'(i)')?\)", lambda wanted, any_case: f"(?i:{wanted})" if any_case else wanted),
    (
        rf"contains\(translate\({_AT}{_TEXT}{_TEXT}\){_TEXT}\)",
        lambda old, new, part: "".join(
            f"[{''.join(a for a, b in zip(old, new, strict=True) if b == letter)}{letter}]"
            if letter in new
            else re.escape(letter)
            for letter in part
        ),
    ),
    (rf"contains\({_AT}{_TEXT}\)", re.escape),
    (rf"starts-with\({_AT}{_TEXT}\)", lambda start: rf"\A{re.escape(start)}"),
    (rf"{_AT}\s*=\s*'([^']*)'", lambda whole: rf"\A{re.escape(whole)}\Z"),
    (_AT, lambda: ".?"),
)
"""The forms of a condition on an attribute in trafilatura's XPaths, and the regular expression equal to each."""
_EXPRESSION = re.compile(
    r"(\(?)\.//\*(?:\[(self::\w+(?: or self::\w+)*)\])?\[((?:'[^']*'|[^]['])+)\]((?:'[^']*'|[^'|])*)"
)

_ALTERNATIVE = re.compile(r"(?:\((?:[^()]|\([^()]*\))*\)|\[[^]]*\]|[^][()|])+")
_ANCHOR = re.compile(r"\A(?:\^|\\A)|\\Z\Z")
_LOOKS_BEYOND = re.compile(r"\(\?(?:<?=|<!|>|!(?!\w+\)))|[*+?}]\+|\\[AZBb]")
"""What may fail where other values stand around the one that fulfils it: then each value is tested by itself."""


class Expression:
    """An XPath of the form `.//*[self::a or ...][condition or ...]`, which is evaluated only where the attributes of a
    known page can fulfil it."""

    def __init__(self, original: XPath, tags: list[str], conditions: dict[Names, str], whole: bool) -> None:
        self.original = original
        self.tags = tags or ["*"]
        self.conditions = [
            (names, re.compile(one), _among_others(one))
            for names, several in conditions.items()
            for one in _alternatives(several)
        ]
        self.whole = whole

    def __call__(self, tree: _Element) -> Any:
        page = _PAGE.get()
        if page is None:
            return self.original(tree)
        holds = page.holds(self)
        if not holds:
            return []
        if not self.whole:
            return self.original(tree)
        asked = [(names[0], values) for names, values in holds.items() if len(names) == 1]
        either = [(names, values) for names, values in holds.items() if len(names) > 1]

        def fulfils(element: _Element) -> bool:
            for name, values in asked:
                if element.get(name) in values:
                    return True
            return any(_first(element, names) in values for names, values in either) if either else False

        return list(filter(fulfils, tree.iterdescendants(*self.tags)))

    def __str__(self) -> str:
        return str(self.original)


def _alternatives(pattern: str) -> list[str]:
    found = _ALTERNATIVE.findall(pattern)
    return found if "|".join(found) == pattern else [pattern]


def _among_others(pattern: str) -> re.Pattern[str]:
    """Finds a value that fulfils a pattern among values joined by line ends, and perhaps others; never too few."""
    anchored = _ANCHOR.sub("\n", pattern)
    if _LOOKS_BEYOND.search(anchored):
        return re.compile("")
    # Anchors within groups, as in `(?:^| )ad-`, hold at each value.
    return re.compile(anchored, re.MULTILINE)


def _first(element: _Element, names: Names) -> str | None:
    return next((value for name, value in element.items() if name in names), None)


def understood(original: XPath) -> Expression | None:
    """An equivalent expression; None where the original tests more than attributes."""
    match = _EXPRESSION.fullmatch(" ".join(original.path.split()))
    if match is None:
        return None
    conditions: dict[Names, str] = {}
    for text in match[3].strip().split(" or "):
        for form, pattern in _FORMS:
            if parts := re.fullmatch(form, text.strip()):
                first, second, *rest = parts.groups()
                names = (first, second) if second else (first,)
                conditions[names] = "|".join(filter(None, [conditions.get(names), pattern(*rest)]))
                break
        else:
            return None
        if rest and re.search(pattern(*rest), ""):
            return None  # an element without the attribute would fulfil it too
    return Expression(original, re.findall(r"self::(\w+)", match[2] or ""), conditions, not match[1] + match[4])


class _Page:
    """The attributes of a page, and which of their values fulfil the conditions of an expression."""

    def __init__(self, tree: _Element) -> None:
        self.values: dict[str, set[str]] = defaultdict(set)
        for name, value in set(chain.from_iterable(map(type(tree).items, tree.iter("*")))):
            self.values[name].add(value)
        self.joined: dict[Names, tuple[set[str], str]] = {}
        self.answers: dict[Expression, dict[Names, set[str]]] = {}

    def holds(self, expression: Expression) -> dict[Names, set[str]]:
        answer = self.answers.get(expression)
        if answer is None:
            answer = self.answers[expression] = {}
            for names, exact, loose in expression.conditions:
                values, text = self._of(names)
                # Mostly one search in all values shows that none fulfils it.
                if values and loose.search(text) and (fulfilling := set(filter(exact.search, values))):
                    answer.setdefault(names, set()).update(fulfilling)
        return answer

    def _of(self, names: Names) -> tuple[set[str], str]:
        if names not in self.joined:
            values = set().union(*(self.values.get(name, ()) for name in names))
            self.joined[names] = values, "\n".join(["", *values, ""])
        return self.joined[names]


_PAGE: ContextVar[_Page | None] = ContextVar("the current page", default=None)


@contextmanager
def page(tree: _Element) -> Iterator[None]:
    """While trafilatura works on this page, and on copies of it."""
    token = _PAGE.set(_Page(tree))
    try:
        yield
    finally:
        _PAGE.reset(token)


@cache
def install() -> bool:
    """Install all parts in this process; False where trafilatura is not as expected."""
    from trafilatura import xpaths

    for name in _ASKED:
        expressions = getattr(xpaths, name, [])
        expressions[:] = [understood(one) or one for one in expressions]
    asked = all(any(isinstance(one, Expression) for one in getattr(xpaths, name, [])) for name in _ASKED)
    return all([asked, _classes_looked_up_fast(), _without_second_opinion(), _texts_in_one()])


def notice() -> str:
    """A sentence for the user where `install` could not install every part; else empty."""
    if install():
        return ""
    from importlib.metadata import version

    return (
        f"trafilatura {version('trafilatura')} (lxml {version('lxml')}) is not built as goldsand's shortcut through it"
        " expects: the texts are the same and take up to half as long again. The shortcut is for trafilatura"
        f" {WRITTEN_FOR}: pip install '{BASE['trafilatura']}'"
    )


def _classes_looked_up_fast() -> bool:
    """Avoid a call of Python for the class of every element that lxml visits: only five names have a class of their
    own."""
    from lxml import etree, html
    from trafilatura import utils

    own = getattr(html.HtmlElementClassLookup, "_default_element_classes", None)
    parser = getattr(utils, "HTML_PARSER", None)
    if not own or not isinstance(parser, html.HTMLParser):
        return False
    others = etree.ElementDefaultClassLookup(
        html.HtmlElement, html.HtmlComment, html.HtmlProcessingInstruction, html.HtmlEntity
    )
    lookup = etree.ElementNamespaceClassLookup(others)
    lookup.get_namespace(None).update(own)
    parser.set_element_class_lookup(lookup)
    return True


_MANY_TEXTS = 64


def _texts_in_one() -> bool:
    from lxml.etree import XPath
    from trafilatura import main_extractor

    original = getattr(main_extractor, "prune_unwanted_sections", None)
    if original is None or list(inspect.signature(original).parameters) != _PRUNES:
        return False
    crowded = XPath(f"//*[text()[{_MANY_TEXTS}]]")

    @wraps(original)
    def prune(tree: Any, *parameters: Any, **options: Any) -> Any:
        pruned = original(tree, *parameters, **options)
        for element in crowded(pruned):
            # What is read is all texts up to the next element, and what is set is one.
            element.text = element.text
            for child in element:
                child.tail = child.tail
        return pruned

    main_extractor.prune_unwanted_sections = prune
    return _rows_without_counting()


def _rows_without_counting() -> bool:
    """Before each cell trafilatura counts those of the row so far, also where no cell above reaches into it."""
    from trafilatura import main_extractor

    original = getattr(main_extractor, "_flush_rowspan_phantoms", None)
    if original is None or list(inspect.signature(original).parameters) != ["rowspan_map", "newrow"]:
        return False

    @wraps(original)
    def flush(rowspan_map: Any, newrow: Any) -> None:
        if rowspan_map:
            original(rowspan_map, newrow)

    main_extractor._flush_rowspan_phantoms = flush
    return True


def _without_second_opinion() -> bool:
    from lxml.etree import XPath
    from trafilatura import core, external

    if not hasattr(external, "compare_extraction"):
        return False
    original = external.compare_extraction
    if (
        getattr(core, "compare_extraction", None) is not original
        or list(inspect.signature(original).parameters) != _SHAPE
        or not all(hasattr(external, name) for name in _OPEN_QUESTIONS)
    ):
        return False
    # The first text of each element: all of them would be sorted, in quadratic time.
    paragraphs, tables = XPath("boolean(.//p//text()[1])"), XPath("count(.//table) > count(.//p)")
    unclean = XPath(external.SANITIZED_XPATH)

    def settled(page: _Element, body: _Element, text: str, options: Any) -> bool:
        size = len(text)
        if (
            not size >= options.min_extracted_size > 0
            or options.focus == "recall"
            or not paragraphs(body)
            or tables(body)
            or unclean(body)
        ):
            return False
        # The first steps of the other algorithm.
        if options.focus == "precision":
            page = external.prune_unwanted_nodes(page, external.OVERALL_DISCARD_XPATH)
        for element in list(page.iter("script", "style")):
            element.drop_tree()
        # It writes its result as XML and reads that as HTML, where an empty one of these swallows the rest of the page.
        if not all(element.tag == "title" and element.text for element in page.iter("title", *_RAW)):
            return False
        return len(" ".join(page.text_content().split())) <= 2 * size

    @wraps(original)
    def compare(cleaned_tree: Any, raw_tree: Any, body: Any, text: str, options: Any) -> Any:
        if settled(raw_tree, body, text, options):
            return body, text
        return original(cleaned_tree, raw_tree, body, text, options)

    core.compare_extraction = compare
    return True
