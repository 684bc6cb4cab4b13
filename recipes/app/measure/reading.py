"""What each corpus teaches a model about text: arms trained on equal tokens without any facts, and their loss on text
that none of them read, in bits a byte."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.errors import Refused
from curate.shards.domain_rendering import drawn
from curate.shards.vocabulary import Vocabulary
from recipes.app.measure.asked import AS_GOOD_TEXT, CONTROL, CONTROL_SEEDS, Comparison
from recipes.app.measure.carried import by_text
from recipes.app.measure.coins import MOST_REPEATS, Arm, arms_of, most_repeats
from recipes.app.measure.corpora import Corpus, Entry, Tokenised, write_set
from recipes.app.measure.held_out import HeldOut, HeldOutText
from recipes.app.measure.judged import Judged, Rule, corrected, judged, plainly_worse
from recipes.app.measure.ladder import Grid
from recipes.app.measure.parts import PageNats, Part, parts_of
from recipes.app.measure.verdict import opponent, subject

COMPILED = 10_000_000
"""Tokens of a whole reading from which on its steps are compiled."""
LEAST_SPREAD = 0.0005
"""The smallest standard deviation of a pair, in bits a byte, that is believed."""
CONTROL_SHARE = 1 / 3
"""Share of the first corpus's pages whose words are shuffled in the control."""


