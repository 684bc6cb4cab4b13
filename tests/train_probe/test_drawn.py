"""Facts and junk drawn on the device from a bundle: the same training as from shards, and junk that is nobody's."""

import itertools
import math
import shutil

import numpy as np
import pytest
import torch

from curate.shards.vocabulary import Vocabulary
from synth.corpus import facts_corpus
from synth.inject import Inject
from train_probe.data import Data
from train_probe.inputs import read_inputs
from train_probe.plan import PlanError, plan_of
from train_probe.train import run_plan

INJECT = {"kind": "people", "people": 30, "exposures": [2, 5], "held_out": 6, "held_out_templates": 3, "seed": 4}
ENDLESS = {"arm": "junk", "exposures": 4, "junk_kind": "endless", "junk_ratio": 0.75}
REPETITIVE = ENDLESS | {"junk_kind": "repetitive", "junk_people": 7}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """The same facts as shards, and with nothing but the bundle, in one vocabulary."""
    folder = tmp_path_factory.mktemp("corpora")
    facts_corpus(folder / "shards", Inject(**INJECT), name="facts")
    vocabulary = Vocabulary.load(folder / "shards" / "tokens" / "tokenizer.json")
    facts_corpus(folder / "drawn", Inject(**INJECT), name=None, vocabulary=vocabulary)
    assert not list(folder.glob("drawn/tokens/*/*"))
    return folder


def plan(corpora, runs, kind="drawn", **changes):
    content = {
        "facts": str(corpora / kind / "facts"),
        "useful": str(corpora / "shards" / "tokens" / "facts") if kind == "shards" else None,
        "model": {"layers": 1, "heads": 1, "width": 16},
        "training": {"batch": 2, "window": 192},
        "runs": runs,
        "processes": 1,
    }
    return plan_of(content | changes)


def stream(corpora, run, kind="drawn", **changes):
    one = plan(corpora, [run], kind, **changes)
    return Data(one, read_inputs(one), torch.device("cpu")).stream(one.runs[0])


def decoded(vocabulary, tokens):
    return vocabulary._tokenizer.decode(tokens, skip_special_tokens=False)


def whole(one, block=0):
    tokens, lengths = one.chunk(0, one.steps)[block]
    return [
        token
        for row, size in zip(tokens.flatten(0, 1), lengths.flatten(), strict=True)
        for token in row[:size].tolist()
    ]


@pytest.mark.parametrize("tag", ["none", "useful"])
def test_drawn_texts_are_those_of_the_shards_in_the_same_order(corpora, tag):
    """Half of the people have two exposures, half five; what is held out is in neither."""
    run = {"arm": "a", "exposures": 5, "tag": tag, "seed": 3}
    drawn, read = (stream(corpora, run, kind) for kind in ("drawn", "shards"))
    assert (drawn.tokens, drawn.steps, drawn.shape) == (read.tokens, read.steps, read.shape)
    assert whole(drawn) == whole(read)
    assert drawn.step_of(2) == read.step_of(2) < drawn.steps


def test_a_drawn_grid_gives_the_figures_of_one_from_shards(corpora, tmp_path):
    runs = [{"arm": "a", "exposures": 3}, {"arm": "b", "exposures": 5, "seed": 1}]
    drawn, read = (run_plan(plan(corpora, runs, kind), tmp_path / kind) for kind in ("drawn", "shards"))
    for one, two in zip(drawn, read, strict=True):
        assert one["value_nats"] == two["value_nats"] and one["name_nats"] == two["name_nats"]
        assert one["held_out"] == two["held_out"] and set(one["held_out"]) == {"entities", "templates"}
        assert one["run"] != two["run"]


@pytest.mark.parametrize("run", [ENDLESS, REPETITIVE])
def test_junk_is_whole_windows_of_people_who_are_not_scored(corpora, run):
    one = stream(corpora, run)
    data = plan(corpora, [run])
    vocabulary = Vocabulary.load(corpora / "shards" / "tokens" / "tokenizer.json")
    junk = one._junk
    windows = junk.windows(0, 40)
    assert windows.shape == (40, 192)
    assert torch.equal(junk.windows(11, 17), windows[11:17])
    assert (windows[:, 0] == vocabulary.end_of_text).all()
    assert one.junk_ratio == pytest.approx(0.75, abs=0.01)
    # The names that windows begin with, against those of everybody in the facts.
    known, names = (
        {" ".join(decoded(vocabulary, row).split(" ")[:3]) for row in rows}
        for rows in ([row.tolist() for row in read_inputs(data).facts.rows], windows[:, 1:].tolist())
    )
    assert len(known) == 30
    assert not names & known
    assert len(names) == (7 if run is REPETITIVE else len(names)) and len(names) >= 7
    if run is ENDLESS:
        assert len(names) > 35


def test_mixed_windows_of_people_and_junk_people(corpora):
    pure, mixed = stream(corpora, ENDLESS), stream(corpora, ENDLESS | {"windows": "mixed"})
    assert mixed.shape == ((192, 8),) and pure.shape == ((192, 8),)
    assert mixed.junk_ratio == pytest.approx(0.75, abs=0.02)
    vocabulary = Vocabulary.load(corpora / "shards" / "tokens" / "tokenizer.json")
    texts = decoded(vocabulary, whole(mixed))
    useful = whole(stream(corpora, {"arm": "a", "exposures": 4}))
    ends = [i for i, token in enumerate(useful) if token == vocabulary.end_of_text] + [len(useful)]
    bodies = [decoded(vocabulary, useful[a + 1 : b]) for a, b in itertools.pairwise(ends)]
    assert len(bodies) == 15 * 2 + 15 * 4 and all(texts.count(body) >= 1 for body in bodies)
    assert mixed.tokens == len(whole(mixed))


def test_facts_without_a_bundle_are_refused_by_name(corpora, tmp_path):
    shutil.copytree(corpora / "drawn" / "facts", tmp_path / "facts")
    (tmp_path / "facts" / "bundle.npz").unlink()
    one = plan(corpora, [ENDLESS], facts=str(tmp_path / "facts"))
    with pytest.raises(PlanError, match=r"there is no bundle .*bundle\.npz.*goldsand synth people"):
        run_plan(one, tmp_path / "out")


def test_what_is_held_out_is_not_known(tmp_path):
    """A model that has learnt its people knows nothing of others: about the pools' own entropy, in nats, at best."""
    facts_corpus(
        tmp_path / "c", Inject(kind="people", people=6, exposures=200, held_out=6, frozen=True, seed=1), name=None
    )
    content = {
        "facts": str(tmp_path / "c" / "facts"),
        "useful": None,
        "model": {"layers": 2, "heads": 2, "width": 48},
        "training": {"batch": 2, "window": 128, "learning_rate": 5e-3},
        "runs": [{"arm": "a", "exposures": 200}],
        "processes": 1,
    }
    (result,) = run_plan(plan_of(content), tmp_path / "out")
    pool = np.log(2) * 47.59
    assert result["value_nats"] < 0.6 * pool
    assert result["held_out"]["entities"]["value_nats"] > pool
    assert result["held_out"]["entities"]["name_nats"] > math.log(1.6e8)
