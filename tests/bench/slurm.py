"""A Slurm array for real: slurmctld and slurmd on this machine, the script that `goldsand slurm` writes, one of its
tasks cancelled in the middle, and the bytes of a run of one process. Needs root and Debian's slurm-wlm and munge.

    python tests/bench/slurm.py [--tasks 4]

Prints one JSON line; the exit code is not 0 where a byte differs.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos import content, different, documents, ended, prepare, start

ROOT = Path(__file__).parents[2]
CONF = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Slurm on this machine; the environment for its commands."""
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True)
    munge = pwd.getpwnam("munge")
    # The daemon of another user must find its files.
    for place in (folder.parent, folder):
        place.chmod(0o755)
    (folder / "key").write_bytes(os.urandom(1024))
    for place in (folder / "munge", folder / "key"):
        os.chown(place, munge.pw_uid, munge.pw_gid)
    (folder / "key").chmod(0o400)
    (folder / "munge").chmod(0o755)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, folder=folder))
    environment = {**os.environ, "SLURM_CONF": str(conf), "PYTHONPATH": str(ROOT)}
    files = {"key-file": "key", "socket": "munge/socket", "pid-file": "munge/pid", "log-file": "munge/log",
             "seed-file": "munge/seed"}  # fmt: skip
    options = [f"--{name}={folder / file}" for name, file in files.items()]
    started = []
    try:
        became = {"user": "munge", "group": "munge"}
        started.append(subprocess.Popen(["munged", "-F", "-f", *options], **became, stderr=subprocess.DEVNULL))
        time.sleep(1)
        for daemon in ("slurmctld", "slurmd"):
            started.append(
                subprocess.Popen([daemon, "-D", "-f", str(conf)], env=environment, stderr=subprocess.DEVNULL)
            )
        until(lambda: "idle" in asked(environment, "sinfo", "-h", "-o", "%T"), 60)
        yield environment
    finally:
        for one in reversed(started):
            one.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                one.wait(10)
            one.kill()


def asked(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout


def until(there, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=4)
    tasks = parser.parse_args().tasks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        code, said = ended(start(folder, "calm"))
        assert code == 0, said
        with cluster(folder / "slurm") as environment:
            out = folder / "out"
            command = [sys.executable, "-m", "recipes.app.start", "slurm", "recipe.yaml", "-o", str(out)]
            options = ["--tasks", str(tasks), "--time", "0:10:00", "--memory", "1000", "--sample", "0", "--submit"]
            done = subprocess.run([*command, *options], cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            job = done.stdout.partition("submitted as job ")[2].partition(";")[0]
            # In the middle: it has taken a unit of a stage.
            until(lambda: list(out.glob(".shards/0001/units/0002/*.claim-1.json")), 60)
            asked(environment, "scancel", f"{job}_1")
            until(lambda: not asked(environment, "squeue", "-h", "-j", job).strip(), 300)
            ends = asked(environment, "scontrol", "show", "job", job)
        mine = {name: data for name, data in content(out).items() if not name.startswith(".shards")}
        calm = content(folder / "calm")
        logs = "".join(path.read_text() for path in folder.glob("slurm-*.out"))
        assert (out / "summary.json").exists(), logs[-4000:]
        line = {
            "tasks": tasks,
            "cancelled": ends.count("JobState=CANCELLED"),
            "completed": ends.count("JobState=COMPLETED"),
            "failed": ends.count("JobState=FAILED"),
            "documents_lost": sum(
                abs(documents(out)[what] - count) for what, count in documents(folder / "calm").items()
            ),
            "bytes_different": different(calm, mine),
        }
    print(json.dumps(line))
    sys.exit(bool(line["documents_lost"] or line["bytes_different"] or line["failed"] or not line["completed"]))


if __name__ == "__main__":
    main()
