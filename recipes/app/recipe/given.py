"""What a command or a call is given beside a recipe: other inputs, and changes of single values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.places.address import exists
from curate.sources.formats import FORMATS

Changes = Mapping[str, Any] | Sequence[str | tuple[str, Any]]
"""`{"gopher_quality.min_words": 30}`, or `--set` as it is typed: `["gopher_quality.min_words=30"]`."""
InputGiven = str | Path | Mapping[str, Any]
"""A path, a glob or an address, as `--input` takes it ([NAME=][FORMAT:]PATH); or an input as a recipe writes it."""


def inputs_of(given: Sequence[InputGiven], whole: bool = True) -> list[dict[str, Any]]:
    """Inputs as a recipe writes them. `NAME=PATH` or `PATH`, with `FORMAT:` before a path whose name does not tell it;
    the path is relative to the current folder, and made `whole` for a recipe that lies in another one."""
    inputs = []
    for number, one in enumerate(given):
        if isinstance(one, Mapping):
            said = {key: str(value) if isinstance(value, Path) else value for key, value in one.items()}
            unchanged = not whole or said.get("format") == "hub" or "path" not in said or "://" in said["path"]
            inputs.append(said if unchanged else said | {"path": str(Path(said["path"]).absolute())})
            continue
        text = str(one)
        name, equals, path = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9._-]+", name) or exists(text):
            name, path = "crawl" if len(given) == 1 else f"input{number + 1}", text
        format, colon, rest = path.partition(":")
        said = {"format": format} if colon and format in FORMATS and rest and not exists(path) else {}
        path = rest if said else path
        unchanged = not whole or "://" in path or (said.get("format") == "hub" and not exists(path))
        inputs.append({"name": name, "path": path if unchanged else str(Path(path).absolute()), **said})
    return inputs


def plain(value: Any) -> Any:
    """The same as YAML has it: paths as texts, tuples and sets as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(one) for one in value)
    return str(value) if isinstance(value, Path) else value


def several(given: InputGiven | Sequence[InputGiven] | None) -> list[InputGiven]:
    """One input as a list of one."""
    return [] if given is None else [given] if isinstance(given, str | Path | Mapping) else list(given)


def changes_of(given: Changes | None) -> list[str | tuple[str, Any]]:
    """Changes as `load` takes them: pairs of place and value, or what `--set` says."""
    return [(key, plain(one)) for key, one in given.items()] if isinstance(given, Mapping) else list(given or ())
