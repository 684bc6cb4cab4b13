"""Parts of the page of a probe that say what models answer: exceptions to a majority, with retrieval, in questions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from recipes.app.measure.u_shape import ERRORS, USize, u_sizes
from recipes.app.report.pictures import Layer, picture
from recipes.app.report.rendering import part

Results = Sequence[dict[str, Any]]


def exceptions(results: Results) -> str:
    """Accuracy on exceptions to a majority over exposures, by size, and the same runs in three readings."""
    from markupsafe import Markup

    sizes = u_sizes(results)
    if not sizes:
        return ""
    chance = sizes[0].chance
    layers = [_exceptions(one, number) for number, one in enumerate(sizes[:6], 1)]
    low = [one.points[0].exposures for one in sizes]
    high = [one.points[-1].exposures for one in sizes]
    for level in (chance, chance - ERRORS * sizes[0].error):
        layers.append(Layer("curve2", [min(low), max(high)], [level] * 2, title=f"{level:.3f}"))
    told = Markup(
        picture(layers, "accuracy on exceptions by exposures", "exposures", "right answers", bounds=(0.0, 1.0))
    )
    readings = [(one, Markup(_readings(one))) for one in sizes]
    counts = sorted({point.exposures for one in sizes for point in one.points})
    by_count = {one.parameters: {point.exposures: point for point in one.points} for one in sizes}
    return part(
        "probe-exceptions.html", sizes=sizes, picture=told, readings=readings, counts=counts, by_count=by_count,
        chance=chance, below=chance - ERRORS * sizes[0].error,
    )  # fmt: skip


def _exceptions(one: USize, number: int) -> Layer:
    across = [point.exposures for point in one.points]
    return Layer("series", across, [point.exceptions for point in one.points], title=_size(one), series=number)


def _size(one: USize) -> str:
    return f"{one.parameters:,} parameters"


def _readings(one: USize) -> str:
    across = [point.exposures for point in one.points]
    columns = {
        "share of value bits": [point.bits for point in one.points],
        "probability of the right value": [point.probability for point in one.points],
        "right answers": [point.exceptions for point in one.points],
    }
    layers = [
        Layer("series", across, values, title=title, series=number)
        for number, (title, values) in enumerate(columns.items(), 1)
    ]
    return picture(layers, f"three readings of {_size(one)}", "exposures", "share", bounds=(0.0, 1.0))


def retrieved(results: Results) -> str:
    """Bits of values by how often facts were seen: of models alone, with a store of their training texts, and with one
    without the person's own texts."""
    from markupsafe import Markup

    arms: dict[str, list[list[dict[str, Any]]]] = {}
    for row in results:
        found = (row.get("evaluations") or {}).get("retrieval")
        if found and not row.get("error"):
            arms.setdefault(f"{row['arm']}, {row['parameters']:,} parameters", []).append(found["groups"])
    pictures = []
    for arm, seeds in arms.items():
        rows = _by_exposures(seeds)
        layers = []
        for number, (name, title) in enumerate(READINGS.items(), 1):
            across = [row["exposures"] for row in rows]
            layers.append(Layer("series", across, [row[name] for row in rows], title=title, series=number))
            spots = [(group["exposures"], _bits_of(group, name)) for groups in seeds for group in groups]
            layers.append(
                Layer("dots", [one for one, _ in spots], [bits for _, bits in spots], title=title, series=number)
            )
        words = f"bits of a person's values by exposures, {arm}"
        pictures.append((arm, Markup(picture(layers, words, "exposures", "bits a person")), rows))
    return part("probe-retrieval.html", pictures=pictures) if pictures else ""


READINGS = {
    "model": "the model alone",
    "near": "with its training texts",
    "others": "with those of other people only",
}


def _bits_of(group: dict[str, Any], name: str) -> float:
    return float(group[name]["bits"])


def _by_exposures(seeds: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Means over seeds of each group of people."""
    rows = []
    for groups in zip(*seeds, strict=True):
        row: dict[str, Any] = {name: statistics.fmean(_bits_of(one, name) for one in groups) for name in READINGS}
        row["gain"] = statistics.fmean(one["near"]["gain"][0] for one in groups)
        row["error"] = statistics.fmean(one["near"]["gain"][1] for one in groups)
        rows.append(row | {"exposures": groups[0]["exposures"], "chosen": groups[0]["near"]["chosen"]})
    return rows


def questioned(results: Results) -> str:
    """By arm and exposures, what is stored and what can be asked for of people who were never asked about, in training
    or in tuning."""
    rows: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in results:
        found = (row.get("evaluations") or {}).get("questions")
        if found and not row.get("error"):
            rows.setdefault((row["arm"], row["exposures"]), []).append(found)
    if not rows:
        return ""
    kinds = sorted({kind for seeds in rows.values() for one in seeds for kind in one.get("tuned", {})})
    table = []
    for (arm, exposures), seeds in rows.items():
        line = {"arm": arm, "exposures": exposures, "seeds": len(seeds)}
        line |= {name: _shares([one[name] for one in seeds]) for name in ("stored", "shown", "asked")}
        line["tuned"] = [_shares([one["tuned"][kind]["asked"] for one in seeds if "tuned" in one]) for kind in kinds]
        table.append(line)
    chance = statistics.fmean(one["chance"] for seeds in rows.values() for one in seeds)
    return part("probe-questions.html", rows=table, kinds=kinds, chance=chance)


def _shares(values: Sequence[float]) -> str:
    """The mean over seeds, and the seeds' own."""
    if len(values) < 2:
        return f"{values[0]:.3f}" if values else ""
    return f"{statistics.fmean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"
