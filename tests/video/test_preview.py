"""The preview over HTTP: pages, pictures, slow and foreign clients."""

from __future__ import annotations

import http.client
import io
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from mobileinst.video.preview import Preview

pillow = pytest.importorskip("PIL.Image")


@pytest.fixture
def preview() -> Iterator[Preview]:
    server = Preview(0)
    yield server
    server.close()


def get(preview: Preview, path: str, host: str | None = None) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", preview.port, timeout=30)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = answer.status, answer.headers["Content-Type"], answer.read()
    connection.close()
    return found


def grey(value: int) -> np.ndarray:
    return np.full((40, 60, 3), value, np.uint8)


def test_page_status_and_picture(preview: Preview) -> None:
    for value in (10, 200):
        preview.show(grey(value), "1 person", dropped=3)
    status, kind, page = get(preview, "/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert b"/stream.mjpg" in page
    said = json.loads(get(preview, "/status.json")[2])
    assert (said["frames"], said["dropped"], said["note"]) == (2, 3, "1 person")
    assert said["rate"] > 0
    _, kind, body = get(preview, "/frame.jpg")
    with pillow.open(io.BytesIO(body)) as image:
        assert (kind, image.size) == ("image/jpeg", (60, 40))
        assert abs(np.asarray(image).mean() - 200) < 3
    assert get(preview, "/nothing")[0] == 404


def test_a_stream_shows_each_new_picture(preview: Preview) -> None:
    preview.show(grey(10))
    connection = http.client.HTTPConnection("127.0.0.1", preview.port, timeout=30)
    connection.request("GET", "/stream.mjpg")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
    for value in (10, 90, 250):
        preview.show(grey(value))
        while True:  # The picture before may still be on its way.
            head = [answer.readline() for _ in range(4)]
            body = answer.read(int(head[2].split()[1]))
            answer.readline()
            if abs(np.asarray(pillow.open(io.BytesIO(body))).mean() - value) < 3:
                break
    connection.close()


def test_a_client_that_does_not_read_delays_nobody(preview: Preview) -> None:
    stuck = socket.create_connection(("127.0.0.1", preview.port))
    stuck.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)
    start = time.monotonic()
    for _ in range(200):
        preview.show(noise)
    assert get(preview, "/frame.jpg")[0] == 200
    assert time.monotonic() - start < 5
    stuck.close()


def test_pages_of_others_may_not_look(preview: Preview) -> None:
    preview.show(grey(1))
    assert get(preview, "/frame.jpg", "evil.example")[0] == 403
    assert get(preview, "/frame.jpg", f"evil.example:{preview.port}")[0] == 403
    assert get(preview, "/frame.jpg", f"localhost:{preview.port}")[0] == 200


def test_it_listens_on_this_machine_only(preview: Preview) -> None:
    assert preview._server.server_address[0] == "127.0.0.1"
    assert preview.address == f"http://127.0.0.1:{preview.port}/"


def test_closing_ends_streams_and_frees_the_port() -> None:
    server = Preview(0)
    server.show(grey(1))
    ended = threading.Event()

    def look() -> None:
        get(server, "/stream.mjpg")
        ended.set()

    threading.Thread(target=look, daemon=True).start()
    time.sleep(0.2)
    server.close()
    assert ended.wait(10)
    Preview(server.port).close()


def test_a_port_that_is_taken_is_named(preview: Preview) -> None:
    with pytest.raises(OSError, match=f"port {preview.port}"):
        Preview(preview.port)
    with pytest.raises(OSError, match="port 99999"):
        Preview(99999)


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"mobileinst\[image\]"):
        Preview(0)
