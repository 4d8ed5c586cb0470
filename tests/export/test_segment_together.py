"""Outputs of `segment`: pictures, results and annotations appear together or not at all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")

from mobileinst import Segmenter
from mobileinst.export import annotations
from mobileinst.export.annotations import ANNOTATION_FORMATS
from mobileinst.io.png import write_png
from mobileinst.pipeline import segment


@pytest.fixture(scope="module")
def model() -> Segmenter:
    return Segmenter(size=64, threads=1)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    (tmp_path / "in").mkdir()
    paths = [tmp_path / "in" / f"{name}.png" for name in "abc"]
    for path in paths:
        write_png(path, np.full((48, 64, 3), 90, np.uint8))
    return paths


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def run(photos: list[Path], model: Segmenter, folder: Path, kind: str | None = None) -> Iterator[Any]:
    labels = None if kind is None else ANNOTATION_FORMATS[kind](folder / kind, model.classes)
    return segment(photos, model, folder, {"json": folder.parent / "r.jsonl"}, masks=True, annotations=labels)


@pytest.mark.parametrize("kind", [None, *ANNOTATION_FORMATS])
def test_a_failure_leaves_what_was_there(
    kind: str | None, photos: list[Path], model: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    list(run(photos[:1], model, out))
    before = tree(tmp_path)
    assert {"out/a-segmented.png", "out/a-masks.png", "r.jsonl"} < set(before)
    (tmp_path / "out" / "c-masks.png").mkdir()
    with pytest.raises(IsADirectoryError, match="c-masks"):
        list(run(photos, model, out, kind))
    assert tree(tmp_path) == before
    (tmp_path / "out" / "c-masks.png").rmdir()
    if kind is not None:  # what annotations write last
        monkeypatch.setattr(annotations.AnnotationFolder, "complete", _fail)
        monkeypatch.setattr(ANNOTATION_FORMATS[kind], "complete", _fail)
        with pytest.raises(OSError, match="full"):
            list(run(photos, model, out, kind))
        assert tree(tmp_path) == before
        assert sorted(os.listdir(out)) == ["a-masks.png", "a-segmented.png"]


def _fail(folder: annotations.AnnotationFolder) -> None:
    raise OSError("full")


def test_leaving_early_leaves_nothing(photos: list[Path], model: Segmenter, tmp_path: Path) -> None:
    before = tree(tmp_path)
    running = run(photos, model, tmp_path / "new" / "out")
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert tree(tmp_path) == before
    assert os.listdir(tmp_path) == ["in"]


def test_an_interruption_keeps_what_was_done(photos: list[Path], model: Segmenter, tmp_path: Path) -> None:
    done = []
    running = run(photos, model, tmp_path / "new")
    for _ in range(2):
        done.append(next(running)[0])
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        next(running)
    assert done == photos[:2]
    names = [f"{name}-{kind}.png" for name in "ab" for kind in ("masks", "segmented")]
    assert sorted(os.listdir(tmp_path / "new")) == names
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 2
