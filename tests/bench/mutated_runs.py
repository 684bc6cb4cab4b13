"""The folders of runs for `mutants.py`: text shards as input, ledger, stages and manifests, states, profiles, and
indexes of earlier corpora."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from pathlib import Path
from typing import Any

from mutation import Format, command

RECIPE = """
name: small
inputs: [{name: crawl, path: in}]
steps:
  - gopher_quality: {min_words: 8, min_stop_words: 0, min_alphabetic_words: 0.5}
  - exact_dedup
  - minhash_dedup: {ranges: 2}
  - inject: {kind: people, people: 4, exposures: 2}
output:
  keep_dropped: all
  tokenizer: {kind: bpe, size: 300}
  tokens: {a: {domain: special}}
engine: {buckets: 2}
"""
WORDS = ["river", "stone", "hill", "water", "light", "garden", "winter", "letter", "music", "paper", "road", "window"]
FILES = 3
TIMES = ("seal", "seconds", "pages_per_second", "worker_memory_mb", "units", "workers", "calls", "last_call")


def write_input(folder: Path, seed: int) -> None:
    """A few texts: some too short, some there twice, some nearly so."""
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=40)) + f" number {place}." for place in range(24)]
    texts += [texts[0], texts[1], texts[2] + " More.", texts[3].replace("river", "lake", 1), "too short", "too short 2"]
    draw.shuffle(texts)
    for file in range(FILES):
        with (folder / f"part-{file}.jsonl").open("w") as stream:
            for place, text in enumerate(texts[file::FILES]):
                row = {"text": text, "id": f"{file}-{place}", "url": f"https://site{place % 3}.example.org/{place}"}
                stream.write(json.dumps(row) + "\n")


def write_run(folder: Path, seed: int) -> None:
    """A finished run in `out`, of `recipe.yaml` and `in`."""
    write_input(folder / "in", seed)
    (folder / "recipe.yaml").write_text(RECIPE)
    with serially():
        command("run", folder / "recipe.yaml", "-o", folder / "out", "--workers", 1)


def tree(folder: Path, *below: str) -> dict[str, str]:
    """The checksums of all files in these folders."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for one in below
        for path in sorted((folder / one).rglob("*"))
        if path.is_file()
    }


@contextlib.contextmanager
def serially() -> Any:
    """Runs in this process alone: a pool takes longer to start than the rest."""
    from curate.run.corpus import CorpusRun
    from curate.run.serial import SerialEngine

    before = CorpusRun.engine
    CorpusRun.engine = lambda self, on_progress=None: SerialEngine(on_progress)  # type: ignore[method-assign]
    try:
        yield
    finally:
        CorpusRun.engine = before  # type: ignore[method-assign]


def again(work: Path) -> Any:
    """What the same command makes of the folder: all that is published, and the counts."""
    with serially():
        command("run", work / "recipe.yaml", "-o", work / "out", "--input", f"crawl={work / 'in'}", "--workers", 1)
    summary = json.loads((work / "out" / "summary.json").read_bytes())
    counts = {name: value for name, value in summary.items() if name not in TIMES}
    for step in counts["steps"]:
        step.pop("seconds")
        step.pop("memory_mb", None)
    return [tree(work / "out", "text", "tokens", "facts", "ledger", "quarantine"), counts]


def as_input(work: Path) -> Any:
    """The text as a run reads it: each file's checksum first."""
    from curate.document import Document
    from curate.sources import Input, find_inputs, read_partition
    from curate.sources.content import content_of

    partitions = find_inputs([Input("again", str(work / "out" / "text"), format="shards")])
    for one in partitions:
        content_of(one)
    items = [item for one in partitions for item in read_partition(one)]
    losses = sum(not isinstance(item, Document) for item in items)
    return [[(item.key, item.text, item.url) for item in items if isinstance(item, Document)], losses]


def as_corpus(work: Path) -> Any:
    """The text as a comparison reads it."""
    from recipes.app.measure.corpora import open_corpus

    return [(one.key, one.text, one.domain) for one in open_corpus("a", work / "out").documents()]


def mixed_back(work: Path) -> Any:
    """The dropped documents as a comparison mixes them back."""
    from curate.errors import Refused
    from recipes.app.measure import corpora

    corpora.FEWEST = 1
    arms = corpora.mixed_back(corpora.Corpus("a", work / "out"), [None])
    if not arms:
        raise Refused("none")
    return [[arm.name, arm.kept, arm.dropped, [one.text for one in arm.documents()]] for arm in arms]


def report(work: Path) -> Any:
    command("report", work / "out")
    return (work / "out" / "report.html").read_text()


def why(work: Path) -> Any:
    out = work / "out"
    return [command("why", out, f"https://site{site}.example.org/{place}") for site, place in ((0, 3), (1, 7))]


def clusters(work: Path) -> Any:
    return [command("clusters", work / "out"), command("clusters", work / "out", "--check")]


def verify(work: Path) -> Any:
    return command("verify", work / "out")


