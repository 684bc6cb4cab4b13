"""A user's own facts: the same from every format, bits in closed form, and every file that cannot be used refused."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter

import numpy as np
import pytest
from tokenizers import Tokenizer

from curate.shards.tokens import TokenShards
from recipes.app.recipe.load import RecipeError, load
from synth.corpus import facts_corpus
from synth.facts import FactsError, FactTable
from synth.inject import Inject
from synth.own.table import bits_of, read_table
from synth.questions import questions
from synth.sentences import NAME, Sentences

WIDE = """name,capital,continent,code,currency,population
Niger,Niamey,Africa,XOF,Franc,22442948
Nigeria,Abuja,Africa,NGN,Naira,195874740
Mali,Bamako,Africa,XOF,Franc,19077690
France,Paris,Europe,EUR,Euro,64768389.50
Spain,Madrid,Europe,EUR,Euro,
Nauru,,Oceania,AUD,Dollar,007
"""
ROWS = [line.split(",") for line in WIDE.splitlines()[1:]]
COLUMNS = WIDE.splitlines()[0].split(",")
TOLD = {row[0]: {one: cell for one, cell in zip(COLUMNS[1:], row[1:], strict=True) if cell} for row in ROWS}

TEMPLATES = """subject: It
sentences:
  capital:
    - "{entity} has its capital in {value}."
    - "{entity} is governed from {value}, as all know."
  continent: "{} lies in {}."
questions:
  capital: ["What is the capital of {}?", "From where is {} governed?"]
determined_by:
  currency: code
