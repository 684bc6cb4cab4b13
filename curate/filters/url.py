"""Addresses: pages of listed hosts and URLs, and of URLs with listed words (RefinedWeb, section G.1; FineWeb, 3.2).

The rules and their order are datatrove's (url_filter.py, 0.10.1). Four things differ, each because datatrove's way
never matches or matches wrongly: a listed host blocks all below it, not the registered domain and the full name alone;
listed URLs are compared without scheme, as the lists have them, and block what is below them; words are compared in
lower case; empty lines are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from curate.document import Document
from curate.domains import ascii_host, registered_domain
from curate.errors import Refused, nearest
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Preview, Rule, param

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_LONGEST_HOST = 253
_NO_WORD = re.compile(r"[^a-z0-9]+")
_FILES = ("domains", "urls")
_UNCLEAN = re.compile(rb"[# \t\r]|^\.|\.$", re.MULTILINE)
_BLOCK = 1 << 22
_CODE = "datatrove url_filter.py"


@dataclass(frozen=True)
class Url(Rule):
    """Drops pages by their URL: `tld`, `domain`, `subdomain`, `url`, `hard_blacklisted`, `soft_blacklisted`,
    `blacklisted_subword`. A document without a URL passes.
    """

    name: ClassVar[str] = "url"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("tldextract", "idna")
    shaping: ClassVar[tuple[str, ...]] = (
        "tlds",
        "domains",
        "domains_file",
        "lists",
        "categories",
        "hard_words",
        "soft_words",
        "subwords",
    )
    needs: ClassVar[dict[str, str]] = {"min_soft_words": "soft_words"}

    tlds: list[str] = param([], "endings of hosts to drop, such as xxx or co.uk", source="ours")
    domains: list[str] = param([], "domains to drop, with all below them")
    domains_file: str | None = param(None, "file of domains to drop, one a line, `#` begins a comment", path=True)
    lists: str | None = param(
        None,
        "a folder as UT1 publishes them: files `domains` and `urls` in it, or in a folder for each category",
        source="RefinedWeb, section G.1",
        path=True,
    )
    categories: list[str] = param([], "which folders of `lists` are used; all when empty")
    hard_words: str | None = param(
        None, "file of words, one a line; one of them as a whole word of the URL is enough", source=_CODE, path=True
    )
    soft_words: str | None = param(None, "file of words of which several are needed", source=_CODE, path=True)
    min_soft_words: int = param(2, "different soft words that end a page", source=_CODE, ge=1)
    subwords: str | None = param(
        None, "file of letter sequences, searched for in the URL's letters and digits", source=_CODE, path=True
    )

    def __post_init__(self) -> None:
        for field in ("domains_file", "hard_words", "soft_words", "subwords"):
            path = getattr(self, field)
            if path is not None and not Path(path).is_file():
                raise Refused(f"url: {field}: there is no file {path}; give a text file with one entry a line")
        for host in self.domains:
            if not _is_host(host):
                raise Refused(
                    f"url: domains: {host!r} is not a domain; write it as example.com, without scheme or path"
                )
        for ending in self.tlds:
            if not _is_host(ending):
                raise Refused(f"url: tlds: {ending!r} is not the ending of a host; write it as xxx, or co.uk")
        if self.lists is not None:
            _folders(Path(self.lists), self.categories)
        elif self.categories:
            raise Refused("url: categories: they are folders of `lists`, which is not given")
        for field in ("hard_words", "soft_words", "subwords"):
            self._words(field)

    def open(self) -> None:
        # During a run its lists stay as they were when it began: a check for each page would cost more than the rule.
        _list_files.cache_clear()
        self._tables()

    def _tables(self) -> dict[str, npt.NDArray[np.uint64]]:
        """The hashes of the entries of `lists` and `domains_file`, by kind."""
        files = _list_files(self.lists, tuple(self.categories), self.domains_file)
        return {kind: _hashes(kind, stamps) for kind, stamps in zip(_FILES, files, strict=True)}

    def _words(self, field: str) -> frozenset[str]:
        path = getattr(self, field)
        return _read_words(field, stamp(path)) if path is not None else frozenset()

    @cached_property
    def _own(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(map(_normal, self.domains)), frozenset(_normal(ending) for ending in self.tlds)

    def checks(self, document: Document) -> Iterator[Check]:
        url = document.url or document.domain or ""
        host = host_of(url)
        if not host:
            return
        above = hosts_above(host)
        own, endings = self._own
        if endings:
            ending = next((name for name in above if name in endings), None)
            yield Check("tld", host, ending, ending is not None)
        tables = self._tables()
        if own or len(tables["domains"]):
            listed = next((name for name in above if name in own or _listed(name, tables["domains"])), None)
            rule = "subdomain" if listed not in (None, registered_domain(f"//{host}")) else "domain"
            yield Check(rule, host, listed, listed is not None)
        if len(tables["urls"]):
            listed = next((name for name in addresses_above(url) if _listed(name, tables["urls"])), None)
            yield Check("url", url, listed, listed is not None)
        lowered = url.lower()
        words = set(_NO_WORD.split(lowered))
        if self.hard_words is not None:
            hard = min(words & self._words("hard_words"), default=None)
            yield Check("hard_blacklisted", hard, None, hard is not None)
        if self.soft_words is not None:
            count = len(words & self._words("soft_words"))
            failed = count >= self.min_soft_words
            yield Check("soft_blacklisted", count, self.min_soft_words, failed, "min_soft_words", "reaches")
        if self.subwords is not None:
            letters = _NO_WORD.sub("", lowered)
            part = min((word for word in self._words("subwords") if word in letters), default=None)
            yield Check("blacklisted_subword", part, None, part is not None)

    def foretell(self, page: Preview) -> Check | None:
        """The verdict itself: the URL is known before the text is."""
        return next((check for check in self.checks(page.address) if check.failed), None)


def host_of(url: str) -> str:
    """The host of a URL in lower case, "" where there is none that a name server could resolve (RFC 1035)."""
    try:
        host = _normal(urlsplit(url if "//" in url else f"//{url}").hostname or "")
    except ValueError:
        return ""
    return host if len(host) <= _LONGEST_HOST else ""


def hosts_above(host: str) -> list[str]:
    """A host, and every domain that it is part of."""
    parts = host.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def addresses_above(url: str) -> Iterator[str]:
    """The forms in which a list may name a URL: host and path, and each folder above, without scheme, port and
    `www.`."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
    except ValueError:
        return
    host = host_of(url).removeprefix("www.")
    whole = f"{host}{parts.path}".rstrip("/")
    if parts.query:
        yield f"{whole}?{parts.query}"
    # Lists name URLs of a few folders; a path of thousands is hostile, and only its beginning is looked up.
    depth = whole.count("/")
    for _ in range(depth):
        if depth <= 64:
            yield whole
        whole, depth = whole.rpartition("/")[0], depth - 1


