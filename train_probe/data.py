"""What the runs of a plan read, put on one device when a run first needs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train_probe.draws import permutation, stream_key
from train_probe.inputs import Facts, Inputs
from train_probe.junk import Front, Junk, JunkChain, JunkRecords, JunkTexts, ShownQuestions
from train_probe.origins import NumberedJunk, NumberedStream, NumberedTexts
from train_probe.pages import Coin, PagePieces, PagesOnDevice
from train_probe.plan import Plan, PlanError, RunPlan
from train_probe.render import BundleError, Renderer
from train_probe.stream import PageStream, Stream, junk_per_useful, page_width, useful_rows
from train_probe.texts import DrawnTexts, ShardTexts, Texts

_ALIGNED = 64
"""The vocabulary of a model is a multiple of it: products of other sizes are slower, on a GPU much slower."""


def model_vocabulary(facts: Facts) -> int:
    """Rows of a model's embedding: the facts' vocabulary, a token to put in front of junk, and rows for alignment."""
    return -(-(facts.vocabulary + 1) // _ALIGNED) * _ALIGNED


def junk_seed(run: RunPlan) -> int:
    """What junk is drawn from: the run's seed, and its shuffle where it has one."""
    return stream_key(run.seed, "shuffle", run.shuffle) if run.shuffle else run.seed


