"""Recipes are cut where they must be, and records come back as they went in."""

import random
import tracemalloc
from dataclasses import dataclass

import pytest

from curate.run.stage import cut, labels_of
from curate.shards.records import SectionWriter, bucket_of, by_key, in_order, read_section
from curate.step import CorpusStep, Record, Rule, Step


@dataclass(frozen=True)
class Reads(Rule):
    name = "reads"


@dataclass(frozen=True)
class Extracts(Step):
    name = "extract"
    ends_stage = True


@dataclass(frozen=True)
class Sees(CorpusStep):
    name = "sees"


def folders(*steps: Step) -> list[str]:
    return [stage.folder for stage in cut(steps)]


def test_map_steps_are_fused_extract_ends_a_stage_and_a_corpus_step_begins_one():
    stages = cut([Extracts(), Reads(), Reads(), Sees(), Reads(), Sees()])
    assert [stage.labels for stage in stages] == [("extract",), ("reads", "reads#2"), ("sees", "reads#3"), ("sees#2",)]
    assert [stage.corpus is not None for stage in stages] == [False, False, True, True]


def test_a_corpus_step_in_front_gets_a_stage_that_reads():
    assert folders(Sees()) == ["00-read", "01-sees"]
    assert folders() == ["00-read"]
    assert folders(Extracts()) == ["00-extract"]


def test_labels_are_unique():
    assert labels_of([Reads(), Sees(), Reads()]) == ["reads", "sees", "reads#2"]


def some_records(count: int) -> list[Record]:
    draw = random.Random(count)
    return [(draw.randbytes(draw.randrange(3)), draw.randbytes(draw.randrange(40))) for _ in range(count)]


@pytest.mark.parametrize("budget", [1, 1000, 1 << 20])
def test_records_come_back_from_their_section_in_order_whatever_the_memory(tmp_path, budget):
    records = [(number % 3, record) for number, record in enumerate(some_records(300))]
    path = tmp_path / "a.records"
    with path.open("wb") as stream:
        writer = SectionWriter(stream, 4, budget)
        for section, record in records:
            writer.add(section, record)
        digests = writer.close()
    for section in range(4):
        assert list(read_section(path, section)) == [record for number, record in records if number == section]
    # A section's digest follows from its records alone: not from other sections, not from the frames.
    with (tmp_path / "b.records").open("wb") as stream:
        alone = SectionWriter(stream, 2)
        for section, record in records:
            if section == 1:
                alone.add(1, record)
        assert alone.close() == [digests[3], digests[1]]


@pytest.mark.parametrize("budget", [1, 5000, 1 << 20])
def test_sorting_with_little_memory_sorts_all_the_same(tmp_path, budget):
    records = some_records(400)
    assert list(in_order(iter(records), tmp_path, budget)) == sorted(records)
    assert any(tmp_path.iterdir()) == (budget < 1 << 20)


def test_sorting_takes_memory_for_its_budget_and_no_more(tmp_path):
    count = 80_000
    records = ((number.to_bytes(8, "big")[::-1], bytes(400)) for number in range(count))
    tracemalloc.start()
    seen = sum(1 for _ in in_order(records, tmp_path, 8 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == count and peak < 24 << 20 < count * 408


def test_grouping_forgets_the_order_of_arrival(tmp_path):
    records = [(b"b", b"2"), (b"a", b"9"), (b"b", b"1"), (b"a", b"9")]
    grouped = [(b"a", [b"9", b"9"]), (b"b", [b"1", b"2"])]
    assert list(by_key(in_order(records, tmp_path))) == list(by_key(in_order(reversed(records), tmp_path))) == grouped


def test_buckets_do_not_depend_on_the_process():
    assert [bucket_of(str(number).encode(), 7) for number in range(8)] == [3, 6, 2, 5, 1, 4, 1, 5]
