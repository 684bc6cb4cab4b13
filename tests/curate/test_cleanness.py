"""Which of two copies of a page stays by default: complete, without the frame, with its headings, rightly read."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from generated_corpus import run_step

from curate.dedup import MinHashDedup
from curate.dedup.cleanness import damage, worth
from curate.dedup.survivors import Policy
from curate.document import Document

ROOT = Path(__file__).resolve().parents[2]

SENTENCES = [
    f"The {one} of the old harbour was repaired in the spring, and the {two} has been open to visitors since then."
    for one in ("gate", "crane", "bridge", "tower", "wall", "quay", "lock", "mill")
    for two in ("yard", "store", "hall")
]
PAGE = "\n".join(["The old harbour", *SENTENCES])
HEADED = "\n".join(["The old harbour", *SENTENCES[:12], "What was found below", *SENTENCES[12:]])
MENU = "\n".join(["Home", "Our services", "Boat trips", "Opening hours", "Prices", "Staff", "Log in", "Contact us"])


@pytest.mark.parametrize(
    "better, worse",
    [
        (PAGE, f"{MENU}\n{PAGE}"),
        (PAGE, f"{PAGE}\nMore places\nThe new harbour\nThe lighthouse\n© 2024 Harbour Board. All rights reserved."),
        (PAGE, f"{PAGE}\nSubscribe to our newsletter and get the latest of the harbour into your inbox every week."),
        (HEADED, PAGE),
        (PAGE, "\n".join(SENTENCES)),
        (PAGE, PAGE[:-160]),
        (PAGE.replace("old", "old “grey”"), PAGE.replace("old", "old â€œgreyâ€\x9d")),
        (PAGE.replace("old", "old “grey”"), PAGE.replace("old", "old \ufffd\ufffd\ufffdgrey\ufffd\ufffd\ufffd")),
        (PAGE, PAGE.replace("harbour", "har\xadbour")),
    ],
    ids=["menu", "footer", "notice", "heading", "title", "cut", "misread", "lost", "soft hyphens"],
)
def test_the_better_copy_stays(better, worse):
    for texts in ((better, worse), (worse, better)):
        documents = [Document(key=f"d/{place}", text=text) for place, text in enumerate(texts)]
        kept, dropped = run_step(MinHashDedup(threshold=0.5), documents)
        orders = [Policy(("cleanest",))(document) for document in documents]
        assert min(orders) == orders[texts.index(better)] and orders[0] != orders[1]
        assert [document.text for document in kept.values()] in ([better], [better, worse], [worse, better])
        assert all(drop.document.text == worse for drop in dropped.values())


def test_letters_of_other_languages_are_not_damage():
    assert damage("Âge, Äpfel, Ångström, São, Ñandú, «pâté», l’été: à “Paris”… Ðuro, ÅR") == 0
    assert worth("") == 0


def test_a_width_that_no_text_changes():
    policy = Policy(("cleanest",))
    texts = [
        "",
        "log in\n" * 100_000,
        "A word of a sentence that is long enough to be text for certain.\n" * 9,
        "\ufffd" * 9,
    ]
    assert {len(policy(Document(key="d", text=text))) for text in texts} == {policy.width}


def test_the_labels_and_what_is_made_of_them(tmp_path):
    bench = runpy.run_path(str(ROOT / "tests" / "bench" / "survivors.py"))
    rows = [json.loads(line) for line in (ROOT / "docs" / "results" / "survivors.jsonl").read_text().splitlines()]
    assert len(rows) == len({row["id"] for row in rows}) >= 200 and {row["kind"] for row in rows} < set(bench["KINDS"])
    assert {row["label"] for row in rows} == {"A", "B", "equal"} and set(rows[0]) == {"id", "kind", "a", "b", "label"}
    pairs = [
        {"id": 0, "kind": "frame", "a": PAGE, "b": f"{MENU}\n{PAGE}", "label": "A"},
        {"id": 1000, "kind": "frame", "a": PAGE, "b": f"{MENU}\n{PAGE}", "label": "B"},
        {"id": 1001, "kind": "cut", "a": PAGE, "b": PAGE + " ", "label": "equal"},
    ]
    found = bench["score"](pairs, Policy(("cleanest",)))
    assert found["all"]["better_stays"] == 1 and found["all"]["pairs"] == 2 and found["all"]["ties"] == 1
    assert found["judged"]["share"] == 0 and found["cut"]["share"] is None
    assert bench["interval"](95, 100) == [0.8882, 0.9785]
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"id": 0, "kind": "cut", "a": "one", "b": "two"}))
    (tmp_path / "labels.jsonl").write_text(json.dumps({"id": 0, "a": "another text", "label": "A"}))
    with pytest.raises(SystemExit, match="pair 0"):
        bench["labelled"](tmp_path, tmp_path / "labels.jsonl")
