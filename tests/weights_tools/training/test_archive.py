"""Archives of photographs: what comes back, how large they get, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason='training needs PyTorch (pip install "mobileinst[train]")')
pytest.importorskip("pycocotools")
pytest.importorskip("scipy")

from tests.support.training_sets import CLASSES, settings, toml, write_set  # noqa: E402
from weights_tools.training.archive import ArchiveSource, main, scaled, write_archives  # noqa: E402
from weights_tools.training.source import CocoSource, box_instance  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def canvas(item, shape):
    """An instance's mask on an image."""
    out = np.zeros((shape[0] + 2, shape[1] + 2), np.uint8)
    out[item.y + 1 : item.y + 1 + item.mask.shape[0], item.x + 1 : item.x + 1 + item.mask.shape[1]] = (
        item.mask
    )
    return out[1:-1, 1:-1] > 0


def test_small_photographs_come_back_with_their_masks(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    order = [3, 0, 1]
    found = list(write_archives(source, order, tmp_path / "a", limit=1 << 30, side=200, quality=90))
    assert [(path.name, count) for path, count, _ in found] == [("a-1.npz", 3)]
    archive = ArchiveSource(found[0][0], CLASSES)
    assert archive.infos == [source.infos[i] for i in order]
    for ours, index in enumerate(order):
        assert np.abs(archive.image(ours).astype(int) - source.image(index)).mean() < 6
        assert archive.donors(ours) == source.donors(index)
        for a, b in zip(archive.instances(ours), source.instances(index), strict=True):
            np.testing.assert_array_equal(a.mask, b.mask)
            assert replace(a, mask=b.mask) == b


def test_scaled_masks_lie_where_the_photographs_objects_do(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    pixels, items = source.image(2), source.instances(2)
    image, smaller = scaled(pixels, items, 31)
    assert image.size == (37, 31)
    background = np.abs(np.asarray(image).astype(int) - (20, 20, 200)).sum(2) < 60
    shown = np.logical_or.reduce([canvas(item, (31, 37)) for item in smaller])
    assert (shown != ~background).mean() < 0.04  # pixels of the edges
    assert scaled(pixels, items, 500)[0].size == (96, 80)


def test_boxes_and_their_weights_are_kept(tmp_path):
    class Boxes:
        classes = CLASSES
        infos = CocoSource(*write_set(tmp_path), CLASSES).infos[:1]

        def image(self, index):
            return np.zeros((40, 40, 3), np.uint8)

        def instances(self, index):
            return [box_instance((-3, 5, 20, 10), 1, 0.625), box_instance((30, 30, 5, 5), -1)]

    (found,) = write_archives(Boxes(), [0], tmp_path / "b", limit=1 << 20, side=64, quality=50)
    archive = ArchiveSource(found[0], CLASSES)
    for a, b in zip(archive.instances(0), Boxes().instances(0), strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
        assert replace(a, mask=b.mask) == b
    assert archive.donors(0) == set()


def test_the_command_keeps_to_its_limit(tmp_path, capsys):
    """Photographs of noise, of which each archive can hold two."""
    from PIL import Image

    annotations, folder = write_set(tmp_path / "set")
    rng = np.random.default_rng(0)
    for path in folder.iterdir():
        Image.fromarray(rng.integers(0, 256, (80, 96, 3), np.uint8)).save(path)
    config = tmp_path / "c.toml"
    config.write_text(toml(settings(annotations, folder)))
    limit = ["--mib", "0.011", "--quality", "60"]
    assert main([str(config), str(tmp_path / "p"), "--most", "2", *limit]) == 0
    files = sorted(tmp_path.glob("p-*.npz"))
    assert [path.name for path in files] == ["p-1.npz", "p-2.npz"]
    assert str(files[1]) in capsys.readouterr().out
    names = [info.file_name for path in files for info in ArchiveSource(path, CLASSES).infos]
    assert len(names) == len(set(names)) >= 2
    assert main([str(config), str(tmp_path / "none" / "p")]) == 2
    assert "none" in capsys.readouterr().err


def test_what_is_no_archive_of_these_classes_is_refused(tmp_path):
    source = CocoSource(*write_set(tmp_path), CLASSES)
    ((path, _, _),) = write_archives(source, [0], tmp_path / "a", limit=1 << 20, side=64, quality=50)
    with pytest.raises(
        ValueError, match=r"expected format 1 with classes \['cat'\], got format 1 with \['person'"
    ):
        ArchiveSource(path, ("cat",))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"a-1\.npz: expected an archive"):
        ArchiveSource(path, CLASSES)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match=r"a-1\.npz: expected an archive"):
        ArchiveSource(path, CLASSES)
