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
    """A table: numbers to the right, every cell escaped and cut."""
    head = "".join(f"<th>{shown(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(_cell(row.get(column)) for column in columns) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: Any) -> str:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    text = "" if value is None else short(value) if right or isinstance(value, list) else str(value)
    return f'<td style="text-align: {"right" if right else "left"}">{shown(text)}</td>'


def shown(text: object, longest: int = LONGEST) -> str:
    """Text of unknown origin: cut, control and direction marks shown by their code, escaped."""
    whole = str(text)
    return escape(printable(whole[:longest])) + ("…" if len(whole) > longest else "")
