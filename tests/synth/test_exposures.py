"""How often and where: exact counts of every law, and one order however it is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from synth import exposures as module
from synth.draws import distinct, stream
from synth.exposures import PLACEMENTS, Schedule, exposure_counts
from synth.facts import FactsError


def test_a_number_a_list_and_a_power_law_give_exact_counts():
    assert exposure_counts(3, 4, 2).tolist() == [3, 3, 3, 3, 0, 0]
    assert exposure_counts([1, 10, 100], 7).tolist() == [1, 10, 100, 1, 10, 100, 1]
    assert exposure_counts({"power": 1, "most": 12}, 6).tolist() == [12, 6, 4, 3, 2, 2]
    assert exposure_counts({"power": 2, "most": 100, "least": 5}, 6).tolist() == [100, 25, 11, 6, 5, 5]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (0, "at least 1"),
        ([], "at least 1"),
        ([5, 0], "at least 1"),
        ({"power": 1}, "needs `power` and `most`"),
        ({"power": 1, "most": 3, "mean": 2}, "no 'mean'"),
        ({"power": -1, "most": 3}, "power >= 0"),
        (1 << 24, "at most 16777215"),
    ],
)
def test_exposures_that_are_none_are_refused(asked, message):
    with pytest.raises(FactsError, match=message):
        exposure_counts(asked, 5)


@pytest.mark.parametrize("placement", [*PLACEMENTS, {"blocks": 8}])
@pytest.mark.parametrize("asked", [7, [1, 2, 30], {"power": 1, "most": 90}])
def test_every_appearance_comes_once_and_the_order_is_the_same_however_it_is_cut(monkeypatch, placement, asked):
    counts = exposure_counts(asked, 97, 5)
    entities, exposures = Schedule(counts, 3, placement).between(0, int(counts.sum()))
    assert np.bincount(entities, minlength=len(counts)).tolist() == counts.tolist()
    for entity in range(len(counts)):
        assert exposures[entities == entity].tolist() == list(range(counts[entity]))
    # Slices so small that there are many, and chunks of entities that are cut as well.
    monkeypatch.setattr(module, "SLICE", 50)
    monkeypatch.setattr("synth.facts.CHUNK", 13)
    again = Schedule(counts, 3, placement)
    bounds = [0, 1, 2, 17, 49, 50, 51, 200, again.total - 3, again.total]
    found = [again.between(begin, end) for begin, end in itertools.pairwise(bounds)]
    assert np.array_equal(np.concatenate([one for one, _ in found]), entities)
    assert np.array_equal(np.concatenate([one for _, one in found]), exposures)


def test_even_spreads_every_person_over_every_part_of_the_corpus():
    entities, _ = Schedule(exposure_counts(10, 50), 0).between(0, 500)
    for part in entities.reshape(10, 50):
        assert sorted(part.tolist()) == list(range(50))
    counts = exposure_counts([2, 20], 100)
    entities, _ = Schedule(counts, 0).between(0, 1100)
    halves = [np.bincount(half, minlength=100) for half in (entities[:550], entities[550:])]
    # One of two appearances in each half, ten of twenty: exactly, but for who stands on the border.
    assert sum(np.abs(half - counts / 2).max() <= 1 for half in halves) == 2


def test_clustered_keeps_the_appearances_of_a_person_together():
    entities, _ = Schedule(exposure_counts([3, 8], 60), 0, "clustered").between(0, 330)
    changes = 1 + int(np.count_nonzero(np.diff(entities)))
    assert changes == 60


def test_in_a_curriculum_people_enter_one_after_another_and_stay():
    counts = exposure_counts(40, 30)
    entities, _ = Schedule(counts, 0, "curriculum").between(0, 1200)
    first = np.array([np.flatnonzero(entities == person)[0] for person in range(30)])
    last = np.array([np.flatnonzero(entities == person)[-1] for person in range(30)])
    assert first.min() < 10 and 350 < first.max() < 750
    assert last.min() > 1050


@pytest.mark.parametrize("size", [1, 2, 3, 10, 97, 1000, 65_536, 67_201])
def test_distinct_numbers_are_a_permutation(size):
    assert np.array_equal(np.sort(distinct(stream(1, "x"), np.arange(size), size)), np.arange(size))


def test_distinct_numbers_look_like_independent_uniform_ones():
    drawn = distinct(stream(5, "name"), np.arange(200_000), 160_000_000)
    assert len(np.unique(drawn)) == 200_000
    counts = np.bincount(drawn // 2_500_000, minlength=64)
    chi = ((counts - 3125) ** 2 / 3125).sum()
    assert 63 - 5 * 11.2 < chi < 63 + 5 * 11.2
    low = np.bincount(drawn % 64, minlength=64)
    assert 63 - 5 * 11.2 < ((low - 3125) ** 2 / 3125).sum() < 63 + 5 * 11.2
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01
    with pytest.raises(ValueError, match="must lie in"):
        distinct(1, np.array([5]), 5)


@pytest.mark.parametrize("law", [{"power": float("nan"), "most": 5}, {"power": 1.0, "most": float("inf")}])
def test_a_power_law_of_no_finite_number_is_refused(law: dict[str, float]) -> None:
    with pytest.raises(FactsError, match="power law needs"):
        exposure_counts(law, 30)


def test_a_list_of_more_counts_than_people_is_refused() -> None:
    with pytest.raises(FactsError, match="3 counts for 2 people"):
        exposure_counts([1, 10, 100], 2)


def test_blocks_of_people_follow_each_other_and_each_is_even_inside():
    counts = exposure_counts(6, 40, 3)
    entities, _ = Schedule(counts, 0, {"blocks": 4}).between(0, 240)
    blocks = entities.reshape(4, 60)
    assert sorted(person for block in blocks for person in set(block.tolist())) == list(range(40))
    for block in blocks:
        for turn in block.reshape(6, 10):
            assert set(turn.tolist()) == set(block.tolist())
    uneven = exposure_counts([2, 20], 100)
    entities, _ = Schedule(uneven, 0, {"blocks": 3}).between(0, 1100)
    stays = {person: np.flatnonzero(entities == person) for person in range(100)}
    order = sorted(range(100), key=lambda person: stays[person][0])
    for block in (order[:34], order[34:67], order[67:]):
        places = np.concatenate([stays[person] for person in block])
        assert places.max() - places.min() + 1 == len(places)


@pytest.mark.parametrize("placement", [{"blocks": 0}, {"blocks": True}, {"blocks": 2.0}, {"block": 2}, {}, "evn"])
def test_a_placement_that_is_none_is_refused(placement):
    with pytest.raises(FactsError, match=r"must be one of even, clustered, curriculum, or \{blocks: n\}"):
        Schedule(exposure_counts(2, 5), 0, placement)
    with pytest.raises(FactsError, match="5 people do not fill 6 blocks"):
        Schedule(exposure_counts(2, 5), 0, {"blocks": 6})
