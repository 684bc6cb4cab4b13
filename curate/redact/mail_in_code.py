"""What has the form of an address of mail and is none: names in URLs and commands, versions of packages, files,
annotations, macros of TeX, numbers of messages."""

from __future__ import annotations

import re

from curate.redact.found import Found

_BEFORE = 200
_URL = re.compile(r"://[^\s/]*\Z")
_COMMAND = re.compile(r"\b(?:ssh|scp|sftp|rsync|mosh|ssh-copy-id)(?:\s+-\S*(?:\s+[^\s-]\S*)?)*\s+\Z")
_MESSAGE = re.compile(
    r"(?:\bmessage-id|\bin-reply-to|\breferences|\bcontent-id|\bcid|\bnews)\b\s{0,3}:?\s{0,3}<?\Z", re.IGNORECASE
)
_MACRO = re.compile(r"(?:\A|[\s{}\\%(\[])\\\Z")
_NEWLINE = re.compile(r"[nrt](?=.)")
_VERSION = re.compile(r"v?\d+(?:\.v?\d+)+\.[a-z]+")
_RELEASE = re.compile(r"v?\d{1,2}\.(?:dev|next|run|tools|build|app|zip|page)")
_SCALE = re.compile(r"\d(?:\.\d)?x\.")
"""`icon@2x.ai`: pixels a point."""
_FILES = ("zip", "mov")
"""Endings of files that are top-level domains on which hardly anybody has mail."""
_KEYWORDS = frozenset(("this", "super", "return", "break", "continue", "self"))
"""Before the `@` of Kotlin's labels."""
_MODEL = re.compile(r"(?:Model|ViewBag|ViewData|Html|Url|Context|User|Request|Item|TempData)\.[A-Z][a-z]")
"""Behind the `@` of Razor's expressions."""
_METHOD = re.compile(
    r"(?:to|dot|map|fit|call|run|show|watch|open|play|zip|at|is|in|select|new|build|name|id|link|read|save|search|date"
    r"|data|day|total|ne|gt|lt|ge|mt|top)\("
)


def is_code(text: str, found: Found, sign: int) -> bool:
    """Whether the address whose `@` is at `sign` is a name in a URL, a target of a file copy (`host:path`), a Fediverse
    name, the number of a message, or anything that a program or its documentation writes."""
    start, end = found.start, found.end
    name, domain = text[start:sign], text[sign + 1 : end]
    floor = max(0, start - _BEFORE)
    before = text[start - 1 : start]
    ending = domain.rpartition(".")[2]
    return (
        name in ("git", "hg", "svn")
        or name in _KEYWORDS
        or name.endswith("+")
        or (before and before in "@$")
        or text[end : end + 2] in (":/", ":~")
        or ending.lower() in _FILES
        or _VERSION.fullmatch(domain) is not None
        or _RELEASE.fullmatch(domain) is not None
        or _SCALE.match(domain) is not None
        or _MODEL.match(domain) is not None
        or _METHOD.match(text, end - len(ending)) is not None
        or (before == "\\" and _MACRO.search(text, max(0, start - 2), start) is not None and not _NEWLINE.match(name))
        or _URL.search(text, floor, start) is not None
        or _COMMAND.search(text, floor, start) is not None
        or _MESSAGE.search(text, floor, start) is not None
    )
