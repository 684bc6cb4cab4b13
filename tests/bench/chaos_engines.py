"""Kills shards, Ray's workers, a machine of a Ray cluster and its head while they work, and compares every byte.

    python tests/bench/chaos_engines.py [--rounds 10] [--seed 0] [--without-ray]

Each round starts four shards and kills any three of them at random moments; the one that is left must finish the run.
Then a run on a local Ray cluster of two machines loses a worker of Ray's and one machine; another one loses the head,
must end with a message, and is finished by the same command on a new cluster. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos import ROOT, content, different, documents, ended, prepare, start

MANY = ("--set", "engine.buckets=120")
"""So many units that a run on a cluster lasts until it is harmed."""


def begin(folder: Path, out: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "recipes.app.start", "run", "recipe.yaml", "-o", out, *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_gcs_rpc_server_reconnect_timeout_s": "10"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, start_new_session=True, **pipes)


def of_run(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in content(out).items() if not name.startswith(".shards")}


def three_of_four(folder: Path, out: str, lasts: float, draw: random.Random) -> int:
    """Four shards, of which three are killed at random moments; returns how many were still at work then."""
    shards = [begin(folder, out, "--workers", "1", "--shard", f"{number}/4") for number in range(4)]
    draw.shuffle(shards)
    moments = sorted(draw.uniform(0.3, lasts) for _ in range(3))
    began, killed = time.monotonic(), 0
    for process, moment in zip(shards, moments, strict=False):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
    for process in shards[:3]:
        process.communicate()
    code, said = ended(shards[3])
    assert code == 0, said
    return killed


def processes(beginning: str) -> list[int]:
    """The processes whose title begins so."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            title = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if title.startswith(beginning):
            found.append(int(path.name))
    return found


def on_cluster(folder: Path, out: str, harm: Callable[[object, object], None]) -> tuple[int, str]:
    """A run on a new local cluster of two machines, and what is done to it while units are at work."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20})
    try:
        run = begin(folder, out, *MANY, "--engine", "ray", "--address", cluster.address)
        deadline = time.monotonic() + 120
        while not list((folder / out / "manifests").rglob("*.json")):
            assert run.poll() is None and time.monotonic() < deadline, run.communicate()
            time.sleep(0.05)
        # The command is connected through the head's machine. Another one comes, and gets units.
        other = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        time.sleep(7)
        assert run.poll() is None, f"the run was over before the harm: {run.communicate()}"
        harm(cluster, other)
        said = run.communicate(timeout=240)[1]
        return run.returncode, said
    finally:
        cluster.shutdown()


def lose_a_worker_and_a_machine(cluster: object, other: object) -> None:
    # Those that do units; a machine's own agents are the machine.
    of_units = [one for kind in ("ray::stages/", "ray::rounds/", "ray::text/", "ray::IDLE") for one in processes(kind)]
    assert of_units
    for process in of_units[:1]:
        os.kill(process, signal.SIGKILL)
    time.sleep(0.5)
    cluster.remove_node(other, allow_graceful=False)  # type: ignore[attr-defined]


def lose_the_head(cluster: object, other: object) -> None:
    cluster.head_node.kill_gcs_server(check_alive=False)  # type: ignore[attr-defined]
    cluster.head_node.kill_raylet(check_alive=False)  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-ray", action="store_true")
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        began = time.monotonic()
        code, said = ended(start(folder, "calm"))
        assert code == 0, said
        lasts = time.monotonic() - began
        outs = [f"shards-{number}" for number in range(given.rounds)]
        line: dict[str, Any] = {"shards_killed": sum(three_of_four(folder, out, lasts, draw) for out in outs)}
        line["documents_lost"] = line["bytes_different"] = 0
        compared = [(folder / "calm", outs)]
        if not given.without_ray:
            code, said = ended(begin(folder, "calm-many", *MANY))
            assert code == 0, said
            code, said = on_cluster(folder, "lost", lose_a_worker_and_a_machine)
            assert code == 0, said
            code, said = on_cluster(folder, "headless", lose_the_head)
            line["head_lost"] = {"exit": code, "said": said.strip().splitlines()[-1:]}
            assert code != 0
            code, said = on_cluster(folder, "headless", lambda *_: None)
            assert code == 0, said
            compared.append((folder / "calm-many", ["lost", "headless"]))
        for calm, others in compared:
            bytes_of, account = of_run(calm), documents(calm)
            for out in others:
                there = documents(folder / out)
                line["documents_lost"] += sum(abs(there[what] - account[what]) for what in account)
                line["bytes_different"] += different(bytes_of, of_run(folder / out))
    print(json.dumps(line))
    sys.exit(bool(line["documents_lost"] or line["bytes_different"]))


if __name__ == "__main__":
    main()
