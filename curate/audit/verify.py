"""Is a finished folder still what its run wrote, and is every document accounted for? Read from the folder alone."""

from __future__ import annotations

import warnings
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any

import xxhash

from curate.document import Document
from curate.errors import Unchecked
from curate.places.manifest import (
    RECIPE,
    SUMMARY,
    NotAsWritten,
    Written,
    beside_fault,
    ledger_fault,
    noted_beside,
    read_manifest,
    read_summary,
    stands_aside,
)
from curate.places.store import Place, checksum, files_below
from curate.run.engine import RunError
from curate.run.folder import OWNED, check_format
from curate.run.ledger import read_ledger, read_rows
from curate.run.stage_outputs import kept_count
from curate.run.tasks import DOCUMENTS, read_documents
from curate.shards.text import plain, read_text_shard

_FOR_ANOTHER = ("duplicate", "near_duplicate")


def verify(out: Place) -> Iterator[str]:
    """Everything that is wrong with a folder, one sentence each; empty when it is intact.

    Checks each output against the checksum in its manifest, the recipe beside them against the one in the summary, that
    no stage is missing, that what a stage wrote is what the next one read, that the ledger holds every drop and every
    loss, that no duplicate was dropped for a document that was dropped itself, and that input = kept + dropped +
    unreadable in documents and in characters. Raises RunError for a folder that does not hold a finished run, or is of
    another version. Warns where nobody wrote down what the recipe was.
    """
    manifests = read_manifests(out)
    damaged = []
    for one in _files(out, manifests):
        damaged.append(one)
        yield one
    if damaged:
        # Damaged files cannot be counted.
        return
    try:
        last_stage(out, manifests)
    except RunError as fault:
        yield str(fault)
        return
    stages: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, manifest in manifests.items():
        kind, _, rest = name.partition("/")
        if kind == "stages":
            folder, _, part = rest.partition("/")
            stages.setdefault(folder, []).append((part, manifest))
    before: list[int] | None = None
    for folder in sorted(stages):
        left = [0, 0]
        seen = [0, 0]
        for part, manifest in stages[folder]:
            yield from _documents(out, folder, part, manifest)
            kept = manifest["domains"]["kept"].values()
            records = manifest["records"]
            for column, unit in enumerate(("documents", "characters")):
                left[column] += sum(counts[column] for counts in kept)
                lost = records["unreadable"] if unit == "documents" else records["unreadable_characters"]
                seen[column] += records[unit] + lost
        if before is not None and before != seen:
            yield f"{folder} read (documents, characters) {seen}, the stage before it wrote {before}"
        before = left
    yield from _ledger(out, manifests)
    yield from _survivors(out, manifests)
    yield from _summary(out, manifests, before)


def read_manifests(out: Place) -> dict[str, dict[str, Any]]:
    """The manifests of a finished run by unit. Raises RunError for any other folder, and for one of another version."""
    check_format(out)
    if not (out / SUMMARY).is_file():
        raise RunError(
            f"{out} is not the folder of a finished run (goldsand run RECIPE -o {out} makes or finishes one)"
            f"{stands_aside(out)}"
        )
    folder = out / "manifests"
    manifests = {}
    for path in [path for path in files_below(folder) if path.suffix == ".json"]:
        name = path.relative_to(folder).as_posix().removesuffix(".json")
        manifest = read_manifest(path)
        if manifest is None:
            raise RunError(f"{path} is damaged; `goldsand run` into the same folder repairs it")
        manifests[name] = manifest
    return manifests


def whole_manifests(out: Place) -> dict[str, dict[str, Any]]:
    """The manifests of a finished run, where the ledger covers every stage, and every stage that it covers is there:
    without one of them, documents and drops would be missing without a word. Raises RunError."""
    manifests = read_manifests(out)
    covered = {
        f"stages/{unit}" for name, one in manifests.items() if name.startswith("ledger/") for unit in one["units"]
    }
    there = {name for name in manifests if name.startswith("stages/")}
    for name in sorted(covered ^ there):
        lacks = f"{name}.json" if name in covered else f"the part of the ledger that covers {name}"
        raise RunError(f"{out / 'manifests'} lacks {lacks}; `goldsand run` into the same folder makes it again")
    if (fault := ledger_fault(out, {name: one["seal"] for name, one in manifests.items()})) is not None:
        raise RunError(fault)
    return manifests


