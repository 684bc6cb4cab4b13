"""Which corpus teaches a model more? The same models on each, by two readings: text that no arm read, and facts that
are placed in every arm.

The facts say how much a corpus interferes with storing what is seen a given number of times, at the scale of the models
that were trained; not how much knowledge the corpus itself holds.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curate.errors import Refused
from curate.places.manifest import sealed
from curate.places.store import write_atomically
from curate.shards.vocabulary import Vocabulary
from recipes.app.measure.asked import Comparison
from recipes.app.measure.begun import COMPARISON, begin
from recipes.app.measure.coins import arms_of, lengths_of
from recipes.app.measure.corpora import Entry, front_of, shared_vocabulary, tokenised
from recipes.app.measure.held_out import HeldOut
from recipes.app.measure.ladder import Grid
from recipes.app.measure.own_facts import OwnFacts
from recipes.app.measure.protocol import Training, rungs_of
from recipes.app.measure.reading import Reading
from recipes.app.measure.verdict import report
from synth.corpus import facts_corpus
from synth.inject import Inject
from train_probe.alone import alone_in
from train_probe.plan import ModelPlan

FACTS = "facts"
"""The domain of the facts, which no page has."""
OTHERS = 200
"""People from whose texts the tokenizer learns how facts are written."""

Train = Callable[[dict[str, Any], Path], list[dict[str, Any]]]
"""Trains a plan into a folder and returns its results."""


def run_comparison(
    entries: Sequence[Entry],
    out: Path,
    asked: Comparison,
    tokenizer: Path | None = None,
    own: str | None = None,
    held_out: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Compare, and write `compare.json`; the same call resumes a comparison that was stopped. Raises PlanError when
    another process writes into `out`, Refused where that is the folder of a corpus."""
    with alone_in(out):
        train = functools.partial(_train, quiet=True) if quiet else None
        comparison = compare(entries, out, asked, tokenizer, own, held_out, train)
        plain = json.loads(json.dumps(_plain(comparison), allow_nan=False))
        write_atomically(out / "compare.json", json.dumps(sealed(plain), indent=1).encode())
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
    unknown = sorted(set(asked.may_repeat) - {entry.name for entry in entries})
    if unknown:
        arms_given = ", ".join(entry.name for entry in entries)
        raise Refused(f"--may-repeat {unknown[0]}: there is no such arm; there are {arms_given}")
    if asked.reading == "text" and len({one.corpus.name for one in entries if one.rendering.domain == "none"}) < 2:
        raise Refused(
            "the text reading needs two corpora without rendered domains, because the held-out text has none; leave out"
            " --reading text, or the arms' domain="
        )
    held = HeldOut.of(entries, held_out)
    entries = held.entries
    folder = out / "corpora"
    others = _others(asked)
    vocabulary = shared_vocabulary(entries[0].corpus, iter(others), FACTS, tokenizer, asked.size)
    begin(out, COMPARISON)
    corpora = tokenised(entries, vocabulary, folder / "tokens", FACTS)
    of, arms = {one.name: one for one in corpora}, arms_of(entries, corpora, asked.coin)
    asked, value_bits = _placed(asked, vocabulary, folder)
    # Of other people than those who are shown, so that more seeds change no mixture.
    tokens = asked.people * statistics.fmean(len(ids) + 1 for ids in vocabulary.encode(others))
    rungs = [] if asked.reading == "text" else rungs_of(asked, arms, corpora, tokens)
    reading = Reading(asked, entries, corpora, held)
    written = reading.write(vocabulary, folder / "text")
    shards = {one.name: str(one.folder.resolve()) for one in corpora} | written.pop("junk_shards", {})
    plan = {
        "facts": str((folder / "facts").resolve()),
        "useful": None,
        "junk_shards": shards,
        **written,
        "model": {"layers": asked.layers, "heads": asked.heads, "width": asked.width},
        "training": {"batch": asked.batch, "batch_of": "all", "window": asked.window},
    }
    into = train or _train
    read = None
    if reading.read:
        grid = Grid(plan | {"compile": reading.compile}, lambda plan: into(plan, out / "text"))
        read = reading.carried_out(grid)
    if asked.reading == "text":
        comparison: dict[str, Any] = {
            "asked": dataclasses.asdict(asked), "tokenizer": vocabulary.hash, "verdict": [], "own_facts": None,
            "corpora": [dataclasses.asdict(one) for one in corpora],
        }  # fmt: skip
    else:
        own_facts = None if own is None else OwnFacts.of(own, entries, vocabulary, folder)
        plan = plan if own_facts is None else own_facts.planned(plan)
        grid = Grid(plan, lambda plan: into(plan, out / "probe"))
        outcome = Training(asked, arms, corpora, rungs, grid).carried_out()
        stored = None
        if own_facts is not None:
            begun = [run for run in grid.runs if run["rung"] == outcome.start and run["seed"] in asked.first_seeds]
            stored = own_facts.stored(grid.trained(own_facts.runs(begun)))
        lengths = {arm.name: lengths_of(arm, of[arm.shards].folder, asked.first_seeds) for arm in arms}
        comparison = report(asked, arms, corpora, outcome, vocabulary.hash, value_bits, lengths, stored)
    text = [] if read is None else read["verdict"]
    return comparison | {"reading": read, "verdict": [*text, *(f"facts: {line}" for line in comparison["verdict"])]}


