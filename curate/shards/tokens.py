"""Token shards: memory-mapped ids, document ends as datatrove writes them, and a table with one row a document.

Needs only numpy and the standard library, so that shards can be read without any other package.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from curate.errors import Refused, Unchecked

DOCUMENT = np.dtype([("source", "<u2"), ("domain", "<u4"), ("entity", "<i4"), ("exposure", "<i4"), ("prefix", "<u2")])
"""One row a document: indices into the metadata's `sources` and `domains`, the fact it exposes ((-1, -1) where it
exposes none), and how many tokens of rendered domain are in front of the body."""

NO_DOMAIN = 2**32 - 1
"""The `domain` of a document without one."""

SUFFIXES = (".ds", ".ds.index", ".ds.documents.npy")
"""The three files of a shard: ids, uint64 document ends in tokens, the document table."""

METADATA = "metadata.json"

_BUFFERED = 1 << 20


class ShardError(Refused):
    """A folder of token shards is missing, incomplete or damaged; the message names the file and what would be
    right."""


def dtype_for(vocabulary: int) -> str:
    """The dtype, `uint16` or `uint32`, that datatrove would choose for a vocabulary of this size."""
    return "uint16" if vocabulary <= 65_535 else "uint32"


class TokenShardWriter:
    """Writes one shard, `NNNNN.ds` and its two companions, document by document.

    `dtype` is `uint16` or `uint32` (written little-endian).
    """

    def __init__(self, folder: Path | str, shard_number: int, dtype: str = "uint16") -> None:
        if dtype not in ("uint16", "uint32"):
            raise ValueError(f"token shards hold uint16 or uint32, not {dtype!r}")
        self.folder = Path(folder)
        self.name = f"{shard_number:05d}"
        self.documents = 0
        self.tokens = 0
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._limit = int(np.iinfo(dtype).max)
        self._ids: list[np.ndarray] = []
        self._lengths: list[int] = []
        self._pending = 0
        self._rows: list[np.ndarray] = []
        self._row: list[tuple[int, int, int, int, int]] = []
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stream: BinaryIO = self._path(".ds").open("wb")
        self._index: BinaryIO = self._path(".ds.index").open("wb")

    def _path(self, kind: str) -> Path:
        return self.folder / f"{self.name}{kind}"

    def add(
        self,
        ids: Sequence[int] | np.ndarray,
        source: int,
        domain: int = NO_DOMAIN,
        entity: int = -1,
        exposure: int = -1,
        prefix: int = 0,
    ) -> None:
        """Append one document: `ids` is all of it, rendered domain first and end of text last."""
        self._ids.append(np.asarray(ids, dtype=np.int64))
        self._lengths.append(len(ids))
        self._row.append((source, domain, entity, exposure, prefix))
        self._pending += len(ids)
        if self._pending >= _BUFFERED:
            self._flush()

    def add_rows(self, ids: np.ndarray, rows: np.ndarray) -> None:
        """Append many documents of one length at once: `ids` [documents, length], `rows` [documents] of DOCUMENT."""
        if ids.ndim != 2 or rows.shape != (len(ids),) or rows.dtype != DOCUMENT:
            raise ValueError("add_rows needs ids [documents, length] and one DOCUMENT row for each document")
        self._flush()
        self._write(ids.reshape(-1), np.full(len(ids), ids.shape[1]), rows)

    def _flush(self) -> None:
        if self._row:
            self._write(np.concatenate(self._ids), np.asarray(self._lengths), np.array(self._row, dtype=DOCUMENT))
        self._ids, self._lengths, self._row, self._pending = [], [], [], 0

    def _write(self, ids: np.ndarray, lengths: np.ndarray, rows: np.ndarray) -> None:
        if len(ids) and (ids.min() < 0 or ids.max() > self._limit):
            raise ValueError(f"token id {int(ids.max())} does not fit {self._dtype.name} (0 to {self._limit})")
        self._stream.write(ids.astype(self._dtype).tobytes())
        self._index.write((self.tokens + np.cumsum(lengths)).astype("<u8").tobytes())
        self._rows.append(rows)
        self.documents += len(rows)
        self.tokens += len(ids)

    def close(self) -> dict[str, int]:
        """Write the rest; returns the numbers of documents and tokens."""
        self._flush()
        self._stream.close()
        self._index.close()
        table = np.concatenate(self._rows) if self._rows else np.zeros(0, DOCUMENT)
        with self._path(".ds.documents.npy").open("wb") as stream:
            np.save(stream, table, allow_pickle=False)
        return {"documents": self.documents, "tokens": self.tokens}

    def __enter__(self) -> TokenShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self._stream.close()
            self._index.close()


def describe(
    folder: Path | str,
    *,
    name: str,
    tokenizer: str,
    tokenizer_hash: str,
    vocabulary: int,
    dtype: str,
    end_of_text: int,
    domain_rendering: str,
    sources: Sequence[str],
    domains: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The content of `metadata.json` for the shards that lie in `folder`, in the order of their numbers.

    `domains` are `{"name", "token"}`: the token of the domain in the `special` rendering, or None.
    Raises ShardError when a shard lacks one of its files or they disagree.
    """
    folder = Path(folder)
    itemsize = np.dtype(dtype).itemsize
    shards = []
    for path in sorted(folder.glob("*.ds")):
        index, table = (path.with_name(path.stem + suffix) for suffix in SUFFIXES[1:])
        for companion in (index, table):
            if not companion.is_file():
                raise ShardError(f"{path} has no {companion.name} beside it: the shard was not written to its end")
        entry = {
            "file": path.name,
            "sha256": _sha256(path),
            "index_sha256": _sha256(index),
            "documents_sha256": _sha256(table),
            "documents": index.stat().st_size // 8,
            "tokens": path.stat().st_size // itemsize,
        }
        shards.append(entry)
    metadata: dict[str, Any] = {
        "name": name,
        "tokenizer": tokenizer,
        "tokenizer_hash": tokenizer_hash,
        "vocabulary": vocabulary,
        "dtype": dtype,
        "end_of_text": end_of_text,
        "domain_rendering": domain_rendering,
        "sources": list(sources),
        "domains": list(domains),
        "documents": sum(entry["documents"] for entry in shards),
        "tokens": sum(entry["tokens"] for entry in shards),
        "shards": shards,
    }
    return metadata | {"seal": seal_of(metadata)}


