"""What the terminal says of stages that folders share."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from curate.places.store import Place, is_local
from curate.run.shared_extraction import Sharing
from curate.run.stage_pool import BESIDE, KeptUnit, alone, contents
from recipes.app.terminal.console import harmless
from recipes.app.terminal.tables import amount, duration

SHOWN = 3
"""Folders that a row names."""


def print_sharing(console: Console, sharing: Sharing | None) -> None:
    """What a run took from the pool, what it could not put there, and what lies in it unused."""
    if sharing is None:
        return
    if sharing.taken:
        console.print(
            f"extracted before: {sharing.taken:,} of {sharing.units:,} units come from {escape(str(sharing.pool))}"
        )
    if sharing.not_shared:
        console.print(
            f"[bold yellow]warning:[/] this extraction is not shared: {escape(str(sharing.pool))} cannot be written to"
            f" ({harmless(sharing.not_shared)}); --stages names another place"
        )
    elif sharing.pool.name == BESIDE:
        print_unused(console, sharing.pool, alone(sharing.pool))


def print_unused(console: Console, pool: Place, unused: int) -> None:
    """One line where bytes lie in a pool that no folder uses."""
    if unused:
        console.print(
            f"{escape(str(pool))} holds {amount(unused)} of extracted text that no folder uses:"
            f" `goldsand stages {escape(str(pool))} --unused` removes it"
        )


def print_pool_of_plan(console: Console, pool: Place | None) -> None:
    """What a pool that a run would share takes now."""
    if pool is not None:
        units = contents(pool)
        console.print(
            f"stages shared between folders: {len(units):,} units, {amount(sum(one.size for one in units))}, in"
            f" {escape(str(pool))}; what folders have of them takes no more disk there"
        )
        print_unused(console, pool, sum(one.size for one in units if one.unused))


def print_units(console: Console, pool: Place, units: Sequence[KeptUnit], gone: Sequence[KeptUnit], dry: bool) -> None:
    """What a pool holds, by source and steps, and what was removed from it."""
    removed = {one.key for one in gone}
    left = [one for one in units if one.key not in removed]
    for heading, listed in ((("would be removed" if dry else "removed"), list(gone)), ("kept", left)):
        if listed and (gone or heading == "kept"):
            console.print(f"{heading}: {len(listed):,} units, {amount(sum(one.size for one in listed))}")
            console.print(_table(listed, f"{pool.resolve().parent}/" if is_local(pool) else ""))
    frees = sum(one.size for one in gone if one.alone)
    if gone:
        console.print(
            f"disk {'to be freed' if dry else 'freed'}: {amount(frees)}; the rest lies in folders, which keep it"
        )
    elif not units:
        console.print(f"{escape(str(pool))} holds no units")


def _table(units: Sequence[KeptUnit], beside: str) -> Table:
    """Folders are named from the place `beside` which the pool is."""
    table = Table(box=None, pad_edge=False)
    for column in ("source", "steps", "units", "size", "in no folder", "used by", "last used"):
        right = column in ("units", "size", "in no folder")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    groups: dict[tuple[str, str, tuple[str, ...]], list[KeptUnit]] = {}
    for one in units:
        groups.setdefault((one.source, one.steps, one.folders), []).append(one)
    for (source, steps, folders), members in sorted(groups.items()):
        names = "\n".join(one.removeprefix(beside) for one in folders[:SHOWN]) + (
            f"\nand {len(folders) - SHOWN} more" if len(folders) > SHOWN else ""
        )
        table.add_row(
            escape(source),
            escape(steps),
            f"{len(members):,}",
            amount(sum(one.size for one in members)),
            amount(sum(one.size for one in members if one.unused)),
            escape(names) or "no folder",
            f"{duration(max(0.0, time.time() - max(one.last for one in members)))} ago",
        )
    return table
