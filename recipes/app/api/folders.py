"""What a folder holds, whatever made it; and the steps that a recipe may have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import Refused
from recipes.app.api.arguments import folder_of
from recipes.app.api.runs import FinishedRun
from recipes.app.api.tables import DataTable

if TYPE_CHECKING:
    from recipes.app.api.comparisons import FinishedComparison
    from recipes.app.api.probes import FinishedProbe
    from recipes.app.api.profiles import FinishedProfile


def read(folder: str | Path) -> FinishedRun | FinishedProfile | FinishedProbe | FinishedComparison:
    """What was made in a folder: a finished corpus, a profile, a probe or a comparison. Raises Refused where it holds
    none of these, or a damaged one."""
    from curate.places.manifest import SUMMARY
    from recipes.app.api import comparisons, probes, profiles, runs
    from train_probe.figures import RESULTS

    place = folder_of(folder)
    if (place / "compare.json").is_file():
        return comparisons.opened(Path(str(place)))
    if (place / RESULTS).is_file():
        return probes.opened(Path(str(place)))
    if (place / "profile.json").is_file():
        return profiles.opened(place)
    if (place / SUMMARY).is_file() or (place / "manifests").is_dir():
        return runs.opened(place)
    raise Refused(f"{place} is not the folder of a finished run, profile, probe or comparison")


def steps() -> DataTable:
    """Every parameter of every step, goldsand's own and those of installed packages: default, meaning and source."""
    from curate.registry import step_class, step_names

    rows: list[dict[str, Any]] = []
    for name in step_names():
        kind = step_class(name)
        for item in (one for one in dataclasses.fields(kind) if "doc" in one.metadata):  # type: ignore[arg-type]
            default = item.default_factory() if callable(item.default_factory) else item.default
            required = default is dataclasses.MISSING
            rows.append(
                {"step": name, "class": kind.__name__, "parameter": item.name,
                 "default": None if required else default, "required": required,
                 "meaning": item.metadata["doc"], "source": item.metadata.get("source") or None}
            )  # fmt: skip
    return DataTable.of("steps", rows)
