"""Which of two near-duplicates stays: pairs written blind for a reader, and a reader's labels held against the policy.

    python tests/bench/survivors.py pairs FOLDER [--natural NATURAL]     # FOLDER/pairs.jsonl and FOLDER/reading.txt
    python tests/bench/survivors.py score FOLDER LABELS [--policy cleanest]   # prints one JSON line

`pairs` makes two copies of each of many real pages, by kind, has `minhash_dedup` (figures ignored, as for a crawl) find
those that it merges, and draws some of each kind by seed:

- `extractors`: trafilatura's text of a page and resiliparse's; `precision`: trafilatura with and without its preference
  for precision; `frame`: resiliparse's main text and its text of all of the page; `cut`: the page, and its HTML cut
  after 60 to 95 % of its bytes, as a clipped record is; `encoding`: the page, and the page read in a wrong encoding;
- `releases`: LLVM's and Clang's manuals 14 and 15; `spelling`: LibreOffice's help in American and British English;
- `addresses`: pages of crawls at two addresses.

`reading.txt` shows where A and B differ, in random order and with neither kind nor verdict; only then are labels
written, one JSON line a pair with `id` and `label` (A, B or equal: neither is better to train on). `score` says how
often the better text stays, by kind, with the interval of Wilson at 95 %, ties apart; `rows` writes ids, kinds, hashes
and labels. Labels of the first draw (`chosen`) are those by which a policy may be chosen; a second draw (`judged`, ids
from 1000), read after it was, judges it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "curate"), str(ROOT / "tests" / "bench")]

from generated_corpus import run_step  # noqa: E402
from resiliparse.extract.html2text import extract_plain_text  # noqa: E402

from curate.dedup import MinHashDedup  # noqa: E402
from curate.dedup.survivors import Policy, text_hash  # noqa: E402
from curate.document import Document  # noqa: E402
from curate.extract import Extract  # noqa: E402
from curate.extract.encoding import decode_html  # noqa: E402
from curate.extract.preview import PLAIN  # noqa: E402
from curate.sources import open_source  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
EACH = 30
SECOND = {"extractors": 40, "precision": 20, "frame": 15}
"""Pairs of a kind in the second draw, from those that the first one left."""
FIRST_OF_SECOND = 1000
_POOL = 240
_MOST_WORDS = 2500
_CONTEXT = 14
_MOST_SHOWN = 60

Copies = Iterator[tuple[str, str]]


def pages(pattern: str) -> list[Document]:
    """The HTML pages of crawls."""
    found = []
    for path in sorted(DATA.glob(pattern)):
        found += [item for item in open_source(path, "pages") if isinstance(item, Document) and item.html]
    return found


def text_of(page: Document, html: bytes | None = None, **settings: Any) -> str:
    copy = Document(key=page.key, url=page.url, metadata=dict(page.metadata), html=html or page.html)
    (out,) = Extract(**settings).apply([copy])
    return out.text if isinstance(out, Document) else ""


def copies(kind: str, rng: random.Random, natural: Path) -> Copies:
    """Two copies of each of many texts."""
    if kind == "addresses":
        texts: dict[str, str] = {}
        for page in pages("crawl/aut-example.warc.gz") + pages("crawl/pages-*.warc.gz"):
            texts.setdefault(text_of(page, engine="resiliparse"), page.url or "")
        _, dropped = run_step(MinHashDedup(numbers="ignore"), _documents(texts))
        kept = list(texts)
        yield from ((drop.document.text, kept[int(drop.value["survivor"])]) for _, drop in sorted(dropped.items()))
    elif kind == "releases":
        import number_guard

        yield from rng.sample(number_guard.documentation(natural), _POOL)
    elif kind == "spelling":
        import natural_pairs

        found = natural_pairs.read(natural_pairs.prepared(natural))
        yield from ((pair["us"], pair["gb"]) for pair in rng.sample(found, _POOL))
    else:
        for page in rng.sample(pages("extraction/wcxb/pages-*.warc.gz"), _POOL):
            yield _copies_of_page(kind, rng, page)


def _documents(texts: Iterable[str]) -> list[Document]:
    return [Document(key=str(number), text=text) for number, text in enumerate(texts)]


def _copies_of_page(kind: str, rng: random.Random, page: Document) -> tuple[str, str]:
    html = page.html or b""
    if kind == "extractors":
        return text_of(page), text_of(page, engine="resiliparse")
    if kind == "precision":
        return text_of(page), text_of(page, favor_precision=True)
    if kind == "frame":
        whole = extract_plain_text(decode_html(html), main_content=False, **PLAIN)
        return text_of(page, engine="resiliparse"), whole.strip()
    if kind == "cut":
        return text_of(page), text_of(page, html[: int(len(html) * rng.uniform(0.6, 0.95))])
    text = text_of(page)
    wrong = rng.choice(["cp1252", "ascii", "latin-1"])
    return text, text.encode("utf-8", "replace").decode(wrong, "replace")


KINDS = ("extractors", "precision", "frame", "cut", "encoding", "releases", "spelling", "addresses")


def merged(kind: str, rng: random.Random, natural: Path) -> list[tuple[str, str]]:
    """The copies that `minhash_dedup` merges and that differ in words."""
    found = []
    for one, other in copies(kind, rng, natural):
        if max(len(one.split()), len(other.split())) <= _MOST_WORDS and one.split() != other.split():
            _, dropped = run_step(MinHashDedup(numbers="ignore"), _documents([one, other]))
            if dropped:
                found.append((one, other))
    return found


def shown(a: str, b: str) -> Iterator[str]:
    """Where the words of two texts differ, with the words around; ` / ` is a line's end."""
    words = [re.findall(r"\S+", re.sub(r"\s*\n\s*", " / ", text)) for text in (a, b)]
    plain = [[(n, word) for n, word in enumerate(side) if word != "/"] for side in words]
    match = SequenceMatcher(None, *([word for _, word in side] for side in plain), autojunk=False)

    def cut(side: int, start: int, stop: int) -> str:
        if start == stop:
            return ""
        some = words[side][plain[side][start][0] : plain[side][stop - 1][0] + 1]
        if len(some) > _MOST_SHOWN:
            half = _MOST_SHOWN // 2
            some = [*some[:half], f"<... {len(some) - 2 * half} words ...>", *some[-half:]]
        return " ".join(word if len(word) < 60 else word[:57] + "..." for word in some)

    yield f"words A {len(plain[0])} B {len(plain[1])}; lines A {a.count(chr(10)) + 1} B {b.count(chr(10)) + 1}"
    blocks = [code for code in match.get_opcodes() if code[0] != "equal"]
    for _, i, j, k, m in blocks[:8] if len(blocks) > 10 else blocks:
        before, after = cut(0, max(0, i - _CONTEXT), i), cut(0, j, min(len(plain[0]), j + _CONTEXT))
        yield f"  ..{before} [A: {cut(0, i, j)} | B: {cut(1, k, m)}] {after}.."
    if len(blocks) > 10:
        yield f"  and {len(blocks) - 8} places more"


