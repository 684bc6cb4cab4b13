"""What words and n-grams know of hate: classifiers and word lists on templates of identity terms written by others.

    python tests/bench/safety_templates.py --hatecheck test_suite_cases.csv --madlibs en_sentence_templates.csv \
        --safety ../shared/data/safety --gold ../shared/data/extraction/wcxb/gold.jsonl.gz \
        --words ../shared/data/words/ldnoobw_en.txt

HateCheck (Röttger et al. 2021, 2012.15606; columns functionality, test_case, label_gold, target_ident, templ_id) and
the sentence templates of Dixon et al. 2018 (columns template, toxicity, phrase) are their authors' files. They are only
tested on, but for the rows that say so: `own templates`, a classifier of HateCheck's other templates, or of its other
functionalities, is the most that a model of this kind could reach. JSON lines, two minutes of one processor.

`mentions`: sentences of pages (`--gold`) that name a group, as negatives. `masked`: words that name a group are one
word for all, in training and in use. `hate alone`: offence without a group is negative too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from safety_sets import SOURCES, rows  # noqa: E402

KNOWN = ("davidson", "civil", "wikitalk")
PLAIN = ("ident_neutral_nh", "ident_pos_nh")
SPOKEN_OF = ("negate_neg_nh", "counter_quote_nh", "counter_ref_nh")
FOLDS = 5
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*\s*")

Labelled = list[tuple[bool, str]]


def same(text: str) -> str:
    return text


def names_a_group() -> re.Pattern[str]:
    from curate.filters.groups import GROUPS

    return re.compile(rf"\b(?:{'|'.join(GROUPS.values())})\b", re.IGNORECASE)


def masked(text: str) -> str:
    return names_a_group().sub("somegroup", text)


def page_texts(gold: Path) -> list[str]:
    with gzip.open(gold, "rt", encoding="utf-8") as lines:
        return [text for line in lines if (text := json.loads(line)["text"])]


def mentions(pages: Sequence[str]) -> Iterator[str]:
    group = names_a_group()
    for page in pages:
        for sentence in _SENTENCE.findall(page):
            if 15 <= len(sentence.strip()) <= 300 and group.search(sentence):
                yield sentence.strip()


def fit(texts: Labelled, model: Path, change: Callable[[str], str], **settings: Any) -> Callable[[str], float]:
    """A trained model's score of a text."""
    from curate.filters import Classifier
    from curate.filters.training import Text, TrainingSettings, train

    kinds = [[Text(change(text), "all") for toxic, text in texts if toxic is kind] for kind in (True, False)]
    train(*kinds, model, held_out=0.02, settings=TrainingSettings(**settings))
    rule = Classifier(model=str(model), max_score=1.0)
    rule.open()
    return lambda text: rule.score(change(text))


def area(score: Callable[[str], float], positive: list[str], negative: list[str]) -> float:
    import numpy as np

    from curate.filters.training import auc

    return round(auc(np.array([*map(score, positive)]), np.array([*map(score, negative)])), 3)


def figures(score: Callable[[str], float], cases: list[dict[str, str]], madlibs: Labelled, unseen: Labelled) -> dict:
    import numpy as np

    from curate.filters.training import threshold_at

    def of(*kinds: str) -> list[str]:
        return [case["test_case"] for case in cases if case["functionality"] in kinds]

    hateful = [case["test_case"] for case in cases if case["label_gold"] == "hateful"]
    other = [case["test_case"] for case in cases if case["label_gold"] != "hateful"]
    threshold = threshold_at(np.array([score(text) for toxic, text in unseen if toxic]), 0.8)
    groups: dict[str, list[bool]] = {}
    for case in cases:
        if case["functionality"] in PLAIN:
            groups.setdefault(case["target_ident"], []).append(score(case["test_case"]) >= threshold)
    return {
        "hatecheck": area(score, hateful, other),
        "hate_and_plain_mentions": area(score, hateful, of(*PLAIN)),
        "hate_and_denied_or_quoted": area(score, hateful, of(*SPOKEN_OF)),
        "madlibs": area(score, *([text for toxic, text in madlibs if toxic is kind] for kind in (True, False))),
        "surge": area(score, *([text for toxic, text in unseen if toxic is kind] for kind in (True, False))),
        "threshold_of_recall_0.8_on_surge": round(threshold, 3),
        "plain_mentions_flagged": {group: round(sum(hits) / len(hits), 2) for group, hits in groups.items()},
    }


