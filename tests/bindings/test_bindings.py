"""Arrays that lie in memory in odd ways, at every binding: the result of a plain copy, or a refusal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from mobileinst import Instances, _native, inputs, ops
from tests.support.kernel_bindings import kernels

Array = NDArray[Any]


def values(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def zero_stride(array: Array) -> Array:
    return np.broadcast_to(array[:1], array.shape)


def zero_stride_inside(array: Array) -> Array:
    return np.broadcast_to(array[..., :1], array.shape)


def backwards(array: Array) -> Array:
    return array[::-1]


def backwards_inside(array: Array) -> Array:
    return array[..., ::-1]


def every_other(array: Array) -> Array:
    return np.repeat(array, 2, -1)[..., ::2]


def padded_rows(array: Array) -> Array:
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, 3)])[..., : array.shape[-1]]


def fortran(array: Array) -> Array:
    return np.asfortranarray(array)


def misaligned(array: Array) -> Array:
    raw = np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)
    assert raw.dtype.itemsize == 1 or not raw.flags.aligned
    return raw


def overlapping_rows(array: Array) -> Array:
    """Each row starts one value behind the start of the row before it."""
    flat = np.resize(array, array.size + array.shape[-1])
    steps = [array.itemsize] * array.ndim
    return as_strided(flat, array.shape, steps, writeable=False)


WAYS = [
    zero_stride,
    zero_stride_inside,
    backwards,
    backwards_inside,
    every_other,
    padded_rows,
    fortran,
    misaligned,
    overlapping_rows,
]
VECTOR, TOKENS, MAP = values(6), values(5, 6), values(5, 4, 6)
CALLS: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "gemm": (kernels.gemm, [TOKENS, values(3, 6)]),
    "gemm, residual": (
        lambda a, w, b, r: kernels.gemm(a, w, bias=b, residual=r),
        [TOKENS, values(6, 6), VECTOR, values(5, 6)],
    ),
    "conv3x3": (kernels.conv3x3, [MAP, values(2, 6, 3, 3)]),
    "depthwise": (kernels.depthwise, [MAP, values(6, 1, 3, 3)]),
    "conv_direct": (kernels.conv_direct, [MAP, values(4, 6, 3, 3)]),
    "inverted_residual": (
        lambda x, e, d, p: kernels.inverted_residual(x, e, d, p),
        [MAP, values(8, 6), values(8, 1, 3, 3), values(6, 8)],
    ),
    "layer_norm": (kernels.layer_norm, [TOKENS, VECTOR, values(6) + 1]),
    "transpose": (kernels.transpose, [TOKENS]),
    "elementwise": (lambda a, b: kernels.elementwise("add", a, b), [TOKENS, values(5, 6)]),
    "resize": (lambda x: kernels.resize(x, 7, 3), [MAP]),
    "pool": (lambda x: kernels.pool(x, 2, 2, True), [MAP]),
    "attention": (lambda q, k, v: kernels.attention(q, k, v, 2, 1.0), [TOKENS, values(7, 6), values(7, 6)]),
    "mask_product": (kernels.mask_product, [values(3, 6), values(9, 6)]),
    "rle_from_logits": (lambda x: _native.rle_from_logits(x, 9, 8, 0.0), [MAP]),
    "maskness": (_native.maskness, [MAP]),
    "heaviest_components": (lambda x: _native.heaviest_components(x, 0.0), [MAP]),
    "mask_iou": (_native.mask_iou, [MAP > 0, values(2, 4, 6) > 0]),
    "preprocess": (
        lambda x: kernels.preprocess(x, 5, 6, [0.0] * 3, [1.0] * 3),
        [(100 * values(6, 7, 3)).astype(np.uint8)],
    ),
    "rle_compress": (_native.rle_compress, [np.arange(1, 9, dtype=np.uint32)]),
    "linear": (ops.linear, [TOKENS, values(3, 6), values(3)]),
    "conv2d": (ops.conv2d, [values(3, 5, 4), values(2, 3, 1, 1)]),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
@pytest.mark.parametrize("name", CALLS)
def test_inputs_may_lie_in_memory_in_any_way(name: str, way: Callable[[Array], Array]) -> None:
    function, arguments = CALLS[name]
    for position in range(len(arguments)):
        odd = [way(array) if i == position else array for i, array in enumerate(arguments)]
        plain = [array.copy() for array in odd]
        np.testing.assert_equal(function(*odd), function(*plain))


@pytest.mark.parametrize(
    "out",
    [
        as_strided(np.zeros(8, np.float32), (5, 8), (0, 4)),
        np.zeros((5, 8), np.float32)[::-1],
        np.zeros((5, 8), np.float32)[:, ::-1],
        as_strided(np.zeros(40, np.float32), (5, 8), (4, 4)),
        np.zeros(4 * 40 + 1, np.uint8)[1:].view(np.float32).reshape(5, 8),
        np.broadcast_to(np.float32(0), (5, 8)),
    ],
    ids=["stride 0", "rows backwards", "columns backwards", "rows overlap", "misaligned", "read-only"],
)
def test_an_output_of_odd_memory_is_refused(out: Array) -> None:
    with pytest.raises(ValueError, match="out: expected a writeable array of aligned, evenly spaced rows"):
        kernels.gemm(TOKENS, values(8, 6), out=out)
    assert not out.any()


@pytest.mark.parametrize("what", ["a", "residual", "bias"])
def test_an_output_in_the_memory_of_an_input_is_refused(what: str) -> None:
    memory = values(7, 6)
    options = {} if what == "a" else {what: memory[0, :] if what == "bias" else memory[1:6]}
    x = memory[1:6] if what == "a" else TOKENS
    with pytest.raises(ValueError, match=f"out: expected memory of its own, it overlaps {what}"):
        kernels.gemm(x, values(6, 6), out=memory[:5], **options)
    # Rows that lie beside the output's, and the residual itself, are fine.
    columns = values(5, 12)
    expected = kernels.gemm(TOKENS, values(6, 6), residual=columns[:, :6].copy())
    kernels.gemm(TOKENS, values(6, 6), residual=columns[:, :6], out=columns[:, :6])
    np.testing.assert_array_equal(columns[:, :6], expected)


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_linear_into_the_memory_of_its_input(shift: int) -> None:
    weight, memory = values(32, 32), values(66, 32)
    x, out = memory[1:65], memory[1 + shift : 65 + shift]
    expected = ops.linear(x.copy(), weight, weight[0].copy())
    np.testing.assert_array_equal(ops.linear(x, weight, weight[0], out=out), expected)


def test_a_padding_that_overflows_is_refused() -> None:
    code = """
