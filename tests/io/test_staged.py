"""Files that appear in a folder together: links, permissions and earlier files are treated as by `Output`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mobileinst.io.staged import StagedFolder


def test_files_appear_together_and_earlier_ones_stay_until_then(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    staged = StagedFolder(tmp_path)
    for name in ("a", "b"):
        staged.write(name, b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert not (tmp_path / "b").exists()
    staged.finish()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"new"


def test_discarding_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    for folder in (tmp_path, tmp_path / "deep" / "down"):
        staged = StagedFolder(folder)
        staged.write("a", b"new")
        staged.discard()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_links_are_followed_and_permissions_kept(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    target = tmp_path / "store" / "target"
    target.write_bytes(b"old")
    target.chmod(0o640)
    (tmp_path / "a").symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    staged = StagedFolder(tmp_path)
    staged.write("a", b"new")
    staged.write("pipe", b"through")
    staged.finish()
    assert (tmp_path / "a").is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert sorted(os.listdir(tmp_path)) == ["a", "pipe", "store"]
    assert os.listdir(tmp_path / "store") == ["target"]


def test_what_cannot_be_replaced_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    staged = StagedFolder(tmp_path)
    with pytest.raises(IsADirectoryError, match="a: it is a folder"):
        staged.write("a", b"new")
    staged.discard()
    with pytest.raises(OSError, match=r"can't write .*none/x"):
        StagedFolder(tmp_path).write("none/x", b"new")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        StagedFolder(tmp_path / "file")
