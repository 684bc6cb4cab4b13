"""Texts drawn from a bundle of facts, on the device: token for token what `synth` writes and a tokenizer encodes.

Every draw is a word of a named stream at a counter that follows from entity and exposure (`train_probe/draws.py`).
The layout of `bundle.npz` is described in `synth/bundle.py`, which writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from curate.errors import Refused
from train_probe.draws import Streams, order_of, scaled, words

FORMAT = 1
"""The bundles that this code reads."""


class BundleError(Refused):
    """A bundle that is missing, damaged or of another version, or entities that it does not have."""


class Rendered(NamedTuple):
    """Texts one after the other: `tokens` int64 [T], and where each ends, `ends` int64 [B]."""

    tokens: Tensor
    ends: Tensor


class Renderer:
    """Draws the texts of a bundle's facts on `device`. `bundle` is the path of a `bundle.npz`, or its arrays by name.

    `meta` says what the bundle is of: kind, entities, bits, end_of_text, tag, vocabulary, tokenizer_hash and more.
    `exposure_counts` int64 [N] (on the host) is how often each entity is to appear. Raises BundleError.
    """

    def __init__(self, bundle: Path | str | Mapping[str, np.ndarray], device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        arrays = _read(bundle)
        self.meta = _meta(arrays)
        meta = self.meta
        self.exposure_counts = arrays["exposure_counts"].astype(np.int64)
        self.entities: int = meta["entities"]
        self._parts, self._attributes = len(meta["name_sizes"]), len(meta["attributes"])
        columns = [arrays[f"name_{part}"] for part in range(self._parts)]
        columns += [arrays[f"value_{number}"] for number in range(self._attributes)]
        # One row an entity: reading it is one access to memory, wherever it lies.
        table = np.empty((self.entities, len(columns)), np.int32)
        for number, column in enumerate(columns):
            table[:, number] = column
        self._table = self._put(table)
        ends = arrays["piece_ends"].astype(np.int64)
        starts = np.concatenate([[0], ends[:-1]])
        # After the pieces of the texts comes one for each token of the vocabulary: for the token in front of a text.
        vocabulary = meta["vocabulary"]
        first = len(arrays["tokens"])
        self._token_piece = len(ends)
        self._tokens = self._put(
            np.concatenate([arrays["tokens"].astype(np.int32), np.arange(vocabulary, dtype=np.int32)])
        )
        self._starts = self._put(np.concatenate([starts, first + np.arange(vocabulary)]).astype(np.int32))
        self._lengths = self._put(np.concatenate([ends - starts, np.ones(vocabulary)]).astype(np.int32))
        self._longest = int((ends - starts).max())
        self._streams = Streams(meta["seed"], self.device)
        self._stated = self._put(np.array(meta["told"], np.int64))
        self._follows = {
            number: self._put(arrays[f"follows_{number}"].astype(np.int64))
            for number in range(self._attributes)
            if f"follows_{number}" in arrays
        }
        self._draw: _Sentences | _Records
        self._draw = _LAYOUTS[meta["layout"]](self, arrays)

    def render(self, entities: Tensor, exposures: Tensor, begin: Tensor | int | None = None) -> Rendered:
        """The texts of (entity, exposure), int64 [B] each, as one run of tokens: those of the writer's text, no others.

        With `begin` (one token, or one for each text) that token precedes every text. Entities beyond the table, where
        it was drawn from its pools, are those that a larger table has, with names that the table does not have. Raises
        BundleError for entities that do not exist.
        """
        pieces = self._pieces(entities, exposures, begin)
        flat = pieces.reshape(-1)
        lengths = self._lengths.index_select(0, flat)
        # Half the bytes take half the time, where they are sure to be enough.
        kind = torch.int32 if len(flat) * self._longest < 1 << 31 else torch.int64
        ends = lengths.cumsum(0, dtype=kind)
        total = int(ends[-1]) if len(ends) else 0
        shift = self._starts.index_select(0, flat).to(kind).sub_(ends).add_(lengths)
        place = shift.repeat_interleave(lengths, output_size=total)
        place += torch.arange(total, dtype=kind, device=self.device)
        return Rendered(self._tokens.index_select(0, place).long(), ends.view(pieces.shape)[:, -1].long())

    def lengths(self, entities: Tensor, exposures: Tensor) -> Tensor:
        """How many tokens each text has, int64 [B], without a token in front of it."""
        pieces = self._pieces(entities, exposures, None)
        return self._lengths.index_select(0, pieces.reshape(-1)).view(pieces.shape).sum(1)

    def padded(
        self,
        entities: Tensor,
        exposures: Tensor,
        begin: Tensor | int | None = None,
        *,
        width: int | None = None,
        padding: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """The same, a text a row, int64 [B, width], and the lengths [B]; a longer text is cut.

        `width` is that of the longest text where it is not given.
        """
        tokens, ends = self.render(entities, exposures, begin)
        lengths = ends.diff(prepend=ends.new_zeros(1))
        wide = int(lengths.max()) if width is None else width
        column = torch.arange(wide, device=self.device)
        place = (ends - lengths)[:, None] + column
        inside = column < lengths[:, None]
        rows = tokens[place.clamp_(max=max(0, len(tokens) - 1))] if len(tokens) else place.new_zeros(place.shape)
        return torch.where(inside, rows, padding), lengths.clamp(max=wide)

    def windows(self, entities: Tensor, exposures: Tensor, begin: Tensor | int, width: int) -> tuple[Tensor, Tensor]:
        """The same, packed: the run of all texts, each behind its `begin`, cut into windows int64 [W, width], and what
        is left behind the last whole one."""
        tokens, _ = self.render(entities, exposures, begin)
        whole = len(tokens) // width * width
        return tokens[:whole].view(-1, width), tokens[whole:]

    def rows(self, entities: Tensor) -> Tensor:
        """Name parts and values of entities as indices into their pools, int64 [B, P + K] (-1: has no such attribute).

        Those beyond the table are drawn. Raises BundleError for entities that do not exist.
        """
        entities = entities.to(self.device, torch.int64)
        if not len(entities):
            return self._table.index_select(0, entities).long()
        low, high = torch.stack(entities.aminmax()).tolist()
        if low < 0 or (high >= self.entities and not self.meta["drawn"]):
            raise BundleError(
                f"entities must be between 0 and {self.entities - 1}, not {low} to {high}; only tables drawn from "
                "pools have more (and every value that determines another must occur in the table)"
            )
        if high < self.entities:
            return self._table.index_select(0, entities).long()
        if low >= self.entities:
            return self.drawn(entities)
        known = self._table[entities.clamp(max=self.entities - 1)].long()
        return torch.where((entities < self.entities)[:, None], known, self.drawn(entities))

    def drawn(self, entities: Tensor) -> Tensor:
        """What `rows` gives, drawn from the streams of the population without reading the table: the same for every
        entity below the number of names. Raises BundleError where the table was not drawn, or names run out."""
        if not self.meta["drawn"]:
            raise BundleError("this table was not drawn from its pools: only the entities in it are known")
        entities = entities.to(self.device, torch.int64)
        sizes = self.meta["name_sizes"]
        available = math.prod(sizes)
        if len(entities) and int(entities.max()) >= available:
            raise BundleError(f"there are {available} names; entity {int(entities.max())} has none")
        names = self._streams.distinct("name", entities, available)
        columns: list[Tensor] = []
        for size in reversed(sizes):
            columns.insert(0, names % size)
            names = names // size
        values: dict[int, Tensor] = {}
        attributes = self.meta["attributes"]
        for number, one in enumerate(attributes):
            if one["determined_by"] is None:
                drawn = words(self._streams.start(f"value/{one['name']}"), entities)
                values[number] = scaled(drawn, one["size"])
        for number, one in enumerate(attributes):
            if one["determined_by"] is not None:
                values[number] = self._follows[number][values[one["determined_by"]]]
        return torch.stack([*columns, *(values[number] for number in range(len(attributes)))], 1)

    def _pieces(self, entities: Tensor, exposures: Tensor, begin: Tensor | int | None) -> Tensor:
        """The pieces of each text, int64 [B, most]; the empty piece where there are fewer."""
        entities, exposures = entities.to(self.device, torch.int64), exposures.to(self.device, torch.int64)
        pieces = self._draw.pieces(self.rows(entities), entities, exposures)
        if begin is not None:
            front = torch.as_tensor(begin, device=self.device).expand(len(entities))
            pieces = torch.cat([(self._token_piece + front)[:, None], pieces], 1)
        return pieces

    def _put(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _words(self, entities: Tensor, exposures: Tensor, count: int) -> Tensor:
        """The first `count` words of each text's own stretch of its exposure's stream, int64 [B, count]."""
        if self.meta["frozen"]:
            exposures = exposures.clamp(max=0)
        starts = self._streams.texts(exposures)
        counters = entities[:, None] * self.meta["stride"] + torch.arange(count, device=self.device)
        return words(starts[:, None], counters)


class _Sentences:
    """Pieces of texts in sentences: lead, subject, before, value, after, in an order drawn for each text."""

    NEEDED = ("subject_base", "closed", "closed_begin", "templates")

    def __init__(self, owner: Renderer, arrays: Mapping[str, np.ndarray]) -> None:
        self._owner = owner
        meta = owner.meta
        begin = arrays["template_begin"].astype(np.int64)
        rows = arrays["templates"].astype(np.int64)
        self._begin = owner._put(begin[:-1])
        self._trained = owner._put(np.diff(begin) - meta["held_out_templates"])
        self._count = len(meta["told"])
        leads, prefixes = rows[:, 0:2], rows[:, 2:4]
        before, value_prefix, after, after_closed = rows[:, 4:8].T
        place = np.repeat(np.arange(self._count), np.diff(begin))
        stated = np.array(meta["told"])[place]
        # The first piece of every pool that a template's slots are filled from.
        names = arrays["name_base"].astype(np.int64)
        space = [names[part][names[part] >= 0][:1] for part in range(1, owner._parts)]
        self._spaced = [int(one[0]) for one in space]
        value_base = arrays["value_base"].astype(np.int64)[stated, value_prefix]
        subject_base = arrays["subject_base"].astype(np.int64)
        first_name, later_name, later_subject = (
            names[0][prefixes[:, 0]],
            names[0][prefixes[:, 1]],
            subject_base[prefixes[:, 1]],
        )
        table = [before, value_base, after, after_closed, *leads.T, first_name, later_name, later_subject]
        self._templates = owner._put(np.stack(table, 1))
        self._has_lead = bool(leads.any())
        self._closed = owner._put(arrays["closed"].astype(np.bool_))
        self._closed_begin = owner._put(arrays["closed_begin"].astype(np.int64))
        self._closes = bool(arrays["closed"].any() and (after != after_closed).any())

    def pieces(self, rows: Tensor, entities: Tensor, exposures: Tensor) -> Tensor:
        owner, meta, count = self._owner, self._owner.meta, self._count
        drawn = owner._words(entities, exposures, 2 * count)
        order = order_of(drawn[:, :count])
        chosen = scaled(drawn[:, count:], self._trained)
        missing = meta["missing"]
        number = owner._stated[order]
        values = rows[:, owner._parts :].gather(1, number)
        if missing:
            # Unknown values have no sentence: the sentences of known ones move to the front, in their order.
            last = torch.argsort((values < 0).to(torch.uint8), dim=1, stable=True)
            order, number, values = (one.gather(1, last) for one in (order, number, values))
        which = self._begin[order] + chosen.gather(1, order)
        filled = self._templates.index_select(0, which.flatten()).view(*which.shape, self._templates.shape[1])
        before, base, after, closed_after, lead, later_lead, name, name_again, subject = filled.unbind(2)
        value = base + values
        if self._closes:
            flags = self._closed[self._closed_begin[number] + values.clamp(min=0)]
            after = torch.where(flags, closed_after, after)
        parts = [rows[:, part : part + 1] for part in range(owner._parts)]
        rest = [spaced + part for spaced, part in zip(self._spaced, parts[1:], strict=True)]
        first = [name[:, :1] + parts[0], *rest, before[:, :1], value[:, :1], after[:, :1]]
        if self._has_lead:
            first.insert(0, lead[:, :1])
        subjects = self._subjects(rows, name_again[:, 1:], subject[:, 1:], rest)
        later = [*subjects, before[:, 1:], value[:, 1:], after[:, 1:]]
        if self._has_lead:
            later.insert(0, later_lead[:, 1:])
        following = torch.stack(later, 2)
        begun = torch.cat(first, 1)
        if missing:
            known = values >= 0
            begun = begun * known[:, :1]
            following = following * known[:, 1:, None]
        return torch.cat([begun, following.flatten(1)], 1)

    def _subjects(self, rows: Tensor, name: Tensor, subject: Tensor, rest: list[Tensor]) -> list[Tensor]:
        """What replaces the name in later sentences, a tensor [B, S - 1] for each piece of it."""
        owner, meta = self._owner, self._owner.meta
        again = lambda: [name + rows[:, :1], *(one.expand_as(name) for one in rest)]  # noqa: E731
        if meta["subject_is_name"]:
            return again()
        if meta["subject"] < 0:
            return [subject]
        known = rows[:, owner._parts + meta["subject"], None]
        if not meta["missing"]:
            return [subject + known]
        named = again()
        return [torch.where(known >= 0, subject + known, named[0]), *(one * (known < 0) for one in named[1:])]


class _Records:
    """Pieces of records: the name, then each attribute's mark and chunks, in an order drawn for each text (bioD) or in
    that of the table (compact)."""

    NEEDED = ("marks",)

    def __init__(self, owner: Renderer, arrays: Mapping[str, np.ndarray]) -> None:
        self._owner = owner
        self._chunks: int = owner.meta["chunks"]
        self._count = owner._attributes // self._chunks
        bases = [arrays["name_base"][:, 0].astype(np.int64), arrays["value_base"][:, 0].astype(np.int64)]
        self._bases = owner._put(np.concatenate(bases))
        self._marks = owner._put(arrays["marks"].astype(np.int64))

    def pieces(self, rows: Tensor, entities: Tensor, exposures: Tensor) -> Tensor:
        owner = self._owner
        pieces = rows + self._bases
        if owner.meta["ordered"]:
            return pieces
        order = order_of(owner._words(entities, exposures, self._count))
        values = pieces[:, owner._parts :].view(-1, self._count, self._chunks)
        values = values.gather(1, order[:, :, None].expand_as(values))
        marked = torch.cat([self._marks[order][:, :, None], values], 2)
        return torch.cat([pieces[:, : owner._parts], marked.flatten(1)], 1)


def _read(bundle: Path | str | Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    if isinstance(bundle, Mapping):
        return bundle
    try:
        with np.load(bundle, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise BundleError(f"there is no bundle {bundle}") from None
    except (Exception, MemoryError) as error:  # numpy and zipfile read damage with whatever comes
        raise BundleError(f"{bundle} is not a readable bundle ({error})") from None


_LAYOUTS: dict[str, type[_Sentences] | type[_Records]] = {"sentences": _Sentences, "records": _Records}


def _meta(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    try:
        meta = json.loads(str(arrays["meta"]))
    except (KeyError, ValueError):
        raise BundleError("the bundle does not say what it is of: its `meta` is missing or not JSON") from None
    if meta.get("format") != FORMAT:
        raise BundleError(f"the bundle has format {meta.get('format')}; this version of goldsand reads format {FORMAT}")
    needed = {"tokens", "piece_ends", "exposure_counts", "name_base", "value_base"}
    needed |= {f"name_{part}" for part in range(len(meta["name_sizes"]))}
    needed |= {f"value_{number}" for number in range(len(meta["attributes"]))}
    if meta["layout"] not in _LAYOUTS:
        raise BundleError(f"the bundle is of {meta['layout']}; this version of goldsand reads {', '.join(_LAYOUTS)}")
    needed |= set(_LAYOUTS[meta["layout"]].NEEDED)
    if missing := sorted(needed - set(arrays)):
        raise BundleError(f"the bundle is incomplete: it lacks {', '.join(missing)}")
    return meta
