"""The command `goldsand diff`."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from curate.errors import Refused
from curate.places.store import place_of, write_atomically
from recipes.app.terminal.console import friendly, out


def diff(
    old: Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="the folder of another", metavar="NEW")],
    show: Annotated[int, typer.Option(min=0, help="how many documents are listed for each cause")] = 3,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="FILE.html: a page; FILE.jsonl: every document", metavar="FILE"),
    ] = None,
) -> None:
    """Say which documents two finished corpora treat otherwise (kept, dropped, another text), and why."""
    from curate.audit.difference import Difference
    from recipes.app.recipe.own_output import refuse_to_replace_others
    from recipes.app.report.difference import difference_page
    from recipes.app.terminal.difference import print_difference

    with friendly():
        if output is not None and not output.endswith((".html", ".jsonl")):
            raise Refused(f"-o: {output} ends in neither .html (a page) nor .jsonl (every document as a line of JSON)")
        if output is not None:
            refuse_to_replace_others(place_of(output), "page" if output.endswith(".html") else "lines")
        difference = Difference(place_of(old), place_of(new))
        if output is not None and output.endswith(".jsonl"):
            with place_of(output).open("wb") as stream:
                for document in difference.differing():
                    stream.write(orjson.dumps(document.row(), option=orjson.OPT_APPEND_NEWLINE))
        else:
            difference.go_through()
        if output is not None and output.endswith(".html"):
            write_atomically(place_of(output), difference_page(difference).encode())
    print_difference(out, difference, show)
    if output is not None:
        out.print(f"{'open' if output.endswith('.html') else 'written:'} {output}", markup=False)
