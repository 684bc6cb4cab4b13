"""Do the estimates hold? Five recipes over five mixes of sources: the time left that a run tells at each tenth of its
way, against what it took; memory and disk that `goldsand plan` promises, against what they were.

    python tests/bench/estimates.py --pages WARC.gz [WARC.gz ...] [--runs 3] [--times 3] [--only NAME]

Prints one JSON line. The pages of the WARC files are written as WARC, plain HTML, compressed rows, Parquet and many
small files. Run it on an idle machine: it measures clocks.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import zstandard

from curate.document import Document
from curate.extract.extract import Extract
from curate.places.store import files_below
from curate.run.engine import Progress, all_cores
from curate.sources import Input, find_inputs, read_partition
from recipes.app.recipe.build import corpus_run
from recipes.app.recipe.load import load
from recipes.app.recipe.plan_by_rehearsal import estimate, foretell
from recipes.app.recipe.planned_units import planned

ROWS = 40_000
"""Rows of text, each of the `times`."""

RULES = ["gopher_repetition", "gopher_quality", "c4", "fineweb"]
DEDUP = ["exact_dedup", "minhash_dedup"]
TOKENS = {"tokenizer": {"kind": "bpe", "size": 4000}, "tokens": {"raw": {"from": "extract"}}}

CASES: dict[str, dict[str, Any]] = {
    "crawl": {"inputs": ["warc"], "steps": ["extract", "language", "url", *RULES, *DEDUP]},
    "pages": {"inputs": ["html", "warc"], "steps": ["extract", "language", *RULES, *DEDUP, "redact"]},
    "rows": {"inputs": ["rows", "parquet"], "steps": [*RULES, *DEDUP, "line_dedup"]},
    "small": {"inputs": ["small", "warc"], "steps": ["extract", "gopher_quality", "exact_dedup"]},
    "all": {
        "inputs": ["html", "parquet", "rows", "small", "warc"],
        "steps": ["extract", "language", *RULES, *DEDUP, "redact"],
        "output": {"tokenizer": {"kind": "bpe", "size": 4000}, "tokens": {"curated": {"domain": "special"}}},
    },
}

PATHS = {"warc": "warc/*.gz", "html": "html", "rows": "rows/*.zst", "parquet": "parquet/*.parquet", "small": "small"}


def write_inputs(folder: Path, archives: list[Path], times: int) -> None:
    """The pages as WARC and, every second one, as plain HTML, each so many `times`, as crawls have them; the texts of
    every third, their lines in other orders, as rows."""
    pages: list[Document] = []
    for place in ("warc", "html", "rows", "parquet", "small"):
        (folder / place).mkdir(parents=True)
    for archive in archives:
        for copy in range(times):
            (folder / "warc" / f"{copy}-{archive.name}").write_bytes(archive.read_bytes())
        for partition in find_inputs([Input("crawl", str(archive))]):
            pages += [item for item in read_partition(partition) if isinstance(item, Document)]
    for number, page in enumerate(pages[::2] * times):
        (folder / "html" / f"{number:05d}.html").write_bytes(page.html or b"")
    step = Extract()
    step.open()
    texts = [item.text for item in step.apply(iter(pages[::3])) if isinstance(item, Document)]
    draw = random.Random(7)

    def row(number: int) -> dict[str, str]:
        lines = draw.choice(texts).split("\n")
        draw.shuffle(lines)
        return {"text": "\n".join(lines[: draw.randint(3, 40)]), "url": f"https://site{number % 50}.example/{number}"}

    for part in range(4):
        text = "".join(json.dumps(row(number)) + "\n" for number in range(ROWS * times // 8))
        (folder / "rows" / f"{part}.jsonl.zst").write_bytes(zstandard.compress(text.encode()))
        table = pyarrow.Table.from_pylist([row(number) for number in range(ROWS * times // 8)])
        pyarrow.parquet.write_table(table, folder / "parquet" / f"{part}.parquet", row_group_size=1000)
    for number in range(3000):
        (folder / "small" / f"{number:05d}.jsonl").write_text(json.dumps(row(number)) + "\n")


def recipe_of(case: str, inputs: Path) -> str:
    wanted = CASES[case]
    named = [{"name": name, "path": str(inputs / PATHS[name])} for name in wanted["inputs"]]
    return json.dumps({"name": case, "inputs": named, "steps": wanted["steps"], "output": wanted.get("output", {})})


def once(case: str, inputs: Path, out: Path) -> dict[str, Any]:
    """One run in this process: what it said at each moment, and what it took."""
    recipe = out.with_suffix(".yaml")
    recipe.write_text(recipe_of(case, inputs))
    job = corpus_run(load(str(recipe)), out)
    plan = estimate(job, planned(job), 60)
    assert plan is not None
    said: list[tuple[float, float]] = []

    groups: list[Progress] = []

    def listen(progress: Progress) -> None:
        if not groups or groups[-1] is not progress:
            groups.append(progress)
        if progress.run_left is not None:
            said.append((time.monotonic(), progress.run_left))

    began = time.monotonic()
    job.foretell, job.on_progress = foretell, listen
    summary = job.execute()
    ended = time.monotonic()
    off = []
    for tenth in range(1, 10):
        moment = began + (ended - began) * tenth / 10
        told = [left for now, left in said if now <= moment]
        off.append(round(told[-1] / (ended - moment) - 1, 3) if told else None)
    size = sum(path.stat().st_size for path in files_below(out))
    # Of groups without units nothing is seen.
    foretold_groups = [group for group in plan.groups if group.units]
    took = [
        [one.label, one.units, round(one.seconds / min(all_cores(), one.units), 2), round(progress.seconds(), 2)]
        for one, progress in zip(foretold_groups, groups, strict=False)
    ]
    return {
        "groups": took,
        "seconds": round(ended - began, 1),
        "foretold": round(plan.seconds, 1),
        "off": off,
        "memory": summary["worker_memory_mb"] << 20,
        "memory_told": plan.worker_memory,
        "disk": size,
        "disk_told": plan.disk,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", nargs="+", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--times", type=int, default=3, help="how often the pages are there: a run takes one or two minutes"
    )
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once(given.only, Path(given.once[0]), Path(given.once[1]))))
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name) / "in"
        write_inputs(inputs, given.pages, given.times)
        for case in [given.only] if given.only else CASES:
            rows = []
            for number in range(given.runs):
                command = [sys.executable, __file__, "--pages", "-", "--only", case]
                command += ["--once", str(inputs), f"{name}/{case}-{number}"]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                rows.append(json.loads(done.stdout))
                print(case, rows[-1], file=sys.stderr)
            tenths = zip(*(row["off"] for row in rows), strict=True)
            median = [statistics.median(abs(value) if value is not None else 9.9 for value in one) for one in tenths]
            found[case] = {
                "time_left_off_median": median,
                "time_left_off_worst": max(abs(one) if one is not None else 9.9 for row in rows for one in row["off"]),
                "seconds": [row["seconds"] for row in rows],
                "foretold": [row["foretold"] for row in rows],
                "memory": max(row["memory"] for row in rows),
                "memory_told": min(row["memory_told"] for row in rows),
                "disk": rows[0]["disk"],
                "disk_told": [row["disk_told"] for row in rows],
            }
    print(json.dumps({"bench": "estimates", "workers": all_cores(), **found}))


if __name__ == "__main__":
    main()
