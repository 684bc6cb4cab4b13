"""Random damage to bytes, to values of JSON, to files of known forms and to folders of files, for tests of what reads
them. A seed of `random.Random` says all of it."""

from __future__ import annotations

import copy
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

HUGE = (10**20, -(10**20), 2**63, 2**31, 2**40, 1e308, 5e-324, float("nan"), float("inf"))
TYPES: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", "x", [], {}, [[]], {"a": 1}, "\x1b[31m", "\ud800", "../../x")


def stretches(content: bytes, draw: random.Random, other: bytes = b"") -> list[tuple[int, int, bytes]]:
    """One or two harms, the last one first: each puts other bytes in the place of those from one place to another.
    `other` are the bytes of another sound file, from which a stretch may be put in."""
    changed: list[tuple[int, int, bytes]] = []
    place = len(content)
    # From the end, so that the places before stay what they were.
    for _ in range(draw.choice([1, 1, 2])):
        start = draw.randrange(place) if place else 0
        end = min(place, start + draw.choice([1, 4, 30, draw.randrange(1, 2000)]))
        kind = draw.randrange(12)
        if kind <= 1:
            end = min(place, start + 1)
            put = bytes(byte ^ 1 << draw.randrange(8) for byte in content[start:end])
        elif kind == 2:
            put = bytes(end - start)
        elif kind == 3:
            put = draw.randbytes(end - start)
        elif kind == 4:
            put = b""
        elif kind == 5:
            put = content[start:end] * 2
        elif kind == 6:
            end, put = start, draw.choice([draw.randbytes(draw.randrange(1, 50)), content[:40], bytes(30)])
        elif kind == 7:
            end, put = place, b""
        elif kind == 8:
            end = min(place, start + 1)
            put = bytes(draw.randrange(256) for _ in content[start:end])
        elif kind == 9:
            middle = draw.randint(start, end)
            put = content[middle:end] + content[start:middle]
        elif kind == 10:
            start = end = place
            put = draw.choice([draw.randbytes(draw.randrange(1, 50)), content[:200], b"\n", bytes(512)])
        else:
            begin = draw.randrange(len(other)) if other else 0
            put = other[begin : begin + (end - start)]
            end = start if draw.random() < 0.5 else end
        changed.append((start, end, put))
        place = start
    return changed


def damaged(content: bytes, changed: list[tuple[int, int, bytes]]) -> bytes:
    """The bytes with these harms."""
    parts, place = [], 0
    for start, end, put in reversed(changed):
        parts += [content[place:start], put]
        place = end
    return b"".join([*parts, content[place:]])


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are values inside a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*above, key)
        yield from _places(one, (*above, key))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def changed_value(value: Any, draw: random.Random, other: Any = None) -> Any:
    """A value of JSON with one thing changed: a key that is gone or new, a value of another type, another number, a
    list doubled, two values exchanged, a value of `other` in the same place."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return draw.choice(TYPES)
    place = draw.choice(places)
    holder, key = _at(value, place[:-1]), place[-1]
    kind, old = draw.randrange(8), holder[key]
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = draw.choice(TYPES)
    elif kind == 2 and isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = draw.choice([old + 1, -old, old * 2, old / 2, 0, *HUGE])
    elif kind == 3 and isinstance(old, list | str):
        holder[key] = draw.choice([old * 2, old[: len(old) // 2], old[::-1]])
    elif kind == 4:
        there = draw.choice(places)
        twin = _at(value, there[:-1])
        if there[: len(place)] != place and place[: len(there)] != there:
            holder[key], twin[there[-1]] = twin[there[-1]], old
    elif kind == 5:
        try:
            holder[key] = _at(other, place)
        except (LookupError, TypeError):
            holder[key] = draw.choice(TYPES)
    elif kind == 6:
        if isinstance(holder, dict):
            holder[draw.choice(["x", "", "__class__", "format", "name"])] = copy.deepcopy(old)
        else:
            holder.insert(key, copy.deepcopy(old))
    else:
        holder[key] = draw.choice(HUGE) if not isinstance(old, str) else draw.choice(["x" * 5000, "\x00", old + "x"])
    return value


def _json(content: bytes, draw: random.Random, other: bytes) -> bytes:
    return json.dumps(changed_value(json.loads(content), draw, _loaded(other)), allow_nan=True).encode()


def _loaded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _lines(content: bytes, draw: random.Random, other: bytes) -> bytes:
    """Lines of JSON: one is changed, gone, there twice, one of the other file's, or they are in another order."""
    lines = content.splitlines(keepends=True)
    others = other.splitlines(keepends=True)
    if not lines:
        return b"".join(others) or b"{}\n"
    at, kind = draw.randrange(len(lines)), draw.randrange(6)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[at])
    elif kind == 2 and others:
        lines[at] = draw.choice(others)
    elif kind == 3:
        draw.shuffle(lines)
    else:
        lines[at] = _json(lines[at], draw, b"") + b"\n"
    return b"".join(lines)


def _zstd(content: bytes, draw: random.Random, other: bytes) -> bytes:
    """A frame that is sound, of other lines."""
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    more = zstandard.ZstdDecompressor().decompressobj().decompress(other) if other else b""
    return zstandard.ZstdCompressor(write_checksum=True).compress(_lines(plain, draw, more))


