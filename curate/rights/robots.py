"""robots.txt by RFC 9309, from the crawl's own records or from files of the user's; nothing goes to the network.

Groups are chosen here and paths matched by Protego 0.7: of 30 cases of the RFC it has 4 wrong, all in choosing groups
(a group for `CC` taken by CCBot, a version behind an agent's name, a byte order mark, other lines between agents). The
parser of Python 3.11 has 12 wrong: it knows no wildcard and takes the first match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curate.document import Unreadable
from curate.errors import Refused
from curate.rights.opt_outs import Signal, trains

MOST = 500 * 1024
"""Bytes of a file that are read: as many as RFC 9309 (2.5) asks for."""
_TOKEN = re.compile(r"[A-Za-z_-]+|\*")
_ROBOTS = re.compile(r"https?://[^/?#]+/robots\.txt", re.IGNORECASE)
_USAGE = ("content-usage", "content-signal")
_WARC = (".warc", ".warc.gz", ".warc.zst", ".arc", ".arc.gz")


@dataclass
class Group:
    """The rules for one agent: (allow or disallow, path), and preferences with the path that they are for."""

    rules: list[tuple[str, str]] = field(default_factory=list)
    usage: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def _paths(self) -> Any:
        return _matcher(self.rules)

    def allows(self, url: str) -> bool:
        """Whether the longest rule that matches allows an address; a tie allows it."""
        return bool(self._paths.can_fetch(url, "*"))

    def preferences(self, url: str) -> str:
        """The preferences with the longest path that matches an address."""
        fitting = [
            (len(path), said) for path, said in self.usage if not _matcher([("disallow", path)]).can_fetch(url, "*")
        ]
        longest = max((size for size, _ in fitting), default=0)
        return ", ".join(said for size, said in fitting if size == longest)


@dataclass
class Robots:
    """One robots.txt: where it is from, and its groups for the agents asked for and for `*`."""

    origin: str
    groups: dict[str, Group]

    def signals(self, url: str, agents: Sequence[str]) -> Iterator[Signal]:
        """What it says to each agent: that of the agent's own group, else of `*` (RFC 9309, 2.2.1)."""
        # (A crawl's address may hold half a character, which no parser takes.)
        url = url.encode(errors="replace").decode()
        for agent in agents:
            name = agent if agent.lower() in self.groups else "*"
            group = self.groups.get(name.lower())
            if group is None:
                continue
            if group.rules and not group.allows(url):
                yield Signal("robots.txt", f"{agent} may not read it (group {name})", self.origin, True)
            if group.usage and (said := group.preferences(url)) and (may := trains(said)) is not None:
                yield Signal("content-usage", said, f"{self.origin} (group {name})", not may)


def parsed(content: bytes, origin: str, agents: Sequence[str]) -> Robots | None:
    """A robots.txt; None for what is no text of directives, such as an error page in HTML."""
    head = content[:MOST]
    if b"\0" in head or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return None
    wanted = {agent.lower() for agent in agents} | {"*"}
    groups: dict[str, Group] = {}
    current: list[Group] = []
    opening = False
    for line in re.split(r"[\r\n]+", head.decode("utf-8", "replace").removeprefix("\ufeff")):
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "user-agent" and colon:
            if not opening:
                current = []
            opening = True
            token = _TOKEN.match(value)
            if token and token.group().lower() in wanted:
                current.append(groups.setdefault(token.group().lower(), Group()))
        elif name in ("allow", "disallow"):
            opening = False
            for group in current if value else ():
                group.rules.append((name, value))
        elif name in _USAGE and value:
            opening = False
            path, _, said = value.partition(" ") if value.startswith("/") else ("/", "", value)
            for group in current:
                group.usage.append((path, said))
    return Robots(origin, groups)


def _matcher(rules: Sequence[tuple[str, str]]) -> Any:
    from protego import Protego

    return Protego.parse("User-agent: *\n" + "".join(f"{name}: {path}\n" for name, path in rules))


class RobotsFiles:
    """The robots.txt of each host, out of a folder: `HOST.txt` or `HOST/robots.txt`, and WARC files with the records
    of a crawl. Of several for one host all are asked: the strictest decides."""

    def __init__(self, folder: Path, agents: Sequence[str]) -> None:
        self.hosts: dict[str, list[Robots]] = {}
        self.unusable: list[str] = []
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in files:
            if path.name.lower().endswith(_WARC):
                self._records(path, path.relative_to(folder).as_posix(), agents)
            elif path.suffix == ".txt":
                host = path.parent.name if path.name == "robots.txt" and path.parent != folder else path.stem
                with path.open("rb") as file:
                    origin = f"robots.txt of {host}, given as {path.relative_to(folder).as_posix()}"
                    self._add(host, file.read(MOST), origin, agents)
        if not self.hosts and not self.unusable:
            raise Refused(
                f"rights: robots: {folder} holds no robots.txt; give files HOST.txt or HOST/robots.txt, or WARC files"
                " with a crawl's robotstxt records"
            )

    def signals(self, url: str, agents: Sequence[str]) -> Iterator[Signal]:
        host = host_and_port(url)
        for robots in self.hosts.get(host, ()) if host else ():
            yield from robots.signals(url, agents)

    def _add(self, host: str, content: bytes, origin: str, agents: Sequence[str]) -> None:
        robots = parsed(content, origin, agents)
        if robots is None:
            self.unusable.append(origin)
        else:
            self.hosts.setdefault(host.lower(), []).append(robots)

    def _records(self, path: Path, name: str, agents: Sequence[str]) -> None:
        from curate.sources.http import BadBody, decoded_body, parse_response
        from curate.sources.warc import read_records

        for record in read_records(path, name):
            if isinstance(record, Unreadable):
                self.unusable.append(f"{record.key}: {record.error[:100]}")
                continue
            url = record.url or ""
            if record.kind != "response" or not _ROBOTS.fullmatch(url):
                continue
            origin = (
                f"robots.txt of {host_and_port(url)}, as crawled {record.headers.get('warc-date', 'on no known day')}"
            )
            try:
                response = parse_response(record.block)
                # An answer without the file (RFC 9309, 2.3.1): its owner said nothing.
                if response is None or not 200 <= response.status < 300:
                    continue
                body, _ = decoded_body(response, cut=True)
            except BadBody as error:
                self.unusable.append(f"{origin}: {error}")
                continue
            self._add(host_and_port(url), body, origin, agents)


def host_and_port(url: str) -> str:
    """The host of an address, with a port that is not its scheme's; empty where there is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    usual = port is None or (parts.scheme, port) in (("http", 80), ("https", 443))
    return (parts.hostname or "") + ("" if usual else f":{port}")


@lru_cache(maxsize=4)
def robots_in(folder: str, agents: tuple[str, ...]) -> RobotsFiles:
    return RobotsFiles(Path(folder), agents)
