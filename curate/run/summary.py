"""From the manifests of a run to the figures of `summary.json`, with the balance of documents and characters checked.

Manifests are added up into values (`Size`, `RecordCounts`, `StepAccount`), the values into a `Balance`, and both become
the page of figures that a person reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import add
from typing import Any

from curate.run.account import StepAccount
from curate.run.calls import Calls
from curate.run.engine import RunError
from curate.run.read_notes import read_notices
from curate.run.remarks import remarks
from curate.run.stage import Stage
from curate.run.stage_outputs import StageOutputs
from curate.step import Injection

LISTED = 200
"""How many unreadable records and domains the summary names; the others are counted."""

UNKNOWN_CALLS = "what earlier calls of this run cost is not known: `status.json` was missing or damaged"

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """Documents, and the characters of their texts (of records that never became text: their bytes)."""

    documents: int = 0
    characters: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.documents + other.documents, self.characters + other.characters)

    def __sub__(self, other: Size) -> Size:
        return Size(self.documents - other.documents, self.characters - other.characters)


@dataclass(frozen=True)
class RecordCounts:
    """Counts of records: documents, skipped ones by reason, and unreadable ones."""

    read: Size = Size()
    unreadable: Size = Size()
    skipped: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    bytes_lost: int = 0
    rows_lost: int = 0

    def __add__(self, other: RecordCounts) -> RecordCounts:
        return RecordCounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> RecordCounts:
        """The records that some units read."""
        counts = [manifest["records"] for manifest in manifests]
        read = [Size(one["documents"], one["characters"]) for one in counts]
        unreadable = [Size(one["unreadable"], one["unreadable_characters"]) for one in counts]
        skipped = [Counter(one["skipped"]) for one in counts]
        # Units that an earlier version made have none of these.
        more = [[one.get(name, 0) for one in counts] for name in ("bytes", "bytes_lost", "rows_lost")]
        return reduce(add, map(cls, read, unreadable, skipped, *more), cls())

    def losses(self, unreadable: int) -> dict[str, float]:
        """The share that was lost, of the records and of the bytes of the input. `unreadable` are the losses of all
        stages, each as one record; of some it is known that they are several rows."""
        unknown = max(0, self.rows_lost - self.unreadable.documents)
        records = (unreadable + unknown) / (self.count + unknown) if self.count else 0.0
        return {"records": round(records, 6), "bytes": round(self.bytes_lost / self.bytes if self.bytes else 0.0, 6)}

    @property
    def count(self) -> int:
        return self.read.documents + self.unreadable.documents + self.skipped.total()


@dataclass(frozen=True)
class Row:
    """One line of the funnel: a step's account, summed over all parts of the input."""

    label: str
    stage: Stage
    account: StepAccount
    seconds: float
    memory: int = 0

    @classmethod
    def of(cls, label: str, stage: Stage, manifests: Sequence[Manifest]) -> Row:
        accounts = [StepAccount(**manifest["steps"][label]) for manifest in manifests]
        seconds = sum(manifest["seconds"].get(label, 0.0) for manifest in manifests)
        # The steps of a stage work at once: they share its memory. Units that earlier versions made have none.
        memory = max((manifest.get("memory", 0) for manifest in manifests), default=0)
        return cls(label, stage, reduce(add, accounts, StepAccount()), round(seconds, 3), memory)

    @property
    def decides(self) -> bool:
        """Whether it is its stage's corpus step, which has rounds of its own."""
        return self.stage.corpus is not None and self.label == self.stage.labels[0]

    @property
    def copies(self) -> bool:
        """Whether the documents it adds are copies of others, not facts."""
        return self.decides and not isinstance(self.stage.corpus, Injection)

    @property
    def added(self) -> Size:
        return Size(self.account.documents_injected, self.account.characters_injected)

    @property
    def dropped(self) -> Size:
        return _total(Size(*counts) for counts in self.account.reasons.values())

    def reasons(self) -> list[tuple[str, list[int]]]:
        """(rule, documents and characters that it dropped), the most frequent first."""
        return sorted(self.account.reasons.items(), key=lambda one: (-one[1][0], one[0]))

    def figures(self, units: Mapping[str, Manifest]) -> dict[str, Any]:
        account = self.account
        notes = _notes(units, self.stage.folder) if self.decides else {}
        memory = max([self.memory, *(_memories(units, self.stage.folder) if self.decides else ())])
        return {
            "step": self.label,
            "stage": self.stage.folder,
            "copies": self.copies,
            "documents_in": account.documents_in,
            "documents_out": account.documents_out,
            "documents_injected": account.documents_injected,
            "characters_in": account.characters_in,
            "characters_out": account.characters_out,
            "characters_injected": account.characters_injected,
            "characters_edited": account.characters_edited,
            "documents_dropped": self.dropped.documents,
            "characters_dropped": self.dropped.characters,
            "seconds": self.seconds,
            **({"memory_mb": memory >> 20} if memory else {}),
            "reasons": {
                rule: {"documents": documents, "characters": characters}
                for rule, (documents, characters) in self.reasons()
            },
            **({"found": notes} if notes else {}),
        }


