"""From a checked recipe to the plan of a probe, and its training."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curate.errors import Refused
from curate.places.manifest import written
from curate.places.store import write_atomically
from curate.shards.parquet import ColumnWriter
from curate.shards.vocabulary import Vocabulary
from recipes.app.measure.begun import PROBE, begin
from recipes.app.measure.corpora import TEXTS, Corpus, open_corpus, shared_vocabulary, write_set
from recipes.app.measure.ladder import Grid, climbed, middle
from recipes.app.measure.memory import remembered
from recipes.app.measure.statistics import interval, stored_share
from recipes.app.recipe.load import Loaded
from recipes.app.recipe.schema import Arm, Probe, build_step
from synth.facts import FactTable
from synth.inject import Inject
from train_probe.alone import alone_in
from train_probe.figures import write_results
from train_probe.inputs import Facts, read_facts
from train_probe.plan import JUNK_KINDS

GENERATED = tuple(kind for kind in JUNK_KINDS if kind != "shards")
PAGES = {"pages": "none", "tagged-pages": "special"}
"""Junk of a recipe that has facts of its own: the text of the finished run that --corpus names, and how its domains are
rendered."""
SIZE = 1024
"""Tokens of the vocabulary of such text."""


def run_probe(
    loaded: Loaded,
    out: Path,
    quick: bool = False,
    processes: int | None = None,
    slots: int | None = None,
    compile: str = "auto",
    ray: str | None = None,
    tensorboard: Path | None = None,
    warn: Callable[[str], None] = warnings.warn,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Write `plan.json`, train every run of it that is not done yet (of a climb those that it needs), and write
    `results.parquet`, `summary.json` (means over seeds, with intervals) and, last, `results.json`.

    `warn` is called with a message where a part of the recipe is left out; `quiet` prints no progress. Raises Refused
    when the recipe has no probe, its corpus is not a finished run, `out` is the folder of a corpus, or another process
    writes into it.
    """
    probe = loaded.recipe.probe
    if probe is not None and probe.facts is not None and probe.corpus is None:
        probe, left_out = probe.without_junk(set(PAGES))
        if left_out:
            warn(f"left out: {', '.join(left_out)}; their junk is the text of a finished run: name it with --corpus")
    if probe is None:
        raise Refused(f"recipe '{loaded.recipe.name}' has no `probe:` part, so there is nothing to train")
    if quick:
        probe = probe.quickly()
    with alone_in(out):
        options = {"processes": processes, "slots": slots, "compile": compile}
        return _trained(probe, out, options, ray, tensorboard, quiet)


def _trained(
    probe: Probe, out: Path, options: dict[str, Any], ray: str | None, tensorboard: Path | None, quiet: bool
) -> list[dict[str, Any]]:
    if probe.facts is not None:
        begin(out, PROBE)  # the plan's facts are written anew
    plan = make_plan(probe, out)
    plan |= options
    begin(out, PROBE)
    # Imported after the plan is made: a mistake in it is reported even where torch is not installed.
    from train_probe.progress import listeners_of
    from train_probe.train import run_plan

    listeners = listeners_of(tensorboard, quiet)

    def train(plan: dict[str, Any]) -> list[dict[str, Any]]:
        write_plan(out, plan)
        return run_plan(out / "plan.json", out, listeners, ray, whole=False)

    results = _climbed(probe, plan, out, train) if probe.climb else train(plan)
    remembered(out, results)
    write_atomically(out / "results.parquet", parquet(results))
    write_atomically(out / "summary.json", json.dumps(summary(results), indent=1).encode())
    # Last: it makes the folder that of a finished probe.
    write_results(out, results)
    return results


def write_plan(out: Path, plan: dict[str, Any]) -> None:
    """Write what is trained, beside its results."""
    write_atomically(out / "plan.json", json.dumps(plan, indent=2).encode())


VARIED = (
    "arm", "architecture", "parameters", "people", "exposures", "junk_kind", "junk_ratio", "windows", "shuffle", "tag",
    "tag_leak", "tag_at_test", "learning_rate", "batch",
)  # fmt: skip
"""Settings that distinguish the rows of the summary: all but the seed."""

MEASURED = ("value_bits_per_parameter", "bits_per_parameter", "value_bits", "name_bits")


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each setting the mean over its seeds of what was measured, and the half-width of a 95 % interval by Student's
    t; None for one seed. Failed runs are counted apart."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in results:
        # A failed run has no architecture: it goes with its arm.
        groups.setdefault(tuple(row[key] for key in VARIED if key not in ("architecture", "parameters")), []).append(
            row
        )
    lines = []
    for rows in groups.values():
        sound = [row for row in rows if not row.get("error")]
        line = {key: (sound or rows)[0][key] for key in VARIED} | {
            "seeds": len(sound),
            "failed": len(rows) - len(sound),
        }
        for key in MEASURED:
            values = [row[key] for row in sound]
            one = interval(values) if values else None
            line[key] = one.mean if one else None
            line[f"{key}_half_width"] = one.half_width if one and one.count > 1 else None
        lines.append(line)
    return lines


