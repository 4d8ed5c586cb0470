"""MobileInst (arXiv 2303.17594): an image to mask features, and those to kernels, classes and objectness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from mobileinst.network import instance_decoder
from mobileinst.network.backbones import ARCHITECTURES, BackboneFeatures
from mobileinst.network.backbones.features import Places
from mobileinst.network.config import ModelConfig
from mobileinst.network.instance_decoder import Queries
from mobileinst.network.mask_decoder import mask_decoder, mask_detail
from mobileinst.network.ops import ConvSpec, Ops, T
from mobileinst.network.selection import window_basis


@dataclass(frozen=True)
class Features(Generic[T]):
    """What every frame needs, and what its keyframe's instance decoder reads.

    Attributes:
        mask_features: (h, w, kernel_dim) at the mask stride; a mask is the product of a kernel with them.
        pooled: X_L, the mask map max-pooled to the keys' grid, (h, w, width).
        x6: Global features of the backbone, (h, w, C).
        places: What a detector's backbone says of each place, where the queries begin there; else empty.
        mask_map: What the mask features are a projection of, (h, w, C); None where they were handed in.
    """

    mask_features: T
    pooled: T
    x6: T
    places: tuple[Places[T], ...] = ()
    mask_map: T | None = None


@dataclass(frozen=True)
class Predictions(Generic[T]):
    """What the instance decoder says of each query.

    Attributes:
        class_logits: (N, classes).
        objectness_logits: (N, 1).
        kernels: (N, kernel_dim).
        queries_global: Q_G, the queries between the two decoders, for query passing.
    """

    class_logits: T
    objectness_logits: T
    kernels: T
    queries_global: Queries[T]


def backbone(ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "backbone.") -> BackboneFeatures[T]:
    """X3, X4, X5, X6 of the configured backbone."""
    return ARCHITECTURES[config.backbone].build(ops, image, config, prefix=prefix)


def features(ops: Ops[T], image: T, config: ModelConfig) -> Features[T]:
    """Backbone and mask decoder: runs on every frame.

    Args:
        image: Map (H, W, 3), normalised.
    """
    levels = backbone(ops, image, config)
    mask_map = mask_decoder(ops, levels, config.width)
    keys_like = levels.x6 if config.key_stride == 64 else levels.x5
    pooled = ops.max_pool(mask_map, ops.size(keys_like), "mask_decoder.pool")
    if config.mask_stride == 4:
        mask_map = mask_detail(ops, mask_map, levels.x2, config.width)
    if config.query_source == "places":
        basis = ops.constant_map(window_basis(ops.size(mask_map)), "mask_decoder.basis")
        mask_map = ops.concat([mask_map, basis], "mask_decoder.placed")
    mask_features = ops.conv(mask_map, "mask_decoder.projection", ConvSpec(config.kernel_dim, bias=True))
    places = levels.places if config.query_source == "places" else ()
    return Features(mask_features, pooled, levels.x6, places, mask_map)


def instances(
    ops: Ops[T], inputs: Features[T], config: ModelConfig, queries_global: Queries[T] | None = None
) -> Predictions[T]:
    """Dual transformer instance decoder and heads: runs on keyframes.

    Args:
        queries_global: Queries of another frame's global decoder instead of this frame's (query passing in
            training, paper's temporal training).
    """
    if queries_global is None:
        x6 = inputs.x6
        if config.key_stride != 64:
            x6 = ops.resize(x6, ops.size(inputs.pooled), "instance_decoder.global.resize")
        first = instance_decoder.first_queries(ops, inputs.places, config)
        queries_global = instance_decoder.global_decoder(ops, first, x6, config)
    queries = instance_decoder.local_decoder(ops, queries_global, inputs.pooled, config)
    class_logits, objectness_logits, kernels = instance_decoder.heads(ops, queries, config)
    return Predictions(class_logits, objectness_logits, kernels, queries_global)
