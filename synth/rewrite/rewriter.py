"""bioR: a language model rewrites statements of facts in several styles, and a gate keeps only what states every fact.

The rewrites go to a JSONL file that a later call continues. After a header that says what made them, each line is one
(statement, style): `id`, `style`, `statement` (its digest), and `text` with the `spans` of name and values if accepted,
else `rejected` (attribute -> what became of it), `stated` (the other values) and `rejected_text`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from synth.draws import stream
from synth.rewrite.gate import FAULTS, NAME, TEXT, FactGate, GateVerdict, RewriteError, Statement
from synth.rewrite.language_model import LanguageModel, Prompt, TransformersModel

__all__ = [
    "FactGate",
    "GateVerdict",
    "LanguageModel",
    "Prompt",
    "Report",
    "RewriteError",
    "Rewriter",
    "Statement",
    "TransformersModel",
    "read_rewrites",
    "rewrite_file",
    "styles",
    "trim",
]

FORMAT = 1


@dataclass(frozen=True)
class Rewrite:
    """What a model made of a statement in one style, and the gate's verdict on it."""

    id: str
    style: str
    statement: str
    text: str
    verdict: GateVerdict

    def line(self) -> bytes:
        """Its line in a file of rewrites."""
        content: dict[str, Any] = {"id": self.id, "style": self.style, "statement": self.statement}
        if self.verdict.accepted:
            content |= {"text": self.text, "spans": self.verdict.spans}
        else:
            content |= {"rejected": self.verdict.rejected, "stated": self.verdict.stated, "rejected_text": self.text}
        return json.dumps(content, ensure_ascii=False).encode() + b"\n"


@dataclass
class Report:
    """How many rewrites were accepted, and what the others lost: an attribute is counted once for each rewrite."""

    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    """By style."""
    attributes: dict[str, Counter[str]] = field(default_factory=dict)
    """Rejections by attribute: how many rewrites lost it, changed it, ... (`text`: copied it)."""

    @property
    def total(self) -> int:
        return self.accepted.total() + self.rejected.total()

    def add(self, style: str, rejected: Mapping[str, str], attributes: Sequence[str]) -> None:
        (self.rejected if rejected else self.accepted)[style] += 1
        for attribute in attributes:
            self.attributes.setdefault(attribute, Counter())
        for attribute, outcome in rejected.items():
            self.attributes.setdefault(attribute, Counter())[outcome] += 1

    def as_dict(self) -> dict[str, Any]:
        """Counts and rates for JSON; rates are shares of all rewrites (by style: of those in the style)."""
        styles = sorted({*self.accepted, *self.rejected})
        return {
            "rewrites": self.total,
            "accepted": self.accepted.total(),
            "rejected": self.rejected.total(),
            "acceptance_rate": self.accepted.total() / self.total if self.total else None,
            "styles": {
                one: {
                    "accepted": self.accepted[one],
                    "rejected": self.rejected[one],
                    "acceptance_rate": self.accepted[one] / (self.accepted[one] + self.rejected[one]),
                }
                for one in styles
            },
            "attributes": {
                name: {kind: faults[kind] for kind in FAULTS if faults[kind]}
                | {"rejection_rate": faults.total() / self.total}
                for name, faults in self.attributes.items()
            },
        }

    def __str__(self) -> str:
        if not self.total:
            return "no rewrites"
        share = self.accepted.total() / self.total
        lines = [
            f"{self.total} rewrites: {self.accepted.total()} accepted ({share:.1%}), {self.rejected.total()} rejected"
        ]
        width = max(len(name) for name in (*self.attributes, *self.accepted, *self.rejected))
        lines.append(f"  {'attribute':{width}}{''.join(f' {kind:>8}' for kind in FAULTS)}  of all rewrites")
        for name, faults in self.attributes.items():
            counts = "".join(f" {faults[kind]:>8}" for kind in FAULTS)
            lines.append(f"  {name:{width}}{counts}  {faults.total() / self.total:.1%}")
        lines.append(f"  {'style':{width}} accepted rejected")
        for style in sorted({*self.accepted, *self.rejected}):
            lines.append(f"  {style:{width}} {self.accepted[style]:>8} {self.rejected[style]:>8}")
        return "\n".join(lines)


@lru_cache(maxsize=1)
def _templates() -> dict[str, Any]:
    return json.loads((Path(__file__).parent.parent / "templates").joinpath("styles.json").read_text(encoding="utf-8"))


def styles() -> dict[str, str]:
    """The styles to choose from: name -> what the model is asked for ("a letter that ...")."""
    return dict(_templates()["styles"])


