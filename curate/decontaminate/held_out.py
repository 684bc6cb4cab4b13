"""Text of the user's own that training must not hold (a validation split), as items: each document, and its pieces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from curate.decontaminate.items import Fields, Item, words_alone
from curate.decontaminate.layouts import texts
from curate.decontaminate.set_files import SUFFIXES, ItemsError, benchmark_of, rows_of
from curate.places.manifest import MARKER, check_written

DOCUMENT, PIECE = "document", "piece"
TEXT_FIELDS = ("text", "content", "document", "body")

PIECE_WORDS = 50
"""Words of a piece, at least: a page that quotes a hundred in a row holds one whole."""

MANY = 3
"""A line that this many documents share belongs to their site, not to them."""

_WORD = re.compile(r"\S{1,12}")


def text_files(paths: Iterable[Path]) -> list[Path]:
    """The files themselves; of a finished run its text shards; of a folder, its files of rows and of plain text."""
    files: list[Path] = []
    for path in paths:
        place = path / "text" if (path / MARKER).is_file() else path
        known = (*SUFFIXES, ".txt")
        files += sorted(one for one in place.rglob("*") if one.name.endswith(known)) if place.is_dir() else [place]
    return files


def check_runs(paths: Iterable[Path]) -> None:
    """Raises NotAsWritten for a finished run whose text is not what it wrote."""
    for path in paths:
        if (path / MARKER).is_file():
            check_written(path, ["text"])


def read_held_out(path: Path, fields: Fields) -> Iterator[Item]:
    """The documents of a file as items, named `file:line` or `file:id`; of plain text, the file is one document.

    Lines that many documents share are left out. Raises ItemsError, with the file and the place, for what has no text.
    """
    documents = list(_documents(path, fields))
    if not documents:
        raise ItemsError(f"{path}: there is no text in it")
    counts: Counter[str] = Counter()
    for _, text in documents:
        counts.update({words_alone(line) for line in text.split("\n")})
    for name, text in documents:
        lines = [line for line in text.split("\n") if counts[words_alone(line)] < MANY or len(line.split()) < 3]
        pieces = [(PIECE, piece) for piece in pieces_of(lines)]
        yield Item(name, benchmark_of(path), (), pieces=((DOCUMENT, "\n".join(lines)), *pieces))


def pieces_of(lines: Iterable[str]) -> list[str]:
    """Lines in pieces of at least `PIECE_WORDS` words, cut at the ends of lines where these are short enough."""
    pieces: list[str] = []
    piece: list[str] = []
    size = 0
    for line in lines:
        words = [word.span() for word in _WORD.finditer(line)]
        for begin in range(0, len(words), PIECE_WORDS):
            within = words[begin : begin + PIECE_WORDS]
            piece.append(line[within[0][0] : within[-1][1]])
            size += len(within)
            if size >= PIECE_WORDS:
                pieces.append("\n".join(piece))
                piece, size = [], 0
    if piece and pieces and size < PIECE_WORDS // 2:
        pieces[-1] += "\n" + "\n".join(piece)
    elif piece:
        pieces.append("\n".join(piece))
    return pieces


def _documents(path: Path, fields: Fields) -> Iterator[tuple[str, str]]:
    if path.suffix == ".txt":
        yield path.name, path.read_text("utf-8", "replace")
        return
    for where, number, row in rows_of(path):
        known = (fields.question,) if fields.question else TEXT_FIELDS
        found = next((found for key in known if (found := texts(row.get(key)))), [])
        if not found and not any(key in row for key in known):
            raise ItemsError(
                f"{path}, {where}: no text in it: expected one of {', '.join(known)}, found the fields {sorted(row)}"
            )
        identifier = next((row[key] for key in ("id", "key") if isinstance(row.get(key), (str, int))), number)
        yield f"{path.name}:{identifier}", "\n".join(found)
