"""Thresholds from Python: what every rule saw, and what other thresholds would keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import Refused, nearest
from curate.places.store import Place
from recipes.app.api.arguments import at_least, folder_of
from recipes.app.api.inline import InlinePage
from recipes.app.api.jobs import pool_of
from recipes.app.api.recipe import Recipe, loaded_of
from recipes.app.api.screen import Screen, screen_of
from recipes.app.api.tables import DataTable
from recipes.app.recipe.given import Changes, InputGiven, changes_of
from recipes.app.recipe.load import Loaded

if TYPE_CHECKING:
    from curate.run.corpus import CorpusRun

PICTURES = 12
"""Curves that a notebook shows."""


@dataclass(frozen=True)
class FinishedProfile:
    """What each rule of a recipe would drop, alone and in the recipe's order, and what other thresholds would keep.

    `size` and `kept_size` are counted in `counted_in`: tokens where the recipe names a tokenizer's file, else words.
    """

    folder: Place
    figures: Mapping[str, Any] = field(repr=False)

    @property
    def documents(self) -> int:
        """How many documents were measured."""
        return int(self.figures["documents"])

    @property
    def kept(self) -> int:
        """Documents that the recipe as it is keeps."""
        return int(self.figures["kept"])

    @property
    def size(self) -> int:
        """How long all of them are, in `counted_in`."""
        return int(self.figures["size"])

    @property
    def kept_size(self) -> int:
        """How long those are that the recipe keeps, in `counted_in`."""
        return int(self.figures["kept_size"])

    @property
    def counted_in(self) -> str:
        """Words; or tokens, where the tokenizer of the recipe is a file."""
        return str(self.figures["counted_in"])

    @property
    def report(self) -> Place:
        """Where its page is."""
        return self.folder / "report.html"

    def page(self, height: int = 700) -> InlinePage:
        """The page itself, for a notebook."""
        return InlinePage(self.report, height)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What stands out, in sentences."""
        from recipes.app.recipe.profile import callouts

        return tuple(callouts(dict(self.figures)))

    @property
    def rules(self) -> DataTable:
        """A threshold a row: `fires` documents fail it, `ends` of them fail nothing before it."""
        columns = ("parameter", "threshold", "fires", "fires_size", "ends", "step", "rule")
        rows = [{"parameter": f"{one['step']}.{one['limit'] or one['rule']}", **one} for one in self.figures["rules"]]
        return DataTable("rules", columns, lambda: rows)

    def keeps(self, parameter: str) -> DataTable:
        """What thresholds of one parameter (`gopher_quality.min_words`) would keep, each alone: shares of the documents
        and of their words or tokens. Raises Refused for a parameter without a curve."""
        curves = {f"{one['step']}.{one['limit']}": one for one in self.figures["curves"] if one["points"]}
        if parameter not in curves:
            raise Refused(
                f"the profile has no curve of '{parameter}'{nearest(parameter, curves)}. There are: {', '.join(curves)}"
            )
        columns = ("threshold", "documents", self.counted_in)
        points = curves[parameter]["points"]
        return DataTable.of(parameter, (dict(zip(columns, point, strict=True)) for point in points), columns)

    def decide(self, set: Changes) -> Decided:
        """What other thresholds would do, from the stored values."""
        return decide(self, set)

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html, shown
        from recipes.app.report.pictures import curves

        drawn = sorted((one for one in self.figures["curves"] if one["points"]), key=self._fires, reverse=True)
        walls = []
        for one in drawn[:PICTURES]:
            name = f"{one['step']}.{one['limit']}"
            picture = curves(one["points"], f"share kept by {name}", one["threshold"], ("documents", self.counted_in))
            walls.append(f"<figure><figcaption>{shown(name)}</figcaption>{picture}</figure>")
        title = (
            f"{self.figures['recipe']} as it is keeps {self.kept:,} of {self.documents:,} documents,"
            f" {self.kept_size:,} of {self.size:,} {self.counted_in}"
        )
        note = "share of documents kept (solid) by threshold, each rule alone; the rules that fire most come first"
        table = self.rules
        rows = [row for row in table if row["fires"]]
        return framed(
            rows_html(table.columns[:5], rows), *walls, title=title, lines=self.warnings, note=f"{note}; {self.report}"
        )

    def _fires(self, curve: Mapping[str, Any]) -> int:
        return next((row["fires"] for row in self.figures["rules"] if _key(row) == _key(curve)), 0)


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["step"], row["rule"], row["limit"]


