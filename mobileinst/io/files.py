"""Output files that appear whole under their name, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import IO, Any


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError now if `path` could not be written later."""
    Output(path).discard()


class Output:
    """A path to write to now and the path that it gets when finished.

    Used as a context manager it finishes at the end, or removes what was begun if there was an exception.

    Args:
        path: where the file is to appear; an old file there is replaced only at the end.

    Raises:
        OSError: if the folder doesn't exist or can't be written to.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise IsADirectoryError(f"can't write {self.path}: it is a folder")
        # The suffix stays, because writers take the format from it.
        name = f".{self.path.stem}.{secrets.token_hex(4)}.partial{self.path.suffix}"
        self.temporary = self.path.with_name(name)
        try:
            self.temporary.touch(exist_ok=False)
        except OSError as error:
            raise type(error)(f"can't write {self.path}: {error.strerror or error}") from None
        self._open: IO[Any] | None = None

    def open(self, mode: str = "w") -> IO[Any]:
        """The file opened for writing; closed by `finish` and `discard`."""
        encoding = None if "b" in mode else "utf-8"
        self._open = self.temporary.open(mode, encoding=encoding)
        return self._open

    def finish(self) -> None:
        """Give the file its name."""
        self._close()
        os.replace(self.temporary, self.path)

    def discard(self) -> None:
        """Remove what was begun."""
        self._close()
        self.temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()
