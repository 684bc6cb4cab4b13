"""The counts of one unit: by step, by reason, by domain, and the time that each step took itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from curate.document import Document, Drop


class Stopwatch:
    """Splits the time of a chain of generators among its links: only the innermost running one is charged."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = time.perf_counter()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._running:
            label = self._running[-1]
            self.seconds[label] = self.seconds.get(label, 0.0) + now - self._since
        self._since = now

    def time(self, label: str, items: Iterable[Any]) -> Iterator[Any]:
        iterator = iter(items)
        while True:
            self._charge()
            self._running.append(label)
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._charge()
                self._running.pop()
            yield item


@dataclass
class StepAccount:
    """Documents and characters into one step and out of it, and the reasons for the difference."""

    documents_in: int = 0
    characters_in: int = 0
    documents_out: int = 0
    characters_out: int = 0
    reasons: dict[str, list[int]] = field(default_factory=dict)
    documents_injected: int = 0
    characters_injected: int = 0
    characters_edited: int = 0

    def __add__(self, other: StepAccount) -> StepAccount:
        columns = vars(self).keys() - {"reasons"}
        total = StepAccount(**{name: getattr(self, name) + getattr(other, name) for name in columns})
        for account in (self, other):
            for rule, (documents, characters) in account.reasons.items():
                counts = total.reasons.setdefault(rule, [0, 0])
                counts[0] += documents
                counts[1] += characters
        return total

    def drop(self, drop: Drop) -> None:
        counts = self.reasons.setdefault(drop.rule, [0, 0])
        counts[0] += 1
        counts[1] += len(drop.document.text)

    def close(self, *, makes_text: bool, adds: bool) -> None:
        """Draw the balance. Where text is made (extraction), the input is counted in characters of that text; where
        documents are added, the surplus counts as injected; elsewhere the difference in characters counts as edited."""
        documents = sum(count for count, _ in self.reasons.values())
        characters = sum(count for _, count in self.reasons.values())
        if makes_text:
            self.characters_in = self.characters_out + characters
        if adds:
            self.documents_injected = self.documents_out + documents - self.documents_in
            self.characters_injected = self.characters_out + characters - self.characters_in
        else:
            self.characters_edited = self.characters_in - characters - self.characters_out


class Account:
    """Everything a map unit counts. `on_drop` receives each Drop and its step's label as it happens (the ledger)."""

    def __init__(self, on_drop: Callable[[Drop, str], None]) -> None:
        self.steps: dict[str, StepAccount] = {}
        self.watch = Stopwatch()
        self.kept: dict[str, list[int]] = {}
        self.lost: dict[str, dict[str, int]] = {}
        self._on_drop = on_drop

    def through(
        self, label: str, work: Callable[[Iterator[Document]], Iterable[Document | Drop]], documents: Iterable[Document]
    ) -> Iterator[Document]:
        """Send documents through one step, counting both sides of it."""
        account = self.steps.setdefault(label, StepAccount())

        def entering() -> Iterator[Document]:
            for document in documents:
                account.documents_in += 1
                account.characters_in += len(document.text)
                yield document

        for item in self.watch.time(label, work(entering())):
            if isinstance(item, Drop):
                account.drop(item)
                lost = self.lost.setdefault(item.document.domain or "", {})
                lost[label] = lost.get(label, 0) + 1
                self._on_drop(item, label)
            else:
                account.documents_out += 1
                account.characters_out += len(item.text)
                yield item

    def keep(self, document: Document) -> None:
        counts = self.kept.setdefault(document.domain or "", [0, 0])
        counts[0] += 1
        counts[1] += len(document.text)

    def summary(self) -> dict[str, Any]:
        return {
            "steps": {label: vars(account) for label, account in self.steps.items()},
            "domains": {"kept": self.kept, "lost": self.lost},
            "seconds": {label: round(seconds, 4) for label, seconds in self.watch.seconds.items()},
        }
