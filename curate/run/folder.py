"""The output folder of a run: one holder at a time, what its units wrote, the documents that were set aside."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import xxhash

from curate.places.manifest import (
    FORMAT,
    MARKER,
    RECIPE,
    SUMMARY,
    files_named,
    format_fault,
    ledger_of,
    manifest_path,
    manifests_below,
    sealed,
)
from curate.places.store import TEMPORARY, Place, files_below, is_local, make_folder, store_errors, write_atomically
from curate.run.engine import Engine, RunError
from curate.run.lock import Lock
from curate.run.previous import remove_empty
from curate.run.session import SHARDS, kills_below, open_session, remove_kills
from curate.run.unit import Unit

OWNED = ("inputs", "stages", "rounds", "ledger", "quarantine", "text", "tokens", "facts", "mix", "manifests")
"""Folders that a run writes into. What units of earlier runs left there is removed; other files in them stay."""

KILLS = "kills.jsonl"

AFTERWARDS = ("report.html", "profile.json")
"""What commands make of a finished run: that of an earlier run must not stand beside another summary."""


@dataclass(frozen=True)
class Kill:
    """A document that hung or killed a worker, with the stage, the part of the input, and the round, if in one.

    `content` is the checksum of the input file: after a change of the file the key may name another document. A whole
    file, which workers died of while they read it, is tried again where `read_with` is another.
    """

    stage: str
    part: str
    round: int | None
    key: str
    reason: str
    content: str = ""
    read_with: str = ""


def _row(kill: Kill) -> bytes:
    fields = {name: value for name, value in asdict(kill).items() if name != "read_with" or value}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def check_format(folder: Place) -> None:
    """Raises RunError for a folder that this version cannot read, with the version and what to do."""
    if (fault := format_fault(folder)) is not None:
        raise RunError(fault)


def read_kills(folder: Place) -> list[Kill]:
    """The documents and files that runs into a folder set aside. Raises RunError for a damaged line."""
    path = folder / KILLS
    lines = []
    with contextlib.suppress(FileNotFoundError):
        lines = path.read_bytes().splitlines()
    kills = []
    for number, line in enumerate(lines, start=1):
        try:
            kills.append(Kill(**orjson.loads(line)))
        except orjson.JSONDecodeError:
            # A run killed while writing leaves half a line, which is ignored.
            if line.rstrip().endswith(b"}"):
                raise RunError(f"{path}:{number} is damaged; remove this line") from None
        except TypeError:
            raise RunError(f"{path}:{number} is not a valid kill; remove this line") from None
    of_shards = (Kill(**row["kill"]) for row in kills_below(folder))
    return kills + [kill for kill in dict.fromkeys(of_shards) if kill not in kills]


class OutputFolder:
    """An output folder, locked by one run while entered. `kills` are the documents set aside, by this run and earlier
    ones."""

    def __init__(self, path: Place) -> None:
        self.path = path
        self.kills: list[Kill] = []
        self.manifests: dict[str, dict[str, Any]] = {}
        self._lock = Lock(path / ".lock")

    def __enter__(self) -> OutputFolder:
        """Take the folder. Raises RunError when it cannot be written, holds other files, is held by another run or by
        shards, or was written by another version."""
        with self.writable():
            make_folder(self.path)
            self.refuse_others()
            self._lock.take()
        try:
            with self.writable():
                self._end_shards()
                self._enter()
        except BaseException:
            self._lock.give_back()
            raise
        return self

    def refuse_others(self) -> None:
        """Raises RunError where the folder is not one that this run may write into."""
        # Files of no unit are removed from a run's folders, so a folder with other files must not become one.
        # (A run that died at once leaves its lock, and a file that it was writing.)
        there = self.path.iterdir() if self.path.is_dir() else ()
        names = {one.name for one in there if not one.name.endswith(TEMPORARY)}
        if names - {".lock", SHARDS} and not names & {MARKER, "manifests"}:
            raise RunError(f"{self.path} holds files that no run wrote; name a new or an empty folder")
        check_format(self.path)

    def _end_shards(self) -> None:
        """Raises RunError where shards are at work here; what dead ones left is this run's to finish."""
        if (session := open_session(self.path)) is not None:
            if who := session.living():
                raise RunError(f"{self.path} is being written by shards ({who} is one): end them, or wait for them")
            session.end("replaced")
        self.gather_kills()

    def gather_kills(self) -> None:
        """Put what shards have set aside into the folder's one list."""
        if kills_below(self.path):
            write_atomically(self.path / KILLS, b"".join(map(_row, read_kills(self.path))), alone=False)
            remove_kills(self.path)

    @contextlib.contextmanager
    def writable(self) -> Iterator[None]:
        try:
            with store_errors(self.path):
                yield
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror or error}") from None

    def begin(self) -> None:
        """From here on the folder is this run's. Until it has ended, the folder may hold files of two recipes: it does
        not count as finished."""
        with self.writable():
            for name in (SUMMARY, *AFTERWARDS):
                (self.path / name).unlink(missing_ok=True)

    def _enter(self) -> None:
        if not (self.path / MARKER).is_file():
            # What an earlier run wrote there names what its units were made of.
            write_atomically(self.path / MARKER, orjson.dumps({"format": FORMAT}))
        if is_local(self.path):
            # Files that a killed run was sorting are of no use now.
            for left in self.path.glob(f".scratch-*{TEMPORARY}"):
                shutil.rmtree(str(left), ignore_errors=True)
        self.kills = read_kills(self.path)

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self._remove_temporary()
        self._lock.give_back()

    def do(
        self, engine: Engine, label: str, units: Sequence[Unit], on_kill: Callable[..., Unit] | None = None
    ) -> list[dict[str, Any]]:
        """Map units to manifests, and record which files they own."""
        manifests = engine.map(label, units, on_kill)
        self.manifests.update({unit.name: manifest for unit, manifest in zip(units, manifests, strict=True)})
        return manifests

    @property
    def made(self) -> int:
        """How many units are not those of an earlier call."""
        return sum(not manifest.get("skipped_unit") for manifest in self.manifests.values())

    def publish(self, summary: dict[str, Any], recipe: bytes | None) -> None:
        """Write what makes the folder the output of a run: the recipe, and last the summary, which notes its
        checksum."""
        if recipe is None:
            (self.path / RECIPE).unlink(missing_ok=True)
        else:
            write_atomically(self.path / RECIPE, recipe)
        summary["files"] = {} if recipe is None else {RECIPE: xxhash.xxh3_128_hexdigest(recipe)}
        summary["ledger"] = ledger_of({name: one["seal"] for name, one in self.manifests.items()})
        write_atomically(self.path / SUMMARY, orjson.dumps(sealed(summary), option=orjson.OPT_INDENT_2))

    def try_again(self) -> None:
        """Forget what was set aside, so that this run meets it again."""
        (self.path / KILLS).unlink(missing_ok=True)
        self.kills = []

    def set_aside(self, kill: Kill) -> None:
        """Write down a document that hung or killed a worker, so that later runs skip it."""
        row = _row(kill)
        if is_local(self.path):
            with (self.path / KILLS).open("ab+") as stream:
                # Half a line, left by a run killed while writing, must not swallow this one.
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - 1))
                stream.write(row if stream.read(1) in (b"", b"\n") else b"\n" + row)
                stream.flush()
                os.fsync(stream.fileno())
        else:
            rows = b"".join(map(_row, self.kills))
            write_atomically(self.path / KILLS, rows + row)
        self.kills.append(kill)

    def remove_strangers(self, below: str = "", pattern: str = "*") -> None:
        """Remove what earlier runs with other inputs or steps wrote, by their manifests, so that the folder holds one
        corpus: of all units, or of one kind what matches. A file that no run wrote stays."""
        known = self._known()
        for path in manifests_below(self.path, below):
            if str(path) in known:
                continue
            for name in files_named(path):
                place = self.path / name
                if str(place) not in known and place.match(pattern):
                    place.unlink(missing_ok=True)
                    remove_empty(place.parent, self.path)
            if not below:
                path.unlink(missing_ok=True)
                remove_empty(path.parent, self.path)
        if not below:
            self._remove_temporary()

    def refuse_strangers(self, below: str, pattern: str) -> None:
        """Raises RunError for a file that would be taken for one of this run's, and that no run wrote."""
        known = self._known()
        for path in files_below(self.path / below):
            if path.match(pattern) and str(path) not in known:
                raise RunError(f"{path} was written by no unit of this run: move it out of {path.parent}")

    def _known(self) -> set[str]:
        known = {str(manifest_path(self.path, name)) for name in self.manifests}
        return known | {str(self.path / name) for manifest in self.manifests.values() for name in manifest["outputs"]}

    def _remove_temporary(self) -> None:
        """Remove what was being written when a run or a worker ended, except for manifests: they say whose the data
        beside them are."""
        if not is_local(self.path):
            return
        for owned in ("", *OWNED):
            for path in sorted((self.path / owned).glob(f"{'**/' if owned else ''}*{TEMPORARY}")):
                if path.is_dir():
                    shutil.rmtree(str(path), ignore_errors=True)
                elif owned != "manifests":
                    path.unlink(missing_ok=True)
