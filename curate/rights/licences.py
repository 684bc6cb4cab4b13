"""The licence of a page, from what it states: each finding with how it is stated and how sure that makes it.

A link to a licence that stands by a picture, in an article or in a quotation may be that of the picture, or the
article's subject (r-three/common-pile, issue 22): it is kept as a finding and never becomes the licence of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

CONFIDENCE = ("high", "medium", "low")
"""high: stated for the page as a whole, by a tag made for it. medium: by `rel=license` or microdata anywhere on the
page, a link in its footer, or a sentence that says what it offers. low: it may be of something on the page."""

_CC = re.compile(
    r"creativecommons\.org/licen[sc]es/(by(?:-nc)?(?:-(?:nd|sa))?)/(\d\.\d)(?:/(?:deed\.)?([a-z]{2,5})(?=[/?#]|$))?",
    re.IGNORECASE,
)
_PORTED = {
    "CC-BY": "2.5-AU 3.0-AT 3.0-AU 3.0-DE 3.0-IGO 3.0-NL 3.0-US",
    "CC-BY-NC": "3.0-DE",
    "CC-BY-NC-ND": "3.0-DE 3.0-IGO",
    "CC-BY-NC-SA": "2.0-DE 2.0-FR 2.0-UK 3.0-DE 3.0-IGO",
    "CC-BY-ND": "3.0-DE",
    "CC-BY-SA": "2.0-UK 2.1-JP 3.0-AT 3.0-DE 3.0-IGO",
}
"""Ports to a country's law that SPDX knows; any other port is known under the licence without it."""
_OTHERS = (
    (re.compile(r"creativecommons\.org/publicdomain/zero/1\.0", re.IGNORECASE), "CC0-1.0"),
    (re.compile(r"creativecommons\.org/publicdomain/mark/1\.0", re.IGNORECASE), "CC-PDM-1.0"),
    (re.compile(r"creativecommons\.org/licen[sc]es/publicdomain", re.IGNORECASE), "CC-PDDC"),
    (re.compile(r"open-government-licence/version/([123])", re.IGNORECASE), r"OGL-UK-\1.0"),
    (re.compile(r"gnu\.org/(?:copyleft|licenses)/(?:old-licenses/)?fdl-(1\.[123])", re.IGNORECASE), r"GFDL-\1-only"),
    (re.compile(r"apache\.org/licenses/license-2\.0", re.IGNORECASE), "Apache-2.0"),
    (re.compile(r"opensource\.org/licen[sc]es/mit\b", re.IGNORECASE), "MIT"),
)
_WORDS = re.compile(r"\bCC[ -](BY(?:-NC)?(?:-(?:ND|SA))?)[ -](\d\.\d)\b|\b(CC0)\b", re.IGNORECASE)
_CONDITION = r"[^a-z0-9]{1,3}(?:Non-?\s?Commercial|Share-?\s?Alike|No-?\s?Deriv\w*(?: Works)?)"
_ATTRIBUTION = re.compile(rf"Creative Commons Attribution((?:{_CONDITION})*)[^a-z0-9]{{1,3}}(\d\.\d)", re.IGNORECASE)
_GFDL = re.compile(r"GNU Free Documentation Licen[sc]e,?(?: version)? (1\.[123])( or (?:any )?later)?", re.IGNORECASE)
_PSF = re.compile(r"Python Software Foundation Licen[sc]e,? Version 2", re.IGNORECASE)
_OF_THE_PAGE = re.compile(
    r"\b(?:work|page|(?:web)?site|content|contribution|text|article|post|blog|documentation|wiki|material|book|guide"
    r"|document|entry)s?\b",
    re.IGNORECASE,
)
"""What a sentence that offers a licence offers, before the offer; of other things than a page's text, these stand just
before it."""
_OF_ANOTHER = re.compile(
    r"\b(?:code|samples?|software|source|programs?|librar(?:y|ies)|plugins?|fonts?|icons?|images?|photos?|pictures?|videos?"
    r"|data|datasets?|logos?)\W+(?:\w+\W+){0,2}$",
    re.IGNORECASE,
)
_UNDER = re.compile(r"\w+\s+under\b", re.IGNORECASE)
_KINDS = ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
"""From the least to the most restrictive."""
_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")
KNOWN = (
    *("CC0-1.0", "CC-PDM-1.0", "CC-PDDC", "OGL-UK-1.0", "OGL-UK-2.0", "OGL-UK-3.0", "MIT", "Apache-2.0"),
    *(f"GFDL-1.{minor}-{which}" for minor in (1, 2, 3) for which in ("only", "or-later")),
    "PSF-2.0",
    *(f"CC-{kind.upper()}-{version}" for kind in _KINDS for version in _VERSIONS),
    *(f"{kind}-{port}" for kind, ports in _PORTED.items() for port in ports.split()),
)
"""SPDX identifiers that can be found, the least restrictive first among those of Creative Commons."""

