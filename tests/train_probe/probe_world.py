"""A corpus of compact records and pages in the documented formats, made of nothing but numpy, for the probe's tests."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from curate.shards.tokens import METADATA, TokenShardWriter, describe

END_OF_TEXT, TAG, PAGE_TAG = 0, 1, 2

JUNK_ARMS: list[dict[str, Any]] = [
    {"arm": "facts alone"},
    {"arm": "+ endless junk", "junk_kind": "endless", "junk_ratio": 0.875},
    {"arm": "+ endless junk, domain tokens", "junk_kind": "endless", "junk_ratio": 0.875, "tag": "useful"},
    {"arm": "+ repetitive junk", "junk_kind": "repetitive", "junk_ratio": 0.875, "junk_people": 50},
]


class World:
    """`people` records of `values` values of a pool of `pool`, names of `parts`, and pages over `words` tokens.

    Tokens: end of text, the facts' tag, the pages' tag, the pages' words, the name parts, the values.
    """

    def __init__(
        self,
        folder: Path,
        *,
        people: int = 20,
        exposures: int = 6,
        parts: tuple[int, ...] = (8, 8),
        values: int = 3,
        pool: int = 4,
        words: int = 10,
        page_tokens: int = 3000,
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.folder, self.people, self.exposures, self.pool, self.parts = folder, people, exposures, pool, parts
        self.first_name = 3 + words
        self.first_value = self.first_name + sum(parts)
        self.vocabulary = self.first_value + pool
        self.names = rng.choice(math.prod(parts), people, replace=False)
        self.entities = np.stack(np.unravel_index(self.names, parts), 1).astype(np.int32)
        self.values = rng.integers(0, pool, (people, values)).astype(np.int32)
        offsets = self.first_name + np.concatenate([[0], np.cumsum(parts)[:-1]])
        self.bodies = np.concatenate([self.entities + offsets, self.values + self.first_value], 1)
        self._write_facts(values)
        self._write_useful(rng)
        self._write_pages(rng, words, page_tokens)

    def plan(self, runs: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
        """A plan of the world's folders; the model and the training are small unless `changes` says otherwise."""
        plan = {
            "facts": str(self.folder / "facts"),
            "useful": str(self.folder / "useful"),
            "junk_shards": {"raw": str(self.folder / "pages")},
            "model": {"layers": 1, "heads": 2, "width": 8},
            "training": {"batch": 4, "window": 128},
            "runs": runs,
            "processes": 1,
        }
        return plan | changes

    def _write_facts(self, values: int) -> None:
        folder = self.folder / "facts"
        folder.mkdir(parents=True)
        facts = {
            "kind": "compact",
            "people": self.people,
            "exposures": self.exposures,
            "seed": 0,
            "domain": "facts",
            "name_pool_bits": math.log2(math.prod(self.parts)),
            "value_pool_bits": values * math.log2(self.pool),
            "attributes": [{"name": f"v{i}", "pool": "v", "bits": math.log2(self.pool)} for i in range(values)],
            "name_parts": list(self.parts),
        }
        (folder / "facts.json").write_text(json.dumps(facts))
        (folder / "injection.json").write_text(json.dumps({"placement": "even"}))
        (folder / "scoring.json").write_text(json.dumps({"tokenizer": "words", "tokenizer_hash": "abc"}))
        np.save(folder / "entities.npy", self.entities)
        np.save(folder / "values.npy", self.values)
        np.save(folder / "exposures.npy", np.full(self.people, self.exposures, np.int32))
        length, parts = self.bodies.shape[1], len(self.parts)
        one_row = [(-1, 0, parts), *((i, parts + i, parts + i + 1) for i in range(values))]
        np.savez(
            folder / "scoring.npz",
            tokens=self.bodies.reshape(-1),
            row_ends=(np.arange(1, self.people + 1) * length).astype(np.uint64),
            row_entity=np.arange(self.people, dtype=np.int32),
            spans=np.array([(row, *span) for row in range(self.people) for span in one_row], np.int32),
            row_tag=np.full(self.people, TAG, np.int32),
            end_of_text=END_OF_TEXT,
            tag=TAG,
            vocabulary=self.vocabulary,
            used_vocabulary=self.vocabulary,
            name_tokens=np.arange(self.first_name, self.first_value, dtype=np.int32),
            value_tokens=np.arange(self.first_value, self.vocabulary, dtype=np.int32),
        )

    def _write_useful(self, rng: np.random.Generator) -> None:
        """Every exposure of everybody, shuffled over two shards, each behind the facts' tag as the rendered domain."""
        folder = self.folder / "useful"
        shuffled = rng.permutation(self.people * self.exposures)
        for shard, numbers in enumerate(np.array_split(shuffled, 2)):
            with TokenShardWriter(folder, shard) as writer:
                writer.add([TAG, 5, 6, END_OF_TEXT], source=0, domain=0, prefix=1)  # a page among the facts
                for number in numbers:
                    exposure, entity = divmod(int(number), self.people)
                    ids = [TAG, *self.bodies[entity], END_OF_TEXT]
                    writer.add(ids, source=0, domain=0, entity=entity, exposure=exposure, prefix=1)
        self._describe(folder, "useful")

    def _write_pages(self, rng: np.random.Generator, words: int, tokens: int) -> None:
        folder = self.folder / "pages"
        with TokenShardWriter(folder, 0) as writer:
            left = tokens
            while left > 0:
                ids = [PAGE_TAG, *rng.integers(3, 3 + words, int(rng.integers(20, 200))), END_OF_TEXT]
                writer.add(ids, source=0, domain=1, prefix=1)
                left -= len(ids)
        self._describe(folder, "pages")

    def _describe(self, folder: Path, name: str, tokenizer_hash: str = "abc") -> None:
        metadata = describe(
            folder,
            name=name,
            tokenizer="words",
            tokenizer_hash=tokenizer_hash,
            vocabulary=self.vocabulary,
            dtype="uint16",
            end_of_text=END_OF_TEXT,
            domain_rendering="special",
            sources=["test"],
            domains=[{"name": "facts", "token": TAG}, {"name": "pages.example", "token": PAGE_TAG}],
        )
        (folder / METADATA).write_text(json.dumps(metadata))


def tiny_scale(folder: Path, seed: int, people: int = 400, exposures: int = 150) -> World:
    """The size of the demo: 6 values of 64, names of 2 x 256, in a vocabulary that also holds 1 024 words of pages."""
    return World(folder, people=people, exposures=exposures, parts=(256, 256), values=6, pool=64, words=1024, seed=seed)
