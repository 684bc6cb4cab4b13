"""How many tokens a text has."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

_PIECE = re.compile(r"\w+|[^\w\s]")


def token_counter(tokenizer: Path | str | None) -> Callable[[str], int]:
    """How many tokens a text has: by a tokenizer.json, or else its words and marks (a record: its words)."""
    if tokenizer is None:
        return lambda text: text.count(" ") + 1 if text.startswith("<") else sum(1 for _ in _PIECE.finditer(text))
    from curate.shards.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(tokenizer)
    return lambda text: len(vocabulary.encode([text])[0])
