"""The walls of the house: which package may know which, what an import may cost, what travels in the wheel."""

import ast
import contextlib
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from curate.errors import Refused

ROOT = Path(__file__).parent.parent
PACKAGES = ("curate", "synth", "train_probe", "recipes")
ALLOWED = {
    "curate": set(),
    "synth": {"curate"},
    "train_probe": {"curate"},
    "recipes": {"curate", "synth", "train_probe"},
}
ENGINE = ("curate.run", "curate.audit")
"""Who carries out a run, and who reads its folder: they know steps and shards, none of which knows them."""
SCREEN = ("rich", "typer", "recipes.app.terminal", "recipes.app.commands", "recipes.app.cli")
ROOMS = ("places", "text", "sources", "shards", "filters", "dedup", "redact", "extract", "decontaminate", "rights")
NEVER = {
    **{f"curate.{room}": ENGINE for room in ROOMS},
    "curate.run": ("curate.audit",),
    "recipes.app.measure": (*SCREEN, "recipes.app.report"),
    "recipes.app.report": SCREEN,
    "recipes.app.recipe": (*SCREEN, "recipes.app.report", "recipes.app.measure"),
    # What a command prints is its own; the display of progress is shared.
    "recipes.app.api": ("rich", "typer", "recipes.app.commands", "recipes.app.cli"),
}
"""What no file of a room imports, wherever in the file."""
KNOWN = {
    "curate.places": ("curate.errors",),
    # A text's words rest on nothing; a file that a user names is known by its stamp.
    "curate.text": ("curate.errors", "curate.document", "curate.places.stamp"),
    "synth": (
        *("curate.errors", "curate.document", "curate.step", "curate.plain_yaml"),
        *(f"curate.shards.{name}" for name in ("vocabulary", "domain_rendering", "text", "tokens")),
        "curate.text.unspaced",
    ),
    "train_probe": ("curate.errors", "curate.program", "curate.ray_cluster", "curate.shards.tokens"),
    "train_probe.scaling": ("curate.errors",),
    # `import goldsand`: names alone, so that it means the same from a checkout and installed.
    "recipes.goldsand": ("recipes.app.api.names",),
}
"""All that the files of a room import of the house, beside the room itself."""
HEAVY = ("torch", "pyarrow", "ray", "datasets", "transformers", "trafilatura", "tokenizers", "tldextract", "fasttext")


def modules(place: str) -> dict[str, Path]:
    """The files of a package or of a room in it, by the names under which they are imported."""
    paths = sorted((ROOT / place.replace(".", "/")).rglob("*.py"))
    assert paths, f"there is no room {place}"
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path) -> set[str]:
    """What a file imports, at its top, in functions and for types alone: modules, and names as `module.name`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: imports name their module whole"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_of(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def arrows(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which of these modules imports which."""
    return {
        module: {name if name in files else name.rpartition(".")[0] for name in imports(path)} & files.keys() - {module}
        for module, path in files.items()
    }


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules of which each imports each in the end: strongly connected components (Tarjan 1972)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    found = []

    def visit(module: str) -> None:
        numbers[module] = lowest[module] = len(numbers)
        waiting.append(module)
        for other in sorted(arrows[module]):
            if other not in numbers:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in waiting:
                lowest[module] = min(lowest[module], numbers[other])
        if lowest[module] == numbers[module]:
            place = waiting.index(module)
            if len(waiting) - place > 1:
                found.append(sorted(waiting[place:]))
            del waiting[place:]

    for module in sorted(arrows):
        if module not in numbers:
            visit(module)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_go_one_way(package):
    for path in modules(package).values():
        for name in imports(path):
            root = name.split(".")[0]
            if root in PACKAGES and root != package:
                assert root in ALLOWED[package], f"{path} imports {name}"


def test_no_modules_import_each_other_in_a_circle():
    """So every file can be read after those it rests on: imports in functions and for types alone are counted too."""
    house = arrows({name: path for package in PACKAGES for name, path in modules(package).items()})
    drawn = [
        "\n".join(f"    {module} -> {', '.join(sorted(house[module] & set(circle)))}" for module in circle)
        for circle in circles(house)
    ]
    assert not drawn, "modules import each other in a circle:\n" + "\n\n".join(drawn)


