"""Export a weights file to ONNX, so that other engines run the very same network.

    python -m weights_tools.export_onnx WEIGHTS OUT.onnx --size 640
    python -m weights_tools.export_onnx WEIGHTS OUT.onnx --size 360 640 --part features

The graph has a fixed input size, batch norms folded by the exporter, and outputs named and shaped as in
``Segmenter.forward``; ``image``, ``pooled`` and ``x3`` to ``x6`` have a leading batch of 1.
Parts: ``model`` image -> all outputs; ``masks`` the same without mask_features; ``features`` image ->
mask_features, pooled, x6; ``instances`` pooled, x6 -> class_logits, objectness_logits, kernels; ``backbone``
image -> x3, x4, x5, x6.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobileinst.io.files import Output, check_outputs, check_writable
from mobileinst.io.terminal import one_line
from mobileinst.network.model import Features
from mobileinst.network.ops import Size
from mobileinst.weights import find_weights
from weights_tools.loading import torch_model
from weights_tools.torch_ops import MobileInst, TorchOps, windowed_logits

Part = Literal["model", "masks", "features", "instances", "backbone"]
PARTS: tuple[Part, ...] = ("model", "masks", "features", "instances", "backbone")

#: Old enough for every peer engine, new enough for what the network needs.
OPSET = 17

INPUTS: dict[Part, list[str]] = {
    "model": ["image"],
    "masks": ["image"],
    "features": ["image"],
    "instances": ["pooled", "x6"],
    "backbone": ["image"],
}
OUTPUTS: dict[Part, list[str]] = {
    "model": ["class_logits", "objectness_logits", "kernels", "mask_features", "mask_logits"],
    "masks": ["class_logits", "objectness_logits", "kernels", "mask_logits"],
    "features": ["mask_features", "pooled", "x6"],
    "instances": ["class_logits", "objectness_logits", "kernels"],
    "backbone": ["x3", "x4", "x5", "x6"],
}


class ExportOps(TorchOps):
    """PyTorch operations that ONNX can express at any size.

    ONNX has no adaptive pooling: uneven bins become slices (maximum) or a product with a constant matrix
    (average). Attention is written out as matrix products and a softmax, which all engines know.
    """

    def size(self, x: Tensor) -> Size:
        return int(x.shape[2]), int(x.shape[3])

    def channels(self, x: Tensor) -> int:
        return int(super().channels(x))

    def attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float, name: str) -> Tensor:
        def per_head(x: Tensor) -> Tensor:
            rows, channels = int(x.shape[1]), int(x.shape[2])
            return x.reshape(1, rows, heads, channels // heads).permute(0, 2, 1, 3)

        q = per_head(q) * scale if scale != 1.0 else per_head(q)
        y = torch.softmax(q @ per_head(k).permute(0, 1, 3, 2), -1) @ per_head(v)
        return y.permute(0, 2, 1, 3).reshape(1, int(q.shape[2]), int(v.shape[2]))

    def tokens(self, x: Tensor) -> Tensor:
        height, width = self.size(x)
        return x.reshape(1, self.channels(x), height * width).permute(0, 2, 1)

    def as_map(self, x: Tensor, size: Size) -> Tensor:
        return x.permute(0, 2, 1).reshape(1, int(x.shape[2]), *size)

    def average_pool(self, x: Tensor, size: Size, name: str) -> Tensor:
        height, width = self.size(x)
        if height % size[0] == 0 and width % size[1] == 0:
            return F.avg_pool2d(x, (height // size[0], width // size[1]))
        rows = averaging_matrix(height, size[0])
        columns = averaging_matrix(width, size[1])
        return rows @ (x @ columns.T.contiguous())

    def max_pool(self, x: Tensor, size: Size, name: str) -> Tensor:
        height, width = self.size(x)
        if height % size[0] == 0 and width % size[1] == 0:
            return F.max_pool2d(x, (height // size[0], width // size[1]))
        if size == (2 * height, 2 * width):  # each bin is one value
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = torch.cat([x[:, :, a:b].amax(2, keepdim=True) for a, b in bins(height, size[0])], 2)
        return torch.cat([x[:, :, :, a:b].amax(3, keepdim=True) for a, b in bins(width, size[1])], 3)


def bins(length: int, count: int) -> list[tuple[int, int]]:
    """PyTorch's adaptive bins: from floor(i * length / count) to ceil((i + 1) * length / count)."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def averaging_matrix(length: int, count: int) -> Tensor:
    """Adaptive average pooling of one axis as a matrix (count, length)."""
    matrix = torch.zeros(count, length)
    for i, (a, b) in enumerate(bins(length, count)):
        matrix[i, a:b] = 1.0 / (b - a)
    return matrix


