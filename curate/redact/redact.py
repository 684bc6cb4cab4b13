"""Removes personal identifiers from a text: replaced by stand-ins, masked or cut; or drops the page.

A stand-in is a keyed hash (BLAKE2b, RFC 7693) of the address in its canonical form, written as an address of the same
kind from a range that is never assigned: the same address becomes the same stand-in in every document, shard and run
with that key, in whatever order, and a guess cannot be tested without the key. Later passes do not find stand-ins.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.errors import Refused
from curate.places.stamp import Stamp, stamp
from curate.redact.found import Found
from curate.redact.identifiers import KINDS, find, luhn
from curate.redact.nobody import NOBODY
from curate.redact.phones import regions_of
from curate.step import Check, Edit, over, param

_SHORTEST_KEY = 16


@dataclass(frozen=True)
class Redact(Edit):
    """Removes personal identifiers; a page with more than `max_found` of them is dropped as `too_many_identifiers`.

    The ledger counts the identifiers by kind, and never names one. The address of a page and its title stay as they
    are.
    """

    name: ClassVar[str] = "redact"
    version: ClassVar[int] = 3
    libraries: ClassVar[tuple[str, ...]] = ("phonenumberslite", "phonenumbers", "tldextract", "idna")
    shaping: ClassVar[tuple[str, ...]] = ("kinds", "action", "key_file", "regions", "leave")

    kinds: list[str] = param(list(KINDS), f"what is searched for: {', '.join(KINDS)}")
    action: str = param(
        "mask",
        "mask: `[email]`; pseudonym: a stand-in, always the same; cut: removed; drop: the page is dropped",
        choices=("mask", "pseudonym", "cut", "drop"),
    )
    key_file: str | None = param(
        None, "for pseudonym: a file of at least 16 secret bytes (`head -c 32 /dev/urandom > pii.key`)", path=True
    )
    max_found: int | None = param(
        None, "a page with more of them is dropped; dolma: 5", source="dolma, taggers/pii.py", ge=0
    )
    regions: list[str] = param(
        ["US"], "countries whose phone numbers are found without country code; that of the page's domain is added"
    )
    leave: list[str] = param(
        ["examples"],
        "addresses that identify nobody and stay: examples (example.com, networks of documentation), resolvers (8.8.8.8"
        " and other public ones); stand-ins are found again where examples do not stay",
    )

    def __post_init__(self) -> None:
        for one in self.leave:
            if one not in NOBODY:
                raise Refused(f"redact: leave: there is no {one!r}; there are: {', '.join(NOBODY)}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise Refused(f"redact: kinds: there is no kind {kind!r}; there are: {', '.join(KINDS)}")
        if not self.kinds:
            raise Refused(f"redact: kinds: give at least one of {', '.join(KINDS)}")
        if (self.action == "pseudonym") != (self.key_file is not None):
            raise Refused(
                "redact: `action: pseudonym` and `key_file` go together: name a file of at least 16 secret bytes "
                "(`head -c 32 /dev/urandom > pii.key` makes one), or leave both out"
            )
        if self.key_file is not None and not Path(self.key_file).is_file():
            raise Refused(
                f"redact: key_file: there is no file {self.key_file}; `head -c 32 /dev/urandom > pii.key` makes one"
            )
        if self.key_file is not None:
            _key(stamp(self.key_file))
        for region in self.regions:
            if not regions_of(f".{region}") or region in ("UK", "EU") or region.upper() != region:
                raise Refused(
                    f"redact: regions: {region!r} is not a country of ISO 3166 with phone numbers; write US, GB or DE"
                )

    def open(self) -> None:
        find("someone@example.com +1", self.kinds)

    def found(self, document: Document) -> list[Found]:
        """Every identifier in a document's text, by place, without overlaps."""
        if "phone" not in self.kinds:
            return find(document.text, self.kinds, leave=self.leave)
        own = regions_of(document.domain or document.url)
        return find(document.text, self.kinds, dict.fromkeys((*own, *self.regions)), self.leave)

    def edit(self, document: Document) -> str | Check:
        found = self.found(document)
        return next((check for check in self._checks(found) if check.failed), None) or self._left(document, found)

    def examine(self, document: Document) -> tuple[list[Check], str]:
        found = self.found(document)
        return self._checks(found), self._left(document, found)

    def _checks(self, found: list[Found]) -> list[Check]:
        if self.action == "drop":
            return [Check("too_many_identifiers", len(found), 0, bool(found))]
        if self.max_found is None:
            return []
        return [over("too_many_identifiers", len(found), self.max_found, "max_found")]

    def _left(self, document: Document, found: list[Found]) -> str:
        """The text with each identifier replaced or cut; the document's notes count them."""
        counts: dict[str, int] = {}
        for one in found:
            counts[one.kind] = counts.get(one.kind, 0) + 1
        document.notes += [(self.name, kind, count) for kind, count in sorted(counts.items())]
        parts, place = [], 0
        for one in found:
            parts += [document.text[place : one.start], self._instead(one)]
            place = one.end
        return "".join([*parts, document.text[place:]])

    def _instead(self, one: Found) -> str:
        if self.action == "cut":
            return ""
        if self.key_file is None:
            return f"[{one.kind}]"
        return stand_in(one.kind, one.canonical, _key(stamp(self.key_file)))


def stand_in(kind: str, canonical: str, key: bytes) -> str:
    """An address of the same kind that is never assigned, and depends on key and address alone.

    E-mail: 60 bits before `example.com` (RFC 2606). Phone: 10 digits after +999, a country code that no country has
    (ITU-T E.164). IPv4: 28 bits in 240.0.0.0/4, IPv6: 96 bits in 2001:db8::/32 (RFC 1112, RFC 3849), never routed.
    IBAN: of no country, XX, with check digits. Card: begins with 0000, of no issuer, with a check digit. Two addresses
    share a stand-in as rarely as those sizes imply: among 10 000 phone numbers, two do with a chance of 0.5 %.
    """
    digest = hashlib.blake2b(canonical.encode("utf-8", "surrogatepass"), key=key, person=kind.encode(), digest_size=32)
    number = int.from_bytes(digest.digest(), "big")
    if kind == "email":
        return f"{_letters(number, 12)}@example.com"
    if kind == "phone":
        digits = f"{number % 10**10:010d}"
        return f"+999 {digits[:3]} {digits[3:6]} {digits[6:]}"
    if kind == "ipv4":
        # The last address of the range, 255.255.255.255, is the broadcast address.
        return str(ipaddress.IPv4Address((0xF << 28) + number % ((1 << 28) - 1)))
    if kind == "ipv6":
        return str(ipaddress.IPv6Address((0x20010DB8 << 96) + number % (1 << 96)))
    if kind == "iban":
        account = f"{number % 10**18:018d}"
        # X is 33 in ISO 7064's alphabet.
        return f"XX{98 - int(account + '333300') % 97:02d}{account}"
    digits = f"0000{number % 10**11:011d}"
    return next(digits + last for last in "0123456789" if luhn(digits + last))


def _letters(number: int, count: int) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(alphabet[number >> 5 * place & 31] for place in range(count))


@lru_cache(maxsize=4)
def _key(file: Stamp) -> bytes:
    """The key that a file holds, of whatever length. Raises Refused for a short one."""
    secret = Path(file.path).read_bytes()
    if len(secret) < _SHORTEST_KEY:
        raise Refused(
            f"redact: key_file: {file.path} holds {len(secret)} bytes, at least {_SHORTEST_KEY} are needed; "
            "`head -c 32 /dev/urandom > pii.key` makes a good one"
        )
    return hashlib.blake2b(secret).digest()
