"""From the manifests of a run to the figures a person reads, with the balance of documents and characters checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curate.run.engine import RunError
from curate.run.stage import Stage
from curate.step import Injection

LISTED = 200
"""Unreadable records and domains that the summary names; the rest is counted."""


def summarise(
    *,
    name: str,
    stages: Sequence[Stage],
    manifests: Sequence[Sequence[dict[str, Any]]],
    tokens: dict[str, int],
    seconds: float,
    workers: int,
    worker_memory: int,
    max_loss: float,
    units_done: int,
    units_found: int,
    units: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """The content of `summary.json`.

    Input = kept + dropped + unreadable holds in documents and in characters, or RunError is raised. A page counts the
    characters of its extracted text; what could not be read at all counts its bytes. Characters that edits removed
    are counted as dropped. `units` are the manifests of all units by name, those of rounds among them.
    """
    steps = [_step_row(label, stage, manifests[stage.number]) for stage in stages for label in stage.labels]
    for stage in stages:
        if found := _notes(units, stage.folder) if stage.corpus else None:
            next(row for row in steps if row["step"] == stage.labels[0])["found"] = found
    records = _records(manifests)
    injected = [sum(step[f"{unit}_injected"] for step in steps) for unit in ("documents", "characters")]
    copied = [sum(s[f"{unit}_injected"] for s in steps if s["copies"]) for unit in ("documents", "characters")]
    final = [counts for manifest in manifests[-1] for counts in manifest["domains"]["kept"].values()]
    written = [sum(counts[column] for counts in final) for column in (0, 1)]
    first_makes_text = bool(stages[0].steps) and stages[0].steps[0].ends_stage
    read = [
        sum(manifest["records"]["documents"] for manifest in manifests[0]),
        steps[0]["characters_in"]
        if first_makes_text
        else sum(manifest["records"]["characters"] for manifest in manifests[0]),
    ]
    # A document set aside after the first stage has been read before: it is not read twice.
    lost_on_reading = [
        sum(manifest["records"][field] for manifest in manifests[0])
        for field in ("unreadable", "unreadable_characters")
    ]
    unreadable = [
        sum(manifest["records"][field] for stage in manifests for manifest in stage)
        for field in ("unreadable", "unreadable_characters")
    ]
    edited = sum(step["characters_edited"] for step in steps)
    dropped_with_documents = sum(step["characters_dropped"] for step in steps)
    dropped = [sum(step["documents_dropped"] for step in steps), dropped_with_documents + edited]
    accounts: dict[str, dict[str, int]] = {}
    for column, unit in enumerate(("documents", "characters")):
        accounts[unit] = {
            "input": read[column] + lost_on_reading[column],
            "kept": written[column] - injected[column],
            "dropped": dropped[column],
            "unreadable": unreadable[column],
            "injected": injected[column] - copied[column],
            "copied": copied[column],
        }
        account = accounts[unit]
        if account["input"] != account["kept"] + account["dropped"] + account["unreadable"]:
            raise RunError(
                f"the accounts do not balance in {unit}: {account}. This is a fault of goldsand; please report it"
            )
    accounts["characters"] |= {"dropped_with_documents": dropped_with_documents, "removed_by_edits": edited}
    loss = unreadable[0] / records["read"] if records["read"] else 0.0
    pages = accounts["documents"]["input"]
    reasons = {f"{s['step']}.{rule}": r["documents"] for s in steps for rule, r in s["reasons"].items()}
    return {
        "recipe": name,
        **accounts,
        "records": records,
        "tokens": tokens,
        # A rule with its step's own name says no more than the step.
        "reasons": {_short(reason): count for reason, count in reasons.items()},
        "steps": steps,
        "domains": _domains(stages, manifests),
        "unreadable": [item for stage in manifests for m in stage for item in m["lost"]][:LISTED],
        # Units that an earlier version made have none.
        "notices": sorted({notice for stage in manifests for m in stage for notice in m.get("notices", [])}),
        "loss": round(loss, 6),
        "max_loss": max_loss,
        "seconds": round(seconds, 3),
        "pages_per_second": round(pages / seconds, 2) if seconds else 0.0,
        "workers": workers,
        "worker_memory_mb": worker_memory >> 20,
        "units": {"done": units_done, "found_done": units_found},
    }


def _short(reason: str) -> str:
    step, _, rule = reason.partition(".")
    return step if step == rule else reason


def _step_row(label: str, stage: Stage, manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One line of the funnel: a step's account summed over the partitions."""
    accounts = [manifest["steps"][label] for manifest in manifests]
    reasons: dict[str, dict[str, int]] = {}
    for account in accounts:
        for rule, (documents, characters) in account["reasons"].items():
            row = reasons.setdefault(rule, {"documents": 0, "characters": 0})
            row["documents"] += documents
            row["characters"] += characters
    reasons = dict(sorted(reasons.items(), key=lambda item: (-item[1]["documents"], item[0])))
    columns = (
        "documents_in",
        "documents_out",
        "documents_injected",
        "characters_in",
        "characters_out",
        "characters_injected",
        "characters_edited",
    )
    return {
        "step": label,
        "stage": stage.folder,
        # What such a step adds are no facts but copies of documents that were there.
        "copies": stage.corpus is not None and label == stage.labels[0] and not isinstance(stage.corpus, Injection),
        **{column: sum(account[column] for account in accounts) for column in columns},
        "documents_dropped": sum(row["documents"] for row in reasons.values()),
        "characters_dropped": sum(row["characters"] for row in reasons.values()),
        "seconds": round(sum(manifest["seconds"].get(label, 0.0) for manifest in manifests), 3),
        "reasons": reasons,
    }


