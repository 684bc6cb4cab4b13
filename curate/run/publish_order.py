"""The order in which a finished run is published: text, ledger, reports, vocabulary, token sets, facts.

The units that do it are in `publish.py` and `publish_tokens.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from curate.places.store import Place
from curate.run.engine import Engine
from curate.run.folder import OutputFolder
from curate.run.output import Publication, Rendering
from curate.run.publish import FactsTask, LedgerTask, ReportTask, TextTask
from curate.run.publish_tokens import TokenMetadataTask, TokenTask, VocabularyTask
from curate.run.stage_outputs import StageOutputs
from curate.run.tasks import DOCUMENTS
from curate.run.unit import Unit, content_of
from curate.step import Rule


def publish(publication: Publication, outputs: StageOutputs, folder: OutputFolder, engine: Engine) -> dict[str, int]:
    """Write everything that a finished run publishes; returns the tokens of each rendering."""
    texts: list[Unit] = [
        TextTask(folder.path, files, publication.text_domain) for files in outputs.files(outputs.stage_of("end"))
    ]
    folder.do(engine, "text shards", texts)
    ledgers: list[Unit] = [
        LedgerTask(folder.path, files, names, stages, publication.keep_dropped, removed=_removed(outputs))
        for files, names, stages in outputs.all_events()
    ]
    folder.do(engine, "ledger", ledgers)
    reports = list(_reports(outputs, folder))
    if reports:
        folder.do(engine, "reports", reports)
    tokens: dict[str, int] = {}
    vocabulary: VocabularyTask | None = None
    identity: list[str] = []
    sets: dict[str, Place] = {}
    counted: list[str] = []
    if publication.renderings:
        vocabulary = _vocabulary(publication, outputs, folder.path)
        identity = content_of(folder.do(engine, "vocabulary", [vocabulary]))
        for rendering in publication.renderings:
            metadata = _tokens(rendering, vocabulary, identity, outputs, folder, engine)
            tokens[rendering.name] = metadata["tokens"]
            sets[rendering.name] = folder.path / "tokens" / rendering.name
            counted += content_of([metadata])
    if outputs.injection is not None:
        placed, holds = outputs.reduced[outputs.stage_with(outputs.injection)]
        facts = FactsTask(
            folder.path,
            [*identity, *counted, *holds],
            outputs.injection,
            vocabulary.path if vocabulary else None,
            sets,
            # A user's tokenizer may hold many tokens that never occur; a trained one was made for this text.
            publication.vocabulary.kind == "file",
            placed,
        )
        folder.do(engine, "facts", [facts])
    return tokens


def _removed(outputs: StageOutputs) -> list[Rule]:
    return [step for step in outputs.steps if isinstance(step, Rule) and step.removes]


def _reports(outputs: StageOutputs, folder: OutputFolder) -> Iterator[Unit]:
    for stage in outputs.stages:
        if stage.corpus is not None and stage.corpus.reports:
            places, _ = outputs.reduced[stage.number]
            units = [place.relative_to(folder.path).as_posix().removesuffix(".records") for place in places]
            held = [digest for unit in units for digest in folder.manifests[unit]["sections"]]
            yield ReportTask(folder.path, held, stage.corpus, stage.labels[0], places, len(outputs.parts))


def _vocabulary(publication: Publication, outputs: StageOutputs, root: Place) -> VocabularyTask:
    # The widest text decides the vocabulary, so that no rendering has bytes that training did not see.
    widest = outputs.widest(rendering.source for rendering in publication.renderings)
    last = outputs.stage_of("end")
    manifests = outputs.manifests[widest]
    reserved = outputs.injection.reserved_tokens() if outputs.injection else []
    # Injected text without reserved tokens is encoded like any other text.
    injected = outputs.documents[last] if outputs.injection and not reserved else []
    inputs = content_of(manifests, DOCUMENTS)
    return VocabularyTask(
        root,
        inputs,
        content_of(outputs.manifests[last], DOCUMENTS) if injected else [],
        choice=publication.vocabulary,
        documents=outputs.documents[widest],
        characters=outputs.characters(widest),
        injected=injected,
        domains=_frequent_domains(outputs, publication.vocabulary.domains),
        reserved=reserved,
    )


def _tokens(
    rendering: Rendering,
    vocabulary: VocabularyTask,
    identity: list[str],
    outputs: StageOutputs,
    folder: OutputFolder,
    engine: Engine,
) -> dict[str, Any]:
    """Write one set of token shards; returns the manifest of its metadata."""
    label = f"tokens: {rendering.name}"
    sources = outputs.sources + (["inject"] if outputs.injection else [])
    # The last stage has left them out itself.
    removed = _removed(outputs) if rendering.source != "end" else []
    tasks: list[Unit] = [
        TokenTask(folder.path, files, identity, rendering, vocabulary.path, sources, removed=removed)
        for files in outputs.files(outputs.stage_of(rendering.source))
    ]
    shards = folder.do(engine, label, tasks)
    # The metadata describes every shard in the folder: shards of an earlier run must be removed first.
    folder.remove_strangers(f"tokens/{rendering.name}", "*.ds*")
    folder.refuse_strangers(f"tokens/{rendering.name}", "*.ds*")
    inputs = [*content_of(shards), *identity]
    return folder.do(engine, label, [TokenMetadataTask(folder.path, inputs, rendering, vocabulary.path, sources)])[0]


def _frequent_domains(outputs: StageOutputs, limit: int) -> list[str]:
    """Domains that get a token of their own: the most frequent of the finished corpus, and always the facts' own."""
    counts: dict[str, int] = {}
    for manifest in outputs.manifests[-1]:
        for domain, (documents, _) in manifest["domains"]["kept"].items():
            if domain:
                counts[domain] = counts.get(domain, 0) + documents
    own = [outputs.injection.domain] if outputs.injection else []
    ranked = sorted(counts, key=lambda domain: (-counts[domain], domain))
    return own + [domain for domain in ranked if domain not in own][:limit]
