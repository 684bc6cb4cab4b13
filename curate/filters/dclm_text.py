"""What DCLM does to a text before its rules: addresses are deleted, runs of line ends shortened (Li et al. 2024)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import ClassVar

from curate.document import Document
from curate.step import Check, Edit, param

_YAML = "DCLM dclm_baseline_refinedweb.yaml"
_WITHIN = r"[-a-zA-Z0-9()@:%_\+.~#?&//=]*"
_NUMERIC = re.compile(rf"\s{{0,10}}\b((https?|ftp)://)?(?:[0-2]?[0-9]{{1,2}}\.){{3}}[0-2]?[0-9]{{1,2}}{_WITHIN}")


@dataclass(frozen=True)
class DclmText(Edit):
    """DCLM's first edits: delete addresses, and keep at most so many line ends in a row.

    As there, addresses by name are deleted only of a text that itself begins with the letters of a top-level domain, in
    any case ("The", "In", "A new" do, "My" does, "Quite" does not); those of digits everywhere. A text of which nothing
    is left is dropped as `empty`.
    """

    name: ClassVar[str] = "dclm_text"
    shaping: ClassVar[tuple[str, ...]] = ("remove_addresses", "max_newlines")

    remove_addresses: bool = param(True, "delete web addresses from the text", source=_YAML)
    max_newlines: int | None = param(2, "most line ends in a row", source=_YAML, ge=1)

    def edit(self, document: Document) -> str | Check:
        checks, left = self.examine(document)
        return next((check for check in checks if check.failed), left)

    def examine(self, document: Document) -> tuple[list[Check], str]:
        text = document.text
        if self.remove_addresses:
            begins, address = _names()
            if begins.match(text):
                text = address.sub("", text)
            text = _NUMERIC.sub("", text)
            if not text:
                return [Check("empty", 0, 1, True)], text
        if self.max_newlines is not None:
            text = re.sub(rf"\n{{{self.max_newlines + 1},}}", "\n" * self.max_newlines, text)
        return [], text


@cache
def _names() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A top-level domain at the beginning of a text, and an address by name.

    The list is IANA's as DCLM has it, but for names in Arabic and Hebrew letters: there they carry a mark of direction,
    and match no address.
    """
    names = files("curate.filters").joinpath("top_level_domains.txt").read_text("utf-8").split()
    # By first letter, for speed. The longest first: of two that both end at a border, DCLM's pattern takes that one.
    by_letter: dict[str, list[str]] = {}
    for name in sorted(names, key=len, reverse=True):
        by_letter.setdefault(name[0], []).append(re.escape(name[1:]))
    known = "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in by_letter.items())
    address = rf"\s{{0,10}}(?:((https?|ftp)://))?[-a-zA-Z0-9@:%._\+~#=]{{1,256}}\.(?:{known})\b({_WITHIN})"
    return re.compile(known, re.IGNORECASE), re.compile(address)
