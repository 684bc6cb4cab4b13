"""Plain, gzip and zstd files as runs of sound bytes; what is broken between them is named, never skipped in silence."""

from __future__ import annotations

import mmap
import re
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FEED = 1 << 16
INFLATED = 1 << 20
"""Largest piece that is inflated at once: a decompression bomb arrives in pieces, and whoever reads may stop."""

ZSTD_FEED = 1 << 10
"""Compressed bytes given to zstd at once. Its blocks are at most 128 KiB for 4 bytes, so a piece is at most 32 MiB."""

ZSTD_WINDOW = 1 << 27
KEPT = 1 << 20
"""Raw bytes kept of what could not be read."""

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
DICTIONARY = b"\x5d\x2a\x4d\x18"


@dataclass(slots=True, frozen=True)
class Start:
    """A compressed member (gzip) or frame (zstd) begins at this byte of the file."""

    offset: int


@dataclass(slots=True, frozen=True)
class Damage:
    """The compressed stream is broken here; `raw` is the beginning of what could not be read."""

    offset: int
    error: str
    raw: bytes = b""


Piece = bytes | Start | Damage


def compression(head: bytes) -> str:
    """`gzip`, `zstd` or `plain`, by the first bytes of a file."""
    if head.startswith(GZIP):
        return "gzip"
    if head.startswith(ZSTD) or SKIPPABLE.match(head):
        return "zstd"
    return "plain"


class Run:
    """Contiguous sound bytes of a file, decompressed, with the place in the file of each.

    After the last byte, `damage` says what ended the run, or is None at the end of the file.
    """

    def __init__(self, pieces: Iterator[Piece], plain: bool, position: int) -> None:
        self._pieces = pieces
        self._plain = plain
        self._buffer = bytearray()
        self._starts: deque[tuple[int, int]] = deque()
        self._ended = False
        self.position = position
        self.last = False
        self.damage: Damage | None = None

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size and not self._ended:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = self.last = True
            elif isinstance(piece, Damage):
                self._ended, self.damage = True, piece
            elif isinstance(piece, Start):
                self._starts.append((self.position + len(self._buffer), piece.offset))
            else:
                self._buffer += piece

    def place(self) -> str:
        """Where the next byte stands: its offset, or `member` or `member+offset within` in a compressed file."""
        self._fill(1)
        if self._plain:
            return str(self.position)
        while len(self._starts) > 1 and self._starts[1][0] <= self.position:
            self._starts.popleft()
        if not self._starts:
            return f"0+{self.position}"
        start, member = self._starts[0]
        return str(member) if start == self.position else f"{member}+{self.position - start}"

    def peek(self, size: int) -> bytes:
        self._fill(size)
        return bytes(self._buffer[:size])

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end of the run."""
        self._fill(size)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.position += len(taken)
        return taken

    def ahead(self, distance: int, size: int) -> bytes | None:
        """Up to `size` bytes that stand `distance` bytes further on; None when fewer than `distance` are left."""
        self._fill(distance + size)
        return bytes(self._buffer[distance : distance + size]) if len(self._buffer) >= distance else None

    @property
    def left(self) -> int:
        """Bytes in hand; all that are left when `ahead` found too few."""
        return len(self._buffer)

    def line(self, limit: int) -> bytes:
        """The next line with its end; at most `limit` bytes of it."""
        seen = 0
        while True:
            end = self._buffer.find(b"\n", seen)
            if end >= 0 or len(self._buffer) >= limit or self._ended:
                break
            seen = len(self._buffer)
            self._fill(seen + 1)
        return self.read(min(end + 1, limit) if end >= 0 else min(limit, len(self._buffer)))

    def skip_to(self, start: re.Pattern[bytes]) -> tuple[bytes, int]:
        """Go to the next line that `start` matches, or to the end: the beginning of what was passed, and its size.

        The line in hand is passed in any case. Linear in the bytes passed.
        """
        kept, size = bytearray(), 0
        while True:
            line = self.line(FEED)
            if not line:
                break
            whole = line.endswith(b"\n")
            size += len(line)
            kept += line[: max(0, KEPT - len(kept))]
            if whole and start.match(self.peek(1024)):
                break
        return bytes(kept), size


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """A file's bytes without reading them all; an empty file is empty bytes."""
    with path.open("rb") as stream:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def runs(data: mmap.mmap | bytes) -> Iterator[Run]:
    """The sound runs of a file in order. Each must be read to its end before the next is asked for."""
    kind = compression(bytes(data[:4]))
    pieces = {"plain": _plain, "gzip": _gzip, "zstd": _zstd}[kind](data)
    position = 0
    while True:
        run = Run(pieces, kind == "plain", position)
        yield run
        if run.last:
            return
        position = run.position


