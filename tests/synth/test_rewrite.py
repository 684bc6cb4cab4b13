"""bioR: rewriting into a file that can be continued, by any runtime, with an account of every rewrite."""

from __future__ import annotations

import json
import multiprocessing
import re

import pytest
from rewriting import biographies

from synth.rewrite.rewriter import (
    FactGate,
    RewriteError,
    Rewriter,
    Statement,
    read_rewrites,
    rewrite_file,
    styles,
    trim,
)

STYLES = ["news", "diary", "letter"]


@pytest.fixture(scope="module")
def people():
    return biographies(10)


class Reteller:
    """A runtime without a network: tells the facts again in words of its own, and its seed makes it forget some."""

    name = "reteller 1"

    def __init__(self, dies_after: int | None = None) -> None:
        self.asked: list[int] = []
        self._dies_after = dies_after

    def generate(self, prompts, seeds):
        if self._dies_after is not None and len(self.asked) >= self._dies_after:
            raise KeyboardInterrupt
        self.asked.append(len(prompts))
        return [self._tell(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    def _tell(self, prompt, seed):
        values = re.search(r"exactly as they are: (.*)\.\n\nText: ", prompt.messages[0]["content"]).group(1).split("; ")
        told = [value for place, value in enumerate(values) if (seed >> place) % 8]
        return "Here is what you asked for:\n\n" + ", and then ".join(told) + f" (so tell {seed % 1000} people)."


@pytest.fixture(scope="module")
def whole(people, tmp_path_factory):
    """The file of a run that nothing disturbed, and its report."""
    path = tmp_path_factory.mktemp("whole") / "rewrites.jsonl"
    report = rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1], batch=4)
    return path.read_bytes(), report


def test_every_rewrite_is_accounted_for(people, whole):
    content, report = whole
    header, *lines = [json.loads(line) for line in content.splitlines()]
    assert header["goldsand"] == "rewrites" and header["styles"] == STYLES and header["model"] == "reteller 1"
    assert [(line["id"], line["style"]) for line in lines] == [(one.id, style) for one in people[0] for style in STYLES]
    accepted = [line for line in lines if "text" in line]
    rejected = [line for line in lines if "rejected" in line]
    assert accepted and rejected and len(accepted) + len(rejected) == report.total == 30
    figures = json.loads(json.dumps(report.as_dict()))
    assert figures["accepted"] == len(accepted) and figures["acceptance_rate"] == len(accepted) / 30
    assert sum(style["rejected"] for style in figures["styles"].values()) == len(rejected)
    for attribute, counts in figures["attributes"].items():
        reasons = [line["rejected"][attribute] for line in rejected if attribute in line["rejected"]]
        assert counts.pop("rejection_rate") == len(reasons) / 30
        assert counts == {reason: reasons.count(reason) for reason in set(reasons)}
    assert set(figures["attributes"]) == {"text", "name", *people[0][0].facts}
    by_id = {one.id: one for one in people[0]}
    for line in accepted:
        true = {"name": by_id[line["id"]].name, **by_id[line["id"]].facts}
        assert {name: line["text"][slice(*span)] for name, span in line["spans"].items()} == true
    assert f"30 rewrites: {len(accepted)} accepted" in str(report) and "working_city" in str(report)


@pytest.mark.parametrize("dies_after", [0, 1, 5])
def test_a_run_that_was_stopped_goes_on_where_it_was(people, whole, tmp_path, dies_after):
    path = tmp_path / "rewrites.jsonl"
    with pytest.raises(KeyboardInterrupt):
        rewrite_file(people[0], path, Reteller(dies_after), STYLES, gate=people[1], batch=4)
    assert len(list(read_rewrites(path))) == 4 * dies_after
    model = Reteller()
    assert rewrite_file(people[0], path, model, STYLES, gate=people[1], batch=4) == whole[1]
    assert path.read_bytes() == whole[0]
    assert len(model.asked) == 8 - dies_after


def test_a_line_cut_anywhere_is_made_again(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    first = whole[0].index(b"\n") + 1
    ends = [place + 1 for place, byte in enumerate(whole[0]) if byte == ord("\n")]
    for cut in [0, 1, first - 1, first, first + 1, ends[5] - 1, ends[5], ends[5] + 40, len(whole[0]) - 1]:
        path.write_bytes(whole[0][:cut])
        assert rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1], batch=4) == whole[1]
        assert path.read_bytes() == whole[0], f"cut at byte {cut}"


def test_a_second_call_asks_the_model_nothing(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    path.write_bytes(whole[0])
    model = Reteller()
    assert rewrite_file(people[0], path, model, STYLES, gate=people[1], batch=4) == whole[1]
    assert model.asked == [] and path.read_bytes() == whole[0]


def test_statements_may_be_added_and_their_order_does_not_matter(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    rewrite_file(people[0][7:3:-1], path, Reteller(), STYLES, gate=people[1], batch=5)
    assert rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1], batch=4) == whole[1]
    assert sorted(path.read_bytes().splitlines()) == sorted(whole[0].splitlines())


