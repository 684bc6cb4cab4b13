"""Two finished corpora, document by document: which have another verdict or another text, and why.

Documents are matched by key; where an input file changed, so that its keys moved, by URL or content within the file.
Memory does not grow with the corpora: what both say of a document is sorted on disk and read side by side.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import xxhash

from curate.audit.recipes_apart import Apart, Cause
from curate.audit.verify import intact, read_manifests
from curate.places.manifest import read_summary
from curate.places.store import Place
from curate.run.ledger import read_ledger
from curate.run.tasks import DOCUMENTS, read_documents
from curate.shards.records import by_key, in_order
from curate.shards.text import domain_prefix, plain, read_text_shard
from curate.step import Record

EXAMPLES = 20
"""Documents that a comparison names for each cause."""

_DROP = ("event", "step", "rule", "key", "url", "value", "threshold", "characters", "error")

Outcome = Mapping[str, Any]
"""How a document ended: `verdict` (kept, dropped, unreadable), what dropped it, or the digests of its text."""


@dataclass(frozen=True)
class Differing:
    """A document that ended otherwise. `change` says how: another verdict, another rule, another text, new, gone; an
    outcome is None where the corpus has no such document."""

    key: str
    url: str | None
    change: str
    cause: Cause
    before: Outcome | None
    after: Outcome | None

    def row(self) -> dict[str, Any]:
        """As a line of JSON."""
        ends = {name: one and {k: v for k, v in one.items() if k not in ("text", "url")} for name, one in
                (("before", self.before), ("after", self.after))}  # fmt: skip
        cause = {"kind": self.cause.kind, "cause": self.cause.words}
        return {"key": self.key, "url": self.url, "change": self.change, **cause, **ends}


class _Folder:
    """One of the two: its manifests, and its input files by the name that keys begin with."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.manifests = read_manifests(place)
        summary = read_summary(place)
        self.made_of: dict[str, Any] = summary.get("made_of") or {}
        self.rewriting = {step["step"] for step in summary["steps"] if step["characters_edited"]}
        # The first step of a stage alone can look at the whole corpus.
        self.first = {stage[3:] for stage in self._stages()[1:]}
        self.files: dict[str, tuple[str, str]] = {}
        for name, manifest in self.manifests.items():
            if name.startswith("ledger/"):
                label = self._label(manifest["units"])
                content = self.manifests.get(f"inputs/{label}", {}).get("content", "")
                self.files |= dict.fromkeys(manifest["source"], (label, content))

    def _stages(self) -> list[str]:
        return sorted({name.split("/")[1] for name in self.manifests if name.startswith("stages/")})

    def _label(self, units: list[str]) -> str:
        part = units[0].partition("/")[2] if units else ""
        return part if f"inputs/{part}" in self.manifests else part.rpartition(".")[0]

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """How every document ended. Raises NotAsWritten for files that are not what the run wrote."""
        for name, manifest in self.manifests.items():
            if name.startswith("text/"):
                for row in read_text_shard(intact(self.place, self.place / f"{name}.jsonl.zst", manifest)):
                    yield row["id"], {"verdict": "kept", "text": _digests(row), "url": row["url"] or None,
                                      "characters": len(row["text"])}  # fmt: skip
            elif name.startswith("ledger/"):
                for row in read_ledger(intact(self.place, self.place / f"{name}.parquet", manifest), _DROP):
                    if row["event"] == "drop":
                        shown = ("step", "rule", "value", "threshold", "characters", "url")
                        yield row["key"], {"verdict": "dropped", **{one: row[one] for one in shown}}
                    elif row["event"] == "unreadable":
                        yield row["key"], {"verdict": "unreadable", "error": row["error"], "url": None}

    def read(self, labels: set[str]) -> Iterator[tuple[str, str]]:
        """The keys of the documents of these input files, with digests of the text that the first stage left."""
        first = next(iter(self._stages()), "")
        for name, manifest in self.manifests.items():
            label = name.removeprefix(f"stages/{first}/")
            if label != name and (label in labels or label.rpartition(".")[0] in labels):
                path = self.place / f"{name}{DOCUMENTS}"
                # Stages may have been pruned: then nobody knows.
                for document in read_documents(intact(self.place, path, manifest)) if path.is_file() else ():
                    yield document.key, _digest(document.text)


