"""Where a page states something about itself, gathered in one pass over its tags."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress, islice
from typing import Any

from curate.extract.blocks.inline import said
from curate.extract.blocks.mathml import value
from curate.extract.blocks.segment import INLINE, unescaped

Token = tuple[str, str, str]

LONGEST = 1 << 18
"""Characters of a script with JSON-LD that are looked at."""
_MANY = 500
"""Elements of a kind that are looked at."""
_OBJECTS = 2000
_PLACES = ("head", "body", "main", "article", "header", "footer", "nav", "aside", "figure", "form", "blockquote")
"""Elements that say where on the page a link stands."""
_READ = ("meta", "link", "time", "abbr", "title", "h1")
_DOES = dict.fromkeys(_READ, "read") | dict.fromkeys(_PLACES, "opens") | {f"/{tag}": "closes" for tag in _PLACES}
_DOES["html"] = "root"
_TYPED = ' itemtype="'
_BY = (' rel="author"', ' itemprop="author"')
_NEEDLES = ("icense", "icence", "ICENSE", "reativecommons", _TYPED, *_BY)
"""What the attributes of a tag that is looked at hold."""
_OFFER = re.compile(
    r"\b(?:licen[sc]ed|shared|available|distributed|released|published|provided|used)\s+under\b", re.IGNORECASE
)
_BEFORE, _BEHIND = 120, 200
"""Characters of a sentence around it."""
_ATTRIBUTES = re.compile(r'([^\s="<>]{1,60})="([^"]*)"')


@dataclass(slots=True)
class Statements:
    """What a page states, as it stands there: (tag, attributes) of elements, and texts."""

    root: str = ""
    """The attributes of `html`."""
    titles: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    """Texts of the first headings of the first rank."""
    metas: list[tuple[str, str]] = field(default_factory=list)
    """(name in lower case, content) of `meta`, by `name`, `property`, `itemprop` or `http-equiv`."""
    links: list[str] = field(default_factory=list)
    """Attributes of `link`."""
    dated: list[tuple[str, str, str]] = field(default_factory=list)
    """`meta`, `time` and `abbr` with their texts."""
    rights: list[tuple[str, str, str]] = field(default_factory=list)
    """(tag, attributes, where it stands) of what may name a licence."""
    offers: list[tuple[str, str]] = field(default_factory=list)
    """(text, where it stands) of sentences such as "licensed under ...", the targets of their links in front."""
    authors: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    """Values of `itemtype`."""
    scripts: Sequence[str] = ()
    """JSON-LD."""
    _objects: list[dict[str, Any]] | None = None

    def meta(self, *names: str) -> str:
        """The first content that is not blank of the first of these names that has one."""
        for name in names:
            for known, content in self.metas:
                if known == name and content.strip():
                    return content
        return ""

    def objects(self) -> list[dict[str, Any]]:
        """Every object in the JSON-LD, the outer ones first."""
        if self._objects is None:
            self._objects = list(islice(_objects(self.scripts), _OBJECTS))
        return self._objects


def _objects(scripts: Sequence[str]) -> Iterator[dict[str, Any]]:
    for script in scripts[:20]:
        if len(script) > LONGEST:
            continue
        try:
            waiting: list[Any] = [json.loads(script, strict=False)]
        except (ValueError, RecursionError):
            continue
        for thing in waiting:
            if isinstance(thing, dict):
                yield thing
                waiting += [inner for inner in thing.values() if isinstance(inner, (dict, list))]
            elif isinstance(thing, list):
                waiting += [inner for inner in thing if isinstance(inner, (dict, list))]


def attributes_of(written: str) -> dict[str, str]:
    """The attributes of a tag, without escapes."""
    return {name: unescaped(value) for name, value in _ATTRIBUTES.findall(written)}


def gathered(tokens: Sequence[Token], scripts: Sequence[str]) -> Statements:
    """What a page states, of its tags as `tokens_of` gives them."""
    page = Statements(scripts=scripts)
    where: list[str] = []
    places = set(compress(range(len(tokens)), map(_DOES.__contains__, [token[0] for token in tokens])))
    marked = _holding([token[1] for token in tokens], _NEEDLES)
    places.update(*_holding([token[2] for token in tokens], (" under",)).values(), *marked.values())
    for place in sorted(places):
        tag, attributes, text = tokens[place]
        if does := _DOES.get(tag):
            if does == "read":
                _read(page, tokens, place, tag, attributes, text)
            elif does == "opens":
                where.append(tag)
            elif does == "closes":
                # Well nested, since the parser wrote it.
                if where and where[-1] == tag[1:]:
                    where.pop()
            else:
                page.root = attributes
        if " under" in text and len(page.offers) < 20 and (offer := _OFFER.search(text)):
            page.offers.append((_sentence(tokens, place, offer), where[-1] if where else "body"))
        if attributes and tag != "meta":
            for needle, found in marked.items():
                if place in found:
                    _marked(page, tokens, place, needle, where[-1] if where else "body")
    return page


def _holding(parts: Sequence[str], needles: Sequence[str]) -> dict[str, set[int]]:
    """Of each needle (without a line end) that is found: the places of the parts that hold it."""
    whole = "\n".join(parts)
    held: dict[str, set[int]] = {}
    until: list[int] = []
    for needle in needles:
        at = whole.find(needle)
        while at >= 0:
            until = until or list(accumulate([len(part) + 1 for part in parts]))
            place = bisect_right(until, at)
            held.setdefault(needle, set()).add(place)
            at = whole.find(needle, until[place])
    return held


def _sentence(tokens: Sequence[Token], place: int, offer: re.Match[str]) -> str:
    """The words around an offer, as far as they go in the tags behind it, and the targets of links among those."""
    tag, _, text = tokens[place]
    before = text[max(0, offer.start() - _BEFORE) : offer.start()]
    for earlier, _, words in reversed(tokens[max(0, place - 4) : place]):
        if len(before) >= _BEFORE or tag.removeprefix("/") not in INLINE:
            break
        tag, before = earlier, words[-_BEFORE:] + before
    said, targets = text[offer.start() :][:_BEHIND], []
    for tag, attributes, more in tokens[place + 1 : place + 12]:
        if len(said) >= _BEHIND or tag.removeprefix("/") not in INLINE:
            break
        if tag == "a":
            targets.append(unescaped(value(attributes, "href")))
        said += more
    # Of another offer before it, nothing.
    before = _OFFER.split(before)[-1]
    sentence = " ".join(unescaped(before + said[:_BEHIND]).split())
    return " ".join([*(one for one in targets[:2] if _is_near(one)), sentence])


def _is_near(target: str) -> bool:
    """Whether the target of a link may say which licence is meant."""
    return len(target) < 100 and "licen" in target.lower()


def _marked(page: Statements, tokens: Sequence[Token], place: int, needle: str, where: str) -> None:
    tag, attributes, _ = tokens[place]
    if needle == _TYPED:
        if len(page.types) < 100:
            page.types.append(value(attributes, "itemtype"))
    elif needle in _BY:
        if len(page.authors) < 20:
            _author(page, tokens, place)
    elif not (page.rights and page.rights[-1][1] is attributes) and len(page.rights) < _MANY:
        page.rights.append((tag, attributes, where))


def _read(page: Statements, tokens: Sequence[Token], place: int, tag: str, attributes: str, text: str) -> None:
    if tag == "meta":
        name = (
            value(attributes, "name")
            or value(attributes, "property")
            or value(attributes, "itemprop")
            or value(attributes, "http-equiv")
        )
        if len(page.metas) < _MANY:
            page.metas.append((name.strip().lower(), value(attributes, "content")))
            page.dated.append((tag, attributes, ""))
    elif tag == "link":
        if len(page.links) < _MANY:
            page.links.append(attributes)
    elif tag == "title":
        if text.strip() and len(page.titles) < 4:
            page.titles.append(unescaped(text))
    elif tag == "h1":
        if len(page.headings) < 10:
            page.headings.append(line(tokens, place, heading=True))
    elif len(page.dated) < 2 * _MANY:
        page.dated.append((tag, attributes, unescaped(text)))


def line(tokens: Sequence[Token], place: int, heading: bool = False) -> str:
    """The text in the element that opens at `place`, on one line; of a long one the beginning."""
    close = "/" + tokens[place][0]
    inner: list[Token] = []
    for tag, attributes, text in tokens[place : place + 200]:
        if tag == close:
            break
        # What is not within a line parts words.
        inner.append((tag if not inner or tag.removeprefix("/") in INLINE else "br", attributes, text[:2000]))
    return " ".join(said(inner, 0, len(inner), heading=heading).split())


def _author(page: Statements, tokens: Sequence[Token], place: int) -> None:
    tag, attributes, _ = tokens[place]
    named = value(attributes, "content") or line(tokens, place)
    # (An item of its own holds name, address and more: its name is marked within it.)
    for inner in range(place + 1, min(place + 40, len(tokens))):
        if tokens[inner][0] == "/" + tag:
            break
        if ' itemprop="name"' in tokens[inner][1]:
            named = value(tokens[inner][1], "content") or line(tokens, inner)
            break
    page.authors.append(named)
