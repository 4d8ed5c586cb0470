"""The network's operations on NumPy arrays, computed by the native kernels, to try and test each by itself.

Arrays are float32. Maps are (C, H, W), or (N, C, H, W) with a batch; tokens are (N, C). Results are new
arrays in C order; where ``out=`` is given it must be such an array of the result's shape, and is returned.
Inputs may have any strides and are never changed. The native kernels work on (H, W, C), so maps are
transposed on the way in and out, which costs about one pass over each; inside the engine nothing is.

Every function raises TypeError for what is no float32 array and ValueError, naming the argument, for shapes
that don't fit. ``MOBILEINST_TIER`` chooses the native kernels (see ``mobileinst doctor``). `NumpyOps`
runs the whole network by these functions.
"""

from ..network.position import interpolate_positions, sine_position_embedding
from ..tracking import associate_kernels, cosine_similarity
from .attentions import attention, axial_attention
from .convolutions import conv2d, fold_batch_norm, linear
from .interpreter import NumpyOps, semantic_enhancer, squeeze_axial_attention
from .maps import (
    adaptive_average_pool,
    adaptive_max_pool,
    hard_sigmoid,
    layer_norm,
    mask_product,
    relu,
    relu6,
    resize_bilinear,
    run_lengths,
    silu,
)

__all__ = [
    "NumpyOps",
    "adaptive_average_pool",
    "adaptive_max_pool",
    "associate_kernels",
    "attention",
    "axial_attention",
    "conv2d",
    "cosine_similarity",
    "fold_batch_norm",
    "hard_sigmoid",
    "interpolate_positions",
    "layer_norm",
    "linear",
    "mask_product",
    "relu",
    "relu6",
    "resize_bilinear",
    "run_lengths",
    "semantic_enhancer",
    "silu",
    "sine_position_embedding",
    "squeeze_axial_attention",
]
