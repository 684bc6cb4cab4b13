"""One page of what a folder is: of a run, a profile, a probe or a comparison its own, of a folder of them all of them
side by side."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from curate.errors import Refused
from curate.places.manifest import MARKER, SUMMARY
from curate.places.store import Place, write_atomically
from curate.run.profile import Profile
from recipes.app.recipe.profile import read_figures
from recipes.app.report.charts import Bar, bars
from recipes.app.report.comparison import comparison_page
from recipes.app.report.page import write_report
from recipes.app.report.profile import profile_page
from recipes.app.report.rendering import rendered, visible
from recipes.app.report.shapes import COMPARED, read_comparison, read_results, read_summary
from recipes.app.report.sweep import sweep_page
from train_probe.figures import RESULTS

CHILDREN = 200
"""Folders that a page lays side by side; of more, the first by name."""

STEPS = 60


def write_page(
    folder: Place, probe: Path | None = None, output: Path | None = None, profile: Place | None = None
) -> Place:
    """Write the page of a folder, `report.html` in it unless `output` names another place; returns where it is.

    Raises Refused where neither the folder nor any folder in it holds a finished run, profile, probe or comparison.
    """
    kind = kind_of(folder)
    if kind == "run" or (kind is None and not any(map(kind_of, children(folder)))):
        return write_report(folder, probe, output, profile)
    if probe is not None or profile is not None:
        raise Refused(f"--probe and --profile go with the folder of a run, which {folder} is not")
    page = _PAGES[kind](folder) if kind else folder_page(folder)
    path: Place = output or folder / "report.html"
    write_atomically(path, page.encode())
    return path


def kind_of(folder: Place) -> str | None:
    """What a folder holds: `run`, `profile`, `probe`, `comparison`; None for any other."""
    if (folder / COMPARED).is_file():
        return "comparison"
    if (folder / RESULTS).is_file() and not (folder / MARKER).is_file():
        return "probe"
    if (folder / "profile.json").is_file():
        return "profile"
    return "run" if (folder / SUMMARY).is_file() else None


def children(folder: Place) -> list[Place]:
    """The folders in a folder, by name."""
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted((one for one in there if one.is_dir() and not one.name.startswith(".")), key=str)


def comparison_in(folder: Place) -> dict[str, Any]:
    """What `recipes.app.measure.compare.run_comparison` returned, from its file, as `read_comparison` says."""
    found = read_comparison(folder)
    # JSON has neither numbers as keys nor infinite ones.
    if "stored" in found:
        found["stored"] = {
            arm: {int(rung): by_seed for rung, by_seed in stored.items()} for arm, stored in found["stored"].items()
        }
    _unbounded(found)
    return found


def _unbounded(value: Any) -> None:
    if isinstance(value, dict):
        if value.get("low", 0.0) is None and "mean" in value:
            value["low"], value["high"] = -math.inf, math.inf
        for name in ("smallest", "spread"):
            if value.get(name, 0.0) is None and "mean" in value:
                value[name] = math.inf
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _unbounded(one)


_PAGES = {
    "comparison": lambda folder: comparison_page(comparison_in(folder)),
    "probe": lambda folder: sweep_page(folder.absolute().name, read_results(folder)),
    "profile": lambda folder: profile_page(read_figures(folder)),
}


@dataclass(frozen=True)
class Child:
    """A folder on the page: its name, the address of its own page (empty where there is none), and its figures."""

    name: str
    page: str
    figures: Any


def folder_page(folder: Place) -> str:
    """The HTML of a folder of runs, profiles, probes and comparisons, side by side; what cannot be read is named."""
    from markupsafe import Markup

    found: dict[str, list[Child]] = {"run": [], "profile": [], "probe": [], "comparison": []}
    damaged, others = [], []
    there = children(folder)
    read: dict[str, Callable[[Place], Any]] = {
        "run": read_summary,
        "profile": read_figures,
        "probe": read_results,
        "comparison": comparison_in,
    }
    for one in there[:CHILDREN]:
        kind = kind_of(one)
        if kind is None:
            others.append(one.name)
            continue
        try:
            page = f"./{quote(one.name, safe='')}/report.html" if (one / "report.html").is_file() else ""
            figures = read[kind](one)
            if kind == "run" and any(step["step"] == Profile.name for step in figures["steps"]):
                raise Refused(
                    f"{one} holds a profile whose figures are missing: the same `goldsand profile` makes them"
                )
            found[kind].append(Child(one.name, page, figures))
        except Refused as error:
            damaged.append((one.name, str(error)))
    runs = found["run"]
    return rendered(
        "folder.html",
        {},
        name=visible(folder.absolute().name if isinstance(folder, Path) else str(folder), 120),
        runs=runs,
        kept=Markup(_kept(runs)),
        steps=_steps(runs)[:STEPS],
        profiles=found["profile"],
        probes=[(one, Markup(_bits(one.figures))) for one in found["probe"]],
        comparisons=found["comparison"],
        damaged=damaged,
        others=others,
        more=max(len(there) - CHILDREN, 0),
    )


def _kept(runs: Sequence[Child]) -> str:
    rows = []
    for one in runs:
        account = one.figures["characters"]
        share = account["kept"] / account["input"] if account["input"] else 0.0
        rows.append(Bar(visible(one.name, 60), share, f"{share:.1%}, {account['kept']:,}"))
    return bars(rows, "share of the input's characters that each run kept", 1.0, "all of the input")


def _steps(runs: Sequence[Child]) -> list[tuple[str, list[str]]]:
    """For each step the share of the documents that came to it that each run dropped there; empty where it has no such
    step."""
    named: dict[str, None] = {}
    for one in runs:
        named |= {step["step"]: None for step in one.figures["steps"]}
    rows = []
    for name in named:
        cells = []
        for one in runs:
            step = next((step for step in one.figures["steps"] if step["step"] == name), None)
            seen = step["documents_in"] if step else 0
            cells.append("" if step is None else f"{step['documents_dropped'] / seen:.1%}" if seen else "–")
        rows.append((name, cells))
    return rows


def _bits(results: Sequence[dict[str, Any]]) -> str:
    """The most value bits per parameter that each arm reached in any setting, the mean over its seeds."""
    settings: dict[tuple[Any, ...], list[float]] = {}
    for row in results:
        if not row.get("error"):
            key = (row["arm"], row["exposures"], row.get("learning_rate"), row["parameters"])
            settings.setdefault(key, []).append(row["value_bits_per_parameter"])
    best: dict[str, float] = {}
    for (arm, *_), values in settings.items():
        best[arm] = max(best.get(arm, 0.0), statistics.fmean(values))
    rows = [Bar(visible(arm, 80), value, f"{value:.4f}") for arm, value in list(best.items())[:40]]
    return bars(rows, "value bits per parameter, by arm")
