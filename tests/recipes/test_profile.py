"""Profiles: a run's verdicts; other verdicts, as another run would give them; refused where nobody can know."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from edge_texts import edge_texts
from page_texts import page_texts
from test_command_line import goldsand, refused

from curate.audit.verify import verify
from curate.document import Document, Drop
from curate.filters import C4, FineWeb, GopherQuality, Url
from curate.redact.redact import Redact
from curate.registry import OWN, step_class
from curate.run.ledger import read_ledger
from curate.run.profile import SIGNALS, Profile, Seen, is_off, read_profile, split, switched_on
from curate.step import Edit, Rule, Step
from recipes.app.recipe.build import corpus_run
from recipes.app.recipe.load import load
from recipes.app.recipe.profile import _Keeps, callouts, decide, profile_run, write_profile

ROOT = Path(__file__).parents[2]
SHARED_CRAWL = ROOT.parent / "shared" / "data" / "crawl"

DIALECTS = {
    "fineweb": ["language", "safety", "gopher_repetition", "gopher_quality", "c4", "fineweb"],
    "dolma": ["gopher_quality_dolma", "gopher_repetition_dolma", "c4_dolma"],
    "dclm": ["gopher_quality_dclm", "gopher_repetition_dclm", "refinedweb_lines", "c4_dclm"],
}
GIVEN: dict[str, dict[str, Any]] = {
    "c4_dclm": {"punkt": str(ROOT / "tests" / "parity" / "punkt")},
    "redact": {"max_found": 5},
}
INPUTS = {
    "sample": str(ROOT / "recipes" / "sample" / "*.warc.gz"),
    "shared": str(SHARED_CRAWL / "pages-*.warc.gz"),
}


def made(name: str) -> Step:
    """A step with its defaults, and the files without which there is none."""
    return step_class(name)(**GIVEN.get(name, {}))


@cache
def texts() -> list[str]:
    """Real pages and edge texts; of the longest edge texts one is enough here."""
    found = [*page_texts(ROOT / "recipes" / "sample"), *(text for text in edge_texts() if len(text) < 100_000)]
    return found[::4]


def run_with(steps: list[Step], text: str) -> tuple[str, str, Any] | None:
    """How a run of these steps ends a text: step, rule, value; None for one that is kept."""
    document = Document(key="k", text=text)
    for step in steps:
        outcome = next(iter(step.apply([document])))
        if isinstance(outcome, Drop):
            return outcome.step, outcome.rule, outcome.value
        document = outcome
    return None


def noted(steps: list[Step], text: str) -> Seen:
    """A profile's note as the ledger gives it back."""
    profile = Profile.of([(step.name, step) for step in steps])
    (document,) = profile.apply([Document(key="k", text=text)])
    assert isinstance(document, Document) and document.text == text
    ((step, rule, note),) = document.notes
    assert (step, rule) == ("profile", SIGNALS)
    return Seen("k", None, None, orjson.loads(orjson.dumps(note)))


def other_thresholds(steps: list[Step], rng: random.Random) -> list[Step]:
    """Each limit with a chance of one in three on another value, some of them off, switches turned."""
    found = []
    for step in steps:
        changes: dict[str, Any] = {}
        for item in dataclasses.fields(step):  # type: ignore[arg-type]
            value = getattr(step, item.name)
            if item.name in (step.shaping or ()) or rng.random() > 1 / 3 or isinstance(value, list):
                continue
            if isinstance(value, bool):
                changes[item.name] = not value
            elif value is not None:
                most = item.metadata["le"] or 2 * value
                changes[item.name] = rng.choice([None, value * rng.random(), min(most, value * (1 + rng.random()))])
            if isinstance(step, Edit) or step.name == "language":
                changes = {key: new for key, new in changes.items() if new is not None}
        found.append(dataclasses.replace(step, **changes))
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_thresholds_decide_from_stored_values_as_a_run_does_from_texts(dialect: str) -> None:
    steps = [made(name) for name in DIALECTS[dialect]]
    rng = random.Random(7)
    changed, ended = 0, set()
    for text in texts():
        seen, plain = noted(steps, text), run_with(steps, text)
        for tried in (steps, other_thresholds(steps, rng), other_thresholds(steps, rng)):
            expected = plain if tried is steps else run_with(tried, text)
            found = seen.verdict({step.name: step for step in tried})
            assert (found and (found[0], found[1].rule, found[1].value)) == expected, text[:80]
            changed += expected != plain
            ended.add(expected and expected[:2])
    assert changed > 50 and len(ended) > 12 - 4 * (dialect == "dclm")


