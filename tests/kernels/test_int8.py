"""Integer kernels: the plain ones against NumPy, those of every tier against the plain ones, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobileinst import _native
from tests.support.definitions import bilinear
from tests.support.nodes import run_node

TIERS = [tier for tier in _native.supported_tiers() if _native.has_kernels("gemm", "int8", tier)]
#: Elsewhere 3x3 convolutions at stride 1 stay in float32.
TIERS_3X3 = [tier for tier in TIERS if _native.has_kernels("conv3x3", "int8", tier)]
X, SUMS = (0.05, -7), (0.09, 20)


def quantised(x: NDArray[np.float32], quantisation: tuple[float, int]) -> NDArray[np.float32]:
    """The values that integers of a quantisation have, with the engine's roundings."""
    scale, zero = np.float32(quantisation[0]), np.float32(quantisation[1])
    exact = x.astype(np.float64) * np.float64(np.float32(1) / scale) + np.float64(
        zero
    )  # rounded once, to a float
    whole = np.clip(np.rint(exact.astype(np.float32)), -128, 127)
    return ((whole - zero) * scale).astype(np.float32)


def convolve(
    tier: str,
    x: NDArray[np.float32],
    weight: NDArray[np.float32],
    *,
    bias: NDArray[np.float32] | None = None,
    y: tuple[float, int] | None = (0.1, -11),
    residual: NDArray[np.float32] | None = None,
    activation: str | None = None,
    threads: int = 1,
    stride: int = 1,
    groups: int = 1,
    gap: int = 0,
    quantisation: tuple[float, int] = X,
    border: tuple[int, ...] | None = None,
    floats: str = "float32",
) -> NDArray[np.float32]:
    """A convolution of integers of a quantisation; y: the output's, or None for `floats`."""
    height, width, channels = x.shape
    builder = _native.PlanBuilder(tier)
    values = np.zeros((height * width, channels + gap), np.float32)
    values[:, :channels] = x.reshape(-1, channels)
    source = builder.reshape(builder.constant(values, "int8", quantisation), height, width)
    source = builder.slice(source, 0, channels)
    shape = ((height - 1) // stride + 1, (width - 1) // stride + 1, weight.shape[0] + gap)
    dtype = floats if y is None else "int8"
    output = builder.tensor(*shape, dtype, y)
    target = builder.slice(output, 0, weight.shape[0])
    builder.keep(output)
    inputs = [source]
    if residual is not None:
        rows = np.ascontiguousarray(residual.reshape(-1, residual.shape[2]))
        constant = builder.constant(rows, dtype, None if y is None else (0.07, 5))
        inputs.append(builder.reshape(constant, *residual.shape[:2]))
    packed = _native.ConvWeights(weight, bias, stride, groups, tier, dtype="int8")
    sums: dict[str, Any] = {}
    if activation in ("silu", "hard_sigmoid") and y is not None:
        sums = {"sums_scale": SUMS[0], "sums_zero": SUMS[1]}
    builder.add("conv", "conv", inputs, target, activation, weights=packed, border=border, **sums)
    plan = _native.Plan(builder, _native.ThreadPool(threads))
    plan.run()
    return plan.read(target)


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape, np.float32)


#: height, width, inputs, outputs, kernel, stride, groups
CASES = [
    (5, 7, 3, 5, 1, 1, 1),
    (4, 9, 64, 64, 1, 1, 1),
    (9, 13, 37, 100, 1, 1, 1),
    (3, 70, 130, 48, 1, 1, 1),
    (16, 16, 256, 16, 1, 1, 1),
    (9, 11, 3, 16, 7, 2, 1),
    (10, 8, 3, 24, 3, 2, 1),
    (7, 6, 20, 33, 3, 2, 1),
    (6, 9, 8, 6, 3, 1, 2),
    (1, 1, 1, 1, 3, 1, 1),
    (3, 5, 3, 7, 3, 1, 1),
    (4, 8, 32, 64, 3, 1, 1),
    (9, 13, 37, 100, 3, 1, 1),
    (30, 37, 70, 33, 3, 1, 1),
    (2, 70, 16, 17, 3, 1, 1),
    (8, 8, 16, 16, 1, 2, 1),
    *(
        (height, width, channels, channels, kernel, stride, channels)
        for kernel in (3, 5)
        for stride in (1, 2)
        for height, width, channels in (
            (7, 9, 16),
            (6, 10, 32),
            (5, 5, 64),
            (9, 4, 96),
            (3, 11, 24),
            (1, 1, 130),
        )
    ),
    # wider than what is computed together
    (3, 75, 3, 16, 3, 2, 1),
    (5, 30, 20, 70, 3, 2, 1),
    *((6, 71, 40, 40, kernel, stride, 40) for kernel in (3, 5) for stride in (1, 2)),
    # kernels without a loop of their own
    (9, 12, 2, 5, 17, 1, 1),
    (9, 9, 24, 24, 7, 1, 24),
    (9, 9, 16, 16, 3, 3, 16),
]


