"""The command `goldsand retry`."""

from __future__ import annotations

from rich.markup import escape

from curate.places.store import place_of
from recipes.app.commands.options import FinishedRun, Workers, screen_of_a_command
from recipes.app.commands.run import judge_losses
from recipes.app.terminal.console import friendly, out


def retry(folder: FinishedRun, workers: Workers = None) -> None:
    """Try again what a run set aside: documents that took too long, too much memory or their process, files that could
    not be read to their end."""
    from curate.audit.aside import set_aside
    from recipes.app.api.runs import carried_out
    from recipes.app.recipe.of_run import run_again

    with friendly():
        place = place_of(folder)
        tried = set_aside(place)
        if not tried:
            out.print(f"{escape(folder)}: nothing was set aside")
            return
        job = run_again(place, workers)
        job.again = True
        summary = carried_out(job, screen_of_a_command(), page=True)
        left = tried & set_aside(place)
    out.print(f"{escape(folder)}: {len(tried)} tried again, {len(tried) - len(left)} came back")
    judge_losses(summary, place)