def _inject(asked: Comparison, people: int, exposures: int, others: int = 0) -> Inject:
    """The facts of so many people; of `others` than those that models are shown."""
    seed = asked.seed_from if asked.facts_seed is None else asked.facts_seed
    return Inject(
        kind="people", people=people, exposures=exposures, frozen=asked.frozen, seed=seed + others, domain=FACTS
    )


def _others(asked: Comparison) -> list[str]:
    """Texts about people whom no model is shown, so that the tokenizer is nearer to none of those who are."""
    placed = _inject(asked, OTHERS, 1, others=1_000_003).placed()
    return [document.text for document in placed.documents(0, placed.total)]


def _placed(asked: Comparison, vocabulary: Vocabulary, folder: Path) -> tuple[Comparison, float]:
    """Write the facts of all seeds; the settings with their number of people and a window that holds every text, and
    the bits of one person's values. None of it depends on the arms."""
    value_bits = sum(one.bits for one in _inject(asked, 1, 1).placed().table.attributes)
    if asked.load is not None:
        model = ModelPlan(asked.layers, asked.heads, asked.width).built()
        people = max(1, round(asked.load * model.parameters(vocabulary.size) / value_bits))
        asked = dataclasses.replace(asked, people=people)
    placed = _inject(asked, asked.cohorts * asked.people, 1).placed()
    texts = [document.text for document in placed.documents(0, placed.total)]
    longest = max(len(ids) + 1 for ids in vocabulary.encode(texts))
    longest += max(len(front_of(FACTS, vocabulary, domain)) for domain in ("prefix", "url"))
    asked = dataclasses.replace(asked, window=max(asked.window, -(-longest * 5 // 4 // 32) * 32))
    # More exposures than any arm can have, which would spend all of its tokens on them.
    most = 2 * math.ceil(max(asked.exposures) / (1 - asked.junk_ratio))
    injected = _inject(asked, asked.cohorts * asked.people, most)
    facts_corpus(folder, injected, name=None, vocabulary=vocabulary, used=vocabulary.size)
    return asked, value_bits


def _train(plan: dict[str, Any], out: Path, quiet: bool = False) -> list[dict[str, Any]]:
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    return run_plan(plan_of(plan), out, None if quiet else Printer())


def _plain(value: Any) -> Any:
    """The same for JSON: paths as text, infinite numbers and NaN as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
