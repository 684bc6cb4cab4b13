"""What is imported by name: modules, files, entry points; what is refused, and what counts as the code of a class."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from curate.adapters import Rules
from curate.errors import Refused
from curate.filters import C4
from curate.outside import code_of, declared, in_full, load
from curate.registry import GROUP, OWN, short_name, step_class, step_names
from curate.run.unit import describe_step

RULE = """\
from dataclasses import dataclass
from curate import Check, Rule, param
{imports}
@dataclass(frozen=True)
class Short(Rule):
    name = "short"
    least: int = param(3, "characters", ge=1)

    def checks(self, document):
        yield Check("short", len(document.text), self.least, len(document.text) < self.least, "least", "under")
"""


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """`on_path({"file": "text"})`: a folder on Python's path; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    declared.cache_clear()

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        sys.path.insert(0, str(tmp_path))
        return tmp_path

    yield write
    declared.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def distribution(name: str, version: str, points: str, group: str = GROUP) -> dict[str, str]:
    about = f"{name}-{version}.dist-info"
    return {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/entry_points.txt": f"[{group}]\n{points}\n",
    }


def test_a_class_is_had_by_module_by_file_and_by_an_entry_point(on_path):
    folder = on_path(
        {
            "ours/__init__.py": "",
            "ours/rules.py": RULE.format(imports=""),
            "alone/alone.py": RULE.format(imports=""),
            **distribution("ours-of-us", "1.2", "short = ours.rules:Short"),
        }
    )
    assert step_class("ours.rules:Short").name == "short"
    assert step_class("short") is step_class("ours.rules:Short")
    assert not Rules("ours.rules:Short", "c4")("ab") and Rules("short")("abc")
    assert step_names()[-1] == "short" and step_names()[: len(OWN)] == list(OWN)
    found = step_class(in_full("alone.py:Short", folder / "alone"))
    assert found.__module__ == "alone" and sys.path[-1] == str(folder / "alone")


def test_a_step_of_goldsands_own_is_had_by_its_module_too():
    assert step_class("curate.filters.c4:C4") is C4 is step_class("c4")
    assert short_name("curate.filters.c4:C4") == "c4" and short_name("mine:C4") == "mine:C4"


def test_nothing_is_imported_but_what_is_named(on_path):
    on_path(
        {
            "broken.py": "1 / 0\n",
            "whole.py": RULE.format(imports=""),
            **distribution("broken-package", "1", "bad = broken:Bad"),
        }
    )
    assert "bad" in step_names() and step_class("whole:Short") and step_class("c4") is C4
    assert "broken" not in sys.modules
    with pytest.raises(Refused, match=r"'broken' cannot be imported: ZeroDivisionError: .*broken.py, line 1\)"):
        step_class("bad")


def test_a_name_that_two_declare_is_refused_with_both(on_path):
    on_path(
        {
            "a.py": RULE.format(imports=""),
            **distribution("one", "1", "short = a:Short\nc4 = a:Short"),
            **distribution("two", "2", "short = a:Short"),
        }
    )
    with pytest.raises(Refused, match=r"declared by (one 1|two 2) \(`a:Short`\) and (one 1|two 2) .*`module:Name`"):
        step_class("short")
    with pytest.raises(Refused, match=r"declared by goldsand itself \(`curate.filters.c4:C4`\) and one 1"):
        step_class("c4")
    assert step_class("a:Short").name == "short" and step_class("curate.filters.c4:C4") is C4


def test_an_entry_point_has_the_name_of_its_class(on_path):
    on_path({"a.py": RULE.format(imports=""), **distribution("one", "1", "long = a:Short")})
    with pytest.raises(Refused, match="declared as 'long' and says `name = 'short'`"):
        step_class("long")


HEAD = "from dataclasses import dataclass\nfrom curate import *\n"
CHECKS = "\n    def checks(self, document): return iter(())\n"


