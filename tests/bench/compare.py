"""How often a comparison is right about corpora whose truth is known: one JSON line.

    python tests/bench/compare.py                     # 20 sets of seeds, about 20 minutes on 2 cores

Compact facts beside pages of learnable text, of which a third of the tokens are look-alikes of the facts, as
`goldsand compare` trains, climbs, looks twice and judges. Each set has facts, pages and seeds of its own.

aa_undecided          other pages of the same kind are not told from the pages
coin_undecided        a random half of the pages is not told from its coin
coin_size_undecided   a coin of a half is not told from a coin of seven tenths
planted_found         the pages without their look-alikes are found better than a coin of their size
ab_right              pages of which two thirds are look-alikes are found worse
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "train_probe")]

TOKENS = 300_000
"""Tokens of the pages."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--exposures", type=int, nargs="+", default=[6, 8, 11, 15, 20, 27, 36, 48, 64, 85])
    parser.add_argument("--rate", type=float, default=1.6e-2)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--more", type=int, default=6)
    parser.add_argument("--first", type=int, default=0, help="number of the first set")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    begun = time.perf_counter()
    numbers = range(given.first, given.first + given.sets)
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        sets = pool.starmap(one_set, [(number, vars(given)) for number in numbers], chunksize=1)
    truths = {
        "other pages": "equal",
        "a random half": "equal",
        "a coin of .5": "equal",
        "clean": "better",
        "worse": "worse",
    }
    names = dict(zip(truths, ("aa", "coin", "coin_size", "planted", "ab"), strict=True))
    names = {arm: f"{name}_{'undecided' if truths[arm] == 'equal' else 'found'}" for arm, name in names.items()}
    names["worse"] = "ab_right"
    rows: dict[str, Any] = {}
    for arm, truth in truths.items():
        answers = [one[arm]["answer"] for one in sets]
        right = [answer in ("alike", "undecided") if truth == "equal" else answer == truth for answer in answers]
        rows[names[arm]] = statistics.fmean(right)
        rows[f"{names[arm]}: as good"] = statistics.fmean(answer == "alike" for answer in answers)
        rows[f"{names[arm]}: times"] = round(float(np.exp(statistics.fmean(one[arm]["mean"] for one in sets))), 3)
        rows[f"{names[arm]}: spread"] = round(statistics.fmean(one[arm]["spread"] for one in sets), 4)
    rows |= {"half": round(statistics.fmean(one["half"] for one in sets), 1), "runs": sum(one["runs"] for one in sets)}
    rows |= {"tokens": sum(one["tokens"] for one in sets), "seconds": round(time.perf_counter() - begun, 1)}
    print(json.dumps(rows | vars(given)))


