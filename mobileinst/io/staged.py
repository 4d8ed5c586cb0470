"""Files of one folder that appear in it together or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from .files import NamedWrites, Output, StrPath, begin, check_writable, remove


class StagedFolder:
    """Files for a folder, made in a hidden one inside it until `finish` gives them their names.

    Inside it, so that they are on the disk where they stay. Files of an earlier run stay until then. What
    stands under a name is treated as `Output` does: links are followed, permissions are kept, devices and
    pipes are written to.

    Args:
        folder: where the files are to appear; it is made where it is missing.

    Raises:
        OSError: if the folder can't be made or written to.
    """

    def __init__(self, folder: StrPath) -> None:
        self.path = Path(folder)
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"can't write {folder}: expected a folder, there is a file")
        self._made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        self._names: list[str] = []
        with NamedWrites(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._staged = begin(self.path / "files", suffix="")
            self._staged.mkdir()

    def write(self, name: str, content: bytes) -> None:
        """Add a file.

        Raises:
            OSError: if it can't be written, or something is there that no file may take the place of.
        """
        place = self.path / name
        if os.path.lexists(place):
            check_writable(place)
        with NamedWrites(place):
            (self._staged / name).write_bytes(content)
        self._names.append(name)

    def complete(self) -> None:
        """Nothing is left to write: each file was completed by itself."""

    def finish(self) -> None:
        """Give the files their names."""
        with NamedWrites(self.path):
            for name in self._names:
                if os.path.lexists(self.path / name):
                    with Output(self.path / name) as output:
                        output.take(self._staged / name)
                else:
                    os.replace(self._staged / name, self.path / name)
        remove(self._staged)

    def discard(self) -> None:
        """Remove what was begun, and the folder if it was made for it."""
        remove(self._staged)
        for folder in self._made:
            if not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
