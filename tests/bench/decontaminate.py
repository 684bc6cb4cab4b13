"""Test items planted in real pages: how many are found; documents without any: how many are hit; and how fast.

usage: decontaminate.py --items FOLDER_OF_TEST_SETS --input PAGES [--input PAGES] [--peer-python PYTHON_WITH_DATATROVE]
                        [--each N] [--hits FILE]

PAGES are folders of WARC or gzipped HTML files, or JSONL files of `id` and `text` (debian_pages.py makes one of 10 000
documentation pages).
One JSON line. `recall_verbatim`: passage, question and right answer; `recall_question`: the question alone;
`recall_reformatted`: the question in other case, spacing and punctuation; `recall_edited`: the question with one word
in ten (at least one; no numbers) replaced by another item's; `recall_numbers_in_words`: each number below a thousand
of a question that has one, in words; `recall_lines`: wrapped to eight words a line, numbered; `recall_diluted`: a
sentence of a page between the sentences; `recall_first_half` of the question; `recall_answer`: the right answer alone,
of 20 words and more. All over items of at least 8 words (runs of letters and
digits) in what is planted, each in the middle of a page; found means that a hit names the item. `short` counts what was
planted with fewer words, and how much of it was found all the same.
`false_positive_rate` is the share of all pages with a hit; `--hits FILE` lists each hit. `docs_per_s` is over all
pages; against datatrove's filter (with its question n-grams switched on), over `--peer-pages` of them, evenly spread,
in one run: both have built their index and are warm, and look at one page after another on one core. `peer_recall` is
the share of 300 planted pages of each kind that the peer drops.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import resource
import string
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "parity")]

if TYPE_CHECKING:
    from curate.decontaminate import Decontaminate, Item

SHORTEST = 8
PAGE = 4000
PEER_PLANTS = 300

PEER = """
import json, sys, time
import numpy as np
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
from datatrove.utils.hashing import create_hash_func
from datatrove.utils.text import ngrams, simplify_text
texts, items, folder = json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), sys.argv[3]
config = NGramsDecontConfig(find_query_ngrams=True)
step = NGramsDecontFilter(folder, config=config)
hashed = create_hash_func(config.hash_config)
found = set()
for question, answer in items:
    query, label = (step.tokenizer.word_tokenize(simplify_text(one, config.norm_config)) for one in (question, answer))
    for gram in ngrams(query + label, config.n_grams):
        found.add(hashed(" ".join(gram)))
np.array(sorted(found), config.hash_config.np_descr).tofile(folder + "/all.index.hashes")
step.filter(Document(text="warm up, please", id=""))
hits = 0
started = time.perf_counter()
for text in texts:
    hits += step.filter(Document(text=text, id="")) is not True
seconds = time.perf_counter() - started
recall = {kind: sum(step.filter(Document(text=text, id="")) is not True for text in plants) / len(plants)
          for kind, plants in json.load(open(sys.argv[4])).items()}
