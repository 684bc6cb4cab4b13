"""What stands out in the figures of a run, for a person to look at: a step that takes most of a source, and a threshold
set tighter than the published one that found nothing. That a published threshold finds nothing is no news."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from curate.run.profile import is_off
from curate.run.stage_outputs import StageOutputs
from curate.step import Step

MOST = 0.5
"""Share of a source's documents above which what a step takes is told."""

LEAST = 20
"""Documents of a source below which a share says nothing."""

_ASKED = ("mix",)
"""Steps that take as much as their recipe says."""


def remarks(outputs: StageOutputs) -> dict[str, list[dict[str, Any]]]:
    """`most`: step, source, documents that the step saw of it and dropped, the same of all other sources, and the rule
    that dropped the most; `idle`: step, documents seen, and its limits that are tighter than the published ones."""
    most: list[dict[str, Any]] = []
    idle: list[dict[str, Any]] = []
    for stage in outputs.stages:
        if stage.corpus is not None and stage.corpus.name == "shuffle":
            # From here on a part holds documents of all sources.
            break
        for label, step in zip(stage.labels, stage.all_steps, strict=True):
            seen: Counter[str] = Counter()
            rules: dict[str, Counter[str]] = {}
            edited = 0
            for part, manifest in zip(outputs.parts, outputs.manifests[stage.number], strict=True):
                account, source = manifest["steps"][label], part.partition.source
                seen[source] += account["documents_in"]
                edited += abs(account["characters_edited"])
                rules.setdefault(source, Counter()).update(
                    {rule: documents for rule, (documents, _) in account["reasons"].items()}
                )
            if step.name not in _ASKED:
                most += _most(label, seen, rules)
            nothing = not edited and not any(one.total() for one in rules.values())
            if nothing and seen.total() >= LEAST and (limits := set_tighter(step)):
                idle.append({"step": label, "documents": seen.total(), "limits": limits})
    return {"most": most, "idle": idle}


def set_tighter(step: Step) -> list[str]:
    """The limits of a step that are set tighter than the published ones, or that are off by default."""
    limits = []
    for item in dataclasses.fields(step) if step.shaping is not None else ():  # type: ignore[arg-type]
        value, published = getattr(step, item.name), item.default
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and item.name not in (step.shaping or ()) and not is_off(step, item.name):
            if isinstance(published, (int, float)):
                tighter = value > published if item.name.startswith("min_") else value < published
            else:
                tighter = published is None
            limits += [item.name] if tighter else []
    return limits


def _most(label: str, seen: Counter[str], rules: dict[str, Counter[str]]) -> list[dict[str, Any]]:
    rows = []
    dropped = Counter({source: one.total() for source, one in rules.items()})
    for source in sorted(seen):
        if seen[source] < LEAST or dropped[source] <= MOST * seen[source]:
            continue
        rule, count = min(rules[source].items(), key=lambda one: (-one[1], one[0]))
        rows.append(
            {
                "step": label,
                "source": source,
                "documents": seen[source],
                "dropped": dropped[source],
                "rule": rule,
                "by_rule": count,
                "others": seen.total() - seen[source],
                "others_dropped": dropped.total() - dropped[source],
            }
        )
    return rows
