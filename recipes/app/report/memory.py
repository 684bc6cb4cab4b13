"""Parts of a probe's page about what its checkpoints hold: memorisation by checkpoint and chunk, what foretells what,
counterfactual memorisation, calibration. Each makes its HTML of a probe's results, or "" where there is nothing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from recipes.app.measure.memory import checkpoints, evaluations
from recipes.app.report.rendering import part

Results = Sequence[dict[str, Any]]
CELL, SIDE, TOP = 46, 70, 34
DIAGRAM, EDGE = 260, 40


def memorisation(results: Results) -> str:
    """Token match by checkpoint and chunk, the distribution of scores, and what early checkpoints foretell, of each arm
    at each number of exposures; means over seeds. Arms of random halves are told as one, by `counterfactual`."""
    from markupsafe import Markup

    arms: list[dict[str, Any]] = []
    for (arm, exposures), rows in _by_arm(results, "memorisation").items():
        if rows[0].get("halves"):
            continue
        counts = checkpoints(rows[0])
        told = [[one["chunks"] for _, one in evaluations(row, "memorisation")] for row in rows]
        match = _mean(told, "token_match")
        bits = _mean(told, "loss_bits")
        alike = all(abs(value - line[0]) < 1e-9 for line in match for value in line)
        pictures = []
        if not alike:
            pictures = [
                Markup(heat_map(match, counts, f"{arm}: token match", "{:.2f}", 1.0)),
                Markup(heat_map(bits, counts, f"{arm}: loss in bits", "{:.0f}", max(map(max, bits)), dark_is_low=True)),
            ]
        courses = [row["evaluations"]["memorisation"].get("course") for row in rows]
        arms.append(
            {
                "arm": arm,
                "exposures": exposures,
                "pictures": pictures,
                "rows": _by_checkpoint(rows, counts),
                "correlation": _correlations(courses, counts),
                "counts": counts,
            }
        )
    if not arms:
        return ""
    of_one: dict[str, Any] = next(row for row in results if "memorisation" in (row.get("evaluations") or {}))
    asked = of_one["evaluations"]["memorisation"]
    html = part("memory.html", {}, arms=arms, prompt=asked["prompt"], continuation=asked["continuation"])
    return Markup(html)


def counterfactual(results: Results) -> str:
    """What models know of people because they were shown them, by exposures; and of people whom none was shown."""
    from markupsafe import Markup

    told: dict[int, list[list[dict[str, Any]]]] = {}
    for row in results:
        if row.get("half") == 0 and "counterfactual" in (row.get("evaluations") or {}):
            told.setdefault(row["exposures"], []).append(row["evaluations"]["counterfactual"])
    if not told:
        return ""
    rows = []
    for most, seeds in told.items():
        for place, one in enumerate(seeds[0]):
            line: dict[str, Any] = {"of": most, "exposures": one["exposures"]}
            for who in ("shown", "nobody"):
                found = [seed[place][who] for seed in seeds if who in seed[place]]
                line[who] = _with_error(found) if found else "–"
            rows.append(line)
    return Markup(part("counterfactual.html", {}, rows=rows))


def calibration(results: Results) -> str:
    """Accuracy, confidence, ECE with its floor, and Brier score of each arm by exposures, and its reliability."""
    from markupsafe import Markup

    arms = []
    for (arm, exposures), rows in _by_arm(results, "calibration").items():
        if rows[0].get("halves"):
            continue
        lines: list[dict[str, Any]] = []
        for place, count in enumerate(checkpoints(rows[0])):
            found = [evaluations(row, "calibration")[place][1] for row in rows]
            lines.append({"exposures": count, "seen": _figures(found, "seen"), "unseen": _figures(found, "unseen")})
        middle = min(range(len(lines)), key=lambda place: abs(lines[place]["seen"]["accuracy"] - 0.5))
        shown = [evaluations(row, "calibration")[middle][1] for row in rows]
        picture = reliability(
            [one["seen"]["reliability"] for one in shown],
            [one["unseen"]["reliability"] for one in shown if one.get("unseen", {}).get("answers")],
            f"{arm}: accuracy by confidence after {lines[middle]['exposures']} exposures",
        )
        left_out = shown[0]["left_out"]
        arms.append(
            {"arm": arm, "exposures": exposures, "rows": lines, "picture": Markup(picture), "left_out": left_out}
        )
    return Markup(part("calibration.html", {}, arms=arms)) if arms else ""


PARTS: Sequence[Callable[[Results], str]] = (memorisation, counterfactual, calibration)


def _by_arm(results: Results, name: str) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Sound runs in which an evaluation was asked for, by arm, size and exposures."""
    sound = [row for row in results if not row.get("error") and name in (row.get("evaluations") or {})]
    sizes = {row["parameters"] for row in sound}
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in sound:
        arm = row["arm"] if len(sizes) == 1 else f"{row['arm']} ({row['parameters']:,} parameters)"
        groups.setdefault((arm, row["exposures"]), []).append(row)
    return groups


def _mean(told: Sequence[Sequence[Sequence[dict[str, Any]]]], key: str) -> list[list[float]]:
    """Of each checkpoint and chunk the mean over runs; nothing where a chunk holds no sequence."""
    means = []
    for at in zip(*told, strict=True):
        known = [[one[key] for one in chunk if key in one] for chunk in zip(*at, strict=True)]
        means.append([statistics.fmean(one) if one else 0.0 for one in known])
    return means


