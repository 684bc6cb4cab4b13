"""How long a worker takes to start: forked from a server that has loaded the engine, or spawned; each with its first
answer, and seconds of a core from the process's own clock.

    python tests/bench/workers.py [--workers 20]

Both sides start one worker after the other and give it a unit of no work, in turns, in one process. The server's own
start is counted apart: it is paid once a process. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from curate.run.unit import Pulse, Unit
from curate.run.worker import PRELOADED, Clock, Worker


@dataclass
class Nothing(Unit):
    """Tells how many seconds of a core its process has taken since it began."""

    @property
    def name(self) -> str:
        return "nothing"

    def run(self, pulse: Pulse) -> dict[str, Any]:
        return {"core": time.process_time()}


def started(context: Any) -> tuple[float, float]:
    """Seconds from the wish for a worker to its first answer, and of a core in the worker."""
    began = time.perf_counter()
    worker = Worker(context, None, Clock())
    worker.channel.send(Nothing(Path()))
    _, answer = worker.channel.recv()
    lasted = time.perf_counter() - began
    worker.stop()
    return lasted, answer["core"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=20)
    given = parser.parse_args()
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(PRELOADED)
    first, _ = started(server)
    found: dict[str, list[tuple[float, float]]] = {"spawn": [], "forkserver": []}
    for _ in range(given.workers):
        for kind, times in found.items():
            times.append(started(multiprocessing.get_context(kind)))
    line = {"workers": given.workers, "server_and_first_ms": round(1000 * first, 1)}
    for kind, times in found.items():
        line[f"{kind}_ms"] = round(1000 * statistics.median(seconds for seconds, _ in times), 1)
        line[f"{kind}_core_ms"] = round(1000 * statistics.median(core for _, core in times), 1)
    print(json.dumps(line | {"python": platform.python_version()}))


if __name__ == "__main__":
    main()
