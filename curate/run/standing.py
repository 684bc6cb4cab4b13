"""The finished corpus that stands in a folder, and what a run into that folder would change of it.

A run that is no change of what stands there (another name, other inputs, less than half of the documents) is refused: a
copied recipe whose name stayed, or a mistyped folder, must not cost a corpus.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from curate.errors import version
from curate.places.manifest import (
    PREVIOUS,
    files_named,
    fingerprint,
    manifest_path,
    manifests_below,
    read_manifest,
)
from curate.places.store import Place
from curate.run.engine import RunError
from curate.run.output import Publication
from curate.run.previous import size_of
from curate.run.stage import Stage
from curate.run.tasks import DOCUMENTS, read_documents
from curate.run.unit import describe_step
from curate.sources import Partition
from curate.sources.content import size_of as bytes_of

FILES = 8
"""Input files from which a rehearsal takes its documents, spread evenly over those that were there before."""

SAMPLE = 200
"""Documents of a rehearsal."""

STRAY = 100
"""Documents one after the other that a rehearsal did not see, after which no more of a file are looked at."""

LEAST = 0.5
"""Share of the finished documents below which a run is taken for a slip."""

Rehearse = Callable[[Sequence[Partition], int], tuple[set[str], set[str]]]
"""Carries the steps out on the first documents of some input files; the keys of those that are kept, and of all."""


@dataclass(frozen=True)
class Asked:
    """A run as it is compared with what stands in its folder: what it is made of, and what would carry it out."""

    name: str
    stages: Sequence[Stage]
    partitions: Sequence[Partition]
    publication: Publication
    limit: int | None
    rehearse: Rehearse

    def made_of(self) -> dict[str, Any]:
        """What decides the output, as `summary.json` keeps it: no input is read for it."""
        made_of = {
            "name": self.name,
            "goldsand": version(),
            "inputs": {source: _input(files) for source, files in self._sources()},
            "limit": self.limit,
            "stages": {
                stage.folder: dict(zip(stage.labels, map(describe_step, stage.all_steps), strict=True))
                for stage in self.stages
            },
            "published": {
                "text": fingerprint(self.publication.text_domain),
                "ledger": fingerprint(self.publication.keep_dropped),
                "tokenizer": fingerprint(self.publication.vocabulary.describe()),
                "tokens": {one.name: fingerprint([one.source, one.domain, one.bare])
                           for one in self.publication.renderings},
            },
        }  # fmt: skip
        # As it is when it is read again: a parameter may be a tuple, or a table with numbers as keys.
        read_again: dict[str, Any] = orjson.loads(orjson.dumps(made_of, option=orjson.OPT_NON_STR_KEYS))
        return read_again

    def _sources(self) -> Iterator[tuple[str, list[Partition]]]:
        for source in sorted({one.source for one in self.partitions}):
            yield source, [one for one in self.partitions if one.source == source]


@dataclass(frozen=True)
class StandingFile:
    """An input file of a finished corpus, or a folder of pages: its names in keys, the documents that were kept of it,
    and the units that hold them; where it shares its units with other small files, from `start` to `end`."""

    names: list[str]
    kept: int
    units: list[str]
    start: int = 0
    end: int | None = None


@dataclass(frozen=True)
class Standing:
    """A finished corpus: where it lies (`folder`, or kept aside below it), what it is made of (empty where an older
    version wrote it), its documents, when it was finished, and the steps that its summary names."""

    folder: Place
    name: str
    documents: int
    finished: float | None
    made_of: dict[str, Any]
    steps: list[str]
    tokens: list[str]

    @classmethod
    def read(cls, out: Place) -> Standing | None:
        """What stands in a folder; None where nothing finished does, or what nobody can read."""
        for folder in (out, out / PREVIOUS):
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                summary = orjson.loads((folder / "summary.json").read_bytes())
                return cls(
                    folder,
                    str(summary["recipe"]),
                    int(summary["documents"]["kept"]),
                    _finished(folder),
                    summary.get("made_of") or {},
                    [str(step["step"]) for step in summary["steps"]],
                    list(summary.get("tokens", {})),
                )
        return None

    def __str__(self) -> str:
        when = time.strftime(", finished %Y-%m-%d %H:%M", time.localtime(self.finished)) if self.finished else ""
        return f"the corpus '{self.name}' ({self.documents:,} documents{when})"

    def files(self) -> Iterator[StandingFile]:
        """What stands of each input file."""
        folders = sorted({path.parent.name for path in manifests_below(self.folder, "stages")})
        # A shuffle moves documents between files: those of a file are counted before it.
        shuffled = next((place for place, one in enumerate(folders) if one[3:].startswith("shuffle")), len(folders))
        last = folders[max(0, shuffled - 1)] if folders else ""
        for path in manifests_below(self.folder, "ledger"):
            ledger = read_manifest(path) or {}
            units = [f"stages/{one}" for one in ledger.get("units", []) if one.startswith(f"{last}/")]
            kept = 0
            names = ledger.get("source", [])
            for unit in units:
                with suppress(OSError):
                    manifest = read_manifest(manifest_path(self.folder, unit)) or {}
                    if "documents_by_part" in manifest:
                        counts = manifest["documents_by_part"]
                        ends = itertools.accumulate(counts)
                        for name, count, end in zip(names, counts, ends, strict=True):
                            yield StandingFile([name], count, units, end - count, end)
                        break
                    kept += sum(counts[0] for counts in manifest.get("domains", {}).get("kept", {}).values())
            else:
                yield StandingFile(names, kept, units)


@dataclass
class Change:
    """What a run changes of what stands in its folder. `refusal` says why it may not, if so; `lines` what is made again
    and what goes; `keeps` is the share of the finished documents that it is foretold to keep, of `rehearsed` documents
    (0: no rehearsal was needed). `back`: a run that was to replace it ended early, and this is its own recipe again."""

    out: Place
    standing: Standing
    refusal: str = ""
    again: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    keeps: float = 1.0
    rehearsed: int = 0
    back: bool = False

    def lines(self) -> list[str]:
        """What a person is told before it happens."""
        where = self.out / PREVIOUS
        if self.back:
            return [f"{self.standing} was being replaced: it comes back from {where}"]
        lines = [f"{self.out} holds {self.standing}; it stays whole in {where} until the new one is whole"]
        if self.again:
            lines.append(f"made again: {', '.join(self.again)}")
        if self.gone:
            lines.append(f"goes: {', '.join(self.gone)}")
        if self.rehearsed:
            lines.append(f"about {self.keeps:.0%} of its documents are kept (rehearsed on {self.rehearsed:,})")
        return lines

    def refuse(self) -> None:
        """Raises RunError where the run may not replace what stands there."""
        if self.refusal:
            raise RunError(
                f"{self.out} holds {self.standing}, and {self.refusal}: --replace (replace=True) puts the new corpus in"
                " its place, another output folder keeps both"
            )


def change_of(out: Place, asked: Asked, foretell: bool = True) -> Change | None:
    """What a run would change of the finished corpus in its folder; None where there is none, or where nothing that
    decides the output has changed. `foretell`: with a rehearsal, where one is needed to know what is kept."""
    standing = Standing.read(out)
    if standing is None:
        return None
    made_of = asked.made_of()
    if made_of == standing.made_of:
        return None if standing.folder == out else Change(out, standing, back=True)
    change = Change(out, standing)
    _steps_and_outputs(change, made_of)
    labels = [label for stage in asked.stages for label in stage.labels]
    if asked.name != standing.name:
        change.refusal = f"this recipe is named '{asked.name}'"
    elif "profile" in labels and "profile" not in standing.steps:
        change.refusal = "this is a profile"
    else:
        change.refusal = _other_inputs(standing, made_of["inputs"])
    if not change.refusal and ("profile" in labels or "profile" not in standing.steps):
        # A profile dropped nothing, and a run after it may well take its place.
        _documents(change, asked, made_of, foretell)
    return change


def disk(change: Change, reused: set[str]) -> int:
    """Bytes of the finished corpus that stay beside the new one until that is whole: of all units but those that the
    run finds done."""
    folder = change.standing.folder
    names = (manifest.relative_to(folder / "manifests").as_posix().removesuffix(".json") for manifest in
             manifests_below(folder))  # fmt: skip
    return sum(size_of(folder, files_named(manifest_path(folder, one))) for one in names if one not in reused)


def _input(partitions: Sequence[Partition]) -> dict[str, Any]:
    """Where the files of a source lie, how many and how large they are, and a digest of their names, sizes and times.
    A store is not asked for sizes: that is a request for each file."""
    rows = []
    total = 0
    for one in partitions:
        for path, relative in one.files or [(one.path, one.relative)]:
            row: list[Any] = [relative]
            if isinstance(path, Path):
                with suppress(OSError):
                    status = path.stat()
                    row += [status.st_size, status.st_mtime_ns]
            rows.append(row)
        if isinstance(one.path, Path):
            with suppress(OSError):
                total += bytes_of(one)
    shapes = sorted({orjson.dumps({**one.describe(), "relative": "", "files": []}).decode() for one in partitions})
    return {
        "paths": sorted({_root(one) for one in partitions}),
        "files": len(rows),
        "bytes": total,
        "digest": fingerprint([rows, shapes]),
    }


def _root(partition: Partition) -> str:
    """The folder or address from which a partition's relative name counts."""
    if partition.dataset is not None:
        one = partition.dataset
        return " ".join(filter(None, (one.path, one.subset, one.split, one.revision)))
    path = partition.path
    text = os.path.realpath(path) if isinstance(path, Path) else str(path)
    text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return text.removesuffix(partition.relative).rstrip("/") or "/"


