"""Plain, gzip and zstd files as runs of sound bytes; damage between them is reported, never skipped in silence."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import zlib
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from curate.places.patience import patiently
from curate.sources.meter import Reached
from curate.sources.partition import WHOLE, Piece
from curate.sources.recovery import FIRST_LINE, next_sound, refused_at, told

if TYPE_CHECKING:
    import zstandard
    from upath import UPath

    from curate.places.remote_input import RemoteFile

FEED = 1 << 16
INFLATED = 1 << 20
"""Largest piece that is inflated at once: a decompression bomb arrives in pieces, and the reader may stop."""

ZSTD_FEED = 1 << 10
"""Compressed bytes given to zstd at once. Its blocks are at most 128 KiB for 4 bytes, so a piece is at most 32 MiB."""

ZSTD_WINDOW = 1 << 27
KEPT = 1 << 20
"""Raw bytes kept of what could not be read."""

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
DICTIONARY = b"\x5d\x2a\x4d\x18"
PACKED = {"gz": "gzip", "zst": "zstd", "zstd": "zstd"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
HEAD, SHORT = 1 << 12, 64
"""Bytes at the beginning of a file that say whether it is text; fewer than `SHORT` must be UTF-8."""

PADDING = 20
"""Fewer zeros at the end of a gzip file than its smallest member has bytes hide nothing."""


@dataclass(slots=True, frozen=True)
class ReadingStart:
    """A compressed member (gzip) or frame (zstd) begins at this byte of the file."""

    offset: int


@dataclass(slots=True, frozen=True)
class Damage:
    """The compressed stream is broken here; `raw` is the beginning of what could not be read, `size` its bytes."""

    offset: int
    error: str
    raw: bytes = b""
    size: int = 0


Data: TypeAlias = "mmap.mmap | bytes | RemoteFile"
"""A file as its readers see it: length, slices, `find`."""

Chunk = bytes | ReadingStart | Damage


def compression(data: Data, name: str = "") -> str:
    """`gzip`, `zstd` or `plain`, by the first bytes of a file; where they say nothing and are no text, by its name: one
    changed bit in front does not make text of a compressed file."""
    head = bytes(data[:4])
    if head.startswith(GZIP):
        return "gzip"
    if head.startswith(ZSTD) or SKIPPABLE.match(head):
        return "zstd"
    named = PACKED.get(name.rpartition(".")[2].lower(), "plain")
    return "plain" if named == "plain" or _is_text(bytes(data[:HEAD])) else named


def _is_text(head: bytes) -> bool:
    """Whether a file that begins so may be text: compressed bytes hold control characters before long."""
    if len(head) < SHORT:
        if GZIP.startswith(head) or ZSTD.startswith(head):
            return False
        with contextlib.suppress(UnicodeDecodeError):
            return not CONTROLS.search(head.decode().encode())
        return False
    return head.startswith(UTF_16) or not CONTROLS.search(head)


class Run:
    """Contiguous sound bytes of a file, decompressed, with the place of each in the file.

    After the last byte, `damage` says what ended the run, or is None at the end of the file.
    """

    def __init__(self, chunks: Iterator[Chunk], plain: bool, position: int) -> None:
        self._chunks = chunks
        self._plain = plain
        self._buffer = bytearray()
        self._starts: deque[tuple[int, int]] = deque()
        self._ended = False
        self.position = position
        self.last = False
        self.damage: Damage | None = None

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size and not self._ended:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = self.last = True
            elif isinstance(chunk, Damage):
                self._ended, self.damage = True, chunk
            elif isinstance(chunk, ReadingStart):
                self._starts.append((self.position + len(self._buffer), chunk.offset))
            else:
                self._buffer += chunk

    def place(self) -> str:
        """The place of the next byte: its offset, or `member` or `member+offset within` in a compressed file."""
        member, within = self._member()
        return str(member) if self._plain or (self._starts and not within) else f"{member}+{within}"

    def begins_from(self, end: int | None) -> bool:
        """Whether there is a next byte, and it (in a compressed file: its member) begins at byte `end` or later."""
        if end is None:
            return False
        self._fill(1)
        if not self._buffer or (self._starts and self._starts[-1][1] < end):
            return False
        return self._member()[0] >= end

    def _member(self) -> tuple[int, int]:
        """The byte of the file at which the next byte's member begins, and its offset within."""
        self._fill(1)
        if self._plain:
            return self.position, 0
        while len(self._starts) > 1 and self._starts[1][0] <= self.position:
            self._starts.popleft()
        if not self._starts:
            return 0, self.position
        start, member = self._starts[0]
        return member, self.position - start

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

    def back(self, taken: bytes) -> None:
        """Give back what was just read."""
        self._buffer[:0] = taken
        self.position -= len(taken)

    def ahead(self, distance: int, size: int) -> bytes | None:
        """Up to `size` bytes from `distance` bytes further on; None when fewer than `distance` are left."""
        self._fill(distance + size)
        return bytes(self._buffer[distance : distance + size]) if len(self._buffer) >= distance else None

    @property
    def left(self) -> int:
        """Bytes in the buffer; all that are left when `ahead` had too few."""
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

    def skip_to(self, start: re.Pattern[bytes], within: re.Pattern[bytes] | None = None) -> tuple[bytes, int]:
        """Go to the next line that `start` matches, to what `within` finds in a line, or to the end: the beginning of
        what was skipped, and its size. The line's first byte is always skipped. Linear in the bytes skipped.
        """
        kept, size = bytearray(), 0
        while True:
            line = self.line(FEED)
            if not line:
                break
            whole = line.endswith(b"\n")
            begun = within.search(line, 1) if within and whole else None
            if begun:
                self.back(line[begun.start() :])
                line = line[: begun.start()]
            size += len(line)
            kept += line[: max(0, KEPT - len(kept))]
            if begun or (whole and start.match(self.peek(FIRST_LINE))):
                break
        return bytes(kept), size


