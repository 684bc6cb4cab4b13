"""What the stages of a run left, and everything that is published from it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.places.store import Place
from curate.run.engine import Engine
from curate.run.folder import OutputFolder
from curate.run.output import Publication, Rendering
from curate.run.publish import (
    FactsTask,
    LedgerTask,
    ReportTask,
    TextTask,
    TokenMetadataTask,
    TokenTask,
    VocabularyTask,
)
from curate.run.stage import Stage
from curate.run.tasks import DOCUMENTS, EVENTS, Part
from curate.run.unit import Unit, content_of
from curate.step import Injection, Step


@dataclass(frozen=True)
class Finished:
    """What the stages of a run left: by stage, the units' files of documents, of events, and manifests of all parts;
    and the records of its rounds, with what those of the first part hold."""

    steps: Sequence[Step]
    stages: Sequence[Stage]
    sources: list[str]
    parts: Sequence[Part]
    documents: list[list[Place]] = field(default_factory=list)
    events: list[list[Place]] = field(default_factory=list)
    manifests: list[list[dict[str, Any]]] = field(default_factory=list)
    reduced: list[tuple[list[Place], list[str]]] = field(default_factory=list)

    @property
    def injection(self) -> Injection | None:
        return next((step for step in self.steps if isinstance(step, Injection)), None)

    def stage_of(self, source: str) -> int:
        """The number of the stage that a rendering reads: that of `extract`, or the last."""
        if source == "extract":
            return next((stage.number for stage in self.stages if "extract" in stage.labels), 0)
        return len(self.stages) - 1

    def stage_with(self, step: Step) -> int:
        """The number of the stage that carries out a corpus step."""
        return next(stage.number for stage in self.stages if stage.corpus is step)

    def files(self, stage: int) -> Iterator[tuple[int, list[Place], list[str]]]:
        """For each input file: its number, the documents of its parts after a stage, and what they hold."""
        for number, members in self._members():
            places = [self.documents[stage][part] for part in members]
            yield number, places, content_of((self.manifests[stage][part] for part in members), DOCUMENTS)

    def all_events(self) -> Iterator[tuple[int, list[str], list[tuple[str, Place]], list[str]]]:
        """For each input file: its number, its names in keys, the events of all stages by stage, and what they hold."""
        for number, members in self._members():
            places = [(stage.folder, self.events[stage.number][part]) for stage in self.stages for part in members]
            found = (self.manifests[stage.number][part] for stage in self.stages for part in members)
            partition = self.parts[members[0]].partition
            names = [relative for _, relative in partition.files] or [partition.relative]
            yield number, [f"{partition.source}/{name}" for name in names], places, content_of(found, EVENTS)

    def _members(self) -> Iterator[tuple[int, list[int]]]:
        """The input files, and the numbers of each one's parts."""
        for number, group in itertools.groupby(self.parts, key=lambda part: part.partition_number):
            yield number, [part.number for part in group]


def publish(publication: Publication, finished: Finished, folder: OutputFolder, engine: Engine) -> dict[str, int]:
    """Write everything a finished run leaves; returns the tokens of each rendering."""
    texts: list[Unit] = [
        TextTask(folder.path, content, number, places, publication.text_domain)
        for number, places, content in finished.files(finished.stage_of("end"))
    ]
    folder.do(engine, "text shards", texts)
    ledgers: list[Unit] = [
        LedgerTask(folder.path, content, number, names, events, publication.keep_dropped)
        for number, names, events, content in finished.all_events()
    ]
    folder.do(engine, "ledger", ledgers)
    reports = list(_reports(finished, folder))
    if reports:
        folder.do(engine, "reports", reports)
    tokens: dict[str, int] = {}
    vocabulary: VocabularyTask | None = None
    identity: list[str] = []
    sets: dict[str, Place] = {}
    counted: list[str] = []
    if publication.renderings:
        vocabulary = _vocabulary(publication, finished, folder.path)
        identity = content_of(folder.do(engine, "vocabulary", [vocabulary]))
        for rendering in publication.renderings:
            metadata = _tokens(rendering, vocabulary, identity, finished, folder, engine)
            tokens[rendering.name] = metadata["tokens"]
            sets[rendering.name] = folder.path / "tokens" / rendering.name
            counted += content_of([metadata])
    if finished.injection is not None:
        placed, holds = finished.reduced[finished.stage_with(finished.injection)]
        facts = FactsTask(
            folder.path,
            [*identity, *counted, *holds],
            finished.injection,
            vocabulary.path if vocabulary else None,
            sets,
            # A tokenizer of the user's may hold many tokens that never occur; a trained one was made for this text.
            publication.vocabulary.kind == "file",
            placed,
        )
        folder.do(engine, "facts", [facts])
    return tokens


def _reports(finished: Finished, folder: OutputFolder) -> Iterator[Unit]:
    for stage in finished.stages:
        if stage.corpus is not None and stage.corpus.reports:
            places, _ = finished.reduced[stage.number]
            units = [place.relative_to(folder.path).as_posix().removesuffix(".records") for place in places]
            held = [digest for unit in units for digest in folder.manifests[unit]["sections"]]
            yield ReportTask(folder.path, held, stage.corpus, stage.labels[0], places, len(finished.parts))


def _vocabulary(publication: Publication, finished: Finished, root: Place) -> VocabularyTask:
    # The widest text decides the vocabulary, so that no rendering meets bytes that training never saw.
    widest = min(finished.stage_of(rendering.source) for rendering in publication.renderings)
    last = finished.stage_of("end")
    manifests = finished.manifests[widest]
    reserved = finished.injection.reserved_tokens() if finished.injection else []
    # Injected text that is not made of reserved tokens is text to be encoded like any other.
    injected = finished.documents[last] if finished.injection and not reserved else []
    inputs = content_of(manifests, DOCUMENTS)
    return VocabularyTask(
        root,
        inputs + (content_of(finished.manifests[last], DOCUMENTS) if injected else []),
        choice=publication.vocabulary,
        documents=finished.documents[widest],
        characters=sum(counts[1] for manifest in manifests for counts in manifest["domains"]["kept"].values()),
        injected=injected,
        domains=_frequent_domains(finished, publication.vocabulary.domains),
        reserved=reserved,
    )


def _tokens(
    rendering: Rendering,
    vocabulary: VocabularyTask,
    identity: list[str],
    finished: Finished,
    folder: OutputFolder,
    engine: Engine,
) -> dict[str, Any]:
    """Write one set of token shards; returns the manifest of its metadata."""
    label = f"tokens: {rendering.name}"
    sources = finished.sources + (["inject"] if finished.injection else [])
    tasks: list[Unit] = [
        TokenTask(folder.path, [*content, *identity], number, places, rendering, vocabulary.path, sources)
        for number, places, content in finished.files(finished.stage_of(rendering.source))
    ]
    shards = folder.do(engine, label, tasks)
    # The metadata describes every shard in the folder: no shard of an earlier run may lie there.
    folder.remove_strangers(f"tokens/{rendering.name}", "*.ds*")
    inputs = [*content_of(shards), *identity]
    return folder.do(engine, label, [TokenMetadataTask(folder.path, inputs, rendering, vocabulary.path, sources)])[0]


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