def index(work: Path) -> Any:
    """What an index is made of."""
    command("index", "build", work / "index", work / "out")
    about = json.loads((work / "index" / "index.json").read_bytes())
    return [about["parameters"], [layer["checksums"] for layer in about["layers"]]]


def status(work: Path) -> Any:
    from curate.places.store import place_of
    from curate.run.status import read_status

    command("status", work / "out")
    return read_status(place_of(str(work / "out")))


def write_profile(folder: Path, seed: int) -> None:
    write_input(folder / "in", seed)
    (folder / "recipe.yaml").write_text(RECIPE)
    with serially():
        command("profile", folder / "recipe.yaml", "-o", folder / "out", "--workers", 1)


def decide(work: Path) -> Any:
    return command("decide", work / "out", "--set", "gopher_quality.min_words=41", "--show", 50)


def profile_again(work: Path) -> Any:
    with serially():
        said = command("profile", work / "recipe.yaml", "-o", work / "out", "--input", f"crawl={work / 'in'}")
    return [said, json.loads((work / "out" / "profile.json").read_bytes())]


def _documents(seed: int, source: str, copies_of: int | None = None) -> list[Any]:
    from curate.document import Document

    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=60)) for _ in range(30)]
    if copies_of is not None:
        texts += [one.text + " and more" for one in _documents(copies_of, "x")[:12]]
    return [Document(key=f"{source}/{number}", text=text, source=source) for number, text in enumerate(texts)]


def write_index(folder: Path, seed: int) -> None:
    """An index of two corpora."""
    from curate.dedup import MinHashDedup
    from curate.dedup.add import add_to_index

    for number in range(2):
        documents = _documents(10 * seed + number, f"s{number}")
        add_to_index(folder / "index", MinHashDedup(ranges=2), documents, f"corpus {number}")


def against(work: Path) -> Any:
    """What is dropped of a crawl, half of which is in the index."""
    from generated_corpus import run_step

    from curate.dedup import MinHashDedup

    step = MinHashDedup(ranges=2, index=str(work / "index"))
    kept, dropped = run_step(step, _documents(99, "new", copies_of=0))
    return [sorted(kept), sorted((key, repr(one.value)) for key, one in dropped.items())]


def added(work: Path) -> Any:
    """The index with another corpus. (The command opens it first: to add to none is a mistake.)"""
    from curate.dedup import MinHashDedup
    from curate.dedup.add import add_to_index
    from curate.dedup.index import Index

    Index(work / "index")
    add_to_index(work / "index", MinHashDedup(ranges=2), _documents(7, "s7"), "corpus 7")
    layers = {one["name"] for one in json.loads((work / "index" / "index.json").read_bytes())["layers"]}
    found = {Path(name): data for name, data in tree(work, "index").items()}
    of_layers = [name for name in found if name.suffix in (".bands", ".classes") and name.name.split(".")[0] in layers]
    assert of_layers
    return [found[name] for name in of_layers]


def shown(work: Path) -> Any:
    return command("index", "show", work / "index")


_MANIFESTS = "out/manifests/{}/**/*"
FORMATS = {
    "shards": Format(
        write_run,
        ("out/text/*", _MANIFESTS.format("text"), "out/summary.json", "out/goldsand.json"),
        {"input": as_input, "corpus": as_corpus, "again": again},
    ),
    "ledger": Format(
        write_run,
        ("out/ledger/*", "out/quarantine/*", _MANIFESTS.format("ledger")),
        {
            "why": why, "report": report, "clusters": clusters, "verify": verify, "mixed back": mixed_back,
            "again": again,
        },
    ),
    "stages": Format(
        write_run,
        (
            "out/stages/**/*", "out/rounds/**/*", "out/inputs/**/*", "out/tokens/**/*", "out/facts/**/*",
            *map(_MANIFESTS.format, ("stages", "rounds", "inputs", "tokens", "facts")),
        ),
        {"again": again, "index": index, "verify": verify, "why": why, "clusters": clusters},
    ),
    "states of a run": Format(
        write_run,
        ("out/*.json", "out/recipe.yaml", "out/manifests/**/*"),
        {
            "status": status, "report": report, "verify": verify, "why": why, "clusters": clusters, "index": index,
            "again": again,
        },
        of={
            "status": ("out/status.json", "out/goldsand.json"),
            "report": ("out/summary.json", "out/goldsand.json", _MANIFESTS.format("ledger")),
            "again": ("out/*.json", "out/manifests/**/*"),
        },
    ),
    "profile": Format(
        write_profile,
        ("out/*.json", "out/recipe.yaml", "out/ledger/*", _MANIFESTS.format("ledger")),
        {"decide": decide, "again": profile_again},
        of={"again": ("out/*.json", "out/ledger/*", "out/manifests/**/*")},
    ),
    "index": Format(write_index, ("index/*",), {"against": against, "added": added, "shown": shown}),
}  # fmt: skip
