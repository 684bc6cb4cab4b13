"""The end of a run: text shards, the vocabulary, token shards in each rendering, and the facts beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash

from curate.run.folder import OutputFolder
from curate.run.local import LocalEngine
from curate.run.stage import Stage
from curate.run.tasks import read_documents
from curate.run.unit import Outputs, Pulse, Unit, checksum, content_of, describe_step, library_version
from curate.step import Injection, Step

SAMPLE = 20_000_000
"""Characters on which a vocabulary is trained at most; a larger corpus is sampled by the hash of its keys."""

INJECTED_SHARE = 1 / 16
"""Share of the injected texts in that training: enough to know their words, too little to crowd the pages out."""


@dataclass(frozen=True)
class VocabularyChoice:
    """Which vocabulary token shards use: kind bpe, joint, compact or file."""

    kind: str = "bpe"
    size: int = 1024
    file: Path | None = None
    domains: int = 64

    def describe(self) -> dict[str, Any]:
        content = checksum(self.file) if self.file else None
        return {"kind": self.kind, "size": self.size, "file": content, "domains": self.domains}


@dataclass(frozen=True)
class Rendering:
    """One set of token shards: `source` is extract (every page, before any rule) or end (the finished corpus)."""

    name: str
    source: str = "end"
    domain: str = "none"


@dataclass(frozen=True)
class Publication:
    """What a run leaves behind."""

    text_domain: str = "none"
    vocabulary: VocabularyChoice = field(default_factory=VocabularyChoice)
    renderings: list[Rendering] = field(default_factory=list)


@dataclass
class TextTask(Unit):
    """One partition of the finished corpus as JSONL.zst."""

    inputs: list[str]
    number: int
    documents: Path
    domain: str

    @property
    def name(self) -> str:
        return f"text/{self.number:05d}"

    def configuration(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "domain": self.domain, "zstandard": library_version("zstandard")}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.text import write_text_shard

        with outputs.open(self.root / f"{self.name}.jsonl.zst") as stream:
            return write_text_shard(stream, read_documents(self.documents), self.domain)


@dataclass
class VocabularyTask(Unit):
    """The tokenizer of every token set of the run: one vocabulary, so that all renderings can be compared."""

    inputs: list[str]
    choice: VocabularyChoice
    documents: list[Path]
    characters: int
    injected: list[Path]
    domains: list[str]
    reserved: list[str]

    @property
    def name(self) -> str:
        return "tokens/tokenizer"

    @property
    def path(self) -> Path:
        return self.root / f"{self.name}.json"

    def configuration(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "choice": self.choice.describe(),
            "domains": self.domains,
            "reserved": self.reserved,
            "tokenizers": library_version("tokenizers"),
        }

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.vocabulary import build_vocabulary

        vocabulary = build_vocabulary(
            kind=self.choice.kind,
            texts=self._sample(),
            size=self.choice.size,
            file=self.choice.file,
            domains=self.domains,
            reserved=self.reserved,
        )
        with outputs.scratch(self.path.parent) as scratch:
            vocabulary.save(scratch / self.path.name)
        return {"tokens": vocabulary.size, "hash": vocabulary.hash}

    def _sample(self) -> Iterator[str]:
        """Pages of the widest text, then injected text, each sampled by the hash of its keys."""
        share = min(1.0, SAMPLE / max(self.characters, 1))
        yield from self._texts(self.documents, False, share)
        yield from self._texts(self.injected, True, INJECTED_SHARE)

    @staticmethod
    def _texts(paths: list[Path], protected: bool, share: float) -> Iterator[str]:
        for path in paths:
            for document in read_documents(path):
                chosen = xxhash.xxh3_64_intdigest(document.key.encode()) < share * 2.0**64
                if chosen and document.protected == protected:
                    yield document.text


@dataclass
class TokenTask(Unit):
    """One partition in one rendering as a token shard."""

    inputs: list[str]
    number: int
    documents: Path
    rendering: Rendering
    vocabulary: Path
    sources: list[str]

    @property
    def name(self) -> str:
        return f"tokens/{self.rendering.name}/{self.number:05d}"

    def configuration(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "domain": self.rendering.domain,
            "sources": self.sources,
            "tokenizers": library_version("tokenizers"),
        }

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.rendering import write_token_shard
        from curate.shards.vocabulary import Vocabulary

        with outputs.scratch((self.root / self.name).parent) as scratch:
            return write_token_shard(
                scratch,
                self.number,
                read_documents(self.documents),
                Vocabulary.load(self.vocabulary),
                self.rendering.domain,
                self.sources,
            )


@dataclass
class TokenMetadataTask(Unit):
    """The file that makes a folder of token shards one set: tokenizer, sources, domains, counts, checksums."""

    inputs: list[str]
    rendering: Rendering
    vocabulary: Path
    sources: list[str]

    @property
    def name(self) -> str:
        return f"tokens/{self.rendering.name}/metadata"

    def configuration(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "domain": self.rendering.domain, "sources": self.sources}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.rendering import token_set_metadata
        from curate.shards.vocabulary import Vocabulary

        folder = (self.root / self.name).parent
        metadata = token_set_metadata(
            folder, self.rendering.name, Vocabulary.load(self.vocabulary), self.rendering.domain, self.sources
        )
        with outputs.open(folder / "metadata.json") as stream:
            stream.write(orjson.dumps(metadata, option=orjson.OPT_INDENT_2))
        return {"tokens": metadata["tokens"]}


@dataclass
class FactsTask(Unit):
    """The ground truth of what was injected, and the token spans to score it on."""

    inputs: list[str]
    step: Injection
    vocabulary: Path | None
    token_sets: list[Path]

    @property
    def name(self) -> str:
        return "facts/facts"

    def configuration(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "step": describe_step(self.step)}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.tokens import TokenShards

        used = None
        if self.token_sets:
            seen = [TokenShards.open(folder).used() for folder in self.token_sets]
            used = int(np.logical_or.reduce(seen).sum())
        with outputs.scratch(self.root / "facts") as scratch:
            self.step.write_facts(scratch, self.vocabulary, used)
        return {}


@dataclass(frozen=True)
class Finished:
    """What the stages of a run left: by stage, the files of documents and the manifests of all partitions."""

    steps: Sequence[Step]
    stages: Sequence[Stage]
    sources: list[str]
    documents: list[list[Path]]
    manifests: list[list[dict[str, Any]]]

    @property
    def injection(self) -> Injection | None:
        return next((step for step in self.steps if isinstance(step, Injection)), None)

    def stage_of(self, source: str) -> int:
        """The number of the stage that a rendering reads: that of `extract`, or the last."""
        if source == "extract":
            return next((stage.number for stage in self.stages if "extract" in stage.labels), 0)
        return len(self.stages) - 1

    def partitions(self, stage: int) -> Iterator[tuple[int, Path, list[str]]]:
        """Number, documents and content of each partition after a stage."""
        pairs = zip(self.documents[stage], self.manifests[stage], strict=True)
        for number, (path, manifest) in enumerate(pairs):
            yield number, path, content_of([manifest])


def publish(publication: Publication, finished: Finished, folder: OutputFolder, engine: LocalEngine) -> dict[str, int]:
    """Write everything a finished run leaves; returns the tokens of each rendering."""
    texts = [
        TextTask(folder.path, content, number, path, publication.text_domain)
        for number, path, content in finished.partitions(finished.stage_of("end"))
    ]
    folder.do(engine, "text shards", texts)
    tokens: dict[str, int] = {}
    vocabulary: VocabularyTask | None = None
    if publication.renderings:
        vocabulary = _vocabulary(publication, finished, folder.path)
        folder.do(engine, "vocabulary", [vocabulary])
        for rendering in publication.renderings:
            tokens[rendering.name] = _tokens(rendering, vocabulary, finished, folder, engine)
    if finished.injection is not None:
        inputs = [checksum(vocabulary.path)] if vocabulary else []
        # A tokenizer of the user's may hold many tokens that never occur; a trained one was made for this text.
        sets: list[Path] = []
        if vocabulary and publication.vocabulary.kind == "file":
            sets = [folder.path / "tokens" / rendering.name for rendering in publication.renderings]
            inputs += [checksum(one / "metadata.json") for one in sets]
        facts = FactsTask(folder.path, inputs, finished.injection, vocabulary.path if vocabulary else None, sets)
        folder.do(engine, "facts", [facts])
    return tokens


def _vocabulary(publication: Publication, finished: Finished, root: Path) -> VocabularyTask:
    # The widest text decides the vocabulary, so that no rendering meets bytes that training never saw.
    widest = min(finished.stage_of(rendering.source) for rendering in publication.renderings)
    last = finished.stage_of("end")
    manifests = finished.manifests[widest]
    reserved = finished.injection.reserved_tokens() if finished.injection else []
    # Injected text that is not made of reserved tokens is text to be encoded like any other.
    injected = finished.documents[last] if finished.injection and not reserved else []
    return VocabularyTask(
        root,
        content_of(manifests) + (content_of(finished.manifests[last]) if injected else []),
        choice=publication.vocabulary,
        documents=finished.documents[widest],
        characters=sum(counts[1] for manifest in manifests for counts in manifest["domains"]["kept"].values()),
        injected=injected,
        domains=_frequent_domains(finished, publication.vocabulary.domains),
        reserved=reserved,
    )


def _tokens(
    rendering: Rendering, vocabulary: VocabularyTask, finished: Finished, folder: OutputFolder, engine: LocalEngine
) -> int:
    """Write one set of token shards; returns its tokens."""
    label = f"tokens: {rendering.name}"
    identity = checksum(vocabulary.path)
    sources = finished.sources + (["inject"] if finished.injection else [])
    shards = folder.do(
        engine,
        label,
        [
            TokenTask(folder.path, [*content, identity], number, path, rendering, vocabulary.path, sources)
            for number, path, content in finished.partitions(finished.stage_of(rendering.source))
        ],
    )
    # The metadata describes every shard in the folder: no shard of an earlier run may lie there.
    folder.remove_strangers(f"tokens/{rendering.name}", "*.ds*")
    metadata = TokenMetadataTask(folder.path, [*content_of(shards), identity], rendering, vocabulary.path, sources)
    return folder.do(engine, label, [metadata])[0]["tokens"]


def _frequent_domains(finished: Finished, limit: int) -> list[str]:
    """Domains that get a token of their own: the most frequent of the finished corpus, and always the facts' own."""
    counts: dict[str, int] = {}
    for manifest in finished.manifests[-1]:
        for domain, (documents, _) in manifest["domains"]["kept"].items():
            if domain:
                counts[domain] = counts.get(domain, 0) + documents
    own = [finished.injection.domain] if finished.injection else []
    ranked = sorted(counts, key=lambda domain: (-counts[domain], domain))
    return own + [domain for domain in ranked if domain not in own][:limit]