def write_pairs(folder: Path, natural: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draws: list[list[dict[str, Any]]] = [[], []]
    for kind in KINDS:
        path = folder / f"merged-{kind}.json"
        if not path.exists():
            path.write_text(json.dumps(merged(kind, random.Random(f"survivors {kind}"), natural)))
        found = [tuple(pair) for pair in json.loads(path.read_text())]
        rng = random.Random(f"draw {kind}")
        first = rng.sample(found, min(EACH, len(found)))
        draws[0] += [{"kind": kind, "a": a, "b": b} for a, b in (rng.sample(pair, 2) for pair in first)]
        rest = [pair for pair in found if pair not in first]
        rng = random.Random(f"second {kind}")
        second = rng.sample(rest, min(SECOND.get(kind, 0), len(rest)))
        draws[1] += [{"kind": kind, "a": a, "b": b} for a, b in (rng.sample(pair, 2) for pair in second)]
        print(f"{kind}: {len(found)} merged, {len(first)} and {len(second)} drawn", file=sys.stderr)
    with (folder / "pairs.jsonl").open("w") as out, (folder / "reading.txt").open("w") as reading:
        for place, rows in enumerate(draws):
            random.Random(21 + place).shuffle(rows)
            for number, row in enumerate(rows, place * FIRST_OF_SECOND):
                out.write(json.dumps({"id": number, **row}) + "\n")
                reading.write("\n".join([f"### {number}", *shown(row["a"], row["b"])]) + "\n")


def stays(policy: Policy, a: str, b: str) -> str:
    orders = [(policy(Document(key=side, text=text)), text_hash(text), side) for side, text in (("A", a), ("B", b))]
    return min(orders)[2]


def interval(right: int, of: int) -> list[float]:
    """Wilson's, at 95 %."""
    if not of:
        return [0.0, 1.0]
    share, z = right / of, 1.96
    middle = share + z * z / (2 * of)
    wide = z * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return [round(abs(middle + sign * wide) / (1 + z * z / of), 4) for sign in (-1, 1)]


def score(rows: list[dict[str, Any]], policy: Policy) -> dict[str, Any]:
    """Of labelled pairs, how often the better text stays."""
    groups: dict[str, list[dict[str, Any]]] = {"all": rows}
    for name, second in (("chosen", False), ("judged", True)):
        groups[name] = [row for row in rows if (row["id"] >= FIRST_OF_SECOND) == second]
    for kind in KINDS:
        groups[kind] = [row for row in rows if row["kind"] == kind]
    told = {}
    for name, group in groups.items():
        decided = [row for row in group if row["label"] != "equal"]
        right = sum(stays(policy, row["a"], row["b"]) == row["label"] for row in decided)
        some = len(decided)
        share = round(right / some, 4) if some else None
        told[name] = {"pairs": some, "better_stays": right, "share": share, "interval": interval(right, some)}
        told[name]["ties"] = len(group) - some
    return told


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def labelled(folder: Path, labels: Path) -> list[dict[str, Any]]:
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    given = {row["id"]: row for row in map(json.loads, labels.read_text().splitlines())}
    rows = [row | {"label": given[row["id"]]["label"]} for row in pairs if row["id"] in given]
    for row in rows:
        known = given[row["id"]].get("a")
        if row["label"] not in ("A", "B", "equal") or known not in (None, hashed(row["a"])):
            raise SystemExit(f"label of pair {row['id']}: no such label, or another text than the one that was read")
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("pairs", "score", "rows"))
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("labels", type=Path, nargs="?")
    arguments.add_argument("--natural", type=Path, default=ROOT / "build" / "natural-pairs")
    arguments.add_argument("--policy", nargs="*", default=MinHashDedup().survivor)
    given = arguments.parse_args()
    if given.what == "pairs":
        write_pairs(given.folder, given.natural)
    elif given.what == "score":
        print(json.dumps(score(labelled(given.folder, given.labels), Policy(tuple(given.policy)))))
    else:
        for row in labelled(given.folder, given.labels):
            told = {"id": row["id"], "kind": row["kind"], "a": hashed(row["a"]), "b": hashed(row["b"])}
            print(json.dumps(told | {"label": row["label"]}))


if __name__ == "__main__":
    main()
