"""bioR in a corpus: the facts of a table as statements to rewrite, and accepted rewrites as documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.document import Document
from curate.shards.text import write_text_shard
from synth.codes import RECORDS
from synth.facts import FactsError, FactTable
from synth.kinds import writer_of
from synth.placed import SOURCE
from synth.rewrite.gate import FactGate, Statement
from synth.rewrite.language_model import LanguageModel
from synth.rewrite.rewriter import Report, read_rewrites, rewrite_file
from synth.rewrite.rewriter import styles as all_styles

LARGEST_POOL = 20_000
"""Up to so many values of a pool the gate looks for one by one; a larger pool of several parts becomes a pattern."""


def retell(facts: Path, out: Path, model: LanguageModel, styles: Sequence[str] = (), most: int | None = None) -> Report:
    """Rewrite the facts of a folder `facts/` into `out/rewrites.jsonl`, and what the gate accepted into `out/text/`.

    In every style unless some are named, of all entities or the first `most`. A second call continues where the first
    one ended. Raises RewriteError as `rewrite_file` does.
    """
    table = FactTable.load(facts)
    originals = list(statements(table, most))
    (out / "text").mkdir(parents=True, exist_ok=True)
    path = out / "rewrites.jsonl"
    report = rewrite_file(originals, path, model, styles or list(all_styles()), gate=gate_of(table))
    shard = out / "text" / "00000.jsonl.zst"
    half = shard.with_name(f"{shard.name}.writing")
    with half.open("wb") as stream:
        write_text_shard(stream, retold(table, read_rewrites(path)))
    half.replace(shard)
    return report


def statements(table: FactTable, most: int | None = None) -> Iterator[Statement]:
    """The first text of each entity that appears (of the first `most`), with the facts that a rewrite must state.

    Raises FactsError for records, which are not sentences.
    """
    if table.kind in RECORDS:
        raise FactsError(f"facts of kind {table.kind} are records of reserved words, which cannot be rewritten")
    shown = np.flatnonzero(table.exposure_counts > 0)[:most]
    texts = writer_of(table).texts(shown, np.zeros(len(shown), np.int64))
    for entity, name, text in zip(shown.tolist(), table.names(shown), texts, strict=True):
        facts = {key: value for key, value in table.facts(entity).items() if key in table.templates}
        yield Statement(f"{SOURCE}/{entity}@0", text, name, facts)


def gate_of(table: FactTable) -> FactGate:
    """The gate that knows every value of the table's pools."""
    pools: dict[str, Any] = {}
    for number, one in enumerate(table.attributes):
        if one.name not in table.templates:
            continue
        parts = [table.pools[name] for name in one.pool.split(" ")]
        if one.size <= LARGEST_POOL or len(parts) == 1:
            pools[one.name] = table.words(number)
        else:
            choices = ["(?:" + "|".join(map(re.escape, part)) + ")" for part in parts]
            literals = [re.escape(text) for text in one.form.split("{}")]
            pools[one.name] = re.compile("".join(a + b for a, b in zip(literals, [*choices, ""], strict=True)))
    return FactGate(pools)


def retold(table: FactTable, rewrites: Iterable[dict[str, Any]]) -> Iterator[Document]:
    """The accepted lines of a file of rewrites as documents, each a further exposure of its entity."""
    seen: dict[int, int] = {}
    for line in rewrites:
        if "text" not in line:
            continue
        entity = int(line["id"].partition("/")[2].partition("@")[0])
        exposure = seen.get(entity, 0)
        seen[entity] = exposure + 1
        metadata = {"kind": "rewrite", "entity": entity, "exposure": exposure, "style": line["style"], "language": "en"}
        key = f"{SOURCE}/{entity}@{exposure}"
        yield Document(key, line["text"], domain=table.domain, source=SOURCE, metadata=metadata, protected=True)