@dataclass(frozen=True)
class Balance:
    """The balance of all records read. A page counts the characters of its extracted text; an unreadable record counts
    its bytes. `edited` are characters that edits removed from documents that stayed."""

    input: Size
    kept: Size
    dropped: Size
    edited: int
    unreadable: Size
    injected: Size
    copied: Size

    @classmethod
    def of(cls, outputs: StageOutputs, rows: Sequence[Row]) -> Balance:
        """Raises RunError unless input = kept + dropped + unreadable, in documents and in characters."""
        first, *later = map(RecordCounts.of, outputs.manifests)
        read, steps = first.read, outputs.stages[0].steps
        if steps and steps[0].ends_stage:
            # Before extraction there were pages without text.
            read = Size(read.documents, rows[0].account.characters_in)
        added, copied = _total(row.added for row in rows), _total(row.added for row in rows if row.copies)
        final = [counts for manifest in outputs.manifests[-1] for counts in manifest["domains"]["kept"].values()]
        balance = cls(
            # A document set aside after the first stage was read before, and must not count twice.
            input=read + first.unreadable,
            kept=_total(Size(*counts) for counts in final) - added,
            dropped=_total(row.dropped for row in rows),
            edited=sum(row.account.characters_edited for row in rows),
            unreadable=_total(records.unreadable for records in (first, *later)),
            injected=added - copied,
            copied=copied,
        )
        rest = balance.input - balance.kept - balance.gone - balance.unreadable
        if rest != Size():
            unit = "documents" if rest.documents else "characters"
            raise RunError(
                f"the accounts do not balance in {unit}: {balance.figures()[unit]}."
                " This is a fault of goldsand; please report it"
            )
        return balance

    @property
    def gone(self) -> Size:
        """Dropped documents, and the characters that edits removed."""
        return self.dropped + Size(0, self.edited)

    def figures(self) -> dict[str, dict[str, int]]:
        sizes = {
            "input": self.input,
            "kept": self.kept,
            "dropped": self.gone,
            "unreadable": self.unreadable,
            "injected": self.injected,
            "copied": self.copied,
        }
        parts = {"dropped_with_documents": self.dropped.characters, "removed_by_edits": self.edited}
        return {
            "documents": {name: size.documents for name, size in sizes.items()},
            "characters": {name: size.characters for name, size in sizes.items()} | parts,
        }


