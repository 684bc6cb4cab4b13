"""`goldsand compare`: the comparison carried out, its figures and its page written."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.places.store import write_atomically
from recipes.app.measure.corpora import Entry
from recipes.app.measure.protocol import Comparison, compare


def _plain(value: Any) -> Any:
    """The same as JSON takes it: paths as text, what is no finite number as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_comparison(
    entries: Sequence[Entry], out: Path, asked: Comparison, tokenizer: Path | None = None, own: str | None = None
) -> dict[str, Any]:
    """Compare, and write `compare.json` and `report.html`; the same command goes on where it was stopped."""
    from recipes.app.report.comparison import comparison_page

    out.mkdir(parents=True, exist_ok=True)
    found = compare(entries, out, asked, tokenizer, own)
    write_atomically(out / "compare.json", json.dumps(_plain(found), indent=1, allow_nan=False).encode())
    write_atomically(out / "report.html", comparison_page(found).encode())
    return found
