"""What the step `rights` did in a run: pages by signal, the domains that lost most, licences of what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from curate.places.store import Place, files_below
from curate.rights.rights import Rights
from curate.run.ledger import read_ledger
from curate.shards.text import read_text_shard

UNNAMED = "(none)"
SHOWN = 20
LICENCE = "licence"
"""The rule of a page that has no allowed licence: no opt-out."""


@dataclass
class OptOuts:
    """Documents and characters that a signal ended, documents that it marked, and what each domain lost."""

    dropped: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)


def opt_outs_in(ledgers: Iterable[Place]) -> OptOuts:
    """What the parts of a ledger say of `rights`."""
    found = OptOuts()
    for place in ledgers:
        # A narrow column shows whether the others are worth reading.
        if not any(_is_of(row["step"]) for row in read_ledger(place, ["step"])):
            continue
        for row in read_ledger(place, ["event", "step", "rule", "domain", "characters"]):
            if not _is_of(row["step"]):
                continue
            if row["event"] == "note":
                found.marked[row["rule"]] += 1
            elif row["event"] == "drop":
                found.dropped[row["rule"]] += 1
                found.characters[row["rule"]] += row["characters"] or 0
                found.domains[row["domain"] or UNNAMED] += row["characters"] or 0
    return found


def rights_of(folder: Place, summary: dict[str, Any]) -> dict[str, Any] | None:
    """For the page: `signals` (name, pages, characters, share of the text, marked), `domains` that lost most, and
    `licences` with documents and characters; None where the run had no such step."""
    if not any(_is_of(step["step"]) for step in summary["steps"]):
        return None
    found = opt_outs_in(one for one in files_below(folder / "ledger") if one.suffix == ".parquet")
    documents: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for place in files_below(folder / "text"):
        for row in read_text_shard(place) if place.name.endswith(".jsonl.zst") else ():
            if row["injected"]:
                continue
            licence = orjson.loads(row["metadata"]).get("license")
            licence = licence if isinstance(licence, str) and licence else UNNAMED
            documents[licence] += 1
            characters[licence] += len(row["text"])
    return {
        "signals": [
            (name, found.dropped[name], found.characters[name], found.marked[name])
            for name in sorted({*found.dropped, *found.marked}, key=lambda one: (-found.dropped[one], one))
        ],
        "domains": found.domains.most_common(SHOWN),
        "licences": [(name, count, characters[name]) for name, count in documents.most_common(SHOWN)],
    }


def _is_of(step: str | None) -> bool:
    return (step or "").partition("#")[0] == Rights.name
