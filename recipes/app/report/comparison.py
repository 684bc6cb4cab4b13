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
    values: dict[str, Any] = {"extremes": _extremes(comparison["reading"])} if comparison["reading"] else {}
    if "rung" in comparison:
        values |= _facts(comparison)
    filters = {"times": multiplier_words, "domains": domains_in_words}
    return rendered("comparison.html", filters, comparison=comparison, **values)


SHOWN = 10
"""Pages and domains of the text reading that are named, of the best and of the worst."""


def _extremes(reading: dict[str, Any]) -> dict[str, Any]:
    """For each arm the pages that it teaches better and those that it teaches worse, most first, and domains with
    several pages."""
    shown = {}
    against = {arm["name"]: arm["against"] for arm in reading["arms"]}
    given = {text["name"] for text in reading["texts"] if text["given"]}
    for name, found in reading["pages"].items():
        better = [page for page in found["pages"] if page["difference"] < 0][:SHOWN]
        worse = [page for page in found["pages"] if page["difference"] > 0][-SHOWN:]
        domains = [one for one in found["domains"] if one["pages"] > 1]
        if len(domains) > 2 * SHOWN:
            domains = domains[:SHOWN] + domains[-SHOWN:]
        shown[name] = {
            "text": found["text"], "given": found["text"] in given, "against": against[name],
            "better": better, "worse": worse, "domains": domains,
        }  # fmt: skip
    return shown


def _facts(comparison: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of the facts."""
    from markupsafe import Markup

    arms = {name: ArmResults(_label(name, comparison), stored) for name, stored in comparison["stored"].items()}
    rungs = sorted({rung for arm in arms.values() for rung in arm.stored})
    return {
        # The control is trained at one rung, so it has no half.
        "half": Markup(
            halves(
                {arm.name: arm for name, arm in arms.items() if name != CONTROL},
                "rung at which half of the facts are stored: less is better",
                "",
            )
        ),
        "chart": Markup(_chart(comparison, comparison["rung"])),
        "ladder": rungs,
        "shares": shares({arm.name: arm for arm in arms.values()}),
        "repeats": {one["arm"]: one["repeats"] for one in comparison["rungs"]},  # of the last rung
        "ordered": Markup(_ordered(comparison)),
        "effects": _effects(comparison),
        "corpus_of": {one["name"]: one["corpus"] for one in comparison["corpora"]},
    }


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