def write_metadata(folder: Path | str, **fields: Any) -> dict[str, Any]:
    """Describe the shards of a folder (see `describe` for the fields); writes and returns `metadata.json`."""
    metadata = describe(folder, **fields)
    save_metadata(folder, metadata)
    return metadata


def save_metadata(folder: Path | str, metadata: dict[str, Any]) -> None:
    """Write `metadata.json` so that it is there whole or not at all."""
    _write(Path(folder) / METADATA, metadata)


def seal_of(content: dict[str, Any]) -> str:
    """The sha256 of what a file of JSON says, beside its own seal."""
    said = {name: value for name, value in content.items() if name != "seal"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def hashes_of(folder: Path | str) -> dict[str, str]:
    """The sha256 of every file in a folder, by name."""
    return {path.name: _sha256(path) for path in sorted(Path(folder).iterdir()) if path.is_file()}


def read_sealed(path: Path) -> dict[str, Any] | None:
    """What a file says that was written with a seal and the hashes of the `files` beside it; None for one without, or
    where there is none. Raises ShardError for a damaged one."""
    try:
        content = json.loads(path.read_bytes())
        if not {"seal", "files"} & content.keys():
            return None
        if content["seal"] == seal_of(content) and isinstance(content["files"], dict):
            return content
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise ShardError(f"{path} is damaged: it is not what was written there; write the folder again")


def write_sealed(path: Path, files: Mapping[str, str]) -> None:
    """Write down the sha256 of files that lie beside `path`, with a seal: see `read_sealed` and `read_checked`."""
    _write(path, {"files": files, "seal": seal_of({"files": files})})


def read_checked(path: Path, sealed: dict[str, Any] | None) -> bytes:
    """The content of a file, which must be what was written beside it, where anything was. Raises ShardError,
    FileNotFoundError."""
    content = path.read_bytes()
    if sealed is not None and sealed["files"].get(path.name) != hashlib.sha256(content).hexdigest():
        raise ShardError(f"{path} is not what was written with the other files of {path.parent}; write them again")
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".writing")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


@dataclass(frozen=True)
class Shard:
    """One shard: `tokens` [T] of the shard's dtype, `ends` [D] uint64, `documents` [D] of DOCUMENT, all read-only."""

    path: Path
    tokens: np.ndarray
    ends: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def document(self, number: int) -> np.ndarray:
        """The ids of one document, rendered domain and end of text included."""
        start = int(self.ends[number - 1]) if number else 0
        return self.tokens[start : int(self.ends[number])]