@dataclass
class Difference:
    """Two finished folders, compared. `apart` is where their recipes differ. After the documents of `differing` were
    gone through, `counts` has them by cause and change, `examples` the first ones of each cause, `same` the documents
    that ended alike, and `moved` those of them that have another place in a changed input file."""

    old: Place
    new: Place
    apart: Apart = field(init=False)
    counts: dict[Cause, Counter[str]] = field(default_factory=dict)
    examples: dict[Cause, list[Differing]] = field(default_factory=dict)
    same: int = 0
    moved: int = 0

    def __post_init__(self) -> None:
        self._folders = (_Folder(self.old), _Folder(self.new))
        self.apart = Apart.of(*(one.made_of for one in self._folders))
        files = self._folders[0].files, self._folders[1].files
        self._changed = {name for name in files[0].keys() & files[1].keys() if files[0][name][1] != files[1][name][1]}

    @property
    def total(self) -> int:
        return sum(one.total() for one in self.counts.values())

    def differing(self) -> Iterator[Differing]:
        """Every document that ended otherwise, in the order of keys. Raises NotAsWritten for a damaged file."""
        for key, ends in self._pairs():
            document = self._compared(key, ends)
            if document is None:
                self.same += 1
                continue
            self.counts.setdefault(document.cause, Counter())[document.change] += 1
            examples = self.examples.setdefault(document.cause, [])
            if len(examples) < EXAMPLES:
                examples.append(document)
            yield document

    def go_through(self) -> None:
        for _ in self.differing():
            pass

    def causes(self) -> list[tuple[Cause, Counter[str]]]:
        """The causes with their counts, the most frequent first."""
        return sorted(self.counts.items(), key=lambda one: (-one[1].total(), one[0].words))

    def changes(self) -> list[str]:
        """All ways in which documents ended otherwise, the most frequent first."""
        total: Counter[str] = sum(self.counts.values(), Counter())
        return sorted(total, key=lambda one: (-total[one], one))

    def _pairs(self) -> Iterator[tuple[str, _Ends]]:
        """The documents that both have by key, then those of changed files that have other keys now, then the rest."""
        with tempfile.TemporaryDirectory(prefix="goldsand-") as name:
            first, second, alone = Path(name) / "keys", Path(name) / "others", Path(name) / "alone.jsonl"
            first.mkdir()
            second.mkdir()
            with alone.open("wb") as stream:
                for key, values in by_key(in_order(self._records(), first)):
                    ends = _Ends()
                    for value in values:
                        ends.add(orjson.loads(value))
                    if ends.are_two() and _file(key.decode()) in self._changed:
                        for side, outcome in enumerate(ends.outcomes):
                            if outcome is not None:
                                stream.write(_dumped([key.decode(), side, outcome, ends.read[side]]) + b"\n")
                    elif ends.outcomes != [None, None]:
                        yield key.decode(), ends
            with alone.open("rb") as stream:
                for _, values in by_key(in_order((_by_content(line) for line in stream), second)):
                    sides: tuple[list[Any], list[Any]] = ([], [])
                    for row in map(orjson.loads, values):
                        sides[row[1]].append(row)
                    for rows in itertools.zip_longest(*sides):
                        ends = _Ends()
                        for key, side, outcome, read in filter(None, rows):
                            ends.outcomes[side], ends.read[side], ends.keys[side] = outcome, read, key
                        yield next(filter(None, reversed(ends.keys))), ends

    def _records(self) -> Iterator[Record]:
        for side, folder in enumerate(self._folders):
            for key, outcome in folder.outcomes():
                yield plain(key).encode(), _dumped([side, outcome, None])
            for key, digest in folder.read({folder.files[name][0] for name in self._changed}):
                yield plain(key).encode(), _dumped([side, None, digest])

    def _compared(self, key: str, ends: _Ends) -> Differing | None:
        before, after = ends.outcomes
        if before is None or after is None:
            change, cause = ("new" if before is None else "gone"), self._why_alone(key, before is not None)
        elif before["verdict"] != after["verdict"]:
            change, cause = f"{before['verdict']} -> {after['verdict']}", self._why(key, before, after, ends)
        elif before["verdict"] == "kept" and not set(before["text"]) & set(after["text"]):
            change, cause = "another text", self._why(key, before, after, ends)
        elif (before.get("step"), before.get("rule")) != (after.get("step"), after.get("rule")):
            change, cause = "another rule", self._why(key, before, after, ends)
        else:
            self.moved += ends.keys[0] != ends.keys[1]
            return None
        url = (after or {}).get("url") or (before or {}).get("url")
        return Differing(key, url, change, cause, before, after)

    def _why_alone(self, key: str, gone: bool) -> Cause:
        """Why only one of the two has a document."""
        name = _file(key)
        mine, others = (folder.files for folder in (self._folders if gone else self._folders[::-1]))
        if name in mine and name not in others:
            return Cause("input", f"an input file is {'gone' if gone else 'new'}")
        if name in self._changed:
            return _ANOTHER_FILE
        adding = [one for label in self.apart.steps if label.startswith(_ADDING) for one in self.apart.steps[label]]
        return next(iter(self.apart.others + adding), _UNKNOWN)

    def _why(self, key: str, before: Outcome, after: Outcome, ends: _Ends) -> Cause:
        """Why a document that both have ended otherwise: the first of the two steps that dropped it decided."""
        dropped = [one for one in (before, after) if one["verdict"] == "dropped"]
        labels = [one["step"] for one in dropped]
        label = min(labels, key=lambda one: len(self.apart.before(one)), default=None)
        said = [one for one in dropped if one["step"] == label]
        own = self.apart.of_step(label, said) if label else None
        if own and any(own.decides(one["value"], one["threshold"]) for one in said):
            return own
        if _file(key) in self._changed and ends.may_differ():
            return _ANOTHER_FILE
        if own:
            return own
        rewriting = self._folders[0].rewriting | self._folders[1].rewriting | {"extract"}
        whole = self._folders[0].first | self._folders[1].first
        earlier = [one for one in self.apart.before(label) if one in self.apart.steps]
        if cause := next((self.apart.steps[one][0] for one in earlier if one in rewriting), None):
            return cause
        compared = label if label in whole else next(iter(sorted(whole & rewriting)), None) if label is None else None
        if compared:
            return Cause("corpus", f"{compared}: it is compared with other documents", compared)
        return next((self.apart.steps[one][0] for one in earlier), _UNKNOWN)


