"""Batches: exact exposures, one order for all arms, junk that is junk and exactly as much of it as was asked."""

from collections import Counter
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from probe_world import END_OF_TEXT, PAGE_TAG, TAG, World

from train_probe.counter import permutation
from train_probe.facts import Documents, read_inputs
from train_probe.plan import PlanError, plan_of
from train_probe.stream import JunkRecords, Stream, UsefulWindows, exposure_order, page_width

ENDLESS = {"junk_kind": "endless", "junk_ratio": 0.875}
REPETITIVE = {"junk_kind": "repetitive", "junk_ratio": 0.875, "junk_people": 9}
PAGES = {"junk_kind": "shards", "junk_shards": "raw", "junk_ratio": 0.875}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), people=22, exposures=6)


def stream(world, **run):
    plan = plan_of(world.plan([{"arm": "a", "exposures": 5} | run]))
    inputs = read_inputs(plan)
    one = plan.runs[0]
    return Stream(inputs.facts, inputs.documents, inputs.pages.get(one.junk_shards or ""), plan.training, one)


def useful_rows(stream, batch=4):
    """The useful rows of each step: they stand first."""
    left, found = stream.useful.count, []
    for blocks in stream.batches():
        found.append(blocks[0][: min(batch, left)])
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
    for arm in (ENDLESS, REPETITIVE, PAGES, ENDLESS | {"tagged": True}):
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
    one = stream(world, **ENDLESS, tagged=tagged)
    for rows, blocks in zip(useful_rows(one), one.batches(), strict=True):
        assert set(rows[:, 0]) == {TAG if tagged else END_OF_TEXT}
        assert set(blocks[0][len(rows) :, 0]) == {END_OF_TEXT}


@pytest.mark.parametrize("arm", [ENDLESS, REPETITIVE])
def test_seven_eighths_of_the_tokens_are_junk_at_every_step(world, arm):
    one = stream(world, **arm)
    for rows, blocks in zip(useful_rows(one), one.batches(), strict=True):
        assert len(blocks) == 1
        assert blocks[0].size == 8 * rows.size
    assert one.junk_ratio == 7 / 8
    assert one.tokens == 8 * 5 * 22 * (1 + world.bodies.shape[1])


def test_windows_of_pages_are_pure_and_exactly_seven_eighths(world):
    one = stream(world, **PAGES)
    assert one.junk.width == 84  # 7 x 4 rows x 6 tokens = 168 = 2 windows
    blocks = list(one.batches())
    for step in blocks[:-1]:
        assert [block.shape for block in step] == [(4, 6), (2, 84)]
        assert step[1].max() < world.first_name
    total = sum(block.size for step in blocks for block in step)
    assert total == one.tokens
    assert one.junk_ratio == pytest.approx(7 / 8, abs=0.001)


def test_pages_are_passed_over_again_only_when_all_were_seen(world):
    one = stream(world, **PAGES)
    windows = one.junk.windows(0, 2 * one.junk._count)
    first, second = np.split(windows, 2)
    assert not np.array_equal(first, second)
    assert sorted(map(tuple, first.tolist())) == sorted(map(tuple, second.tolist()))
    assert np.array_equal(one.junk.windows(3, one.junk._count + 2), windows[3 : one.junk._count + 2])
    assert (windows == PAGE_TAG).any()


def test_junk_names_are_never_scored_names_and_reach_all_others(world):
    inputs = read_inputs(plan_of(world.plan([{"arm": "a", "exposures": 5}])))
    names = JunkRecords(inputs.facts, seed=0, people=None).names(0, 5000)
    assert set(names) == set(range(64)) - set(world.names)


def test_a_junk_name_that_recurs_keeps_its_values(world):
    inputs = read_inputs(plan_of(world.plan([{"arm": "a", "exposures": 5}])))
    rows = JunkRecords(inputs.facts, seed=0, people=None).windows(0, 5000).tolist()
    by_name = {}
    for row in rows:
        by_name.setdefault(tuple(row[1:3]), set()).add(tuple(row[3:]))
    assert len(by_name) == 42
    assert all(len(values) == 1 for values in by_name.values())
    assert len({values for one in by_name.values() for values in one}) > 25  # of 64 possible ones