def profile(
    recipe: Recipe | str | Path,
    *,
    output: str | Path,
    inputs: Sequence[InputGiven] | InputGiven | None = None,
    set: Changes | None = None,
    workers: int | None = None,
    limit: int | None = None,
    stages: str | None = None,
    replace: bool = False,
    quiet: bool = False,
) -> FinishedProfile:
    """Measure all that a recipe's rules look at, drop no document, and show what each threshold would keep; `output` is
    a folder for the profile alone, `limit` a sample of documents, drawn over all files."""
    at_least(1, workers=workers)
    at_least(0, limit=limit)
    screen = screen_of(quiet)
    loaded, folder = loaded_of(recipe, set, inputs), folder_of(output)
    carried_out(prepared(loaded, folder, screen, workers, limit, stages, replace), loaded, screen)
    return opened(folder)


def prepared(
    loaded: Loaded,
    folder: Place,
    screen: Screen,
    workers: int | None,
    limit: int | None,
    stages: str | None,
    replace: bool,
) -> CorpusRun:
    """The run of a profile, as it is to be carried out. Raises Refused."""
    from recipes.app.recipe.profile import profile_run

    job = profile_run(loaded, folder, workers, limit)
    job.pool = pool_of(stages, job)
    job.replace, job.on_change = replace, screen.change
    return job


def carried_out(job: CorpusRun, loaded: Loaded, screen: Screen) -> dict[str, Any]:
    """Carry it out and write its figures and its page; returns the figures."""
    from recipes.app.recipe.profile import write_profile
    from recipes.app.report.profile import write_page

    with screen.progress() as on_progress:
        job.on_progress = on_progress
        job.execute()
    figures = write_profile(loaded, job.out)
    write_page(figures, job.out)
    return figures


@dataclass(frozen=True)
class Decided:
    """What other thresholds do to the documents of a profile: how many are kept before and after, of `documents`, and
    the same in words or tokens (`counted_in`) of `size`."""

    documents: int
    kept_before: int
    kept_after: int
    counted_in: str
    size: int
    kept_size_before: int
    kept_size_after: int
    rules: DataTable
    changed: DataTable

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html

        title = f"documents kept: {self.kept_before:,} -> {self.kept_after:,} of {self.documents:,}"
        unit = f"{self.counted_in} kept: {self.kept_size_before:,} -> {self.kept_size_after:,} of {self.size:,}"
        lines = [unit, f"{len(self.changed):,} documents have another verdict"]
        return framed(rows_html(self.rules.columns, self.rules), title=title, lines=lines)


def decide(folder: FinishedProfile | str | Path, set: Changes) -> Decided:
    """What other thresholds would do to a profile's documents, from stored values, without reading a page again.

    Raises RunError for a folder without a profile, RecipeError for a mistake in `set`, Refused for a change that the
    stored values cannot answer."""
    from recipes.app.recipe.profile import decide as decided

    one = decided(folder_of(folder), changes_of(set))
    rules = [
        {"rule": rule, "before": one.before[rule], "after": one.after[rule],
         "change": one.after[rule] - one.before[rule]}
        for rule in sorted({*one.before, *one.after}, key=lambda rule: -max(one.before[rule], one.after[rule]))
    ]  # fmt: skip
    return Decided(
        one.documents, *one.kept, one.counted_in, one.size, *one.kept_size,
        DataTable.of("rules", rules, ("rule", "before", "after", "change")),
        DataTable.of("changed", one.changed, ("key", "url", one.counted_in, "before", "after")),
    )  # fmt: skip


def opened(folder: Place) -> FinishedProfile:
    """The profile in a folder. Raises RunError where it is damaged."""
    from recipes.app.recipe.profile import read_figures

    return FinishedProfile(folder, read_figures(folder))
