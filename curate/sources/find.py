"""Finding inputs: a path, folder or glob becomes the same partitions on every machine."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from curate.errors import Refused, Unchecked
from curate.places.address import InputError, need, path_of, scheme_of
from curate.places.manifest import MARKER, Written, written
from curate.places.patience import patiently
from curate.places.store import Place, name_below, store_errors
from curate.sources.compressed import compression, mapped, runs
from curate.sources.formats import AUTO, FORMATS, UNKNOWN, code_of_reader
from curate.sources.partition import Input, Partition

if TYPE_CHECKING:
    from upath import UPath

PAGES_A_PARTITION = 500
_GLOB = re.compile(r"[*?\[]")
_JSON = re.compile(r"\.json(?:\.(?:gz|zst|zstd))?\Z", re.IGNORECASE)


def find_inputs(inputs: Iterable[Input]) -> list[Partition]:
    """The partitions of all inputs. Raises InputError for a missing file, an empty glob, an unknown kind; NotAsWritten
    for the shards of a run that did not finish, of another version, or not all of which are there."""
    partitions: list[Partition] = []
    for item in inputs:
        try:
            code = code_of_reader(item.format)
        except Refused as error:
            raise InputError(f"input '{item.name}': {error}") from None
        found = _partitions(item)
        if code or item.url_field:
            found = [replace(one, code=code, url_field=item.url_field) for one in found]
        partitions += _vouched(item, found)
    partitions.sort(key=lambda partition: (partition.source, partition.relative))
    seen: dict[tuple[str, str], Partition] = {}
    for partition in partitions:
        for name in [relative for _, relative in partition.files] or [partition.relative]:
            other = seen.setdefault((partition.source, name), partition)
            if other is not partition:
                raise InputError(
                    f"'{partition.path}' and '{other.path}' would both be '{partition.source}/{name}': "
                    "give the inputs different names"
                )
    return partitions


def _partitions(item: Input) -> list[Partition]:
    if item.format in (AUTO, "hub"):
        from curate.sources.hub import hub_partition, saved_partitions

        saved = saved_partitions(item)
        if saved is not None:
            return saved
        if item.format == "hub":
            return [hub_partition(item)]
    files, named = _files(item)
    pages: list[tuple[Path | UPath, str]] = []
    partitions = []
    for path, relative in files:
        kind = item.format if item.format != AUTO else _kind(item.name, path)
        if kind == UNKNOWN and named:
            raise InputError(
                f"input '{item.name}': '{path}' is of an unknown kind; name it .warc, .warc.gz, .wet.gz, .arc.gz, "
                ".jsonl, .parquet, .arrow or .html, or say `format:` (`--input NAME=FORMAT:PATH`)"
                + ("; bz2 and xz are not read: pack it with gzip or zstd" if path.suffix in (".bz2", ".xz") else "")
            )
        if kind in FORMATS and (package := FORMATS[kind].needs):
            need(package, f"input '{item.name}': '{path}'")
        if kind == "html":
            pages.append((path, relative))
        else:
            partitions.append(Partition(item.name, path, relative, kind, item.text_field, item.id_field))
    pages.sort(key=lambda page: page[1])
    for place in range(0, len(pages), PAGES_A_PARTITION):
        group = tuple(pages[place : place + PAGES_A_PARTITION])
        partitions.append(Partition(item.name, *group[0], "html", files=group))
    return partitions


def _vouched(item: Input, partitions: list[Partition]) -> list[Partition]:
    """The partitions with what the manifests of their runs say of them, asked once a run."""
    asked: dict[str, dict[str, Written] | None] = {}
    vouched, unknown = [], []
    for one in partitions:
        folder = cast(Place, one.path).parent
        # A page server cannot be asked what lies in a folder.
        if one.format in ("shards", "jsonl") and folder.name == "text" and scheme_of(folder) not in ("http", "https"):
            if str(folder) not in asked:
                with store_errors(folder):
                    # What is not called a shard is asked for only beside the mark of a run's folder.
                    known = one.format == "shards" or (folder.parent / MARKER).is_file()
                    asked[str(folder)] = written(folder.parent, "text") if known else None
            about = (asked[str(folder)] or {}).get(f"text/{one.path.name}")
            one = replace(one, written=about)
        if one.format == "shards" and one.written is None:
            unknown.append(one)
        vouched.append(one)
    if unknown:
        warnings.warn(
            f"input '{item.name}': nobody can check {len(unknown)} shards ('{unknown[0].path}' the first): their run's"
            " manifests do not lie beside them; read the run's own folder (OUT/text), or copy all of it",
            Unchecked,
            stacklevel=2,
        )
    return vouched


def _files(item: Input) -> tuple[Sequence[tuple[Path | UPath, str]], bool]:
    """The files with their paths below the input's root, and whether the user named the file itself."""
    path = path_of(item.path)
    if not isinstance(path, Path):
        from curate.places.remote_input import remote_files

        return remote_files(item.name, path)
    root, files, named = _local_files(item, path)
    return [(one, _escaped(name_below(one, root))) for one in files], named


