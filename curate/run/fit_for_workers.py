"""What keeps units from workers: a main program that they cannot import, a rule that they cannot be sent.

A worker begins by importing the program that started the run (`__main__`), and takes each unit as a pickle, which names
classes by module. A program typed at a prompt, fed by standard input or written in a notebook is no module of theirs.
"""

from __future__ import annotations

from multiprocessing import spawn
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

from curate.run.engine import RunError
from curate.run.unit import Unit

GUARD = "`if __name__ == '__main__':` around the call"
OWN_FILE = "define it in a file of its own, at the top level, and import it from there"


def refuse_lost_program() -> None:
    """Raises RunError where workers would import a main program that is no file, such as one fed by standard input."""
    program = _program()
    if program is not None and not Path(program).is_file():
        raise RunError(
            f"workers begin by importing the program that started the run, and {program} is no file: write it to a file"
            f" and run that, with {GUARD}"
        )


def packed(unit: Unit) -> memoryview:
    """A unit as a worker takes it. Raises RunError for one that cannot be sent, such as a rule that holds a lambda."""
    try:
        return ForkingPickler.dumps(unit)
    except Exception as error:
        raise RunError(
            f"{unit.name} cannot be sent to a worker ({error}): a lambda, or what is defined within a function, has no"
            f" name there; {OWN_FILE}"
        ) from None


def unknown(error: Exception) -> str:
    """Why a worker could not load the unit it was sent."""
    here = "__main__" in str(error)
    what = "what a notebook, a prompt or a program without a file defines" if here else "a class of a step"
    return f"workers cannot import {what} ({type(error).__name__}: {error}): {OWN_FILE}"


def never_began(times: int, ending: str) -> str:
    """The message on workers that died before they could take a unit."""
    said = f"{times} workers died before they could take a unit; the last one {ending}"
    if "exit 1)" not in ending:
        return f"{said}: somebody ends them, or the system does for want of memory"
    return (
        f"{said}, for the reason printed above: workers begin by importing the program that started the run"
        f" ({_program() or 'none'}), which needs {GUARD}"
    )


def _program() -> str | None:
    """The file that each worker imports as its main program; None where it imports none, or a module by name."""
    return spawn.get_preparation_data("").get("init_main_from_path")