def _normal(host: str) -> str:
    return ascii_host(host.strip().lower().strip("."))


def _is_host(entry: str) -> bool:
    host = _normal(entry)
    return bool(host) and not any(character in "/:@?#" or character.isspace() for character in host)


def _folders(root: Path, categories: Iterable[str]) -> list[Path]:
    """The folders of the lists asked for. Raises Refused where there are no lists, or a category is missing."""
    if not root.is_dir():
        raise Refused(f"url: lists: there is no folder {root}; give one as UT1 publishes them")
    there = {path.parent.name: path.parent for kind in _FILES for path in sorted(root.glob(f"*/{kind}"))}
    for name in categories:
        if name not in there:
            hint = nearest(name, there)
            raise Refused(
                f"url: categories: {root} has no '{name}'{hint}; it has: {', '.join(sorted(there)) or 'none'}"
            )
    chosen = [there[name] for name in sorted(set(categories) or there)]
    if not categories and any((root / kind).is_file() for kind in _FILES):
        chosen.append(root)
    if not chosen:
        raise Refused(f"url: lists: {root} holds no file `domains` or `urls`, and no folder with one")
    return chosen


@lru_cache(maxsize=16)
def _list_files(lists: str | None, categories: tuple[str, ...], domains_file: str | None) -> list[tuple[Stamp, ...]]:
    """The files of each kind."""
    files: dict[str, list[Stamp]] = {kind: [] for kind in _FILES}
    if lists is not None:
        for folder in _folders(Path(lists), categories):
            for kind in _FILES:
                if (folder / kind).is_file():
                    files[kind].append(stamp(folder / kind))
    if domains_file is not None:
        files["domains"].append(stamp(domains_file))
    return [tuple(files[kind]) for kind in _FILES]


def _listed(name: str, hashes: npt.NDArray[np.uint64]) -> bool:
    if not len(hashes):
        return False
    import numpy as np
    import xxhash

    wanted = np.uint64(xxhash.xxh3_64_intdigest(name.encode("utf-8", "replace")))
    place = int(np.searchsorted(hashes, wanted))
    return place < len(hashes) and bool(hashes[place] == wanted)


@lru_cache(maxsize=8)
def _hashes(kind: str, files: tuple[Stamp, ...]) -> npt.NDArray[np.uint64]:
    """The entries of files, as sorted hashes: 8 bytes each, where strings would take 70 (UT1 lists millions).

    Two of 2^64 hashes are equal by chance: with n entries, one in 2^64 / n unlisted names counts as listed.
    Raises Refused when the files hold no entry.
    """
    import numpy as np
    import xxhash

    entries = (entry for file in files for entry in _entries(kind, Path(file.path)))
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, entries), dtype=np.uint64)
    hashes.sort()
    if files and kind == "domains" and not len(hashes):
        raise Refused(f"url: {', '.join(file.path for file in files)} holds no domain; give one domain a line")
    return hashes


def _entries(kind: str, path: Path) -> Iterator[bytes]:
    """The entries of a file, in lower case; a block at a time, since every worker reads millions of lines."""
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            block = rest + block.lower()
            lines = block.split(b"\n")
            rest = lines.pop()
            plain = kind == "domains" and block.isascii() and not _UNCLEAN.search(block)
            yield from filter(None, lines) if plain else _cleaned(kind, lines)
    yield from _cleaned(kind, [rest])


def _cleaned(kind: str, lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        entry = line.partition(b"#")[0].strip(b". \t\r")
        if kind == "urls":
            entry = entry.rpartition(b"://")[2].removeprefix(b"www.").rstrip(b"/")
        if entry and not entry.isascii():
            host, slash, path = entry.decode("utf-8", "replace").partition("/")
            entry = f"{ascii_host(host.lower())}{slash}{path}".encode()
        if entry:
            yield entry


@lru_cache(maxsize=8)
def _read_words(field: str, file: Stamp) -> frozenset[str]:
    """Raises Refused when the file holds no word."""
    lines = Path(file.path).read_text(encoding="utf-8", errors="replace").splitlines()
    words = frozenset(word for line in lines if (word := _NO_WORD.sub("", line.partition("#")[0].lower())))
    if not words:
        raise Refused(f"url: {field}: {file.path} holds no word; give a text file with one word a line")
    return words
