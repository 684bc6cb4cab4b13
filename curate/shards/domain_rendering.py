"""Documents to token shards, with or without the domain in front of each, as text or as one token."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.errors import Refused, nearest
from curate.shards.text import domain_prefix
from curate.shards.tokens import NO_DOMAIN, TokenShardWriter, describe, dtype_for, save_metadata
from curate.shards.vocabulary import RENDERINGS, Vocabulary, VocabularyError

LONGEST_URL = 500
"""Most characters of a URL that are rendered."""

_BATCH_DOCUMENTS = 512
_BATCH_CHARACTERS = 4_000_000


def write_token_shard(
    folder: Path | str,
    number: int,
    documents: Iterable[Document],
    vocabulary: Vocabulary,
    rendering: str,
    sources: Sequence[str],
    bare: float = 0.0,
) -> dict[str, int]:
    """Write one partition as a token shard; returns the numbers of documents, tokens and injected documents.

    A document is `[domain] body <end of text>`. `prefix` encodes the domain, `url` the URL, and a newline, separately
    from the body, so the body has the same tokens in every rendering. A share `bare` of the documents, by the hash of
    their keys, gets no domain. Injected records become one reserved token a word; all other text is encoded as text.
    Raises VocabularyError, naming the document, where the vocabulary cannot encode one.
    """
    if rendering not in RENDERINGS:
        raise ValueError(f"the rendering of token shards must be one of {', '.join(RENDERINGS)}, not {rendering!r}")
    source_numbers = {name: place for place, name in enumerate(sources)}
    numbered = domain_number(vocabulary)
    injected = 0
    with TokenShardWriter(folder, number, dtype_for(vocabulary.size)) as writer:
        for batch in _batches(documents):
            bodies = _bodies(batch, vocabulary)
            fronts = zip(batch, _prefixes(batch, vocabulary, rendering), bodies, strict=True)
            for document, prefix, body in fronts:
                if bare and drawn(document.key, "bare") < bare * 2**64:
                    prefix = []
                if document.source not in source_numbers:
                    raise ValueError(f"{document.key}: source {document.source!r} is not one of {', '.join(sources)}")
                domain = numbered(document.domain)
                entity, exposure = _fact(document)
                injected += entity >= 0
                ids = [*prefix, *body, vocabulary.end_of_text]
                writer.add(ids, source_numbers[document.source], domain, entity, exposure, len(prefix))
    return {"documents": writer.documents, "tokens": writer.tokens, "injected": injected}


def domain_number(vocabulary: Vocabulary) -> Callable[[str | None], int]:
    """A function that gives the number under which a shard's table has a domain."""
    numbers = {entry["name"]: place for place, entry in enumerate(vocabulary.domain_table())}
    others = len(vocabulary.domains)
    return lambda domain: numbers.get(domain, others) if domain else NO_DOMAIN


def token_set_metadata(
    folder: Path | str, name: str, vocabulary: Vocabulary, rendering: str, sources: Sequence[str]
) -> dict[str, Any]:
    """The content of `metadata.json` for the shards that `write_token_shard` left in a folder."""
    return describe(
        folder,
        name=name,
        tokenizer="../tokenizer.json",
        tokenizer_hash=vocabulary.hash,
        vocabulary=vocabulary.size,
        dtype=dtype_for(vocabulary.size),
        end_of_text=vocabulary.end_of_text,
        domain_rendering=rendering,
        sources=sources,
        domains=vocabulary.domain_table(),
    )


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) == _BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _bodies(batch: Sequence[Document], vocabulary: Vocabulary) -> list[list[int]]:
    bodies: list[list[int] | None] = [_record(document, vocabulary) for document in batch]
    texts = [document for document, body in zip(batch, bodies, strict=True) if body is None]
    if texts and vocabulary.closed:
        raise VocabularyError(
            f"{texts[0].key} is not a compact record: the closed vocabulary holds no text; use kind `joint` for both"
        )
    encoded = iter(vocabulary.encode([document.text for document in texts]) if texts else [])
    return [next(encoded) if body is None else body for body in bodies]


def _record(document: Document, vocabulary: Vocabulary) -> list[int] | None:
    """The tokens of an injected text of reserved words, or None for a document that is encoded as text."""
    if not document.protected or not vocabulary.has(document.text.split(" ")):
        return None
    return vocabulary.encode_words(document.text)


def _prefixes(batch: Sequence[Document], vocabulary: Vocabulary, rendering: str) -> list[list[int]]:
    if rendering == "none":
        return [[] for _ in batch]
    return domain_tokens([(document.domain, document.url) for document in batch], vocabulary, rendering)


def domain_tokens(
    places: Sequence[tuple[str | None, str | None]], vocabulary: Vocabulary, rendering: str
) -> list[list[int]]:
    """The tokens in front of documents of these (domain, URL) pairs. Raises Refused for a rendering without them."""
    if rendering == "special":
        return [[vocabulary.domain_token(domain)] for domain, _ in places]
    if rendering == "hashed":
        return [[vocabulary.bucket_token(domain)] for domain, _ in places]
    if rendering == "prefix":
        return vocabulary.encode([domain_prefix(domain) for domain, _ in places])
    if rendering == "url":  # a document without a URL is rendered by its domain
        return vocabulary.encode([f"{url[:LONGEST_URL]}\n" if url else domain_prefix(domain) for domain, url in places])
    raise Refused(f"no tokens render a domain as {rendering!r}{nearest(rendering, RENDERINGS[1:])}")


def drawn(key: str, stream: str) -> int:
    """A number below 2^64 for a key, different in every named stream."""
    text = f"{stream}/{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _fact(document: Document) -> tuple[int, int]:
    # Only what was injected is protected: metadata of a page may claim anything.
    if not document.protected or "entity" not in document.metadata:
        return -1, -1
    return int(document.metadata["entity"]), int(document.metadata["exposure"])


def save_set(
    folder: Path | str,
    name: str,
    partitions: Iterable[Iterable[Document]],
    vocabulary: Vocabulary,
    rendering: str,
    sources: Sequence[str],
) -> dict[str, Any]:
    """Write a whole set at once, one shard for each partition, and its metadata, which is returned."""
    for number, documents in enumerate(partitions):
        write_token_shard(folder, number, documents, vocabulary, rendering, sources)
    metadata = token_set_metadata(folder, name, vocabulary, rendering, sources)
    save_metadata(folder, metadata)
    return metadata