def tiers_of(case: tuple[int, ...]) -> list[str]:
    """Tiers that have the kernel of a case."""
    return TIERS_3X3 if _native.conv_kind(*case[2:]) == "conv3x3" else TIERS


def case_arrays(
    case: tuple[int, ...],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    height, width, inputs, outputs, kernel, _, groups = case
    x = 2 * random(height, width, inputs)
    weight = random(outputs, inputs // groups, kernel, kernel, seed=1)
    return x, weight / np.float32(np.sqrt(weight[0].size)), random(outputs, seed=2)


@pytest.mark.parametrize("gap", [0, 5])
@pytest.mark.parametrize(
    "mode",
    [
        "plain",
        "relu",
        "silu",
        "residual",
        "silu_residual",
        "floats",
        "floats_residual",
        "halves",
        "halves_residual",
    ],
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_tier_gives_the_bits_of_the_plain_kernel(case: tuple[int, ...], mode: str, gap: int) -> None:
    x, weight, bias = case_arrays(case)
    height, width, _, outputs, _, stride, groups = case
    shape = (height - 1) // stride + 1, (width - 1) // stride + 1, outputs
    options: dict[str, Any] = {"bias": bias, "stride": stride, "groups": groups, "gap": gap}
    if "residual" in mode:
        options["residual"] = random(*shape, seed=3)
    if mode.startswith(("floats", "halves")):
        options |= {"y": None, "activation": "relu6"}
        options["floats"] = "float32" if mode.startswith("floats") else "float16"
    elif mode != "plain" and mode != "residual":
        options["activation"] = mode.partition("_")[0]
    expected = convolve("ref", x, weight, **options)
    for tier in tiers_of(case):
        for threads in (1, 3):
            found = convolve(tier, x, weight, threads=threads, **options)
            np.testing.assert_array_equal(found, expected, err_msg=f"{tier} {threads}")


@pytest.mark.parametrize("activation", ["silu", "hard_sigmoid"])
@pytest.mark.parametrize("case", [CASES[2], CASES[3], CASES[5], CASES[13], CASES[16], CASES[-1]], ids=str)
def test_floats_behind_other_activations(case: tuple[int, ...], activation: str) -> None:
    x, weight, bias = case_arrays(case)
    height, width, _, outputs, _, stride, groups = case
    shape = (height - 1) // stride + 1, (width - 1) // stride + 1, outputs
    options: dict[str, Any] = {"bias": bias, "stride": stride, "groups": groups, "gap": 3, "y": None}
    sums = convolve("ref", x, weight, **options)
    residual = random(*shape, seed=3)
    factor = 1 / (1 + np.exp(-sums)) if activation == "silu" else np.clip(sums + 3, 0, 6) / 6
    expected = factor * (sums if activation == "silu" else 1) + residual.transpose(2, 0, 1)
    for tier in tiers_of(case):
        found = convolve(tier, x, weight, activation=activation, residual=residual, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=tier)


@pytest.mark.parametrize("activation", [None, "relu", "silu"])
@pytest.mark.parametrize("case", [CASES[1], CASES[2], CASES[4], CASES[7]], ids=str)
def test_halves_are_floats_rounded(case: tuple[int, ...], activation: str | None) -> None:
    x, weight, bias = case_arrays(case)
    options: dict[str, Any] = {"bias": bias, "stride": case[5], "activation": activation, "y": None}
    for tier in tiers_of(case):
        expected = convolve(tier, x, weight, **options).astype(np.float16).astype(np.float32)
        found = convolve(tier, x, weight, floats="float16", **options)
        # Where halves are stored SiLU may be computed more exactly than for floats: the next half at most.
        spacing = 2.0**-10 if activation == "silu" else 0.0
        np.testing.assert_allclose(found, expected, rtol=spacing, atol=spacing * 2.0**-14, err_msg=tier)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 11), (30, 70)])
