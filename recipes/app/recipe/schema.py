"""The whole recipe as pydantic models: the keys of the YAML, with defaults and limits.

Where a dataclass of another package declares the settings, its part of the recipe is generated from it
(`recipes/app/recipe/declared.py`), so recipes accept a new field at once.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Container, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic.errors import PydanticUserError

from curate.errors import Refused
from curate.places.address import refuse_credentials
from curate.registry import step_class
from curate.run import output
from curate.sources import partition
from curate.step import Step
from recipes.app.recipe.declared import Strict, model_of
from train_probe.architecture import NARROWEST, WIDEST, Architecture, ArchitectureError, architecture, equal_width
from train_probe.evaluation_plans import QuestionsPlan, RetrievalPlan
from train_probe.plan import EVALUATIONS, MemorisationPlan, ModelPlan, RunPlan, TrainingPlan, changeable


class RecipeInput(model_of(partition.Input, name={"default": "crawl"})):  # type: ignore[misc]
    """Where documents come from: a file, a folder, a glob, an address in a store, or a data set of the hub."""

    @model_validator(mode="after")
    def _fits_together(self) -> RecipeInput:
        # A validator of the field would repeat the credentials in its message.
        refuse_credentials(self.path)
        given = self.model_fields_set & {"subset", "streaming", "revision"}
        if given and self.format != "hub":
            raise Refused(f"{' and '.join(f'`{name}`' for name in sorted(given))}: only with `format: hub`")
        return self


class TextOutput(model_of(output.Publication, only=["text_domain"], text_domain={"alias": "domain"})):  # type: ignore[misc]
    """How text shards are written."""


class Tokenizer(model_of(output.VocabularyChoice)):  # type: ignore[misc]
    """Which vocabulary the token shards use."""

    @model_validator(mode="after")
    def _file_given(self) -> Tokenizer:
        if (self.kind == "file") != (self.file is not None):
            raise Refused("`file` and `kind: file` go together: name a tokenizer.json, or leave both out")
        return self


class TokenSet(model_of(output.Rendering, leave_out=["name"], source={"alias": "from"})):  # type: ignore[misc]
    """One rendering of the run as token shards."""


def _free(name: str) -> str:
    """Raises Refused for the name of the tokenizer's own file below `tokens/`, in any case: not every disk tells."""
    if name.lower().startswith("tokenizer."):
        raise Refused(f"'{name}' is taken: tokens/tokenizer.json is the vocabulary of all token sets; use another name")
    return name


TokenSetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"), AfterValidator(_free)]
"""A name that is one folder below `tokens/`, and no path out of it."""


class Output(model_of(output.Publication, only=["keep_dropped"])):  # type: ignore[misc]
    """What a run leaves behind."""

    text: TextOutput = Field(default=TextOutput(), description="how text shards are written")
    tokenizer: Tokenizer = Field(default=Tokenizer(), description="the vocabulary of the token shards")
    tokens: dict[TokenSetName, TokenSet] = Field(
        default_factory=dict, description="name of a token set: how it is rendered"
    )


class RaySettings(Strict):
    """What is asked of a Ray cluster for each unit, where `--engine ray` runs the recipe on one."""

    num_cpus: float = Field(1.0, gt=0, description="cores for each unit at work")
    memory: int | None = Field(None, ge=1, description="MB for each unit; by default what units were seen to take")
    resources: dict[str, float] = Field({}, description="other resources of the cluster, by name")
    runtime_env: dict[str, Any] = Field({}, description="Ray's runtime_env for the processes that do the units")

    @model_validator(mode="after")
    def _without_secrets(self) -> RaySettings:
        if "env_vars" in self.runtime_env:
            raise Refused(
                "runtime_env: env_vars may hold secrets, and a recipe is copied beside its output: set variables where"
                " the cluster is started"
            )
        return self


class EngineSettings(Strict):
    """How a run is carried out. No setting here changes a byte of the output."""

    buckets: int = Field(8, ge=1, le=4096, description="into how many parts the records of a round are hashed")
    document_timeout: float = Field(
        60.0, gt=0, description="seconds of a processor after which a document that hangs is set aside"
    )
    worker_memory: int = Field(
        2048, ge=256, description="MB after which a worker is stopped, and its document set aside"
    )
    split: int = Field(64, ge=0, description="MB of a big input file that one worker reads at a time; 0: whole files")
    ray: RaySettings = Field(default_factory=RaySettings, description="for runs on a Ray cluster")


_SIZES = {"layers": {"le": 64}, "heads": {"le": 64}, "width": {"ge": NARROWEST, "le": WIDEST}}
"""Limits for the models of a recipe: more is taken for a typing error there. A plan has no such limits."""


