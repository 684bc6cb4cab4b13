"""A run that fails, or whose process dies, costs itself alone."""

import probe_pool_work

from train_probe.pool import Advanced, Failed, Finished, pooled


def events(numbers, processes, start):
    taken = []
    pooled(numbers, processes, start, taken.append)
    return taken


def test_a_dead_process_and_a_failed_run_do_not_stop_the_others():
    taken = events([0, 1, 2, 3], 2, probe_pool_work.start)
    finished = {event.number: event.figures for event in taken if isinstance(event, Finished)}
    failed = {event.number: event.error for event in taken if isinstance(event, Failed)}
    assert finished == {0: {"square": 0}, 3: {"square": 9}}
    assert failed == {1: "the process that trained it ended with code 9", 2: "ValueError: this run alone"}
    assert Advanced(3, 1, 2, 30, 4.5) in taken


def test_a_process_that_cannot_start_fails_its_runs_and_ends():
    assert [event.error for event in events([0, 3], 1, probe_pool_work.broken_start)] == [
        "OSError: the shards are gone"
    ] * 2
