"""The figures of a run, declared once: `figures.json` holds them, and each row of `results.json` behind its settings.

No torch here: whoever reads results need not train.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.shards.tokens import write_sealed

RESULTS, WRITTEN = "results.json", "written.json"
"""The results of a probe, and the file beside them that says under a seal what they were when they were written."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a finished run measured, in the order of the file.

    Bits are of all people together, raw; nats are p1 and p2 of `train_probe/capacity.py`. A field without a default is
    in every `figures.json`: a file that lacks it counts as missing, and a run that failed has null for it. A new figure
    has a default, so that older folders are still read.
    """

    architecture: str
    parameters: int
    people: int | None = None
    junk_ratio: float | None = None  # the share of junk that was reached
    name_bits: float
    value_bits: float
    diversity_bits: float | None = None
    bits_per_parameter: float
    value_bits_per_parameter: float
    clipped: dict[str, float] | None = None  # the five above, each kind of bits at least 0
    name_nats: float | None = None
    value_nats: float | None = None
    attributes: list[dict[str, Any]] | None = None  # the parts of value_bits: name, bits, most
    quantized: dict[str, dict[str, float]] | None = None  # the same five, by bits of the rounded weights
    gptq: dict[str, dict[str, float]] | None = None  # the same of matrices rounded by GPTQ
    text: dict[str, dict[str, Any]] | None = None  # by name of the held-out text
    cloze: dict[str, list[dict[str, float]]] | None = None  # by name of the file, a group each
    learnable: dict[str, float] | None = None  # mean nats of a token of a chain's new windows, and their entropy
    held_out: dict[str, dict[str, float]] | None = None  # nats, by what was held out
    told: dict[str, Any] | None = None  # facts with a majority: train_probe/exceptions.py
    evaluations: dict[str, dict[str, Any]] | None = (
        None  # by the plan's `evaluate`; each item's are in the run's folder
    )
    max_bits_per_parameter: float  # of a model that knows everything
    max_value_bits_per_parameter: float | None = None
    curve: list[dict[str, Any]] | None = None  # what was scored on the way, by exposures
    steps: int | None = None
    tokens: int
    seconds: float
    device: str | None = None
    compiled: bool | None = None


NEEDED = tuple(one.name for one in dataclasses.fields(Figures) if one.default is dataclasses.MISSING)
"""The figures that every finished run has."""


def write_results(out: Path, results: list[dict[str, Any]]) -> None:
    """Write the results of a probe, whole or not at all; what they are is written down before."""
    content = json.dumps(results, indent=1, default=str).encode()
    write_sealed(out / WRITTEN, {RESULTS: hashlib.sha256(content).hexdigest()})
    temporary = out / f"{RESULTS}.writing"
    temporary.write_bytes(content)
    temporary.replace(out / RESULTS)