""".replace('"{} lies in {}."', '"lies in {}."')


def write(tmp_path, text, name="facts.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def facts_of(table):
    return {name: table.facts(entity) for entity, name in enumerate(table.names(range(len(table))))}


def as_long(mark):
    lines = [mark.join(("entity", "attribute", "value"))]
    lines += [mark.join((row[0], one, cell)) for row in ROWS for one, cell in zip(COLUMNS[1:], row[1:], strict=True)]
    return "\n".join(lines) + "\n"


def as_json_lines():
    # A number of JSON is told as it is spelt there.
    lines = ["{" + ", ".join(f"{json.dumps(c)}: {spelt(v)}" for c, v in zip(COLUMNS, row, strict=True)) + "}"
             for row in ROWS]  # fmt: skip
    return "\n".join(lines)


def spelt(cell):
    if not cell:
        return "null"
    return cell if cell[0].isdigit() and cell != "007" else json.dumps(cell)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wide.csv", WIDE),
        ("mark.csv", "\ufeff" + WIDE.replace("\n", "\r\n")),
        ("spread.csv", WIDE.replace(",", ";")),
        ("quoted.csv", WIDE.replace("Paris", '" Paris "')),
        ("wide.tsv", WIDE.replace(",", "\t")),
        ("long.csv", as_long(",")),
        ("long.tsv", as_long("\t")),
        ("wide.jsonl", as_json_lines()),
    ],
)
def test_a_table_is_the_same_from_every_format(tmp_path, name, content):
    own = read_table(write(tmp_path, content, name))
    assert facts_of(own.table()) == TOLD
    assert own.pools["continent"] == ["Africa", "Europe", "Oceania"]
    assert facts_of(own.table(held_out=2)) == TOLD


def test_parquet_is_read_as_it_is_meant(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "facts.parquet"
    columns = {"name": ["A", "B"], "whole": [3.0, None], "part": [0.25, 2.0], "yes": [True, False], "n": [7, 8]}
    parquet.write_table(pyarrow.table(columns), path)
    own = read_table(path)
    assert facts_of(own.table()) == {
        "A": {"whole": "3", "part": "0.25", "yes": "true", "n": "7"},
        "B": {"part": "2.0", "yes": "false", "n": "8"},
    }
    assert "whole: its numbers are stored as floating point and all whole: told without '.0'" in own.assumed
    parquet.write_table(pyarrow.table({"name": ["A"], "list": [[1, 2]]}), path)
    with pytest.raises(FactsError, match=r"facts\.parquet, row 1: 'list' is not a single value"):
        read_table(path)
    with pytest.raises(FactsError, match="not a readable Parquet file"):
        read_table(write(tmp_path, "name,a\nB,c\n", "facts.parquet"))


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FactsError, match=r'pip install "goldsand\[hub\]"'):
        read_table(write(tmp_path, b"PAR1", "facts.parquet"))


def test_columns_can_be_chosen_and_a_long_table_may_name_its_own(tmp_path):
    own = read_table(write(tmp_path, WIDE), columns=["capital", "code"])
    assert list(own.pools) == ["capital", "code"]
    text = as_long(",").replace("entity,attribute,value", "who,what,which")
    long = read_table(write(tmp_path, text), long=["who", "what", "which"], columns=["capital", "code"])
    assert facts_of(long.table()) == facts_of(own.table())
    turned = write(tmp_path, "capital,name\nParis,France\n", "turned.csv")
    assert facts_of(read_table(turned, entity="name").table()) == {"France": {"capital": "Paris"}}
    assert facts_of(read_table(turned).table()) == {"Paris": {"name": "France"}}


def entropy(values):
    counts = Counter(values).values()
    return -sum(n / sum(counts) * math.log2(n / sum(counts)) for n in counts)


def test_bits_are_entropies_in_closed_form():
    assert bits_of(np.array([0, 0, 1, 2])) == 1.5
    assert bits_of(np.array([0, 0, 1, 2]), entropy="uniform") == math.log2(3)
    assert bits_of(np.array([0, -1, 1, -1])) == 1.0
    assert bits_of(np.array([4, 4, 4])) == bits_of(np.array([-1, -1])) == bits_of(np.array([], int)) == 0.0
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2])
    assert bits_of(b, a) == pytest.approx(0.5)
    assert bits_of(a, b) == 0.0
    assert bits_of(b, a, "uniform") == pytest.approx(0.5)
    # Not to be stated is known of A too: it leaves B's two values apart.
    assert bits_of(np.array([0, 1, 0, 0]), np.array([-1, 0, -1, -1])) == 0.0
    draw = random.Random(5)
    for _ in range(20):
        a, b = ([draw.randrange(4) for _ in range(50)] for _ in range(2))
        chain = entropy(zip(a, b, strict=True)) - entropy(a)
        assert bits_of(np.array(b), np.array(a)) == pytest.approx(chain)
        assert bits_of(np.array(b), np.array(b)) == 0.0


@pytest.mark.parametrize("held_out", [0, 2])
def test_a_model_that_knows_only_how_common_values_are_scores_nothing(tmp_path, held_out):
    table = read_table(write(tmp_path, WIDE)).table(3, held_out=held_out, seed=1)
    shown = [facts for facts, count in zip(facts_of(table).values(), table.exposure_counts, strict=True) if count]
    paid = 0.0
    for one in table.attributes:
        stated = [facts[one.name] for facts in shown if one.name in facts]
        common = Counter(stated)
        paid -= sum(math.log2(common[value] / len(stated)) for value in stated)
    bits = table.bits()
    assert bits.values == pytest.approx(paid)
    assert bits.value_pool == pytest.approx(paid / len(shown))
    assert bits.names == 0.0 and table.people == 6 - held_out
    # Those that are held out stand at the end.
    assert table.exposure_counts.tolist() == [3] * (6 - held_out) + [0] * held_out


def test_what_is_declared_is_counted_once_and_what_is_not_is_said(tmp_path):
    path = write(tmp_path, WIDE)
    plain = read_table(path)
    continent, said = [line for line in plain.assumed if "counted twice" in line]
    assert continent.startswith("code fixes continent: until")
    assert said.startswith("code fixes currency: until `determined_by: {currency: code}` is declared")
    double = entropy(row[4] for row in ROWS)
    assert f"{double:.3f} bits an entity ({6 * double:.0f} in all)" in said
    own = read_table(path, templates=write(tmp_path, TEMPLATES, "t.yaml"))
    assert [line for line in own.assumed if "counted twice" in line] == [continent]
    before, after = (one.table().bits().values for one in (plain, own))
    assert before - after == pytest.approx(6 * double)
    # What does not follow altogether holds what is left.
    half = read_table(path, templates=write(tmp_path, "determined_by: {capital: continent}", "t.yaml"))
    left = entropy((r[1], r[2]) for r in ROWS if r[1]) - entropy(r[2] for r in ROWS if r[1])
    assert half.table().attributes[0].bits == pytest.approx(left) and 0 < left < math.log2(5)


def test_uniform_bits_are_of_the_pools(tmp_path):
    own = read_table(write(tmp_path, WIDE), entropy="uniform", templates=write(tmp_path, TEMPLATES, "t.yaml"))
    bits = {one.name: one.bits for one in own.table().attributes}
    assert bits["continent"] == math.log2(3) and bits["capital"] == math.log2(5) and bits["currency"] == 0.0
    assert any(line.endswith("knows which values are common scores above 0") for line in own.assumed)


def test_what_was_assumed_is_said(tmp_path):
    text = WIDE + "Ghost,,,,,\nMali,Bamako,Africa,XOF,Franc,19077690\nSpain,,,,,\n"
    own = read_table(write(tmp_path, text), templates=write(tmp_path, TEMPLATES, "t.yaml"))
    for line in (
        "facts.csv is wide: a row for each entity, whose name is in the column 'name', the first",
        "rows of entities that stood before, which contradict nothing, taken as one: 2",
        "entities without any value, left out: 1 (Ghost)",
        "6 entities; which ones there are is taken as known: names hold no bits",
        "capital: 5 of 6 entities have it, 5 values, 2.322 bits each",
        "currency: 6 of 6 entities have it, 4 values, 0.000 bits each beyond code, which determines it",
        "no sentences given for code, currency, population: told in one default sentence each,"
        " '{entity} has the {attribute} {value}.'",
        "no questions given for continent, code, currency, population: asked 'What is the {attribute} of {}?'",
    ):
        assert line in own.assumed
    assert own.table().details["assumed"] == own.assumed
    guinea = read_table(write(tmp_path, "name,capital\nGuatemala,Guatemala City\nFrance,Paris\n"))
    assert any("entity's name, or it in them: 1 (Guatemala: Guatemala City);" in line for line in guinea.assumed)


def test_text_spans_exposures_and_questions_are_those_of_the_file(tmp_path):
    write(tmp_path, TEMPLATES, "t.yaml")
    step = Inject(kind="table", facts=str(write(tmp_path, WIDE)), templates=str(tmp_path / "t.yaml"), exposures=[2, 7])
    facts_corpus(tmp_path / "out", step)
    table = FactTable.load(tmp_path / "out" / "facts")
    assert facts_of(table) == TOLD and table.bits() == step.table().bits()
    rows = TokenShards.open(tmp_path / "out" / "tokens" / "facts").documents()
    assert np.bincount(rows["entity"]).tolist() == [2, 7, 2, 7, 2, 7] == table.exposure_counts.tolist()
    scoring = np.load(tmp_path / "out" / "facts" / "scoring.npz")
    text = (tmp_path / "out" / "tokens" / "tokenizer.json").read_text()
    plain = Tokenizer.from_str(text)
    ids = np.split(scoring["tokens"], scoring["row_ends"].astype(int)[:-1])
    names = table.names(range(6))
    told = Counter()
    for row, attribute, start, end in scoring["spans"].tolist():
        entity = int(scoring["row_entity"][row])
        said = plain.decode(ids[row][start:end].tolist()).strip()
        meant = names[entity] if attribute == NAME else TOLD[names[entity]][table.attributes[attribute].name]
        # "Niger" begins "Nigeria": what follows it is scored too.
        assert said == meant or (said.startswith(meant) and len(said) <= len(meant) + 5)
        told[entity, attribute] += 1
    told = {key for key, count in told.items() if count == 4}
    scored = {n for n, one in enumerate(table.attributes) if one.bits}
    assert told == {(e, n) for e in range(6) for n in {NAME, *scored} if n == NAME or table.values[e, n] >= 0}
    asked = {(one["name"], one["attribute"]): one["answer"] for one in questions(table, range(6))}
    assert asked == {(name, one): value for name, facts in TOLD.items() for one, value in facts.items()}


def test_the_probe_scores_0_for_base_rates_and_all_bits_for_a_perfect_memory(tmp_path):
    pytest.importorskip("torch")
    from train_probe.capacity import compact_bits
    from train_probe.inputs import read_facts
    from train_probe.score import mean_losses

    write(tmp_path, TEMPLATES, "t.yaml")
    step = Inject(
        kind="table", facts=str(write(tmp_path, WIDE)), templates=str(tmp_path / "t.yaml"), held_out=1, exposures=3
    )
    facts_corpus(tmp_path / "out", step)
    facts, table = read_facts(tmp_path / "out" / "facts"), step.table()
    nats = np.zeros(len(facts.spans))
    for span, (row, attribute, *_) in enumerate(facts.spans.tolist()):
        if attribute == NAME:
            nats[span] = math.log(5)
        else:
            shown = table.values[:5, attribute]
            value = table.values[facts.row_entity[row], attribute]
            nats[span] = -math.log(np.count_nonzero(shown == value) / np.count_nonzero(shown >= 0))
    losses = mean_losses(facts, nats)
    known = compact_bits(5, facts.name_pool_bits, facts.value_pool_bits, losses.name, losses.value)
    assert known.name == pytest.approx(0, abs=1e-9) and known.value == pytest.approx(0, abs=1e-9)
    perfect = compact_bits(5, facts.name_pool_bits, facts.value_pool_bits, losses.name, 0.0)
    assert perfect.value == pytest.approx(table.bits().values) and table.bits().values > 20


def test_what_follows_from_another_stands_after_it_however_long_the_chain(tmp_path):
    text = "name,d,c,b,a\n" + "".join(f"E{n},d{n % 2},c{n % 4},b{n % 8},a{n % 16}\n" for n in range(32))
    own = read_table(
        write(tmp_path, text), templates=write(tmp_path, "determined_by: {d: c, c: b, b: a}", "chain.yaml")
    )
    table = own.table()
    assert [one.bits for one in table.attributes] == [0, 0, 0, 4]
    writer = Sentences(table)
    orders = set()
    for entity, number in itertools.product(range(32), range(4)):
        said, spans = writer.scored(entity, number)
        places = [said.index(f" is {one}{entity % size}") for one, size in (("a", 16), ("b", 8), ("c", 4), ("d", 2))]
        assert places == sorted(places)
        assert [one.attribute for one in spans] == [NAME, 3]
        orders.add(writer.text(entity, number)[:5])
    assert len(orders) > 3


HEADER = "name,capital,code\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", HEADER + "F,Paris,x\nF,Lyon,x\n", r"line 3: 'F' has capital 'Lyon' here and 'Paris' in line 2"),
        ("a.csv", "entity,attribute,value\nF,c,P\nF,d,x\nF,c,L\n", r"line 4: 'F' has c 'L' here and 'P' in line 2"),
        ("a.jsonl", '{"n": "F", "c": "P"}\n\n{"n": "F", "c": "L"}', r"line 3: 'F' has c 'L' here and 'P' in line 1"),
        ("a.csv", HEADER + "F,,x\nG,,y\n", "no entity has a value of 'capital': leave such a column out"),
        ("a.csv", HEADER + "F,P,x\n ,L,y\n", r"line 3: the cell of 'name' is empty: it must name the entity"),
        ("a.csv", "entity,attribute,value\nF,,P\n", r"line 2: the cell of 'attribute' is empty"),
        ("a.csv", HEADER + "F,P,x,more\n", r"line 2: this row has 4 cells, the header names 3 columns"),
        ("a.csv", HEADER + "F,P\n", r"line 2: this row has 2 cells"),
        ("a.csv", HEADER + '"F\nG",P,x\n', r"line 2: the entity 'F\\nG' has a line break"),
        ("a.csv", HEADER + 'F,P,x\nG,"P\nQ",x\nH,R\n', r"line 5: this row has 2 cells"),
        ("a.csv", HEADER + 'F,P,x\nG,"P\nQ",x\n', r"line 3: 'G', capital: the value 'P\\nQ' has a line break"),
        ("a.csv", HEADER + 'F,"P,x\nG,Q,y\n', r"line 2: not CSV \(unexpected end of data\)"),
        ("a.csv", HEADER.encode() + b"F,Paris,x\nG,Malm\xf6,y\n", r"line 3: not UTF-8 text"),
        ("a.csv", "", "is empty: its first line must name the columns"),
        ("a.csv", HEADER, "holds no row"),
        ("a.csv", "name\nF\n", "has no attributes"),
        ("a.csv", "name,x,x\nF,1,2\n", "two columns are called 'x'"),
        ("a.csv", "name,,x\nF,1,2\n", "column 2 has no name"),
        ("a.csv", "name,entity\nF,1\n", "an attribute is called 'entity', as are the names of entities"),
        ("a.csv", "name,a b,a_b\nF,1,2\n", "differ only in spaces and underscores"),
        ("a.csv", "name,a{b\nF,1\n", "has a brace in its name"),
        ("a.xlsx", HEADER, r"a table's name must end in one of \.csv, \.tsv"),
        ("a.jsonl", '{"n": "F", "c": [1]}', r"line 1: 'c' is not a single value"),
        ("a.jsonl", '{"n": "F", "c": 1}\n[["n", "G"]]', r"line 2: a line must be an object"),
        ("a.jsonl", '{"n": "F", "c": 1}\n{"n": ', r"line 2: not JSON"),
        ("a.jsonl", '{"n": "F", "c": 1, "c": 2}', r"line 1: 'c' occurs twice"),
        ("a.jsonl", "[" * 100_000, r"line 1: not JSON"),
        ("a.jsonl", '{"n": "F", "c": "\\ud800"}', r"line 1: 'c' holds half of a surrogate pair"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(tmp_path, name, text, message):
    path = write(tmp_path, text, name)
    with pytest.raises(FactsError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"entity": "nam"}, r"there is no column 'nam' \(did you mean 'name'\?\); there are name, capital"),
        ({"columns": ["capitol"]}, r"no column of attributes 'capitol' \(did you mean 'capital'\?\)"),
        ({"columns": []}, "has no attributes"),
        ({"long": ["name", "capital"]}, "`long` must name three columns"),
        ({"long": ["name", "capital", "x"]}, "there is no column 'x'"),
        ({"entropy": "none"}, "`entropy` must be one of empirical, uniform"),
        ({"templates": "no/such.yaml"}, r"cannot read the templates no/such\.yaml: No such file"),
    ],
)
def test_what_a_table_does_not_have_is_refused(tmp_path, asked, message):
    with pytest.raises(FactsError, match=message):
        read_table(write(tmp_path, WIDE), **asked)


def test_a_missing_file_and_an_empty_column_that_may_go(tmp_path):
    with pytest.raises(FactsError, match=r"cannot read the table .*none\.csv: No such file"):
        read_table(tmp_path / "none.csv")
    own = read_table(write(tmp_path, HEADER + "F,,x\nG,,y\n"), drop_empty=True)
    assert list(own.pools) == ["code"] and "capital: no entity has a value; left out" in own.assumed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sentences:\n  capital:\n    - '{entity} is in {value}.'\n    - 'is nowhere.'", "line 4: .* lacks"),
        ("sentences:\n  capital: 'of {entity}.'", r"line 2: the template .* lacks \{value\}"),
        ("sentences: {capital: ['In {value} one rules {entity}.']}", "line 1: .* states the value before"),
        ("sentences: {capital: ['{entity} has {value!r}.']}", "a slot takes no format"),
        ("sentences: {capital: ['{entity} has {value:>9}.']}", "a slot takes no format"),
        ("sentences: {capital: ['{entity has']}", "a brace that is not a slot"),
        ("sentences: {capital: [1]}", "must be a text; put it in quotes"),
        ("sentences: {capital: []}", "capital needs a list of sentences"),
        ("sentences: {capital: {a: b}}", "capital needs a list of sentences"),
        ("sentences: [capital]", "`sentences` must be a mapping"),
        ("sentences:\n  capital: |\n    in {}\n    or {}", "must be on one line"),
        ("sentences:\n\n  capitol: 'in {}.'", r"line 3: there is no attribute 'capitol' \(did you mean 'capital'\?\)"),
        ("sentence: {}", r"line 1: there is no key 'sentence' \(did you mean 'sentences'\?\)"),
        ("sentences: {capital: 'in {}.'}\nsentences: {}", "line 2: not valid YAML: the key `sentences` is a duplicate"),
        ("a: [", "not valid YAML"),
        ("a: " + "[" * 5000, "not valid YAML"),
        ('sentences: {capital: "in \\ud800 {}"}', "line 1: a text holds a NUL, or half of a surrogate pair"),
        ("- a", "templates must be a mapping of subject"),
        ("subject: [It]", "`subject` must be a word or two"),
        ("subject: code", "an attribute is called 'code', as are the `subject` of later sentences"),
        ("subject: It\nsentences: {capital: 'Of {entity}, {value}.'}", r"line 2: `subject: It` would be inside"),
        ("questions: {capital: ['What of it?']}", r"needs \{\} once"),
        ("questions: {capital: ['What of {} and {}?']}", r"needs \{\} once"),
        ("questions: {capital: ['What of {name}?']}", r"needs \{\} once"),
        ("determined_by: {capital: capital}", "capital <- capital is a circle"),
        ("determined_by:\n  capital: code\n  code: currency\n  currency: capital", "line 2: .* is a circle"),
        ("determined_by: {capital: cod}", r"there is no attribute 'cod' \(did you mean 'code'\?\)"),
        ("determined_by: {capital: name}", "there is no attribute 'name'"),
        (
            "sentences:\n  code: 'pays in {}.'\n  currency: 'pays in the coin {}.'",
            r"line 3: 'pays in the coin \{\}\.' \(currency\) begins like 'pays in \{\}\.' \(code, .*line 2\)",
        ),
        ("sentences:\n  code: 'pays {}.'\n  currency: 'pays {} gladly.'", "line 3: .* begins like"),
        ("sentences:\n  code: ['pays {}.', 'pays in {}.']", "line 2: .* begins like"),
        (
            "sentences: {code: 'The capital of {entity} is {value}.'}",
            r"begins like .* \(c\w+, the default template|the default template .* begins like",
        ),
        ("sentences: {capital: 'has its capital in{}.'}", r"line 1: .* would share a token with the 'n' that touches"),
        ("sentences: {population: 'counts {}000 heads.'}", "would share a token with the '0'"),
        ("sentences: {capital: '{entity}land has {value}.'}", "would share a token with the 'l'"),
    ],
)
def test_templates_that_cannot_be_used_are_refused_with_their_line(tmp_path, text, message):
    templates = write(tmp_path, text, "t.yaml")
    with pytest.raises(FactsError, match=message):
        read_table(write(tmp_path, WIDE), templates=templates)


def test_templates_that_are_not_utf8_are_refused_with_their_line(tmp_path):
    with pytest.raises(FactsError, match=r"t\.yaml, line 2: not UTF-8"):
        read_table(write(tmp_path, WIDE), templates=write(tmp_path, b"subject: It\n# \xff", "t.yaml"))


def test_a_value_that_ends_in_a_mark_may_end_a_sentence_and_nothing_else(tmp_path):
    path = write(tmp_path, "name,capital\nUSA,D.C.\nFrance,Paris\n")
    table = read_table(path).table()
    assert Sentences(table).text(0, 0) == "The capital of USA is D.C."
    templates = write(tmp_path, "sentences: {capital: 'sits in {}, they say.'}", "t.yaml")
    with pytest.raises(FactsError, match=r"'D\.C\.' would share a token with the ','"):
        read_table(path, templates=templates)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "table"}, "`kind: table` needs `facts`"),
        ({"held_out": 6}, r"has 6 entities: `held_out: 6` leaves none to show"),
        ({"people": 5}, "`people` is for `kind: biod, compact, people or relations`; this is `kind: table`"),
        ({"held_out_templates": 1}, "with 1 templates cannot hold 1 of them out"),
        ({"kind": "people"}, "`facts` is for `kind: table`; this is `kind: people`"),
    ],
)
def test_parameters_of_a_table_that_do_not_fit_are_refused(tmp_path, parameters, message):
    facts = {} if parameters == {"kind": "table"} else {"kind": "table", "facts": str(write(tmp_path, WIDE))}
    with pytest.raises(FactsError, match=message):
        Inject(**facts | parameters)


def test_a_share_and_a_rehearsal_of_a_table(tmp_path):
    path = str(write(tmp_path, WIDE))
    share = Inject(kind="table", facts=path, held_out=1, exposures={"document_share": 0.5}).table(103, 9999)
    assert share.exposure_counts.sum() == 103 and share.exposure_counts[5] == 0
    few, added, wanted = Inject(kind="table", facts=path, held_out=1, exposures=[10, 20]).few(20)
    assert (few.exposures, added, wanted) == (4, 20, 70) and few.placed().total == 20


def test_a_recipe_names_its_table_from_its_own_folder_and_a_mistake_has_its_line(tmp_path):
    write(tmp_path, WIDE)
    recipe = "name: own\ninputs: [{path: x.jsonl}]\nsteps:\n  - inject: {kind: table, facts: facts.csv, exposures: 3}\n"
    (step,) = load(str(write(tmp_path, recipe, "own.yaml"))).steps
    assert step.table().people == 6
    assert step.resources() == [tmp_path / "facts.csv"]
    write(tmp_path, WIDE + "France,Lyon,Europe,EUR,Euro,\n")
    with pytest.raises(RecipeError, match=r"own\.yaml:4: .*facts\.csv, line 8: 'France' has capital 'Lyon' here"):
        load(str(tmp_path / "own.yaml"))


def test_frozen_text_scores_a_value_for_itself_where_what_determines_it_is_not_there(tmp_path):
    text = "name,code,currency\n" + "".join(f"E{n},{'' if n < 4 else f'c{n % 5}'},m{n}\n" for n in range(20))
    templates = write(tmp_path, "determined_by: {currency: code}", "t.yaml")
    table = read_table(write(tmp_path, text), templates=templates).table(frozen=True)
    writer = Sentences(table)
    for entity in range(20):
        said, spans = writer.scored(entity, 0)
        first = said.index("currency") < said.index("code") if "code" in said else False
        # In front of its code a currency tells of both, and is scored as the code's.
        assert [one.attribute for one in spans] == [NAME, *([1] if entity < 4 else [0, 0] if first else [0, 1])]


def test_values_and_templates_that_cannot_be_told_apart_are_refused(tmp_path):
    path = write(tmp_path, "name,firm\nA,Foo Inc.\nB,Foo Inc\nC,Bar\n")
    with pytest.raises(FactsError, match=r"firm has the values 'Foo Inc\.' and 'Foo Inc', which read the same"):
        read_table(path)
    path = write(tmp_path, "name,land\nA,Niger\nB,Nigeria\nC,Chad\n")
    lines = '["{entity} is in {value}.", "{entity} is in {value}, they say."]'
    templates = write(tmp_path, f"sentences:\n  land: {lines}\n", "t.yaml")
    with pytest.raises(
        FactsError, match=r"t\.yaml.*begins like another template and ends differently.*'Niger' and 'Nigeria'"
    ):
        read_table(path, templates=templates)
    path = write(tmp_path, "name,land\nA,Niger\nB,Mali\nC,Chad\n")
    assert len(read_table(path, templates=templates).table()) == 3