@pytest.mark.parametrize(
    "text, name, message",
    [
        ("", "rulse:A", r"there is no module 'rulse' \(did you mean 'rules'\?\)"),
        ("", "package.sub.mod:A", r"there is no module 'package.sub' \(did you mean 'package.subs'\?\)"),
        ("class Brackets: pass", "rules:Brakets", r"'rules' has no 'Brakets' \(did you mean 'Brackets'\?\)"),
        ("import nothing_of_that_name", "rules:A", "cannot be imported: ModuleNotFoundError: No module named 'nothing"),
        ("def f(:", "rules:A", r"cannot be imported: SyntaxError: .*rules.py, line 1"),
        ("raise SystemExit(3)", "rules:A", "cannot be imported: SystemExit: 3"),
        ("", "rules.py:A:B", "not the name of an object to import"),
        ("", "rules:", "not the name of an object to import"),
        ("", "__main__:A", "workers cannot import"),
        ("A = 3", "rules:A", "is not a step: derive a class"),
        ("from curate import Rule as A", "rules:A", "is not a step: derive a class"),
        (HEAD + "@dataclass(frozen=True)\nclass A(Rule):" + CHECKS, "rules:A", "has no `name`"),
        (HEAD + "@dataclass(frozen=True)\nclass A(Rule):\n    name = 'a/b'" + CHECKS, "rules:A", "says `name = 'a/b'`"),
        (HEAD + "@dataclass(frozen=True)\nclass A(Rule):\n    name = 'c4'" + CHECKS, "rules:A", "goldsand's own"),
        (
            HEAD + "@dataclass(frozen=True)\nclass A(Rule):\n    name = 'a'\n    version = '1'" + CHECKS,
            "rules:A",
            "whole number",
        ),
        (
            HEAD + "class A(Rule):\n    name = 'a'\n    most: int = param(1, 'most')" + CHECKS,
            "rules:A",
            "not a dataclass",
        ),
        (
            HEAD + "@dataclass(frozen=True)\nclass A(Rule):\n    name = 'a'\n",
            "rules:A",
            "has no `checks`, which a Rule",
        ),
        (
            HEAD + "@dataclass(frozen=True)\nclass A(CorpusStep):\n    name = 'a'\n",
            "rules:A",
            "has no `rounds` and no `decide`",
        ),
        (
            HEAD + "@dataclass(frozen=True)\nclass A(Rule):\n    name = 'a'\n    most: int" + CHECKS,
            "rules:A",
            "needs `most`, which no recipe can set",
        ),
        (
            HEAD + "@dataclass(frozen=True)\nclass A(Rule):\n    name = 'a'\n    most: 'Int' = param(1, 'm')" + CHECKS,
            "rules:A",
            "type is not known: name 'Int'",
        ),
        (
            HEAD + "def make():\n    @dataclass(frozen=True)\n    class A(Rule):\n        name = 'a'\n"
            "        def checks(self, document): return iter(())\n    return A\nA = make()\n",
            "rules:A",
            "cannot be sent to a worker",
        ),
    ],
)
def test_what_no_recipe_could_use_is_one_refusal_that_says_why(on_path, text, name, message):
    on_path({"rules.py": text, "package/__init__.py": "", "package/subs.py": ""})
    with pytest.raises(Refused, match=message):
        step_class(name)


def test_a_file_that_another_module_would_hide_is_refused(on_path):
    folder = on_path(
        {"taken.py": "", "below/taken.py": RULE.format(imports=""), "below/not-a-name.py": "", "b/json.py": ""}
    )
    with pytest.raises(Refused, match="there is a module 'taken' already"):
        load(f"{folder}/below/taken.py:Short")
    with pytest.raises(Refused, match="there is a module 'json' already"):
        load(f"{folder}/b/json.py:Short")
    for loaded in ("sys", "__main__"):
        (folder / f"{loaded}.py").write_text("")
        with pytest.raises(Refused, match=f"there is a module '{loaded}' already"):
            load(f"{folder}/{loaded}.py:Short")
    with pytest.raises(Refused, match="is not valid as one"):
        load(f"{folder}/below/not-a-name.py:Short")
    with pytest.raises(Refused, match=r"there is no file .*taken_.py \(did you mean 'taken.py'\?\)"):
        load(f"{folder}/below/taken_.py:Short")
    assert str(folder / "below") not in sys.path


