"""A release holds what a probe read, made and found, says when a byte changed, and trains to the same figures."""

import hashlib
import json
import shutil
import warnings
from collections import Counter

import goldsand
import pytest
import torch
from typer.testing import CliRunner

from curate.document import Document
from curate.errors import Refused, Unchecked
from curate.shards.text import read_text_shard, write_text_shard
from recipes.app.cli import app
from recipes.app.measure.probe import run_probe
from recipes.app.recipe.load import load
from recipes.app.release import check as checking
from recipes.app.release.batches import Batches
from recipes.app.release.check import check_release
from recipes.app.release.inputs import without_places
from recipes.app.release.layout import SUMS, check_sums, chunk_file, lines_of, read_index, write_sums
from recipes.app.release.make import make_release
from recipes.app.release.opened import open_plan
from recipes.app.release.show import batch_of
from train_probe.foreign import ExportError
from train_probe.records import read_checkpoint

RECIPE = """\
name: tiny
probe:
  facts: {kind: compact, people: 12, exposures: 4, name_parts: [8, 8], attributes: 2, values: 4}
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 3, window: 32, evaluate_exposures: [2]}
  save: true
  exposures: [4]
  arms:
    - {arm: facts alone}
    - {arm: junk, junk: endless, junk_ratio: 0.5, tag: both, training: SPIKES}
    - {arm: pages, junk: tagged-pages, junk_ratio: 0.5, windows: mixed, tag: useful, tag_loss: false}
""".replace("SPIKES", "{guard: skip, guard_spread: 0.001, guard_window: 2, keep_spikes: 1}")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A finished probe with weights, the run that its pages are of, and the release."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "run" / "text").mkdir(parents=True)
    pages = (
        Document(
            key=f"s/p@{n}", text=f"Page {n} tells of {n * n} stones. " * 4, source="s", domain="a.example",
            url=f"http://a.example/{n}", metadata={"license": "CC-BY-4.0"} if n % 2 else {},
        )
        for n in range(30)
    )  # fmt: skip
    with (folder / "run" / "text" / "00000.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, pages)
    probe = folder / "probe"
    loaded = load(str(folder / "recipe.yaml"), [f"probe.corpus={folder / 'run'}"])
    run_probe(loaded, probe, processes=1)
    with warnings.catch_warnings(record=True) as said:
        made = goldsand.release(str(probe), folder / "release", corpus=folder / "run")
    # Its text was written without a run.
    assert [one.category for one in said] == [Unchecked]
    written = [path for path in (folder / "release").rglob("*") if path.is_file()]
    assert made.folder == folder / "release" and made.files == len(written)
    return folder


@pytest.fixture
def copied(world, tmp_path):
    return shutil.copytree(world / "release", tmp_path / "release")


def rows_of(release, stream, chunk):
    return list(read_text_shard(chunk_file(release, stream, chunk)))


def test_a_release_holds_all_of_a_probe(world):
    release = world / "release"
    index = read_index(release)
    assert [one["arm"] for one in index["runs"]] == ["facts alone", "junk", "pages"]
    for one in index["runs"]:
        assert one["checkpoints"] == [2, 4] and one["class"] == "gpt_neox"
        name = one["run"]
        assert json.loads((release / "config" / f"{name}.json").read_text())["versions"]["numerics"]
        for exposures in (2, 4):
            kept = world / "probe" / "runs" / name / "checkpoints" / str(exposures) / "model.safetensors"
            folder = release / "checkpoints" / name / str(exposures)
            assert (folder / "goldsand" / "model.safetensors").read_bytes() == kept.read_bytes()
            known = json.loads((release / "evaluations" / name / str(exposures) / "facts.json").read_text())
            assert known["exposures"] == exposures and known["value_bits"] is not None
    results = json.loads((release / "results.json").read_text())
    assert results == json.loads((world / "probe" / "results.json").read_text())
    metrics = [json.loads(line) for line in (release / "metrics.jsonl").read_text().splitlines()]
    assert {line["run"] for line in metrics} == {one["run"] for one in index["runs"]}
    gallery = json.loads((release / "gallery.json").read_text())
    assert all(set(prompt["checkpoints"]) == {"2", "4"} for one in gallery.values() for prompt in one)
    assert Counter(prompt["kind"] for prompt in gallery[index["runs"][2]["run"]]) == {"fact": 6, "page": 3}
    assert "release show . --step 16` shows" in (release / "README.md").read_text()
    everything = b"".join(path.read_bytes() for path in release.rglob("*") if path.is_file())
    assert str(world).encode() not in everything  # no folder of the machine
    assert check_sums(release) == sum(path.is_file() for path in release.rglob("*")) - 1


def test_checkpoints_load_in_transformers(world):
    transformers = pytest.importorskip("transformers")
    one = read_index(world / "release")["runs"][0]
    folder = world / "release" / "checkpoints" / one["run"] / "4"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("<|endoftext|>", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        assert model(torch.tensor([ids])).logits.shape[-1] >= len(tokenizer)


def test_both_continuations_of_a_spike_load_in_transformers_with_the_logits_of_ours(world):
    transformers = pytest.importorskip("transformers")
    release, one = world / "release", read_index(world / "release")["runs"][1]
    ((step, sides),) = one["spikes"].items()
    events = [json.loads(line) for line in (release / "events.jsonl").read_text().splitlines()]
    folder = release / "spikes" / one["run"] / step
    assert {"run": one["run"], **json.loads((folder / "event.json").read_text())} == events[0]
    assert events[0]["step"] == int(step) and len((folder / "losses.jsonl").read_text().splitlines()) > 1
    ids = torch.randint(0, 8, (2, 20), generator=torch.Generator().manual_seed(0))
    last = []
    for side in ("guarded", "unguarded"):
        assert sides[side][:2] == [int(step) - 1, int(step)]
        for after in (sides[side][0], sides[side][-1]):
            kept = folder / side / str(after)
            theirs = transformers.AutoModelForCausalLM.from_pretrained(kept)
            assert transformers.AutoTokenizer.from_pretrained(kept).eos_token == "<|endoftext|>"
            ours = read_checkpoint(kept / "goldsand")
            with torch.no_grad():
                assert torch.allclose(theirs(ids).logits, ours(ids), atol=1e-5)
        source = world / "probe" / "runs" / one["run"] / "spikes" / step / side / str(after) / "model.safetensors"
        assert (kept / "goldsand" / "model.safetensors").read_bytes() == source.read_bytes()
        last.append(theirs(ids).logits)
    assert not torch.equal(*last)
    assert f"spikes/{one['run']}/{step}/" in (release / "README.md").read_text()


def test_rows_of_data_are_the_batches_in_order_and_say_where_each_text_is_from(world):
    release = world / "release"
    index = read_index(release)
    opened = open_plan(release / "config" / "plan.json")
    for one in index["runs"]:
        run = opened.run(one["run"])
        stream = opened.data.stream(run)
        chunks = index["streams"][one["stream"]]["chunks"]
        assert list(chunks) == ["2", "4"] and chunks["4"] == stream.steps
        rows = [row for chunk in chunks for row in rows_of(release, one["stream"], int(chunk))]
        assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
        for step in (1, stream.steps):
            expected = []
            for tokens, lengths in stream.chunk(step - 1, step):
                for ids, length in zip(tokens[0], lengths[0], strict=True):
                    expected += [~one if one < 0 else one for one in ids[:length].tolist()]
            assert [i for row in rows if row["step"] == step for i in row["ids"]] == expected
        facts = [row for row in rows if row["kind"] == "fact"]
        assert Counter(row["document"] for row in facts) == {f"inject/{n}@{e}": 1 for n in range(12) for e in range(4)}
        assert {row["licence"] for row in facts} == {"generated"} and {row["domain"] for row in facts} == {"facts"}
        assert all(row["text"] for row in rows)


def test_pages_are_named_after_the_documents_of_their_run(world):
    one = read_index(world / "release")["runs"][2]
    rows = [row for row in rows_of(world / "release", one["stream"], 4) if row["kind"] == "page"]
    assert rows and {row["source"] for row in rows} == {"s"}
    for row in rows:
        number = int(row["document"].removeprefix("s/p@"))
        assert row["licence"] == ("CC-BY-4.0" if number % 2 else "") and row["url"] == f"http://a.example/{number}"
        said = row["text"].removeprefix("<|domain:a.example|>").removesuffix("<|endoftext|>")
        assert said in f"Page {number} tells of {number * number} stones. " * 4


def test_the_mix_counts_each_text_once_and_how_often_it_was_read(world):
    lines = [line.split(",") for line in (world / "release" / "mix.csv").read_text().splitlines()]
    stream = read_index(world / "release")["runs"][0]["stream"]
    # A record is an end of text, two parts of a name and two values.
    assert [line[1:] for line in lines if line[0] == stream] == [
        ["fact", "inject", str(12 * 5), "4.0", str(12 * 5 * 4), "1.0"]
    ]


def test_a_step_is_shown_as_text(world):
    release = world / "release"
    shown = CliRunner().invoke(app, ["release", "show", str(release), "--step", "2"])
    assert shown.exit_code == 0, shown.output
    name, arm, pieces = batch_of(release, 2)
    assert f"{name} ({arm}), step 2: 3 texts, 15 tokens" in shown.stdout and pieces[0].text in shown.stdout
    kept = rows_of(release, read_index(release)["runs"][0]["stream"], 2)
    assert [piece.line() | {"domain": ""} for piece in pieces] == [
        row | {"domain": ""} for row in kept if row["step"] == 2
    ]
    with pytest.raises(Refused, match=r"facts alone has steps 1 to 16, and none 17"):
        batch_of(release, 17)
    with pytest.raises(Refused, match="'zz' names 0 of the runs"):
        batch_of(release, 1, "zz")


def test_a_release_trains_again_to_the_last_bit(world):
    checked = goldsand.check_release(world / "release", processes=1, quiet=True)
    assert checked.exact and not checked.machines and len(checked.runs) == 3
    assert checked.compared["spikes"] == 1 and checked.compared["weights of spikes"] >= 4
    assert checked.compared["events"] >= 1
    assert checked.compared["checkpoints"] == 6 and checked.compared["texts of data/"] > 3 * 48
    assert checked.lines[-1] == "all of it is the same, to the last bit"


def test_a_changed_byte_is_found_before_anything_is_trained(copied, monkeypatch):
    monkeypatch.setattr(checking, "run_plan", None)
    for name in ("results.json", "data/README.md", "inputs/facts/scoring.npz", "retrain.sh"):
        path = copied / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(Refused, match=f"{name} is not what SHA256SUMS says"):
            check_release(copied)
        path.write_bytes(content)
    (copied / "more.txt").write_text("")
    (copied / "mix.csv").unlink()
    with pytest.raises(Refused, match=r"mix.csv is missing; .*more.txt is not listed"):
        check_release(copied)
    (copied / SUMS).write_text("nonsense\n")
    with pytest.raises(Refused, match="line 1, is not a checksum and a name"):
        check_release(copied)


def changed(release, name, change):
    path = release / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    write_sums(release)


def test_figures_that_do_not_come_again_are_named(copied):
    first = read_index(copied)["runs"][0]["run"]

    def higher(results):
        results[0]["value_bits_per_parameter"] += 1e-6

    changed(copied, "results.json", higher)
    checked = check_release(copied, first, processes=1)
    assert [one.split()[:2] for one in checked.differing] == [[f"{first}:", "value_bits_per_parameter"]]
    done = CliRunner().invoke(app, ["release", "--check", str(copied), "--run", first, "--processes", "1"])
    assert done.exit_code == 1 and "differs: " in done.stdout and "1 differ" in done.stderr


def test_a_spike_that_does_not_come_again_is_named(copied):
    one = read_index(copied)["runs"][1]
    ((step, sides),) = one["spikes"].items()
    kept = copied / "spikes" / one["run"] / step
    (kept / "losses.jsonl").write_text("")
    first, last = (kept / "unguarded" / str(sides["unguarded"][place]) / "goldsand" for place in (0, -1))
    for file in first.iterdir():
        shutil.copyfile(file, last / file.name)
    (copied / "events.jsonl").write_text("")
    write_sums(copied)
    said = "\n".join(check_release(copied, one["run"], processes=1).differing)
    assert f"losses of both continuations of the spike at step {step}" in said and "events at steps [] -> [" in said
    assert f"weights of spike {step}/unguarded/{sides['unguarded'][-1]}, 0." in said and said.count("\n") == 2


def test_a_class_whose_logits_are_others_is_not_left_behind(world, tmp_path, monkeypatch):
    def broken(model, folder, tokenizer, check):
        (folder / "config.json").write_text("{}")
        raise ExportError("no class")

    monkeypatch.setattr("recipes.app.release.make.export", broken)
    said = []
    make_release(world / "probe", tmp_path / "release", world / "run", said.append)
    assert len(said) == 3 and said[0] == "facts alone: weights are kept as goldsand's own alone: no class"
    assert not list(tmp_path.rglob("config.json"))
    assert [one["class"] for one in read_index(tmp_path / "release")["runs"]] == [None] * 3


def test_lines_of_a_run_whose_loss_was_not_finite_are_json(tmp_path):
    (tmp_path / "lines").write_text('{"step": 1, "loss": NaN, "losses": {"fact": -Infinity}}\n{"step": 2}\n')
    assert lines_of(tmp_path / "lines") == [{"step": 1, "loss": None, "losses": {"fact": None}}, {"step": 2}]
    assert lines_of(tmp_path / "none") == []


def test_another_machine_is_said_and_has_bounds(copied):
    first = read_index(copied)["runs"][0]["run"]
    changed(copied, "release.json", lambda index: index["runs"][0]["machine"].update(torch_build="other"))

    def higher(amount):
        def change(results):
            results[0]["value_bits_per_parameter"] += amount

        return change

    changed(copied, "results.json", higher(0.02))
    checked = check_release(copied, first, processes=1)
    assert checked.sound and not checked.exact and len(checked.near) == 1
    assert checked.machines[0].startswith("torch_build other -> ")
    assert "within the bounds for another machine" in "\n".join(checked.lines())
    changed(copied, "results.json", higher(0.02))
    assert not check_release(copied, first, processes=1).sound


def test_a_release_of_another_trainer_is_refused(copied, monkeypatch):
    monkeypatch.setattr("train_probe.train.NUMERICS", 10_000)
    with pytest.raises(Refused, match=r"was trained by another version of the trainer .*: facts alone would be run"):
        check_release(copied)


def test_without_weights_nothing_is_released(world, tmp_path):
    probe = shutil.copytree(world / "probe", tmp_path / "probe")
    name = read_index(world / "release")["runs"][1]["run"]
    (probe / "runs" / name / "checkpoints" / "2" / "model.safetensors").unlink()
    with pytest.raises(Refused, match=r"checkpoints/2 is missing: .*--set probe.save=true"):
        make_release(probe, tmp_path / "release", world / "run")
    assert not (tmp_path / "release").exists()


def test_a_probe_that_is_asked_for_weights_trains_what_has_none(world, tmp_path):
    probe = shutil.copytree(world / "probe", tmp_path / "probe")
    name = read_index(world / "release")["runs"][0]["run"]
    kept = probe / "runs" / name / "checkpoints" / "4" / "model.safetensors"
    before = hashlib.sha256(kept.read_bytes()).hexdigest()
    shutil.rmtree(probe / "runs" / name / "checkpoints")
    run_probe(load(str(world / "recipe.yaml"), [f"probe.corpus={world / 'run'}"]), probe, processes=1)
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == before


def test_a_recipe_is_released_without_the_folders_of_its_machine():
    recipe = {"inputs": [{"path": "/home/me/*.warc.gz"}], "steps": ["extract", {"rights": {"robots": "robots/"}}]}
    assert without_places(recipe) == recipe | {"inputs": [{"path": "*.warc.gz"}]}


def test_a_folder_of_others_is_not_replaced_and_an_own_one_is(world, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(Refused, match="holds other files"):
        make_release(world / "probe", tmp_path / "mine", world / "run")
    with pytest.raises(Refused, match=r"is no release: it has no release.json"):
        check_release(tmp_path / "mine")
    refused = CliRunner().invoke(app, ["release", str(world / "probe")])
    assert refused.exit_code == 2 and "-o DIR" in refused.stderr


def test_pages_of_no_known_run_keep_their_place(world):
    opened = open_plan(world / "release" / "config" / "plan.json")
    batches, run = Batches(opened), opened.plan.runs[2]
    pieces = [piece for piece in batches.pieces(run, 1, batches.steps(run)) if piece.origin.kind == "page"]
    assert all(piece.origin.document.startswith("tagged-pages#") for piece in pieces)
    assert batches.unnamed == {"tagged-pages": len({piece.origin.document for piece in pieces})}


def test_what_a_probe_recites_of_each_chunk_is_a_file_of_its_own(tmp_path):
    asked = "  drawn: true\n  evaluate: [memorisation, calibration, questions]\n"
    asked += "  memorisation: {prompt: 3, continuation: 2, chunks: 2}\n  save: true\n"
    text = RECIPE.replace("  save: true\n", asked).partition("    - {arm: junk")[0]
    records = "kind: biod, chunks: 1, length: 1, alphabet: 64,"  # of which questions can be asked, too
    text = text.replace("kind: compact,", records).replace(", values: 4}", "}")
    halves = "".join(f"    - {{arm: half {half}, halves: 2, half: {half}}}\n" for half in (0, 1))
    (tmp_path / "recipe.yaml").write_text(text.replace("alone}", "alone, blocks: 2}") + halves)
    run_probe(load(str(tmp_path / "recipe.yaml")), tmp_path / "probe", processes=1)
    make_release(tmp_path / "probe", tmp_path / "release", None, lambda words: None)
    name = read_index(tmp_path / "release")["runs"][0]["run"]
    for exposures in (2, 4):
        kept = json.loads((tmp_path / "probe" / "runs" / name / "evaluations" / f"{exposures}.json").read_text())
        folder = tmp_path / "release" / "evaluations" / name / str(exposures)
        chunks = kept["memorisation"]["chunks"]
        assert len(chunks) == 2
        for number, chunk in enumerate(chunks):
            written = json.loads((folder / f"{number}.json").read_text())
            assert written["evaluation"] == "memorisation" and chunk.items() <= written.items()
        kept["calibration"].pop("each")  # what every answer was is the probe's own
        for one in ("calibration", "questions"):
            assert json.loads((folder / f"{one}.json").read_text()) == kept[one]
    everything = b"".join(path.read_bytes() for path in (tmp_path / "release").rglob("*") if path.is_file())
    assert str(tmp_path).encode() not in everything
    shutil.rmtree(tmp_path / "probe")
    # What is told of several checkpoints, and of several runs, comes again too.
    checked = check_release(tmp_path / "release", processes=1)
    assert checked.exact and checked.compared["figures"] > 3 * 100
    one = check_release(tmp_path / "release", read_index(tmp_path / "release")["runs"][1]["run"], processes=1)
    assert one.exact


def test_what_a_store_adds_comes_again_where_a_group_of_one_person_has_no_error(tmp_path):
    (tmp_path / "recipe.yaml").write_text("""\
name: store
probe:
  facts: {kind: people, people: 3, exposures: [1, 2]}
  drawn: true
  model: {layers: 1, width: 8, heads: 2}
  training: {batch: 1, window: 256}
  evaluate: [retrieval]
  retrieval: {neighbours: [4], temperatures: [1.0], shares: [0.0, 0.5]}
  save: true
  arms: [{arm: facts}]
""")
    results = run_probe(load(str(tmp_path / "recipe.yaml")), tmp_path / "probe", processes=1)
    assert "nan" in str(results)
    make_release(tmp_path / "probe", tmp_path / "release")
    assert "NaN" not in "".join(path.read_text() for path in (tmp_path / "release").rglob("*.json"))
    assert check_release(tmp_path / "release", processes=1).exact
