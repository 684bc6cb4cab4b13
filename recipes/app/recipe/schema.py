"""The whole recipe as pydantic models: what may stand in the YAML, with defaults and limits."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Container
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator
from pydantic.errors import PydanticUserError

from curate.errors import Refused
from curate.places.address import refuse_credentials
from curate.registry import step_class
from curate.sources.formats import FORMATS
from curate.step import Step
from train_probe.architecture import PUBLISHED, Architecture, architecture


class Strict(BaseModel):
    """Unknown keys are errors, and what was read is never changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Input(Strict):
    """Where documents come from: a file, a folder, a glob, an address in a store, or a data set of the hub."""

    path: str = Field(
        description="file, folder or glob (** goes into folders), here or in a store (s3://bucket/crawl/**); with"
        " format hub an id of the Hugging Face hub, or a folder that `load_dataset` takes. Credentials never stand"
        " here: they come from the environment, as the store's own tools take them"
    )
    name: str = Field("crawl", pattern=r"^[A-Za-z0-9._-]+$", description="source name: the first part of every key")
    format: str = Field(
        "auto",
        description=f"auto, {', '.join(FORMATS)}, or a reader of one's own, `module:Name` or `file.py:Name`."
        " auto: told from the file name; a folder that `save_to_disk` wrote is known by its files. shards: the text of"
        " an earlier run, whose injected documents stay protected",
    )
    text_field: str = Field("text", description="JSONL, Parquet, hub: the field that holds the text")
    id_field: str = Field("id", description="JSONL, Parquet, hub: the field kept as the document's own id")
    subset: str | None = Field(None, description="hub: the configuration of the data set, where it has several")
    split: str = Field("train", pattern=r"^[A-Za-z0-9._\[\]:%+-]+$", description="hub: which split is read")
    streaming: bool = Field(True, description="hub: read while it is fetched, instead of copying the data set first")
    revision: str | None = Field(
        None, description="hub: commit, tag or branch; a commit is read the same for ever, and needs no look at the hub"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Input:
        # Of the whole model, not of the field: messages repeat what a field said.
        refuse_credentials(self.path)
        given = self.model_fields_set & {"subset", "streaming", "revision"}
        if given and self.format != "hub":
            raise Refused(f"{' and '.join(f'`{name}`' for name in sorted(given))}: only with `format: hub`")
        return self


class TextOutput(Strict):
    """How text shards are written."""

    domain: Literal["none", "prefix"] = Field("none", description="prefix: the domain on a line before the text")


class Tokenizer(Strict):
    """Which vocabulary the token shards use."""

    kind: Literal["bpe", "joint", "compact", "file"] = Field(
        "bpe", description="a small BPE trained on the corpus; joint adds a token for each compact name and value"
    )
    size: int = Field(1024, ge=257, le=65000, description="tokens of the trained BPE, its 256 bytes included")
    file: str | None = Field(None, description="a tokenizer.json, for kind: file")
    domains: int = Field(64, ge=0, le=4096, description="the most frequent domains get a token of their own")
    buckets: int = Field(
        0,
        ge=0,
        le=4096,
        description="tokens that domains are hashed to: the rarer ones, or all; 0: the rarer ones share",
    )

    @model_validator(mode="after")
    def _file_given(self) -> Tokenizer:
        if (self.kind == "file") != (self.file is not None):
            raise Refused("`file` and `kind: file` go together: name a tokenizer.json, or leave both out")
        return self


DomainRendering = Literal["none", "prefix", "special", "hashed", "url"]
"""What token shards can have in front of a document (`curate.shards.rendering.RENDERINGS`)."""


class TokenSet(Strict):
    """One rendering of the run as token shards."""

    source: Literal["extract", "end"] = Field(
        "end", alias="from", description="extract: every extracted page, before any rule; end: the finished corpus"
    )
    domain: DomainRendering = Field(
        "none",
        description="what stands before each document: nothing; the domain as text; the domain's own token; the token"
        " of one of `tokenizer.buckets` that it is hashed to; the whole address as text",
    )
    bare: float = Field(0.0, ge=0, le=1, description="a share of the documents that goes without")


TokenSetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
"""A token set is a folder of its own below `tokens/`, and nowhere else."""


class Output(Strict):
    """What a run leaves behind."""

    text: TextOutput = TextOutput()
    keep_dropped: Literal["none", "sample", "all"] = Field(
        "sample", description="of which dropped documents the ledger keeps the text"
    )
    tokenizer: Tokenizer = Tokenizer()
    tokens: dict[TokenSetName, TokenSet] = Field(
        default_factory=dict, description="name of a token set: how it is rendered"
    )


class Engine(Strict):
    """How a run is carried out. Nothing here can change a byte of what is published."""

    buckets: int = Field(8, ge=1, le=4096, description="into how many parts the records of a round are hashed")
    document_timeout: float = Field(60.0, gt=0, description="seconds after which a document that hangs is set aside")
    worker_memory: int = Field(
        2048, ge=256, description="MB after which a worker is stopped, and its document set aside"
    )
    split: int = Field(64, ge=0, description="MB of a big input file that one worker reads at a time; 0: whole files")


class ProbeModel(Strict):
    """The models that are trained: a published architecture, its size, and what is to differ from it."""

    layers: int = Field(2, ge=1, le=64)
    width: int = Field(32, ge=8, le=4096)
    heads: int = Field(2, ge=1, le=64)
    architecture: str = Field("gpt2", description=f"one of {', '.join(PUBLISHED)}")
    inner: int | None = Field(None, ge=0, description="inner width of the MLP; 0: no MLP")
    kv_heads: int | None = Field(None, ge=1, description="heads of keys and values")
    norm: Literal["layer", "rms"] | None = None
    activation: Literal["gelu", "silu"] | None = None
    gated: bool | None = Field(None, description="the MLP is multiplied by a second projection")
    bias: bool | None = Field(None, description="linear layers, and layer norms, have biases")
    tied: bool | None = Field(None, description="the head is the embedding")
    rotary_share: float | None = Field(None, gt=0, le=1, description="share of each head that is rotated")
    experts: int | None = Field(None, ge=0, description="the MLP is a mixture of so many")
    top_k: int | None = Field(None, ge=1, description="experts that a token meets")
    capacity_factor: float | None = Field(None, gt=0, description="of its even share that an expert takes")

    @model_validator(mode="after")
    def _can_be_built(self) -> ProbeModel:
        self.built()
        return self

    def built(self, **changes: Any) -> Architecture:
        """The architecture with every field filled in. Raises ArchitectureError where the choices do not fit."""
        given = {name: value for name, value in (self.model_dump() | changes).items() if value is not None}
        return architecture(given.pop("architecture"), **given)


class Training(Strict):
    """What all runs of a probe share."""

    batch: int = Field(8, ge=1, description="useful records of each step (people: windows)")
    window: int = Field(512, ge=16, description="tokens of a window of text")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the first moment")
    beta2: float = Field(0.98, ge=0, lt=1, description="AdamW's decay of the second moment")
    epsilon: float = Field(1e-6, gt=0, description="AdamW's epsilon")
    precision: Literal["auto", "float64", "float32", "bfloat16"] = Field(
        "auto", description="of products; auto: float32 on a CPU, bfloat16 with float32 weights on a GPU"
    )
    evaluate_exposures: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="exposures on the way at which models are scored too; their learning rate is not annealed there"
    )
    evaluate_bits: list[Annotated[int, Field(ge=2, le=8)]] = Field(
        [], description="score once more with weights rounded to so many bits"
    )
    evaluate_group: int | None = Field(None, ge=1, description="inputs that share a step of rounding; empty: all")
    evaluate_embeddings: bool = Field(True, description="whether embeddings are rounded too")


