"""Profiles: what each threshold of a recipe would keep, with no document dropped, and verdicts of other thresholds from
the stored values."""

from __future__ import annotations

import dataclasses
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from curate.errors import Refused
from curate.places.manifest import is_sealed, own_recipe, read_summary, sealed
from curate.places.store import Place, write_atomically
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.profile import Profile, Seen, is_off, parts_of, read_profile, split
from curate.run.remarks import LEAST, MOST, set_tighter
from curate.run.sample import draw
from curate.run.stage import labels_of
from curate.step import Step
from recipes.app.recipe.build import corpus_run
from recipes.app.recipe.load import Loaded, load

POINTS = 41
BINS = 40
"""Bars of a histogram at most."""
KEPT = (0.99, 0.95, 0.9, 0.75, 0.5)
"""Shares of documents for which a table names the threshold."""

Key = tuple[str, str, str]
"""Step, rule and parameter of a comparison."""

_NUMERIC = ("over", "under", "not over", "over share", "reaches")


def profile_run(loaded: Loaded, out: Place, workers: int | None, limit: int | None) -> CorpusRun:
    """The run that measures a recipe's rules and edits, in `limit` documents drawn over all of its input.

    Raises Refused where the recipe has none, and where the folder holds another run.
    """
    if not _is_free(out):
        raise Refused(f"{out} holds a finished run, which a profile would overwrite: name another folder")
    part = split(loaded.steps)
    if not part.measured:
        raise Refused(f"recipe '{loaded.recipe.name}' has no rule or edit that a profile could measure")
    tokenizer = loaded.recipe.output.tokenizer
    file = loaded.folder / tokenizer.file if tokenizer.kind == "file" and tokenizer.file else None
    profile = Profile.of(part.measured, file)
    profile.open()
    run = corpus_run(loaded, out, workers=workers, limit=limit)
    if limit:
        sample = draw(run.partitions, limit)
        # What cannot be read belongs to a profile of the whole input.
        run = dataclasses.replace(run, limit=None)
        if not sample.whole and sample.parts:
            run = dataclasses.replace(run, partitions=sample.partitions, drawn=sample.parts)
    return dataclasses.replace(
        run,
        steps=[*part.before, profile],
        publication=dataclasses.replace(run.publication, renderings=[]),
    )


def _is_free(out: Place) -> bool:
    """Whether the folder holds a profile, or no finished run. Raises NotAsWritten where it does not say."""
    try:
        steps = read_summary(out)["steps"]
    except (OSError, KeyError):
        return True
    return any(step["step"] == Profile.name for step in steps)


def write_profile(loaded: Loaded, out: Place) -> dict[str, Any]:
    """Read the signals of a finished profile and write their figures to `profile.json`; returns the figures."""
    part = split(loaded.steps)
    steps = dict(part.measured)
    profile = {
        "recipe": loaded.recipe.name,
        "counted_in": "tokens" if loaded.recipe.output.tokenizer.kind == "file" else "words",
        "left_out": part.left_out,
        **_Tally(steps).read(out),
    }
    plain = orjson.loads(orjson.dumps(profile, option=orjson.OPT_SERIALIZE_NUMPY))
    write_atomically(out / "profile.json", orjson.dumps(sealed(plain), option=orjson.OPT_INDENT_2))
    return profile


@dataclasses.dataclass
class _Compared:
    """The values that were compared with one limit: `side` is the side that fails, `always` are documents that fail at
    any threshold, `holders` the documents of `values`."""

    side: str = "over"
    always: array[int] = dataclasses.field(default_factory=lambda: array("q"))
    values: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    holders: array[int] = dataclasses.field(default_factory=lambda: array("q"))


