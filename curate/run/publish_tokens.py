"""The units that publish token sets: the vocabulary of all of them, shards, and what makes these one set."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import xxhash

from curate.document import Document
from curate.places.manifest import fingerprint, manifest_path, read_manifest
from curate.places.store import Place, is_local, local_copy
from curate.run.output import Rendering, VocabularyChoice
from curate.run.publish import FilesTask, chained
from curate.run.unit import Outputs, Pulse, Unit, describe_step, library_version, reusable
from curate.shards.tokens import SUFFIXES, dtype_for

if TYPE_CHECKING:
    from curate.shards.vocabulary import Vocabulary

SAMPLE = 20_000_000
"""Most characters on which a vocabulary is trained; a larger corpus is sampled by the hash of its keys."""

TRAINING = 1
"""Raised when the same texts are trained on otherwise."""

INJECTED_SHARE = 1 / 16
"""Share of the injected texts in that training: enough to learn their words, too little to crowd out the pages."""


def as_written(root: Place, name: str) -> dict[str, Any]:
    """The manifest that an earlier run left of a unit, whatever its inputs were; empty where there is none, or where
    its files are not what it wrote."""
    try:
        manifest = read_manifest(manifest_path(root, name))
    except OSError:
        return {}
    return (manifest and reusable(root, name, manifest["fingerprint"])) or {}


@dataclass
class VocabularyTask(Unit):
    """The tokenizer of every token set of the run: one vocabulary, so that all renderings can be compared."""

    inputs: list[str]
    injected_inputs: list[str]
    choice: VocabularyChoice
    documents: list[Place]
    characters: int
    injected: list[Place]
    domains: list[str]
    reserved: list[str]

    @property
    def name(self) -> str:
        return "tokens/tokenizer"

    @property
    def path(self) -> Place:
        return self.root / f"{self.name}.json"

    @property
    def files_read(self) -> list[Path]:
        return [self.choice.file] if self.choice.file else []

    def configuration(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs + self.injected_inputs,
            "choice": self.choice.describe(),
            "domains": self.domains,
            "reserved": self.reserved,
            "tokenizers": library_version("tokenizers"),
        }

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.vocabulary import build_vocabulary

        told = xxhash.xxh3_128()
        trained = self._trained_before()
        vocabulary = build_vocabulary(
            kind=self.choice.kind,
            texts=self._sample(told),
            size=self.choice.size,
            file=self.choice.file,
            domains=self.domains,
            buckets=self.choice.buckets,
            reserved=self.reserved,
            trained=trained and trained[0],
        )
        with outputs.scratch(self.path.parent) as scratch:
            vocabulary.save(scratch / self.path.name)
        return {
            "tokens": vocabulary.size,
            "hash": vocabulary.hash,
            "trained_on": trained[1] if trained else self._key(told),
        }

    def _key(self, told: Any) -> str:
        """The identity of the training and its texts: the pages, and the digest of the injected texts.

        Neither the domains, which have tokens of their own, nor the pages of the finished corpus are part of it. Empty
        where nothing is trained.
        """
        if self.choice.kind not in ("bpe", "joint"):
            return ""
        library = library_version("tokenizers")
        return fingerprint([TRAINING, self.inputs, self.characters, told.hexdigest(), self.choice.size, library])

    def _trained_before(self) -> tuple[Vocabulary, str] | None:
        """The vocabulary that an earlier run trained on the same texts, with the identity of that training."""
        from curate.shards.vocabulary import Vocabulary

        before = as_written(self.root, self.name).get("trained_on", "")
        told = xxhash.xxh3_128()
        for _ in self._told(told) if before else ():
            pass
        return (Vocabulary(self.path.read_bytes()), before) if before and self._key(told) == before else None

    def _sample(self, told: Any) -> Iterator[str]:
        """Pages of the widest text, then injected text, each sampled by the hash of its keys."""
        share = min(1.0, SAMPLE / max(self.characters, 1))
        yield from self._texts(self.documents, False, share)
        yield from self._told(told)

    def _told(self, told: Any) -> Iterator[str]:
        """The injected texts, which are added to a digest."""
        for text in self._texts(self.injected, True, INJECTED_SHARE):
            told.update(f"{text}\0".encode("utf-8", "surrogatepass"))
            yield text

    @staticmethod
    def _texts(paths: list[Place], protected: bool, share: float) -> Iterator[str]:
        for document in chained(paths):
            chosen = xxhash.xxh3_64_intdigest(document.key.encode()) < share * 2.0**64
            if chosen and document.protected == protected:
                yield document.text


@dataclass
class TokenTask(FilesTask):
    """Some input files in one rendering as token shards; `identity` is that of the vocabulary."""

    identity: list[str]
    rendering: Rendering
    vocabulary: Place
    sources: list[str]

    @property
    def name(self) -> str:
        return f"tokens/{self.rendering.name}/{self.files.label}"

    def configuration(self) -> dict[str, Any]:
        return {
            **super().configuration(),
            "inputs": [*self.files.content, *self.identity],
            "domain": self.rendering.domain,
            "bare": self.rendering.bare,
            "sources": self.sources,
            "tokenizers": library_version("tokenizers"),
        }

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.domain_rendering import write_token_shard
        from curate.shards.vocabulary import Vocabulary

        with local_copy(self.vocabulary) as vocabulary:
            known = Vocabulary.load(vocabulary)
        encoded = self._encoded(known)
        before = as_written(self.root, self.name) if encoded and is_local(self.root) else {}
        if before.get("encoded") == encoded != "":
            for number, documents in self.each(pulse):
                self._with_other_domains(outputs, number, documents, known)
            counts = {name: before[name] for name in ("documents", "tokens", "injected")}
        else:
            asked = self.rendering
            total: Counter[str] = Counter()
            with outputs.scratch((self.root / self.name).parent) as scratch:
                for number, documents in self.each(pulse):
                    total.update(
                        write_token_shard(scratch, number, documents, known, asked.domain, self.sources, asked.bare)
                    )
            counts = dict(total)
        return {**counts, "encoded": encoded}

    def _encoded(self, known: Vocabulary) -> str:
        """The identity of all that shapes the tokens; empty where tokens of domains are among them."""
        asked = self.rendering
        if asked.domain in ("special", "hashed"):
            return ""
        shaped = [self.files.content, self.sources, asked.domain, asked.bare, known.encoder, dtype_for(known.size)]
        shaped += [self.files.counts] if self.many else []
        shaped += [describe_step(rule) for rule in self.removed]
        return fingerprint([*shaped, library_version("tokenizers")])

    def _with_other_domains(
        self, outputs: Outputs, place: int, documents: Iterator[Document], known: Vocabulary
    ) -> None:
        """The tokens that an earlier run wrote, with the numbers that domains have now."""
        from curate.shards.domain_rendering import domain_number

        folder = (self.root / self.name).parent
        ids, index, table = (folder / f"{place:05d}{suffix}" for suffix in SUFFIXES)
        number = domain_number(known)
        with table.open("rb") as stream:
            rows = np.load(stream, allow_pickle=False)
        rows["domain"] = np.fromiter((number(one.domain) for one in documents), np.uint32, len(rows))
        for path in (ids, index):
            with path.open("rb") as incoming, outputs.open(path) as outgoing:
                shutil.copyfileobj(incoming, outgoing, 1 << 20)
        with outputs.open(table) as outgoing:
            np.save(outgoing, rows, allow_pickle=False)


@dataclass
class TokenMetadataTask(Unit):
    """The file that makes a folder of token shards one set: tokenizer, sources, domains, counts, checksums."""

    inputs: list[str]
    rendering: Rendering
    vocabulary: Place
    sources: list[str]

    @property
    def name(self) -> str:
        return f"tokens/{self.rendering.name}/metadata"

    def expected(self) -> dict[str, Any]:
        return {**super().expected(), "tokens": 0}

    def configuration(self) -> dict[str, Any]:
        # 2: the metadata carry a seal.
        return {"inputs": self.inputs, "domain": self.rendering.domain, "layout": 2, "sources": self.sources}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.domain_rendering import token_set_metadata
        from curate.shards.vocabulary import Vocabulary

        folder = (self.root / self.name).parent
        name, domain = self.rendering.name, self.rendering.domain
        with local_copy(folder) as shards, local_copy(self.vocabulary) as vocabulary:
            metadata = token_set_metadata(shards, name, Vocabulary.load(vocabulary), domain, self.sources)
        with outputs.open(folder / "metadata.json") as stream:
            stream.write(orjson.dumps(metadata, option=orjson.OPT_INDENT_2))
        return {"tokens": metadata["tokens"]}
