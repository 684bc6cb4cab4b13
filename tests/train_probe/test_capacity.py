"""The bit bound against the closed forms worked out from the paper's definitions."""

import math

import numpy as np
import pytest

from train_probe.capacity import BIOS_NAMES, BIOS_VALUES, Bits, biod_bits, bios_bits, compact_bits

N = 10_000


@pytest.mark.parametrize(
    ("who", "name_nats", "value_nats", "name_bits", "value_bits"),
    [
        ("a perfect memoriser", math.log(N), 0.0, 139_657.8, 475_916.2),
        ("a uniform guesser", 18.890684, 32.988000, 0.0, 0.0),
        ("names only", math.log(N), 32.988000, 139_657.8, 0.0),
        ("names and birth year", math.log(N), 27.689682, 139_657.8, 76_438.6),
        ("half of the people perfect", math.log(N), math.log(BIOS_VALUES) / 2, 139_657.8, 237_958.1),
    ],
)
def test_bios_bits_of(who, name_nats, value_nats, name_bits, value_bits):
    bits = bios_bits(N, name_nats, value_nats)
    # The table gives the guesser's nats to six decimals: 1e4 people make that up to 0.01 bit.
    assert bits.name == pytest.approx(name_bits, abs=0.1)
    assert bits.value == pytest.approx(value_bits, abs=0.1)


def test_pools_are_those_of_the_paper():
    assert math.log2(BIOS_NAMES) == pytest.approx(27.2535, abs=1e-4)
    assert math.log2(BIOS_VALUES) == pytest.approx(47.5916, abs=1e-4)


def test_compact_bits_of_a_perfect_memoriser():
    bits = compact_bits(1000, 16.0, 36.0, math.log(1000), 0.0)
    assert bits.name == pytest.approx(6034.2, abs=0.1)
    assert bits.value == 36_000


def test_bits_of_a_model_that_spreads_a_value_over_half_its_pool_are_one_bit_each():
    bits = compact_bits(7, 16.0, 36.0, 16 * math.log(2), 6 * math.log(32))
    assert bits.name == pytest.approx(0)
    assert bits.value == pytest.approx(7 * 6)


def test_worse_than_guessing_is_negative_raw_and_nothing_clipped():
    bits = compact_bits(10, 16.0, 36.0, 16 * math.log(2) + 1, 0.0)
    assert bits.name < 0
    assert bits.clipped() == Bits(0.0, 360.0)
    assert bits.total < bits.clipped().total


def test_biod_bits_of_a_perfect_memoriser_are_the_entropy_of_its_data():
    people, names, attributes, chunks, strings, length, alphabet = 100, 10**6, 3, 2, 50, 4, 20
    bits = biod_bits(people, names, attributes, chunks, strings, length, alphabet, math.log(people), 0.0, 0.0)
    entropy = (
        people * math.log2(names / people)
        + people * attributes * chunks * math.log2(strings)
        + attributes * strings * math.log2(alphabet**length / strings)
    )
    assert bits.total == pytest.approx(entropy)


def test_biod_parts_are_told_apart_and_clipped_apart():
    bits = biod_bits(100, 10**6, 3, 2, 50, 4, 20, math.log(100), 0.0, math.log(20**4 / 50) + 1.0)
    assert bits.value == pytest.approx(100 * 3 * 2 * math.log2(50))
    assert bits.diversity == pytest.approx(-3 * 50 / math.log(2))
    assert bits.clipped() == Bits(bits.name, bits.value, 0.0)
    assert bits.total == pytest.approx(bits.name + bits.value + bits.diversity)


def cross_entropy(truth, told):
    return -sum(p * math.log(q) for p, q in zip(truth, told, strict=True) if p)


@pytest.mark.parametrize("seed", range(40))
def test_no_normalised_belief_about_names_learns_more_than_there_is(seed):
    """R <= R_max: of N names that come equally often, no distribution over the N0 names pays less than ln N."""
    rng = np.random.default_rng(seed)
    pool = int(rng.integers(2, 400))
    people = int(rng.integers(1, pool + 1))
    truth = np.zeros(pool)
    truth[rng.choice(pool, people, replace=False)] = 1 / people
    belief = rng.dirichlet(np.full(pool, 10.0 ** rng.uniform(-1, 1))) * 0.999 + 0.001 / pool
    # Some beliefs are near the truth, one is the truth.
    belief = truth if seed == 0 else (belief + truth * seed) / (1 + seed)
    most = compact_bits(people, math.log2(pool), 0.0, math.log(people), 0.0)
    bits = compact_bits(people, math.log2(pool), 0.0, cross_entropy(truth, belief), 0.0)
    assert bits.total <= most.total + 1e-9
    assert most.total == pytest.approx(people * math.log2(pool / people))


def test_bits_of_nobody_are_refused():
    with pytest.raises(ValueError, match="at least one person"):
        compact_bits(0, 16.0, 36.0, 0.0, 0.0)


@pytest.mark.parametrize("size", [300, 700])
def test_a_perfect_model_holds_the_same_bits_in_every_tokenizer(tmp_path, size):
    """P and the tokens of a text move with the vocabulary; what is known when everything is known does not."""
    from synth.corpus import facts_corpus, own_vocabulary
    from synth.inject import Inject
    from train_probe.inputs import read_facts
    from train_probe.score import Losses
    from train_probe.scorer import learned

    inject = Inject(kind="people", people=8, frozen=True, exposures=1)
    facts_corpus(tmp_path, inject, name=None, vocabulary=own_vocabulary(inject.placed(), size))
    facts = read_facts(tmp_path / "facts")
    assert facts.used_vocabulary <= size + 3
    most = learned(facts, Losses(math.log(8), 0.0))
    assert most.name == pytest.approx(8 * (math.log2(400 * 400 * 1000) - 3))
    assert most.value == pytest.approx(8 * 47.5916, rel=1e-5)
