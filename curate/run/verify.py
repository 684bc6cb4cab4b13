"""Is a finished folder still what its run wrote, and is every document accounted for? Read from the folder alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from curate.run.ledger import read_rows
from curate.run.local import RunError
from curate.run.tasks import read_documents
from curate.run.unit import FORMAT, checksum


def verify(out: Path) -> Iterator[str]:
    """Everything that is wrong with a folder, one sentence each; nothing when it is whole.

    Checks each output against the checksum in its manifest, that what a stage wrote is what the next one read, that the
    ledger holds every drop and quarantine every loss, and that input = kept + dropped + unreadable in documents and in
    characters. Raises RunError for a folder that is no finished run, or of another version.
    """
    manifests = _manifests(out)
    yield from _files(out, manifests)
    stages: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, manifest in manifests.items():
        kind, _, rest = name.partition("/")
        if kind == "stages":
            folder, _, partition = rest.partition("/")
            stages.setdefault(folder, []).append((partition, manifest))
    before: list[int] | None = None
    for folder in sorted(stages):
        left = [0, 0]
        seen = [0, 0]
        for partition, manifest in stages[folder]:
            yield from _unit(out, folder, partition, manifest)
            kept = manifest["domains"]["kept"].values()
            records = manifest["records"]
            for column, unit in enumerate(("documents", "characters")):
                left[column] += sum(counts[column] for counts in kept)
                lost = records["unreadable"] if unit == "documents" else records["unreadable_characters"]
                seen[column] += records[unit] + lost
        if before is not None and before != seen:
            yield f"{folder} read (documents, characters) {seen}, the stage before it wrote {before}"
        before = left
    summary = orjson.loads((out / "summary.json").read_bytes())
    for unit in ("documents", "characters"):
        account = summary[unit]
        if account["input"] != account["kept"] + account["dropped"] + account["unreadable"]:
            yield f"summary.json: the {unit} do not balance: {account}"
    if before is not None and before[0] != summary["documents"]["kept"] + summary["documents"]["injected"]:
        yield f"summary.json counts other documents than the {before[0]} that the last stage left"


def _manifests(out: Path) -> dict[str, dict[str, Any]]:
    folder = out / "manifests"
    if not folder.is_dir() or not (out / "summary.json").is_file():
        raise RunError(
            f"{out} is not the folder of a finished run (goldsand run RECIPE -o {out} makes or finishes one)"
        )
    found = {}
    for path in sorted(folder.rglob("*.json")):
        manifest = orjson.loads(path.read_bytes())
        if manifest.get("format") != FORMAT:
            raise RunError(
                f"{out} was written in format {manifest.get('format')}, and this version reads {FORMAT}: use the"
                " version that wrote it, or run the recipe again into a new folder"
            )
        found[str(path.relative_to(folder).with_suffix(""))] = manifest
    return found


def _files(out: Path, manifests: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, manifest in manifests.items():
        for relative, expected in manifest["outputs"].items():
            path = out / relative
            if not path.is_file():
                yield f"{relative} is gone (unit {name})"
            elif checksum(path) != expected:
                yield f"{relative} is not what unit {name} wrote"


def _unit(out: Path, folder: str, partition: str, manifest: dict[str, Any]) -> Iterator[str]:
    """The account of one partition through one stage, recounted from its documents, its ledger and its quarantine."""
    place = f"{folder}/{partition}"
    documents = out / "stages" / folder / f"{partition}.jsonl.zst"
    ledger = out / "ledger" / folder / f"{partition}.jsonl.zst"
    quarantine = out / "quarantine" / folder / f"{partition}.jsonl.zst"
    if not documents.is_file() or not ledger.is_file():
        return
    kept = sum(counts[0] for counts in manifest["domains"]["kept"].values())
    found = sum(1 for _ in read_documents(documents))
    if found != kept:
        yield f"{place} holds {found} documents, its manifest counts {kept}"
    dropped = sum(count for step in manifest["steps"].values() for count, _ in step["reasons"].values())
    rows = sum(row["event"] == "drop" for row in read_rows(ledger))
    if rows != dropped:
        yield f"the ledger of {place} holds {rows} drops, its manifest counts {dropped}"
    lost = sum(1 for _ in read_rows(quarantine)) if quarantine.is_file() else 0
    if lost != manifest["records"]["unreadable"]:
        yield f"quarantine holds {lost} records of {place}, its manifest counts {manifest['records']['unreadable']}"
