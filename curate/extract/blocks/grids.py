"""Whether a table holds data or arranges a page, and the rows of one that holds data."""

from __future__ import annotations

import re
from dataclasses import dataclass

from curate.extract.blocks.mathml import value
from curate.extract.blocks.segment import Page

_SPAN = 50
"""Most columns or rows that one cell spans here."""
_ADDED = 5000
"""Most empty cells that spans add to one table."""
_LONG = 300
"""Characters of a cell that is rather a part of a page."""
_PARTS = ("article", "section", "main", "nav", "header", "footer", "aside", "form", "pre", "blockquote")
_ARRANGED = frozenset((*_PARTS, "h1", "h2", "h3", "h4", "h5", "h6"))
_NUMBER = re.compile("[0-9]{1,3}")


@dataclass(slots=True)
class Row:
    """The cells of a row, as elements of the page; -1 is one that a span of another cell covers."""

    cells: list[int]


def grid(page: Page, table: int) -> dict[int, Row]:
    """The rows of a table of data, by their elements; nothing where the table arranges a page.

    It arranges the page where it says so (`role="presentation"`), holds another table, or has one row or one column;
    and, without a cell that is a heading (`th`), where long cells, paragraphs or parts of a page are in half of its
    rows.
    """
    attributes = page.attributes[table]
    if ' role="presentation"' in attributes or ' role="none"' in attributes:
        return {}
    rows: dict[int, list[int]] = {}
    headed = False
    long: set[int] = set()
    tags, depth = page.tags, page.depth
    own = depth[table]
    row = cell = -1
    for element in range(table + 1, len(tags)):
        if depth[element] <= own:
            break
        tag = tags[element]
        if tag == "table":
            return {}
        if tag == "tr":
            row = element
            rows[row] = []
        elif tag in ("td", "th"):
            if page.parents[element] not in rows:
                continue
            row, cell = page.parents[element], element
            rows[row].append(cell)
            headed = headed or tag == "th"
            if sum(page.length[page.first[cell] : page.last[cell]]) > _LONG:
                long.add(row)
        elif tag in ("thead", "caption"):
            headed = True
        elif (tag in _ARRANGED or (tag == "p" and page.last[cell] - page.first[cell] > 2)) and row >= 0:
            long.add(row)
    rows = {number: cells for number, cells in rows.items() if cells}
    several = [number for number, cells in rows.items() if len(cells) > 1 or _span(page, cells[0], "colspan") > 1]
    wide = [number for number in several if len(rows[number]) > 1]
    if len(rows) < 2 or not wide:
        return {}
    if not headed and (len(long) * 2 >= len(rows) or len(several) * 2 < len(rows)):
        return {}
    return _spanned(page, rows)


def _spanned(page: Page, rows: dict[int, list[int]]) -> dict[int, Row]:
    """The rows with an empty cell for each that a span covers, so that what stands in one column stays in it."""
    made: dict[int, Row] = {}
    covered: dict[int, int] = {}
    left = _ADDED
    for number, cells in rows.items():
        columns: list[int] = []
        following: dict[int, int] = {}
        waiting = list(reversed(cells))
        widest = max(covered, default=-1)
        while waiting or len(columns) <= widest:
            column = len(columns)
            if column in covered:
                if covered[column] > 1:
                    following[column] = covered[column] - 1
                columns.append(-1)
                left -= 1
            elif waiting:
                cell = waiting.pop()
                across, down = _span(page, cell, "colspan"), _span(page, cell, "rowspan")
                across, down = (across, down) if left > 0 else (1, 1)
                columns += [cell, *[-1] * (across - 1)]
                left -= across - 1
                if down > 1:
                    following.update((column + place, down - 1) for place in range(across))
            else:
                columns.append(-1)
                left -= 1
        covered = following
        made[number] = Row(columns)
    return made


def _span(page: Page, cell: int, name: str) -> int:
    attributes = page.attributes[cell]
    if name not in attributes:
        return 1
    stated = _NUMBER.match(value(attributes, name))
    return min(_SPAN, max(1, int(stated.group()))) if stated else 1
