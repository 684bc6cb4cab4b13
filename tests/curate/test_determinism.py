"""One recipe with every step gives the same bytes on any number of workers, in any order, cut anywhere, on any day."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from engine_steps import PUBLISHED, tree

from curate.filters.training import Text, TrainingSettings, train
from curate.registry import OWN
from curate.sources import Input, find_inputs
from curate.sources.content import size_of
from curate.sources.split import cut

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "recipes" / "sample"
RECIPE = """\
name: everything
inputs:
  - {name: crawl, path: in}
steps:
  - extract
  - rights: {on_opt_out: tag}
  - language: {keep: [en], min_score: 0.5}
  - url: {domains: [site6.example]}
  - safety
  - redact: {action: pseudonym, key_file: pii.key}
  - classifier: {model: model.bin, max_score: 0.99}
  - gopher_repetition
  - gopher_quality: {min_words: 20}
  - c4
  - fineweb
  - knowledge_density: {min_density: 0.0001}
  - gopher_repetition_dolma: {dup_line_frac: null, dup_line_char_frac: null}
  - gopher_quality_dolma: {min_words: 20}
  - c4_dolma
  - dclm_text
  - gopher_repetition_dclm
  - gopher_quality_dclm: {min_words: 20}
  - refinedweb_lines: {max_removed_words: 1}
  - c4_dclm: {punkt: punkt}
  - exact_dedup
  - minhash_dedup
  - line_dedup: {documents: 3}
  - passage_dedup: {length: 20}
  - decontaminate: {questions: questions.jsonl}
  - inject: {kind: people, people: 12, exposures: 4}
  - mix: {by: domain, repeat: {other: 1.5}}
  - forget: {listed: forget.txt}
  - shuffle
output:
  tokenizer: {kind: bpe, size: 400}
  tokens:
    raw: {from: extract}
    curated: {domain: special}
max_loss: 1
engine: {split: 0, buckets: 2}
"""
OTHERWISE = {
    "three workers, files named in another order, two years later": {"workers": 3, "shuffled": True, "later": True},
    "two workers, cut into pieces": {"workers": 2, "split": 20_000},
}


def write_inputs(folder: Path) -> None:
    """Some pages of the sample crawl, and lines of text: with copies, a contaminated one, and some that are no JSON."""
    (folder / "in").mkdir(parents=True)
    for partition in find_inputs([Input("crawl", str(SAMPLE / "*.warc.gz"))])[:2]:
        pages = cut(partition, size_of(partition) // 8)
        assert len(pages) > 2
        (folder / "in" / partition.path.name).write_bytes(partition.path.read_bytes()[: pages[1].end])
    shutil.copy(SAMPLE / "questions.jsonl", folder / "questions.jsonl")
    shutil.copytree(ROOT / "tests" / "parity" / "punkt", folder / "punkt")
    (folder / "pii.key").write_bytes(bytes(range(32)))
    (folder / "forget.txt").write_text("site3.example\n")
    kinds = [[Text(f"{word} {number}", "a") for number in range(30)] for word in ("river stone", "casino bonus")]
    train(*kinds, folder / "model.bin", held_out=0.1, settings=TrainingSettings(dimensions=2, buckets=100))
    question = json.loads((SAMPLE / "questions.jsonl").read_text().splitlines()[0])
    words = ["the", "of", "and", "that", "have", "with", "river", "hill", "stone", "water", "light", "house"]
    for number in range(2):
        rows = []
        for place in range(130):
            draw = random.Random(place if place % 9 == 0 else number * 1000 + place)
            sentences = [" ".join(draw.choices(words, k=12)).capitalize() + "." for _ in range(12)]
            text = "\n".join(sentences) + (f"\n{question['question']}" if place == 50 else "")
            text += f"\nThe river is known to person{place % 11}@site.org and to nobody else." if place % 3 == 0 else ""
            rows.append(json.dumps({"text": text, "url": f"https://site{place % 7}.example/{number}/{place}"}))
        rows.insert(100, '{"text": ')
        (folder / "in" / f"lines-{number}.jsonl").write_text("\n".join(rows) + "\n")


def run(folder: Path, out: Path, workers: int = 1, split: int = 0, later: bool = False, shuffled: bool = False) -> dict:
    """The recipe in a process of its own; `split` in bytes, which the recipe counts in megabytes."""
    code = (
        "from pathlib import Path\n"
        "from recipes.app.recipe.build import corpus_run; from recipes.app.recipe.load import load\n"
        "if __name__ == '__main__':\n"
        f" job = corpus_run(load('recipe.yaml'), Path({str(out)!r}), workers={workers})\n"
        f" job.split = {split}\n"
        " job.execute()"
    )
    script = folder / f"{out.name}.py"
    script.write_text(code)
    paths = [str(ROOT / "tests/curate/other_day")] if later else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(ROOT)])}
    if shuffled:
        # One input a file, in an order of its own: as files named one by one on a command line.
        names = sorted((path.name for path in (folder / "in").iterdir()), key=lambda name: name[::-1])
        inputs = "".join(f"  - {{name: crawl, path: in/{name}}}\n" for name in names)
        recipe = RECIPE.replace("  - {name: crawl, path: in}\n", inputs)
        (folder / "shuffled.yaml").write_text(recipe)
        script.write_text(code.replace("recipe.yaml", "shuffled.yaml"))
    result = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("everything")
    write_inputs(root)
    (root / "recipe.yaml").write_text(RECIPE)
    summary = run(root, root / "calm")
    assert {step["step"] for step in summary["steps"]} == set(OWN), "a step is missing from the recipe"
    dropping = {step["step"] for step in summary["steps"] if step["documents_dropped"]}
    assert {"url", "exact_dedup", "decontaminate", "gopher_quality"} <= dropping
    assert next(step for step in summary["steps"] if step["step"] == "redact")["characters_edited"] != 0
    return root


@pytest.mark.parametrize("name", OTHERWISE)
def test_the_same_bytes(folder, name):
    out = folder / name.replace(", ", "-").replace(" ", "-")
    run(folder, out, **OTHERWISE[name])
    published = tree(folder / "calm", PUBLISHED)
    assert len(published) > 20
    assert tree(out, PUBLISHED) == published
    if "split" not in OTHERWISE[name]:
        # Everything else too: what lies between stages and rounds, and manifests apart from their times.
        assert tree(out) == tree(folder / "calm")
    else:
        cuts = [json.loads(path.read_text())["pieces"] for path in sorted((out / "manifests/inputs").iterdir())]
        assert sum(len(pieces) > 2 for pieces in cuts) >= 3
