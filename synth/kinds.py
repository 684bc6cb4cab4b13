"""The kinds of knowledge that can be injected: what each is made of, and who writes its texts.

A kind is a `FactTable` and a writer. Sentences and records are the two writers; a new kind of knowledge is a function
that draws a table, and shares everything else: injection, exposures, scoring, questions, bundles and the probe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from synth.codes import RECORDS, Records
from synth.facts import FactTable
from synth.sentences import Sentences, Span


class Writer(Protocol):
    """Writes the facts of a table as text."""

    table: FactTable

    def texts(self, entities: Sequence[int] | np.ndarray, exposures: Sequence[int] | np.ndarray) -> Iterator[str]:
        """The text of each (entity, exposure), in the order given."""

    def text(self, entity: int, exposure: int) -> str:
        """One text."""

    def scored(self, entity: int, number: int, held_out: bool = False) -> tuple[str, list[Span]]:
        """The `number`-th text that is scored and never trained on, and its spans."""


def writer_of(table: FactTable) -> Writer:
    """The writer of a table's texts."""
    return Records(table) if table.kind in RECORDS else Sentences(table)
