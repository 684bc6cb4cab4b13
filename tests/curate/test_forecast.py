"""The time that is left of a whole run: what was foretold of its groups, corrected by what those took that have run."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from curate.run.engine import Progress, SourceProgress
from curate.run.forecast import ForetoldGroup, TimeLeft
from curate.run.group import UnitGroup
from curate.run.unit import Unit


@dataclass
class Sized(Unit):
    bytes: int
    source: str

    @property
    def name(self) -> str:
        return f"{self.source}-{self.bytes}"

    def size(self) -> int:
        return self.bytes

    @property
    def source_read(self) -> str:
        return self.source


GROUPS = [
    # 1 000 bytes of pages, and as many of rows, of which a byte takes a ninth of the time.
    ForetoldGroup("extract", 10, 200.0, {"pages": 0.18, "rows": 0.02}),
    ForetoldGroup("dedup: band", 10, 20.0),
    ForetoldGroup("dedup: band", 8, 8.0),
    ForetoldGroup("text shards", 1, 4.0),
]


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def extracting(clock, pages: int, rows: int, reused: int = 0) -> Progress:
    """The first group with so many bytes done of each source; of the pages `reused` were done before."""
    progress = Progress("extract", 10, 2000, done=5, size=pages + rows, started=clock[0])
    progress.sources = {"pages": SourceProgress(1000, pages, reused), "rows": SourceProgress(1000, rows)}
    return progress


def test_at_the_foretold_pace_what_is_left_is_what_was_foretold(clock):
    left = TimeLeft(GROUPS, workers=2)
    progress = extracting(clock, 0, 0)
    # Two workers: half of 200, 20 and 8 seconds, and 4 of the unit that is alone.
    assert left.see(progress) == pytest.approx(118)
    clock[0] += 45
    progress.sources["pages"].done = 500
    # Of 100 s these were 45, though they are a quarter of the bytes.
    assert left.see(progress) == pytest.approx(118 - 45)
    progress.sources["rows"].done = 1000
    clock[0] += 10
    assert left.see(progress) == pytest.approx(118 - 55)


def test_what_goes_slower_than_foretold_is_believed(clock):
    left = TimeLeft(GROUPS, workers=2)
    progress = extracting(clock, 0, 0)
    left.see(progress)
    clock[0] += 90
    progress.sources["pages"].done = 500
    # Twice as long, within what the forecast still weighs, of this group; half of it is the group's own.
    assert left.see(progress) == pytest.approx(2 * 55 + 2**0.5 * 18, rel=0.05)


def test_groups_follow_in_their_order_though_two_have_one_label(clock):
    left = TimeLeft(GROUPS, workers=2)
    first = extracting(clock, 1000, 1000)
    clock[0] += 100
    first.done = 10
    assert left.see(first) == pytest.approx(18)
    for seconds, rest in ((10, 8), (4, 4)):
        band = Progress("dedup: band", 4, started=clock[0])
        left.see(band)
        clock[0] += seconds
        band.done = 4
        assert left.see(band) == pytest.approx(rest)
    # A group without units is never seen.
    shards = Progress("text shards", 1, started=clock[0])
    assert left.see(shards) == pytest.approx(4)


def test_what_an_earlier_call_did_takes_no_time_and_shows_no_pace(clock):
    left = TimeLeft(GROUPS, workers=2)
    progress = extracting(clock, 900, 0, reused=900)
    assert left.see(progress) == pytest.approx(9 + 10 + 18)
    clock[0] += 9
    progress.sources["pages"].done = 1000
    assert left.see(progress) == pytest.approx(10 + 18)


def test_the_longest_unit_bounds_what_many_workers_can_do(clock):
    left = TimeLeft(GROUPS, workers=10)
    progress = extracting(clock, 500, 1000)
    clock[0] += 11
    progress.sources["pages"].longest = 500
    # 90 s of one worker, in one unit.
    assert left.see(progress) == pytest.approx(90 + 2 + 1 + 4)


def test_the_largest_units_are_handed_out_first_and_the_longest_left_is_known():
    units = [Sized(Path(), size, "web") for size in (10, 30, 20, 30)]
    group = UnitGroup("a group", units, None)
    assert list(group.queue) == [1, 3, 2, 0]
    group.take(group.queue)
    # The first is half read; another as long waits.
    shares = group.count({1: (0, 0, 15)}).sources["web"]
    assert (shares.done, shares.longest) == (15, 30)
    group.take(group.queue)
    group.take(group.queue)
    assert group.count({1: (0, 0, 25), 3: (0, 0, 25), 2: (0, 0, 20)}).sources["web"].longest == 10


def test_duplicates_that_few_documents_do_not_have_leave_less_to_do(clock):
    """A rehearsal kept everything; of the corpus a quarter is left behind the first step."""
    groups = [ForetoldGroup("exact_dedup", 4, 10.0, kept=1.0), ForetoldGroup("line_dedup", 4, 20.0, kept=0.9)]
    left = TimeLeft([*groups, ForetoldGroup("text shards", 4, 8.0)], workers=1)
    first = Progress("exact_dedup", 4, started=clock[0])
    assert left.see(first) == pytest.approx(38)
    clock[0] += 10
    first.done, first.documents, first.kept = 4, 1000, 250
    assert left.see(first) == pytest.approx(28)
    second = Progress("line_dedup", 4, started=clock[0])
    assert left.see(second) == pytest.approx(7)
    clock[0] += 5
    second.done, second.documents, second.kept = 4, 250, 225
    assert left.see(second) == pytest.approx(2)
    third = Progress("text shards", 4, started=clock[0])
    assert left.see(third) == pytest.approx(2)
