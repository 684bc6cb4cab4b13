"""The registered domain of a URL: what a document's `domain` field holds."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tldextract import TLDExtract


@functools.cache
def suffixes() -> TLDExtract:
    """The public suffix list, as a parser of hosts."""
    from tldextract import TLDExtract

    # The snapshot inside the package only: nothing is fetched, so the answer depends on the installed version alone.
    return TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!\d{1,5}(?:[/?#]|\Z))|//")
_FILES = frozenset(("ai", "app", "cc", "java", "md", "mov", "pl", "ps", "py", "rs", "sh", "so", "zip"))
"""Endings of files that are top-level domains, too."""


def ascii_host(host: str) -> str:
    """A host in the spelling of name servers: of an international name the one in ASCII (UTS 46, RFC 5891), so that one
    site is one name in either spelling. What is no such name stays as it is."""
    if host.isascii():
        return host
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return host


@functools.lru_cache(maxsize=65536)
def _registered(host: str) -> str:
    host = ascii_host(host)
    parts = suffixes().extract_str(host)
    if parts.suffix or parts.ipv4 or ":" in host:
        return parts.top_domain_under_public_suffix or host
    # The list's own algorithm: a top-level domain without a rule is a suffix of one label.
    return ".".join(host.split(".")[-2:])


def registered_domain(url: str | None) -> str | None:
    """The registered domain (`news.bbc.co.uk` -> `bbc.co.uk`), in lower case.

    Private suffixes of the public suffix list (`github.io`) are not suffixes here. An IP address and a host of one
    label stay as they are; None when the URL is absent or has no host. An international name is the one in ASCII; an
    address without a scheme (`www.example.org/x`) has the host that it begins with, where its ending is a known one.
    """
    if not url:
        return None
    bare = _SCHEME.match(url) is None
    try:
        host = urlsplit(f"//{url}" if bare else url).hostname
    except ValueError:
        return None
    if not host:
        return None
    if bare and not _may_be_host(host, url):
        return None
    return _registered(host.rstrip(".")[:253]) or None


def _may_be_host(host: str, url: str) -> bool:
    """Whether what an address without a scheme begins with is a host, and not the name of a file or any other word."""
    ending = host.rstrip(".").rpartition(".")[2]
    return (
        len(host) <= 253
        and not any(character.isspace() or character in "@\\,;" for character in url.partition("/")[0])
        and bool(suffixes().extract_str(ascii_host(host)).top_domain_under_public_suffix)
        and ("/" in url or host.startswith("www.") or ending not in _FILES)
    )
