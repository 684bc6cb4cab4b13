"""Corpora of a comparison: their text read from finished runs, one tokenizer for all, and each as token shards."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.errors import Refused, Unchecked
from curate.places.manifest import check_written
from curate.run.ledger import read_ledger
from curate.shards.domain_rendering import domain_tokens, drawn, save_set
from curate.shards.text import domain_prefix, read_text_shard
from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import Vocabulary, build_vocabulary

FEWEST = 20
"""Documents that a corpus must have at least to be compared."""
LEARNT_FROM = 4_000_000
"""Characters of the first corpus that a shared tokenizer is trained on, about, at most."""
DOMAINS, BUCKETS = 64, 64
"""Domains that get a token of their own where domains are rendered as tokens, and tokens to which domains are
hashed."""
_OTHERS = 3  # tokens of the end of text and of all other domains, and the one that trainers add
TEXTS = 2000
"""Texts of facts, at most, on which a tokenizer is trained."""


@dataclass(frozen=True)
class Corpus:
    """The text of a finished run, without what was injected into it, and without the documents of these keys."""

    name: str
    folder: Path
    without: frozenset[str] = frozenset()

    def documents(self) -> Iterator[Document]:
        for path in sorted((self.folder / "text").glob("*.jsonl.zst")):
            for row in read_text_shard(path):
                if row["injected"] or row["id"] in self.without:
                    continue
                domain = row["domain"] or None
                text = row["text"].removeprefix(domain_prefix(domain)) if domain else row["text"]
                yield Document(key=row["id"], text=text, url=row["url"] or None, domain=domain, source="corpus")


@dataclass(frozen=True)
class MixedBack(Corpus):
    """A finished run with the documents that `reason` (step and rule) dropped mixed back in. They make up `share` of
    the characters: kept or dropped documents are sampled down to it. None: all of them, and all that was kept."""

    reason: tuple[str, str] = ("", "")
    share: float | None = None
    kept: int = 0
    dropped: int = 0

    def documents(self) -> Iterator[Document]:
        keep = keep_back = 1.0
        if self.share is not None:
            wanted = self.kept * self.share / (1 - self.share)
            keep_back = min(1.0, wanted / self.dropped)
            keep = min(1.0, self.dropped / wanted)
        for document in super().documents():
            if drawn(document.key, "mixed back") < keep * 2**64:
                yield document
        for row in dropped_rows(self.folder):
            if row["key"] in self.without or (row["step"], row["rule"]) != self.reason:
                continue
            if drawn(row["key"], "mixed back") < keep_back * 2**64:
                yield Document(
                    key=row["key"], text=row["text"], url=row["url"] or None, domain=row["domain"] or None,
                    source="corpus",
                )  # fmt: skip


def dropped_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The ledger's drops whose text was kept."""
    for path in sorted((folder / "ledger").glob("*.parquet")):
        for row in read_ledger(path, ["event", "step", "rule", "key", "url", "domain", "text"]):
            if row["event"] == "drop" and row["text"]:
                yield row


def mixed_back(corpus: Corpus, shares: Sequence[float | None]) -> list[MixedBack]:
    """For every reason that dropped at least twenty documents whose text the ledger holds, the corpus with them mixed
    back at each share. Raises Refused where there is no such reason, or a ledger that the run did not write."""
    check_written(corpus.folder, ["ledger"])
    counts: Counter[tuple[str, str]] = Counter()
    characters: Counter[tuple[str, str]] = Counter()
    for row in dropped_rows(corpus.folder):
        counts[row["step"], row["rule"]] += 1
        characters[row["step"], row["rule"]] += len(row["text"])
    reasons = [reason for reason, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])) if count >= FEWEST]
    if not reasons:
        raise Refused(
            f"the ledger of {corpus.folder} holds the text of {counts.total()} dropped documents, and of fewer than"
            f" {FEWEST} for each reason: run the recipe with --set output.keep_dropped=all"
        )
    kept = sum(len(document.text) for document in corpus.documents())
    return [
        MixedBack(
            f"{corpus.name} + {step}.{rule}" + ("" if share is None else f" {share:.0%}"), corpus.folder,
            corpus.without, (step, rule), share, kept, characters[step, rule],
        )
        for step, rule in reasons
        for share in shares
    ]  # fmt: skip


@dataclass(frozen=True)
class ArmRendering:
    """How an arm renders domains, in front of its pages and of the facts (`train_probe.plan.RunPlan`)."""

    domain: str = "none"
    bare: float = 0.0
    cool_down: float = 0.0
    tag_loss: bool = True
    tag_at_test: bool | None = None

    @property
    def rendered(self) -> float:
        """The share of texts whose domain is rendered."""
        return 0.0 if self.domain == "none" else (1 - self.bare) * (1 - self.cool_down)

    def run(self, front: tuple[int, ...]) -> dict[str, Any]:
        """The settings of a run of the probe that it decides."""
        if self.domain == "none":
            return {}
        return {
            "tag": "useful", "front": list(front), "bare": self.bare, "cool_down": self.cool_down,
            "tag_loss": self.tag_loss, "tag_at_test": self.tag_at_test,
        }  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One arm of a comparison: a corpus, and how its domains are rendered."""

    name: str
    corpus: Corpus
    rendering: ArmRendering = field(default_factory=ArmRendering)


@dataclass(frozen=True)
class Tokenised:
    """An arm's corpus as token shards: `tokens` without rendered domains, `used` in one pass with them. `front` are the
    tokens before a fact, `more` how many tokens they add to a fact's text on average."""

    name: str
    corpus: str
    folder: Path
    documents: int
    tokens: int
    used: int
    rendering: ArmRendering = field(default_factory=ArmRendering)
    front: tuple[int, ...] = ()
    more: float = 0.0


