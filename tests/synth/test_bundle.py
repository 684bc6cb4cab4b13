"""Bundles: small, exact to the token or refused, the same twice, and nothing but arrays."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from curate.shards.vocabulary import VocabularyError, build_vocabulary
from synth.bundle import compile_bundle
from synth.codes import biod_table, compact_table, reserved_words
from synth.facts import Attribute, FactsError, FactTable
from synth.people import people_table
from synth.sentences import Sentences


def firms(templates, *, employers=("Acorn Foods", "Bolt & Co. Inc."), people=8, **changes):
    """A small table of who works for whom."""
    names = ["Ada", "Bo", "Cyd", "Dee"]
    numbers = np.arange(people)
    return FactTable(
        kind="own",
        seed=3,
        domain="facts",
        attributes=(Attribute("employer", "employer", len(employers)),),
        name_parts=("first", "last"),
        pools={"first": names, "last": [f"{name}son" for name in names], "employer": list(employers)},
        entities=np.stack([numbers % 4, numbers // 4 % 4], 1).astype(np.int32),
        values=(numbers % len(employers)).astype(np.int32)[:, None],
        exposure_counts=np.full(people, 2, np.int32),
        templates={"employer": tuple(templates)},
        **changes,
    )


def trained(table, size=300, use_regex=True):
    """A byte-level BPE of the table's own texts; without the expression, one that merges across words."""
    texts = list(Sentences(table).texts(np.arange(len(table)), np.zeros(len(table))))
    if use_regex:
        return build_vocabulary(kind="bpe", texts=texts, size=size, domains=["facts"])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def saved(tokenizer, path):
    tokenizer.save(str(path))
    return build_vocabulary(kind="file", file=path, domains=["facts"])


