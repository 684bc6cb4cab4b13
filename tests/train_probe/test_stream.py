"""Batches: exact exposures, one order for all arms, junk that is junk and exactly as much of it as was asked."""

import dataclasses
import json
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
from probe_world import END_OF_TEXT, TAG, World

from train_probe.data import Data
from train_probe.draws import permutation
from train_probe.inputs import Documents, read_inputs
from train_probe.junk import Front, JunkChain, JunkRecords
from train_probe.plan import PlanError, RunPlan, plan_of
from train_probe.stream import Rows, UsefulTexts, page_width
from train_probe.texts import Ids, ShardTexts, exposure_table

ENDLESS = {"junk_kind": "endless", "junk_ratio": 0.875}
REPETITIVE = {"junk_kind": "repetitive", "junk_ratio": 0.875, "junk_people": 9}
PAGES = {"junk_kind": "shards", "junk_shards": "raw", "junk_ratio": 0.875}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), people=22, exposures=6)


def stream(world, training=None, kind=None, **run):
    changes = {} if training is None else {"training": training}
    plan = plan_of(world.plan([{"arm": "a", "exposures": 5} | run], **changes))
    inputs = read_inputs(plan)
    if kind is not None:
        inputs = dataclasses.replace(inputs, facts=dataclasses.replace(inputs.facts, kind=kind))
    return Data(plan, inputs, torch.device("cpu")).stream(plan.runs[0])


def rows_of(stream, block=0):
    """Each step's rows of a block, without what pads them, as lists of tokens; made in chunks of 5 steps."""
    found = []
    for first in range(0, stream.steps, 5):
        tokens, lengths = stream.chunk(first, min(stream.steps, first + 5))[block]
        for step, sizes in zip(tokens.tolist(), lengths.tolist(), strict=True):
            found.append([row[:size] for row, size in zip(step, sizes, strict=True) if size])
    return found


def useful_rows(stream, batch=4):
    """The useful rows of each step: they stand first."""
    left, found = stream.useful_tokens // stream.width, []
    for rows in rows_of(stream):
        found.append(np.array(rows[: min(batch, left)]))
        left -= len(found[-1])
    return found


@pytest.mark.parametrize("arm", [{}, ENDLESS, REPETITIVE, PAGES])
def test_each_fact_is_seen_exactly_as_often_as_asked(world, arm):
    seen = Counter(tuple(row[1:]) for rows in useful_rows(stream(world, **arm)) for row in rows.tolist())
    assert seen == Counter({tuple(body): 5 for body in world.bodies.tolist()})


def test_all_arms_of_a_seed_see_the_same_facts_in_the_same_order_and_steps(world):
    plain = useful_rows(stream(world))
    assert len(plain) == 28  # 22 people x 5 exposures in batches of 4, the last one of 2
    assert len(plain[-1]) == 2
    for arm in (ENDLESS, REPETITIVE, PAGES, ENDLESS | {"tag": "useful"}):
        other = useful_rows(stream(world, **arm))
        assert len(other) == len(plain)
        for one, two in zip(plain, other, strict=True):
            assert np.array_equal(one[:, 1:], two[:, 1:])
    assert not np.array_equal(plain[0], useful_rows(stream(world, seed=1))[0])


def test_every_exposure_is_an_epoch_in_an_order_of_its_own(world):
    rows = np.concatenate(useful_rows(stream(world)))[:, 1:].reshape(5, 22, -1)
    orders = {tuple(map(tuple, epoch.tolist())) for epoch in rows}
    assert len(orders) == 5
    assert len({frozenset(order) for order in orders}) == 1


@pytest.mark.parametrize("tagged", [False, True])
def test_only_useful_rows_carry_the_tag(world, tagged):
    one = stream(world, **ENDLESS, tag="useful" if tagged else "none")
    for rows, all_rows in zip(useful_rows(one), rows_of(one), strict=True):
        assert set(rows[:, 0]) == {TAG if tagged else END_OF_TEXT}
        assert {row[0] for row in all_rows[len(rows) :]} == {END_OF_TEXT}


