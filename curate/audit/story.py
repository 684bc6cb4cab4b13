"""The history of one document: where it was read, what rewrote it, what dropped it, or where it is kept."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from curate.audit.verify import intact, last_stage, whole_manifests, written_by
from curate.document import Document
from curate.places.store import Place
from curate.run.ledger import read_ledger
from curate.run.profile import SIGNALS, Labelled, Seen, measure, split
from curate.run.stage import Stage, cut
from curate.run.tasks import DOCUMENTS, read_documents, readable
from curate.sources import Partition
from curate.sources.steady import CannotBeRead
from curate.step import Check, Edit, Rule, Step

_SHOWN = {
    "drop": ("step", "rule", "value", "threshold", "characters", "url"),
    "edit": ("step", "characters", "after"),
    "note": ("step", "rule", "value"),
    "unreadable": ("error", "bytes"),
}


@dataclass(frozen=True)
class Event:
    """One thing that happened to the document `key` in `stage`: edit, drop, unreadable, note, passed or kept.

    `document` is the document that passed or was kept, as it left the stage.
    """

    key: str
    stage: str
    what: str
    detail: dict[str, Any]
    document: Document | None = None

    @property
    def of_profile(self) -> bool:
        """Whether it is the note of a profile, which holds the values of all rules."""
        return self.what == "note" and self.detail["rule"] == SIGNALS


def story(out: Place, name: str) -> Iterator[Event]:
    """Every event of the documents with this key or URL, in the order of the input files and of the stages. A file's
    name without a place in it, `pages/a.html`, is that of the document at its beginning.

    Raises RunError when the folder does not hold a finished run, or is of another version.
    """
    manifests = whole_manifests(out)
    moved = any(re.match(r"stages/\d+-shuffle", unit) for unit in manifests)
    last = last_stage(out, manifests)
    events: list[Event] = []
    for unit, manifest in manifests.items():
        if unit.startswith("ledger/") and (moved or _may_hold(manifest["source"], name)):
            events += _of_file(out, unit, manifests, name, last)
            if not moved:
                yield from events
                events = []
    # A shuffle moves documents between files: all events of one key, stage by stage.
    keys = list(dict.fromkeys(event.key for event in events))
    yield from sorted(events, key=lambda event: (keys.index(event.key), event.stage))


def _may_hold(sources: list[str], name: str) -> bool:
    """Whether a file may hold it: a key names its file; an injected document, or a URL, may be in any."""
    return (
        name.startswith("inject/")
        or "://" in name
        or any(name == source or name.startswith(f"{source}@") for source in sources)
    )


def _of_file(out: Place, unit: str, manifests: dict[str, dict[str, Any]], name: str, last: str) -> Iterator[Event]:
    keys = {name, f"{name}@0"}
    left: dict[str, list[Event]] = {}
    for place in manifests[unit]["units"]:
        stage = place.partition("/")[0]
        held = out / "stages" / f"{place}{DOCUMENTS}"
        for document in read_documents(intact(out, held, manifests.get(f"stages/{place}", {}))):
            if document.key in keys or document.url == name:
                keys.add(document.key)
                detail = {"characters": len(document.text), "url": document.url, "domain": document.domain}
                event = Event(document.key, stage, "kept" if stage == last else "passed", detail, document)
                left.setdefault(stage, []).append(event)
    happened: dict[str, list[Event]] = {}
    for path in written_by(out, manifests[unit]):
        ledger = intact(out, path, manifests[unit])
        # Two narrow columns show whether the wide ones are worth reading. An edit's row has no URL; by then its key is
        # known.
        keys |= {row["key"] for row in read_ledger(ledger, ["key", "url"]) if row["url"] == name}
        if any(row["key"] in keys for row in read_ledger(ledger, ["key"])):
            for row in read_ledger(ledger):
                if row["key"] in keys:
                    detail = {column: row[column] for column in _SHOWN[row["event"]]}
                    happened.setdefault(row["stage"], []).append(Event(row["key"], row["stage"], row["event"], detail))
    for stage in sorted({*left, *happened}):
        yield from happened.get(stage, [])
        yield from left.get(stage, [])


def comparisons(
    event: Event, events: Sequence[Event], steps: Sequence[Step], partitions: Callable[[], Sequence[Partition]]
) -> Iterator[tuple[str, Check]]:
    """The comparisons of the event's stage, by the label of their step, up to the one that dropped the document.

    From a profile's note; else measured again on the text that entered the stage, which the run kept or the source
    still has. Empty where a corpus step of the stage rewrote the text or dropped the document. `steps` are the
    recipe's; `partitions` is called where a source must be read again.
    """
    if event.of_profile:
        yield from Seen(event.key, None, None, event.detail["value"]).checks(dict(split(steps).measured))
    elif event.what in ("drop", "passed", "kept"):
        yield from _measured_again(event, events, cut(steps), partitions)


def _measured_again(
    event: Event, events: Sequence[Event], stages: Sequence[Stage], partitions: Callable[[], Sequence[Partition]]
) -> Iterator[tuple[str, Check]]:
    number = next((stage.number for stage in stages if stage.folder == event.stage), None)
    if number is None:
        return
    stage = stages[number]
    ended_by = event.detail["step"] if event.what == "drop" else None
    if stage.corpus and (stage.corpus.edits or ended_by == stage.labels[0]):
        return
    steps: list[Labelled] = []
    for label, step in zip(stage.labels[1:] if stage.corpus else stage.labels, stage.steps, strict=True):
        if type(step).apply not in (Rule.apply, Edit.apply):
            break
        steps.append((label, step))
    document = _entering(event, events, stages, number, partitions) if steps else None
    if document is None or document.protected:
        return
    for _, step in steps:
        step.open()
    for label, checks in measure(steps, document):
        for check in checks:
            yield label, check
            if check.failed:
                return


def _entering(
    event: Event,
    events: Sequence[Event],
    stages: Sequence[Stage],
    number: int,
    partitions: Callable[[], Sequence[Partition]],
) -> Document | None:
    """The document as it entered a stage."""
    if number:
        before = stages[number - 1].folder
        return next(
            (one.document for one in events if one.key == event.key and one.stage == before and one.document), None
        )
    return None if stages[0].steps and stages[0].steps[0].ends_stage else read_again(event.key, partitions())


def read_again(key: str, partitions: Sequence[Partition]) -> Document | None:
    """The document as its source has it, with its page; None where the source no longer has it."""
    for partition in partitions:
        if partition.holds(key):
            # What the source no longer has cannot be measured again.
            with contextlib.suppress(CannotBeRead):
                return next((one for one in readable(partition) if isinstance(one, Document) and one.key == key), None)
    return None
