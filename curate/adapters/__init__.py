"""The rules inside other pipelines: plain callables on strings and on batches of any common kind.

    from curate.adapters import Rules
    rules = Rules("gopher_repetition", "gopher_quality", "c4", "fineweb")
    rules("A text.")                          # a Verdict: False, with the rule, its value and threshold
    dataset.filter(rules.keep, batched=True)  # datasets; and so on: docs/adapters.md

A batch is the other library's own: a dict of columns (datasets, Ray Data), a pandas or polars frame, an Arrow table.
The same kind is returned. This module imports none of these libraries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from curate.document import Document, Drop
from curate.errors import Refused
from curate.registry import step_class
from curate.run.stage import labels_of
from curate.step import CorpusStep, Step, Verdict

COLUMNS = ("keep", "step", "rule", "value", "threshold")
"""The columns that `mark` adds, each with a prefix; value and threshold are JSON, as in the ledger."""


class Rules:
    """Rules and edits in order, as one callable. `steps` are short names, or step objects with their own parameters.

    `text` and `url` name the columns of a batch (a batch need not have the second). A missing text counts as empty.
    Raises Refused for a name that does not exist, ValueError for a step that cannot judge one text alone.
    """

    def __init__(self, *steps: str | Step, text: str = "text", url: str = "url", prefix: str = "goldsand_") -> None:
        if not steps:
            raise Refused("Rules needs a step, such as 'gopher_quality'; `goldsand steps` lists them")
        built: list[Step] = []
        for one in steps:
            step = step_class(one)() if isinstance(one, str) else one
            if isinstance(step, CorpusStep) or step.ends_stage:
                why = "makes texts of pages" if step.ends_stage else "decides by the whole corpus"
                raise Refused(f"{step.name} {why}, and cannot judge one text alone: use `goldsand run`")
            built.append(step)
        self.steps = list(zip(labels_of(built), built, strict=True))
        self.text, self.url, self.prefix = text, url, prefix

    def __call__(self, text: str | None, *, url: str | None = None) -> Verdict:
        """The verdict on one text, as in a run; its `text`, if kept, is the text after all edits."""
        return next(self._verdicts([text], [url]))

    def batch(self, texts: Iterable[str | None], urls: Iterable[str | None] | None = None) -> list[Verdict]:
        """The verdict on each of these texts."""
        texts = list(texts)
        return list(self._verdicts(texts, [None] * len(texts) if urls is None else urls))

    def keep(self, batch: Any) -> list[bool]:
        """Whether each row of a batch is kept."""
        return [verdict.keep for verdict in self._of(batch)]

    def mark(self, batch: Any) -> Any:
        """The batch with every row, the text after edits, and the verdict's columns (`COLUMNS`) added."""
        verdicts = self._of(batch)
        added: dict[str, list[Any]] = {
            self.text: [
                old if verdict.text is None else verdict.text
                for old, verdict in zip(_column(batch, self.text), verdicts, strict=True)
            ],
            "keep": [verdict.keep for verdict in verdicts],
            "step": [verdict.step for verdict in verdicts],
            "rule": [verdict.rule for verdict in verdicts],
            "value": [_json(verdict.value) for verdict in verdicts],
            "threshold": [_json(verdict.threshold) for verdict in verdicts],
        }
        return _with(batch, {self.prefix + name if name in COLUMNS else name: rows for name, rows in added.items()})

    def clean(self, batch: Any) -> Any:
        """The rows of a batch that are kept, with the text after edits."""
        verdicts = self._of(batch)
        kept = [verdict.keep for verdict in verdicts]
        left = _chosen(batch, kept)
        return _with(left, {self.text: [verdict.text for verdict in verdicts if verdict.keep]})

    def open(self) -> None:
        """Load word lists and models now, not at the first text."""
        for _, step in self.steps:
            step.open()

    def _of(self, batch: Any) -> list[Verdict]:
        if self.text not in _names(batch):
            raise KeyError(
                f"the batch has no column '{self.text}' (it has {', '.join(_names(batch))}): Rules(text=...)"
            )
        urls = _column(batch, self.url) if self.url in _names(batch) else None
        return self.batch(_column(batch, self.text), urls)

    def _verdicts(self, texts: Iterable[str | None], urls: Iterable[str | None]) -> Iterator[Verdict]:
        self.open()
        for text, url in zip(texts, urls, strict=True):
            document = Document(key="", text=text or "", url=url)
            for label, step in self.steps:
                outcome = next(iter(step.apply([document])))
                if isinstance(outcome, Drop):
                    yield Verdict(False, outcome.rule, outcome.value, outcome.threshold, step=label)
                    break
                document = outcome
            else:
                yield Verdict(True, text=document.text)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _library(batch: Any) -> str:
    """dict, pandas, polars or pyarrow. Raises TypeError for anything else."""
    if isinstance(batch, dict):
        return "dict"
    name = type(batch).__module__.partition(".")[0]
    # datasets passes a mapping of its own that fetches columns when they are read.
    if name == "datasets":
        return "dict"
    if name not in ("pandas", "polars", "pyarrow"):
        raise TypeError(
            f"a batch must be a dict of columns, a pandas or polars frame, or an Arrow table, not "
            f"{type(batch).__name__}"
        )
    return name


