"""The page of a comparison: the decision, what the models store with each corpus, what was measured and its limits."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from curate.places.store import write_atomically
from recipes.app.measure.asked import ALONE
from recipes.app.measure.carried import by_facts
from recipes.app.measure.judged import ANSWERS
from recipes.app.measure.statistics import ArmResults, log_times
from recipes.app.measure.verdict import times
from recipes.app.report.charts import Bar, Range, bars, ranges
from recipes.app.report.learned import TOGETHER
from recipes.app.report.pictures import Layer, picture
from recipes.app.report.rendering import rendered, visible
from recipes.app.report.sweep import halves, shares


def write_page(comparison: dict[str, Any], folder: Path) -> Path:
    """Write the page of what `recipes.app.measure.compare.run_comparison` returns; returns where it is."""
    path = folder / "report.html"
    write_atomically(path, comparison_page(comparison).encode())
    return path


def comparison_page(comparison: dict[str, Any]) -> str:
    """The HTML of what `recipes.app.measure.verdict.report` returns. Names of corpora are escaped."""
    values: dict[str, Any] = {}
    if comparison["reading"]:
        values = {
            "extremes": _extremes(comparison["reading"]),
            "text_decision": _decided_by_text(comparison["reading"]),
        }
    if "rung" in comparison:
        values |= _facts(comparison) | {"carried": by_facts(comparison["load"])}
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
        "decision": Markup(_decided_by_facts(comparison, arms)),
        "pictures": [Markup(one) for one in _by_rung(list(arms.values()))],
        "controls": Markup(_control(comparison)),
        "ladder": rungs,
        "shares": shares({arm.name: arm for arm in arms.values()}),
        "repeats": {one["arm"]: one["repeats"] for one in comparison["rungs"]},  # of the last rung
        "ordered": Markup(_ordered(comparison)),
        "corpus_of": {one["name"]: one for one in comparison["corpora"]},
        "answers": {one["arm"]: one for one in comparison["judged"]},
    }


def _decided_by_text(reading: dict[str, Any]) -> str:
    """Each arm against what it is judged by, in bits a byte: the mean and its interval."""
    from markupsafe import Markup

    rows = []
    for one in reading["differences"]:
        words = f"{one['mean']:+.4f}, {ANSWERS[one['answer']]}"
        label = f"{one['arm']} against {one['against']}, {one['part']}"
        rows.append(Range(visible(label, 140), one["mean"], one["low"], one["high"], words))
    margin = reading["margin"][1]
    return Markup(ranges(rows, "bits a byte more than what each is judged by", 0.0, "as good", (-margin, margin)))


def _decided_by_facts(comparison: dict[str, Any], arms: dict[str, ArmResults]) -> str:
    """Each arm's exposures to half of the facts as a multiple of those of what it is judged by: the mean, its interval,
    a dot for each seed whose ladder brackets both halves."""
    rows = []
    for one in comparison["judged"]:
        mean, low, high = (math.exp(min(one[name], 700)) for name in ("mean", "low", "high"))
        dots = [math.exp(value) for value in log_times(arms[one["arm"]], arms[one["against"]])]
        words = f"{times(one)}, {ANSWERS[one['answer']]}"
        rows.append(Range(visible(f"{one['arm']} against {one['against']}", 140), mean, low, high, words, dots))
    low, high = comparison["margin"]
    return ranges(rows, "times the exposures of what each is judged by", 1.0, "as good", (low, high), log=True)


def _by_rung(arms: list[ArmResults]) -> list[str]:
    """The share of the facts stored over the rungs: the mean of each arm and a dot for each seed."""
    pictures = []
    for start in range(0, len(arms), TOGETHER):
        layers = []
        for number, arm in enumerate(arms[start : start + TOGETHER], 1):
            name = visible(arm.name, 80)
            points = [(rung, list(arm.stored[rung].values())) for rung in sorted(arm.stored)]
            means = [statistics.fmean(values) for _, values in points]
            layers.append(Layer("series", [rung for rung, _ in points], means, title=name, series=number))
            dots = [(rung, value) for rung, values in points for value in values]
            layers.append(Layer("dots", [x for x, _ in dots], [y for _, y in dots], title=name, series=number))
        title = "share of the facts stored by rung"
        pictures.append(picture(layers, title, "rung: exposures of each fact", "share", bounds=(0.0, 1.0)))
    return pictures


def _control(comparison: dict[str, Any]) -> str:
    """What look-alike junk stores beside the first corpus, at as many tokens: a dot for each seed."""
    control = comparison["control"]
    if not control:
        return ""
    rows = []
    for name, stored in ((comparison["first"], control["first"]), ("look-alike junk", control["stored"])):
        values = list(stored.values())
        if values:
            mean = statistics.fmean(values)
            rows.append(Bar(visible(name, 80), mean, f"{mean:.1%}", dots=values, muted=name != comparison["first"]))
    return bars(rows, f"share of the facts stored at rung {control['rung']}", 1.0, "all facts")


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