class Arm(Strict):
    """One row of the result table: a mixture of facts and junk."""

    arm: str = Field(description="the name of the row")
    junk: str = Field(
        "none",
        description="none, endless, repetitive, learnable, or one of the corpus's token sets; in a recipe with `facts`,"
        " pages and tagged-pages: the text of the run that --corpus names",
    )
    junk_ratio: float = Field(0.0, ge=0, lt=1, description="share of junk among all tokens")
    junk_people: int = Field(1000, ge=1, description="people of a repetitive population")
    windows: Literal["pure", "mixed"] = Field("pure", description="whether facts and junk share windows of text")
    shuffle: int = Field(0, ge=0, description="another number: other junk of its kind, or pages in another order")
    tag: Literal["none", "useful", "junk", "both"] = Field(
        "none", description="what begins with the token of its domain: facts, junk of their kind, both, nothing"
    )
    tag_leak: float = Field(0.0, ge=0, le=1, description="share of the junk that carries the facts' token all the same")
    tag_at_test: bool | None = Field(None, description="whether scored texts carry it; empty: as in training")
    bare: float = Field(0.0, ge=0, le=1, description="share of the tagged texts that go without, throughout")
    cool_down: float = Field(0.0, ge=0, le=1, description="share of the texts at the end, all of which go without")
    tag_loss: bool = Field(True, description="whether models learn to predict the domain too")

    @model_validator(mode="after")
    def _junk_has_a_kind(self) -> Arm:
        if (self.junk == "none") != (self.junk_ratio == 0):
            raise Refused("junk_ratio 0 and `junk: none` go together; any other ratio needs a kind of junk")
        return self


