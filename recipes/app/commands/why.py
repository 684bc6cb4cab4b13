"""The story of one document with the values behind each verdict, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rich.console import Console

from curate.audit.story import comparisons, story
from curate.errors import Refused
from curate.places.store import Place, place_of
from curate.sources import Partition
from curate.step import Check
from recipes.app.recipe.load import Loaded, RecipeError, load
from recipes.app.report.rendering import short
from recipes.app.terminal.console import harmless

SAID = {
    "under": "at least",
    "over": "at most",
    "over share": "at most",
    "not over": "more than",
    "reaches": "fewer than",
    "outside": "one of",
    "always": "limit",
}


def print_story(console: Console, out: Place, name: str) -> bool:
    """Every event of the documents with this key or URL; False when there is none. Raises RunError as `story` does."""
    events = list(story(out, name))
    loaded = _recipe_of(out) if events else None
    for event in events:
        if loaded is not None:
            for label, check in comparisons(event, events, loaded.steps, partial(_partitions, loaded)):
                console.print(f"    {harmless(_line(label, check))}" + ("  [bold red]fails[/]" if check.failed else ""))
        shown = {"step": "profile"} if event.of_profile else event.detail
        detail = ", ".join(f"{key} {value}" for key, value in shown.items() if value is not None)
        console.print(f"{harmless(event.key)}  {event.stage}: [bold]{event.what}[/]  {harmless(detail)}")
    return bool(events)


def _line(label: str, check: Check) -> str:
    rule = f" ({check.rule})" if check.rule != check.limit else ""
    against = f", {SAID[check.side]} {short(check.threshold)}" if check.side in SAID else ""
    if not check.limit and check.threshold is not None:
        against = f", threshold {short(check.threshold)}"
    return f"{label}.{check.limit or check.rule}{rule if check.limit else ''}  {short(check.value)}{against}"


def _recipe_of(out: Place) -> Loaded | None:
    """The recipe a run left, where what it names is still there: without it there are events, and no values."""
    try:
        return load(str(out / "recipe.yaml"))
    except RecipeError:
        return None


def _partitions(loaded: Loaded) -> Sequence[Partition]:
    """The recipe's inputs as a run would find them; none where they are there no more."""
    from recipes.app.recipe.build import corpus_run

    try:
        return corpus_run(loaded, place_of("goldsand-why")).partitions
    except Refused:
        return []