class _Tally:
    """Figures over all documents of a profile: counts of each rule, and every value that has a threshold."""

    def __init__(self, steps: dict[str, Step]) -> None:
        self.steps = steps
        self.sizes = array("q")
        self.density = array("d")
        self.sources: list[str] = []
        self.kept: list[bool] = []
        self.fires: dict[Key, array[int]] = {}
        self.ends: Counter[Key] = Counter()
        self.compared: dict[Key, _Compared] = {}

    def read(self, out: Place) -> dict[str, Any]:
        for number, seen in enumerate(read_profile(out)):
            self._add(number, seen)
        self._name_silent()
        sizes, kept = np.array(self.sizes), np.array(self.kept, dtype=np.bool_)
        return {
            "documents": len(sizes),
            "size": int(sizes.sum()),
            "kept": int(kept.sum()),
            "kept_size": int(sizes[kept].sum()),
            "density_kept": _median(np.array(self.density)[kept]),
            "density_dropped": _median(np.array(self.density)[~kept]),
            "rules": [self._rule(key) for key in sorted(self.fires, key=self._order)],
            "curves": [self._curve(key) for key in sorted(self.compared, key=self._order)],
        }

    def _order(self, key: Key) -> int:
        return list(self.steps).index(key[0])

    def _name_silent(self) -> None:
        """Add the limits that no document was compared with, such as a word that no document has: they never fired."""
        known = {(label, limit) for label, _, limit in self.fires}
        for label, step in self.steps.items():
            for item in dataclasses.fields(step) if step.shaping is not None else ():  # type: ignore[arg-type]
                idle = is_off(step, item.name) or getattr(step, item.name) is False
                if item.name not in (step.shaping or ()) and not idle and (label, item.name) not in known:
                    self.fires[label, "", item.name] = array("q")

    def _add(self, number: int, seen: Seen) -> None:
        self.sizes.append(seen.size)
        self.density.append(seen.note["density"])
        self.sources.append(sys.intern(seen.key.partition("/")[0]))
        first = None
        for label, check in seen.checks(self.steps):
            key = (label, check.rule, check.limit)
            fired = self.fires.setdefault(key, array("q"))
            if check.failed:
                fired.append(number)
                first = first or key
        self.kept.append(first is None)
        if first:
            self.ends[first] += 1
        for label, rows in seen.note["steps"].items():
            for rule, value, limit, side, basis, factor in map(parts_of, rows):
                if side not in (*_NUMERIC, "always"):
                    continue
                compared = self.compared.setdefault((label, rule, limit), _Compared())
                if side == "always":
                    compared.always.append(number)
                else:
                    compared.side = side
                    # The number that decides, where it differs from the value that is shown.
                    compared.values.append((value if basis is None or side == "over share" else basis) / factor)
                    compared.holders.append(number)

    def _rule(self, key: Key) -> dict[str, Any]:
        label, rule, limit = key
        fired = np.array(self.fires[key], dtype=np.int64)
        sizes = np.array(self.sizes)
        return {
            "step": label,
            "rule": rule,
            "limit": limit,
            "threshold": getattr(self.steps[label], limit) if limit else None,
            "fires": len(fired),
            "fires_size": int(sizes[fired].sum()),
            "ends": self.ends[key],
            "density": _median(np.array(self.density)[fired]),
            "tighter": limit in set_tighter(self.steps[label]),
            "most": self._most(self.fires[key]),
        }

    def _most(self, fired: array[int]) -> list[tuple[str, int, int]]:
        """The sources of which a rule drops most: each with the documents that it drops, and all."""
        seen, taken = Counter(self.sources), Counter(self.sources[number] for number in fired)
        return [
            (source, taken[source], seen[source])
            for source in sorted(seen)
            if seen[source] >= LEAST and taken[source] > MOST * seen[source]
        ]

    def _curve(self, key: Key) -> dict[str, Any]:
        """What a limit alone would keep, at thresholds chosen from the values."""
        label, rule, limit = key
        side, always, values, holders = dataclasses.astuple(self.compared[key])
        step = self.steps[label]
        now = None if is_off(step, limit) else getattr(step, limit)
        sizes = np.array(self.sizes, dtype=np.float64)
        always, holders = np.array(always, dtype=np.int64), np.array(holders, dtype=np.int64)
        keeps = _Keeps(side, np.array(values, dtype=np.float64), sizes[holders], sizes[always], len(sizes), sizes.sum())
        return {
            "step": label,
            "rule": rule,
            "limit": limit,
            "side": side,
            "threshold": now,
            "now": keeps.at(now) if now is not None else None,
            "points": [[t, *keeps.at(t)] for t in keeps.thresholds(POINTS, now)],
            "histogram": keeps.histogram(now),
            "keeping": [[share, (t := keeps.threshold(share)), *keeps.at(t)] for share in KEPT] if values else [],
        }


