"""Harms a run in every way that a machine can, resumes it, and compares every byte with an undisturbed run.

    python tests/bench/chaos.py [--kills 12] [--seed 0] [--quick]

Each named point kills a worker once, in a run that goes on, and the parent once, in a run that meets one such death
after the other; then come `--kills` kills of the whole process group at moments drawn from `--seed`; then a disk that
is full in several places (a small tmpfs, where one can be mounted), an output that is read-only, and a second run on a
folder that is held. The inputs hold bad lines, a cut-off gzip file and half a WARC record, which must be set aside the
same way each time. `--quick`: every point kills one of the two, by turns, and the disk is full twice. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: chaos
inputs: [{path: in}]
steps:
  - gopher_quality: {min_words: 5}
  - exact_dedup
  - minhash_dedup: {ranges: 2}
  - inject: {kind: compact, people: 20, exposures: 5}
output: {tokenizer: {kind: joint, size: 300}, tokens: {bare: {}, tagged: {domain: special}}}
max_loss: 1
engine: {buckets: 2}
"""
WORDS = ["the", "of", "and", "that", "have", "with", "river", "hill", "stone", "water", "light", "house"]
BAD_INPUTS = 4 + 4 + 1 + 1 + 1
"""Lines that are no JSON, lines that are no UTF-8, a cut-off gzip, half a WARC record, a file of no known kind."""


def page(number: int, place: int) -> str:
    draw = random.Random(place if place % 10 == 0 else number * 1000 + place)
    return " ".join(draw.choices(WORDS, k=80)) + "."