class ExportedPart(nn.Module):
    """One part of the network with the inputs and outputs of its ONNX graph."""

    def __init__(self, model: MobileInst, part: Part) -> None:
        super().__init__()
        self.model = model
        self.part = part
        model.use_ops(ExportOps(model))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.part == "instances":
            pooled, x6 = inputs
            found = self.model.instances(Features(pooled, pooled, x6))
            return found.class_logits[0], found.objectness_logits[0, :, 0], found.kernels[0]
        if self.part == "backbone":
            levels = self.model.backbone_features(*inputs)
            return levels.x3, levels.x4, levels.x5, levels.x6
        features = self.model.features(*inputs)
        if self.part == "features":
            return features.mask_features[0], features.pooled, features.x6
        found = self.model.instances(features)
        kernels, mask_features = found.kernels[0], features.mask_features[0]
        depth, height, width = (int(n) for n in mask_features.shape)
        if self.model.config.query_source == "places":
            masks = windowed_logits(found.kernels, features.mask_features)[0]
        else:
            masks = kernels @ mask_features.reshape(depth, height * width)
            masks = masks.reshape(int(kernels.shape[0]), height, width)
        logits = (found.class_logits[0], found.objectness_logits[0, :, 0])
        return (*logits, kernels, *((mask_features,) if self.part == "model" else ()), masks)


def example_inputs(model: MobileInst, part: Part, size: Size) -> tuple[Tensor, ...]:
    """Inputs of a part for an image of ``size``: random, batch 1."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, *size, generator=generator)
    if part != "instances":
        return (image,)
    with torch.no_grad():
        found = model.features(image)
    return found.pooled, found.x6


def export_onnx(model: MobileInst, path: Path, size: Size, part: Part = "model") -> None:
    """Write one part of a network as an ONNX file; it appears whole or not at all.

    Args:
        model: The network, in evaluation mode; afterwards it computes with the exporter's operations.
        path: Where to write.
        size: Height and width of the image, each at least 32.
        part: ``model``, ``features``, ``instances`` or ``backbone``.

    Raises:
        ValueError: for a size below 32 or an unknown part.
        ImportError: without the onnx package.
        OSError: if the file can't be written.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ImportError('export needs the onnx package: pip install "mobileinst[export]"')
    if min(size) < 32:
        raise ValueError(f"expected a size of at least 32x32; got {size[0]}x{size[1]}")
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}; got {part!r}")
    if part == "instances" and model.config.query_source == "places":
        raise ValueError(
            "part: queries that begin as places need the detector's maps; expected model, masks, features or "
            "backbone, got instances"
        )
    wrapped = ExportedPart(model, part).eval()
    with Output(path) as output, warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of every size that becomes a constant, which is what is wanted here, and that a
        # newer exporter exists, which needs a further package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            wrapped,
            example_inputs(model, part, size),
            str(output.temporary),
            input_names=INPUTS[part],
            output_names=OUTPUTS[part],
            opset_version=OPSET,
            **_exporter(),
        )


def _exporter() -> dict[str, Any]:
    """Asks for the exporter that needs no further package, where PyTorch has two (2.5 and later)."""
    return {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="python -m weights_tools.export_onnx", description=__doc__.split("\n\n")[0]
    )
    p.add_argument("weights", metavar="WEIGHTS", help="weights file, or the name of shipped weights")
    p.add_argument("output", type=Path, metavar="OUT.onnx")
    p.add_argument("--size", type=int, nargs="+", metavar="N", help="side, or height and width, of the image")
    p.add_argument("--part", choices=PARTS, default="model")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    command = parser()
    options = command.parse_args(arguments)
    sizes = options.size or [640]
    if len(sizes) > 2:
        command.error(f"--size takes one or two numbers; got {len(sizes)}")
    try:
        check_outputs([options.output], [find_weights(options.weights)])
        check_writable(options.output)
        export_onnx(torch_model(options.weights), options.output, (sizes[0], sizes[-1]), options.part)
    except (ImportError, ValueError, OSError) as error:
        print(f"export_onnx: {one_line(error)}", file=sys.stderr)
        return 1
    print(f"{options.output}: {options.part} at {sizes[0]}x{sizes[-1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
