"""The page that a run leaves behind: one HTML file that opens offline and shows what happened to every document."""

from __future__ import annotations

import statistics
import unicodedata
import warnings
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from curate.errors import Unchecked
from curate.places.manifest import check_written
from curate.places.store import Place, write_atomically
from curate.run.folder import check_format
from recipes.app.report.charts import Bar, bars
from recipes.app.report.examples import examples_of
from recipes.app.report.remarks import in_sentences
from recipes.app.report.rendering import junk_share, rendered
from recipes.app.report.rights import rights_of
from recipes.app.report.shapes import read_results, read_summary
from recipes.app.report.whole import whole_corpus

SETTINGS = ("exposures", "learning_rate", "parameters", "people")
"""Runs that differ in one of these are neither averaged nor compared."""

DOMAINS = 30
UNREADABLE = 50


def write_report(folder: Place, probe: Path | None = None, output: Path | None = None) -> Place:
    """Write the page of a finished run, with a probe's results if its folder is given; returns where it is.

    Raises Refused where a file of the run or of the probe is missing or damaged, with the command that makes it.
    """
    check_format(folder)
    summary = read_summary(folder)
    # The report of a step lies in a folder of its name.
    if not check_written(folder, ["ledger", *(kind for kind in ("mix",) if (folder / kind).is_dir())]):
        warnings.warn(f"nobody can check the ledger in {folder}: it has no manifests", Unchecked, stacklevel=2)
    results = read_results(probe) if probe is not None else []
    page = render(summary, examples_of(folder), results, whole_corpus(folder, summary), rights_of(folder, summary))
    path: Place = output or folder / "report.html"
    write_atomically(path, page.encode())
    return path


def render(
    summary: dict[str, Any],
    examples: dict[tuple[str, str], list[dict[str, Any]]],
    results: Sequence[dict[str, Any]] = (),
    whole: dict[str, Any] | None = None,
    rights: dict[str, Any] | None = None,
) -> str:
    """The HTML; `whole` is the result of `whole_corpus`, `rights` of `rights_of`. All text of a crawl is escaped, and
    control and direction marks in it are shown by their code."""
    from markupsafe import Markup

    measured = [row for row in results if not row.get("error")]
    return rendered(
        "page.html",
        {"visible": visible, "share": share, "junk": junk_share},
        summary=summary,
        verdict=_verdict(summary),
        cost=_cost(summary),
        charts={
            "documents": Markup(funnel(summary, "documents")),
            "characters": Markup(funnel(summary, "characters")),
            "seconds": Markup(_times(summary)),
            "bits": Markup(_bits(measured)),
        },
        reasons=_reasons(summary, examples),
        callouts=_callouts(summary),
        domains=summary["domains"][:DOMAINS],
        unreadable=summary["unreadable"][:UNREADABLE],
        results=results,
        reading=_reading(measured),
        whole=whole,
        rights=rights,
    )


def visible(text: Any, limit: int = 500) -> str:
    """Text of unknown origin for a reader: cut to `limit`, with control and direction marks shown by their code."""
    shown = [
        f"\u27e8U+{ord(char):04X}\u27e9"
        if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t"
        else char
        for char in str(text)[:limit]
    ]
    return "".join(shown) + ("\u2026" if len(str(text)) > limit else "")


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "\u2013"


def _verdict(summary: dict[str, Any]) -> str:
    documents = summary["documents"]
    if not documents["input"]:
        return "The input held no documents."
    kept = documents["kept"] / documents["input"]
    worst = max(summary["steps"], key=lambda step: step["documents_dropped"], default=None)
    text = f"{documents['kept']:,} of {documents['input']:,} documents were kept ({kept:.0%})"
    if worst and worst["documents_dropped"]:
        text += f"; {worst['step']} took the most, {worst['documents_dropped']:,}"
    if documents["injected"]:
        text += f". {documents['injected']:,} documents with known facts were added"
    return text + "."


def _cost(summary: dict[str, Any]) -> str:
    """What the run took, over all its calls, and what the last one took. Earlier versions wrote down one call alone."""
    workers, calls, reused = summary["workers"], summary.get("calls", 1), summary["units"]["found_done"]
    said = f"{_speed(summary)} on {workers:,} worker{'s' * (workers != 1)}"
    if calls > 1:
        said += f", in {calls:,} calls"
    if reused:
        last = summary.get("last_call")
        said += f". The last call: {_speed(last) + '; ' if last else ''}{reused:,} units were already done"
    return said


