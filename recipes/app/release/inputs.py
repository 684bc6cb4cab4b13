"""What a finished probe was trained on: found again, held to be the same, and put into a release."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import orjson

from curate.errors import Refused
from curate.places.manifest import own_recipe
from curate.plain_yaml import read
from recipes.app.release.layout import CONFIG, INPUTS
from recipes.app.release.opened import TOKENIZER, Opened, open_plan
from recipes.app.report.shapes import read_results
from train_probe.plan import Plan, read_plan
from train_probe.records import WEIGHTS

PLAN_FILE = "plan.json"

_FOLDERS = ("junk_shards", "held_out_text", "cloze")


def opened_probe(probe: Path, corpus: Path | None = None) -> tuple[Opened, list[dict[str, Any]]]:
    """The opened plan of a finished probe, and its results, in order.

    Raises Refused where it is not finished, its inputs are not those that it was trained on, or weights are missing.
    """
    results = read_results(probe)
    opened = open_plan(_plan(probe, corpus), corpus)
    if len(results) != len(opened.plan.runs):
        raise Refused(
            f"{probe / PLAN_FILE} is of {len(opened.plan.runs)} runs, and the results are of {len(results)}: `goldsand"
            f" probe RECIPE -o {probe}` mends it"
        )
    for run, name, row in zip(opened.plan.runs, opened.names, results, strict=True):
        if name != row["run"]:
            raise Refused(
                f"{probe} was trained by another version of the trainer, or its inputs have changed since: {run.arm} is"
                f" {row['run']} in its results and would be {name} now; train it again, or name its corpus with"
                " --corpus"
            )
    _refuse_without_weights(probe, opened, results)
    return opened, results


def _refuse_without_weights(probe: Path, opened: Opened, results: list[dict[str, Any]]) -> None:
    lacking = []
    for run, row in zip(opened.plan.runs, results, strict=True):
        on_the_way = (one for one in opened.plan.training_of(run).evaluate_exposures if one < run.exposures)
        for exposures in (*on_the_way, run.exposures):
            folder = probe / "runs" / row["run"] / "checkpoints" / str(exposures)
            if not row.get("error") and not (folder / WEIGHTS).is_file():
                lacking.append(folder)
    if lacking:
        more = f" (and {len(lacking) - 1} other checkpoints)" if len(lacking) > 1 else ""
        raise Refused(
            f"{lacking[0]} is missing{more}: a release holds weights; `goldsand probe RECIPE -o {probe} --set"
            " probe.save=true` trains these runs once more and keeps them"
        )


def _plan(probe: Path, corpus: Path | None) -> Plan:
    """The plan of a probe; where its folders have moved, those of the corpus take their places."""
    path = probe / PLAN_FILE
    plan = read_plan(path)
    if plan.questions is not None and not plan.questions.is_file():  # the probe's own file: its folder has moved
        plan = dataclasses.replace(plan, questions=probe / plan.questions.name)
    if plan.facts.is_dir():
        return plan
    if corpus is None or not (corpus / "facts").is_dir():
        raise Refused(
            f"{plan.facts}, which {path} names, is not there: name the corpus that it was part of with --corpus"
        )

    def moved(folder: Path) -> Path:
        return (corpus / "tokens" / folder.name).resolve()

    return dataclasses.replace(
        plan, facts=(corpus / "facts").resolve(), useful=plan.useful and moved(plan.useful),
        junk_shards={name: moved(folder) for name, folder in plan.junk_shards.items()},
    )  # fmt: skip


def put_inputs(root: Path, probe: Path, opened: Opened, compiled: str) -> dict[str, Any]:
    """Copy what the runs read into a release; returns the plan that names these copies."""
    plan: dict[str, Any] = orjson.loads((probe / PLAN_FILE).read_bytes())
    inputs, tokens = root / INPUTS, root / INPUTS / "tokens"
    shutil.copytree(opened.plan.facts, inputs / "facts")
    tokens.mkdir()
    shutil.copyfile(opened.tokenizer, tokens / TOKENIZER)
    placed: dict[Path, str] = {}

    def put(place: Path, below: str) -> str:
        place = place.resolve()
        if place not in placed:
            free, number = place.name, 2
            while (inputs / below / free).exists():
                free, number = f"{place.stem}-{number}{place.suffix}", number + 1
            target = inputs / below / free
            target.parent.mkdir(exist_ok=True)
            _ = shutil.copytree(place, target) if place.is_dir() else shutil.copyfile(place, target)
            placed[place] = f"../{INPUTS}/{below}/{free}"
        return placed[place]

    plan["facts"] = f"../{INPUTS}/facts"
    plan["questions"] = None if opened.plan.questions is None else put(opened.plan.questions, "questions")
    plan["useful"] = None if opened.plan.useful is None else put(opened.plan.useful, "tokens")
    for key, below in zip(_FOLDERS, ("tokens", "held-out", "cloze"), strict=True):
        of = getattr(opened.plan, key)
        if of:
            plan[key] = {name: put(place, below) for name, place in of.items()}
    # Of the machine that it was trained on nothing is asked: how many processes there are changes no figure.
    plan |= {"processes": None, "slots": None, "compile": compiled, "save": True}
    if opened.corpus is not None and (recipe := own_recipe(opened.corpus)).is_file():
        (root / CONFIG).mkdir(exist_ok=True)
        content = without_places(read(recipe.read_text(encoding="utf-8")))
        (root / CONFIG / "corpus.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return plan


def without_places(content: Any) -> Any:
    """A recipe without the folders of the machine that it was run on: of an absolute path the last part stays."""
    if isinstance(content, dict):
        return {key: without_places(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_places(one) for one in content]
    return Path(content).name if isinstance(content, str) and Path(content).is_absolute() else content
