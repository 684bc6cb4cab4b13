"""The rules inside other pipelines: plain callables on strings and on batches of any common kind.

    from curate.adapters import Rules
    rules = Rules("gopher_repetition", "gopher_quality", "c4", "fineweb")
    rules("A text.")                          # a Verdict: False, with the rule, its value and threshold
    dataset.filter(rules.keep, batched=True)  # datasets; and so on: docs/adapters.md

A batch is the other library's own: a dict of columns (datasets, Ray Data), a pandas or polars frame, a lazy frame of
polars, an Arrow table. The same kind is returned, with the types of its columns also where no row is left. This module
imports none of these libraries.
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
"""The columns that `mark` adds, each with a prefix: the first of booleans, the others of text; value and threshold are
JSON, as in the ledger."""


class Rules:
    """Rules and edits in order, as one callable. `steps` are short names, or step objects with their own parameters.

    `text` and `url` name the columns of a batch (a batch need not have the second). A missing text counts as empty, and
    stays missing where it is kept.

    Raises Refused for a name that does not exist and for a step that cannot judge one text alone; its methods raise
    KeyError for a batch without the column `text`, TypeError for what is not a batch or holds no texts.
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
        if _library(batch) == "lazy":
            raise TypeError("a lazy frame has no rows yet: collect() it first, or use `clean` or `mark`")
        return [verdict.keep for verdict in self._of(batch)]

    def mark(self, batch: Any) -> Any:
        """The batch with every row, the text after edits, and the verdict's columns (`COLUMNS`) added."""
        if _library(batch) == "lazy":
            import polars

            types = [polars.Boolean, *[polars.String] * (len(COLUMNS) - 1)]
            added_types = dict(zip((self.prefix + name for name in COLUMNS), types, strict=True))
            return batch.map_batches(self.mark, schema={**batch.collect_schema(), **added_types})
        verdicts = self._of(batch)
        added: dict[str, list[Any]] = {
            self.text: _left(_column(batch, self.text), verdicts),
            "keep": [verdict.keep for verdict in verdicts],
            "step": [verdict.step for verdict in verdicts],
            "rule": [verdict.rule for verdict in verdicts],
            "value": [_json(verdict.value) for verdict in verdicts],
            "threshold": [_json(verdict.threshold) for verdict in verdicts],
        }
        return _with(batch, {self.prefix + name if name in COLUMNS else name: rows for name, rows in added.items()})

    def clean(self, batch: Any) -> Any:
        """The rows of a batch that are kept, with the text after edits."""
        if _library(batch) == "lazy":
            return batch.map_batches(self.clean)
        verdicts = self._of(batch)
        kept = [verdict.keep for verdict in verdicts]
        texts = _rows(_left(_column(batch, self.text), verdicts), kept)
        return _with(_chosen(batch, kept), {self.text: texts})

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


def _left(old: Sequence[str | None], verdicts: Sequence[Verdict]) -> list[str | None]:
    """The texts after edits. A missing text stays missing: not every column can hold an empty one."""
    return [was if verdict.text is None else verdict.text or was for was, verdict in zip(old, verdicts, strict=True)]


def _library(batch: Any) -> str:
    """dict, pandas, polars, lazy (a lazy frame of polars) or pyarrow. Raises TypeError for anything else."""
    if isinstance(batch, dict):
        return "dict"
    name = type(batch).__module__.partition(".")[0]
    # datasets passes a mapping of its own that fetches columns when they are read.
    if name == "datasets":
        return "dict"
    if name == "polars" and hasattr(batch, "collect"):
        return "lazy"
    # A column alone is no batch.
    if name not in ("pandas", "polars", "pyarrow") or not hasattr(batch, "columns"):
        raise TypeError(
            f"a batch must be a dict of columns, a pandas or polars frame, or an Arrow table, not "
            f"{type(batch).__name__}; for texts alone there is Rules.batch"
        )
    return name


def _names(batch: Any) -> list[str]:
    kind = _library(batch)
    return list(batch.column_names if kind == "pyarrow" else batch.columns if kind != "dict" else batch)


