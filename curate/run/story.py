"""The whole story of one document: where it was read, what rewrote it, what ended it, or where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.run.ledger import read_rows
from curate.run.local import RunError
from curate.run.tasks import read_documents


@dataclass(frozen=True)
class Event:
    """One thing that happened to the document `key`: read, edit, drop, unreadable or kept, in the stage `stage`."""

    key: str
    stage: str
    what: str
    detail: dict[str, Any]


def story(out: Path, name: str) -> Iterator[Event]:
    """Every event of the documents with this key or URL, in the order of the stages.

    Raises RunError when the folder holds no ledger.
    """
    if not (out / "ledger").is_dir():
        raise RunError(f"{out} holds no ledger: it is not the folder of a run")
    stages = sorted(path.name for path in (out / "ledger").iterdir())
    keys = {name}
    for number, stage in enumerate(stages):
        for path in sorted((out / "quarantine" / stage).glob("*.zst")):
            for row in read_rows(path):
                if row["key"] in keys:
                    yield Event(row["key"], stage, "unreadable", {"error": row["error"], "bytes": row["bytes"]})
        left: list[Event] = []
        for path in sorted((out / "stages" / stage).glob("*.zst")):
            for document in read_documents(path):
                if document.key in keys or document.url == name:
                    keys.add(document.key)
                    detail = {"characters": len(document.text), "url": document.url, "domain": document.domain}
                    left.append(Event(document.key, stage, "kept" if number == len(stages) - 1 else "passed", detail))
        for path in sorted((out / "ledger" / stage).glob("*.zst")):
            yield from _ledger(path, stage, name, keys)
        yield from left


def _ledger(path: Path, stage: str, name: str, keys: set[str]) -> Iterator[Event]:
    rows = list(read_rows(path))
    # An edit's row carries no URL: the drop that follows it does.
    keys |= {row["key"] for row in rows if row.get("url") == name}
    for row in rows:
        if row["key"] in keys:
            shown = ("step", "before", "after") if row["event"] == "edit" else (
                "step", "rule", "value", "threshold", "characters", "url",
            )  # fmt: skip
            yield Event(row["key"], stage, row["event"], {column: row[column] for column in shown})
