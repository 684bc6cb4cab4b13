"""Recipes as Python: steps as objects of their classes, everything else as the YAML has it; and from and to YAML."""

from __future__ import annotations

import copy
import dataclasses
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import Refused
from curate.outside import HOUSE
from curate.places.store import write_atomically
from curate.plain_yaml import read
from curate.registry import short_name, step_names
from curate.step import Step
from recipes.app.recipe.build import in_full_paths
from recipes.app.recipe.given import Changes, InputGiven, changes_of, inputs_of, plain, several
from recipes.app.recipe.load import Loaded, find_recipe, load, load_tree


@dataclass(frozen=True)
class Recipe:
    """A recipe, checked when it is made: RecipeError names all that is wrong in it.

    `steps` are objects of step classes (`Extract()`, `GopherQuality(min_words=30)`), names of steps, or what a recipe
    file has there. `inputs` are paths, or mappings with the keys of an input. `output`, `engine`, `probe` and `compare`
    hold what the recipe file has under these keys. Paths are relative to `folder`, by default the current one.
    """

    name: str
    inputs: Sequence[InputGiven] | InputGiven = ()
    steps: Sequence[Step | str | Mapping[str, Any]] = ()
    output: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    max_loss: float | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)
    probe: Mapping[str, Any] | None = None
    compare: Sequence[Mapping[str, Any]] | None = None
    folder: Path | None = None
    _tree: dict[str, Any] = field(init=False, repr=False, compare=False)
    _loaded: Loaded = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        folder = Path(self.folder or Path.cwd()).absolute()
        said = {
            one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.init and one.name != "folder"
        }
        said["inputs"] = inputs_of(several(self.inputs), whole=False)
        if isinstance(self.steps, Step | str | Mapping) or not isinstance(self.steps, Sequence):
            raise Refused(f"recipe '{self.name}': `steps` is a list of steps, not {type(self.steps).__name__}")
        said["steps"] = [_written(step) for step in self.steps]
        # What is empty is not written, except where it would be a mistake.
        needed = ("name", "probe", "compare")
        said = {key: value for key, value in said.items() if value not in (None, "", [], {}) or key in needed}
        tree = {key: plain(value) for key, value in said.items() if value is not None}
        loaded = load_tree(copy.deepcopy(tree), f"recipe '{self.name}'", folder)
        made = {"inputs": tuple(tree.get("inputs", ())), "folder": folder, "_tree": tree, "_loaded": loaded}
        # What a step knows of the steps after it is no part of it.
        made["steps"] = tuple(step.followed_by(()) for step in loaded.steps)
        for key, value in made.items():
            object.__setattr__(self, key, value)

    @classmethod
    def from_yaml(cls, source: str | Path) -> Recipe:
        """A recipe from a file, by the name of a built-in one, or from YAML itself (a text of several lines).

        Raises RecipeError with every mistake in it, each with its line."""
        if isinstance(source, str) and "\n" in source:
            loaded = load_tree(read(source), "recipe", Path.cwd())
        else:
            loaded = load(str(source))
            source = find_recipe(str(source))
        folder = source.parent if isinstance(source, Path) else None
        return cls(**loaded.resolved, folder=folder)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The recipe as YAML, written to `path` where one is given; returns the text. Read in another folder than the
        recipe's (a text: in the current one) it has its paths in full, so that it names the same files."""
        target = None if path is None else Path(path).absolute()
        read_in = Path.cwd() if target is None else target.parent
        here = read_in.resolve() == self._loaded.folder
        stream = io.StringIO()
        _yaml().dump(self._tree if here else in_full_paths(self._loaded), stream)
        if target is not None:
            write_atomically(target, stream.getvalue().encode())
        return stream.getvalue()

    def changed(self, set: Changes) -> Recipe:
        """The same recipe with other values: `recipe.changed({"gopher_quality.min_words": 30})`."""
        return Recipe(**loaded_of(self, set).resolved, folder=self.folder)

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, shown

        return framed(f"<pre>{shown(self.to_yaml(), 20_000)}</pre>")


def loaded_of(
    recipe: Recipe | str | Path, set: Changes | None = None, inputs: Sequence[InputGiven] | InputGiven | None = None
) -> Loaded:
    """A recipe, a file of one, or a built-in one by its name, with changes and other inputs. Raises RecipeError."""
    others = inputs_of(several(inputs))
    if isinstance(recipe, Recipe):
        tree, folder = copy.deepcopy(recipe._tree), Path(recipe.folder or ".")
        return load_tree(tree, f"recipe '{recipe.name}'", folder, changes_of(set), others)
    if not isinstance(recipe, str | Path):
        raise Refused(f"a recipe is a Recipe, a file or the name of a built-in one, not {type(recipe).__name__}")
    return load(str(recipe), changes_of(set), others)


def _written(step: Step | str | Mapping[str, Any]) -> Any:
    """A step as a recipe writes it: its name, with the parameters that are not the defaults."""
    if not isinstance(step, Step):
        if isinstance(step, type) and issubclass(step, Step):
            raise Refused(f"`{step.__name__}` is the class of a step: write {step.__name__}() with its parameters")
        return plain(step)
    given = {}
    for item in dataclasses.fields(step):  # type: ignore[arg-type]
        value = getattr(step, item.name)
        default = item.default_factory() if callable(item.default_factory) else item.default
        if "doc" in item.metadata and plain(value) != plain(default):
            given[item.name] = plain(value)
    name = _name_of(type(step))
    return {name: given} if given else name


def _name_of(kind: type[Step]) -> str:
    """The name by which a recipe finds a class: its own, or that of its module or file."""
    target = f"{kind.__module__}:{kind.__qualname__}"
    known = short_name(target)
    if known != target or kind.__module__.partition(".")[0] in HOUSE:
        return known
    if getattr(kind, "name", None) in step_names():
        from curate.registry import step_class

        if step_class(kind.name) is kind:
            return kind.name
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None or "." in kind.__module__ or kind.__module__ == "__main__":
        return target
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return target if installed else f"{Path(file).resolve()}:{kind.__qualname__}"


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(pure=True)
    yaml.default_flow_style = False
    yaml.width = 120
    return yaml
