"""Classifiers: training, the report, the step, and files that are no model."""

from __future__ import annotations

import itertools
import json
import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.document import Document
from curate.filters import Classifier
from curate.filters.classifier import NEGATIVE, POSITIVE, _pieces, in_words
from curate.filters.fasttext_model import _walked, check, load
from curate.filters.training import Text, TrainingSettings, auc, measure, threshold_at, train
from curate.places.stamp import stamp

fasttext = pytest.importorskip("fasttext")

SMALL = TrainingSettings(dimensions=4, buckets=500, epochs=8, rate=0.5, letters=(0, 0))
SUNNY = ["sun", "light", "summer", "warm", "beach", "holiday", "bright", "yellow", "day", "garden"]
GLOOMY = ["rain", "cloud", "winter", "cold", "storm", "thunder", "dark", "grey", "night", "frost"]


def texts(words: list[str], count: int, source: str, seed: int) -> list[Text]:
    draw = random.Random(seed)
    return [Text(" ".join(draw.choices(words, k=8)) + f" {draw.random():.6f}", source) for _ in range(count)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    path = tmp_path_factory.mktemp("model") / "sunny.bin"
    positive = texts(SUNNY, 150, "a", 1) + texts(SUNNY, 50, "b", 2)
    negative = texts(GLOOMY, 100, "a", 3)
    report = train(
        positive, negative, path, settings=SMALL,
        unseen_positive=texts(SUNNY, 30, "new", 4), unseen_negative=texts(GLOOMY, 30, "new", 5),
    )  # fmt: skip
    return path, report


def test_two_kinds_that_differ_are_told_apart_on_texts_that_were_held_out(trained: tuple[Path, dict]) -> None:
    path, report = trained
    held, unseen = report["held_out"], report["unseen"]
    assert held["all"]["auc"] > 0.99 and unseen["all"]["auc"] > 0.99
    shown = report["texts"]["positive"] + report["texts"]["negative"]
    assert shown + held["all"]["positive"] + held["all"]["negative"] == 300
    assert 30 < held["all"]["positive"] + held["all"]["negative"] < 90
    assert set(held["by_source"]) == {"a", "b"} and set(unseen["by_source"]) == {"new"}
    # A source of one kind has no AUC, and its recall at the common threshold is told all the same.
    of_b = held["by_source"]["b"]
    assert of_b["auc"] is None and of_b["negative"] == 0 and of_b["at_common_threshold"][0]["recall"] is not None
    assert sorted(check(stamp(path))) == sorted((POSITIVE, NEGATIVE))


def test_the_model_follows_from_the_texts_alone(trained: tuple[Path, dict], tmp_path: Path) -> None:
    path, report = trained
    positive = texts(SUNNY, 150, "a", 1) + texts(SUNNY, 50, "b", 2)
    negative = texts(GLOOMY, 100, "a", 3)
    again = train(
        positive[::-1], negative[50:] + negative[:50], tmp_path / "sunny.bin", settings=SMALL,
        unseen_positive=texts(SUNNY, 30, "new", 4), unseen_negative=texts(GLOOMY, 30, "new", 5),
    )  # fmt: skip
    assert (tmp_path / "sunny.bin").read_bytes() == path.read_bytes()
    assert again == report


def test_copies_and_unseen_texts_are_never_trained_on(tmp_path: Path) -> None:
    positive, negative = texts(SUNNY, 60, "a", 1), texts(GLOOMY, 60, "a", 2)
    both = [Text("Neither, nor!", "a")]
    report = train(
        positive + positive[:7] + both, negative + both, tmp_path / "m", settings=SMALL, held_out=0,
        unseen_positive=[Text(positive[3].text.upper(), "new")], unseen_negative=negative[:2],
    )  # fmt: skip
    assert report["texts"]["of_both_kinds_left_out"] == 1
    assert (report["texts"]["positive"], report["texts"]["negative"]) == (59, 58)
    assert "held_out" not in report


def test_few_texts_are_shown_more_often(tmp_path: Path) -> None:
    """800 texts taught nothing in five passes: every score was 0.5."""
    kinds = texts(SUNNY, 60, "a", 1), texts(GLOOMY, 60, "a", 2)
    few = train(*kinds, tmp_path / "m", held_out=0.1, settings=TrainingSettings(dimensions=4, buckets=500))
    assert few["settings"]["epochs"] == 200 and few["held_out"]["all"]["auc"] == 1
    said = train(*kinds, tmp_path / "m", held_out=0.1, settings=TrainingSettings(dimensions=4, buckets=500, epochs=3))
    assert said["settings"]["epochs"] == 3
    many = train(
        texts(SUNNY, 30_000, "a", 1), texts(GLOOMY, 3_000, "a", 2), tmp_path / "m",
        settings=TrainingSettings(dimensions=2, buckets=100, letters=(0, 0)),
    )  # fmt: skip
    assert many["settings"]["epochs"] == 5


SHARED = Path(__file__).parents[3] / "shared" / "data" / "safety"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the labelled comments of ../shared/data/safety")
def test_the_safety_model_tells_comments_apart_that_it_never_saw(tmp_path: Path) -> None:
    """The figures of docs/results/classifier.md: AUC 0.87 on the unseen set."""
    import runpy

    made = runpy.run_path(str(ROOT / "tests" / "bench" / "safety_sets.py"))
    counts = made["write"](SHARED, tmp_path)
    assert counts["surge"] == {"positive": 501, "negative": 499} and counts["wikitalk"]["positive"] == 59

    def of(kind: str, *sources: str) -> list[Text]:
        files = [(source, tmp_path / f"{source}.{kind}.jsonl") for source in sources]
        return [
            Text(json.loads(line)["text"], source) for source, file in files for line in file.open(encoding="utf-8")
        ]

    known = ("davidson", "civil", "wikitalk")
    report = train(
        of("positive", *known), of("negative", *known), tmp_path / "safety.bin",
        unseen_positive=of("positive", "surge"), unseen_negative=of("negative", "surge"),
    )  # fmt: skip
    assert 0.85 < report["unseen"]["all"]["auc"] < report["held_out"]["all"]["auc"]
    assert set(report["held_out"]["by_source"]) == set(known)


def test_too_few_texts_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 different positive texts"):
        train(texts(SUNNY, 3, "a", 1) * 50, texts(GLOOMY, 90, "a", 2), tmp_path / "m", held_out=0)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_share_of_pairs_in_order(seed: int) -> None:
    draw = np.random.default_rng(seed)
    positive, negative = draw.integers(0, 8, 40) / 8, draw.integers(0, 6, 30) / 8
    pairs = [1.0 if p > n else 0.5 if p == n else 0.0 for p, n in itertools.product(positive, negative)]
    assert auc(positive, negative) == pytest.approx(sum(pairs) / len(pairs))
    statistic = pytest.importorskip("scipy.stats").mannwhitneyu(positive, negative).statistic
    assert auc(positive, negative) == pytest.approx(statistic / 1200)


def test_the_threshold_is_the_greatest_that_reaches_a_recall() -> None:
    positive = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert [threshold_at(positive, recall) for recall in (0.1, 0.5, 0.7, 0.9, 0.91, 1)] == [
        1.0,
        0.6,
        0.4,
        0.2,
        0.1,
        0.1,
    ]
    found = measure(positive, np.array([0.05, 0.55, 0.65, 0.95]), [0.5])["at_recall"][0]
    assert found["threshold"] == 0.6 and found["recall"] == 0.5
    assert found["precision"] == pytest.approx(5 / 7, abs=1e-4) and found["false_positive_rate"] == 0.5


def test_the_step_keeps_and_drops_by_score(trained: tuple[Path, dict]) -> None:
    model = str(trained[0])
    sun, rain = "Sun and light, a warm day in the garden", "Rain and storm, a cold night of frost"
    assert Classifier(model=model, min_score=0.5)(sun)
    low = Classifier(model=model, min_score=0.5)(rain)
    assert (low.rule, low.threshold) == ("score_too_low", 0.5) and low.value < 0.5
    assert Classifier(model=model, max_score=0.5)(sun).rule == "score_too_high"
    assert Classifier(model=model, max_score=0.5, label=NEGATIVE)(rain).rule == "score_too_high"
    document = Document(key="k", text=sun)
    list(Classifier(model=model, min_score=0.5, field="sunny").apply([document]))
    assert document.metadata["sunny"] > 0.5
    assert Classifier(model=model, min_score=0.5).resources() == [trained[0]]


def test_a_window_finds_what_the_whole_page_hides(trained: tuple[Path, dict]) -> None:
    page = " ".join(GLOOMY * 60) + " " + " ".join(SUNNY * 3) + " " + " ".join(GLOOMY * 60)
    whole = Classifier(model=str(trained[0]), max_score=0.5)
    assert whole(page)
    assert not Classifier(model=str(trained[0]), max_score=0.5, window=10)(page)
    assert [len(piece.split()) for piece in _pieces(" ".join("abcdefghijk"), 5)] == [5, 6]
    assert [len(piece.split()) for piece in _pieces(" ".join("abcdefgh"), 5)] == [5, 3]
    assert list(_pieces("", 5)) == [""]


@pytest.mark.parametrize(
    "text", ["", "\n", "\ud800", "\x00a", "</s> sun light warm", "__label__x sun", "x" * 1_000_000]
)
def test_any_text_gets_a_score(text: str, trained: tuple[Path, dict]) -> None:
    assert 0 <= Classifier(model=str(trained[0]), min_score=0.5).score(text) <= 1


def test_a_sign_for_the_end_of_a_line_hides_nothing(trained: tuple[Path, dict]) -> None:
    rule = Classifier(model=str(trained[0]), min_score=0.5)
    assert rule.score("</s> " + " ".join(SUNNY)) > 0.5 > rule.score("</s> " + " ".join(GLOOMY))


def test_words_are_seen_alike_in_training_and_in_use() -> None:
    assert in_words("He said:\n\t“No!”  It's 3.5.") == "he said : “ no ! ” it ' s 3 . 5 ."
    assert in_words(in_words("A-b, İ\u2028c")) == in_words("A-b, İ\u2028c")


def test_a_model_of_others_is_read_as_they_made_it(tmp_path: Path) -> None:
    lines = [f"__label__{'hq' if n % 2 else 'cc'} {'Good, GOOD' if n % 2 else 'bad'} text {n}" for n in range(200)]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    model = fasttext.train_supervised(str(tmp_path / "t.txt"), epoch=20, thread=1, dim=4, verbose=0)
    model.save_model(str(tmp_path / "m.bin"))
    with pytest.raises(ValueError, match="was not trained by goldsand: name its `label:`; its labels: "):
        Classifier(model=str(tmp_path / "m.bin"), min_score=0.1)
    with pytest.raises(ValueError, match=r"no label 'hqq' \(did you mean 'hq'\?\)"):
        Classifier(model=str(tmp_path / "m.bin"), min_score=0.1, label="hqq")
    rule = Classifier(model=str(tmp_path / "m.bin"), min_score=0.1, label="hq")
    labels, scores = model.predict("Good, GOOD text", k=2)
    expected = dict(zip(labels, scores.tolist(), strict=True))["__label__hq"]
    assert rule.score("Good, GOOD\ntext") == pytest.approx(min(expected, 1.0), abs=1e-6)


def damaged(model: bytes) -> dict[str, bytes]:
    rest = bytearray(model)
    rest[-10:] = b""
    wide = bytearray(model)
    wide[8:12] = struct.pack("<i", 7)
    vectors = bytearray(model)
    vectors[8 + 4 * 7 : 8 + 4 * 8] = struct.pack("<i", 1)
    return {
        "empty": b"",
        "text": b"no model at all, but long enough to be looked at",
        "beginning": model[:8],
        "half": model[: len(model) // 2],
        "cut short": bytes(rest),
        "more behind": model + b"x",
        "another width": bytes(wide),
        "word vectors": bytes(vectors),
        "another version": model[:4] + struct.pack("<i", 99) + model[8:],
    }


def test_a_file_that_is_no_model_is_told_and_ends_no_process(trained: tuple[Path, dict], tmp_path: Path) -> None:
    """Some of these end the process where fastText reads them itself, by a division by zero or for want of memory."""
    for name, content in damaged(trained[0].read_bytes()).items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"is not a fastText model \("):
            Classifier(model=str(path), min_score=0.5)


def test_bytes_that_were_changed_never_end_the_process(trained: tuple[Path, dict], tmp_path: Path) -> None:
    model = trained[0].read_bytes()
    draw = random.Random(0)
    for number in range(60):
        changed = bytearray(model)
        for _ in range(3):
            changed[draw.randrange(4, 160)] = draw.randrange(256)
        path = tmp_path / str(number)
        path.write_bytes(bytes(changed))
        try:
            check(stamp(path))
        except ValueError as error:
            assert "is not a fastText model" in str(error)


def model_of(
    settings: dict[str, int] | None = None,
    entries: Sequence[tuple[str, int, int]] = (
        ("river", 5, 0),
        ("stone", 5, 0),
        ("__label__a", 5, 1),
        ("__label__b", 5, 1),
    ),
    value: float = 0.5,
) -> bytes:
    """A model of two words and two labels, written byte by byte; softmax, without n-grams."""
    names = ("dim", "window", "epochs", "least", "negatives", "grams", "loss", "kind", "buckets", "min", "max", "rate")
    known = dict(zip(names, (2, 5, 1, 1, 5, 1, 3, 3, 0, 0, 0, 100), strict=True)) | (settings or {})
    words = sum(kind == 0 for _, _, kind in entries)
    content = struct.pack("<2i12id", 793712314, 12, *known.values(), 1e-4)
    content += struct.pack("<3i2q", len(entries), words, len(entries) - words, 10, -1)
    content += b"".join(entry.encode() + b"\0" + struct.pack("<qb", count, kind) for entry, count, kind in entries)
    for rows in (words + known["buckets"], len(entries) - words):
        content += struct.pack(f"<?2q{2 * rows}f", False, rows, 2, *[value] * 2 * rows)
    return content


WORDS = (("river", 5, 0), ("stone", 5, 0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (model_of({"max": 3}), "no buckets"),
        (model_of({"grams": 2}), "no buckets"),
        (model_of({"grams": 2**31 - 1, "buckets": 1}), "n-grams of 2147483647, and 64 is the most"),
        (model_of({"max": 100_000, "buckets": 1}), "n-grams of 100000"),
        (model_of({"grams": -1}), "settings"),
        (model_of({"loss": 0}), "settings"),
        (model_of({"loss": 1}, [*WORDS, ("__label__a", 1 << 62, 1), ("__label__b", 1 << 62, 1)]), "dictionary"),
        (model_of({"loss": 1}, [*WORDS, ("__label__a", 10**15, 1), ("__label__b", 1, 1)]), "dictionary"),
        (model_of({"loss": 1}, [*WORDS, *((f"__label__{n}", 0, 1) for n in range(3000))]), "dictionary"),
        (model_of({"loss": 1}, [*WORDS, ("__label__a", -1, 1), ("__label__b", 1, 1)]), "dictionary"),
        (model_of(None, [("__label__a", 5, 1), *WORDS, ("__label__b", 5, 1)]), "dictionary"),
        (model_of(None, [*WORDS, ("__label__a", 5, 1), ("__label__a", 5, 1)]), "dictionary"),
        (model_of(value=float("nan")), "numbers"),
        (model_of(value=float("inf")), "numbers"),
        (model_of(value=1e30), "numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_the_library_does_not_bear_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    """The first ended the command by SIGFPE, the huge counts by a heap that was written over."""
    path = tmp_path / "m.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"m.bin is not a fastText model \(.*{message}"):
        check(stamp(path))


def test_the_model_that_these_were_made_of_is_sound(tmp_path: Path) -> None:
    for loss in (1, 2, 3, 4):
        path = tmp_path / f"{loss}.bin"
        path.write_bytes(model_of({"loss": loss, "grams": 2, "buckets": 3, "min": 1, "max": 3}))
        assert check(stamp(path)) == ("a", "b")
        assert {label for label, _ in load(stamp(path)).scores("river new", -1)} == {"a", "b"}


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("raise ValueError('no such matrix')", "ValueError: no such matrix"),
        ("import time; time.sleep(600)", "takes over 1 s"),
    ],
)
def test_a_model_that_ends_a_child_process_is_refused(
    trial: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.filters.fasttext_model._TRIAL", trial)
    if "sleep" in trial:
        monkeypatch.setattr("curate.filters.fasttext_model._PATIENCE", 1.0)
    path = tmp_path / "m.bin"
    path.write_bytes(model_of())
    for call in (check, load):
        with pytest.raises(ValueError, match=rf"m.bin is not a fastText model \(.*{said}"):
            call(stamp(path))


ASKED = """
import sys
from curate.filters import fasttext_model
from curate.filters.fasttext_model import load, one_line
from curate.places.stamp import stamp
fasttext_model.check = fasttext_model._walked  # no trial: what the walk lets pass must not need it
for path in sys.argv[1:]:
    model = load(stamp(path))
    for text in ("word1 foo1 bar", "x" * 3000, "", "\u4e2d\u6587 word3", "foo0 " * 500):
        model.scores(one_line(text), -1)
"""


def test_no_changed_model_ends_the_process_that_uses_it(tmp_path: Path) -> None:
    """100 of them, of every loss, quantised and not: refused in one line, or asked without harm."""
    lines = [f"__label__{'abc'[n % 3]} word{n % 70} foo{n % 3} bar" for n in range(400)]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    models = []
    for number, loss in enumerate(("hs", "ns", "softmax", "ova", "softmax")):
        model = fasttext.train_supervised(
            str(tmp_path / "t.txt"), epoch=2, thread=1, dim=4, loss=loss, bucket=300, wordNgrams=2, maxn=3, verbose=0
        )
        if number == 4:
            model.quantize(input=str(tmp_path / "t.txt"), qnorm=True, cutoff=300)
        model.save_model(str(tmp_path / "m"))
        models.append((tmp_path / "m").read_bytes())
    draw = random.Random(2)
    numbers = (0, 1, -1, 3, 65536, 2**30, 2**31 - 1, -(2**31))
    accepted = []
    for number in range(100):
        changed = bytearray(draw.choice(models))
        place = draw.randrange(8, draw.choice((64, 400, len(changed) - 8)))
        if number % 3 == 0:
            changed[place] ^= 1 << draw.randrange(8)
        elif number % 3 == 1:
            place -= place % 4
            changed[place : place + 4] = struct.pack("<i", draw.choice(numbers))
        else:
            changed[place : place + draw.randrange(9)] = draw.randbytes(draw.randrange(9))
        path = tmp_path / str(number)
        path.write_bytes(bytes(changed))
        try:
            _walked(stamp(path))
            accepted.append(str(path))
        except ValueError as error:
            assert "is not a fastText model" in str(error) and "\n" not in str(error)
    done = subprocess.run([sys.executable, "-c", ASKED, *accepted], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 5 < len(accepted) < 60


def test_quantized_models_are_sound(tmp_path: Path) -> None:
    lines = [f"__label__{'a' if n % 2 else 'b'} word{n % 700} foo{n % 2} bar" for n in range(4000)]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    for name, options in {"plain": {}, "norms": {"qnorm": True}, "cutoff": {"qnorm": True, "cutoff": 300}}.items():
        model = fasttext.train_supervised(
            str(tmp_path / "t.txt"), epoch=2, thread=1, dim=8, bucket=1000, wordNgrams=2, verbose=0
        )
        model.quantize(input=str(tmp_path / "t.txt"), **options)
        model.save_model(str(tmp_path / name))
        assert sorted(check(stamp(tmp_path / name))) == ["a", "b"]
        labels, scores = model.predict("foo1 bar", k=1)
        assert load(stamp(tmp_path / name)).scores("foo1 bar", 1)[0] == (
            labels[0].removeprefix("__label__"), pytest.approx(min(scores[0], 1.0), abs=1e-5)
        )  # fmt: skip


def test_wrong_thresholds_are_told(trained: tuple[Path, dict], tmp_path: Path) -> None:
    model = str(trained[0])
    with pytest.raises(ValueError, match="no page would be dropped"):
        Classifier(model=model)
    with pytest.raises(ValueError, match="no page would be kept"):
        Classifier(model=model, min_score=0.6, max_score=0.5)
    with pytest.raises(ValueError, match=r"no file .*absent.bin"):
        Classifier(model=str(tmp_path / "absent.bin"), min_score=0.5)


def write_texts(path: Path, rows: list[Text]) -> Path:
    path.write_text("".join(json.dumps({"text": row.text}) + "\n" for row in rows))
    return path


ROOT = Path(__file__).parents[2]


def test_the_command_writes_model_and_report_and_a_recipe_uses_it(tmp_path: Path, within: Any) -> None:
    from recipes.app.recipe.load import RecipeError
    from recipes.app.recipe.load import load as load_recipe

    good = write_texts(tmp_path / "good.jsonl", texts(SUNNY, 90, "x", 1))
    bad = write_texts(tmp_path / "bad.jsonl", texts(GLOOMY, 90, "x", 2))
    done = within(
        "train-classifier", "--positive", f"sun={good}", "--negative", bad, "--held-out", 0.3, "--recall", 0.9,
        "--letters", "0-0", "--buckets", 500, "--rate", 0.5, "-o", tmp_path / "m.bin", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "m.bin.report.json").read_text())
    assert set(report["held_out"]["by_source"]) == {"sun", "bad"} and report["settings"]["held_out"] == 0.3
    assert "held-out texts" in done.stdout and f"{report['held_out']['all']['auc']:.4f}" in done.stdout
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: a\nsteps:\n  - classifier:\n      model: m.bin\n      min_score: 0.5\n")
    assert load_recipe(str(recipe)).steps[0](" ".join(SUNNY))
    recipe.write_text("name: a\nsteps:\n  - classifier: {model: bad.jsonl, min_score: 0.5}\n  - safety: {words: no}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(recipe))
    found = {problem.line: problem.message for problem in caught.value.problems}
    assert "bad.jsonl is not a fastText model" in found[3] and "there is no file" in found[4]
    recipe.write_text("name: a\nsteps:\n  - classifier: {model: m.bin, min_score: 1.5}\n")
    with pytest.raises(RecipeError, match=r"r.yaml:3: .*less than or equal to 1"):
        load_recipe(str(recipe))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--positive": "no.jsonl"}, "no.jsonl"),
        ({"--letters": "5-3"}, "--letters takes two lengths"),
        ({"--held-out": "0"}, "leaves no texts to test on"),
        ({"-o": "."}, "is a folder"),
        ({"--negative": "broken.jsonl"}, "cannot be read"),
        ({"--negative": "none.jsonl"}, "it holds no text"),
    ],
)
def test_what_the_command_cannot_use_is_told(change: dict[str, str], message: str, tmp_path: Path, within: Any) -> None:
    write_texts(tmp_path / "good.jsonl", texts(SUNNY, 30, "x", 1))
    (tmp_path / "broken.jsonl").write_text('{"text": \n')
    (tmp_path / "none.jsonl").write_text("")
    given = {"--positive": "good.jsonl", "--negative": "good.jsonl", "-o": "m.bin", **change}
    arguments = [part for key, value in given.items() for part in (key, value)]
    arguments = [str(tmp_path / part) if part.endswith((".jsonl", ".bin", ".")) else part for part in arguments]
    done = within("train-classifier", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