@pytest.mark.parametrize("arm", [ENDLESS, REPETITIVE])
def test_seven_eighths_of_the_tokens_are_junk_at_every_step(world, arm):
    one = stream(world, **arm)
    assert one.shape == ((6, 32),)
    for rows, all_rows in zip(useful_rows(one), rows_of(one), strict=True):
        assert sum(map(len, all_rows)) == 8 * rows.size
    assert one.junk_ratio == 7 / 8
    assert one.tokens == 8 * 5 * 22 * (1 + world.bodies.shape[1])


def test_windows_of_pages_are_pure_and_exactly_seven_eighths(world):
    one = stream(world, **PAGES)
    assert one.shape == ((6, 4), (84, 2))  # 7 x 4 rows x 6 tokens = 168 = 2 windows
    useful, pages = rows_of(one), rows_of(one, 1)
    for step, windows in zip(useful[:-1], pages[:-1], strict=True):
        assert [len(row) for row in step] == [6] * 4 and [len(row) for row in windows] == [84] * 2
        assert max(max(row) for row in windows) < world.first_name
    assert sum(len(row) for step in (*useful, *pages) for row in step) == one.tokens
    assert one.junk_ratio == pytest.approx(7 / 8, abs=0.001)


FRONT = Front(END_OF_TEXT, TAG, 0.0, 0)


def records(world, people=None, front=FRONT):
    facts = read_inputs(plan_of(world.plan([{"arm": "a", "exposures": 5}]))).facts
    return JunkRecords(facts, 0, people, front, torch.device("cpu"))


def test_junk_names_are_never_scored_names_and_reach_all_others(world):
    names = records(world).names(0, 5000).numpy()
    assert set(names) == set(range(64)) - set(world.names)


def test_a_junk_name_that_recurs_keeps_its_values(world):
    rows = records(world).windows(0, 5000).tolist()
    by_name = {}
    for row in rows:
        by_name.setdefault(tuple(row[1:3]), set()).add(tuple(row[3:]))
    assert len(by_name) == 42
    assert all(len(values) == 1 for values in by_name.values())
    assert len({values for one in by_name.values() for values in one}) > 25  # of 64 possible ones


def test_a_repetitive_population_has_its_size_and_comes_round_evenly(world):
    junk = records(world, 9)
    names = junk.names(0, 90).numpy()
    assert set(Counter(names.tolist()).values()) == {10}
    assert not set(names) & set(world.names)
    assert np.array_equal(junk.names(13, 50), names[13:50])


def test_more_junk_people_than_names_are_refused(world):
    with pytest.raises(PlanError, match="43 junk people need names; the scored people leave 42"):
        stream(world, junk_kind="repetitive", junk_ratio=0.5, junk_people=43)


def test_exposures_that_the_shards_do_not_hold_are_refused(world):
    with pytest.raises(PlanError, match="needs 7 exposures, but no person of the facts has more than 6"):
        stream(world, exposures=7)


@pytest.mark.parametrize("ratio", [0.1, 1 / 3, 0.5, 0.9])
def test_other_ratios_hold_to_one_record(world, ratio):
    one = stream(world, junk_kind="endless", junk_ratio=ratio)
    junk = one.tokens - one.useful_tokens
    assert abs(junk - one.useful_tokens * ratio / (1 - ratio)) < 6 + 1e-3
    assert one.junk_ratio == pytest.approx(junk / (junk + 660))
    rows = [row for step in rows_of(one) for row in step]
    assert len(rows) * 6 == one.tokens and len({tuple(row[1:]) for row in rows}) <= 22 + junk // 6


def test_page_windows_are_as_long_as_allowed_and_exact_where_that_is_possible():
    assert page_width(Fraction(504), 128) == 126
    assert page_width(Fraction(504), 504) == 504
    assert page_width(Fraction(30), 128) == 30
    assert page_width(Fraction(509), 128) == 128  # a prime: no window divides it
    assert page_width(Fraction(7, 3), 128) == 128