def _names(batch: Any) -> list[str]:
    kind = _library(batch)
    return list(batch.column_names if kind == "pyarrow" else batch.columns if kind != "dict" else batch)


def _column(batch: Any, name: str) -> list[Any]:
    values = batch[name]
    if _library(batch) == "pandas":
        # pandas writes a missing text as NaN, which is a number.
        return [value if isinstance(value, str) else None for value in values]
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _with(batch: Any, columns: dict[str, Sequence[Any]]) -> Any:
    """The batch with these columns, in place of those of the same name, whose type they keep: without rows a library
    could not infer it."""
    kind = _library(batch)
    if kind == "pandas":
        import pandas

        typed = {
            name: pandas.Series(values, index=batch.index, dtype=batch[name].dtype if name in batch else None)
            for name, values in columns.items()
        }
        return batch.assign(**typed)
    if kind == "polars":
        import polars

        return batch.with_columns(
            [polars.Series(name, values, dtype=batch.schema.get(name)) for name, values in columns.items()]
        )
    if kind == "pyarrow":
        import pyarrow

        for name, values in columns.items():
            if name in batch.column_names:
                place = batch.column_names.index(name)
                batch = batch.set_column(place, name, pyarrow.array(values, batch.schema.field(place).type))
            else:
                batch = batch.append_column(name, pyarrow.array(values))
        return batch
    return {**batch, **{name: _like(batch.get(name), values) for name, values in columns.items()}}


def _like(old: Any, values: Sequence[Any]) -> Any:
    """Values in the type of the column that they replace: an array where that is an array."""
    if not hasattr(old, "dtype"):
        return values
    import numpy as np

    return np.array(values, dtype=object if old.dtype.kind == "O" else str)


def _chosen(batch: Any, kept: list[bool]) -> Any:
    """The rows whose place in `kept` is true."""
    kind = _library(batch)
    if kind == "pandas":
        return batch[kept]
    if kind == "polars":
        return batch.filter(kept)
    if kind == "pyarrow":
        import pyarrow

        return batch.filter(pyarrow.array(kept, pyarrow.bool_()))
    return {name: _rows(values, kept) for name, values in batch.items()}


def _rows(values: Any, kept: list[bool]) -> Any:
    """The chosen rows of a column: an array of an array, a list of a list."""
    if hasattr(values, "dtype"):
        import numpy as np

        return values[np.array(kept, dtype=np.bool_)]
    return [value for value, keeps in zip(values, kept, strict=True) if keeps]
