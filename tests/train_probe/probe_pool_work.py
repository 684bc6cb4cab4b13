"""Work for the pool's tests that a spawned process can import."""

import os


def start():
    return work


def broken_start():
    raise OSError("the shards are gone")


def work(number, report):
    if number == 1:
        os._exit(9)
    if number == 2:
        raise ValueError("this run alone")
    report(1, 2, 30, 4.5)
    return {"square": number * number}
