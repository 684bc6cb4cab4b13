"""datatrove's MinHash signatures and pairs on fixed texts: `make_minhash.py`, run with the peer.

Writes tests/parity/minhash.json: for each hash function a digest of each text's signature (null: too short for one),
and the pairs that its second stage finds among all of them. The texts are those of `minhash_texts`.

The peer: pip install "datatrove[io,processing]==0.10.1" spacy
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
import tempfile
from pathlib import Path
from typing import Any

from edge_texts import edge_texts

TARGET = Path(__file__).with_name("minhash.json")


def minhash_texts() -> list[str]:
    """Edge texts, and copies of them with some words changed, from none to one in seven."""
    draw = random.Random(8)
    texts = [text for text in edge_texts() if text.isprintable() or "\n" in text][:150]
    copies = []
    for text in texts:
        words = text.split(" ")
        for _ in range(draw.randrange(3)):
            changed = list(words)
            for _ in range(draw.randrange(len(words) // 7 + 1)):
                changed[draw.randrange(len(changed))] = draw.choice(["river", "1 234,5", "naïve", "99", "the", "—"])
            copies.append(" ".join(changed))
    return texts + copies


def signature_digest(values: Any) -> str:
    return hashlib.sha256(b"".join(int(value).to_bytes(8, "little") for value in values)).hexdigest()[:10]


def peer(texts: list[str], hash_function: str) -> dict[str, Any]:
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupSignature
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(
        n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(hash_fc=hash_function)
    )
    found: list[str | None] = []
    pairs: set[tuple[int, int]] = set()
    with tempfile.TemporaryDirectory() as folder:
        sign = MinhashDedupSignature(f"{folder}/sig", config=config)
        for text in texts:
            shingles = sign.get_shingles(text)
            values = [value for bucket in sign.get_signature(shingles) for value in bucket] if len(shingles) else None
            found.append(None if values is None else signature_digest(values))
        sign.run(iter([Document(text=text, id=str(place)) for place, text in enumerate(texts)]), 0, 1)
        for rank in range(14):
            MinhashDedupBuckets(f"{folder}/sig", f"{folder}/pairs", config=config).run(None, rank, 14)
        for path in Path(f"{folder}/pairs").rglob("*.dups"):
            for row in struct.iter_unpack("<4I", path.read_bytes()):
                pairs.add((min(row[1], row[3]), max(row[1], row[3])))
    return {"signatures": found, "pairs": sorted(pairs)}


if __name__ == "__main__":
    fixed = minhash_texts()
    answers = {"fineweb": peer(fixed, "sha1"), "datatrove": peer(fixed, "xxhash")}
    TARGET.write_text(json.dumps(answers, separators=(",", ":")) + "\n")
    print({name: (len(one["signatures"]), len(one["pairs"])) for name, one in answers.items()})
