"""The command `goldsand train-extractor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.errors import Refused


def train_extractor(
    gold: Annotated[
        Path, typer.Option(help="a folder of pages and gold.jsonl: `url`, `text`, `page_type`", metavar="FOLDER")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="the model's file", metavar="MODEL")],
    trees: Annotated[int, typer.Option(min=10, max=2000, help="trees of the model")] = 250,
    models: Annotated[int, typer.Option(min=1, max=20, help="so many sets of trees, each on other rows")] = 2,
    rows: Annotated[int, typer.Option(min=1000, help="text blocks that the trees see, at most")] = 110_000,
    folds: Annotated[int, typer.Option(min=2, max=20, help="folds of the cross-validation, by domain")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="of the training; others may give other trees")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="another number: other folds, other trees")] = 0,
) -> None:
    """Train the extractor `blocks` on pages whose content is known, and say how good it is on pages of other domains.

    MODEL is for the parameter `model` of the step `extract`; what it was trained on and its figures stand in it.
    """
    from rich.markup import escape

    from curate.extract.blocks.training import ExtractorSettings, train
    from recipes.app.recipe.own_output import refuse_to_replace_others
    from recipes.app.terminal.console import err, friendly, out

    with friendly():
        refuse_to_replace_others(output, "extractor")
        if not gold.is_dir():
            raise Refused(f"--gold: {gold} is no folder")
        settings = ExtractorSettings(trees=trees, models=models, rows=rows, folds=folds, threads=threads, seed=seed)
        about = train(gold, output, settings, lambda message: err.print(escape(message)))
    print_scores(out, about)
    out.print(f"wrote {escape(str(output))}")


def print_scores(out: Any, about: dict[str, Any]) -> None:
    """The figures of each operating point as a column: of all pages, and F1 of each type."""
    from rich.table import Table

    scores = about["scores"]
    table = Table(
        title=f"{about['pages']} pages of {about['domains']} domains, each scored by a model of other domains"
    )
    table.add_column("")
    for point in scores:
        table.add_column(point, justify="right")
    figures = ("f1", "standard_error", "f1_with_gold", "precision", "recall", "with", "without")
    for name in figures:
        table.add_row(name.replace("_", " "), *(f"{row[name]:.3f}" for row in scores.values()))
    for kind in next(iter(scores.values()))["f1_of_types"]:
        table.add_row(f"f1 of {kind or 'no type'}", *(f"{row['f1_of_types'][kind]:.3f}" for row in scores.values()))
    out.print(table)
