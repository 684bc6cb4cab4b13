"""What each corpus teaches a model about text: arms trained on equal tokens without any facts, and their loss on text
that none of them read, in bits a byte."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import Refused
from curate.shards.vocabulary import Vocabulary
from recipes.app.measure.asked import Comparison
from recipes.app.measure.corpora import Entry, Tokenised, write_set
from recipes.app.measure.held_out import HeldOut, HeldOutText
from recipes.app.measure.statistics import holm, interval, p_value, smallest_effect

ALIKE = 0.95
"""An arm of at least this share of the first corpus's tokens is compared with that corpus; a smaller one with a coin of
its size. Arms whose sizes differ by less share a coin."""
COMPILED = 10_000_000
"""Tokens of a whole reading from which on its steps are compiled."""


@dataclass(frozen=True)
class TextArm:
    """What one arm of the text reading trains on: the token shards of a corpus, or `kept` of their tokens by a coin of
    each seed's own. `against` is the arm that it is compared with."""

    name: str
    shards: str
    corpus: str
    kept: float = 1.0
    against: str | None = None


def text_arms(entries: Sequence[Entry], corpora: Sequence[Tokenised]) -> list[TextArm]:
    """The first corpus, the others, and their coins. Arms that render domains are not read: the text has none."""
    plain: dict[str, Tokenised] = {}
    for entry, one in zip(entries, corpora, strict=True):
        if entry.rendering.domain == "none":
            plain.setdefault(one.corpus, one)
    if not plain:
        return []
    first, *others = plain.values()
    arms = [TextArm(first.name, first.name, first.corpus)]
    coins: list[TextArm] = []
    for one in others:
        share = one.used / first.used
        if share >= ALIKE:
            arms.append(TextArm(one.name, one.name, one.corpus, against=first.name))
            continue
        coin = next((coin for coin in coins if ALIKE <= share / coin.kept <= 1 / ALIKE), None)
        if coin is None:
            coin = TextArm(f"coin of {share:.0%}", first.name, first.corpus, share)
            if any(coin.name in (entry.name, *(one.name for one in coins)) for entry in entries):
                coin = dataclasses.replace(coin, name=f"coin of {share:.2%} of {first.name}")
            coins.append(coin)
        arms.append(TextArm(one.name, one.name, one.corpus, against=coin.name))
    return arms + coins


