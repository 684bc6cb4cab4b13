"""Documents from Python: what happened to one, what two corpora treat otherwise, whether all are accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from curate.errors import Refused
from curate.places.store import Place
from recipes.app.api.arguments import Folder, folder_of
from recipes.app.api.tables import DataTable
from recipes.app.recipe.load import Loaded

if TYPE_CHECKING:
    from curate.audit.difference import Difference
    from curate.audit.story import Event


@dataclass(frozen=True)
class Story:
    """What happened to one document, or to all with one URL: `events` in the order of the stages."""

    folder: Place
    document: str
    events: tuple[Event, ...] = field(repr=False)
    recipe: Loaded | None = field(repr=False)

    @property
    def outcome(self) -> str:
        """How it ended: `kept`, `unreadable`, or `dropped by STEP.RULE`; of several documents, the last one."""
        last = self.events[-1]
        if last.what != "drop":
            return "kept" if last.what == "kept" else last.what
        step, rule = last.detail["step"], last.detail["rule"]
        return f"dropped by {step}" + (f".{rule}" if rule != step else "")

    @property
    def text(self) -> str | None:
        """Its text as it last left a stage; None where none was kept on disk."""
        return next((one.document.text for one in reversed(self.events) if one.document is not None), None)

    @property
    def table(self) -> DataTable:
        """An event a row: document, stage, what happened, and the particulars."""
        rows = [
            {"key": one.key, "stage": one.stage, "event": one.what}
            | ({"step": "profile"} if one.of_profile else one.detail)
            for one in self.events
        ]
        return DataTable.of("events", rows)

    @property
    def checks(self) -> DataTable:
        """What each rule saw beside its threshold, measured again; empty where the input is missing by now."""
        from curate.audit.story import comparisons
        from recipes.app.recipe.of_run import partitions_of

        rows: list[Mapping[str, Any]] = []
        for event in self.events if self.recipe is not None else ():
            assert self.recipe is not None
            for label, check in comparisons(event, self.events, self.recipe.steps, partial(partitions_of, self.recipe)):
                rows.append(
                    {"key": event.key, "step": label, "rule": check.rule, "parameter": check.limit or None,
                     "value": check.value, "threshold": check.threshold, "failed": check.failed}
                )  # fmt: skip
        return DataTable.of("checks", rows, ("key", "step", "rule", "parameter", "value", "threshold", "failed"))

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html, shown

        text = f"<details><summary>text</summary><pre>{shown(self.text, 5000)}</pre></details>" if self.text else ""
        checks = self.checks
        parts = (rows_html(checks.columns[1:], checks.head(100)), text)
        return framed(*parts, title=f"{self.document}: {self.outcome}")


def why(folder: Folder, document: str) -> Story:
    """What happened to one document, by its key or URL: what each rule saw, each edit, and what dropped it or where it
    lies now. Raises Refused where the run knows no such document."""
    from curate.audit.story import story
    from recipes.app.recipe.of_run import recipe_of

    place = folder_of(folder)
    events = tuple(story(place, document))
    if not events:
        raise Refused(
            f"{place} knows no document with the key or URL '{document}': a key is INPUT/FILE@PLACE, as `id` in text/"
            " and the ledger have it; INPUT/FILE alone is what begins the file"
        )
    return Story(place, document, events, recipe_of(place))


@dataclass(frozen=True)
class Verified:
    """`faults` are sentences, none where every file is as it was written and every document is accounted for; `missing`
    names what is made of a finished run afterwards and is not there."""

    folder: Place
    faults: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    def __bool__(self) -> bool:
        return self.intact

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed

        title = f"{self.folder}: every file is as it was written, every document is accounted for"
        return framed(title=title if self.intact else f"{len(self.faults)} faults", lines=[*self.faults, *self.missing])


def verify(folder: Folder) -> Verified:
    """Check a corpus: every checksum, and that every document and character is accounted for. Raises RunError for what
    is no finished run."""
    from curate.audit.verify import verify as faults_of
    from recipes.app.report.missing import not_made

    place = folder_of(folder)
    faults = tuple(faults_of(place))
    return Verified(place, faults, () if faults else tuple(not_made(place)))


@dataclass(frozen=True)
class Differences:
    """What two corpora treat otherwise: `total` documents ended otherwise, `same` as before, and `moved` of these have
    another place in a changed file. `recipes` says where the recipes differ."""

    old: Place
    new: Place
    total: int
    same: int
    moved: int
    recipes: tuple[str, ...]
    difference: Difference = field(repr=False)

    @property
    def causes(self) -> DataTable:
        """A cause a row, the most frequent first: documents in all, and by how they ended otherwise."""
        rows = [
            {"cause": cause.words, "documents": counts.total(), **counts} for cause, counts in self.difference.causes()
        ]
        return DataTable.of("causes", rows, ("cause", "documents", *self.difference.changes()))

    @property
    def documents(self) -> DataTable:
        """Every document that ended otherwise; gone through anew each time."""
        from curate.audit.difference import Difference

        def rows() -> Any:
            return (one.row() for one in Difference(self.old, self.new).differing())

        return DataTable("documents", ("key", "url", "change", "kind", "cause", "before", "after"), rows)

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html
        from recipes.app.report.charts import Bar, bars

        causes = self.causes
        chart = bars(
            [Bar(row["cause"], row["documents"], f"{row['documents']:,}") for row in causes],
            "documents that ended otherwise, by cause",
        )
        title = f"{self.total:,} documents ended otherwise, {self.same:,} as before"
        return framed(chart, rows_html(causes.columns, causes.head()), title=title, lines=self.recipes)


def diff(old: Folder, new: Folder) -> Differences:
    """The documents that two finished corpora treat otherwise (kept, dropped, another text), and why."""
    from curate.audit.difference import Difference

    difference = Difference(folder_of(old), folder_of(new))
    difference.go_through()
    return Differences(
        difference.old, difference.new, difference.total, difference.same, difference.moved,
        tuple(cause.words for cause in difference.apart.all()), difference,
    )  # fmt: skip
