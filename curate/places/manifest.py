"""What a run wrote down of its files: a manifest for each unit, with the checksum of every output. Whoever reads a
run's files asks here what they were when they were written."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from curate.errors import Refused, Unchecked
from curate.places.store import TEMPORARY, Place, checksum, files_below, is_local, mark, name_below

FORMAT = 2
"""Raised when the layout of an output folder or of a manifest changes."""

MARKER = "goldsand.json"

SUMMARY = "summary.json"
"""The file that makes a folder the output of a run: removed when a run begins, written when all else is there. Its
`files` are the checksums of those that no unit wrote."""

RECIPE = "recipe.yaml"

PREVIOUS = "previous"
"""The folder in a run's own in which the finished corpus stays that the run replaces, until the new one is whole."""


class NotAsWritten(Refused):
    """A run's file is missing, or is not what its run wrote; the message names the file and how to mend it."""


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value: equal for equal configurations, whatever the order of keys."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).hexdigest()


def manifest_path(root: Place, name: str) -> Place:
    """Manifests have a folder of their own, so that a folder of shards holds shards only."""
    return root / "manifests" / f"{name}.json"


def seal_of(manifest: dict[str, Any]) -> str:
    """A manifest's own checksum: a run takes its figures from manifests. Times and memory differ from run to
    run, and are left out."""
    return fingerprint({name: value for name, value in manifest.items() if name not in ("seal", "seconds", "memory")})


def read_manifest(place: Place) -> dict[str, Any] | None:
    """A manifest as it was written, or None when it is damaged. Raises OSError."""
    try:
        manifest = orjson.loads(place.read_bytes())
    except orjson.JSONDecodeError:
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("seal") == seal_of(manifest) else None


