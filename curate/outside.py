"""Imports by name: `module:Name`, `file.py:Name`, and the names that installed packages declare.

To import a module is to run its code, so only what a recipe, a command or a caller names is imported.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from curate.errors import Refused, nearest

if TYPE_CHECKING:
    from importlib.metadata import Distribution

HOUSE = ("curate", "synth", "train_probe", "recipes")
"""Goldsand's own packages: fingerprints identify their code by the versions of steps, not by checksums."""

_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Declared:
    """A name in a package's `[project.entry-points]`: its target, and the distribution with its version."""

    target: str
    distribution: str


@functools.cache
def declared(group: str) -> dict[str, list[Declared]]:
    """The names that installed distributions declare in a group of entry points; no module of theirs is imported."""
    from importlib.metadata import entry_points

    names: dict[str, list[Declared]] = {}
    for point in entry_points(group=group):
        of = f"{point.dist.name} {point.dist.version}" if point.dist else "a distribution without a name"
        names.setdefault(point.name, []).append(Declared(point.value.replace(" ", ""), of))
    return dict(sorted(names.items()))


def target_of(name: str, group: str, own: Mapping[str, str], kind: str) -> str:
    """The `module:Name` behind a name: itself, one of goldsand's `own`, or one that a package declares.

    `kind` is the word for what is named ("step"). Raises Refused for a name that no package, or more than one,
    declares.
    """
    if ":" in name:
        return name
    theirs = declared(group)
    claims = [("goldsand itself", own[name])] if name in own else []
    claims += [(one.distribution, one.target) for one in theirs.get(name, [])]
    if len(claims) > 1:
        said = " and ".join(f"{who} (`{target}`)" for who, target in claims)
        raise Refused(f"the {kind} '{name}' is declared by {said}: write the one you mean as `module:Name`")
    if not claims:
        known = [*own, *theirs]
        raise Refused(
            f"there is no {kind} '{name}'{nearest(name, known)}. There are: {', '.join(known)}; write one of another"
            " package as `module:Name`, one of a file as `file.py:Name`"
        )
    return claims[0][1]


def in_full(name: str, folder: Path) -> str:
    """The name, with the path of a `file.py:Name` resolved against `folder`, that of the recipe."""
    file, colon, inside = name.rpartition(":")
    return f"{(folder / Path(file).expanduser()).resolve()}{colon}{inside}" if file.endswith(".py") else name


def load(target: str) -> Any:
    """The object that `module:Name` or `file.py:Name` names. Raises Refused, with the nearest match, where it cannot be
    imported."""
    name, _, inside = target.rpartition(":")
    if not inside.isidentifier() or not (name.endswith(".py") or all(map(str.isidentifier, name.split(".")))):
        raise Refused(f"'{target}' is not the name of an object to import: write `module:Name` or `file.py:Name`")
    if name.endswith(".py"):
        name = _on_the_path(Path(name))
    if name == "__main__":
        raise Refused(f"'{target}' is in a module that workers cannot import: put it in a file of its own")
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise Refused(f"there is no module '{missing}'{nearest(missing, _modules_beside(missing))}") from None
        raise Refused(f"'{name}' cannot be imported: {type(error).__name__}: {error}{_place_of(error)}") from None
    if not hasattr(module, inside):
        known = [one for one in vars(module) if not one.startswith("_")]
        raise Refused(f"'{name}' has no '{inside}'{nearest(inside, known)}")
    return getattr(module, inside)


def _on_the_path(file: Path) -> str:
    """The name by which workers, too, can import a file: its folder is put last on the path, so that it shadows no
    other module."""
    file = file.expanduser().resolve()
    if not file.is_file():
        beside = file.parent.glob("*.py") if file.parent.is_dir() else ()
        raise Refused(f"there is no file {file}{nearest(file.name, [one.name for one in beside])}")
    if not file.stem.isidentifier():
        raise Refused(
            f"{file} is imported by its name, and '{file.stem}' is not valid as one: use letters, digits and '_'"
        )
    importlib.invalidate_caches()
    there = _origin(file.stem)
    if there is None:
        sys.path.append(str(file.parent))
        there = _origin(file.stem)
    if there != file:
        raise Refused(f"{file} cannot be imported: there is a module '{file.stem}' already ({there}); rename the file")
    return file.stem


def _origin(module: str) -> Path | None:
    """The file that a module was, or would be, imported from; the bare name of one that has no file."""
    from importlib.util import find_spec

    if module in sys.modules:
        return Path(getattr(sys.modules[module], "__file__", None) or module).resolve()
    spec = find_spec(module)
    return Path(spec.origin).resolve() if spec and spec.origin else None


