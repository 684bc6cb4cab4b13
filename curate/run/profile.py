"""The values that every rule of a recipe measures in every document, without drops; and verdicts from stored values.

`Profile` is the one step of such a run. It takes a document through all rules and edits as a run would, except that a
failed comparison drops no document, and notes every value; the ledger holds the notes. `Seen` is one note, and gives
the verdict of the same steps with other thresholds, without the text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from curate.document import Document, Drop
from curate.errors import Refused
from curate.places.manifest import check_written
from curate.places.store import Place, files_below
from curate.run.engine import RunError
from curate.run.ledger import read_ledger
from curate.run.stage import labels_of
from curate.step import SIDES, Check, CorpusStep, Edit, Rule, Step, param
from curate.text.density import facts_of
from curate.text.languages import times

SIGNALS = "signals"
"""The rule under which the ledger holds a profile's notes."""

Labelled = tuple[str, Step]


class SplitSteps(NamedTuple):
    """A recipe's steps as a profile takes them: those before, those measured, and (label, reason) of those left out."""

    before: list[Step]
    measured: list[Labelled]
    left_out: list[tuple[str, str]]


def split(steps: Sequence[Step]) -> SplitSteps:
    """The steps of a recipe that can be measured one document at a time, on the text a run would give them."""
    part = SplitSteps([], [], [])
    rewritten = ""
    for label, step in zip(labels_of(steps), steps, strict=True):
        if step.ends_stage:
            # A cascade without rules after it extracts every page.
            part.before.append(step.followed_by(()))
        elif rewritten:
            part.left_out.append((label, f"it reads what {rewritten} may rewrite"))
        elif isinstance(step, CorpusStep):
            part.left_out.append((label, "it decides by the whole corpus"))
            rewritten = label if step.edits else ""
        elif type(step).apply not in (Rule.apply, Edit.apply):
            part.left_out.append((label, "it does more than compare"))
            rewritten = label
        else:
            part.measured.append((label, step))
    return part


def switched_on(step: Step) -> Step:
    """The step with every limit that is off switched on, so that its value is measured.

    Only limits that do nothing but decide: the text that a step leaves does not change.
    """
    least = 1 if step.zero_is_off else 0  # for a lower limit, which must not be over an upper one
    changes: dict[str, Any] = {}
    for item in dataclasses.fields(step) if step.shaping is not None else ():  # type: ignore[arg-type]
        measurable = item.name not in step.needs or getattr(step, step.needs[item.name]) is not None
        decides = item.name not in (step.shaping or ()) and "None" in str(item.type)
        if decides and measurable and is_off(step, item.name):
            changes[item.name] = item.default or (least if item.name.startswith("min_") else 1)
    return dataclasses.replace(step, **changes) if changes else step  # type: ignore[type-var]


def is_off(step: Step, limit: str) -> bool:
    """Whether a step's limit is off: None, or 0 where that means the same, or without what it is measured with."""
    if limit in step.needs and getattr(step, step.needs[limit]) is None:
        return True
    value = getattr(step, limit)
    return value is None or (step.zero_is_off and not isinstance(value, bool) and value == 0)


def measure(steps: Iterable[Labelled], document: Document) -> Iterator[tuple[str, list[Check]]]:
    """Every comparison of every rule and edit, by label; edits rewrite the document, and no comparison drops it."""
    for label, step in steps:
        if isinstance(step, Rule):
            yield label, list(step.checks(document))
        elif isinstance(step, Edit):
            checks, left = step.examine(document)
            yield label, checks
            text, signals = (left, None) if isinstance(left, str) else (left.text, left)
            document.rewrite(text, signals)