def parquet(results: list[dict[str, Any]]) -> bytes:
    """The results as a Parquet file: a column for each figure, JSON text where one is a list or a group."""
    kinds: dict[str, type] = {}
    for row in results:
        for key, value in row.items():
            kind = type(value) if isinstance(value, bool | int | float | str) else str
            if value is not None:
                # A column with whole numbers and fractions holds fractions.
                kinds[key] = kind if kinds.get(key, kind) is kind else float
    kinds = {key: kinds.get(key, str) for row in results for key in row}
    stream = io.BytesIO()
    writer = ColumnWriter(stream, kinds)
    for row in results:
        writer.write({key: _cell(value, kinds[key]) for key, value in row.items()})
    writer.close()
    return stream.getvalue()


def _climbed(
    probe: Probe, plan: dict[str, Any], out: Path, train: Callable[[dict[str, Any]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The results of the runs of a plan that are needed to bracket half of the facts."""
    grid = Grid(plan, train)
    runs = {(_but_exposures(run), run["exposures"]): run for run in plan["runs"]}
    results: dict[tuple[str, int], dict[str, Any]] = {}

    def trained(wanted: Sequence[tuple[str, int]]) -> list[float | None]:
        results.update(zip(wanted, grid.trained([runs[one] for one in wanted]), strict=True))
        return [None if results[one].get("error") else stored_share(results[one]) for one in wanted]

    ladders: dict[str, list[int]] = {}
    for key, exposures in runs:
        ladders.setdefault(key, []).append(exposures)
    climbed({key: (sorted(ladder), middle(ladder)) for key, ladder in ladders.items()}, trained)
    # In the recipe's order of arms: tables and pages take the first for the one that others are compared with.
    names = list(dict.fromkeys(run["arm"] for run in plan["runs"]))
    chosen = sorted((one for one in runs if one in results), key=lambda one: names.index(runs[one]["arm"]))
    # The plan beside the results is of all of them, not of the last step alone.
    write_plan(out, plan | {"runs": [runs[one] for one in chosen]})
    return [results[one] for one in chosen]


def _but_exposures(run: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in run.items() if key != "exposures"}, sort_keys=True)


def _cell(value: Any, kind: type) -> Any:
    if value is None or isinstance(value, kind):
        return value
    return float(value) if kind is float else json.dumps(value)


def make_plan(probe: Probe, out: Path) -> dict[str, Any]:
    """The plan of a recipe: every arm at every number of exposures, learning rate and seed."""
    corpus = _corpus(probe, out)
    facts = read_facts(corpus / "facts")
    shown = int(facts.exposures.max(initial=0))
    asked = max(count for arm in probe.arms for count in probe.ladder_of(arm))
    if asked > shown:
        raise Refused(
            f"{corpus} holds {shown} exposures of each fact, and the recipe asks for {asked}:"
            " inject more (`--set inject.exposures=...`) or ask for fewer"
        )
    variants = probe.variants(facts.used_vocabulary)
    people = _people(probe, facts)
    named = sorted({arm.junk for _, _, arm, _ in variants if arm.junk not in GENERATED})
    for name in [*([] if probe.drawn else [probe.useful]), *named]:
        if not (corpus / "tokens" / name / "metadata.json").is_file():
            there = sorted(path.parent.name for path in corpus.glob("tokens/*/metadata.json"))
            raise Refused(f"{corpus} has no token set '{name}'; it has: {', '.join(there) or 'none'}")
    runs = [
        {
            **arm.run_settings(),
            **people(arm),
            "arm": f"{arm.arm}, " + ", ".join(f"{key} {value}" for key, value in chosen.items()) if chosen else arm.arm,
            "exposures": exposures,
            "junk_kind": arm.junk if arm.junk in GENERATED else "shards",
            "junk_shards": None if arm.junk in GENERATED else arm.junk,
            "seed": seed,
            "model": model.model_dump(),
            "training": training.model_dump() | {"learning_rate": learning_rate},
        }
        for exposures, learning_rate, seed, (model, training, arm, chosen) in itertools.product(
            list(dict.fromkeys(count or shown for arm in probe.arms for count in probe.ladder_of(arm))),
            list(dict.fromkeys(rate for arm in probe.arms for rate in probe.rates_of(arm))),
            probe.seeds,
            variants,
        )
        if (exposures in probe.ladder_of(arm) or not any(probe.ladder_of(arm))) and learning_rate in probe.rates_of(arm)
    ]
    asked_of_each = {
        "evaluate": probe.evaluate,
        "memorisation": probe.memorisation.model_dump(),
        "retrieval": probe.retrieval.model_dump(),
    }
    if "questions" in probe.evaluate or any(run["junk_kind"] == "questions" for run in runs):
        asked_of_each |= {"questions": str(_questions(corpus, out)), "asking": probe.questions.model_dump()}
    return {
        **(asked_of_each if probe.evaluate or "questions" in asked_of_each else {}),
        "facts": str(corpus / "facts"),
        "useful": None if probe.drawn else str(corpus / "tokens" / probe.useful),
        "save": probe.save,
        "junk_shards": {name: str(corpus / "tokens" / name) for name in named},
        "model": probe.model.model_dump(),
        "training": probe.training.model_dump(),
        "runs": runs,
    }


def _questions(corpus: Path, out: Path) -> Path:
    """The file of questions about the facts of a corpus, in its tokens, which is written into `out`."""
    from synth.asking import write_question_rows

    path = out / "questions.npz"
    vocabulary = Vocabulary.load(corpus / "tokens" / "tokenizer.json")
    write_question_rows(path, FactTable.load(corpus / "facts"), vocabulary)
    return path.resolve()


def _people(probe: Probe, facts: Facts) -> Callable[[Arm], dict[str, Any]]:
    """Says for an arm which people it shows, where these are not all. Raises Refused where facts have no people."""
    usual = facts.people
    if any(arm.facts for arm in probe.arms):
        if facts.kind not in COUNTED:
            raise Refused(f"an arm's `facts.people` is for facts of {', '.join(COUNTED)}; these are of '{facts.kind}'")
        if probe.facts is not None:
            inject = build_step("inject", probe.facts)
            assert isinstance(inject, Inject)
            usual = inject.people

    def of(arm: Arm) -> dict[str, Any]:
        shown = arm.facts.people if arm.facts else usual
        return {"people": [0, shown]} if not arm.people and shown != facts.people else {}

    return of


COUNTED = ("compact", "people", "biod")
"""Kinds of facts whose first people are people like all."""


def _enough_people(probe: Probe, inject: Inject) -> Inject:
    """The facts with as many people as the arm that shows most of them. The first ones are the same for every
    number."""
    most = max((arm.facts.people for arm in probe.arms if arm.facts), default=0)
    return dataclasses.replace(inject, people=most) if most > inject.people and inject.kind in COUNTED else inject


def _with_pages(inject: Inject, corpus: Corpus, folder: Path) -> Vocabulary:
    """Write a run's text as token sets; returns their vocabulary, which also holds the words of the facts."""
    placed = inject.placed()
    facts = (document.text for document in placed.documents(0, min(TEXTS, placed.total)))
    vocabulary = shared_vocabulary(corpus, facts, inject.domain, None, SIZE, inject.reserved_tokens())
    for name, domain in PAGES.items():
        write_set(corpus.documents(), vocabulary, folder / name, domain)
    return vocabulary


def _corpus(probe: Probe, out: Path) -> Path:
    """The folder with facts and token sets: a finished run, or one made of facts alone."""
    if probe.facts is not None:
        from synth.corpus import facts_corpus

        folder = out / "corpus"
        inject = build_step("inject", probe.facts)
        assert isinstance(inject, Inject)
        inject = _enough_people(probe, inject)
        name = None if probe.drawn else probe.useful
        if probe.corpus is None:
            facts_corpus(folder, inject, name=name)
        else:
            vocabulary = _with_pages(inject, open_corpus("pages", Path(probe.corpus)), folder / "tokens")
            facts_corpus(folder, inject, name=name, vocabulary=vocabulary, used=vocabulary.size)
        return folder.resolve()
    if probe.corpus is None:
        raise Refused("the probe needs facts: name a finished run with --corpus OUT, or write `facts:` in the recipe")
    corpus = Path(probe.corpus).resolve()
    if not corpus.is_dir():
        raise Refused(f"there is no folder {corpus}; name a finished run with --corpus OUT")
    if not (corpus / "facts" / "scoring.npz").is_file():
        raise Refused(
            f"{corpus} holds no facts to score: it must be the folder of a finished run whose recipe has `inject` and"
            " token sets (for example: goldsand run quickstart -o demo/corpus)"
        )
    written(corpus, "facts")  # the run is finished and of this version; what the files say is checked where it is read
    return corpus