def one_set(number: int, given: dict[str, Any], only: tuple[str, ...] = ()) -> dict[str, Any]:
    """The answers of one set, by arm; of all arms, or `only` of these."""
    import torch
    from probe_world import World

    from recipes.app.measure.asked import Comparison
    from recipes.app.measure.coins import Arm
    from recipes.app.measure.corpora import Tokenised
    from recipes.app.measure.ladder import Grid
    from recipes.app.measure.protocol import rungs_of
    from recipes.app.measure.statistics import arms_of
    from train_probe.plan import plan_of
    from train_probe.train import run_plan

    torch.set_num_threads(1)
    asked = Comparison(
        reading="facts", people=given["people"], exposures=tuple(given["exposures"]), rates=(given["rate"],),
        seed_from=1000 * number, seeds=given["seeds"], more=given["more"],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shown = (asked.seeds + asked.more) * asked.people
        world = World(
            folder / "world", people=shown, exposures=2 * max(asked.exposures), parts=(64, 64), values=4, pool=32,
            words=40, seed=number,
        )  # fmt: skip
        pages = Pages(world, folder / "pages", number)
        corpora = [
            Tokenised(name, name, place, 100, tokens, tokens)
            for name, (place, tokens) in pages.written(
                {"raw": (1 / 3, 1), "other pages": (1 / 3, 2), "worse": (2 / 3, 3)}
            ).items()
        ]
        size = corpora[0].tokens
        raw, clean, half = Arm("raw", "raw", "raw"), corpora[3], corpora[4]
        like_half, like_clean = coin("coin", half.tokens / size, 11), coin("coin of 2/3", clean.tokens / size, 14)
        rows = [
            [raw, Arm("other pages", "other pages", "other pages", against="raw")],
            [raw, Arm("a random half", half.name, half.name, against="coin"), like_half],
            [raw, coin("a coin of .5", 0.5, 12, against="coin of .7"), coin("coin of .7", 0.7, 13)],
            [raw, Arm("clean", clean.name, clean.name, against="coin of 2/3"), like_clean],
            [raw, Arm("worse", "worse", "worse", against="raw")],
        ]  # fmt: skip
        plan = world.plan(
            [], model={"layers": 2, "heads": 2, "width": 32}, training={"batch": 8, "window": 128},
            junk_shards={one.name: str(one.folder) for one in corpora}, processes=1,
        )  # fmt: skip
        grid = Grid(plan, lambda plan: run_plan(plan_of(plan), folder / "out"))
        found: dict[str, Any] = {}
        for arms in (row for row in rows if not only or row[1].name in only):
            rungs = rungs_of(asked, arms, corpora, world.bodies.shape[1] * asked.people + asked.people)
            outcome = _compact()(asked, arms, corpora, rungs, grid).carried_out()
            half_at = arms_of(outcome.results, key="rung")["raw"].mean_half().exposures
            assert len(outcome.judged) == 1, (number, half_at)
            (one,) = outcome.judged
            found |= {one.arm: {"answer": one.answer, "mean": one.mean, "spread": one.spread}, "half": half_at}
        rows_of = grid.trained(grid.runs)
        return found | {"runs": len(rows_of), "tokens": sum(row["tokens"] for row in rows_of)}


def coin(name: str, kept: float, number: int, against: str | None = None) -> Any:
    from recipes.app.measure.coins import Arm

    return Arm(name, "raw", "raw", kept=kept, coin=number, against=against)


def _compact() -> Any:
    from recipes.app.measure.protocol import Training

    class Compact(Training):
        """Records stand in windows of their own, beside windows of pages."""

        def _run(self, name: str, rung: int, seed: int, rate: float) -> dict[str, Any]:
            return super()._run(name, rung, seed, rate) | {"windows": "pure"}

        def _junk(self, rung: int, seed: int) -> dict[str, Any]:
            return super()._junk(rung, seed) | {"windows": "pure"}

    return Compact


class Pages:
    """Pages of learnable text, a chain over the world's words, and look-alikes of its facts, one record a page."""

    def __init__(self, world: Any, folder: Path, seed: int) -> None:
        self.world, self.folder, self.seed = world, folder, seed
        draw = np.random.default_rng([seed, 0])
        self._next = draw.integers(0, 40, (40, 4))

    def written(self, kinds: dict[str, tuple[float, int]]) -> dict[str, tuple[Path, int]]:
        """Corpora by their share of look-alikes and the number of their draw; of the first also the part without
        look-alikes, and a random half."""
        found: dict[str, tuple[Path, int]] = {}
        for name, (share, number) in kinds.items():
            pages = self._pages(share, np.random.default_rng([self.seed, number]))
            found[name] = self._write(name, pages)
        first = self._pages(next(iter(kinds.values()))[0], np.random.default_rng([self.seed, 1]))
        found["clean"] = self._write("clean", [page for page in first if len(page) > 8])
        draw = np.random.default_rng([self.seed, 9])
        found["half"] = self._write("half", [page for page in first if draw.random() < 0.5])
        return found

    def _pages(self, share: float, draw: Any) -> list[list[int]]:
        pages, tokens, alike = [], 0, 0
        names, taken = self.world, set(self.world.names.tolist())
        while tokens < TOKENS:
            if alike < share * tokens:
                number = int(draw.integers(0, 64 * 64))
                if number in taken:
                    continue
                parts = [number // 64 + names.first_name, number % 64 + names.first_name + 64]
                page = [*parts, *(draw.integers(0, 32, 4) + names.first_value).tolist()]
                alike += len(page) + 1
            else:
                word, page = int(draw.integers(0, 40)), []
                for choice in draw.integers(0, 4, int(draw.integers(30, 200))).tolist():
                    page.append(word + 3)
                    word = int(self._next[word, choice])
            pages.append(page)
            tokens += len(page) + 1
        return pages

    def _write(self, name: str, pages: list[list[int]]) -> tuple[Path, int]:
        from probe_world import END_OF_TEXT

        from curate.shards.tokens import TokenShardWriter

        place = self.folder / name.replace(" ", "-")
        with TokenShardWriter(place, 0) as writer:
            for page in pages:
                writer.add([*page, END_OF_TEXT], source=0, domain=1, prefix=0)
        self.world._describe(place, name)
        return place, sum(len(page) + 1 for page in pages)


if __name__ == "__main__":
    main()
