"""Overlays on the page of a `Preview`, while they are made."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..results import Instances
from .sink import FrameResult, Sink

if TYPE_CHECKING:
    from ..video import FrameSource
    from ..video.preview import Preview


class PreviewSink(Sink):
    """Shows each frame, with counts of its classes and of the frames that `source` dropped.

    Args:
        preview: where; `finish` and `discard` close it.
        source: from `mobileinst.video`.
    """

    def __init__(self, preview: Preview, source: FrameSource | None = None) -> None:
        self._preview, self._source = preview, source

    def wants_overlay(self, instances: Instances) -> bool:
        return True

    def write(self, frame: FrameResult) -> None:
        assert frame.overlay is not None
        counts = Counter(frame.instances.names).most_common()
        found = ", ".join(f"{count} {label}" for label, count in counts)
        self._preview.show(frame.overlay, found or "nothing", getattr(self._source, "dropped", 0))

    def finish(self) -> None:
        self._preview.close()

    def discard(self) -> None:
        self._preview.close()