def seven_texts():
    """Texts of 2 to 8 tokens, that in front included: n is [90 + n, 10 n, 10 n + 1, ...]."""
    bodies = [np.arange(10 * n, 10 * n + n) for n in range(1, 8)]
    lengths = np.array([len(body) for body in bodies])
    documents = Documents(
        np.concatenate(bodies),
        np.cumsum(lengths) - lengths,
        lengths,
        np.arange(7),
        np.zeros(7, np.int64),
        np.arange(7) + 90,
    )
    texts = ShardTexts(documents, np.ones(7, int), END_OF_TEXT, "even", torch.device("cpu"))
    return UsefulTexts(texts, RunPlan(arm="a", exposures=1, tag="useful")), bodies


def test_people_stand_whole_in_windows_behind_their_begin_token():
    texts, bodies = seven_texts()
    assert texts.texts.measured(1) == (35, 2, 8)
    order = permutation(5, 7)
    for width in (8, 9, 20, 40):
        rows = Rows(texts, order, width)
        tokens, lengths = rows.tokens(0, rows.count)
        held = [row[:length] for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]
        assert [token for row in held for token in row] == [
            token for n in order.tolist() for token in [90 + n, *bodies[n]]
        ]
        assert all(row[0] >= 90 for row in held)
        assert not tokens[torch.arange(width) >= lengths[:, None]].any()
        for first in range(rows.count):
            assert torch.equal(rows.tokens(first, first + 2)[0][0], tokens[first])
        assert not rows.tokens(rows.count, rows.count + 3)[1].any()
    assert rows.count == 1 and rows.total == rows.useful == 35


def test_a_text_that_no_window_holds_is_refused_with_the_window_that_would():
    with pytest.raises(PlanError, match=r"has 8 tokens, and windows have 7.*`window: 8` or more"):
        Rows(seven_texts()[0], permutation(5, 7), 7)


def test_people_of_one_seed_keep_every_token(world):
    one = stream(world, {"batch": 4, "window": 16}, "people")
    steps = rows_of(one)
    seen = np.array([token for step in steps for row in step for token in row])
    assert len(seen) == one.tokens == 5 * 22 * 6
    assert (seen == END_OF_TEXT).sum() == 5 * 22
    # Two texts of six tokens fit into a window of sixteen.
    assert one.shape == ((16, 4),) and len(steps) == 14
    assert [len(row) for row in steps[-1]] == [12, 12, 12]


def test_a_point_of_the_course_comes_when_all_its_exposures_were_seen(world):
    """In windows that texts do not fill, and with pages between them."""
    for run in ({}, PAGES | {"windows": "mixed", "junk_ratio": 0.5}):
        for window in (7, 16, 20):
            one = stream(world, {"batch": 1, "window": window}, "people", **run)
            firsts = range(world.first_name, world.first_name + world.parts[0])  # a token of each text
            seen = [0]
            for step in rows_of(one):
                seen.append(seen[-1] + sum(token in firsts for row in step for token in row))
            assert seen[-1] == 5 * 22
            for exposures in range(1, 5):
                step = one.step_of(exposures)
                assert seen[step] >= exposures * 22 > seen[step - 1]


def test_pages_in_pure_windows_may_be_so_few_that_steps_have_none(world):
    one = stream(world, {"batch": 4, "window": 64}, "people", **PAGES | {"junk_ratio": 0.03})
    steps = [one.chunk(step, step + 1) for step in range(one.steps)]
    pages = [sum(int(lengths[0, 4:].sum()) for _, lengths in blocks) for blocks in steps]
    assert sum(pages) == one.tokens - one.useful_tokens == 0 or min(pages) == 0 < max(pages)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.875])
@pytest.mark.parametrize("window", [6, 7, 16, 50])
def test_no_text_of_a_fact_is_cut_whatever_fills_the_windows(world, window, ratio):
    arm = PAGES | {"windows": "mixed", "junk_ratio": ratio}
    one = stream(world, {"batch": 4, "window": window}, "people", **arm)
    bodies, pages = Counter(), 0
    for row in (row for step in rows_of(one) for row in step):
        assert len(row) <= window
        facts = [place for place, token in enumerate(row) if token >= world.first_name]
        if facts:
            # All facts of a window stand side by side, at its begin or its end.
            held = row[facts[0] - 1 : facts[-1] + 1]
            assert len(held) % 6 == 0 and (facts[0] == 1 or facts[-1] == len(row) - 1)
            for place in range(0, len(held), 6):
                assert held[place] == END_OF_TEXT
                bodies[tuple(held[place + 1 : place + 6])] += 1
            pages += len(row) - len(held)
        else:
            pages += len(row)
    assert bodies == Counter({tuple(body): 5 for body in world.bodies.tolist()})
    assert pages == one.tokens - one.useful_tokens
    assert one.junk_ratio == pytest.approx(ratio, abs=0.02)


