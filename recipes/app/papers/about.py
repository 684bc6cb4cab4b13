"""What a finished run knows of its corpus, gathered once for all papers: from its summary, ledger and text shards."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from curate.audit.contamination import by_benchmark, found_in
from curate.errors import Unchecked
from curate.places.manifest import MARKER, check_written, own_recipe
from curate.places.store import Place, files_below
from curate.plain_yaml import read
from curate.rights.rights import Rights
from curate.run.folder import check_format
from curate.shards.text import read_text_shard
from recipes.app.report.rights import OptOuts, opt_outs_in
from recipes.app.report.shapes import read_summary


@dataclass
class Counted:
    """What the text shards hold. `domains` and `sources` are in bytes of text, the others in documents; of injected
    documents licence, kind and day are not asked."""

    documents: int = 0
    bytes: int = 0
    injected: int = 0
    domains: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""
    """The days of the first and the last record that was fetched."""

    def add(self, row: dict[str, Any]) -> None:
        size = len(row["text"].encode())
        about = orjson.loads(row["metadata"])
        self.documents += 1
        self.bytes += size
        self.injected += row["injected"]
        self.sources[row["source"]] += size
        self.domains[row["domain"]] += size if row["domain"] and not row["injected"] else 0
        self.languages[language_of(row, about)] += 1
        if row["injected"]:
            return
        self.licences[_text(about.get("license"))] += 1
        self.kinds[_text(about.get("page_type"))] += 1
        if day := _text(about.get("date"))[:10]:
            self.first = min(self.first or day, day)
            self.last = max(self.last, day)


@dataclass(frozen=True)
class About:
    """A finished run: `summary` and `made` are its own words, `recipe` what was asked for."""

    folder: Place
    summary: dict[str, Any]
    made: dict[str, Any]
    recipe: dict[str, Any]

    @classmethod
    def of(cls, folder: Place) -> About:
        """Raises Refused where the folder holds no finished run, or one that is damaged."""
        check_format(folder)
        summary = read_summary(folder)
        if not check_written(folder, ["text", "ledger"]):
            warnings.warn(f"nobody can check what is in {folder}: it has no manifests", Unchecked, stacklevel=2)
        made = orjson.loads((folder / MARKER).read_bytes())
        # (A run that a program starts has none.)
        recipe = own_recipe(folder)
        return cls(folder, summary, made, (read(recipe.read_text(encoding="utf-8")) or {}) if recipe.is_file() else {})

    @property
    def name(self) -> str:
        return str(self.summary["recipe"])

    def uses(self, name: str) -> list[dict[str, Any]]:
        """The parameters, defaults included, of each step of this name."""
        described = self.made.get("described", {}).values()
        return [one["parameters"] for one in described if isinstance(one, dict) and one.get("step") == name]

    def reads_files(self, name: str) -> bool:
        """Whether a step of this name read files of the user's."""
        return any(one["step"].partition("#")[0] == name for one in self.made.get("files", ()))

    @cached_property
    def texts(self) -> list[Place]:
        return sorted((one for one in files_below(self.folder / "text") if one.name.endswith(".zst")), key=str)

    @cached_property
    def ledgers(self) -> list[Place]:
        return sorted((one for one in files_below(self.folder / "ledger") if one.name.endswith(".parquet")), key=str)

    @cached_property
    def counted(self) -> Counted:
        counted = Counted()
        for place in self.texts:
            for row in read_text_shard(place):
                counted.add(row)
        return counted

    @cached_property
    def opt_outs(self) -> OptOuts:
        """What the ledger says of `rights`."""
        return opt_outs_in(self.ledgers) if self.uses(Rights.name) else OptOuts()

    @cached_property
    def contamination(self) -> list[dict[str, Any]]:
        """Items found and documents by benchmark, where a step looked for them."""
        return by_benchmark(list(found_in(self.folder)), ()) if self.uses("decontaminate") else []

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `facts.json` and `injection.json` say of injected knowledge; empty where there is none."""
        said: dict[str, Any] = {}
        for name in ("facts.json", "injection.json"):
            if (place := self.folder / "facts" / name).is_file():
                said |= orjson.loads(place.read_bytes())
        return said

    @property
    def rewritten(self) -> list[str]:
        """Fields of the facts' description that name a model which wrote texts."""
        return sorted(str(value) for key, value in self.facts.items() if "model" in key and value)


def language_of(row: dict[str, Any], about: dict[str, Any]) -> str:
    """The language that `language` found, else that which the page states; empty where neither is known."""
    return row["language"] or _text(about.get("stated_language"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
