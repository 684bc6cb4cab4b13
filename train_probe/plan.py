"""What to train: one plan of many runs, read from JSON and checked before anything starts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from curate.errors import nearest
from train_probe.architecture import PUBLISHED, Architecture, ArchitectureError, architecture
from train_probe.checked import Checked, PlanError
from train_probe.evaluation_plans import QuestionsPlan, RetrievalPlan
from train_probe.settings import setting

JUNK_KINDS = ("none", "endless", "repetitive", "learnable", "shards", "questions")
TAGS = ("none", "useful", "junk", "both")
WINDOWS = ("pure", "mixed")
RATES = ("by-width", "equal")
BATCHES = ("useful", "all")
SCHEDULES = ("cosine", "linear", "constant")
GUARDS = ("off", "skip", "shrink", "back")
PRECISIONS = ("auto", "float64", "float32", "bfloat16")
COMPILE = ("auto", "always", "never")
EVALUATIONS = ("memorisation", "calibration", "retrieval", "questions")
"""What can be told of a checkpoint beside its bits; the functions are in `train_probe/evaluate.py`."""
SEQUENCES = ("facts", "pages")

T = TypeVar("T")


@dataclass(frozen=True)
class ModelPlan(Checked):
    """The model of every run: a published architecture by its name, its size, and what is to differ from it.

    `changes` are other fields of `train_probe/architecture.py`. In JSON they are keys beside those of the size; null
    means as published.
    """

    layers: int = setting(2, "blocks of attention and MLP", ge=1)
    heads: int = setting(2, "heads of attention", ge=1)
    width: int = setting(32, "width of the residual stream", ge=1)
    architecture: str = setting("gpt2", "the published one, whose fields hold where no other is set", choices=PUBLISHED)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def _fits_together(self) -> None:
        try:
            self.built()
        except ArchitectureError as error:
            raise self._error(str(error)) from error

    @classmethod
    def of(cls, flat: Mapping[str, Any]) -> ModelPlan:
        """The model whose size and changes are in one mapping; a change to None is ignored. Raises PlanError."""
        changes = {name: flat[name] for name in changeable() if flat.get(name) is not None}
        return cls(**{name: value for name, value in flat.items() if name not in changeable()}, changes=changes)

    def built(self) -> Architecture:
        """The architecture with every field filled in. Raises ArchitectureError where the choices do not fit."""
        return architecture(self.architecture, self.layers, self.heads, self.width, **self.changes)

    @property
    def name(self) -> str:
        """`GPT2-l-h` as in the paper (`llama-l-h`, ...), with the width where it is not 64 h and what was changed."""
        kind = "GPT2" if self.architecture == "gpt2" else self.architecture
        narrow = "" if self.width == 64 * self.heads else f"-d{self.width}"
        changes = "".join(f", {name} {json.dumps(value)}" for name, value in self.changes.items())
        return f"{kind}-{self.layers}-{self.heads}{narrow}{changes}"


def changeable() -> dict[str, Any]:
    """The fields of an architecture that a plan can change beside its size, and their types."""
    hints = get_type_hints(Architecture)
    return {name: hint for name, hint in hints.items() if name not in ModelPlan.__dataclass_fields__}


@dataclass(frozen=True)
class TrainingPlan(Checked):
    """How every run trains: AdamW, warm-up, then by `schedule` down to a share of the learning rate (2404.05405: 0.1).

    `window` is also the longest window of junk pages. Scores on the way, at
    `evaluate_exposures`, are a curve. Every score is repeated with rounded weights (`evaluate_bits`); a step of
    rounding is shared by an output channel, or by `evaluate_group` of its inputs.
    """

    batch: int = setting(8, "records of each step (people: windows)", ge=1)
    batch_of: str = setting(
        "useful",
        "what a batch counts: useful records, and junk comes on top of each step; or all, so that junk makes more steps"
        " of the same size (2404.05405, section 10)",
        choices=BATCHES,
    )
    learning_rate: float = setting(1.6e-2, "the highest rate, at the end of the warm-up", gt=0)
    window: int = setting(512, "tokens of a window of text", ge=2)
    warmup: float = setting(0.05, "share of the steps in which the learning rate rises", ge=0, lt=1)
    final_rate: float = setting(0.1, "share of the learning rate that is left at the end", ge=0, le=1)
    weight_decay: float = setting(0.01, "AdamW's, of every parameter", ge=0)
    clip: float = setting(1.0, "largest gradient norm", gt=0)
    beta1: float = setting(0.9, "AdamW's decay of the first moment", ge=0, lt=1)
    beta2: float = setting(0.98, "AdamW's decay of the second moment", ge=0, lt=1)
    epsilon: float = setting(1e-6, "AdamW's epsilon", gt=0)
    rates: str | None = setting(
        None,
        "by-width: matrices learn with about 1/width of the learning rate, so that one rate fits all widths; equal: all"
        " weights with the same; empty: equal where the initialisation is gpt2, else by-width",
        choices=RATES,
    )
    precision: str = setting(
        "auto", "type of products; auto: float32 on a CPU, bfloat16 with float32 weights on a GPU", choices=PRECISIONS
    )
    evaluate_exposures: tuple[int, ...] = setting(
        (), "exposures on the way at which models are scored too; their learning rate is not annealed there", ge=1
    )
    evaluate_bits: tuple[int, ...] = setting((), "score once more with weights rounded to so many bits", ge=2, le=8)
    evaluate_group: int | None = setting(None, "inputs that share a step of rounding; empty: all", ge=1)
    evaluate_embeddings: bool = setting(True, "whether embeddings are rounded too")
    schedule: str = setting(
        "cosine",
        "how the rate falls after the warm-up: cosine; linear; constant, with a fall at the end",
        choices=SCHEDULES,
    )
    falling: float = setting(0.2, "share of the steps at the end in which a constant rate falls", ge=0, le=1)
    watch: bool = setting(False, "log the loss by class of token too, and the learning rate")
    guard: str = setting(
        "off",
        "what becomes of a spike: skip: a step with too long a gradient is left out; shrink: its gradient is shortened;"
        " back: where the loss jumps, back to the last good state, past what was read since",
        choices=GUARDS,
    )
    guard_spread: float = setting(6.0, "deviations from the mean beyond which a gradient, or a loss, is a spike", gt=0)
    guard_window: int = setting(100, "steps of that mean", ge=2)
    keep_spikes: int = setting(0, "of so many spikes both continuations are kept, with and without the guard", ge=0)
    stop_early: int = setting(
        0, "end a run when the loss on what is held out was lowest so many looks ago; 0: never", ge=0
    )
    stop_every: float = setting(0.05, "share of the steps between such looks", gt=0, le=1)
    evaluate_gptq: bool = setting(
        False, "score rounded weights once more with matrices rounded by GPTQ (2210.17323), on the facts' own rows"
    )

    def _fits_together(self) -> None:
        if self.keep_spikes and self.guard == "off":
            raise self._error("continuations with and without a guard need one: `guard`", ".keep_spikes")


WATCHED = (
    "schedule", "falling", "watch", "guard", "guard_spread", "guard_window", "keep_spikes", "stop_early", "stop_every"
)  # fmt: skip
"""Settings that came later: a run that leaves them as they are has the name that it had without them."""

TEXT = TrainingPlan(batch=16, window=128, learning_rate=1.1e-2)
"""How models that read pages alone train. Twice the rate gives a lower loss and four times the difference between two
orders of the same pages; smaller batches and windows of 256 find less of what is wrong with a corpus
(docs/results/initialisation.md)."""


@dataclass(frozen=True)
class RunPlan(Checked):
    """One model: exposures of each fact, the junk around it, and the tokens in front of both.

    `junk_shards` is one of the plan's named shard folders. Two runs that differ in `shuffle` alone differ by chance.
    `model` and `training` replace those of the plan; in JSON they hold only what differs.
    How a domain is rendered: `front` are token ids in front of a tagged fact, instead of its domain's one token; pages
    carry what their shards have. `cool_down` is that of MeCo, arXiv 2501.01956. Without `tag_loss` the tokens of
    rendered domains are read, and no loss is taken on them.
    """

    arm: str = setting(..., "the name of the row")
    exposures: int = setting(..., "exposures of each fact; 0: pages alone, without any fact", ge=0)
    tokens: int = setting(0, "tokens of pages that a run without facts reads", ge=0)
    junk_kind: str = setting("none", "what junk there is", choices=JUNK_KINDS)
    junk_ratio: float = setting(0.0, "share of junk among all tokens", ge=0, le=1)
    junk_shards: str | None = None
    people: tuple[int, ...] = setting((), "first and past the last of the people shown and scored; empty: all", ge=0)
    fixed: bool = setting(False, "each fact's text is that of its first exposure, at every exposure")
    halves: int = setting(
        0,
        "random halves of the people that runs are shown, an even number: each person is in half of them; 0: all",
        ge=0,
    )
    half: int = setting(0, "which of them this run is shown", ge=0)
    blocks: int = setting(
        0,
        "blocks of people, shown one after another, each as often as the run says before the next; 0: all mixed",
        ge=0,
    )
    kept: float = setting(1.0, "share of the pages' tokens that a coin of the seed keeps, page by page", gt=0, le=1)
    kept_by_length: tuple[float, ...] = setting(
        (), "the same in groups of equally many pages by length, the shortest first; empty: all alike", ge=0, le=1
    )
    coin: int = setting(0, "another number: another coin", ge=0)
    junk_people: int = setting(1000, "people of a repetitive population", ge=1)
    junk_successors: int = setting(
        16, "tokens that may follow each token of a learnable chain: fewer are learnt sooner", ge=2, le=1024
    )
    windows: str = setting("pure", "whether facts and junk share windows of text", choices=WINDOWS)
    tag: str = setting(
        "none", "which texts begin with the token of their domain: facts, junk of their kind, both, none", choices=TAGS
    )
    tag_leak: float = setting(0.0, "share of the junk that carries the facts' token too", ge=0, le=1)
    tag_at_test: bool | None = setting(None, "whether scored texts carry it; empty: as in training")
    front: tuple[int, ...] = setting((), "token ids", ge=0)
    bare: float = setting(0.0, "share of the tagged texts that come without it, throughout", ge=0, le=1)
    cool_down: float = setting(0.0, "share of the texts at the end, all of which come without it", ge=0, le=1)
    tag_loss: bool = setting(True, "whether models learn to predict the domain too")
    shuffle: int = setting(0, "another number: other junk of its kind, or pages in another order", ge=0)
    seed: int = setting(0, "what the run draws from", ge=0)
    model: ModelPlan | None = None
    training: TrainingPlan | None = None

    @property
    def scored_tagged(self) -> bool:
        """Whether scored rows begin with the token of their domain."""
        return self.tag in ("useful", "both") if self.tag_at_test is None else self.tag_at_test

    @property
    def rendered(self) -> bool:
        """Whether domains are rendered in another way than one token in front of all facts or of none."""
        return bool(self.front or self.bare or self.cool_down or not self.tag_loss)

    def _fits_together(self) -> None:
        if self.exposures == 0 and (self.junk_kind not in ("shards", "learnable") or not self.tokens):
            raise self._error("a run without exposures reads `tokens` of pages, or of a chain: junk_kind 'shards'")
        if (self.exposures == 0) != (self.junk_ratio == 1) or (self.tokens and self.exposures):
            raise self._error("junk_ratio 1 and `tokens` are for runs of pages alone, which have 0 exposures")
        if (self.kept < 1 or self.kept_by_length) and self.junk_kind != "shards":
            raise self._error("a coin keeps a share of pages: junk_kind 'shards'", ".kept")
        if self.people and not (len(self.people) == 2 and self.people[0] < self.people[1]):
            raise self._error("two numbers are needed, the first below the second", ".people")
        if self.halves % 2 or self.half >= max(1, self.halves):
            raise self._error(f"of {self.halves} halves there is no half {self.half}: take 0 to an even number less 1")
        if self.halves and (self.people or not self.exposures):
            raise self._error("a half is of all people of the facts: without `people`, and with exposures", ".halves")
        if self.blocks and not self.exposures:
            raise self._error("a run of pages alone shows nobody", ".blocks")
        if (self.junk_kind == "none") != (self.junk_ratio == 0):
            raise self._error(f"junk_kind '{self.junk_kind}' does not go with junk_ratio {self.junk_ratio}")
        if (self.junk_kind == "shards") != (self.junk_shards is not None):
            raise self._error("junk_shards must name token shards exactly when junk_kind is 'shards'")
        if self.junk_kind in ("none", "shards"):
            if self.tag in ("junk", "both"):
                raise self._error(f"'{self.tag}' tags junk of the facts' own kind; pages carry their own", ".tag")
            if self.tag_leak:
                raise self._error("only junk of the facts' own kind can carry their token", ".tag_leak")
        if not self.exposures and (self.front or self.bare or self.cool_down):
            raise self._error("front, bare and cool_down go with facts: a run of pages alone has them as its shards do")
        if self.exposures and self.rendered and self.junk_kind == "shards" and self.windows != "mixed":
            raise self._error(
                "front, bare, cool_down and tag_loss apply to whole texts, and pages in pure windows are cut anywhere;"
                " ask for windows: mixed"
            )


@dataclass(frozen=True)
class MemorisationPlan(Checked):
    """Which sequences `memorisation` asks for: the first `prompt` tokens of a text, the token in front of it counted,
    then `continuation` tokens that a greedy model must give (docs/memory.md)."""

    prompt: int | None = setting(None, "tokens of the prompt; empty: up to a record's first value, 32 of a text", ge=1)
    continuation: int | None = setting(None, "tokens after it; empty: a record's values, 32 of a text", ge=1)
    sequences: int = setting(1000, "most sequences of a chunk, drawn without those that occur twice", ge=1)
    chunks: int | None = setting(
        None, "equal parts of the run's steps; empty: what each checkpoint has read since the one before", ge=1
    )
    of: str = setting("facts", "whether they are texts of facts, or windows of the run's pages", choices=SEQUENCES)


@dataclass(frozen=True)
class Plan(Checked):
    """Facts, token shards, a model and the runs. Folders are already resolved against the plan's file.

    `useful` are the token shards that hold the facts; None: texts are drawn on the device from `facts`/bundle.npz.
    `held_out_text` are token shards of pages that no run trains on, on which every model's loss is measured; `cloze`
    are files of sentences with the spans to score in them, in groups (`train_probe.inputs.Cloze`); `questions` is
    one of questions about the facts (`train_probe.question_rows.Questions`), and `asking` says how they are asked.
    How the runs are carried out (`processes`, `slots`, `compile`) changes no figure.
    """

    facts: Path
    useful: Path | None
    runs: tuple[RunPlan, ...]
    junk_shards: dict[str, Path] = field(default_factory=dict)
    held_out_text: dict[str, Path] = field(default_factory=dict)
    cloze: dict[str, Path] = field(default_factory=dict)
    model: ModelPlan = ModelPlan()
    training: TrainingPlan = TrainingPlan()
    processes: int | None = setting(None, "empty: one a core", ge=1)
    slots: int | None = setting(None, "models side by side in each; empty: as many as pay and fit", ge=1)
    compile: str = setting("auto", "whether steps are compiled; auto: where the grid repays it", choices=COMPILE)
    save: bool = setting(False, "keep the trained weights of every run")
    evaluate: tuple[str, ...] = setting((), "what else is told of every checkpoint", choices=EVALUATIONS)
    memorisation: MemorisationPlan = MemorisationPlan()
    retrieval: RetrievalPlan = field(default_factory=RetrievalPlan)
    questions: Path | None = None
    asking: QuestionsPlan = field(default_factory=QuestionsPlan)

    def _fits_together(self) -> None:
        if not self.runs:
            raise self._error("must hold at least one run", ".runs")
        for number, run in enumerate(self.runs):
            if run.junk_shards is not None and run.junk_shards not in self.junk_shards:
                message = _no_such(run.junk_shards, self.junk_shards, "token shards")
                raise self._error(message, f".runs[{number}].junk_shards")

    def changed(self, **options: Any) -> Plan:
        """The same plan with other options; None leaves one as it is. Raises PlanError."""
        return dataclasses.replace(self, **{name: value for name, value in options.items() if value is not None})

    def model_of(self, run: RunPlan) -> ModelPlan:
        """The run's own model, or that of the plan."""
        return self.model if run.model is None else run.model

    def training_of(self, run: RunPlan) -> TrainingPlan:
        """The run's own training, or that of the plan, with every setting filled in."""
        training = self.training if run.training is None else run.training
        if training.rates is not None:
            return training
        gpt2 = self.model_of(run).built().initialisation == "gpt2"
        return dataclasses.replace(training, rates="equal" if gpt2 else "by-width")


