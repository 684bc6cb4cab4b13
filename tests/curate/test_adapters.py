"""The rules inside datasets, pandas, polars, Arrow, Ray Data and datatrove: the verdicts they give alone."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from edge_texts import edge_texts
from page_texts import page_texts

from curate.adapters import Rules
from curate.errors import Refused
from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition, Url

ROOT = Path(__file__).parents[2]
NAMES = ("gopher_repetition", "gopher_quality", "c4", "fineweb")


@cache
def texts() -> list[str]:
    """Real pages, and edge texts that tables can hold (no lone surrogates)."""
    found = [*page_texts(ROOT / "recipes" / "sample"), *(text for text in edge_texts() if len(text) < 20_000)]
    return [text for text in found[::9] if text.isprintable() or text.encode("utf-8", "ignore").decode() == text]


@cache
def alone() -> tuple[tuple[bool, str, str, str | None], ...]:
    """Each step called on each text, without Rules: keep, step, rule and the text left."""
    found = []
    for text in texts():
        left = text
        for step in (GopherRepetition(), GopherQuality(), C4(), FineWeb()):
            verdict = step(left)
            if not verdict:
                found.append((False, step.name, verdict.rule, None))
                break
            left = left if verdict.text is None else verdict.text
        else:
            found.append((True, "", "", left))
    assert 10 < sum(keep for keep, *_ in found) < len(found) - 40
    return tuple(found)


def kept() -> list[str | None]:
    return [text for keep, _, _, text in alone() if keep]


def marked_as(keep: list[bool], step: list[str], rule: list[str], text: list[str]) -> None:
    """All that `mark` says, against the rules alone."""
    assert list(zip(keep, step, rule, strict=True)) == [row[:3] for row in alone()]
    assert list(text) == [
        left if left is not None else given for given, (*_, left) in zip(texts(), alone(), strict=True)
    ]


def test_strings_and_batches_of_strings() -> None:
    rules = Rules(*NAMES)
    verdicts = rules.batch(texts())
    assert [(one.keep, one.step, one.rule, one.text) for one in verdicts] == list(alone())
    one = rules("too short")
    assert (one.keep, one.step, one.rule, one.value, one.threshold) == (
        False, "gopher_repetition", "top_2_gram", 1.0, 0.2,
    )  # fmt: skip
    assert rules(None).rule == "empty"
    other = Rules(GopherQuality(min_words=1, min_stop_words=0))
    assert other("short words") and not Rules("gopher_quality")("short words")
    host = Rules(Url(domains=["bad.example"]))
    assert host.keep({"text": ["a", "a"], "url": ["http://www.bad.example/x", None]}) == [False, True]


def test_mistakes_are_told_with_what_would_be_right() -> None:
    for given, said in (
        ((), "needs a step"),
        (("minhash_dedup",), "minhash_dedup decides by the whole corpus"),
        (("extract",), "extract makes texts of pages"),
    ):
        with pytest.raises(ValueError, match=said):
            Rules(*given)
    with pytest.raises(Refused, match="did you mean 'gopher_quality'"):
        Rules("gopher_qualty")
    with pytest.raises(KeyError, match=r"no column 'text' \(it has body"):
        Rules("c4").keep({"body": ["x"]})
    with pytest.raises(TypeError, match="not list"):
        Rules("c4").keep(["x"])


def test_datasets_map_and_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    rules = Rules(*NAMES)
    table = datasets.Dataset.from_dict({"text": texts(), "number": list(range(len(texts())))})
    left = table.filter(rules.keep, batched=True, batch_size=64)
    assert left["number"] == [number for number, (keep, *_) in enumerate(alone()) if keep]
    marked = table.map(rules.mark, batched=True, batch_size=64)
    marked_as(*(marked[f"goldsand_{name}"] for name in ("keep", "step", "rule")), marked["text"])
    assert marked["number"] == list(range(len(texts())))
    cleaned = table.map(rules.clean, batched=True, batch_size=64)
    assert cleaned["text"] == kept() and cleaned["number"] == left["number"]
    stream = table.to_iterable_dataset().map(rules.clean, batched=True, batch_size=64)
    assert [row["text"] for row in stream] == kept()
    # The same rules have the same fingerprint: a second map finds the first one's cache.
    assert table.map(Rules(*NAMES).mark, batched=True, batch_size=64)._fingerprint == marked._fingerprint
    other = Rules("gopher_repetition", GopherQuality(min_words=49), "c4", "fineweb")
    assert table.map(other.mark, batched=True, batch_size=64)._fingerprint != marked._fingerprint


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    rules = Rules(*NAMES)
    frame = pandas.DataFrame({"text": texts(), "number": range(len(texts()))}, index=range(1000, 1000 + len(texts())))
    assert list(frame[rules.keep(frame)]["number"]) == [number for number, row in enumerate(alone()) if row[0]]
    marked = rules.mark(frame)
    marked_as(*(list(marked[f"goldsand_{name}"]) for name in ("keep", "step", "rule")), list(marked["text"]))
    assert list(marked.index) == list(frame.index) and list(frame.columns) == ["text", "number"]
    cleaned = rules.clean(frame)
    assert list(cleaned["text"]) == kept() and cleaned.index[0] >= 1000
    empty = pandas.DataFrame({"text": [None, float("nan"), "x"]})
    assert list(rules.mark(empty)["goldsand_rule"]) == ["empty", "empty", rules("x").rule]


def test_polars() -> None:
    polars = pytest.importorskip("polars")
    rules = Rules(*NAMES)
    frame = polars.DataFrame({"text": texts(), "number": range(len(texts()))})
    assert frame.filter(rules.keep(frame))["number"].to_list() == [n for n, row in enumerate(alone()) if row[0]]
    marked = rules.mark(frame)
    marked_as(*(marked[f"goldsand_{name}"].to_list() for name in ("keep", "step", "rule")), marked["text"].to_list())
    assert rules.clean(frame)["text"].to_list() == kept()
    lazy = frame.lazy().map_batches(rules.clean).collect()
    assert lazy["text"].to_list() == kept()


def test_a_batch_of_which_nothing_is_left_keeps_the_types_of_its_columns() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    rules, given = Rules(GopherQuality()), {"text": ["too short", "too short as well"]}
    frame = polars.DataFrame(given)
    assert rules.clean(frame).schema == frame.schema
    assert frame.lazy().map_batches(rules.clean).collect().height == 0
    assert rules.clean(pandas.DataFrame(given)).dtypes.equals(pandas.DataFrame(given).dtypes)
    assert rules.clean(pyarrow.table(given)).schema == pyarrow.table(given).schema
    for kind in (object, str):
        cleaned = rules.clean({"text": numpy.array(given["text"], dtype=kind)})["text"]
        assert cleaned.shape == (0,) and cleaned.dtype.kind == numpy.dtype(kind).kind


LONG = "The river is wide and the boats of the town go to the sea with those who want to live there. " * 8


def test_added_columns_have_their_types_in_an_empty_batch_too() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pyarrow, numpy = pytest.importorskip("pyarrow"), pytest.importorskip("numpy")
    rules = Rules(GopherQuality())
    for given in (polars.DataFrame({"text": [LONG]}), pyarrow.table({"text": [LONG]})):
        assert rules.mark(given[:0]).schema == rules.mark(given).schema
    given = pandas.DataFrame({"text": [LONG]})
    assert rules.mark(given[:0]).dtypes.equals(rules.mark(given).dtypes)
    types = {name: rows.dtype for name, rows in rules.mark({"text": numpy.array([], dtype=object)}).items()}
    assert types.pop("goldsand_keep").kind == "b" and set(types.values()) == {numpy.dtype(object)}


def test_a_lazy_frame_is_a_batch() -> None:
    polars = pytest.importorskip("polars")
    rules, frame = Rules(*NAMES), polars.DataFrame({"text": texts()[:40]})
    for way in (rules.clean, rules.mark):
        assert way(frame.lazy()).collect().equals(way(frame))
        assert way(frame[:0].lazy()).collect().schema == way(frame).schema
    assert rules.mark(frame.lazy()).select("goldsand_keep").collect().to_series().to_list() == rules.keep(frame)
    with pytest.raises(TypeError, match="collect"):
        rules.keep(frame.lazy())


def test_a_missing_text_stays_missing_where_it_is_kept() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    rules = Rules(Url(domains=["bad.example"]))
    for frame in (polars.DataFrame({"text": [None, None]}), polars.DataFrame({"text": [None, LONG]})):
        assert rules.clean(frame).equals(frame) and rules.mark(frame).select("text").equals(frame)
    for kind in (pyarrow.null(), pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
        table = pyarrow.table({"text": pyarrow.array([None], kind)})
        assert rules.clean(table).equals(table) and rules.mark(table)["text"].equals(table["text"])
    for given in ([numpy.nan], pandas.array([None, LONG], dtype="string"), [None, LONG]):
        frame = pandas.DataFrame({"text": given})
        assert rules.clean(frame)["text"].equals(frame["text"]) and rules.mark(frame)["text"].equals(frame["text"])
    assert rules.clean({"text": [None, "a"]}) == {"text": [None, "a"]}


def test_what_is_no_text_is_told_and_not_taken_for_an_empty_one() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for given in (
        {"text": [5]},
        {"text": [b"bytes"]},
        pandas.DataFrame({"text": [1, 2]}),
        polars.DataFrame({"text": [1]}),
    ):
        with pytest.raises(TypeError, match=r"column 'text' holds (int|bytes) where a text belongs"):
            Rules("c4").keep(given)
    with pytest.raises(TypeError, match="not Series; for texts alone there is Rules"):
        Rules("c4").keep(pandas.Series(["x"]))


def test_kinds_of_text_columns() -> None:
    """Categories, views and large strings, with an edit that makes texts that were not there."""
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    rules, given = Rules(C4(min_sentences=1)), ["One line of a page.\nPlease enable javascript.", None]
    for kind in ("category", "string", "str", object, pandas.ArrowDtype(pyarrow.large_string())):
        frame = pandas.DataFrame({"text": pandas.Series(given, dtype=kind)})
        assert list(rules.clean(frame)["text"]) == ["One line of a page."], kind
        assert type(rules.clean(frame)["text"].dtype) is type(frame["text"].dtype)
        assert type(rules.clean(frame[1:])["text"].dtype) is type(frame["text"].dtype)
    for kind in (pyarrow.string_view(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())):
        table = pyarrow.table({"text": pyarrow.array(given, kind)})
        assert rules.clean(table)["text"].to_pylist() == ["One line of a page."]
        assert rules.clean(table).schema == table.schema == rules.clean(table.slice(1)).schema
    for kind in (str, object, numpy.dtypes.StringDType()):
        cleaned = rules.clean({"text": numpy.array(given[:1], dtype=kind)})["text"]
        assert cleaned.tolist() == ["One line of a page."] and cleaned.dtype.kind == numpy.dtype(kind).kind


def test_rules_travel_to_other_processes_before_and_after_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    names = ("language", "url", "safety", "redact", "knowledge_density", *NAMES)
    fresh, used = Rules(*names), Rules(*names)
    page = next(left for left in kept() if used(left).text == left)
    verdicts = used.batch([page, "x"])
    for rules in (fresh, used, pickle.loads(pickle.dumps(used))):
        assert pickle.loads(pickle.dumps(rules)).batch([page, "x"]) == verdicts
    table = datasets.Dataset.from_dict({"text": ["x", "y", page, "z", None]})
    # Four of five batches are left empty, and one of two processes has nothing at all.
    two = table.map(fresh.clean, batched=True, batch_size=1, num_proc=2)
    assert two["text"] == table.map(fresh.clean, batched=True)["text"] == [page] and two.features == table.features
    assert table.map(used.mark, batched=True)._fingerprint == table.map(Rules(*names).mark, batched=True)._fingerprint
    for kind in ("pandas", "polars", "arrow", "numpy"):
        left = table.with_format(kind).map(fresh.clean, batched=True, batch_size=1)
        assert left.with_format(None)["text"] == [page]


def test_arrow_tables() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    rules = Rules(*NAMES, text="body", prefix="")
    table = pyarrow.table({"body": pyarrow.array(texts(), pyarrow.large_string()), "number": range(len(texts()))})
    marked = rules.mark(table)
    marked_as(*(marked[name].to_pylist() for name in ("keep", "step", "rule")), marked["body"].to_pylist())
    cleaned = rules.clean(table)
    assert cleaned["body"].to_pylist() == kept() and cleaned.schema == table.schema
    values = [(json.loads(row["value"]), json.loads(row["threshold"])) for row in marked.to_pylist()]
    assert values == [(verdict.value, verdict.threshold) for verdict in rules.batch(texts())]
    assert rules.clean(table.slice(0, 0)).num_rows == 0


def test_ray_data() -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(
        num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}}
    )
    try:
        rules = Rules(*NAMES)
        rows = ray.data.from_items([{"text": text, "number": number} for number, text in enumerate(texts())])
        for kind in ("numpy", "pandas", "pyarrow"):
            cleaned = rows.map_batches(rules.clean, batch_format=kind, batch_size=64).take_all()
            assert [row["text"] for row in sorted(cleaned, key=lambda row: row["number"])] == kept()
        marked = sorted(rows.map_batches(rules.mark, batch_size=64).take_all(), key=lambda row: row["number"])
        columns = [[row[f"goldsand_{name}"] for row in marked] for name in ("keep", "step", "rule")]
        few = ray.data.from_items([{"text": text, "number": 1} for text in ("x", None, "y", LONG)]).repartition(4)
        for kind in ("numpy", "pandas", "pyarrow"):
            cleaned = few.map_batches(Rules("gopher_quality").clean, batch_format=kind, batch_size=1)
            assert cleaned.take_all() == [{"text": LONG, "number": 1}], "of the other blocks nothing is left"
        marked_as(*columns, [row["text"] for row in marked])
    finally:
        ray.shutdown()


PIPELINE = """
import dill, json, sys
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter)
from datatrove.pipeline.writers import JsonlWriter
from curate.adapters.datatrove import RulesFilter

