"""What headers and tags of a page say of its use by machines, from the raw fields that reading and `extract` keep.

Published: TDMRep (W3C community report, 2024), the robots meta tag and X-Robots-Tag, and the preferences of the IETF's
AIPREF drafts (`Content-Usage: train-ai=n`). `noai` is DeviantArt's of 2022 and no standard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

DIRECTIVES = ("noai", "noml", "notrain")
"""Directives of robots tags that refuse training on a text. `noimageai` is about pictures, `noindex` about search."""

_TRAINING = ("train-ai", "train-genai", "ai-train")
_ALL = ("bots", "all")
_TRUE = ("1", "true", "yes", "y", "on")
_PREFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*=\s*\"?([A-Za-z0-9?]+)")
_VALUED = ("max-snippet", "max-image-preview", "max-video-preview", "unavailable_after")


class Signal(NamedTuple):
    """One statement about the use of a page: what kind, its words, where it stands, and whether it refuses."""

    signal: str
    value: str
    where: str
    refuses: bool

    def field(self) -> dict[str, str]:
        """As a document keeps it."""
        return {"signal": self.signal, "value": self.value, "where": self.where}


def opt_outs(metadata: Mapping[str, Any], agents: Iterable[str]) -> Iterator[Signal]:
    """What headers and tags say of training, refusals and permissions, in the order: headers, then tags."""
    known = frozenset(agent.lower() for agent in agents)
    for name in ("x_robots_tag", "content_usage", "tdm_reservation"):
        if isinstance(value := metadata.get(name), str) and value:
            yield from stated(name.replace("_", "-"), value, "header", known)
    lines = metadata.get("opt_out_signals")
    for line in lines.splitlines() if isinstance(lines, str) else ():
        tag, _, value = line.partition(": ")
        if tag.startswith("meta "):
            yield from stated(tag.removeprefix("meta "), value, "page", known)


def stated(name: str, value: str, where: str, agents: frozenset[str]) -> Iterator[Signal]:
    """What a header or a tag says, where it says anything about training."""
    name = name.lower()
    if name in ("robots", "x-robots-tag") or name in agents:
        found = _directives(value, agents)
        if found:
            yield Signal("x-robots-tag" if name == "x-robots-tag" else "robots", value, where, True)
    elif name == "tdm-reservation":
        said = {one.strip() for one in value.split(",")}
        if said & {"0", "1"}:
            yield Signal(name, value, where, "1" in said)
    elif name in ("content-usage", "content-signal"):
        may = trains(value)
        if may is not None:
            yield Signal(name, value, where, not may)
    elif name == "disallowaitraining" and value.strip().lower() in _TRUE:
        yield Signal(name, value, where, True)


def trains(preferences: str) -> bool | None:
    """Whether preferences such as `train-ai=n, search=y` allow training; None where they do not speak of it. Of two
    statements the stricter counts; one on all use counts where none is on training."""
    said: dict[str, list[bool]] = {}
    for name, answer in _PREFERENCE.findall(preferences):
        said.setdefault(name.lower(), []).append(answer.lower() in ("y", "yes", "?1"))
    for names in (_TRAINING, _ALL):
        answers = [one for name in names for one in said.get(name, ())]
        if answers:
            return all(answers)
    return None


def _directives(value: str, agents: frozenset[str]) -> bool:
    """Whether a directive refuses training to all, or to one of `agents`.

    `agent: directive` is for that agent alone. What follows it behind a comma may be for the agent, or a header of its
    own that was joined (RFC 9110, 5.3): the stricter reading counts.
    """
    for one in value.lower().split(","):
        agent, colon, directive = one.partition(":")
        if colon and agent.strip() not in (*_VALUED, *agents):
            continue
        if (directive if colon else one).strip() in DIRECTIVES:
            return True
    return False
