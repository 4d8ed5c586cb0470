"""What README and docs show: commands are accepted as written, examples run, links lead somewhere."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mobileinst import cli
from tests.docs.test_site import PAGES
from tests.support import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])
#: Programs of the system, whose arguments are not ours.
OTHERS = {"apt-get", "cmake", "ctest", "git", "mypy", "pip", "pkg", "ruff", "sudo", "xargs", ".", "export"}


def _blocks(path: Path, language: str) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _commands() -> Iterator[tuple[str, list[str]]]:
    """The commands of all shell blocks, and of running text those of our tools, with the document's name."""
    for path in DOCUMENTS:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        lines = [line for block in _blocks(path, "sh") for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`(python -m (?:benchmarks|weights_tools)\.[^`]*)`", text)
        for line in lines:
            words = shlex.shlex(line, posix=True, punctuation_chars=";&|")
            words.whitespace_split = True
            command: list[str] = []
            for word in [*words, ";"]:
                if set(word) <= set(";&|"):
                    if command and "..." not in line:
                        yield name, command
                    command = []
                elif command or not re.fullmatch(r"\w+=.*", word):
                    command.append(word)


COMMANDS = list(dict.fromkeys((name, tuple(words)) for name, words in _commands()))


class _Parsed(Exception):
    """The arguments were accepted."""


def _check_arguments(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a program read its arguments, and no more."""
    parse = argparse.ArgumentParser.parse_args

    def parse_only(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> NoReturn:
        parse(self, arguments, namespace)
        raise _Parsed

    if module.startswith("weights_tools"):
        pytest.importorskip("torch")
    if module == "mobileinst":
        main = cli.main
    else:
        found = pytest.importorskip(module, exc_type=ImportError)
        if module == "weights_tools.training":
            found = importlib.import_module(f"{module}.__main__")
        main = found.main
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr("sys.argv", [module, *arguments])
    with pytest.raises(_Parsed):
        main()


@pytest.mark.parametrize(
    ("document", "words"), COMMANDS, ids=lambda x: x if isinstance(x, str) else " ".join(x)
)
def test_command_is_accepted(document: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    program, *arguments = words
    if "--help" in arguments:
        arguments.remove("--help")
    if program == "mobileinst":
        _check_arguments("mobileinst", arguments, monkeypatch)
    elif program in ("python", "python3", "torchrun") and "-m" in arguments:
        at = arguments.index("-m")
        module, rest = arguments[at + 1], arguments[at + 2 :]
        if module.partition(".")[0] in ("benchmarks", "weights_tools", "mobileinst"):
            _check_arguments(module, rest, monkeypatch)
        else:
            assert module in ("build", "pytest", "venv")
    elif program in ("cd", "python", "bash") or "/" in program:
        path = program if "/" in program else arguments[0]
        assert (ROOT / path).exists(), f"{document}: no {path}"
    else:
        assert program in OTHERS, f"{document}: {program} is checked by nobody"


def test_extras_and_groups_that_are_installed_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        lists = re.findall(r"(?:\.|mobileinst)\[([\w,]+)\]", text)
        wanted = [name for names in lists for name in names.split(",")]
        wanted += re.findall(r"--group (\w+)", text)
        for name in wanted:
            assert re.search(rf"^{name} = \[", project, re.MULTILINE), f"{path.name}: no extra {name}"


def test_cmake_presets_exist() -> None:
    presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))["configurePresets"]
    wanted = {
        name for path in DOCUMENTS for name in re.findall(r"--preset ([\w-]+)", path.read_text("utf-8"))
    }
    assert wanted <= {preset["name"] for preset in presets}


def test_evaluation_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocotools")
    (block,) = _blocks(ROOT / "docs" / "evaluation.md", "python")
    size = {"height": 8, "width": 8}
    person = {"id": 1, "name": "person", "supercategory": "person"}
    runs = {"size": [8, 8], "counts": [0, 32, 32]}
    one = {"video_id": 1, "category_id": 1, "segmentations": [runs, runs]}
    truth = {
        "videos": [{"id": 1, "length": 2, "file_names": ["0.png", "1.png"], **size}],
        "categories": [person],
        "annotations": [{"id": 1, "iscrowd": 0, "areas": [32, 32], "bboxes": [[0, 0, 4, 8]] * 2, **one}],
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth), encoding="utf-8")
    (tmp_path / "results.json").write_text(json.dumps([{"score": 0.9, **one}]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block, "docs/evaluation.md", "exec"), names)
    assert names["result"]["AP"] == pytest.approx(1)


def test_every_python_block_is_run() -> None:
    """Those of README.md and of the site's pages by their own tests."""
    shown = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS if _blocks(path, "python")}
    assert shown <= {"README.md", "docs/evaluation.md", *(f"docs/{page}" for page in PAGES)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (path.parent / target).exists(), target
