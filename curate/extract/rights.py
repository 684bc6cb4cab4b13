"""Signals of a page about its licence and about who may use it: raw, each with how and where it is stated.

Nothing is decided here. A later step reads them from the document: `licence_signals` and `opt_out_signals` hold a line
for each, `how (where): value`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urljoin

from curate.extract.blocks.mathml import value
from curate.extract.statements import Statements

MOST = 1000
"""Characters of a field, as many as a row keeps of one."""
_ONE = 240
_DIRECTIVES = frozenset(
    (
        *(
            "noindex",
            "nofollow",
            "noarchive",
            "nosnippet",
            "noimageindex",
            "nocache",
            "notranslate",
            "noai",
            "noimageai",
        ),
        *("noml", "notrain", "indexifembedded", "unavailable_after", "max-snippet", "max-image-preview"),
        *("max-video-preview", "noodp", "noydir", "noyaca", "nositelinkssearchbox"),
    )
)
"""Directives that nothing but a robot obeys. `all`, `none`, `index` and `follow` may be other statements."""
_WEAK = frozenset(("all", "none", "index", "follow", "archive", "snippet"))
_ROBOTS = ("robots", "bot", "crawler", "spider", "slurp")
_RESERVED = ("tdm-reservation", "tdm-policy", "tdmrep-policy", "x-robots-tag", "content-usage", "disallowaitraining")
_NAMED = (
    *("dc.rights", "dc.rights.license", "dc.rights.licence", "dcterms.rights", "dcterms.license", "dcterms.licence"),
    *(
        "license",
        "licence",
        "rights",
        "citation_license",
        "og:license",
        "cc:license",
        "dc.license",
        "dcterms.rightsholder",
    ),
)
_NAME = re.compile(r'license-name="([^"]+)"')
"""An attribute of pages of Stack Exchange."""
_OPEN = re.compile(
    r"creative ?commons|\bCC[ -](?:BY|0)|GNU Free Doc|Python Software Foundation|Open Government", re.IGNORECASE
)
"""Licences of texts; those of programs are rarely a page's."""
_PROPERTIES = ("license", "licence", "cc:license", "dct:license", "dcterms:license", "dc:license", "xhv:license")


def signals(page: Statements, url: str | None) -> dict[str, str]:
    """`licence_signals` and `opt_out_signals` of a page, where it has any."""
    fields = {"licence_signals": _licences(page, url), "opt_out_signals": _opt_outs(page)}
    return {name: text for name, lines in fields.items() if (text := joined(lines))}


def joined(lines: Iterable[str]) -> str:
    """Lines, each once; what does not fit is counted in the last."""
    each = list(dict.fromkeys(" ".join(line.split())[:_ONE] for line in lines))
    kept: list[str] = []
    size = 0
    for line in each:
        size += len(line) + 1
        if size > MOST - 20:
            kept.append(f"and {len(each) - len(kept)} more")
            break
        kept.append(line)
    return "\n".join(kept)


def _licences(page: Statements, url: str | None) -> Iterable[str]:
    for tag, attributes, where in page.rights:
        rel = value(attributes, "rel").lower().split()
        marks = (value(attributes, "itemprop") + " " + value(attributes, "property")).lower().split()
        target = value(attributes, "href") or value(attributes, "content") or value(attributes, "resource")
        target = _absolute(target, url)
        if "license" in rel or "licence" in rel:
            yield f"{tag} rel=license ({where}): {target}"
        elif any(mark in _PROPERTIES for mark in marks):
            yield f"{tag} {'itemprop' if ' itemprop=' in attributes else 'property'}=license ({where}): {target}"
        elif named := _NAME.search(attributes):
            yield f"{tag} license-name ({where}): {named.group(1)}"
        elif tag == "a" and _is_licence(target):
            yield f"a ({where}): {target}"
    for sentence, where in page.offers:
        if _OPEN.search(sentence):
            yield f"text ({where}): {sentence}"
    for thing in page.objects():
        for name in ("license", "licence"):
            if name in thing:
                kind = thing.get("@type", "")
                kind = kind[0] if isinstance(kind, list) and kind else kind
                for one in thing[name] if isinstance(thing[name], list) else [thing[name]]:
                    stated = one.get("@id") or one.get("url") or one.get("name") if isinstance(one, dict) else one
                    if isinstance(stated, str) and stated.strip():
                        yield f"JSON-LD {str(kind)[:60] or 'object'}: {stated}"
    for name, content in page.metas:
        if name in _NAMED and content.strip():
            yield f"meta {name}: {content}"


def _is_licence(target: str) -> bool:
    low = target.lower()
    return (
        "creativecommons.org/licen" in low
        or "creativecommons.org/publicdomain" in low
        or "open-government-licence" in low
    )


def _absolute(target: str, url: str | None) -> str:
    try:
        return urljoin(url or "", target.strip())
    except ValueError:
        return target.strip()


def _opt_outs(page: Statements) -> Iterable[str]:
    for name, content in page.metas:
        if name in _RESERVED:
            yield f"meta {name}: {content}"
            continue
        said = {one.split(":")[0].strip() for one in content.lower().split(",")} - {""}
        named = any(mark in name for mark in _ROBOTS)
        if said and (name == "robots" or (said <= _DIRECTIVES | _WEAK and (named or said & _DIRECTIVES))):
            yield f"meta {name[:60]}: {content}"
    for attributes in page.links:
        if value(attributes, "rel").lower().strip() in ("tdm-policy", "tdm-reservation"):
            yield f"link {value(attributes, 'rel')}: {value(attributes, 'href')}"
