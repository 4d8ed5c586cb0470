"""Random weights of any configuration, for benchmarks and tests: the speed of a network, not its knowledge.

Batch norms are neither unit nor centred and are calibrated on noise, so that activations stay near unit size
through the whole network and an error in folding, activation order or scale shows in the outputs.

    python -m weights_tools.create topformer_b OUT.safetensors --width 128 --classes 80 --seed 0
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mobileinst import __version__
from mobileinst.io.files import check_writable
from mobileinst.network import BACKBONES, ModelConfig
from mobileinst.network.ops import ConvSpec
from mobileinst.weights import FORMAT, save_weights
from weights_tools.torch_ops import MobileInst, TorchOps

#: Official normalisation of TopFormer and SeaFormer (docs/spec.md: TopFormer): RGB of 0 to 255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

#: Size of the noise that calibrates the norms: stride 64 does not divide it, and it has 12 global positions.
_CALIBRATION_SIZE = (192, 250)

#: Weights of some norms: unscaled attention logits grow with both factors (TopFormer), and the residual
#: branches of the transformers add up.
_GAINS = {"to_q.bn": 0.5, "to_k.bn": 0.5, "attn.proj.1.bn": 0.3, "mlp.fc2.bn": 0.3}

#: Contrast of the noise and of the smooth patches in each image.
_NOISE, _PATCHES = torch.tensor([1.0, 0.8, 0.6, 0.5]), torch.tensor([0.0, 0.5, 0.8, 1.0])

#: Spread of the outputs: some queries pass the score threshold, masks have both signs.
_CLASS_BIAS, _CLASS_STD, _OBJECTNESS_STD, _MASK_STD = -1.0, 1.5, 1.0, 3.0


def random_model(config: ModelConfig, seed: int = 0) -> MobileInst:
    """A network with random, calibrated parameters, in evaluation mode; equal for equal seeds.

    Args:
        config: What to build.
        seed: 0 to 2**63 - 1.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = MobileInst(config).eval()
        image = _calibration_images()
        hooks = [
            module.register_forward_pre_hook(_calibrator(name))
            for name, module in model.named_modules()
            if isinstance(module, nn.BatchNorm2d)
        ]
        model.use_ops(CalibratingOps(model))
        model(image)
        model.use_ops(TorchOps(model))
        for hook in hooks:
            hook.remove()
        _spread_outputs(model, image)
    return model


