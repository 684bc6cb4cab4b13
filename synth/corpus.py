"""A corpus of facts and nothing else: token shards and ground truth for probes that need no pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curate.shards.rendering import save_set, token_set_metadata
from curate.shards.tokens import DOCUMENT, TokenShards, TokenShardWriter, dtype_for, save_metadata
from curate.shards.vocabulary import Vocabulary, build_vocabulary
from synth.bundle import compile_bundle
from synth.codes import RECORDS, reserved_words
from synth.ground_truth import write_facts
from synth.inject import Inject
from synth.placed import SOURCE, Placed
from synth.scoring import record_tokens

TRAINED_ON = 20_000
"""Texts on which the vocabulary of a corpus of sentences is trained at most."""

_ROWS = 1 << 16


def facts_corpus(
    folder: Path | str,
    inject: Inject,
    *,
    name: str | None = "facts",
    vocabulary: Vocabulary | None = None,
    used: int | None = None,
) -> str | None:
    """Write `tokens/NAME/`, `tokens/tokenizer.json` and `facts/`, as a run would that had no pages.

    Without a `name` no text is written: trainers draw it from `facts/bundle.npz`. Without a vocabulary, records get the
    closed one, sentences a byte-level BPE of 1 024 tokens trained on them.
    `used` is how many tokens of the vocabulary occur in what models train on, where that is more than these texts.
    Documents stand in the order of their appearances, none with its domain rendered. Returns why there is no bundle;
    raises FactsError for that where there is to be no text.
    """
    folder = Path(folder)
    placed = inject.placed()
    table = placed.table
    if vocabulary is None:
        vocabulary = own_vocabulary(placed)
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / "tokens" / "tokenizer.json")
    facts = folder / "facts"
    facts.mkdir(exist_ok=True)
    if name is None:
        bundle = compile_bundle(table, vocabulary)
        occurring = set(bundle.arrays["tokens"].tolist()) | {vocabulary.end_of_text}
        # The tag is used by arms that carry it, and all arms share one size.
        used = used or len(occurring) + 1
        return write_facts(facts, placed, folder / "tokens" / "tokenizer.json", used, {}, bundle)
    tokens = folder / "tokens" / name
    tokens.mkdir(exist_ok=True)
    if table.kind == "compact":
        _write_records(tokens, placed, vocabulary)
        save_metadata(tokens, token_set_metadata(tokens, name, vocabulary, "none", [SOURCE]))
    else:
        save_set(tokens, name, [placed.documents(0, placed.total)], vocabulary, "none", [SOURCE])
        # The tag is used by arms that carry it, and all arms share one size.
        used = used or int(TokenShards.open(tokens).used().sum()) + 1
    return write_facts(facts, placed, tokens.parent / "tokenizer.json", used, {name: tokens})


def own_vocabulary(placed: Placed, size: int = 1024) -> Vocabulary:
    """The vocabulary of a corpus that is facts alone."""
    table = placed.table
    if table.kind in RECORDS:
        return build_vocabulary(kind="compact", domains=[table.domain], reserved=reserved_words(table))
    texts = (document.text for document in placed.documents(0, min(TRAINED_ON, placed.total)))
    return build_vocabulary(kind="bpe", texts=texts, size=size, domains=[table.domain])


def _write_records(folder: Path, placed: Placed, vocabulary: Vocabulary) -> None:
    """All appearances of compact records, without the way through their text."""
    table = placed.table
    records = record_tokens(table, vocabulary)
    records = np.concatenate([records, np.full((len(table), 1), vocabulary.end_of_text)], axis=1)
    own = [entry["name"] for entry in vocabulary.domain_table()].index(table.domain)
    with TokenShardWriter(folder, 0, dtype_for(vocabulary.size)) as writer:
        for begin in range(0, placed.total, _ROWS):
            entities, exposures = placed.schedule.between(begin, min(begin + _ROWS, placed.total))
            rows = np.zeros(len(entities), DOCUMENT)
            rows["domain"], rows["entity"], rows["exposure"] = own, entities, exposures
            writer.add_rows(records[entities], rows)
