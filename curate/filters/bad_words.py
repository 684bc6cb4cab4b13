"""The file that a rule set's parameter `bad_words` names: one word or phrase a line."""

from __future__ import annotations

from pathlib import Path

from curate.errors import Refused

_FORM = "give a text file with one word or phrase a line"


def require_bad_words(step: str, path: str | None) -> None:
    """Raises Refused if the file named does not exist."""
    if path is not None and not Path(path).is_file():
        raise Refused(f"{step}: bad_words: there is no file {path}; {_FORM}")


def read_bad_words(step: str, path: str) -> list[str]:
    """The lines that are not blank, unchanged. Raises Refused if every line is blank."""
    lines = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise Refused(f"{step}: bad_words: {path} holds no word; {_FORM}")
    return lines