def test_a_repetitive_population_has_its_size_and_comes_round_evenly(world):
    inputs = read_inputs(plan_of(world.plan([{"arm": "a", "exposures": 5}])))
    junk = JunkRecords(inputs.facts, seed=0, people=9)
    names = junk.names(0, 90)
    assert set(Counter(names.tolist()).values()) == {10}
    assert not set(names) & set(world.names)
    assert np.array_equal(junk.names(13, 50), names[13:50])


def test_more_junk_people_than_names_are_refused(world):
    with pytest.raises(PlanError, match="43 junk people want names; 42 are left"):
        stream(world, junk_kind="repetitive", junk_ratio=0.5, junk_people=43)


def test_exposures_that_the_shards_do_not_hold_are_refused(world):
    with pytest.raises(PlanError, match="wants 7 exposures, and no person of the facts has more than 6"):
        stream(world, exposures=7)


@pytest.mark.parametrize("ratio", [0.1, 1 / 3, 0.5, 0.9])
def test_other_ratios_hold_to_one_record(world, ratio):
    one = stream(world, junk_kind="endless", junk_ratio=ratio)
    assert abs(one.junk_tokens - one.useful.tokens * ratio / (1 - ratio)) < 6 + 1e-3
    assert one.junk_ratio == pytest.approx(one.junk_tokens / (one.junk_tokens + 660))


def test_page_windows_are_as_long_as_allowed_and_exact_where_that_is_possible():
    assert page_width(Fraction(504), 128) == 126
    assert page_width(Fraction(504), 504) == 504
    assert page_width(Fraction(30), 128) == 30
    assert page_width(Fraction(509), 128) == 128  # a prime: no window divides it
    assert page_width(Fraction(7, 3), 128) == 128


def test_people_are_packed_behind_their_begin_token_and_the_rest_is_kept():
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
    order = permutation(5, 7)
    windows = UsefulWindows(documents, order, begin=documents.tag, width=8)
    packed = [token for n in order for token in [90 + n, *bodies[n]]]
    assert [*windows.windows(0, windows.count).reshape(-1), *windows.rest()[0]] == packed
    assert windows.rest().shape == (1, 35 % 8)


def test_people_of_one_seed_cut_in_windows_keep_every_token(world):
    plan = plan_of(world.plan([{"arm": "a", "exposures": 5}], training={"batch": 4, "window": 16}))
    inputs = read_inputs(plan)
    people = SimpleNamespace(**{**vars(inputs.facts), "kind": "people"})
    one = Stream(people, inputs.documents, None, plan.training, plan.runs[0])
    seen = np.concatenate([block.reshape(-1) for step in one.batches() for block in step])
    assert len(seen) == one.tokens == 5 * 22 * 6
    assert (seen == END_OF_TEXT).sum() == 5 * 22


def test_a_person_whom_the_facts_do_not_know_is_refused():
    documents = Documents(np.arange(8), np.arange(4), np.ones(4, int), np.array([0, 1, 2, 3]), *[np.zeros(4, int)] * 2)
    with pytest.raises(PlanError, match="expose person 3; the facts have 3 people"):
        exposure_order(documents, counts=np.ones(3, int), exposures=1, seed=0)


def test_a_fact_that_stands_twice_in_the_shards_is_refused():
    documents = Documents(np.arange(8), np.arange(4), np.ones(4, int), np.array([0, 1, 1, 2]), *[np.zeros(4, int)] * 2)
    with pytest.raises(PlanError, match="exposure 0 of person 1 2 times, not 1"):
        exposure_order(documents, counts=np.ones(3, int), exposures=1, seed=0)


def test_people_who_appear_less_often_are_left_out_of_later_passes_and_other_placements_keep_their_order():
    counts = np.array([1, 3, 2])
    entity, exposure = np.array([1, 2, 0, 1, 2, 1]), np.array([0, 0, 0, 1, 1, 2])
    documents = Documents(np.arange(6), np.arange(6), np.ones(6, int), entity, exposure, np.zeros(6, int))
    order = exposure_order(documents, counts, 3, seed=1)
    assert exposure[order].tolist() == [0, 0, 0, 1, 1, 2]
    assert sorted(order.tolist()) == list(range(6))
    assert exposure[exposure_order(documents, counts, 2, seed=1)].tolist() == [0, 0, 0, 1, 1]
    assert exposure_order(documents, counts, 3, 1, "clustered").tolist() == list(range(6))
