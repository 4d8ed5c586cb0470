"""A page on this machine that shows what is tracked while it happens: MJPEG over HTTP, for machines
without a screen (``ssh -L 8000:localhost:8000 pi``)."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>mobileinst</title>
<style>body{margin:0;background:#111;color:#eee;font:16px system-ui,sans-serif;text-align:center}
img{max-width:100vw;max-height:88vh}p{margin:.5rem}</style>
<img src="/stream.mjpg" alt="live picture"><p id="status" aria-live="polite">waiting for the first frame</p>
<script>setInterval(async () => {
  const line = document.getElementById("status");
  try {
    const s = await (await fetch("/status.json")).json();
    line.textContent = `${s.rate.toFixed(1)} frames/s, frame ${s.frames}, ${s.dropped} dropped. ${s.note}`;
  } catch { line.textContent = "ended"; }
}, 1000);</script></html>
"""
_BOUNDARY = "frame"
#: Names by which a browser on this machine calls it: another name comes from a foreign page.
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
#: Seconds that a client may take for a picture, and over which the frame rate is counted.
_PATIENCE, _WINDOW = 10.0, 2.0


class Preview:
    """Serves the newest picture on 127.0.0.1.

    Pictures are encoded only when somebody looks, each of them once; who takes them slowly misses some and
    delays nobody.

    Args:
        port: 0 takes a free one, see `port`.

    Raises:
        OSError: if the port is taken.
        ImportError: without Pillow; the message names the extra.
    """

    def __init__(self, port: int = 8000) -> None:
        try:
            from PIL import Image
        except ImportError as error:
            raise ImportError(
                f'the preview needs Pillow: pip install "mobileinst[image]" ({error})'
            ) from None
        self._pillow: Any = Image
        self._changed = threading.Condition()
        self._picture: NDArray[np.uint8] | None = None
        self._encoded: tuple[int, bytes] = (0, b"")
        self._number = self._dropped = 0
        self._note = ""
        self._shown: deque[float] = deque()
        self._closed = False
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OSError(f"can't serve a preview on port {port}: {reason}") from None
        self._server.preview = self
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.port}/"

    def show(self, picture: NDArray[np.uint8], note: str = "", dropped: int = 0) -> None:
        """Take the next picture, uint8 (H, W, 3) RGB, which must not change any more."""
        now = time.monotonic()
        with self._changed:
            self._picture, self._note, self._dropped = picture, note, dropped
            self._number += 1
            self._shown.append(now)
            while self._shown[0] < now - _WINDOW:
                self._shown.popleft()
            self._changed.notify_all()

    def status(self) -> dict[str, Any]:
        """`frames` shown, `rate` (frames per second over the last two), `dropped` and `note`."""
        with self._changed:
            now = time.monotonic()
            times = [at for at in self._shown if at >= now - _WINDOW]
            rate = (len(times) - 1) / max(times[-1] - times[0], 1e-3) if len(times) > 1 else 0.0
            return {"frames": self._number, "rate": rate, "dropped": self._dropped, "note": self._note}

    def jpeg(self, after: int = 0, timeout: float = _PATIENCE) -> tuple[int, bytes] | None:
        """The newest picture with its number, once that is above `after`; None if none comes in time."""
        end = time.monotonic() + timeout
        with self._changed:
            while not self._closed and self._number <= after:
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(min(left, 1.0))
            if self._closed or self._picture is None:
                return None
            if self._encoded[0] != self._number:
                file = io.BytesIO()
                self._pillow.fromarray(self._picture).save(file, "JPEG", quality=80)
                self._encoded = self._number, file.getvalue()
            return self._encoded

    def close(self) -> None:
        """End the streams and give the port back."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    preview: Preview

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE
    server: _Server

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in _HOSTS:
            self.send_error(403, "only for this machine")
        elif self.path == "/":
            self._send("text/html; charset=utf-8", _PAGE)
        elif self.path == "/status.json":
            self._send("application/json", json.dumps(self.server.preview.status()).encode())
        elif self.path == "/frame.jpg":
            found = self.server.preview.jpeg()
            self._send("image/jpeg", found[1]) if found else self.send_error(503, "no frame yet")
        elif self.path == "/stream.mjpg":
            self._stream()
        else:
            self.send_error(404)

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        while (found := self.server.preview.jpeg(number, timeout=3600)) is not None:
            number, body = found
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body + b"\r\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not worth a line each."""