def test_an_image_has_a_border_of_its_own(height: int, width: int) -> None:
    """The same as the inside of an image that is larger by the border's color."""
    border = (-4, 100, -128)
    image = np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.float32)
    larger = np.full((height + 8, width + 8, 3), np.array(border, np.float32) + 128, np.float32)
    larger[4:-4, 4:-4] = image
    weight = random(16, 3, 7, 7)
    options: dict[str, Any] = {"stride": 2, "quantisation": (1.0, -128), "y": None}
    rows, columns = (height + 1) // 2, (width + 1) // 2
    expected = convolve("ref", larger, weight, **options)[:, 2 : 2 + rows, 2 : 2 + columns]
    for tier in TIERS:
        found = convolve(tier, image, weight, border=border, threads=2, **options)
        np.testing.assert_array_equal(found, expected, err_msg=tier)


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize(
    ("size", "out"),
    [((1, 1), (1, 1)), ((1, 1), (5, 3)), ((17, 23), (32, 64)), ((90, 161), (32, 45)), ((5, 4), (5, 4))],
)
def test_frames_become_bytes(size: tuple[int, int], out: tuple[int, int], bgr: bool) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    found = []
    for tier in TIERS:
        builder = _native.PlanBuilder(tier)
        image = builder.tensor(*out, 3, "int8", (1.0, -128))
        builder.keep(image)
        plan = _native.Plan(builder, _native.ThreadPool(2))
        plan.load_frame(image, frame, [1.0] * 3, [2.0] * 3, bgr)
        found.append(plan.read(image))
        np.testing.assert_array_equal(found[-1], found[0])
    ordered = frame[:, :, ::-1] if bgr else frame
    for c in range(3):
        expected = bilinear(ordered[:, :, c].astype(np.float32), *out)
        # Half a step, and weights that are off by a 256th at most in each direction.
        assert np.abs(found[0][c] - expected).max() <= (0 if size == out else 0.5 + 2 * 255 / 256 + 1e-3)


@pytest.mark.parametrize("inputs", [112, 128], ids=["transformed", "directly"])
def test_the_largest_sums_of_3x3_filters(inputs: int) -> None:
    """Weights and inputs as large as they get; by Winograd's transforms where their sums allow it."""
    weight = np.ones((3, inputs, 3, 3), np.float32)
    weight[1] = -1
    weight[2] = np.sign(random(inputs, 3, 3))
    x = np.full((9, 6, inputs), 1e3, np.float32)
    x[4:] = -1e3
    expected = convolve("ref", x, weight, y=None, quantisation=(1.0, -128))
    assert expected.max() == 255 * 9 * inputs
    for tier in TIERS_3X3:
        found = convolve(tier, x, weight, y=None, quantisation=(1.0, -128))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "silu", "hard_sigmoid"])
@pytest.mark.parametrize("with_residual", [False, True])
def test_the_plain_kernel_against_numpy(activation: str | None, with_residual: bool) -> None:
    x, weight, bias = case_arrays((6, 5, 24, 18, 1, 1, 1))
    residual = random(6, 5, 18, seed=3) if with_residual else None
    found = convolve("ref", x, weight, bias=bias, activation=activation, residual=residual)
    scales = np.abs(weight).max((1, 2, 3)) / 127
    whole = np.rint(weight[:, :, 0, 0] / scales[:, None]) * scales[:, None]
    sums = quantised(x, X).reshape(-1, 24) @ whole.T.astype(np.float64) + bias
    y = {
        None: lambda v: v,
        "relu": lambda v: np.maximum(v, 0),
        "relu6": lambda v: np.clip(v, 0, 6),
        "silu": lambda v: v / (1 + np.exp(-v)),
        "hard_sigmoid": lambda v: np.clip(v + 3, 0, 6) / 6,
    }[activation](sums)
    if residual is not None:
        y = y + quantised(residual, (0.07, 5)).reshape(-1, 18)
    limits = np.array([-128 + 11, 127 + 11]) * 0.1
    expected = np.clip(y, *limits).T.reshape(18, 6, 5)
    # Half a step of the output, and where a table is asked half one of its argument (slope 1.1 at most).
    step = 0.05 + (0.05 * 1.1 if activation not in (None,) else 0.0) + (0.05 if with_residual else 0.0)
    np.testing.assert_allclose(found, expected, atol=step + 1e-3, rtol=0)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("op", ["max_pool", "window_max"])
def test_maxima(tier: str, op: str) -> None:
    x = random(9, 11, 21)
    shape, attributes = ((9, 11, 21), {"window": 5}) if op == "window_max" else ((4, 6, 21), {})
    wanted = run_node(op, [quantised(x, X)], shape, tier="ref", **attributes)
    for target in (X, (0.37, 3)):
        how: dict[str, Any] = {"dtype": "int8", "quantisations": (X, target), "gap": 3, "threads": 2}
        found = run_node(op, [x], shape, tier=tier, **how, **attributes)
        np.testing.assert_array_equal(found, wanted if target == X else quantised(wanted, target))