class ProbeModel(model_of(ModelPlan, Architecture, optional=changeable(), **_SIZES)):  # type: ignore[misc]
    """The models that are trained: a published architecture, its size, and changes to it."""

    @model_validator(mode="after")
    def _can_be_built(self) -> ProbeModel:
        self.built()
        return self

    def built(self, **changes: Any) -> Architecture:
        """The architecture with every field filled in. Raises ArchitectureError where the choices do not fit."""
        given = {name: value for name, value in (self.model_dump() | changes).items() if value is not None}
        return architecture(given.pop("architecture"), **given)


class Training(model_of(TrainingPlan, leave_out=["learning_rate"], window={"ge": 16})):  # type: ignore[misc]
    """What all runs of a probe share; learning rates are listed beside it."""


class Memorisation(model_of(MemorisationPlan)):  # type: ignore[misc]
    """Which sequences `evaluate: [memorisation]` asks models for."""


class Retrieval(model_of(RetrievalPlan)):  # type: ignore[misc]
    """How `evaluate: [retrieval]` mixes models with what is near in their training texts."""


class Asking(model_of(QuestionsPlan)):  # type: ignore[misc]
    """How `evaluate: [questions]` asks."""


OF_A_RUN = ("exposures", "tokens", "junk_kind", "junk_shards", "front", "seed")
"""Settings of a plan's run that an arm lacks: they come from the grid, or follow from `junk`."""

EQUAL = "equal P to "
"""Before the name of an arm, in place of a width: that of as many parameters."""


class ArmFacts(Strict):
    """What an arm shows of the facts."""

    people: int = Field(ge=1, description="so many people, the first ones")


class Arm(model_of(RunPlan, leave_out=OF_A_RUN, junk_ratio={"lt": 1})):  # type: ignore[misc]
    """One row of the result table: a mixture of facts and junk, and what it has of its own in place of the probe's."""

    model: dict[str, Any] = Field({}, description=f"settings of `model`; `width: {EQUAL}ARM` has as many parameters")
    training: dict[str, Any] = Field({}, description="settings of `training`")
    facts: ArmFacts | None = Field(None, description="how many people it shows")
    exposures: list[Annotated[int, Field(ge=1)]] = Field([], description="its own; empty: those of the probe")
    learning_rates: list[Annotated[float, Field(gt=0)]] = Field([], description="its own; empty: those of the probe")

    junk: str = Field(
        "none",
        description="none, endless, repetitive, learnable, or one of the corpus's token sets; in a recipe with `facts`,"
        " pages and tagged-pages: the text of the run that --corpus names",
    )

    @model_validator(mode="after")
    def _junk_has_a_kind(self) -> Arm:
        if (self.junk == "none") != (self.junk_ratio == 0):
            raise Refused("junk_ratio 0 and `junk: none` go together; any other ratio needs a kind of junk")
        if self.facts and self.people:
            raise Refused(f"arm '{self.arm}': `people` and `facts.people` both say who is shown: leave one out")
        return self

    @property
    def equal_to(self) -> str | None:
        """The arm that it has as many parameters as."""
        width = self.model.get("width")
        return width.removeprefix(EQUAL) if isinstance(width, str) and width.startswith(EQUAL) else None

    def run_settings(self) -> dict[str, Any]:
        """The settings that a plan's run has too."""
        return self.model_dump(exclude={"arm", "junk", *OWN})


OWN = ("model", "training", "facts", "exposures", "learning_rates")
"""What an arm can have in place of the probe's."""


GRID: dict[str, type[BaseModel]] = {"model": ProbeModel, "training": Training, "arm": Arm}
"""What a grid can vary: `model.width`, `training.batch`, `arm.tag`."""


def _equal_width(arm: str, model: ProbeModel, like: ProbeModel, vocabulary: int) -> int:
    wanted = like.built().parameters(vocabulary)
    try:
        return equal_width(lambda width: model.built(width=width), model.heads, wanted, vocabulary)
    except ArchitectureError as error:
        raise Refused(f"arm '{arm}': {error}") from None


MOST_RUNS, MOST_KINDS = 100_000, 10_000
"""Most runs of a grid, and most combinations of an arm and settings in it: more is taken for a typing error."""


class Quick(Strict):
    """What `--quick` takes in place of the whole grid."""

    exposures: list[Annotated[int, Field(ge=1)]] = Field([], description="empty: those of the probe")
    learning_rates: list[Annotated[float, Field(gt=0)]] = Field([], description="empty: those of the probe")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([], description="empty: those of the probe")
    arms: list[str] = Field([], description="names of arms; empty: all")


