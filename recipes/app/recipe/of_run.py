"""Steps of a finished run, made again from the recipe in its folder."""

from __future__ import annotations

from pathlib import Path

from curate.decontaminate import Decontaminate
from curate.dedup.minhash import MinHashDedup
from curate.errors import Refused
from curate.places.store import Place
from curate.run.stage import labels_of
from recipes.app.recipe.load import BUILT_IN, steps_of_run
from recipes.app.recipe.schema import build_step


def minhash_steps(out: Place) -> dict[str, MinHashDedup]:
    """The steps of a run that drop near-duplicates, by label. Raises ValueError where its recipe is not there."""
    # An index may lie elsewhere by now, and shapes no signature.
    steps = [
        build_step(name, {key: value for key, value in given.items() if key != "index"})
        for name, given in steps_of_run(out)
        if name == MinHashDedup.name
    ]
    return {label: step for label, step in zip(labels_of(steps), steps, strict=True) if isinstance(step, MinHashDedup)}


def decontaminate_steps(out: Place, questions: str | None) -> list[Decontaminate]:
    """The steps of the run's recipe, or one with other test sets. Raises Refused where the files are no more."""
    found = []
    for name, given in steps_of_run(out):
        if name == Decontaminate.name:
            names = questions or given["questions"]
            here = [_there(one) for one in ([names] if isinstance(names, str) else names)]
            found.append(Decontaminate(**{**given, "questions": here}))
    return found


def _there(name: str) -> str:
    for place in (Path(name), BUILT_IN / name):
        if place.exists():
            return str(place)
    raise Refused(f"the test set {name} is not here; say where it is with --questions PATH")
