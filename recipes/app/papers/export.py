"""A finished corpus in the formats of other trainers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.errors import Refused
from curate.places.store import Place, local_copy
from curate.shards.exports import write_mds, write_megatron
from curate.shards.text import read_text_shard
from curate.shards.tokens import TokenShards
from recipes.app.papers.about import About

TEXTS = ("id", "text", "url", "domain", "source", "language")
"""Columns of MDS."""


def export(folder: Place, form: str, tokens: str | None, to: Path) -> dict[str, int]:
    """Write a run's corpus to a folder that is not there or empty, as `megatron` (a token set) or `mds` (texts, or a
    token set where one is named); returns what was counted. What is read is checked against its checksums.

    Raises Refused where the run has no such token set, or none was named where there are several.
    """
    about = About.of(folder)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Refused(f"{to} holds other files: give a folder that is empty or not there")
    new = to.with_name(f"{to.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    if form == "megatron" or tokens is not None:
        name = tokens or _only(about)
        with local_copy(_token_set(about, name)) as place:
            shards = TokenShards.open(place)
            shards.verify()
            if form == "megatron":
                made = write_megatron(shards, new / name)
            else:
                made = write_mds(
                    ({"tokens": ids} for ids, _ in shards), {"tokens": f"ndarray:{shards.metadata['dtype']}"}, new
                )
    else:
        made = write_mds(_texts(about), dict.fromkeys(TEXTS, "str"), new)
    if to.exists():
        to.rmdir()
    new.rename(to)
    return made


def _texts(about: About) -> Iterator[dict[str, Any]]:
    return ({name: row[name] or "" for name in TEXTS} for place in about.texts for row in read_text_shard(place))


def _sets(about: About) -> list[str]:
    return sorted((about.recipe.get("output") or {}).get("tokens") or {})


def _only(about: About) -> str:
    found = _sets(about)
    if len(found) != 1:
        raise Refused(f"{about.folder} has {len(found)} token sets: name one with --tokens ({_named(found)})")
    return found[0]


def _token_set(about: About, name: str) -> Place:
    found = _sets(about)
    if name not in found:
        raise Refused(f"{about.folder} has no token set {name!r}; it has: {_named(found)}")
    return about.folder / "tokens" / name


def _named(found: list[str]) -> str:
    return ", ".join(found) or "none: name one in the recipe, under output: tokens"
