"""Addresses that identify nobody: those that standards reserve for examples, and servers that are open to everybody."""

from __future__ import annotations

import ipaddress

from curate.redact.found import Found

NOBODY = ("examples", "resolvers")
"""What `leave` of `redact` may name."""

_DOMAINS = frozenset(("example.com", "example.net", "example.org", "example.edu"))
"""Domains of RFC 2606, and their fellow of universities; the endings that it reserves are no top-level domains."""

DOCUMENTED = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    )
)
"""Networks for documentation (RFC 5737, RFC 3849, RFC 9637)."""

_RESOLVERS = frozenset(
    """
8.8.8.8 8.8.4.4 2001:4860:4860::8888 2001:4860:4860::8844
1.1.1.1 1.0.0.1 1.1.1.2 1.0.0.2 1.1.1.3 1.0.0.3 2606:4700:4700::1111 2606:4700:4700::1001 2606:4700:4700::1112
2606:4700:4700::1002 2606:4700:4700::1113 2606:4700:4700::1003
9.9.9.9 149.112.112.112 9.9.9.10 149.112.112.10 9.9.9.11 149.112.112.11 2620:fe::fe 2620:fe::9
208.67.222.222 208.67.220.220 2620:119:35::35 2620:119:53::53
94.140.14.14 94.140.15.15 77.88.8.8 77.88.8.1 84.200.69.80 84.200.70.40
4.2.2.1 4.2.2.2 4.2.2.3 4.2.2.4 4.2.2.5 4.2.2.6 64.6.64.6 64.6.65.6 74.82.42.42
114.114.114.114 114.114.115.115 223.5.5.5 223.6.6.6 119.29.29.29 180.76.76.76
""".split()  # noqa: SIM905
)
"""Public resolvers of names, in the order of their operators: Google, Cloudflare, Quad9, OpenDNS, AdGuard, Yandex,
DNS.WATCH, Level 3, Verisign, Hurricane Electric, and China's 114DNS, AliDNS, DNSPod, Baidu."""


def nobody(found: Found) -> str | None:
    """Which of `NOBODY` an identifier is, if any."""
    if found.kind == "email":
        host = found.canonical.rpartition("@")[2]
        return "examples" if ".".join(host.split(".")[-2:]) in _DOMAINS else None
    if found.kind not in ("ipv4", "ipv6"):
        return None
    if found.canonical in _RESOLVERS:
        return "resolvers"
    address = ipaddress.ip_address(found.canonical)
    return "examples" if any(address in network for network in DOCUMENTED) else None
