"""What a step of a release read: made again from its inputs, as the trainer made it."""

from __future__ import annotations

from pathlib import Path

from curate.errors import Refused
from recipes.app.release.batches import Batches, Piece
from recipes.app.release.layout import PLAN, read_index
from recipes.app.release.opened import open_plan


def batch_of(folder: Path, step: int, run: str | None = None) -> tuple[str, str, list[Piece]]:
    """The name and the arm of a run of a release, by default the first, and what its step of this number read, counted
    from 1. Raises Refused for a run or a step that it has not."""
    read_index(folder)
    opened = open_plan(folder / PLAN)
    chosen = opened.plan.runs[0] if run is None else opened.run(run)
    batches = Batches(opened)
    steps = batches.steps(chosen)
    if not 1 <= step <= steps:
        raise Refused(f"{chosen.arm} has steps 1 to {steps:,}, and none {step:,}")
    name = opened.names[opened.plan.runs.index(chosen)]
    return name, chosen.arm, list(batches.pieces(chosen, step, step))