def test_limits_that_are_off_are_measured_and_can_be_switched_on() -> None:
    sentences = dataclasses.replace(made("c4_dclm"), min_sentences=None)  # type: ignore[type-var]
    off = [
        GopherQuality(min_words=None, max_symbol_ratio=0),
        FineWeb(max_newlines=None),
        C4(min_sentences=0),
        sentences,
    ]
    assert [is_off(off[0], "min_words"), is_off(off[0], "max_symbol_ratio"), is_off(off[1], "max_newlines")] == [
        True
    ] * 3
    assert switched_on(off[0]) == GopherQuality() and switched_on(off[1]) == FineWeb()
    for text in texts():
        on = [GopherQuality(), FineWeb(), C4(), made("c4_dclm")]
        found = noted(off, text).verdict({step.name: step for step in on})
        assert (found and (found[0], found[1].rule, found[1].value)) == run_with(on, text)


@pytest.mark.parametrize("name", OWN)
def test_every_parameter_that_only_decides_is_named_by_a_comparison(name: str) -> None:
    cls = step_class(name)
    if cls.shaping is None or name in ("classifier", "url", "forget"):  # these need a model, or lists: see below
        return
    step = made(name)
    named = set()
    phrases = "Lorem ipsum { javascript } is the text, and that is all there is to be had with it. " * 3
    for text in [*texts()[:60], phrases]:
        document = Document(key="", text=text, url="http://example.com/")
        checks = list(step.checks(document)) if isinstance(step, Rule) else step.examine(document)[0]  # type: ignore[attr-defined]
        named |= {check.limit for check in checks} - {""}
    decides = {item.name for item in dataclasses.fields(step)} - set(cls.shaping)  # type: ignore[arg-type]
    assert named == decides


def test_addresses_are_decided_again_by_their_soft_words(tmp_path: Path) -> None:
    (tmp_path / "soft.txt").write_text("one\ntwo\nthree\n")
    urls = [
        "http://a.example/",
        "http://a.example/one",
        "http://a.example/one-two",
        "http://a.example/One_TWO.three",
        None,
    ]
    ended = []
    for url in urls:
        for fewest in (1, 2, 3, 4):
            profile = Profile.of([("url", Url(soft_words=str(tmp_path / "soft.txt"), min_soft_words=2))])
            (document,) = profile.apply([Document(key="k", text="text", url=url)])
            assert isinstance(document, Document)
            seen = Seen("k", url, None, orjson.loads(orjson.dumps(document.notes[0][2])))
            other = Url(soft_words=str(tmp_path / "soft.txt"), min_soft_words=fewest)
            found, run = seen.verdict({"url": other}), other("text", url=url)
            expected = None if run else (run.rule, run.value, run.threshold)
            assert (found and (found[1].rule, found[1].value, found[1].threshold)) == expected
            ended.append(expected is not None)
    assert sum(ended) == 1 + 2 + 3
    assert is_off(Url(), "min_soft_words") and not is_off(other, "min_soft_words")