texts = json.load(open(sys.argv[1], encoding="utf-8"))
def documents():
    return [Document(text=text, id=str(number)) for number, text in enumerate(texts)]

def end(folder, name, steps):
    LocalPipelineExecutor([documents(), *steps(JsonlWriter(f"{folder}/{name}-out", compression=None)),
                           JsonlWriter(f"{folder}/{name}-kept", compression=None)],
                          logging_dir=f"{folder}/{name}-logs").run()

def sent(step):
    # As an executor of many machines sends a pipeline.
    return dill.loads(dill.dumps(step))

end(sys.argv[2], "ours", lambda out: [sent(RulesFilter("gopher_repetition", "gopher_quality", "c4", "fineweb",
                                                       exclusion_writer=out))])
end(sys.argv[2], "theirs", lambda out: [GopherRepetitionFilter(exclusion_writer=out),
    GopherQualityFilter(exclusion_writer=out), C4QualityFilter(filter_no_terminal_punct=False, exclusion_writer=out),
    FineWebQualityFilter(exclusion_writer=out)])
"""


def peer() -> str | None:
    """An interpreter with datatrove: this one, or the one that DATATROVE_PYTHON names."""
    for python in (os.environ.get("DATATROVE_PYTHON"), sys.executable):
        if python and subprocess.run([python, "-c", "import datatrove"], capture_output=True).returncode == 0:
            return python
    return None


def test_a_datatrove_pipeline_ends_as_with_its_own_filters(tmp_path: Path) -> None:
    python = peer()
    if python is None:
        pytest.skip("datatrove is not installed; DATATROVE_PYTHON names an interpreter of an environment that has it")
    (tmp_path / "texts.json").write_text(json.dumps(texts()))
    result = subprocess.run(
        [python, "-c", PIPELINE, str(tmp_path / "texts.json"), str(tmp_path)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]

    def rows(name: str) -> dict[str, dict]:
        # Not splitlines: texts hold line boundaries of other kinds.
        lines = [line for path in (tmp_path / name).glob("*.jsonl") for line in path.read_text().split("\n")]
        return {row["id"]: row for row in map(json.loads, filter(None, lines))}

    ours, theirs = rows("ours-kept"), rows("theirs-kept")
    assert {key: row["text"] for key, row in ours.items()} == {key: row["text"] for key, row in theirs.items()}
    assert [ours[key]["text"] for key in sorted(ours, key=int)] == kept()
    out, gone = rows("ours-out"), rows("theirs-out")
    reasons = {key: row["metadata"]["filter_reason"].partition(".")[2] for key, row in out.items()}
    assert reasons == {key: row["metadata"]["filter_reason"] for key, row in gone.items()}
    assert all(row["metadata"]["goldsand_value"] is not None for row in out.values())