class _Keeps:
    """The shares of documents and of their tokens (or words) that one limit keeps, by threshold."""

    def __init__(
        self, side: str, values: np.ndarray, sizes: np.ndarray, always: np.ndarray, documents: int, size: float
    ) -> None:
        order = np.argsort(values, kind="stable")
        self.values, self.under = values[order], side in ("under", "not over")
        # Whether a value that equals the threshold passes.
        self.right = side not in ("under", "reaches")
        self.above = int(side == "reaches")
        self.before = np.concatenate(([0.0], np.cumsum(sizes[order])))
        self.always, self.documents, self.size = (len(always), float(always.sum())), documents, size

    def at(self, threshold: float) -> tuple[float, float]:
        place = int(np.searchsorted(self.values, threshold, "right" if self.right else "left"))
        count = place if self.under else len(self.values) - place
        size = float(self.before[place] if self.under else self.before[-1] - self.before[place])
        kept = self.documents - self.always[0] - count
        return kept / max(self.documents, 1), (self.size - self.always[1] - size) / max(self.size, 1.0)

    def threshold(self, share: float) -> float:
        """The strictest of the values (of counts: one more) that keeps at least this share of those compared."""
        most = int(round((1 - share) * len(self.values), 6))
        return float(self.values[most] if self.under else self.values[len(self.values) - 1 - most] + self.above)

    def histogram(self, now: float | None) -> dict[str, list[float]] | None:
        """How many documents have which values: `edges`, one more than `counts`. The outermost values count to the
        first and the last bin, which end at the threshold where this is a little further out."""
        if not len(self.values):
            return None
        low, high = (float(np.quantile(self.values, share)) for share in (0.005, 0.995))
        if now is not None and low - 2 * (high - low) <= now <= high + 2 * (high - low):
            # Values on both sides of the threshold are seen, however few they are.
            low = min(low, now) if now > self.values[0] else float(self.values[0])
            high = max(high, now) if now < high else max(float(self.values[-1]), now)
        edges = (
            np.linspace(low, high, min(BINS, len(self.values)) + 1) if high > low else np.array([low - 0.5, low + 0.5])
        )
        counts, _ = np.histogram(np.clip(self.values, edges[0], edges[-1]), edges)
        return {"edges": edges.tolist(), "counts": counts.tolist()}

    def thresholds(self, count: int, now: float | None) -> list[float]:
        """Quantiles of the values and of the distinct values, so that a thin tail is drawn too; and `now`."""
        if not len(self.values):
            return []
        chosen = [np.array([] if now is None else [now])]
        for ordered in (self.values, np.unique(self.values)):
            chosen.append(ordered[np.linspace(0, len(ordered) - 1, count).round().astype(np.int64)])
        return np.unique(np.concatenate(chosen)).tolist()


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def callouts(profile: dict[str, Any]) -> list[str]:
    """Warnings of rules that take most of a source, and of tighter thresholds than the published that found nothing."""
    lines = []
    for row in profile["rules"]:
        name = name_of(row)
        if not row["fires"] and row["tighter"] and profile["documents"] >= LEAST:
            lines.append(f"{name} fired on no document (threshold {row['threshold']}): is it set as you meant?")
        for source, taken, seen in row["most"]:
            others = profile["documents"] - seen
            elsewhere = f", {(row['fires'] - taken) / others:.0%} of the other sources" if others else ""
            lines.append(
                f"{name} takes {taken / seen:.0%} of the source '{source}' ({taken:,} of {seen:,} documents"
                f"{elsewhere}; threshold {row['threshold']}): `goldsand why OUT KEY` shows what it saw of one page,"
                " `goldsand decide OUT --set` what another threshold would keep"
            )
    return lines


def name_of(row: dict[str, Any]) -> str:
    """A rule as `--set` names it, by step and parameter, then the reason that the ledger gives."""
    name = f"{row['step']}.{row['limit']}" if row["limit"] else row["step"]
    return f"{name} ({row['rule']})" if row["rule"] not in ("", row["limit"]) else name


@dataclasses.dataclass(frozen=True)
class Decision:
    """The verdicts of other thresholds on the documents of a profile, beside those of the recipe."""

    before: Counter[str]
    after: Counter[str]
    documents: int
    size: int
    kept: tuple[int, int]
    kept_size: tuple[int, int]
    counted_in: str
    changed: list[dict[str, Any]]


