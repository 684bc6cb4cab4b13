"""What the chosen blocks of a page look like as text: everything that they say, in reading order.

A paragraph, a heading, an item of a list is a line; a row of a table is a line, its cells between bars; code keeps its
lines. A table that only arranges a page is paragraphs, as its author meant it. In Markdown, headings, code, lists and
quotations have their marks, and paragraphs a blank line between them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from curate.extract.blocks.grids import Row, grid
from curate.extract.blocks.inline import said
from curate.extract.blocks.mathml import value
from curate.extract.blocks.segment import Page

FORMATS = ("plain", "markdown")

_PRE = frozenset(("pre", "listing", "xmp", "plaintext"))
_KEPT_BLANKS = re.compile(r'style="[^"]*?white-space\s*:\s*(?:pre|break-spaces)(?!-line)', re.ASCII)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_TELLING = frozenset(
    ("li", "pre", "listing", "xmp", "plaintext", "td", "th", "caption", "figcaption", "blockquote", "dt", "dd", "table")
) | frozenset(_HEADINGS)
_WHOLE = frozenset(("article", "section", "header", "h1", "h2", "h3", "h4", "h5", "h6", "table", "figure", "form"))
"""What makes an item of a list an article of its own: then the list only arranges the page."""
_BULLETS = "•·▪●◦‣⁃○■□–*-"
_LONG_ITEM = 4
"""Most paragraphs of an item that has a bullet."""
_TERM = 60
"""Most characters of a term that stands on one line with what it means."""
_LINE_NUMBERS = re.compile(r"[\" ](?:lineno|linenos|line-numbers?|linenumbers?|blob-num|gutter|hljs-ln-numbers)[\" ]")
"""A cell of the numbers beside the lines of code."""
_NUMBERS = re.compile(r"[0-9]{1,6}")
_LANGUAGE = re.compile(
    r'class="(?:[^"]* )?(?:language|lang|highlight-source|brush:|sourceCode)[-: ]([A-Za-z0-9+#-]{1,20})[ "]'
)


class Around:
    """What stands around a block: each is the number of an element of the page, -1 where there is none."""

    __slots__ = (
        "caption",
        "cell",
        "heading",
        "item",
        "level",
        "meaning",
        "numbers",
        "pre",
        "quotes",
        "row",
        "table",
        "term",
    )

    def __init__(self) -> None:
        self.item = self.pre = self.table = self.row = self.cell = self.term = self.meaning = -1
        self.level = self.heading = self.quotes = 0
        self.caption = self.numbers = False

    def copy(self) -> Around:
        other = Around()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other


class Surroundings:
    """What stands around each element of a page, found for those alone that are asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.known: dict[int, Around] = {-1: Around()}
        self.grids: dict[int, dict[int, Row]] = {}
        self._numbers: dict[int, int] | None = None

    def of(self, element: int) -> Around:
        page, known = self.page, self.known
        path = []
        while element not in known:
            path.append(element)
            element = page.parents[element]
        around = known[element]
        for inner in reversed(path):
            tag = page.tags[inner]
            if tag in _TELLING or "white-space" in page.attributes[inner]:
                around = self._within(around, inner, tag)
            known[inner] = around
        return around

    def _within(self, around: Around, element: int, tag: str) -> Around:
        new = around.copy()
        if tag == "li":
            new.item, new.level = element, around.level + 1
            new.term = new.meaning = -1
        elif tag in _HEADINGS:
            new.heading = _HEADINGS[tag]
        elif tag == "table":
            rows = grid(self.page, element)
            if rows:
                self.grids[element] = rows
                new.table = element
            else:
                new.table = new.row = new.cell = -1
        elif tag in ("td", "th"):
            new.numbers = new.numbers or bool(_LINE_NUMBERS.search(self.page.attributes[element]))
            if new.table >= 0:
                new.cell, new.row = element, self.page.parents[element]
                if self.page.tags[new.row] != "tr" or new.row not in self.grids[new.table]:
                    new.table = new.cell = new.row = -1
        elif tag in ("caption", "figcaption"):
            new.caption = True
        elif tag == "blockquote":
            new.quotes += 1
        elif tag == "dt":
            new.term, new.meaning = element, -1
        elif tag == "dd":
            new.term, new.meaning = -1, element
        elif new.pre < 0 and (tag in _PRE or _KEPT_BLANKS.search(self.page.attributes[element])):
            new.pre = element
        return new

    def number(self, item: int) -> int:
        """The number of an item in its `ol`; -1 in another list."""
        if self._numbers is None:
            self._numbers = _numbered(self.page)
        return self._numbers.get(item, -1)


