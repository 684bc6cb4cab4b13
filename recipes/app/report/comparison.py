"""The page of a comparison: the decision, what the models store with each corpus, what was measured and its limits."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from curate.places.store import write_atomically
from recipes.app.measure.asked import AGAIN, CONTROL
from recipes.app.measure.statistics import ArmResults, multiplier_words
from recipes.app.report.charts import Bar, bars
from recipes.app.report.rendering import rendered
from recipes.app.report.sweep import halves, shares


def write_page(comparison: dict[str, Any], folder: Path) -> Path:
    """Write the page of what `recipes.app.measure.compare.run_comparison` returns; returns where it is."""
    path = folder / "report.html"
    write_atomically(path, comparison_page(comparison).encode())
    return path


def comparison_page(comparison: dict[str, Any]) -> str:
    """The HTML of what `recipes.app.measure.verdict.report` returns. Names of corpora are escaped."""
    from markupsafe import Markup

    arms = {name: ArmResults(_label(name, comparison), stored) for name, stored in comparison["stored"].items()}
    rungs = sorted({rung for arm in arms.values() for rung in arm.stored})
    return rendered(
        "comparison.html",
        {"times": multiplier_words, "domains": domains_in_words},
        comparison=comparison,
        # The control is trained at one rung, so it has no half.
        half=Markup(
            halves(
                {arm.name: arm for name, arm in arms.items() if name != CONTROL},
                "rung at which half of the facts are stored: less is better",
                "",
            )
        ),
        chart=Markup(_chart(comparison, comparison["rung"])),
        ladder=rungs,
        shares=shares({arm.name: arm for arm in arms.values()}),
        repeats={one["arm"]: one["repeats"] for one in comparison["rungs"]},  # of the last rung
        ordered=Markup(_ordered(comparison)),
        effects=_effects(comparison),
        corpus_of={one["name"]: one["corpus"] for one in comparison["corpora"]},
    )


def domains_in_words(one: dict[str, Any]) -> str:
    """How an arm renders domains, in words."""
    if one["domain"] == "none":
        return "none"
    shares = [
        f"{one[key]:.0%} {words}" for key, words in (("bare", "bare"), ("cool_down", "bare at the end")) if one[key]
    ]
    silent = [] if one["tag_loss"] else ["no loss on them"]
    absent = ["absent at test"] if one["tag_at_test"] is False else []
    return ", ".join([one["domain"], *shares, *silent, *absent])


def _effects(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Differences in words, the best arm first."""
    rows = []
    for one in comparison["differences"]:
        times = one["kind"] == "times"
        mean, *ends = one["effect"]["mean"], one["low"], one["high"]
        words = [f"{math.exp(x):.2f} times" if times else f"{x:+.3f}" for x in (mean, *ends) if math.isfinite(x)]
        interval = f"{words[1]} to {words[2]}" if len(words) == 3 else "one seed"
        what = "rung of half of the facts" if times else f"share stored at rung {one['rung']}"
        rows.append((mean if times else -mean, {**one, "what": what, "effect": words[0], "interval": interval}))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


def _ordered(comparison: dict[str, Any]) -> str:
    """What every arm stores at the rung where all began, the most first, and the size of its corpus."""
    base = comparison["corpora"][0]["tokens"]
    rows = []
    for one in comparison["corpora"]:
        values = list(comparison["stored"][one["name"]][comparison["rung"]].values())
        mean = statistics.fmean(values)
        rows.append(Bar(one["name"], mean, f"{mean:.1%}, {one['tokens'] / base:.0%} of the tokens", dots=values))
    rows.sort(key=lambda row: -row.value)
    return bars(rows, f"share of the facts stored at rung {comparison['rung']}, in order", 1.0, "all facts")


def _chart(comparison: dict[str, Any], rung: int) -> str:
    """What each arm stores at a rung: the mean, and a dot for each seed."""
    rows = []
    for name, by_rung in comparison["stored"].items():
        by_seed = by_rung.get(rung)
        if by_seed:
            values = list(by_seed.values())
            mean = statistics.fmean(values)
            rows.append(Bar(_label(name, comparison), mean, f"{mean:.1%}", dots=values, muted=name in (AGAIN, CONTROL)))
    return bars(rows, f"share of the facts stored at rung {rung}", 1.0, "all facts")


def _label(name: str, comparison: dict[str, Any]) -> str:
    first = comparison["corpora"][0]["name"]
    return {AGAIN: f"{first}, another shuffle", CONTROL: "control: 7/8 endless junk"}.get(name, name)
