"""Pages per second of a whole run on WARC files, one worker, next to datatrove's stages on the same files.

    python tests/bench/crawl.py --input FOLDER [--peer-python PYTHON --peer-script SCRIPT] [--workers 1]

Both sides extract, apply Gopher, C4 and FineWeb rules and remove near-duplicates; ours also writes its ledger, keeps
its manifests and verifies every near-duplicate. The peer's script takes `all INPUT WORKDIR` and prints a line of JSON
with `docs_per_s`. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = """\
name: bench
inputs: [{path: PATH}]
steps: [extract: {favor_precision: true}, gopher_repetition, gopher_quality, c4, fineweb, minhash_dedup]
"""


def ours(pages: Path, workers: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = folder / "bench.yaml"
        recipe.write_text(RECIPE.replace("PATH", str(pages / "*.warc.gz")))
        command = [sys.executable, "-m", "recipes.app.start", "run", str(recipe), "-o", str(folder / "out")]
        subprocess.run([*command, "--workers", str(workers)], cwd=ROOT, check=True, capture_output=True)
        return json.loads((folder / "out" / "summary.json").read_text())


def peer(pages: Path, python: str, script: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        command = [python, script, "all", str(pages), str(Path(name) / "work")]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(printed.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--peer-python")
    parser.add_argument("--peer-script")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    summary = ours(given.input, given.workers)
    line = {
        "documents": summary["documents"]["input"],
        "kept": summary["documents"]["kept"],
        "pages_per_s": summary["pages_per_second"],
        "workers": given.workers,
        "extract_share": round(summary["steps"][0]["seconds"] / sum(step["seconds"] for step in summary["steps"]), 3),
        "peak_memory_mb": max(
            summary["worker_memory_mb"], round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
        ),
        "python": platform.python_version(),
    }
    if given.peer_python and given.peer_script:
        theirs = peer(given.input, given.peer_python, given.peer_script)
        line |= {
            "peer_documents": theirs["docs_in"],
            "peer_kept": theirs["docs_out"],
            "peer_pages_per_s": theirs["docs_per_s"],
            "ratio": round(summary["pages_per_second"] / theirs["docs_per_s"], 2),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
