"""The registered domain of a URL: what a document's `domain` field holds."""

from __future__ import annotations

import functools
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


@functools.lru_cache(maxsize=65536)
def _registered(host: str) -> str:
    parts = suffixes().extract_str(host)
    if parts.suffix or parts.ipv4 or ":" in host:
        return parts.top_domain_under_public_suffix or host
    # The list's own algorithm: a top-level domain without a rule is a suffix of one label.
    return ".".join(host.split(".")[-2:])


def registered_domain(url: str | None) -> str | None:
    """The registered domain (`news.bbc.co.uk` -> `bbc.co.uk`), in lower case.

    Private suffixes of the public suffix list (`github.io`) are not suffixes here. An IP address and a host of one
    label stay as they are; None when the URL is absent or has no host.
    """
    if not url:
        return None
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    if not host:
        return None
    return _registered(host.rstrip(".")[:253]) or None
