"""The reference, made of what the program itself declares: steps, keys of a recipe, commands, Python.

    python docs/make_reference.py FOLDER

`undocumented()` names what has no words: a step or parameter without a meaning, a key of a recipe, a command, an option
or a public function. tests/test_reference.py holds it empty.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from curate.registry import OWN, step_class
from curate.step import CorpusStep, Edit, Rule
from recipes.app.api import names
from recipes.app.cli import app
from recipes.app.recipe import schema

PUBLIC: dict[str, tuple[str, ...]] = {
    "goldsand": (*names.FUNCTIONS, *names.CLASSES),
    "curate": (),
    "curate.step": ("over", "under", "partition_key"),
    "curate.adapters": ("Rules",),
    "curate.shards.tokens": ("TokenShards",),
    "curate.errors": ("Refused",),
    "synth.own.table": ("read_table",),
    "train_probe.architecture": ("architecture",),
    "train_probe.capacity": ("bios_bits", "biod_bits", "compact_bits"),
    "train_probe.export": ("export",),
    "train_probe.knn": ("Mixtures",),
    "train_probe.model": ("Transformer",),
    "train_probe.render": ("Renderer",),
    "train_probe.retrieval": ("retrieved_text",),
    "train_probe.scaling": (),
    "train_probe.scaling.counts": ("Shape", "rule_over_exact"),
    "train_probe.scaling.intervals": ("worth",),
    "train_probe.scaling.mixtures": ("cross_validated", "regression"),
    "train_probe.scaling.plans": ("best_split",),
    "train_probe.scaling.points": ("read_columns",),
}
"""What the pages show to import, by module; no names: all of its `__all__`. Steps are on a page of their own, and what
`goldsand` shares with `curate` is listed there."""

WITHOUT_WORDS = ("name",)
"""Keys of a recipe whose name says all."""


def cell(text: Any) -> str:
    """A text as one cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def code(text: Any) -> str:
    """The same in the type of code."""
    text = " ".join(str(text).split())
    return "`" + text.replace("|", "\\|") + "`" if text else ""


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A table in Markdown; nothing without rows."""
    if not rows:
        return []
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]


# Steps


def kind_of(step: type) -> str:
    """What a step is, in the words of docs/own-steps.md."""
    if issubclass(step, Rule):
        return "A rule: it reads a document and keeps or drops it."
    if issubclass(step, Edit):
        return "An edit: it rewrites a document's text, or drops the document."
    if issubclass(step, CorpusStep):
        return "A step that sees the whole corpus before it decides."
    return "It takes the documents one after another, and passes them on."


def bounds(metadata: Any) -> str:
    """Which values a parameter takes, as far as it says."""
    said = [f"at least {metadata['ge']}"] if metadata.get("ge") is not None else []
    said += [f"more than {metadata['gt']}"] if metadata.get("gt") is not None else []
    said += [f"at most {metadata['le']}"] if metadata.get("le") is not None else []
    said += [f"less than {metadata['lt']}"] if metadata.get("lt") is not None else []
    if metadata.get("choices"):
        said.append("one of " + ", ".join(code(one) for one in metadata["choices"]))
    return "; ".join(said)


def step_page() -> str:
    """Every step with its parameters."""
    lines = [
        "# Steps",
        "",
        "What may stand under `steps:` of a recipe, in the order in which recipes use them. The same in a terminal:"
        " `goldsand steps`, `goldsand steps NAME`. A step of your own: [own steps](../own-steps.md).",
        "",
    ]
    for name in OWN:
        step = step_class(name)
        lines += [f"## {name}", "", inspect.getdoc(step) or "", "", f"{kind_of(step)} Version {step.version}.", ""]
        rows = []
        for item in dataclasses.fields(step):
            if "doc" not in item.metadata:
                continue
            meaning = cell(item.metadata["doc"])
            if allowed := bounds(item.metadata):
                meaning += f" ({allowed})"
            rows.append((code(item.name), code(default_of(item)), meaning, cell(item.metadata.get("source") or "")))
        lines += table(("parameter", "default", "meaning", "where the default is from"), rows)
    return "\n".join(lines)


def default_of(item: dataclasses.Field[Any]) -> str:
    """A field's default as it is written in Python; 'required' without one."""
    if item.default_factory is not dataclasses.MISSING:
        return repr(item.default_factory())
    return "required" if item.default is dataclasses.MISSING else repr(item.default)


# The recipe


