"""The shape of the files that the page of a run is made from, checked where they are read.

So a damaged file is refused with the place of the damage, and an error while rendering is a fault of the program.
Only what the page uses is asked for: a newer file may hold more.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from curate.errors import Refused, Unchecked
from curate.places import manifest
from curate.places.manifest import SUMMARY
from curate.places.store import Place, files_below
from curate.shards.tokens import read_checked, read_sealed
from train_probe.figures import RESULTS, WRITTEN

COMPARED = "compare.json"


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True)


class AccountShape(_Shape):
    """Documents or characters of a run."""

    input: int
    kept: int
    dropped: int
    unreadable: int
    injected: int


class CharactersShape(AccountShape):
    removed_by_edits: int


class RecordsShape(_Shape):
    read: int
    skipped: dict[str, int]


class ReasonShape(_Shape):
    documents: int
    characters: int


class StepShape(_Shape):
    step: str
    documents_in: int
    documents_out: int
    documents_injected: int
    documents_dropped: int
    characters_in: int
    characters_out: int
    characters_injected: int
    characters_edited: int
    seconds: float
    reasons: dict[str, ReasonShape]
    found: dict[str, float] = {}


class DomainShape(_Shape):
    domain: str | None
    documents: int
    kept: int
    characters: int
    lost: dict[str, int]


class UnreadableShape(_Shape):
    key: str
    error: str
    bytes: int


class UnitsShape(_Shape):
    found_done: int


class CallShape(_Shape):
    seconds: float
    pages_per_second: float


class MostShape(_Shape):
    """A step that takes most of a source."""

    step: str
    source: str
    documents: int
    dropped: int
    rule: str
    by_rule: int
    others: int
    others_dropped: int


class IdleShape(_Shape):
    """A threshold that is tighter than the published one and found nothing."""

    step: str
    documents: int
    limits: list[str]


class RemarksShape(_Shape):
    most: list[MostShape] = []
    idle: list[IdleShape] = []


class SummaryShape(_Shape):
    """`summary.json` of a run."""

    recipe: str
    documents: AccountShape
    characters: CharactersShape
    records: RecordsShape
    tokens: dict[str, int]
    steps: list[StepShape]
    domains: list[DomainShape]
    unreadable: list[UnreadableShape]
    loss: float
    max_loss: float
    seconds: float
    pages_per_second: float
    workers: int
    units: UnitsShape
    # Summaries of earlier versions have one call's figures.
    calls: int = 1
    last_call: CallShape | None = None
    notices: list[str] = []
    remarks: RemarksShape = RemarksShape()


class FailedShape(_Shape):
    """A run of a probe that failed, in `results.json`."""

    arm: str
    error: str


class ResultShape(_Shape):
    """A run of a probe in `results.json`."""

    arm: str
    bits_per_parameter: float
    error: None = None
    exposures: int | float | str | None
    junk_kind: str
    junk_ratio: float
    learning_rate: float | None = None
    max_bits_per_parameter: float
    max_value_bits_per_parameter: float | None = None
    parameters: int
    people: int
    seconds: float
    seed: int
    shards: list[str]
    tag: str
    tokens: int
    value_bits_per_parameter: float


class GroupShape(_Shape):
    group: str | None
    available: float
    asked: float
    realised: float
    share_asked: float
    share_realised: float
    documents: int


class MixShape(_Shape):
    """What a step `mix` reports of itself."""

    by: str
    unit: str
    groups: list[GroupShape]


def read_json(path: Place, what: str, command: str) -> Any:
    """The content of a JSON file of `what`, which `command` makes. Raises Refused where it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Refused(f"there is no {path}: this is not the folder of {what}. It is made by: {command}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{path} is damaged ({error}). It is made by: {command}") from None


def flaw(content: Any, shape: type[BaseModel]) -> str | None:
    """The first place where a content differs from a shape, and how; None where it has the shape."""
    try:
        shape.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}" if where else first["msg"]
    return None


def read_summary(folder: Place) -> dict[str, Any]:
    """`summary.json` of a run. Raises Refused where it is missing, damaged or edited; warns where nobody can say."""
    path, command = folder / SUMMARY, f"goldsand run RECIPE -o {folder}"
    summary: dict[str, Any] = read_json(path, "a finished run", command)
    if isinstance(summary, dict):
        summary = manifest.read_summary(folder)
        if "seal" not in summary:
            warnings.warn(f"nobody can check {path}: it has no seal", Unchecked, stacklevel=2)
    if wrong := flaw(summary, SummaryShape):
        raise Refused(f"{path} does not read like a run's summary ({wrong}). It is made by: {command}")
    return summary


def read_results(folder: Path) -> list[dict[str, Any]]:
    """`results.json` of a probe. Raises Refused where it is missing, damaged, or not what the probe wrote; warns where
    nobody wrote down what it was."""
    path, command = folder / RESULTS, f"goldsand probe RECIPE -o {folder}"
    sealed = read_sealed(folder / WRITTEN)
    if sealed is not None and path.is_file():
        read_checked(path, sealed)
    results: list[dict[str, Any]] = read_json(path, "a probe's results", command)
    if sealed is None:
        warnings.warn(f"nobody can check {path}: it was written without a hash", Unchecked, stacklevel=2)
    if not isinstance(results, list):
        raise Refused(f"{path} is not a list of a probe's results. It is made by: {command}")
    for number, row in enumerate(results):
        failed = isinstance(row, dict) and row.get("error")
        if wrong := flaw(row, FailedShape if failed else ResultShape):
            raise Refused(f"{path} is not a list of a probe's results ({number}.{wrong}). It is made by: {command}")
    return results


def read_comparison(folder: Place) -> dict[str, Any]:
    """`compare.json` of a comparison. Raises Refused where it is missing, damaged or edited; warns where nobody can
    say."""
    path, command = folder / COMPARED, f"goldsand compare A B -o {folder}"
    found = read_json(path, "a comparison", command)
    if not isinstance(found, dict) or not {"verdict", "corpora", "reading"} <= found.keys():
        raise Refused(f"{path} does not read like a comparison. It is made by: {command}")
    if "seal" not in found:
        warnings.warn(f"nobody can check {path}: it has no seal", Unchecked, stacklevel=2)
    elif not manifest.is_sealed(found):
        raise Refused(f"{path} is not what the comparison wrote: it is damaged or was edited. It is made by: {command}")
    return {name: value for name, value in found.items() if name != "seal"}


def read_mixes(folder: Place) -> list[dict[str, Any]]:
    """What the steps `mix` of a run report. Raises Refused for a damaged file."""
    mixes = []
    for path in files_below(folder / "mix"):
        if path.suffix == ".json":
            command = f"goldsand run RECIPE -o {folder}"
            mix = read_json(path, "a finished run", command)
            if wrong := flaw(mix, MixShape):
                raise Refused(f"{path} does not read like the report of a mix ({wrong}). It is made by: {command}")
            mixes.append(mix)
    return mixes
