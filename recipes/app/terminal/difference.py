"""What two corpora treat otherwise, for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.audit.difference import Difference
from curate.errors import printable
from recipes.app.report.difference import in_words
from recipes.app.terminal.console import harmless


def print_difference(console: Console, difference: Difference, show: int) -> None:
    """Where the recipes differ, a row for each cause, and the first documents of each."""
    changes = [cause.words for cause in difference.apart.all()]
    console.print(harmless(f"recipes: {'; '.join(changes) or 'no difference was noted'}"))
    if difference.counts:
        columns = difference.changes()
        table = Table(box=None, pad_edge=False)
        for column in ("cause", "documents", *columns):
            table.add_column(column, justify="left" if column == "cause" else "right")
        for cause, counts in difference.causes():
            shown = (f"{counts[one]:,}" if counts[one] else "" for one in columns)
            table.add_row(Text(printable(cause.words)), f"{counts.total():,}", *shown)
        console.print(table)
    for cause, _ in difference.causes() if show else ():
        console.print(harmless(f"\n{cause.words}"), style="bold")
        for one in difference.examples[cause][:show]:
            console.print(harmless(f"    {one.key}  {in_words(one.before)} -> {in_words(one.after)}  {one.url or ''}"))
    console.print(
        f"{difference.total:,} documents ended otherwise, {difference.same:,} as before"
        + (f" ({difference.moved:,} of them at another place of their file)" if difference.moved else "")
    )