def _column(batch: Any, name: str) -> list[Any]:
    values = batch[name]
    if hasattr(values, "to_pylist"):
        values = values.to_pylist()
    elif hasattr(values, "tolist"):
        values = values.tolist()
    found = []
    for value in values:
        # pandas and numpy write a missing text as NaN, a number that is not itself, or as NA, of which nobody can tell.
        if isinstance(value, str) or value is None:
            found.append(value)
        elif type(value).__name__ == "NAType" or (isinstance(value, float) and value != value):
            found.append(None)
        else:
            raise TypeError(f"column '{name}' holds {type(value).__name__} where a text belongs: {value!r:.60}")
    return found


def _with(batch: Any, columns: dict[str, Sequence[Any]]) -> Any:
    """The batch with these columns, in place of those of the same name, whose type they keep: without rows a library
    could not infer it. A column that is added holds booleans or texts."""
    kind = _library(batch)
    if kind == "pandas":
        import pandas

        def series(name: str, values: Sequence[Any]) -> Any:
            dtype = batch[name].dtype if name in batch else _added(name, bool, None if values else "str")
            # A category that an edit makes is none of the old ones, and would be lost.
            if isinstance(dtype, pandas.CategoricalDtype):
                dtype = "category"
            return pandas.Series(values, index=batch.index, dtype=dtype)

        return batch.assign(**{name: series(name, values) for name, values in columns.items()})
    if kind == "polars":
        import polars

        def typed(name: str) -> Any:
            return batch.schema.get(name) or _added(name, polars.Boolean, polars.String)

        return batch.with_columns([polars.Series(name, values, dtype=typed(name)) for name, values in columns.items()])
    if kind == "pyarrow":
        import pyarrow

        for name, values in columns.items():
            if name in batch.column_names:
                place = batch.column_names.index(name)
                batch = batch.set_column(place, name, pyarrow.array(values, batch.schema.field(place).type))
            else:
                dtype = _added(name, pyarrow.bool_(), pyarrow.string())
                batch = batch.append_column(name, pyarrow.array(values, dtype))
        return batch
    arrays = any(hasattr(values, "dtype") for values in batch.values())
    return {**batch, **{name: _like(batch.get(name), name, values, arrays) for name, values in columns.items()}}


def _added(name: str, boolean: Any, text: Any) -> Any:
    """The type of a column that `mark` adds."""
    return boolean if name.endswith("keep") else text


def _like(old: Any, name: str, values: Sequence[Any], arrays: bool) -> Any:
    """Values in the type of the column that they replace; as an array too where they are added beside arrays."""
    if not (arrays if old is None else hasattr(old, "dtype")):
        return values
    import numpy as np

    if old is None:
        return np.array(values, dtype=_added(name, bool, object))
    # Texts of a fixed length: as long as the longest of these.
    return np.array(values, dtype=str if old.dtype.kind == "U" else old.dtype)


def _chosen(batch: Any, kept: list[bool]) -> Any:
    """The rows whose place in `kept` is true."""
    kind = _library(batch)
    if kind == "pandas":
        return batch[kept]
    if kind == "polars":
        return batch.filter(kept)
    if kind == "pyarrow":
        import pyarrow

        # Arrow cannot filter views of strings.
        views, strings = pyarrow.string_view(), pyarrow.large_string()
        plain = [field.with_type(strings) if field.type == views else field for field in batch.schema]
        mask = pyarrow.array(kept, pyarrow.bool_())
        return batch.cast(pyarrow.schema(plain, batch.schema.metadata)).filter(mask).cast(batch.schema)
    return {name: _rows(values, kept) for name, values in batch.items()}


def _rows(values: Any, kept: list[bool]) -> Any:
    """The chosen rows of a column: an array of an array, a list of a list."""
    if hasattr(values, "dtype"):
        import numpy as np

        return values[np.array(kept, dtype=np.bool_)]
    return [value for value, keeps in zip(values, kept, strict=True) if keeps]