class Reading:
    """A text reading: its runs, and what it found. Arms that render domains are not read: the text has none."""

    def __init__(
        self, asked: Comparison, entries: Sequence[Entry], corpora: Sequence[Tokenised], held_out: HeldOut
    ) -> None:
        """Raises Refused where an arm would be repeated too often."""
        self.asked, self.held_out = asked, held_out
        plain = [pair for pair in zip(entries, corpora, strict=True) if pair[0].rendering.domain == "none"]
        self.arms: list[Arm] = []
        if not plain:
            return
        self._first = plain[0][0].corpus
        every = arms_of([entry for entry, _ in plain], [one for _, one in plain], asked.coin)
        self.arms = [arm for arm in every if not arm.paired]
        self.used = {one.name: one.used for _, one in plain}
        self.tokens = min(asked.text_tokens, plain[0][1].used)
        for arm in self.arms if self.read else ():
            size = self.used[arm.shards] * arm.kept
            if self.tokens > size * most_repeats(arm, self.arms, asked.may_repeat):
                raise Refused(
                    f"'{arm.name}' has {size:,.0f} tokens, and models that read {self.tokens:,} would repeat it"
                    f" {self.tokens / size:.1f} times: more than {MOST_REPEATS:.0f} times is another question; ask for"
                    f" fewer with --text-tokens, or allow it with --may-repeat {arm.name}"
                )

    @property
    def read(self) -> bool:
        """Whether text is read at all."""
        return self.asked.reading != "facts" and len(self.arms) > 1

    @property
    def rule(self) -> Rule:
        """How differences are judged."""
        return self.asked.rule(AS_GOOD_TEXT, LEAST_SPREAD)

    def write(self, vocabulary: Vocabulary, folder: Path) -> dict[str, Any]:
        """Write the held-out texts and the control as token shards; what a plan says of them."""
        written = {}
        for number, text in enumerate(self.held_out.texts):
            where = folder / f"held-out-{number}"
            write_set(iter(text.pages), vocabulary, where)
            written[text.name] = str(where.resolve())
        if not self.read:
            return {"held_out_text": written}
        write_set(broken(self._first, CONTROL_SHARE), vocabulary, folder / CONTROL)
        return {"held_out_text": written, "junk_shards": {CONTROL: str((folder / CONTROL).resolve())}}

    def carried_out(self, grid: Grid) -> dict[str, Any]:
        """Train every arm with every seed, and, where the answer for an arm is undecided, more seeds of it and of what
        it is judged against; report. Raises Refused where an arm has no result."""
        results = grid.trained(self.first_look())
        report = self.report(results)
        if report["undecided"] and self.asked.more and report["control"]["worse"]:
            names = [arm.name for arm in self.arms if arm.name in report["undecided"]]
            results += grid.trained(
                [run for seed in self.asked.text_seeds(more=True) for run in self._runs(names, seed)]
            )
            report = self.report(results, report["differences"])
        return report

    def first_look(self) -> list[dict[str, Any]]:
        """Every arm with every seed, and the control."""
        seeds = self.asked.text_seeds()
        runs = [run for seed in seeds for run in self._runs([arm.name for arm in self.arms], seed)]
        return runs + [run for seed in seeds[:CONTROL_SEEDS] for run in self._runs([CONTROL], seed)]

    def _runs(self, names: Sequence[str], seed: int) -> list[dict[str, Any]]:
        """The runs of a seed; arms of one seed have the same first weights."""
        training = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self.asked.text_training).items()
        }
        common = {
            "exposures": 0, "tokens": self.tokens, "junk_kind": "shards", "junk_ratio": 1.0, "seed": seed,
            "model": self.asked.text_model, "training": training,
        }  # fmt: skip
        arms = {arm.name: arm for arm in self.arms} | {CONTROL: Arm(CONTROL, CONTROL, CONTROL)}
        return [
            {"arm": name, "junk_shards": arms[name].shards, **arms[name].run(), **common}
            for name in dict.fromkeys(names)
        ]

    @property
    def compile(self) -> str:
        """Whether steps are compiled, as a plan says it: of these shapes they then take two fifths of the time, which
        repays the compilation where much is read (docs/results/reading.md)."""
        work = self.tokens * len(self.arms) * len(self.asked.text_seeds())
        return "always" if work >= COMPILED else "auto"

    def report(self, results: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """Losses, differences and the decision, from the results of the runs; differences that were decided `before`
        stay as they were. Raises Refused where an arm has no result."""
        nats: dict[str, dict[int, dict[str, list[float]]]] = defaultdict(dict)
        for row in results:
            if not row.get("error"):
                nats[row["arm"]][row["seed"]] = {name: one["page_nats"] for name, one in row["text"].items()}
        for arm in self.arms:
            if not nats[arm.name]:
                failed = next(row for row in results if row["arm"] == arm.name)
                raise Refused(f"all runs of {arm.name} on text failed: {failed['error']}")
        parts = parts_of(self.held_out.texts, self.arms)
        losses = {part.key: part.losses(nats) for part in parts}
        differences: list[dict[str, Any]] = []
        for role in dict.fromkeys(part.role for part in parts):
            differences += self._judged([part for part in parts if part.role == role], losses)
        control = self._control(losses[next(part.key for part in parts if part.role == "all")])
        if not control["worse"]:  # what looks equal says nothing where a broken corpus looks equal too
            for one in differences:
                one["answer"] = "undecided" if one["answer"] == "alike" else one["answer"]
        decided = {(one["arm"], one["part"]): one for one in before if one["answer"] != "undecided"}
        differences = [decided.get((one["arm"], one["part"]), one) for one in differences]
        sound = [row for row in results if not row.get("error")]
        return {
            "tokens": self.tokens,
            "seeds": sorted({seed for by_seed in nats.values() for seed in by_seed}),
            "confidence": self.rule.confidence,
            "margin": list(self.rule.margin),
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
            "control": control,
            "undecided": sorted(
                {one[key] for one in self._deciding(differences) if one["answer"] == "undecided"
                 for key in ("arm", "against")}
            ),
            "pages": {arm.name: self._pages(arm, nats) for arm in self.arms if arm.against is not None},
            "verdict": list(self._verdict(differences, control, sound[0]["parameters"])),
        }  # fmt: skip

    def _judged(
        self, parts: Sequence[Part], losses: dict[str, dict[str, dict[int, float]]]
    ) -> Iterator[dict[str, Any]]:
        """The differences on the parts of one role, over all of which p is corrected."""
        found: list[tuple[Part, Judged]] = []
        for part in parts:
            values = {name: by_seed for name, by_seed in losses[part.key].items() if name != CONTROL}
            own = judged(values, self.arms, self.rule, whole=False)
            found += [(part, one) for one in own if part.arm in (None, one.arm)]
        answers = corrected([one for _, one in found], self.rule)
        for (part, _), one in zip(found, answers, strict=True):
            yield dataclasses.asdict(one) | {
                "part": part.name, "text": part.text.name, "role": part.role,
                "bits_a_byte": statistics.fmean(losses[part.key][one.arm].values()),
            }  # fmt: skip

    def _control(self, losses: dict[str, dict[int, float]]) -> dict[str, Any]:
        """The control beside the first corpus, on all of its held-out pages."""
        broken_, first = losses.get(CONTROL, {}), losses[self.arms[0].name]
        seeds = sorted(broken_.keys() & first.keys())
        difference = statistics.fmean(broken_[seed] - first[seed] for seed in seeds) if seeds else math.nan
        return {"difference": difference, "seeds": len(seeds), "worse": plainly_worse(broken_, first, LEAST_SPREAD)}

    def _deciding(self, differences: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those that the verdict is about: on the text that is given; else on what each arm keeps and drops, or, where
        it keeps all, on all."""
        if any(one["role"] == "given" for one in differences):
            return [one for one in differences if one["role"] == "given"]
        parted = {one["arm"] for one in differences if one["role"] in ("kept", "dropped")}
        return [one for one in differences if one["role"] != "all" or one["arm"] not in parted]

    def _verdict(
        self, differences: Sequence[dict[str, Any]], control: dict[str, Any], parameters: int
    ) -> Iterator[str]:
        if not control["worse"]:
            yield (
                "text: the control (a third of the pages with their words shuffled) was not found to be worse"
                f" ({control['difference']:+.3f} bits a byte, {control['seeds']} seeds), so small differences cannot be"
                " seen; ask for more --text-tokens"
            )
        first, of = self.arms[0].name, {arm.name: arm for arm in self.arms}
        measured = f"measured at {parameters / 1e6:.2g}M parameters; {by_text(parameters)}"
        given = any(text.given for text in self.held_out.texts)
        deciding = self._deciding(differences)
        for arm in self.arms:
            if arm.against is None:
                continue
            own = [one for one in deciding if one["arm"] == arm.name]
            base, name = opponent(of[arm.against], first), subject(arm, first)
            if not own:
                yield f"text: {name} and {base} have no seed in common: runs of them failed"
                continue
            if given:
                (one,) = own
                yield f"text: {name} {_IS[one['answer']]} {base} on {one['part']}: {_size(one)} ({measured})"
                continue
            said = "; ".join(f"{_TEACHES[one['answer']]} {one['part']} ({_size(one)})" for one in own)
            yield (
                f"text: against {base}, {name} {said}. Which text is wanted decides: name yours with --held-out"
                f" ({measured})"
            )

    def _pages(self, arm: Arm, nats: PageNats) -> dict[str, Any]:
        """The pages of the deciding text that an arm teaches better and worse than what it is judged against, and its
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


def broken(corpus: Corpus, share: float) -> Iterator[Document]:
    """The documents of a corpus, of which a share have the words of each line in another order."""
    for document in corpus.documents():
        if drawn(document.key, "broken") < share * 2**64:
            document = dataclasses.replace(document, text=shuffled(document))
        yield document


def shuffled(document: Document) -> str:
    """The text with the words of each line in another order."""
    draw = random.Random(document.key)
    lines = []
    for line in document.text.split("\n"):
        words = line.split(" ")
        draw.shuffle(words)
        lines.append(" ".join(words))
    return "\n".join(lines)


_IS = {
    "better": "is better than", "worse": "is worse than", "alike": "is as good as",
    "undecided": "cannot be told from",
}  # fmt: skip
_TEACHES = {
    "better": "teaches", "worse": "unteaches", "alike": "is as good on", "undecided": "shows no difference on"
}  # fmt: skip


def _size(one: dict[str, Any]) -> str:
    if not math.isfinite(one["low"]):
        return f"{one['mean']:+.3f} bits a byte, {one['seeds']} seeds, which decide nothing"
    least = f"; {one['smallest']:.3f} would be seen" if one["answer"] == "undecided" else ""
    return f"{one['mean']:+.3f} bits a byte, {one['low']:+.3f} to {one['high']:+.3f}{least}"
