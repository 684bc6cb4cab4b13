"""What a person sees of a run: documents, kept share, bytes, rate and time left, and no line for what takes no time."""

import io

import pytest
from rich.console import Console

from curate.run.engine import Progress
from recipes.app.terminal.progress import described, shown
from recipes.app.terminal.tables import amount, duration


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands where the test sets it."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def begun(clock: list[float], label: str, tasks: int, total_size: int = 0) -> Progress:
    return Progress(label, tasks, total_size, started=clock[0])


def halfway(clock) -> Progress:
    progress = begun(clock, "extract", 12, 890_000_000)
    clock[0] += 15
    progress.done, progress.documents, progress.kept, progress.size = 3, 12_345, 5_926, 312_000_000
    return progress


def test_a_group_is_told_in_documents_kept_bytes_rate_and_time_left(clock):
    words = "28 s left, 3/12 units, 12,345 documents (48% kept), 312 MB of 890 MB, 823 documents/s"
    assert described(halfway(clock)) == words


def test_where_it_is_known_the_time_left_is_that_of_the_whole_run(clock):
    progress = halfway(clock)
    progress.run_left = 150.0
    assert described(progress).startswith("2 min left in all, 3/12 units")


def test_what_was_done_before_counts_neither_for_the_rate_nor_for_the_time_left(clock):
    progress = halfway(clock)
    progress.reused, progress.reused_size = 2, 300_000_000
    # 12 MB in 15 s: the other 578 MB take 722 s.
    assert progress.left() == pytest.approx(578 / 12 * 15)
    assert "12 min left" in described(progress)


def test_without_bytes_units_tell_the_time_left_and_at_first_nothing_does(clock):
    progress = begun(clock, "rounds", tasks=4)
    assert progress.left() is None and described(progress) == "0/4 units"
    clock[0] += 30
    progress.done = 1
    assert progress.left() == 90
    progress.done = 4
    assert progress.left() == 0


def test_lines_come_every_few_seconds_and_at_the_end_of_what_took_some_time(clock):
    stream = io.StringIO()
    with shown(Console(file=stream, width=200)) as update:
        quick = begun(clock, "inputs", tasks=2)
        quick.done = 2
        quick.ended = clock[0] + 0.1
        update(quick)
        slow = begun(clock, "extract", tasks=2, total_size=10_000_000)
        for second in range(12):
            clock[0] += 1
            slow.documents, slow.kept, slow.size = second * 10, second * 5, second * 900_000
            slow.done = second // 11 * 2
            update(slow)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3 and all(line.startswith("extract: ") for line in lines)
    assert lines[0].startswith("extract: 7 s left, 0/2 units, 50 documents (50% kept), 4.5 MB of 10 MB, 8 documents/s")
    assert "2/2 units" in lines[-1]


def test_a_terminal_of_80_columns_shows_the_time_left(clock):
    stream = io.StringIO()
    with shown(Console(file=stream, force_terminal=True, width=80)) as update:
        progress = halfway(clock)
        progress.label, progress.run_left = "minhash_dedup: verdict of all", 5400.0
        update(progress)
    assert "1 h 30 min left in all, 3/12 units" in stream.getvalue()


def test_a_terminal_shows_a_bar_for_each_group(clock):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=160)
    with shown(console) as update:
        update(halfway(clock))
        other = begun(clock, "text shards", tasks=1)
        other.done = 1
        update(other)
    shown_text = stream.getvalue()
    assert "extract" in shown_text and "12,345 documents (48% kept)" in shown_text and "text shards" in shown_text


@pytest.mark.parametrize(
    "seconds, words", [(0.2, "0 s"), (89, "89 s"), (150, "2 min"), (5400, "1 h 30 min"), (90_000, "25 h 00 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize("size, words", [(0, "0 kB"), (640_000, "640 kB"), (3_100_000_000, "3.1 GB"), (2e12, "2.0 TB")])
def test_amounts(size, words):
    assert amount(size) == words
