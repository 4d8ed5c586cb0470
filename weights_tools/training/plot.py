"""Curves of a training log: ``python -m weights_tools.training.plot RUN OUT.png``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mobileinst.io.files import Output, check_outputs
from weights_tools.command import tells_errors
from weights_tools.training.checkpoint import LOG, read_log

_LOSSES = ("class", "dice", "bce", "objectness", "passed_dice")


def plot(run: Path, output: Path) -> None:
    """Draw losses, matched mask IoU with the learning rate, and validation AP over the images seen.

    Raises:
        ImportError: without matplotlib.
        ValueError: if the log has no entries.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install matplotlib") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    entries = read_log(run / LOG)
    steps = [e for e in entries if "loss" in e]
    values = [e for e in entries if "val" in e]
    if not steps:
        raise ValueError(f"{run / LOG} has no training entries")
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(15, 4), layout="constrained")
    images = [e["images"] for e in steps]
    for name in _LOSSES:
        if name in steps[-1]:
            known = [(e["images"], e[name]) for e in steps if name in e]
            left.plot(*zip(*known, strict=True), label=name, linewidth=1)
    left.set(title="weighted losses", xlabel="images", ylim=(0, 2.5))
    left.legend()
    middle.plot(images, [e["iou"] for e in steps], label="matched mask IoU", linewidth=1)
    top = max(e["lr"] for e in steps)
    middle.plot(images, [e["lr"] / top for e in steps], label=f"learning rate / {top:g}", linewidth=1)
    middle.set(title="masks and schedule", xlabel="images", ylim=(0, 1.05))
    middle.legend()
    right.set(title="validation (averaged weights)", xlabel="images")
    for name in ("AP", "AP50", "APm", "APl"):
        known = [(e["images"], e["val"][name]) for e in values if name in e["val"]]
        if known:
            right.plot(*zip(*known, strict=True), "o-", label=name)
            right.legend()
    with Output(output) as file:
        figure.savefig(file.temporary, dpi=90)
    pyplot.close(figure)


@tells_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the curves of a training run."""
    parser = argparse.ArgumentParser(prog="python -m weights_tools.training.plot", description=main.__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("output", type=Path, help="picture to write")
    options = parser.parse_args(arguments)
    check_outputs([options.output], options.run.rglob("*"))
    plot(options.run, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