def prepare(folder: Path) -> None:
    """Four files of pages, a tenth of them copies of another file's, with bad lines; and three broken files."""
    inputs = folder / "in"
    inputs.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    for number in range(4):
        rows = [
            json.dumps({"text": page(number, place), "url": f"https://site{place % 7}.example/{number}"}).encode()
            for place in range(150)
        ]
        rows.insert(70, b'{"text": "\xff\xfe broken"}')
        (inputs / f"{number}.jsonl").write_bytes(b"\n".join([*rows, b'{"text": ']) + b"\n")
    lines = "".join(json.dumps({"text": page(9, place)}) + "\n" for place in range(1, 90)).encode()
    packed = gzip.compress(lines, mtime=0)
    (inputs / "cut-off.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    body = page(10, 1).encode()
    whole = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n" % (len(body), body)
    (inputs / "half.warc").write_bytes(whole + whole[: len(whole) // 2])
    (inputs / "noise.bin").write_bytes(random.Random(0).randbytes(5000))


def start(folder: Path, out: str, failpoint: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "recipes.app.start", "run", "recipe.yaml", "-o", out, "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GOLDSAND_FAILPOINT": failpoint}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said, when the process is over."""
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def finish(folder: Path, out: str) -> None:
    """The same command again, undisturbed: it must succeed."""
    code, said = ended(start(folder, out))
    assert code == 0, said


def content(out: Path) -> dict[str, bytes]:
    """Every byte that must not differ: outputs as they are, manifests without their times."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_file() and "/" in name:
            found[name] = path.read_bytes()
            if name.startswith("manifests/"):
                manifest = json.loads(found[name])
                for cost in ("seconds", "memory"):
                    manifest.pop(cost, None)
                found[name] = json.dumps(manifest, sort_keys=True).encode()
    return found


def different(one: dict[str, bytes], other: dict[str, bytes]) -> int:
    """Bytes in which two folders differ; a file that only one has counts whole."""
    total = 0
    for name in one.keys() | other.keys():
        left, right = one.get(name, b""), other.get(name, b"")
        if left != right:
            total += sum(a != b for a, b in zip(left, right, strict=False)) + abs(len(left) - len(right))
    return total


def killed_at(folder: Path, out: str, point: str, victim: str) -> None:
    """A run in which a process dies at a named point. Raises AssertionError when none did."""
    once = folder / f"{point}.{victim}.once"
    code, _ = ended(start(folder, out, f"{point}:{victim}:{once}"))
    assert once.exists(), f"'{point}' was never reached"
    # A run outlives its worker; nothing outlives its parent.
    assert code == (0 if victim == "worker" else -signal.SIGKILL), f"'{point}', {victim}: exit {code}"


def refused(folder: Path, out: str, words: str) -> None:
    code, said = ended(start(folder, out))
    assert code == 2 and words in said and "Traceback" not in said, (code, said)


def second_run(folder: Path) -> str:
    """Two runs on one folder: the second is refused and told who holds it; the first, held up meanwhile, ends well."""
    first = start(folder, "held")
    lock = folder / "held" / ".lock"
    while not lock.is_file() or lock.read_text() != str(first.pid):
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGSTOP)
    refused(folder, "held", f"another run (process {first.pid})")
    os.killpg(first.pid, signal.SIGCONT)
    assert ended(first)[0] == 0
    return "held"


def mounted(place: Path, size: int) -> bool:
    """A tmpfs of that many bytes at `place`, or a new size for the one that is there; False where nobody may mount."""
    how = f"remount,size={size}" if place.is_mount() else f"size={size}"
    place.mkdir(exist_ok=True)
    return not subprocess.run(["mount", "-t", "tmpfs", "-o", how, "none", str(place)], capture_output=True).returncode


def full_and_read_only(folder: Path, needed: int, shares: tuple[float, ...]) -> int:
    """A run on a disk that is full at each of these shares of what is needed, then read-only, then neither; returns
    the harms."""
    disk = folder / "disk"
    if not mounted(disk, int(needed * 0.1)):
        return 0
    harms = 0
    try:
        for share in shares:
            mounted(disk, int(needed * share))
            refused(folder, "disk/out", "No space left on device")
            harms += 1
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        refused(folder, "disk/out", "Read-only file system")
        subprocess.run(["mount", "-o", f"remount,rw,size={needed * 4}", str(disk)], check=True)
        finish(folder, "disk/out")
        shutil.copytree(disk / "out", folder / "full")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return harms + 1


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from curate.places.failpoint import POINTS, VICTIMS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        began = time.monotonic()
        finish(folder, "calm")
        lasted = time.monotonic() - began
        calm = content(folder / "calm")
        account = documents(folder / "calm")
        assert account["unreadable"] == BAD_INPUTS, account
        outs, kills = ["parent"], 0
        for number, point in enumerate(POINTS):
            for victim in VICTIMS if not given.quick else VICTIMS[number % 2 :][:1]:
                outs += [f"worker-{number}"] * (victim == "worker")
                killed_at(folder, outs[-1] if victim == "worker" else "parent", point, victim)
                kills += 1
        finish(folder, "parent")
        draw = random.Random(given.seed)
        for _ in range(given.kills):
            process = start(folder, "random")
            time.sleep(draw.uniform(0.2, lasted))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            ended(process)
            kills += 1
        finish(folder, "random")
        outs += ["random", second_run(folder)]
        blocks = sum(-(-path.stat().st_size // 4096) * 4096 for path in (folder / "calm").rglob("*") if path.is_file())
        harms = full_and_read_only(folder, blocks, (0.3, 0.8) if given.quick else (0.1, 0.3, 0.5, 0.8))
        outs += ["full"] if harms else []
        line = {
            "kills_survived": kills,
            "full_or_read_only_survived": harms,
            "bad_inputs": account["unreadable"],
            "documents_lost": sum(
                abs(documents(folder / out)[what] - account[what]) for out in outs for what in account
            ),
            "bytes_different": sum(different(calm, content(folder / out)) for out in outs),
        }
    print(json.dumps(line))
    sys.exit(bool(line["documents_lost"] or line["bytes_different"]))


def documents(out: Path) -> dict[str, int]:
    return json.loads((out / "summary.json").read_text())["documents"]


if __name__ == "__main__":
    main()