def _numbered(page: Page) -> dict[int, int]:
    """The numbers of all items of all numbered lists, in one pass."""
    numbers: dict[int, int] = {}
    following: dict[int, int] = {}
    for element, tag in enumerate(page.tags):
        if tag == "ol":
            start = _NUMBERS.match(value(page.attributes[element], "start"))
            following[element] = int(start.group()) if start else 1
        elif tag == "li" and (parent := page.parents[element]) in following:
            own = (
                _NUMBERS.match(value(page.attributes[element], "value"))
                if ' value="' in page.attributes[element]
                else None
            )
            numbers[element] = int(own.group()) if own else following[parent]
            following[parent] = numbers[element] + 1
    reversed_lists: dict[int, list[int]] = {
        element: [] for element in following if ' reversed="' in page.attributes[element]
    }
    if reversed_lists:
        for item in numbers:
            reversed_lists.get(page.parents[item], []).append(item)
    for element, items in reversed_lists.items():
        first = numbers[items[0]] if items and ' start="' in page.attributes[element] else len(items)
        numbers |= {item: first - place for place, item in enumerate(items)}
    return numbers


def rendered(
    page: Page,
    chosen: Sequence[int],
    *,
    tables: bool = True,
    captions: bool = True,
    markdown: bool = False,
    links: bool = False,
) -> str:
    """The text of the chosen blocks (their numbers, ascending).

    A row of data of which one cell is chosen is written whole: an empty cell would say that there is nothing.

    `tables`, `captions`: whether what stands in tables and in captions of pictures and tables is text; `links`: the
    address behind the text of each link.
    """
    surroundings = Surroundings(page)
    chosen = _whole_rows(surroundings, chosen)
    placed = [(block, surroundings.of(page.element[block])) for block in chosen]
    kept = [(block, one) for block, one in placed if _wanted(one, tables, captions)]
    writer = _Writer(surroundings, kept, markdown, links)
    for block, around in kept:
        writer.write(block, around)
    return writer.finished()


def _whole_rows(surroundings: Surroundings, chosen: Sequence[int]) -> Sequence[int]:
    page = surroundings.page
    rows = {surroundings.of(page.element[block]).row for block in chosen} - {-1}
    if not rows:
        return chosen
    return sorted({*chosen, *(block for row in rows for block in range(page.first[row], page.last[row]))})


def _wanted(around: Around, tables: bool, captions: bool) -> bool:
    return (tables or around.table < 0) and (captions or not around.caption) and not around.numbers


