"""Signals that come while files get their names: all have them before the signal is acted on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mobileinst import Instances
from mobileinst.export import FrameResult, JsonLinesSink, PngMaskSink
from mobileinst.io.signals import hold_signals
from mobileinst.pipeline import _finish

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class _Came(Exception):
    """A signal was acted on."""


@pytest.fixture
def handled() -> Iterator[None]:
    def act(number: int, frame: Any) -> NoReturn:
        raise _Came(number)

    before = {number: signal.signal(number, act) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class _Interrupted(JsonLinesSink):
    """Gets a signal before it gives its file a name, and another one afterwards."""

    number = signal.SIGINT

    def finish(self) -> None:
        signal.raise_signal(self.number)
        super().finish()
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", NUMBERS)
def test_all_files_get_their_names_first(tmp_path: Path, handled: None, number: signal.Signals) -> None:
    (tmp_path / "b.jsonl").write_text("old")
    sinks = [JsonLinesSink(tmp_path / "a.jsonl"), _Interrupted(tmp_path / "b.jsonl"), PngMaskSink(tmp_path)]
    sinks[1].number = number  # type: ignore[attr-defined]
    for sink in sinks:
        sink.write(FrameResult(0, 0.0, Instances.empty((4, 5))))
    with pytest.raises(_Came):
        _finish(sinks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.png", "a.jsonl", "b.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == (tmp_path / "b.jsonl").read_text() != "old"


def test_ignored_signals_stay_ignored(handled: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with hold_signals():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_an_error_goes_before_a_signal(handled: None) -> None:
    def fail() -> None:
        with hold_signals():
            signal.raise_signal(signal.SIGTERM)
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    with pytest.raises(_Came):  # handlers are back
        signal.raise_signal(signal.SIGTERM)