_ANOTHER_FILE = Cause("input", "an input file is another")
_UNKNOWN = Cause("unknown", "nothing that was noted differs")
_ADDING = ("inject", "mix")
"""Steps that add documents."""


@dataclass
class _Ends:
    """What both corpora say of one document: outcomes, keys, and digests of what the first stage made of it."""

    outcomes: list[Any] = field(default_factory=lambda: [None, None])
    keys: list[Any] = field(default_factory=lambda: [None, None])
    read: list[Any] = field(default_factory=lambda: [None, None])

    def add(self, row: list[Any]) -> None:
        side, outcome, read = row
        self.outcomes[side] = outcome or self.outcomes[side]
        self.read[side] = read or self.read[side]

    def are_two(self) -> bool:
        """Whether, in a file that changed, these are two documents: an offset may be that of another page now."""
        if None in self.outcomes:
            return True
        before, after = self.outcomes
        known = "unreadable" not in (before["verdict"], after["verdict"])
        return bool(known and before["url"] != after["url"])

    def may_differ(self) -> bool:
        """Whether the page may be another: where it was dropped in the first stage, nobody knows."""
        return None in self.read or self.read[0] != self.read[1]


def _file(key: str) -> str:
    return key.rpartition("@")[0]


def _by_content(line: bytes) -> Record:
    key, _, outcome, _ = orjson.loads(line)
    known = outcome.get("url") or outcome.get("text") or [outcome.get(one) for one in ("rule", "value", "error")]
    return _dumped([_file(key), known]), line.rstrip(b"\n")


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(plain(value))


def _digest(text: str) -> str:
    return xxhash.xxh3_64_hexdigest(text.encode("utf-8", "surrogatepass"))


def _digests(row: Mapping[str, Any]) -> list[str]:
    """Of a kept text; and without the domain that a rendering may have put in front of it."""
    prefix = domain_prefix(row["domain"])
    bare = [row["text"].removeprefix(prefix)] if prefix and row["text"].startswith(prefix) else []
    return [_digest(text) for text in [row["text"], *bare]]
