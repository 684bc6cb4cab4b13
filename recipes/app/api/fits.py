"""Scaling laws from Python: fits with intervals, predictions, and how to split a budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import Refused
from recipes.app.api.arguments import at_least, one_of
from recipes.app.api.probes import FinishedProbe
from recipes.app.api.screen import screen_of
from recipes.app.api.tables import DataTable

if TYPE_CHECKING:
    from recipes.app.measure.scaling import Answer, Asked
    from train_probe.scaling.intervals import Prediction
    from train_probe.scaling.plans import NextRun, Plan


@dataclass(frozen=True)
class FittedLaw:
    """The law that is fitted, and what it says. `answer` holds all of it."""

    name: str
    answer: Answer = field(repr=False)

    @property
    def law(self) -> str:
        """The name of the law that was fitted."""
        return self.answer.fit.law.name

    @property
    def formula(self) -> str:
        """Its formula."""
        return f"{self.answer.fit.law.target} = {self.answer.fit.law.formula}"

    @property
    def status(self) -> str:
        """`converged`, or why it is not."""
        return self.answer.fit.status

    @property
    def parameters(self) -> dict[str, float]:
        """The fitted value of each parameter of the law."""
        return dict(self.answer.fit.parameters)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % interval of each parameter, by a bootstrap over runs."""
        return {name: self.answer.worth.runs.interval(name) for name in self.answer.fit.parameters}

    @property
    def ranking(self) -> DataTable:
        """The laws that were asked for, by their error on what was held out."""
        rows = [{"law": name, "held_out_error": error} for name, error in self.answer.ranking]
        return DataTable.of("laws", rows, ("law", "held_out_error"))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the fit: laws left out, parameters that the points do not fix."""
        return tuple(self.answer.notes)

    @property
    def plan(self) -> Plan | None:
        """How a budget is split between parameters and tokens; None where no budget was asked for."""
        return self.answer.plan

    @property
    def next_runs(self) -> tuple[NextRun, ...]:
        """Runs that would narrow the answer most, the best first."""
        return tuple(self.answer.next)

    def predict(self, **columns: float) -> Prediction:
        """What the law says at `parameters=`, `tokens=`, ...: `value`, `low`, `high`, and `outside`, which is empty
        where the points carry it. Raises Refused for other columns than the law's."""
        wanted = set(self.answer.fit.law.columns)
        if set(columns) != wanted:
            raise Refused(f"the law '{self.law}' predicts from {', '.join(sorted(wanted))}, not {', '.join(columns)}")
        return self.answer.worth.predict(**columns)

    def save(self, folder: str | Path) -> Path:
        """Write `fit.json` and the page into a folder; returns where the page is."""
        from recipes.app.measure.scaling import write_answer
        from recipes.app.report.scaling import write_page

        write_answer(self.answer, Path(folder))
        return write_page(self.answer, self.name, Path(folder))

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html
        from recipes.app.report.scaling import points_and_fit

        rows = []
        for name, value in self.parameters.items():
            low, high = self.intervals[name]
            rows.append({"parameter": name, "value": value, "low": low, "high": high})
        title = f"{self.formula}, {len(self.answer.fit.points)} points: {self.status}"
        table = rows_html(("parameter", "value", "low", "high"), rows)
        return framed(points_and_fit(self.answer), table, title=title, lines=self.notes)


def fit(
    source: FinishedProbe | str | Path,
    law: str | Sequence[str] | None = None,
    *,
    output: str | Path | None = None,
    budget: float | None = None,
    served: float = 0.0,
    unique: float | None = None,
    most: float | None = None,
    column: str | None = None,
    arm: str | None = None,
    accuracy: str | None = None,
    chance: float = 0.0,
    drop: int = 0,
    counted: str = "unsaid",
    error: str | None = None,
    on: str = "log",
    delta: float = 1e-3,
    draws: int = 200,
    quiet: bool = False,
) -> FittedLaw:
    """Fit scaling laws to the runs of a probe, or to a CSV or Parquet file of points, with intervals; with a `budget`
    in operations, say how to split it. The parameters are those of `goldsand fit`; several laws are ranked, and the
    best is in the result. Raises Refused for points that carry none of the laws. Needs scipy (the extra `fit`)."""
    from recipes.app.measure.scaling import Asked
    from train_probe.scaling.fitting import Objective

    screen = screen_of(quiet)
    at_least(0, served=served, drop=drop, chance=chance)
    at_least(20, draws=draws)
    one_of(("all", "body", "unsaid"), counted=counted)
    one_of(("log", "value"), on=on)
    if error is not None:
        one_of(("huber", "squared"), error=error)
    laws = [law] if isinstance(law, str) else list(law or ())
    objective = Objective(error, on == "log", delta) if error else None  # type: ignore[arg-type]
    asked = Asked(laws, budget, served, unique, most, drop, counted, objective, draws, chance=chance)
    place = Path(str(source.folder if isinstance(source, FinishedProbe) else source))
    answer = fitted(place, asked, column, arm, accuracy, screen.warn)
    made = FittedLaw(place.stem or place.name, answer)
    if output is not None:
        made.save(output)
    return made


def fitted(
    source: Path, asked: Asked, column: str | None, arm: str | None, accuracy: str | None, warn: Callable[[str], None]
) -> Answer:
    """The answer for a table of points or the folder of a probe; without laws, `capacity` of a probe and `hoffmann` of
    a table. Raises Refused."""
    from recipes.app.measure.scaling import answered
    from recipes.app.report.shapes import read_results
    from train_probe.scaling.points import of_probe, read_columns

    accuracies: Any = None
    if source.is_dir():
        if column or accuracy:
            raise Refused("--column and --accuracy name columns of a table, and a probe's folder has none")
        columns, rows, left = of_probe(read_results(source), arm)
        for one in left:
            warn(one)
    else:
        if arm:
            raise Refused("--arm names an arm of a probe, and a table has none")
        columns, rows = read_columns(source, column)
        accuracies = read_columns(source, accuracy)[0]["loss"] if accuracy else None
    laws = asked.laws or (["capacity"] if source.is_dir() else ["hoffmann"])
    return answered(columns, rows, dataclasses.replace(asked, laws=laws), accuracies, warn)