def type_of(hint: Any) -> str:
    """A type in the words of YAML."""
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return type_of(members[0])
    if origin is typing.Literal:
        return "one of " + ", ".join(code(one) for one in members)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_of(one) for one in members))
    if origin in (list, tuple):
        return f"list of {type_of(members[0])}"
    if origin is dict:
        return f"mapping of {type_of(members[0])} to {type_of(members[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "mapping"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null", Any: "any"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def models_in(hint: Any) -> Iterator[type[BaseModel]]:
    """The models that a type names."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for member in typing.get_args(hint):
        if isinstance(member, type) or typing.get_origin(member):
            yield from models_in(member)


def below(hint: Any) -> str:
    """How a place goes on from a key to what its list or mapping holds."""
    origin = typing.get_origin(hint)
    if origin in (list, dict):
        return "[]" if origin is list else ".NAME"
    return next((said for one in typing.get_args(hint) if (said := below(one))), "")


def parts_of_a_recipe() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every mapping of a recipe with the place where it stands, from the outside in."""
    waiting: list[tuple[str, type[BaseModel]]] = [("", schema.Recipe)]
    while waiting:
        place, model = waiting.pop(0)
        yield place, model
        for name, field in model.model_fields.items():
            key = field.alias or name
            for part in models_in(field.annotation):
                waiting.append((f"{place}.{key}{below(field.annotation)}".lstrip("."), part))


def recipe_page() -> str:
    """Every key of a recipe, and the recipes that come with goldsand."""
    from recipes.app.recipe.load import load

    lines = [
        "# Recipes",
        "",
        "Every key that a recipe may have. `goldsand check RECIPE` finds all mistakes at once; `--set a.b=c` of the"
        " commands changes a value for one call.",
        "",
    ]
    for place, model in parts_of_a_recipe():
        lines += [f"## {place or 'The recipe'}", "", inspect.getdoc(model) or "", ""]
        rows = []
        for name, field in model.model_fields.items():
            limits: dict[str, Any] = {}
            for one in field.metadata:
                limits |= {key: getattr(one, key) for key in ("ge", "gt", "le", "lt") if hasattr(one, key)}
            default = field.get_default(call_default_factory=True)
            shown = (
                "required" if default is PydanticUndefined else "" if isinstance(default, BaseModel) else repr(default)
            )
            allowed = bounds(limits)
            kind = type_of(field.annotation) + (f", {allowed}" if allowed else "")
            rows.append((code(field.alias or name), kind, code(shown), cell(field.description or "")))
        lines += table(("key", "type", "default", "meaning"), rows)
    lines += ["## Recipes that come with goldsand", "", "Their names stand wherever a recipe's file does.", ""]
    folder = Path(str(schema.__file__)).parents[2]
    rows = [(code(path.stem), cell(load(path.stem).recipe.description)) for path in sorted(folder.glob("*.yaml"))]
    return "\n".join(lines + table(("name", "what it is"), rows))


# Commands


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, groups included, with the words that call it."""

    def walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield words, command
        for name, one in getattr(command, "commands", {}).items():
            yield from walk(f"{words} {name}", one)

    yield from walk("goldsand", typer.main.get_command(app))


def own_parameters(command: Any) -> list[Any]:
    """The arguments and options of a command, without `--help`."""
    return [one for one in command.params if one.name != "help"]


def command_page() -> str:
    """Every command with its arguments and options."""
    lines = [
        "# Commands",
        "",
        "What the terminal says with `--help`. `goldsand --install-completion` completes commands and options in your"
        " shell.",
        "",
    ]
    for words, command in commands():
        lines += [f"## {words}", "", paragraphs(command.help or ""), ""]
        if getattr(command, "commands", None):
            continue
        usage = " ".join(typed(one) for one in own_parameters(command) if is_argument(one))
        lines += ["```text", f"{words} [OPTIONS] {usage}".rstrip(), "```", ""]
        rows = []
        for one in own_parameters(command):
            if is_argument(one):
                rows.append((code(typed(one)), "", cell(one.help or "")))
            else:
                rows.append((option_names(one), default_shown(one), cell(one.help or "")))
        lines += table(("argument or option", "default", "meaning"), rows)
    lines += ["## Exit codes", "", paragraphs((sys.modules["recipes.app.cli"].__doc__ or "").split("\n\n")[-1]), ""]
    return "\n".join(lines)


def is_argument(one: Any) -> bool:
    return one.param_type_name == "argument"


def typed(one: Any) -> str:
    """What stands for a value where a command is typed."""
    return one.metavar or (one.name or "").upper().replace("_", "-")


def option_names(one: Any) -> str:
    """An option as it is typed."""
    names = ", ".join(code(name) for name in one.opts)
    return names if one.is_flag else f"{names} {code('|'.join(choices(one)) or typed(one))}"


def choices(one: Any) -> list[str]:
    """The values among which an option lets choose; none where it takes any."""
    hint = getattr(one.type_descriptor, "annotation", None)
    if typing.get_origin(hint) is typing.Literal:
        return [str(value) for value in typing.get_args(hint)]
    return [str(value) for value in hint] if isinstance(hint, type) and issubclass(hint, enum.Enum) else []


def default_shown(one: Any) -> str:
    default = one.default
    plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    return code(getattr(default, "value", default)) if plain and default != "" else ""


def paragraphs(text: str) -> str:
    """A docstring as Markdown: its indented lines become blocks."""
    lines, inside = [], False
    for line in inspect.cleandoc(text).replace("\f", "").splitlines():
        indented = line.startswith("    ")
        if indented != inside and (indented or line):
            lines.append("```text" if indented else "```\n")
            inside = indented
        lines.append(line[4:] if indented else line)
    return "\n".join(lines + (["```"] if inside else []))


# Python


def public() -> Iterator[tuple[str, str, Any]]:
    """Every public name: its module, the name, and what it is."""
    for module, listed in PUBLIC.items():
        found = module_of(module)
        for name in listed or found.__all__:
            yield module, name, getattr(found, name)


def module_of(name: str) -> Any:
    """A module; `goldsand`, which only an installation has, from where the checkout keeps it."""
    return importlib.import_module("recipes.goldsand" if name == "goldsand" else name)


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class itself defines."""
    for name, one in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(one) or isinstance(one, (property, classmethod))):
            yield name, getattr(one, "__func__", one)


