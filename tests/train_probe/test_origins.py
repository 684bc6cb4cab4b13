"""Which text each token of a batch is of: every stretch of one origin is that text, or a part of it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from probe_world import PAGE_TAG, World  # noqa: E402

from synth.corpus import facts_corpus  # noqa: E402
from synth.inject import Inject  # noqa: E402
from train_probe.data import Data  # noqa: E402
from train_probe.inputs import read_inputs  # noqa: E402
from train_probe.origins import flat, stretch_ends  # noqa: E402
from train_probe.plan import plan_of  # noqa: E402

ENDLESS = {"junk_kind": "endless", "junk_ratio": 0.75}
REPETITIVE = {"junk_kind": "repetitive", "junk_ratio": 0.5, "junk_people": 7}
LEARNABLE = {"junk_kind": "learnable", "junk_ratio": 0.5}
PAGES = {"junk_kind": "shards", "junk_shards": "raw", "junk_ratio": 0.5}
SILENT = {"windows": "mixed", "tag": "useful", "tag_loss": False, "bare": 0.5, "front": [1, 2, 1]}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    facts_corpus(folder, Inject(kind="people", people=12, exposures=[1, 3], seed=4), name="facts")
    plan = {"facts": str(folder / "facts"), "model": {"layers": 1, "heads": 1, "width": 16}}
    plan["training"] = {"batch": 2, "window": 192}
    return plan | {"useful": str(folder / "tokens" / "facts")}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return World(tmp_path_factory.mktemp("records"), people=12, exposures=3).plan([])


def stretches_of(plan, run):
    """The data of a run, the run, its stream, and each stretch of one origin with its tokens."""
    one = plan_of(plan | {"runs": [{"arm": "a", "exposures": 3} | run]})
    data = Data(one, read_inputs(one), torch.device("cpu"))
    stream, origins = data.stream(one.runs[0]), data.origins(one.runs[0])
    assert (stream.steps, stream.shape) == (origins.steps, origins.shape)
    ids, step, row = flat(stream.chunk(0, stream.steps))
    of, same_step, same_row = flat(origins.chunk(0, origins.steps))
    assert len(of) == len(ids) and np.array_equal(step, same_step) and np.array_equal(row, same_row)
    ends = stretch_ends(of, row + step * (row.max() + 1))
    parts = np.split(np.where(ids < 0, ~ids, ids), ends[:-1])
    begins = np.concatenate([[0], ends[:-1]])
    return data, one.runs[0], stream, list(zip(of[begins].tolist(), parts, strict=True))


def inside(part, whole):
    text, found = " ".join(map(str, whole)), " ".join(map(str, part))
    return f" {found} " in f" {text} "


def numbers(*values):
    return torch.tensor(values)


@pytest.mark.parametrize("kind", ["people", "records"])
@pytest.mark.parametrize("drawn", [False, True])
def test_a_useful_text_stands_whole_under_its_number(kind, drawn, request):
    plan = request.getfixturevalue(kind)
    if drawn and kind == "records":
        pytest.skip("these records have no bundle")
    plan = plan | ({"useful": None} if drawn else {})
    for run in ({}, {"tag": "useful"}, {"people": [2, 9]}, ENDLESS | SILENT):
        if run.get("windows") and kind == "records":
            run = run | {"bare": 0.0}
        data, one, _, found = stretches_of(plan, run)
        useful = [(number, part) for number, part in found if number >= 0]
        shown = data.texts_of(one).order(3, 0)
        assert sorted(number for number, _ in useful) == sorted(shown.tolist())
        for number, part in useful:
            # Without what is in front of it, which is one token, or three.
            body = data.texts.tokens(numbers(number), False)[1:].tolist()
            assert part[-len(body) :].tolist() == body and len(part) - len(body) in ((1, 3) if one.front else (1,))


@pytest.mark.parametrize("windows", ["pure", "mixed"])
@pytest.mark.parametrize("junk", [ENDLESS, REPETITIVE, LEARNABLE], ids=lambda junk: junk["junk_kind"])
def test_drawn_junk_is_its_number_or_its_name(people, records, junk, windows):
    for plan, by_name in ((people, False), (records, junk["junk_kind"] != "learnable")):
        data, one, stream, found = stretches_of(plan, junk | {"windows": windows})
        drawn = [(~number, part.tolist()) for number, part in found if number < 0]
        assert drawn and sum(len(part) for _, part in drawn) == stream.tokens - stream.useful_tokens
        texts = data._junk(one)
        for number, part in drawn[:200]:
            if by_name:
                assert texts.names(0, 4000).tolist().count(number) >= 1
                continue
            assert inside(part, texts.tokens(numbers(number)).tolist())


def test_pages_are_known_by_their_piece(records):
    for run in (PAGES, PAGES | {"windows": "mixed"}, {"exposures": 0, "tokens": 4000, **PAGES, "junk_ratio": 1.0}):
        data, one, _, found = stretches_of(records, run)
        pages = data.inputs.pages["raw"]
        starts = np.concatenate([[0], pages.ends[:-1]])
        drawn = [(~number, part) for number, part in found if number < 0]
        of = data.pages_of(one, torch.tensor([piece for piece, _ in drawn])).tolist()
        assert len(set(of)) > 1
        for page, (_, part) in zip(of, drawn, strict=True):
            # A piece stands behind its page's domain, which may be all of it that a window holds.
            body = part[1:] if part[0] == PAGE_TAG else part
            assert not len(body) or inside(body, pages.tokens[starts[page] : pages.ends[page]].tolist())
