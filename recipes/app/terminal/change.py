"""What a run changes of a finished corpus, said before it happens."""

from __future__ import annotations

from curate.run.corpus import CorpusRun
from curate.run.standing import Change, disk
from recipes.app.terminal.console import err, harmless, out
from recipes.app.terminal.tables import amount


def say_change(change: Change) -> None:
    """What stands in the folder, what is made again and what goes, beside the progress of the run."""
    for line in change.lines():
        err.print(harmless(line))


def would_change(job: CorpusRun) -> None:
    """The same for a run that is not carried out. Raises RunError where it would be refused."""
    change = job.change()
    for line in change.lines() if change else [f"{job.out}: nothing that is finished there would change"]:
        out.print(harmless(line))
    if change is not None and not job.replace:
        change.refuse()


def print_replaced(job: CorpusRun, found: set[str], foretell: bool) -> None:
    """For a plan: what the run changes of a finished corpus, the disk that this takes meanwhile beside the new one
    (`found` are the units that are done), and whether it would be refused."""
    change = job.change(foretell)
    if change is None:
        return
    for line in change.lines():
        out.print(harmless(line))
    if not change.back:
        out.print(f"disk: up to {amount(disk(change, found))} more, until the new corpus is whole")
    if change.refusal:
        out.print(harmless(f"`goldsand run` refuses this without --replace: {change.refusal}"))