def random_tensors(config: ModelConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """The parameters of :func:`random_model` under the names of a weights file."""
    return {
        name: value.numpy().copy()
        for name, value in random_model(config, seed).state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def metadata_of(config: ModelConfig, size: int = 640, **card: Any) -> dict[str, Any]:
    """Metadata of a weights file with numbered classes and official normalisation.

    Args:
        config: Configuration of the model.
        size: Default size of its input.
        card: Entries of the model card.
    """
    return {
        "format": FORMAT,
        "config": config.to_dict(),
        "classes": [f"class {i}" for i in range(config.classes)],
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "color": "rgb",
        "size": size,
        "score_threshold": 0.3,
        "version": __version__,
        "card": card,
    }


def _calibration_images() -> Tensor:
    """Noise over smooth patches, from flat to busy, so that pooled features differ between images too."""
    noise, patches = torch.randn(4, 3, *_CALIBRATION_SIZE), torch.randn(4, 3, 6, 8)
    smooth = F.interpolate(patches, _CALIBRATION_SIZE, mode="bilinear")
    return noise * _NOISE[:, None, None, None] + smooth * _PATCHES[:, None, None, None]


class CalibratingOps(TorchOps):
    """Scales the convolutions without norm by their first input, so that they give unit spread."""

    def conv(self, x: Tensor, name: str, spec: ConvSpec) -> Tensor:
        if spec.norm is None:
            y = super().conv(x, name, spec._replace(bias=False, activation=None))
            mean, std = _statistics(y)
            self._get(f"{name}.weight").mul_((1.0 / std)[:, None, None, None])
            self._get(f"{name}.bias").copy_(0.2 * torch.randn(spec.out_channels) - mean / std)
        return super().conv(x, name, spec)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread per channel; a nearly constant channel must not be blown up."""
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3), correction=0)
    return mean, (std.square() + (0.1 * mean).square()).sqrt().clamp_min(1e-3)


def _calibrator(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """Hook that sets a norm near the statistics of its first input, neither exact nor unit."""
    gain = next((gain for end, gain in _GAINS.items() if name.endswith(end)), 1.0)

    def calibrate(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, std = _statistics(inputs[0])
        norm.running_mean.copy_(mean + 0.1 * std * torch.randn_like(std))
        norm.running_var.copy_((std * torch.empty_like(std).uniform_(0.9, 1.1)) ** 2)
        norm.weight.copy_(gain * torch.empty_like(std).uniform_(0.5, 1.5))
        norm.bias.copy_(gain * 0.2 * torch.randn_like(std))

    return calibrate


def _spread_outputs(model: MobileInst, image: Tensor) -> None:
    """Scale the heads so that scores and masks vary, as those of a trained network do."""
    head = "instance_decoder"
    nn.init.xavier_uniform_(model.get_parameter(f"{head}.kernel.weight"))
    nn.init.xavier_uniform_(model.get_parameter(f"{head}.class.weight"))
    nn.init.zeros_(model.get_parameter(f"{head}.class.bias"))
    out = model(image)
    for name, logits, std in (
        ("class", out["class_logits"], _CLASS_STD),
        ("objectness", out["objectness_logits"], _OBJECTNESS_STD),
        ("kernel", out["mask_logits"], _MASK_STD),
    ):
        model.get_parameter(f"{head}.{name}.weight").mul_(std / logits.std().clamp_min(1e-6))
    nn.init.constant_(model.get_parameter(f"{head}.class.bias"), _CLASS_BIAS)


def create(path: Path, config: ModelConfig, *, seed: int = 0, size: int = 640, fp16: bool = False) -> None:
    """Write a weights file of random parameters.

    Raises:
        WeightsError: for a size outside of what a weights file may name.
        OSError: if the file can't be written.
    """
    check_writable(path)
    tensors: dict[str, NDArray[Any]] = dict(random_tensors(config, seed))
    if fp16:
        tensors = {name: value.astype(np.float16) for name, value in tensors.items()}
    card = {"training": "none: random weights for benchmarks and tests", "seed": seed}
    save_weights(path, tensors, metadata_of(config, size, **card))


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(prog="python -m weights_tools.create", description=__doc__.split("\n\n")[0])
    p.add_argument("config", choices=BACKBONES, metavar="CONFIG", help=f"backbone: {', '.join(BACKBONES)}")
    p.add_argument("output", type=Path, metavar="OUT.safetensors")
    p.add_argument("--width", type=int, default=256, help="channels of the mask decoder (default 256)")
    p.add_argument("--classes", type=int, default=80)
    p.add_argument("--queries", type=int, default=100)
    p.add_argument("--key-stride", type=int, default=64, choices=(32, 64), help="stride of the queries' keys")
    p.add_argument("--mask-stride", type=int, default=8, choices=(4, 8), help="stride of the mask features")
    p.add_argument("--use-sim", action="store_true", help="TopFormer with its semantic injection modules")
    p.add_argument("--size", type=int, default=640, help="default input size that the file names")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--fp16", action="store_true", help="store half precision")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        if not 0 <= options.seed < 2**63:
            raise ValueError(f"seed must be from 0 to 2**63 - 1; got {options.seed}")
        config = ModelConfig(
            options.config,
            width=options.width,
            classes=options.classes,
            queries=options.queries,
            key_stride=options.key_stride,
            mask_stride=options.mask_stride,
            use_sim=options.use_sim,
        )
        create(options.output, config, seed=options.seed, size=options.size, fp16=options.fp16)
    except (ValueError, OSError) as error:
        print(f"create: {error}", file=sys.stderr)
        return 1
    print(
        f"{options.output}: {config.backbone}, width {config.width}, {options.output.stat().st_size:,} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