_LINE = re.compile(r"(.{1,90}?): (.*)")
_PLACE = re.compile(r"\(([a-z0-9]+)\)$")
_WHOLE = re.compile(r"JSON-LD (?:\w*Page|\w*Article|BlogPosting|Report|WebSite|CreativeWork|Dataset|Book|object)$")
_OF_SOMETHING = ("figure", "blockquote", "aside")


class Finding(NamedTuple):
    """One statement of a licence: its SPDX identifier (empty where it has none that is known), how it is stated, how
    sure it makes the page's licence, and its words."""

    licence: str
    source: str
    confidence: str
    value: str

    def field(self) -> dict[str, str]:
        """As a document keeps it."""
        return {
            "license": self.licence,
            "source": self.source,
            "confidence": self.confidence,
            "value": self.value,
        }


def findings(metadata: Mapping[str, Any]) -> Iterator[Finding]:
    """What a page says of its licence, from the fields that reading and `extract` keep."""
    link = metadata.get("link")
    if isinstance(link, str):
        for target in re.findall(r"<([^<>]{1,500})>[^<]{0,200}?rel=\"?license", link, re.IGNORECASE):
            yield Finding(spdx(target), "header Link", "high", target)
    lines = metadata.get("licence_signals")
    for line in lines.splitlines() if isinstance(lines, str) else ():
        if said := _LINE.match(line):
            how, value = said.groups()
            confidence = _confidence(how, value)
            if confidence:
                yield Finding(spdx(value), how, confidence, value)


def licence_of(found: list[Finding], least: str) -> str:
    """The licence of the page: of its surest findings at least as sure as `least`, the most restrictive; empty where
    there is none."""
    for confidence in CONFIDENCE[: CONFIDENCE.index(least) + 1]:
        named = {one.licence for one in found if one.confidence == confidence and one.licence}
        if named:
            return max(named, key=lambda one: (_restriction(one), one))
    return ""


def spdx(value: str) -> str:
    """The SPDX identifier of a licence's address or name; empty for one that is not known."""
    if said := _CC.search(value):
        kind, version, port = said.groups()
        name = f"CC-{kind.upper()}-{version}"
        ported = f"{name}-{port.upper()}" if port and "deed" not in said.group().lower() else ""
        return ported if ported in KNOWN else name
    for pattern, name in _OTHERS:
        if said := pattern.search(value):
            return said.expand(name)
    if said := _ATTRIBUTION.search(value):
        words = re.sub(r"[^a-z]", "", said.group(1).lower())
        kinds = ["BY"] + [one for one, word in (("NC", "noncom"), ("ND", "noder"), ("SA", "share")) if word in words]
        return f"CC-{'-'.join(kinds)}-{said.group(2)}"
    if said := _GFDL.search(value):
        return f"GFDL-{said.group(1)}-{'or-later' if said.group(2) else 'only'}"
    if _PSF.search(value):
        return "PSF-2.0"
    if said := _WORDS.search(value):
        return "CC0-1.0" if said.group(3) else f"CC-{said.group(1).upper()}-{said.group(2)}"
    return next((name for name in KNOWN if name.lower() == value.strip().lower()), "")


def _confidence(how: str, value: str) -> str:
    """How sure a way of stating makes the page's licence; empty where it says nothing of one."""
    place = said.group(1) if (said := _PLACE.search(how)) else ""
    if how.startswith("meta "):
        return "" if how == "meta dcterms.rightsholder" else "high"
    if how.startswith("JSON-LD"):
        return "high" if _WHOLE.match(how) else "low"
    if place in _OF_SOMETHING:
        return "low"
    if place == "head":
        return "high"
    if how.startswith("text"):
        offer = _UNDER.search(value)
        before = value[: offer.start()] if offer else ""
        return "medium" if _OF_THE_PAGE.search(before) and not _OF_ANOTHER.search(before) else "low"
    if how.startswith("a ("):
        return "medium" if place == "footer" else "low"
    return "medium"


def _restriction(licence: str) -> int:
    """How much a licence forbids; licences of other families are between BY and BY-SA."""
    if licence.startswith("CC-BY"):
        kind = re.sub(r"-\d.*", "", licence.removeprefix("CC-")).lower()
        return 2 + 2 * _KINDS.index(kind)
    return 1 if licence.startswith(("CC0", "CC-PD")) else 3
