"""The recipe in the folder of a finished run, and what it names, built again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curate.decontaminate import Decontaminate
from curate.dedup.minhash import MinHashDedup
from curate.errors import Refused
from curate.places.manifest import SUMMARY, own_recipe, read_summary
from curate.places.store import Place, place_of
from curate.run.corpus import CorpusRun
from curate.run.profile import Profile
from curate.run.provenance import read_made_with
from curate.run.stage import labels_of
from curate.sources import Partition
from curate.step import Step
from recipes.app.recipe.build import corpus_run
from recipes.app.recipe.load import BUILT_IN, Loaded, RecipeError, load, steps_of_run
from recipes.app.recipe.schema import build_step


def recipe_of(out: Place) -> Loaded | None:
    """The recipe of a run; None where it cannot be loaded, as when a file that it names is missing by now. Raises
    NotAsWritten where it is not the one that was run."""
    try:
        return load(str(own_recipe(out)))
    except RecipeError:
        return None


def run_again(out: Place, workers: int | None = None, *, command: str = "retry") -> CorpusRun:
    """The run that made a finished folder, with the same recipe and limit, for this `command`. Raises Refused where the
    folder is not that of such a run, or does not say what its limit was."""
    try:
        summary = read_summary(out)
        profile = any(step["step"] == Profile.name for step in summary["steps"])
    except (OSError, LookupError, TypeError):
        raise Refused(f"{out / SUMMARY} is damaged; `goldsand run` into the same folder writes it again") from None
    if profile:
        raise Refused(f"{out} holds a profile, not a corpus: profile again, into another folder")
    if "made_with" not in summary:
        raise Refused(
            f"the run in {out} did not write down whether it had a --limit (an earlier version did not): give the same"
            f" `goldsand run` again, which finds its work done, and then `goldsand {command}`"
        )
    return corpus_run(load(str(own_recipe(out))), out, workers=workers, limit=summary["made_with"]["limit"])


def partitions_of(loaded: Loaded) -> Sequence[Partition]:
    """The recipe's inputs as a run reads them; empty where they are missing by now."""
    try:
        # Nothing is written to this folder.
        return corpus_run(loaded, place_of("goldsand-why")).partitions
    except Refused:
        return []


def run_as_begun(out: Place) -> CorpusRun:
    """The run that made a folder, or was making it, from what it wrote down. Raises Refused where its recipe is not
    there, or is that of another run."""
    made = read_made_with(out)
    remedy = f"`goldsand plan RECIPE -o {out}` says it of a recipe that you name"
    try:
        text = (out / "recipe.yaml").read_bytes()
    except OSError:
        raise Refused(f"{out} has no recipe.yaml, which a run writes when it ends: {remedy}") from None
    if not made or made["recipe"]["sha256"] != hashlib.sha256(text).hexdigest():
        raise Refused(f"{out / 'recipe.yaml'} is not the recipe of the last run in {out}: {remedy}")
    if any(step["step"] == Profile.name for step in made["steps"]):
        raise Refused(f"{out} is the folder of a profile, which `goldsand profile` brings up to date")
    return corpus_run(load(str(out / "recipe.yaml")), out, limit=made["limit"])


def minhash_steps(out: Place) -> dict[str, MinHashDedup]:
    """The steps of a run that drop near-duplicates, by label. Raises Refused where its recipe cannot be read."""
    # The index of earlier corpora may have moved since, and signatures do not depend on it.
    steps = [
        _built(out, name, {key: value for key, value in given.items() if key != "index"})
        for name, given in steps_of_run(out)
        if name == MinHashDedup.name
    ]
    return {label: step for label, step in zip(labels_of(steps), steps, strict=True) if isinstance(step, MinHashDedup)}


def decontaminate_steps(out: Place, questions: str | None) -> list[Decontaminate]:
    """The `decontaminate` steps of the run's recipe, with other test sets where `questions` names them.

    Raises Refused where the test sets are missing.
    """
    steps = []
    for name, given in steps_of_run(out):
        if name == Decontaminate.name:
            given = {**given, "questions": questions or given.get("questions")}
            for kind in ("questions", "held_out"):
                names = given.get(kind) or []
                given[kind] = [_there(one) for one in ([names] if isinstance(names, str) else names)]
            step = _built(out, name, given)
            assert isinstance(step, Decontaminate)
            steps.append(step)
    return steps


def _built(out: Place, name: str, given: dict[str, Any]) -> Step:
    """A step of a run's recipe, which another version of goldsand may have run."""
    try:
        return build_step(name, given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused(
            f"the recipe of {out} does not fit this version of goldsand: {name}.{where}: {first['msg']}; run it again,"
            " or use the version that ran it"
        ) from None


def _there(name: str) -> str:
    for place in (Path(name), BUILT_IN / name):
        if place.exists():
            return str(place)
    raise Refused(f"there is no test set {name}; say where it is with --questions PATH")