def _finished(folder: Place) -> float | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return float(orjson.loads((folder / "status.json").read_bytes())["written"])
    with suppress(OSError, AttributeError):
        return float((folder / "summary.json").stat().st_mtime)
    return None


def _other_inputs(standing: Standing, inputs: dict[str, Any]) -> str:
    before = standing.made_of.get("inputs")
    if before is None:
        # An older version noted no paths, but the ledger names every file.
        there = {name.partition("/")[0] for one in standing.files() for name in one.names}
        return f"this run reads {_named(inputs)}, not {_named(there)}" if there and there != inputs.keys() else ""
    if before.keys() != inputs.keys():
        return f"this run reads {_named(inputs)}, not {_named(before)}"
    for source, one in inputs.items():
        # Moved files, with their times, are the same files.
        if one["paths"] != before[source]["paths"] and one["digest"] != before[source]["digest"]:
            paths = (" and ".join(which["paths"]) for which in (one, before[source]))
            return "this run reads '{}' from {}, not from {}".format(source, *paths)
    return ""


def _named(sources: Any) -> str:
    words = ", ".join(f"'{one}'" for one in sorted(sources))
    return f"the input{'s' * (len(sources) != 1)} {words}"


def _steps_and_outputs(change: Change, made_of: dict[str, Any]) -> None:
    """What is made again and what goes, as far as digests tell."""
    standing = change.standing
    before, stages = standing.made_of.get("stages", {}), made_of["stages"]
    folders = list(stages)
    same = made_of["inputs"] == standing.made_of.get("inputs") and made_of["limit"] == standing.made_of.get("limit")
    # What follows a stage that is made again is made again where its input changes: that cannot be known before.
    first = next((place for place, one in enumerate(folders) if before.get(one) != stages[one]), len(folders))
    if not same:
        change.again.append("the units of new and changed input files" if first else "")
    if first < len(folders):
        known = {label: step for steps in before.values() for label, step in steps.items()}
        new = [label for one in folders[first:] for label, step in stages[one].items() if known.get(label) != step]
        why = f" ({', '.join(new)} {'are' if len(new) > 1 else 'is'} new or changed)" if before and new else ""
        change.again.append(f"{'stages' if first + 1 < len(folders) else 'stage'} {', '.join(folders[first:])}{why}")
    was, published = standing.made_of.get("published", {}), made_of["published"]
    if first < len(folders) or not same:
        change.again.append("what is published of them")
    else:
        change.again += [one for one in published if published[one] != was.get(one)]
    change.again = [one for one in change.again if one]
    left = [f"stage {one}" for one in before if one not in stages]
    change.gone += left + [f"tokens/{one}" for one in standing.tokens if one not in published["tokens"]]


