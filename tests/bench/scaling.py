"""What engines cost: documents a second of the local engine, of Ray and of shards on the same input, at one and at two
workers, and the memory of the process that hands out units, at a thousand and at a hundred thousand of them.

    python tests/bench/scaling.py [--seconds 5] [--units 4] [--driver 1000,100000]

`--seconds` of a core for each unit of the comparison. Units of the last part do nothing. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from curate.run.engine import Engine
from curate.run.local import LocalEngine
from curate.run.ray_engine import RayCluster, RayEngine
from curate.run.session import Session, Shard
from curate.run.sharded import ShardEngine
from curate.run.unit import Outputs, Pulse, Unit

DOCUMENTS = 1000


@dataclass
class Burning(Unit):
    """A unit that takes some seconds of a core."""

    number: int
    seconds: float

    @property
    def name(self) -> str:
        return f"burning/{self.number:06d}"

    def configuration(self) -> dict[str, Any]:
        return {"number": self.number}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pulse.count(documents=1)
            sum(range(10_000))
        with outputs.open(self.root / f"{self.name}.txt") as stream:
            stream.write(b"done")
        return {}


@dataclass
class Nothing(Unit):
    """A unit that takes no time, and leaves nothing."""

    number: int

    @property
    def name(self) -> str:
        return f"nothing/{self.number:06d}"

    def run(self, pulse: Pulse) -> dict[str, Any]:
        return {"outputs": {}}


def units(folder: Path, count: int, seconds: float) -> list[Unit]:
    return [Burning(folder, number, seconds) for number in range(count)]


def shard_of(folder: Path, number: int, of: int) -> ShardEngine:
    session = Session.join(folder, Shard(number, of), {}, lambda: None)
    return ShardEngine(session, 1, 600.0)


def took(engine: Engine, tasks: list[Unit]) -> float:
    """Seconds behind a first group, for which the engine starts its processes."""
    with engine:  # type: ignore[attr-defined]
        engine.map("start", [Nothing(tasks[0].root, number) for number in range(engine.workers)])
        began = time.monotonic()
        engine.map("burning", tasks)
        return time.monotonic() - began


def one_shard(arguments: list[str]) -> None:
    folder, number, of, count, seconds = arguments
    tasks = units(Path(folder), int(count), float(seconds))
    print(took(shard_of(Path(folder), int(number), int(of)), tasks))


def shards(folder: Path, of: int, count: int, seconds: float) -> float:
    command = [sys.executable, __file__, "--shard", str(folder)]
    more = [str(of), str(count), str(seconds)]
    started = [
        subprocess.Popen([*command, str(number), *more], stdout=subprocess.PIPE, text=True) for number in range(of)
    ]
    return max(float(one.communicate()[0]) for one in started)


def driver(engine_of: str, count: int) -> None:
    """The most memory of a process that hands out so many units, in MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine: Any = RayEngine(RayCluster(), 2, 60.0, cores=2) if engine_of == "ray" else LocalEngine(2, 60.0)
        with engine:
            engine.map("nothing", [Nothing(folder, number) for number in range(count)])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def main() -> None:
    if sys.argv[1:2] == ["--shard"]:
        return one_shard(sys.argv[2:])
    if sys.argv[1:2] == ["--driver-of"]:
        return driver(sys.argv[2], int(sys.argv[3]))
    import ray as ray_of

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--units", type=int, default=4)
    parser.add_argument("--driver", default="1000,100000")
    given = parser.parse_args()
    line: dict[str, Any] = {"seconds_a_unit": given.seconds, "units": given.units}
    for workers in (1, 2):
        seconds = {}
        with tempfile.TemporaryDirectory() as name:
            local, ray, shared = (Path(name) / one for one in ("local", "ray", "shards"))
            seconds["local"] = took(LocalEngine(workers, 600.0), units(local, given.units, given.seconds))
            cluster = RayEngine(RayCluster(), workers, 600.0, cores=workers)
            seconds["ray"] = took(cluster, units(ray, given.units, given.seconds))
            ray_of.shutdown()
            seconds["shards"] = shards(shared, workers, given.units, given.seconds)
        line[f"workers_{workers}"] = {
            engine: {
                "documents_a_second": round(given.units * DOCUMENTS / each, 1),
                "over_local": round(each / seconds["local"] - 1, 3),
            }
            for engine, each in seconds.items()
        }
    for engine in ("local", "ray"):
        for count in filter(None, given.driver.split(",")):
            command = [sys.executable, __file__, "--driver-of", engine, count]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            line[f"driver_mb_{engine}_{count}"] = int(done.stdout.split()[-1])
    print(json.dumps(line))
    return None


if __name__ == "__main__":
    # Units must be of a module that other machines can import.
    import scaling

    scaling.main()
