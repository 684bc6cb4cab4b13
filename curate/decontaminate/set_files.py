"""Files of test sets to rows: JSON Lines, JSON, CSV, TSV and Parquet, plain or compressed."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from curate.errors import Refused

Row = dict[str, Any]

_ROWS = (".jsonl", ".json", ".csv", ".tsv")
SUFFIXES = (*(f"{one}{packed}" for one in _ROWS for packed in ("", ".gz", ".zst")), ".parquet")
NAMED = "JSONL, JSON, CSV or TSV (plain, .gz, .zst) or Parquet files"

_PART = re.compile(r"(?:[-_.](?:test|validation|valid|val|dev|train|part|\d+))+$", re.IGNORECASE)
# MMLU as its authors publish it: question, four choices, a letter, and no header.
_MMLU = ("question", "A", "B", "C", "D", "answer")


# Where SQuAD, BIG-bench, a viewer of data sets and HELM keep the rows of a file that is one object.
_LISTS = ("data", "examples", "rows", "instances")


class ItemsError(Refused):
    """An invalid test set, with file and line."""


def item_files(paths: Iterable[Path]) -> list[Path]:
    """The files themselves; of a folder, the files in it whose names say that they hold rows, by name."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(one for one in path.iterdir() if one.name.endswith(SUFFIXES) and one.is_file())
        else:
            files.append(path)
    return files


def benchmark_of(path: Path) -> str:
    """A file's benchmark: its name without suffixes, split and part number (`mmlu_test-2.jsonl.gz` is `mmlu`)."""
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        name = name.removesuffix(suffix)
    return _PART.sub("", name) or name


def rows_of(path: Path) -> Iterator[tuple[str, str, Row]]:
    """The rows of a file: where each stands (`line 7`, for messages), its number (`7`), and the row.

    Raises ItemsError, with file and place, for a file that is missing or cannot be read as what its name says.
    """
    if not path.is_file():
        raise ItemsError(f"{path}: there is no such file; `questions` names {NAMED}")
    if path.suffix == ".parquet":
        yield from (("row " + str(number), str(number), row) for number, row in enumerate(_parquet(path), start=1))
        return
    plain = path.name.removesuffix(".gz").removesuffix(".zst")
    try:
        if plain.endswith((".csv", ".tsv")):
            yield from _table(path, "\t" if plain.endswith(".tsv") else ",")
        elif plain.endswith(".json") and (whole := _document(path)) is not None:
            yield from ((f"item {number}", str(number), row) for number, row in enumerate(_listed(whole, path), 1))
        else:
            yield from _json_lines(path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, _zstd_error()) as error:
        raise ItemsError(f"{path}: cannot be read ({error}); it must be one of {NAMED}") from error


def _json_lines(path: Path) -> Iterator[tuple[str, str, Row]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ItemsError(f"{where}: not JSON ({error}); each line must be an object with a question") from error
        if not isinstance(row, dict):
            raise ItemsError(f"{where}: not a JSON object; each line must be an object with a question")
        yield f"line {number}", str(number), row


def _document(path: Path) -> Any:
    """A file that is one JSON value; None where it is JSON Lines after all."""
    data = b"".join(_lines(path))
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if data.lstrip()[:1] == b"[":
            raise ItemsError(f"{path}: not JSON ({error})") from error
        return None
    # One line with one question is JSON Lines too, and its place is a line.
    one = isinstance(whole, dict) and not _lists(whole) and not all(isinstance(each, dict) for each in whole.values())
    return None if one and b"\n" not in data.strip() else whole


def _lists(whole: Row) -> list[list[Any]]:
    """The lists of objects in an object that holds a whole set, those of a known name first."""
    if any(key.lower() in ("question", "questions", "messages", "conversations", "prompt") for key in whole):
        return []
    found = {key: one for key, one in whole.items() if isinstance(one, list) and one and isinstance(one[0], dict)}
    return [found[key] for key in _LISTS if key in found] or sorted(found.values(), key=len, reverse=True)


def _listed(whole: Any, path: Path) -> Iterator[Row]:
    if isinstance(whole, dict):
        lists = _lists(whole)
        if lists:
            whole = lists[0]
        elif whole and all(isinstance(value, dict) for value in whole.values()):
            whole = list(whole.values())  # an object whose keys are the names of the items, as DROP's
        else:
            whole = [whole]
    for number, row in enumerate(whole, start=1):
        if not isinstance(row, dict):
            raise ItemsError(f"{path}, item {number}: not a JSON object; a list must hold objects with a question")
        yield row


def _table(path: Path, delimiter: str) -> Iterator[tuple[str, str, Row]]:
    text = io.StringIO(b"".join(_lines(path)).decode("utf-8-sig"), newline="")
    csv.field_size_limit(1 << 30)
    reader = csv.reader(text, delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            rows.append((line, cells))
        line = reader.line_num + 1
    if not rows:
        return
    bare = all(len(cells) == len(_MMLU) and cells[-1].strip() in ("A", "B", "C", "D") for _, cells in rows)
    names = list(_MMLU) if bare else rows.pop(0)[1]
    for line, cells in rows:
        if len(cells) > len(names):
            raise ItemsError(f"{path}, line {line}: {len(cells)} cells under a header of {len(names)}")
        yield f"line {line}", str(line), dict(zip(names, cells, strict=False))


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise ItemsError(f"{path}: a Parquet file needs pyarrow: pip install 'goldsand[hub]'") from None
    try:
        for batch in ParquetFile(path).iter_batches(1024):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ItemsError(f"{path}: cannot be read as Parquet ({error})") from error


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as lines:
            yield from lines
    elif path.suffix == ".zst":
        import zstandard

        # The library's stream reader accepts a truncated file as complete.
        packed, plain = path.read_bytes(), io.BytesIO()
        while packed:
            frame = zstandard.ZstdDecompressor().decompressobj()
            plain.write(frame.decompress(packed))
            if not frame.eof:
                raise EOFError("it ends in the middle")
            packed = frame.unused_data
        plain.seek(0)
        yield from plain
    else:
        with path.open("rb") as lines:
            yield from lines
