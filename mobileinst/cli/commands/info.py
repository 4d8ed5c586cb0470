"""`mobileinst info`: the layers of a network and the card of weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import parse_size
from ..status import say

HELP = "print every layer with its shape, parameters and multiply-adds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="backbone, or weights (default weights)")
    parser.add_argument("--size", type=parse_size, metavar="S", help="size of the input: 640 or 480x864")
    parser.add_argument("--width", type=int, default=256, help="of the mask decoder, for a backbone (256)")
    parser.add_argument("--classes", type=int, default=80, help="number of classes, for a backbone (80)")
    parser.add_argument("--queries", type=int, default=100, help="number of queries, for a backbone (100)")


def run(options: argparse.Namespace) -> int:
    from ...inputs import check_size
    from ...network.config import BACKBONES, DETECTORS, ModelConfig
    from ...weights import available_weights, load_weights
    from ..layer_table import layer_table

    weights = None
    named = options.config in available_weights() or Path(options.config or "").is_file()
    if options.config is None or named:
        weights = load_weights(options.config, kind=None)
        config = weights.config
    elif options.config in (*BACKBONES, *DETECTORS):
        config = ModelConfig(
            options.config, width=options.width, classes=options.classes, queries=options.queries
        )
    else:
        known = ", ".join([*BACKBONES, *DETECTORS, *available_weights()])
        raise ValueError(f"expected one of {known}, or a weights file; got {options.config!r}")
    size = check_size(options.size) if options.size is not None else weights.size if weights else 640
    height, width = size if isinstance(size, tuple) else (size, size)
    kind = weights.kind if weights else "model"
    if kind == "backbone":
        say(f"backbone {config.backbone} alone, use_sim {config.use_sim}")
    else:
        say(", ".join(f"{name} {value}" for name, value in config.to_dict().items()))
    for line in layer_table(config, height, width, kind=kind):
        say(line)
    if weights is not None:
        classes = f"classes: {', '.join(weights.classes)}; " if weights.classes else ""
        say()
        say(f"{classes}size {weights.size}; version {weights.version}")
        ranges = f"{len(weights.ranges)} ranges" if weights.ranges else "no ranges, so in floats only"
        say(f"int8: {ranges}")
        for key, value in weights.card.items():
            say(f"{key}: {value}")
    return 0
