"""The step `forget`: documents that somebody asked to have removed.

It belongs at the end of a recipe: what it takes out has been through deduplication before, so that no copy of it comes
back in its place, and no rule or tokenizer behind it has seen it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.errors import Refused
from curate.filters.url import addresses_above, host_of, hosts_above
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Preview, Rule, param

COMMENT = "#"


@dataclass(frozen=True)
class Forget(Rule):
    """Drops listed documents as `on_request`: by URL (with all addresses below it), by domain (with all hosts below
    it), or by id. No text of theirs stays in the ledger.
    """

    name: ClassVar[str] = "forget"
    libraries: ClassVar[tuple[str, ...]] = ("idna",)
    shaping: ClassVar[tuple[str, ...]] = ("listed",)
    removes: ClassVar[bool] = True

    listed: str = param(
        "forget.txt", "file of URLs, domains and documents' ids, one a line; `#` begins a comment", path=True
    )

    def __post_init__(self) -> None:
        if not Path(self.listed).is_file():
            raise Refused(
                f"forget: listed: there is no file {self.listed}; give a text file with one URL, domain or id a line"
            )

    def open(self) -> None:
        self._entries()

    def _entries(self) -> frozenset[str]:
        return _read(stamp(self.listed))

    def checks(self, document: Document) -> Iterator[Check]:
        entries = self._entries()
        found = next((name for name in names_of(document) if name in entries), None)
        yield Check("on_request", found, None, found is not None)

    def foretell(self, page: Preview) -> Check | None:
        """Nothing: a page that is not extracted would be no duplicate of its copies, which would come back."""
        return None


def names_of(document: Document) -> Iterator[str]:
    """All that a list may call a document: its id, its address and each above it, its host and each above that."""
    yield document.key
    if document.url:
        yield from addresses_above(document.url)
    for address in (document.url, document.domain):
        if host := host_of(address or ""):
            yield from hosts_above(host)


def entries_of(line: str) -> set[str]:
    """What a line of a list may mean, as `names_of` has it; nothing, where it is empty or a comment. Raises Refused for
    a line that names nothing."""
    plain = line.strip()
    if not plain or plain.startswith(COMMENT):
        return set()
    host = host_of(plain)
    if "://" in plain or "." in host:
        if not host or " " in plain:
            raise Refused(f"{plain[:80]!r} is no address; write https://example.com/page, or example.com")
        address = next(addresses_above(plain), host)
        # Without a scheme it may be an id: the path of a file, and a place in it.
        return {address} if "://" in plain else {address, plain}
    return {plain}


@lru_cache(maxsize=4)
def _read(file: Stamp) -> frozenset[str]:
    try:
        lines = Path(file.path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Refused(f"forget: {file.path} is not UTF-8 text ({error.reason})") from None
    entries: set[str] = set()
    for number, line in enumerate(lines, start=1):
        try:
            entries |= entries_of(line)
        except Refused as fault:
            raise Refused(f"forget: {file.path}, line {number}: {fault}") from None
    return frozenset(entries)
