"""What sharing extraction between folders costs a single run, and saves the next one.

    python tests/bench/shared_stages.py [--input PAGES] [--engine trafilatura] [--rounds 5]

Each round runs the four rule sets of FineWeb over the pages into new folders: without a pool (`alone`), with an empty
one (`first`), and with the pool that this filled (`second`). Runs work in this process, and what counts are its seconds
of a core, which a busy machine does not lengthen. All three folders must hold the same bytes.

Then a threshold changes in a folder whose recipe has `language` and `safety` behind Gopher's rules: `measured` are the
seconds of these two in its first run, `again` in its second, and `anew` in a new folder with the second recipe. Prints
one JSON line, with the medians and the least of the rounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curate.dedup import ExactDedup  # noqa: E402
from curate.extract.extract import Extract  # noqa: E402
from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition, Language, Safety  # noqa: E402
from curate.run.corpus import CorpusRun  # noqa: E402
from curate.run.serial import SerialEngine  # noqa: E402
from curate.run.stage_pool import open_pool  # noqa: E402
from curate.sources import Input, find_inputs  # noqa: E402

PUBLISHED = ("text", "ledger", "stages")


class Here(CorpusRun):
    """A run in this process."""

    def engine(self, on_progress: Any = None) -> SerialEngine:
        return SerialEngine(on_progress)


def run(inputs: str, out: Path, engine: str, pool: Path | None) -> tuple[float, int]:
    """Seconds of a core, and pages of the input."""
    steps = [Extract(engine=engine), GopherRepetition(), GopherQuality(), C4(), FineWeb(), ExactDedup()]
    job = Here("bench", steps, find_inputs([Input("crawl", inputs)]), out, max_loss=1.0)
    job.pool = pool
    began = time.process_time()
    summary = job.execute()
    return time.process_time() - began, summary["documents"]["input"]


def judged(inputs: str, out: Path, least: int, pool: Path) -> float:
    """Seconds of `language` and `safety` in a run with this threshold of Gopher's."""
    steps = [Extract(engine="resiliparse"), GopherQuality(min_words=least), Language(), Safety(), ExactDedup()]
    job = Here("bench", steps, find_inputs([Input("crawl", inputs)]), out, max_loss=1.0)
    job.pool = pool
    return sum(step["seconds"] for step in job.execute()["steps"] if step["step"] in ("language", "safety"))


def published(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for part in PUBLISHED
        for path in sorted((out / part).rglob("*"))
        if path.is_file()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", default=str(ROOT / "recipes" / "sample" / "*.warc.gz"))
    parser.add_argument("--engine", default="trafilatura", choices=("trafilatura", "resiliparse"))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {"alone": [], "first": [], "second": []}
    pages = units = 0
    with tempfile.TemporaryDirectory(prefix="goldsand-bench-") as name:
        root = Path(name)
        for number in range(given.rounds + 1):
            sides = list(seconds)[:2]
            # The two that are compared closely take turns at being first.
            for side in (sides if number % 2 else sides[::-1]) + ["second"]:
                pool = None if side == "alone" else open_pool(root / "pool")
                took, pages = run(given.input, root / side, given.engine, pool)
                # The first round loads libraries and warms caches.
                if number:
                    seconds[side].append(took)
            held = published(root / "alone")
            assert held and held == published(root / "first") == published(root / "second")
            units = len(list((root / "alone" / "manifests" / "stages" / "00-extract").iterdir()))
            for left in root.iterdir():
                shutil.rmtree(left)
        pool = open_pool(root / "pool")
        measured = judged(given.input, root / "out", 50, pool)
        again = judged(given.input, root / "out", 60, pool)
        anew = judged(given.input, root / "new", 60, pool)
        assert published(root / "out") == published(root / "new")
    line = {
        "pages": pages,
        "units": units,
        "engine": given.engine,
        "rounds": given.rounds,
        **{f"{side}_s": round(statistics.median(values), 2) for side, values in seconds.items()},
        **{f"{side}_least_s": round(min(values), 2) for side, values in seconds.items()},
        "measured_s": round(measured, 2),
        "again_s": round(again, 2),
        "anew_s": round(anew, 2),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
