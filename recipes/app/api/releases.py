"""Releases from Python: all that a probe read, made and found in one folder, and the same trained again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recipes.app.api.arguments import at_least, folder_of
from recipes.app.api.pictures import framed
from recipes.app.api.probes import FinishedProbe
from recipes.app.api.runs import FinishedRun
from recipes.app.api.screen import screen_of


@dataclass(frozen=True)
class FinishedRelease:
    """A release in `folder`: so many `files`, of so many `bytes` together (docs/release.md)."""

    folder: Path
    files: int
    bytes: int

    def check(self, *, run: str | None = None, processes: int | None = None, quiet: bool = False) -> CheckedRelease:
        """As `check_release`."""
        return check_release(self, run=run, processes=processes, quiet=quiet)

    def _repr_html_(self) -> str:
        return framed(title=str(self.folder), lines=[f"{self.files:,} files, {self.bytes:,} bytes"])


@dataclass(frozen=True)
class CheckedRelease:
    """What became of a release whose runs were trained again: `compared` says how many things of each kind were,
    `exact` whether all are the same to the last bit, `differing` what is not within the stated bounds, in words, and
    `machines` in what this machine is another than that of the release."""

    folder: Path
    runs: tuple[str, ...]
    compared: dict[str, int]
    exact: bool
    differing: tuple[str, ...]
    machines: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing differs by more than the stated bounds."""
        return not self.differing

    def _repr_html_(self) -> str:
        return framed(title=f"{self.folder}, trained again", lines=self.lines)


def release(
    probe: FinishedProbe | str | Path,
    output: str | Path,
    *,
    corpus: FinishedRun | str | Path | None = None,
    quiet: bool = False,
) -> FinishedRelease:
    """Write the release of a finished probe into `output`, as `goldsand release` does. `corpus` is the finished run
    that the probe's pages are of, where its plan's folder is not one.

    Raises Refused where the probe is not finished or kept no weights, where its inputs are others now, and where
    `output` holds something else.
    """
    from recipes.app.release.make import make_release

    folder = Path(str(folder_of(output)))
    given = None if corpus is None else Path(str(folder_of(corpus)))
    made = make_release(Path(str(folder_of(probe))), folder, given, screen_of(quiet).warn)
    return FinishedRelease(folder, made["files"], made["bytes"])


def check_release(
    folder: FinishedRelease | str | Path,
    *,
    run: str | None = None,
    processes: int | None = None,
    quiet: bool = False,
) -> CheckedRelease:
    """Hold a release against its checksums, train its runs again (only `run`, where one is named) and compare figures,
    weights, metrics, batches and gallery, as `goldsand release --check` does. `processes`: by default one a core.

    Raises Refused where a file is not what it was, or the release cannot be trained with this version.
    """
    from recipes.app.release.check import check_release as checked

    at_least(1, processes=processes)
    place = Path(str(folder_of(folder)))
    found = checked(place, run, (lambda text: None) if quiet else _print, processes)
    return CheckedRelease(
        place,
        tuple(found.runs),
        dict(found.compared),
        found.exact,
        tuple(found.differing),
        tuple(found.machines),
        tuple(found.lines()),
    )


def _print(text: str) -> None:
    from recipes.app.terminal.console import err, harmless

    err.print(harmless(text))