def test_a_file_made_otherwise_is_refused_and_left_alone(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    other = Reteller()
    other.name = "reteller 2"
    for model, names, gate, seed, message in [
        (other, STYLES, people[1], 0, r"model 'reteller 1', now 'reteller 2'"),
        (Reteller(), STYLES[:2], people[1], 0, r"styles \['news', 'diary', 'letter'\], now \['news', 'diary'\]"),
        (Reteller(), STYLES, FactGate(), 0, "gate '1/"),
        (Reteller(), STYLES, people[1], 1, "seed 0, now 1"),
        (Reteller(), dict.fromkeys(STYLES, "a song"), people[1], 0, "prompts '"),
    ]:
        path.write_bytes(whole[0])
        with pytest.raises(RewriteError, match=message):
            rewrite_file(people[0], path, model, names, gate=gate, seed=seed)
        assert path.read_bytes() == whole[0]


@pytest.mark.parametrize("content", [b"notes of mine\n", b"notes of mine", b'{"goldsand": "facts"}\n', b"\xff\n"])
def test_a_file_of_something_else_is_left_alone(people, tmp_path, content):
    path = tmp_path / "rewrites.jsonl"
    path.write_bytes(content)
    with pytest.raises(RewriteError, match="not a file of rewrites"):
        rewrite_file(people[0], path, Reteller(), STYLES)
    assert path.read_bytes() == content


def test_a_damaged_line_and_a_changed_statement_are_named(people, whole, tmp_path):
    path = tmp_path / "rewrites.jsonl"
    lines = whole[0].splitlines(keepends=True)
    for bad in (b"{broken\n", b"[1]\n"):
        path.write_bytes(b"".join([*lines[:3], bad, *lines[4:]]))
        with pytest.raises(RewriteError, match="line 4"):
            rewrite_file(people[0], path, Reteller(), STYLES, gate=people[1])
    path.write_bytes(whole[0])
    first = people[0][0]
    changed = Statement(first.id, first.text + " Well.", first.name, first.facts)
    with pytest.raises(RewriteError, match="line 2: statement 'inject/0@0' had another text"):
        rewrite_file([changed], path, Reteller(), STYLES, gate=people[1])


def _hold(path, held, release):
    import fcntl

    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        release.wait(600)


def test_two_processes_cannot_write_one_file(people, tmp_path):
    pytest.importorskip("fcntl")
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "rewrites.jsonl", held, release))
    other.start()
    try:
        assert held.wait(600)
        with pytest.raises(RewriteError, match="another process is writing"):
            rewrite_file(people[0], tmp_path / "rewrites.jsonl", Reteller(), STYLES)
    finally:
        release.set()
        other.join(600)


def test_bad_calls_are_told_before_the_model_is_asked(people, tmp_path):
    path, model = tmp_path / "rewrites.jsonl", Reteller()
    one = people[0][0]
    false = Statement("false", one.text, one.name, {**one.facts, "employer": "Nobody"})
    (tmp_path / "file").write_text("")
    for statements, place, options, message in [
        ([one, one], path, {}, "2 statements have the id 'inject/0@0'"),
        ([one, false], path, {}, "statement 'false': its own text does not state employer 'Nobody'"),
        ([one], path, {"styles": ["sonnet"]}, "styles must be a list of news, diary"),
        ([one], path, {"styles": "news"}, "styles must be a list"),
        ([one], path, {"batch": 0}, "batch must be at least 1"),
        ([one], tmp_path / "file" / "rewrites.jsonl", {}, "cannot write the rewrites to"),
    ]:
        with pytest.raises(RewriteError, match=message):
            rewrite_file(statements, place, model, **options)
    assert model.asked == []
    with pytest.raises(RewriteError, match="cannot read the rewrites"):
        list(read_rewrites(tmp_path / "none.jsonl"))


def test_prompts_hold_text_style_and_values(people):
    assert len(styles()) >= 6
    rewriter = Rewriter(Reteller(), people[1], list(styles()))
    for style, description in styles().items():
        prompt = rewriter.prompt(people[0][0], style)
        for form in (prompt.plain, prompt.messages[0]["content"]):
            assert all(part in form for part in (people[0][0].text, description, *people[0][0].facts.values()))
    tricky = Statement("tricky", "Ann {style} {values} lives in Fernport.", "Ann", {"city": "Fernport"})
    assert "Ann {style} {values} lives" in rewriter.prompt(tricky, "news").plain


@pytest.mark.parametrize(
    ("answer", "rewrite"),
    [
        (" Ann lives in Fernport.\n", "Ann lives in Fernport."),
        ("Sure! Here is the entry:\n\nAnn lives\nin Fernport.\n\nLet me know!", "Ann lives in Fernport."),
        ("Sure!\nAnn lives in Fernport.", "Ann lives in Fernport."),
        ("Here's a rewritten version of the text: Ann lives.", "Ann lives."),
        ("Here is Ann, who lives in Fernport.", "Here is Ann, who lives in Fernport."),
        ("**Local News**\n\nAnn lives in **Fernport**.", "Ann lives in Fernport."),
        ("# News\nAnn lives.", "Ann lives."),
        ("Title: Ann\n\nAnn lives.", "Ann lives."),
        ("Rewritten text: “Ann lives.”", "Ann lives."),
        ('"Ann lives."', "Ann lives."),
        ('"Ann," they say, "lives."', '"Ann," they say, "lives."'),
        ("```\nAnn lives.\n```", "Ann lives."),
        ("<think>Where?\n\nFernport.</think>\n\nAnn lives.", "Ann lives."),
        ("<think>Where?\n\nFernport.", ""),
        ("Ann lives in Fernport. She was b", "Ann lives in Fernport."),
        ("Ann lives in", "Ann lives in"),
        ("Zu\u0308rich is home.", "Zürich is home."),
        ("田中は東京で生まれた。そして", "田中は東京で生まれた。"),
        ("", ""),
    ],
)
def test_an_answer_is_trimmed_to_the_rewrite(answer, rewrite):
    assert trim(answer) == rewrite
