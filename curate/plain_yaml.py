"""YAML that a person wrote, as plain values with the line of each: mappings, lists, texts, numbers, true, false, null.

The library composes nodes, and never builds objects from them: its constructors raise whatever they meet (ValueError
for a date, TypeError for a list as a key), and expand aliases without bound.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from curate.errors import Refused

LONGEST = 1 << 20
"""Most characters of a text; the parser needs some 20 s for them."""
DEEPEST = 40
"""Most levels of mappings and lists."""
MOST = 100_000
"""Most values, with all aliases expanded."""
LARGEST = 2**63 - 1
"""The largest whole number, without its sign: what JSON and numpy hold."""

_TAG = "tag:yaml.org,2002:"


class NotPlain(Refused):
    """A text that is no YAML, or that holds what cannot be a plain value; `line` is where, counted from 1."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line


def read(text: str) -> Any:
    """The value that a text holds; mappings and lists know the lines of what they hold (`lc`). Raises NotPlain."""
    if len(text) > LONGEST:
        raise NotPlain(None, f"{len(text):,} characters are more than the {LONGEST:,} that are read")
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = DEEPEST
    try:
        with warnings.catch_warnings(action="ignore"):
            node = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "it cannot be parsed"
        said = f"more than {DEEPEST} levels deep" if said.startswith("maximum depth") else said
        raise NotPlain(mark.line + 1 if mark else None, f"not valid YAML: {_line(said)}") from None
    except Exception as error:
        # The parser's own faults, of many classes, and characters that no YAML holds, for which there is a position.
        place = getattr(error, "position", None)
        line = text.count("\n", 0, place) + 1 if isinstance(place, int) else None
        said = getattr(error, "reason", None) or error or type(error).__name__
        raise NotPlain(line, f"not valid YAML: {_line(said)}") from None
    return None if node is None else _Plain(yaml).value(node, 0)


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]


def _tagged(tag: str) -> str:
    return f"`{tag.replace(_TAG, '!!')[:40]}` does not stand for a plain value here: leave the tag out"


class _Plain:
    """Nodes to values. An alias is a copy of what it names, so that every value has a line of its own."""

    def __init__(self, yaml: Any) -> None:
        self._constructor = yaml.constructor
        self._count = 0

    def value(self, node: Node, depth: int) -> Any:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > MOST:
            raise NotPlain(line, f"its aliases (`*name`) stand for more than {MOST:,} values")
        if depth >= DEEPEST:
            raise NotPlain(line, f"more than {DEEPEST} levels deep, or an alias (`*name`) stands in what it names")
        tag = str(node.tag)
        if isinstance(node, MappingNode) and tag == f"{_TAG}map":
            return self._mapping(node, depth)
        if isinstance(node, SequenceNode) and tag == f"{_TAG}seq":
            items = CommentedSeq()
            for number, one in enumerate(node.value):
                items.append(self.value(one, depth + 1))
                items.lc.add_idx_line_col(number, [one.start_mark.line, one.start_mark.column])
            return items
        if not isinstance(node, ScalarNode):
            raise NotPlain(line, _tagged(tag))
        return self._scalar(node, tag, line)

    def _mapping(self, node: MappingNode, depth: int) -> CommentedMap:
        found, merged = CommentedMap(), CommentedMap()
        # `1` and `"1"` are one key of a recipe.
        names: set[str] = set()
        for name, one in node.value:
            line, column = name.start_mark.line, name.start_mark.column
            if str(name.tag) == f"{_TAG}merge":
                for part in one.value if isinstance(one, SequenceNode) else [one]:
                    below = self.value(part, depth + 1)
                    if not isinstance(below, CommentedMap):
                        raise NotPlain(line + 1, "`<<` takes a mapping, or a list of mappings")
                    for key in below:
                        if key not in merged:
                            merged[key] = below[key]
                            merged.lc.add_kv_line_col(key, below.lc.data[key])
                continue
            if not isinstance(name, ScalarNode):
                raise NotPlain(line + 1, "a key must be a text or a number, not a mapping or a list")
            key = self.value(name, depth)
            if str(key) in names:
                raise NotPlain(
                    line + 1, f"not valid YAML: the key `{_line(key)}` is a duplicate: it stands there twice"
                )
            names.add(str(key))
            found[key] = self.value(one, depth + 1)
            found.lc.add_kv_line_col(key, [line, column, one.start_mark.line, one.start_mark.column])
        for key in merged:
            if str(key) not in names:
                found[key] = merged[key]
                found.lc.add_kv_line_col(key, merged.lc.data[key])
        return found

    def _scalar(self, node: ScalarNode, tag: str, line: int) -> Any:
        text = node.value
        if tag == f"{_TAG}timestamp":
            raise NotPlain(line, f"{_line(text)[:40]} is written as a date: put it in quotes if it is a text")
        if tag in (f"{_TAG}str", f"{_TAG}merge"):
            if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
                raise NotPlain(line, "a text holds a NUL, or half of a surrogate pair: no name or file has that")
            return text
        if tag not in {f"{_TAG}{name}" for name in ("null", "bool", "int", "float")}:
            raise NotPlain(line, _tagged(tag))
        try:
            value = self._constructor.construct_object(node)
        except Exception:
            # Of any class: an empty `!!int`, a number of more digits than Python converts.
            value = math.nan
        if isinstance(value, float) and not math.isfinite(value):
            raise NotPlain(line, f"{_line(text)[:40]!r} is no finite number")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise NotPlain(line, f"{text[:40]} is too large a number; put it in quotes if it is a text")
        return value