class Reading:
    """A text reading: its plan and runs, and what it found."""

    def __init__(
        self, asked: Comparison, entries: Sequence[Entry], corpora: Sequence[Tokenised], held_out: HeldOut
    ) -> None:
        self.asked, self.held_out = asked, held_out
        self.arms = text_arms(entries, corpora)
        self.used = {one.name: one.used for one in corpora}
        names = {arm.shards for arm in self.arms}
        self.tokens = min([asked.text_tokens, *(one.used for one in corpora if one.name in names)])

    def write(self, vocabulary: Vocabulary, folder: Path) -> dict[str, str]:
        """Write the held-out texts as token shards; the folder of each, by its name."""
        written = {}
        for number, text in enumerate(self.held_out.texts):
            where = folder / f"held-out-{number}"
            write_set(iter(text.pages), vocabulary, where)
            written[text.name] = str(where.resolve())
        return written

    def runs(self) -> list[dict[str, Any]]:
        """Every arm with every seed; arms of one seed have the same first weights."""
        training = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self.asked.text_training).items()
        }
        return [
            {
                "arm": arm.name, "exposures": 0, "tokens": self.tokens, "junk_kind": "shards", "junk_ratio": 1.0,
                "junk_shards": arm.shards, "kept": arm.kept, "seed": seed, "model": self.asked.text_model,
                "training": training,
            }
            for seed in self.asked.text_seeds
            for arm in self.arms
        ]  # fmt: skip

    @property
    def compile(self) -> str:
        """Whether steps are compiled, as a plan says it: of these shapes they then take two fifths of the time, which
        repays the compilation where much is read (docs/results/reading.md)."""
        work = self.tokens * len(self.arms) * len(self.asked.text_seeds)
        return "always" if work >= COMPILED else "auto"

    def report(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Losses, differences and the decision, from the results of the runs. Raises Refused where an arm has none."""
        nats: dict[str, dict[int, dict[str, list[float]]]] = defaultdict(dict)
        for row in results:
            if not row.get("error"):
                nats[row["arm"]][row["seed"]] = {name: one["page_nats"] for name, one in row["text"].items()}
        for arm in self.arms:
            if not nats[arm.name]:
                failed = next(row for row in results if row["arm"] == arm.name)
                raise Refused(f"all runs of {arm.name} on text failed: {failed['error']}")
        parts = _parts(self.held_out.texts, self.arms)
        losses = {arm.name: {part.key: part.losses(nats[arm.name]) for part in parts} for arm in self.arms}
        differences = []
        for arm in self.arms:
            if arm.against is None:
                continue
            for part in parts:
                if part.arm in (None, arm.name):
                    one, other = losses[arm.name][part.key], losses[arm.against][part.key]
                    differences.append(_difference(arm, part, one, other))
        _corrected(differences)
        sound = [row for row in results if not row.get("error")]
        return {
            "tokens": self.tokens,
            "seeds": list(self.asked.text_seeds),
            "parameters": sound[0]["parameters"],
            "seconds": sum(row["seconds"] for row in sound),
            "arms": [dataclasses.asdict(arm) | {"of": self.used[arm.shards]} for arm in self.arms],
            "texts": [
                {"name": text.name, "given": text.given, "pages": len(text.pages), "bytes": sum(text.sizes),
                 "kept": {name: len(kept) for name, kept in text.kept.items()}}
                for text in self.held_out.texts
            ],
            "near_duplicates": self.held_out.near,
            "losses": losses,
            "differences": differences,
            "pages": {arm.name: self._pages(arm, nats) for arm in self.arms if arm.against is not None},
            "verdict": list(self._verdict(differences)),
        }  # fmt: skip

    def _pages(self, arm: TextArm, nats: dict[str, dict[int, dict[str, list[float]]]]) -> dict[str, Any]:
        """The pages of the deciding text that an arm teaches better and worse than what it is compared with, and its
        domains: differences in bits a byte, means over seeds."""
        assert arm.against is not None
        text = self.deciding
        seeds = sorted(nats[arm.name].keys() & nats[arm.against].keys())
        rows: list[dict[str, Any]] = []
        for number, (page, size) in enumerate(zip(text.pages, text.sizes, strict=True)):
            before, after = (
                statistics.fmean(nats[name][seed][text.name][number] for seed in seeds) / math.log(2) / size
                for name in (arm.against, arm.name)
            )
            rows.append(
                {"key": page.key, "url": page.url, "domain": page.domain, "bytes": size,
                 "kept": number in text.kept.get(arm.corpus, ()),
                 "before": before, "after": after, "difference": after - before}
            )  # fmt: skip
        rows.sort(key=lambda row: row["difference"])
        domains: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            domains[row["domain"] or ""].append(row)
        by_domain = [
            {"domain": name, "pages": len(some),
             "difference": sum(row["difference"] * row["bytes"] for row in some) / sum(row["bytes"] for row in some)}
            for name, some in domains.items()
        ]  # fmt: skip
        return {"text": text.name, "pages": rows, "domains": sorted(by_domain, key=lambda one: one["difference"])}

    @property
    def deciding(self) -> HeldOutText:
        """The text that is given, or else that of the first corpus."""
        return next((text for text in self.held_out.texts if text.given), self.held_out.texts[0])

    def _verdict(self, differences: Sequence[dict[str, Any]]) -> Iterator[str]:
        given = any(text.given for text in self.held_out.texts)
        for arm in self.arms:
            if arm.against is None:
                continue
            own = [one for one in differences if one["arm"] == arm.name]
            base = f"a {arm.against}" if arm.against.startswith("coin of ") else f"'{arm.against}'"
            if given:
                (one,) = (one for one in own if one["role"] == "given")
                yield f"text: '{arm.name}' {_answer(one)} {base} on {one['part']}: {_size(one)}"
                continue
            shown = [one for one in own if one["role"] != "all"] or own
            said = "; ".join(f"{_taught(one)} {one['part']} ({_size(one)})" for one in shown)
            yield f"text: against {base}, '{arm.name}' {said}. Which text is wanted decides: name yours with --held-out"


@dataclass(frozen=True)
class _Part:
    """Pages of a held-out text, by their numbers: all of them, or those that `arm` keeps, or drops."""

    name: str
    text: HeldOutText
    numbers: tuple[int, ...]
    role: str
    arm: str | None = None

    @property
    def key(self) -> str:
        return self.name if self.arm is None else f"{self.text.name}, {self.role} by {self.arm}"

    def losses(self, by_seed: dict[int, dict[str, list[float]]]) -> dict[int, float]:
        """Bits a byte, by seed."""
        size = sum(self.text.sizes[number] for number in self.numbers)
        return {
            seed: sum(nats[self.text.name][number] for number in self.numbers) / math.log(2) / size
            for seed, nats in by_seed.items()
        }


def _parts(texts: Sequence[HeldOutText], arms: Sequence[TextArm]) -> list[_Part]:
    """The texts as they are shown: whole, and of the first corpus's also what an arm keeps, in the arm's own form, and
    what it drops."""
    first = texts[0]
    edited = {text.form_of: text for text in texts if text.form_of is not None}
    parts = []
    for text in texts:
        every = tuple(range(len(text.pages)))
        if text.given:
            parts.append(_Part(text.name, text, every, "given"))
        elif text.form_of is None:
            parts.append(_Part(f"the {len(every)} held-out pages of '{text.name}'", text, every, "all"))
    for arm in arms:
        kept = first.kept.get(arm.corpus, ())
        if arm.against is None or arm.kept < 1 or not kept:
            continue
        words = f"the {len(kept)} held-out pages of '{first.name}' that it keeps"
        form = edited.get(arm.corpus)
        if form is not None:
            parts.append(_Part(f"{words}, as it has them", form, tuple(range(len(kept))), "kept", arm.name))
        elif len(kept) < len(first.pages):
            parts.append(_Part(words, first, kept, "kept", arm.name))
        dropped = tuple(number for number in range(len(first.pages)) if number not in kept)
        if dropped:
            parts.append(_Part(f"the {len(dropped)} that it drops", first, dropped, "dropped", arm.name))
    return parts


def _difference(arm: TextArm, part: _Part, one: dict[int, float], other: dict[int, float]) -> dict[str, Any]:
    values = [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]
    if not values:
        raise Refused(f"'{arm.name}' and '{arm.against}' have no seed in common: runs of them failed")
    mean = interval(values)
    return {
        "arm": arm.name, "against": arm.against, "part": part.name, "text": part.text.name, "role": part.role,
        "bits_a_byte": statistics.fmean(one.values()), "mean": mean.mean, "low": mean.low, "high": mean.high,
        "p": p_value(values), "smallest": smallest_effect(values), "by_seed": values,
    }  # fmt: skip


def _corrected(differences: list[dict[str, Any]]) -> None:
    """Correct p for the number of arms, each kind of text by itself."""
    for role in {one["role"] for one in differences}:
        group = [one for one in differences if one["role"] == role]
        for one, p in zip(group, holm([one["p"] for one in group]), strict=True):
            one["p"] = p
            one["decided"] = p < 0.05


def _answer(one: dict[str, Any]) -> str:
    if not one["decided"]:
        return "cannot be told from"
    return "is better than" if one["mean"] < 0 else "is worse than"


def _taught(one: dict[str, Any]) -> str:
    if not one["decided"]:
        return "shows no difference on"
    return "teaches" if one["mean"] < 0 else "unteaches"


def _size(one: dict[str, Any]) -> str:
    interval = f"{one['low']:+.3f} to {one['high']:+.3f}" if math.isfinite(one["low"]) else "one seed"
    least = "" if one["decided"] or not math.isfinite(one["smallest"]) else f"; {one['smallest']:.3f} would be seen"
    return f"{one['mean']:+.3f} bits a byte, {interval}{least}"