@dataclass(frozen=True)
class Profile(Step):
    """Notes the values that `steps` measure in each document, and drops none.

    The note is `{"characters", "words", "tokens", "density", "steps": {label: [[rule, value, limit, side, basis,
    factor]]}}`, without basis and factor where the comparison has none.
    `tokens` is there with a tokenizer only, `density` is that of `curate.text.density`, both of the text before the
    steps. For a comparison without a limit `side` says how it ended, failed or passed. Protected documents get no note:
    rules do not apply to them.
    """

    name: ClassVar[str] = "profile"

    steps: list[Step] = param(..., "the rules and edits, in the recipe's order")
    labels: list[str] = param(..., "their labels in the recipe")
    tokenizer: str | None = param(None, "a tokenizer.json: counts texts in its tokens too", path=True)

    @property
    def measures(self) -> bool:  # type: ignore[override]
        """Whether one of its steps does."""
        return any(step.measures for step in self.steps)

    @classmethod
    def of(cls, measured: Sequence[Labelled], tokenizer: Path | None = None) -> Profile:
        """The step that measures these, and counts texts in this tokenizer's tokens."""
        labels, steps = [label for label, _ in measured], [step for _, step in measured]
        return cls(steps, labels, str(tokenizer) if tokenizer else None)

    def open(self) -> None:
        """Raises Refused for a file that is not a tokenizer.json."""
        for step in self.steps:
            step.open()
        if self.tokenizer:
            _token_counter(self.tokenizer)

    def apply(self, documents: Iterable[Document]) -> Iterator[Document | Drop]:
        steps = list(zip(self.labels, map(switched_on, self.steps), strict=True))
        count = _token_counter(self.tokenizer) if self.tokenizer else None
        for document in documents:
            if not document.protected:
                document.notes.append((self.name, SIGNALS, _note(steps, document, count)))
            yield document


def _token_counter(path: str) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the library raises no narrower type
        raise Refused(f"output.tokenizer.file: {path} is not a tokenizer.json ({error})") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _note(steps: list[Labelled], document: Document, count: Any) -> dict[str, Any]:
    text = document.text
    note: dict[str, Any] = {
        "characters": len(text),
        "words": len(document.signals.word_ids),
        "density": facts_of(document.signals).density,
        "steps": {},
    }
    if count is not None:
        note["tokens"] = count(text.encode("utf-8", "replace").decode())
    # The document itself stays unchanged, except for what rules write into the shared metadata.
    copy = dataclasses.replace(document, edits=[], notes=[])
    for label, checks in measure(steps, copy):
        note["steps"][label] = [_stored(check) for check in checks]
    return note


def _stored(check: Check) -> list[Any]:
    if not check.limit:
        return [check.rule, check.value, "", "failed" if check.failed else "passed"]
    row = [check.rule, check.value, check.limit, check.side]
    if check.factor != 1:
        return [*row, check.basis, check.factor]
    return row if check.basis is None else [*row, check.basis]


def parts_of(row: list[Any]) -> tuple[str, Any, str, str, Any, float]:
    """Rule, value, limit, side, basis and factor of one comparison in a note."""
    rule, value, limit, side, *more = row
    return rule, value, limit, side, more[0] if more else None, more[1] if len(more) > 1 else 1


class Seen(NamedTuple):
    """A document as a profile noted it."""

    key: str
    url: str | None
    domain: str | None
    note: dict[str, Any]

    @property
    def size(self) -> int:
        """Tokens, or words where no tokenizer was given."""
        return self.note.get("tokens", self.note["words"])

    def checks(self, steps: dict[str, Step]) -> Iterator[tuple[str, Check]]:
        """Every stored comparison, in order, made again with the thresholds of `steps`, except where a limit is off."""
        for label, rows in self.note["steps"].items():
            step = steps[label]
            for row in rows:
                rule, value, limit, side, basis, factor = parts_of(row)
                if not limit:
                    yield label, Check(rule, value, None, side == "failed")
                elif not is_off(step, limit):
                    threshold = getattr(step, limit)
                    if factor != 1:
                        threshold = times(threshold, factor) or 0
                        if not threshold and step.zero_is_off:
                            continue  # less than one word: off in that language
                    failed = SIDES[side](value if basis is None else basis, threshold)
                    yield label, Check(rule, value, None if side == "on" else threshold, failed, limit, side)

    def verdict(self, steps: dict[str, Step]) -> tuple[str, Check] | None:
        """The comparison that drops the document, with the label of its step; None for one that is kept."""
        return next((one for one in self.checks(steps) if one[1].failed), None)


def read_profile(out: Place) -> Iterator[Seen]:
    """The notes of a profile, in the order of the input. Raises RunError for a folder that holds none,
    NotAsWritten for one whose ledger is not what its run wrote."""
    check_written(out, ["ledger"])
    any_note = False
    for path in [path for path in files_below(out / "ledger") if path.suffix == ".parquet"]:
        for row in read_ledger(path, ("step", "rule", "key", "url", "domain", "value")):
            if row["step"] == Profile.name and row["rule"] == SIGNALS:
                any_note = True
                yield Seen(row["key"], row["url"], row["domain"], row["value"])
    if not any_note:
        raise RunError(f"{out} holds no signals: they are written by `goldsand profile RECIPE -o {out}`")
