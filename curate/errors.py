"""The one kind of refusal, and the hint that belongs to a mistyped name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Refused(ValueError):
    """Something a person can put right: the message says what is wrong, where, and what would be right.

    A command prints the message and ends with exit code 2. Any other exception is a fault of the program: a traceback
    and exit code 1.
    """


def nearest(word: object, known: Iterable[str]) -> str:
    """` (did you mean 'name'?)` for the known name most like `word`, or an empty string where none is like it."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
