"""Which sources arguments name, and where their outputs go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from mobileinst.batch import find_sources
from mobileinst.batch.sources import size_in_bytes, stamp
from mobileinst.video import VideoError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty files: names are all that matters here. The current folder is the tree's."""
    names = ["a.mp4", "b/clip10.mkv", "b/clip2.MP4", "b/notes.md", "b/cover.jpg", "b/.hidden.mp4"]
    names += ["c/seq/0.png", "c/seq/1.png", ".cache/x.mp4", "c/deep/er/d.webm", "empty/readme.rst"]
    for name in names:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path / "tree")
    return tmp_path / "tree"


def found(arguments: Sequence[str], root: str | None = None, output: str = "../out") -> dict[str, str]:
    """Places by path relative to the current folder."""
    sources = find_sources(arguments, Path(output), None if root is None else Path(root))
    return {os.path.relpath(source.path): source.place for source in sources}


def test_a_folder_is_mirrored_in_natural_order(tree: Path) -> None:
    places = found(["."])
    assert list(places) == ["a.mp4", "b/clip2.MP4", "b/clip10.mkv", "c/deep/er/d.webm", "c/seq"]
    assert list(places.values()) == ["a", "b/clip2", "b/clip10", "c/deep/er/d", "c/seq"]


def test_a_folder_of_images_is_one_source(tree: Path) -> None:
    assert found(["c/seq"]) == {"c/seq": "seq"}


def test_globs_match_videos_at_any_depth(tree: Path) -> None:
    assert found(["b/*"]) == {"b/clip2.MP4": "clip2", "b/clip10.mkv": "clip10"}
    assert found(["**/*.webm"]) == {"c/deep/er/d.webm": "c/deep/er/d"}
    with pytest.raises(VideoError, match=r"\*\.flv matches no video"):
        found(["*.flv"])


def test_several_arguments_share_the_folder_that_holds_them(tree: Path) -> None:
    assert found(["b", "c/deep"]) == {
        "b/clip2.MP4": "b/clip2",
        "b/clip10.mkv": "b/clip10",
        "c/deep/er/d.webm": "c/deep/er/d",
    }
    assert found(["a.mp4", "a.mp4", "./a.mp4"]) == {"a.mp4": "a"}
    assert found(["b/clip2.MP4"], root="..") == {"b/clip2.MP4": "tree/b/clip2"}
    with pytest.raises(VideoError, match="doesn't lie below"):
        found(["a.mp4"], root="b")


def test_a_list_names_one_source_a_line(tree: Path, tmp_path: Path) -> None:
    names = tmp_path / "tree" / "b" / "list.txt"
    names.write_text(
        "\ufeffa.mp4\n\n# a comment\nclip2.MP4\r\n  c/**/*.webm \nmissing.mp4\n", encoding="utf-8"
    )
    assert list(found(["b/list.txt"])) == ["a.mp4", "b/clip2.MP4", "c/deep/er/d.webm", "missing.mp4"]
    with pytest.raises(VideoError, match=r"can't read the list nothere\.txt"):
        found(["nothere.txt"])


def test_sources_that_differ_in_their_suffix_keep_it(tree: Path) -> None:
    (tree / "A.avi").touch()
    places = found(["a.mp4", "A.avi", "b/clip2.MP4"])
    assert places == {"a.mp4": "a.mp4", "A.avi": "A.avi", "b/clip2.MP4": "b/clip2"}


def test_the_output_folder_is_no_source(tree: Path) -> None:
    assert "b/clip2.MP4" not in found(["."], output="b")


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("empty", "found none"),
        ("", "got ''"),
        ("http://x/y.mp4", "expected a file or folder"),
    ],
)
def test_what_is_no_source(tree: Path, argument: str, text: str) -> None:
    with pytest.raises(VideoError, match=text):
        found([argument])


def test_a_name_with_a_bracket_is_a_file_if_there_is_one(tree: Path) -> None:
    (tree / "take[1].mp4").touch()
    assert found(["take[1].mp4"]) == {"take[1].mp4": "take[1]"}


def test_stamps_tell_of_changes(tree: Path) -> None:
    video, folder = tree / "a.mp4", tree / "c" / "seq"
    before, images = stamp(str(video)), stamp(str(folder))
    assert (size_in_bytes(before), size_in_bytes(images)) == (0, 0)
    video.write_bytes(b"12345")
    (folder / "1.png").write_bytes(b"123")
    (folder / "0.png").write_bytes(b"1234")
    assert stamp(str(video)) != before
    assert stamp(str(folder)) != images
    assert (size_in_bytes(stamp(str(video))), size_in_bytes(stamp(str(folder)))) == (5, 7)
    os.utime(video, ns=(1, 1))
    assert stamp(str(video)) == [5, 1]
    with pytest.raises(FileNotFoundError):
        stamp(str(tree / "nothere.mp4"))
