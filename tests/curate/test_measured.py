"""A changed threshold costs what it changes: what costly steps measured, the trained tokenizer and raw tokens stay."""

import json
from pathlib import Path

import pytest
from engine_steps import corpus_run, tree

from curate.audit.verify import verify
from curate.filters import GopherQuality, Language, Safety
from curate.filters.language import Language as LanguageRule
from curate.redact import Redact
from curate.run import publish_tokens
from curate.run.corpus import CorpusRun
from curate.run.output import Publication, Rendering, VocabularyChoice
from curate.run.profile import Profile, split
from curate.run.serial import SerialEngine
from curate.shards import domain_rendering, vocabulary

RENDERINGS = [Rendering("raw", source="extract"), Rendering("curated", domain="special")]
TEXTS = 24


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Longer and longer texts, on four sites that come and go with the shortest one that is kept."""
    folder = tmp_path / "texts"
    folder.mkdir()
    with (folder / "a.jsonl").open("w") as stream:
        for number in range(TEXTS):
            text = "The harbour was quiet that morning, write to anna.berg@harbour-mail.de about the boats. " * (
                1 + number // 4
            )
            site = "abcd"[number * number % 4 if number < 12 else number % 3]
            row = {"text": f"{text} {number}", "url": f"https://{site}-pages.org/{number}"}
            stream.write(json.dumps(row) + "\n")
    return folder


@pytest.fixture
def calls(monkeypatch) -> dict[str, int]:
    """How often what is costly was done; runs work in this process."""
    counted = {"language": 0, "safety": 0, "trained": 0, "encoded": 0}

    def count(name: str, where: object, what: str) -> None:
        sound = getattr(where, what)

        def counting(*given, **named):
            counted[name] += 1
            return sound(*given, **named)

        monkeypatch.setattr(where, what, counting)

    count("language", LanguageRule, "_asked")
    count("safety", Safety, "_density")
    count("trained", vocabulary, "_trained")
    count("encoded", domain_rendering, "write_token_shard")
    monkeypatch.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))
    return counted


def run(texts: Path, out: Path, steps: list, renderings=()) -> CorpusRun:
    publication = Publication(vocabulary=VocabularyChoice(size=300, domains=2), renderings=list(renderings))
    job = corpus_run(texts, out, steps, publication=publication, replace=True)
    job.execute()
    return job


def test_new_thresholds_measure_nothing_again(texts, tmp_path, calls):
    run(texts, tmp_path / "out", [GopherQuality(min_words=20), Language(), Safety()])
    measured = calls["language"]
    assert 0 < measured < TEXTS and calls["safety"] == measured
    for steps in (
        [GopherQuality(min_words=40), Language(), Safety()],
        [GopherQuality(min_words=40), Language(min_score=0.1, keep=["en", "de"]), Safety(max_density=0.5)],
        # Another order, and other stages.
        [Safety(max_density=0.5), Language(min_score=0.1), GopherQuality(min_words=40)],
    ):
        before = dict(calls)
        run(texts, tmp_path / "out", steps)
        new = {name: calls[name] - before[name] for name in ("language", "safety")}
        assert new["language"] == 0 or steps[-1].name == "gopher_quality"
        run(texts, tmp_path / "fresh", steps)
        assert tree(tmp_path / "out") == tree(tmp_path / "fresh") and list(verify(tmp_path / "out")) == []
    before = calls["language"]
    run(texts, tmp_path / "out", [GopherQuality(min_words=26), Language()])
    assert calls["language"] == before


def test_what_a_value_depends_on_is_part_of_it(texts, tmp_path, calls):
    words = tmp_path / "words.txt"
    words.write_text("boats\n")
    out, steps = tmp_path / "out", [Language(), Safety(words=str(words))]
    short = Language(min_score=0.0, keep=["en", "de", "fr", "da", "nl", "la", "it", "es"], characters=60)
    run(texts, out, steps)
    assert calls["language"] == calls["safety"] == TEXTS
    run(texts, out, [short, Safety(words=str(words), max_density=0.9)])
    assert (calls["language"], calls["safety"]) == (2 * TEXTS, TEXTS)
    words.write_text("harbour\n")
    run(texts, out, [short, Safety(words=str(words), max_density=0.8)])
    assert (calls["language"], calls["safety"]) == (2 * TEXTS, 2 * TEXTS)
    # An edit before makes other texts of them.
    run(texts, out, [Redact(), short])
    assert calls["language"] == 3 * TEXTS
    (kept,) = out.rglob("*.measured.zst")
    kept.write_bytes(kept.read_bytes()[:-3])
    run(texts, out, [Redact(), short])
    assert calls["language"] == 4 * TEXTS and list(verify(out)) == []


def test_a_profile_measures_once_too(texts, tmp_path, calls):
    for least in (13, 40):
        measured = split([GopherQuality(min_words=least), Language()]).measured
        run(texts, tmp_path / "out", [Profile.of(measured)])
        assert calls["language"] == TEXTS
    run(texts, tmp_path / "fresh", [Profile.of(measured)])
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def test_the_tokenizer_and_raw_tokens_stay_where_their_text_does(texts, tmp_path, calls):
    out = tmp_path / "out"
    from curate.extract.extract import Extract

    chosen = []
    for number, least in enumerate((13, 40, 65)):
        steps = [Extract(engine="resiliparse"), GopherQuality(min_words=least)]
        before = dict(calls)
        run(texts, out, steps, RENDERINGS)
        new = {name: calls[name] - before[name] for name in ("trained", "encoded")}
        assert new == ({"trained": 0, "encoded": 1} if number else {"trained": 1, "encoded": 2})
        run(texts, tmp_path / f"fresh{number}", steps, RENDERINGS)
        assert tree(out) == tree(tmp_path / f"fresh{number}") and list(verify(out)) == []
        chosen.append(json.loads((out / "tokens" / "raw" / "metadata.json").read_text())["domains"])
    assert len({json.dumps(one) for one in chosen}) > 1, "the tokens of domains changed meanwhile"
    assert publish_tokens.TRAINING == 1
