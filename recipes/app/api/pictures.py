"""What a notebook shows of a result: HTML that stands alone, in the colours of its page, with all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from curate.errors import printable
from recipes.app.report.rendering import short

LONGEST = 200
"""Characters of a cell that are shown."""

_STYLE = """
.goldsand { font-variant-numeric: tabular-nums; max-width: 62rem; }
.goldsand svg { width: 100%; height: auto; font: 14px system-ui, sans-serif; }
.goldsand svg text { fill: currentColor; }
.goldsand svg .label, .goldsand svg .end, .goldsand svg .limit-words { text-anchor: end; }
.goldsand svg .number, .goldsand svg .tick, .goldsand svg .limit-words { opacity: .75; }
.goldsand svg .tick { text-anchor: middle; } .goldsand svg .tick.end { text-anchor: end; }
.goldsand svg .solid { fill: #b8862f; } .goldsand svg .pale { fill: #b8862f; opacity: .35; }
.goldsand svg .muted { fill: currentColor; opacity: .35; } .goldsand svg .dot { fill: currentColor; }
.goldsand svg .limit { stroke: currentColor; stroke-dasharray: 3 4; opacity: .7; }
.goldsand svg .grid { stroke: currentColor; opacity: .2; }
.goldsand svg.curves { max-width: 34rem; font-size: 11px; }
.goldsand svg .curve1, .goldsand svg .curve2 { fill: none; stroke: #b8862f; stroke-width: 2.2; }
.goldsand svg .curve2 { stroke: currentColor; opacity: .6; stroke-dasharray: 5 3; }
.goldsand table { border-collapse: collapse; } .goldsand td, .goldsand th { padding: .2em .6em; vertical-align: top; }
.goldsand .note { opacity: .75; }
"""


def framed(*parts: str, title: str = "", lines: Iterable[str] = (), note: str = "") -> str:
    """Parts that are HTML, below a title and lines of text, above a note."""
    said = [f"<strong>{shown(title, 500)}</strong>"] if title else []
    said += [f"<div>{shown(line, 1000)}</div>" for line in lines]
    end = [f'<div class="note">{shown(note, 500)}</div>'] if note else []
    return f'<div class="goldsand"><style>{_STYLE}</style>{"".join([*said, *filter(None, parts), *end])}</div>'


def rows_html(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table: numbers to the right, every cell escaped and cut."""
    head = "".join(f"<th>{shown(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(_cell(row.get(column)) for column in columns) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    text = "" if value is None else short(value) if right or isinstance(value, list) else str(value)
    return f'<td style="text-align: {"right" if right else "left"}">{shown(text)}</td>'


def shown(text: object, longest: int = LONGEST) -> str:
    """Text of unknown origin: cut, control and direction marks shown by their code, escaped."""
    whole = str(text)
    return escape(printable(whole[:longest])) + ("…" if len(whole) > longest else "")