def kept_documents(out: Place) -> Iterator[Document]:
    """The documents that a finished run kept, as its last stage left them. Raises RunError for any other folder, and,
    before the first document, NotAsWritten for one whose files are not what the run wrote."""
    parts = kept_parts(out)
    for place, written, _ in parts:
        written.check(place)
    return (document for place, _, _ in parts for document in read_documents(place))


def kept_parts(out: Place) -> list[tuple[Place, Written, int]]:
    """The files that hold these documents, what each was when it was written, and how many it has. Raises RunError for
    any folder but that of a finished run, NotAsWritten where one is missing."""
    manifests = read_manifests(out)
    last = last_stage(out, manifests)
    parts = {name: manifest for name, manifest in manifests.items() if name.startswith(f"stages/{last}/")}
    counts = list(map(kept_count, parts.values()))
    expected = _counted(out)
    if not parts or expected is None or sum(counts) != expected[0]:
        counted = expected[0] if expected else 0
        raise RunError(
            f"the manifests in {out / 'manifests'} count {sum(counts)} documents, {out / 'summary.json'} {counted}:"
            " some are missing or of another run; `goldsand run` into the same folder mends it"
        )
    places = [out / f"{name}{DOCUMENTS}" for name in parts]
    found = zip(places, parts.values(), counts, strict=True)
    return [(place, _written_as(out, place, manifest), count) for place, manifest, count in found]


def last_stage(out: Place, manifests: dict[str, dict[str, Any]]) -> str:
    """The last stage of a finished run, whose documents it kept. Raises RunError where its manifests are missing: the
    stage before it may have left as many documents, and other texts."""
    there = max((name.split("/")[1] for name in manifests if name.startswith("stages/")), default="")
    expected = _last_of_summary(out)
    if expected not in (None, there):
        raise RunError(
            f"the manifests in {out / 'manifests'} lack {expected}, the last stage of the run: some are missing or of"
            " another run; `goldsand run` into the same folder mends it"
        )
    return there


def _last_of_summary(out: Place) -> str | None:
    """The folder of the last stage; None where the run had no steps, or its summary is damaged."""
    try:
        return str(read_summary(out)["steps"][-1]["stage"])
    except (OSError, NotAsWritten, LookupError, TypeError):
        return None


def intact(out: Place, place: Place, manifest: dict[str, Any]) -> Place:
    """The file itself, when it is what its unit wrote. Raises NotAsWritten."""
    _written_as(out, place, manifest).check(place)
    return place


def _written_as(out: Place, place: Place, manifest: dict[str, Any]) -> Written:
    """What a file was when its unit wrote it. Raises NotAsWritten where it is missing."""
    relative = place.relative_to(out).as_posix()
    if not place.is_file():
        raise NotAsWritten(f"{place} is missing; `goldsand run` into the same folder makes it again")
    return Written(manifest.get("outputs", {}).get(relative, ""), manifest.get("marks", {}).get(relative))


def written_by(out: Place, manifest: dict[str, Any], ending: str = ".parquet") -> list[Place]:
    """The files of a kind that a unit wrote, in order: one, or one for each of the small files that it published."""
    return [out / name for name in sorted(manifest["outputs"]) if name.endswith(ending)]


def _counted(out: Place) -> list[int] | None:
    """Documents and characters that a run published, by its summary; None where that is damaged."""
    try:
        summary = read_summary(out)
        return [
            sum(summary[unit][what] for what in ("kept", "injected", "copied")) for unit in ("documents", "characters")
        ]
    except (NotAsWritten, KeyError, TypeError):
        return None