class Quick(Strict):
    """What `--quick` takes in place of the whole grid."""

    exposures: list[Annotated[int, Field(ge=1)]] = Field([], description="empty: those of the probe")
    learning_rates: list[Annotated[float, Field(gt=0)]] = Field([], description="empty: those of the probe")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([], description="empty: those of the probe")
    arms: list[str] = Field([], description="names of arms; empty: all")


class Probe(Strict):
    """A grid: every arm at every number of exposures, learning rate and seed, and whatever else `grid` varies."""

    corpus: str | None = Field(None, description="folder of a finished run whose facts and token sets are used")
    facts: dict[str, Any] | None = Field(None, description="without a corpus: the parameters of `inject`")
    useful: str = Field("curated", description="the token set whose injected documents are learnt")
    drawn: bool = Field(False, description="draw the facts' texts where models train, from facts/bundle.npz")
    model: ProbeModel = ProbeModel()
    training: Training = Training()
    exposures: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="exposures of each fact; empty: as many as were injected"
    )
    climb: bool = Field(
        False,
        description="each seed of each arm, at each learning rate, climbs `exposures` from their middle until two of"
        " them bracket half of the facts, and is trained at no others",
    )
    learning_rates: list[Annotated[float, Field(gt=0)]] = Field([2e-3], min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1)
    grid: dict[str, list[Any]] = Field(
        {}, description="lists of values of other settings, such as `model.width: [32, 64]`, `training.batch: [8, 16]`"
    )
    save: bool = Field(False, description="keep the trained weights of every run")
    arms: list[Arm] = Field(min_length=1)
    quick: Quick | None = Field(None, description="a smaller grid, for `--quick`")

    @field_validator("grid")
    @classmethod
    def _grid_is_of_settings(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for key, values in grid.items():
            part, _, name = key.partition(".")
            known: dict[str, type[BaseModel]] = {"model": ProbeModel, "training": Training, "arm": Arm}
            if part not in known or name not in known[part].model_fields or name == "arm":
                kinds = ", ".join(f"{one}.*" for one in known)
                raise Refused(f"'{key}' is no setting that a grid can vary; it varies {kinds}")
            if not values:
                raise Refused(f"'{key}' has no values: name at least one")
        return grid

    @model_validator(mode="after")
    def _grid_can_be_built(self) -> Probe:
        try:
            self.variants()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise Refused(f"grid: with one of its values {where or 'the whole'} does not fit: {first['msg']}") from None
        return self

    @model_validator(mode="after")
    def _climbs_a_ladder(self) -> Probe:
        if self.climb and len(self.exposures) < 2:
            raise Refused("climb: there is no ladder to climb; name at least two `exposures`")
        return self

    @model_validator(mode="after")
    def _quick_names_arms(self) -> Probe:
        there = [arm.arm for arm in self.arms]
        for name in self.quick.arms if self.quick else []:
            if name not in there:
                raise Refused(f"quick: there is no arm '{name}'; there are: {', '.join(there)}")
        return self

    def quickly(self) -> Probe:
        """The smaller grid of `quick`. Raises Refused where there is none."""
        if self.quick is None:
            raise Refused("this recipe names no smaller grid (`probe.quick`); leave --quick out")
        given = {key: value for key, value in self.quick.model_dump().items() if value and key != "arms"}
        arms = [arm for arm in self.arms if arm.arm in self.quick.arms or not self.quick.arms]
        return self.model_copy(update=given | {"arms": arms, "quick": None})

    def without_junk(self, kinds: Container[str]) -> tuple[Probe, list[str]]:
        """The same without the arms of some kinds of junk, and their names."""
        left_out = [arm.arm for arm in self.arms if arm.junk in kinds]
        return self.model_copy(update={"arms": [arm for arm in self.arms if arm.arm not in left_out]}), left_out

    def variants(self) -> list[tuple[ProbeModel, Training, Arm, dict[str, Any]]]:
        """Every arm with every combination of the grid's values, and what those are."""
        found = []
        for arm in self.arms:
            for values in itertools.product(*self.grid.values()):
                chosen = dict(zip(self.grid, values, strict=True))
                parts = {
                    "model": self.model.model_dump(),
                    "training": self.training.model_dump(),
                    "arm": arm.model_dump(),
                }
                for key, value in chosen.items():
                    part, _, name = key.partition(".")
                    parts[part][name] = value
                found.append((ProbeModel(**parts["model"]), Training(**parts["training"]), Arm(**parts["arm"]), chosen))
        return found


class ComparedArm(Strict):
    """One arm of a comparison: a corpus, and how domains are rendered in front of its pages and of the facts."""

    arm: str = Field(description="its name")
    corpus: str | None = Field(None, description="folder of a finished run, or a recipe; empty: that of --corpus")
    domain: DomainRendering = Field(
        "none",
        description="nothing; the domain as text; a token of its own, for rare ones a common one; one of 64 tokens that"
        " it is hashed to; the whole address as text",
    )
    bare: float = Field(0.0, ge=0, le=1, description="share of the texts that go without, throughout")
    cool_down: float = Field(0.0, ge=0, le=1, description="share of the texts at the end, all of which go without")
    tag_loss: bool = Field(True, description="whether models learn to predict the domain too")
    tag_at_test: bool | None = Field(
        None, description="whether facts are scored behind their domain; empty: as trained"
    )

    @model_validator(mode="after")
    def _something_is_rendered(self) -> ComparedArm:
        given = self.model_fields_set & {"bare", "cool_down", "tag_loss", "tag_at_test"}
        if given and self.domain == "none":
            raise Refused(f"`{min(given)}` is about rendered domains, and `domain` is none: name a rendering")
        return self


class Recipe(Strict):
    """A corpus to build (`inputs`, `steps`, `output`), a grid to train (`probe`), arms to `compare`, or several."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    description: str = ""
    inputs: list[Input] = []
    steps: list[Any] = Field(default=[], description="the steps in order: a name, or a name with parameters")
    output: Output = Output()
    max_loss: float = Field(0.01, ge=0, le=1, description="share of records that may be unreadable")
    engine: Engine = Engine()
    probe: Probe | None = None
    compare: Annotated[list[ComparedArm], Field(min_length=2)] | None = None


@functools.cache
def parameters_of(name: str) -> type[BaseModel]:
    """A pydantic model of one step's parameters, made from the dataclass itself. Raises Refused for what is no step."""
    cls = step_class(name)
    hints = get_type_hints(cls)
    members: dict[str, Any] = {}
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        if "doc" not in item.metadata:
            continue
        if item.default is not dataclasses.MISSING:
            default: dict[str, Any] = {"default": item.default}
        elif item.default_factory is not dataclasses.MISSING:
            default = {"default_factory": item.default_factory}
        else:
            default = {}
        limits = {key: item.metadata[key] for key in ("ge", "le") if item.metadata.get(key) is not None}
        hint = hints[item.name]
        if item.metadata.get("choices"):
            hint = Literal[tuple(item.metadata["choices"])]
        members[item.name] = (hint, Field(description=item.metadata.get("doc", ""), **limits, **default))
    try:
        return create_model(name, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **members)
    except (NameError, PydanticUserError) as error:
        raise Refused(f"`{name}` has parameters that no recipe can hold: {error}") from None


def build_step(name: str, parameters: dict[str, Any]) -> Step:
    """The step itself. Raises Refused when its parameters do not fit together."""
    checked = parameters_of(name)(**parameters)
    return step_class(name)(**{key: getattr(checked, key) for key in type(checked).model_fields})