def _array(array: np.ndarray, draw: random.Random) -> np.ndarray:
    array, kind = array.copy(), draw.randrange(6)
    if kind == 0 and array.size and array.dtype.kind in "iuf":
        array.reshape(-1)[draw.randrange(array.size)] += 1
    elif kind == 1 and array.ndim:
        array = array[: len(array) // 2]
    elif kind == 2 and array.dtype.kind in "iuf":
        array = array.astype(draw.choice(["<i8", "<f8", "<u1", "<f2"]))
    elif kind == 3:
        array = array.reshape(-1)[::-1] if array.ndim else np.array([array, array])
    elif kind == 4 and array.ndim and array.dtype.kind in "iuf":
        array = -array
    else:
        array = np.array(draw.choice(["x", 3, -1]))
    return array


def _npz(content: bytes, draw: random.Random, other: bytes) -> bytes:
    """A sound file, in which one array is another."""
    with np.load(io.BytesIO(content)) as arrays:
        held = dict(arrays)
    name = draw.choice(sorted(held))
    if draw.random() < 0.2:
        del held[name]
    else:
        held[name] = _array(held[name], draw)
    stream = io.BytesIO()
    np.savez(stream, **held)
    return stream.getvalue()


def _npy(content: bytes, draw: random.Random, other: bytes) -> bytes:
    stream = io.BytesIO()
    np.save(stream, _array(np.load(io.BytesIO(content)), draw))
    return stream.getvalue()


def _safetensors(content: bytes, draw: random.Random, other: bytes) -> bytes:
    size = int.from_bytes(content[:8], "little")
    head = _json(content[8 : 8 + size], draw, b"")
    return len(head).to_bytes(8, "little") + head + content[8 + size :]


def _yaml(content: bytes, draw: random.Random, other: bytes) -> bytes:
    from ruamel.yaml import YAML

    yaml, stream = YAML(typ="safe", pure=True), io.BytesIO()
    yaml.dump(changed_value(yaml.load(content), draw, yaml.load(other) if other else None), stream)
    return stream.getvalue()


FORMS: dict[str, Callable[[bytes, random.Random, bytes], bytes]] = {
    ".json": _json,
    ".jsonl": _lines,
    ".zst": _zstd,
    ".npz": _npz,
    ".npy": _npy,
    ".safetensors": _safetensors,
    ".yaml": _yaml,
}
"""What changes the content of a sound file of this name, so that it is a sound file still."""


def harm_file(path: Path, draw: random.Random, other: bytes = b"") -> str:
    """Damage one file: its bytes, or what it says. Returns what was done."""
    content = path.read_bytes()
    if path.suffix in FORMS and draw.random() < 0.5:
        try:
            path.write_bytes(FORMS[path.suffix](content, draw, other))
            return f"{path.name}: its content is another"
        except (ValueError, TypeError, LookupError, OverflowError, zstandard.ZstdError, RecursionError):
            pass  # what was to be done cannot be written in this form
    changed = stretches(content, draw, other)
    path.write_bytes(damaged(content, changed))
    done = "; ".join(f"[{start}:{end}] -> {put[:40]!r} ({len(put)})" for start, end, put in changed)
    return f"{path.name}: {done}"


def harm(folder: Path, other: Path, names: list[str], draw: random.Random) -> str:
    """Damage one of the named files of a folder, or two; or one is gone, empty, exchanged with a neighbour, or that of
    another sound folder. Returns what was done."""
    name = draw.choice(names)
    path, kind = folder / name, draw.randrange(16)
    neighbours = [one for one in names if one != name and Path(one).suffix == path.suffix]
    if kind == 0:
        path.unlink()
        return f"{name} is gone"
    if kind == 1:
        path.write_bytes(b"")
        return f"{name} is empty"
    if kind == 2 and neighbours:
        twin = folder / draw.choice([one for one in neighbours if Path(one).parent == Path(name).parent] or neighbours)
        held = path.read_bytes()
        path.write_bytes(twin.read_bytes())
        twin.write_bytes(held)
        return f"{name} and {twin.relative_to(folder)} are exchanged"
    if kind == 3 and (other / name).is_file():
        shutil.copyfile(other / name, path)
        return f"{name} is that of another folder"
    whole = all(Path(one).parent == Path(name).parent for one in names)  # then it would be another sound set
    if kind == 4 and (other / name).is_file() and not whole:
        for one in (other / name).parent.iterdir():
            if one.is_file():
                shutil.copyfile(one, path.with_name(one.name))
        return f"the files in {Path(name).parent} are those of another folder"
    if kind == 5:
        twin = path.with_name(f"{draw.randrange(10**5):05d}{path.name[5:]}")
        shutil.copyfile(path, twin)
        return f"{name} is there again as {twin.name}"
    if kind == 6 and not whole:
        shutil.rmtree(path.parent)
        return f"the folder {Path(name).parent} is gone"
    twin = other / name
    done = harm_file(path, draw, twin.read_bytes() if twin.is_file() else b"")
    if kind == 7 and neighbours:
        second = folder / draw.choice(neighbours)
        if second.is_file() and second != path:
            done += " and " + harm_file(second, draw)
    return f"{Path(name).parent}/{done}"