def read_plan(path: Path) -> Plan:
    """The plan in a JSON file; its relative folders are relative to the file. Raises PlanError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: there is no such plan") from None
    except (OSError, ValueError) as error:
        raise PlanError(f"{path}: not a readable JSON file ({error})") from error
    return plan_of(content, path.parent)


def plan_of(content: Any, folder: Path = Path()) -> Plan:
    """The plan in parsed JSON; relative folders are relative to `folder`. Raises PlanError."""
    if isinstance(content, dict) and isinstance(content.get("runs"), list):
        content = content | {"runs": [_with_defaults(run, content) for run in content["runs"]]}
    return _built(Plan, content, "plan", folder)


def _with_defaults(run: Any, plan: dict[str, Any]) -> Any:
    """A run whose own model and training are complete: fields that it leaves out are the plan's."""
    if not isinstance(run, dict):
        return run
    whole = {
        name: plan[name] | run[name]
        for name in ("model", "training")
        if isinstance(run.get(name), dict) and isinstance(plan.get(name), dict)
    }
    return run | whole


def _built(kind: type[T], content: Any, where: str, folder: Path) -> T:
    if not isinstance(content, dict):
        raise PlanError(f"{where}: a JSON object is needed, not {_shown(content)}")
    hints = get_type_hints(kind)
    if kind is ModelPlan:
        del hints["changes"]
        hints |= {name: hint | None for name, hint in changeable().items()}
    for key in content:
        if key not in hints:
            raise PlanError(f"{where}: {_no_such(key, hints, 'key')}")
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        needed = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if needed and item.name not in content:
            raise PlanError(f"{where}: '{item.name}' is missing")
    given = {key: _typed(hints[key], value, f"{where}.{key}", folder) for key, value in content.items()}
    try:
        return ModelPlan.of(given) if kind is ModelPlan else kind(**given)  # type: ignore[return-value]
    except PlanError as error:
        raise PlanError(where + str(error).removeprefix(kind.__name__)) from error


