"""Fact tables: the bits of the published bound, sampling, and the facts folder."""

from __future__ import annotations

import math

import numpy as np
import pytest

from synth.codes import Records, compact_table, record_word_numbers, reserved_words
from synth.draws import below, permutation, stream, words
from synth.facts import FactsError, FactTable


def test_the_word_stream_is_splitmix64_as_published():
    # Outputs for the seed 1234567, as given with the reference implementation.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert words(1234567, np.arange(4)).tolist() == published


def test_integers_below_a_limit_are_uniform_by_the_chi_square_of_their_counts():
    counts = np.bincount(below(stream(3, "uniform"), np.arange(64_000), 64), minlength=64)
    chi = ((counts - 1000) ** 2 / 1000).sum()
    assert len(counts) == 64
    # 63 degrees of freedom: mean 63, standard deviation 11.2.
    assert 63 - 5 * 11.2 < chi < 63 + 5 * 11.2


def test_permutations_hold_every_number_once_and_differ_between_streams():
    orders = [permutation(stream(0, f"order/{e}"), 500) for e in range(3)]
    assert all(sorted(order) == list(range(500)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])


def test_the_bits_of_compact_records_are_those_of_the_closed_form():
    bits = compact_table(1000, 1).bits()
    assert bits.name_pool == 16 and bits.value_pool == 36
    assert bits.names == pytest.approx(6034.2, abs=0.05)
    assert bits.values == 36_000
    assert bits.maximal == pytest.approx(42_034.2, abs=0.05)


def test_names_are_unique_even_when_they_are_used_up():
    table = compact_table(64, 1, name_parts=[8, 8])
    assert sorted(map(tuple, table.entities.tolist())) == [(a, b) for a in range(8) for b in range(8)]
    with pytest.raises(FactsError, match="64 names \\(8 x 8\\) for 65 people"):
        compact_table(65, 1, name_parts=[8, 8])


def test_the_first_people_do_not_depend_on_how_many_follow():
    few, many = compact_table(50, 1, seed=7), compact_table(5000, 1, seed=7)
    assert np.array_equal(few.entities, many.entities[:50]) and np.array_equal(few.values, many.values[:50])
    assert not np.array_equal(few.values, compact_table(50, 1, seed=8).values)


def test_record_text_and_word_numbers_say_the_same():
    table = compact_table(20, 1, name_parts=[256, 10], values=64)
    reserved = reserved_words(table)
    assert len(reserved) == len(set(reserved)) == 256 + 10 + 64
    rows = record_word_numbers(table)
    assert [" ".join(reserved[i] for i in row) for row in rows] == list(Records(table).texts(range(20), [0] * 20))
    assert Records(table).text(0, 0).count(" ") == 7


def test_a_facts_folder_comes_back_as_it_was_saved(tmp_path):
    table = compact_table(30, 5, seed=2)
    table.save(tmp_path)
    loaded = FactTable.load(tmp_path)
    assert loaded.describe() == table.describe() and loaded.pools == table.pools
    for name in ("entities", "values", "exposure_counts"):
        assert np.array_equal(getattr(loaded, name), getattr(table, name))
        assert getattr(loaded, name).dtype == np.int32
    assert math.isclose(sum(one["bits"] for one in table.describe()["attributes"]), 36)


def test_a_damaged_facts_folder_is_named(tmp_path):
    with pytest.raises(FactsError, match="is missing"):
        FactTable.load(tmp_path / "absent")
    compact_table(30, 5).save(tmp_path)
    np.save(tmp_path / "values.npy", np.zeros((3, 6), np.int32))
    with pytest.raises(FactsError, match=r"values.npy must have shape \(30, 6\) by facts.json, not \(3, 6\)"):
        FactTable.load(tmp_path)
    (tmp_path / "pools.json").write_text("{")
    with pytest.raises(FactsError, match=r"pools\.json is not JSON"):
        FactTable.load(tmp_path)