def test_facts_and_junk_are_spread_over_all_windows(world):
    for window, ratio in ((16, 0.875), (7, 0.05)):
        arm = PAGES | {"windows": "mixed", "junk_ratio": ratio}
        one = stream(world, {"batch": 4, "window": window}, "people", **arm)
        rows = [row for step in rows_of(one) for row in step]
        for kind in (True, False):
            counts = [sum((token >= world.first_name) == kind for token in row) for row in rows]
            quarters = [sum(part) for part in np.array_split(counts, 4)]
            assert max(quarters) < 1.3 * min(quarters) + 8


def test_what_stands_in_front_of_junk(world):
    """Its own token, which no text has; and for a share of it the facts' token, whose purity it spoils."""
    one = stream(world, **ENDLESS, tag="both")
    for rows, all_rows in zip(useful_rows(one), rows_of(one), strict=True):
        assert set(rows[:, 0]) == {TAG}
        assert {row[0] for row in all_rows[len(rows) :]} == {world.vocabulary}
    leaking = records(world, front=Front(END_OF_TEXT, TAG, 0.25, 0)).windows(0, 4000)
    assert (leaking[:, 0] == TAG).double().mean() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(leaking[:, 1:], records(world).windows(0, 4000)[:, 1:])


def test_learnable_junk_follows_its_chain_by_the_law_of_zipf():
    """Sixteen successors of each token, the r-th as often as 1/r in proportion; other seeds are other chains."""
    tokens = torch.arange(10, 40)
    junk = JunkChain(tokens, 33, 0, FRONT)
    windows = junk.windows(0, 3000)
    assert torch.equal(junk.windows(40, 60), windows[40:60]) and (windows[:, 0] == END_OF_TEXT).all()
    assert set(windows[:, 1:].unique().tolist()) <= set(tokens.tolist())
    pairs = Counter(zip(windows[:, 1:-1].flatten().tolist(), windows[:, 2:].flatten().tolist(), strict=True))
    for token in (10, 25):
        follow = Counter({two: count for (one, two), count in pairs.items() if one == token})
        # Successors may coincide: at most sixteen, and the table says how often each.
        wanted = Counter()
        for rank, state in enumerate(junk._next[token - 10].tolist()):
            wanted[state + 10] += 1 / (rank + 1) / sum(1 / r for r in range(1, 17))
        assert set(follow) == set(wanted)
        for two, share in wanted.items():
            assert follow[two] / follow.total() == pytest.approx(share, abs=0.03)
    assert not torch.equal(JunkChain(tokens, 33, 1, FRONT).windows(0, 20), windows[:20])


def test_another_shuffle_is_other_junk_around_the_same_facts(world):
    for arm in (ENDLESS, PAGES):
        one, two = stream(world, **arm), stream(world, **arm, shuffle=1)
        for plain, other in zip(useful_rows(one), useful_rows(two), strict=True):
            assert np.array_equal(plain, other)
        assert rows_of(one, -1) != rows_of(two, -1)


def test_tokens_beyond_two_bytes_are_kept():
    for array in (np.array([0, 65_535], np.uint16), np.array([0, 65_536, 2**31 - 1], np.uint32)):
        assert Ids(array, torch.device("cpu"))[torch.arange(len(array))].tolist() == array.tolist()


def test_a_person_whom_the_facts_do_not_know_is_refused():
    documents = Documents(np.arange(8), np.arange(4), np.ones(4, int), np.array([0, 1, 2, 3]), *[np.zeros(4, int)] * 2)
    with pytest.raises(PlanError, match="expose person 3; the facts have 3 people"):
        exposure_table(documents, np.ones(3, int), 1)