def open_corpus(name: str, path: Path) -> Corpus:
    """The corpus in the folder of a finished run. Raises Refused where the folder has no text shards, or others than
    its run wrote."""
    if not any((path / "text").glob("*.jsonl.zst")):
        raise Refused(
            f"{path} holds no text of a finished run: there is no {path / 'text'}/*.jsonl.zst, as `goldsand run`"
            " writes it"
        )
    if not check_written(path, ["text"]):
        warnings.warn(f"nobody can check the text in {path}: it has no manifests of a run", Unchecked, stacklevel=2)
    return Corpus(name, path)


def shared_vocabulary(
    corpus: Corpus, facts: Iterable[str], domain: str, file: Path | None, size: int, reserved: Sequence[str] = ()
) -> Vocabulary:
    """One byte-level BPE for all arms, trained on a sample of the first corpus and on facts alone, so that no other arm
    moves a figure; or the vocabulary of a file.

    It has `size` tokens with those of the domains: the most frequent ones of the corpus, and the buckets to which
    domains are hashed, whether an arm renders them or not. The `reserved` words of facts come on top.
    """
    counted: Counter[str] = Counter()
    characters = 0
    for one in corpus.documents():
        counted.update([one.domain] if one.domain else [])
        characters += len(one.text)
    domains = [domain, *sorted(counted, key=lambda name: (-counted[name], name))[:DOMAINS]]
    if file is not None:
        return build_vocabulary(kind="file", file=file, domains=domains, buckets=BUCKETS)
    sample = sampled_by(min(1.0, LEARNT_FROM / max(1, characters)))
    texts = itertools.chain(() if reserved else facts, (one.text for one in corpus.documents() if sample(one)))
    kind = "joint" if reserved else "bpe"
    words = size - len(set(domains)) - BUCKETS - _OTHERS
    return build_vocabulary(kind=kind, texts=texts, size=words, domains=domains, buckets=BUCKETS, reserved=reserved)


def tokenised(
    entries: Sequence[Entry], vocabulary: Vocabulary, out: Path, facts_domain: str = "facts"
) -> list[Tokenised]:
    """Each arm's corpus as token shards in its rendering, written once for arms that share both. Raises Refused for a
    corpus that is too small."""
    sizes: dict[str, tuple[int, int]] = {}
    for corpus in {entry.corpus.name: entry.corpus for entry in entries}.values():
        whole = write_set(corpus.documents(), vocabulary, out / _folder(corpus.name))
        if whole["documents"] < FEWEST:
            raise Refused(
                f"{corpus.folder} holds {whole['documents']} documents to train on: too few to compare"
                f" (at least {FEWEST}); a model stores more facts beside little text that repeats, whatever its quality"
            )
        sizes[corpus.name] = whole["documents"], whole["tokens"]
    corpora = []
    for entry in entries:
        name, domain, rendered = entry.corpus.name, entry.rendering.domain, entry.rendering.rendered
        documents, tokens = sizes[name]
        folder = out / (_folder(name) + (f".{domain}" if domain != "none" else ""))
        if domain != "none":
            write_set(entry.corpus.documents(), vocabulary, folder, domain)
        shards = TokenShards.open(folder)
        bare = int(shards.documents()["prefix"].sum()) * (1 - rendered)
        front = front_of(facts_domain, vocabulary, domain) if rendered else []
        corpora.append(
            Tokenised(
                entry.name, name, folder, documents, tokens,
                round(shards.metadata["tokens"] - bare), entry.rendering, tuple(front),
                max(0, len(front) - 1) * rendered,
            )
        )  # fmt: skip
    return corpora


def front_of(facts_domain: str, vocabulary: Vocabulary, domain: str) -> list[int]:
    """The tokens in front of a fact, in a rendering of domains."""
    return domain_tokens([(facts_domain, f"https://{facts_domain}/")], vocabulary, domain)[0]


def write_set(
    documents: Iterator[Document],
    vocabulary: Vocabulary,
    folder: Path,
    domain: str = "none",
) -> dict[str, Any]:
    """Write documents as a set of token shards; returns its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    return save_set(folder, folder.name, [documents], vocabulary, domain, ["corpus"])


def sampled_by(share: float) -> Callable[[Document], bool]:
    """A function that chooses this share of documents, by their keys."""
    return lambda document: share == 1.0 or drawn(document.key, "sample") < share * 2**64


def _folder(name: str) -> str:
    """A folder name for the name of an arm or corpus."""
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)
    return plain if plain == name else f"{plain}-{drawn(name, 'folder') % 16**6:06x}"