@contextlib.contextmanager
def mapped(path: Path | UPath) -> Iterator[Data]:
    """A file's bytes without reading them all; an empty file is empty bytes. Raises OSError, after several tries."""
    if not isinstance(path, Path):
        from curate.places.remote_input import RemoteFile

        yield RemoteFile(path)
        return
    with patiently(path.open, "rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            yield b""
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def runs(data: Data, piece: Piece = WHOLE, reached: Reached | None = None, name: str = "") -> Iterator[Run]:
    """The sound runs of a file of this name in order. Each must be read to its end before the next is asked for.

    They go from the beginning of a piece, or of the member that it begins in, to the end of the file: the reader stops
    where the piece ends.
    """
    plain = compression(data, name) == "plain"
    begin, position = piece.stream or (piece.start, piece.position)
    chunks = chunks_of(data, begin, reached, name)
    if reached is not None and not plain:
        chunks = _told(chunks, begin, reached)
    while True:
        run = Run(chunks, plain, position)
        yield run
        if run.last:
            return
        position = run.position


def _told(chunks: Iterator[Chunk], start: int, reached: Reached) -> Iterator[Chunk]:
    for chunk in chunks:
        if isinstance(chunk, bytes):
            reached(start, len(chunk))
        yield chunk


def chunks_of(data: Data, start: int = 0, reached: Reached | None = None, name: str = "") -> Iterator[Chunk]:
    """A file's bytes, decompressed, from a byte at which a member begins (any byte of a plain file)."""
    packing = compression(data, name)
    if packing != "plain" and not len(data):
        return iter([Damage(0, "the file is empty")])
    decode = {"plain": _plain, "gzip": _gzip, "zstd": _zstd}[packing]
    return decode(data, start, reached or (lambda place, unpacked=0, /: None))


def _plain(data: Data, start: int, reached: Reached) -> Iterator[Chunk]:
    for place in range(start, len(data), INFLATED):
        reached(place)
        yield bytes(data[place : place + INFLATED])


def _gzip(data: Data, start: int, reached: Reached) -> Iterator[Chunk]:
    member = start
    while member < len(data):
        if data[member : member + 2] != GZIP:
            following = _next_gzip(data, member)
            raw = bytes(data[member : min(following, member + KEPT)])
            # A tool may pad its file; a copy that was cut short has zeros where its members were.
            if len(raw) >= PADDING or following < len(data) or raw.strip(b"\0"):
                yield Damage(member, f"{following - member} bytes that are no gzip member", raw, following - member)
            member = following
            continue
        yield ReadingStart(member)
        place = member
        inflate = zlib.decompressobj(31)
        error = "the gzip member is cut off by the end of the file"
        try:
            while place < len(data) and not inflate.eof:
                reached(place)
                fed = bytes(data[place : place + FEED])
                before = inflate.copy()
                try:
                    chunk = inflate.decompress(fed, INFLATED)
                except zlib.error:
                    place += yield from _up_to_error(before, fed)
                    raise
                # At the end the rest is in `unused_data`, and sometimes in `unconsumed_tail` too.
                place += len(fed) - len(inflate.unused_data if inflate.eof else inflate.unconsumed_tail)
                if chunk:
                    yield chunk
            # What zlib still holds after the last byte was fed.
            while not inflate.eof and (chunk := inflate.decompress(inflate.unconsumed_tail, INFLATED)):
                yield chunk
        except zlib.error as reason:
            error = f"the gzip member is broken: {reason}"
        if inflate.eof:
            member = place
            continue
        following = next_sound(data, member + 2, place, partial(_next_gzip, data), partial(zlib.decompressobj, 31))
        yield Damage(member, error, bytes(data[member : min(following, member + KEPT)]), following - place)
        member = following


def _up_to_error(inflate: zlib._Decompress, fed: bytes) -> Generator[bytes, None, int]:
    """The output before the byte that zlib refuses: a call that fails returns none of it. Returns the bytes taken."""
    for place in range(len(fed)):
        try:
            chunk = inflate.decompress(fed[place : place + 1])
        except zlib.error:
            return place + 1
        if chunk:
            yield chunk
    return len(fed)


def _next_gzip(data: Data, place: int) -> int:
    """Where the next gzip member that can be inflated begins, or the end."""
    while (place := data.find(b"\x1f\x8b\x08", place)) >= 0:
        try:
            if zlib.decompressobj(31).decompress(bytes(data[place : place + 512]), 64):
                return place
        except zlib.error:
            pass
        place += 1
    return len(data)


def _zstd(data: Data, start: int, reached: Reached) -> Iterator[Chunk]:
    import zstandard

    place, dictionary, damage = _zstd_dictionary(data)
    if damage is not None and start == 0:
        yield damage

    def begin() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=ZSTD_WINDOW).decompressobj()

    place = max(place, start)
    while place < len(data):
        head = bytes(data[place : place + 8])
        skippable = SKIPPABLE.match(head)
        if skippable and (end := _skippable_end(data, place)):
            place = end
            continue
        frame = place
        if skippable:
            error = "a skippable zstd frame whose length is false"
        elif not head.startswith(ZSTD):
            error = "bytes that are no zstd frame"
        else:
            yield ReadingStart(frame)
            error = "the zstd frame is cut off by the end of the file"
            try:
                inflate = begin()
                while place < len(data) and not inflate.eof:
                    reached(place)
                    fed = bytes(data[place : place + ZSTD_FEED])
                    chunk = inflate.decompress(fed)
                    place += len(fed) - len(inflate.unused_data)
                    if chunk:
                        yield chunk
                if inflate.eof:
                    continue
            except zstandard.ZstdError as reason:
                error = told(reason)
                if _next_zstd(data, frame + 1) < place + ZSTD_FEED:
                    place = refused_at(data, frame, place, begin)
        following = next_sound(data, frame + 1, place, partial(_next_zstd, data), begin)
        yield Damage(frame, error, bytes(data[frame : min(following, frame + KEPT)]), following - place)
        place = following