def _plain(data: mmap.mmap | bytes) -> Iterator[Piece]:
    for place in range(0, len(data), INFLATED):
        yield bytes(data[place : place + INFLATED])


def _gzip(data: mmap.mmap | bytes) -> Iterator[Piece]:
    member = 0
    while member < len(data):
        if data[member : member + 2] != GZIP:
            following = _next_gzip(data, member)
            if bytes(data[member : min(following, member + KEPT)]).strip(b"\0"):
                raw = bytes(data[member : min(following, member + KEPT)])
                yield Damage(member, f"{following - member} bytes that are no gzip member", raw)
            member = following
            continue
        yield Start(member)
        place = member
        inflate = zlib.decompressobj(31)
        error = "the gzip member is cut off by the end of the file"
        try:
            while place < len(data) and not inflate.eof:
                fed = bytes(data[place : place + FEED])
                before = inflate.copy()
                try:
                    piece = inflate.decompress(fed, INFLATED)
                except zlib.error:
                    yield from _up_to_error(before, fed)
                    raise
                place += len(fed) - len(inflate.unconsumed_tail) - len(inflate.unused_data)
                if piece:
                    yield piece
            # What zlib still holds after the last byte was fed.
            while not inflate.eof and (piece := inflate.decompress(inflate.unconsumed_tail, INFLATED)):
                yield piece
        except zlib.error as reason:
            error = f"the gzip member is broken: {reason}"
        if inflate.eof:
            member = place
            continue
        following = _next_gzip(data, member + 2)
        yield Damage(member, error, bytes(data[member : min(following, member + KEPT)]))
        member = following


def _up_to_error(inflate: zlib._Decompress, fed: bytes) -> Iterator[bytes]:
    """What comes out before the byte that zlib refuses: of a call that fails it keeps everything to itself."""
    for place in range(len(fed)):
        try:
            piece = inflate.decompress(fed[place : place + 1])
        except zlib.error:
            return
        if piece:
            yield piece


def _next_gzip(data: mmap.mmap | bytes, place: int) -> int:
    """Where the next gzip member begins that can be inflated, or the end."""
    while (place := data.find(b"\x1f\x8b\x08", place)) >= 0:
        try:
            if zlib.decompressobj(31).decompress(bytes(data[place : place + 512]), 64):
                return place
        except zlib.error:
            pass
        place += 1
    return len(data)


def _zstd(data: mmap.mmap | bytes) -> Iterator[Piece]:
    import zstandard

    dictionary = None
    place = 0
    while place < len(data):
        head = bytes(data[place : place + 8])
        if SKIPPABLE.match(head):
            size = int.from_bytes(head[4:8], "little")
            if place == 0 and head.startswith(DICTIONARY) and size <= ZSTD_WINDOW:
                # WARC files may carry their dictionary in a first skippable frame (IIPC, "Zstandard for WARC").
                content = bytes(data[8 : 8 + size])
                try:
                    if content.startswith(ZSTD):
                        content = zstandard.ZstdDecompressor().decompress(content, max_output_size=ZSTD_WINDOW)
                    dictionary = zstandard.ZstdCompressionDict(content)
                except (zstandard.ZstdError, ValueError, MemoryError) as reason:
                    yield Damage(0, f"the zstd dictionary is broken: {reason}", bytes(data[:KEPT]))
            place += 8 + size
            continue
        frame = place
        if not head.startswith(ZSTD):
            error = "bytes that are no zstd frame"
        else:
            yield Start(frame)
            error = "the zstd frame is cut off by the end of the file"
            inflate = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=ZSTD_WINDOW).decompressobj()
            try:
                while place < len(data) and not inflate.eof:
                    fed = bytes(data[place : place + ZSTD_FEED])
                    piece = inflate.decompress(fed)
                    place += len(fed) - len(inflate.unused_data)
                    if piece:
                        yield piece
            except (zstandard.ZstdError, MemoryError) as reason:
                error = f"the zstd frame is broken: {reason}"
            if inflate.eof:
                continue
        following = data.find(ZSTD, frame + 1)
        following = len(data) if following < 0 else following
        yield Damage(frame, error, bytes(data[frame : min(following, frame + KEPT)]))
        place = following