import numpy as np
from mobileinst._testing import kernels
for run in (kernels.transpose, lambda x, padding: kernels.layer_norm(x, x[0], x[0], padding=padding)):
    for padding in (1 << 60, 1 << 63, 1025):
        try:
            run(np.ones((16, 2), np.float32), padding=padding)
        except ValueError:
            print("refused")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout.split()) == (0, ["refused"] * 6), result.stderr


def test_misaligned_run_lengths() -> None:
    runs = np.frombuffer(b"x" + np.array([2, 4], np.uint32).tobytes(), np.uint32, offset=1)
    assert not runs.flags.aligned
    instances = Instances((2, 3), [runs], [0.5], [0], ["a"])
    assert instances.areas.tolist() == [4]


def test_single_kernels_are_at_hand_where_they_were_built() -> None:
    assert _native.kernels is kernels
    with pytest.raises(AttributeError, match="has no attribute 'missing'"):
        _native.missing  # type: ignore[attr-defined]  # noqa: B018
    absent = """
import sys
sys.modules["mobileinst._testing"] = None
from mobileinst import _native
assert not hasattr(_native.kernels, "__wrapped__")
try:
    _native.kernels.gemm(1, weight=2)
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", absent], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "expected a build with single kernels to call 'gemm', but this one has none: "
        "pip install . -C cmake.define.MOBILEINST_TESTING=ON\n"
    )


def test_the_longest_side_is_that_of_python() -> None:
    assert _native.MAX_SIDE == inputs.MAX_SIDE
