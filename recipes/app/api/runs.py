"""Corpora from Python: run, plan, and what a finished run holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import Refused
from curate.places.store import Place
from recipes.app.api.arguments import Folder, at_least, folder_of
from recipes.app.api.documents import Differences, Story, Verified, diff, verify, why
from recipes.app.api.inline import InlinePage
from recipes.app.api.jobs import on_engine, planned_pool, pool_of
from recipes.app.api.recipe import Recipe, loaded_of
from recipes.app.api.screen import Screen, screen_of
from recipes.app.api.tables import DataTable
from recipes.app.recipe.given import Changes, InputGiven
from recipes.app.recipe.load import Loaded

if TYPE_CHECKING:
    from curate.run.corpus import CorpusRun
    from recipes.app.recipe.plan_by_rehearsal import Estimate
    from recipes.app.recipe.planned_units import PlannedGroup


class TooMuchLost(Refused):
    """More records could not be read than the recipe's `max_loss` allows, or any under `strict`. The corpus is
    finished all the same: `goldsand.read(OUT)` opens it."""


@dataclass(frozen=True)
class Balance:
    """Documents or characters of a run: input = kept + dropped + unreadable. What was injected, and copies that `mix`
    made, come on top."""

    input: int
    kept: int
    dropped: int
    unreadable: int
    injected: int = 0
    copied: int = 0


@dataclass(frozen=True)
class FinishedRun:
    """A finished corpus: its folder, the figures of `summary.json`, and its documents, read from the folder."""

    folder: Place
    summary: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The name of its recipe."""
        return str(self.summary["recipe"])

    @property
    def documents(self) -> Balance:
        """The balance of documents: what came in, and what became of it."""
        return self._balance("documents")

    @property
    def characters(self) -> Balance:
        """The same balance in characters."""
        return self._balance("characters")

    def _balance(self, unit: str) -> Balance:
        known = ("input", "kept", "dropped", "unreadable", "injected", "copied")
        return Balance(**{key: self.summary[unit].get(key, 0) for key in known})

    @property
    def tokens(self) -> dict[str, int]:
        """The tokens of each token set."""
        return dict(self.summary["tokens"])

    @property
    def report(self) -> Place:
        """Where its page is."""
        return self.folder / "report.html"

    def page(self, height: int = 700) -> InlinePage:
        """The page itself, for a notebook."""
        return InlinePage(self.report, height)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What stands out, in sentences, and records that could not be read."""
        from recipes.app.report.remarks import in_sentences

        lost = losses_of(self.summary, self.folder)
        return (*in_sentences(dict(self.summary)), *([lost[0]] if lost else []))

    @property
    def steps(self) -> DataTable:
        """What came into each step, what it dropped and what left it."""
        columns = (
            "step", "documents_in", "documents_dropped", "documents_out", "characters_out", "characters_edited",
            "seconds",
        )  # fmt: skip
        return DataTable("steps", columns, lambda: list(self.summary["steps"]))

    @property
    def reasons(self) -> DataTable:
        """What each rule dropped."""
        rows = [
            {"step": step["step"], "rule": rule, **counts}
            for step in self.summary["steps"]
            for rule, counts in step["reasons"].items()
        ]
        return DataTable.of("reasons", rows, ("step", "rule", "documents", "characters"))

    @property
    def domains(self) -> DataTable:
        """The domains with most documents: what was read of them, what was kept, and the rules that dropped most."""
        return DataTable.of("domains", self.summary["domains"])

    def text(self) -> DataTable:
        """The documents that were kept, as they were published."""
        columns = ("id", "text", "url", "domain", "source", "language", "injected", "metadata")
        return DataTable("text", columns, lambda: _published(self.folder))

    def ledger(self) -> DataTable:
        """Every drop, edit and loss."""
        from curate.run.ledger import COLUMNS

        return DataTable("ledger", tuple(COLUMNS), lambda: _ledger(self.folder))

    def why(self, document: str) -> Story:
        """What happened to one document, by key or URL."""
        return why(self, document)

    def verify(self) -> Verified:
        """Check every file and every balance of the folder."""
        return verify(self)

    def diff(self, other: Folder) -> Differences:
        """The documents that `other` treats otherwise."""
        return diff(self, other)

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed
        from recipes.app.report.funnel import funnel

        documents, tokens = self.documents, self.tokens
        title = f"{self.name}: {documents.kept:,} of {documents.input:,} documents kept"
        lines = [", ".join(f"{name}: {count:,} tokens" for name, count in tokens.items())] if tokens else []
        lines += [f"warning: {one}" for one in self.warnings]
        picture = funnel(dict(self.summary), "documents")
        return framed(picture, title=title, lines=lines, note=f"{self.folder}; its page: {self.report}")


def run(
    recipe: Recipe | str | Path,
    *,
    output: str | Path,
    inputs: Sequence[InputGiven] | InputGiven | None = None,
    set: Changes | None = None,
    workers: int | None = None,
    limit: int | None = None,
    stages: str | None = None,
    replace: bool = False,
    engine: str = "local",
    address: str | None = None,
    shard: str | None = None,
    strict: bool = False,
    quiet: bool = False,
) -> FinishedRun:
    """Build a corpus into the folder `output`, or finish one that was begun there; `goldsand run` in Python.

    `inputs` are read instead of the recipe's, `set` changes single values (`{"gopher_quality.min_words": 30}`), `limit`
    takes the first documents only, `replace` allows another corpus that is finished there to be replaced. `stages` says
    where extraction is shared with other folders, `engine`, `address` and `shard` carry the run out on several
    machines. Raises RecipeError for a recipe with mistakes, Refused for what else a person can put right, and
    TooMuchLost where more records could not be read than `max_loss` allows (with `strict`, where any could not).
    """
    at_least(1, workers=workers)
    at_least(0, limit=limit)
    screen = screen_of(quiet)
    job = prepared(
        loaded_of(recipe, set, inputs), folder_of(output), screen, workers=workers, limit=limit, stages=stages,
        replace=replace, engine=engine, address=address, shard=shard,
    )  # fmt: skip
    finished = FinishedRun(job.out, carried_out(job, screen))
    lost = losses_of(finished.summary, finished.folder, strict)
    if lost and lost[1]:
        raise TooMuchLost(f"{lost[0]}; {lost[1]}")
    for sentence in finished.warnings:
        screen.warn(sentence)
    return finished


def prepared(
    loaded: Loaded,
    folder: Place,
    screen: Screen,
    *,
    workers: int | None = None,
    limit: int | None = None,
    stages: str | None = None,
    replace: bool = False,
    engine: str = "local",
    address: str | None = None,
    shard: str | None = None,
) -> CorpusRun:
    """The run of a recipe, as it is to be carried out. Raises Refused."""
    from recipes.app.recipe.build import corpus_run
    from recipes.app.recipe.plan_by_rehearsal import foretell

    job = corpus_run(loaded, folder, workers=workers, limit=limit)
    job.pool = pool_of(stages, job)
    job.replace, job.on_change, job.foretell = replace, screen.change, foretell
    return on_engine(job, loaded, engine, address, shard)


def carried_out(job: CorpusRun, screen: Screen, page: bool = False) -> dict[str, Any]:
    """Carry a run out and write its page, where it published or a `page` is asked for; returns its summary."""
    from recipes.app.report.page import write_report

    with screen.progress() as on_progress:
        job.on_progress = on_progress
        summary = job.execute()
    if job.published or page:
        write_report(job.out)
    return summary


def losses_of(summary: Mapping[str, Any], folder: Place, strict: bool = False) -> tuple[str, str] | None:
    """What is to be said of records that could not be read, and why they are too many, which is empty where they are
    not; None where all were read."""
    lost = summary["documents"]["unreadable"]
    if not lost:
        return None
    first = summary["unreadable"][0]
    shares = summary["losses"]
    share = f"{summary['loss']:.2%}" + (" of the bytes" if shares["bytes"] > shares["records"] else "")
    message = (
        f"{lost} of {summary['records']['read']} records could not be read ({share}); first:"
        f" {first['key']}: {first['error']}. They are kept in {folder / 'quarantine'}"
    )
    if not strict and summary["loss"] <= summary["max_loss"]:
        return message, ""
    return message, "--strict allows none" if strict else f"max_loss is {summary['max_loss']:.2%}"


@dataclass(frozen=True)
class PlannedRun:
    """What a run would do, what of it is done, and what the rest will take.

    `documents` are exact where `counted` is true. `seconds`, `disk` (bytes) and `worker_memory` (bytes a worker) are
    extrapolated from `rehearsed` documents: a rough guide. All of them are None without a rehearsal, or where the input
    has no documents. `changes` says what becomes of a finished corpus that stands there.
    """

    name: str
    files: int
    groups: DataTable
    workers: int
    documents: int | None = None
    counted: bool = False
    rehearsed: int = 0
    seconds: float | None = None
    disk: int | None = None
    worker_memory: int | None = None
    changes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html
        from recipes.app.terminal.tables import amount, duration

        lines = []
        if self.seconds is not None and self.disk is not None and self.worker_memory is not None:
            lines.append(f"documents: {'' if self.counted else 'about '}{self.documents:,}")
            lines.append(
                f"about {duration(self.seconds)} on {self.workers} workers, {self.worker_memory >> 20:,} MB a worker,"
                f" {amount(self.disk)} on disk (from {self.rehearsed:,} documents: a rough guide)"
            )
        title = f"{self.name}: {self.files:,} input files"
        return framed(rows_html(self.groups.columns, self.groups), title=title, lines=[*lines, *self.changes])


def plan(
    recipe: Recipe | str | Path,
    *,
    output: str | Path = "goldsand-plan",
    inputs: Sequence[InputGiven] | InputGiven | None = None,
    set: Changes | None = None,
    workers: int | None = None,
    limit: int | None = None,
    stages: str | None = None,
    sample: int = 60,
) -> PlannedRun:
    """Say what a run would do, what of it is done in `output`, and what time, memory and disk the rest will take, from
    a rehearsal with `sample` documents (0: no estimates). Writes nothing."""
    from curate.run.engine import all_cores

    at_least(1, workers=workers)
    at_least(0, limit=limit, sample=sample)
    loaded = loaded_of(recipe, set, inputs)
    job, groups, cost = foreseen(loaded, folder_of(output), workers, limit, stages, sample)
    change = job.change(sample > 0)
    rows = [{"group": one.label, "units": one.units, "done": one.done, "why": _why(one)} for one in groups]
    costs: dict[str, Any] = {}
    if cost is not None:
        names = ("documents", "counted", "rehearsed", "seconds", "disk", "worker_memory")
        costs = {name: getattr(cost, name) for name in names}
    return PlannedRun(
        name=job.name,
        files=len(job.partitions),
        groups=DataTable.of("groups", rows, ("group", "units", "done", "why")),
        workers=job.workers or all_cores(),
        changes=tuple(change.lines()) if change else (),
        **costs,
    )


def _why(group: PlannedGroup) -> str:
    return "; ".join(f"{count:,}: {reason}" for reason, count in group.why.most_common() if reason)


def foreseen(
    loaded: Loaded, folder: Place, workers: int | None, limit: int | None, stages: str | None, sample: int
) -> tuple[CorpusRun, list[PlannedGroup], Estimate | None]:
    """The run of a recipe, its groups of units by label, and what those that are not done will take."""
    from recipes.app.recipe.build import corpus_run
    from recipes.app.recipe.plan_by_rehearsal import estimate
    from recipes.app.recipe.planned_units import by_label, planned

    job = corpus_run(loaded, folder, workers=workers, limit=limit)
    job.pool = planned_pool(stages, job)
    every = planned(job)
    return job, by_label(every), estimate(job, every, sample) if sample else None


def opened(folder: Place) -> FinishedRun:
    """The finished run in a folder. Raises RunError where there is none, or one of another version."""
    from curate.audit.verify import read_manifests
    from recipes.app.report.shapes import read_summary

    read_manifests(folder)
    return FinishedRun(folder, read_summary(folder))


def _published(folder: Place) -> Iterator[Mapping[str, Any]]:
    from curate.audit.verify import intact, whole_manifests, written_by
    from curate.shards.text import read_text_shard

    for name, manifest in whole_manifests(folder).items():
        if name.startswith("text/"):
            for path in written_by(folder, manifest, ".zst"):
                yield from read_text_shard(intact(folder, path, manifest))


def _ledger(folder: Place) -> Iterator[Mapping[str, Any]]:
    from curate.audit.verify import intact, whole_manifests, written_by
    from curate.run.ledger import read_ledger

    for name, manifest in whole_manifests(folder).items():
        if name.startswith("ledger/"):
            for path in written_by(folder, manifest):
                yield from read_ledger(intact(folder, path, manifest))
