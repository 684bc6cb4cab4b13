"""A document, and the three outcomes of a record that is not kept: dropped, unreadable, skipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.text.signals import TextSignals


@dataclass(slots=True)
class Document:
    """One page or text.

    `key` identifies it for ever: source name, path relative to the input's root, byte offset
    (`crawl/a/b.warc.gz@1234`; copies that `mix` makes add `#2`, `#3`, ...).
    `html` holds the raw page until `extract` turns it into `text`; it is None for sources of text.
    `protected` documents (injected ones) pass every rule, edit and corpus-wide step untouched.
    `memory` is what an engine knows of earlier measurements (`measured`).
    `edits` are (step, characters before, characters after), `notes` (step, rule, value) of what a step measured and
    did not drop; the engine collects both for the ledger.
    """

    key: str
    text: str = ""
    url: str | None = None
    domain: str | None = None
    source: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    html: bytes | None = None
    protected: bool = False
    edits: list[tuple[str, int, int]] = field(default_factory=list)
    notes: list[tuple[str, str, Any]] = field(default_factory=list)
    _signals: TextSignals | None = None
    memory: Any = field(default=None, repr=False, compare=False)

    @property
    def signals(self) -> TextSignals:
        """The signals of this revision of the text, computed once and shared by all rules."""
        if self._signals is None:
            from curate.text.signals import TextSignals

            self._signals = TextSignals(self.text)
        return self._signals

    def measured(self, step: Any, measure: Callable[[], Any], of: str = "") -> Any:
        """What a costly step measures in this revision of the text: a value that JSON can hold.

        It may depend on the text, on the step's `shaping` parameters, and on `of`. Where an engine keeps what was
        measured, `measure` is called only for what an earlier run did not measure.
        """
        return measure() if self.memory is None else self.memory.value(step, self, of, measure)

    def rewrite(self, text: str, signals: TextSignals | None = None) -> None:
        """Replace the text and discard its signals; `signals` are those of the new text, if known."""
        if text != self.text:
            self.text = text
            self._signals = signals


@dataclass(slots=True, frozen=True)
class Drop:
    """A dropped document: by which step and which of its rules, the value measured and the threshold it missed."""

    document: Document
    step: str
    rule: str
    value: Any = None
    threshold: Any = None


@dataclass(slots=True, frozen=True)
class Unreadable:
    """A record, or the rest of a file, that could not be read: set aside in quarantine, counted as one lost record.

    `raw` is its beginning, `size` its bytes where `raw` has not all of them; `packed` are those of them that lie in a
    compressed file as they are counted, and `rows` how many records it stands for, where that is known.
    """

    key: str
    error: str
    raw: bytes = b""
    size: int = 0
    packed: int = 0
    rows: int = 1

    @property
    def lost(self) -> int:
        """Bytes that were lost."""
        return max(self.size, len(self.raw))


@dataclass(slots=True, frozen=True)
class Skipped:
    """A sound record that is not a document (a request, an image, an error page); counted by reason."""

    key: str
    reason: str
