"""The commands `goldsand profile` and `goldsand decide`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from curate.places.store import place_of, write_atomically
from recipes.app.commands.options import (
    DryRun,
    Inputs,
    RecipeName,
    Replace,
    Sets,
    Stages,
    read_recipe,
    screen_of_a_command,
)
from recipes.app.recipe.given import inputs_of
from recipes.app.report.rendering import short
from recipes.app.terminal.console import err, friendly, harmless, out

if TYPE_CHECKING:
    from recipes.app.recipe.profile import Decision

SHOWN = 0.9
"""Share of documents for which the terminal names the threshold that keeps it; the page has more shares."""


def profile(
    recipe: RecipeName,
    output: Annotated[str, typer.Option("--output", "-o", help="a folder for the profile alone", metavar="OUT")],
    input: Inputs = [],  # noqa: B006  (typer reads the default, nothing writes to it)
    set: Sets = [],  # noqa: B006
    workers: Annotated[int | None, typer.Option(min=1, help="processes; all cores unless said")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="a sample of N documents, drawn over all files")] = None,
    stages: Stages = None,
    replace: Replace = False,
    dry_run: DryRun = False,
) -> None:
    """Measure all that a recipe's rules look at, drop no document, and show what each threshold would keep."""
    from recipes.app.api.profiles import carried_out, prepared
    from recipes.app.terminal.change import would_change
    from recipes.app.terminal.shared_stages import print_sharing

    loaded = read_recipe(recipe, set, inputs_of(input))
    screen = screen_of_a_command()
    with friendly():
        job = prepared(loaded, place_of(output), screen, workers, limit, stages, replace)
        if dry_run:
            would_change(job)
            return
        figures = carried_out(job, loaded, screen)
    if job.drawn is not None:
        files = len(job.partitions)
        out.print(f"a sample, drawn from all files: {files:,} file{'s' * (files != 1)} have documents in it")
    _print_profile(figures)
    print_sharing(err, job.sharing)
    out.print(f"open {escape(str(job.out / 'report.html'))}")


def _print_profile(figures: dict[str, Any]) -> None:
    """One row for each threshold: what it drops alone, what it drops in the recipe's order, what others would keep."""
    from recipes.app.recipe.profile import callouts

    unit, documents = figures["counted_in"], figures["documents"]
    keeping = {
        (row["step"], row["rule"], row["limit"]): short(threshold)
        for row in figures["curves"]
        for share, threshold, *_ in row["keeping"]
        if share == SHOWN
    }
    table = Table(box=None, pad_edge=False)
    for column in ("limit", "now", "drops", f"of {unit}", "ends", f"keeps {SHOWN:.0%} at"):
        table.add_column(column, justify="left" if column == "limit" else "right", no_wrap=True)
    for row in figures["rules"]:
        table.add_row(
            escape(f"{row['step']}.{row['limit'] or row['rule']}"),
            escape(short(row["threshold"])),
            f"{row['fires'] / max(documents, 1):.1%}",
            f"{row['fires_size'] / max(figures['size'], 1):.1%}",
            f"{row['ends']:,}",
            keeping.get((row["step"], row["rule"], row["limit"]), ""),
        )
    out.print(table)
    out.print(
        f"{documents:,} documents, {figures['size']:,} {unit}; the recipe as it is keeps"
        f" {figures['kept']:,} documents and {figures['kept_size']:,} {unit}"
    )
    if figures["density_kept"] is not None and figures["density_dropped"] is not None:
        out.print(
            f"knowledge density (median): {figures['density_kept']:.3f} of what is kept,"
            f" {figures['density_dropped']:.3f} of what is dropped"
        )
    for label, why in figures["left_out"]:
        out.print(f"not profiled: {escape(label)}: {why}")
    for line in callouts(figures):
        err.print(f"[bold yellow]look:[/] {escape(line)}")


def decide(
    folder: Annotated[str, typer.Argument(help="the folder of a profile", metavar="OUT")],
    set: Sets = [],  # noqa: B006
    show: Annotated[int, typer.Option(min=0, help="how many of the changed documents are listed")] = 10,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="write every document that changed as JSON lines", metavar="FILE"),
    ] = None,
) -> None:
    """Say what other thresholds would do to a profile's documents, from stored values, without reading a page again."""
    from recipes.app.recipe.own_output import refuse_to_replace_others
    from recipes.app.recipe.profile import decide as decided

    with friendly():
        if output is not None:
            refuse_to_replace_others(place_of(output), "lines")
        decision = decided(place_of(folder), set)
        if output is not None:
            rows = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in decision.changed)
            write_atomically(place_of(output), rows)
    _print_decision(decision)
    for row in decision.changed[:show]:
        out.print(harmless(f"{row['key']}  {_words(row['before'])} -> {_words(row['after'])}  {row['url'] or ''}"))
    if len(decision.changed) > show:
        where = f"all of them are in {output}" if output else "-o FILE writes them all"
        out.print(f"and {len(decision.changed) - show:,} more; {where}")


def _print_decision(decision: Decision) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("ended by", "before", "after", "change"):
        table.add_column(column, justify="left" if column == "ended by" else "right")
    for rule in sorted(
        {*decision.before, *decision.after}, key=lambda one: -max(decision.before[one], decision.after[one])
    ):
        before, after = decision.before[rule], decision.after[rule]
        table.add_row(escape(rule), f"{before:,}", f"{after:,}", f"{after - before:+,}" if after != before else "")
    out.print(table)
    unit = decision.counted_in
    out.print(f"documents kept: {decision.kept[0]:,} -> {decision.kept[1]:,} of {decision.documents:,}")
    out.print(f"{unit} kept: {decision.kept_size[0]:,} -> {decision.kept_size[1]:,} of {decision.size:,}")
    out.print(f"{len(decision.changed):,} documents have another verdict")


def _words(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return "kept"
    threshold = f" (threshold {short(verdict['threshold'])})" if verdict["threshold"] is not None else ""
    return f"{verdict['step']}.{verdict['rule']} {short(verdict['value'])}{threshold}"