class _Writer:
    """The lines of a text, as blocks come."""

    def __init__(self, surroundings: Surroundings, kept: list[tuple[int, Around]], markdown: bool, links: bool) -> None:
        self.page = surroundings.page
        self.surroundings = surroundings
        self.markdown = markdown
        self.links = links
        self.lines: list[str] = []
        self.tight: list[bool] = []
        """Whether a line belongs to the same list, table or code as the one before."""
        self.group = ("", -1)
        self.cells: dict[int, list[str]] = {}
        self.row = self.table = -1
        self.code: list[str] = []
        self.pre = -1
        self.marked: set[int] = set()
        self.term = False
        self.blocks_of = Counter(around.item for _, around in kept if around.item >= 0)
        self.meanings = Counter(around.meaning for _, around in kept if around.meaning >= 0)
        self.terms = Counter(around.term for _, around in kept if around.term >= 0)
        self.apart = {around.item for block, around in kept if around.item >= 0 and self._whole(block, around)}

    def _whole(self, block: int, around: Around) -> bool:
        if around.heading or around.table > around.item:
            return True
        parents, tags = self.page.parents, self.page.tags
        element = self.page.element[block]
        for _ in range(6):
            if element == around.item or element < 0:
                return False
            if tags[element] in _WHOLE:
                return True
            element = parents[element]
        return False

    def write(self, block: int, around: Around) -> None:
        page = self.page
        in_row = around.row if around.table >= 0 and around.pre < 0 else -1
        if self.cells and in_row != self.row:
            self._end_row()
        if self.code and around.pre != self.pre:
            self._end_code()
        text = said(
            page.tokens,
            page.begins[block],
            page.ends[block],
            heading=around.heading > 0 or around.term >= 0,
            pre=around.pre >= 0,
            markdown=self.markdown,
            links=self.links,
        )
        if not text:
            return
        if around.pre >= 0 and around.cell < 0:
            self.pre = around.pre
            self.code.append(text)
            self.code_around = around
        elif in_row >= 0:
            self.row, self.table = in_row, around.table
            self.cells.setdefault(around.cell, []).append(text.replace("\n", " "))
        else:
            self._paragraph(text, around)

    def _paragraph(self, text: str, around: Around) -> None:
        if around.heading:
            text = text.replace("\n", " ")
            if self.markdown:
                text = "#" * around.heading + " " + text
        group = (
            ("list", around.level)
            if around.item >= 0
            else ("dl", 0)
            if around.term + around.meaning >= -1
            else ("", -1)
        )
        if around.item >= 0:
            text = self._item(text, around)
        elif around.meaning >= 0 and self.term and self.meanings[around.meaning] == 1 and "\n" not in text:
            before = self.lines.pop()
            self.tight_before = self.tight.pop()
            self._add(f"{before.rstrip(' :')}: {text}", group, around, tight=self.tight_before)
            self.term = False
            return
        self._add(text, group, around)
        self.term = (
            around.term >= 0
            and around.item < 0
            and self.terms[around.term] == 1
            and len(text) <= _TERM
            and ":" not in text[:-1]
            and "\n" not in text
        )

    def _item(self, text: str, around: Around) -> str:
        """A paragraph of an item: the first has the item's mark, the others stand below it."""
        item = around.item
        number = self.surroundings.number(item)
        if around.heading and not self.markdown and number < 0:
            self.marked.add(item)
        if number < 0 and (item in self.apart or self.blocks_of[item] > _LONG_ITEM):
            return text
        if number >= 0 and item in self.apart and self.blocks_of[item] > 2 * _LONG_ITEM:
            return text
        indent = "  " * (around.level - 1)
        if item in self.marked:
            return "\n".join([f"{indent}  {line}" for line in text.split("\n")])
        self.marked.add(item)
        if number < 0:
            bare = text[1:].lstrip(" \t") if text[0] in _BULLETS and text[1:2] in (" ", "\t") else text
            mark = "- "
        else:
            bare = text
            mark = "" if text.startswith((f"{number}.", f"{number})", f"{number} ")) else f"{number}. "
        first, *others = (bare.lstrip("#").lstrip(" ") if around.heading and self.markdown else bare).split("\n")
        return "\n".join([f"{indent}{mark}{first}", *[f"{indent}  {line}" for line in others]])

    def _end_row(self) -> None:
        row = self.surroundings.grids[self.table][self.row]
        texts = [" ".join(self.cells.get(cell, ())) for cell in row.cells]
        filled = sum(map(bool, texts))
        group = ("table", self.table)
        begins = group != self.group
        if len(row.cells) == 1 and not self.markdown:
            self._add(texts[0], group, None)
        elif filled:
            escaped = [text.replace("|", "\\|") for text in texts] if self.markdown else texts
            self._add(f"| {' | '.join(escaped)} |", group, None)
            if self.markdown and begins:
                self._add(f"|{' --- |' * len(texts)}", group, None)
        self.cells = {}
        self.row = -1

    def _end_code(self) -> None:
        text = "\n".join(self.code)
        around = self.code_around
        if self.markdown:
            fence = "```"
            while fence in text:
                fence += "`"
            text = f"{fence}{self._language()}\n{text}\n{fence}"
        indent = "  " * around.level if around.item >= 0 and self.markdown else ""
        if indent:
            text = "\n".join([indent + line for line in text.split("\n")])
        self._add(text, ("code", self.pre), around)
        self.code = []
        self.pre = -1
        self.term = False

    def _language(self) -> str:
        """The language of code that `pre`, `code` in it, or the element around it names."""
        page = self.page
        opened = page.opened[self.pre]
        inner = page.tokens[opened + 1][1] if opened + 1 < len(page.tokens) else ""
        parent = page.parents[self.pre]
        for attributes in (inner, page.attributes[self.pre], page.attributes[parent] if parent >= 0 else ""):
            if found := _LANGUAGE.search(attributes):
                return found.group(1)
        return ""

    def _add(self, text: str, group: tuple[str, int], around: Around | None, tight: bool | None = None) -> None:
        if self.markdown and around is not None and around.quotes:
            mark = "> " * min(around.quotes, 4)
            text = "\n".join([mark + line for line in text.split("\n")])
        same = group[0] in ("list", "table", "dl") and group[0] == self.group[0]
        if group[0] == "table":
            same = group == self.group
        self.lines.append(text)
        self.tight.append(same if tight is None else tight)
        self.group = group

    def finished(self) -> str:
        if self.cells:
            self._end_row()
        if self.code:
            self._end_code()
        if not self.markdown:
            return "\n".join(self.lines)
        parts: list[str] = []
        for line, tight in zip(self.lines, self.tight, strict=True):
            if parts:
                parts.append("\n" if tight else "\n\n")
            parts.append(line)
        return "".join(parts)
