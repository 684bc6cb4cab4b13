"""Removal on request: which documents of a finished corpus are asked for, and the list that its folder keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.audit.verify import kept_documents
from curate.errors import Refused
from curate.places.store import Place, is_local, write_atomically
from curate.rights.forget import entries_of, names_of
from recipes.app.recipe.build import FORGOTTEN


@dataclass
class Removal:
    """Documents of a corpus by the line that asks for them. `lines` are all that the folder's list then has."""

    found: dict[str, list[str]] = field(default_factory=dict)
    characters: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """How many, each counted once."""
        return len({key for keys in self.found.values() for key in keys})


def asked_for(names: Sequence[str]) -> list[str]:
    """URLs, domains and ids: given as they are, or one a line in a file. Raises Refused for what is none of them."""
    lines: list[str] = []
    for name in names:
        if Path(name).is_file():
            try:
                lines += Path(name).read_text(encoding="utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise Refused(f"{name} is not UTF-8 text ({error.reason})") from None
        else:
            lines.append(name)
    return [line.strip() for line in lines if entries_of(line)]


def removal(out: Place, names: Sequence[str]) -> Removal:
    """What these names ask to remove from a finished corpus. Raises Refused where the folder cannot keep a list, or
    nothing is named."""
    if not is_local(out):
        raise Refused(
            f"{out} is no folder of this machine: add the step `forget: {{listed: FILE}}` to its recipe's end"
        )
    lines = asked_for(names)
    if not lines:
        raise Refused("nothing is named: give URLs, domains or ids, or a file with one a line")
    asked = Removal({line: [] for line in lines})
    by_entry: dict[str, list[str]] = {}
    for line in lines:
        for entry in entries_of(line):
            by_entry.setdefault(entry, []).append(line)
    for document in kept_documents(out):
        if document.protected:
            continue
        found = {line for name in names_of(document) for line in by_entry.get(name, ())}
        for line in found:
            asked.found[line].append(document.key)
        asked.characters += len(document.text) if found else 0
    listed = out / FORGOTTEN
    before = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    asked.lines = before + [line for line in asked.found if line not in before]
    return asked


def note(out: Place, asked: Removal) -> None:
    """Write the folder's list, which every later run into it obeys."""
    write_atomically(out / FORGOTTEN, "".join(f"{line}\n" for line in asked.lines).encode())
