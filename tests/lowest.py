"""The lowest versions that pyproject.toml allows, and a small run that a sound installation of them finishes.

`python tests/lowest.py pins` prints each direct dependency at its lower bound, for pip; `make test-lowest` installs
those and runs `python tests/lowest.py smoke` with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECIPE = """
name: lowest
inputs: [{name: crawl, path: %s}, {name: rows, path: rows.jsonl}]
steps:
  - extract: {serialisation: blocks}
  - language: {keep: [en]}
  - url
  - safety
  - redact
  - gopher_repetition
  - gopher_quality
  - c4
  - fineweb
  - exact_dedup
  - minhash_dedup
  - line_dedup
  - inject: {kind: compact, people: 20, exposures: 3}
output:
  text: {domain: prefix}
  tokenizer: {kind: joint}
  tokens: {all: {domain: special}}
"""
"""Every base dependency is asked: pages by trafilatura and selectolax, hosts, languages, phones, signatures, a BPE."""


def base() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def lowest(requirements: Iterable[str]) -> Iterator[str]:
    """`name==version` at the lower bound of each requirement. Raises ValueError for one without a lower bound."""
    for one in requirements:
        name, bound, rest = one.partition(">=")
        if not bound:
            raise ValueError(f"{one} has no lower bound")
        yield f"{name}=={rest.partition(',')[0]}"


def goldsand(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "error::DeprecationWarning:recipes", "-m", "recipes.app.start", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"goldsand {' '.join(arguments)} ended with {done.returncode}\n{done.stderr}"
    # What is not as this code was written for says so: then a bound is wrong.
    assert "warning" not in done.stderr.lower(), done.stderr
    return done.stdout


def smoke(folder: Path) -> None:
    """A run from a crawl to tokens, and the commands around it; every step sees a document that it changes or drops."""
    crawl = ROOT / "recipes" / "sample" / "crawl-00000.warc.gz"
    (folder / "lowest.yaml").write_text(RECIPE % json.dumps(str(crawl)))
    row = {"text": "Call +1 415 555 2671 or write to jo@acme.org about the river. " * 20, "url": "https://a.co.uk/x"}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    for command in ("check lowest.yaml", "steps", "run lowest.yaml -o out", "status out", "verify out"):
        goldsand(folder, *command.split())
    steps = (
        "steps=[extract: {engine: cascade}, language: {keep: [en]}, inject: {kind: compact, people: 20, exposures: 3}]"
    )
    goldsand(folder, "run", "lowest.yaml", "-o", "cascade", "--set", steps, "--limit", "20")
    summary = json.loads((folder / "out" / "summary.json").read_text())
    unreadable = summary["documents"]["unreadable"]
    assert unreadable == 0, f"{unreadable} records could not be read: see {folder}/out/quarantine"


if __name__ == "__main__":
    if sys.argv[1:] == ["pins"]:
        print("\n".join(lowest(base())))
    elif sys.argv[1:] == ["smoke"]:
        for pin in lowest(base()):
            wanted, installed = pin.partition("==")[2], version(pin.partition("==")[0])
            assert (installed + ".").startswith(wanted + "."), f"{pin} is wanted, {installed} is installed"
        with tempfile.TemporaryDirectory() as folder:
            smoke(Path(folder))
        print("the lowest versions work")
    else:
        sys.exit(__doc__)