print(json.dumps({"seconds": seconds, "hits": hits, "hashes": len(found), "recall": recall}))
"""


def spaced(text: str) -> str:
    return text.translate(str.maketrans(dict.fromkeys(string.punctuation, " ")))


FORMS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "one word a line": lambda text: "\n".join(text.split()),
    "punctuation deleted": lambda text: text.translate(str.maketrans("", "", string.punctuation)),
    "punctuation as spaces": spaced,
    "curly quotes, hard spaces": lambda text: (
        text.replace("'", "\u2019").replace('"', "\u201c").replace(" ", "\u00a0").replace("-", "\u2013")
    ),
    "words broken by a hyphen": lambda text: re.sub(r"([A-Za-z]{4})([A-Za-z]{4})", r"\1-\n\2", text, count=2),
}


UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(text: str) -> str:
    """The text with its whole numbers below a thousand in English words."""

    def spelled(number: int) -> str:
        if number < 20:
            return UNITS[number]
        if number < 100:
            return TENS[number // 10] + (f"-{UNITS[number % 10]}" if number % 10 else "")
        return f"{UNITS[number // 100]} hundred" + (f" and {spelled(number % 100)}" if number % 100 else "")

    return re.sub(r"(?<![\w.,])\d{1,3}(?![\w%]|[.,]\d)", lambda number: spelled(int(number[0])), text)


def lines_of(text: str) -> str:
    words = text.split()
    return "\n".join(f"{place // 8 + 1}. {' '.join(words[place : place + 8])}" for place in range(0, len(words), 8))


def diluted(sentences: list[str], page: str) -> str:
    between = [one for one in re.findall(r"[^.?!\n]+[.?!]+", page) if 5 <= len(one.split()) <= 15] or ["So it is said."]
    return " ".join(f"{one} {between[place % len(between)]}" for place, one in enumerate(sentences))


def pages_of(place: Path) -> Iterator[tuple[str, str]]:
    """Names and texts of pages."""
    if place.is_file():
        with place.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield row["id"], row["text"]
        return
    from page_texts import page_texts
    from resiliparse.extract.html2text import extract_plain_text

    for number, text in enumerate(page_texts(place)):
        yield f"{place.name}/{number}", text
    for path in sorted(place.rglob("*.html.gz")):
        html = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        if text := extract_plain_text(html, main_content=True, alt_texts=False):
            yield f"{place.name}/{path.name}", text


def length(text: str) -> int:
    return len(re.findall(r"[^\W_]+", text))


def edited(text: str, rng: random.Random, words: list[str]) -> str:
    """One word in ten, and at least one, is another one; numbers stay, for with others it is another question."""
    parts = re.split(r"([^\W_]+)", text)
    numbers = {*UNITS, *TENS, "hundred", "thousand"}
    places = [
        place
        for place in range(1, len(parts), 2)
        if not any(map(str.isdigit, parts[place])) and parts[place].lower() not in numbers
    ]
    count = max(1, round(len(parts) // 2 / 10))
    for place in rng.sample(places, min(count, len(places))):
        parts[place] = next(word for word in iter(lambda: rng.choice(words), "") if word != parts[place].lower())
    return "".join(parts)


def recalls(
    step: Decontaminate, items: list[Item], pages: list[str], each: int, rng: random.Random
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Shares of planted items that were found, in all and by benchmark; and some of the pages, for a peer."""
    by_benchmark: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_benchmark[item.benchmark].append(item)
    words = [
        word for item in rng.sample(items, min(3000, len(items))) for word in re.findall("[a-z]{3,}", item.question)
    ]
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    short = [0, 0]
    planted: dict[str, list[str]] = defaultdict(list)

    def plant(kind: str, item: Item, text: str) -> None:
        page = rng.choice(pages)
        cut = page.find(" ", len(page) // 2)
        whole = f"{page[:cut]}\n{text}\n{page[cut:]}"
        found = any(hit.item == item.name for hit in step.hits(whole))
        long_enough = length(text) >= SHORTEST
        count = counts[kind][item.benchmark] if long_enough else short
        # A sample of fixed size (Vitter 1985, algorithm R): all of them would fill the memory.
        if long_enough:
            place = rng.randrange(sum(b for _, b in counts[kind].values()) + 1)
            if len(planted[kind]) < PEER_PLANTS:
                planted[kind].append(whole)
            elif place < PEER_PLANTS:
                planted[kind][place] = whole
        count[0] += found
        count[1] += 1

    for members in by_benchmark.values():
        for item in rng.sample(members, min(each, len(members))):
            answer = item.answers[0] if item.answers else ""
            plant("verbatim", item, f"{item.passage}\n{item.question}\n{answer}".strip())
            plant("question", item, item.question)
            name = rng.choice(sorted(FORMS))
            plant("reformatted", item, FORMS[name](item.question))
            plant("edited", item, edited(item.question, rng, words))
            plant("edited_with_answer", item, edited(f"{item.question}\n{answer}", rng, words))
            if (spelled := in_words(item.question)) != item.question:
                plant("numbers_in_words", item, spelled)
            plant("lines", item, lines_of(item.question))
            if len(sentences := re.findall(r"[^.?!]+[.?!]+", item.question)) > 1:
                plant("diluted", item, diluted(sentences, rng.choice(pages)))
            plant("first_half", item, " ".join(item.question.split()[: (len(item.question.split()) + 1) // 2]))
            if length(answer) >= 20:
                plant("answer", item, answer)
    result: dict[str, Any] = {}
    for kind, found in counts.items():
        result[f"recall_{kind}"] = round(sum(a for a, _ in found.values()) / sum(b for _, b in found.values()), 4)
    result["by_benchmark"] = {
        name: {
            kind: [round(counts[kind][name][0] / counts[kind][name][1], 4), counts[kind][name][1]]
            for kind in counts
            if counts[kind][name][1]
        }
        for name in by_benchmark
    }
    result["short"] = {"planted": short[1], "found": short[0]}
    return result, planted


def rate(step: Decontaminate, texts: list[str]) -> float:
    """Documents a second."""
    started = time.perf_counter()
    for text in texts:
        step.hits(text)
    return len(texts) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--input", type=Path, action="append", required=True)
    parser.add_argument("--peer-python")
    parser.add_argument("--peer-pages", type=int, default=1000)
    parser.add_argument("--each", type=int, default=10**9, help="items of each benchmark that are planted, at most")
    parser.add_argument("--hits", type=Path)
    options = parser.parse_args()

    from curate.decontaminate import Decontaminate, read_items
    from curate.decontaminate.set_files import item_files

    step = Decontaminate(questions=str(options.items))
    started = time.perf_counter()
    step.open()
    opening = time.perf_counter() - started
    items = [item for path in item_files([options.items]) for item in read_items(path)]
    pages = [page for place in options.input for page in pages_of(place)]
    step.hits("warm up, please " * 100)
    found = []
    started = time.perf_counter()
    for name, text in pages:
        found.append((name, text, step.hits(text)))
    seconds = time.perf_counter() - started
    listed = [row for row in found if row[2]]
    result = {
        "benchmark": "decontaminate",
        "items": len(items),
        "undetectable": len(step.undetectable),
        "undetectable_alone": len(step.undetectable_alone),
        "index_seconds": round(opening, 2),
        "pages": len(pages),
        "characters": sum(len(text) for _, text in pages),
        "false_positives": len(listed),
        "false_positive_rate": round(len(listed) / len(pages), 6),
        "docs_per_s": round(len(pages) / seconds, 1),
        "peer_docs_per_s": None,
        "ratio": None,
    }
    if options.hits:
        questions = {item.name: item for item in items}
        with options.hits.open("w", encoding="utf-8") as lines:
            for name, text, hits in listed:
                for hit in hits:
                    row = {"page": name, "item": hit.item, "part": hit.part, "score": hit.score, "bits": hit.bits}
                    row |= {"question": questions[hit.item].question, "passage": text[hit.begin : hit.end]}
                    lines.write(json.dumps(row) + "\n")
    hosts = [text[:PAGE] for _, text, hits in found if not hits and len(text) > PAGE // 2]
    recall, plants = recalls(step, items, hosts, options.each, random.Random(1))
    result |= recall
    if options.peer_python:
        every = max(1, len(pages) // options.peer_pages)
        some = [text for _, text in pages[::every]]
        rates = [rate(step, some)]
        with tempfile.TemporaryDirectory() as folder:
            texts, tests = Path(folder) / "texts.json", Path(folder) / "items.json"
            texts.write_text(json.dumps(some))
            (Path(folder) / "plants.json").write_text(json.dumps(plants))
            tests.write_text(json.dumps([[item.question, item.answers[0] if item.answers else ""] for item in items]))
            (Path(folder) / "index").mkdir()
            command = [
                options.peer_python,
                "-c",
                PEER,
                str(texts),
                str(tests),
                f"{folder}/index",
                f"{folder}/plants.json",
            ]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peer = json.loads(output.splitlines()[-1])
        # Before the peer and after it, for a machine's speed drifts.
        rates.append(rate(step, some))
        mine = sum(rates) / 2
        result["docs_per_s_same_pages"] = round(mine, 1)
        result["peer_docs_per_s"] = round(len(some) / peer["seconds"], 1)
        result["ratio"] = round(mine / result["peer_docs_per_s"], 1)
        result["peer_hits"] = peer["hits"]
        result["peer_recall"] = {kind: round(share, 4) for kind, share in peer["recall"].items()}
        result["hits_same_pages"] = sum(bool(hits) for _, _, hits in found[::every])
    result["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
