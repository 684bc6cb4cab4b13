"""The commands `goldsand release`, `goldsand release --check` and `goldsand release show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from curate.errors import Refused
from recipes.app.terminal.console import err, fail, friendly, harmless, out

_MADE = "make"


class _Group(TyperGroup):
    """`goldsand release PROBE` is `goldsand release make PROBE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_MADE, *args]
        return super().parse_args(ctx, args)


release = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="All that a probe read, made and found in one folder: goldsand release PROBE -o DIR; with --check DIR it is"
    " trained again.",
)


@release.command(_MADE)
def make(
    folder: Annotated[Path, typer.Argument(help="a finished probe; with --check a release", metavar="PROBE")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the folder of the release", metavar="DIR")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="the finished run that the probe's pages are of, where its plan's is not one")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="hold a release against its checksums, train it again, and compare")
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="with --check: processes on a CPU; by default one a core")
    ] = None,
    run: Annotated[str | None, typer.Option(help="with --check: only this run; by default all", metavar="RUN")] = None,
) -> None:
    """Write a finished probe as a release; or check one: goldsand release --check DIR."""
    from recipes.app.release.check import check_release
    from recipes.app.release.make import make_release

    def say(text: str) -> None:
        err.print(harmless(text))

    with friendly():
        if check:
            found = check_release(folder, run, say, processes)
            out.print(harmless("\n".join(found.lines())))
            if not found.sound:
                fail(f"{folder} was not trained to the same figures: {len(found.differing)} differ", 1)
            return
        if output is None:
            raise Refused("name the folder of the release with -o DIR")
        made = make_release(folder, output, corpus, say)
    out.print(harmless(f"wrote {made['files']:,} files, {made['bytes']:,} bytes, to {output}"))


@release.command("show")
def show(
    folder: Annotated[Path, typer.Argument(help="a release", metavar="DIR")],
    step: Annotated[int, typer.Option(min=1, help="the step, counted from 1")],
    run: Annotated[str | None, typer.Option(help="the run, or the beginning of its name; by default the first")] = None,
) -> None:
    """Show what a step read, as text, each text with its document, source and licence."""
    from recipes.app.release.show import batch_of

    with friendly():
        name, arm, pieces = batch_of(folder, step, run)
    out.print(
        harmless(f"{name} ({arm}), step {step}: {len(pieces)} texts, {sum(len(one.ids) for one in pieces):,} tokens")
    )
    for one in pieces:
        origin = one.origin
        about = ", ".join(
            part for part in (origin.source, origin.domain, origin.licence or "licence not stated") if part
        )
        out.print(harmless(f"[{one.row}] {origin.document} ({about}): {one.text}"))
