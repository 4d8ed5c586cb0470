"""The worked example of docs/own-objects.md, in small: real photographs, the shipped weights, a few steps."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

from mobileinst.cli import main
from tests.support import ROOT

pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")
pytest.importorskip("yaml")
pytest.importorskip("av", reason='needs PyAV (pip install "mobileinst[video]")')
data = pytest.importorskip(
    "skimage.data", reason='needs the photographs of scikit-image ("mobileinst[demo]")'
)

# pycocotools' decode does not know NumPy 2's copy keyword yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

#: What makes the training one of seconds.
SMALL = ["--images", "16", "--size", "128", "--device", "cpu"]


def commands() -> list[list[str]]:
    text = (ROOT / "docs" / "own-objects.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- worked example -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return [shlex.split(line) for line in found[1].splitlines()]


@pytest.mark.slow
def test_worked_example(tmp_path, monkeypatch, capsys):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # no worker processes
    (tmp_path / "frames").mkdir()
    for number in range(6):
        pixels = np.asarray(data.astronaut() if number % 2 else data.chelsea())
        shown = pixels[10 * number :, 10 * number :]
        Image.fromarray(shown).resize((384, 300)).save(tmp_path / "frames" / f"{number}.jpg")
    shown = commands()
    assert [words[:2] for words in shown] == [
        ["mobileinst", name] for name in ("segment", "train", "train", "track")
    ]
    for words in shown:
        more = SMALL if words[1] == "train" and "--output" in words else []
        assert main([*words[1:], *more]) == 0, words
    said = capsys.readouterr().out
    assert "YOLO: 6 images; objects: person" in said
    assert (tmp_path / "out.mp4").stat().st_size > 0
    assert (tmp_path / "my.html").read_text().count("<img ") >= 2
