"""Reads a recipe and finds every mistake in it at once, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pydantic
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from curate.errors import Refused, nearest
from curate.outside import in_full
from curate.places.address import exists, refuse_credentials
from curate.places.manifest import own_recipe
from curate.places.store import Place
from curate.plain_yaml import NotPlain, read
from curate.registry import short_name, step_class
from curate.shards.vocabulary import build_vocabulary
from curate.sources.formats import reader_of
from curate.step import Edit, Injection, Rule, Step
from recipes.app.recipe.changes import assign, put
from recipes.app.recipe.schema import Recipe, build_step, parameters_of

BUILT_IN = Path(__file__).parents[2]
LONGEST_LINE = 1500
"""Most characters of a mistake: values and keys are repeated in it."""


@dataclass(frozen=True)
class Problem:
    """One mistake: its line and key, what is wrong and what would be right."""

    line: int | None
    where: str
    message: str


class RecipeError(Refused):
    """A recipe that cannot be used, with all its problems."""

    def __init__(self, recipe: str, problems: Sequence[Problem]) -> None:
        self.recipe = recipe
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        lines = []
        for problem in self.problems:
            line = f":{problem.line}" if problem.line else ""
            where = f"{problem.where}: " if problem.where else ""
            # One line for each, whatever a key or a value holds.
            lines.append(" ".join(f"{recipe}{line}: {where}{problem.message}".split())[:LONGEST_LINE])
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Loaded:
    """A recipe without mistakes: its model, its steps, its folder, and its YAML as plain values."""

    recipe: Recipe
    steps: list[Step]
    folder: Path
    resolved: dict[str, Any]


def built_in_names() -> list[str]:
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def find_recipe(name: str) -> Path:
    """The file of a recipe given as a path or as the name of a built-in one."""
    path = Path(name)
    if exists(path) and path.is_file():
        return path
    if name in built_in_names():
        return BUILT_IN / f"{name}.yaml"
    if exists(path) and path.is_dir():
        raise RecipeError(name, [Problem(None, "", "is a folder; name the recipe file in it")])
    hint = nearest(name, built_in_names())
    message = f"no such file, and no built-in recipe of that name{hint}. Built in: {', '.join(built_in_names())}"
    raise RecipeError(name, [Problem(None, "", message)])


def load(name: str, sets: Sequence[str | tuple[str, Any]] = (), inputs: Sequence[dict[str, Any]] = ()) -> Loaded:
    """A recipe with the changes of `--set` and `--input`, checked. Raises RecipeError with every mistake at once."""
    path = find_recipe(name)
    return load_tree(_parse(path), str(path), path.parent, sets, inputs)


def load_tree(
    tree: Any,
    path: str,
    folder: Path,
    sets: Sequence[str | tuple[str, Any]] = (),
    inputs: Sequence[dict[str, Any]] = (),
) -> Loaded:
    """The same of a recipe that is read: mappings, lists, texts and numbers, which are changed. `path` is what mistakes
    call it; paths in it are relative to `folder`."""
    problems: list[Problem] = []
    if not isinstance(tree, dict):
        raise RecipeError(path, [Problem(1, "", "a recipe is a mapping: `name: ...`, `steps: ...`")])
    if inputs:
        tree["inputs"] = [CommentedMap(item) for item in inputs]
    for change in sets:
        try:
            if isinstance(change, tuple):
                put(tree, *change, folder)
            else:
                assign(tree, change, folder)
        except Refused as error:
            typed = f"{change[0]}={change[1]}" if isinstance(change, tuple) else change
            problems.append(Problem(None, f"--set {typed[:200]}", str(error)))
    lines = dict(_lines(tree))
    plain = _plain(tree)
    recipe: Recipe | None = None
    try:
        recipe = Recipe.model_validate(plain)
    except pydantic.ValidationError as error:
        problems += [_problem(item, Recipe, lines) for item in error.errors()]
    steps = _steps(plain.get("steps"), folder, lines, problems)
    if recipe is not None:
        _cross_check(recipe, steps, folder, lines, problems)
    if problems or recipe is None:
        raise RecipeError(path, problems)
    return Loaded(recipe, steps, folder.resolve(), plain)


def steps_of_run(out: Place) -> list[tuple[str, dict[str, Any]]]:
    """The steps of the recipe that made a run, in order: name and given parameters. Raises Refused where OUT's
    recipe cannot be read, or is not the one that was run."""
    path = own_recipe(out)
    try:
        given = read(path.read_text(encoding="utf-8"))["steps"]
        pairs = [next(iter(item.items())) if isinstance(item, dict) else (item, None) for item in given]
        return [(short_name(name), dict(parameters or {})) for name, parameters in pairs]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        raise Refused(f"{path}, the recipe that made {out}, cannot be read: {error}") from None


def _parse(path: Path) -> Any:
    try:
        return read(path.read_text(encoding="utf-8"))
    except NotPlain as error:
        raise RecipeError(str(path), [Problem(error.line, "", str(error))]) from None
    except UnicodeDecodeError as error:
        raise RecipeError(str(path), [Problem(None, "", f"not UTF-8 text: {error}")]) from None
    except OSError as error:
        raise RecipeError(str(path), [Problem(None, "", f"cannot be read: {error.strerror}")]) from None


def _lines(node: Any, where: tuple[Any, ...] = ()) -> Iterable[tuple[tuple[Any, ...], int]]:
    """Every place in the YAML and its line, counted from 1."""
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            if key in (node.lc.data or {}):
                yield (*where, key), node.lc.key(key)[0] + 1
            yield from _lines(value, (*where, key))
    elif isinstance(node, CommentedSeq):
        for number, value in enumerate(node):
            if number in (node.lc.data or {}):
                yield (*where, number), node.lc.item(number)[0] + 1
            yield from _lines(value, (*where, number))


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    # ruamel keeps the spelling of numbers and strings in subclasses; pydantic and JSON want the plain ones.
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _steps(raw: Any, folder: Path, lines: dict[tuple[Any, ...], int], problems: list[Problem]) -> list[Step]:
    """Build each step; collect every mistake instead of stopping at the first."""
    built: list[Step] = []
    for number, item in enumerate(raw if isinstance(raw, list) else []):
        where: tuple[Any, ...] = ("steps", number)
        given: Any = None
        if isinstance(item, str):
            name = item
        elif isinstance(item, dict) and len(item) == 1:
            name, given = next(iter(item.items()))
            where = (*where, name)
        else:
            problems.append(
                Problem(_line(lines, where), f"steps[{number}]", "a step is a name, or `name: {parameters}`")
            )
            continue
        full = in_full(name, folder)
        try:
            # Its parameters may be known from a time when no other package declared its name.
            step_class(full)
            parameters_of(full)
        except Refused as error:
            problems.append(Problem(_line(lines, where), f"steps: {name}", _with_file(str(error), name, folder)))
            continue
        given = {} if given is None else given
        if not isinstance(given, dict):
            problems.append(Problem(_line(lines, where), f"steps: {name}", "parameters are written as a mapping"))
            continue
        step = _step(full, resolve_paths(full, given, folder), where, lines, problems)
        if step is not None:
            built.append(step)
    return [step.followed_by(built[number + 1 :]) for number, step in enumerate(built)]


def _with_file(message: str, name: str, folder: Path) -> str:
    """A message on `module:Name`, with a hint where a file of that name lies beside the recipe."""
    module, colon, inside = name.partition(":")
    file = f"{module.replace('.', '/')}.py"
    return (
        f"{message}; the file beside the recipe is `{file}:{inside}`"
        if colon and (folder / file).is_file()
        else message
    )


def _step(
    name: str, given: dict[str, Any], where: tuple[Any, ...], lines: dict[tuple[Any, ...], int], problems: list[Problem]
) -> Step | None:
    try:
        step = build_step(name, given)
    except pydantic.ValidationError as error:
        for item in error.errors():
            item["loc"] = (*where, *item["loc"])
            problems.append(_problem(item, parameters_of(name), lines, depth=len(where)))
        return None
    except ValueError as error:
        problems.append(Problem(_line(lines, where), name, str(error)))
        return None
    for path in step.resources():
        if not exists(path):
            problems.append(Problem(_line(lines, where), name, f"there is no file or folder {path}"))
            return None
    if step.resources() and type(step).apply in (Rule.apply, Edit.apply):
        try:
            # An empty word list or an invalid model is reported here, before a worker meets it.
            step.open()
        except (ValueError, OSError) as error:
            problems.append(Problem(_line(lines, where), name, str(error)))
            return None
    return step


def resolve_paths(name: str, given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The parameters of a step with paths relative to the recipe's folder."""
    resolved = dict(given)
    for item in fields(step_class(name)):  # type: ignore[arg-type]
        value = given.get(item.name)
        if item.metadata.get("path") and value is not None:
            if isinstance(value, list):
                resolved[item.name] = [str(folder / one) if isinstance(one, str) else one for one in value]
            elif isinstance(value, str):
                resolved[item.name] = str(folder / value)
    return resolved


