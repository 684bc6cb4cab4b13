"""Which copies stay, which only differ in what nobody sees, and how often a survivor comes."""

import json
from pathlib import Path

import pytest

from curate.dedup import ExactDedup, LineDedup, MinHashDedup, PassageDedup
from curate.dedup.exact import same_text
from curate.document import Document
from curate.filters import GopherRepetition
from curate.mix import Mix
from curate.run.corpus import CorpusRun
from curate.shards.text import read_text_shard
from curate.sources import Input, find_inputs

LINES = [" ".join(f"word{number}x{place}" for place in range(12)) for number in range(6)]
LONG = " ".join(f"word{number} and so on" for number in range(60))


@pytest.mark.parametrize("blank", [" ", "  ", "\t", "\u00a0", "\u3000 "])
def test_blank_lines_are_no_repeated_lines(blank: str) -> None:
    text = f"\n{blank}\n".join(LINES)
    assert GopherRepetition()(text)
    assert GopherRepetition(dialect="datatrove")(text).rule == "dup_line_frac"
    paragraphs = f"\n{blank}\n".join([*LINES, LINES[0], LINES[1], LINES[2], LINES[3]])
    assert (
        GopherRepetition()(paragraphs).rule == GopherRepetition()(paragraphs.replace(blank, "")).rule == "dup_para_frac"
    )
    assert GopherRepetition()(f"{blank}\n{blank}").rule != "dup_line_frac"


def kept(tmp_path: Path, texts: list[str], step: object) -> list[dict]:
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    out = tmp_path / "out"
    partitions = find_inputs([Input("a", str(tmp_path / "in.jsonl"))])
    CorpusRun(name="copies", steps=[step], partitions=partitions, out=out, workers=1).execute()
    return [row for path in sorted(out.glob("text/*.zst")) for row in read_text_shard(path)]


@pytest.mark.parametrize(
    "step",
    [ExactDedup(normalise="words"), ExactDedup(normalise="whitespace-and-case", survivor=["longest"]), MinHashDedup()],
    ids=["words", "white", "minhash"],
)
def test_of_copies_that_differ_in_what_nobody_sees_the_clean_one_survives(tmp_path: Path, step: object) -> None:
    dirty = [LONG.replace("and", "a\u200bnd"), LONG.replace("so", "s\u00ado"), "\ufeff" + LONG]
    assert [row["text"] for row in kept(tmp_path, [*dirty, LONG], step)] == [LONG]


def test_signs_without_a_width_split_no_word() -> None:
    assert same_text("a\u200bb C", "whitespace-and-case") == "ab c"
    step = PassageDedup(length=8)
    one, other = (step.pieces(text)[0] for text in (LONG, LONG.replace("word", "wo\u200brd")))
    assert len(one) == len(other) and (one == other).all()


@pytest.mark.parametrize("kind", [ExactDedup, MinHashDedup])
def test_no_copy_survives(tmp_path: Path, kind: type) -> None:
    alone = LONG.replace("word", "other")
    step = kind(survivor=["none"])
    assert [row["text"] for row in kept(tmp_path, [LONG, alone, LONG, LONG], step)] == [alone]
    with pytest.raises(ValueError, match="goes with no other"):
        kind(survivor=["none", "longest"])


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (ExactDedup(annotate=True), {"rule", "value"}),
        (MinHashDedup(annotate=True), {"rule", "value"}),
        (LineDedup(annotate=True, documents=2), {"pieces", "characters"}),
        (PassageDedup(annotate=True), {"pieces", "characters"}),
    ],
    ids=["exact", "minhash", "lines", "passages"],
)
def test_what_is_only_said_drops_nothing(tmp_path: Path, step: object, found: set[str]) -> None:
    rows = kept(tmp_path, [LONG, LONG], step)
    assert [row["text"] for row in rows] == [LONG, LONG]
    said = [fields[step.name] for row in rows if step.name in (fields := json.loads(row["metadata"]))]
    assert [set(one) for one in said] == [found]


def test_copies_by_published_tables() -> None:
    step = Mix(cluster_copies={1: 1, 2: 2, 3: 3, 5: 5, 100: 8, 1000: 1})
    sizes = [1, 2, 3, 4, 5, 99, 100, 999, 1000, 5000]
    copies = [step.copies_of(Document(key="k", metadata={"cluster_size": size})) for size in sizes]
    assert copies == [1, 2, 3, 3, 5, 5, 8, 8, 1, 1]
    step = Mix(quality="score", quality_copies={0.5: {1: 1, 10: 3}, 0.9: {1: 2, 10: 6}}, cluster_copies={2: 2})
    rows = [(0.1, 2), (0.5, 2), (0.6, 10), (0.9, 1), (0.95, 10), ("?", 2)]
    copies = [step.copies_of(Document(key="k", metadata={"score": one, "cluster_size": n})) for one, n in rows]
    assert copies == [2, 1, 3, 2, 6, 2]
    with pytest.raises(ValueError, match="go together"):
        Mix(quality="score")
    with pytest.raises(ValueError, match="`quality_copies` must be at least 1"):
        Mix(quality="score", quality_copies={0.5: {2: 0}})