def _next_zstd(data: Data, place: int) -> int:
    following = data.find(ZSTD, place)
    return len(data) if following < 0 else following


def _skippable_end(data: Data, place: int) -> int | None:
    """Where a skippable frame ends; None when its length is false: no frame begins behind it, or it covers frames."""
    end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
    following = bytes(data[end : end + 4])
    if end != len(data) and not (following.startswith(ZSTD) or SKIPPABLE.match(following)):
        return None
    # The dictionary of a WARC file may itself be compressed.
    within = place + 8 + (4 if place == 0 and data[:4] == DICTIONARY else 0)
    found = data.find(ZSTD, within)
    return None if 0 <= found < end else end


def _zstd_dictionary(
    data: Data,
) -> tuple[int, zstandard.ZstdCompressionDict | None, Damage | None]:
    """Where the frames begin, and the dictionary that WARC files may carry in a first skippable frame (IIPC,
    "Zstandard for WARC"), or why it cannot be used."""
    import zstandard

    size = int.from_bytes(data[4:8], "little")
    if data[:4] != DICTIONARY or size > ZSTD_WINDOW or _skippable_end(data, 0) is None:
        return 0, None, None
    content = bytes(data[8 : 8 + size])
    try:
        if content.startswith(ZSTD):
            # A frame may state any size, and that much memory would be reserved before it is inflated.
            if zstandard.frame_content_size(content) > ZSTD_WINDOW:
                raise ValueError(f"it states more than {ZSTD_WINDOW} bytes")
            content = zstandard.ZstdDecompressor().decompress(content, max_output_size=ZSTD_WINDOW)
        dictionary = zstandard.ZstdCompressionDict(content)
        # It is looked at when it is first used.
        zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj()
        return 8 + size, dictionary, None
    except (zstandard.ZstdError, ValueError) as reason:
        error = f"the zstd dictionary is broken: {reason}"
        return 8 + size, None, Damage(0, error, bytes(data[:KEPT]))