def _cross_check(
    recipe: Recipe,
    steps: Sequence[Step],
    folder: Path,
    lines: dict[tuple[Any, ...], int],
    problems: list[Problem],
) -> None:
    where: tuple[Any, ...]
    written = [next(iter(item), None) if isinstance(item, dict) else item for item in recipe.steps]
    names = [short_name(name) for name in written if isinstance(name, str)]
    for number, one in enumerate(recipe.inputs):
        try:
            reader_of(in_full(one.format, folder))
        except Refused as error:
            where = ("inputs", number, "format")
            message = _with_file(str(error), one.format, folder)
            problems.append(Problem(_line(lines, where), f"inputs[{number}].format", message))
    for name, tokens in recipe.output.tokens.items():
        if tokens.source == "extract" and "extract" not in names:
            where = ("output", "tokens", name)
            problems.append(Problem(_line(lines, where), ".".join(where), "`from: extract` needs a step `extract`"))
        if tokens.domain == "hashed" and not recipe.output.tokenizer.buckets and recipe.output.tokenizer.kind != "file":
            where = ("output", "tokens", name)
            message = "`domain: hashed` needs tokens to hash domains to: set `output.tokenizer.buckets`"
            problems.append(Problem(_line(lines, where), ".".join(where), message))
    if (file := recipe.output.tokenizer.file) is not None:
        try:
            build_vocabulary(kind="file", file=folder / file)
        except Refused as error:
            where = ("output", "tokenizer", "file")
            problems.append(Problem(_line(lines, where), ".".join(where), str(error)))
    if recipe.output.tokenizer.kind in ("joint", "compact") and recipe.output.tokens and "inject" not in names:
        message = f"a {recipe.output.tokenizer.kind} vocabulary holds compact records: add a step `inject`"
        problems.append(Problem(_line(lines, ("output", "tokenizer")), "output.tokenizer", message))
    if recipe.output.tokenizer.kind == "compact" and recipe.output.tokens and len(names) > 1:
        message = "a compact vocabulary holds no text: use `kind: joint` where pages and records meet"
        problems.append(Problem(_line(lines, ("output", "tokenizer")), "output.tokenizer", message))
    reserved = any(isinstance(step, Injection) and step.reserved_tokens() for step in steps)
    if recipe.output.tokenizer.kind == "bpe" and recipe.output.tokens and reserved:
        message = "a bpe vocabulary has no tokens for the words of records: use `kind: joint`"
        problems.append(Problem(_line(lines, ("output",)), "output.tokenizer", message))
    if "inject" in names and (taken := [number for number, one in enumerate(recipe.inputs) if one.name == "inject"]):
        message = "an input cannot be named `inject`: keys of injected documents begin with it"
        problems.append(Problem(_line(lines, ("inputs", taken[0])), f"inputs[{taken[0]}]", message))
    if names.count("inject") > 1:
        problems.append(Problem(_line(lines, ("steps",)), "steps", "`inject` may occur once in a recipe"))
    if "extract" in names[1:] and names[0] != "extract":
        problems.append(
            Problem(_line(lines, ("steps",)), "steps", "`extract` must be the first step: the others read text")
        )
    if recipe.probe is not None and recipe.probe.facts is not None:
        where = ("probe", "facts")
        _step("inject", resolve_paths("inject", recipe.probe.facts, folder), where, lines, problems)


