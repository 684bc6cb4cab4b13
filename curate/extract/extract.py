"""HTML to text: the step that ends the first stage, so that no threshold ever costs a second extraction."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from curate.document import Document, Drop
from curate.errors import Refused
from curate.extract.blocks.covered import covered
from curate.extract.blocks.segment import Page, segment, tokens_of
from curate.extract.encoding import decode_html
from curate.extract.page_metadata import NOT_TEXT, stated
from curate.extract.preview import PLAIN, CheapText
from curate.step import CorpusStep, Rule, Step, param

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_SPAN = 100
"""Most columns and rows that one cell can span in the extractor."""

_CROWDED = 5000
"""Most attributes of one element."""

_SMALL = 3000
"""Most elements of a page that a cascade looks at before the bounds are checked: the cheap extractor is quadratic in
the depth of nesting, 0.2 s for so many."""

_ATTRIBUTE = r"[\s/]*+(?:=[^\s/>=]*+|[^\s/>=]++)(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>]++)?+)?+"
_ATTRIBUTES = re.compile(_ATTRIBUTE)
# Possessive, and each match begins where the last one ended: linear in the page.
_TAGS = re.compile(
    r"<!--(?:[^-]|-(?!->))*+"
    r"|<(script|style)\b[^<]*+(?:<(?!/\1)[^<]*+)*+"
    rf"|<[a-z][^\s/>]*+((?:{_ATTRIBUTE})*+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Extract(Step):
    """HTML -> text; documents that are text already pass unchanged.

    Bounds are counted in bytes, elements, attributes and depth, so that they decide alike on every machine. No known
    page within them takes 20 s or 1 GB: time grows with the page, but for headings at its end and cells that span rows,
    whose number the bounds limit. What the page states about itself (title, author, language, day of publication,
    address, type) is kept in the metadata, and what it says of its licence and of who may use it always is. A page on
    which the extractor fails is dropped, with the error as the value.

    A cascade looks at a cheap text first: a page that the rules that follow in the recipe would drop anyway (another
    language, too few words, a listed host) is dropped here, with `step: rule` as the reason and the cheap text. A page
    whose cheap text is empty goes to the good extractor.
    """

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 8
    libraries: ClassVar[tuple[str, ...]] = (
        *("trafilatura", "resiliparse", "selectolax", "lxml", "lxml_html_clean", "justext", "htmldate", "chardet"),
    )
    ends_stage: ClassVar[bool] = True

    engine: str = param(
        "trafilatura",
        "trafilatura: best text of news; blocks: a trained model, three times as fast, for pages of every kind;"
        " resiliparse: ten times as fast; cascade: trafilatura, but only for pages that the recipe's rules would not"
        " drop anyway",
        choices=("trafilatura", "blocks", "resiliparse", "cascade"),
    )
    favor_precision: bool = param(
        False,
        "trafilatura, blocks: rather less text than boilerplate (FineWeb: true)",
        source="ours: docs/results/extraction.md; FineWeb (Penedo et al. 2024) has true",
    )
    min_share: float = param(
        0.0,
        "a page of whose text trafilatura takes a smaller share is extracted by resiliparse, with comments, if that"
        " text is longer: for forums and collections; 0 is off, 0.25 is good",
        source="ours: docs/results/extraction.md",
        ge=0,
        le=1,
    )
    model: str | None = param(
        None, "blocks: a model of `goldsand train-extractor`; without it, the one that comes with goldsand", path=True
    )
    include_comments: bool = param(False, "trafilatura, resiliparse: keep readers' comments")
    include_tables: bool = param(True, "keep the text of tables")
    include_captions: bool = param(True, "blocks: keep the captions of pictures and tables")
    include_links: bool = param(False, "blocks, trafilatura: the address behind the text of each link")
    text_format: str = param(
        "plain",
        "plain: a line for each paragraph; markdown (blocks, trafilatura): headings, lists and code have their marks",
        choices=("plain", "markdown"),
    )
    serialisation: str = param(
        "engine",
        "engine: the text as the engine writes it; blocks: those blocks of which the engine's text has most, written as"
        " by the engine blocks: exponents, dates and rows stay",
        choices=("engine", "blocks"),
    )
    max_bytes: int = param(10_000_000, "bytes of HTML; larger pages are dropped", ge=1)
    max_nodes: int = param(
        40_000,
        "elements of a page, counting each cell of a span in a table; pages with more are dropped",
        ge=1,
    )
    max_depth: int = param(
        # The parser reads no deeper than 256, and omits the rest of the page.
        250,
        "elements nested in one another; deeper pages are dropped",
        ge=1,
        le=255,
    )
    max_attributes: int = param(100_000, "attributes of a page; pages with more are dropped", ge=1)
    metadata: bool = param(
        True,
        "keep what a page states about itself: title, author, language, day of publication, address, type; signals of"
        " its licence and of who may use it are always kept",
    )
    ahead: tuple[Rule, ...] = ()
    """The rules that follow in the recipe, in a cascade."""

    @property
    def drops_texts(self) -> bool:
        """A page has none yet, but a cascade shows its rules a cheap one."""
        return bool(self.ahead)

    def __post_init__(self) -> None:
        if (
            self.engine == "resiliparse"
            and self.serialisation == "engine"
            and (self.text_format != "plain" or self.include_links)
        ):
            raise Refused(
                "extract: engine resiliparse gives plain text without links: choose engine trafilatura or blocks, or"
                " serialisation: blocks"
            )

    def resources(self) -> list[Path]:
        """The model is a file that shapes the output, the one that comes with goldsand too."""
        if self.engine != "blocks":
            return []
        from curate.extract.blocks.model import SHIPPED

        return [Path(self.model) if self.model else SHIPPED]

    def followed_by(self, steps: Sequence[Step]) -> Extract:
        if self.engine != "cascade":
            return self
        here = next((place for place, step in enumerate(steps) if isinstance(step, CorpusStep)), len(steps))
        telling = [step for step in steps[:here] if isinstance(step, Rule)]
        ahead = tuple(step for step in telling if type(step).foretell is not Rule.foretell)
        # Without rules to ask, it extracts every page as trafilatura does: then the two share their stages.
        return replace(self, ahead=ahead) if ahead else replace(self, engine="trafilatura", ahead=())

    def open(self) -> None:
        """Load the extractor; also silences its log: pages it reports are dropped here with a reason."""
        import logging

        if self.metadata:
            import htmldate  # noqa: F401

        for step in self.ahead:
            step.open()
        if self.engine == "blocks":
            from curate.extract.blocks.model import load

            load(*self.resources())
            return
        if self.engine != "resiliparse":
            from curate.extract import shortcut

            shortcut.install()
            for name in ("trafilatura", "htmldate", "justext", "courlan"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        import resiliparse.extract.html2text  # noqa: F401

    def notice(self) -> str:
        if self.engine in ("resiliparse", "blocks"):
            return ""
        from curate.extract import shortcut

        return shortcut.notice()

    def apply(self, documents: Iterable[Document]) -> Iterator[Document | Drop]:
        for document in documents:
            if document.html is None:
                yield document
            else:
                yield self._extracted(document, document.html)

    def _extracted(self, document: Document, html: bytes) -> Document | Drop:
        document.html = None
        if len(html) > self.max_bytes:
            return Drop(document, self.name, "too_large", len(html), self.max_bytes)
        try:
            page = decode_html(html, document.metadata.get("content_type", ""))
            crowd = _most_attributes(page)
            if crowd > _CROWDED:
                return Drop(document, self.name, "crowded_element", crowd, _CROWDED)
            if self.engine == "blocks":
                return self._by_blocks(document, page, len(html))
            small = page.count("<") <= _SMALL
            if self.ahead and small and (drop := self._foretold(document, page)):
                return drop
            tree = _parsed(page)
            if tree is None:
                return Drop(document, self.name, "empty", len(html))
            nodes = int(tree.xpath("count(//*)")) + _spanned(tree)
            if nodes > self.max_nodes:
                return Drop(document, self.name, "too_many_nodes", nodes, self.max_nodes)
            attributes = int(tree.xpath("count(//@*)"))
            if attributes > self.max_attributes:
                return Drop(document, self.name, "too_many_attributes", attributes, self.max_attributes)
            if _deeper_than(tree, self.max_depth):
                return Drop(document, self.name, "too_deep", f"more than {self.max_depth}", self.max_depth)
            if self.ahead and not small and (drop := self._foretold(document, page)):
                return drop
            text = self._text(page, tree)
            if self.serialisation == "engine":
                tokens, scripts = tokens_of(page)
            else:
                cut = segment(page)
                tokens, scripts = cut.tokens, cut.scripts
                text = self._rendered(cut, covered(cut, text)) or text
            about = stated(tokens, scripts, document.url, document.metadata.get("date", ""), about=self.metadata)
        except MemoryError:
            raise
        except Exception as error:
            return Drop(document, self.name, "failed", f"{type(error).__name__}: {error}"[:300])
        return self._ended(document, text, about, len(html))

    def _ended(self, document: Document, text: str, about: dict[str, str], size: int) -> Document | Drop:
        text = NOT_TEXT.sub("", text).strip()
        if not text:
            return Drop(document, self.name, "empty", size)
        document.metadata |= about
        document.rewrite(text)
        return document

    def _by_blocks(self, document: Document, html: str, size: int) -> Document | Drop:
        from curate.extract.blocks.model import load

        page = segment(html)
        if len(page.tokens) > self.max_nodes and (nodes := page.elements()) > self.max_nodes:
            return Drop(document, self.name, "too_many_nodes", nodes, self.max_nodes)
        # (An attribute takes two characters.)
        if len(html) > 2 * self.max_attributes and (attributes := page.stated()) > self.max_attributes:
            return Drop(document, self.name, "too_many_attributes", attributes, self.max_attributes)
        if max(page.depth, default=0) > self.max_depth:
            return Drop(document, self.name, "too_deep", f"more than {self.max_depth}", self.max_depth)
        chosen = load(*self.resources()).judged(page, "precision" if self.favor_precision else "balanced").chosen
        text = self._rendered(page, chosen)
        day = document.metadata.get("date", "")
        about = stated(page.tokens, page.scripts, document.url, day, about=self.metadata)
        return self._ended(document, text, about, size)

    def _rendered(self, page: Page, chosen: Sequence[int]) -> str:
        from curate.extract.blocks.text import rendered

        return rendered(
            page,
            chosen,
            tables=self.include_tables,
            captions=self.include_captions,
            markdown=self.text_format == "markdown",
            links=self.include_links,
        )

    def _foretold(self, document: Document, html: str) -> Drop | None:
        """The drop by the first of the following rules that can decide on the cheap text of the page."""
        if not self.favor_precision and ("ld+json" in html or "data-preloaded" in html):
            return None  # then text may come from scripts and attributes, which the cheap text lacks
        page = CheapText(document, html)
        for step in self.ahead:
            if check := step.foretell(page):
                document.metadata |= page.metadata
                document.rewrite(page.seen)
                return Drop(document, self.name, f"{step.name}: {check.rule}", check.value, check.threshold)
        return None

    def _text(self, page: str, tree: HtmlElement) -> str:
        if self.engine == "resiliparse":
            from resiliparse.extract.html2text import extract_plain_text

            return extract_plain_text(page, main_content=True, comments=self.include_comments, **PLAIN)
        from trafilatura import extract

        from curate.extract import shortcut

        # No `deduplicate`: its cache outlives the page, and the text would depend on the pages before. No metadata:
        # it takes a third of the time, and htmldate's results depend on today's date.
        with shortcut.page(tree):
            text = extract(
                tree,
                favor_precision=self.favor_precision,
                include_comments=self.include_comments,
                include_tables=self.include_tables,
                include_links=self.include_links,
                output_format="markdown" if self.text_format == "markdown" else "txt",
                deduplicate=False,
                with_metadata=False,
            )
        if self.min_share:
            from resiliparse.extract.html2text import extract_plain_text

            whole = extract_plain_text(page, main_content=False, **PLAIN)
            if len(text or "") < self.min_share * len(whole):
                other = extract_plain_text(page, main_content=True, comments=True, **PLAIN)
                # Who asks for more of a page is not served with less of it.
                return other if len(other) > len(text or "") else text or ""
        return text or ""


def _parsed(page: str) -> HtmlElement | None:
    from trafilatura.utils import load_html

    return load_html(page)


def _most_attributes(page: str) -> int:
    """The most attributes of one element, where they can be too many; else 0. The parser's time is quadratic in them,
    so they are counted before parsing."""
    # An attribute takes at least two characters, one of them to separate it from the one before.
    long = (tag.group(2) for tag in _TAGS.finditer(page) if len(tag.group(2) or "") > 2 * _CROWDED)
    return max((sum(1 for _ in _ATTRIBUTES.finditer(text)) for text in long), default=0)


def _spanned(tree: HtmlElement) -> int:
    """The most cells that the extractor can add to tables: those of each span, and in every row as many as in the
    widest row."""
    added = 0
    width: Counter[HtmlElement] = Counter()
    for cell in tree.iter("td", "th"):
        columns, rows = _span(cell.get("colspan", "")), _span(cell.get("rowspan", ""))
        if columns == rows == 1:
            continue
        added += columns * rows - 1
        width[cell.getparent()] += columns
    widest: dict[HtmlElement, int] = {}
    for row, columns in width.items():
        table = next(row.iterancestors("table"), None) if row is not None else None
        if table is not None:
            widest[table] = min(_SPAN, max(widest.get(table, 0), columns))
    return added + sum(columns * int(table.xpath("count(.//tr)")) for table, columns in widest.items())


def _span(stated: str) -> int:
    if not stated.isdecimal():
        return 1
    return _SPAN if len(stated) > 9 else min(_SPAN, max(1, int(stated)))


def _deeper_than(tree: HtmlElement, depth: int) -> bool:
    """By one path step for each level: libxml2 searches the tree level by level, in linear time."""
    return bool(tree.getroottree().xpath(f"boolean({'/*' * (depth + 1)})"))
