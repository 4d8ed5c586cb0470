"""Convert checkpoints to weights files of this project.

    python -m weights_tools.convert SRC DST.safetensors [--fp16]

SRC is a `.pth`, `.safetensors` or `.npz` file with TopFormer, SeaFormer (mmseg or ImageNet checkpoints),
torchvision's MobileNetV2, or a whole model of this project. The architecture and its size are recognised by
names and shapes; what is used, skipped, missing or of another shape is told, and nothing is written unless
everything that the network needs is there.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst import __version__
from mobileinst.io.files import check_outputs, check_writable
from mobileinst.io.terminal import one_line, printable, printable_lines
from mobileinst.weights import FORMAT, WeightsError, save_weights
from weights_tools.checkpoints import Checkpoint, CheckpointError, read_checkpoint
from weights_tools.recognise import Match, RecognitionError, recognise, setting_names

#: Official normalisation of all three families (RGB of 0 to 255).
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

#: Settings of a whole model that its tensors don't show.
_INVISIBLE = ("heads", "key_stride")

_LISTED = 20


@dataclass
class Report:
    """What a conversion found: the checkpoint, how it fits, and the metadata of the result."""

    checkpoint: Checkpoint
    match: Match
    metadata: dict[str, Any]

    def __str__(self) -> str:
        match, lines = self.match, []
        where = f", entry {self.checkpoint.entry!r}" if self.checkpoint.entry else ""
        others = f" (not taken: {', '.join(self.checkpoint.others)})" if self.checkpoint.others else ""
        config = match.config
        sim = " with injection modules" if config.use_sim else ""
        lines.append(f"recognised: {config.backbone}{sim}, {match.kind}{where}{others}")
        if match.prefix:
            lines.append(f"prefix:     {match.prefix}")
        if match.kind == "model":
            settings = (f"{k}={v}" for k, v in config.to_dict().items() if k not in ("backbone", "use_sim"))
            lines.append(f"settings:   {', '.join(settings)}")
        values = sum(x.size for x in match.tensors.values())
        folded = f", {match.folded} batch norms were folded" if match.folded else ""
        lines.append(f"used:       {len(match.used)} tensors, {values:,} values{folded}")
        lines.append(f"skipped:    {_grouped(match.skipped)}")
        lines.append(f"missing:    {_listed(match.missing)}")
        shapes = [f"{k} {had}, expected {want or 'none'}" for k, (had, want) in match.misshaped.items()]
        lines.append(f"mis-shaped: {_listed(shapes)}")
        if config.backbone == "mobilenetv2" and "backbone.embed.c.weight" not in match.tensors:
            lines.append("note:       x3, x4, x5 only; the transformer of x6 is this project's own")
        return "\n".join(lines)


class ConversionError(ValueError):
    """A checkpoint was understood, but doesn't hold what the network needs; ``report`` says what it lacks."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def convert(
    source: Path,
    target: Path,
    *,
    fp16: bool = False,
    settings: Mapping[str, Any] | None = None,
    prefix: str | None = None,
    entry: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Report:
    """Convert a checkpoint; the weights file appears whole or not at all.

    Args:
        source: The checkpoint.
        target: The weights file to write.
        fp16: Store convolutions and linear layers in half precision. Norms, biases and statistics stay in
            float32: small variances would not survive.
        settings: Fields of :class:`~mobileinst.network.ModelConfig` that overrule what is recognised.
        prefix: What stands before the names of the network; None finds it.
        entry: Entry of a checkpoint that has several; None prefers averaged weights.
        metadata: Entries of the result's metadata that overrule those found (classes, mean, std, size, ...).

    Raises:
        CheckpointError: if the file can't be read safely.
        RecognitionError: if no architecture, or more than one, is found.
        ConversionError: if tensors are missing or of another shape, or settings are not known.
        WeightsError: if a value is not finite, or the metadata is not valid.
        ValueError: if the target is the source.
        OSError: if the target can't be written.
    """
    check_outputs([target], [source])
    check_writable(target)
    checkpoint = read_checkpoint(source, entry)
    known = {**checkpoint.metadata.get("config", {}), **(settings or {})}
    if checkpoint.metadata.get("kind") == "backbone":
        known = {key: known[key] for key in ("backbone", "use_sim") if key in known}
    match = recognise(checkpoint.tensors, known, prefix=prefix)
    report = Report(checkpoint, match, _metadata(checkpoint, match, metadata or {}))
    if match.problems:
        raise ConversionError(
            f"{source}: not a whole {match.config.backbone}: {len(match.missing)} tensors are missing, "
            f"{len(match.misshaped)} of another shape than expected",
            report,
        )
    unknown = [name for name in _INVISIBLE if name not in known]
    if match.kind == "model" and unknown:
        raise ConversionError(
            f"{source}: ambiguous: {' and '.join(unknown)} don't show in the tensors; give them, for "
            f"instance --config {','.join(f'{k}={match.config.to_dict()[k]}' for k in unknown)}",
            report,
        )
    tensors: dict[str, NDArray[Any]] = dict(match.tensors)
    if fp16:
        tensors = {name: _half(name, value) for name, value in tensors.items()}
    save_weights(target, tensors, report.metadata)
    return report