def _escaped(name: str) -> str:
    """A name as keys write it: bytes that are not UTF-8, which a file name may hold, are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _local_files(item: Input, path: Path) -> tuple[Path, list[Path], bool]:
    if path.is_file():
        return path.parent, [path], True
    if path.is_dir():
        files = _listed(item, lambda: _below(path))
        if not files:
            raise InputError(f"input '{item.name}': the folder '{path}' holds no files")
        return path, files, False
    if not _GLOB.search(item.path):
        raise InputError(f"input '{item.name}': there is no file or folder '{path}'")
    parts = path.parts
    # A folder that is there may have a name with brackets in it.
    first = next(
        place
        for place, part in enumerate(parts)
        if _GLOB.search(part) and not (place < len(parts) - 1 and Path(*parts[: place + 1]).is_dir())
    )
    root = Path(*parts[:first]) if first else Path()
    if not root.is_dir():
        raise InputError(f"input '{item.name}': there is no folder '{root}' for the glob '{item.path}'")
    # A final ** means the files below, as in a shell.
    pattern = [*parts[first:], *(["*"] if parts[-1] == "**" else [])]
    matched = set(
        _listed(item, lambda: [one for one in _globbed(root, pattern) if not _hidden(one, root) and _is_file(one)])
    )
    if not matched:
        raise InputError(f"input '{item.name}': no file matches '{item.path}' below '{root}'")
    return root, sorted(matched), False


def _listed(item: Input, call: Callable[[], list[Path]]) -> list[Path]:
    try:
        return patiently(call)
    except OSError as error:
        raise InputError(
            f"input '{item.name}': '{error.filename}' cannot be listed or looked at: {error.strerror}"
        ) from None


def _below(folder: Path) -> list[Path]:
    files = []
    seen: set[str] = set()
    for base, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        # A link to a folder is followed, unless it leads back to a folder above it.
        seen.add(os.path.realpath(base))
        shown = (one for one in folders if not one.startswith("."))
        folders[:] = sorted(one for one in shown if os.path.realpath(Path(base) / one) not in seen)
        above = Path(base)
        files += [above / one for one in names if not one.startswith(".")]
    return sorted(one for one in files if _is_file(one))


def _is_file(path: Path) -> bool:
    """Raises OSError for a link to what is not there: files on a disk that is away must not look like none."""
    return path.is_file() or (path.is_symlink() and stat.S_ISREG(path.stat().st_mode))


def _raise(error: OSError) -> None:
    """`os.walk` and pathlib's `glob` pass over a folder that they cannot list, and its files would be gone without a
    word."""
    raise error


def _globbed(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """What fits a glob, given by its parts. Raises OSError for a folder that cannot be listed."""
    part, rest = parts[0], parts[1:]
    if part != "**" and (not _GLOB.search(part) or (rest and (folder / part).is_dir())):
        found = [folder / part]
    else:
        with os.scandir(folder) as listed:
            found = [folder / one.name for one in listed if fnmatch.fnmatchcase(one.name, part)]
    if part == "**":
        yield from _globbed(folder, rest)
        for one in found:
            if one.is_dir() and not one.is_symlink():
                yield from _globbed(one, parts)
    elif not rest:
        yield from found
    else:
        for one in found:
            if one.is_dir():
                yield from _globbed(one, rest)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _kind(name: str, path: Path | UPath) -> str:
    """The format by the file's name, else by its first bytes."""
    for kind, known in FORMATS.items():
        if known.names and known.names.search(path.name):
            return kind
    try:
        with mapped(path) as data:
            if not data:
                return UNKNOWN
            plain = compression(data, path.name) == "plain"
            head = bytes(data[:512]) if plain else next(runs(data, name=path.name)).peek(512)
    except OSError as error:
        raise InputError(f"input '{name}': '{path}' cannot be read: {error.strerror or error}") from None
    if re.match(rb"WARC/\d|filedesc://", head):
        return "warc"
    # C4, dolma and RedPajama name their JSON Lines so; JSON laid out for people has nothing behind its first brace.
    if _JSON.search(path.name) and re.match(rb'(?:\xef\xbb\xbf)?\s*\{[ \t]*"', head):
        return "jsonl"
    return "html" if re.match(rb"\s*<(?:!doctype html|html)", head, re.IGNORECASE) else UNKNOWN