@dataclass(frozen=True)
class TokenShards:
    """A folder of token shards, memory-mapped."""

    folder: Path
    metadata: dict[str, Any]
    shards: tuple[Shard, ...]

    @classmethod
    def open(cls, folder: Path | str) -> TokenShards:
        """Map a folder of shards. Raises ShardError when a file is missing, or sizes disagree with the metadata."""
        folder = Path(folder)
        metadata = _read_metadata(folder)
        return cls(
            folder, metadata, tuple(_open_shard(folder, entry, metadata["dtype"]) for entry in metadata["shards"])
        )

    @property
    def vocabulary(self) -> int:
        """How many tokens there are: ids are below it."""
        return self.metadata["vocabulary"]

    @property
    def end_of_text(self) -> int:
        """The id of the token that ends every document."""
        return self.metadata["end_of_text"]

    @property
    def identity(self) -> str:
        """A hash of all that the metadata says, and with its checksums of every token; the set's name is left out."""
        return seal_of({name: value for name, value in self.metadata.items() if name != "name"})

    def __len__(self) -> int:
        return self.metadata["documents"]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.void]]:
        """Every document in order: its ids and its row."""
        for shard in self.shards:
            for number in range(len(shard)):
                yield shard.document(number), shard.documents[number]

    def documents(self) -> np.ndarray:
        """The rows of all documents, shard after shard."""
        return np.concatenate([shard.documents for shard in self.shards] or [np.zeros(0, DOCUMENT)])

    def used(self) -> np.ndarray:
        """Which tokens occur, as bool [vocabulary]."""
        used = np.zeros(self.vocabulary, bool)
        for shard in self.shards:
            for start in range(0, len(shard.tokens), 1 << 24):
                used[np.unique(shard.tokens[start : start + (1 << 24)])] = True
        return used

    def verify(self) -> None:
        """Read everything once: checksums, document ends in order, ids inside the vocabulary, one row a document.

        Raises ShardError, naming the first file that disagrees with the metadata, which are checked against their own
        seal; warns of metadata without one, which an older version wrote.
        """
        seal = self.metadata.get("seal")
        if seal is None:
            message = f"nobody can check {self.folder / METADATA}: an older version wrote it, without a seal"
            warnings.warn(message, Unchecked, stacklevel=2)
        elif seal != seal_of(self.metadata):
            raise ShardError(f"{self.folder / METADATA} was changed after it was written: its seal is another")
        for entry, shard in zip(self.metadata["shards"], self.shards, strict=True):
            for key, suffix in zip(("sha256", "index_sha256", "documents_sha256"), SUFFIXES, strict=True):
                path = shard.path.with_name(shard.path.stem + suffix)
                if key in entry and _sha256(path) != entry[key]:
                    raise ShardError(f"{path} was changed after it was written: its sha256 is not {entry[key]}")
            if np.any(shard.ends[1:] < shard.ends[:-1]):
                raise ShardError(f"{shard.path}.index: document ends must not decrease")
            if len(shard.tokens) and int(shard.tokens.max()) >= self.vocabulary:
                raise ShardError(
                    f"{shard.path} holds token {int(shard.tokens.max())} of a vocabulary of {self.vocabulary}"
                )


def _read_metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    if not folder.is_dir():
        raise ShardError(f"there is no folder {folder}; a set of token shards is a folder with {METADATA} in it")
    try:
        metadata = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ShardError(
            f"{folder} has no {METADATA}: it is not a set of token shards, or its run did not finish"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ShardError(f"{path} is not JSON ({error}); run the step that wrote it again") from None
    wanted = {
        "name": str,
        "tokenizer": str,
        "tokenizer_hash": str,
        "vocabulary": int,
        "dtype": str,
        "end_of_text": int,
        "domain_rendering": str,
        "sources": list,
        "domains": list,
        "documents": int,
        "tokens": int,
        "shards": list,
    }
    for key, kind in wanted.items():
        if not isinstance(metadata, dict) or not isinstance(metadata.get(key), kind):
            raise ShardError(f"{path} must hold {key!r}, a {kind.__name__}")
    if metadata["dtype"] not in ("uint16", "uint32"):
        raise ShardError(f"{path} says dtype {metadata['dtype']!r}; it must be uint16 or uint32")
    for entry in metadata["shards"]:
        name = entry.get("file") if isinstance(entry, dict) else None
        # The metadata may come from anyone: the name must stay inside the folder.
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".ds"):
            raise ShardError(f"{path}: each shard must name a file of this folder that ends in .ds, not {name!r}")
        for key in ("documents", "tokens"):
            if not isinstance(entry.get(key), int):
                raise ShardError(f"{path}: shard {name} must hold {key!r}, a number")
    return metadata


def _open_shard(folder: Path, entry: dict[str, Any], dtype: str) -> Shard:
    path = folder / entry["file"]
    tokens = _map(path, np.dtype(dtype).newbyteorder("<"), entry["tokens"], "tokens")
    ends = _map(path.with_name(path.name + ".index"), np.dtype("<u8"), entry["documents"], "documents")
    table = path.with_name(path.name + ".documents.npy")
    try:
        documents = np.load(table, allow_pickle=False)
    except FileNotFoundError:
        raise ShardError(f"{table} is missing; each shard has a table with one row a document") from None
    except (Exception, MemoryError) as error:  # numpy parses a damaged header with whatever comes
        raise ShardError(f"{table} is not a readable numpy array ({error})") from None
    if documents.dtype != DOCUMENT or documents.shape != (entry["documents"],):
        raise ShardError(
            f"{table} holds {documents.shape} rows of {documents.dtype}; it must be {entry['documents']} of {DOCUMENT}"
        )
    last = int(ends[-1]) if len(ends) else 0
    if last != entry["tokens"]:
        raise ShardError(f"{path}.index ends at token {last}; {path.name} holds {entry['tokens']}")
    return Shard(path, tokens, ends, documents)


def _map(path: Path, dtype: np.dtype, items: int, what: str) -> np.ndarray:
    if not path.is_file():
        raise ShardError(f"{path} is missing; the metadata says it holds {items} {what}")
    size = path.stat().st_size
    if size != items * dtype.itemsize:
        wanted = items * dtype.itemsize
        raise ShardError(f"{path} has {size} bytes; {items} {what} of {dtype.itemsize} bytes are {wanted}")
    if not items:
        return np.zeros(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
