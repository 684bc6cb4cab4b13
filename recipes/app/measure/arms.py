"""Arms of a comparison from a command line or a recipe: corpora, renderings of one corpus, a recipe without each of its
steps, and a corpus with the documents that a rule dropped mixed back in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pydantic

from curate.errors import Refused
from curate.places.manifest import own_recipe
from curate.places.store import place_of
from curate.run.engine import Progress
from recipes.app.measure.asked import ALONE, CONTROL
from recipes.app.measure.begun import COMPARISON, begin
from recipes.app.measure.corpora import ArmRendering, Corpus, Entry, mixed_back, open_corpus
from recipes.app.recipe.load import Loaded, load
from recipes.app.recipe.schema import ComparedArm

Shown = Callable[[], AbstractContextManager[Callable[[Progress], None] | None]]
"""Opens a display of one run's progress; gives the function to call with each Progress."""

_OPTION = re.compile(r"(domain|bare|cool[-_]down|tag[-_]loss|tag[-_]at[-_]test)=")
_STAYS = ("extract", "inject", "mix", "shuffle")
"""Steps that an ablation keeps: without them there is no text, or the same text in another order."""


def entries_of(
    given: Sequence[str | tuple[str, str]],
    out: Path,
    shown: Shown = nullcontext,
    *,
    corpus: str | None = None,
    ablate: bool = False,
    mix_back: Sequence[float | None] = (),
    recipes: Mapping[str, Loaded] | None = None,
) -> list[Entry]:
    """The arms that a command line names.

    Each is [NAME=]WHERE[,option=value ...], or the pair of NAME and the rest, and WHERE is the folder of a finished
    run; a recipe, which is run into `out`/runs/NAME first; or a recipe with a `compare:` part, which gives all its
    arms, on `corpus` where they name none. With `ablate` a recipe also gives an arm without each of its steps; with
    `mix_back` a corpus also gives arms with the documents that each reason dropped mixed back at these shares. Raises
    Refused for anything else.

    `recipes` are recipes that are loaded already, by the names that WHERE gives them. `shown` is entered for each run
    of a recipe, and gives the function to call with its progress.
    """
    runs = _Runs(out / "runs", shown, keep_dropped=bool(mix_back), recipes=recipes or {})
    entries: list[Entry] = []
    for one in given:
        name, where, rendering = _parsed(one)
        if not Path(where).is_dir() and (arms := runs.recipe(where).recipe.compare) is not None:
            entries += [_of_recipe(arm, corpus, runs) for arm in arms]
            continue
        if ablate:
            entries += [Entry(built.name, built, rendering) for built in runs.ablated(name, where)]
            continue
        base = runs.corpus(name, where)
        entries.append(Entry(name or base.name, base, rendering))
        entries += [Entry(back.name, back, rendering) for back in (mixed_back(base, mix_back) if mix_back else ())]
    names = [entry.name for entry in entries]
    for name in names:
        if name in (ALONE, CONTROL):
            raise Refused(f"'{name}' is the name of an arm that every comparison adds; give yours another: NAME=FOLDER")
        if names.count(name) > 1:
            raise Refused(f"two arms have the name '{name}'; give each another one: NAME=FOLDER")
    return entries


def _parsed(given: str | tuple[str, str]) -> tuple[str, str, ArmRendering]:
    """Name (or an empty string), place and rendering of an arm as it is typed."""
    named, one = (None, given) if isinstance(given, str) else given
    head, *options = one.split(",")
    while options and not _OPTION.match(options[0]):  # a comma in a path
        head += "," + options.pop(0)
    name, _, where = head.rpartition("=") if named is None else (named, "", head)
    said = dict(option.partition("=")[::2] for option in options)
    said = {key.replace("-", "_"): {"on": "true", "off": "false"}.get(value, value) for key, value in said.items()}
    try:
        rendering = _rendering(ComparedArm.model_validate({"arm": "a", **said}))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"'{one}': {'.'.join(map(str, first['loc'])) or 'options'}: {first['msg']}") from None
    if rendering != ArmRendering() and not name:
        name = f"{Path(where).name}, " + ", ".join(options)
    return name, where, rendering


