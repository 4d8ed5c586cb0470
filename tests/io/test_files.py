"""Outputs: whole or not at all, never in the place of something else, errors that name the file."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mobileinst.io.files import Output, check_outputs, check_writable, fitting_name, is_plain, local_path
from mobileinst.io.terminal import one_line, printable


def write(path: Path | str, text: str = "new") -> None:
    with Output(path) as output:
        output.open().write(text)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    write(tmp_path / "pipe")
    reader.join(10)
    assert got == ["new"]
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    assert not is_plain(tmp_path / "pipe")
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_device_is_written_to_and_stays() -> None:
    before = os.stat("/dev/null")
    write("/dev/null")
    check_writable("/dev/null")
    assert os.stat("/dev/null").st_ino == before.st_ino
    with pytest.raises(OSError, match="can't write /dev/full: No space left on device"):
        write("/dev/full")


def test_a_descriptor_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        file.write("first ")
        file.flush()
        write(f"/dev/fd/{file.fileno()}", "second")
    assert (tmp_path / "out").read_text() == "first second"
    assert os.listdir(tmp_path) == ["out"]


def test_sockets_folders_and_what_may_not_be_written_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="socket: it is a socket"):
            Output(tmp_path / "socket")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        Output(tmp_path)
    with pytest.raises(FileNotFoundError, match="without a name"):
        Output("")
    with pytest.raises(OSError, match=r"can't write .*none/x"):
        Output(tmp_path / "none" / "x")


def test_links_are_followed_and_permissions_kept(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    target = tmp_path / "store" / "target"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(Path("store") / "target")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    (tmp_path / "dangling").symlink_to(Path("store") / "later")
    write(tmp_path / "dangling")
    assert (tmp_path / "store" / "later").read_text() == "new"
    assert sorted(os.listdir(tmp_path / "store")) == ["later", "target"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 250 + ".json", "a." + "b" * 250])
def test_the_longest_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("old")
    for end in ("discard", "complete", "finish"):
        output = Output(path)
        file = output.open()
        file.write("buffered")
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file.fileno())
        os.close(full)
        if end == "discard":
            output.discard()
        else:
            with pytest.raises(OSError, match=r"can't write .*x\.jsonl: No space left"):
                getattr(output, end)()
            output.discard()
        assert os.listdir(tmp_path) == ["x.jsonl"]
        assert path.read_text() == "old"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_a_signal_ends_the_process(tmp_path: Path, number: signal.Signals) -> None:
    code = f"""
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
from mobileinst.io.files import Output
outputs = [Output(f"{tmp_path}/{{i}}.json") for i in range(3)]
outputs[0].open().write("begun")
print("ready", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert len(os.listdir(tmp_path)) == 3
    process.send_signal(number)
    process.wait(20)
    process.stdout.close()
    assert os.listdir(tmp_path) == []


def test_an_output_that_is_an_input_is_refused_by_whatever_name(tmp_path: Path) -> None:
    source = tmp_path / "a b.json"
    source.write_text("x")
    (tmp_path / "soft").symlink_to(source)
    os.link(source, tmp_path / "hard")
    for output in (source, tmp_path / "soft", tmp_path / "hard", f"{tmp_path}/./a b.json"):
        for named in (source, f"file:{source}", f"file://{tmp_path}/a%20b.json"):
            with pytest.raises(ValueError, match="it can't be an output too"):
                check_outputs([output], [named])
    with pytest.raises(ValueError, match="outputs must differ"):
        check_outputs([tmp_path / "new", tmp_path / "." / "new"], [])
    check_outputs([tmp_path / "new", "/dev/null", "/dev/null"], [source, "/dev/null"])
    assert local_path("file:none") == "none"


def test_names_are_cut_to_fit_and_shown_on_one_line() -> None:
    assert fitting_name("ab", ".json") == "ab.json"
    assert len(os.fsencode(fitting_name("動" * 200, "-tracked.mp4"))) <= 255
    assert printable("a\x1b]0;x\x07\udce9\n") == "a\\x1b]0;x\\x07\\udce9\\n"
    assert one_line("two\n lines \x1b") == "two lines \\x1b"
