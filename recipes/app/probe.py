"""From a checked recipe to the plan of a probe, and the plan carried out."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from curate.run.store import write_atomically
from recipes.app.load import Loaded
from recipes.app.schema import Probe, build_step

GENERATED = ("none", "endless", "repetitive")


def run_probe(loaded: Loaded, out: Path, processes: int | None = None) -> list[dict[str, Any]]:
    """Write `plan.json`, train every run of it that is not done yet, and write `results.json`.

    Raises ValueError when the recipe has no probe or its corpus is not a finished run.
    """
    probe = loaded.recipe.probe
    if probe is None:
        raise ValueError(f"recipe '{loaded.recipe.name}' has no `probe:` part: there is nothing to train")
    plan = make_plan(probe, out)
    plan["processes"] = processes
    # After the plan: what is wrong with it can be said where torch is not installed.
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "plan.json", json.dumps(plan, indent=2).encode())
    return run_plan(out / "plan.json", out, Printer())


def make_plan(probe: Probe, out: Path) -> dict[str, Any]:
    """The plan of a recipe: every arm at every number of exposures, learning rate and seed."""
    corpus = _corpus(probe, out)
    facts = json.loads((corpus / "facts" / "facts.json").read_text())
    asked = max(probe.exposures, default=0)
    if asked > facts["exposures"]:
        raise ValueError(
            f"{corpus} holds {facts['exposures']} exposures of each fact, and the recipe asks for {asked}:"
            " inject more (`--set inject.exposures=...`) or ask for fewer"
        )
    named = sorted({arm.junk for arm in probe.arms if arm.junk not in GENERATED})
    for name in [probe.useful, *named]:
        if not (corpus / "tokens" / name / "metadata.json").is_file():
            there = sorted(path.parent.name for path in corpus.glob("tokens/*/metadata.json"))
            raise ValueError(f"{corpus} has no token set '{name}'; it has: {', '.join(there) or 'none'}")
    runs = [
        {
            "arm": arm.arm,
            "exposures": exposures,
            "junk_ratio": arm.junk_ratio,
            "junk_kind": arm.junk if arm.junk in GENERATED else "shards",
            "junk_shards": None if arm.junk in GENERATED else arm.junk,
            "tagged": arm.tagged,
            "seed": seed,
            "learning_rate": learning_rate,
        }
        for exposures, learning_rate, seed, arm in itertools.product(
            probe.exposures or [facts["exposures"]], probe.learning_rates, probe.seeds, probe.arms
        )
    ]
    return {
        "facts": str(corpus / "facts"),
        "useful": str(corpus / "tokens" / probe.useful),
        "junk_shards": {name: str(corpus / "tokens" / name) for name in named},
        "model": probe.model.model_dump(),
        "training": probe.training.model_dump(),
        "runs": runs,
    }


def _corpus(probe: Probe, out: Path) -> Path:
    """The folder with facts and token sets: a finished run, or one made of facts alone."""
    if probe.facts is not None:
        from synth.corpus import facts_corpus
        from synth.inject import Inject

        folder = out / "corpus"
        inject = build_step("inject", probe.facts)
        assert isinstance(inject, Inject)
        facts_corpus(folder, inject, name=probe.useful)
        return folder.resolve()
    if probe.corpus is None:
        raise ValueError(
            "the probe needs facts: name a finished run with --corpus OUT, or write `facts:` in the recipe"
        )
    corpus = Path(probe.corpus).resolve()
    if not corpus.is_dir():
        raise ValueError(f"there is no folder {corpus}; name a finished run with --corpus OUT")
    if not (corpus / "facts" / "scoring.npz").is_file():
        raise ValueError(
            f"{corpus} holds no facts to score: it must be the folder of a finished run whose recipe has `inject` and"
            " token sets (for example: goldsand run quickstart -o demo/corpus)"
        )
    return corpus