def read_figures(out: Place) -> dict[str, Any]:
    """`profile.json` of a profile. Raises RunError where it is missing, damaged, or of an earlier version."""
    try:
        figures: dict[str, Any] = orjson.loads((out / "profile.json").read_bytes())
        if is_sealed(figures) and "counted_in" in figures:
            return figures
    except FileNotFoundError:
        raise RunError(f"{out} holds no profile: `goldsand profile RECIPE -o {out}` makes one") from None
    except (orjson.JSONDecodeError, TypeError, AttributeError):
        pass
    path = out / "profile.json"
    raise RunError(f"{path} is damaged, or of an earlier version; `goldsand profile RECIPE -o {out}` mends it")


def decide(out: Place, sets: Sequence[str | tuple[str, Any]]) -> Decision:
    """The verdicts of a profile's documents with other thresholds, beside those of its recipe.

    Raises RunError for a folder without signals, RecipeError for a mistake in `sets`, Refused for a change that the
    stored signals cannot answer, with the reason.
    """
    unit = read_figures(out)["counted_in"]
    recipe = str(own_recipe(out))
    old, new = load(recipe), load(recipe, sets)
    _refuse_other_values(old, new)
    steps, others = dict(split(old.steps).measured), dict(split(new.steps).measured)
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    changed = []
    size = documents = 0
    kept, kept_size = [0, 0], [0, 0]
    for seen in read_profile(out):
        verdicts = [_verdict(seen, one) for one in (steps, others)]
        documents, size = documents + 1, size + seen.size
        for place, (counter, verdict) in enumerate(zip((before, after), verdicts, strict=True)):
            if verdict is None:
                kept[place] += 1
                kept_size[place] += seen.size
            else:
                counter[f"{verdict['step']}.{verdict['rule']}"] += 1
        if _name(verdicts[0]) != _name(verdicts[1]):
            row = {"key": seen.key, "url": seen.url, unit: seen.size}
            changed.append({**row, "before": verdicts[0], "after": verdicts[1]})
    totals = ((kept[0], kept[1]), (kept_size[0], kept_size[1]), unit)
    return Decision(before, after, documents, size, *totals, changed)


def _verdict(seen: Seen, steps: dict[str, Step]) -> dict[str, Any] | None:
    verdict = seen.verdict(steps)
    if verdict is None:
        return None
    label, check = verdict
    return {"step": label, "rule": check.rule, "value": check.value, "threshold": check.threshold}


def _name(verdict: dict[str, Any] | None) -> tuple[str, str] | None:
    return (verdict["step"], verdict["rule"]) if verdict else None


def _refuse_other_values(old: Loaded, new: Loaded) -> None:
    """Raises Refused for the first change that is not a threshold on a stored value."""
    again = "run `goldsand profile` with it into the same folder: pages are not extracted again"
    part = split(old.steps)
    left_out, measured = dict(part.left_out), dict(part.measured)
    if len(old.steps) != len(new.steps) or [s.name for s in old.steps] != [s.name for s in new.steps]:
        raise Refused(f"the steps are not those of the profile, which stores no signals of others: {again}")
    for label, before, after in _pairs(old, new):
        for field in _changed(before, after):
            name = f"{label}.{field}"
            if label in left_out:
                raise Refused(f"{name} cannot be decided from stored signals: {left_out[label]}")
            if label not in measured:
                raise Refused(
                    f"{name} cannot be decided from stored signals: {label} produces the text of every document"
                )
            if before.shaping is None:
                raise Refused(f"{name} cannot be decided from stored signals: {label} stores only verdicts: {again}")
            if field in before.shaping:
                what = "the text that every later rule reads" if hasattr(before, "edit") else "the values themselves"
                raise Refused(f"{name} cannot be decided from stored signals, because it shapes {what}: {again}")
    others = {key for key in old.resolved if key != "steps" and old.resolved[key] != new.resolved.get(key)}
    others |= {key for key in new.resolved if key not in old.resolved}
    if others:
        raise Refused(f"{', '.join(sorted(others))}: only parameters of steps can be changed here: {again}")


def _pairs(old: Loaded, new: Loaded) -> Iterator[tuple[str, Step, Step]]:
    for label, before, after in zip(labels_of(old.steps), old.steps, new.steps, strict=True):
        # What a step knows of the steps after it is not a parameter.
        yield label, before.followed_by(()), after.followed_by(())


def _changed(before: Step, after: Step) -> list[str]:
    fields = dataclasses.fields(before)  # type: ignore[arg-type]
    return [one.name for one in fields if getattr(before, one.name) != getattr(after, one.name)]
