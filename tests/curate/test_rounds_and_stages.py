"""Recipes are cut where they must be, and records come back as they went in."""

from dataclasses import dataclass

from curate.run.records import bucket_of, by_key, read_section, write_sections
from curate.run.stage import cut, labels_of
from curate.step import CorpusStep, Rule, Step


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


def test_records_come_back_from_their_section(tmp_path):
    sections = [[(b"k", b"v"), (b"", b"")], [], [(b"\x00" * 9, bytes(range(256)) * 300)]]
    path = tmp_path / "a.records"
    with path.open("wb") as stream:
        write_sections(stream, sections)
    assert [list(read_section(path, number)) for number in range(3)] == sections


def test_grouping_forgets_the_order_of_arrival():
    records = [(b"b", b"2"), (b"a", b"9"), (b"b", b"1"), (b"a", b"9")]
    assert list(by_key(records)) == list(by_key(reversed(records))) == [(b"a", [b"9", b"9"]), (b"b", [b"1", b"2"])]


def test_buckets_do_not_depend_on_the_process():
    assert [bucket_of(str(number).encode(), 7) for number in range(8)] == [3, 6, 2, 5, 1, 4, 1, 5]
