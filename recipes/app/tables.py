"""Tables of results for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def junk_share(ratio: float) -> str:
    """A junk ratio as people say it: 0, 7/8."""
    return str(Fraction(ratio).limit_denominator(64))


def print_results(console: Console, results: Sequence[dict[str, Any]]) -> None:
    """One row for each run: arm, junk, tag and the value bits that each parameter holds."""
    several = {key for key in ("exposures", "seed", "learning_rate") if len({row.get(key) for row in results}) > 1}
    table = Table(box=None, pad_edge=False)
    for column in ("arm", "junk", "tag", *sorted(several), "value bits / parameter"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for row in results:
        bits = row.get("value_bits_per_parameter")
        table.add_row(
            escape(row["arm"]),
            junk_share(row["junk_ratio"]),
            "yes" if row["tagged"] else "no",
            *(str(row.get(key)) for key in sorted(several)),
            f"failed: {escape(row['error'])}" if row.get("error") else f"{bits:.4f}",
        )
    console.print(table)
