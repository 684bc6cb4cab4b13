"""Steps and inputs for the engine's tests: a rule that hangs or dies on demand, and a small corpus of JSON Lines."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate import Check, Document, Edit, Rule, param
from curate.run.corpus import CorpusRun
from curate.sources import Input, find_inputs


@dataclass(frozen=True)
class Perilous(Rule):
    """Hangs on HANG, dies like a segmentation fault on CRASH, drops what is shorter than `shortest`."""

    name = "perilous"
    shortest: int = param(10, "characters")

    def checks(self, document: Document) -> Iterator[Check]:
        if document.text.startswith("HANG"):
            time.sleep(3600)
        if document.text.startswith("CRASH"):
            os.kill(os.getpid(), signal.SIGSEGV)
        yield Check("short", len(document.text), self.shortest, len(document.text) < self.shortest)


@dataclass(frozen=True)
class Trim(Edit):
    """Cuts every text at the first '|'."""

    name = "trim"

    def edit(self, document: Document) -> str | Check:
        return document.text.split("|")[0]


def write_corpus(folder: Path, files: int = 3, documents: int = 20) -> Path:
    """Some texts that differ, some that are equal, some that are short; one bad line at the end of each file."""
    folder.mkdir(parents=True)
    for number in range(files):
        with (folder / f"part-{number}.jsonl").open("w") as stream:
            for place in range(documents):
                text = f"document {place % (documents - 2)} of file {number % 2} | and a tail that an edit removes"
                if place == 5:
                    text = "short"
                row = {"text": text, "id": f"{number}-{place}", "url": f"https://site{place % 3}.example.org/{place}"}
                stream.write(json.dumps(row) + "\n")
            stream.write('{"text": \n')
    return folder


def corpus_run(inputs: Path, out: Path, steps: list, **options) -> CorpusRun:
    partitions = find_inputs([Input("crawl", str(inputs))])
    return CorpusRun("test", steps, partitions, out, **{"workers": 2, "max_loss": 1.0, **options})


def tree(out: Path, below: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Every file that must not differ between two runs of one recipe: all but times and the record of kills.

    Manifests are compared without their times; `below` names the folders that count, all of them if it is empty.
    """
    found = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out)
        if path.is_file() and len(name.parts) > 1 and (not below or name.parts[0] in below):
            found[str(name)] = path.read_bytes()
            if name.parts[0] == "manifests":
                manifest = json.loads(found[str(name)])
                manifest.pop("seconds", None)
                manifest.pop("memory", None)
                found[str(name)] = json.dumps(manifest, sort_keys=True).encode()
    return found


PUBLISHED = ("text", "tokens", "facts", "ledger", "quarantine")
"""What a user opens."""
