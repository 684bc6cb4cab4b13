"""Units that add a finished run's documents to an index of signatures: any engine carries them out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.dedup.add import add_layer, sketch, write_file
from curate.dedup.index import KINDS, file_name
from curate.dedup.minhash import MinHashDedup
from curate.document import Document
from curate.places.manifest import Written
from curate.places.store import TEMPORARY, Place, working_folder
from curate.run.engine import Engine
from curate.run.tasks import read_documents
from curate.run.unit import Outputs, Pulse, Unit

WORK = f"adding{TEMPORARY}"
"""The folder of the units in that of the index; it stays where they were stopped, and the same command goes on."""

DOCUMENTS_OF_A_FILE = 250_000
"""Documents for which a layer gets one more file, of each kind: about a gigabyte."""


@dataclass
class SketchTask(Unit):
    """The signatures and shingles of the documents of one part of a run."""

    step: MinHashDedup
    label: str
    documents: Place
    written: Written
    files: int

    @property
    def name(self) -> str:
        return f"sketches/{self.label}"

    @property
    def path(self) -> Place:
        return self.root / f"{self.name}.records"

    def size(self) -> int:
        return self.documents.stat().st_size

    def configuration(self) -> dict[str, Any]:
        return {"parameters": self.step.index_parameters(), "inputs": [self.written.checksum], "files": self.files}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        self.written.check(self.documents)
        with outputs.open(self.path) as stream:
            return sketch(self.step, self._held(pulse), stream, self.files)

    def _held(self, pulse: Pulse) -> Iterator[Document]:
        for document in read_documents(self.documents, pulse):
            pulse.hold(document.key)
            yield document
            pulse.count(documents=1, kept=1)
        pulse.hold(None)


@dataclass
class LayerTask(Unit):
    """One file of each kind of a new layer, from its section of all sketches."""

    step: MinHashDedup
    layer: str
    number: int
    sketches: list[Place]
    inputs: list[str]

    @property
    def name(self) -> str:
        return f"layers/{self.layer}.{self.number:04d}"

    def paths(self) -> dict[str, Place]:
        return {what: self.root / "layers" / file_name(self.layer, self.number, what) for what in KINDS}

    def configuration(self) -> dict[str, Any]:
        return {"parameters": self.step.index_parameters(), "inputs": self.inputs, "number": self.number}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        bands, classes = (self.paths()[what] for what in KINDS)
        with (
            working_folder(self.root) as scratch,
            outputs.open(bands) as first,
            outputs.open(classes) as second,
        ):
            streams = dict(zip(KINDS, (first, second), strict=True))
            write_file(self.step, self.sketches, self.number, streams, scratch)
        return {}


def add_run_to_index(
    folder: Path, step: MinHashDedup, parts: Sequence[tuple[Place, Written, int]], name: str, engine: Engine
) -> dict[str, Any]:
    """Add a layer with the signatures of what a finished run kept (`kept_parts` of `curate.audit.verify`) to an index,
    or make the index; returns the content of `index.json`. The same bytes on any engine.

    Raises as `add_to_index` does, NotAsWritten where a part is not what the run wrote, and what units raise. What was
    done then stays beside the index for the same command.
    """
    work = folder.resolve() / WORK
    files = min(step.ranges, 1 + sum(count for _, _, count in parts) // DOCUMENTS_OF_A_FILE)

    def write(layer: str) -> dict[str, Any]:
        given = enumerate(parts)
        sketching = [SketchTask(work, step, f"{n:05d}", place, one, files) for n, (place, one, _) in given]
        sketched = engine.map("sketches", sketching)
        sections = [[one["sections"][number] for one in sketched] for number in range(files)]
        paths = [one.path for one in sketching]
        writing = [LayerTask(work, step, layer, number, paths, sections[number]) for number in range(files)]
        written = engine.map("layer", writing)
        for task in writing:
            for path in task.paths().values():
                path.replace(folder / path.name)
        checksums = {
            what: [
                one["outputs"][f"layers/{task.paths()[what].name}"] for task, one in zip(writing, written, strict=True)
            ]
            for what in KINDS
        }
        counts = {what: sum(one[what] for one in sketched) for what in ("documents", "characters")}
        return {**counts, "checksums": checksums}

    about = add_layer(folder, step, name, write, keep=WORK)
    shutil.rmtree(work)
    return about
