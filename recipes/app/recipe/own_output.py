"""Files that a command names with `-o`: one of its own is written anew, anybody else's stays."""

from __future__ import annotations

import zipfile
from typing import Literal

import orjson

from curate.errors import Refused
from curate.places.store import Place

Kind = Literal["page", "lines", "classifier", "extractor", "script"]

_WORDS = {
    "page": "a page of goldsand's",
    "lines": "lines that goldsand wrote of documents",
    "classifier": "a classifier with its report beside it",
    "extractor": "a model of `goldsand train-extractor`",
    "script": "a script of `goldsand slurm`",
}
_HEAD = 1 << 16


def refuse_to_replace_others(place: Place, kind: Kind) -> None:
    """Raises Refused where a folder, or a file that is not of this kind, stands under a name that is to be written."""
    if place.is_dir():
        raise Refused(f"--output: {place} is a folder; name a file in it")
    if place.is_file() and place.stat().st_size and not _is_own(place, kind):
        raise Refused(f"--output: {place} is there already and is not {_WORDS[kind]}: name another file, or remove it")


def _is_own(place: Place, kind: Kind) -> bool:
    if kind == "classifier":
        from curate.filters.training import report_file

        return report_file(place).is_file()
    if kind == "extractor":
        with place.open("rb") as stream:
            try:
                return "about.npy" in zipfile.ZipFile(stream).namelist()
            except zipfile.BadZipFile:
                return False
    with place.open("rb") as stream:
        head = stream.read(_HEAD)
    if kind == "page":
        return head.startswith(b"<!doctype html>") and b"goldsand</title>" in head
    if kind == "script":
        return head.startswith(b"#!/bin/bash") and b"--job-name=goldsand-" in head
    try:
        row = orjson.loads(head.partition(b"\n")[0])
    except orjson.JSONDecodeError:
        # A document may be longer than what was read.
        return head.startswith(b'{"key":')
    return isinstance(row, dict) and row.keys() >= {"key", "before", "after"}
