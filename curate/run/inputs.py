"""The units that read input files first: their checksums, and where a large one is cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from curate.run.made_of import NOT_READ
from curate.run.unit import CUTTING, Outputs, Pulse, Unit
from curate.sources import WHOLE, Partition
from curate.sources.steady import changed, content_now, reading, refuse_changed, stamp_of


@dataclass
class _InputTask(Unit):
    """A unit that reads input files as they are."""

    label: str

    @property
    def name(self) -> str:
        return f"inputs/{self.label}"

    @property
    def reads_input(self) -> bool:
        return True


@dataclass
class CutTask(_InputTask):
    """The checksum of one input file of `total` bytes, and where it is cut so that several workers can read it."""

    partition: Partition
    split: int
    total: int = 0
    _content: str = field(default="", init=False)

    @property
    def input_file(self) -> str:
        return str(self.partition.path)

    def size(self) -> int:
        return self.total

    def configuration(self) -> dict[str, Any]:
        self._content = content_now(self.partition)
        return {"source": self.partition.describe(), "content": self._content, "split": self.split}

    def run(self, pulse: Pulse) -> dict[str, Any]:
        """The manifest, with the stamp (not kept on disk) by which later units of this run know the file again."""
        before = stamp_of(self.partition)
        manifest = super().run(pulse)
        refuse_changed(self.partition, before, manifest["content"])
        return {**manifest, "stamp": before}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.sources.split import cut

        pieces = [WHOLE]
        pulse.hold(CUTTING)
        with reading(self.partition):
            pieces = cut(self.partition, self.split) if self.split else pieces
        pulse.count(size=self.size())
        content = content_now(self.partition)
        if content != self._content:
            raise changed(str(self.partition.path))
        return {
            "content": content,
            "pieces": [piece.plain() for piece in pieces],
        }

    def expected(self) -> dict[str, Any]:
        # The places of the cuts are known after reading only; their number follows from the size.
        number = max(1, self.size() // self.split) if self.split else 1
        return {**super().expected(), "content": NOT_READ, "pieces": [[0, None, 0]] * number}


@dataclass
class ContentsTask(_InputTask):
    """The checksums of the files of one lot, which are not cut; with their sizes in bytes."""

    partitions: tuple[Partition, ...]
    sizes: tuple[int, ...]
    _contents: list[str] = field(default_factory=list, init=False)

    @property
    def input_file(self) -> str:
        return f"one of {len(self.partitions)} files, {self.partitions[0].path} the first,"

    def size(self) -> int:
        return sum(self.sizes)

    def configuration(self) -> dict[str, Any]:
        self._contents = list(map(content_now, self.partitions))
        return {"sources": [one.describe() for one in self.partitions], "contents": self._contents}

    def run(self, pulse: Pulse) -> dict[str, Any]:
        """As `CutTask.run`, with a stamp for each file."""
        before = list(map(stamp_of, self.partitions))
        manifest = super().run(pulse)
        for known in zip(self.partitions, before, manifest["contents"], strict=True):
            refuse_changed(*known)
        return {**manifest, "stamps": before}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        pulse.count(size=self.size())
        return {"contents": self._contents}

    def expected(self) -> dict[str, Any]:
        return {**super().expected(), "contents": [NOT_READ] * len(self.partitions)}
