"""The names of steps: goldsand's own, those that installed packages declare, and `module:Class`."""

from __future__ import annotations

import dataclasses
import importlib
import pickle
import re
from collections.abc import Callable
from typing import Any, get_type_hints

from curate.errors import Refused
from curate.outside import HOUSE, declared, load, target_of
from curate.step import CorpusStep, Edit, Rule, Step

GROUP = "goldsand.steps"
"""The entry points by which a package makes its steps known."""

OWN: dict[str, str] = {
    "extract": "curate.extract.extract:Extract",
    "language": "curate.filters.language:Language",
    "gopher_quality": "curate.filters.gopher:GopherQuality",
    "gopher_repetition": "curate.filters.gopher:GopherRepetition",
    "gopher_quality_dolma": "curate.filters.dolma:DolmaQuality",
    "gopher_repetition_dolma": "curate.filters.dolma:DolmaRepetition",
    "gopher_quality_dclm": "curate.filters.dclm:DclmQuality",
    "gopher_repetition_dclm": "curate.filters.dclm:DclmRepetition",
    "dclm_text": "curate.filters.dclm_text:DclmText",
    "refinedweb_lines": "curate.filters.dclm:RefinedWebLines",
    "c4": "curate.filters.c4:C4",
    "c4_dolma": "curate.filters.dolma:DolmaC4",
    "c4_dclm": "curate.filters.dclm:DclmC4",
    "fineweb": "curate.filters.fineweb:FineWeb",
    "url": "curate.filters.url:Url",
    "safety": "curate.filters.safety:Safety",
    "knowledge_density": "curate.filters.density:KnowledgeDensity",
    "classifier": "curate.filters.classifier:Classifier",
    "rights": "curate.rights.rights:Rights",
    "forget": "curate.rights.forget:Forget",
    "redact": "curate.redact.redact:Redact",
    "exact_dedup": "curate.dedup.exact:ExactDedup",
    "minhash_dedup": "curate.dedup.minhash:MinHashDedup",
    "line_dedup": "curate.dedup.repeats:LineDedup",
    "passage_dedup": "curate.dedup.repeats:PassageDedup",
    "decontaminate": "curate.decontaminate.decontaminate:Decontaminate",
    "mix": "curate.mix:Mix",
    "shuffle": "curate.shuffle:Shuffle",
    # `curate` does not import `synth`: this is only a name, imported by callers that have both. It is not an entry
    # point, because a checkout that is not installed has none, and must know its own steps too.
    "inject": "synth.inject:Inject",
}
"""Goldsand's own steps, each imported when it is first asked for."""

_SHORT = {target: name for name, target in OWN.items()}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def step_names() -> list[str]:
    """The short names of all steps: goldsand's own, then those of installed packages."""
    return [*OWN, *(name for name in declared(GROUP) if name not in OWN)]


def short_name(name: str) -> str:
    """The name of one of goldsand's own steps, however it is written; any other name as it is."""
    return _SHORT.get(name, name)


def step_class(name: str) -> type[Step]:
    """The class behind a short name, `module:Class` or `file.py:Class`.

    Raises Refused, with the nearest match, for a missing one, and for one that no recipe can use.
    """
    target = target_of(name, GROUP, OWN, "step")
    step = load(target)
    if target not in _SHORT and (why := _unusable(step)):
        raise Refused(f"`{target}` {why}")
    if ":" not in name and step.name != name:
        raise Refused(f"`{target}` is declared as '{name}' and says `name = '{step.name}'`: they must be one name")
    return step


def _unusable(step: Any) -> str:
    """Why a recipe cannot use an object from outside as a step, and what would be right; empty where it can."""
    if not isinstance(step, type) or not issubclass(step, Step) or step.__module__ == Step.__module__:
        return "is not a step: derive a class from Rule, Edit or CorpusStep of `curate`"
    name, version = getattr(step, "name", None), step.version
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        said = "has no `name`" if name is None else f"says `name = {name!r}`"
        return f"{said}: give it one of letters, digits, '_' and '-', by which ledger and report name it"
    if name in OWN and step.__module__.partition(".")[0] not in HOUSE:
        return f"says `name = '{name}'`, which is a step of goldsand's own: give it another name"
    if not isinstance(version, int) or isinstance(version, bool):
        return f"says `version = {version!r}`: a version must be a whole number"
    if not dataclasses.is_dataclass(step) or any(isinstance(one, dataclasses.Field) for one in vars(step).values()):
        return "is not a dataclass: write `@dataclass(frozen=True)` above the class"
    for kind, needed in (
        (Rule, ("checks",)),
        (Edit, ("edit",)),
        (CorpusStep, ("rounds", "decide")),
        (Step, ("apply",)),
    ):
        if issubclass(step, kind):
            missing = [one for one in needed if getattr(step, one) is getattr(kind, one)]
            if missing and (kind is Step or step.apply is kind.apply):
                return f"has no {' and no '.join(f'`{one}`' for one in missing)}, which a {kind.__name__} needs"
            break
    unset = (dataclasses.MISSING, dataclasses.MISSING)
    for item in dataclasses.fields(step):
        if item.init and "doc" not in item.metadata and (item.default, item.default_factory) == unset:
            return f"needs `{item.name}`, which no recipe can set: declare it as `param(..., 'what it means')`"
    try:
        get_type_hints(step)
        pickle.dumps(step)
    except (NameError, TypeError) as error:
        return f"has a parameter whose type is not known: {error}"
    except (pickle.PicklingError, AttributeError):
        return "cannot be sent to a worker: define it at the top level of its module, under its own name"
    return ""


def steps_in(room: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package of steps: finds the registered classes of its modules, each imported when it is
    first asked for."""

    def find(name: str) -> Any:
        for target in OWN.values():
            module, _, attribute = target.partition(":")
            if attribute == name and module.startswith(f"{room}."):
                return getattr(importlib.import_module(module), name)
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    return find