def test_circles_are_found_through_every_kind_of_import(tmp_path):
    texts = {
        "room.top": "import room.middle",
        "room.middle": "def lazily():\n    from room import ground",
        "room.ground": "if TYPE_CHECKING:\n    from room.top import Thing",
        "room.user": "from room.top import Thing\nimport room.ground",
        "room": "from room.user import Thing",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found = arrows({name: tmp_path / name for name in texts})
    assert found["room.user"] == {"room.top", "room.ground"} and found["room"] == {"room.user"}
    assert circles(found) == [["room.ground", "room.middle", "room.top"]]
    found["room.ground"].clear()
    assert circles(found) == []


@pytest.mark.parametrize("room", NEVER)
def test_a_room_does_not_know_what_stands_above_it(room):
    for path in modules(room).values():
        assert not {name for name in imports(path) if is_of(name, NEVER[room])}, path


@pytest.mark.parametrize("room", KNOWN)
def test_a_room_on_the_ground_knows_no_more_of_the_house_than_it_says(room):
    for path in modules(room).values():
        of_the_house = {name for name in imports(path) if is_of(name, PACKAGES) and not is_of(name, (room,))}
        assert not {name for name in of_the_house if not is_of(name, KNOWN[room])}, path


def test_only_the_command_line_knows_commands():
    for module, path in modules("recipes").items():
        if module != "recipes.app.cli" and not is_of(module, ("recipes.app.commands",)):
            assert not {name for name in imports(path) if is_of(name, ("recipes.app.commands",))}, module


def test_nothing_below_the_python_interface_knows_it():
    for module, path in modules("recipes").items():
        above = ("recipes.app.api", "recipes.app.commands", "recipes.app.cli", "recipes.goldsand")
        if not is_of(module, above):
            assert not {name for name in imports(path) if is_of(name, above[:1] + above[3:])}, module


def test_measuring_needs_no_terminal():
    code = (
        "import importlib, sys\n"
        f"for name in {list(modules('recipes.app.measure'))!r}: importlib.import_module(name)\n"
        "print(sorted({'rich', 'typer', 'jinja2', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["curate", "curate.filters", "synth", "recipes.goldsand"])
def test_an_import_is_light(package):
    """No heavy library, and well under 0.2 s of a core beyond the interpreter's own start (the best of three)."""
    code = (
        f"import time; t = time.process_time(); import {package}; s = time.process_time() - t; import sys;"
        f"print(s, [m for m in {HEAVY!r} if m in sys.modules])"
    )
    seconds = []
    for _ in range(3):
        printed = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        spent, _, loaded = printed.partition(" ")
        assert loaded.strip() == "[]"
        seconds.append(float(spent))
    assert min(seconds) < 0.2


def test_files_stay_readable():
    long = {
        str(path.relative_to(ROOT)): count
        for package in PACKAGES
        for path in modules(package).values()
        if (count := len(path.read_text().splitlines())) > 420
    }
    assert not long


def test_no_file_of_the_tests_hides_another_module():
    """Test files share one name space, and folders of theirs are put on the path."""
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "__init__.py"]
    tests = Counter(path.name for path in paths if path.name.startswith("test_"))
    assert [name for name, count in tests.items() if count > 1] == []
    known = sys.stdlib_module_names | set(PACKAGES)
    assert [path for path in paths if path.stem in known and path.stem != "sitecustomize"] == []


INTERNAL = {
    "curate.run.session.Over": "ends a shard whose run others have finished",
    "curate.run.engine.TaskError": "a fault of a unit, as the parent tells it",
    "curate.sources.http.BadBody": "becomes an unreadable record",
    "curate.filters.fasttext_model._Wrong": "becomes a refusal that names the file",
}
"""Exceptions of the house that are no refusals, and why."""


def test_every_exception_of_the_house_is_a_refusal_or_known_to_be_none():
    found = set()
    for package in PACKAGES:
        for name, path in modules(package).items():
            if not any(isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(path.read_text()))):
                continue
            # Modules of an extra that is not there hold no exceptions of their own.
            with contextlib.suppress(ModuleNotFoundError):
                module = importlib.import_module(name)
                found |= {
                    one
                    for one in vars(module).values()
                    if isinstance(one, type) and issubclass(one, BaseException) and one.__module__ == name
                }
    others = {f"{one.__module__}.{one.__qualname__}" for one in found if not issubclass(one, Refused)}
    assert others == set(INTERNAL)
    assert len(found) > 15


def test_the_page_of_the_house_names_every_file_and_no_other():
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("## Where to find a thing") : page.index("## Declared once")]
    known = {path.name for package in PACKAGES for path in modules(package).values()}
    known -= {"__init__.py", "__main__.py", "compose.py", "generated.py", "make_sample.py"}
    named = set(re.findall(r"(\w+\.py)\b", table))
    assert known - named == set(), "no row of docs/architecture.md names these"
    assert named - known == set(), "docs/architecture.md names files that are not there"


def test_the_twenty_questions_are_answered_by_files_that_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| ([^|]+\?) \| `([^`]+)` \|$", page, re.MULTILINE)
    assert len(rows) == 20
    assert [file for _, file in rows if not (ROOT / file).is_file()] == []
