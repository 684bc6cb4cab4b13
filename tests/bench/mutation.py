"""A format of `mutants.py`: how its files are made and damaged, what reads them, and what comes of it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import damage

from curate.errors import Refused, Unchecked, refusal

WRONG = ("silently_different", "tracebacks", "crashes", "hangs")
OUTCOMES = ("refused", "alike", "unchecked", *WRONG)
SECONDS = 30
"""Of a processor, for one reading."""
LONGEST = 120
MEMORY = 16 << 30

Reader = Callable[[Path], Any]


@dataclass(frozen=True)
class Said:
    """What came of a reading: `kind` is `answer` or an outcome, `text` the digest of the answer or what was said."""

    kind: str
    text: str
    answer: Any = None
    unchecked: bool = False


@dataclass
class Format:
    """A kind of files: how a sound set is made in a folder (twice, of different seeds), which of its files are damaged
    (`of`: for these readers others), and what reads them, by name, as commands do. `foreign`: nobody wrote down what
    they were. `imports` are modules that are imported once; without any, every reader reads the sound files once in
    this process, which no reader may do that starts threads (torch, tokenizers): they are not there after a fork."""

    make: Callable[[Path, int], None]
    files: tuple[str, ...]
    readers: Mapping[str, Reader]
    foreign: bool = False
    imports: tuple[str, ...] = ()
    of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def harm(self, work: Path, other: Path, draw: random.Random, reader: str) -> str:
        files = self.of.get(reader, self.files)
        names = sorted({str(path.relative_to(work)) for one in files for path in work.glob(one) if path.is_file()})
        return damage.harm(work, other, names, draw)

    def outcome(self, said: Said, sound: Said, work: Path) -> str:
        if said.kind != "answer":
            return said.kind
        if said.text == sound.text:
            return "alike"
        return "unchecked" if self.foreign or said.unchecked else "silently_different"


def asked(read: Reader, work: Path, seconds: float = SECONDS) -> Said:
    """What a reader says, in a process of its own: so nothing of one mutant is left when the next one is read."""
    with tempfile.NamedTemporaryFile() as file:
        sys.stdout.flush()
        process = os.fork()
        if not process:
            _child(read, work, Path(file.name), seconds)
        handle = os.pidfd_open(process)
        ended = bool(select.select([handle], [], [], LONGEST)[0])
        os.close(handle)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
            return Said("hangs", f"over {seconds} s of a processor" if ended else f"over {LONGEST} s")
        written = file.read()
        if os.WIFSIGNALED(status) or not written:
            return Said("crashes", f"status {status}")
        return Said(**json.loads(written))


def _child(read: Reader, work: Path, file: Path, seconds: float) -> None:
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    said: dict[str, Any]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            answer = read(work)
            plain = json.dumps(answer, sort_keys=True, default=repr)
            said = {"kind": "answer", "text": hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()}
            if isinstance(answer, list):
                said["answer"] = answer
        except BaseException as error:
            message = refusal(error)
            said = {"kind": "tracebacks", "text": traceback.format_exc()}
            if message is not None:
                said = {"kind": "refused", "text": message}
    said["unchecked"] = any(issubclass(one.category, Unchecked) for one in warned)
    file.write_text(json.dumps(said))
    os._exit(0)


@functools.cache
def _built(app: Any) -> Any:
    """The commands of an application: a runner builds them anew each time, which takes longer than most of them."""
    import typer.main

    return typer.main.get_command(app)


def command(*arguments: object, more: tuple[int, ...] = ()) -> str:
    """What a command prints. Raises Refused where it ends with exit code 2 or 3, and what is a traceback there."""
    import typer.testing
    from typer.testing import CliRunner

    from recipes.app.cli import app

    typer.testing._get_command = _built  # type: ignore[attr-defined]
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code in (2, 3, *more):
        raise Refused(done.stderr)
    if done.exit_code:
        raise RuntimeError(f"exit code {done.exit_code}: {done.stderr}")
    if "nobody can check" in done.stderr:
        warnings.warn("nobody can check", Unchecked, stacklevel=2)
    return done.stdout


class Bench:
    """The sound sets of one format, and what comes of mutants of the first. Those of a format whose sets are made in
    the same way are the same ones, as are what readers say of them."""

    def __init__(self, name: str, one: Format, folder: Path, before: Sequence[Bench] = ()) -> None:
        self.name, self.format = name, one
        # Before anything is made: a process that makes or reads has them then from the start.
        for module in one.imports:
            importlib.import_module(module)
        self.one, self.other, self.work = (folder / which for which in ("one", "other", "work"))
        self.sound: dict[Reader, Said] = {}
        self.warm: set[Reader] = set()
        if like := next((bench for bench in before if bench.format.make == one.make), None):
            self.one, self.other, self.work = like.one, like.other, like.work
            self.sound, self.warm = like.sound, like.warm
        else:
            for seed, place in enumerate((self.one, self.other)):
                place.mkdir(parents=True)
                said = asked(lambda folder, seed=seed: one.make(folder, seed), place, LONGEST)  # type: ignore[misc]
                assert said.kind == "answer", f"{name} cannot be made: {said.text}"
        self._fresh()
        if not one.imports:
            for read in set(one.readers.values()) - self.warm:
                with contextlib.redirect_stdout(None), warnings.catch_warnings(action="ignore"):
                    read(self.work)
            self.warm.update(one.readers.values())

    def _fresh(self) -> None:
        if self.work.exists():
            shutil.rmtree(self.work)
        shutil.copytree(self.one, self.work)

    def of_sound(self, reader: str) -> Said:
        read = self.format.readers[reader]
        if read not in self.sound:
            self._fresh()
            said = asked(read, self.work, 10 * SECONDS)
            assert said.kind == "answer", f"{self.name}: {reader} does not read sound files: {said.text}"
            self.sound[read] = said
        return self.sound[read]

    def mutant(self, number: int) -> tuple[str, str, Said]:
        """What came of a mutant, what was done to it, and what its reader said."""
        draw = random.Random(f"{self.name} {number}")
        reader = draw.choice(sorted(self.format.readers))
        sound = self.of_sound(reader)
        self._fresh()
        done = self.format.harm(self.work, self.other, draw, reader)
        said = asked(self.format.readers[reader], self.work)
        return self.format.outcome(said, sound, self.work), f"{reader} of {done}", said