def _rendering(arm: ComparedArm) -> ArmRendering:
    return ArmRendering(**arm.model_dump(exclude={"arm", "corpus"}))


def _of_recipe(arm: ComparedArm, corpus: str | None, runs: _Runs) -> Entry:
    where = arm.corpus or corpus
    if where is None:
        raise Refused(f"arm '{arm.arm}' names no corpus: give one for all with --corpus OUT")
    return Entry(arm.arm, runs.corpus("", where), _rendering(arm))


class _Runs:
    """The runs of a comparison: folders of finished runs, and recipes, each of which is run once."""

    def __init__(self, folder: Path, shown: Shown, keep_dropped: bool, recipes: Mapping[str, Loaded]) -> None:
        self.folder, self.shown, self.keep_dropped = folder, shown, keep_dropped
        self._known: dict[str, Corpus] = {}
        self._recipes: dict[str, Loaded] = dict(recipes)

    def recipe(self, where: str) -> Loaded:
        """A recipe, read once."""
        if where not in self._recipes:
            self._recipes[where] = load(where)
        return self._recipes[where]

    def corpus(self, name: str, where: str) -> Corpus:
        """The corpus of a folder or of a recipe."""
        if where not in self._known:
            path = Path(where)
            name = name or (path.name if path.is_dir() else path.stem)
            if any(name == other.name for other in self._known.values()):
                name = where  # another folder of the same name
            self._known[where] = open_corpus(name, path if path.is_dir() else self._built(self.recipe(where), name))
        return self._known[where]

    def ablated(self, name: str, where: str) -> list[Corpus]:
        """A recipe's corpus, and those of the same recipe without each of its steps; pages are extracted once.

        For the folder of a finished run, the recipe is the one in it.
        """
        path = Path(where)
        if path.is_dir():
            name, where = name or path.name, str(own_recipe(path))
        loaded = self.recipe(where)
        name = name or loaded.recipe.name
        whole = self._built(loaded, name)
        corpora = [Corpus(name, whole)]
        words = [next(iter(one)) if isinstance(one, dict) else str(one) for one in loaded.recipe.steps]
        for place, word in enumerate(words):
            if word in _STAYS:
                continue
            label = f"without {word}" + (f" {place + 1}" if words.count(word) > 1 else "")
            corpora.append(Corpus(label, self._built(_without(loaded, place), f"{name}-{label.replace(' ', '-')}")))
        if len(corpora) == 1:
            raise Refused(f"recipe '{loaded.recipe.name}' has no step to leave out: there is nothing to ablate")
        return corpora

    def _built(self, loaded: Loaded, name: str) -> Path:
        """Run a recipe, or finish its run; returns the folder. Pages are extracted once for all that begin alike."""
        from curate.run.stage_pool import pool_beside
        from recipes.app.recipe.build import corpus_run

        folder = self.folder / name
        output: dict[str, Any] = {"tokens": {}}
        if self.keep_dropped:
            output["keep_dropped"] = "all"
        recipe = loaded.recipe.model_copy(update={"output": loaded.recipe.output.model_copy(update=output)})
        resolved = loaded.resolved | {"output": {**(loaded.resolved.get("output") or {}), **output}}
        loaded = dataclasses.replace(loaded, recipe=recipe, resolved=resolved)
        job = corpus_run(loaded, place_of(str(folder)))
        if job.stages[0].extracts:
            # Recipes of one comparison often begin alike.
            job.pool = pool_beside(job.out)
        begin(self.folder.parent, COMPARISON)
        with self.shown() as on_progress:
            job.on_progress = on_progress
            job.execute()
        return folder


def _without(loaded: Loaded, place: int) -> Loaded:
    """The same recipe without one of its steps."""
    rest = [step for number, step in enumerate(loaded.recipe.steps) if number != place]
    return dataclasses.replace(
        loaded,
        recipe=loaded.recipe.model_copy(update={"steps": rest}),
        steps=[step for number, step in enumerate(loaded.steps) if number != place],
        resolved=loaded.resolved | {"steps": rest},
    )
