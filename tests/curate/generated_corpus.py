"""The round contract in memory, and generated texts: for the tests and the benchmark of deduplication."""

from __future__ import annotations

import itertools
import random
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import xxhash

from curate.document import Document, Drop
from curate.step import CorpusStep, partition_key


def run_step(
    step: CorpusStep, documents: Iterable[Document], partitions: int = 2, buckets: int = 4, shuffle: int = 0
) -> tuple[dict[str, Document], dict[str, Drop]]:
    """The round contract in memory: emit, hash into buckets, sort, reduce; then decide for each partition."""
    documents = list(documents)
    random.Random(shuffle).shuffle(documents)
    placed: list[list[tuple[int, Document]]] = [[] for _ in range(partitions)]
    for index, document in enumerate(documents):
        part = placed[index % partitions]
        part.append(((index % partitions) << 32 | len(part), document))
    output: list[tuple[bytes, bytes]] = []
    scratch = tempfile.TemporaryDirectory()
    for stage in step.rounds():
        stage.scratch = Path(scratch.name)
        emitted = []
        if stage.takes_documents:
            for partition, part in enumerate(placed):
                emitted += list(stage.emit_documents(iter(part), partition))
        if stage.takes_records:
            emitted += list(stage.emit_records(iter(output)))
        output = []
        for bucket in range(buckets):
            mine = sorted(r for r in emitted if xxhash.xxh3_64_intdigest(r[0]) % buckets == bucket)
            for key, group in itertools.groupby(mine, key=lambda record: record[0]):
                values = (value for _, value in group)
                output += list(stage.reduce(key, values if stage.streams else list(values)))
    kept, dropped = {}, {}
    for partition, part in enumerate(placed):
        values = sorted(value for key, value in output if key == partition_key(partition))
        outcomes = list(step.decide(iter(part), values, partition))
        for outcome in outcomes:
            if isinstance(outcome, Drop):
                dropped[outcome.document.key] = outcome
            else:
                kept[outcome.key] = outcome
        assert len(outcomes) == len(part)
    return kept, dropped


WORDS = [
    a + b + c
    for a in ("ba", "ke", "lo", "mi", "nu", "ra", "so", "ti")
    for b in "bdfglmnprstvz"
    for c in ("an", "el", "is", "or", "um", "ax", "yd")
]


def prose(rng: random.Random, count: int) -> list[str]:
    return [rng.choice(WORDS) for _ in range(count)]


def edited(rng: random.Random, words: list[str], edits: int) -> list[str]:
    words = list(words)
    for position in rng.sample(range(len(words)), edits):
        words[position] = rng.choice(WORDS)
    return words


def slow_shingles(text: str) -> set[tuple[str, ...]]:
    """Shingles written a second time, without hashes: for texts of plain letters."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def slow_jaccard(a: str, b: str) -> float:
    x, y = slow_shingles(a), slow_shingles(b)
    return len(x & y) / len(x | y)


def biography(rng: random.Random) -> str:
    name = f"{rng.choice(WORDS).title()} {rng.choice(WORDS).title()} {rng.choice(WORDS).title()}"
    month = rng.choice(["January", "February", "March", "May", "June", "July", "August", "September", "October"])
    city, school, field, firm = (rng.choice(WORDS).title() for _ in range(4))
    return (
        f"{name} was born on {month} {rng.randrange(1, 29)}, {rng.randrange(1900, 2100)}. {name} spent the early years "
        f"of life in the city of {city}. {name} received mentorship and guidance from faculty members at the {school} "
        f"Institute. {name} completed a long and demanding education with a focus on {field} studies. {name} had a "
        f"professional role at {firm} Corporation, and had employment in the city of {city}."
    )
