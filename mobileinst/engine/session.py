"""The native engine: a model's plans for each input size, and sessions that run them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst import _native
from mobileinst.engine.emit import Program, compile_program
from mobileinst.engine.graph import Graph, NativeOps, Node
from mobileinst.engine.parameters import Parameters
from mobileinst.engine.plain_tier import plain_tier_warning
from mobileinst.engine.precision import FLOAT32, Precision, choose_precision
from mobileinst.engine.processors import PIECES_WHERE_CORES_DIFFER, default_threads, usable_processors
from mobileinst.engine.size_cache import SizeCache
from mobileinst.network import features, instances
from mobileinst.network.selection import WINDOW_CHANNELS, add_windows, grown, kernel_boxes
from mobileinst.weights import Weights, check_weights

Array = NDArray[np.float32]

_FEATURES, _INSTANCES, _MASK_FEATURES = 0, 1, 2


def thread_pool(threads: int | None) -> _native.ThreadPool:
    """A pool of so many threads, or of as many as are fastest here; in smaller pieces where cores differ.

    Raises:
        ValueError: for a number out of range, also in ``MOBILEINST_THREADS``.
    """
    pieces = PIECES_WHERE_CORES_DIFFER if usable_processors().differ else 1
    return _native.ThreadPool(default_threads() if threads is None else threads, pieces)


class NativeModel:
    """A model whose layers are folded and packed for this machine.

    Args:
        weights: Parameters and metadata.
        threads: Threads of all sessions together; None means ``MOBILEINST_THREADS``, or else the number that
            makes a frame fastest here. Results are the same bit for bit for any number.
        precision: "fp32", "fp16", "int8" or "auto", or a policy of its own; None means
            ``MOBILEINST_PRECISION``, or else "fp32".

    Raises:
        WeightsError: if a tensor is missing or of the wrong shape, or the weights are a backbone's alone.
        ValueError: if threads is out of range, or the precision can't be had here or of these weights.
    """

    def __init__(
        self, weights: Weights, *, threads: int | None = None, precision: str | Precision | None = None
    ) -> None:
        check_weights(weights)
        self.weights = weights
        self.config = weights.config
        self._pool = pool = thread_pool(threads)
        if slow := plain_tier_warning(_native.supported_tiers()):
            warnings.warn(slow, RuntimeWarning, stacklevel=2)
        self._parameters = parameters = Parameters(weights.tensors, _native.tier())
        self.precision = policy = (
            precision
            if isinstance(precision, Precision)
            else choose_precision(precision, parameters.tier, weights.ranges, weights.float_nodes)
        )
        self._sessions = SizeCache(
            lambda height, width: Session(weights, parameters, pool, (height, width), policy)
        )

    @property
    def threads(self) -> int:
        """Threads that run the plans."""
        return self._pool.threads

    @property
    def packed_bytes(self) -> int:
        """Memory of the packed weights of all sessions in use; the weights as loaded come on top."""
        return self._parameters.packed_bytes

    def session(self, height: int, width: int) -> Session:
        """The session of an input size (pixels, at least 1x1); the last few are kept.

        Raises:
            ValueError: for a size below 1x1.
        """
        if height < 1 or width < 1:
            raise ValueError(f"expected a size of at least 1x1, got {height}x{width}")
        return self._sessions.get(int(height), int(width))


def input_image(ops: NativeOps, size: tuple[int, int], weights: Weights) -> Node:
    """The input of a network, with the normalisation that its weights expect."""
    image = ops.input("image", *size, 3)
    image.attributes = {"mean": weights.mean, "std": weights.std}
    return image


def record_network(
    weights: Weights, parameters: Parameters, size: tuple[int, int]
) -> tuple[Graph, dict[str, Node]]:
    """The network of weights for an input size, in the sections of a session, and its outputs by name."""
    graph = Graph()
    ops = NativeOps(graph, parameters)
    found = features(ops, input_image(ops, size, weights), weights.config)
    graph.section = _INSTANCES
    predictions = instances(ops, found, weights.config)
    # Masks need no mask features: kernels are projected instead of all the map's pixels.
    graph.postpone(found.mask_features, _MASK_FEATURES)
    return graph, {
        "mask_map": found.mask_features.inputs[0],
        "mask_features": found.mask_features,
        "pooled": found.pooled,
        "x6": found.x6,
        "class_logits": predictions.class_logits,
        "objectness_logits": predictions.objectness_logits,
        "kernels": predictions.kernels,
    }


class Session:
    """The network at one input size. Used by one thread at a time.

    Attributes:
        height, width: Input size in pixels.
        mask_size: (h, w), the size of mask features and logits.
    """

    def __init__(
        self,
        weights: Weights,
        parameters: Parameters,
        pool: _native.ThreadPool,
        size: tuple[int, int],
        precision: Precision = FLOAT32,
    ) -> None:
        self.height, self.width = size
        self._mean, self._std = list(weights.mean), list(weights.std)
        graph, outputs = record_network(weights, parameters, size)
        mask_features = outputs["mask_features"]
        self._windows = weights.config.query_source == "places"
        self._postponed = mask_features.name
        self._kernel_projection = _kernel_projection(parameters, self._postponed)
        self.mask_size = (mask_features.height, mask_features.width)
        self._program: Program = compile_program(graph, parameters, outputs, pool, precision)
        self._plan = self._program.plan
        self._tensors = self._program.tensors

    def load_frame(self, frame: NDArray[np.uint8], *, bgr: bool = False) -> None:
        """Take a frame uint8 (H, W, 3) of any size: resized bilinearly and normalised.

        Args:
            bgr: The frame's channels come in the reverse of the order that the weights expect.

        Raises:
            TypeError, ValueError: for anything else than such an array.
        """
        self._plan.load_frame(self._tensors["image"], frame, self._mean, self._std, bgr)

    def load_input(self, x: Array) -> None:
        """Take a normalised image, float32 (3, height, width); in int8 its pixels are rounded to bytes.

        Raises:
            TypeError, ValueError: for another dtype or shape, or values that are not finite.
        """
        self._plan.load_planes(self._tensors["image"], x, self._mean, self._std, "input")

    def run_features(self) -> None:
        """Backbone and mask decoder, on what was loaded last."""
        self._plan.run(_FEATURES)

    def run_instances(self) -> tuple[Array, Array, Array]:
        """Instance decoder, on the last features.

        Returns:
            Class logits (N, K), objectness logits (N,) and kernels (N, D); new arrays.
        """
        self._plan.run(_INSTANCES)
        read = self._program.read_tokens
        return read("class_logits"), read("objectness_logits").reshape(-1), read("kernels")

    def mask_features(self) -> Array:
        """Mask features of the last run_features(), float32 (D, h, w), computed now, a new array."""
        self._plan.run(_MASK_FEATURES)
        return self._program.read("mask_features")

    def mask_logits(self, kernels: Array, margin: float = 0.0) -> Array:
        """Mask logits (n, h, w) of kernels (n, D) on the last features, a new array.

        Args:
            margin: how much further than the boxes() masks may reach, as a share of the boxes' sides.

        With mask features F = W x + b of a mask map x, the product of a kernel k with them is
        (W^T k) . x + k . b, so that F itself is not needed.

        Raises:
            TypeError, ValueError: for kernels of another dtype or shape.
        """
        shapes = kernels
        if self._windows:
            shapes = kernels.copy()
            shapes[:, :WINDOW_CHANNELS] = 0.0
        logits = self._plan.mask_logits(self._tensors["mask_map"], shapes, self._kernel_projection)
        return add_windows(logits, kernel_boxes(kernels), margin) if self._windows else logits

    def boxes(self, kernels: Array, margin: float = 0.0) -> Array | None:
        """Boxes (n, 4) at which the masks of kernels (n, D) end: left, top, right and bottom as shares of the
        sides. None where queries don't begin at places, and masks end nowhere.
        """
        return grown(kernel_boxes(kernels), margin) if self._windows else None

    def read(self, name: str) -> Array:
        """An inner map of the last run, ``"pooled"`` or ``"x6"``, as float32 (C, h, w)."""
        return self._program.read(name)

    def profile(self, runs: int = 5) -> list[dict[str, Any]]:
        """Run the network a few times on what was loaded last, as frames do: without mask features.

        Returns:
            For each node that ran its ``name`` (as in ``mobileinst.network``), ``op``, the ``dtype`` that it
            computes in, output ``shape`` (h, w, c), median ``milliseconds``, ``macs`` (multiply-adds) and
            ``bytes`` (read and written).
        """
        if runs < 1:
            raise ValueError(f"runs: expected at least 1, got {runs}")
        profiles = []
        for _ in range(runs):
            self._plan.run(_FEATURES)
            self._plan.run(_INSTANCES)
            profiles.append(self._plan.profile())
        merged = profiles[0]
        for i, node in enumerate(merged):
            node["milliseconds"] = float(np.median([profile[i]["milliseconds"] for profile in profiles]))
        return [node for node in merged if node["name"] != self._postponed]

    @property
    def arena_bytes(self) -> int:
        """Memory of all intermediate maps together."""
        return self._plan.arena_bytes


def _kernel_projection(parameters: Parameters, layer: str) -> Array:
    """(C + 1, D): W^T above b of the 1x1 convolution from mask map (C channels) to mask features (D)."""
    weight, bias = (parameters.array(f"{layer}.{leaf}") for leaf in ("weight", "bias"))
    return np.ascontiguousarray(np.vstack([weight[:, :, 0, 0].T, bias]))
