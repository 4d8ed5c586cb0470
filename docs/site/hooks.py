"""Hooks of the documentation site: help of every command, and links to files that aren't pages."""

from __future__ import annotations

import contextlib
import io
import os
import pkgutil
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent

#: A link to a file of the repository that lies outside of docs/.
_OUTSIDE = re.compile(r"\[([^\]]*)\]\((\.\./[^)#]*)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill in the commands' help; show links that leave the site as the paths that they are."""
    markdown = re.sub(r"<!-- help of all commands -->", lambda _: help_of_all_commands(), markdown)
    return _OUTSIDE.sub(lambda match: _path(match, Path(page.file.abs_src_path).parent), markdown)


def _path(link: re.Match[str], folder: Path) -> str:
    target = (folder / link[2]).resolve()
    if not target.exists():
        raise FileNotFoundError(f"{folder}: a link leads to {link[2]}, which does not exist")
    path = target.relative_to(ROOT).as_posix()
    return link[1] if link[1].strip("`") in path else f"{link[1]} (`{path}`)"


def help_of_all_commands() -> str:
    """The help of each command, as the program prints it, under a heading."""
    from mobileinst.cli import commands

    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return "\n".join(f"## mobileinst {name}\n\n```text\n{_help(name)}```\n" for name in names)


def _help(name: str) -> str:
    from mobileinst import cli

    os.environ["COLUMNS"] = "100"
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        cli.main([name, "--help"])
    return text.getvalue()