def _speed(cost: dict[str, Any]) -> str:
    return f"{cost['seconds']:.1f} s, {cost['pages_per_second']:.1f} documents/s"


def funnel(summary: dict[str, Any], unit: str) -> str:
    """What is left of the input after each step, as a picture."""
    account = summary[unit]
    rows = [Bar("input", account["input"], f"{account['input']:,}", muted=True)]
    injected = 0
    for step in summary["steps"]:
        injected += step[f"{unit}_injected"]
        left = step[f"{unit}_out"] - injected
        lost = step[f"{unit}_in"] + step[f"{unit}_injected"] - step[f"{unit}_out"]
        words = f"{left:,}" + (f"  \u2212{lost:,}" if lost > 0 else "")
        rows.append(Bar(step["step"], left, words, whole=left + max(lost, 0)))
    return bars(rows, f"{unit} of the input that are left after each step", account["input"], "input")


def _times(summary: dict[str, Any]) -> str:
    rows = [
        Bar(step["step"], step["seconds"], f"{step['seconds']:.1f} s  ({_rate(step)})")
        for step in summary["steps"]
        if step["seconds"] >= 0.05
    ]
    return bars(rows, "seconds of work in each step, all workers together")


def _rate(step: dict[str, Any]) -> str:
    return f"{step['documents_in'] / step['seconds']:,.0f}/s"


def _reasons(summary: dict[str, Any], examples: dict[tuple[str, str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rows = []
    for step in summary["steps"]:
        for rule, counts in step["reasons"].items():
            rows.append(
                {"step": step["step"], "rule": rule, **counts, "examples": examples.get((step["step"], rule), [])}
            )
    return rows


def _callouts(summary: dict[str, Any]) -> list[str]:
    """Warnings: what stands out, and records that were lost."""
    lines = in_sentences(summary)
    if summary["loss"] > summary["max_loss"]:
        shares = summary.get("losses", {})
        what = "bytes of the input" if shares.get("bytes", 0) > shares.get("records", 1) else "records"
        lines.append(
            f"{summary['loss']:.2%} of the {what} could not be read; the recipe allows {summary['max_loss']:.2%}."
        )
    return lines


def _groups(results: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, list[dict[str, Any]]]]]:
    """Runs by settings, then by arm. Each group is named by the settings that differ; the name is empty where none
    does."""
    varied = [name for name in SETTINGS if len({row.get(name) for row in results}) > 1]
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in results:
        words = ", ".join(f"{name.replace('_', ' ')} {row.get(name)}" for name in varied)
        groups.setdefault(words, {}).setdefault(row["arm"], []).append(row)
    return list(groups.items())


def _mean(runs: Sequence[dict[str, Any]]) -> float:
    return statistics.mean(run["value_bits_per_parameter"] for run in runs)


def _bits(results: Sequence[dict[str, Any]]) -> str:
    """A chart for each setting: the mean of each arm's seeds, and a dot for each seed where there are several."""
    charts = []
    for words, arms in _groups(results):
        rows = []
        for arm, runs in arms.items():
            dots = [run["value_bits_per_parameter"] for run in runs] if len(runs) > 1 else ()
            rows.append(Bar(arm, _mean(runs), f"{_mean(runs):.4f}", dots=dots))
        possible = {run.get("max_value_bits_per_parameter") for runs in arms.values() for run in runs}
        ceiling = possible.pop() if len(possible) == 1 else None
        heading = f"<h3>{escape(words)}</h3>" if words else ""
        charts.append(heading + bars(rows, f"value bits per parameter {words}".strip(), ceiling, "all values known"))
    return "".join(charts)


def _reading(results: Sequence[dict[str, Any]]) -> list[str]:
    """The figures in sentences. Arms are compared within one setting only."""
    said = []
    for words, arms in _groups(results):
        first, base = next((arm, _mean(runs)) for arm, runs in arms.items())
        for arm, runs in list(arms.items())[1:]:
            if base > 0:
                where = f" ({words})" if words else ""
                share_held = f"{_mean(runs) / base:.0%}"
                said.append(f"\u201c{arm}\u201d holds {share_held} of the value bits of \u201c{first}\u201d{where}.")
    if results:
        seeds = len({row["seed"] for row in results})
        parameters, people = _spread(results, "parameters"), _spread(results, "people")
        said.append(
            f"Measured on models of {parameters} parameters with {people} people,"
            f" {seeds} seed{'s' * (seeds > 1)}; this is no evidence about larger models."
        )
    return said


def _spread(results: Sequence[dict[str, Any]], name: str) -> str:
    values = sorted({row[name] for row in results})
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
