"""What many small files cost: files of one line next to one file of as many lines, and a folder of pages next to one
archive of the same pages.

    python tests/bench/small_files.py [--lines 3000] [--pages 2000] [--repeat 3] [--workers 1 2]

Each side is a whole `goldsand run`, report included, in a process of its own; sides take turns, figures are medians.
Seconds on the clock, and seconds of a core in all processes of the run (Linux), which other work on the machine changes
less. Both sides of a pair must keep the same documents. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
STEPS = {"lines": "[gopher_quality, exact_dedup]", "pages": "[extract: {engine: resiliparse}]"}
LARGEST = 20_000
"""Bytes of the largest page of the sample that is taken."""


def texts(count: int) -> list[str]:
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 8))) for _ in range(4000)]
    words += ["the", "be", "to", "of", "and", "that", "have", "with"] * 75
    sentence = " ".join
    return [
        "\n".join(f"{sentence(draw.choices(words, k=12)).capitalize()}." for _ in range(draw.randint(8, 16)))
        for _ in range(count)
    ]


def write_lines(many: Path, one: Path, count: int) -> None:
    rows = [
        json.dumps({"text": text, "url": f"https://site{n % 50}.example/{n}"}) for n, text in enumerate(texts(count))
    ]
    for number, row in enumerate(rows):
        (many / f"{number:06d}.jsonl").write_text(f"{row}\n")
    (one / "all.jsonl").write_text("".join(f"{row}\n" for row in rows))


def write_pages(many: Path, one: Path, count: int) -> None:
    from curate.sources import open_source

    sample = [item for path in sorted((ROOT / "recipes" / "sample").glob("*.warc.gz")) for item in open_source(path)]
    bodies = [body for item in sample if (body := getattr(item, "html", None)) and len(body) < LARGEST]
    with (one / "all.warc.gz").open("wb") as archive:
        for number in range(count):
            body = bodies[number % len(bodies)]
            (many / f"{number:06d}.html").write_bytes(body)
            # Without a type in its header: the encoding is found in the page, as that of a file is.
            page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
            head = (
                "WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
                f"WARC-Target-URI: https://site.example/{number}\r\nContent-Length: {len(page)}\r\n\r\n"
            )
            archive.write(gzip.compress(head.encode() + page + b"\r\n\r\n", 6))


def adopt() -> None:
    """Linux: what is left of a run's processes becomes this one's, so that their time is counted."""
    ctypes.CDLL(None).prctl(36, 1)


def core() -> float:
    """Seconds of a core of all processes that this one started, once they have ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(kind: str, inputs: Path, folder: Path, workers: int) -> tuple[float, float, int]:
    """Seconds on the clock and of a core, and how many characters were kept."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"name: bench\ninputs: [{{name: s, path: {inputs}}}]\nsteps: {STEPS[kind]}\nmax_loss: 1.0\n")
    out = folder / "out"
    before = core()
    command = [sys.executable, "-m", "recipes.app.start", "run", str(recipe), "-o", str(out), "--workers", str(workers)]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    lasted = time.perf_counter() - began
    summary = json.loads((out / "summary.json").read_bytes())
    shutil.rmtree(out)
    return lasted, core() - before, summary["characters"]["kept"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    adopt()
    line: dict[str, object] = {"lines": given.lines, "pages": given.pages, "repeat": given.repeat}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, count, write in (("lines", given.lines, write_lines), ("pages", given.pages, write_pages)):
            if not count:
                continue
            sides = [folder / f"{kind}-many", folder / f"{kind}-one"]
            for side in sides:
                side.mkdir()
            write(*sides, count)
            for workers in given.workers:
                found = {side: [] for side in sides}
                for _ in range(given.repeat):
                    for side in sides:
                        found[side].append(timed(kind, side, folder, workers))
                assert len({kept for runs in found.values() for *_, kept in runs}) == 1, "the sides kept other texts"
                many, one = ([statistics.median(column) for column in zip(*found[side], strict=True)] for side in sides)
                line[f"{kind}_{workers}"] = {
                    "seconds": [round(many[0], 2), round(one[0], 2)],
                    "core_seconds": [round(many[1], 2), round(one[1], 2)],
                    "times": round(many[0] / one[0], 2),
                    "core_times": round(many[1] / one[1], 2),
                }
            for side in sides:
                shutil.rmtree(side)
    print(json.dumps({**line, "cpus": os.cpu_count(), "python": platform.python_version()}))


if __name__ == "__main__":
    main()