def files_named(manifest: Place) -> list[str]:
    """The files that a manifest names, whole or not, whichever run wrote it; none where there is no manifest."""
    try:
        return [name for name in orjson.loads(manifest.read_bytes())["outputs"] if _is_inside(name)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def manifests_below(root: Place, kind: str = "") -> list[Place]:
    """Every manifest in a run's folder (of one kind of units): those in force, and those that a kill left under their
    temporary name beside data that were in place already."""
    folder = root / "manifests"
    found = files_below(folder / kind if kind else folder)
    return [path for path in found if path.name.endswith(".json") or _left(path.name)]


def _left(name: str) -> bool:
    """Whether it is the temporary name of a manifest, which may have a part that is its writer's alone."""
    return name.endswith(TEMPORARY) and ".json" in name


def _is_inside(name: Any) -> bool:
    """Whether it is the name of a file in the folder itself, as units write it."""
    return isinstance(name, str) and not name.startswith("/") and ".." not in name.split("/")


def format_fault(folder: Place) -> str | None:
    """Why this version cannot read a run's folder, and what to do; None where it can, or where no run wrote there."""
    try:
        written = orjson.loads((folder / MARKER).read_bytes())["format"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{folder / MARKER} is damaged: it should name the folder's format"
    except OSError:
        if not (folder / "manifests").is_dir():
            return None
        # Folders had no marker before format 2.
        written = 1
    if written == FORMAT:
        return None
    older = isinstance(written, int) and written < FORMAT
    remedy = (
        "run the recipe again into a new folder, or read this one with the version that wrote it"
        if older
        else "a newer goldsand wrote it: use that one (`pip install -U goldsand`)"
    )
    return f"{folder} was written in format {written}, and this version reads and writes {FORMAT}: {remedy}"


def stands_aside(root: Place) -> str:
    """Where the corpus is that a run was to replace when it ended early; empty where there is none."""
    whole = (root / PREVIOUS / SUMMARY).is_file()
    return f"; the corpus that it was to replace is whole in {root / PREVIOUS}" if whole else ""


@dataclass(frozen=True)
class Written:
    """What a file was when its run wrote it: XXH3-128 of its content, and a store's own mark where it lay in one."""

    checksum: str
    mark: str | None = None

    def check(self, place: Place, known: str | None = None) -> None:
        """Raises NotAsWritten where the file is another now. `known` is its checksum or mark, where a caller has it:
        then nothing is read, unless a store names an object differently than it did."""
        own = mark(place) if known is None else known
        if own is not None and own in (self.checksum, self.mark):
            return
        # A store may name the same content otherwise than the one that it was copied from.
        if (known is None or not is_local(place)) and checksum(place) == self.checksum:
            return
        raise NotAsWritten(
            f"{place} is not what its run wrote: its checksum is not {self.checksum}; `goldsand run` into the same"
            " folder mends it, or take a sound copy"
        )


def written(root: Place, kind: str) -> dict[str, Written] | None:
    """What the units of a kind (`text`, `ledger`) wrote into the folder of a finished run, by relative path. None where
    there is no manifest at all, so that nobody can say.

    Raises NotAsWritten for a folder of another version, a run that did not finish, a damaged manifest, a file that is
    missing or that no unit wrote.
    """
    if (fault := format_fault(root)) is not None:
        raise NotAsWritten(fault)
    if not files_below(root / "manifests"):
        return None
    if not (root / SUMMARY).is_file():
        raise NotAsWritten(_unfinished(root))
    found: dict[str, Written] = {}
    seals: dict[str, str] = {}
    documents = 0
    for path in [path for path in files_below(root / "manifests" / kind) if path.suffix == ".json"]:
        manifest = read_manifest(path)
        if manifest is None:
            raise NotAsWritten(f"{path} is damaged; `goldsand run` into the same folder repairs it")
        marks = manifest.get("marks", {})
        found |= {name: Written(value, marks.get(name)) for name, value in manifest["outputs"].items()}
        documents += manifest.get("documents", 0)
        seals[path.relative_to(root / "manifests").as_posix().removesuffix(".json")] = manifest["seal"]
    endings = {name.rpartition(".")[2] for name in found}
    there = {
        name_below(path, root)
        for path in files_below(root / kind)
        if not path.name.startswith(".") and (not found or path.name.rpartition(".")[2] in endings)
    }
    for name in sorted(name for name in found if name.startswith(f"{kind}/") and name not in there):
        raise NotAsWritten(f"{root / name} is missing; `goldsand run` into the same folder makes it again")
    for name in sorted(there - found.keys()):
        raise NotAsWritten(f"{root / name} was written by no unit of the run in {root}: {root / 'manifests'} lacks it")
    if kind == "text":
        _counted(root, documents)
    if kind == "ledger" and (fault := ledger_fault(root, seals)) is not None:
        raise NotAsWritten(fault)
    return found


def _unfinished(root: Place) -> str:
    return (
        f"{root} is not the folder of a finished run: there is no {root / SUMMARY}; `goldsand run` into the same folder"
        f" finishes it{stands_aside(root)}"
    )


def own_recipe(root: Place) -> Place:
    """The recipe beside a finished run, when it is the one that was run. Warns that nobody can check it where a run of
    an earlier version, or none, wrote it.

    Raises NotAsWritten where it is missing or another, or the run did not finish.
    """
    path = root / RECIPE
    if (fault := format_fault(root)) is not None:
        raise NotAsWritten(fault)
    if not (root / SUMMARY).is_file() and files_below(root / "manifests"):
        raise NotAsWritten(_unfinished(root))
    if (fault := beside_fault(root)) is not None:
        raise NotAsWritten(f"{root / fault}; `goldsand run` into the same folder mends it, or take a sound copy")
    if noted_beside(root) is None and path.is_file():
        warnings.warn(
            f"nobody can check {path}: the run in {root} wrote down no checksum of it (an earlier version did not)",
            Unchecked,
            stacklevel=2,
        )
    return path


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The same with a seal over all of it."""
    return content | {"seal": fingerprint(content)}


def is_sealed(content: dict[str, Any]) -> bool:
    """Whether a content is what `sealed` made of it."""
    return content.get("seal") == fingerprint({name: value for name, value in content.items() if name != "seal"})


def read_summary(root: Place) -> dict[str, Any]:
    """What a run wrote last into its folder. Raises NotAsWritten where that is damaged or was edited, and
    FileNotFoundError. Earlier versions wrote no seal: theirs is taken as it is."""
    path = root / SUMMARY
    try:
        summary = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        summary = None
    if isinstance(summary, dict) and (is_sealed(summary) or not {"seal", "files"} & summary.keys()):
        return summary
    raise NotAsWritten(f"{path} is damaged; `goldsand run` into the same folder writes it again")


def ledger_of(seals: dict[str, str]) -> str:
    """What a run's summary notes of its ledger: by the seals of the manifests, of which other units are left out."""
    return fingerprint({name: seal for name, seal in seals.items() if name.startswith("ledger/")})


def ledger_fault(root: Place, seals: dict[str, str]) -> str | None:
    """That a folder's summary is of another run than its ledger; None where it is not, or nobody noted it."""
    try:
        noted = read_summary(root).get("ledger")
    except FileNotFoundError:
        return None
    if noted is None or noted == ledger_of(seals):
        return None
    return (
        f"{root / SUMMARY} is not of the run whose manifests lie in {root / 'manifests'}; `goldsand run` into the same"
        " folder mends it"
    )


def noted_beside(root: Place) -> dict[str, str] | None:
    """The checksums of what a run wrote beside its units, by name; None where it noted none, as earlier versions, or
    where its summary is damaged or missing."""
    try:
        files = read_summary(root).get("files")
    except (OSError, NotAsWritten):
        return None
    return files if isinstance(files, dict) else None


def beside_fault(root: Place) -> str | None:
    """How what lies beside a run's units differs from what the run wrote there, by name; None where it does not, and
    where nobody noted what it was."""
    try:
        noted = read_summary(root).get("files")
    except FileNotFoundError:
        return None
    except NotAsWritten:
        return f"{SUMMARY} is damaged"
    if noted is None:
        return None
    for name in sorted({RECIPE, *noted}):
        there = (root / name).is_file()
        if name not in noted:
            if there:
                return f"{name} was not written by this run"
        elif not there:
            return f"{name} is missing"
        elif checksum(root / name) != noted[name]:
            return f"{name} is not what this run wrote"
    return None


def _counted(root: Place, documents: int) -> None:
    """A shard that is missing together with its manifest is missed by its documents."""
    path = root / SUMMARY
    try:
        counts = read_summary(root)["documents"]
        expected = counts["kept"] + counts["injected"] + counts.get("copied", 0)
    except (KeyError, TypeError, AttributeError):
        raise NotAsWritten(f"{path} is damaged; `goldsand run` into the same folder writes it again") from None
    if documents != expected:
        raise NotAsWritten(
            f"{root / 'text'} lacks shards: their manifests count {documents} documents, {path} {expected};"
            " `goldsand run` into the same folder makes them again"
        )


def check_written(root: Place, kinds: Iterable[str]) -> bool:
    """Read all that the units of these kinds wrote, once. False where the folder has no manifests to ask. Raises
    NotAsWritten."""
    for kind in kinds:
        files = written(root, kind)
        if files is None:
            return False
        for name, one in files.items():
            one.check(root / name)
    return True
