"""Pictures as SVG text: layers on two axes, curves of thresholds, histograms."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDE, HIGH, EDGE = 400, 230, 56


@dataclass(frozen=True)
class Layer:
    """Points (`dots`), a line (`curve1`, `curve2`, `series`), or a band (x, low, high) of a picture; `series` from 1 to
    6 gives a layer its colour."""

    kind: str
    x: Sequence[float]
    y: Sequence[float]
    high: Sequence[float] = ()
    title: str = ""
    series: int = 0


def picture(
    layers: Sequence[Layer],
    title: str,
    x_words: str,
    y_words: str,
    x_log: bool = True,
    at: float = 0.0,
    bounds: tuple[float, float] | None = None,
) -> str:
    """Layers over one another on two axes, the lower one logarithmic with `x_log`; `at` draws a line, `bounds` are
    those of the other axis. The layers of several series have a legend below."""
    across = np.concatenate([np.asarray(one.x, dtype=float) for one in layers] + ([np.array([at])] if at else []))
    up = np.concatenate([np.asarray(values, dtype=float) for one in layers for values in (one.y, one.high)])
    scale = np.log10 if x_log else np.asarray
    left, right = float(scale(across.min())), float(scale(across.max()))
    low, high = (float(up.min()), float(up.max())) if bounds is None else bounds
    if bounds is None:
        pad = 0.05 * (high - low) or 1.0
        low, high = low - pad, high + pad

    def place(x: Sequence[float], y: Sequence[float]) -> list[str]:
        places = EDGE + (scale(np.asarray(x, dtype=float)) - left) / ((right - left) or 1.0) * WIDE
        heights = 22 + (high - np.clip(np.asarray(y, dtype=float), low, high)) / ((high - low) or 1.0) * HIGH
        return [f"{one:.1f},{other:.1f}" for one, other in zip(places, heights, strict=True)]

    parts = [_open(WIDE + 2 * EDGE, HIGH + 70, title)]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = 22 + HIGH * share
        parts.append(f'<line class="grid" x1="{EDGE}" x2="{EDGE + WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{EDGE - 5}" y="{y + 4:.1f}">{high - share * (high - low):.3g}</text>')
    for x, value in _ticks(np.unique(scale(across)), left, right):
        words = _tick(10**value if x_log else value)
        parts.append(f'<text class="tick" x="{EDGE + WIDE * x:.1f}" y="{HIGH + 38}">{words}</text>')
    for one in layers:
        words, colour = f"<title>{escape(one.title)}</title>", f" s{one.series}" if one.series else ""
        if one.kind == "band":
            around = " ".join([*place(one.x, one.y), *reversed(place(one.x, one.high))])
            parts.append(f'<polygon class="band{colour}" points="{around}">{words}</polygon>')
        elif one.kind == "dots":
            for spot in place(one.x, one.y):
                cx, cy = spot.split(",")
                parts.append(f'<circle class="dot{colour}" cx="{cx}" cy="{cy}" r="3.2">{words}</circle>')
        else:
            points = " ".join(place(one.x, one.y))
            parts.append(f'<polyline class="{one.kind}{colour}" points="{points}">{words}</polyline>')
    if at:
        middle = place([at], [low])[0].split(",")[0]
        parts.append(f'<line class="limit" x1="{middle}" x2="{middle}" y1="22" y2="{22 + HIGH}"/>')
    parts.append(f'<text class="tick" x="{EDGE + WIDE / 2}" y="{HIGH + 60}">{escape(x_words)}</text>')
    parts.append(f'<text class="tick start" x="4" y="11">{escape(y_words)}</text></svg>')
    return "".join([*parts, _legend(layers)])


def _ticks(values: np.ndarray, left: float, right: float) -> list[tuple[float, float]]:
    """Where the axis has numbers, as shares of it: at its values where they are few, else at even distances."""
    reach = (right - left) or 1.0
    if len(values) > 12:
        return [(share, left + share * reach) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    found: list[tuple[float, float]] = []
    for value in values.tolist():
        place = (value - left) / reach
        if not found or place - found[-1][0] > 0.09:
            found.append((place, value))
    return found


def _legend(layers: Sequence[Layer]) -> str:
    named = {one.series: one.title for one in layers if one.series and one.kind in ("series", "dots")}
    if len(named) < 2:
        return ""
    entries = (f'<li class="s{number}">{escape(words)}</li>' for number, words in sorted(named.items()))
    return f'<ul class="legend">{"".join(entries)}</ul>'


def curves(points: Sequence[Sequence[float]], title: str, now: float | None, words: Sequence[str]) -> str:
    """Shares from 0 to 1 over thresholds: `points` are (threshold, share, ...), `words` name the shares in order.

    Thresholds are spaced by rank, as values that lie close together would hide each other; `now` draws a line at the
    current threshold, between the points around it. Empty without points.
    """
    if not points:
        return ""
    wide, high, edge = 300, 150, 34
    step = wide / max(len(points) - 1, 1)

    def y(share: float) -> float:
        return edge + high * (1 - share)

    parts = [_open(wide + 2 * edge, high + 2 * edge, title)]
    for share in (0.0, 0.5, 1.0):
        parts.append(f'<line class="grid" x1="{edge}" x2="{edge + wide}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>')
        parts.append(f'<text class="tick end" x="{edge - 4}" y="{y(share) + 4:.1f}">{share:.0%}</text>')
    for column, word in reversed(list(enumerate(words, 1))):
        path = " ".join(f"{edge + step * place:.1f},{y(point[column]):.1f}" for place, point in enumerate(points))
        parts.append(f'<polyline class="curve{column}" points="{path}"><title>{escape(word)}</title></polyline>')
    for place in sorted({0, len(points) // 2, len(points) - 1}):
        x = edge + step * place
        parts.append(f'<text class="tick" x="{x:.1f}" y="{edge + high + 15}">{_tick(points[place][0])}</text>')
    if now is not None:
        x = edge + step * _rank(now, [point[0] for point in points])
        parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{edge - 6}" y2="{edge + high}"/>')
        parts.append(f'<text class="tick {_side(x, edge, wide)}" x="{x:.1f}" y="{edge - 11}">now {_tick(now)}</text>')
    return "".join([*parts, "</svg>"])


def _rank(value: float, ordered: Sequence[float]) -> float:
    """The rank of a value among ordered ones, interpolated between two of them, and no further than the first and
    last."""
    place = bisect.bisect_left(ordered, value)
    if place in (0, len(ordered)) or ordered[place] == value:
        return min(place, len(ordered) - 1)
    return place - (ordered[place] - value) / (ordered[place] - ordered[place - 1])


def histogram(edges: Sequence[float], counts: Sequence[float], title: str, now: float | None, lost: str) -> str:
    """Counts between edges, with a line at the threshold `now`; bars on its side `lost` (`over`, `under`, or `all`)
    are solid, those that are kept pale. Heights are square roots, so that a thin tail is seen. Empty without
    counts."""
    if not len(counts) or not max(counts):
        return ""
    wide, high, edge = 300, 110, 34
    low, top = float(edges[0]), float(edges[-1])
    far = now is not None and not near(now, low, top)
    if now is not None and not far:
        low, top = min(low, now), max(top, now)
    reach = (top - low) or 1.0

    def x(value: float) -> float:
        return edge + wide * (value - low) / reach

    parts = [_open(wide + 2 * edge, high + 58, title)]
    bottom = 24 + high
    for count, start, end in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            tall = max(high * math.sqrt(count / max(counts)), 1.0)
            middle = (start + end) / 2
            gone = lost == "all" or (now is not None and (middle > now if lost == "over" else middle < now))
            width = max(x(end) - x(start) - 0.8, 1.0)
            parts.append(
                f'<rect class="{"solid" if gone else "pale"}" x="{x(start):.1f}" y="{bottom - tall:.1f}"'
                f' width="{width:.1f}" height="{tall:.1f}"><title>{start:.3g} to {end:.3g}: {count:,}</title></rect>'
            )
    parts.append(f'<line class="grid" x1="{edge}" x2="{edge + wide}" y1="{bottom}" y2="{bottom}"/>')
    for value in (low, (low + top) / 2, top):
        parts.append(f'<text class="tick" x="{x(value):.1f}" y="{bottom + 15}">{_tick(value)}</text>')
    if now is not None:
        at = x(min(max(now, low), top))
        parts.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="16" y2="{bottom + 3}"/>')
        words = f"threshold {_tick(now)}" + (", further out" if far else "")
        parts.append(f'<text class="tick {_side(at, edge, wide)}" x="{at:.1f}" y="11">{words}</text>')
    return "".join([*parts, "</svg>"])


def lost_side(side: str) -> str:
    """The side of a threshold on which documents are dropped, of the sides that a profile names."""
    return "under" if side in ("under", "not over") else "over"


def near(value: float, low: float, high: float) -> bool:
    """Whether a value can be drawn on the axis of a histogram without squeezing all others together."""
    return low - 2 * (high - low) <= value <= high + 2 * (high - low)


def _side(at: float, edge: float, wide: float) -> str:
    return "start" if at < edge + 45 else "end" if at > edge + wide - 45 else ""


def _tick(value: float) -> str:
    """A number in a few characters: 0.153, 4,372, 12.8M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _open(width: float, height: float, title: str) -> str:
    return (
        f'<svg class="curves" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title>"
    )