def _line(lines: dict[tuple[Any, ...], int], where: tuple[Any, ...]) -> int | None:
    """The line of a place, or of the nearest place around it."""
    for end in range(len(where), 0, -1):
        if where[:end] in lines:
            return lines[where[:end]]
    return None


def _problem(error: Any, model: type[pydantic.BaseModel], lines: dict[tuple[Any, ...], int], depth: int = 0) -> Problem:
    """One pydantic error in a person's words."""
    where = tuple(error["loc"])
    shown = ".".join(str(part) for part in where if part != "[key]")
    if error["type"] == "extra_forbidden":
        allowed = _allowed(model, where[depth:-1])
        message = f"unknown key{nearest(str(where[-1]), allowed)}. Allowed: {', '.join(allowed)}"
    elif error["type"] == "missing":
        message = "is missing"
    else:
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "string_pattern_mismatch":
            message = "use letters, digits, '.', '_' and '-' only, at most 100 of them"
        if not isinstance(error["input"], (dict, list)):
            message += f" (it says {'null' if error['input'] is None else _cut(error['input'])})"
            if error["type"] == "list_type" and error["input"] is not None:
                message += f": write [{_cut(error['input']).strip(chr(39))}]"
            expected = error.get("ctx", {}).get("expected")
            if expected and isinstance(error["input"], str):
                message += nearest(
                    error["input"], [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
                )
    return Problem(_line(lines, where), shown, message)


def _cut(value: object) -> str:
    """A value as it was written, for a message: not whole where it is long, and not at all where it may be secret."""
    try:
        refuse_credentials(str(value))
    except Refused:
        return "an address that may carry credentials"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _allowed(model: type[pydantic.BaseModel], where: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at a place of the recipe."""
    for part in where:
        if isinstance(part, int):
            continue
        item = model.model_fields.get(part) or next((f for f in model.model_fields.values() if f.alias == part), None)
        if item is None:
            continue
        model = next((kind for kind in _models_in(item.annotation)), model)
    return [item.alias or name for name, item in model.model_fields.items()]


def _models_in(annotation: Any) -> Iterable[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)
