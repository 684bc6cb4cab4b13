"""Points that laws are fitted to: columns of numbers, checked, from CSV, Parquet, or a probe's results.

A message names the row by its number in the file, the first below the header being 1.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import Refused, nearest
from train_probe.scaling.laws import Array, Law

ALIASES = {
    "parameters": ("parameters", "params", "n", "model size", "model_size", "n_params", "num_params"),
    "tokens": ("tokens", "d", "n_tokens", "num_tokens", "training tokens", "train_tokens"),
    "compute": ("compute", "flops", "c", "training flop", "training_flop", "training flops", "flop"),
    "unique_tokens": ("unique_tokens", "u", "unique"),
    "exposures": ("exposures", "epochs", "shows"),
    "shown": ("shown", "bits_shown", "max_bits"),
    "loss": ("loss", "l", "val_loss", "validation loss"),
    "bits": ("bits", "stored", "bits_stored"),
    "share": ("share", "accuracy", "recall"),
}
"""The names that a column may have in a file, whatever the case."""

_SIZES = re.compile(r", model\.(layers|heads|width|inner|kv_heads) [^,]+")
"""What a grid over sizes adds to the name of an arm: the law is of all sizes of the arm."""


@dataclass(frozen=True)
class Points:
    """Runs: columns, what was measured, the row of each in its file. `notes` say what was done on the way here."""

    columns: Mapping[str, Array]
    target: Array
    name: str = "loss"
    rows: Sequence[int] = ()
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.rows:
            object.__setattr__(self, "rows", tuple(range(1, len(self.target) + 1)))

    def __len__(self) -> int:
        return len(self.target)

    def at(self, chosen: Any) -> Points:
        """The points that a mask or places choose."""
        places = np.arange(len(self))[chosen]
        columns = {name: values[places] for name, values in self.columns.items()}
        return replace(self, columns=columns, target=self.target[places], rows=tuple(self.rows[i] for i in places))

    def without_highest(self, count: int) -> Points:
        """Without the `count` highest values: runs that had not begun to learn, as Besiroglu et al. left them out."""
        if count <= 0:
            return self
        kept = np.sort(np.argsort(self.target, kind="stable")[: len(self) - count])
        return replace(self.at(kept), notes=(*self.notes, f"the {count} highest of {len(self)} were left out"))


def points(columns: Mapping[str, Iterable[float]], law: Law, rows: Sequence[int] = ()) -> Points:
    """The columns that a law needs, as points. Compute that is missing is 6 N D, tokens are C / (6 N), and a note says
    so.

    Raises Refused for a column that is missing, a value that is no finite positive number, a row that is there twice.
    """
    known = {name: np.asarray(list(values), dtype=float) for name, values in columns.items()}
    notes = []
    if "compute" in law.columns and "compute" not in known and {"parameters", "tokens"} <= known.keys():
        known["compute"] = 6 * known["parameters"] * known["tokens"]
        notes.append("compute is counted as 6 N D")
    if "tokens" in law.columns and "tokens" not in known and {"parameters", "compute"} <= known.keys():
        known["tokens"] = known["compute"] / (6 * known["parameters"])
        notes.append("tokens are counted as C / (6 N)")
    for name in (*law.columns, law.target):
        if name not in known:
            raise Refused(
                f"the law '{law.name}' needs a column '{name}'{nearest(name, known)}: there are {_list(known)}"
            )
    length = len(known[law.target])
    rows = tuple(rows) or tuple(range(1, length + 1))
    for name in (*law.columns, law.target):
        # A model that knows less than a uniform guess stores a negative number of bits: that is a measurement.
        signed = name == law.target and law.target in ("bits", "share")
        for row, one in zip(rows, known[name], strict=True):
            if not math.isfinite(one) or (one <= 0 and not signed):
                wanted = "a finite number" if signed else "a finite number above 0"
                raise Refused(f"row {row}: {name} is {one:g}, and it must be {wanted}")
    twice: dict[tuple[float, ...], int] = {}
    every = [known[name] for name in known if len(known[name]) == length]
    for row, one in zip(rows, zip(*every, strict=True), strict=True):
        if one in twice:
            raise Refused(f"row {row} is the same as row {twice[one]}: take one of them out; another seed differs")
        twice[one] = row
    kept = {name: values for name, values in known.items() if name != law.target}
    return Points(kept, known[law.target], law.target, rows, tuple(notes))


def enough(points: Points, law: Law) -> None:
    """Raises Refused where there are too few points for a law, or all of them have one size."""
    needed = len(law.parameters) + 1
    if len(points) < needed:
        raise Refused(
            f"the law '{law.name}' has {len(law.parameters)} parameters and needs {needed} points at least,"
            f" and there are {len(points)}"
        )
    for name in law.columns:
        if name in ("unique_tokens", "shown"):
            continue
        if len(distinct := np.unique(points.columns[name])) < 2:
            raise Refused(
                f"all {len(points)} points have {name} {distinct[0]:g}: the law '{law.name}' needs two values at least"
            )


def read_columns(path: Path, loss: str | None = None) -> tuple[dict[str, list[float]], list[int]]:
    """The columns of a CSV or Parquet file that have a known name, and the numbers of its rows. `loss` names the column
    that is fitted, where it has a name of its own.

    Raises Refused for a file that is no table, a named column that is not there and a cell that is no number.
    """
    header, table = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    wanted: dict[str, str] = {}
    for name, aliases in ALIASES.items():
        for alias in aliases:
            found = next((one for one in header if one.strip().lower() == alias), None)
            if found is not None:
                wanted[name] = found
                break
    if loss is not None:
        if loss not in header:
            raise Refused(f"{path} has no column '{loss}'{nearest(loss, header)}: there are {_list(header)}")
        wanted |= {"loss": loss, "bits": loss, "share": loss}
    # What a column that is asked for may have been called.
    unknown = [one for one in header if one not in wanted.values()]
    columns: dict[str, list[float]] = {}
    for name, called in wanted.items():
        place = header.index(called)
        columns[name] = [_number(path, row, called, cells[place]) for row, cells in enumerate(table, 1)]
    if (
        "parameters" not in columns
        and "tokens" not in columns
        and "exposures" not in columns
        and "compute" not in columns
    ):
        near = [f"'{one}'{nearest(one.lower(), ALIASES)}" for one in unknown if nearest(one.lower(), ALIASES)]
        hint = f"; not known: {', '.join(near)}" if near else ""
        raise Refused(
            f"{path} has no column of parameters, tokens, compute or exposures: there are {_list(header)}{hint}"
        )
    for one in unknown:
        for name in ALIASES:
            if name not in columns and nearest(one.lower(), [name], 0.75):
                raise Refused(f"{path} has a column '{one}' (did you mean '{name}'?), which is not read")
    return columns, list(range(1, len(table) + 1))


def of_probe(
    results: Sequence[Mapping[str, Any]], arm: str | None = None
) -> tuple[dict[str, list[float]], list[int], list[str]]:
    """The columns of one arm of a probe: parameters, tokens, exposures, bits that are shown and stored, share of them.

    Of several learning rates the best stays, for each size, exposure count and seed. The rows that are returned
    say which results stayed, the notes which did not. Raises Refused for several arms and none named, and for an
    arm that is not there.
    """
    whole = [(number, row) for number, row in enumerate(results, 1) if not row.get("error")]
    counted = [pair for pair in whole if isinstance(pair[1].get("exposures"), (int, float))]
    if not counted:
        raise Refused("the probe's results hold no finished run with an exposure count")
    arms = list(dict.fromkeys(_arm(row) for _, row in counted))
    if arm is not None and arm not in arms:
        raise Refused(f"the probe has no arm '{arm}'{nearest(arm, arms)}: {_list(arms)}")
    if arm is None and len(arms) > 1:
        raise Refused(f"the probe has {len(arms)} arms, and a law is of one; name it with --arm: {_list(arms)}")
    best: dict[tuple[Any, ...], tuple[int, Mapping[str, Any]]] = {}
    mine = [(number, row) for number, row in counted if arm is None or _arm(row) == arm]
    for number, row in mine:
        key = row["parameters"], row["exposures"], row["seed"], row["people"]
        if key not in best or row["bits_per_parameter"] > best[key][1]["bits_per_parameter"]:
            best[key] = number, row
    notes = []
    if lost := len(results) - len(whole):
        notes.append(f"{lost} runs that failed were left out")
    if lost := len(whole) - len(counted):
        notes.append(f"{lost} runs without an exposure count were left out")
    if lost := len(mine) - len(best):
        notes.append(f"{lost} runs at learning rates that were not the best were left out")
    columns: dict[str, list[float]] = {
        name: [] for name in ("parameters", "tokens", "exposures", "shown", "bits", "share", "seed")
    }
    for _, row in best.values():
        size = float(row["parameters"])
        shown, bits = row["max_bits_per_parameter"] * size, row["bits_per_parameter"] * size
        share = row["value_bits_per_parameter"] / (row.get("max_value_bits_per_parameter") or shown / size)
        values = (size, row["tokens"], row["exposures"], shown, bits, share, row["seed"])
        for name, value in zip(columns, values, strict=True):
            columns[name].append(float(value))
    return columns, [number for number, _ in best.values()], notes


def _arm(row: Mapping[str, Any]) -> str:
    return _SIZES.sub("", str(row["arm"]))


def _csv(path: Path) -> tuple[list[str], list[list[Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{path} is no text: a CSV file with a header, or Parquet, is needed") from None
    lines = [line for line in csv.reader(text.splitlines()) if line]
    if len(lines) < 2:
        raise Refused(f"{path} has no rows below a header")
    for row, cells in enumerate(lines[1:], 1):
        if len(cells) != len(lines[0]):
            raise Refused(f"{path}, row {row}: {len(cells)} cells, and the header has {len(lines[0])}")
    return lines[0], list(lines[1:])


def _parquet(path: Path) -> tuple[list[str], list[list[Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise Refused(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from None
    header = table.column_names
    if not table.num_rows:
        raise Refused(f"{path} has no rows")
    return header, [list(cells) for cells in zip(*(table.column(name).to_pylist() for name in header), strict=True)]


def _number(path: Path, row: int, column: str, cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise Refused(f"{path}, row {row}: {column} is {cell!r}, and a number is needed") from None


def _list(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:20]) or "none"
