"""The page of a comparison: the decision, what the models store with each corpus, what was measured and its limits."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from curate.places.store import write_atomically
from recipes.app.measure.asked import ALONE
from recipes.app.measure.judged import ANSWERS
from recipes.app.measure.statistics import ArmResults
from recipes.app.measure.verdict import times
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
    filters: dict[str, Any] = {"times": times, "domains": domains_in_words, "answer": ANSWERS.__getitem__}
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

    arms = {name: ArmResults(_label(name), stored) for name, stored in comparison["stored"].items()}
    rungs = sorted({rung for arm in arms.values() for rung in arm.stored})
    return {
        "half": Markup(
            halves(
                {arm.name: arm for arm in arms.values()},
                "rung at which half of the facts are stored: less is better",
                "",
            )
        ),
        "ladder": rungs,
        "shares": shares({arm.name: arm for arm in arms.values()}),
        "repeats": {one["arm"]: one["repeats"] for one in comparison["rungs"]},  # of the last rung
        "ordered": Markup(_ordered(comparison)),
        "corpus_of": {one["name"]: one for one in comparison["corpora"]},
        "answers": {one["arm"]: one for one in comparison["judged"]},
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


def _ordered(comparison: dict[str, Any]) -> str:
    """What every arm stores at the rung where all began, the most first, and its size."""
    size = {one["name"]: one["tokens"] for one in comparison["corpora"]}
    base, rows = comparison["corpora"][0]["tokens"], []
    for arm in comparison["arms"]:
        values = list(comparison["stored"][arm["name"]].get(comparison["rung"], {}).values())
        if values:
            mean = statistics.fmean(values)
            words = f"{mean:.1%}, {size[arm['shards']] * arm['kept'] / base:.0%} of the tokens"
            rows.append(Bar(arm["name"], mean, words, dots=values, muted=arm["against"] is None))
    rows.sort(key=lambda row: -row.value)
    return bars(rows, f"share of the facts stored at rung {comparison['rung']}, in order", 1.0, "all facts")


def _label(name: str) -> str:
    return {ALONE: "facts without any page"}.get(name, name)
