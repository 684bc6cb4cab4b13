"""The files of probes for `mutants.py`: facts and token sets, and the states of a probe: figures, results, the state of
a run that was cut off, checkpoints."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from mutated_runs import write_run
from mutation import Format, command

PEOPLE = {"kind": "people", "people": 12, "exposures": 2, "held_out": 3, "held_out_templates": 2}


def write_corpus_of_facts(folder: Path, seed: int) -> None:
    """Facts and tokens; those of another seed are of other people, in the same vocabulary."""
    from synth.corpus import facts_corpus, own_vocabulary
    from synth.inject import Inject

    vocabulary = own_vocabulary(Inject(**PEOPLE).placed())
    facts_corpus(folder, Inject(**PEOPLE, seed=seed), vocabulary=vocabulary)


def plan_over(work: Path, drawn: bool) -> Any:
    from train_probe.plan import plan_of

    return plan_of(
        {
            "facts": str(work / "facts"),
            "useful": None if drawn else str(work / "tokens" / "facts"),
            "model": {"layers": 1, "heads": 1, "width": 8},
            "training": {"batch": 2, "window": 192},
            "runs": [{"arm": "a", "exposures": 2}],
            "processes": 1,
        }
    )


def _plain(*tensors: Any) -> list[Any]:
    return [one.tolist() for one in tensors]


def inputs_of(work: Path, drawn: bool = False) -> Any:
    """All that shapes a run's figures, and its name."""
    import torch

    from train_probe.data import Data
    from train_probe.inputs import read_inputs
    from train_probe.train import run_name

    one = plan_over(work, drawn)
    inputs = read_inputs(one)
    texts = Data(one, inputs, torch.device("cpu")).stream(one.runs[0]).chunk(0, 2)
    facts = inputs.facts
    held_out = {name: _plain(*held.rows) for name, held in inputs.held_out.items()}
    figures = [facts.kind, facts.people, facts.name_pool_bits, facts.value_pool_bits, facts.used_vocabulary]
    spans = [_plain(facts.spans, *facts.rows, facts.row_tag), held_out]
    return [run_name(one, one.runs[0], inputs), figures, spans, [_plain(*two) for two in texts]]


def inputs_drawn(work: Path) -> Any:
    return inputs_of(work, drawn=True)


def table(work: Path) -> Any:
    """The facts as those who retell them read them."""
    from synth.facts import FactTable

    one = FactTable.load(work / "facts")
    return [one.people, one.kind, one.entities.tolist(), one.values.tolist(), repr(one.bits())]


def write_probe(folder: Path, seed: int) -> None:
    """A finished probe of two runs with checkpoints, and one that was cut off; beside it a finished corpus."""
    from probe_world import World

    from train_probe import slots
    from train_probe.records import RunRecord
    from train_probe.train import run_plan

    World(folder, people=8, exposures=3, page_tokens=300, seed=0)
    run_plan(_probe(folder), folder / "out")
    kept = RunRecord.end
    RunRecord.end = lambda self: None  # type: ignore[method-assign]
    every, slots._SAVED = slots._SAVED, -1.0
    try:
        run_plan(_probe(folder, cut_off=True, seed=seed), folder / "out")
    finally:
        RunRecord.end, slots._SAVED = kept, every  # type: ignore[method-assign]
    cut_off = list((folder / "out" / "runs").glob("*/state.npz"))
    assert cut_off
    for path in cut_off:
        (path.parent / "figures.json").unlink()
    kept_weights = sorted(str(path.relative_to(folder)) for path in folder.glob("out/runs/*/checkpoints/*"))
    (folder / "checkpoints.json").write_text(json.dumps(kept_weights))
    write_run(folder / "corpus", 0)


def _probe(folder: Path, cut_off: bool = False, seed: int = 0) -> Any:
    from train_probe.plan import plan_of

    runs = [{"arm": "a", "exposures": 1}, {"arm": "b", "exposures": 2}]
    plan = {
        "facts": str(folder / "facts"),
        "useful": str(folder / "useful"),
        "junk_shards": {"raw": str(folder / "pages")},
        "model": {"layers": 1, "heads": 2, "width": 8},
        "training": {"batch": 4, "window": 64, "evaluate_exposures": [1, 2]},
        "runs": [{"arm": "c", "exposures": 3, "seed": seed}] if cut_off else runs,
        "processes": 1,
        "save": True,
    }
    return plan_of(plan)


def _same(results: list[dict[str, Any]]) -> Any:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in results]


def probe_again(work: Path) -> Any:
    """What the same plan measures."""
    from train_probe.train import run_plan

    return _same(run_plan(_probe(work), work / "out"))


def probe_goes_on(work: Path) -> Any:
    """What the run measures that was cut off."""
    from train_probe.train import run_plan

    return _same(run_plan(_probe(work, cut_off=True), work / "out"))


def probe_page(work: Path) -> Any:
    command("report", work / "corpus" / "out", "--probe", work / "out")
    return (work / "corpus" / "out" / "report.html").read_text()


def checkpoint(work: Path) -> Any:
    """The weights of a run, as they are exported."""
    from train_probe.export import export
    from train_probe.records import read_checkpoint

    found = []
    for name in json.loads((work / "checkpoints.json").read_text()):
        model = read_checkpoint(work / name)
        found.append([name, sorted(model.state_dict())])
        found.append([hashlib.sha256(one.numpy().tobytes()).hexdigest() for one in model.state_dict().values()])
        shutil.rmtree(work / "exported", ignore_errors=True)
        export(model, work / "exported", check=False)
    return found


_TORCH = ("train_probe.train", "train_probe.export", "train_probe.slots", "synth.facts", "recipes.app.cli")
FORMATS = {
    "facts": Format(
        write_corpus_of_facts,
        ("facts/*",),
        {"inputs": inputs_of, "drawn": inputs_drawn, "table": table},
        imports=_TORCH,
    ),
    "tokens": Format(write_corpus_of_facts, ("tokens/**/*",), {"inputs": inputs_of}, imports=_TORCH),
    "states of a probe": Format(
        write_probe,
        ("out/*.json", "out/runs/*/*", "out/runs/*/checkpoints/*/*"),
        {"again": probe_again, "goes on": probe_goes_on, "page": probe_page, "checkpoint": checkpoint},
        imports=_TORCH,
        of={
            "page": ("out/results.json",),
            "checkpoint": ("out/runs/*/checkpoints/*/*",),
            "goes on": ("out/runs/*/state.npz", "out/runs/*/metrics.jsonl"),
            "again": ("out/*.json", "out/runs/*/*.json", "out/runs/*/metrics.jsonl"),
        },
    ),
}
