"""The loops of `chunks`, `words` and `grams` as machine code, where numba is installed (`pip install goldsand[fast]`).

The same results in one pass over the bytes where those make dozens over arrays; tests compare both on the same
texts. The code is compiled at its first use and kept on disk beside this file, or in numba's folder for the user.
Imported only by `curate.text.words`, and only when a text is cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from curate.text.chunks import KEY

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xC2B2AE3D27D4EB4F)
_C = np.uint64(0xD6E8FEB86659FD93)
_KEY = KEY
_compiled: Any = njit(cache=True, nogil=True)


@_compiled
def _kind_at(raw, place, kinds):  # type: ignore[no-untyped-def]
    """The kind of the character that begins here (0 if it is not white space), and its bytes."""
    byte = raw[place]
    kind = kinds[byte]
    if kind != 4:
        return kind, 1
    second, third = raw[place + 1], raw[place + 2]
    if byte == 0xC2:
        if second == 0x85:
            return np.uint8(3), 2
        if second == 0xA0:
            return np.uint8(5), 2
    elif byte == 0xE1:
        if second == 0x9A and third == 0x80:
            return np.uint8(5), 3
    elif byte == 0xE2:
        if second == 0x80:
            if third == 0xA8 or third == 0xA9:
                return np.uint8(3), 3
            if 0x80 <= third <= 0x8A or third == 0xAF:
                return np.uint8(5), 3
        elif second == 0x81 and third == 0x9F:
            return np.uint8(5), 3
    elif second == 0x80 and third == 0x80:
        return np.uint8(5), 3
    return np.uint8(0), 1


@_compiled
def scan(raw, end, kinds, slots, rows, bits):  # type: ignore[no-untyped-def]
    """Cut bytes 0 to `end` (zeros follow) into chunks and look each up.

    Returns starts, lengths, wide, lines, low, high, entries and the number of missing entries, as `chunks` uses them.
    """
    most = (end + 1) // 2 + 1
    starts = np.empty(most, np.int64)
    lengths = np.empty(most, np.int64)
    wide = np.empty(most, np.bool_)
    lines = np.empty(most + 1, np.int64)
    low = np.empty(most, np.uint64)
    high = np.empty(most, np.uint64)
    entries = np.empty(most, np.int32)
    mask = (1 << bits) - 1
    slot: Any = 0
    count = held = missing = place = size = 0
    spaces = 0
    new_line = True
    while place < end:
        kind, size = _kind_at(raw, place, kinds)
        if kind & 1:
            spaces += 1 if kind == 1 else 2
            if kind == 3:
                new_line = True
            place += size
            continue
        if count:
            wide[count - 1] = spaces != 1
        if new_line:
            lines[held] = count
            held += 1
        start = place
        first = second = np.uint64(0)
        while place < end:
            byte = raw[place]
            kind = kinds[byte]
            if kind == 4:
                kind, size = _kind_at(raw, place, kinds)
            if kind & 1:
                break
            offset = place - start
            if offset < 8:
                first |= np.uint64(byte) << np.uint64(8 * offset)
            elif offset < 15:
                second |= np.uint64(byte) << np.uint64(8 * (offset - 8))
            place += 1
        length = place - start
        second |= np.uint64(min(length, _KEY + 1)) << np.uint64(56)
        entry = np.int32(-1)
        if length <= _KEY:
            mixed = first * _A ^ second * _B
            mixed ^= mixed >> np.uint64(32)
            slot = np.int64((mixed * _C) >> np.uint64(64 - bits))
            while True:
                entry = slots[slot]
                if entry < 0 or (rows[entry, 0] == first and rows[entry, 1] == second):
                    break
                slot = (slot + 1) & mask
        if entry < 0:
            missing += 1
        starts[count], lengths[count], low[count], high[count] = start, length, first, second
        entries[count] = entry
        count += 1
        spaces = 0
        new_line = False
    if count:
        wide[count - 1] = True
    lines[held] = count
    if not held:
        lines[0] = 0
    return (
        starts[:count],
        lengths[:count],
        wide[:count],
        lines[: held + 1],
        low[:count],
        high[:count],
        entries[:count],
        missing,
    )


@_compiled
def place(first, end, slots, rows, bits):  # type: ignore[no-untyped-def]
    """Give each of these entries, except those longer than a key, the first free slot from its hash on."""
    for entry in range(first, end):
        low, high = rows[entry, 0], rows[entry, 1]
        if high >> np.uint64(56) <= np.uint64(_KEY):
            mixed = low * _A ^ high * _B
            mixed ^= mixed >> np.uint64(32)
            slot = np.int64((mixed * _C) >> np.uint64(64 - bits))
            while slots[slot] >= 0:
                slot = (slot + 1) & ((1 << bits) - 1)
            slots[slot] = entry


@_compiled
def spread(entries, rows, words):  # type: ignore[no-untyped-def]
    """The numbers of the words of all chunks, and how many words each chunk has."""
    sizes = np.empty(len(entries), np.int32)
    total = 0
    for place in range(len(entries)):
        sizes[place] = rows[entries[place], 2] & np.uint64(0xFFFFFFFF)
        total += sizes[place]
    ids = np.empty(total, np.int32)
    at = 0
    for place in range(len(entries)):
        first = np.int64(rows[entries[place], 2] >> np.uint64(32))
        for offset in range(sizes[place]):
            ids[at] = words[first + offset]
            at += 1
    return ids, sizes


@_compiled
def top_grams(ids, longest):  # type: ignore[no-untyped-def]
    """For n from 2 to `longest`: the first place of the most frequent n-gram (the earliest of equals) and its count."""
    tops = np.zeros((longest + 1, 2), np.int64)
    size = len(ids)
    bits = 4
    while (1 << bits) < 2 * size:
        bits += 1
    slots = np.empty(1 << bits, np.int32)
    shorter = ids.astype(np.int32)
    firsts = np.empty(size, np.int32)
    counts = np.zeros(size, np.int32)
    for n in range(2, longest + 1):
        slots[:] = -1
        for place in range(size - n + 1):
            # n-grams with the same first n-1 words share a head: the first place of that (n-1)-gram.
            head, last = shorter[place], ids[place + n - 1]
            mixed = (np.uint64(head) << np.uint64(32) | np.uint64(last)) * _A
            mixed ^= mixed >> np.uint64(32)
            slot = np.int64((mixed * _C) >> np.uint64(64 - bits))
            other = slots[slot]
            while other >= 0 and not (shorter[other] == head and ids[other + n - 1] == last):
                slot = (slot + 1) & ((1 << bits) - 1)
                other = slots[slot]
            if other < 0:
                slots[slot] = other = place
                counts[place] = 0
            firsts[place] = other
            counts[other] += 1
        for place in range(size - n + 1):
            if firsts[place] == place and counts[place] > tops[n, 1]:
                tops[n, 0], tops[n, 1] = place, counts[place]
        shorter[:] = firsts
    return tops


@_compiled
def repeated_grams(data, begins, characters, shortest, longest):  # type: ignore[no-untyped-def]
    """For n from `shortest` to `longest`: the characters in repeats, as `grams.Joined.repeated_characters` counts them.

    `begins` and `characters`: where each word begins in `data`, and last the end, in bytes and in characters.
    """
    repeated = np.zeros(longest + 1, np.int64)
    size = len(begins) - 1
    sums = np.empty(len(data) + 1, np.uint64)
    powers = np.empty(len(data) + 1, np.uint64)
    sums[0], powers[0] = 0, 1
    for place in range(len(data)):
        sums[place + 1] = sums[place] * _A + np.uint64(data[place]) + np.uint64(1)
        powers[place + 1] = powers[place] * _A
    bits = 4
    while (1 << bits) < 2 * size:
        bits += 1
    slots = np.empty(1 << bits, np.int32)
    hashes = np.empty(max(size, 1), np.uint64)
    for n in range(shortest, longest + 1):
        slots[:] = -1
        place = 0
        while place + n <= size:
            begin, end = begins[place], begins[place + n]
            mixed = sums[end] - sums[begin] * powers[end - begin]
            slot = np.int64((mixed * _C) >> np.uint64(64 - bits))
            other = slots[slot]
            same = False
            while other >= 0:
                if hashes[other] == mixed and begins[other + n] - begins[other] == end - begin:
                    same = True
                    for offset in range(end - begin):
                        if data[begins[other] + offset] != data[begin + offset]:
                            same = False
                            break
                    if same:
                        break
                slot = (slot + 1) & ((1 << bits) - 1)
                other = slots[slot]
            if same:
                repeated[n] += characters[place + n] - characters[place]
                place += n
            else:
                slots[slot] = place
                hashes[place] = mixed
                place += 1
    return repeated


@_compiled
def sentences(kinds, ids, counts, wide, lines, ends, marks):  # type: ignore[no-untyped-def]
    """As `words.sentences_begun`; `ends` and `marks` are bits of `kinds` (of all words, by number)."""
    begun = at = 0
    pending = False
    for chunk in range(len(counts)):
        line = lines[chunk]
        if chunk and line != lines[chunk - 1]:
            pending = False
        elif pending and chunk and wide[chunk - 1]:
            begun += line >= 0
            pending = False
        for _ in range(counts[chunk]):
            kind = kinds[ids[at]]
            at += 1
            if kind & ends:
                pending = True
            elif pending and not kind & marks:
                begun += line >= 0
                pending = False
    return begun
