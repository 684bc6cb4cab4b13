"""`goldsand compare`: corpora from folders and recipes, the comparison carried out, figures and page written."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from curate.run.store import place_of, write_atomically
from recipes.app.compare import AGAIN, CONTROL, Comparison, compare
from recipes.app.corpora import Corpus, open_corpus
from recipes.app.load import find_recipe, load


def corpora_of(given: Sequence[str], out: Path, console: Console) -> list[Corpus]:
    """The corpora that a command line names: NAME=FOLDER, a folder of a finished run, or a recipe, which is run into
    `out`/runs/NAME first. Raises ValueError for what is neither."""
    found: list[Corpus] = []
    for one in given:
        name, _, where = one.rpartition("=")
        path = Path(where)
        name = name or (path.name if path.is_dir() else path.stem)
        if name in (AGAIN, CONTROL) or any(name == corpus.name for corpus in found):
            raise ValueError(f"'{name}' names two arms; give each a name of its own: NAME={where}")
        if not path.is_dir():
            find_recipe(where)
            path = _built(where, out / "runs" / name, console)
        found.append(open_corpus(name, path))
    return found


def _built(recipe: str, folder: Path, console: Console) -> Path:
    from recipes.app.build import corpus_run, write_recipe
    from recipes.app.progress import shown

    loaded = load(recipe)
    job = corpus_run(loaded, place_of(str(folder)))
    with shown(console) as on_progress:
        job.on_progress = on_progress
        job.execute()
    write_recipe(loaded, place_of(str(folder)))
    return folder


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
    corpora: Sequence[Corpus], out: Path, asked: Comparison, tokenizer: Path | None = None
) -> dict[str, Any]:
    """Compare, and write `compare.json` and `report.html`; the same command goes on where it was stopped."""
    from recipes.app.report.comparison import comparison_page

    out.mkdir(parents=True, exist_ok=True)
    found = compare(corpora, out, asked, tokenizer)
    write_atomically(out / "compare.json", json.dumps(_plain(found), indent=1, allow_nan=False).encode())
    write_atomically(out / "report.html", comparison_page(found).encode())
    return found