FILES = {
    "ours/__init__.py": "from ours import unrelated\n",
    "ours/unrelated.py": "x = 1\n",
    "ours/rules.py": RULE.format(imports="from . import words\nimport neighbour, curate.mix, json\n"),
    "ours/words.py": "def late():\n    from ours.deep.down import deeper\n",
    "ours/deep/__init__.py": "",
    "ours/deep/down.py": "def deeper(): ...\n",
    "neighbour.py": "",
    "stranger.py": "",
}
CODE = [
    "neighbour.py",
    "ours/__init__.py",
    "ours/deep/__init__.py",
    "ours/deep/down.py",
    "ours/rules.py",
    "ours/words.py",
]


def test_the_code_of_a_class_is_its_file_and_what_that_imports_from_the_same_place(on_path):
    on_path(FILES)
    found = code_of(step_class("ours.rules:Short"))
    assert [name for name, _ in found["files"]] == CODE and found["distributions"] == {}
    assert describe_step(step_class("ours.rules:Short")())["code"] == found


def test_base_classes_from_elsewhere_count_and_goldsands_own_do_not(on_path):
    text = HEAD + "from base import Base\n@dataclass(frozen=True)\nclass Mine(Base):\n    name = 'mine'\n"
    base = HEAD + "@dataclass(frozen=True)\nclass Base(Rule):" + CHECKS
    folder = on_path({"a/mine.py": text, "b/base.py": base})
    sys.path += [str(folder / "a"), str(folder / "b")]
    assert [name for name, _ in code_of(step_class("mine:Mine"))["files"]] == ["base.py", "mine.py"]
    assert code_of(C4) == {} and "code" not in describe_step(C4())


def test_of_an_installed_package_the_package_counts_and_its_version(on_path):
    files = {f"site-packages/{name}": text for name, text in FILES.items()}
    record = "ours/__init__.py,,\nours/rules.py,,\n"
    files |= {f"site-packages/{name}": text for name, text in distribution("ours-of-us", "1.2", "").items()}
    folder = on_path(files | {"site-packages/ours_of_us-1.2.dist-info/x": ""})
    (folder / "site-packages" / "ours-of-us-1.2.dist-info" / "RECORD").write_text(record)
    sys.path.insert(0, str(folder / "site-packages"))
    found = code_of(step_class("ours.rules:Short"))
    assert [name for name, _ in found["files"]] == [name for name in CODE if name != "neighbour.py"]
    assert found["distributions"] == {"ours-of-us": "1.2"}


def test_of_a_package_installed_where_it_lies_the_version_counts_too(on_path):
    folder = on_path({"src/mine.py": RULE.format(imports=""), **distribution("mine", "3", "")})
    where = {"url": f"file://{folder}/src", "dir_info": {"editable": True}}
    (folder / "mine-3.dist-info" / "direct_url.json").write_text(json.dumps(where))
    sys.path.insert(0, str(folder / "src"))
    assert code_of(step_class("mine:Short"))["distributions"] == {"mine": "3"}


def test_an_edited_file_of_a_class_or_of_a_helper_is_other_code(on_path):
    def told() -> str:
        code = "import sys; sys.path.insert(0, '.')\nfrom curate.registry import step_class\n"
        code += "from curate.outside import code_of\nprint(code_of(step_class('ours.rules:Short')))"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
        ).stdout

    folder = on_path(FILES)
    before = told()
    (folder / "ours" / "unrelated.py").write_text("x = 2\n")
    (folder / "stranger.py").write_text("x = 2\n")
    assert told() == before
    for name in ("ours/deep/down.py", "neighbour.py", "ours/rules.py"):
        (folder / name).write_text((folder / name).read_text() + "# edited\n")
        now = told()
        assert now != before
        before = now
