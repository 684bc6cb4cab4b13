"""Parts of the page of a probe that say what its models learned: by arm, by exposures, by attribute, after rounding.

A part is a function of a probe's results that returns its HTML (`recipes.app.report.rendering.part`), or "" where the
results hold nothing for it. `recipes.app.report.sweep.PARTS` names all of them, in their order on the page.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from recipes.app.measure.statistics import ArmResults, arms_of, interval
from recipes.app.report.charts import Bar, bars
from recipes.app.report.pictures import Layer, picture
from recipes.app.report.rendering import part, visible

TITLE = "value bits per parameter by exposures"
TOGETHER = 6
"""Arms of one picture: as many as there are colours."""

Results = Sequence[dict[str, Any]]


def bits(row: Mapping[str, Any]) -> float:
    """The value bits per parameter of a run; a model that guesses worse than chance counts as 0."""
    return max(0.0, float(row["value_bits_per_parameter"]))


def bar_of(label: str, values: Sequence[float], words: str) -> Bar:
    """The mean of values as a bar, with each as a dot and the interval of the mean where there are several."""
    one = interval(values)
    bounds = (max(one.low, 0.0), one.high) if one.count > 1 else None
    return Bar(label, one.mean, words, dots=values if one.count > 1 else (), interval=bounds)


def in_words(values: Sequence[float], form: str = "{:.4f}") -> str:
    """A mean with the half-width of its interval."""
    one = interval(values)
    return form.format(one.mean) + (f" ± {form.format(one.half_width)}" if one.count > 1 else "")


def by_arm(results: Results) -> str:
    """Value bits per parameter of each arm, at each number of exposures that all arms were trained at."""
    from markupsafe import Markup

    arms = arms_of(results)
    ladder = sorted({row["exposures"] for arm in arms.values() for row in arm.runs})
    everywhere = [count for count in ladder if all(count in arm.stored for arm in arms.values())]
    charts = []
    for count in everywhere or ladder[-1:]:
        rows = []
        for arm in arms.values():
            runs = [row for row in arm.runs if row["exposures"] == count]
            if runs:
                values = [bits(row) for row in runs]
                share = statistics.fmean(arm.stored[count].values())
                rows.append(bar_of(visible(arm.name, 80), values, f"{in_words(values)}, {share:.1%}"))
        most = {row.get("max_value_bits_per_parameter") for arm in arms.values() for row in arm.runs}
        limit = most.pop() if len(most) == 1 else None
        title = f"value bits per parameter at {count} exposures"
        charts.append((count, Markup(bars(rows, title, limit, "all values known"))))
    return part("probe-arms.html", charts=charts, several=_several(arms)) if charts else ""


def by_exposures(results: Results) -> str:
    """Value bits per parameter over exposures: the mean of each arm, its interval, a dot for each seed."""
    from markupsafe import Markup

    # On a logarithmic scale a model that saw no fact has no place.
    arms = [arm for arm in arms_of(results).values() if len(arm.stored) > 1 and min(arm.stored) > 0]
    pictures = []
    for start in range(0, len(arms), TOGETHER):
        some = arms[start : start + TOGETHER]
        layers = [layer for number, arm in enumerate(some, 1) for layer in _curve(arm, number)]
        pictures.append(
            Markup(
                picture(
                    layers,
                    TITLE,
                    "exposures",
                    "bits / parameter",
                    bounds=(0.0, 1.04 * max(max(one.y) for one in layers)),
                )
            )
        )
    return part("probe-exposures.html", pictures=pictures, several=_several({a.name: a for a in arms})) if arms else ""


def _curve(arm: ArmResults, number: int) -> list[Layer]:
    by_count: dict[int, list[float]] = {}
    for row in sorted(arm.runs, key=lambda row: row["exposures"]):
        by_count.setdefault(row["exposures"], []).append(bits(row))
    counts, name = list(by_count), visible(arm.name, 80)
    means = [interval(values) for values in by_count.values()]
    layers = []
    if wide := [(count, one) for count, one in zip(counts, means, strict=True) if math.isfinite(one.half_width)]:
        lows, highs = [max(one.low, 0.0) for _, one in wide], [one.high for _, one in wide]
        layers.append(Layer("band", [count for count, _ in wide], lows, highs, f"{name}: 95 % interval", number))
    layers.append(Layer("series", counts, [one.mean for one in means], title=name, series=number))
    dots = [(count, value) for count, values in by_count.items() if len(values) > 1 for value in values]
    if dots:
        layers.append(Layer("dots", [one for one, _ in dots], [one for _, one in dots], title=name, series=number))
    return layers


def by_attribute(results: Results) -> str:
    """The share of each attribute's bits that each arm stores, at the most exposures that it was trained at."""
    from markupsafe import Markup

    charts = []
    for arm in list(arms_of(results).values())[:24]:
        most = max(arm.stored)
        runs = [row for row in arm.runs if row["exposures"] == most and row.get("attributes")]
        shares: dict[str, list[float]] = {}
        for row in runs:
            for one in row["attributes"]:
                if one["most"] > 0:
                    shares.setdefault(one["name"], []).append(max(one["bits"], 0.0) / one["most"])
        if shares:
            rows = [bar_of(visible(name, 60), values, in_words(values, "{:.1%}")) for name, values in shares.items()]
            title = f"share of each attribute's bits that {arm.name} stores at {most} exposures"
            charts.append((arm.name, most, Markup(bars(rows, title, 1.0, "all"))))
    return part("probe-attributes.html", charts=charts) if charts else ""


def rounded(results: Results) -> str:
    """What is left of each arm's bits when its weights are rounded, at the most exposures that it was trained at."""
    rows = []
    widths: dict[str, None] = {}
    for arm in arms_of(results).values():
        runs = [row for row in arm.runs if row["exposures"] == max(arm.stored) and row.get("quantized")]
        by_width: dict[str, list[float]] = {}
        for row in runs:
            for width, figures in row["quantized"].items():
                by_width.setdefault(width, []).append(max(0.0, figures["value_bits_per_parameter"]))
        if by_width:
            widths |= dict.fromkeys(by_width)
            whole = [bits(row) for row in runs]
            rows.append((arm.name, in_words(whole), {width: in_words(values) for width, values in by_width.items()}))
    ordered = sorted(widths, key=lambda width: -float(width))
    return part("probe-rounded.html", rows=rows, widths=ordered) if rows else ""


def _several(arms: dict[str, ArmResults]) -> bool:
    return any(len(by_seed) > 1 for arm in arms.values() for by_seed in arm.stored.values())
