"""The public names of `import goldsand`, and their modules: all else is private (docs/stability.md)."""

from __future__ import annotations

import importlib
from typing import Any

import curate
from curate.registry import OWN

FUNCTIONS = {
    "run": "recipes.app.api.runs",
    "plan": "recipes.app.api.runs",
    "profile": "recipes.app.api.profiles",
    "decide": "recipes.app.api.profiles",
    "why": "recipes.app.api.documents",
    "diff": "recipes.app.api.documents",
    "verify": "recipes.app.api.documents",
    "probe": "recipes.app.api.probes",
    "compare": "recipes.app.api.comparisons",
    "fit": "recipes.app.api.fits",
    "release": "recipes.app.api.releases",
    "check_release": "recipes.app.api.releases",
    "read": "recipes.app.api.folders",
    "steps": "recipes.app.api.folders",
}
"""What the commands do."""

CLASSES = {
    "Recipe": "recipes.app.api.recipe",
    "FinishedRun": "recipes.app.api.runs",
    "PlannedRun": "recipes.app.api.runs",
    "Balance": "recipes.app.api.runs",
    "FinishedProfile": "recipes.app.api.profiles",
    "Decided": "recipes.app.api.profiles",
    "Story": "recipes.app.api.documents",
    "Differences": "recipes.app.api.documents",
    "Verified": "recipes.app.api.documents",
    "FinishedProbe": "recipes.app.api.probes",
    "FinishedComparison": "recipes.app.api.comparisons",
    "ArmAnswer": "recipes.app.api.comparisons",
    "FittedLaw": "recipes.app.api.fits",
    "FinishedRelease": "recipes.app.api.releases",
    "CheckedRelease": "recipes.app.api.releases",
    "DataTable": "recipes.app.api.tables",
    "InlinePage": "recipes.app.api.inline",
    "Refused": "curate.errors",
    "RecipeError": "recipes.app.recipe.load",
    "TooMuchLost": "recipes.app.api.runs",
}
"""Recipes, what the functions return, and what they raise."""

OWN_STEPS = dict.fromkeys(curate.__all__, "curate")
"""What steps and readers of one's own are made of."""

STEPS = {target.partition(":")[2]: target.partition(":")[0] for target in OWN.values()}
"""The classes of goldsand's own steps, from the one table of them."""

PUBLIC = {**FUNCTIONS, **CLASSES, **OWN_STEPS, **STEPS}
"""Name -> module."""


def found(name: str) -> Any:
    """A public object, imported when it is first asked for. Raises AttributeError for any other name."""
    if name == "__version__":
        from curate.errors import version

        return version()
    if name not in PUBLIC:
        raise AttributeError(f"module 'goldsand' has no attribute {name!r}")
    return getattr(importlib.import_module(PUBLIC[name]), name)


def stub() -> str:
    """`recipes/goldsand/__init__.pyi`: the same names for type checkers and editors. `python -m recipes.app.api.names`
    prints it."""
    lines = ["# The public names: written by `python -m recipes.app.api.names`, from the tables there.", ""]
    by_module: dict[str, list[str]] = {}
    for name, module in PUBLIC.items():
        by_module.setdefault(module, []).append(name)
    for module, names in sorted(by_module.items()):
        lines += [f"from {module} import {name} as {name}" for name in sorted(names)]
    listed = [f'    "{name}",' for name in sorted(PUBLIC)]
    return "\n".join([*lines, "", "__all__ = [  # noqa: RUF022", *listed, "]", "__version__: str", ""])


if __name__ == "__main__":
    print(stub(), end="")
