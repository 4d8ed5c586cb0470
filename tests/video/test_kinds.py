"""Every file that people have is read, or refused in one line that names it: VideoError, nothing else."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobileinst.video import VideoError, VideoWriter, open_source, read_image
from mobileinst.video.background import Background, in_background
from mobileinst.video.clock import Clock
from mobileinst.video.frames import rate_fraction

av = pytest.importorskip("av")
image_module = pytest.importorskip("PIL.Image")

SIZE = (48, 64)


def pictures(count: int = 6) -> list[Any]:
    frames = []
    for i in range(count):
        frame = np.full((*SIZE, 3), 90, np.uint8)
        frame[8:30, 5 + 4 * i : 25 + 4 * i] = (220, 60, 40)
        frames.append(frame)
    return frames


def write_clip(path: Path, **options: Any) -> bytes:
    with VideoWriter(path, 10, **options) as writer:
        for frame in pictures():
            writer.write(frame)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.apng", "a.tif", "a.gif"])
def test_all_pictures_of_an_animation(tmp_path: Path, name: str) -> None:
    images = [image_module.fromarray(frame) for frame in pictures()]
    form = "PNG" if name.endswith("png") else None
    images[0].save(tmp_path / name, form, save_all=True, append_images=images[1:], duration=100)
    found = list(open_source(tmp_path / name))
    assert len(found) == 6
    left = [int((frame.image[10, :, 0] > 150).argmax()) for frame in found]
    assert left == sorted(set(left))
    times = [frame.time for frame in found]
    assert times[0] == 0
    step = 1 / 30 if name == "a.tif" else 0.1
    np.testing.assert_allclose(np.diff(times), step, atol=1e-6)


def test_reduced_copies_in_a_tiff_are_no_frames(tmp_path: Path) -> None:
    first, small = image_module.fromarray(pictures()[0]), image_module.fromarray(pictures()[1][::2, ::2])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    first.save(tmp_path / "x.tif", save_all=True, append_images=[small])
    assert [frame.image.shape[:2] for frame in open_source(tmp_path / "x.tif")] == [SIZE]


def test_a_last_frame_that_is_held_long(tmp_path: Path) -> None:
    images = [image_module.fromarray(frame) for frame in pictures()]
    images[0].save(
        tmp_path / "x.gif", save_all=True, append_images=images[1:], duration=[100] * 5 + [3000], loop=0
    )
    assert len(list(open_source(tmp_path / "x.gif"))) == 6


_ONE, _UNIT = 1 << 16, 1 << 30


@pytest.mark.parametrize(
    ("matrix", "shape", "corner"),
    [
        ((_ONE, 0, 0, 0, _ONE, 0, 0, 0, _UNIT), (48, 64), (0, 0)),
        ((0, _ONE, 0, -_ONE, 0, 0, 48 * _ONE, 0, _UNIT), (64, 48), (0, 1)),
        ((-_ONE, 0, 0, 0, -_ONE, 0, 64 * _ONE, 48 * _ONE, _UNIT), (48, 64), (1, 1)),
        ((0, -_ONE, 0, _ONE, 0, 0, 0, 64 * _ONE, _UNIT), (64, 48), (1, 0)),
        ((-_ONE, 0, 0, 0, _ONE, 0, 64 * _ONE, 0, _UNIT), (48, 64), (0, 1)),
        ((_ONE, 0, 0, 0, -_ONE, 0, 0, 48 * _ONE, _UNIT), (48, 64), (1, 0)),
        ((0, _ONE, 0, _ONE, 0, 0, 0, 0, _UNIT), (64, 48), (0, 0)),
        ((0, -_ONE, 0, -_ONE, 0, 0, 48 * _ONE, 64 * _ONE, _UNIT), (64, 48), (1, 1)),
    ],
)
def test_turned_and_mirrored(
    tmp_path: Path, matrix: tuple[int, ...], shape: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = np.full((*SIZE, 3), 30, np.uint8)
    image[:24, :32] = 220  # bright at the top left
    with VideoWriter(tmp_path / "x.mp4", 10) as writer:
        writer.write(image)
    content = (tmp_path / "x.mp4").read_bytes()
    at = content.index(b"tkhd") + 44
    (tmp_path / "x.mp4").write_bytes(content[:at] + struct.pack(">9i", *matrix) + content[at + 36 :])
    (frame,) = open_source(tmp_path / "x.mp4")
    assert frame.image.shape[:2] == shape
    grey = frame.image[..., 0].astype(float)
    halves = [np.split(part, 2, 1) for part in np.split(grey, 2, 0)]
    means = np.array([[part.mean() for part in row] for row in halves])
    assert np.unravel_index(means.argmax(), (2, 2)) == corner


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    write_clip(tmp_path / "x.mp4", pixel_aspect=Fraction(4, 3))
    assert open_source(tmp_path / "x.mp4").pixel_aspect == Fraction(4, 3)
    write_clip(tmp_path / "y.mp4")
    assert open_source(tmp_path / "y.mp4").pixel_aspect == 1


@pytest.mark.parametrize(
    "name", ["12:30.mp4", "file:x.mp4", "100%d %s [x] #1.mp4", "concat:a.mp4", b"caf\xe9.mp4"]
)
def test_names_that_look_like_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(Path(os.fsdecode(name)))
    assert len(list(open_source(os.fsdecode(name)))) == 6
    assert len(os.listdir(tmp_path)) == 1


def read_or_refuse(path: Path) -> None:
    message = path.name
    try:
        list(open_source(path))
    except VideoError as error:
        message = str(error)
    assert path.name in message
    assert "\n" not in message


def test_damage_at_any_byte(tmp_path: Path) -> None:
    content = write_clip(tmp_path / "x.mp4")
    random = np.random.default_rng(0)
    for cut in range(0, len(content), 37):
        damaged = bytearray(content[:cut] if cut % 2 else content)
        for _ in range(4):
            if damaged:
                damaged[random.integers(len(damaged))] = random.integers(256)
        (tmp_path / "y.mp4").write_bytes(damaged)
        read_or_refuse(tmp_path / "y.mp4")


def exif(orientation: bytes, entries: int = 1) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", entries) + orientation + bytes(8)


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0garbage!",
        exif(struct.pack("<HHI", 0x112, 2, 4) + b"abc\0"),
        exif(struct.pack("<HHI", 0x112, 5, 1) + struct.pack("<I", 8)),
        exif(struct.pack("<HHI", 0x8769, 4, 1) + struct.pack("<I", 8)),
        exif(struct.pack("<HHI", 0x112, 3, 1) + struct.pack("<I", 99), 40),
    ],
)
def test_a_damaged_exif_block_costs_no_picture(tmp_path: Path, block: bytes) -> None:
    image_module.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "x.jpg", exif=block)
    assert read_image(tmp_path / "x.jpg").shape == (30, 40, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_damaged_pictures(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    image_module.fromarray(pictures()[0]).save(path)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in random.integers(0, min(len(content), 200), 4):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged[: random.integers(1, len(damaged) + 1)])
        read_or_refuse(path)


def test_stacks_of_frames(tmp_path: Path) -> None:
    frames = np.stack(pictures())
    np.save(tmp_path / "a.npy", frames)
    np.save(tmp_path / "one.npy", frames[0])
    np.savez_compressed(tmp_path / "a.npz", frames)
    for name, count in (("a.npy", 6), ("a.npz", 6), ("one.npy", 1)):
        found = list(open_source(tmp_path / name, rate=10))
        assert len(found) == count
        np.testing.assert_array_equal(found[-1].image, frames[count - 1])
        assert found[-1].time == pytest.approx((count - 1) / 10)
    np.savez(tmp_path / "two.npz", a=frames, b=frames)
    np.save(tmp_path / "grey.npy", frames[..., 0])
    np.save(tmp_path / "float.npy", frames / 255)
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:1000])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:100])
    for name, says in (
        ("two.npz", "one array of frames, it holds a, b"),
        ("grey.npy", r"uint8 \(6, 48, 64\)"),
        ("float.npy", r"convert it by \(image \* 255\)"),
        ("objects.npy", "can't be read"),
        ("cut.npy", "can't be read"),
        ("cut.npz", "can't be read"),
    ):
        with pytest.raises(VideoError, match=f"{name}: .*{says}"):
            open_source(tmp_path / name)


@pytest.mark.parametrize("source", ["", "a\0b", "nosuch://x", "none.mp4", "²", "x" * 5000, -1, "99999", True])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(VideoError) as caught:
        open_source(source)
    assert "\n" not in str(caught.value)


def test_rates() -> None:
    assert rate_fraction(30000 / 1001) == Fraction(30000, 1001)
    assert rate_fraction(0.0001) == Fraction(1, 10000)
    for rate in (0, -1, float("nan"), float("inf"), 1e-9, 2000, True, "30"):
        with pytest.raises(VideoError, match="frames per second"):
            rate_fraction(rate)  # type: ignore[arg-type]


def stream_bytes(count: int = 20) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        for frame in pictures(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@contextlib.contextmanager
def server(payload: bytes, *, then_silent: bool) -> Iterator[str]:
    """The address of a server for one client, on this machine alone."""
    done = threading.Event()

    def run(listener: socket.socket) -> None:
        with listener:
            client, _ = listener.accept()
        with client:
            client.sendall(payload)
            if then_silent:
                done.wait(60)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=run, args=(listener,))
    thread.start()
    yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    done.set()
    thread.join(20)


def test_one_connection_is_enough() -> None:
    with server(stream_bytes(), then_silent=False) as address:
        assert len(list(open_source(address))) == 20


def test_a_silent_stream_is_given_up() -> None:
    with server(b"", then_silent=True) as address:
        start = time.monotonic()
        with pytest.raises(VideoError, match=r"nothing came for 0\.5 s"):
            open_source(address, open_timeout=0.5, read_timeout=0.5)
        assert time.monotonic() - start < 20


def test_a_silent_stream_is_cancelled() -> None:
    # Long enough that nothing more is waited for when it is opened.
    with server(stream_bytes(250), then_silent=True) as address:
        source = open_source(address)
        threading.Timer(1.0, source.cancel).start()
        assert len(list(source)) > 0


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(stream_bytes()), daemon=True).start()
    source = open_source(tmp_path / "pipe")
    assert len(list(source)) == 20
    with pytest.raises(VideoError, match="can be read once only"):
        list(source)


def test_times_rise_whatever_the_stamps_say() -> None:
    clock = Clock(Fraction(1, 25), Fraction(25))
    assert [clock.frame(stamp) for stamp in (5, 6, 7)] == pytest.approx([0, 0.04, 0.08])
    jitter = [clock.frame(stamp) for stamp in (7, 9)]
    assert jitter == pytest.approx([0.10, 0.16])
    # Joined recordings start again; frames without a stamp follow at the frame rate.
    clock = Clock(Fraction(1, 25), Fraction(25))
    times = [clock.frame(stamp) for stamp in (*range(24), *range(24), None, None)]
    np.testing.assert_allclose(np.diff(times), 0.04)
    # The stamps of AVI are in the order of decoding.
    clock = Clock(Fraction(1, 25), Fraction(25), sort=True)
    for stamp in (0, 3, 1, 2):
        clock.packet(stamp)
    assert [clock.frame(stamp) for stamp in (0, 3, 1, 2)] == pytest.approx([0, 0.04, 0.08, 0.12])


def test_background_passes_items_and_errors_on() -> None:
    def numbers() -> Any:
        yield from range(5)
        raise VideoError("damage")

    found = []
    with pytest.raises(VideoError, match="damage"):
        found.extend(Background(numbers))
    assert in_background(lambda: 7) == 7
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    never = threading.Event()
    assert list(Background(lambda: iter([never.wait(60)]), cancelled)) == []
    never.set()
