"""What the text shards of a run hold: a sample of the kept documents, and what each language and domain has.

Of a large corpus some files are read, drawn by chance: a page says how many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from curate.errors import Refused
from curate.places.manifest import own_recipe, written
from curate.places.store import Place, files_below
from curate.plain_yaml import read
from curate.shards.text import read_text_shard

READ = 48_000_000
"""Bytes of compressed text that a page is made from at most (beside the file that goes beyond)."""

RANDOM, EXTREMES = 40, 10
SEED = 20
TEXT = 4_000
"""Characters of a text that are held."""


@dataclass
class Held:
    """Documents, their characters and their tokens."""

    documents: int = 0
    characters: int = 0
    tokens: int = 0


@dataclass
class Kept:
    """What was seen of the kept documents (injected ones are left out): `read` of `files` text shards.

    `tokens` names the token set that counts tokens; None where there is none of these documents.
    """

    files: int = 0
    read: int = 0
    tokens: str | None = None
    total: Held = field(default_factory=Held)
    languages: dict[str, Held] = field(default_factory=dict)
    domains: dict[str, Held] = field(default_factory=dict)
    random: list[dict[str, Any]] = field(default_factory=list)
    shortest: list[dict[str, Any]] = field(default_factory=list)
    longest: list[dict[str, Any]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every file was read."""
        return self.read == self.files

    @property
    def rate(self) -> float | None:
        """Tokens of a character."""
        return self.total.tokens / self.total.characters if self.tokens and self.total.characters else None


def kept_of(folder: Place, summary: dict[str, Any]) -> Kept:
    """What the text shards of a finished run hold. Raises Refused where one is damaged, or is not what was written."""
    paths = [path for path in files_below(folder / "text") if path.name.endswith(".jsonl.zst")]
    known = written(folder, "text") if paths else None
    found, random = Kept(len(paths)), Random(SEED)
    sizes = [path.stat().st_size for path in paths]
    chosen = list(range(len(paths)))
    random.shuffle(chosen)
    taken, size = [], 0
    for number in chosen:
        if size < READ:
            taken.append(number)
            size += sizes[number]
    found.tokens = _token_set(folder, summary)
    seen = 0
    for number in sorted(taken):
        path = paths[number]
        name = f"text/{path.name}"
        if known is not None and name in known:
            known[name].check(path)
        found.read += 1
        for row, tokens in _with_tokens(folder, path, found.tokens):
            size = len(row["text"])
            for held in (
                found.total,
                found.languages.setdefault(row["language"], Held()),
                found.domains.setdefault(row["domain"], Held()),
            ):
                held.documents += 1
                held.characters += size
                held.tokens += tokens
            seen += 1
            place = len(found.random) if len(found.random) < RANDOM else random.randrange(seen)
            if place < RANDOM:
                found.random[place : place + 1] = [_shown(row, size)]
            _least(found.shortest, row, size, lambda one: one["characters"])
            _least(found.longest, row, size, lambda one: -one["characters"])
    return found


def _shown(row: dict[str, Any], size: int) -> dict[str, Any]:
    names = ("url", "domain", "language", "source")
    return {"key": row["id"], "text": row["text"][:TEXT], "characters": size, **{name: row[name] for name in names}}


def _least(rows: list[dict[str, Any]], row: dict[str, Any], size: int, figure: Any) -> None:
    if len(rows) == EXTREMES and figure({"characters": size}) >= figure(rows[-1]):
        return
    rows.append(_shown(row, size))
    rows.sort(key=figure)
    del rows[EXTREMES:]


def _with_tokens(folder: Place, path: Place, tokens: str | None) -> Iterator[tuple[dict[str, Any], int]]:
    """The documents of a text shard that were not injected, each with its tokens: both files are in the same order."""
    ends = np.zeros(0, np.uint64)
    if tokens:
        index = folder / "tokens" / tokens / f"{path.name.partition('.')[0]}.ds.index"
        try:
            ends = np.frombuffer(index.read_bytes(), "<u8")
        except (OSError, ValueError):
            raise Refused(f"{index} is missing or damaged; `goldsand run` into the same folder mends it") from None
    before = 0
    number = -1
    for number, row in enumerate(read_text_shard(path)):
        end = int(ends[number]) if number < len(ends) else before
        if not row["injected"]:
            yield row, end - before
        before = end
    if tokens and number + 1 != len(ends):
        raise Refused(f"{path} and {index} are not of one run: `goldsand run` into the same folder mends them")


def _token_set(folder: Place, summary: dict[str, Any]) -> str | None:
    """The last token set that holds the documents of the text shards, and no others."""
    try:
        asked = read(own_recipe(folder).read_text(encoding="utf-8"))["output"]["tokens"]
        ends = [name for name, one in asked.items() if (one or {}).get("from", "end") == "end"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # The page does without: a recipe that was edited since is refused by those that need it.
        return None
    return next((name for name in reversed(ends) if name in summary["tokens"]), None)