def test_pages_of_many_identifiers_are_decided_again() -> None:
    texts = [" and ".join(f"person{number}@site.org" for number in range(count)) for count in range(5)]
    for limit in (None, 0, 1, 2, 4):
        for text in texts:
            found = noted([Redact()], text).verdict({"redact": Redact(max_found=limit)})
            assert (found and (found[0], found[1].rule, found[1].value)) == run_with([Redact(max_found=limit)], text)
    checks, left = Redact(max_found=1).examine(Document("", texts[3]))
    assert [check.failed for check in checks] == [True] and left == Redact()(texts[3]).text
    assert Redact(action="drop").examine(Document("", texts[1]))[0][0].side == ""


def test_a_limit_on_counts_keeps_what_stays_below_it() -> None:
    keeps = _Keeps("reaches", np.array([0.0, 0, 0, 1, 3]), np.ones(5), np.array([]), 5, 5.0)
    assert [keeps.at(limit)[0] for limit in (0, 1, 2, 3, 4)] == [0.0, 0.6, 0.8, 0.8, 1.0]
    assert [keeps.threshold(share) for share in (0.6, 0.8, 1.0)] == [1.0, 2.0, 4.0]


def test_a_classifier_decides_again_from_its_scores(tmp_path: Path) -> None:
    import fasttext

    from curate.filters import Classifier

    (tmp_path / "train.txt").write_text("__label__yes good river stone\n__label__no bad house light\n" * 50)
    fasttext.train_supervised(str(tmp_path / "train.txt"), dim=4, epoch=20, thread=1, verbose=0).save_model(
        str(tmp_path / "model.bin")
    )
    given = {"model": str(tmp_path / "model.bin"), "label": "yes"}
    only, both = Classifier(**given, max_score=0.5), Classifier(**given, min_score=0.4, max_score=0.6)
    ended = set()
    for text in ("good river stone", "bad house light", "good bad", "nothing known"):
        found = noted([only], text).verdict({"classifier": both})
        expected = run_with([both], text)
        assert (found and (found[0], found[1].rule)) == (expected and expected[:2])
        ended.add(expected and expected[1])
    assert {"score_too_low", "score_too_high"} <= ended


def test_other_languages_have_their_own_thresholds_again() -> None:
    text = "这是一个关于河流和石头的长句子。" * 12
    for step in (GopherQuality(language="zh"), FineWeb(language="zh")):
        for tried in (step, *(other_thresholds([step], random.Random(seed))[0] for seed in range(30))):
            found = noted([step], text).verdict({step.name: tried})
            assert (found and (found[0], found[1].rule, found[1].value)) == run_with([tried], text)


def recipe(folder: Path, dialect: str, source: str, more: str = "") -> Path:
    steps = [
        "extract: {engine: resiliparse}",
        *(f"{name}: {json.dumps(GIVEN.get(name))}" for name in DIALECTS[dialect]),
    ]
    path = folder / f"{dialect}.yaml"
    lines = "\n".join(f"  - {step}" for step in steps)
    path.write_text(f"name: {dialect}\ninputs: [{{path: '{INPUTS[source]}'}}]\nsteps:\n{lines}\n{more}")
    return path


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("source", ["sample", pytest.param("shared", marks=pytest.mark.slow)])
@pytest.mark.parametrize("limit", [60, pytest.param(None, marks=pytest.mark.slow)])
def test_nothing_set_gives_the_verdicts_of_a_run(tmp_path: Path, dialect: str, source: str, limit: int | None) -> None:
    """Every document: step, rule, value and threshold; and the run finds the profile's extraction done."""
    if source == "shared" and not SHARED_CRAWL.is_dir():
        pytest.skip(f"no crawl at {SHARED_CRAWL}")
    loaded = load(str(recipe(tmp_path, dialect, source)))
    out = tmp_path / "out"
    profiled = profile_run(loaded, out, 2, limit)
    profiled.execute()
    write_profile(loaded, out)
    assert list(verify(out)) == []
    assert decide(out, []).changed == []
    steps = dict(split(loaded.steps).measured)
    ours = {}
    for seen in read_profile(out):
        found = seen.verdict(steps)
        threshold = found and found[1].threshold
        ours[seen.key] = found and (found[0], found[1].rule, found[1].value, threshold)
    drawn = {"partitions": profiled.partitions, "drawn": profiled.drawn}
    summary = dataclasses.replace(corpus_run(loaded, out, workers=2), **drawn).execute()
    assert summary["units"]["found_done"] > 0 and summary["documents"]["kept"] > 1
    theirs: dict[str, Any] = {}
    for path in sorted((out / "ledger").glob("*.parquet")):
        for row in read_ledger(path):
            if row["event"] == "drop" and row["step"] != "extract":
                theirs[row["key"]] = (row["step"], row["rule"], row["value"], row["threshold"])
    assert len(theirs) > 20
    assert {key: verdict for key, verdict in ours.items() if verdict} == theirs
    assert sum(verdict is None for verdict in ours.values()) == summary["documents"]["kept"]


