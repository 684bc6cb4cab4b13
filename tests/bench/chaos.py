"""Kills a run at every named point and at random moments, resumes it, and compares every byte with an undisturbed run.

    python tests/bench/chaos.py [--kills 12] [--seed 0]

Each named point kills a worker once and the parent once; then come `--kills` kills of the whole process group at
moments drawn from `--seed`. The inputs hold bad lines, which must be set aside the same way each time. Prints one JSON
line.
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
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: chaos
inputs: [{path: in}]
steps:
  - gopher_quality: {min_words: 5}
  - exact_dedup
  - minhash_dedup
  - inject: {kind: compact, people: 20, exposures: 5}
output: {tokenizer: {kind: joint, size: 300}, tokens: {bare: {}, tagged: {domain: special}}}
max_loss: 1
"""
BAD_LINES = 4
WORDS = "the of and that have with river hill stone water light house".split()  # noqa: SIM905


def prepare(folder: Path) -> None:
    """Four files of pages, a tenth of them copies of another file's; each ends in a line that is no JSON."""
    (folder / "in").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    for number in range(4):
        rows = []
        for place in range(150):
            draw = random.Random(place if place % 10 == 0 else number * 1000 + place)
            text = " ".join(
                draw.choices(
                    ["the", "of", "and", "that", "have", "with", "river", "hill", "stone", "water", "light", "house"],
                    k=80,
                )
            )
            rows.append(json.dumps({"text": f"{text}.", "url": f"https://site{place % 7}.example/{number}"}))
        (folder / "in" / f"{number}.jsonl").write_text("\n".join([*rows, '{"text": ']) + "\n")


def start(folder: Path, out: str, failpoint: str = "") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "recipes.app.cli", "run", "recipe.yaml", "-o", out, "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GOLDSAND_FAILPOINT": failpoint}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)


def content(out: Path) -> dict[str, bytes]:
    """Every byte that must not differ: outputs as they are, manifests without their times."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_file() and name not in ("summary.json", "report.html", ".lock", "kills.jsonl"):
            found[name] = path.read_bytes()
            if name.startswith("manifests/"):
                manifest = json.loads(found[name])
                manifest.pop("seconds", None)
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
    """One run that dies at a named point, then the same command again. Raises AssertionError when it did not."""
    once = folder / f"{out}.once"
    process = start(folder, out, f"{point}:{victim}:{once}")
    code = process.wait(timeout=120)
    assert once.exists(), f"'{point}' was never reached"
    # A run outlives its worker; nothing outlives its parent.
    assert code == (0 if victim == "worker" else -signal.SIGKILL), f"'{point}', {victim}: exit {code}"
    assert start(folder, out).wait(timeout=120) == 0


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from curate.run.failpoint import POINTS, VICTIMS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        began = time.monotonic()
        assert start(folder, "calm").wait(timeout=120) == 0
        lasted = time.monotonic() - began
        calm = content(folder / "calm")
        kept = json.loads((folder / "calm" / "summary.json").read_text())["documents"]["kept"]
        survived = lost = wrong = 0
        outs = []
        for number, (point, victim) in enumerate((point, victim) for point in POINTS for victim in VICTIMS):
            killed_at(folder, f"point-{number}", point, victim)
            outs.append(f"point-{number}")
            survived += 1
        draw = random.Random(given.seed)
        for _ in range(given.kills):
            process = start(folder, "random")
            time.sleep(draw.uniform(0.2, lasted))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=120)
            survived += 1
        if given.kills:
            assert start(folder, "random").wait(timeout=120) == 0
            outs.append("random")
        for out in outs:
            wrong += different(calm, content(folder / out))
            lost += abs(kept - json.loads((folder / out / "summary.json").read_text())["documents"]["kept"])
    line = {"kills_survived": survived, "bad_inputs": BAD_LINES, "documents_lost": lost, "bytes_different": wrong}
    print(json.dumps(line))
    sys.exit(bool(lost or wrong))


if __name__ == "__main__":
    main()