def summarise(
    recipe: str,
    outputs: StageOutputs,
    units: Mapping[str, Manifest],
    tokens: Mapping[str, int],
    max_loss: float,
    calls: Calls,
) -> dict[str, Any]:
    """The content of `summary.json`. `units` are the manifests of all units by name, those of rounds among them.
    Seconds, rate and memory are those of all calls that made the corpus; beside them stand those of the last one.

    Raises RunError when the balance of documents or characters is wrong.
    """
    rows = [Row.of(label, stage, outputs.manifests[stage.number]) for stage in outputs.stages for label in stage.labels]
    balance = Balance.of(outputs, rows)
    records = RecordCounts.of(outputs.manifests[0])
    losses = records.losses(balance.unreadable.documents)
    read = RecordCounts.of(one for one in outputs.manifests[0] if not one.get("skipped_unit")).read.documents
    reused = sum(bool(manifest.get("skipped_unit")) for manifest in units.values())
    # Units out of a pool were made in another folder.
    own = any(manifest.get("skipped_unit") and not manifest.get("from_pool") for manifest in units.values())
    return {
        "recipe": recipe,
        **balance.figures(),
        "records": {
            "read": records.count,
            "documents": records.read.documents,
            "skipped": dict(sorted(records.skipped.items(), key=lambda one: (-one[1], one[0]))),
            "unreadable": records.unreadable.documents,
        },
        "tokens": tokens,
        "reasons": {_reason(row.label, rule): documents for row in rows for rule, (documents, _) in row.reasons()},
        "steps": [row.figures(units) for row in rows],
        "domains": _domains(outputs.manifests),
        "unreadable": [item for stage in outputs.manifests for one in stage for item in one["lost"]][:LISTED],
        # Units that an earlier version made have none.
        "notices": sorted({one for stage in outputs.manifests for unit in stage for one in unit.get("notices", [])})
        + read_notices(
            (lot.source, one["records"]) for lot, one in zip(outputs.lots, outputs.manifests[0], strict=True)
        )
        + ([UNKNOWN_CALLS] if own and not calls.earlier else []),
        "remarks": remarks(outputs),
        "losses": losses,
        "loss": max(losses.values()),
        "max_loss": max_loss,
        **_cost(balance.input.documents, calls.seconds, calls.workers, calls.memory),
        "calls": len(calls.counted),
        "last_call": {"documents": read, **_cost(read, calls.now.seconds, calls.workers, calls.now.memory)},
        "units": {"done": len(units) - reused, "found_done": reused},
    }


def _cost(documents: int, seconds: float, workers: int, memory: int) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 3),
        "pages_per_second": round(documents / seconds if seconds else 0.0, 2),
        "workers": workers,
        "worker_memory_mb": memory >> 20,
    }


def _total(sizes: Iterable[Size]) -> Size:
    return sum(sizes, Size())


def _reason(step: str, rule: str) -> str:
    # A rule with the name of its step adds no information.
    return step if step == rule else f"{step}.{rule}"


def _memories(units: Mapping[str, Manifest], folder: str) -> Iterable[int]:
    return (manifest.get("memory", 0) for name, manifest in units.items() if name.startswith(f"rounds/{folder}-"))


def _notes(units: Mapping[str, Manifest], folder: str) -> dict[str, int]:
    """What the rounds of a corpus step counted, over all units."""
    notes: dict[str, int] = {}
    for name, manifest in units.items():
        if name.startswith(f"rounds/{folder}-"):
            for what, count in manifest.get("notes", {}).items():
                largest = what.startswith("largest_")
                notes[what] = max(notes.get(what, 0), count) if largest else notes.get(what, 0) + count
    return notes


def _domains(stages: Sequence[Sequence[Manifest]]) -> list[dict[str, Any]]:
    """Documents kept and lost by domain, the largest first. `stages` are the manifests of each stage."""
    lost: dict[str, Counter[str]] = {}
    kept: dict[str, Size] = {}
    for manifest in (one for stage in stages for one in stage):
        for domain, counts in manifest["domains"]["lost"].items():
            lost.setdefault(domain, Counter()).update(counts)
    for manifest in stages[-1]:
        for domain, counts in manifest["domains"]["kept"].items():
            kept[domain] = kept.get(domain, Size()) + Size(*counts)
    rows: list[dict[str, Any]] = []
    for domain in lost.keys() | kept.keys():
        size, left = kept.get(domain, Size()), lost.get(domain, Counter())
        rows.append(
            {
                "domain": domain,
                "kept": size.documents,
                "characters": size.characters,
                "lost": dict(left),
                "documents": size.documents + left.total(),
            }
        )
    return sorted(rows, key=lambda row: (-row["documents"], row["domain"]))[:LISTED]
