"""The end of a run: text shards, the vocabulary, token shards in each rendering, and the facts beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import xxhash

from curate.run.tasks import Beat, Task, read_documents
from curate.run.unit import Outputs, checksum, content_of, describe_step, fingerprint, finished, library_version
from curate.step import Injection

if TYPE_CHECKING:
    from curate.run.corpus import CorpusRun
    from curate.run.local import LocalEngine

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
class _Unit:
    """What the units of this page share: a place, inputs by content, and a configuration that shapes the output."""

    root: Path
    inputs: list[str]

    @property
    def name(self) -> str:
        raise NotImplementedError

    def configuration(self) -> dict[str, Any]:
        raise NotImplementedError

    def write(self, outputs: Outputs, beat: Beat) -> dict[str, Any]:
        raise NotImplementedError

    def run(self, beat: Beat) -> dict[str, Any]:
        wanted = fingerprint({"inputs": self.inputs, **self.configuration()})
        done = finished(self.root, self.name, wanted)
        if done is not None:
            return {**done, "skipped_unit": True}
        outputs = Outputs(self.root, self.name)
        return outputs.commit(wanted, **self.write(outputs, beat))


@dataclass
class TextTask(_Unit):
    """One partition of the finished corpus as JSONL.zst."""

    number: int
    documents: Path
    domain: str

    @property
    def name(self) -> str:
        return f"text/{self.number:05d}"

    def configuration(self) -> dict[str, Any]:
        return {"domain": self.domain, "zstandard": library_version("zstandard")}

    def write(self, outputs: Outputs, beat: Beat) -> dict[str, Any]:
        from curate.shards.text import write_text_shard

        with outputs.open(self.root / f"{self.name}.jsonl.zst") as stream:
            return write_text_shard(stream, read_documents(self.documents), self.domain)


@dataclass
class VocabularyTask(_Unit):
    """The tokenizer of every token set of the run: one vocabulary, so that all renderings can be compared."""

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
            "choice": self.choice.describe(),
            "domains": self.domains,
            "reserved": self.reserved,
            "tokenizers": library_version("tokenizers"),
        }

    def write(self, outputs: Outputs, beat: Beat) -> dict[str, Any]:
        from curate.shards.vocabulary import build_vocabulary

        vocabulary = build_vocabulary(
            kind=self.choice.kind,
            texts=self._sample(beat),
            size=self.choice.size,
            file=self.choice.file,
            domains=self.domains,
            reserved=self.reserved,
        )
        with outputs.scratch(self.path.parent) as scratch:
            vocabulary.save(scratch / self.path.name)
        return {"tokens": vocabulary.size, "hash": vocabulary.hash}

    def _sample(self, beat: Beat) -> Iterator[str]:
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
class TokenTask(_Unit):
    """One partition in one rendering as a token shard."""

    number: int
    documents: Path
    rendering: Rendering
    vocabulary: Path
    sources: list[str]

    @property
    def name(self) -> str:
        return f"tokens/{self.rendering.name}/{self.number:05d}"

    def configuration(self) -> dict[str, Any]:
        return {"domain": self.rendering.domain, "sources": self.sources, "tokenizers": library_version("tokenizers")}

    def write(self, outputs: Outputs, beat: Beat) -> dict[str, Any]:
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
class TokenMetadataTask(_Unit):
    """The file that makes a folder of token shards one set: tokenizer, sources, domains, counts, checksums."""

    rendering: Rendering
    vocabulary: Path
    sources: list[str]

    @property
    def name(self) -> str:
        return f"tokens/{self.rendering.name}/metadata"

    def configuration(self) -> dict[str, Any]:
        return {"domain": self.rendering.domain, "sources": self.sources}

    def write(self, outputs: Outputs, beat: Beat) -> dict[str, Any]:
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
class FactsTask(_Unit):
    """The ground truth of what was injected, and the token spans to score it on."""

    step: Injection
    vocabulary: Path | None
    token_sets: list[Path]

    @property
    def name(self) -> str:
        return "facts/facts"

    def configuration(self) -> dict[str, Any]:
        return {"step": describe_step(self.step)}

    def write(self, outputs: Outputs, beat: Beat) -> dict[str, Any]:
        from curate.shards.tokens import TokenShards

        used = None
        if self.token_sets:
            seen = [TokenShards.open(folder).used() for folder in self.token_sets]
            used = int(np.logical_or.reduce(seen).sum())
        with outputs.scratch(self.root / "facts") as scratch:
            self.step.write_facts(scratch, self.vocabulary, used)
        return {}


def publish(run: CorpusRun, engine: LocalEngine) -> dict[str, int]:
    """Write everything a finished run leaves; returns the tokens of each rendering."""
    last = len(run.stages) - 1
    final = run.documents_after(last)
    texts = [
        TextTask(run.out, content_of([manifest]), number, path, run.publication.text_domain)
        for number, (path, manifest) in enumerate(zip(final, run.manifests_of(last), strict=True))
    ]
    run.do(engine, "text shards", texts)
    injection = next((step for step in run.steps if isinstance(step, Injection)), None)
    tokens: dict[str, int] = {}
    vocabulary: VocabularyTask | None = None
    if run.publication.renderings:
        vocabulary, tokens = _tokens(run, engine, injection)
    if injection is not None:
        inputs = [checksum(vocabulary.path)] if vocabulary else []
        # A tokenizer of the user's may hold many tokens that never occur; a trained one was made for this text.
        sets: list[Path] = []
        if vocabulary and run.publication.vocabulary.kind == "file":
            sets = [run.out / "tokens" / rendering.name for rendering in run.publication.renderings]
            inputs += [checksum(folder / "metadata.json") for folder in sets]
        facts: Task = FactsTask(run.out, inputs, injection, vocabulary.path if vocabulary else None, sets)
        run.do(engine, "facts", [facts])
    return tokens


def _tokens(run: CorpusRun, engine: LocalEngine, injection: Injection | None) -> tuple[VocabularyTask, dict[str, int]]:
    extracted = next((stage.number for stage in run.stages if "extract" in stage.labels), 0)
    number_of = {"extract": extracted, "end": len(run.stages) - 1}
    # The widest text decides the vocabulary, so that no rendering meets bytes that training never saw.
    widest = min(number_of[rendering.source] for rendering in run.publication.renderings)
    manifests = run.manifests_of(widest)
    reserved = injection.reserved_tokens() if injection else []
    # Injected text that is not made of reserved tokens is text to be encoded like any other.
    injected = [] if reserved or injection is None else run.documents_after(len(run.stages) - 1)
    content = content_of(manifests) + (content_of(run.manifests_of(len(run.stages) - 1)) if injected else [])
    vocabulary = VocabularyTask(
        run.out,
        content,
        choice=run.publication.vocabulary,
        documents=run.documents_after(widest),
        characters=sum(counts[1] for manifest in manifests for counts in manifest["domains"]["kept"].values()),
        domains=_frequent_domains(run, injection),
        injected=injected,
        reserved=reserved,
    )
    run.do(engine, "vocabulary", [vocabulary])
    identity = checksum(vocabulary.path)
    sources = sorted({partition.source for partition in run.partitions}) + (["inject"] if injection else [])
    tokens: dict[str, int] = {}
    for rendering in run.publication.renderings:
        stage = number_of[rendering.source]
        tasks = [
            TokenTask(run.out, [*content_of([manifest]), identity], number, path, rendering, vocabulary.path, sources)
            for number, (path, manifest) in enumerate(
                zip(run.documents_after(stage), run.manifests_of(stage), strict=True)
            )
        ]
        shards = run.do(engine, f"tokens: {rendering.name}", tasks)
        # The metadata describes every shard in the folder: no shard of an earlier run may lie there.
        run.remove_strangers(run.out / "tokens" / rendering.name, "*.ds*")
        metadata = TokenMetadataTask(run.out, [*content_of(shards), identity], rendering, vocabulary.path, sources)
        tokens[rendering.name] = run.do(engine, f"tokens: {rendering.name}", [metadata])[0]["tokens"]
    return vocabulary, tokens


def _frequent_domains(run: CorpusRun, injection: Injection | None) -> list[str]:
    """Domains that get a token of their own: the most frequent of the finished corpus, and always the facts' own."""
    counts: dict[str, int] = {}
    for manifest in run.manifests_of(len(run.stages) - 1):
        for domain, (documents, _) in manifest["domains"]["kept"].items():
            if domain:
                counts[domain] = counts.get(domain, 0) + documents
    own = [injection.domain] if injection else []
    ranked = sorted(counts, key=lambda domain: (-counts[domain], domain))
    return own + [domain for domain in ranked if domain not in own][: run.publication.vocabulary.domains]
