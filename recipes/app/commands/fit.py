"""The command `goldsand fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from recipes.app.terminal.console import err, friendly, harmless, out


def fit(
    source: Annotated[Path, typer.Argument(help="a CSV or Parquet file of points, or the folder of a probe")],
    law: Annotated[
        list[str] | None, typer.Option("--law", help="a law, several times for a ranking; by default hoffmann")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the folder of fit.json and the page", metavar="DIR")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="operations to split between size and tokens: 1e21")] = None,
    served: Annotated[float, typer.Option(min=0, help="tokens that the finished model reads, in the budget")] = 0.0,
    unique: Annotated[float | None, typer.Option(help="unique tokens there are, for the law repeated")] = None,
    most: Annotated[float | None, typer.Option(help="what the next run may cost; a tenth of the budget")] = None,
    column: Annotated[str | None, typer.Option(help="the column that is fitted, where it is not 'loss'")] = None,
    arm: Annotated[str | None, typer.Option(help="of a probe with several arms, the one that is fitted")] = None,
    accuracy: Annotated[str | None, typer.Option(help="a column of accuracies, for what emerges")] = None,
    chance: Annotated[float, typer.Option(min=0, max=1, help="the accuracy of a guess")] = 0.0,
    drop: Annotated[int, typer.Option(min=0, help="how many of the highest losses are left out")] = 0,
    counted: Annotated[
        Literal["all", "body", "unsaid"], typer.Option(help="parameters with embeddings (all) or without (body)")
    ] = "unsaid",
    error: Annotated[
        Literal["huber", "squared"] | None, typer.Option(help="what is minimised; by default Huber's error of losses")
    ] = None,
    on: Annotated[
        Literal["log", "value"], typer.Option(help="with --error: of the logarithm, or of the value")
    ] = "log",
    delta: Annotated[float, typer.Option(min=1e-9, help="with --error huber: where it turns linear")] = 1e-3,
    draws: Annotated[int, typer.Option(min=20, help="draws of each bootstrap")] = 200,
) -> None:
    """Fit scaling laws to runs, with intervals, and say how to split a budget."""
    from recipes.app.api.fits import FittedLaw, fitted
    from recipes.app.measure.scaling import Answer, Asked
    from train_probe.scaling.fitting import Objective
    from train_probe.scaling.intervals import Prediction

    def print_answer(answer: Answer) -> None:
        made = answer.fit
        out.print(f"{made.law.target} = {escape(made.law.formula)}, {len(made.points)} points: {made.status}")
        for name, value in made.parameters.items():
            low, high = answer.worth.runs.interval(name)
            out.print(f"  {name:12} {value:.5g} ({low:.4g} to {high:.4g})")
        out.print(f"  {made.objective.words}: {made.sum:.6g}, rmse {made.rmse:.3g}")
        for one in answer.worth.left_out:
            out.print(f"  {one.what} left out: {one.worst:+.2%} at worst")
        if len(answer.ranking) > 1:
            out.print("by held-out error: " + ", ".join(f"{name} {one:.2%}" for name, one in answer.ranking))
        if plan := answer.plan:
            size = Prediction(plan.parameters, *(plan.parameters_range or (plan.parameters,) * 2))
            tokens = Prediction(plan.tokens, *(plan.tokens_range or (plan.tokens,) * 2), plan.outside)
            out.print(f"{plan.budget:.3g} operations: {size} parameters, {tokens} tokens, loss {plan.loss:.4g}")
        for run in answer.next[:1]:
            out.print(
                f"next run: {run.parameters:.3g} parameters, {run.tokens:.3g} tokens ({run.cost:.2g} operations)"
                f" leaves {run.left:.0%} of the spread"
            )
        if answer.emergence:
            out.print(escape(str(answer.emergence)))

    def warn(message: str) -> None:
        err.print(f"note: {harmless(message)}")

    with friendly():
        objective = Objective(error, on == "log", delta) if error else None
        asked = Asked(law or [], budget, served, unique, most, drop, counted, objective, draws, chance=chance)
        answer = fitted(source, asked, column, arm, accuracy, warn)
        print_answer(answer)
        if output is not None:
            page = FittedLaw(source.stem or source.name, answer).save(output)
            out.print(f"open {escape(str(page))}")
