"""The story of one document with the values behind each verdict, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rich.console import Console

from curate.audit.story import Event, comparisons
from curate.step import Check
from recipes.app.recipe.load import Loaded
from recipes.app.recipe.of_run import partitions_of
from recipes.app.report.rendering import short
from recipes.app.terminal.console import harmless

SIDES = {
    "under": "at least",
    "over": "at most",
    "over share": "at most",
    "not over": "more than",
    "reaches": "fewer than",
    "outside": "one of",
    "always": "limit",
}
"""The side on which a check fails -> how its threshold reads for what passes."""


def print_story(console: Console, events: Sequence[Event], loaded: Loaded | None) -> None:
    """Every event, and with the recipe of the run the values that its rules compared."""
    for event in events:
        if loaded is not None:
            for label, check in comparisons(event, events, loaded.steps, partial(partitions_of, loaded)):
                console.print(f"    {harmless(_line(label, check))}" + ("  [bold red]fails[/]" if check.failed else ""))
        shown = {"step": "profile"} if event.of_profile else event.detail
        detail = ", ".join(f"{key} {value}" for key, value in shown.items() if value is not None)
        console.print(f"{harmless(event.key)}  {event.stage}: [bold]{event.what}[/]  {harmless(detail)}")


def _line(label: str, check: Check) -> str:
    rule = f" ({check.rule})" if check.rule != check.limit else ""
    against = f", {SIDES[check.side]} {short(check.threshold)}" if check.side in SIDES else ""
    if not check.limit and check.threshold is not None:
        against = f", threshold {short(check.threshold)}"
    return f"{label}.{check.limit or check.rule}{rule if check.limit else ''}  {short(check.value)}{against}"
