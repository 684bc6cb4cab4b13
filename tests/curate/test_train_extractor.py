import gzip
import importlib.util
import json

import numpy as np
import pytest

from curate.document import Document
from curate.errors import Refused
from curate.extract.blocks.gold import aligned, word_scores
from curate.extract.blocks.learnt import chances, packed, trees
from curate.extract.blocks.model import Model
from curate.extract.blocks.segment import segment
from curate.extract.blocks.training import ExtractorSettings, train
from curate.extract.extract import Extract

needed = pytest.mark.skipif(
    importlib.util.find_spec("catboost") is None or importlib.util.find_spec("rapidfuzz") is None,
    reason="needs the extra train-extractor",
)
SENTENCE = "Mill number {} ground corn for {} villages, and its wheel turned day and night in all weathers. "
SMALL = ExtractorSettings(trees=12, depth=3, rate=0.3, rows=2000, folds=2, threads=1)


def page(number: int) -> tuple[str, str]:
    """(html, gold) of a page of one of 24 sites, whose menu and footer are longer than some articles."""
    story = [SENTENCE.format(number, number + place) for place in range(2 + number % 3)]
    links = "".join(f"<li><a href='/{one}'>Section {one} of this site</a></li>" for one in range(12))
    body = f"<div class='menu'><ul>{links}</ul></div><div class='story'><h1>Mill {number}</h1>"
    body += (
        "".join(f"<p>{one}</p>" for one in story) + f"</div><div class='foot'>{links}<p>All rights reserved.</p></div>"
    )
    return f"<html><body>{body}</body></html>", "\n".join([f"Mill {number}", *story])


@pytest.fixture(scope="module")
def gold(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gold")
    records, rows = [], []
    for number in range(24):
        html, text = page(number)
        url = f"http://site{number}.example/mill"
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html.encode()
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        head += f"WARC-Record-ID: <urn:uuid:0000000{number:02}>\r\nContent-Type: application/http; msgtype=response\r\n"
        records.append(head.encode() + f"Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n")
        rows.append(
            {"url": url, "text": text, "page_type": "article", "with": ["wheel turned"], "without": ["Section 3"]}
        )
    (folder / "pages.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    (folder / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@needed
def test_a_model_is_trained_scored_on_other_domains_and_used_by_path(gold, tmp_path):
    about = train(gold, tmp_path / "own.npz", SMALL)
    assert (about["pages"], about["domains"]) == (24, 24)
    scores = about["scores"]["balanced"]
    assert scores["f1"] > 0.95 and scores["with"] == 1 and scores["without"] == 0
    assert Model(tmp_path / "own.npz").about["settings"]["seed"] == 0
    step = Extract(engine="blocks", model=str(tmp_path / "own.npz"))
    step.open()
    (outcome,) = step.apply([Document(key="a", html=page(77)[0].encode())])
    assert isinstance(outcome, Document) and outcome.text.split() == page(77)[1].split()


@needed
def test_packed_trees_say_what_the_models_say_on_average():
    """Rows are whole numbers, as features are; CatBoost itself is the other side."""
    draw = np.random.default_rng(0)
    rows = draw.integers(0, 50, (5, 600)).astype(np.int32)
    target = (rows[0] > 20) * 0.6 + (rows[3] % 7 > 3) * 0.4
    options = {"iterations": 15, "depth": 4, "learning_rate": 0.3, "thread_count": 1}
    models = [trees(rows, target, np.ones(600), options | {"random_seed": seed}) for seed in (0, 1)]
    made = packed(models)
    met = (rows[made["features"]] > made["thresholds"][:, None]).astype(int)
    leaf = sum(met[condition] << place for place, condition in enumerate(made["trees"].T))
    sums = sum(leaves[of_tree] for leaves, of_tree in zip(made["leaves"].astype(int), leaf, strict=True))
    logits = (sums + int(made["base"][0])) / 2048
    assert len(made["trees"]) == 30
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(chances(models, rows), abs=0.003)
    assert chances(models[:1], rows) != pytest.approx(chances(models, rows), abs=0.003)


@needed
def test_a_block_is_content_as_far_as_its_words_stand_in_the_gold():
    cut = segment("<p>Home</p><p>one two three four</p><p>five six seven eight</p><p>nine ten eleven</p>")
    words, share = aligned(cut, "nine ten eleven\none two three four five six")
    assert words.tolist() == [1, 4, 4, 3]
    assert share.tolist() == [0, 1, 0.5, 1]  # the last was moved


def test_a_folder_without_gold_or_with_too_little_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"no gold\.jsonl"):
        train(tmp_path, tmp_path / "m.npz", SMALL)
    (tmp_path / "gold.jsonl").write_text('{"url": "http://a.example/"}\n')
    with pytest.raises(Refused, match="line 1"):
        train(tmp_path, tmp_path / "m.npz", SMALL)
    (tmp_path / "gold.jsonl").write_text('{"url": "http://a.example/", "text": "a"}\n')
    with pytest.raises(Refused, match="0 domains; training needs"):
        train(tmp_path, tmp_path / "m.npz", SMALL)


def test_words_are_scored_as_by_the_published_scorer():
    assert word_scores("A b b", "a b c d") == (2 / 3, 0.5, pytest.approx(4 / 7))
    assert word_scores("", "") == (1, 1, 1) and word_scores("a", "")[2] == 0
