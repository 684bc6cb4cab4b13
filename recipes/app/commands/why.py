"""The story of one document with the values behind each verdict, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console

from curate.audit.story import Event, story
from curate.document import Document
from curate.errors import Refused
from curate.places.store import Place
from curate.run.profile import SIGNALS, Labelled, Seen, measure, split
from curate.run.stage import Stage, cut
from curate.step import Check, Edit, Rule
from recipes.app.recipe.load import Loaded, RecipeError, load
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
    stages = cut(loaded.steps) if loaded else []
    for event in events:
        note = event.what == "note" and event.detail["rule"] == SIGNALS
        compared: list[tuple[str, Check]] = []
        if note and loaded:
            compared = list(
                Seen(event.key, None, None, event.detail["value"]).checks(dict(split(loaded.steps).measured))
            )
        elif loaded and event.what in ("drop", "passed", "kept"):
            compared = list(_compared(event, events, stages, loaded))
        for label, check in compared:
            console.print(f"    {harmless(_line(label, check))}" + ("  [bold red]fails[/]" if check.failed else ""))
        shown = {"step": "profile"} if note else event.detail
        detail = ", ".join(f"{key} {value}" for key, value in shown.items() if value is not None)
        console.print(f"{harmless(event.key)}  {event.stage}: [bold]{event.what}[/]  {harmless(detail)}")
    return bool(events)


def _line(label: str, check: Check) -> str:
    from recipes.app.commands.profile import short

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


def _compared(
    event: Event, events: Sequence[Event], stages: Sequence[Stage], loaded: Loaded
) -> Iterator[tuple[str, Check]]:
    """What the rules of the event's stage saw, up to the one that ended the document.

    Measured again on the text that entered the stage, which the run kept or the source still has; nothing where a
    corpus step of the stage rewrote the text, or was what ended it.
    """
    number = next((stage.number for stage in stages if stage.folder == event.stage), None)
    if number is None:
        return
    stage = stages[number]
    ended_by = event.detail["step"] if event.what == "drop" else None
    if stage.corpus and (stage.corpus.edits or ended_by == stage.labels[0]):
        return
    steps: list[Labelled] = []
    for label, step in zip(stage.labels[1:] if stage.corpus else stage.labels, stage.steps, strict=True):
        if type(step).apply not in (Rule.apply, Edit.apply):
            break
        steps.append((label, step))
    document = _entering(event, events, stages, number, loaded) if steps else None
    if document is None or document.protected:
        return
    for _, step in steps:
        step.open()
    for label, checks in measure(steps, document):
        for check in checks:
            yield label, check
            if check.failed:
                return


def _entering(
    event: Event, events: Sequence[Event], stages: Sequence[Stage], number: int, loaded: Loaded
) -> Document | None:
    """The document as it came into a stage."""
    if number:
        before = stages[number - 1].folder
        return next(
            (one.document for one in events if one.key == event.key and one.stage == before and one.document), None
        )
    return None if stages[0].steps and stages[0].steps[0].ends_stage else _read_again(event.key, loaded)


def _read_again(key: str, loaded: Loaded) -> Document | None:
    from curate.places.store import place_of
    from curate.run.tasks import readable
    from recipes.app.recipe.build import corpus_run

    try:
        partitions = corpus_run(loaded, place_of("goldsand-why")).partitions
    except Refused:
        return None
    for partition in partitions:
        if partition.holds(key):
            found: Any = next(
                (one for one in readable(partition) if isinstance(one, Document) and one.key == key), None
            )
            return found
    return None
