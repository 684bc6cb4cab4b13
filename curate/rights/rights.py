"""The step `rights`: who refuses that a page is used for training, and under which licence it may be.

It decides on fields that reading a crawl and `extract` have kept, and on robots.txt files that the recipe names. Of
statements that contradict each other all are kept and the strictest decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.errors import Refused, nearest
from curate.rights.licences import CONFIDENCE, KNOWN, findings, licence_of
from curate.rights.opt_outs import Signal, opt_outs
from curate.rights.robots import RobotsFiles, robots_in
from curate.step import Check, Rule, param

_SHOWN = 5


@dataclass(frozen=True)
class Rights(Rule):
    """Opt-outs and licences of pages, after `extract`.

    Drops pages whose owner refuses training, under the signal's name: `x-robots-tag`, `content-usage`,
    `tdm-reservation`, `robots` (a tag of the page), `disallowaitraining`, `robots.txt`; the value holds all statements,
    those that allow it too. With `allow`, pages without an allowed licence as `licence`. Kept pages have `opt_out` (a
    list of signal, value, where), `license` (SPDX) and `licenses` (all findings) in their metadata.
    """

    name: ClassVar[str] = "rights"
    libraries: ClassVar[tuple[str, ...]] = ("Protego",)

    on_opt_out: str = param(
        "drop",
        "drop: the page goes; tag: it stays, with its opt-outs in its metadata and the ledger; report: they are in the"
        " ledger alone",
        choices=("drop", "tag", "report"),
    )
    agents: list[str] = param(
        ["CCBot", "GPTBot"],
        "robots whose refusals count, by their names in robots.txt and in robots tags; one that is refused is enough",
        source="Common Crawl's and OpenAI's names",
    )
    robots: str | None = param(
        None,
        "a folder with robots.txt files: HOST.txt or HOST/robots.txt, or WARC files with a crawl's robotstxt records",
        path=True,
    )
    allow: list[str] = param([], "SPDX names of licences; pages with none of them are dropped. Empty: all are kept")
    min_confidence: str = param(
        "medium",
        "high: a licence stated for the whole page by a tag made for it; medium: a marked link anywhere, or one in the"
        " footer, too; low: any link",
        choices=CONFIDENCE,
    )

    def __post_init__(self) -> None:
        if self.robots is not None and not Path(self.robots).is_dir():
            raise Refused(f"rights: robots: there is no folder {self.robots}; give one with robots.txt files")
        for agent in self.agents:
            if not agent.replace("-", "").replace("_", "").isalpha():
                raise Refused(
                    f"rights: agents: {agent!r} is not the name of a robot: letters, '-' and '_', as in CCBot"
                )
        for licence in self.allow:
            if licence.lower() not in self._known:
                hint = nearest(licence.lower(), self._known)
                raise Refused(f"rights: allow: {licence!r} is not an SPDX name of a licence that is found{hint}")

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(name.lower() for name in KNOWN)

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.allow)

    def open(self) -> None:
        # During a run its files stay as they were when it began.
        robots_in.cache_clear()
        if self._files() is not None:
            import protego  # noqa: F401

    def _files(self) -> RobotsFiles | None:
        return robots_in(self.robots, tuple(self.agents)) if self.robots is not None else None

    def notice(self) -> str:
        """Robots files that are none."""
        files = self._files()
        if files is None or not files.unusable:
            return ""
        shown = "; ".join(files.unusable[:_SHOWN]) + ("; ..." if len(files.unusable) > _SHOWN else "")
        return f"{len(files.unusable)} robots.txt hold no directives and refuse nothing: {shown}"

    def signals(self, document: Document) -> list[Signal]:
        """All statements about the use of a page: of headers, tags and robots.txt."""
        said = list(opt_outs(document.metadata, self.agents))
        files = self._files()
        if files is not None and document.url:
            said += files.signals(document.url, self.agents)
        return said

    def checks(self, document: Document) -> Iterator[Check]:
        said = self.signals(document)
        refused = next((one for one in said if one.refuses), None)
        fields = [one.field() for one in said]
        if said and self.on_opt_out != "report":
            document.metadata["opt_out"] = fields
        if refused and self.on_opt_out == "drop":
            yield Check(refused.signal, fields, None, True)
        elif refused:
            document.notes.append((self.name, refused.signal, fields))
        found = list(findings(document.metadata))
        licence = licence_of(found, self.min_confidence)
        if found:
            document.metadata["licenses"] = [one.field() for one in found]
        if licence:
            document.metadata["license"] = licence
        if self.allow:
            yield Check("licence", licence or None, self.allow, licence.lower() not in self._allowed)
