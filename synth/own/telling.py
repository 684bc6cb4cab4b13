"""The sentences that state a user's facts: a YAML file of sentences, questions and dependencies, checked before use.

Refused is what would give even a perfect model a loss, or what no tokenizer can score: a value before its entity, two
sentences that begin alike and go on differently, a value that would share a token with its sentence.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import nearest
from synth.facts import FactsError
from synth.own.rows import is_unicode, read_text
from synth.sentences import Template

KEYS = ("subject", "sentences", "questions", "determined_by")


@dataclass(frozen=True)
class Line:
    """A template and where it was written (None: it is our own default)."""

    text: str
    place: str | None = None

    def __str__(self) -> str:
        return self.place or f"the default template {self.text!r}"


@dataclass
class Telling:
    """Sentences and question forms of each attribute, what replaces the entity's name after the first sentence (None:
    the name again), and which attribute determines which."""

    subject: str | None = None
    sentences: dict[str, list[Line]] = field(default_factory=dict)
    questions: dict[str, list[Line]] = field(default_factory=dict)
    determined_by: dict[str, str] = field(default_factory=dict)


def read_telling(path: Path | str | None, columns: Sequence[str], attributes: Sequence[str]) -> Telling:
    """The templates file of a table that has the attributes `columns`, of which `attributes` are used.

    Entries of the others are left out. Raises FactsError with file and line.
    """
    if path is None:
        return Telling()
    path = Path(path)
    tree = _load(path)
    _known(path, tree, KEYS, "key")
    subject = tree.get("subject")
    if subject is not None and (not isinstance(subject, str) or not subject.strip() or "\n" in subject):
        raise FactsError(f"{_at(path, tree, 'subject')}: `subject` must be a word or two on one line, as It or She")
    telling = Telling(None if subject is None else str(subject).strip())
    for name, lines_of, check in (
        ("sentences", telling.sentences, _sentence),
        ("questions", telling.questions, _question),
    ):
        part = _mapping(path, tree, name, f"{name}: {{capital: [...]}}")
        _known(path, part, columns, "attribute")
        for key, listed in part.items():
            lines = [listed] if isinstance(listed, str) else listed
            if not isinstance(lines, list) or not lines:
                raise FactsError(f"{_at(path, part, key)}: {key} needs a list of {name}, at least one")
            lines_of[str(key)] = [
                Line(check(text, where), where)
                for number, text in enumerate(lines)
                for where in [_at(path, part, key) if lines is not listed else _at(path, listed, number)]
            ]
    part = _mapping(path, tree, "determined_by", "determined_by: {currency_name: currency_code}")
    for one, by in part.items():
        where = _at(path, part, one)
        for name in (str(one), str(by)):
            if name not in columns:
                raise FactsError(f"{where}: there is no attribute {name!r}{nearest(name, columns)}")
        if str(one) not in attributes:
            continue
        if str(by) not in attributes:
            raise FactsError(f"{where}: {one} is determined by {by}, which is not one of the attributes that are used")
        telling.determined_by[str(one)] = str(by)
    for one in telling.determined_by:
        chain = [one]
        while (by := telling.determined_by.get(chain[-1])) is not None:
            if by in chain:
                raise FactsError(
                    f"{_at(path, part, one)}: {' <- '.join([*chain, by])} is a circle: one of them must not be"
                    " determined by another"
                )
            chain.append(by)
    telling.sentences, telling.questions = (
        {name: lines for name, lines in lines_of.items() if name in attributes}
        for lines_of in (telling.sentences, telling.questions)
    )
    return telling


def add_defaults(telling: Telling, attributes: Sequence[str]) -> list[str]:
    """Give each attribute without sentences or questions the default ones. Returns what was assumed."""
    plain = [name for name in attributes if name not in telling.sentences]
    unasked = [name for name in attributes if name not in telling.questions]
    # "The capital of It" is not English: with a word for later sentences, the entity comes first.
    form = "The {} of {{entity}} is {{value}}." if telling.subject is None else "{{entity}} has the {} {{value}}."
    for name in plain:
        telling.sentences[name] = [Line(form.format(spoken(name)))]
    for name in unasked:
        telling.questions[name] = [Line(f"What is the {spoken(name)} of {{}}?")]
    said = []
    if plain:
        shown = form.format("{attribute}").replace("{{", "{").replace("}}", "}")
        said.append(f"no sentences given for {', '.join(plain)}: told in one default sentence each, {shown!r}")
    if unasked:
        said.append(f"no questions given for {', '.join(unasked)}: asked 'What is the {{attribute}} of {{}}?'")
    return said


def spoken(name: str) -> str:
    """An attribute's name in words."""
    return name.replace("_", " ")


def check_openings(telling: Telling) -> None:
    """Refuse a template whose words before the value begin another's: where they end, even a model that knows every
    fact could not know which of the two it reads. Raises FactsError with both places."""
    openings = []
    for name, lines in telling.sentences.items():
        for line in lines:
            one = Template.parse(line.text)
            if telling.subject and telling.subject[0].isupper() and one.lead:
                raise FactsError(
                    f"{line}: `subject: {telling.subject}` would be inside this sentence"
                    f" ({one.lead}{telling.subject}{one.before}...): begin it with {{entity}}, or leave `subject` out"
                )
            openings.append((f"{one.lead}\0{one.before}", name, line))
    openings.sort(key=lambda opening: opening[0])
    # In sorted order all that begin with an opening follow it directly.
    for first, (opening, name, line) in enumerate(openings):
        for other, another, further in itertools.islice(openings, first + 1, None):
            if not other.startswith(opening):
                break
            if other != opening or name != another:
                raise FactsError(
                    f"{further}: {further.text!r} ({another}) begins like {line.text!r} ({name}, {line}): they must"
                    " differ before the value, or no model could know whose value comes"
                )


