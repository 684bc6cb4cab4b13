"""Facts written as sentences: one for each attribute, the full name in the first, drawn anew at every exposure.

A template is a sentence with a place for the subject and one for the value. What is drawn for an entity (the order of
its sentences, the template of each) follows from (seed, exposure, entity) alone, two random words for each sentence, so
that `train_probe/render.py` draws the same on a device.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from synth.draws import scaled, stream, words
from synth.facts import FactsError, FactTable

NAME = -1
"""The attribute number of a span that holds a name."""

BATCH = 4096
"""Texts drawn at once: enough for numpy to be fast, in little memory."""


class Span(NamedTuple):
    """Characters `start` to `end` of a text say attribute `attribute` (NAME: the name)."""

    attribute: int
    start: int
    end: int


@dataclass(frozen=True)
class Template:
    """A sentence in three parts: the words before its subject, between subject and value, and after the value."""

    lead: str
    before: str
    after: str

    @classmethod
    def parse(cls, text: str) -> Template:
        """`{entity} ... {value} ...`, or `... {} ...` without its subject, which then comes first.

        Raises FactsError that says what the template lacks.
        """
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise FactsError(f"the template {text!r} has a brace that is not a slot ({error})") from None
        slots = [name for _, name, _, _ in parts if name is not None]
        between = [literal for literal, _, _, _ in parts]
        after = between[len(slots)] if len(between) > len(slots) else ""
        if slots == [""]:
            return cls("", f" {between[0]}", after)
        if slots == ["entity", "value"]:
            return cls(between[0], between[1], after)
        if slots == ["value", "entity"]:
            raise FactsError(f"the template {text!r} states the value before its entity: put {{entity}} first")
        missing = [slot for slot in ("{entity}", "{value}") if slot[1:-1] not in slots]
        what = f"lacks {' and '.join(missing)}" if missing else f"has the slots {', '.join(slots)}"
        raise FactsError(f"the template {text!r} {what}: it needs {{entity}} once, then {{value}} once")


def draw_stride(sentences: int) -> int:
    """Random words reserved for a text: room for an order and a template of each sentence."""
    return max(16, 1 << (2 * sentences - 1).bit_length())


class Sentences:
    """Writes the texts of a table of sentences. Raises FactsError for templates that cannot be used.

    `stated` are the numbers of the attributes that have sentences.
    """

    def __init__(self, table: FactTable) -> None:
        self.table = table
        self.stated = [number for number, one in enumerate(table.attributes) if one.name in table.templates]
        if not self.stated:
            raise FactsError("the table has no templates, so no sentence can be written")
        self.templates = [
            [Template.parse(text) for text in table.templates[table.attributes[number].name]] for number in self.stated
        ]
        spare = table.held_out_templates
        if short := [len(lines) for lines in self.templates if len(lines) <= spare]:
            raise FactsError(f"a sentence with {short[0]} templates cannot hold {spare} of them out: one must remain")
        self.stride = draw_stride(len(self.stated))
        names = [one.name for one in table.attributes]
        self.subject = names.index(table.subject) if table.subject in names else None
        self._subjects = table.words(self.subject) if self.subject is not None else None
        stated = [names[number] for number in self.stated]
        self._pairs = [
            (place, stated.index(by))
            for place, number in enumerate(self.stated)
            if (by := table.attributes[number].determined_by) in stated
        ]
        self._by = {self.stated[place]: self.stated[by] for place, by in self._pairs}
        # One list for each sentence: lookups are most of what writing costs.
        self._values = [table.words(number) for number in self.stated]
        self._closed = [[not word[-1:].isalnum() for word in values] for values in self._values]
        self._trained = np.array([len(lines) - spare for lines in self.templates])

    def texts(self, entities: Sequence[int] | np.ndarray, exposures: Sequence[int] | np.ndarray) -> Iterator[str]:
        """The text of each (entity, exposure), in the order given."""
        entities, exposures = np.asarray(entities, np.int64), np.asarray(exposures, np.int64)
        for begin in range(0, len(entities), BATCH):
            yield from self._texts(entities[begin : begin + BATCH], exposures[begin : begin + BATCH])

    def text(self, entity: int, exposure: int) -> str:
        """One text."""
        return next(self.texts([entity], [exposure]))

    def _texts(self, entities: np.ndarray, exposures: np.ndarray) -> list[str]:
        orders, chosen = self.drawn(entities, exposures)
        names = self.table.names(entities)
        rows = self.table.values[entities]
        subjects = self._subject_words(rows, names)
        values = rows[:, self.stated].tolist()
        sentences = list(zip(self.templates, self._values, self._closed, strict=True))
        texts = []
        for name, subject, order, numbers, row in zip(names, subjects, orders, chosen, values, strict=True):
            parts = []
            who = name
            for place in order:
                value = row[place]
                if value < 0:
                    continue
                templates, known, closed = sentences[place]
                one = templates[numbers[place]]
                # A value that ends in a mark ("Inc.") ends its sentence: two marks could become one token.
                after = "" if closed[value] and one.after == "." else one.after
                parts.append(f"{one.lead}{who}{one.before}{known[value]}{after}")
                who = subject
            texts.append(" ".join(parts))
        return texts

    def drawn(self, entities: np.ndarray, exposures: np.ndarray) -> tuple[list[list[int]], list[list[int]]]:
        """For each text the order of its sentences and the template of each: exposure -1 - i is the i-th scored text,
        whose draws no training text shares."""
        return self._drawn(entities, exposures, 0, self._trained)

    def _drawn(
        self, entities: np.ndarray, exposures: np.ndarray, first: int | np.ndarray, sizes: np.ndarray
    ) -> tuple[list[list[int]], list[list[int]]]:
        if self.table.frozen:
            exposures = np.minimum(exposures, 0)
        kinds, which = np.unique(exposures, return_inverse=True)
        starts = np.array([text_stream(self.table.seed, one) for one in kinds.tolist()], np.uint64)
        count = len(self.stated)
        counters = entities[:, None] * self.stride + np.arange(2 * count)
        drawn = words(starts[which][:, None], counters)
        orders = np.argsort(drawn[:, :count], axis=1, kind="stable").tolist()
        return orders, (first + scaled(drawn[:, count:], sizes)).tolist()

    def _subject_words(self, rows: np.ndarray, names: list[str]) -> Sequence[str]:
        if self._subjects is not None:
            numbers = rows[:, self.subject].tolist()
            # Where the attribute is not known, the name is repeated.
            return [self._subjects[one] if one >= 0 else name for one, name in zip(numbers, names, strict=True)]
        return names if self.table.subject is None else [self.table.subject] * len(names)

    def scored(self, entity: int, number: int, held_out: bool = False) -> tuple[str, list[Span]]:
        """A text that training does not draw (the one text of a frozen table), and its spans: the name, each value, the
        first subject that is an attribute.

        A value that another determines comes after that one, which it would otherwise give away. `held_out` draws from
        the templates that training never shows; raises FactsError where there are none.
        """
        spare = self.table.held_out_templates
        if held_out and not spare:
            raise FactsError("no templates are held out: `held_out_templates` is 0")
        one = np.array([entity])
        if held_out:
            sizes = np.full(len(self.stated), spare)
            (order,), (chosen,) = self._drawn(one, np.array([-1 - number]), self._trained, sizes)
        else:
            drawn = 0 if self.table.frozen else -1 - number
            (order,), (chosen,) = self.drawn(one, np.array([drawn]))
        order = [place for place in order if self.table.values[entity, self.stated[place]] >= 0]
        if held_out or not self.table.frozen:
            self._put_determiners_first(order)
        return self._spelled(entity, order, chosen)

    def _put_determiners_first(self, order: list[int]) -> None:
        pairs = [pair for pair in self._pairs if pair[0] in order and pair[1] in order]
        # Again after each swap, because one may follow from another that follows from a third.
        while wrong := [(one, by) for one, by in pairs if order.index(one) < order.index(by)]:
            (place, by), *_ = wrong
            here, there = order.index(place), order.index(by)
            order[here], order[there] = by, place

    def _spelled(self, entity: int, order: list[int], chosen: list[int]) -> tuple[str, list[Span]]:
        (name,) = self.table.names([entity])
        row = self.table.values[[entity]]
        (subject,) = self._subject_words(row, [name])
        text, who = "", name
        spans = []
        seen: set[int] = set()
        for place in order:
            number = self.stated[place]
            one, value = self.templates[place][chosen[place]], self._values[place][row[0, number]]
            text += (" " if text else "") + one.lead
            if not seen:
                spans.append(Span(NAME, len(text), len(text) + len(who)))
            elif len(seen) == 1 and self.subject is not None and row[0, self.subject] >= 0:
                spans.append(Span(self.subject, len(text), len(text) + len(who)))
            seen.add(number)
            text += who + one.before
            by = self._by.get(number)
            if by is not None and by not in seen and row[0, by] >= 0:
                # Before the value that determines it, it states a part of that: both together hold that one's bits.
                spans.append(Span(by, len(text), len(text) + len(value)))
            elif self.table.attributes[number].bits:
                spans.append(Span(number, len(text), len(text) + len(value)))
            closed = one.after == "." and not value[-1:].isalnum()
            text += value if closed else value + one.after
            who = subject
        return text, spans


@lru_cache(maxsize=65536)
def text_stream(seed: int, exposure: int) -> int:
    """The stream of one exposure's draws; scored texts, whose exposures are negative, have streams of their own."""
    return stream(seed, f"text/{exposure}" if exposure >= 0 else f"score/{-1 - exposure}")
