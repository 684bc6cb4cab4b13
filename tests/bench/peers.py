"""The other side of a benchmark on texts: a peer in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def beside(result: dict[str, Any], texts: Sequence[str], ours: Sequence[Any], python: str, *script: str) -> None:
    """Adds the peer's texts a second, our ratio to them and the share of equal outcomes to a line with `docs_per_s`.

    `script` is the peer's program and its arguments behind the first, which is a JSONL file of the texts; it prints
    `seconds` and `outcomes` as its last line.
    """
    program, *arguments = script
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        command = [python, "-c", program, str(path), *arguments]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peer = json.loads(output.splitlines()[-1])
    result["peer_docs_per_s"] = round(len(texts) / peer["seconds"], 1)
    result["ratio"] = round(result["docs_per_s"] / result["peer_docs_per_s"], 2)
    equal = sum(mine == theirs for mine, theirs in zip(ours, peer["outcomes"], strict=True))
    result["agreement"] = round(equal / len(texts), 5)
