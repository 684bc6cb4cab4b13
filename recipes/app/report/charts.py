"""Bars and intervals as HTML: text stays text, at any width and size, offline and without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Bar:
    """One row: a solid part (`value`), a pale part up to `whole`, observations as dots, an interval, and the text
    beside it."""

    label: str
    value: float
    words: str
    whole: float | None = None
    dots: Sequence[float] = field(default=())
    muted: bool = False
    interval: tuple[float, float] | None = None


def bars(rows: Sequence[Bar], title: str, limit: float | None = None, limit_words: str = "") -> str:
    """Horizontal bars on one scale from 0; `limit` draws a line across all of them. Empty without rows."""
    if not rows:
        return ""
    within = [bound for row in rows for bound in row.interval or () if math.isfinite(bound)]
    largest = max([limit or 0.0, *(max(row.value, row.whole or 0.0, *row.dots, 0.0) for row in rows)]) or 1.0
    # An interval of few seeds may be much wider than all that was measured: it is cut.
    largest = max(largest, min(max(within, default=0.0), 1.5 * largest))

    def at(value: float) -> float:
        return 100 * min(max(value, 0.0) / largest, 1.0)

    lines = [_words_above(at(limit), limit_words)] if limit else []
    for row in rows:
        marks = [] if row.whole is None else [f'<span class="pale" style="width:{at(row.whole):.2f}%"></span>']
        marks.append(f'<span class="{"muted" if row.muted else "solid"}" style="width:{at(row.value):.2f}%"></span>')
        marks += _span(row.interval, at, 0.0, largest) + _dots(row.dots, at)
        if limit:
            marks.append(f'<span class="limit" style="left:{at(limit):.2f}%"></span>')
        lines.append(_row(row.label, marks, row.words))
    return _group(title, lines)


@dataclass(frozen=True)
class Range:
    """One row: a value with its interval, observations as dots, and the text beside it."""

    label: str
    value: float
    low: float
    high: float
    words: str
    dots: Sequence[float] = field(default=())


def ranges(
    rows: Sequence[Range],
    title: str,
    reference: float,
    reference_words: str,
    alike: tuple[float, float] | None = None,
    log: bool = False,
) -> str:
    """Values with intervals on one scale, around a reference that is drawn as a line; `alike` shades what counts as
    equal to it. With `log` they are ratios. Empty without rows."""
    if not rows:
        return ""

    def scale(value: float) -> float:
        return math.log(value) if log else value

    given = [
        reference,
        *(alike or ()),
        *(one for row in rows for one in (row.value, *row.dots)),
        *(one for row in rows for one in (row.low, row.high) if math.isfinite(one) and (one > 0 or not log)),
    ]
    places = [scale(one) for one in given if one > 0 or not log]
    left, right = min(places), max(places)
    pad = 0.06 * (right - left) or 1.0
    left, right = left - pad, right + pad

    def at(value: float) -> float:
        if log and value <= 0:
            return 0.0
        return 100 * min(max((scale(value) - left) / (right - left), 0.0), 1.0) if math.isfinite(value) else 100.0

    lines = [_words_above(at(reference), reference_words)]
    for row in rows:
        marks = []
        if alike:
            marks.append(
                f'<span class="even" style="left:{at(alike[0]):.2f}%;width:{at(alike[1]) - at(alike[0]):.2f}%"></span>'
            )
        marks.append(f'<span class="limit" style="left:{at(reference):.2f}%"></span>')
        if math.isfinite(row.low) and math.isfinite(row.high):
            marks += _span((row.low, row.high), at, -math.inf, math.inf)
        marks += [*_dots(row.dots, at), f'<span class="mean" style="left:{at(row.value):.2f}%"></span>']
        lines.append(_row(row.label, marks, row.words))
    return _group(title, lines)


def _row(label: str, marks: Sequence[str], words: str) -> str:
    drawn = f'<span class="track" aria-hidden="true">{"".join(marks)}</span>'
    name, text = f'<span class="name">{escape(label)}</span>', f'<span class="words">{escape(words)}</span>'
    return f'<div class="bar">{name}{drawn}{text}</div>'


def _words_above(place: float, words: str) -> str:
    side = " at-end" if place > 66 else " at-start" if place < 20 else ""
    mark = f'<span class="limit-words{side}" style="left:{place:.2f}%">{escape(words)}</span>'
    return f'<div class="bar"><span></span><span class="track">{mark}</span><span></span></div>'


def _span(interval: tuple[float, float] | None, at: object, least: float, most: float) -> list[str]:
    if interval is None or not all(map(math.isfinite, interval)):
        return []
    assert callable(at)
    low, high = interval
    cut = (" cut-left" if low < least else "") + (" cut-right" if high > most else "")
    return [f'<span class="span{cut}" style="left:{at(low):.2f}%;width:{at(high) - at(low):.2f}%"></span>']


def _dots(dots: Sequence[float], at: object) -> list[str]:
    assert callable(at)
    return [f'<span class="dot" style="left:{at(dot):.2f}%"></span>' for dot in dots]


def _group(title: str, lines: Sequence[str]) -> str:
    return f'<div class="bars" role="group" aria-label="{escape(title, quote=True)}">{"".join(lines)}</div>'
