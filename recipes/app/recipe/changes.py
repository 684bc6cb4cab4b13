"""Changes of single values of a recipe: `--set a.b=c` at the prompt, `{"a.b": c}` from Python."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from curate.errors import Refused
from curate.outside import in_full
from curate.places.address import exists
from curate.plain_yaml import NotPlain, read
from curate.registry import step_class
from recipes.app.recipe.schema import Recipe


def assign(tree: Any, assignment: str, folder: Path) -> None:
    """Carry out one `--set a.b=c`. Raises Refused where it is not written so, or there is no such place."""
    target, equals, text = assignment.partition("=")
    if not equals or not all(target.split(".")):
        raise Refused("write it as key.key=value")
    put(tree, target, _value(text), folder)


def put(tree: Any, target: str, value: Any, folder: Path) -> None:
    """Change one value. `STEP.parameter` is of the step of that name, the name that the ledger uses, however the recipe
    writes the step. Raises Refused where there is no such place."""
    keys = target.split(".")
    if not all(keys):
        raise Refused("a place is written as key.key")
    value = _located(value)
    used = _used_steps(tree, folder) if keys[0] == "steps" or keys[0] not in Recipe.model_fields else {}
    if keys[0] in used:
        keys = ["steps", *keys]
    node: Any = tree
    for depth, key in enumerate(keys[:-1]):
        is_step = keys[0] == "steps" and depth == 1
        node = _descend(node, str(used.get(key, key)) if is_step else key, is_step)
        if node is None:
            raise Refused(f"there is no `{'.'.join(keys[: depth + 1])}` in it")
    if isinstance(node, list) and (place := _number(node, keys[-1])) is not None:
        node[place] = value
    elif isinstance(node, dict):
        node[keys[-1]] = value
    else:
        raise Refused(f"there is no `{target}` in it")


def _value(text: str) -> Any:
    """A value as YAML reads it."""
    try:
        value = read(text) if text else ""
    except NotPlain as error:
        raise Refused(f"{error}; a text that YAML cannot read is put in quotes: KEY='\"...\"'") from None
    return value


def _located(value: Any) -> Any:
    """A path that is typed at the prompt, or in a call, is relative to the current folder, not to the recipe's."""
    return str(Path(value).resolve()) if isinstance(value, str) and value and exists(value) else value


def _used_steps(tree: Any, folder: Path) -> dict[str, int]:
    """Step name -> its number in the list, the first use of each."""
    numbers: dict[str, int] = {}
    steps = tree.get("steps")
    for number, item in enumerate(steps if isinstance(steps, list) else []):
        name = item if isinstance(item, str) else next(iter(item), None) if isinstance(item, dict) else None
        if isinstance(name, str):
            # A step that cannot be imported is reported where steps are built.
            with contextlib.suppress(Refused):
                name = step_class(in_full(name, folder)).name if ":" in name else name
            numbers.setdefault(name, number)
    return numbers


def _number(items: list[Any], key: str) -> int | None:
    """The entry of a list that a key names; None where there is none."""
    return int(key) if key.isdecimal() and len(key) < 10 and int(key) < len(items) else None


def _descend(node: Any, key: str, is_step: bool) -> Any:
    if isinstance(node, list):
        place = _number(node, key)
        if place is None:
            return None
        item = node[place]
        if is_step and isinstance(item, str):
            node[place] = item = CommentedMap({item: CommentedMap()})
        # A step is a mapping of one key, whose value holds the parameters.
        if is_step and isinstance(item, dict) and len(item) == 1:
            name = next(iter(item))
            if item[name] is None:
                item[name] = CommentedMap()
            return item[name]
        return item
    if isinstance(node, dict):
        if node.get(key) is None:
            node[key] = CommentedMap()
        return node[key]
    return None
