"""Sentences by nltk with a Punkt model, and C4's rules as DCLM has them; parity with DCLM: tests/parity."""

from __future__ import annotations

import itertools
import shutil
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from test_filters import PROSE

from curate.document import Document
from curate.errors import Refused
from curate.filters import DclmC4
from curate.text import punkt
from curate.text.punkt import FILES, count_sentences, read_punkt

MODEL = Path(__file__).parents[1] / "parity" / "punkt"


def sentences(text: str) -> list[str]:
    return [text[begin:end] for begin, end in read_punkt(MODEL).span_tokenize(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("One word", ["One word"]),
        ("It rains. It pours! Does it?", ["It rains.", "It pours!", "Does it?"]),
        ("Mr. Smith of St. Louis saw J. Bach. The end.", ["Mr. Smith of St. Louis saw J. Bach.", "The end."]),
        ('He said "yes." Then (he left.) So be it.', ['He said "yes."', "Then (he left.)", "So be it."]),
        ("See vol. 3 etc. The rest is new.", ["See vol. 3 etc.", "The rest is new."]),
        ("The 2. edition is here. 5. The list.", ["The 2. edition is here.", "5.", "The list."]),
    ],
)
def test_marks_end_sentences_but_for_abbreviations_initials_and_ordinals(text: str, found: list[str]) -> None:
    assert sentences(text) == found


def test_every_sentence_lies_behind_the_one_before_and_nothing_but_blanks_between() -> None:
    text = '  Wait... (why?) \u00a0No!!! It\'s 3.5 km, e.g. from here. \n\n\n"Yes."--he said.  \t'
    spans = list(read_punkt(MODEL).span_tokenize(text))
    assert len(spans) > 4
    between = [text[end:begin] for (_, end), (begin, _) in itertools.pairwise(spans)]
    assert all(not gap.strip() for gap in between) and text[spans[-1][1] :].strip() == ""


@pytest.mark.parametrize("piece", [".", "! ", "a.", ". ", '"', "a", "5.", " \n", ".)", "- . "])
def test_a_long_run_of_anything_takes_linear_time(piece: str) -> None:
    text = piece * 20_000
    before = time.process_time()
    count_sentences(text, MODEL)
    assert time.process_time() - before < 2


def test_c4_keeps_lines_of_prose_and_cuts_citations() -> None:
    menu = "Home\nThis page needs JavaScript to run well.\nWe use cookies on all of these pages.\nTo be continued...\n"
    text = menu + PROSE.replace("small", "small [12]") + "\n" + "x" * 1001 + " is a long word here."
    assert DclmC4(punkt=str(MODEL))(text).text == PROSE.replace("small", "small ")


def test_c4_keeps_the_first_of_equal_lines_and_counts_sentences_again() -> None:
    line = "The river of the valley was wide."
    verdict = DclmC4(punkt=str(MODEL))("\n".join([line, line.upper(), line, line]))
    assert (verdict.rule, verdict.value, verdict.threshold) == ("too_few_sentences", 1, 3)
    assert DclmC4(punkt=str(MODEL), drop_repeated_lines=False)("\n".join([line] * 4)).keep


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        (PROSE + "\nthis line is { code }.", "curly_bracket", "{"),
        (PROSE + "\nHere is Lorem Ipsum for you.", "lorem_ipsum", "lorem ipsum"),
        ("Home\nNews\nContact", "empty", 0),
        ("", "empty", 0),
        ("x" * 190_001, "page_length", 190_001),
        (PROSE + " Winter signal.", "document_removed_with_badwords", "winter signal"),
    ],
)
def test_c4_drops_pages_by_name(tmp_path: Path, text: str, rule: str, value: object) -> None:
    (tmp_path / "bad.txt").write_text("Winter Signal\nwint\n")
    verdict = DclmC4(punkt=str(MODEL), bad_words=str(tmp_path / "bad.txt"))(text)
    assert (verdict.rule, verdict.value) == (rule, value)


def test_every_rule_is_examined_where_nothing_is_dropped() -> None:
    step = DclmC4(punkt=str(MODEL))
    checks, left = step.examine(Document("", "Lorem ipsum { is one sentence of a text.\n" * 2))
    assert [check.rule for check in checks if check.failed] == [
        "lorem_ipsum",
        "curly_bracket",
        *["too_few_sentences"] * 2,
    ]
    assert left == "Lorem ipsum { is one sentence of a text."


def test_without_a_model_the_message_says_where_one_is() -> None:
    with pytest.raises(ValueError, match=r"c4_dclm: punkt: .*nltk\.downloader punkt_tab.*min_sentences: 0"):
        DclmC4()
    assert DclmC4(min_sentences=0)("Only one sentence stands here.").keep


def test_without_nltk_or_with_one_that_ends_sentences_elsewhere_the_message_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    for version, told in ((absent, "nltk is not installed"), (lambda name: "3.10.4", "nltk 3.10.4 ends sentences")):
        punkt._read.cache_clear()
        monkeypatch.setattr(punkt, "version", version)
        with pytest.raises(Refused, match=rf"^c4_dclm: punkt: {told}.*`pip install 'goldsand\[dclm\]'`[^\n]*$"):
            DclmC4(punkt=str(MODEL))


def test_reading_grows_no_model() -> None:
    model = read_punkt(MODEL)
    words = len(model._params.ortho_context)
    assert count_sentences("Dr. Unheard saw No. 5. Unseen words followed J. Unknown. So it ended.", MODEL) > 1
    assert len(model._params.ortho_context) == words


@pytest.mark.parametrize("file", FILES)
def test_a_folder_that_is_no_model_is_told(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "english"
    shutil.copytree(MODEL, folder)
    (folder / file).unlink()
    with pytest.raises(ValueError, match=rf"c4_dclm: punkt: .*english holds no {file}"):
        DclmC4(punkt=str(folder))
    (folder / file).write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        DclmC4(punkt=str(folder))
    if file.endswith(".tab"):
        (folder / file).write_text("one column\n")
        with pytest.raises(ValueError, match="its tables are not two columns"):
            DclmC4(punkt=str(folder))
