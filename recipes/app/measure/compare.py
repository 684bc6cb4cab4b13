"""Which corpus teaches a model more? The same models on each, by two readings: text that no arm read, and facts that
are placed in every arm.

The facts say how much a corpus interferes with storing what is seen a given number of times, at the scale of the models
that were trained; not how much knowledge the corpus itself holds.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curate.errors import Refused
from curate.places.store import write_atomically
from recipes.app.measure.asked import Comparison
from recipes.app.measure.corpora import TEXTS, Entry, shared_vocabulary, tokenised
from recipes.app.measure.held_out import HeldOut
from recipes.app.measure.ladder import Grid
from recipes.app.measure.own_facts import OwnFacts
from recipes.app.measure.protocol import carried_out, rungs_of
from recipes.app.measure.reading import Reading
from recipes.app.measure.verdict import report
from synth.corpus import facts_corpus
from synth.inject import Inject

Train = Callable[[dict[str, Any], Path], list[dict[str, Any]]]
"""Trains a plan into a folder and returns its results."""


def run_comparison(
    entries: Sequence[Entry],
    out: Path,
    asked: Comparison,
    tokenizer: Path | None = None,
    own: str | None = None,
    held_out: Path | None = None,
) -> dict[str, Any]:
    """Compare, and write `compare.json`; the same call resumes a comparison that was stopped."""
    out.mkdir(parents=True, exist_ok=True)
    comparison = compare(entries, out, asked, tokenizer, own, held_out)
    write_atomically(out / "compare.json", json.dumps(_plain(comparison), indent=1, allow_nan=False).encode())
    return comparison


def compare(
    entries: Sequence[Entry],
    out: Path,
    asked: Comparison,
    tokenizer: Path | None = None,
    own: str | None = None,
    held_out: Path | None = None,
    train: Train | None = None,
) -> dict[str, Any]:
    """Hold text out, tokenise, place the facts, train, decide; returns what `compare.json` holds.

    `own` asks for facts of the corpora themselves: "found" for those found by pattern, or a table of them
    (`own_facts.py`); `held_out` is the text that the user wants modelled. `train` trains a plan into a folder; by
    default the probe does. Raises Refused where the corpora cannot be compared.
    """
    if len({entry.name for entry in entries}) < len(entries) or len(entries) < 2:
        raise Refused("a comparison needs at least two corpora of different names; name them NAME=FOLDER")
    asked.refuse_unread(own)
    if asked.reading == "text" and len({one.corpus.name for one in entries if one.rendering.domain == "none"}) < 2:
        raise Refused(
            "the text reading needs two corpora without rendered domains, because the held-out text has none; leave out"
            " --reading text, or the arms' domain="
        )
    held = HeldOut.of(entries, held_out)
    entries = held.entries
    inject = Inject(kind="people", people=asked.people, exposures=1, frozen=asked.frozen, seed=0)
    placed = inject.placed()
    texts = [document.text for document in placed.documents(0, placed.total)]
    vocabulary = shared_vocabulary(entries, iter(texts[:TEXTS]), inject.domain, tokenizer, asked.size)
    folder = out / "corpora"
    corpora = tokenised(entries, vocabulary, folder / "tokens", asked.protocol == "same-budget", inject.domain)
    lengths = [len(ids) + 1 for ids in vocabulary.encode(texts)]
    longest = max(lengths) + max(len(one.front) for one in corpora)
    asked = dataclasses.replace(asked, window=max(asked.window, -(-longest * 5 // 4 // 32) * 32))
    rungs = [] if asked.reading == "text" else rungs_of(asked, corpora, float(sum(lengths)))
    most = max([*(one.exposures for one in rungs), *asked.exposures])
    facts_corpus(
        folder, dataclasses.replace(inject, exposures=most), name=None, vocabulary=vocabulary, used=vocabulary.size
    )
    reading = Reading(asked, entries, corpora, held)
    plan = {
        "facts": str((folder / "facts").resolve()),
        "useful": None,
        "junk_shards": {one.name: str(one.folder.resolve()) for one in corpora},
        "held_out_text": reading.write(vocabulary, folder / "tokens"),
        "model": {"layers": asked.layers, "heads": asked.heads, "width": asked.width},
        "training": {"batch": asked.batch, "window": asked.window},
    }
    into = train or _train
    read = None
    if asked.reading != "facts" and len(reading.arms) > 1:
        read = reading.report(into(plan | {"runs": reading.runs(), "compile": reading.compile}, out / "text"))
    if asked.reading == "text":
        comparison: dict[str, Any] = {
            "asked": dataclasses.asdict(asked), "tokenizer": vocabulary.hash, "verdict": [], "own_facts": None,
            "corpora": [dataclasses.asdict(one) for one in corpora],
        }  # fmt: skip
    else:
        own_facts = None if own is None else OwnFacts.of(own, entries, vocabulary, folder)
        plan = plan if own_facts is None else own_facts.planned(plan)
        grid = Grid(plan, lambda plan: into(plan, out / "probe"))
        outcome = carried_out(asked, corpora, rungs, grid)
        stored = None
        if own_facts is not None:
            begun = [run for run in grid.runs if run["rung"] == outcome.start and run["seed"] in asked.seeds]
            stored = own_facts.stored(grid.trained(own_facts.runs(begun)))
        comparison = report(asked, corpora, outcome, vocabulary.hash, stored)
    text = [] if read is None else read["verdict"]
    return comparison | {"reading": read, "verdict": [*text, *(f"facts: {line}" for line in comparison["verdict"])]}


def _train(plan: dict[str, Any], out: Path) -> list[dict[str, Any]]:
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    return run_plan(plan_of(plan), out, Printer())


def _plain(value: Any) -> Any:
    """The same for JSON: paths as text, infinite numbers and NaN as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