def check_likeness(telling: Telling, pools: Mapping[str, Sequence[str]], source: str) -> None:
    """Refuse two values that would be written alike, and, where one value begins another, templates that differ only
    after the value: the token after such a value is scored with it. Raises FactsError with the values."""
    for name, pool in pools.items():
        there = set(pool)
        # A sentence's full stop is left out after a value that has one.
        if alike := next((value for value in pool if value.endswith(".") and value[:-1] in there), None):
            raise FactsError(
                f"{source}: {name} has the values {alike!r} and {alike[:-1]!r}, which read the same at the end of a"
                " sentence: make them one, or spell them differently"
            )
        ordered = sorted(there)
        begun = next(((one, two) for one, two in itertools.pairwise(ordered) if two.startswith(one)), None)
        if begun is None:
            continue
        endings: dict[tuple[str, str], str] = {}
        for line in telling.sentences.get(name, ()):
            one = Template.parse(line.text)
            first = endings.setdefault((one.lead, one.before), one.after)
            if first != one.after:
                raise FactsError(
                    f"{line}: {line.text!r} begins like another template and ends differently; {name} has {begun[0]!r}"
                    f" and {begun[1]!r}, of which one begins the other, so what follows the value is scored with it:"
                    " begin the template differently, or end it alike"
                )


def check_edges(telling: Telling, words: Mapping[str, Iterable[str]], names: Iterable[str]) -> None:
    """Refuse a template that would put a value or name into one token with its neighbours: letters, digits or marks
    that touch their own kind. Raises FactsError with the place."""
    who = list(names) if telling.subject is None else [*names, telling.subject]
    entity = _edges(who)
    for attribute, lines in telling.sentences.items():
        value = _edges(words[attribute])
        for line in lines:
            one = Template.parse(line.text)
            # A value that ends in a mark takes the place of the full stop, so these two never meet.
            after = "" if one.after == "." else one.after
            for character, edge, slot in (
                (one.lead[-1:], entity[0], "{entity}"),
                (one.before[:1], entity[1], "{entity}"),
                (one.before[-1:], value[0], "{value}"),
                (after[:1], value[1], "{value}"),
            ):
                if (word := edge.get(_class(character))) is not None:
                    raise FactsError(
                        f"{line}: {line.text!r}: {word!r} would share a token with the {character!r} that touches"
                        f" {slot}: put a space or a word between them"
                    )


def _edges(words: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """For the first and the last character of words: each class that occurs, with a word that has it."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for word in words:
        first.setdefault(_class(word[0]), word)
        last.setdefault(_class(word[-1]), word)
    return first, last


def _class(character: str) -> str:
    if not character or character.isspace():
        return "space"  # which no word begins or ends with, because words are trimmed
    return "letter" if character.isalpha() else "digit" if character.isnumeric() else "mark"


def _sentence(text: Any, where: str) -> str:
    line = _one_line(text, where)
    try:
        Template.parse(line)
    except FactsError as error:
        raise FactsError(f"{where}: {error}") from None
    _bare_slots(line, where)
    return line


def _question(text: Any, where: str) -> str:
    line = _one_line(text, where)
    try:
        slots = [name for _, name, _, _ in string.Formatter().parse(line) if name is not None]
    except ValueError as error:
        raise FactsError(f"{where}: the question {line!r} has a brace that is not a slot ({error})") from None
    if slots != [""] or "{{" in line or "}}" in line:
        raise FactsError(f"{where}: the question {line!r} needs {{}} once, in place of the entity's name")
    _bare_slots(line, where)
    return line


def _bare_slots(line: str, where: str) -> None:
    if any(spec or conversion for _, _, spec, conversion in string.Formatter().parse(line)):
        raise FactsError(f"{where}: {line!r}: a slot takes no format; values are written as they are in the table")


def _one_line(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise FactsError(f"{where}: a sentence or question must be a text; put it in quotes")
    if len(text.strip().splitlines()) != 1:
        raise FactsError(f"{where}: a sentence or question must be on one line")
    if not is_unicode(text):
        raise FactsError(f"{where}: half of a surrogate pair is not a character")
    return str(text).strip()


def _load(path: Path) -> Any:
    from ruamel.yaml.comments import CommentedMap

    from curate.plain_yaml import NotPlain, read

    try:
        tree = read(read_text(path))
    except OSError as error:
        raise FactsError(f"cannot read the templates {path}: {error.strerror or error}") from None
    except NotPlain as error:
        line = f", line {error.line}" if error.line else ""
        raise FactsError(f"{path}{line}: {error}") from None
    if not isinstance(tree, CommentedMap):
        raise FactsError(f"{path}: templates must be a mapping of {', '.join(KEYS)}")
    return tree


def _mapping(path: Path, tree: Any, key: str, example: str) -> Any:
    part = tree.get(key)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise FactsError(f"{_at(path, tree, key)}: `{key}` must be a mapping, as {example}")
    return part


def _known(path: Path, part: Any, allowed: Sequence[str], what: str) -> None:
    for key in part:
        if str(key) not in allowed:
            raise FactsError(
                f"{_at(path, part, key)}: there is no {what} {str(key)!r}{nearest(str(key), allowed)}; there are"
                f" {', '.join(allowed)}"
            )


def _at(path: Path, node: Any, key: Any) -> str:
    """File and line of a key of a mapping, or of an entry of a list."""
    place = node.lc.item(key) if isinstance(key, int) and not isinstance(node, dict) else node.lc.key(key)
    return f"{path}, line {place[0] + 1}"
