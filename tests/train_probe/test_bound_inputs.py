"""Facts, scoring, bundle, tokens and tags belong together: one of another corpus is a refusal, never another figure.
(Of random damage: tests/test_mutants.py.)"""

import json
import shutil
import zipfile

import pytest
import torch
from probe_world import World

from curate.errors import Unchecked
from curate.shards.vocabulary import Vocabulary
from synth.corpus import facts_corpus
from synth.facts import FactsError, FactTable
from synth.inject import Inject
from train_probe.data import Data
from train_probe.inputs import read_inputs
from train_probe.plan import PlanError, plan_of
from train_probe.records import RunRecord
from train_probe.train import run_name, run_plan


def plan(corpus, drawn=False, **changes):
    content = {
        "facts": str(corpus / "facts"),
        "useful": None if drawn else str(corpus / "tokens" / "facts"),
        "model": {"layers": 1, "heads": 1, "width": 8},
        "training": {"batch": 2, "window": 192},
        "runs": [{"arm": "a", "exposures": 2}],
        "processes": 1,
    }
    return plan_of(content | changes)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A corpus of facts, and another one of other people in the same vocabulary."""
    folder = tmp_path_factory.mktemp("corpora")
    facts_corpus(folder / "one", Inject(kind="people", people=12, exposures=2, held_out=3, held_out_templates=2))
    vocabulary = Vocabulary.load(folder / "one" / "tokens" / "tokenizer.json")
    other = Inject(kind="people", people=12, exposures=2, held_out=3, held_out_templates=2, seed=7)
    facts_corpus(folder / "other", other, vocabulary=vocabulary)
    return folder


@pytest.fixture
def corpus(corpora, tmp_path):
    shutil.copytree(corpora / "one", tmp_path / "one")
    return tmp_path / "one"


def read(corpus, drawn):
    """All that shapes a run's figures, and its name."""
    one = plan(corpus, drawn)
    inputs = read_inputs(one)
    texts = Data(one, inputs, torch.device("cpu")).stream(one.runs[0]).chunk(0, 2)
    facts = inputs.facts
    held_out = {name: [row.tolist() for row in held.rows] for name, held in inputs.held_out.items()}
    spans = [facts.spans.tolist(), [row.tolist() for row in facts.rows], facts.row_tag.tolist()]
    figures = [facts.kind, facts.people, facts.name_pool_bits, facts.value_pool_bits, facts.used_vocabulary]
    return run_name(one, one.runs[0], inputs), figures, spans, held_out, [[t.tolist() for t in two] for two in texts]


@pytest.mark.parametrize("drawn", [False, True])
def test_a_bundle_or_facts_of_another_corpus_are_refused_with_the_file(corpora, corpus, drawn):
    name = "bundle.npz" if drawn else "scoring.npz"
    shutil.copy(corpora / "other" / "facts" / name, corpus / "facts" / name)
    with pytest.raises(PlanError, match=f"{corpus}/facts/{name} is not what was written with the other files"):
        read(corpus, drawn)


def test_whole_facts_of_another_corpus_are_not_those_of_the_tokens(corpora, corpus):
    shutil.copytree(corpora / "other" / "facts", corpus / "facts", dirs_exist_ok=True)
    with pytest.raises(PlanError, match=f"{corpus}/tokens/facts was not written with the facts in {corpus}/facts"):
        read(corpus, False)


def test_an_array_of_seven_tebibytes_is_refused_where_nothing_is_known_of_it(tmp_path):
    world = World(tmp_path)
    path = tmp_path / "facts" / "scoring.npz"
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held["spans.npy"] = held["spans.npy"].replace(b"(80, 4)", b"(1099511627776, 7)")[: len(held["spans.npy"])]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    with pytest.warns(Unchecked, match="nobody can check the facts"), pytest.raises(PlanError, match=str(path)):
        read_inputs(plan_of(world.plan([{"arm": "a", "exposures": 2}])))


def test_a_changed_domain_token_is_refused_and_without_a_seal_another_run(tmp_path):
    world = World(tmp_path)
    one = plan_of(world.plan([{"arm": "a", "exposures": 2}]))
    with pytest.warns(Unchecked):
        before = run_name(one, one.runs[0], read_inputs(one))
    path = tmp_path / "useful" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["domains"][0]["token"] = 2
    path.write_text(json.dumps(metadata))
    with (
        pytest.warns(Unchecked),
        pytest.raises(PlanError, match=f"{path} was changed after it was written"),
    ):
        read_inputs(one)
    del metadata["seal"]
    path.write_text(json.dumps(metadata))
    with pytest.warns(Unchecked, match=f"nobody can check {path}"):
        assert run_name(one, one.runs[0], read_inputs(one)) != before


@pytest.mark.filterwarnings("ignore::curate.errors.Unchecked")
def test_figures_that_were_edited_or_are_of_another_run_are_measured_again(tmp_path):
    one = plan_of(World(tmp_path).plan([{"arm": "a", "exposures": 1}, {"arm": "b", "exposures": 2}]))
    first, second = run_plan(one, tmp_path / "out")
    paths = [tmp_path / "out" / "runs" / row["run"] / "figures.json" for row in (first, second)]
    sound = [path.read_bytes() for path in paths]
    assert json.loads(sound[0])["value_bits"] == first["value_bits"]
    paths[0].write_text(json.dumps(json.loads(sound[0]) | {"value_bits": 12345.0}))
    paths[1].write_bytes(sound[0])
    assert RunRecord(paths[0].parent).figures() is None
    assert RunRecord(paths[1].parent).figures() is None
    again = run_plan(one, tmp_path / "out")
    assert [row["value_bits"] for row in again] == [first["value_bits"], second["value_bits"]]
    assert all(RunRecord(path.parent).figures() for path in paths)


def test_a_table_is_read_as_it_was_written_too(corpus):
    assert FactTable.load(corpus / "facts").people == 12
    path = corpus / "facts" / "values.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(FactsError, match=f"{path} is not what was written with the other files"):
        FactTable.load(corpus / "facts")
