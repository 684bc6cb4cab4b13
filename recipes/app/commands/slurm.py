"""The command `goldsand slurm`."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from curate.errors import Refused
from curate.places.store import is_local, place_of
from recipes.app.commands.options import Inputs, Limit, RecipeName, Sets, read_recipe
from recipes.app.recipe.given import inputs_of
from recipes.app.terminal.console import friendly, harmless, out

MOST = 1000
"""Tasks of one array: more never start on a cluster as it is installed (`MaxArraySize`)."""

SPARE = 3
"""The time that is asked for, by the time that the plan foretells."""

PARENT = 512
"""Megabytes for the process that looks after the workers of a task."""


def slurm(
    recipe: RecipeName,
    output: Annotated[str, typer.Option("--output", "-o", help="a folder that all machines see", metavar="OUT")],
    tasks: Annotated[int, typer.Option(min=1, max=MOST, help="equal processes that share the work")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="cores of each task")] = 1,
    time: Annotated[str | None, typer.Option(help="of each task, as Slurm writes it; by default from the plan")] = None,
    memory: Annotated[int | None, typer.Option(min=1, help="MB of each task; by default from the plan")] = None,
    partition: Annotated[str | None, typer.Option(help="of the cluster")] = None,
    input: Inputs = [],  # noqa: B006  (typer reads the default, nothing writes to it)
    set: Sets = [],  # noqa: B006
    limit: Limit = None,
    sample: Annotated[int, typer.Option(min=0, help="documents to rehearse with; 0: no estimates")] = 60,
    script: Annotated[Path | None, typer.Option(help="the file to write; by default goldsand-NAME.sbatch")] = None,
    submit: Annotated[bool, typer.Option("--submit", help="submit it, too")] = False,
) -> None:
    """Write (and submit) the Slurm array that runs a recipe on many machines."""
    from recipes.app.recipe.build import corpus_run
    from recipes.app.recipe.own_output import refuse_to_replace_others
    from recipes.app.recipe.plan_by_rehearsal import estimate
    from recipes.app.recipe.planned_units import planned
    from recipes.app.terminal.tables import duration

    loaded = read_recipe(recipe, set, inputs_of(input))
    with friendly():
        folder = place_of(output)
        folder = folder.absolute() if is_local(folder) else folder
        job = corpus_run(loaded, folder, workers=1, limit=limit)
        cost = estimate(job, planned(job), sample) if sample else None
        if cost is not None:
            each = cost.seconds / (tasks * workers)
            out.print(
                f"plan: about {duration(cost.seconds)} of one core, {duration(each)} of each of {tasks} tasks, and"
                f" {cost.worker_memory >> 20:,} MB a worker"
            )
            time = time or _time(SPARE * each + 600)
        if time is None:
            raise Refused("nothing says how long a task may take: give --time 4:00:00, or a --sample to plan with")
        of_worker = job.memory if cost is None else min(job.memory, max(512, int(1.5 * cost.worker_memory) >> 20))
        memory = memory or workers * of_worker + PARENT
        given = [str(Path(recipe).absolute()) if Path(recipe).exists() else recipe, "-o", str(folder)]
        for name, values in (("--input", input), ("--set", set)):
            given += [word for value in values for word in (name, value)]
        given += [] if limit is None else ["--limit", str(limit)]
        file = script or Path(f"goldsand-{job.name}.sbatch")
        asked = {"time": time, "mem": f"{memory}M", "cpus-per-task": workers} | (
            {"partition": partition} if partition else {}
        )
        refuse_to_replace_others(file, "script")
        file.write_text(_script(job.name, tasks, workers, asked, given))
        out.print(
            f"{harmless(str(file))}: {tasks} tasks, {workers} core{'s' * (workers > 1)}, {memory:,} MB, {time} each"
        )
        if submit:
            out.print(
                f"submitted as job {harmless(_submitted(file))}; goldsand status {harmless(str(folder))} says more"
            )


def _time(seconds: float) -> str:
    minutes = int(seconds // 60) + 1
    return f"{minutes // 60}:{minutes % 60:02d}:00"


def _script(name: str, tasks: int, workers: int, asked: dict[str, object], given: list[str]) -> str:
    options = {"job-name": f"goldsand-{name}", "array": f"0-{tasks - 1}", "ntasks": 1, **asked, "open-mode": "append"}
    lines = [f"#SBATCH --{option}={value}" for option, value in options.items()]
    command = shlex.join([sys.executable, "-m", "recipes.app.start", "run", *given, "--workers", str(workers)])
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "# A task that ends early leaves its units to the others; as few as one of them finishes the run.",
            "#SBATCH --requeue",
            "#SBATCH --signal=B:TERM@60",
            f'exec {command} --shard "$SLURM_ARRAY_TASK_ID/{tasks}"',
            "",
        ]
    )


def _submitted(file: Path) -> str:
    if shutil.which("sbatch") is None:
        raise Refused(f"there is no sbatch here: submit {file} where Slurm is installed")
    done = subprocess.run(["sbatch", "--parsable", str(file)], capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"sbatch refused {file}: {done.stderr.strip()}")
    return done.stdout.strip()
