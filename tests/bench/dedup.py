"""Deduplication: what it finds, what it must not merge, and how fast it is beside its peers. Prints one JSON line.

    python tests/bench/dedup.py [--natural FOLDER] [--peer-python PYTHON] [--input FOLDER]

- `recall_over_80`: LibreOffice's help in American and British English (`natural_pairs.py` fetches it into `--natural`);
  of the pairs with a true Jaccard similarity over 0.8 and equal figures, the share of which one document was dropped.
  `..._numbers_ignored`: of all pairs over 0.8, with the number guard off. `merged_under_60`: documents dropped for one
  that they share less than 0.6 with, by shingles written a second time.
- `biographies_merged`: of 50 000 that share a template and differ in their facts. `reports_merged`: of reports of 200,
  500 and 1 500 words in which 1, 5 or 20 figures differ.
- `bytes_different`: published files that differ between runs on 1, 3 and 7 workers, cut into pieces or not, and with
  input files named in another order; `survivors_different`: texts that survive otherwise when the same documents come
  in 1, 3 or 7 files, in another order.
- `docs_per_s`: `minhash_dedup` as a whole run on one worker, files to text shards, of `--input` (JSON Lines, .gz; 4 000
  texts of 500 words unless said, a tenth of them edited copies); `ratio` to the peer's four stages on the same files.
  `text_dedup_docs_per_s`: text-dedup's MinHash, same bands, by its own clock.
  `rensa_docs_per_s`: rensa's own deduplicator over 5-grams of words, read, filtered, written in this process.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "curate"), str(ROOT / "tests" / "bench")]

import natural_pairs  # noqa: E402
from generated_corpus import biography, edited, prose, run_step  # noqa: E402

from curate.dedup import MinHashDedup  # noqa: E402
from curate.document import Document  # noqa: E402
from curate.run.corpus import CorpusRun  # noqa: E402
from curate.shards.text import read_text_shard  # noqa: E402
from curate.sources import Input, find_inputs  # noqa: E402

PEER = ROOT.parent / "shared" / "bench" / "peer_datatrove.py"
PUBLISHED = ("text", "ledger", "quarantine")


def shingles_again(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower().replace("_", " "))
    return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}


def similarity(a: set[Any], b: set[Any]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


def natural(pairs: list[dict[str, str]]) -> dict[str, Any]:
    documents = [Document(key=f"{side}/{pair['name']}", text=pair[side]) for pair in pairs for side in ("us", "gb")]
    sets = {document.key: shingles_again(document.text) for document in documents}
    near = [pair for pair in pairs if similarity(sets[f"us/{pair['name']}"], sets[f"gb/{pair['name']}"]) > 0.8]
    equal = [pair for pair in near if len({str(sorted(re.findall(r"\d+", pair[side]))) for side in ("us", "gb")}) == 1]
    found: dict[str, Any] = {"pairs": len(pairs), "pairs_over_80": len(near), "of_these_equal_figures": len(equal)}
    wrong = 0
    for numbers, wanted, name in (("guard", equal, ""), ("ignore", near, "_numbers_ignored")):
        _, dropped = run_step(MinHashDedup(numbers=numbers), documents, partitions=3)
        merged = sum(f"us/{pair['name']}" in dropped or f"gb/{pair['name']}" in dropped for pair in wanted)
        found[f"recall_over_80{name}"] = round(merged / len(wanted), 4)
        wrong += sum(similarity(sets[key], sets[drop.value["survivor"]]) < 0.6 for key, drop in dropped.items())
    return {**found, "merged_under_60": wrong}


def facts_kept(people: int) -> dict[str, int]:
    rng = random.Random(1)
    biographies = [Document(key=f"p/{number}", text=biography(rng)) for number in range(people)]
    _, merged = run_step(MinHashDedup(), biographies, partitions=4)
    reports = []
    for length in (200, 500, 1500):
        for figures in (1, 5, 20):
            words = prose(rng, length)
            places = rng.sample(range(length), 20)
            for copy in range(10):
                for order, place in enumerate(places):
                    number = rng.randrange(1000, 9000) + copy * 10_000 if order < figures else order * 7
                    words[place] = f"{number}.{order}"
                reports.append(Document(key=f"r/{length}/{figures}/{copy}", text=" ".join(words)))
    _, merged_reports = run_step(MinHashDedup(), reports)
    assert run_step(MinHashDedup(numbers="ignore"), reports)[1], "the reports are not alike enough to show anything"
    return {"biographies": people, "biographies_merged": len(merged), "reports_merged": len(merged_reports)}


def published(out: Path) -> dict[str, bytes]:
    files = (path for name in PUBLISHED for path in sorted((out / name).rglob("*")) if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def kept_texts(out: Path) -> Counter[str]:
    return Counter(row["text"] for path in sorted((out / "text").iterdir()) for row in read_text_shard(path))


def write_files(folder: Path, texts: list[str], files: int) -> list[Path]:
    folder.mkdir()
    paths = []
    for number in range(files):
        path = folder / f"{number}.jsonl"
        rows = (json.dumps({"text": text, "id": str(place)}) + "\n" for place, text in enumerate(texts[number::files]))
        path.write_text("".join(rows))
        paths.append(path)
    return paths


def carry_out(paths: list[Path], out: Path, workers: int, split: int = 0) -> Path:
    partitions = find_inputs([Input("crawl", str(path)) for path in paths])
    CorpusRun("bench", [MinHashDedup()], partitions, out, workers=workers, split=split).execute()
    return out


def invariance(texts: list[str], folder: Path) -> dict[str, int]:
    paths = write_files(folder / "seven", texts, 7)
    calm = carry_out(paths, folder / "calm", 2)
    expected, survivors = published(calm), kept_texts(calm)
    different = 0
    ways = [(paths, 1, 0), (paths, 3, 0), (paths, 7, 0), (paths[::-1], 2, 0), (paths, 2, 50_000)]
    for number, (some, workers, split) in enumerate(ways):
        found = published(carry_out(some, folder / f"way-{number}", workers, split))
        different += len(expected.keys() ^ found.keys())
        different += sum(found[name] != expected[name] for name in expected.keys() & found.keys())
    shuffled = list(texts)
    random.Random(1).shuffle(shuffled)
    others = 0
    for files, some in ((1, texts), (3, texts), (7, shuffled)):
        there = write_files(folder / f"files-{files}", some, files)
        others += ((kept_texts(carry_out(there, folder / f"out-{files}", 2))) - survivors).total()
    return {"files_compared": len(expected) * len(ways), "bytes_different": different, "survivors_different": others}


def generated_input(folder: Path, count: int) -> Path:
    rng = random.Random(1)
    words = prose(rng, 500)
    folder.mkdir()
    with gzip.open(folder / "texts.jsonl.gz", "wt") as stream:
        for number in range(count):
            words = edited(rng, words, 5) if number % 10 == 9 else prose(rng, 500)
            stream.write(json.dumps({"text": " ".join(words), "id": str(number)}) + "\n")
    return folder


def ours(source: Path, folder: Path) -> dict[str, float]:
    partitions = find_inputs([Input("crawl", str(path)) for path in sorted(source.glob("*.jsonl.gz"))])
    started = time.perf_counter()
    summary = CorpusRun("bench", [MinHashDedup()], partitions, folder / "ours", workers=1).execute()
    seconds = time.perf_counter() - started
    documents = summary["documents"]
    return {"documents": documents["input"], "kept": documents["kept"], "docs_per_s": documents["input"] / seconds}


def rensa_alone(source: Path, folder: Path) -> dict[str, float]:
    from rensa import RMinHashDeduplicator

    started = time.perf_counter()
    known = RMinHashDeduplicator(threshold=0.8, num_perm=112, use_lsh=True, num_bands=14)
    documents = 0
    with gzip.open(folder / "rensa.jsonl.gz", "wt") as out:
        for path in sorted(source.glob("*.jsonl.gz")):
            with gzip.open(path, "rt") as lines:
                rows = [json.loads(line) for line in lines]
            documents += len(rows)
            grams = []
            for number, row in enumerate(rows):
                words = row["text"].lower().split()
                grams.append((str(number), [" ".join(words[n : n + 5]) for n in range(len(words) - 4)]))
            kept = known.add_pairs(grams)
            for row, stays in zip(rows, kept, strict=True):
                if stays:
                    out.write(json.dumps(row) + "\n")
    return {"rensa_docs_per_s": documents / (time.perf_counter() - started)}


def peer(python: str, script: Path, source: Path, folder: Path) -> dict[str, float]:
    command = [python, str(script), "dedup", str(source), str(folder / "peer")]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = json.loads(lines[-1])
    return {"peer_docs_per_s": found["docs_per_s"], "peer_kept": found["docs_out"]}


def text_dedup(python: str, source: Path, folder: Path) -> dict[str, float]:
    """text-dedup's MinHash with the same bands and shingles, xxh3, one process; its own log tells the times."""
    command = [python, "-m", "text_dedup.minhash", "--path", "json", "--data_files", str(source / "*.jsonl.gz")]
    command += ["--split", "train", "--cache_dir", str(folder / "cache"), "--output", str(folder / "text-dedup")]
    command += ["--column", "text", "--num_proc", "1", "--ngram", "5", "--num_perm", "112", "--b", "14", "--r", "8"]
    command += ["--hash_func", "xxh3", "--threshold", "0.8"]
    environment = {**os.environ, "HF_HOME": str(folder / "home"), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=folder)
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    found = {name: float(number) for name, number in re.findall(r"(Total|Before|After)\s*:\s*([0-9.]+)", log)}
    return {"text_dedup_docs_per_s": found["Before"] / found["Total"], "text_dedup_kept": int(found["After"])}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--natural", type=Path, default=ROOT / "build" / "natural-pairs")
    arguments.add_argument("--peer-python", help="an interpreter that has datatrove 0.10.1")
    arguments.add_argument("--text-dedup-python", help="an interpreter that has text-dedup 0.4.0")
    arguments.add_argument("--peer-script", type=Path, default=PEER)
    arguments.add_argument("--input", type=Path, help="a folder of *.jsonl.gz with `text` and `id`")
    arguments.add_argument("--documents", type=int, default=4000, help="of the generated input")
    arguments.add_argument("--biographies", type=int, default=50_000)
    arguments.add_argument("--speed-only", action="store_true")
    given = arguments.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not given.speed_only:
            pairs = natural_pairs.read(natural_pairs.prepared(given.natural))
            result |= natural(pairs)
            result |= facts_kept(given.biographies)
            result |= invariance([pair[side] for pair in pairs[:700] for side in ("us", "gb")], folder)
        source = given.input or generated_input(folder / "texts", given.documents)
        result |= ours(source, folder)
        result |= rensa_alone(source, folder)
        if given.peer_python:
            result |= peer(given.peer_python, given.peer_script, source, folder)
            result["ratio"] = round(result["docs_per_s"] / result["peer_docs_per_s"], 2)
        if given.text_dedup_python:
            result |= text_dedup(given.text_dedup_python, source, folder)
    rounded = {name: round(value, 1) if name.endswith("docs_per_s") else value for name, value in result.items()}
    print(json.dumps(rounded))


if __name__ == "__main__":
    main()