def _documents(change: Change, asked: Asked, made_of: dict[str, Any], foretell: bool) -> None:
    """Foretell how many of the finished documents the run keeps: those of files that are gone are counted, the others
    rehearsed, where steps have changed."""
    standing = change.standing
    there = {name: one for one in asked.partitions for name in _names_of(one)}
    total, still = 0.0, 0.0
    files = gone = 0
    held: list[tuple[Partition, StandingFile]] = []
    smaller = _shrunk(standing.made_of.get("inputs") or {}, made_of["inputs"])
    for one in standing.files():
        left = [name for name in one.names if name in there]
        files, gone = files + len(one.names), gone + len(one.names) - len(left)
        total += one.kept
        if left:
            still += one.kept * len(left) / len(one.names) * smaller.get(left[0].partition("/")[0], 1.0)
            held.append((there[left[0]], one))
    if gone:
        change.gone.append(f"{gone:,} of {files:,} input files")
    if not standing.documents or not total:
        return
    change.keeps = still / total
    if foretell and made_of["stages"] != standing.made_of.get("stages"):
        share, change.rehearsed = _rehearsed(standing, held, asked.rehearse)
        change.keeps *= share
    if asked.limit is not None:
        change.keeps = min(change.keeps, asked.limit / standing.documents)
    if change.keeps < LEAST:
        how = f", rehearsed on {change.rehearsed:,}" if change.rehearsed else ""
        change.refusal = f"this run would keep about {change.keeps:.0%} of its documents{how}"


