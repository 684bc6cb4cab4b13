"""What datatrove decides on our edge texts and on given pages: `make_decisions.py texts.jsonl`, run with the peer.

Writes tests/parity/decisions.tsv, one text a line, keyed by a hash of the text: a hash of its words, then the outcome
of each filter: `keep`, the reason of the drop, or `error` where the peer raises. The outcome of C4 carries a hash of
the text it leaves; FineWeb sees that text, or the whole one where C4 drops.

The peer: pip install "datatrove[io,processing]==0.10.1" spacy
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from edge_texts import edge_texts

TARGET = Path(__file__).with_name("decisions.tsv")
COLUMNS = ("text", "words", "gopher_repetition", "gopher_quality", "c4", "c4_end_mark", "fineweb")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def _outcome(call: Callable[[], Any]) -> str:
    try:
        result = call()
    except (ZeroDivisionError, UnicodeError, ValueError):
        return "error"
    return "keep" if result is True else result[1]


def _words(text: str, split: Callable[[str], list[str]]) -> str:
    try:
        return digest("\n".join(split(text)))
    except UnicodeError:
        return "error"


def decisions(texts: Iterable[str]) -> list[tuple[str, ...]]:
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.utils.text import split_into_words

    repetition, quality, fineweb = GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter()
    c4, c4_end_mark = C4QualityFilter(filter_no_terminal_punct=False), C4QualityFilter()

    def edited(step: C4QualityFilter, text: str) -> tuple[str, str]:
        document = Document(text=text, id="")
        outcome = _outcome(lambda: step.filter(document))
        return (f"keep {digest(document.text)}", document.text) if outcome == "keep" else (outcome, text)

    rows = {}
    for text in texts:
        outcome, left = edited(c4, text)
        rows[digest(text)] = (
            _words(text, split_into_words),
            _outcome(lambda text=text: repetition.filter(Document(text=text, id=""))),
            _outcome(lambda text=text: quality.filter(Document(text=text, id=""))),
            outcome,
            edited(c4_end_mark, text)[0],
            _outcome(lambda left=left: fineweb.filter(Document(text=left, id=""))),
        )
    return [(key, *row) for key, row in sorted(rows.items())]


def main(path: Path) -> None:
    with path.open(encoding="utf-8") as lines:
        pages = [json.loads(line)["text"] for line in lines]
    rows = decisions([*edge_texts(), *pages])
    TARGET.write_text("".join("\t".join(row) + "\n" for row in [COLUMNS, *rows]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