def in_half(people: int, halves: int, half: int, folder: Path | str) -> np.ndarray:
    """The people of one of `halves` random halves, ascending, int64: each odd one is the rest of the one before it, so
    that everybody is in exactly half of them, whatever is trained. Raises PlanError for an odd number of people."""
    if people % 2:
        raise PlanError(f"the facts in {folder} are of {people} people, who have no halves: take an even number")
    order = permutation(stream_key(0, "half", halves, half // 2), people)
    return np.sort(order.numpy()[: people // 2] if half % 2 == 0 else order.numpy()[people // 2 :])


class Data:
    """The streams of a plan's runs on `device`."""

    def __init__(self, plan: Plan, inputs: Inputs, device: torch.device) -> None:
        self.plan, self.inputs, self.facts, self.device = plan, inputs, inputs.facts, device
        self._texts: Texts | None = None
        self._parts: dict[tuple[int, ...], tuple[Facts, Texts]] = {}
        self._pages: dict[str, PagesOnDevice] = {}
        self._renderer: Renderer | None = None

    def stream(self, run: RunPlan) -> Stream | PageStream:
        """The batches of a run. Raises PlanError where the data does not hold what the run asks for."""
        if not run.exposures:
            return PageStream(self.chain(run) or self._page_pieces(run), self.plan.training_of(run).batch, run.tokens)
        if (blocks := run.blocks or self.facts.blocks) > (people := len(self.members(run))):
            raise PlanError(f"{people} people do not fill {blocks} blocks: take fewer `blocks`")
        return Stream(self.facts, self.texts_of(run), self._junk(run), self.plan.training_of(run), run)

    def origins(self, run: RunPlan) -> Stream | PageStream:
        """The same batches, whose tokens are what they are of (`train_probe/origins.py`)."""
        training, junk = self.plan.training_of(run), self._junk(run)
        if not run.exposures:
            return PageStream(NumberedJunk(self._page_pieces(run)), training.batch, run.tokens)
        numbered = None if junk is None else NumberedJunk(junk)
        return NumberedStream(self.facts, NumberedTexts(self.texts_of(run)), numbered, training, run)

    def pages_of(self, run: RunPlan, pieces: Tensor) -> Tensor:
        """The numbers of the pages that a run's pieces are of."""
        return self._page_pieces(run).pages_of(pieces)

    def facts_of(self, run: RunPlan) -> Facts:
        """The facts that a run shows and is scored on. Raises PlanError for people that there are not."""
        return self._part(run)[0] if run.people or run.halves else self.facts

    def texts_of(self, run: RunPlan) -> Texts:
        """Their texts. Raises PlanError."""
        texts = self._part(run)[1] if run.people or run.halves else self.texts
        return texts.fixed() if run.fixed else texts

    def _part(self, run: RunPlan) -> tuple[Facts, Texts]:
        key = (*run.people, run.halves, run.half)
        if key not in self._parts:
            members = self.members(run)
            self._parts[key] = self.facts.part(members), self.texts.part(members)
        return self._parts[key]

    def members(self, run: RunPlan) -> np.ndarray:
        """The people whom a run is shown, ascending, int64. Raises PlanError where there are not so many."""
        people = self.facts.people
        if run.halves:
            return in_half(people, run.halves, run.half, self.facts.folder)
        first, last = run.people or (0, people)
        if last > people:
            raise PlanError(
                f"a run shows people {first} to {last - 1}; the facts in {self.facts.folder} are of {people} people"
            )
        return np.arange(first, last)

    @property
    def texts(self) -> Texts:
        """The texts of all facts. Raises PlanError."""
        if self._texts is None:
            facts, documents = self.facts, self.inputs.documents
            if documents is None and facts.placement not in ("even", "blocks"):
                raise PlanError(
                    f"the facts in {facts.folder} were placed '{facts.placement}': only their shards have that order;"
                    " leave out `drawn: true`, or take facts with `placement: even`"
                )
            if documents is None:
                self._texts = DrawnTexts(self.renderer, facts.exposures, facts.end_of_text, facts.tag)
            else:
                self._texts = ShardTexts(documents, facts.exposures, facts.end_of_text, facts.placement, self.device)
        return self._texts

    @property
    def renderer(self) -> Renderer:
        """Draws texts of the facts' own kind. Raises PlanError where they have no bundle, or that of other facts."""
        if self._renderer is None:
            path = self.facts.check("bundle.npz")
            self._renderer = opened(path, self.device)
            if self._renderer.meta["tokenizer_hash"] != self.facts.tokenizer_hash:
                raise PlanError(f"{path} was written with another tokenizer than {self.facts.folder / 'scoring.npz'}")
        return self._renderer

    def chain(self, run: RunPlan) -> JunkChain | None:
        """The chain that a run reads, where it reads one."""
        if run.junk_kind != "learnable":
            return None
        facts, training = self.facts, self.plan.training_of(run)
        kept = [token for token in range(facts.vocabulary) if token not in (facts.end_of_text, facts.tag)]
        compact = facts.kind == "compact" and run.exposures
        width = self.texts_of(run).measured(run.exposures).longest if compact else training.window
        tokens = torch.tensor(kept, device=self.device)
        return JunkChain(tokens, width, junk_seed(run), self._front(run), run.junk_successors)

    def _front(self, run: RunPlan) -> Front:
        """What stands in front of generated junk."""
        usual = self.facts.vocabulary if run.tag in ("junk", "both") else self.facts.end_of_text
        return Front(usual, self.facts.tag, run.tag_leak, junk_seed(run))

    def _junk(self, run: RunPlan) -> Junk | None:
        if run.junk_kind == "none":
            return None
        if run.junk_kind == "shards":
            return self._page_pieces(run)
        if run.junk_kind == "questions":
            if self.inputs.questions is None:
                raise PlanError(f"arm '{run.arm}' is shown questions, and the plan names no file of `questions`")
            window = self.plan.training_of(run).window
            return ShownQuestions(self.inputs.questions, junk_seed(run), window, self.device)
        if run.junk_kind == "learnable":
            return self.chain(run)
        facts, seed = self.facts, junk_seed(run)
        people = {"endless": None, "repetitive": run.junk_people}[run.junk_kind]
        if facts.kind == "compact":
            return JunkRecords(facts, seed, people, self._front(run), self.device)
        return JunkTexts(self.renderer, seed, people, self.plan.training_of(run).window, self._front(run))

    def _page_pieces(self, run: RunPlan) -> PagePieces:
        name, training = str(run.junk_shards), self.plan.training_of(run)
        if name not in self._pages:
            self._pages[name] = PagesOnDevice.of(self.inputs.pages[name], self.device)
        width = training.window
        if run.exposures:
            compact = self.facts.kind == "compact"
            useful = self.texts_of(run).measured(run.exposures).longest if compact else training.window
            width = page_width(junk_per_useful(run.junk_ratio) * useful_rows(training, run) * useful, training.window)
        return PagePieces(self._pages[name], width, junk_seed(run), name, not run.tag_loss, Coin.of(run))


def opened(path: Path, device: torch.device) -> Renderer:
    """The renderer of a bundle. Raises PlanError that says how to make one."""
    try:
        return Renderer(path, device)
    except BundleError as error:
        raise PlanError(
            f"{error}; texts are drawn on the device from a bundle, which `goldsand synth people` writes beside its "
            "facts: name its folder, or token shards as `useful` and as junk"
        ) from error