LOCAL, RESIZED = (0.07, 5), (0.09, -20)


def resize(
    tier: str,
    x: NDArray[np.float32],
    out: tuple[int, int],
    local: NDArray[np.float32] | None = None,
    activation: str | None = None,
    *,
    gap: int = 0,
    threads: int = 1,
) -> NDArray[np.float32]:
    """A resize of integers, whose pixels lie `gap` bytes apart: float32 (C, h, w)."""
    builder = _native.PlanBuilder(tier)
    channels = x.shape[2]

    def source(values: NDArray[np.float32], quantisation: tuple[float, int]) -> int:
        rows = np.zeros((values.shape[0] * values.shape[1], channels + gap), np.float32)
        rows[:, :channels] = values.reshape(-1, channels)
        made = builder.reshape(builder.constant(rows, "int8", quantisation), *values.shape[:2])
        return builder.slice(made, 0, channels)

    inputs = [source(x, X), *([] if local is None else [source(local, LOCAL)])]
    output = builder.tensor(*out, channels + gap, "int8", RESIZED)
    builder.keep(output)
    target = builder.slice(output, 0, channels)
    builder.add("resize", "resize", inputs, target, activation)
    plan = _native.Plan(builder, _native.ThreadPool(threads))
    plan.run()
    return plan.read(target)


@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
@pytest.mark.parametrize("with_local", [False, True])
@pytest.mark.parametrize(
    ("size", "out", "channels"),
    [((1, 1), (3, 2), 5), ((4, 5), (8, 10), 32), ((9, 8), (4, 4), 67), ((3, 7), (5, 11), 130)],
)
def test_resizes(
    size: tuple[int, int], out: tuple[int, int], channels: int, with_local: bool, activation: str | None
) -> None:
    x = 2 * random(*size, channels)
    local = 3 * random(*out, channels, seed=1) if with_local else None
    plain = resize("ref", x, out, local, activation)
    exact = bilinear(quantised(x, X).astype(np.float64), *out)
    if local is not None:
        exact = exact + quantised(local, LOCAL)
    exact = {"relu": np.maximum(exact, 0), "relu6": np.clip(exact, 0, 6)}.get(str(activation), exact)
    limits = np.array([-128 + 20, 127 + 20]) * RESIZED[0]
    # Half a step of the output; shares of corners are multiples of 1/128, which those of twice the size are.
    step = RESIZED[0] / 2 + 1e-4 + (0 if out == (2 * size[0], 2 * size[1]) else np.abs(x).max() / 32)
    np.testing.assert_allclose(plain, np.clip(exact, *limits).transpose(2, 0, 1), atol=step, rtol=0)
    for tier in (tier for tier in TIERS if _native.has_kernels("resize", "int8", tier)):
        for gap, threads in ((0, 1), (5, 3)):
            found = resize(tier, x, out, local, activation, gap=gap, threads=threads)
            np.testing.assert_array_equal(found, plain)


def test_types_that_do_not_fit_are_refused() -> None:
    builder = _native.PlanBuilder("ref")
    x, y = builder.tensor(4, 4, 8, "int8", X), builder.tensor(4, 4, 8)
    with pytest.raises(ValueError, match="tensors of one type, got int8 and float32"):
        builder.add("add", "sum", [x, y], y)
    weights = _native.ConvWeights(random(8, 8, 1, 1), tier="ref", dtype="int8")
    with pytest.raises(ValueError, match="a border of a number for each input channel"):
        builder.add("conv", "b", [x], builder.tensor(4, 4, 8), weights=weights, border=(0,) * 8)
    for inputs, activation in (([x, x, x], None), ([x], "silu")):
        with pytest.raises(ValueError, match="no shift, and limits at most, of integers"):
            builder.add("resize", "r", inputs, x, activation)
    with pytest.raises(ValueError, match="a quantisation of its sums"):
        builder.add("conv", "c", [x], builder.tensor(4, 4, 8, "int8", X), "silu", weights=weights)
    with pytest.raises(ValueError, match="input, weights and output of one type"):
        builder.add("conv", "c", [y], y, weights=weights)
    with pytest.raises(ValueError, match="expected a scale above 0"):
        builder.tensor(1, 1, 1, "int8", (0.0, 0))
    with pytest.raises(ValueError, match=r"dtype: expected 'float32'.* got 'int4'"):
        builder.tensor(1, 1, 1, "int4")
