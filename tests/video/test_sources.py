"""Sources and the video writer: what goes in comes out; what is damaged is named."""

from __future__ import annotations

import gc
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mobileinst.io.png import write_png
from mobileinst.video import VideoError, natural_key, open_source, read_image
from mobileinst.video.writer import VideoWriter

av = pytest.importorskip("av")

RATE = Fraction(30000, 1001)


def picture(number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Colors that survive compression, noise that makes packets large enough to be cut."""
    image = np.random.default_rng(number).integers(60, 90, (*size, 3), np.uint8)
    image[: size[0] // 2, : size[1] // 2] = (200, 40 + 4 * number, 30)
    return image


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with VideoWriter(path, RATE) as writer:
        for number in range(30):
            writer.write(picture(number))
    return path


def test_a_clip_keeps_frames_colors_rate_and_times(clip: Path) -> None:
    source = open_source(clip)
    assert source.rate == RATE
    assert source.count == 30
    for _ in range(2):
        frames = list(source)
        assert len(frames) == 30
        for number, frame in enumerate(frames):
            assert frame.image.shape == (48, 64, 3)
            assert frame.time == pytest.approx(number / RATE, abs=1e-3)
            np.testing.assert_allclose(frame.image[12, 16], (200, 40 + 4 * number, 30), atol=12)


def test_decoded_frames_are_not_kept(clip: Path) -> None:
    from av import VideoFrame

    gc.collect()
    gc.disable()  # what waits for the collector takes memory meanwhile
    try:
        count = sum(1 for _ in open_source(clip).images())
        # type(): isinstance() asks other packages' objects for their class, which some answer with a warning
        kept = sum(issubclass(type(thing), VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert count > 4
    assert kept <= 2


def test_browsers_can_play_it(clip: Path) -> None:
    content = clip.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 0.9]
    with VideoWriter(tmp_path / "x.mp4", 30) as writer:
        for number, time in enumerate(times):
            writer.write(picture(number), time)
    read = [frame.time for frame in open_source(tmp_path / "x.mp4")]
    assert read == pytest.approx(times, abs=2e-3)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (48, 63), (2, 600)])
def test_odd_sizes_are_padded(tmp_path: Path, size: tuple[int, int]) -> None:
    with VideoWriter(tmp_path / "x.mp4") as writer:
        writer.write(picture(1, size))
        writer.write(picture(2, (20, 30)))  # scaled to the first
    frames = list(open_source(tmp_path / "x.mp4").images())
    assert [frame.shape for frame in frames] == [(size[0] + size[0] % 2, size[1] + size[1] % 2, 3)] * 2


def test_unfinished_videos_are_removed(tmp_path: Path) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "x.mp4") as writer:
            writer.write(picture(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with VideoWriter(tmp_path / "empty.mp4"):
        pass
    with pytest.raises(ValueError, match="expected an image"), VideoWriter(tmp_path / "x.mp4") as writer:
        writer.write(picture(0)[..., 0])
    with pytest.raises(VideoError, match=r"ends in .*\.mp4"):
        VideoWriter(tmp_path / "x.avi")
    with pytest.raises(FileNotFoundError):
        VideoWriter(tmp_path / "no" / "x.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_cut_videos_are_named(clip: Path, tmp_path: Path, suffix: str, share: float) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    with VideoWriter(whole, RATE) as writer:
        for number in range(30):
            writer.write(picture(number))
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    seen: list[str] = []
    with pytest.raises(VideoError, match="cut") as caught:
        seen.extend(frame.name for frame in open_source(cut))
    assert len(seen) < 30
    if seen:
        assert re.search(rf"frame ({len(seen)}|{len(seen) - 1})\b", str(caught.value))


def test_a_recording_that_starts_late_is_whole(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "x.mkv", 25) as writer:
        for number in range(10):
            writer.write(picture(number), 5 + number / 25)
    times = [frame.time for frame in open_source(tmp_path / "x.mkv")]
    assert times == pytest.approx([number / 25 for number in range(10)], abs=2e-3)


def test_damaged_packets_are_named_or_concealed(clip: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content = bytearray(clip.read_bytes())
    start = content.index(b"mdat")
    failures = 0
    for _ in range(10):
        damaged = bytearray(content)
        at = int(rng.integers(start + 8, len(content) - 200))
        damaged[at : at + 200] = rng.integers(0, 256, 200, np.uint8).tobytes()
        path = tmp_path / "damaged.mp4"
        path.write_bytes(damaged)
        try:
            assert sum(1 for _ in open_source(path)) == 30
        except VideoError as error:
            failures += 1
            if str(path) not in str(error):
                raise
    assert failures > 0


@pytest.mark.parametrize("content", [b"", b"not a video", b"\x00\x00\x00\x18ftypmp42" + bytes(100)])
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"x\.mp4: can't be opened as a video"):
        open_source(path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match="no video stream"):
        open_source(path)


def test_missing_sources() -> None:
    with pytest.raises(VideoError, match="file:// does not exist"):
        open_source("file://")
    with pytest.raises(VideoError, match=r"none\.mp4 does not exist"):
        open_source("none.mp4")
    with pytest.raises(VideoError, match=r"camera 77"):
        open_source("77")
    with pytest.raises(VideoError, match="got float"):
        open_source(1.5)  # type: ignore[arg-type]


def test_folders_in_natural_order(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    for number in (10, 2, 1):
        write_png(tmp_path / f"f{number}.png", picture(number, (20 + number, 30)))
    (tmp_path / "notes.txt").write_text("no image")
    write_png(tmp_path / ".hidden.png", picture(0))
    source = open_source(tmp_path, rate=10)
    assert source.count == 3
    frames = list(source)
    assert [frame.name for frame in frames] == ["f1.png", "f2.png", "f10.png"]
    assert [frame.time for frame in frames] == [0, 0.1, 0.2]
    np.testing.assert_array_equal(frames[2].image, picture(10, (30, 30)))
    (tmp_path / "f3.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(VideoError, match=r"f3\.png: can't be read as an image"):
        list(open_source(tmp_path))


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"expected images \(.*found none"):
        open_source(tmp_path)


def test_natural_order() -> None:
    names = ["b1", "a10", "a2", "a", "10", "9", "a2b"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "a2", "a2b", "a10", "b1"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16", "CMYK", "RGB"])
def test_images_of_every_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    image_module = pytest.importorskip("PIL.Image")
    if mode == "I;16":
        image = image_module.fromarray(np.full((4, 6), 0x8040, np.uint16))
    else:
        image = image_module.new("RGB", (6, 4), (128, 128, 128)).convert(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    image.save(path)
    read = read_image(path)
    assert read.shape == (4, 6, 3)
    assert read.dtype == np.uint8
    if mode not in ("1", "P"):  # these are dithered
        np.testing.assert_allclose(read, 128, atol=3)


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    exif = image_module.Exif()
    exif[0x0112] = 6
    image_module.new("RGB", (6, 4)).save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg").shape == (6, 4, 3)
    assert [frame.image.shape for frame in open_source(tmp_path / "x.jpg")] == [(6, 4, 3)]
