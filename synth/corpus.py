"""A corpus of facts and nothing else: token shards and ground truth for probes that need no pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curate.shards.rendering import save_set, token_set_metadata
from curate.shards.tokens import DOCUMENT, TokenShards, TokenShardWriter, dtype_for, save_metadata
from curate.shards.vocabulary import Vocabulary, build_vocabulary
from synth.codes import reserved_words
from synth.facts import FactTable
from synth.inject import SOURCE, Inject, exposure_order, injected
from synth.scoring import record_tokens, write_scoring

TRAINED_ON = 20_000
"""Biographies on which the vocabulary of a corpus of people is trained at most."""


def facts_corpus(
    folder: Path | str, inject: Inject, *, name: str = "facts", vocabulary: Vocabulary | None = None
) -> None:
    """Write `tokens/NAME/`, `tokens/tokenizer.json` and `facts/`, as a run would that had no pages.

    Without a vocabulary, compact records get the closed one, people a byte-level BPE of 1 024 tokens trained on
    biographies. Documents stand exposure after exposure, none with its domain rendered.
    """
    folder = Path(folder)
    table = inject.table()
    if vocabulary is None:
        vocabulary = _own_vocabulary(table)
    tokens = folder / "tokens" / name
    tokens.mkdir(parents=True, exist_ok=True)
    vocabulary.save(tokens.parent / "tokenizer.json")
    used = None
    if table.kind == "compact":
        _write_records(tokens, table, vocabulary)
        save_metadata(tokens, token_set_metadata(tokens, name, vocabulary, "none", [SOURCE]))
    else:
        documents = injected(table, 0, table.people * table.exposures)
        save_set(tokens, name, [documents], vocabulary, "none", [SOURCE])
        # The tag is used by arms that carry it, and all arms share one size.
        used = int(TokenShards.open(tokens).used().sum()) + 1
    table.save(folder / "facts")
    write_scoring(folder / "facts", table, vocabulary, used=used)


def _own_vocabulary(table: FactTable) -> Vocabulary:
    if table.kind == "compact":
        return build_vocabulary(kind="compact", domains=[table.domain], reserved=reserved_words(table))
    texts = (document.text for document in injected(table, 0, min(TRAINED_ON, table.people * table.exposures)))
    return build_vocabulary(kind="bpe", texts=texts, size=1024, domains=[table.domain])


def _write_records(folder: Path, table: FactTable, vocabulary: Vocabulary) -> None:
    """All exposures of compact records, a whole exposure at a time."""
    records = record_tokens(table, vocabulary)
    records = np.concatenate([records, np.full((table.people, 1), vocabulary.end_of_text)], axis=1)
    own = [entry["name"] for entry in vocabulary.domain_table()].index(table.domain)
    with TokenShardWriter(folder, 0, dtype_for(vocabulary.size)) as writer:
        for exposure in range(table.exposures):
            order = exposure_order(table, exposure)
            rows = np.zeros(table.people, DOCUMENT)
            rows["domain"], rows["entity"], rows["exposure"] = own, order, exposure
            writer.add_rows(records[order], rows)
