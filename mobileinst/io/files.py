"""Output files that appear whole under their name or not at all, and never in the place of something else."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

StrPath = str | os.PathLike[str]

#: Longest name of a file where the system doesn't say.
_NAME_BYTES = 255

#: What was begun and is not finished, with the process that began it: removed at the latest when it ends.
_begun: dict[Path, int] = {}


class Output:
    """A path to write to now and the path that it gets when finished.

    Used as a context manager it finishes at the end, or removes what was begun if there was an exception.
    Symbolic links are followed, and an old file keeps its permissions. Devices, pipes and descriptors
    (``/dev/stdout``, ``>(command)``) are written to as they are: see `direct`.

    Args:
        path: where the file is to appear; an old file there is replaced only at the end.

    Attributes:
        path: as given.
        temporary: where to write until then; `path` itself if `direct`.
        direct: whether `path` is no plain file, so that what is written is out at once.

    Raises:
        OSError: if the folder doesn't exist or can't be written to, or something is there that no file may
            take the place of. Errors of writing name the file, too.
    """

    def __init__(self, path: StrPath) -> None:
        if not os.fspath(path):
            raise FileNotFoundError("can't write a file without a name")
        self.path = Path(path)
        self._open: IO[Any] | None = None
        try:
            self._target, old = _target(self.path)
            self.direct = old is not None and not stat.S_ISREG(old.st_mode)
            if self.direct:
                self.temporary = self.path
                return
            self.temporary = begin(self._target)
            self.temporary.touch(exist_ok=False)
            if old is not None:
                _keep_permissions(self.temporary, old)
        except OSError as error:
            raise _naming(error, self.path) from None

    def open(self, mode: str = "w") -> IO[Any]:
        """The file opened for writing; closed by `complete`, `finish` and `discard`."""
        encoding = None if "b" in mode else "utf-8"
        try:
            descriptor = _descriptor(self.path) if self.direct else None
            place = self.temporary if descriptor is None else os.dup(descriptor)
            self._open = open(place, mode, encoding=encoding)  # noqa: SIM115
        except OSError as error:
            raise _naming(error, self.path) from None
        return self._open

    def take(self, file: Path) -> None:
        """Have a finished file as content: it is moved, or copied where that can't be."""
        if not self.direct and file.stat().st_dev == self.temporary.stat().st_dev:
            _keep_permissions(file, self.temporary.stat())
            os.replace(file, self.temporary)
            return
        import shutil  # costs more than all else here, and is rarely needed

        with file.open("rb") as content:
            shutil.copyfileobj(content, self.open("wb"))

    def complete(self) -> None:
        """Write what is still in buffers: after this `finish` has only a name to give."""
        file, self._open = self._open, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                raise _naming(error, self.path) from None

    def finish(self) -> None:
        """Give the file its name."""
        try:
            self.complete()
            if not self.direct:
                os.replace(self.temporary, self._target)
                _begun.pop(self.temporary, None)
        except OSError as error:
            self.discard()
            raise _naming(error, self.path) from None

    def discard(self) -> None:
        """Remove what was begun."""
        with contextlib.suppress(OSError):
            self.complete()
        if not self.direct:
            remove(self.temporary)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if kind is None:
            self.finish()
            return
        self.discard()
        if isinstance(error, OSError) and str(self.path) not in str(error):
            raise _naming(error, self.path) from None


class NamedWrites:
    """Within it, an OSError that names no file becomes one that names `path`."""

    def __init__(self, path: StrPath) -> None:
        self._path = Path(path)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError) and str(self._path) not in str(error):
            raise _naming(error, self._path) from None


def check_writable(path: StrPath) -> None:
    """Raise OSError now if `path` could not be written later."""
    Output(path).discard()


def check_outputs(outputs: Iterable[StrPath], inputs: Iterable[StrPath]) -> None:
    """Raise ValueError if two outputs are one file, or an output is an input, by whatever name or link.

    Inputs may be ``file:`` addresses; what is no plain file (a device, a pipe) may be used more than once.
    """
    seen: dict[object, StrPath] = {}
    for output in outputs:
        identity = _identity(os.fspath(output))
        if identity is not None and identity in seen:
            raise ValueError(f"outputs must differ, got {seen[identity]} and {output}, which are one file")
        if identity is not None:
            seen[identity] = output
    for source in inputs:
        output_there = seen.get(_identity(local_path(os.fspath(source))))
        if output_there is not None:
            also = "" if os.fspath(output_there) == os.fspath(source) else f" ({source})"
            raise ValueError(f"{output_there} is an input{also}, it can't be an output too")