def _modules_beside(missing: str) -> list[str]:
    """The modules that can be imported where one is missing."""
    from pkgutil import iter_modules

    package, dot, _ = missing.rpartition(".")
    paths = getattr(sys.modules.get(package), "__path__", ()) if dot else None
    return [package + dot + one.name for one in iter_modules(paths)]


def _place_of(error: BaseException) -> str:
    """Where an error was raised, for the person who fixes it."""
    trace = error.__traceback__
    if isinstance(error, SyntaxError) or trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"


def code_of(made: Any) -> dict[str, Any]:
    """The code of a class or function from outside goldsand, for fingerprints; empty for one of goldsand's own.

    `files` are the SHA-256 of its source file, of those of the classes that it is derived from, and of all that they
    import, directly or through others, from below the same entry of Python's path (of an installed package: from the
    package itself). `distributions` are the installed distributions that they belong to, with their versions. Read once
    a process, at the first call, so that the fingerprint is that of the code that was imported.
    """
    return _code_of(made)


@functools.cache
def _code_of(made: Any) -> dict[str, Any]:
    modules = {getattr(one, "__module__", None) or "" for one in getattr(made, "__mro__", (made,))}
    files: set[tuple[str, str]] = set()
    distributions: dict[str, str] = {}
    for name in sorted(modules):
        top = name.partition(".")[0]
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or top in HOUSE or top in sys.stdlib_module_names - {"__main__"}:
            continue
        home, name = _home(Path(file).resolve(), name)
        for path in _imported(home, name):
            files.add((path.relative_to(home).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()))
        distributions |= _distributions(home, name.partition(".")[0])
    return {"files": sorted(files), "distributions": distributions} if files else {}


def _home(file: Path, name: str) -> tuple[Path, str]:
    """The folder on Python's path that a module was found in, and its name there. A script has its file's name."""
    if name in ("__main__", "__mp_main__"):
        return file.parent, file.stem
    depth = name.count(".") + (file.stem == "__init__")
    return file.parents[depth], name


def _imported(home: Path, first: str) -> list[Path]:
    """The files of a module, of the packages around it, and of the modules below `home` that it imports."""
    top = first.partition(".")[0]
    queue, seen, files = [first], set(), set()
    while queue:
        name = queue.pop()
        path = _located(home, name)
        root = name.partition(".")[0]
        if name in seen or path is None or root in HOUSE or (home.name in _INSTALLED and root != top):
            continue
        seen.add(name)
        files.add(path)
        # The packages around it run too; what else they import is not followed.
        parts = name.split(".")
        around = (_located(home, ".".join(parts[:end])) for end in range(1, len(parts)))
        files |= {one for one in around if one is not None}
        if path.suffix == ".py":
            queue += _imports(path, name, home)
    return sorted(files)


def _located(home: Path, name: str) -> Path | None:
    place = home.joinpath(*name.split("."))
    files = (place / "__init__.py", place.with_name(f"{place.name}.py"), *place.parent.glob(f"{place.name}.*.so"))
    return next((one for one in files if one.is_file()), None) if name else None


def _imports(path: Path, name: str, home: Path) -> Iterator[str]:
    """The modules that a file's import statements name, at any place in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*around, *filter(None, [node.module])])
            for alias in node.names:
                inside = f"{module}.{alias.name}" if module else alias.name
                # A name that is not a module below the package is an attribute of it.
                yield inside if _located(home, inside) else module


@functools.cache
def _distributions(home: Path, top: str) -> dict[str, str]:
    """The distributions that a top-level package or module was installed by, with their versions."""
    from importlib.metadata import distributions

    holds = _records if home.name in _INSTALLED else _lies_at
    return {one.name: one.version for one in distributions() if holds(one, top, home)}


def _records(distribution: Distribution, top: str, home: Path) -> bool:
    record = f"\n{distribution.read_text('RECORD') or ''}"
    return f"\n{top}/" in record or f"\n{top}.py," in record


def _lies_at(distribution: Distribution, top: str, home: Path) -> bool:
    """Whether it was installed where it lies (`pip install -e`): then its record names only the folder."""
    about = json.loads(distribution.read_text("direct_url.json") or "{}")
    folder = unquote(urlsplit(about.get("url", "")).path)
    return bool(folder) and about.get("dir_info", {}).get("editable", False) and home.is_relative_to(folder)
