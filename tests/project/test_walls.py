"""The walls between the rooms of the code, read from its imports and includes."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support import ROOT

CPP = ROOT / "src" / "cpp"
PYTHON = [
    path for folder in ("mobileinst", "weights_tools") for path in sorted((ROOT / folder).rglob("*.py"))
]
CONFIGS = sorted((ROOT / "weights_tools").rglob("*.toml"))
SOURCES = [path for path in sorted(CPP.rglob("*")) if path.suffix in (".cpp", ".h")]

#: Which folders of src/cpp a folder may include from, besides the standard library.
MAY_INCLUDE = {
    "core": {"core"},
    "simd": {"core", "simd"},
    "kernels": {"core", "kernels", "simd"},
    "masks": {"core", "kernels", "masks", "simd"},
    "tiers": {"core", "kernels", "masks", "tiers"},
    "xnnpack": {"core", "kernels", "xnnpack"},
    "plan": {"core", "kernels", "masks", "plan", "xnnpack"},
    "bindings": {"bindings", "core", "kernels", "masks", "plan", "xnnpack"},
    "testing": {"bindings", "core", "kernels", "masks", "testing", "xnnpack"},
}

#: Which rooms of mobileinst (its folders, its modules in the open, the extension) a room may import from.
#: Every room may import itself and the version; nothing but `__main__` imports the command line.
MAY_IMPORT = {
    "inputs": set(),
    "io": set(),
    "network": set(),
    "masks": {"_native"},
    "weights": {"inputs", "io", "network"},
    "engine": {"_native", "network", "weights"},
    "tracking": {"inputs", "masks"},
    "ops": {"_native", "network", "tracking"},
    "backbone": {"_native", "engine", "inputs", "network", "weights"},
    "results": {"_native", "drawing", "inputs", "io", "masks"},
    "postprocessing": {"_native", "engine", "masks", "results", "tracking"},
    "segmenter": {"engine", "inputs", "network", "postprocessing", "results", "tracking", "weights"},
    "drawing": {"inputs", "results", "zones"},
    "zones": {"drawing", "inputs", "io", "masks", "results"},
    "video": {"inputs", "io"},
    "export": {"io", "masks", "results", "video"},
    "pipeline": {"drawing", "export", "io", "results", "segmenter", "tracking", "video", "zones"},
    "report": {"drawing", "io", "results", "video"},
    "parallel": {"io"},
    "batch": {
        *("drawing", "export", "io", "parallel", "pipeline", "report", "results", "segmenter", "tracking"),
        *("video", "weights"),
    },
    "evaluation": {
        "_native",
        "export",
        "inputs",
        "io",
        "parallel",
        "results",
        "segmenter",
        "tracking",
        "video",
    },
    "datasets": {"evaluation", "io", "masks", "results", "video"},
    "files": {"io"},
    "png": {"io"},
    "video_writer": {"video"},
}
#: The command that starts the trainer.
TRAIN = "mobileinst/cli/commands/train.py"
#: Who stands above the rooms.
ABOVE = {"__init__", "cli", "weights_tools"}

_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports anywhere, with `from a import b` giving `a` and `a.b`."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize(
    "path", [p for p in PYTHON if _within(p.relative_to(ROOT).parts[0], "mobileinst")], ids=_name
)
def test_runtime_needs_neither_torch_nor_its_tools(path: Path) -> None:
    found = [m for m in _imports(path) if _within(m, "torch", "torchvision", "weights_tools")]
    if _name(path) == TRAIN:
        found = [m for m in found if not _within(m, "weights_tools.own_objects")]
    assert found == []


@pytest.mark.parametrize("path", PYTHON, ids=_name)
def test_what_ships_knows_neither_tests_nor_benchmarks(path: Path) -> None:
    assert [m for m in _imports(path) if _within(m, "benchmarks", "tests", "tools")] == []


def test_training_is_imported_when_it_begins() -> None:
    body = ast.parse((ROOT / TRAIN).read_text(encoding="utf-8")).body
    above = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [n for n in above if getattr(n, "module", None) and n.module.startswith("weights_tools")] == []


@pytest.mark.parametrize("path", [p for p in PYTHON if p.name != "__main__.py"], ids=_name)
def test_imports_stay_within_walls(path: Path) -> None:
    room = _room_of(path)
    permitted = set(MAY_IMPORT) if room in ABOVE else MAY_IMPORT[room]
    assert _rooms_used(path) - {room, "mobileinst", "__version__", *permitted} == set()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_walls_permit_no_more_than_is_used(room: str) -> None:
    used = [_rooms_used(path) for path in PYTHON if _room_of(path) == room]
    assert MAY_IMPORT[room] - set().union(*used) == set()


def _rooms_used(path: Path) -> set[str]:
    return {_room(module.split(".")) for module in _imports(path) if _within(module, "mobileinst")}


def _room_of(path: Path) -> str:
    return _room(path.relative_to(ROOT).with_suffix("").parts)


def _room(parts: Sequence[str]) -> str:
    """The folder of mobileinst, or the module in the open, that a module belongs to; else its package."""
    return parts[1] if parts[0] == "mobileinst" and len(parts) > 1 else parts[0]


@pytest.mark.parametrize("path", sorted((ROOT / "mobileinst" / "network").rglob("*.py")), ids=_name)
def test_network_knows_no_backend(path: Path) -> None:
    ours = [m for m in _imports(path) if _within(m, "mobileinst")]
    assert [m for m in ours if not _within(m, "mobileinst.network")] == []
    assert [m for m in _imports(path) if _within(m, "torch", "onnx")] == []


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_includes_stay_within_walls(path: Path) -> None:
    room = path.relative_to(CPP).parts[0]
    includes = _INCLUDE.findall(path.read_text(encoding="utf-8"))
    ours = [include for include in includes if (CPP / include).is_file()]
    assert [include for include in ours if include.partition("/")[0] not in MAY_INCLUDE[room]] == []
    foreign = ("pybind11/", "Python.h", "numpy/")
    if room != "bindings":
        assert [include for include in includes if include.startswith(foreign)] == []
    if room != "xnnpack":
        assert [include for include in includes if include.startswith(("xnnpack.h", "pthreadpool.h"))] == []


@pytest.mark.parametrize("path", [*PYTHON, *SOURCES, *CONFIGS], ids=_name)
def test_cited_facts_exist(path: Path) -> None:
    """Behind docs/spec.md: stands one of its headings."""
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "spec.md").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.findall(r"docs/spec\.md: ([^\n]+)", text)
    assert [words for words in cited if not words.startswith(tuple(headings))] == []
    assert re.findall(r"\bspec [abc](?:\.\d)?[),]", text) == []


@pytest.mark.parametrize(
    "path",
    [p for p in PYTHON if p.parts[len(ROOT.parts)] == "mobileinst" and not p.name.startswith("__")],
    ids=_name,
)
def test_no_module_is_hidden_by_another_name(path: Path) -> None:
    """`package.module` is the module, not a function that the package imports under its name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts))
    assert getattr(importlib.import_module(".".join(parts[:-1])), parts[-1]) is module