class Rewriter:
    """Asks a model for rewrites and judges them. `styles` are names of our own styles, or name -> description.

    An answer of a sampling model depends on `seed`, the statement's id and the style alone, not on what is asked before
    it. Batches are cut from all (statement, style) in order, and one that lacks a single rewrite is repeated as a
    whole: padding changes the last bits of scores, so only the same batch is sure to give the same answers.
    """

    def __init__(
        self,
        model: LanguageModel,
        gate: FactGate,
        styles: Sequence[str] | Mapping[str, str] = ("news", "diary"),
        *,
        batch: int = 8,
        seed: int = 0,
    ) -> None:
        if batch < 1:
            raise RewriteError(f"batch must be at least 1, not {batch}")
        known = _templates()["styles"]
        if not isinstance(styles, Mapping):
            if isinstance(styles, str) or not styles or not set(styles) <= set(known):
                raise RewriteError(
                    f"styles must be a list of {', '.join(known)}, or a mapping of names to descriptions: {styles!r}"
                )
            styles = {one: known[one] for one in styles}
        self.model, self.gate, self.styles, self.batch, self.seed = model, gate, dict(styles), batch, seed

    def prompt(self, statement: Statement, style: str) -> Prompt:
        slots = {
            "style": self.styles[style],
            "text": statement.text,
            "values": "; ".join([statement.name, *statement.facts.values()]),
        }
        frames = _templates()
        chat, plain = (
            # One pass, so that a slot's name in a user's text is not replaced.
            re.sub(r"\{(style|text|values)\}", lambda slot: slots[slot.group(1)], "\n".join(frames[form]))
            for form in ("chat", "plain")
        )
        return Prompt(({"role": "user", "content": chat},), plain)

    def header(self) -> dict[str, Any]:
        """What decides the rewrites, for the first line of their file."""
        prompts = json.dumps([_templates()["chat"], _templates()["plain"], self.styles], ensure_ascii=False)
        return {
            "goldsand": "rewrites",
            "format": FORMAT,
            "model": self.model.name,
            "seed": self.seed,
            "styles": list(self.styles),
            "prompts": hashlib.sha256(prompts.encode()).hexdigest()[:16],
            "gate": f"{self.gate.version}/{self.gate.digest}",
        }

    def rewrite(
        self, statements: Sequence[Statement], done: frozenset[tuple[str, str]] = frozenset()
    ) -> Iterator[list[Rewrite]]:
        """The rewrites of every statement in every style, by batches, without those in `done` (id, style).

        Raises RewriteError, before the model is asked for anything, when two statements have one id or a statement does
        not state its own facts.
        """
        _distinct(statements)
        for statement in statements:
            self.gate.check(statement)
        jobs = [(statement, style) for statement in statements for style in self.styles]
        for first in range(0, len(jobs), self.batch):
            batch = jobs[first : first + self.batch]
            missing = [(statement.id, style) not in done for statement, style in batch]
            if not any(missing):
                continue
            answers = self.model.generate(
                [self.prompt(statement, style) for statement, style in batch],
                [stream(self.seed, f"rewrite/{style}/{statement.id}") for statement, style in batch],
            )
            if len(answers) != len(batch):
                raise RewriteError(f"the model gave {len(answers)} answers to {len(batch)} prompts")
            made = []
            for (statement, style), answer, wanted in zip(batch, answers, missing, strict=True):
                if wanted:
                    text = trim(answer)
                    made.append(Rewrite(statement.id, style, statement.digest(), text, self.gate(statement, text)))
            yield made


def rewrite_file(
    statements: Sequence[Statement],
    path: Path | str,
    model: LanguageModel,
    styles: Sequence[str] | Mapping[str, str] = ("news", "diary"),
    *,
    gate: FactGate | None = None,
    batch: int = 8,
    seed: int = 0,
) -> Report:
    """Rewrite every statement in every style into a JSONL file, and report on them all.

    Rewrites that the file already holds are not made again; a last line that a crash cut off is. Without a `gate`, the
    pool of each attribute is the set of its values in `statements`: give one to add statements to the file later, or to
    recognise values that no statement has.

    Raises RewriteError when the file was made by another model, seed, set of styles or prompts or gate, or from other
    statements of the same ids, when it is not a file of rewrites, or when another process writes it.
    """
    rewriter = Rewriter(model, gate or FactGate(_own_pools(statements)), styles, batch=batch, seed=seed)
    _distinct(statements)
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+b")
    except OSError as error:
        raise RewriteError(f"cannot write the rewrites to {path}: {error.strerror}") from None
    report = Report()
    with opened as file:
        _lock(file, path)
        digests = {statement.id: statement.digest() for statement in statements}
        attributes = {statement.id: [TEXT, NAME, *statement.facts] for statement in statements}
        done = set()
        for number, line in enumerate(_continue(file, path, rewriter.header()), 2):
            key = line["id"], line["style"]
            if key[0] not in digests:
                continue
            if digests[key[0]] != line["statement"]:
                raise RewriteError(
                    f"{path}, line {number}: statement {key[0]!r} had another text or other facts when this was made; "
                    "give changed statements ids of their own, or write to another file"
                )
            done.add(key)
            report.add(key[1], line.get("rejected", {}), attributes[key[0]])
        for made in rewriter.rewrite(statements, frozenset(done)):
            file.write(b"".join(one.line() for one in made))
            file.flush()
            os.fsync(file.fileno())
            for one in made:
                report.add(one.style, one.verdict.rejected, attributes[one.id])
    return report


