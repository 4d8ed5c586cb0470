"""Counting tracks: who crosses a line, who is in a zone and for how long.

>>> from mobileinst.zones import Line, Zone, ZoneCounter
>>> counter = ZoneCounter([Line((0, 300), (640, 300), "door")], [Zone([(0, 0), (200, 0), (0, 200)], "desk")])
>>> for frame in source:                                            # doctest: +SKIP
...     counter.update(stream.step(frame.image), frame.time)
>>> counter.write("counts.json")                                    # doctest: +SKIP
"""

from .counter import ZoneCounter, ZoneEvent, counts_suffix
from .places import Line, Zone, parse_line, parse_zone

__all__ = ["Line", "Zone", "ZoneCounter", "ZoneEvent", "counts_suffix", "parse_line", "parse_zone"]
