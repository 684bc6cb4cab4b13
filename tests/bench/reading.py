"""Whether a text reading finds damaged pages: one JSON line.

    python tests/bench/reading.py --sets 3                 # half an hour on 2 quiet cores, with the pages of ../shared
    python tests/bench/reading.py --pages OUT --first 3    # the next sets, of the pages of a finished run

The first corpus is the pages; the others are the same pages, damaged. Each is compared with the first alone, as
`goldsand compare` does by default, with a second look where it is undecided, in `--sets` sets of seeds that share
nothing. `aa_undecided` is the share of sets in which the first corpus is not told from itself in another order; the
others are shares of sets in which the damaged one is found worse on all held-out pages. `--other` is text in another
language, a folder of HTML or text files; by default the German pages of Debian's handbook, which are fetched.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
CRAWL = ROOT.parent / "shared" / "data" / "crawl"

COPIED = 5
"""Pages whose copies take the place of others."""


def main() -> None:
    from curate.document import Document
    from curate.shards.domain_rendering import drawn
    from curate.shards.text import write_text_shard
    from recipes.app.measure.asked import Comparison
    from recipes.app.measure.coins import Arm
    from recipes.app.measure.corpora import Entry, open_corpus, shared_vocabulary, tokenised
    from recipes.app.measure.held_out import HeldOut
    from recipes.app.measure.ladder import Grid
    from recipes.app.measure.reading import Reading, shuffled
    from synth.corpus import facts_corpus
    from synth.inject import Inject
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    asked = Comparison(reading="text")

    class Pairs(Reading):
        """The first corpus in another order is an arm too."""

        def _runs(self, names: Sequence[str], seed: int) -> list[dict[str, Any]]:
            return [run | ({"shuffle": 1} if run["arm"] == "A/A" else {}) for run in super()._runs(names, seed)]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, help="a finished run")
    parser.add_argument("--other", type=Path, help="text in another language")
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first set")
    parser.add_argument("--seeds", type=int, default=asked.seeds, help="as of `goldsand compare`: twice as many a set")
    parser.add_argument("--more", type=int, default=asked.more, help="the same of those that are added")
    parser.add_argument("--tokens", type=int, default=asked.text_tokens)
    parser.add_argument("--width", type=int, default=asked.text_width)
    parser.add_argument("--arms", nargs="+", help="names of damages; default: all")
    parser.add_argument("--shares", nargs="+", type=float, help="instead of those of each damage: all at these shares")
    parser.add_argument("--work", type=Path, help="a folder to keep, so that the same command goes on")
    given = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        pages = list(open_corpus("pages", given.pages or crawled(work)).documents())
        foreign = list(in_another_language(given.other, work))
        if not foreign:
            raise SystemExit(f"{given.other} holds no .html or .txt file: name text in another language with --other")

        def written(name: str, text_of: Callable[[Document], str]) -> Entry:
            folder = work / "corpora" / name.replace(" ", "-").replace("%", "")
            (folder / "text").mkdir(parents=True, exist_ok=True)
            documents = (dataclasses.replace(page, text=text_of(page)) for page in pages)
            with (folder / "text" / "00000.jsonl.zst").open("wb") as stream:
                write_text_shard(stream, (page for page in documents if page.text.strip()))
            return Entry(name, open_corpus(name, folder))

        def damaged(share: float, by: Callable[[Document], str]) -> Callable[[Document], str]:
            return lambda page: by(page) if drawn(page.key, "damaged") < share * 2**64 else page.text

        # Held out once, of the pages as they are: no damage can bring one back.
        held_out = HeldOut.of([written("pages", lambda page: page.text)])
        pages = list(held_out.entries[0].corpus.documents())
        # About as long as the pages that they take the place of, so that a third of the pages is a third of the text.
        mean = statistics.fmean(len(page.text) for page in pages)
        copied = sorted(pages, key=lambda page: (abs(len(page.text) - mean), page.key))[:COPIED]
        menus = dict(in_menus(pages))
        kinds = {
            "shuffled": shuffled,
            "copies": lambda page: copied[drawn(page.key, "copy") % COPIED].text,
            "menus": lambda page: menus.get(page.key) or short_lines(page.text),
            "language": lambda page: stretch(foreign, page),
            "near-duplicates": lambda page: nearly(pages[drawn(page.key, "near") % len(pages)]),
        }
        wanted = [("shuffled", 1 / 3), ("copies", 1 / 3), ("menus", 1 / 3), ("language", 1 / 3), ("shuffled", 0.1)]
        wanted.append(("near-duplicates", 0.1))
        if given.shares:
            wanted = [(kind, share) for kind in kinds for share in given.shares]
        damages = {f"{kind} {share:.0%}": damaged(share, kinds[kind]) for kind, share in wanted}
        entries = [written("pages", lambda page: page.text)]
        entries += [written(name, text_of) for name, text_of in damages.items() if name in (given.arms or damages)]
        inject = Inject(kind="people", people=asked.people, exposures=1, frozen=True, seed=0)
        placed = inject.placed()
        facts = [document.text for document in placed.documents(0, placed.total)]
        vocabulary = shared_vocabulary(entries[0].corpus, iter(facts), inject.domain, None, asked.size)
        corpora = tokenised(entries, vocabulary, work / "tokens")
        facts_corpus(work, inject, name=None, vocabulary=vocabulary, used=vocabulary.size)
        first = Arm("pages", "pages", "pages")
        arms = [Arm(entry.name, entry.name, entry.name, against="pages") for entry in entries[1:]]
        arms.append(Arm("A/A", "pages", "pages", against="pages"))
        found: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in arms}
        trained = time.perf_counter()
        count = cpu = 0.0
        asked = dataclasses.replace(
            asked, text_tokens=given.tokens, text_width=given.width, seeds=given.seeds, more=given.more,
            may_repeat=tuple(entry.name for entry in entries),
        )  # fmt: skip
        each = len(asked.text_seeds() + asked.text_seeds(more=True))
        for number in range(given.first, given.first + given.sets):
            asked = dataclasses.replace(asked, seed_from=number * each)
            reading = Pairs(asked, entries, corpora, held_out)
            said = reading.write(vocabulary, work / "tokens")
            plan = {
                "facts": str(work / "facts"), "useful": None, "model": asked.text_model, "compile": "always",
                "held_out_text": said["held_out_text"],
                "junk_shards": {one.name: str(one.folder) for one in corpora} | said["junk_shards"],
            }  # fmt: skip
            grid = Grid(plan, lambda plan: run_plan(plan_of(plan), work / "out", Printer()))
            reading.arms = [first, *arms]
            grid.trained(reading.first_look())  # all at once: then each is judged in a pair of its own
            for arm in arms:
                reading.arms = [first, arm]
                report = reading.carried_out(grid)
                found[arm.name].append(next(one for one in report["differences"] if one["role"] == "all"))
            rows = grid.trained(grid.runs)
            count, cpu = count + len(rows), cpu + sum(row["seconds"] for row in rows)
        trained = time.perf_counter() - trained
    line: dict[str, Any] = {}
    for name, sets in found.items():
        key = name.replace(" ", "_").replace("%", "").replace("/", "").lower()
        if name == "A/A":
            line["aa_undecided"] = statistics.fmean(one["answer"] in ("alike", "undecided") for one in sets)
        else:
            line[f"{key}_found"] = statistics.fmean(one["answer"] == "worse" for one in sets)
        line[f"{key}"] = {
            "bits_a_byte": round(statistics.fmean(one["mean"] for one in sets), 5),
            "sd": round(math.sqrt(statistics.fmean(one["spread"] ** 2 for one in sets)), 5),
            "seeds": [one["seeds"] for one in sets],
            "answers": [one["answer"] for one in sets],
        }
    line |= {
        "pages": len(pages), "tokens_of_pages": corpora[0].tokens, "held_out_pages": report["texts"][0]["pages"],
        "runs": int(count), "parameters": report["parameters"], "seconds": round(time.perf_counter() - begun, 1),
        "training_seconds": round(trained, 1), "cpu_seconds": round(cpu, 1),
    }  # fmt: skip
    asked_for = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items()}
    print(json.dumps(line | {"asked": asked_for}))


def crawled(work: Path) -> Path:
    """The text of the crawl's pages, extracted once."""
    if not CRAWL.is_dir():
        raise SystemExit("there is no ../shared/data/crawl: name a finished run with --pages")
    return run_of(work, "pages", "[extract: {engine: resiliparse}]")