class Probe(Strict):
    """A grid: every arm at every number of exposures, learning rate and seed, and at every value of `grid`."""

    corpus: str | None = Field(None, description="folder of a finished run whose facts and token sets are used")
    facts: dict[str, Any] | None = Field(None, description="without a corpus: the parameters of `inject`")
    useful: str = Field("curated", description="the token set whose injected documents are learnt")
    drawn: bool = Field(False, description="draw the facts' texts where models train, from facts/bundle.npz")
    model: ProbeModel = Field(default=ProbeModel(), description="the models that are trained")
    training: Training = Field(default=Training(), description="how they are trained")
    exposures: list[Annotated[int, Field(ge=1)]] = Field(
        [], description="exposures of each fact; empty: as many as were injected"
    )
    climb: bool = Field(
        False,
        description="each seed of each arm, at each learning rate, climbs `exposures` from their middle until two of"
        " them bracket half of the facts, and is trained at no others",
    )
    learning_rates: list[Annotated[float, Field(gt=0)]] = Field(
        [1.6e-2], min_length=1, description="each is a run of its own"
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [0], min_length=1, description="each is a run of its own: other first weights, another order"
    )
    grid: dict[str, list[Any]] = Field(
        {}, description="lists of values of other settings, such as `model.width: [32, 64]`, `training.batch: [8, 16]`"
    )
    save: bool = Field(False, description="keep the trained weights of every run")
    evaluate: list[Literal[EVALUATIONS]] = Field([], description="what else is told of every checkpoint")  # type: ignore[valid-type]
    memorisation: Memorisation = Field(Memorisation(), description="which sequences `memorisation` asks for")
    retrieval: Retrieval = Field(Retrieval(), description="what `retrieval` searches, and how it is mixed")
    questions: Asking = Field(Asking(), description="how `questions` asks, and tunes before")
    arms: list[Arm] = Field(min_length=1, description="the rows of the result table")
    quick: Quick | None = Field(None, description="a smaller grid, for `--quick`")

    @field_validator("grid")
    @classmethod
    def _grid_is_of_settings(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for key, values in grid.items():
            part, _, name = key.partition(".")
            if part not in GRID or name not in GRID[part].model_fields or name in ("arm", *OWN):
                kinds = ", ".join(f"{one}.*" for one in GRID)
                raise Refused(f"'{key}' is not a setting that a grid can vary; it varies {kinds}")
            if not values:
                raise Refused(f"'{key}' has no values: name at least one")
        return grid

    @model_validator(mode="after")
    def _grid_can_be_built(self) -> Probe:
        # Counted before anything is expanded: a few lists of some hundred values each are more than any memory holds.
        each = math.prod(map(len, self.grid.values()))
        kinds = each * len(self.arms)
        runs = each * len(self.seeds) * sum(len(self.rates_of(arm)) * len(self.ladder_of(arm)) for arm in self.arms)
        if kinds > MOST_KINDS or runs > MOST_RUNS:
            raise Refused(
                f"the grid would be {runs:,} runs of {kinds:,} kinds; at most {MOST_RUNS:,} of {MOST_KINDS:,} are"
                " planned: name fewer values"
            )
        try:
            self.variants()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise Refused(f"grid: with one of its values {where or 'the probe'} is invalid: {first['msg']}") from None
        return self

    @model_validator(mode="after")
    def _climbs_a_ladder(self) -> Probe:
        refuse_credentials(self.corpus or "")
        if self.climb and min(len(self.ladder_of(arm)) for arm in self.arms) < 2:
            raise Refused("climb: there is no ladder to climb; name at least two `exposures`")
        return self

    @model_validator(mode="after")
    def _quick_names_arms(self) -> Probe:
        there = [arm.arm for arm in self.arms]
        for name in self.quick.arms if self.quick else []:
            if name not in there:
                raise Refused(f"quick: there is no arm '{name}'; there are: {', '.join(there)}")
        if self.quick:
            self.quickly().variants()
        return self

    def ladder_of(self, arm: Arm) -> list[int]:
        """The exposures of an arm; 0 stands for as many as were injected."""
        return arm.exposures or self.exposures or [0]

    def rates_of(self, arm: Arm) -> list[float]:
        """The learning rates of an arm."""
        return arm.learning_rates or self.learning_rates

    def quickly(self) -> Probe:
        """The smaller grid of `quick`. Raises Refused where the recipe has no `quick`."""
        if self.quick is None:
            raise Refused("this recipe names no smaller grid (`probe.quick`); leave --quick out")
        given = {key: value for key, value in self.quick.model_dump().items() if value and key != "arms"}
        arms = [arm for arm in self.arms if arm.arm in self.quick.arms or not self.quick.arms]
        return self.model_copy(update=given | {"arms": arms, "quick": None})

    def without_junk(self, kinds: Container[str]) -> tuple[Probe, list[str]]:
        """The same without the arms of some kinds of junk, and their names."""
        left_out = [arm.arm for arm in self.arms if arm.junk in kinds]
        return self.model_copy(update={"arms": [arm for arm in self.arms if arm.arm not in left_out]}), left_out

    def variants(self, vocabulary: int | None = None) -> list[tuple[Any, Any, Any, dict[str, Any]]]:
        """Model, training and arm for every arm and every combination of the grid's values, and those values.

        `vocabulary` is how many tokens' rows count among the parameters; without it, a width of equal parameters is
        that of the arm itself. Raises Refused where a width or an arm's own settings do not fit.
        """
        variants = []
        for arm, values in itertools.product(self.arms, itertools.product(*self.grid.values())):
            chosen = dict(zip(self.grid, values, strict=True))
            parts = self._parts(arm, chosen)
            if arm.equal_to is not None:
                base = next((one for one in self.arms if one.arm == arm.equal_to), None)
                if base is None or base.equal_to is not None:
                    raise Refused(
                        f"arm '{arm.arm}': `width: {EQUAL}{arm.equal_to}`: there is no such arm with a width of its own"
                    )
                like = ProbeModel(**self._parts(base, chosen)["model"])
                width = like.width
                if vocabulary is not None:
                    width = _equal_width(arm.arm, ProbeModel(**parts["model"] | {"width": width}), like, vocabulary)
                parts["model"]["width"] = width
            model, training, of = (GRID[part](**given) for part, given in parts.items())
            variants.append((model, training, of, chosen))
        return variants

    def _parts(self, arm: Arm, chosen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Settings of model, training and arm, at these values of the grid."""
        parts = {"model": self.model.model_dump(), "training": self.training.model_dump(), "arm": arm.model_dump()}
        for key, value in chosen.items():
            part, _, name = key.partition(".")
            if name in getattr(arm, part, {}):
                raise Refused(f"the grid varies {key}, and arm '{arm.arm}' has its own: leave one of them out")
            parts[part][name] = value
        for part in ("model", "training"):
            parts[part] |= getattr(arm, part)
        return parts


RENDERING = ("domain", "bare", "cool_down", "tag_loss", "tag_at_test")
"""Settings of how domains are rendered; the others need a `domain`."""

_DOMAIN = (
    "no rendering; the domain as text; a token of its own, or a shared one for rare domains; one of 64 tokens by its"
    " hash; the whole URL as text"
)


class ComparedArm(model_of(RunPlan, output.Rendering, only=RENDERING, domain={"doc": _DOMAIN})):  # type: ignore[misc]
    """One arm of a comparison: a corpus, and how domains are rendered in front of its pages and of the facts."""

    arm: str = Field(description="its name")
    corpus: str | None = Field(None, description="folder of a finished run, or a recipe; empty: that of --corpus")

    @model_validator(mode="after")
    def _something_is_rendered(self) -> ComparedArm:
        refuse_credentials(self.corpus or "")
        given = self.model_fields_set.intersection(RENDERING[1:])
        if given and self.domain == "none":
            raise Refused(f"`{min(given)}` is about rendered domains, and `domain` is none: name a rendering")
        return self


class Recipe(Strict):
    """A corpus to build (`inputs`, `steps`, `output`), a grid to train (`probe`), arms to `compare`, or several."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")
    description: str = Field(default="", description="one sentence for readers; it changes nothing")
    inputs: list[RecipeInput] = Field(default=[], description="where documents come from")
    steps: list[Any] = Field(default=[], description="the steps in order: a name, or a name with parameters")
    output: Output = Field(default=Output(), description="what a run leaves behind")
    max_loss: float = Field(0.01, ge=0, le=1, description="share of records, or bytes, that may be unreadable")
    engine: EngineSettings = Field(default=EngineSettings(), description="how a run is carried out")
    probe: Probe | None = Field(default=None, description="for `goldsand probe`: the grid of models to train")
    compare: Annotated[list[ComparedArm], Field(min_length=2)] | None = Field(
        default=None, description="for `goldsand compare`: the arms, the first of which the others are held against"
    )


@functools.cache
def parameters_of(name: str) -> type[BaseModel]:
    """A pydantic model of one step's parameters. Raises Refused where it is not a step, or has parameters that YAML
    cannot hold."""
    try:
        return model_of(step_class(name))
    except (NameError, PydanticUserError) as error:
        raise Refused(f"`{name}` has parameters that no recipe can hold: {error}") from None


def build_step(name: str, parameters: dict[str, Any]) -> Step:
    """The step itself. Raises Refused when its parameters do not fit together."""
    checked = parameters_of(name)(**parameters)
    return step_class(name)(**{key: getattr(checked, key) for key in type(checked).model_fields})
