"""How each shard of a run stands, and what has been in hand for longest, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from curate.run.shard_status import ShardState
from recipes.app.terminal.console import harmless
from recipes.app.terminal.tables import amount, duration

SLOW = 10
"""Units that are named, those in hand for longest first."""


def print_shards(console: Console, shards: Sequence[ShardState]) -> None:
    """A line for each shard, then what has been in hand for longest, and why it is not in hand for the first time."""
    if not shards:
        return
    table = Table(box=None, pad_edge=False)
    for column in ("shard", "machine", "state", "at", "memory"):
        table.add_column(column, justify="right" if column == "memory" else "left")
    for one in shards:
        table.add_row(one.shard, escape(one.host), _state(one), escape(one.at), amount(one.memory))
    console.print(table)
    in_hand = [(seconds, unit, attempt, one) for one in shards for unit, (attempt, seconds) in one.in_hand.items()]
    for seconds, unit, attempt, one in sorted(in_hand, key=lambda row: -row[0])[:SLOW]:
        again = f", attempt {attempt}: the shard that had it before is dead" if attempt > 1 else ""
        dead = "" if one.lives else "; it is dead, and any other shard goes on from there"
        console.print(f"shard {one.shard}: {harmless(unit)} for {duration(seconds)}{again}{dead}")


def print_in_hand(console: Console, status: Mapping[str, Any]) -> None:
    """The units of a run that is at work which have been in hand for longest, and why they are tried again."""
    if not status["alive"] or status["state"] != "running":
        return
    for one in status.get("in_hand", [])[:SLOW]:
        again = f", attempt {one['attempt']} (the one before: {one['why']})" if one["why"] else ""
        seconds = max(0.0, status["written"] - one["since"])
        console.print(harmless(f"in hand: {one['unit']} for {duration(seconds)}{again}"))


def _state(one: ShardState) -> str:
    if one.ended:
        return "ended"
    return {True: "working", False: "dead", None: "no sign of life yet"}[one.lives]
