"""The command `goldsand stages`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from curate.errors import Refused
from curate.places.store import Place, place_of
from recipes.app.terminal.console import friendly, out

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def stages(
    folder: Annotated[
        str, typer.Argument(help="a pool, the folder beside which it is, or the folder of a run", metavar="DIR")
    ] = ".",
    unused: Annotated[bool, typer.Option("--unused", help="remove what no folder uses")] = False,
    keep_bytes: Annotated[
        str | None,
        typer.Option(help="remove what no folder uses, then what was used longest ago, until this is left: 20G"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")] = False,
) -> None:
    """List the extracted text that folders share, or remove some of it; no folder needs it any more."""
    from curate.run.stage_pool import contents, prune
    from recipes.app.terminal.shared_stages import print_units

    with friendly():
        pool = _pool(place_of(folder))
        units = contents(pool)
        keep = None if keep_bytes is None else _bytes(keep_bytes)
        gone = prune(pool, units, unused, keep, dry_run) if unused or keep is not None else []
    print_units(out, pool, units, gone, dry_run)


def _pool(place: Place) -> Place:
    from curate.run.stage_pool import BESIDE, beside, is_pool

    for pool in (place, place / BESIDE, beside(place)):
        if pool is not None and is_pool(pool):
            return pool
    raise Refused(f"no stages are shared in {place}, nor beside it: name the folder that `--stages` named")


def _bytes(given: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", given.strip().lower())
    if found is None:
        raise Refused(f"--keep-bytes {given}: a number of bytes, such as 20G or 500M")
    return round(float(found[1]) * _UNITS[found[2]])
