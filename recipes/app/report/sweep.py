"""The page of a probe's results: exposures to half of the facts, what each arm stores, purity of a tag."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.places.store import write_atomically
from recipes.app.measure.carried import by_loads
from recipes.app.measure.statistics import ArmResults, arms_of, multiplier, multiplier_words
from recipes.app.report.asked import exceptions, questioned, retrieved
from recipes.app.report.charts import Bar, bars
from recipes.app.report.learned import bits, by_arm, by_attribute, by_exposures, in_words, rounded
from recipes.app.report.memory import PARTS as MEMORY
from recipes.app.report.rendering import junk_share, rendered


def write_page(name: str, results: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write the page of what `recipes.app.measure.probe.run_probe` returns; returns where it is."""
    path = folder / "report.html"
    write_atomically(path, sweep_page(name, results).encode())
    return path


PARTS: Sequence[Callable[[Sequence[dict[str, Any]]], str]] = (
    *(by_arm, by_exposures, by_attribute, rounded),
    *(exceptions, retrieved, questioned),
    *MEMORY,
)
"""The parts of the page that a measure has of its own, in their order: each makes its HTML of a probe's results, or
""."""


ABSENT = {"learning_rate": None, "tag_leak": 0.0, "tag_at_test": False}
"""Settings that earlier versions did not write into results."""


def sweep_page(name: str, results: Sequence[dict[str, Any]]) -> str:
    """The HTML of a probe's results. Arms are compared with the first one; failed runs are listed."""
    from markupsafe import Markup

    results = [ABSENT | row for row in results]
    arms = arms_of(results)
    ladder = sorted({count for arm in arms.values() for count in arm.stored})
    first = next(iter(arms.values()), None)
    runs = [row for row in results if not row.get("error")]
    return rendered(
        "sweep.html",
        {},
        name=name,
        rows=[_row(arm, first) for arm in arms.values() if first is not None],
        half=Markup(halves(arms, "exposures at which half of the facts are stored") if len(ladder) > 1 else ""),
        parts=[html for make in PARTS if (html := make(results))],
        ladder=ladder,
        shares=shares(arms),
        purity=Markup(_purity(arms)),
        runs=runs,
        watched=[row for row in results if row.get("guarded") or row.get("stopped")],
        failed=[row for row in results if row.get("error")],
        reading=[
            *_reading(arms, len(ladder) > 1),
            *by_loads(runs),
        ],
        tiles=_tiles(arms, runs),
        parameters=[f"{size:,}" for size in sorted({row["parameters"] for row in results if row.get("parameters")})],
        people=[f"{many:,}" for many in sorted({row["people"] for row in results if row.get("people")})],
    )


def _row(arm: ArmResults, first: ArmResults) -> dict[str, Any]:
    run, most = arm.runs[0], max(arm.stored)
    values = [bits(row) for row in arm.runs if row["exposures"] == most]
    base = [bits(row) for row in first.runs if row["exposures"] == most]
    junk = f"{junk_share(run['junk_ratio'])} {run['junk_kind']}" if run["junk_ratio"] else "none"
    return {
        "arm": arm.name,
        "junk": junk,
        "tag": {"useful": "on the facts", "junk": "on the junk"}.get(run["tag"], run["tag"]),
        "half": str(arm.mean_half()),
        "times": multiplier_words(multiplier(arm, first)),
        "bits": in_words(values),
        "stored": f"{statistics.fmean(arm.stored[most].values()):.1%}",
        "share": f"{statistics.fmean(values) / statistics.fmean(base):.0%}" if base and sum(base) else "–",
        "rate": arm.rate,
        "seeds": len(arm.seeds),
    }


def _reading(arms: Mapping[str, ArmResults], ladder: bool) -> list[str]:
    """What the figures say, in a sentence: the arm that comes nearest to the first, and the one that is furthest."""
    if len(arms) < 2:
        return []
    first, *others = arms.values()
    if ladder:
        times = [(arm, made.value) for arm in others if (made := multiplier(arm, first)).value is not None]
        if not times:
            return []
        (best, least), (worst, most) = min(times, key=lambda one: one[1]), max(times, key=lambda one: one[1])
        said = f"“{best.name}” needs {least:.2g} times the exposures of “{first.name}” for half of the facts"
        return [f"{said}, “{worst.name}” {most:.2g} times." if worst is not best else f"{said}."]
    share = {arm.name: _row(arm, first)["share"] for arm in others}
    listed = ", ".join(f"“{name}” {words}" for name, words in list(share.items())[:6])
    return [f"Of the value bits that “{first.name}” stores: {listed}."]


def _tiles(arms: Mapping[str, ArmResults], runs: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    if not runs:
        return []
    best = max(runs, key=bits)
    seeds = len({row["seed"] for row in runs})
    sizes, most = sorted({row["parameters"] for row in runs}), best.get("max_value_bits_per_parameter")
    many = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    return [
        ("most value bits / parameter", f"{bits(best):.4f}", f"of {most:.4f} possible" if most else ""),
        ("arms", f"{len(arms)}", f"{len(runs):,} runs, {seeds} seed{'s' * (seeds != 1)}"),
        ("parameters", many, f"{max(row['people'] for row in runs):,} people"),
        ("trained", f"{sum(row['tokens'] for row in runs):,}", f"tokens, {sum(row['seconds'] for row in runs):,.0f} s"),
    ]


def halves(arms: Mapping[str, ArmResults], title: str, unit: str = "exposures") -> str:
    """Exposures to half of the facts of each arm: the mean over seeds, and a dot for each seed that the ladder
    brackets."""
    rows = []
    for name, arm in arms.items():
        half = arm.mean_half()
        dots = [one.exposures for one in map(arm.half, arm.seeds) if one.sense == "="]
        rows.append(Bar(name, half.exposures, f"{half} {unit}", dots=dots, muted=half.sense != "="))
    return bars(rows, title)


def shares(arms: Mapping[str, ArmResults]) -> list[tuple[str, dict[int, float]]]:
    """The mean share of the facts that each arm stores, by rung."""
    return [
        (name, {rung: statistics.fmean(by_seed.values()) for rung, by_seed in arm.stored.items()})
        for name, arm in arms.items()
    ]


def _purity(arms: dict[str, ArmResults]) -> str:
    """Exposures to half of the facts by the purity of the facts' domain token, where junk of an arm carries it too."""
    tagged = [arm for arm in arms.values() if arm.runs[0]["tag"] in ("useful", "both") and arm.runs[0]["tag_at_test"]]
    if not any(arm.runs[0]["tag_leak"] for arm in tagged):
        return ""
    mixtures = {_mixture(arm) for arm in tagged if arm.runs[0]["tag_leak"]}
    alike = [arm for arm in tagged if _mixture(arm) in mixtures]
    rows = []
    for arm in sorted(alike, key=lambda arm: -purity(arm.runs[0])):
        half = arm.mean_half()
        label = f"{purity(arm.runs[0]):.0%} of its tokens are facts"
        rows.append(Bar(label, half.exposures, f"{half} exposures", muted=half.sense != "="))
    return bars(rows, "exposures to half of the facts, by the purity of their token")


def _mixture(arm: ArmResults) -> tuple[str, float]:
    return arm.runs[0]["junk_kind"], round(arm.runs[0]["junk_ratio"], 3)


def purity(run: Any) -> float:
    """The share of facts among the tokens of texts that carry the facts' domain token."""
    ratio, leak = run["junk_ratio"], run["tag_leak"]
    return (1 - ratio) / (1 - ratio + ratio * leak)