def _typed(hint: Any, value: Any, where: str, folder: Path) -> Any:
    if get_origin(hint) is UnionType:
        return None if value is None else _typed(get_args(hint)[0], value, where, folder)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise PlanError(f"{where}: a list is needed, not {_shown(value)}")
        return tuple(_typed(get_args(hint)[0], one, f"{where}[{i}]", folder) for i, one in enumerate(value))
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise PlanError(f"{where}: a JSON object is needed, not {_shown(value)}")
        return {key: _typed(get_args(hint)[1], one, f"{where}.{key}", folder) for key, one in value.items()}
    if dataclasses.is_dataclass(hint):
        return _built(hint, value, where, folder)  # type: ignore[arg-type]
    if hint is Path:
        if not isinstance(value, str):
            raise PlanError(f"{where}: the path of a folder is needed, not {_shown(value)}")
        return folder / value
    whole = isinstance(value, int) and not isinstance(value, bool)
    if hint is float and whole:
        return float(value)
    if not isinstance(value, hint) or (hint is int and not whole):
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise PlanError(f"{where}: {words[hint]} is needed, not {_shown(value)}")
    return value


def _no_such(word: str, allowed: Iterable[str], what: str) -> str:
    return f"there is no {what} '{word}'{nearest(word, allowed)}. There are: {', '.join(allowed) or 'none'}"


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)[:60]
