"""Corpora to be compared: their text read back, one tokenizer for all of them, and each as token shards."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.document import Document
from curate.shards.rendering import save_set
from curate.shards.text import domain_prefix, read_text_shard
from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import Vocabulary, build_vocabulary

HELD_OUT = 50
"""One document of so many is kept out of training, to measure loss on."""
FEWEST = 20
"""Documents that a corpus must have, or it is no corpus to compare."""
LEARNT_FROM = 4_000_000
"""Characters of each corpus that a shared tokenizer is trained on at most."""


@dataclass(frozen=True)
class Corpus:
    """The text of a finished run, without what was injected into it."""

    name: str
    folder: Path

    def documents(self, held_out: bool) -> Iterator[Document]:
        """The documents to train on, or those that are held out; which is which follows from a document's key."""
        for path in sorted((self.folder / "text").glob("*.jsonl.zst")):
            for row in read_text_shard(path):
                if row["injected"] or (_word(row["id"], "held out") % HELD_OUT == 0) != held_out:
                    continue
                text = row["text"].removeprefix(domain_prefix(row["domain"] or None)) if row["domain"] else row["text"]
                yield Document(key=row["id"], text=text, domain=row["domain"] or None, source="corpus")


@dataclass(frozen=True)
class Tokenised:
    """A corpus as token shards: `tokens` to train on, of which `used` after sub-sampling, and those held out."""

    name: str
    folder: Path
    held_out: Path
    documents: int
    tokens: int
    used: int


def open_corpus(name: str, path: Path) -> Corpus:
    """The corpus in the folder of a finished run. Raises ValueError where there is none."""
    if not any((path / "text").glob("*.jsonl.zst")):
        raise ValueError(
            f"{path} holds no text of a finished run: it wants {path / 'text'}/*.jsonl.zst, which `goldsand run` leaves"
        )
    return Corpus(name, path)


def shared_vocabulary(
    corpora: Sequence[Corpus], facts: Iterator[str], domain: str, file: Path | None, size: int
) -> Vocabulary:
    """One byte-level BPE of `size` tokens, trained on as much of each corpus and on facts; or that of a file."""
    if file is not None:
        return build_vocabulary(kind="file", file=file, domains=[domain])
    texts = itertools.chain(facts, *(_some(corpus) for corpus in corpora))
    return build_vocabulary(kind="bpe", texts=texts, size=size, domains=[domain])


def _some(corpus: Corpus) -> Iterator[str]:
    characters = 0
    for document in corpus.documents(held_out=False):
        yield document.text
        characters += len(document.text)
        if characters >= LEARNT_FROM:
            return


def tokenised(corpora: Sequence[Corpus], vocabulary: Vocabulary, out: Path, equal: bool) -> list[Tokenised]:
    """Each corpus as `out`/NAME and `out`/NAME.held-out; with `equal` the larger ones are sub-sampled, document by
    document, to about the tokens of the smallest. Raises ValueError for a corpus that is none."""
    sizes = {}
    for corpus in corpora:
        documents = sum(1 for _ in corpus.documents(held_out=False))
        if documents < FEWEST:
            raise ValueError(
                f"{corpus.folder} holds {documents} documents besides what was injected: too few to compare (at least"
                f" {FEWEST}); a corpus that repeats little text stores facts well, and is no better for it"
            )
        _write(corpus, vocabulary, out / corpus.name, held_out=False)
        _write(corpus, vocabulary, out / f"{corpus.name}.held-out", held_out=True)
        sizes[corpus.name] = documents, _tokens(out / corpus.name)
    least = min(tokens for _, tokens in sizes.values())
    found = []
    for corpus in corpora:
        documents, tokens = sizes[corpus.name]
        folder, used = out / corpus.name, tokens
        if equal and tokens > 1.02 * least:
            folder = out / f"{corpus.name}.sample"
            _write(corpus, vocabulary, folder, held_out=False, share=least / tokens)
            used = _tokens(folder)
        found.append(Tokenised(corpus.name, folder, out / f"{corpus.name}.held-out", documents, tokens, used))
    return found


def _write(corpus: Corpus, vocabulary: Vocabulary, folder: Path, held_out: bool, share: float = 1.0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    documents = (
        document
        for document in corpus.documents(held_out)
        if share == 1.0 or _word(document.key, "sample") < share * 2**64
    )
    save_set(folder, folder.name, [documents], vocabulary, "none", ["corpus"])


def _tokens(folder: Path) -> int:
    return sum(len(shard.tokens) for shard in TokenShards.open(folder).shards)


def _word(key: str, stream: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{stream}/{key}".encode(), digest_size=8).digest(), "little")