def signature(name: str, one: Any) -> str:
    """A call as it is written, with types by their last names."""
    try:
        called = inspect.signature(one)
    except (TypeError, ValueError):
        return name
    kept = [each for each in called.parameters.values() if not each.name.startswith("_") and each.name != "self"]
    said = []
    for number, each in enumerate(kept):
        if each.kind is each.KEYWORD_ONLY and all(before.kind is not each.kind for before in kept[:number]):
            said += [] if any(before.kind is each.VAR_POSITIONAL for before in kept) else ["*"]
        written = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "") + each.name
        if each.annotation is not each.empty:
            written += f": {short(each.annotation)}"
        if each.default is not each.empty:
            written += " = ..." if "factory" in repr(each.default) else f" = {each.default!r}"
        said.append(written)
    returned = "" if called.return_annotation is called.empty or isinstance(one, type) else called.return_annotation
    arrow = f" -> {short(returned)}" if returned else ""
    line = f"{name}({', '.join(said)}){arrow}"
    return line if len(line) <= 88 else f"{name}(\n" + "".join(f"    {each},\n" for each in said) + f"){arrow}"


def short(annotation: Any) -> str:
    """A type without the modules in front of its names."""
    text = getattr(annotation, "__forward_arg__", annotation)
    text = text if isinstance(text, str) else inspect.formatannotation(text)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z_])", "", text)


def python_page() -> str:
    """Every public function and class with its docstring."""
    lines = [
        "# Python",
        "",
        "What may be imported, by module. The names of `goldsand` are public ([stability](../stability.md)): these,"
        " what `curate` has below, and the classes of [steps](steps.md), which have the parameters that stand there:"
        f" {', '.join(code(name) for name in names.STEPS)}. The other modules are used in these pages, and may change.",
        "",
    ]
    before = ""
    for module, name, one in public():
        if module != before:
            lines += [f"## {module}", "", paragraphs(module_of(module).__doc__ or ""), ""]
            before = module
        lines += [f"### {name}", ""]
        if callable(one):
            lines += ["```python", signature(name, one), "```", "", paragraphs(inspect.getdoc(one) or ""), ""]
        else:
            lines += [f"`{type(one).__name__}`", ""]
        if isinstance(one, type):
            rows = [
                (code(signature(each, method)) if callable(method) else code(each), cell(summary(method)))
                for each, method in methods(one)
            ]
            lines += table(("method", "meaning"), rows)
    return "\n".join(lines)


def summary(one: Any) -> str:
    """The first paragraph of a docstring."""
    return (inspect.getdoc(one) or "").partition("\n\n")[0]


# All of it

PAGES = {"steps": step_page, "recipes": recipe_page, "commands": command_page, "python": python_page}


def undocumented() -> list[str]:
    """What the reference would show without words."""
    bare = []
    for name in OWN:
        step = step_class(name)
        bare += [] if step.__doc__ else [f"step {name}"]
        fields = [
            item for item in dataclasses.fields(step) if not item.metadata.get("doc", "a field of the step's own")
        ]
        bare += [f"step {name}: parameter {item.name}" for item in fields]
    for place, model in parts_of_a_recipe():
        for name, field in model.model_fields.items():
            if not field.description and name not in WITHOUT_WORDS:
                bare.append(f"recipe: {place}.{name}")
    for words, command in commands():
        bare += [] if command.help else [f"command {words}"]
        bare += [f"{words}: {one.name}" for one in own_parameters(command) if not one.help]
    for module, name, one in public():
        if callable(one) and not has_own_words(one):
            bare.append(f"{module}.{name}")
        if isinstance(one, type):
            bare += [f"{module}.{name}.{each}" for each, method in methods(one) if not inspect.getdoc(method)]
    return bare


def has_own_words(one: Any) -> bool:
    """Whether a docstring was written, and is not what `dataclass` or `NamedTuple` puts there."""
    said = one.__doc__ or ""
    return bool(said) and not said.startswith(f"{getattr(one, '__name__', '')}(")


def write(folder: Path) -> list[Path]:
    """Write the four pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, page in PAGES.items():
        path = folder / f"{name}.md"
        path.write_text(page().rstrip() + "\n", encoding="utf-8")
        made.append(path)
    return made


if __name__ == "__main__":
    write(Path(sys.argv[1]))