#: A file's path as sentences and comments name it, from the repository's root, `src/cpp` or a room.
_CITED = re.compile(r"(?<![\w/.-])((?:\w+/)+\w+\.(?:md|py|h|cpp|S|toml))\b")


@pytest.mark.parametrize(
    "path", [*PYTHON, *SOURCES, *sorted(ROOT.glob("docs/*.md")), *ROOT.glob("*.md")], ids=_name
)
def test_cited_files_exist(path: Path) -> None:
    """What is named by a path below a folder of the repository is there."""
    homes = (ROOT, CPP, ROOT / "mobileinst", ROOT / "mobileinst" / "network", path.parent)
    cited = [c for c in _CITED.findall(path.read_text(encoding="utf-8")) if _is_ours(c)]
    assert [c for c in cited if not any((home / c).exists() for home in homes)] == []


def _is_ours(cited: str) -> bool:
    top = cited.partition("/")[0]
    return (ROOT / top).is_dir() or (CPP / top).is_dir()


def test_walls_are_looked_at() -> None:
    """Guards the checks above against an empty list of files."""
    assert len(PYTHON) > 10
    assert len(SOURCES) > 5


@pytest.mark.parametrize(
    "path",
    [p for room in ("kernels", "masks") for p in sorted((CPP / room).iterdir()) if p.is_dir()],
    ids=_name,
)
def test_every_kernel_has_its_tests(path: Path) -> None:
    assert (ROOT / "tests" / path.parent.name / f"test_{path.name}.py").exists()


@pytest.mark.parametrize("path", sorted({p.parent for p in (ROOT / "tests").rglob("*.py")}), ids=_name)
def test_folders_of_tests_are_packages(path: Path) -> None:
    assert (path / "__init__.py").exists()
