"""Charts as SVG text, bars and curves, so that a page opens offline and needs no plotting library."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

LABEL, BAR, NUMBER, ROW = 280, 400, 200, 30


@dataclass(frozen=True)
class Bar:
    """One row: a solid part (`value`), a pale part up to `whole`, observations as dots, and the text beside it."""

    label: str
    value: float
    words: str
    whole: float | None = None
    dots: Sequence[float] = field(default=())
    muted: bool = False


def bars(rows: Sequence[Bar], title: str, limit: float | None = None, limit_words: str = "") -> str:
    """Horizontal bars on one scale from 0; `limit` draws a line across all of them. Empty without rows."""
    if not rows:
        return ""
    largest = max([limit or 0.0, *(max(row.value, row.whole or 0.0, *row.dots, 0.0) for row in rows)]) or 1.0
    top = 26 if limit else 4
    height = top + ROW * len(rows) + 6
    width = LABEL + BAR + NUMBER
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
    ]
    for number, row in enumerate(rows):
        middle = top + ROW * number + ROW / 2
        y = middle - 8
        parts.append(f'<text class="label" x="{LABEL - 14}" y="{middle + 5:.1f}">{escape(row.label[:44])}</text>')
        if row.whole is not None:
            parts.append(_rectangle("pale", y, _scaled(row.whole, largest)))
        parts.append(_rectangle("muted" if row.muted else "solid", y, _scaled(row.value, largest)))
        parts += [
            f'<circle class="dot" cx="{LABEL + _scaled(dot, largest):.1f}" cy="{middle:.1f}" r="3.5"/>'
            for dot in row.dots
        ]
        parts.append(f'<text class="number" x="{LABEL + BAR + 14}" y="{middle + 5:.1f}">{escape(row.words)}</text>')
    if limit:
        x = LABEL + _scaled(limit, largest)
        parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{height - 4}"/>')
        parts.append(f'<text class="limit-words" x="{x:.1f}" y="{top - 11}">{escape(limit_words)}</text>')
    return "".join([*parts, "</svg>"])


WIDE, HIGH, EDGE = 300, 150, 34


def curves(points: Sequence[Sequence[float]], title: str, now: float | None, words: Sequence[str]) -> str:
    """Shares from 0 to 1 over thresholds: `points` are (threshold, share, ...), `words` name the shares in order.

    Thresholds are spaced by rank, as values that lie close together would hide each other; `now` draws a line at the
    current threshold, between the points around it. Empty without points.
    """
    if not points:
        return ""
    width, height = WIDE + 2 * EDGE, HIGH + 2 * EDGE
    step = WIDE / max(len(points) - 1, 1)

    def y(share: float) -> float:
        return EDGE + HIGH * (1 - share)

    parts = [
        f'<svg class="curves" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
    ]
    for share in (0.0, 0.5, 1.0):
        parts.append(f'<line class="grid" x1="{EDGE}" x2="{EDGE + WIDE}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>')
        parts.append(f'<text class="tick end" x="{EDGE - 4}" y="{y(share) + 4:.1f}">{share:.0%}</text>')
    for column, word in reversed(list(enumerate(words, 1))):
        path = " ".join(f"{EDGE + step * place:.1f},{y(point[column]):.1f}" for place, point in enumerate(points))
        parts.append(f'<polyline class="curve{column}" points="{path}"><title>{escape(word)}</title></polyline>')
    for place in (0, len(points) // 2, len(points) - 1):
        x = EDGE + step * place
        parts.append(f'<text class="tick" x="{x:.1f}" y="{EDGE + HIGH + 15}">{points[place][0]:.3g}</text>')
    if now is not None:
        x = EDGE + step * _rank(now, [point[0] for point in points])
        parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{EDGE - 6}" y2="{EDGE + HIGH}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{EDGE - 11}">now {now:.3g}</text>')
    return "".join([*parts, "</svg>"])


def _rank(value: float, ordered: Sequence[float]) -> float:
    """The rank of a value among ordered ones, interpolated between two of them, and no further than the first and
    last."""
    place = bisect.bisect_left(ordered, value)
    if place in (0, len(ordered)) or ordered[place] == value:
        return min(place, len(ordered) - 1)
    return place - (ordered[place] - value) / (ordered[place] - ordered[place - 1])


def _scaled(value: float, largest: float) -> float:
    return max(value, 0.0) / largest * BAR


def _rectangle(kind: str, y: float, width: float) -> str:
    return f'<rect class="{kind}" x="{LABEL}" y="{y:.1f}" width="{max(width, 1):.1f}" height="16" rx="2"/>'
