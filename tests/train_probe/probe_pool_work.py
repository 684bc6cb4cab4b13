"""Workers for the pool's tests that a spawned process can import: they square the numbers they are given."""

import os

from train_probe.pool import Advanced, Ask, Failed, Trained


def broken_start():
    raise OSError("the shards are gone")


def faulty_start():
    return [][1]  # the line of the fault


def start():
    """A worker for several runs at once: takes as many as it has slots, then does them in turn; number 1 kills it."""
    while (opening := (yield Ask())) is not None:
        running = [opening.number]
        while True:
            while len(running) < opening.slots and (number := (yield Ask("group"))) is not None:
                running.append(number)
            if not running:
                break
            if 1 in running:
                os._exit(9)
            number = running.pop(0)
            if number == 2:
                yield Failed(number, "ValueError: this run alone")
                continue
            yield Advanced(number, 1, 2, 30, 4.5)
            yield Trained(number, {"square": number * number, "slots": opening.slots})