def test_columns_come_back_from_their_smallest_types(tmp_path):
    table = firms(["works for {}."], people=16)
    table.values[3] = -1
    compile_bundle(table, trained(table)).save(tmp_path / "bundle.npz")
    with np.load(tmp_path / "bundle.npz", allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    assert {name: arrays[name].dtype for name in ("name_0", "value_0", "exposure_counts")} == {
        "name_0": np.uint8,
        "value_0": np.int8,
        "exposure_counts": np.uint8,
    }
    assert np.array_equal(np.stack([arrays["name_0"], arrays["name_1"]], 1), table.entities)
    assert np.array_equal(arrays["value_0"], table.values[:, 0])
    assert np.array_equal(arrays["exposure_counts"], table.exposure_counts)


@pytest.mark.parametrize("most", [127, 128, 255, 256, 32767, 32768, 65535, 65536])
@pytest.mark.parametrize("least", [-1, 0])
def test_no_value_is_lost_in_a_type_too_small(most, least):
    from synth.bundle import _narrow

    array = np.array([least, most], np.int32)
    assert np.array_equal(_narrow(array), array)
    assert _narrow(array).dtype.itemsize == (1 if most < 128 or (least == 0 and most < 256) else _width(most, least))


def _width(most, least):
    return 2 if most < 32768 or (least == 0 and most < 65536) else 4


def test_what_a_bundle_is_of_stands_in_it():
    table = firms(["works for {}.", "is paid by {}.", "serves {}."], held_out_templates=1, frozen=True)
    vocabulary = trained(table)
    bundle = compile_bundle(table, vocabulary)
    meta = json.loads(str(bundle.arrays["meta"]))
    assert meta == bundle.meta
    assert meta["frozen"] and meta["held_out_templates"] == 1 and meta["stride"] == 16 and meta["seed"] == 3
    assert meta["end_of_text"] == vocabulary.end_of_text
    assert meta["tag"] == vocabulary.reserved("<|domain:facts|>")
    assert meta["tokenizer_hash"] == vocabulary.hash
    assert meta["bits"]["values"] == table.bits().values == 8
    assert meta["entities"] == 8 and meta["exposures"] == 2


def test_the_same_facts_give_the_same_bytes(tmp_path):
    table = biod_table(50, 2, attributes=3)
    vocabulary = build_vocabulary(kind="compact", domains=["facts"], reserved=reserved_words(table))
    for name in ("one.npz", "two.npz"):
        compile_bundle(table, vocabulary).save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_million_people_are_under_64_mb(tmp_path):
    """What people cost is exact in bytes; pools and templates stand there once, whatever their number."""
    people = 20_000
    texts = list(Sentences(people_table(300)).texts(np.arange(300), np.zeros(300)))
    vocabulary = build_vocabulary(kind="bpe", texts=texts, size=1024, domains=["facts"])
    bundle = compile_bundle(people_table(people, 1000), vocabulary)
    bundle.save(tmp_path / "bundle.npz")
    each = sum(array.dtype.itemsize for array in bundle.arrays.values() if array.shape == (people,))
    assert each == 20
    once = (tmp_path / "bundle.npz").stat().st_size - each * people
    assert once > 0 and once + each * 1_000_000 < 64e6


def test_pieces_that_grow_together_are_named():
    table = firms(["{entity}works for {value}."])
    with pytest.raises(FactsError, match=r"'.*son' and 'works for' merge.*put a space between them"):
        compile_bundle(table, trained(table))
    table = firms(["is listed ({})."], employers=["Bolt & Co. Inc."])
    vocabulary = trained(table, 600)
    with pytest.raises(FactsError, match=r"'Bolt & Co\. Inc\.' and '\)\.' merge"):
        compile_bundle(table, vocabulary)
    table = firms(["joined {}sters."])
    with pytest.raises(FactsError, match=r"'.*Foods' and 'sters\.' merge"):
        compile_bundle(table, trained(table))


def test_a_tokenizer_that_merges_across_words_is_refused(tmp_path):
    table = firms(["works for {}.", "is paid by {}."])
    vocabulary = saved(trained(table, 500, use_regex=False), tmp_path / "across.json")
    with pytest.raises(FactsError, match=r"merge: .* take a tokenizer that splits at spaces and marks"):
        compile_bundle(table, vocabulary)


def test_a_growth_of_one_rare_pair_is_found(tmp_path):
    """Digits in groups of three: 'Unit 7' and '5 Road' are cut elsewhere together; nothing else in the table is."""
    rule = pre_tokenizers.Split(pattern=Regex(r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), behavior="isolated")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([rule, pre_tokenizers.ByteLevel(False, use_regex=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        ["Unit 75 Road 75"] * 9, trainers.BpeTrainer(vocab_size=270, initial_alphabet=alphabet, show_progress=False)
    )
    vocabulary = saved(tokenizer, tmp_path / "digits.json")
    calm = [f"Unit {letter}" for letter in "abcdefgh"]
    assert compile_bundle(firms(["owns {}5 Road."], employers=calm), vocabulary)
    with pytest.raises(FactsError, match=r"'.*Unit 7' and '5 Road\.' merge"):
        compile_bundle(firms(["owns {}5 Road."], employers=[*calm, "Unit 7"], people=9), vocabulary)


def test_records_want_every_value_and_a_token_for_each_word():
    table = compact_table(20)
    with pytest.raises(VocabularyError, match="no reserved token '<"):
        compile_bundle(table, build_vocabulary(kind="bpe", size=256))
    vocabulary = build_vocabulary(kind="compact", domains=["facts"], reserved=reserved_words(table))
    values = table.values.copy()
    values[7, 2] = -1
    with pytest.raises(FactsError, match="entity 7 lacks a value"):
        compile_bundle(replace(table, values=values), vocabulary)
    with pytest.raises(VocabularyError, match="closed vocabulary"):
        compile_bundle(firms(["works for {}."]), vocabulary)


def test_only_tables_drawn_from_their_pools_go_on_beyond_their_end():
    table = compact_table(200)
    vocabulary = build_vocabulary(kind="compact", domains=["facts"], reserved=reserved_words(table))
    assert compile_bundle(table, vocabulary).meta["drawn"]
    values = table.values.copy()
    values[:, 1] = values[::-1, 1]
    assert not compile_bundle(replace(table, values=values), vocabulary).meta["drawn"]
    assert not compile_bundle(replace(table, entities=table.entities[::-1].copy()), vocabulary).meta["drawn"]
    assert not compile_bundle(firms(["works for {}."]), trained(firms(["works for {}."]))).meta["drawn"]


def test_a_subject_that_is_not_known_is_the_name_again():
    table = firms(["works for {}."])
    table = replace(
        table,
        attributes=(*table.attributes, Attribute("hobby", "hobby", 2), Attribute("pronoun", "pronoun", 2)),
        pools=table.pools | {"hobby": ["chess", "golf"], "pronoun": ["He", "She"]},
        values=np.array([[0, 1, -1]] * 8, np.int32),
        templates=table.templates | {"hobby": ("likes {}.",)},
        subject="pronoun",
    )
    writer = Sentences(table)
    for entity in range(8):
        name = table.names([entity])[0]
        assert writer.text(entity, 0).count(name) == 2
        text, spans = writer.scored(entity, 0)
        assert text.count(name) == 2 and [one.attribute for one in spans].count(2) == 0
