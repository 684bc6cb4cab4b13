"""Safety: pages made of listed words, and pages of listed hosts. Thresholds and the built-in list are ours.

The density of a list is a coarse reading: it ends pages that consist of such words, and lets a page that speaks about
them pass. Nothing here was published; compare C4's rule (one listed word is enough), which `c4: bad_words` follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from curate.document import Document
from curate.filters.stamp import Stamp, stamp
from curate.step import Check, Rule, param
from curate.words import split_words

_LONGEST_HOST = 253
_BUILT_IN = Path(__file__).with_name("safety_words.txt")

Phrases = dict[str, list[tuple[str, ...]]]
"""First word -> the listed phrases that begin with it."""


@dataclass(frozen=True)
class Safety(Rule):
    """A listed host ends as `blocked_host`, too many listed words as `unsafe_words`."""

    name: ClassVar[str] = "safety"
    shaping: ClassVar[tuple[str, ...]] = ("min_distinct", "words", "hosts", "hosts_file")
    zero_is_off: ClassVar[bool] = True

    max_density: float | None = param(
        0.02, "largest share of words that are listed; 0 or None is off", source="ours, not published", ge=0, le=1
    )
    min_distinct: int = param(
        3, "a page is dropped only if this many different listed words stand in it", source="ours, not published", ge=1
    )
    words: str | None = param(
        None,
        "file of words or phrases, one a line, `#` begins a comment; a short English list when not given",
        path=True,
    )
    hosts: list[str] = param([], "domains to drop, with all below them")
    hosts_file: str | None = param(None, "file of domains to drop, one a line, as the UT1 lists have them", path=True)

    def __post_init__(self) -> None:
        for field, path in (("words", self.words), ("hosts_file", self.hosts_file)):
            if path is not None and not Path(path).is_file():
                raise ValueError(f"safety: {field}: there is no file {path}; give a text file with one entry a line")
        for host in self.hosts:
            if not _is_host(host):
                raise ValueError(
                    f"safety: hosts: {host!r} is no domain; write it as example.com, without scheme or path"
                )

    @cached_property
    def _own_hosts(self) -> frozenset[str]:
        return frozenset(map(_normal, self.hosts))

    def open(self) -> None:
        self._phrases()
        self._file_hosts()

    def _phrases(self) -> Phrases:
        return _read_phrases(stamp(self.words or _BUILT_IN))

    def _file_hosts(self) -> frozenset[str]:
        return _read_hosts(stamp(self.hosts_file)) if self.hosts_file is not None else frozenset()

    def checks(self, document: Document) -> Iterator[Check]:
        host = host_of(document.url or document.domain or "")
        if host and (self.hosts or self.hosts_file is not None):
            listed = self._file_hosts()
            parts = host.split(".")
            found = next(
                (name for i in range(len(parts)) if (name := ".".join(parts[i:])) in self._own_hosts or name in listed),
                None,
            )
            yield Check("blocked_host", host, found, found is not None)
        if self.max_density:
            hits, distinct = self._count(document)
            density = hits / len(document.signals.word_ids) if hits else 0.0
            counted = density if distinct >= self.min_distinct else 0.0
            failed = counted > self.max_density
            yield Check("unsafe_words", density, self.max_density, failed, "max_density", "over", counted)

    def _count(self, document: Document) -> tuple[int, int]:
        """Listed words and phrases in the text, and how many different ones."""
        phrases = self._phrases()
        if not any(word.lower() in phrases for word in document.signals.vocabulary):
            return 0, 0
        words = [word.lower() for word in document.signals.words]
        hits = 0
        distinct = set()
        for place, word in enumerate(words):
            for phrase in phrases.get(word, ()):
                if len(phrase) == 1 or tuple(words[place : place + len(phrase)]) == phrase:
                    hits += len(phrase)
                    distinct.add(phrase)
        return hits, len(distinct)


def host_of(url: str) -> str:
    """The host of an address in lower case, "" where there is none that a name server could know (RFC 1035)."""
    try:
        host = _normal(urlsplit(url if "//" in url else f"//{url}").hostname or "")
    except ValueError:
        return ""
    return host if len(host) <= _LONGEST_HOST else ""


def _normal(host: str) -> str:
    return host.strip().lower().strip(".")


def _is_host(entry: str) -> bool:
    host = _normal(entry)
    return bool(host) and not any(character in "/:@?#" or character.isspace() for character in host)


@lru_cache(maxsize=4)
def _read_phrases(file: Stamp) -> Phrases:
    """Raises ValueError when the file holds no word."""
    phrases: Phrases = {}
    for line in Path(file.path).read_text(encoding="utf-8").splitlines():
        entry = tuple(split_words(line.partition("#")[0].lower()))
        if entry and entry not in phrases.setdefault(entry[0], []):
            phrases[entry[0]].append(entry)
    if not phrases:
        raise ValueError(f"safety: words: {file.path} holds no word; give a text file with one word or phrase a line")
    return phrases


@lru_cache(maxsize=4)
def _read_hosts(file: Stamp) -> frozenset[str]:
    """Raises ValueError when the file holds no domain."""
    with Path(file.path).open(encoding="utf-8", errors="replace") as lines:
        hosts = frozenset(host for line in lines if _is_host(host := _normal(line.partition("#")[0])))
    if not hosts:
        raise ValueError(f"safety: hosts_file: {file.path} holds no domain; give a text file with one domain a line")
    return hosts