def _notes(units: dict[str, dict[str, Any]], folder: str) -> dict[str, int]:
    """What the rounds of a corpus step counted, over all units."""
    found: dict[str, int] = {}
    for name, manifest in units.items():
        if name.startswith(f"rounds/{folder}-"):
            for what, count in manifest.get("notes", {}).items():
                largest = what.startswith("largest_")
                found[what] = max(found.get(what, 0), count) if largest else found.get(what, 0) + count
    return found


def _records(manifests: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """What stood in the containers: documents, sound records of other kinds, and what could not be read."""
    skipped: dict[str, int] = {}
    for manifest in manifests[0]:
        for reason, count in manifest["records"]["skipped"].items():
            skipped[reason] = skipped.get(reason, 0) + count
    documents = sum(manifest["records"]["documents"] for manifest in manifests[0])
    unreadable = sum(manifest["records"]["unreadable"] for manifest in manifests[0])
    return {
        "read": documents + sum(skipped.values()) + unreadable,
        "documents": documents,
        "skipped": dict(sorted(skipped.items(), key=lambda item: (-item[1], item[0]))),
        "unreadable": unreadable,
    }


def _domains(stages: Sequence[Stage], manifests: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What each domain gave and lost, the largest first."""
    rows: dict[str, dict[str, Any]] = {}

    def row(domain: str) -> dict[str, Any]:
        return rows.setdefault(domain, {"domain": domain, "kept": 0, "characters": 0, "lost": {}})

    for stage in stages:
        for manifest in manifests[stage.number]:
            for domain, lost in manifest["domains"]["lost"].items():
                for label, count in lost.items():
                    entry = row(domain)["lost"]
                    entry[label] = entry.get(label, 0) + count
    for manifest in manifests[-1]:
        for domain, (documents, characters) in manifest["domains"]["kept"].items():
            row(domain)["kept"] += documents
            row(domain)["characters"] += characters
    for entry in rows.values():
        entry["documents"] = entry["kept"] + sum(entry["lost"].values())
    return sorted(rows.values(), key=lambda entry: (-entry["documents"], entry["domain"]))[:LISTED]
