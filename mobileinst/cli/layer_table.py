"""The table of layers that `mobileinst info` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..io.tables import text_table
from ..network.config import ModelConfig
from ..network.counter import LayerCount, count_backbone, count_layers

_PARTS = ("backbone", "mask_decoder", "instance_decoder")


def layer_table(config: ModelConfig, height: int, width: int, *, kind: str = "model") -> Iterator[str]:
    """Lines of a table: each layer with output shape, parameters and multiply-adds, then the totals.

    With ``kind="backbone"`` of the backbone alone.
    """
    alone = kind == "backbone"
    layers = count_backbone(config, height, width) if alone else count_layers(config, height, width)
    rows = [["layer", "operation", "output", "parameters", "multiply-adds"]]
    for layer in layers:
        rows.append([layer.name, layer.op, layer.shape, _blank(layer.parameters), _blank(layer.macs)])
    lines = text_table(rows, words=2).splitlines()
    yield from lines
    yield lines[1]
    for part in () if alone else _PARTS:
        yield _total(part, [layer for layer in layers if layer.name.startswith(part)])
    if not alone:
        yield _total("masks of all queries", [layer for layer in layers if not layer.name.startswith(_PARTS)])
    yield _total(f"total at {height}x{width}", layers)


def _total(name: str, layers: Iterable[LayerCount]) -> str:
    chosen = list(layers)
    parameters, macs = sum(layer.parameters for layer in chosen), sum(layer.macs for layer in chosen)
    return f"{name:<24}{parameters:>12,} parameters {macs / 1e9:>9.3f} G multiply-adds"


def _blank(count: int) -> str:
    return f"{count:,}" if count else ""
