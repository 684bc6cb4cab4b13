"""What to train: one plan of many runs, read from JSON and checked before anything starts."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from curate.errors import Refused, nearest
from train_probe.architecture import Architecture, ArchitectureError, architecture

JUNK_KINDS = ("none", "endless", "repetitive", "learnable", "shards")
TAGS = ("none", "useful", "junk", "both")
WINDOWS = ("pure", "mixed")
PRECISIONS = ("auto", "float64", "float32", "bfloat16")
COMPILE = ("auto", "always", "never")

T = TypeVar("T")


class PlanError(Refused):
    """The plan, or a file it names, is not what it should be; the message says where and what would be right."""


@dataclass(frozen=True)
class ModelPlan:
    """The model of every run: a published architecture by its name, its size, and what is to differ from it.

    `architecture` is a name and each other field one field of `train_probe/architecture.py`; those left out are as
    published.
    """

    layers: int = 2
    heads: int = 2
    width: int = 32
    architecture: str = "gpt2"
    inner: int | None = None
    kv_heads: int | None = None
    norm: str | None = None
    norm_epsilon: float | None = None
    activation: str | None = None
    gated: bool | None = None
    bias: bool | None = None
    tied: bool | None = None
    rotary_share: float | None = None
    rotary_base: float | None = None
    experts: int | None = None
    top_k: int | None = None
    capacity_factor: float | None = None

    def check(self, where: str) -> None:
        _at_least(1, self, where, "layers", "heads", "width")
        try:
            self.built()
        except ArchitectureError as error:
            raise PlanError(f"{where}: {error}") from error

    def changes(self) -> dict[str, Any]:
        """The fields that differ from the published architecture."""
        own = ("layers", "heads", "width", "architecture")
        given = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name not in own}
        return {name: value for name, value in given.items() if value is not None}

    def built(self) -> Architecture:
        """The architecture with every field filled in. Raises ArchitectureError where the choices do not fit."""
        return architecture(self.architecture, self.layers, self.heads, self.width, **self.changes())

    @property
    def name(self) -> str:
        """`GPT2-l-h` as in the paper (`llama-l-h`, ...), with the width where it is not 64 h and what was changed."""
        kind = "GPT2" if self.architecture == "gpt2" else self.architecture
        narrow = "" if self.width == 64 * self.heads else f"-d{self.width}"
        changes = "".join(f", {name} {json.dumps(value)}" for name, value in self.changes().items())
        return f"{kind}-{self.layers}-{self.heads}{narrow}{changes}"


@dataclass(frozen=True)
class TrainingPlan:
    """How every run trains: AdamW, warm-up, then a cosine down to 0.1 of the learning rate (2404.05405).

    `batch` is useful rows a step: records, or for people windows of `window` tokens; junk comes on top. `window` is
    also the longest window of junk pages. `warmup` is a share of the steps. Products are of type `precision`: "auto" is
    float32 on a CPU, and bfloat16 with float32 weights on CUDA.
    `evaluate_exposures` are counts on the way at which the model is scored: a curve, for its learning rate is not yet
    annealed there. `evaluate_bits` are the widths at which every score is taken once more, of weights rounded to so
    many bits (2 to 8) per output channel, or per `evaluate_group` of its inputs, with the embeddings or without.
    """

    batch: int = 8
    learning_rate: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-6
    window: int = 512
    precision: str = "auto"
    evaluate_exposures: tuple[int, ...] = ()
    evaluate_bits: tuple[int, ...] = ()
    evaluate_group: int | None = None
    evaluate_embeddings: bool = True

    def check(self, where: str) -> None:
        _at_least(1, self, where, "batch")
        _at_least(2, self, where, "window")
        _at_least(0, self, where, "weight_decay")
        if not 0 <= self.warmup < 1:
            raise PlanError(f"{where}.warmup: {self.warmup} is not a share of the steps from 0 to below 1")
        _above_zero(self, where, "learning_rate", "clip", "epsilon")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise PlanError(f"{where}.{name}: {getattr(self, name)} is not between 0 and 1")
        _one_of(PRECISIONS, self, where, "precision")
        for number, exposures in enumerate(self.evaluate_exposures):
            if exposures < 1:
                raise PlanError(f"{where}.evaluate_exposures[{number}]: {exposures} is below 1")
        if self.evaluate_group is not None:
            _at_least(1, self, where, "evaluate_group")
        for number, bits in enumerate(self.evaluate_bits):
            if not 2 <= bits <= 8:
                raise PlanError(f"{where}.evaluate_bits[{number}]: {bits} is not a width from 2 to 8 bits")


@dataclass(frozen=True)
class RunPlan:
    """One model: exposures of each fact, what junk stands around it, and what stands in front of both.

    `junk_ratio` is the junk's share of all tokens; `junk_people` the size of a repetitive population; `junk_shards` one
    of the plan's named shard folders. `windows` are pure (all useful, or all junk) or mixed (whole texts side by side).
    `tag` says which texts begin with the token of their domain: useful ones, junk of the facts' own kind, both or none;
    `tag_leak` is the share of that junk which carries the facts' token all the same. `tag_at_test` is whether scored
    rows carry it (None: as in training). Another `shuffle` is the same run with other junk of the same kind, or the
    same pages in another order: what then differs is chance. `model` and `training` replace those of the plan; in JSON
    they hold only what differs.
    How a domain is rendered: `front` are token ids that stand in front of a tagged fact in place of its domain's one
    token; pages carry what their shards say. `bare` is the share of texts, facts and pages, that go without, drawn
    throughout; `cool_down` the last share of them, all of which do (MeCo, arXiv 2501.01956). Without `tag_loss` the
    tokens of rendered domains are read, and no loss is taken on them.
    """

    arm: str
    exposures: int
    junk_kind: str = "none"
    junk_ratio: float = 0.0
    junk_shards: str | None = None
    junk_people: int = 1000
    windows: str = "pure"
    tag: str = "none"
    tag_leak: float = 0.0
    tag_at_test: bool | None = None
    front: tuple[int, ...] = ()
    bare: float = 0.0
    cool_down: float = 0.0
    tag_loss: bool = True
    shuffle: int = 0
    seed: int = 0
    model: ModelPlan | None = None
    training: TrainingPlan | None = None

    @property
    def scored_tagged(self) -> bool:
        """Whether scored rows begin with the token of their domain."""
        return self.tag in ("useful", "both") if self.tag_at_test is None else self.tag_at_test

    @property
    def rendered(self) -> bool:
        """Whether domains are rendered otherwise than by one token in front of all facts or of none."""
        return bool(self.front or self.bare or self.cool_down or not self.tag_loss)

    def check(self, where: str) -> None:
        _at_least(1, self, where, "exposures", "junk_people")
        _at_least(0, self, where, "seed", "shuffle")
        _one_of(JUNK_KINDS, self, where, "junk_kind")
        _one_of(TAGS, self, where, "tag")
        _one_of(WINDOWS, self, where, "windows")
        if not 0 <= self.junk_ratio < 1:
            raise PlanError(f"{where}.junk_ratio: {self.junk_ratio} is not a share of tokens from 0 to below 1")
        if (self.junk_kind == "none") != (self.junk_ratio == 0):
            raise PlanError(f"{where}: junk_kind '{self.junk_kind}' does not go with junk_ratio {self.junk_ratio}")
        if (self.junk_kind == "shards") != (self.junk_shards is not None):
            raise PlanError(f"{where}: junk_shards names token shards exactly when junk_kind is 'shards'")
        if not 0 <= self.tag_leak <= 1:
            raise PlanError(f"{where}.tag_leak: {self.tag_leak} is not a share of the junk from 0 to 1")
        if self.junk_kind in ("none", "shards"):
            if self.tag in ("junk", "both"):
                raise PlanError(f"{where}.tag: '{self.tag}' tags junk of the facts' own kind; pages carry their own")
            if self.tag_leak:
                raise PlanError(f"{where}.tag_leak: only junk of the facts' own kind can carry their token")
        self._check_rendering(where)

    def _check_rendering(self, where: str) -> None:
        for name in ("bare", "cool_down"):
            if not 0 <= getattr(self, name) <= 1:
                raise PlanError(f"{where}.{name}: {getattr(self, name)} is not a share of the texts from 0 to 1")
        if self.front and min(self.front) < 0:
            raise PlanError(f"{where}.front: {min(self.front)} is no token id")
        if self.rendered and self.junk_kind == "shards" and self.windows != "mixed":
            raise PlanError(
                f"{where}: front, bare, cool_down and tag_loss go by whole texts, and pages in pure windows are cut"
                " anywhere; ask for windows: mixed"
            )


@dataclass(frozen=True)
class Plan:
    """Facts, token shards, a model and the runs. Folders are as a reader of the plan's file would resolve them.

    `useful` are the token shards that hold the facts; None: texts are drawn on the device from `facts`/bundle.npz.
    `held_out_text` are token shards of pages that no run trains on, on which every model's loss is measured; `cloze`
    are files of sentences with the spans to score in them, in groups (`train_probe.inputs.Cloze`).
    How the runs are carried out changes no figure: `processes` (None: one a core), `slots` models side by side in each
    (None: as many as pay and fit), whether steps are compiled (`compile`; auto: where the grid repays it), `save` for
    the trained weights of every run.
    """

    facts: Path
    useful: Path | None
    runs: tuple[RunPlan, ...]
    junk_shards: dict[str, Path] = field(default_factory=dict)
    held_out_text: dict[str, Path] = field(default_factory=dict)
    cloze: dict[str, Path] = field(default_factory=dict)
    model: ModelPlan = ModelPlan()
    training: TrainingPlan = TrainingPlan()
    processes: int | None = None
    slots: int | None = None
    compile: str = "auto"
    save: bool = False

    def check(self, where: str) -> None:
        if not self.runs:
            raise PlanError(f"{where}.runs: there is nothing to train")
        for name in ("processes", "slots"):
            if getattr(self, name) is not None:
                _at_least(1, self, where, name)
        _one_of(COMPILE, self, where, "compile")
        for number, run in enumerate(self.runs):
            if run.junk_shards is not None and run.junk_shards not in self.junk_shards:
                raise PlanError(
                    f"{where}.runs[{number}].junk_shards: "
                    + _no_such(run.junk_shards, list(self.junk_shards), "token shards")
                )

    def changed(self, **options: Any) -> Plan:
        """The same plan with other options; those that are None stay. Raises PlanError."""
        plan = dataclasses.replace(self, **{name: value for name, value in options.items() if value is not None})
        plan.check("plan")
        return plan

    def model_of(self, run: RunPlan) -> ModelPlan:
        """The run's own model, or that of the plan."""
        return self.model if run.model is None else run.model

    def training_of(self, run: RunPlan) -> TrainingPlan:
        """The run's own training, or that of the plan."""
        return self.training if run.training is None else run.training


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
    """A run whose own model and training are whole: what it leaves out is the plan's."""
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
    for key in content:
        if key not in hints:
            raise PlanError(f"{where}: {_no_such(key, list(hints), 'key')}")
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        needed = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if needed and item.name not in content:
            raise PlanError(f"{where}: '{item.name}' is missing")
    built = kind(**{key: _typed(hints[key], value, f"{where}.{key}", folder) for key, value in content.items()})
    built.check(where)  # type: ignore[attr-defined]
    return built


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


def _no_such(word: str, allowed: list[str], what: str) -> str:
    hint = nearest(word, allowed) or f"; there are: {', '.join(allowed) or 'none'}"
    return f"there is no {what} '{word}'{hint}"


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)[:60]


def _one_of(known: tuple[str, ...], of: Any, where: str, name: str) -> None:
    if getattr(of, name) not in known:
        raise PlanError(f"{where}.{name}: '{getattr(of, name)}' is none of {', '.join(known)}")


def _at_least(least: int, of: Any, where: str, *names: str) -> None:
    for name in names:
        if not getattr(of, name) >= least:
            raise PlanError(f"{where}.{name}: {getattr(of, name)} is below {least}")


def _above_zero(of: Any, where: str, *names: str) -> None:
    for name in names:
        if not 0 < getattr(of, name) < float("inf"):
            raise PlanError(f"{where}.{name}: {getattr(of, name)} is not above 0")
