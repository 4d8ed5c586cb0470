"""The backbone alone, for those who build something else on its features."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from . import _native
from .engine import (
    ForkLock,
    Graph,
    NativeOps,
    Parameters,
    Precision,
    Program,
    SizeCache,
    choose_precision,
    compile_program,
    input_image,
    thread_pool,
)
from .inputs import check_network_input
from .network.backbones import ARCHITECTURES
from .weights import BACKBONE_PREFIX, Weights, check_weights, is_whole, load_weights


class Backbone:
    """The feature maps of a backbone, computed by the native engine.

    Args:
        weights: path of a weights file (a backbone alone, as ``python -m weights_tools.convert`` makes of
            official checkpoints, or a whole model), name of shipped weights, loaded Weights, or None for the
            default.
        threads: threads of the network; None means ``MOBILEINST_THREADS``, or else the number that makes a
            frame fastest here. Results are the same bit for bit for any number.
        precision: as of :class:`mobileinst.Segmenter`.

    Attributes:
        weights: what was loaded; ``weights.config.backbone`` names the architecture.

    Raises:
        WeightsError: for weights that are missing, damaged or not of this project.
        ValueError: for a number of threads out of range, or a precision that can't be had here or of these
            weights.

    Example:
        >>> from mobileinst import Backbone
        >>> levels = Backbone("topformer_t.safetensors").features(x)  # doctest: +SKIP
        >>> {name: level.shape for name, level in levels.items()}  # doctest: +SKIP
        {'x3': (32, 64, 64), 'x4': (64, 32, 32), 'x5': (96, 16, 16), 'x6': (208, 8, 8)}
    """

    def __init__(
        self,
        weights: Weights | str | os.PathLike[str] | None = None,
        *,
        threads: int | None = None,
        precision: str | None = None,
    ) -> None:
        self.weights = weights if isinstance(weights, Weights) else load_weights(weights, kind=None)
        check_weights(self.weights, kind=None)
        pool = thread_pool(threads)
        parameters = Parameters(self.weights.tensors, _native.tier())
        loaded = self.weights
        self._precision = policy = choose_precision(
            precision, parameters.tier, loaded.ranges, loaded.float_nodes
        )
        self._programs = SizeCache(
            lambda height, width: _compile(loaded, parameters, pool, (height, width), policy)
        )
        self._lock = ForkLock()

    @property
    def precision(self) -> str:
        """What the backbone computes in: "fp32", "fp16" or "int8"."""
        return self._precision.name

    def features(self, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Feature maps of a normalised image.

        Args:
            x: float32 (3, H, W), normalised as the weights expect (``weights.mean``, ``weights.std``), at
                least 1x1.

        Returns:
            New float32 arrays (C, h, w). ``x3``, ``x4``, ``x5``: local features at strides 8, 16, 32;
            ``x6``: global features at stride 64. With TopFormer weights that have semantic injection modules
            also ``sim3``, ``sim4``, ``sim5``, the injected maps (the official outputs). MobileNetV2 weights
            from elsewhere have no ``x6``: its transformer is this project's.

        Raises:
            TypeError, ValueError: for anything else than such an array.
        """
        image = check_network_input(x)
        with self._lock:
            program = self._programs.get(*image.shape[1:])
            mean, std = list(self.weights.mean), list(self.weights.std)
            program.plan.load_planes(program.tensors["image"], image, mean, std, "x")
            program.plan.run()
            return {name: program.read(name) for name in program.tensors if name != "image"}


def _compile(
    weights: Weights,
    parameters: Parameters,
    pool: _native.ThreadPool,
    size: tuple[int, int],
    precision: Precision,
) -> Program:
    graph, config = Graph(), weights.config
    ops = NativeOps(graph, parameters)
    image = input_image(ops, size, weights)
    levels = ARCHITECTURES[config.backbone].maps(
        ops,
        image,
        config,
        prefix=BACKBONE_PREFIX,
        whole=is_whole(config, weights.tensors),
    )
    return compile_program(graph, parameters, levels, pool, precision)
