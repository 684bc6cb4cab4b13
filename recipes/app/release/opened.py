"""A plan opened for a release: what its runs read, with the tokenizer that writes their tokens as text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from curate.errors import Refused
from curate.places.manifest import MARKER
from curate.run.folder import check_format
from curate.shards.vocabulary import Vocabulary
from train_probe.data import Data
from train_probe.facts_files import FactsFiles
from train_probe.inputs import Inputs, read_inputs
from train_probe.plan import Plan, RunPlan, read_plan
from train_probe.scorer import device_of
from train_probe.train import run_name

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Opened:
    """`corpus` is the finished run that the plan's pages are of, where that is known; `domain` that of the facts, which
    were `drawn` from pools or came from a table."""

    plan: Plan
    inputs: Inputs
    data: Data
    tokenizer: Path
    corpus: Path | None
    domain: str
    drawn: bool

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.load(self.tokenizer)

    @cached_property
    def names(self) -> list[str]:
        """The names of the plan's runs: hashes of all that shapes their figures."""
        return [run_name(self.plan, run, self.inputs) for run in self.plan.runs]

    def run(self, name: str) -> RunPlan:
        """The run of a name, or of the beginning of one. Raises Refused for none, or several."""
        found = {one: run for one, run in zip(self.names, self.plan.runs, strict=True) if one.startswith(name)}
        if len(found) != 1:
            listed = ", ".join(f"{one} ({run.arm})" for one, run in zip(self.names, self.plan.runs, strict=True))
            raise Refused(f"'{name}' names {len(found)} of the runs: {listed}")
        return next(iter(found.values()))


def open_plan(plan: Plan | Path, corpus: Path | None = None) -> Opened:
    """Open a plan and all that it reads, checked. Raises Refused for what is missing or damaged."""
    if not isinstance(plan, Plan):
        plan = read_plan(plan)
    inputs = read_inputs(plan)
    files = FactsFiles(plan.facts)
    facts = files.json("facts.json")
    return Opened(
        plan, inputs, Data(plan, inputs, device_of()), _tokenizer(plan, inputs),
        corpus or _corpus(plan), str(facts["domain"]), facts["kind"] != "table",
    )  # fmt: skip


def _tokenizer(plan: Plan, inputs: Inputs) -> Path:
    """The tokenizer of the facts: beside the token sets."""
    folders = [*([plan.useful] if plan.useful else []), *plan.junk_shards.values()]
    places = [plan.facts.parent / "tokens", plan.facts.parent, *(folder.parent for folder in folders)]
    for place in places:
        if (place / TOKENIZER).is_file() and Vocabulary.load(place / TOKENIZER).hash == inputs.facts.tokenizer_hash:
            return place / TOKENIZER
    raise Refused(
        f"the tokenizer of {plan.facts} is not beside it: put the {TOKENIZER} that its tokens were written with into"
        f" {places[0]}"
    )


def _corpus(plan: Plan) -> Path | None:
    """The finished run that holds the plan's facts; None where they are of no run."""
    folder = plan.facts.parent
    if not (folder / MARKER).is_file():
        return None
    check_format(folder)
    return folder