def _by_checkpoint(rows: Results, counts: Sequence[int]) -> list[dict[str, Any]]:
    lines = []
    for place, count in enumerate(counts):
        found = [evaluations(row, "memorisation")[place][1] for row in rows]
        scores = [sum(column) for column in zip(*(one["distribution"] for one in found), strict=True)]
        line: dict[str, Any] = {"exposures": count, "shares": [one / max(1, sum(scores)) for one in scores]}
        foretold = [
            one for row in rows for one in row["evaluations"]["memorisation"]["course"]["foretold"]
            if one["exposures"] == count
        ]  # fmt: skip
        for key in ("precision", "recall", "base_rate"):
            known = [one[key] for one in foretold if one[key] is not None]
            line[key] = statistics.fmean(known) if known else None
        lines.append(line)
    return lines


def _correlations(courses: Sequence[Any], counts: Sequence[int]) -> list[list[float | None]]:
    found = []
    for one in range(len(counts)):
        line = []
        for other in range(len(counts)):
            known = [course["correlation"][one][other] for course in courses if course]
            known = [value for value in known if value is not None]
            line.append(statistics.fmean(known) if known else None)
        found.append(line)
    return found


def _with_error(found: Sequence[dict[str, Any]]) -> str:
    """Bits of values: the mean over seeds of means over people, and the standard error of one seed's."""
    mean = statistics.fmean(one["value_bits"]["mean"] for one in found)
    error = statistics.fmean(one["value_bits"]["error"] or 0.0 for one in found)
    return f"{mean:.2f} ± {error:.2f}"


def _figures(found: Sequence[dict[str, Any]], who: str) -> dict[str, float] | None:
    there = [one[who] for one in found if one.get(who, {}).get("answers")]
    if not there:
        return None
    return {
        key: statistics.fmean(one[key] for one in there)
        for key, value in there[0].items()
        if isinstance(value, float | int)
    }


def heat_map(
    values: Sequence[Sequence[float]],
    checkpoints: Sequence[int],
    title: str,
    form: str,
    most: float,
    dark_is_low: bool = False,
) -> str:
    """Checkpoints (rows, by their exposures) and chunks of the training (columns): each cell's figure on its colour."""
    columns = max(map(len, values))
    width, height = SIDE + CELL * columns + 4, TOP + CELL // 2 * len(values) + 4
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
        f'<text class="tick" x="{SIDE / 2}" y="12">exposures</text>',
        f'<text class="tick" x="{SIDE + CELL * columns / 2}" y="12">chunk of the training</text>',
    ]
    for column in range(columns):
        parts.append(f'<text class="tick" x="{SIDE + CELL * (column + 0.5)}" y="{TOP - 6}">{column + 1}</text>')
    for line, (count, row) in enumerate(zip(checkpoints, values, strict=True)):
        y = TOP + CELL // 2 * line
        parts.append(f'<text class="label" x="{SIDE - 10}" y="{y + 16}">{count}</text>')
        for column, value in enumerate(row):
            share = min(1.0, max(0.0, value / most)) if most else 0.0
            share = 1 - share if dark_is_low else share
            x = SIDE + CELL * column
            parts.append(
                f'<rect class="solid" fill-opacity="{0.06 + 0.94 * share:.2f}" x="{x}" y="{y}" width="{CELL - 2}"'
                f' height="{CELL // 2 - 2}"/>'
            )
            parts.append(f'<text class="tick" x="{x + CELL / 2 - 1}" y="{y + 15}">{form.format(value)}</text>')
    return "".join([*parts, "</svg>"])


def reliability(seen: Sequence[Any], unseen: Sequence[Any], title: str) -> str:
    """Accuracy over confidence of each bin: filled dots of people seen, pale ones of people never seen; the line is a
    perfectly calibrated model."""
    size = DIAGRAM + 2 * EDGE
    parts = [
        f'<svg viewBox="0 0 {size * 2} {size}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
        f'<line class="limit" x1="{EDGE}" y1="{EDGE + DIAGRAM}" x2="{EDGE + DIAGRAM}" y2="{EDGE}"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        at = EDGE + DIAGRAM * (1 - share)
        parts.append(f'<line class="grid" x1="{EDGE}" x2="{EDGE + DIAGRAM}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="tick end" x="{EDGE - 6}" y="{at + 4}">{share:.0%}</text>')
        parts.append(f'<text class="tick" x="{size - at}" y="{EDGE + DIAGRAM + 18}">{share:.0%}</text>')
    for runs, kind in ((unseen, "muted"), (seen, "solid")):
        for bins in runs:
            for one in bins:
                x, y = EDGE + DIAGRAM * one["confidence"], EDGE + DIAGRAM * (1 - one["accuracy"])
                parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4" fill-opacity="0.75"/>')
    x = EDGE + DIAGRAM + 40
    for line, (kind, words) in enumerate((("solid", "people seen"), ("muted", "people never seen"))):
        parts.append(f'<circle class="{kind}" cx="{x}" cy="{EDGE + 24 * line}" r="5"/>')
        parts.append(f'<text x="{x + 14}" y="{EDGE + 5 + 24 * line}">{words}</text>')
    parts.append(f'<text class="tick" x="{EDGE + DIAGRAM / 2}" y="{size - 6}">confidence (up: accuracy)</text>')
    return "".join([*parts, "</svg>"])
