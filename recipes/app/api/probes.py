"""Probes from Python: bits of known facts that small models store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import Refused
from recipes.app.api.arguments import at_least, folder_of, one_of
from recipes.app.api.inline import InlinePage
from recipes.app.api.recipe import Recipe, loaded_of
from recipes.app.api.runs import FinishedRun
from recipes.app.api.screen import Screen, screen_of
from recipes.app.api.tables import DataTable
from recipes.app.measure.carried import by_loads
from recipes.app.recipe.given import Changes, changes_of

if TYPE_CHECKING:
    from recipes.app.recipe.load import Loaded

SHOWN = ("arm", "exposures", "learning_rate", "seed", "parameters", "value_bits_per_parameter", "bits_per_parameter")
"""The columns of `runs` that come first."""


@dataclass(frozen=True)
class FinishedProbe:
    """The runs of a probe, and what they say of each arm."""

    name: str
    folder: Path
    results: Sequence[dict[str, Any]] = field(repr=False)

    @property
    def runs(self) -> DataTable:
        """Every run: its settings and all its figures."""
        return DataTable.of("runs", self.results, [one for one in SHOWN if self.results and one in self.results[0]])

    @property
    def failed(self) -> DataTable:
        """The runs that failed, with the reason."""
        return DataTable.of("failed", [row for row in self.results if row.get("error")], ("arm", "seed", "error"))

    @property
    def settings(self) -> DataTable:
        """A setting a row: the mean over its seeds of what was measured, and the half-width of its 95 % interval, which
        is None for one seed."""
        from recipes.app.measure.probe import summary

        return DataTable.of("settings", summary(list(self.results)))

    @property
    def arms(self) -> DataTable:
        """An arm a row: the exposures at which half of the facts are stored (`sense` is "<" or ">" where the ladder of
        exposures does not bracket it), the same as a multiple of the first arm with its interval, and the mean share of
        the facts stored at the most exposures."""
        from recipes.app.measure.statistics import arms_of, multiplier

        arms = arms_of(self.results)
        first = next(iter(arms.values()), None)
        rows = []
        for arm in arms.values():
            half, stored = arm.mean_half(), list(arm.stored[max(arm.stored)].values())
            row = {"arm": arm.name, "half": half.exposures, "sense": half.sense, "seeds": len(arm.seeds)}
            row |= {"stored": sum(stored) / len(stored), "at": max(arm.stored), "learning_rate": arm.rate}
            if first is not None and arm is not first:
                times = multiplier(arm, first)
                row |= {"times": times.value, "low": times.low, "high": times.high, "bound": times.bound}
            rows.append(row)
        columns = ("arm", "half", "sense", "times", "low", "high", "bound", "stored", "at", "seeds", "learning_rate")
        return DataTable.of("arms", rows, columns)

    @property
    def report(self) -> Path:
        """Where its page is."""
        return self.folder / "report.html"

    def page(self, height: int = 700) -> InlinePage:
        """The page itself, for a notebook."""
        return InlinePage(self.report, height)

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html
        from recipes.app.measure.statistics import arms_of
        from recipes.app.report.charts import Bar, bars
        from recipes.app.report.sweep import halves

        arms = arms_of(self.results)
        parts, rungs = [], {rung for arm in arms.values() for rung in arm.stored}
        if len(rungs) > 1:
            parts.append(halves(arms, "exposures at which half of the facts are stored: less is better"))
        rows = []
        for arm in arms.values():
            last = max(arm.stored)
            seeds = list(arm.stored[last].values())
            mean = sum(seeds) / len(seeds)
            dots = seeds if len(seeds) > 1 else ()
            rows.append(Bar(arm.name, mean, f"{mean:.1%} at {last} exposures", dots=dots))
        parts.append(bars(rows, "share of the facts stored at the most exposures", 1.0, "all facts"))
        lines = [f"{len(self.failed)} of {len(self.results)} runs failed"] if self.failed else []
        if len(rungs) < 2:
            settings = self.settings
            columns = ("arm", "parameters", "seeds", "value_bits_per_parameter", "value_bits_per_parameter_half_width")
            parts.append(rows_html(columns, settings))
        loads = by_loads(self.results)
        note = " ".join(["Measured on small models.", *loads, f"Its page: {self.report}"])
        return framed(*parts, title=self.name, lines=lines, note=note)


def probe(
    recipe: Recipe | str | Path,
    *,
    output: str | Path,
    corpus: FinishedRun | str | Path | None = None,
    set: Changes | None = None,
    quick: bool = False,
    processes: int | None = None,
    slots: int | None = None,
    compile: str = "auto",
    ray: str | None = None,
    tensorboard: str | Path | None = None,
    quiet: bool = False,
) -> FinishedProbe:
    """Train small models for every combination in a recipe's `probe`, and say how many bits of the facts they hold.

    `corpus` is the finished run whose facts and token sets are used, `quick` takes the smaller grid that the recipe
    names (`--quick`), `processes` and `slots` say how many models train at once, `compile` is auto, always or never.
    The same call goes on with a grid that was stopped. Runs that fail are in `failed`. Needs torch (the extra `probe`).
    """
    at_least(1, processes=processes, slots=slots)
    one_of(("auto", "always", "never"), compile=compile)
    screen = screen_of(quiet)
    changes = [*changes_of(set), *([("probe.corpus", str(folder_of(corpus)))] if corpus is not None else [])]
    loaded = loaded_of(recipe, changes)
    folder = Path(str(folder_of(output)))
    board = None if tensorboard is None else Path(tensorboard)
    results = carried_out(loaded, folder, screen, quick, processes, slots, compile, ray, board)
    return FinishedProbe(loaded.recipe.name, folder, results)


def carried_out(
    loaded: Loaded,
    output: Path,
    screen: Screen,
    quick: bool,
    processes: int | None,
    slots: int | None,
    compile: str,
    ray: str | None,
    tensorboard: Path | None,
) -> list[dict[str, Any]]:
    """Train, and write the page; returns the results. Raises Refused."""
    from recipes.app.measure.probe import run_probe
    from recipes.app.report.sweep import write_page
    from train_probe.alone import alone_in

    # The page is of the results beside it: the folder is held until both are written.
    with alone_in(output):
        results = run_probe(
            loaded, output, quick, processes, slots, compile, ray, tensorboard, screen.warn, screen.quiet
        )
        write_page(loaded.recipe.name, results, output)
    return results


def opened(folder: Path) -> FinishedProbe:
    """The probe in a folder. Raises Refused where its results are damaged."""
    from recipes.app.report.shapes import read_results

    results = read_results(folder)
    if not results:
        raise Refused(f"{folder} holds no results of a probe")
    return FinishedProbe(folder.resolve().name, folder, results)