def test_a_fact_that_stands_twice_in_the_shards_is_refused():
    documents = Documents(np.arange(8), np.arange(4), np.ones(4, int), np.array([0, 1, 1, 2]), *[np.zeros(4, int)] * 2)
    with pytest.raises(PlanError, match="exposure 0 of person 1 2 times, not 1"):
        exposure_table(documents, np.ones(3, int), 1)


def test_people_who_appear_less_often_are_left_out_of_later_passes_and_other_placements_keep_their_order():
    counts = np.array([1, 3, 2])
    entity, exposure = np.array([1, 2, 0, 1, 2, 1]), np.array([0, 0, 0, 1, 1, 2])
    documents = Documents(np.arange(6), np.arange(6), np.ones(6, int), entity, exposure, np.zeros(6, int))
    even, clustered = (
        ShardTexts(documents, counts, END_OF_TEXT, placement, torch.device("cpu"))
        for placement in ("even", "clustered")
    )
    order = even.order(3, 1)
    assert exposure[order].tolist() == [0, 0, 0, 1, 1, 2]
    assert sorted(order.tolist()) == list(range(6))
    assert exposure[even.order(2, 1)].tolist() == [0, 0, 0, 1, 1]
    assert clustered.order(3, 1).tolist() == list(range(6))


@pytest.mark.parametrize("placement", ["clustered", "curriculum"])
def test_texts_that_are_drawn_have_no_order_of_the_shards(tmp_path, placement):
    world = World(tmp_path)
    (tmp_path / "facts/injection.json").write_text(json.dumps({"placement": placement}))
    plan = plan_of(world.plan([{"arm": "a", "exposures": 5}], useful=None))
    with pytest.raises(PlanError, match=f"were placed '{placement}': only their shards have that order"):
        _ = Data(plan, read_inputs(plan), torch.device("cpu")).texts


def test_a_run_of_some_people_shows_and_scores_them_alone(world, tmp_path):
    one = stream(world, people=[5, 12], **ENDLESS)
    seen = Counter(tuple(row[1:]) for rows in useful_rows(one) for row in rows.tolist())
    assert seen == Counter({tuple(body): 5 for body in world.bodies[5:12].tolist()})
    plan = plan_of(world.plan([{"arm": "a", "exposures": 5, "people": [5, 12]}]))
    data = Data(plan, read_inputs(plan), torch.device("cpu"))
    facts = data.facts_of(plan.runs[0])
    assert [row.tolist() for row in facts.rows] == world.bodies[5:12].tolist()
    assert facts.people == 7 and facts.row_entity.tolist() == list(range(7))
    assert facts.spans[:, 0].tolist() == [row for row in range(7) for _ in range(4)]
    with pytest.raises(PlanError, match=r"shows people 5 to 22; the facts in .* are of 22 people"):
        stream(world, people=[5, 23])
    for wrong in ([3], [4, 4], [1, 2, 3]):
        with pytest.raises(PlanError, match="people: two numbers are needed, the first below the second"):
            stream(world, people=wrong)


def test_a_batch_of_all_has_junk_in_it_and_makes_more_steps_of_the_same_size(world):
    training = {"batch": 8, "batch_of": "all", "window": 128}
    alone, one = stream(world, training), stream(world, training, **ENDLESS)
    assert one.tokens == 8 * alone.tokens
    assert one.steps == 110 and alone.steps == 14  # 110 records, one of each eight rows
    for all_rows in rows_of(one):
        assert sum(map(len, all_rows)) == 8 * 6
    seen = Counter(tuple(row[1:]) for rows in useful_rows(one, 1) for row in rows.tolist())
    assert seen == Counter({tuple(body): 5 for body in world.bodies.tolist()})
    with pytest.raises(PlanError, match=r"0\.875 of it junk, holds 0\.5 useful ones; take a multiple of 2 times 4"):
        stream(world, training | {"batch": 4}, **ENDLESS)
    # Mixed windows hold both: a batch is so many windows.
    mixed = stream(world, training, "people", windows="mixed", **PAGES)
    assert mixed.shape == ((128, 8),)
