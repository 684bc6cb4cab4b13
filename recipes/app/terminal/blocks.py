"""The blocks of one page of a run, with what the model says of each, for a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from curate.audit.story import read_again
from curate.errors import Refused
from curate.extract.blocks.shown import shown
from curate.extract.encoding import decode_html
from curate.extract.extract import Extract
from recipes.app.recipe.load import Loaded
from recipes.app.recipe.of_run import partitions_of
from recipes.app.terminal.console import harmless

_WIDTH = 72


def print_blocks(console: Console, key: str, loaded: Loaded | None) -> None:
    """Every block of the page: whether it is kept, its probability, its words, where it stands, and how it begins.

    Raises Refused where the page cannot be read again, or the run extracts nothing.
    """
    step = next((one for one in loaded.steps if isinstance(one, Extract)), None) if loaded else None
    if loaded is None or step is None:
        raise Refused("--blocks is for runs with the step `extract`, whose recipe can still be loaded")
    document = read_again(key.partition("#")[0], partitions_of(loaded))
    if document is None or document.html is None:
        raise Refused(f"the page {key} is no longer where the run read it, or was no page")
    if step.engine != "blocks":
        console.print(f"(this run extracted with {step.engine}; the engine blocks, as it comes, would see this:)")
    model = Path(step.model) if step.engine == "blocks" and step.model else None
    point = "precision" if step.favor_precision else "balanced"
    blocks = shown(decode_html(document.html, document.metadata.get("content_type", "")), model, point)
    for block in blocks:
        mark = "[bold green]kept[/]" if block.kept else "    "
        text = block.text if len(block.text) <= _WIDTH else block.text[: _WIDTH - 1] + "…"
        sure = f"{block.probability / 1000:5.2f}  {block.words:4d}"
        console.print(f"{mark}  {sure}  {harmless(block.where):<28}  {harmless(text)}", highlight=False)
    kept = [block for block in blocks if block.kept]
    words = sum(block.words for block in blocks)
    console.print(f"{len(kept)} of {len(blocks)} blocks, {sum(block.words for block in kept)} of {words} words kept")
