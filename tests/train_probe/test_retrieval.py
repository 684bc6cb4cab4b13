"""Retrieval of facts by a store of the training texts: what is asked, what is chosen on whom, what is refused."""

import numpy as np
import pytest
import torch

from synth.corpus import facts_corpus
from synth.inject import Inject
from train_probe.data import Data
from train_probe.inputs import Pages, read_inputs
from train_probe.knn import Mixture, Mixtures, RetrievalError
from train_probe.model import Transformer
from train_probe.plan import PlanError, plan_of
from train_probe.retrieval import RetrievedFacts, asked, chosen_on_others, page_rows, retrieved_text
from train_probe.score import span_nats

GRID = {"neighbours": [4], "temperatures": [1.0], "shares": [0.0, 0.5]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    facts_corpus(folder, Inject(kind="people", people=12, exposures=[1, 3], seed=4), name=None)
    return folder


def opened(folder, run=None, **retrieval):
    run = {"arm": "a", "exposures": 3, **(run or {})}
    content = {
        "facts": str(folder / "facts"),
        "useful": None,
        "runs": [run],
        "model": {"layers": 2, "heads": 2, "width": 16, "initialisation": "gpt2"},
        "training": {"window": 256},
        "evaluate": ["retrieval"],
        "retrieval": GRID | retrieval,
    }
    plan = plan_of(content)
    data = Data(plan, read_inputs(plan), torch.device("cpu"))
    one = RetrievedFacts.of_run(data, plan.runs[0], data.stream(plan.runs[0]))
    model = Transformer(plan.model_of(plan.runs[0]).built(), one.facts.vocabulary + 8, 512, seed=1).eval()
    return one, model


def test_the_model_alone_loses_what_it_is_scored_with(folder):
    one, model = opened(folder)
    begin = one.facts.begins(False)
    keys, targets, log, spans = asked(model, one.facts, begin, "mlp")
    expected = span_nats(model, one.facts.rows, begin, one.facts.spans[:, [0, 2, 3]], one.facts.vocabulary)
    assert np.bincount(spans, -log.numpy()) == pytest.approx(expected, rel=1e-4)
    assert len(keys) == len(targets) == int((one.facts.spans[:, 3] - one.facts.spans[:, 2]).sum())


def test_a_store_of_ones_own_texts_helps_more_than_one_without_them(folder):
    one, model = opened(folder)
    found = one(model)
    assert [group["exposures"] for group in found["groups"]] == [1, 3]
    assert [group["people"] for group in found["groups"]] == [6, 6]
    for group in found["groups"]:
        alone = group["model"]["bits"]
        assert group["near"]["bits"] - alone == pytest.approx(group["near"]["gain"][0])
        assert group["near"]["by_share"][0] == [0.0, pytest.approx(alone)]
        # An untrained model knows nothing: any store helps, and the person's own texts more.
        assert group["near"]["bits"] > alone
    assert found["groups"][1]["near"]["bits"] > found["groups"][1]["others"]["bits"]


def test_the_store_holds_every_exposure_of_everybody_and_knows_whose_it_is(folder):
    one, model = opened(folder)
    owners = torch.cat([part.owner for part in one.store(model)])
    texts = one._data.texts_of(one._run)
    lengths = texts.lengths(texts.order(3, 0)).sum() - 24  # but for the first token of each of 24 texts
    assert len(owners) == lengths and set(owners.tolist()) == set(range(12))
    more = torch.bincount(owners).double()
    assert sorted(np.argsort(more.numpy())[6:].tolist()) == np.flatnonzero(one.facts.exposures == 3).tolist()


def test_a_mixture_is_chosen_on_the_other_half_of_the_people():
    plain, mixed = Mixture(1, 1.0, 0.0), Mixture(1, 1.0, 0.5)
    nats = {plain: np.array([1.0, 5, 1, 5]), mixed: np.array([2.0, 1, 2, 1])}
    best, chosen = chosen_on_others(nats)
    assert chosen == [str(mixed), str(plain)] and best.tolist() == [2, 5, 2, 5]


def test_pages_are_read_in_windows_each_token_once():
    pages = Pages(np.arange(10, 21), np.array([4, 11]), np.zeros(2, np.int64))
    rows = [row.tolist() for row in page_rows(pages, 0, 4)]
    assert rows == [[0, 10, 11, 12], [12, 13], [0, 14, 15, 16], [16, 17, 18, 19], [19, 20]]


def test_any_model_on_any_texts(folder):
    _, model = opened(folder)
    store = [torch.randint(0, 40, (20,)) for _ in range(4)]
    other = [torch.randint(0, 40, (20,)) for _ in range(2)]
    grid = Mixtures((4,), (1e-3,), (0.0, 0.5, 0.95))
    found = retrieved_text(model, store, store[:2], store[2:], grid)
    # Texts that are in the store are found at distance 0.
    assert found["chosen"] == "k 4, T 0.001, lambda 0.95" and found["near"] < 0.1 < found["model"]
    assert found["tokens"] == 38
    unlike = retrieved_text(model, store, other, other, grid)
    assert unlike["near"] <= unlike["model"] + 1e-9
    with pytest.raises(RetrievalError, match=r"holds token 99999, .* another tokenizer"):
        retrieved_text(model, store, other, [torch.tensor([1, 99999])], grid)
    with pytest.raises(RetrievalError, match="a text has 600 tokens, the model reads 512"):
        retrieved_text(model, store, other, [torch.zeros(600, dtype=torch.int64)], grid)
    with pytest.raises(RetrievalError, match="needs two tokens"):
        retrieved_text(model, store, other, [torch.tensor([1])], grid)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stores": ["pages"]}, "there is no store 'pages'; there are: facts"),
        ({"shares": [0.5]}, "a share of 0, the model alone"),
        ({"neighbours": []}, "name at least one each"),
        ({"neighbours": [10**9]}, r"nearest of .* states take .* GiB"),
        ({"keys": "first"}, "must be one of mlp, final"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_training(folder, changes, said):
    with pytest.raises(PlanError, match=said):
        opened(folder, **changes)


def test_records_which_would_find_themselves_are_refused(tmp_path):
    facts_corpus(tmp_path, Inject(people=12, exposures=2), name=None)
    with pytest.raises(PlanError, match="find themselves in the store"):
        opened(tmp_path, {"exposures": 2})