def local_path(name: str) -> str:
    """The path behind a ``file:`` address, else the name itself."""
    if not name.startswith("file:") or os.path.exists(name):
        return name
    # FFmpeg reads "file:" as a prefix of a path; other programs write it as an address with escapes.
    plain = name.removeprefix("file:")
    if plain.startswith("//"):
        plain = urlsplit(name).path
    return plain if os.path.exists(plain) else unquote(plain)


def is_plain(path: StrPath) -> bool:
    """Whether `path` is a plain file, or nothing yet; not a folder, device, pipe or descriptor."""
    try:
        return _descriptor(Path(path)) is None and stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return True


def fitting_name(stem: str, end: str) -> str:
    """`stem` + `end` as the name of a file, the stem cut where the whole would be too long."""
    room = _NAME_BYTES - len(os.fsencode(end))
    raw = os.fsencode(stem)
    while len(raw) > room:
        stem = stem[:-1]
        raw = os.fsencode(stem)
    return stem + end


def numbered_stems(stem: str, end: str) -> Iterator[str]:
    """`stem`, `stem`-2 and so on, each short enough for a file's name that ends in `end`."""
    for number in itertools.chain([""], (f"-{i}" for i in itertools.count(2))):
        yield fitting_name(stem, f"{number}{end}").removesuffix(end)


def begin(target: Path, suffix: str | None = None) -> Path:
    """A free, hidden name beside `target`; what appears there is removed when the process ends.

    The suffix stays, because writers take the format from it.
    """
    suffix = target.suffix if suffix is None else suffix
    end = f".{os.urandom(4).hex()}.partial{suffix if len(os.fsencode(suffix)) < 32 else ''}"
    temporary = target.with_name(fitting_name(f".{target.stem}", end))
    _begun[temporary] = os.getpid()
    return temporary


def remove(temporary: Path) -> None:
    """Remove a file or folder that was begun."""
    if temporary.is_dir():
        import shutil

        shutil.rmtree(temporary, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _begun.pop(temporary, None)


@atexit.register
def _remove_begun() -> None:
    for temporary, process in list(_begun.items()):
        if process == os.getpid():
            remove(temporary)


def _target(path: Path) -> tuple[Path, os.stat_result | None]:
    """Where a file for `path` is to appear, and what is there; OSError if nothing may be written there."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        # Perhaps a link to nothing, or a loop of links.
        return Path(os.path.realpath(path, strict=False)), None
    kind = old.st_mode
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(f"can't write {path}: it is a folder")
    if stat.S_ISSOCK(kind) or stat.S_ISBLK(kind):
        raise OSError(f"can't write {path}: it is a {'socket' if stat.S_ISSOCK(kind) else 'disk'}")
    if not os.access(path, os.W_OK):
        raise PermissionError(f"can't write {path}: it may not be written to")
    if _descriptor(path) is not None:
        return path, os.stat(os.devnull)
    return Path(os.path.realpath(path)), old


def _descriptor(path: Path) -> int | None:
    """The open descriptor of this process that a path such as /dev/stdout or /dev/fd/3 stands for."""
    for _ in range(8):
        folder = os.path.realpath(path.parent)
        if re.fullmatch(rf"/dev/fd|/proc/(self|{os.getpid()})(/task/\d+)?/fd", folder):
            return int(path.name) if path.name.isdecimal() else None
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None


def _keep_permissions(temporary: Path, old: os.stat_result) -> None:
    own = temporary.stat()
    if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid) and hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(temporary, old.st_uid, old.st_gid)
    temporary.chmod(stat.S_IMODE(old.st_mode))


def _identity(path: str) -> object:
    """What two names of one plain file have in common; None for what is no plain file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path) if "\0" not in path else path
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _naming(error: OSError, path: Path) -> OSError:
    """The error with a message that names the file."""
    if str(error).startswith("can't write"):
        return error
    # Of the same class, which callers tell apart; made without its errno, whose text would be shown alone.
    named = type(error)(f"can't write {path}: {error.strerror or error}")
    return named
