"""From a checked recipe to the run that carries it out."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from curate.errors import Refused
from curate.outside import in_full
from curate.places.address import joined, path_of
from curate.places.store import Place, is_local
from curate.rights.forget import Forget
from curate.run.corpus import CorpusRun
from curate.run.output import Publication, Rendering, VocabularyChoice
from curate.sources import Input, InputError, Partition, find_inputs
from recipes.app.recipe.load import Loaded, resolve_paths
from recipes.app.recipe.schema import RecipeInput

FORGOTTEN = "forget.txt"
"""The list in an output folder of what was asked to be removed: every run into the folder leaves it out."""


def corpus_run(loaded: Loaded, out: Place, *, workers: int | None = None, limit: int | None = None) -> CorpusRun:
    """The run of a recipe into a folder, without what the folder's own list says was removed.

    Raises InputError for a missing file or an empty glob, Refused for a recipe without steps or inputs.
    """
    recipe = loaded.recipe
    if not loaded.steps:
        raise Refused(
            f"recipe '{recipe.name}' has no steps: it builds no corpus (is it meant for `goldsand probe` or `compare`?)"
        )
    if not recipe.inputs:
        raise Refused(f"recipe '{recipe.name}' names no inputs: add `inputs:` to it, or give --input PATH")
    inputs = [
        Input(
            **item.model_dump() | {"path": _address(item, loaded.folder), "format": in_full(item.format, loaded.folder)}
        )
        for item in recipe.inputs
    ]
    file = recipe.output.tokenizer.file
    publication = Publication(
        text_domain=recipe.output.text.text_domain,
        keep_dropped=recipe.output.keep_dropped,
        vocabulary=VocabularyChoice(
            **recipe.output.tokenizer.model_dump() | {"file": loaded.folder / file if file else None}
        ),
        renderings=[Rendering(name=name, **item.model_dump()) for name, item in recipe.output.tokens.items()],
    )
    partitions = find_inputs(inputs)
    _refuse_own_output(inputs, partitions, out)
    return CorpusRun(
        name=recipe.name,
        steps=[*loaded.steps, *_removed(out)],
        partitions=partitions,
        out=out,
        publication=publication,
        buckets=recipe.engine.buckets,
        split=recipe.engine.split << 20,
        limit=limit,
        max_loss=recipe.max_loss,
        workers=workers,
        memory=recipe.engine.worker_memory,
        document_timeout=recipe.engine.document_timeout,
        recipe=recipe_text(loaded),
        program=False,  # a recipe names its steps by modules and files
    )


def _removed(out: Place) -> list[Forget]:
    listed = out / FORGOTTEN
    return [Forget(str(listed))] if is_local(out) and listed.is_file() else []


def _refuse_own_output(inputs: list[Input], partitions: list[Partition], out: Place) -> None:
    """Raises InputError where input and output overlap: a second run would read the output of the first as documents,
    and remove input files that lie in the output folder."""
    root = _resolved(out)
    around = [item.path for item in inputs if item.format != "hub" and _is_below(root, _resolved(path_of(item.path)))]
    read = (path for one in partitions for path in [path for path, _ in one.files] or [one.path])
    folders: dict[Any, str] = {}
    within = [str(path) for path in read if _is_below(_resolved_file(path, folders), root)]
    for path in [*around, *within][:1]:
        raise InputError(f"the output {out} and the input {path} overlap: name another output folder")


def _resolved(place: Any) -> str:
    return str(place.expanduser().resolve()) if is_local(place) else str(place).rstrip("/")


def _resolved_file(place: Any, folders: dict[Any, str]) -> str:
    """The same for one of many files: each folder is looked up once, links to files one by one."""
    if not is_local(place) or place.is_symlink():
        return _resolved(place)
    if place.parent not in folders:
        folders[place.parent] = _resolved(place.parent)
    return f"{folders[place.parent]}/{place.name}"


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _address(item: RecipeInput, folder: Path) -> str:
    """A path relative to the recipe's folder; an id of the hub unchanged, unless a folder of that name exists."""
    local = joined(folder, item.path)
    return item.path if item.format == "hub" and not Path(local).expanduser().is_dir() else local


def in_full_paths(loaded: Loaded) -> dict[str, Any]:
    """The recipe with the paths of inputs, steps and tokenizer in full."""
    recipe = copy.deepcopy(loaded.resolved)
    for item, model in zip(recipe.get("inputs", []), loaded.recipe.inputs, strict=True):
        item["path"] = _address(model, loaded.folder)
        item |= {"format": in_full(model.format, loaded.folder)} if "format" in item else {}
    for number, item in enumerate(recipe.get("steps", [])):
        if isinstance(item, dict):
            ((name, given),) = item.items()
            full = in_full(name, loaded.folder)
            recipe["steps"][number] = {full: given and resolve_paths(full, given, loaded.folder)}
        else:
            recipe["steps"][number] = in_full(item, loaded.folder)
    file = loaded.recipe.output.tokenizer.file
    if file is not None:
        recipe["output"]["tokenizer"]["file"] = str(loaded.folder / file)
    return recipe


def recipe_text(loaded: Loaded) -> bytes:
    """The recipe as it is run, with every `--set` and `--input`, to lie beside its output. Paths are written in full,
    those of step files too, so that it can be run again from there."""
    stream = io.BytesIO()
    YAML(typ="safe", pure=True).dump(in_full_paths(loaded), stream)
    return stream.getvalue()