def _half(name: str, value: NDArray[np.float32]) -> NDArray[Any]:
    if value.ndim < 2:
        return value
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    if not np.isfinite(half).all() and np.isfinite(value).all():
        raise WeightsError(f"tensor {name!r} reaches {np.abs(value).max():g}, too large for half precision")
    return half


def _metadata(checkpoint: Checkpoint, match: Match, given: Mapping[str, Any]) -> dict[str, Any]:
    config = match.config
    whole = match.kind == "model"
    classes = [f"class {i}" for i in range(config.classes)] if whole else []
    defaults: dict[str, Any] = {
        "classes": classes,
        "mean": list(MEAN),
        "std": list(STD),
        "color": "rgb",
        "size": 640,
        "score_threshold": 0.3,
        "card": {"converted": {"kind": match.kind, "skipped": len(match.skipped), "folded": match.folded}},
    }
    merged = {**defaults, **checkpoint.metadata, **given}
    if not whole:
        merged["classes"], merged["score_threshold"] = [], 0.3
    settings = config.to_dict() if whole else {"backbone": config.backbone, "use_sim": config.use_sim}
    return {**merged, "format": FORMAT, "kind": match.kind, "config": settings, "version": __version__}


def _grouped(names: Sequence[str]) -> str:
    """Names counted by their first part."""
    if not names:
        return "0"
    groups = Counter(name.split(".")[0] for name in names)
    return f"{len(names)} ({', '.join(f'{group}: {count}' for group, count in groups.most_common(_LISTED))})"


def _listed(names: Sequence[str]) -> str:
    shown = [f"\n  {name}" for name in names[:_LISTED]]
    more = f"\n  and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)}{''.join(shown)}{more}"


def _settings(text: str) -> dict[str, Any]:
    """``KEY=VALUE,...`` or a JSON file as fields of a configuration."""
    if "=" not in text:
        try:
            values = json.loads(Path(text).read_text())
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"expected KEY=VALUE,... or a JSON file: {error}") from None
        if not isinstance(values, dict):
            raise argparse.ArgumentTypeError(f"{text}: expected a JSON object")
    else:
        values = {}
        for pair in text.split(","):
            key, _, value = pair.strip().partition("=")
            plain = {"true": True, "false": False}.get(value.lower())
            values[key] = (
                plain if plain is not None else int(value) if re.fullmatch("[0-9]{1,18}", value) else value
            )
    unknown = sorted(set(values) - set(setting_names()))
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown settings {unknown}; known are {', '.join(setting_names())}"
        )
    return values


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="python -m weights_tools.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("source", type=Path, metavar="SRC")
    p.add_argument("target", type=Path, metavar="DST.safetensors")
    p.add_argument(
        "--fp16", action="store_true", help="store convolutions and linear layers in half precision"
    )
    p.add_argument(
        "--config", type=_settings, metavar="KEY=VALUE,...|FILE.json", help="settings of the network"
    )
    p.add_argument("--prefix", help="what stands before the network's names in the checkpoint")
    p.add_argument("--entry", help="entry of the checkpoint to take, such as state_dict")
    p.add_argument("--classes", help="names of the classes of a whole model, with commas between")
    p.add_argument("--mean", type=float, nargs=3, help="mean of RGB values of 0 to 255")
    p.add_argument("--std", type=float, nargs=3, help="standard deviation of RGB values of 0 to 255")
    p.add_argument("--size", type=int, help="default size of the input")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser().parse_args(arguments)
    metadata = {key: getattr(options, key) for key in ("mean", "std", "size") if getattr(options, key)}
    if options.classes:
        metadata["classes"] = [name.strip() for name in options.classes.split(",")]
    try:
        report = convert(
            options.source,
            options.target,
            fp16=options.fp16,
            settings=options.config,
            prefix=options.prefix,
            entry=options.entry,
            metadata=metadata,
        )
    except ConversionError as error:
        print(printable_lines(error.report))
        print(f"convert: {one_line(error)}", file=sys.stderr)
        return 1
    except (CheckpointError, RecognitionError, WeightsError, ValueError, OSError) as error:
        print(f"convert: {one_line(error)}", file=sys.stderr)
        return 1
    print(printable_lines(report))
    print(f"written:    {printable(options.target)}, {options.target.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
