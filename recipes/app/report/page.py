"""The page that a run leaves behind: one HTML file that opens offline and shows what happened to every document."""

from __future__ import annotations

import statistics
import warnings
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from curate.errors import Unchecked
from curate.filters.language import Language
from curate.places.manifest import check_written
from curate.places.store import Place, write_atomically
from curate.run.folder import check_format
from curate.run.summary import LISTED
from recipes.app.measure.carried import by_loads
from recipes.app.recipe.profile import read_figures
from recipes.app.report.charts import Bar, bars
from recipes.app.report.documents import TEXT, Group, groups_of, within
from recipes.app.report.drops import Drops, drops_of
from recipes.app.report.funnel import funnel, tiles
from recipes.app.report.kept import Held, Kept, kept_of
from recipes.app.report.remarks import in_sentences
from recipes.app.report.rendering import LIMIT, junk_share, rendered
from recipes.app.report.rights import rights_of
from recipes.app.report.shapes import read_results, read_summary
from recipes.app.report.values import pictures_of
from recipes.app.report.whole import whole_corpus

SETTINGS = ("exposures", "learning_rate", "parameters", "people")
"""Runs that differ in one of these are neither averaged nor compared."""

UNREADABLE = 50
LANGUAGES = 60
DOCUMENTS = 6_000_000
"""Bytes of the documents on a page at most."""


def write_report(
    folder: Place, probe: Path | None = None, output: Path | None = None, profile: Place | None = None
) -> Place:
    """Write the page of a finished run, with a probe's results and the figures of a profile of the same recipe if their
    folders are given; returns where it is.

    Raises Refused where a file of the run, probe or profile is missing or damaged, with the command that makes it.
    """
    check_format(folder)
    summary = read_summary(folder)
    # The report of a step lies in a folder of its name.
    if not check_written(folder, ["ledger", *(kind for kind in ("mix",) if (folder / kind).is_dir())]):
        warnings.warn(f"nobody can check the ledger in {folder}: it has no manifests", Unchecked, stacklevel=2)
    results = read_results(probe) if probe is not None else []
    page = render(
        summary,
        drops_of(folder),
        results,
        whole_corpus(folder, summary),
        rights_of(folder, summary),
        kept_of(folder, summary),
        read_figures(profile) if profile is not None else None,
    )
    path: Place = output or folder / "report.html"
    write_atomically(path, page.encode())
    return path


def render(
    summary: dict[str, Any],
    drops: Drops,
    results: Sequence[dict[str, Any]] = (),
    whole: dict[str, Any] | None = None,
    rights: dict[str, Any] | None = None,
    kept: Kept | None = None,
    profile: dict[str, Any] | None = None,
) -> str:
    """The HTML; `whole` is the result of `whole_corpus`, `rights` of `rights_of`, `profile` of `read_figures`. All text
    of a crawl is escaped, and control and direction marks in it are shown by their code. It has LIMIT bytes at most:
    documents are left out, and it says how many."""
    from markupsafe import Markup

    measured = [row for row in results if not row.get("error")]
    groups = groups_of(summary, kept, drops)
    memory = [step for step in summary["steps"] if step.get("memory_mb")]
    values = {
        "summary": summary,
        "verdict": _verdict(summary),
        "cost": _cost(summary),
        "tiles": tiles(summary, kept),
        "charts": {
            "documents": Markup(funnel(summary, "documents")),
            "characters": Markup(funnel(summary, "characters")),
            "tokens": Markup(funnel(summary, "characters", kept.rate) if kept and kept.rate else ""),
            "seconds": Markup(_times(summary)),
            "memory": Markup(_memory(memory)),
            "bits": Markup(_bits(measured)),
        },
        "memory": memory,
        "callouts": _callouts(summary),
        "pictures": pictures_of(summary, drops.values, profile),
        "profile": profile,
        "domains": [(row, _tokens_of(row, kept)) for row in summary["domains"]],
        "listed": LISTED,
        "languages": _languages(kept, drops) if kept else [],
        "unreadable": summary["unreadable"][:UNREADABLE],
        "results": results,
        "reading": _reading(measured),
        "whole": whole,
        "rights": rights,
        "kept": kept,
        "cut": TEXT,
        "extremes": drops.shortest,
    }
    drawn, budget = sum(len(group.documents) for group in groups), DOCUMENTS
    while True:
        some = within(groups, budget)
        shown = sum(len(group.documents) for group in some)
        page = rendered(
            "page.html",
            {"junk": junk_share},
            groups=some,
            shown=shown,
            left_out=drawn - shown,
            reasons=_reasons(summary, some),
            **values,
        )
        if not shown or len(page.encode()) <= LIMIT:
            return page
        budget //= 2


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


def _times(summary: dict[str, Any]) -> str:
    rows = [
        Bar(step["step"], step["seconds"], f"{step['seconds']:.1f} s  ({_rate(step)})")
        for step in summary["steps"]
        if step["seconds"] >= 0.05
    ]
    return bars(rows, "seconds of work in each step, all workers together")


def _rate(step: dict[str, Any]) -> str:
    return f"{step['documents_in'] / step['seconds']:,.0f}/s"


def _memory(steps: Sequence[dict[str, Any]]) -> str:
    """The memory of each stage, under the names of its steps."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        stages.setdefault(step["stage"], []).append(step)
    rows = [
        Bar(", ".join(one["step"] for one in some), (most := max(one["memory_mb"] for one in some)), f"{most:,} MB")
        for some in stages.values()
    ]
    return bars(rows, "the most memory that a worker held in each stage")


def _tokens_of(row: dict[str, Any], kept: Kept | None) -> int | None:
    """The tokens of a domain's kept documents; from a part of them, an estimate; None where none of them was seen."""
    if kept is None or kept.tokens is None or (held := kept.domains.get(row["domain"] or "")) is None:
        return None
    return (
        held.tokens if kept.whole or not held.characters else round(row["characters"] * held.tokens / held.characters)
    )


def _languages(kept: Kept, drops: Drops) -> list[tuple[str, Held, int]]:
    """Languages with what was kept of each, and the documents that a rule dropped for it."""
    dropped: Counter[str] = Counter()
    for (step, rule), values in drops.values.items():
        if step.partition("#")[0] == Language.name and rule == Language.name:
            dropped.update(values.words)
    names = {*kept.languages, *dropped}
    if names <= {""}:
        return []
    rows = [(name, kept.languages.get(name, Held()), dropped[name]) for name in names]
    return sorted(rows, key=lambda row: (-row[1].documents, -row[2], row[0]))[:LANGUAGES]


def _reasons(summary: dict[str, Any], groups: Sequence[Group]) -> list[dict[str, Any]]:
    shown = {group.name: group for group in groups}
    rows = []
    for step in summary["steps"]:
        for rule, counts in step["reasons"].items():
            group = shown.get(step["step"] if step["step"] == rule else f"{step['step']}.{rule}")
            place = {"id": group.id, "shown": len(group.documents)} if group else {"id": "", "shown": 0}
            rows.append({"step": step["step"], "rule": rule, **counts, **place})
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
            f"Measured on models of {parameters} parameters with {people} people, {seeds} seed{'s' * (seeds > 1)}."
        )
        said += by_loads(results)
    return said


def _spread(results: Sequence[dict[str, Any]], name: str) -> str:
    values = sorted({row[name] for row in results})
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