def test_a_cascade_extracts_every_page_and_knows_no_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "cascade.yaml"
    steps = "[extract: {engine: cascade}, gopher_quality]"
    path.write_text(f"name: cascade\ninputs: [{{path: '{INPUTS['sample']}'}}]\nsteps: {steps}\n")
    loaded, out = load(str(path)), tmp_path / "out"
    summary = profile_run(loaded, out, 1, 25).execute()
    write_profile(loaded, out)
    found = decide(out, ["gopher_quality.min_words=400"])
    extracted = next(step["documents_out"] for step in summary["steps"] if step["step"] == "extract")
    assert found.documents == extracted > 20 and found.kept[1] < found.kept[0] and found.changed
    with pytest.raises(ValueError, match="cannot be decided from stored signals: extract produces the text"):
        decide(out, ["extract.engine=resiliparse"])


WORDS = [20, 30, 40, 50, 60, 70, 80, 90, 100, 110]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten texts of 20 to 110 words, and their profile."""
    folder = tmp_path_factory.mktemp("counted")
    rng = random.Random(3)
    rows = []
    for count in WORDS:
        words = ["the", "of", *("".join(rng.choices("abcdefghij", k=5)) for _ in range(count - 2))]
        rows.append(json.dumps({"text": " ".join(words), "url": f"http://example.com/{count}"}))
    (folder / "texts.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "recipe.yaml").write_text(
        "name: counted\ninputs: [{path: texts.jsonl}]\nsteps: [gopher_quality, gopher_repetition: {top_2_gram: 0},"
        " c4: {min_sentences: 0}, exact_dedup, line_dedup, fineweb]\n"
    )
    result = goldsand("profile", "recipe.yaml", "-o", "out", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "line_dedup" in result.stdout and "fineweb: it reads what line_dedup may rewrite" in result.stdout
    # At its published threshold a rule that fires on nothing is no news.
    assert "fired on no document" not in " ".join(result.stderr.split())
    return folder


def test_curves_and_counts_are_exact(counted: Path) -> None:
    found = json.loads((counted / "out" / "profile.json").read_text())
    assert (found["documents"], found["size"], found["kept"]) == (10, sum(WORDS), 7)
    rules = {row["limit"]: row for row in found["rules"]}
    assert (rules["min_words"]["fires"], rules["min_words"]["fires_size"], rules["min_words"]["ends"]) == (3, 90, 3)
    curve = next(row for row in found["curves"] if row["limit"] == "min_words")
    for threshold, documents, words in curve["points"]:
        left = [count for count in WORDS if count >= threshold]
        assert (documents, words) == pytest.approx((len(left) / 10, sum(left) / sum(WORDS)))
    assert [point[0] for point in curve["points"]] == WORDS
    assert [(share, threshold) for share, threshold, *_ in curve["keeping"]] == [
        (0.99, 20), (0.95, 20), (0.9, 30), (0.75, 40), (0.5, 70),
    ]  # fmt: skip
    off = next(row for row in found["curves"] if row["limit"] == "top_2_gram")
    assert off["threshold"] is None and len(off["points"]) > 1
    page = (counted / "out" / "report.html").read_text()
    assert page.count("<svg") == 2 * len(found["curves"]) and "://" not in page
    silent = {"step": "a", "rule": "r", "limit": "l", "threshold": 1, "fires": 0, "tighter": True, "most": []}
    often = {**silent, "fires": 70, "most": [("forum", 60, 80)]}
    said = callouts({"documents": 100, "rules": [silent, often]})
    assert len(said) == 2 and "no document" in said[0]
    assert (
        "a.l (r) takes 75% of the source 'forum' (60 of 80 documents, 50% of the other sources; threshold 1)" in said[1]
    )
    assert callouts({"documents": 100, "rules": [{**silent, "tighter": False}, {**silent, "fires": 95}]}) == []


def test_workers_do_not_show(counted: Path, within: Callable[..., Any]) -> None:
    for workers in ("1", "3"):
        result = within("profile", "recipe.yaml", "-o", f"by{workers}", "--workers", workers, cwd=counted)
        assert result.returncode == 0, result.stderr
    for name in ("profile.json", "report.html", "ledger/00000.parquet"):
        assert (counted / "by1" / name).read_bytes() == (counted / "by3" / name).read_bytes()


def test_decide_lists_exactly_what_changes(counted: Path, within: Callable[..., Any]) -> None:
    result = within(
        "decide", "out", "--set", "gopher_quality.min_words=30", "--set", "gopher_quality.max_words=100",
        "-o", "changed.jsonl", cwd=counted,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in (counted / "changed.jsonl").read_text().splitlines()]
    assert {row["url"].rpartition("/")[2]: row["after"] and row["after"]["rule"] for row in rows} == {
        "30": None, "40": None, "110": "gopher_long_doc",
    }  # fmt: skip
    assert rows[0]["before"] == {
        "step": "gopher_quality", "rule": "gopher_short_doc", "value": 30, "threshold": 50,
    }  # fmt: skip
    assert "documents kept: 7 -> 8 of 10" in result.stdout and "3 documents have another verdict" in result.stdout
    nothing = within("decide", "out", cwd=counted)
    assert "0 documents have another verdict" in nothing.stdout


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("c4.min_words_per_line=5", "it shapes the text that every later rule reads"),
        ("gopher_quality.stop_words=[a]", "it shapes the values themselves"),
        ("exact_dedup.by=url", "it decides by the whole corpus"),
        ("fineweb.max_newlines=0.1", "it reads what line_dedup may rewrite"),
        ("gopher_quality.min_wrods=3", "did you mean 'min_words'?"),
        ("gopher_repetition.dup_line_frac=1.5", "less than or equal to 1"),
        ("output.keep_dropped=all", "only parameters of steps"),
        ("steps=[gopher_quality]", "the steps are not those of the profile"),
    ],
)
def test_what_stored_values_cannot_answer_is_refused_with_the_reason(
    counted: Path, setting: str, said: str, within: Callable[..., Any]
) -> None:
    refused(within("decide", "out", "--set", setting, cwd=counted), said)


def test_files_that_are_not_what_they_should_be_are_told_before_work_begins(
    tmp_path: Path, within: Callable[..., Any]
) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "one two three"}\n')
    (tmp_path / "none.bin").write_text("nonsense")
    (tmp_path / "empty.txt").write_text("\n")
    head = "name: bad\ninputs: [{path: texts.jsonl}]\nsteps:\n"
    (tmp_path / "a.yaml").write_text(head + "  - language: {model: none.bin}\n  - c4: {bad_words: empty.txt}\n")
    result = within("profile", "a.yaml", "-o", "out", cwd=tmp_path)
    refused(result, "a.yaml:4: ", "none.bin is not a fastText model", "a.yaml:5: ", "empty.txt holds no word")
    (tmp_path / "b.yaml").write_text(head + "  - c4\noutput: {tokenizer: {kind: file, file: none.bin}}\n")
    refused(
        within("profile", "b.yaml", "-o", "out", cwd=tmp_path), "output.tokenizer.file: ", "is not a tokenizer.json"
    )
    (tmp_path / "c.yaml").write_text(head + "  - exact_dedup\n")
    refused(within("profile", "c.yaml", "-o", "out", cwd=tmp_path), "no rule or edit that a profile could measure")


def test_tokens_are_counted_where_the_recipe_names_a_tokenizer(tmp_path: Path, within: Callable[..., Any]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    # Every letter is a token, and nothing else is.
    tokenizer = Tokenizer(models.WordLevel({letter: place for place, letter in enumerate("ab?")}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.save(str(tmp_path / "letters.json"))
    (tmp_path / "texts.jsonl").write_text('{"text": "aab ba"}\n{"text": "a a"}\n')
    (tmp_path / "recipe.yaml").write_text(
        "name: letters\ninputs: [{path: texts.jsonl}]\nsteps: [gopher_quality: {min_words: 1}]\n"
        "output: {tokenizer: {kind: file, file: letters.json}}\n"
    )
    result = within("profile", "recipe.yaml", "-o", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "out" / "profile.json").read_text())
    assert (found["counted_in"], found["size"]) == ("tokens", 7)


def test_a_folder_of_something_else_is_refused(counted: Path, tmp_path: Path, within: Callable[..., Any]) -> None:
    refused(within("decide", str(tmp_path), cwd=counted), "holds no profile", "goldsand profile RECIPE -o")
    assert within("run", "recipe.yaml", "-o", str(tmp_path / "run"), cwd=counted).returncode == 0
    refused(within("profile", "recipe.yaml", "-o", str(tmp_path / "run"), cwd=counted), "holds a finished run")
    again = within("profile", "recipe.yaml", "-o", "out", cwd=counted)
    assert again.returncode == 0, again.stderr


def test_why_shows_values_beside_thresholds_in_a_run_and_in_a_profile(
    counted: Path, within: Callable[..., Any]
) -> None:
    assert within("run", "recipe.yaml", "-o", "run", cwd=counted).returncode == 0
    for folder, url, said, ends in (
        ("run", "40", "gopher_quality.min_words (gopher_short_doc)  40, at least 50  fails", True),
        ("run", "60", "gopher_quality.min_words (gopher_short_doc)  60, at least 50", False),
        ("out", "40", "gopher_quality.max_word_length (gopher_above_avg_threshold)", False),
    ):
        told = within("why", folder, f"http://example.com/{url}", cwd=counted).stdout
        assert said in told
        assert ("max_word_length" not in told) == ends


def test_a_profile_of_few_documents_finds_the_share_of_all_of_them(tmp_path: Path) -> None:
    """The first file is unlike the rest: by itself it says that the rule drops everything."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        words = "one two three" if number == 0 else "the word and that of the other have it to be with " * 5
        rows = "".join(json.dumps({"text": f"{words} {place}"}) + "\n" for place in range(200))
        (tmp_path / "in" / f"{number}.jsonl").write_text(rows)
    recipe = {"name": "few", "inputs": [{"path": "in"}], "steps": [{"gopher_quality": {"min_words": 10}}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    loaded = load(str(tmp_path / "recipe.yaml"))
    run = profile_run(loaded, tmp_path / "out", 1, 150)
    run.execute()
    figures = write_profile(loaded, tmp_path / "out")
    short = next(row for row in figures["rules"] if row["limit"] == "min_words")
    assert figures["documents"] == 150 and abs(short["fires"] / 150 - 1 / 6) < 0.12
    assert profile_run(loaded, tmp_path / "out", 1, 5000).drawn is None