def _files(out: Place, manifests: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, manifest in manifests.items():
        for relative, expected in manifest["outputs"].items():
            path = out / relative
            if not path.is_file():
                yield f"{relative} is missing (unit {name})"
            elif checksum(path) != expected:
                yield f"{relative} is not what unit {name} wrote"
    if (fault := beside_fault(out)) is not None:
        yield fault
    elif noted_beside(out) is None and (out / RECIPE).is_file():
        said = f"nobody can check {out / RECIPE}: the run wrote down no checksum of it (an earlier version did not)"
        warnings.warn(said, Unchecked, stacklevel=2)
    known = {relative for manifest in manifests.values() for relative in manifest["outputs"]}
    # A card or a note beside the shards is a person's; what looks like a shard would be read as one.
    kinds = {(name.partition("/")[0], name.rpartition(".")[2]) for name in known}
    for folder in OWNED:
        for path in files_below(out / folder) if folder != "manifests" else ():
            relative = path.relative_to(out).as_posix()
            if relative not in known and (folder, path.name.rpartition(".")[2]) in kinds:
                yield f"{relative} was not written by any unit of this run"


def _documents(out: Place, folder: str, part: str, manifest: dict[str, Any]) -> Iterator[str]:
    kept = kept_count(manifest)
    held = sum(1 for _ in read_documents(out / "stages" / folder / f"{part}{DOCUMENTS}"))
    if held != kept:
        yield f"{folder}/{part} holds {held} documents, its manifest counts {kept}"


def _ledger(out: Place, manifests: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The ledger recounted, against what the units of the stages counted while they ran."""
    accounted: set[str] = set()
    for name, manifest in manifests.items():
        if not name.startswith("ledger/"):
            continue
        accounted.update(manifest["units"])
        missing = [unit for unit in manifest["units"] if f"stages/{unit}" not in manifests]
        if missing:
            yield f"manifests/stages/{missing[0]}.json is missing, whose events {name} holds"
            continue
        units = [manifests[f"stages/{unit}"] for unit in manifest["units"]]
        dropped = sum(count for one in units for step in one["steps"].values() for count, _ in step["reasons"].values())
        lost = sum(one["records"]["unreadable"] for one in units)
        events = Counter(row["event"] for path in written_by(out, manifest) for row in read_ledger(path, ["event"]))
        if events["drop"] != dropped:
            yield f"{name} holds {events['drop']} drops, the units of its input file count {dropped}"
        if events["unreadable"] != lost:
            yield f"{name} holds {events['unreadable']} losses, the units of its input file count {lost}"
        kept_aside = sum(1 for path in written_by(out, manifest, ".zst") for _ in read_rows(path))
        if kept_aside != lost:
            yield f"quarantine holds {kept_aside} records for {name}, the units of its input file count {lost}"
    for name in manifests:
        if name.startswith("stages/") and name.removeprefix("stages/") not in accounted:
            yield f"no part of the ledger covers {name}"


def _survivors(out: Place, manifests: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Every duplicate was dropped for a survivor that the same step kept."""
    import numpy as np

    gone: dict[str, array[int]] = {}
    named: dict[str, array[int]] = {}
    for name, manifest in manifests.items():
        for path in written_by(out, manifest) if name.startswith("ledger/") else ():
            for row in read_ledger(path, ["event", "step", "rule", "key", "value"]):
                if row["event"] == "drop" and row["rule"] in _FOR_ANOTHER:
                    survivor = row["value"]["survivor"] if isinstance(row["value"], dict) else row["value"]
                    for hashes, key in ((gone, row["key"]), (named, survivor)):
                        hashes.setdefault(row["step"], array("Q")).append(xxhash.xxh3_64_intdigest(plain(key).encode()))
    for step, keys in gone.items():
        wrong = int(np.isin(np.unique(named[step]), np.array(keys, np.uint64)).sum())
        if wrong:
            yield f"{step} dropped duplicates of {wrong} documents that it dropped as well"


def _summary(out: Place, manifests: dict[str, dict[str, Any]], left: list[int] | None) -> Iterator[str]:
    counted = _counted(out)
    if counted is None:
        yield "summary.json is damaged"
        return
    summary = read_summary(out)
    for unit in ("documents", "characters"):
        account = summary[unit]
        if account["input"] != account["kept"] + account["dropped"] + account["unreadable"]:
            yield f"summary.json: the {unit} do not balance: {account}"
    if left is not None and left != counted:
        yield f"summary.json counts (documents, characters) {counted}, the last stage left {left}"
    units = [manifest for name, manifest in manifests.items() if name.startswith("text/")]
    texts = [path for manifest in units for path in written_by(out, manifest, ".zst")]
    published = sum(1 for path in texts for _ in read_text_shard(path))
    if published != counted[0]:
        yield f"the text shards hold {published} documents, summary.json counts {counted[0]}"
