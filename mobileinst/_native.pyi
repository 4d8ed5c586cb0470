"""Native engine of mobileinst: tiers, plans and masks.

Arrays are checked for dtype (TypeError) and shape (ValueError) and never converted; any strides are taken.
Tensors of a plan go by number. `tier=None` means the tier in use.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

_F32 = NDArray[np.float32]
_U32 = NDArray[np.uint32]

def tier() -> str:
    """Name of the tier in use; ValueError if MOBILEINST_TIER names one that is unknown or can't run here."""

def supported_tiers() -> list[str]: ...
def has_xnnpack() -> bool: ...
def cpu_features() -> list[str]: ...
def rle_from_logits(
    logits: _F32, height: int, width: int, threshold: float, *, tier: str | None = None
) -> list[_U32]: ...
def heaviest_parts(logits: _F32, threshold: float, *, tier: str | None = None) -> _F32: ...
def maskness(logits: _F32, threshold_prob: float = 0.45, *, tier: str | None = None) -> _F32: ...
def rle_compress(counts: _U32) -> bytes: ...
def rle_decompress(text: bytes | str) -> _U32: ...
def rle_decode(counts: _U32, height: int, width: int) -> NDArray[np.bool_]: ...
def rle_boxes_areas(
    counts: Sequence[_U32], height: int, width: int | None = None
) -> tuple[_F32, NDArray[np.int64]]: ...
def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_], *, tier: str | None = None) -> _F32: ...
def own_shares(masks: NDArray[np.bool_], order: NDArray[np.int64], *, tier: str | None = None) -> _F32: ...
def winograd_tile(height: int, width: int) -> int: ...

@final
class ThreadPool:
    def __init__(self, threads: int, pieces: int = 1) -> None: ...
    @property
    def pieces(self) -> int: ...
    @property
    def threads(self) -> int: ...

@final
class ConvWeights:
    def __init__(
        self,
        weight: _F32,
        bias: _F32 | None = None,
        stride: int = 1,
        groups: int = 1,
        tier: str | None = None,
        winograd_tile: int = 6,
    ) -> None: ...
    @property
    def kind(self) -> str: ...

@final
class PlanBuilder:
    def __init__(self, tier: str | None = None) -> None: ...
    def tensor(self, height: int, width: int, channels: int) -> int: ...
    def constant(self, values: _F32) -> int: ...
    def slice(self, tensor: int, offset: int, channels: int) -> int: ...
    def reshape(self, tensor: int, height: int, width: int) -> int: ...
    def keep(self, tensor: int, from_start: bool = False) -> None: ...
    def conv(
        self,
        name: str,
        x: int,
        weights: ConvWeights,
        y: int,
        activation: str | None = None,
        residual: int | None = None,
    ) -> None: ...
    def xnnpack_conv(
        self,
        name: str,
        x: int,
        weight: _F32,
        bias: _F32 | None,
        y: int,
        stride: int = 1,
        groups: int = 1,
        activation: str | None = None,
    ) -> None: ...
    def inverted_residual(
        self,
        name: str,
        x: int,
        expand: ConvWeights | None,
        depthwise: ConvWeights,
        project: ConvWeights,
        y: int,
        activation: str | None = None,
        residual: int | None = None,
    ) -> None: ...
    def elementwise(
        self, name: str, op: str, a: int, b: int | None, c: int | None, y: int, activation: str | None = None
    ) -> None: ...
    def resize(
        self, name: str, x: int, local: int | None, shift: int | None, y: int, activation: str | None = None
    ) -> None: ...
    def pool(self, name: str, average: bool, x: int, y: int, window: int = 0) -> None: ...
    def select(
        self,
        name: str,
        levels: Sequence[tuple[int, int, int, int]],
        groups: Sequence[int],
        candidates: int,
        overlap: float,
        margin: float,
        window_scale: float,
        least_half: float,
        y: int,
    ) -> None: ...
    def layer_norm(self, name: str, x: int, weight: _F32, bias: _F32, eps: float, y: int) -> None: ...
    def attention(
        self,
        name: str,
        q: int,
        k: int,
        v: int,
        heads: int,
        scale: float,
        y: int,
        activation: str | None = None,
    ) -> None: ...
    def axial_attention(
        self,
        name: str,
        q: int,
        k: int,
        v: int,
        heads: int,
        scale: float,
        row_query: _F32,
        row_key: _F32,
        row_encode: ConvWeights,
        column_query: _F32,
        column_key: _F32,
        column_encode: ConvWeights,
        y: int,
    ) -> None: ...
    def next_section(self) -> None: ...
    def build(self, pool: ThreadPool) -> Plan: ...

@final
class Plan:
    def run(self, section: int = 0) -> None: ...
    def load_frame(
        self,
        tensor: int,
        frame: NDArray[np.uint8],
        mean: Sequence[float],
        std: Sequence[float],
        bgr: bool = False,
    ) -> None: ...
    def write(self, tensor: int, planes: _F32, name: str = "planes") -> None: ...
    def read(self, tensor: int) -> _F32: ...
    def read_tokens(self, tensor: int) -> _F32: ...
    def mask_logits(self, tensor: int, kernels: _F32, projection: _F32 | None = None) -> _F32: ...
    def profile(self) -> list[dict[str, Any]]: ...
    @property
    def arena_bytes(self) -> int: ...
