"""Documents as lines of JSON: between stages with all their fields, and as the text shards that a user opens.

Text in shards is valid UTF-8. A crawl can hold lone surrogates (half of a character); here, at the boundary, each
becomes U+FFFD, and two halves that belong together become their character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import zstandard

from curate.document import Document
from curate.errors import Refused

LEVEL = 3
DEPTH = 32
"""How deep metadata may be nested; a note replaces deeper levels."""

RENDERINGS = ("none", "prefix")


def well_formed(text: str) -> str:
    """The text with surrogates paired or replaced by U+FFFD; a text without any comes back as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def domain_prefix(domain: str | None) -> str:
    """The plain rendering of a domain: its name on a line of its own, in front of the text. Empty without a domain.

    A domain has 253 characters at most (RFC 1035); a longer one is cut there.
    """
    return f"{domain[:253]}\n" if domain else ""


def document_to_json(document: Document) -> bytes:
    """One line, newline included, from which `document_from_json` makes the same document.

    Raw HTML and the edits of the current stage are not part of it: the next stage does not use them.
    """
    row = {
        "key": document.key,
        "text": document.text,
        "url": document.url,
        "domain": document.domain,
        "source": document.source,
        "metadata": document.metadata,
        "protected": document.protected,
    }
    return _dumps(row) + b"\n"


def document_from_json(line: bytes) -> Document:
    row = orjson.loads(line)
    return Document(
        key=row["key"],
        text=row["text"],
        url=row["url"],
        domain=row["domain"],
        source=row["source"],
        metadata=row["metadata"],
        protected=row["protected"],
    )


def text_row(document: Document, domain: str = "none") -> dict[str, Any]:
    """The row of a text shard: id, text, url, domain, source, language, injected, metadata.

    The columns and their types are the same in every row of every shard: what is missing is an empty string, never
    null, and `metadata` is a JSON string, so that `datasets.load_dataset("json")` infers one schema.
    """
    prefix = domain_prefix(document.domain) if domain == "prefix" else ""
    return {
        "id": document.key,
        "text": prefix + document.text,
        "url": document.url or "",
        "domain": document.domain or "",
        "source": document.source,
        "language": str(document.metadata.get("language") or ""),
        "injected": document.protected,
        "metadata": _dumps(document.metadata).decode(),
    }


def shard_compressor() -> zstandard.ZstdCompressor:
    """What packs text shards, one after the other: each has a checksum, so that any reader notices damage."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)


def write_text_shard(
    stream: BinaryIO,
    documents: Iterable[Document],
    domain: str = "none",
    compressor: zstandard.ZstdCompressor | None = None,
) -> dict[str, int]:
    """Write documents as JSONL.zst; returns the numbers of documents and of characters (of text, without prefixes).

    `domain` is `none` or `prefix` (see `domain_prefix`). Whoever writes many shards gives their `shard_compressor`.
    """
    if domain not in RENDERINGS:
        raise ValueError(f"the rendering of text shards must be one of {', '.join(RENDERINGS)}, not {domain!r}")
    counts = {"documents": 0, "characters": 0}
    with (compressor or shard_compressor()).stream_writer(stream, closefd=False) as compressed:
        for document in documents:
            compressed.write(_dumps(text_row(document, domain)) + b"\n")
            counts["documents"] += 1
            counts["characters"] += len(document.text)
    return counts


def read_lines(path: Path | str, on_bytes: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """The lines of a JSONL.zst file written by goldsand, without their newlines.

    `on_bytes` is called with the number of further bytes of the file whose lines were taken. Raises Refused for a file
    that is cut off or damaged.
    """
    path = Path(path) if isinstance(path, str) else path
    inflate = zstandard.ZstdDecompressor().decompressobj()
    begun: list[bytes] = []
    with path.open("rb") as stream:
        while block := stream.read(1 << 16):
            try:
                *lines, rest = inflate.decompress(block).split(b"\n")
            except zstandard.ZstdError as error:
                raise Refused(f"{path} is damaged ({error})") from None
            if lines:
                yield b"".join([*begun, lines[0]])
                yield from lines[1:]
                begun = []
            begun.append(rest)
            if on_bytes is not None:
                on_bytes(len(block))
    if not inflate.eof:
        raise Refused(f"{path} is cut off")


def read_text_shard(path: Path | str) -> Iterator[dict[str, Any]]:
    """The rows of a text shard, `metadata` still a JSON string."""
    return map(orjson.loads, read_lines(path))


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        # Rare, so each part is checked only now.
        return orjson.dumps(plain(value))


def plain(value: Any, depth: int = 0) -> Any:
    """Any value in a form that JSON can hold: text repaired, large integers and unknown types as text."""
    if isinstance(value, str):
        return well_formed(value)
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if depth == DEPTH and isinstance(value, (dict, list, tuple, set, frozenset)):
        return "(nested too deep)"
    if isinstance(value, dict):
        return {well_formed(str(key)): plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, (set, frozenset)):
        return [plain(one, depth + 1) for one in sorted(value, key=str)]
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    return well_formed(str(value))
