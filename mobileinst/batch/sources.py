"""Which sources a batch has: files, folders, globs and lists, each with its place in the tree of outputs."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..video import IMAGE_SUFFIXES, VideoError, natural_key

#: Files with these suffixes are taken from folders; files that are named are taken whatever their name.
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv"),
)
LIST_SUFFIX = ".txt"
_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class Source:
    """path: of a video, an image, or a folder of images. place: path of its outputs below the output folder,
    without a suffix, with ``/`` between folders."""

    path: str
    place: str


def find_sources(arguments: Sequence[str], output: Path, root: Path | None = None) -> list[Source]:
    """The sources that the arguments name, each once, in natural order within a folder.

    A folder gives every video below it, and every folder of images below it that holds no video as one
    source; the output folder is left out. A glob (``**`` reaches any depth) gives what it matches. A ``.txt``
    file gives an argument for each of its lines, relative to the current folder or else to the list's own;
    empty lines and lines that begin with # are skipped. A name that doesn't exist is a source, too: it fails
    by itself, later.

    Places mirror the tree below `root`, by default the deepest folder that holds all arguments. Where two
    sources differ in their suffix only, both keep it in their place.

    Raises:
        VideoError: if there is no source at all, a folder or list can't be read, or a source doesn't lie
            below `root`.
    """
    paths: dict[str, None] = {}
    roots: list[str] = []
    skipped = os.path.realpath(output)
    for argument in _expanded(arguments):
        found, its_root = _find(argument, skipped)
        paths.update(dict.fromkeys(found))
        roots.append(its_root)
    if not paths:
        raise VideoError(f"no video and no folder of images in {', '.join(arguments)}")
    base = os.path.abspath(root) if root is not None else _common(roots)
    return _placed(list(paths), base)


def _expanded(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, with lists replaced by their lines."""
    for argument in arguments:
        if argument.lower().endswith(LIST_SUFFIX) and not _is_pattern(argument):
            yield from _lines(Path(argument))
        else:
            yield argument


def _lines(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise VideoError(f"can't read the list {path}: {error.strerror or error}") from None
    for line in lines:
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        beside = path.parent / name
        yield name if os.path.exists(name) or not beside.exists() else str(beside)


def _is_pattern(argument: str) -> bool:
    return bool(_GLOB & set(argument)) and not os.path.lexists(argument)


def _find(argument: str, skipped: str) -> tuple[list[str], str]:
    """The sources of one argument, absolute, and the folder that they lie in."""
    if not argument:
        raise VideoError("expected the name of a source, got ''")
    if "://" in argument:
        raise VideoError(f"{argument}: expected a file or folder; addresses are for `mobileinst track`")
    if _is_pattern(argument):
        matches = sorted(glob.glob(argument, recursive=True), key=natural_key)
        parts = Path(os.path.abspath(argument)).parts
        fixed = parts[: next(i for i, part in enumerate(parts) if _GLOB & set(part))]
        found = [path for match in matches for path in _of_match(match, skipped)]
        if not found:
            raise VideoError(f"{argument} matches no video and no folder of images")
        return found, str(Path(*fixed))
    path = os.path.abspath(argument)
    if not os.path.isdir(path):
        return [path], os.path.dirname(path)
    found = list(_walk(path, skipped))
    if not found:
        raise VideoError(f"{argument}: expected videos or folders of images in it, found none")
    return found, os.path.dirname(path) if found == [path] else path


def _of_match(match: str, skipped: str) -> list[str]:
    """What a match of a glob gives: files by their suffix, since ``*`` matches notes and pictures, too."""
    path = os.path.abspath(match)
    if os.path.isdir(path):
        return list(_walk(path, skipped))
    return [path] if _suffix(path) in VIDEO_SUFFIXES else []


def _walk(folder: str, skipped: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise VideoError(f"can't read the folder {error.filename}: {error.strerror or error}")

    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(
            (
                name
                for name in folders
                if not name.startswith(".") and os.path.realpath(os.path.join(parent, name)) != skipped
            ),
            key=natural_key,
        )
        visible = sorted((name for name in files if not name.startswith(".")), key=natural_key)
        videos = [name for name in visible if _suffix(name) in VIDEO_SUFFIXES]
        if videos:
            yield from (os.path.join(parent, name) for name in videos)
        elif any(_suffix(name) in IMAGE_SUFFIXES for name in visible):
            yield parent


def _common(roots: Sequence[str]) -> str:
    try:
        return os.path.commonpath(roots)
    except ValueError:
        raise VideoError("the sources have no folder in common: name one by --root") from None


def _placed(paths: Sequence[str], base: str) -> list[Source]:
    places: list[tuple[str, str]] = []
    for path in paths:
        relative = Path(os.path.relpath(path, base))
        if relative.parts[:1] in ((".",), ("..",), ()):
            raise VideoError(f"{path} doesn't lie below {base}")
        without = relative if os.path.isdir(path) else relative.with_suffix("")
        places.append((without.as_posix(), relative.as_posix()))
    # Compared as a file system would that ignores case.
    counts = Counter(short.lower() for short, _ in places)
    return [
        Source(path, short if counts[short.lower()] == 1 else whole)
        for path, (short, whole) in zip(paths, places, strict=True)
    ]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def stamp(path: str) -> list[object]:
    """What tells whether a source has changed: size in bytes and time of change (ns) of its file, or of each
    image of its folder.

    Raises:
        OSError: if it doesn't exist or can't be read.
    """
    if not os.path.isdir(path):
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns]
    with os.scandir(path) as entries:
        images = [(entry.name, entry.stat()) for entry in entries if _suffix(entry.name) in IMAGE_SUFFIXES]
    return [[name, status.st_size, status.st_mtime_ns] for name, status in sorted(images)]


def size_in_bytes(stamped: Sequence[object]) -> int:
    """Bytes of a source by its stamp."""
    if stamped and isinstance(stamped[0], list):
        return sum(int(entry[1]) for entry in stamped if isinstance(entry, list))
    return int(str(stamped[0])) if stamped else 0
