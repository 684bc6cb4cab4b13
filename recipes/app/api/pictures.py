"""What a notebook shows of a result: HTML that stands alone, in the colours of its page, with all text escaped."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from curate.errors import printable
from recipes.app.report.rendering import HERE, short

LONGEST = 200
"""Characters of a cell that are shown."""

_OWN = ".goldsand { padding: .6rem .9rem; max-width: 62rem; } .goldsand figure { margin: .8rem 0; }"


@functools.cache
def _style() -> str:
    """The style of the pages, for what stands in a `goldsand` element alone: rules within a rule (CSS nesting)."""
    page = (HERE / "page.css").read_text(encoding="utf-8")
    inside = re.sub(r"(:root|(?<![-.#\w])body)(?=\s*[{,])", "&", page)
    return f".goldsand {{ {inside} }} {_OWN}"


def framed(*parts: str, title: str = "", lines: Iterable[str] = (), note: str = "") -> str:
    """Parts that are HTML, below a title and lines of text, above a note."""
    said = [f"<strong>{shown(title, 500)}</strong>"] if title else []
    said += [f"<div>{shown(line, 1000)}</div>" for line in lines]
    end = [f'<div class="soft">{shown(note, 500)}</div>'] if note else []
    return f'<div class="goldsand"><style>{_style()}</style>{"".join([*said, *filter(None, parts), *end])}</div>'


def rows_html(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table: columns of numbers to the right, every cell escaped and cut."""
    held = list(rows)
    sides = {one: "right" if any(_is_number(row.get(one)) for row in held) else "left" for one in columns}
    head = "".join(f'<th style="text-align: {sides[one]}">{shown(one)}</th>' for one in columns)
    body = "".join("<tr>" + "".join(_cell(row.get(one), sides[one]) for one in columns) + "</tr>" for row in held)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any, side: str) -> str:
    text = "" if value is None else short(value) if _is_number(value) or isinstance(value, list) else str(value)
    return f'<td style="text-align: {side}">{shown(text)}</td>'


def shown(text: object, longest: int = LONGEST) -> str:
    """Text of unknown origin: cut, control and direction marks shown by their code, escaped."""
    whole = str(text)
    return escape(printable(whole[:longest])) + ("…" if len(whole) > longest else "")