def _names_of(partition: Partition) -> list[str]:
    return [f"{partition.source}/{name}" for name in [one for _, one in partition.files] or [partition.relative]]


def _shrunk(before: dict[str, Any], inputs: dict[str, Any]) -> dict[str, float]:
    """For each source the share of its bytes that is left, where files of it became smaller or went away."""
    return {
        source: min(1.0, one["bytes"] / before[source]["bytes"])
        for source, one in inputs.items()
        if before.get(source, {}).get("bytes") and one["files"] >= before[source]["files"]
    }


def _rehearsed(
    standing: Standing, held: Sequence[tuple[Partition, StandingFile]], rehearse: Rehearse
) -> tuple[float, int]:
    """The share of finished documents that the steps keep, from the first of some files, and of how many. The same
    documents are compared, so that it does not matter how the beginning of a file differs from the rest."""
    chosen = [held[place * len(held) // FILES] for place in range(FILES)] if len(held) > FILES else list(held)
    if not chosen:
        return 1.0, 0
    kept, seen = rehearse([partition for partition, _ in chosen], max(1, SAMPLE // len(chosen)))
    before = {key for _, one in chosen for key in _finished_among(standing, one, seen)}
    return (len(before & kept) / len(before) if before else 1.0), len(before)


def _finished_among(standing: Standing, file: StandingFile, seen: set[str]) -> Iterator[str]:
    """The keys of a file's finished documents that a rehearsal saw: all at its beginning."""
    stray = 0
    for unit in file.units:
        with suppress(OSError):
            documents = read_documents(standing.folder / f"{unit}{DOCUMENTS}")
            for document in itertools.islice(documents, file.start, file.end):
                if document.key in seen and not document.protected:
                    stray = 0
                    yield document.key
                elif not document.protected:
                    stray += 1
                if stray > STRAY:
                    return
