"""A corpus of facts and nothing else: token shards and ground truth for probes that need no pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from curate.shards.domain_rendering import save_set, token_set_metadata
from curate.shards.text import write_text_shard
from curate.shards.tokens import DOCUMENT, TokenShards, TokenShardWriter, dtype_for, save_metadata
from curate.shards.vocabulary import Vocabulary, build_vocabulary
from synth.bundle import compile_bundle
from synth.codes import RECORDS, reserved_words
from synth.facts import FactTable
from synth.ground_truth import write_facts
from synth.inject import Inject
from synth.kinds import writer_of
from synth.placed import SOURCE, Placed
from synth.scoring import record_tokens

TRAINED_ON = 20_000
"""At most so many texts train the vocabulary of a corpus of sentences."""

SAMPLED = 2000
"""Texts on which tokens are counted."""

SHARD = 250_000
"""Documents of one text shard."""

_ROWS = 1 << 16


def facts_corpus(
    folder: Path | str,
    inject: Inject,
    *,
    name: str | None = "facts",
    vocabulary: Vocabulary | None = None,
    used: int | None = None,
) -> str | None:
    """Write `tokens/NAME/`, `tokens/tokenizer.json` and `facts/`, as a run without pages would.

    Without a `name` no text is written: trainers draw it from `facts/bundle.npz`. Without a vocabulary, records get the
    closed one, sentences a byte-level BPE of 1 024 tokens trained on them.
    `used` is how many tokens of the vocabulary occur in what models train on, where that is more than these texts.
    Documents are in the order of their appearances, without a rendered domain. Returns why no bundle can be made (None:
    it is written); without a `name` that raises FactsError.
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


def new_corpus(out: Path, inject: Inject, vocabulary: Vocabulary) -> str | None:
    """Write what `facts_corpus` writes, and the same documents as `text/`, into a new folder.

    All of it is written beside `out` and moved there at the end. Returns what `facts_corpus` returns; raises OSError
    where `out` is not empty.
    """
    placed = inject.placed()
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "text").mkdir(parents=True)
    for number, begin in enumerate(range(0, placed.total, SHARD)):
        with (part / "text" / f"{number:05d}.jsonl.zst").open("wb") as stream:
            write_text_shard(stream, placed.documents(begin, min(begin + SHARD, placed.total)))
    lacking = facts_corpus(part, inject, vocabulary=vocabulary)
    if out.exists():
        out.rmdir()
    part.rename(out)
    return lacking


def own_vocabulary(placed: Placed, size: int = 1024) -> Vocabulary:
    """The vocabulary of a corpus of facts alone."""
    table = placed.table
    if table.kind in RECORDS:
        return build_vocabulary(kind="compact", domains=[table.domain], reserved=reserved_words(table))
    texts = (document.text for document in placed.documents(0, min(TRAINED_ON, placed.total)))
    return build_vocabulary(kind="bpe", texts=texts, size=size, domains=[table.domain])


def text_tokens(table: FactTable, kind: str, size: int, file: Path | None) -> tuple[float, int, int]:
    """Mean tokens of a text (its end of text included), tokens of the vocabulary, and how many texts were counted.

    `kind`, `size` and `file` are those of `build_vocabulary`: of a `file` only tokens that occur are counted, a BPE is
    trained on the texts. Records have one token for each word.
    """
    shown = np.arange(min(SAMPLED, len(table)))
    texts = list(writer_of(table).texts(shown, np.zeros(len(shown), np.int64)))
    if table.kind in RECORDS:
        words = len(reserved_words(table))
        vocabulary_size = size + words if kind == "joint" else words
        return 1 + sum(text.count(" ") + 1 for text in texts) / len(texts), vocabulary_size + 3, len(texts)
    if file is not None:
        vocabulary = build_vocabulary(kind="file", file=file, domains=[table.domain])
    else:
        vocabulary = build_vocabulary(kind="bpe", texts=texts, size=size, domains=[table.domain])
    ids = vocabulary.encode(texts)
    used = len({one for text in ids for one in text}) if file is not None else vocabulary.size
    return 1 + sum(map(len, ids)) / len(ids), used, len(texts)


def _write_records(folder: Path, placed: Placed, vocabulary: Vocabulary) -> None:
    """Write all appearances of compact records straight as tokens, without their text."""
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
