"""The page of a probe's results: exposures to half of the facts, what each arm stores, purity of a tag."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.places.store import write_atomically
from recipes.app.measure.statistics import ArmResults, arms_of, multiplier, multiplier_words
from recipes.app.report.charts import Bar, bars
from recipes.app.report.rendering import rendered


def write_page(name: str, results: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write the page of what `recipes.app.measure.probe.run_probe` returns; returns where it is."""
    path = folder / "report.html"
    write_atomically(path, sweep_page(name, results).encode())
    return path


def sweep_page(name: str, results: Sequence[dict[str, Any]]) -> str:
    """The HTML of a probe's results. Arms are compared with the first one; failed runs are listed."""
    from markupsafe import Markup

    arms = arms_of(results)
    ladder = sorted({count for arm in arms.values() for count in arm.stored})
    first = next(iter(arms.values()), None)
    rows = [
        {"arm": arm.name, "half": str(arm.mean_half()), "times": multiplier_words(multiplier(arm, first)),
         "rate": arm.rate, "seeds": len(arm.seeds)}
        for arm in arms.values() if first is not None
    ]  # fmt: skip
    return rendered(
        "sweep.html",
        {},
        name=name,
        rows=rows,
        half=Markup(halves(arms, "exposures at which half of the facts are stored") if len(ladder) > 1 else ""),
        charts=[
            (count, Markup(_stored(arms, count)))
            for count in ladder
            if all(count in arm.stored for arm in arms.values())
        ],
        ladder=ladder,
        shares=shares(arms),
        purity=Markup(_purity(arms)),
        watched=[row for row in results if row.get("guarded") or row.get("stopped")],
        failed=[row for row in results if row.get("error")],
        parameters=sorted({row["parameters"] for row in results if row.get("parameters")}),
        people=sorted({row["people"] for row in results}),
    )


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


def _stored(arms: dict[str, ArmResults], count: int) -> str:
    rows = []
    for arm in arms.values():
        if values := list(arm.stored.get(count, {}).values()):
            mean = statistics.fmean(values)
            rows.append(Bar(arm.name, mean, f"{mean:.1%}", dots=values if len(values) > 1 else ()))
    return bars(rows, f"share of the facts stored at {count} exposures", 1.0, "all facts")


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
