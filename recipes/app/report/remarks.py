"""What stands out in a run, in sentences for its page and the terminal, each with what to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_LOOK = {
    "exact_dedup": "`goldsand why OUT KEY` names what a document repeats",
    "minhash_dedup": "`goldsand clusters OUT` shows what it repeats",
    "decontaminate": "`goldsand contamination OUT` shows each beside its item",
    "language": "is this language among those that are to be kept?",
    "extract": "`goldsand why OUT KEY` shows what became of one page",
}
"""Where the reason is seen, by step; elsewhere a profile shows what other thresholds would keep."""

_ELSE = "`goldsand profile RECIPE` shows what other thresholds would keep"


def in_sentences(summary: dict[str, Any]) -> list[str]:
    """The notices of steps, steps that take most of a source, tighter thresholds than the published that found none."""
    remarks = summary.get("remarks", {})
    return [*summary.get("notices", []), *_most(remarks.get("most", [])), *_idle(remarks.get("idle", []))]


def _most(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        step, rule, dropped = row["step"], row["rule"], row["dropped"]
        others = f", {row['others_dropped'] / row['others']:.0%} of the other sources" if row["others"] else ""
        rules = "" if rule == step else f", {row['by_rule']:,} of them by its rule {rule}"
        yield (
            f"{step} takes {dropped / row['documents']:.0%} of the source '{row['source']}' ({dropped:,} of"
            f" {row['documents']:,} documents{others}){rules}: look at the examples in report.html;"
            f" {_LOOK.get(step.partition('#')[0], _ELSE)}"
        )


def _idle(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        limits = " and ".join(row["limits"])
        yield f"{row['step']} found nothing in {row['documents']:,} documents: is {limits} set as you meant?"
