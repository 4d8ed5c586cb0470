"""Frames from the output of another program: rpicam-vid for the Raspberry Pi's camera, ffmpeg for the rest.

Neither needs a Python package, so they also serve where PyAV can't be installed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..io.files import local_path
from .frames import Frame, FrameSource, VideoError

#: Pictures of more pixels than this are damage.
_MOST_PIXELS = 2**28


class PipeSource(FrameSource):
    """The frames that a program writes to its standard output; the program ends with the iteration.

    Args:
        name: what the source is called. command: the program and its arguments. package: what brings it.

    Raises:
        VideoError: if there is no such program.
    """

    #: Whether the program reads our standard input.
    reads_input = False

    def __init__(self, name: str, command: Sequence[str], package: str) -> None:
        if shutil.which(command[0]) is None:
            raise VideoError(f"{name}: there is no program {command[0]} (Debian: apt-get install {package})")
        self.name = name
        self.command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """End a running iteration soon, as if the program had ended; may be called by a signal handler."""
        self._cancelled = True
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()

    @abstractmethod
    def _read(self, pipe: IO[bytes]) -> NDArray[np.uint8] | None:
        """The next frame, uint8 (H, W, 3) RGB; None where the output ends."""

    def _time(self, number: int, since: float) -> float:
        """Seconds since the first frame: of frame `number`, which was read `since` seconds after it."""
        return since

    def __iter__(self) -> Iterator[Frame]:
        with tempfile.TemporaryFile() as errors:
            # In a session of its own, so that Ctrl-C reaches us, who end it.
            process = subprocess.Popen(
                self.command,
                stdin=None if self.reads_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            assert process.stdout is not None
            self._process, self._cancelled = process, False
            try:
                start, number = 0.0, 0
                while (image := self._read(process.stdout)) is not None:
                    now = time.monotonic()
                    start = start or now
                    yield Frame(image, self._time(number, now - start), f"frame {number}")
                    number += 1
                if (process.wait(timeout=10) or not number) and not self._cancelled:
                    raise VideoError(f"{self.name}: {self.command[0]} stopped: {last_line(errors)}")
            except subprocess.TimeoutExpired:
                raise VideoError(f"{self.name}: {self.command[0]} closed its output, but runs on") from None
            finally:
                end_process(process)


class RpicamSource(PipeSource):
    """The Raspberry Pi's camera through `rpicam-vid` (`libcamera-vid` on older systems).

    Args:
        index: which camera. size: (width, height) in pixels, the width a multiple of 64, so that rows have no
            padding. rate: frames per second.
    """

    def __init__(
        self, index: int = 0, *, size: tuple[int, int] = (1280, 720), rate: Fraction | float = 30
    ) -> None:
        width, height = size
        if width % 64 or height % 2:
            raise VideoError(f"rpicam-vid: expected a width in multiples of 64, got {width}x{height}")
        programs = ("rpicam-vid", "libcamera-vid")
        program = next((name for name in programs if shutil.which(name)), programs[0])
        shape = ["--width", str(width), "--height", str(height), "--framerate", f"{float(rate):g}"]
        output = ["--timeout", "0", "--nopreview", "--codec", "yuv420", "--flush", "--output", "-"]
        super().__init__("rpicam-vid", [program, "--camera", str(index), *shape, *output], "rpicam-apps")
        self.rate = Fraction(rate).limit_denominator(1001)
        self._size = size

    def _read(self, pipe: IO[bytes]) -> NDArray[np.uint8] | None:
        width, height = self._size
        data = pipe.read(width * height * 3 // 2)
        if len(data) < width * height * 3 // 2:
            return None
        return yuv420_to_rgb(np.frombuffer(data, np.uint8), width, height)


class FfmpegSource(PipeSource):
    """Whatever the program `ffmpeg` reads: files, addresses, devices; at a constant frame rate.

    Args:
        source: what follows ``-i``. options: what goes before it, as ["-f", "v4l2"].
    """

    def __init__(self, source: str, options: Sequence[str] = ()) -> None:
        start = ["ffmpeg", "-nostdin", "-v", "error", *options]
        output = ["-map", "0:v:0", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]
        super().__init__(f"ffmpeg:{source}", [*start, "-i", source, *output], "ffmpeg")
        self.reads_input = source in ("-", "pipe:", "pipe:0")
        # What can be read once only is left to ffmpeg, and its times are those of arrival.
        self.rate = None if self.reads_input else _probe_rate(source, options)

    def files(self) -> list[str]:
        return ["/dev/stdin" if self.reads_input else local_path(self.name.removeprefix("ffmpeg:"))]

    def _read(self, pipe: IO[bytes]) -> NDArray[np.uint8] | None:
        return read_ppm(pipe)

    def _time(self, number: int, since: float) -> float:
        return float(number / self.rate) if self.rate else since


def read_ppm(pipe: IO[bytes]) -> NDArray[np.uint8] | None:
    """The next picture of a stream of binary PPM, uint8 (H, W, 3); None where it ends, even within one.

    Raises:
        VideoError: for something else.
    """
    magic = pipe.readline()
    if not magic:
        return None
    try:
        width, height = map(int, pipe.readline().split())
        depth = int(pipe.readline())
    except ValueError:
        width = height = depth = 0
    if magic != b"P6\n" or depth != 255 or not 0 < width * height <= _MOST_PIXELS:
        raise VideoError(f"expected a stream of PPM pictures, got {magic[:20]!r}")
    data = pipe.read(3 * width * height)
    if len(data) < 3 * width * height:
        return None
    picture: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(height, width, 3).copy()
    return picture


def yuv420_to_rgb(data: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Planar YUV 4:2:0, limited range, as RGB: uint8 (H, W, 3).

    By BT.709 from 1280x720 on and by BT.601 below, as the camera's programs have it.
    """
    red, green_u, green_v, blue = (
        (1.5748, 0.1873, 0.4681, 1.8556) if width >= 1280 or height >= 720 else (1.402, 0.3441, 0.7141, 1.772)
    )
    luma = data[: width * height].reshape(height, width)
    chroma = data[width * height :].reshape(2, height // 2, width // 2).astype(np.float32) - 128
    chroma = (chroma * np.float32(255 / 224)).repeat(2, 1).repeat(2, 2)
    grey = (luma.astype(np.float32) - 16) * np.float32(255 / 219) + np.float32(0.5)
    rgb = np.empty((height, width, 3), np.uint8)
    u, v = chroma
    shifts = (np.float32(red) * v, -np.float32(green_u) * u - np.float32(green_v) * v, np.float32(blue) * u)
    for channel, shift in enumerate(shifts):
        rgb[..., channel] = (grey + shift).clip(0, 255)
    return rgb


def _probe_rate(source: str, options: Sequence[str]) -> Fraction | None:
    """Frames per second by `ffprobe`, None where it doesn't say or is missing."""
    entries = ["-select_streams", "v:0", "-show_entries", "stream=r_frame_rate", "-of", "json"]
    try:
        command = ["ffprobe", "-v", "error", *options, *entries, source]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
        rate = Fraction(json.loads(done.stdout)["streams"][0]["r_frame_rate"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, IndexError, ArithmeticError):
        return None
    return rate if 0 < rate <= 1000 else None


def last_line(errors: IO[bytes]) -> str:
    """Of what a program said; words that say so where it said nothing."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Close a program's pipes and end it, at the latest after two seconds."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):  # of what was not yet written
            process.stdin.close()
