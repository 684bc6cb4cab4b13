"""The files beside a corpus with facts: the facts, how often each was shown, and what to score and to ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.facts import FactsError

if TYPE_CHECKING:
    from synth.bundle import Bundle
    from synth.placed import Placed


INJECTION = "injection.json"
"""Written last: how facts were placed, and what the files beside it and the token sets were."""


def write_facts(
    folder: Path,
    placed: Placed,
    tokenizer: Path | None,
    used: int | None,
    token_sets: Mapping[str, Path],
    bundle: Bundle | None = None,
) -> str | None:
    """Write the table and `questions.*.jsonl` where the kind has questions; with a tokenizer the scoring sets, and
    `bundle.npz` where the texts can be put together from pieces of its tokens; with token sets `purity.json`. Last
    `injection.json`: how the table was placed, and the hashes that bind all of these to each other and to the token
    sets. A given `bundle` is not compiled again. Returns why no bundle can be made with this tokenizer, else None.
    Raises FactsError as `write_scoring` does."""
    from curate.shards.tokens import TokenShards, hashes_of, seal_of
    from synth.questions import write_questions

    # From here to the end the folder is not whole, and what an earlier table had must not pass for this one's.
    for name in (INJECTION, *(path.name for path in folder.glob("*.npz")), "scoring.json", "purity.json"):
        (folder / name).unlink(missing_ok=True)
    placed.table.save(folder)
    counts, people = np.unique(placed.table.exposure_counts, return_counts=True)
    how: dict[str, Any] = {
        "placement": placed.schedule.placement,
        "domains": placed.domains.mode,
        "documents": placed.total,
        "people_by_exposures": {
            str(count): number for count, number in zip(counts.tolist(), people.tolist(), strict=True)
        },
    }
    lacking: str | None = None
    write_questions(folder, placed.table)
    if tokenizer is not None:
        from curate.shards.vocabulary import Vocabulary
        from synth.bundle import compile_bundle
        from synth.scoring import write_scoring

        vocabulary = Vocabulary.load(tokenizer)
        write_scoring(folder, placed.table, vocabulary, used=used, domains=placed.domains)
        # The probe draws junk from it, and names it in its error where it is missing.
        try:
            (bundle or compile_bundle(placed.table, vocabulary)).save(folder / "bundle.npz")
        except FactsError as error:
            lacking = str(error)
    if token_sets:
        _write(folder / "purity.json", {name: purity(path) for name, path in sorted(token_sets.items())})
    sets = {name: TokenShards.open(path).identity for name, path in sorted(token_sets.items())}
    how |= {"files": hashes_of(folder), "token_sets": sets}
    _write(folder / INJECTION, how | {"seal": seal_of(how)})
    return lacking


def purity(token_set: Path) -> list[dict[str, Any]]:
    """For each domain that carries facts in a token set: its tokens, those of facts, and their share, the most first.

    A purity of 1.0 makes a domain an oracle: its token says that facts follow. Domains without a token count as one.
    """
    from curate.shards.tokens import NO_DOMAIN, TokenShards

    shards = TokenShards.open(token_set)
    names = [one["name"] for one in shards.metadata["domains"]]
    tokens = np.zeros(len(names) + 1, np.int64)
    facts = np.zeros(len(names) + 1, np.int64)
    for shard in shards.shards:
        lengths = np.diff(shard.ends.astype(np.int64), prepend=0)
        domain = np.where(shard.documents["domain"] == NO_DOMAIN, len(names), shard.documents["domain"]).astype(int)
        tokens += np.bincount(domain, lengths, len(names) + 1).astype(np.int64)
        facts += np.bincount(domain, lengths * (shard.documents["entity"] >= 0), len(names) + 1).astype(np.int64)
    rows = [
        {"domain": name, "tokens": int(all_), "fact_tokens": int(of_facts), "purity": of_facts / all_}
        for name, all_, of_facts in zip([*names, None], tokens.tolist(), facts.tolist(), strict=True)
        if of_facts
    ]
    return sorted(rows, key=lambda one: (-one["fact_tokens"], str(one["domain"])))


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
