"""The command `goldsand steps`."""

from __future__ import annotations

from typing import Annotated

import typer

from recipes.app.terminal.console import friendly, out


def steps(
    name: Annotated[str | None, typer.Argument(help="one step only: its name, MODULE:CLASS or FILE.py:CLASS")] = None,
) -> None:
    """List steps, or one step's parameters with defaults and sources."""
    from recipes.app.terminal.tables import print_steps

    with friendly():
        print_steps(out, name)