def run_of(work: Path, name: str, steps: str) -> Path:
    """The crawl's pages after these steps, which are carried out once."""
    work = work.resolve()
    recipe = work / f"{name}.yaml"
    recipe.write_text(f"name: {name}\ninputs: [{{name: crawl, path: '{CRAWL}/pages-*.warc.gz'}}]\nsteps: {steps}\n")
    command = [sys.executable, "-m", "recipes.app.start", "run", str(recipe), "-o", str(work / name)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return work / name


def in_another_language(folder: Path | None, work: Path) -> Iterator[str]:
    from debian_pages import page_text, unpacked

    if folder is None:
        folder = unpacked(work, "debian-handbook") / "usr/share/doc/debian-handbook/html/de-DE"
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".txt"):
            yield page_text(path) if path.suffix == ".html" else path.read_text(encoding="utf-8")


def in_menus(pages: Sequence[object]) -> Iterator[tuple[str, str]]:
    """What the crawl's pages hold beside their content, by key: the short lines of all of their text."""
    return ((key, short_lines(text)) for key, text in whole_pages({page.key for page in pages}))


def whole_pages(wanted: set[str]) -> Iterator[tuple[str, str]]:
    """All text of the crawl's pages, menus included, by key."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    from curate.sources import open_source

    # None where there is no crawl.
    for path in sorted(CRAWL.glob("pages-*.warc.gz")):
        for one in open_source(path, "crawl"):
            if getattr(one, "html", None) and one.key in wanted:
                html = bytes_to_str(one.html, detect_encoding(one.html))
                yield one.key, extract_plain_text(html, main_content=False, alt_texts=False)


def short_lines(text: str) -> str:
    """The lines of at most four words."""
    return "\n".join(line for line in text.split("\n") if 0 < len(line.split()) <= 4)


def stretch(texts: Sequence[str], page: object) -> str:
    """As much text of another language as the page has, from a place of its own."""
    draw = random.Random(page.key)
    whole = ""
    while len(whole) < len(page.text):
        whole += draw.choice(texts)
    return whole[: len(page.text)]


def nearly(page: object) -> str:
    """The page with one word of thirty left out."""
    draw = random.Random(page.key)
    return "\n".join(
        " ".join(word for word in line.split(" ") if draw.random() > 1 / 30) for line in page.text.split("\n")
    )


if __name__ == "__main__":
    main()