def classifiers(sets: dict[str, Labelled], cases: list[dict[str, str]], madlibs: Labelled, pages: list[str]) -> None:
    known = [text for source in KNOWN for text in sets[source]]
    named = [(False, sentence) for sentence in mentions(pages)]
    group = names_a_group()
    rest = sets["civil"] + sets["wikitalk"]
    hate = [(toxic and bool(group.search(text)), text) for toxic, text in rest] + sets["davidson_hate"]
    arms: dict[str, tuple[Labelled, Callable[[str], str], dict[str, Any]]] = {
        "as documented": (known, same, {}),
        "mentions": (known + named, same, {}),
        "masked": (known, masked, {}),
        "mentions, masked": (known + named, masked, {}),
        "mentions, words to 3": (known + named, same, {"words": 3}),
        "mentions, words to 2, no letters": (known + named, same, {"words": 2, "letters": (0, 0)}),
        "mentions, without tweets": (rest + named, same, {}),
        "mentions, hate alone": (hate + named, same, {}),
        "mentions, masked, madlibs trained on": (known + named + madlibs, masked, {}),
    }
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "m.bin"
        for name, (texts, change, settings) in arms.items():
            found = figures(fit(texts, model, change, **settings), cases, madlibs, sets["surge"])
            print(json.dumps({"what": name, "mentions": len(named), **found}), flush=True)
        for by in ("templ_id", "functionality"):
            for settings in ({}, {"words": 3, "letters": (0, 0)}, {"words": 3}):
                print(json.dumps(own_templates(cases, by, model, settings)), flush=True)


def own_templates(cases: list[dict[str, str]], by: str, model: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Trained on HateCheck itself: each fifth of its templates or functionalities by a model of the other four."""
    keys = sorted({case[by] for case in cases})
    random.Random(0).shuffle(keys)
    scores: dict[str, float] = {}
    for fold in range(FOLDS):
        out = set(keys[fold::FOLDS])
        shown = [(case["label_gold"] == "hateful", case["test_case"]) for case in cases if case[by] not in out]
        score = fit(shown, model, same, epochs=50, **settings)
        scores |= {case["test_case"]: score(case["test_case"]) for case in cases if case[by] in out}
    kinds = [[c["test_case"] for c in cases if (c["label_gold"] == "hateful") is kind] for kind in (True, False)]
    return {"what": "own templates", "left_out": by, **settings, "hatecheck": area(scores.__getitem__, *kinds)}


def lists(sets: dict[str, Labelled], cases: list[dict[str, str]], pages: list[str], words: Path) -> None:
    """Recall and false alarms of the step `safety` and of `c4: bad_words`, for each list and setting."""
    from curate.filters import C4
    from curate.filters.safety import Safety

    switches = ("remove_citations", "drop_lorem_ipsum", "drop_javascript", "drop_curly_bracket", "drop_policy")
    limits = ("min_sentences", "min_words_per_line", "max_word_length")
    off: dict[str, Any] = {**dict.fromkeys(switches, False), **dict.fromkeys(limits)}
    rules: dict[str, Any] = {"c4, LDNOOBW en, one word is enough": C4(bad_words=str(words), **off)}
    for name, path in (("built-in", None), ("LDNOOBW en", str(words))):
        for density, distinct in ((0.02, 3), (0.02, 1), (0.005, 3), (0.005, 1)):
            rules[f"safety, {name}, {density}, {distinct}"] = Safety(
                words=path, max_density=density, min_distinct=distinct
            )
    tested = {name: sets[name] for name in SOURCES}
    tested["hatecheck"] = [(case["label_gold"] == "hateful", case["test_case"]) for case in cases]
    plain = [case["test_case"] for case in cases if case["functionality"] in PLAIN]
    for name, rule in rules.items():
        line: dict[str, Any] = {"what": name}
        for source, texts in tested.items():
            of = [[text for toxic, text in texts if toxic is kind] for kind in (True, False)]
            line[source] = [round(dropped(rule, kind) / len(kind), 4) for kind in of]
        line |= {"plain_mentions": [dropped(rule, plain), len(plain)], "pages": [dropped(rule, pages), len(pages)]}
        print(json.dumps(line), flush=True)


def dropped(rule: Any, texts: Sequence[str]) -> int:
    from curate.document import Document, Drop

    rule.open()
    return sum(isinstance(found, Drop) for found in rule.apply(Document("", text) for text in texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("hatecheck", "madlibs", "safety", "gold", "words"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--only", choices=("lists", "classifiers"))
    given = parser.parse_args()
    sets: dict[str, Labelled] = {name: list(read(given.safety)) for name, read in SOURCES.items()}
    tweets = rows(given.safety / "davidson_labeled.csv.gz")
    sets["davidson_hate"] = [(row["class"] == "0", row["tweet"]) for row in tweets]
    cases = list(rows(given.hatecheck))
    madlibs = [(row["toxicity"] == "toxic", row["phrase"]) for row in rows(given.madlibs)]
    pages = page_texts(given.gold)
    if given.only != "classifiers":
        lists(sets, cases, pages, given.words)
    if given.only != "lists":
        classifiers(sets, cases, madlibs, pages)


if __name__ == "__main__":
    main()