def read_rewrites(path: Path | str) -> Iterator[dict[str, Any]]:
    """The lines of a file of rewrites, without its header: those with `text` were accepted.

    Raises RewriteError that names a line that is not a rewrite.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RewriteError(f"cannot read the rewrites {path}: {error.strerror}") from None
    _header(lines[0], path)
    yield from _lines(lines[1:-1], path)


def _distinct(statements: Sequence[Statement]) -> None:
    for one, count in Counter(statement.id for statement in statements).items():
        if count > 1:
            raise RewriteError(f"{count} statements have the id {one!r}: give each exposure one of its own")


def _own_pools(statements: Sequence[Statement]) -> dict[str, set[str]]:
    pools: dict[str, set[str]] = {}
    for statement in statements:
        for attribute, value in statement.facts.items():
            pools.setdefault(attribute, set()).add(value)
    return pools


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such lock on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RewriteError(f"another process is writing {path}; wait for its end") from None
    except OSError:  # some network file systems have no locks at all
        return


def _continue(file: BinaryIO, path: Path, header: dict[str, Any]) -> list[dict[str, Any]]:
    """Leave the file with its header and whole lines, ready for more, and return those lines."""
    file.seek(0)
    content = file.read()
    first = json.dumps(header, ensure_ascii=False).encode() + b"\n"
    whole = content.rfind(b"\n") + 1
    if not whole:
        if not first.startswith(content):
            raise RewriteError(f"{path} is not a file of rewrites, and is left as it is: write to another file")
        file.truncate(0)
        file.write(first)
        return []
    lines = content[:whole].split(b"\n")
    before = _header(lines[0], path)
    if before != header:
        differing = [key for key in {**header, **before} if header.get(key) != before.get(key)]
        shown = "; ".join(f"{key} {before.get(key)!r}, now {header.get(key)!r}" for key in differing)
        raise RewriteError(
            f"{path} was made with other settings: {shown}. Use those it was made with, or write to another file"
        )
    made = list(_lines(lines[1:-1], path))
    file.truncate(whole)
    return made


def _header(line: bytes, path: Path) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        content = json.loads(line)
        if isinstance(content, dict) and content.get("goldsand") == "rewrites":
            return content
    raise RewriteError(f"{path} is not a file of rewrites: its first line is not the header of one")


def _lines(lines: Sequence[bytes], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 2):
        try:
            content = json.loads(line)
        except ValueError as error:
            raise RewriteError(
                f"{path}, line {number}: not JSON ({error}); remove the line to have it made anew"
            ) from None
        if not isinstance(content, dict) or not {"id", "style", "statement"} <= set(content):
            raise RewriteError(f"{path}, line {number}: a rewrite must have id, style and statement; remove the line")
        yield content


_THOUGHT = re.compile(r"\A\s*<think>.*?(</think>|\Z)", re.DOTALL)
_PREAMBLE = re.compile(
    # "Sure, here is the entry you asked for: ..."
    r"\A(?:(?:sure|certainly|of course|okay|ok|absolutely|here)\b[^\n:]{0,160}:\s*"
    # "Sure!" in a line of its own
    r"|(?:sure|certainly|of course|okay|ok|absolutely)\b[^\n:]{0,40}[!.]\s*\n"
    # "Rewritten text: ...", "Told again:"
    r"|(?:(?:the )?(?:rewritten|rewrite|rewriting|told again|revised|new)(?: \w+){0,2})\s*:\s*"
    # "Title: ..." up to the end of the line
    r"|(?:title|headline|subject)\s*:[^\n]*(?:\n|\Z)"
    # a heading in Markdown: "# News", "**News**", and a rule or fence in a line of its own
    r"|#+ [^\n]*(?:\n|\Z)|\*\*[^\n*]+\*\*:?[ \t]*\n|[-=*_`]{3,}\w*[ \t]*\n)",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "\u201c": "\u201d", "\u00ab": "\u00bb", "\u201e": "\u201c", "'": "'"}
_END = re.compile("[.!?\u2026][\"\u201d\u00bb')]*(?=\\s|\\Z)|[\u3002\uff01\uff1f][\u300d\u201d]*")


def trim(answer: str) -> str:
    """The rewrite in a model's answer: its first paragraph, in one line, without thoughts, preamble, title or quotes.

    A last sentence that the limit of tokens cut off is left out, if there is a whole one before it.
    """
    text = _THOUGHT.sub("", unicodedata.normalize("NFC", answer)).strip()
    while preamble := _PREAMBLE.match(text):
        text = text[preamble.end() :].strip()
    text = re.split(r"\n\s*\n", text, maxsplit=1)[0]
    text = " ".join(text.replace("**", "").split())
    if len(text) > 1 and (close := _QUOTES.get(text[0])):
        inside = text[1:].removesuffix(close)
        if not {text[0], close} & set(inside):
            text = inside.strip()
    ends = [end.end() for end in _END.finditer(text)]
    return text[: ends[-1]] if ends else text
