"""The native engine by itself: tiers, threads, sessions, bad input. Needs NumPy only."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mobileinst import _native
from mobileinst.engine import (
    CACHED_SESSIONS,
    Graph,
    NativeModel,
    NativeOps,
    Node,
    Parameters,
    Processors,
    Program,
    compile_program,
    session,
)
from mobileinst.network import features, instances
from mobileinst.network.config import ModelConfig
from mobileinst.network.counter import count_layers
from mobileinst.weights import WeightsError
from tests.support.networks import OUTPUTS, random_model, run_model
from tests.support.random_weights import random_input, random_tensors
from tests.support.recorded_models import CASES

SMALL = ModelConfig("topformer_t", width=32, classes=3, queries=7, hidden=32, ffn=48, heads=4, kernel_dim=20)


def compile_model(config: ModelConfig, tier: str, height: int, width: int) -> Program:
    """All stages of a model as one section, for any tier."""
    parameters = Parameters(random_tensors(config), tier)
    graph = Graph()
    ops = NativeOps(graph, parameters)
    found = features(ops, ops.input("image", height, width, 3), config)
    predictions = instances(ops, found, config)
    stages = {**vars(found), **vars(predictions)}
    outputs = {name: node for name, node in stages.items() if isinstance(node, Node)}
    return compile_program(graph, parameters, outputs, _native.ThreadPool(1))


@pytest.mark.parametrize("config", [case.config for case in CASES.values()], ids=list(CASES))
@pytest.mark.parametrize("tier", [tier for tier in _native.supported_tiers() if tier != "ref"])
def test_every_tier_agrees_with_ref(config: ModelConfig, tier: str) -> None:
    x = random_input(70, 101)
    got, expected = (compile_model(config, t, 70, 101) for t in (tier, "ref"))
    for program in (got, expected):
        program.plan.write(program.tensors["image"], x)
        program.plan.run()
    for name in got.tensors:
        np.testing.assert_allclose(got.read(name), expected.read(name), atol=1e-3, err_msg=name)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (31, 65), (64, 64), (96, 129), (256, 200)])
def test_results_are_equal_for_any_number_of_threads_and_pieces(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, x = random_model(SMALL), random_input(*size)
    expected = run_model(NativeModel(weights, threads=1), x)
    alike, different = Processors((1.0, 1.0)), Processors((1.0, 0.2))
    for threads, cores in ((2, alike), (3, alike), (4, alike), (7, alike), (2, different), (7, different)):
        monkeypatch.setattr(session, "usable_processors", lambda cores=cores: cores)
        model = NativeModel(weights, threads=threads)
        for _ in range(3):
            got = run_model(model, x)
            for name in OUTPUTS:
                assert np.array_equal(got[name], expected[name]), (threads, name)


def test_sizes_do_not_disturb_each_other() -> None:
    weights = random_model(SMALL)
    model = NativeModel(weights, threads=2)
    sizes = [(64, 96), (65, 33), (32, 32), (256, 200), (40, 72), (64, 64)]
    assert len(sizes) > CACHED_SESSIONS
    expected = [run_model(NativeModel(weights, threads=1), random_input(*size)) for size in sizes]
    for _ in range(2):
        for size, outputs in zip(sizes, expected, strict=True):
            got = run_model(model, random_input(*size))
            assert all(np.array_equal(got[name], outputs[name]) for name in OUTPUTS)
    assert model.session(64, 64) is model.session(64, 64)
    first = model.session(64, 64)
    for size in sizes[:CACHED_SESSIONS]:
        model.session(*size)
    assert model.session(64, 64) is not first


def test_sections_can_be_repeated() -> None:
    session = NativeModel(random_model(SMALL), threads=1).session(64, 96)
    session.load_input(random_input(64, 96))
    session.run_features()
    first, maps = session.run_instances(), session.mask_features()
    for a, b in zip(first, session.run_instances(), strict=True):
        assert np.array_equal(a, b)
    session.run_features()  # the input is still there
    assert np.array_equal(maps, session.mask_features())
    assert session.mask_features() is not maps
    assert session.mask_size == maps.shape[1:]


def test_mask_logits_are_the_product() -> None:
    session = NativeModel(random_model(SMALL), threads=2).session(72, 104)
    session.load_input(random_input(72, 104))
    session.run_features()
    maps = session.mask_features()
    for count in (0, 1, 5, 33):
        kernels = np.random.default_rng(count).standard_normal((count, 20)).astype(np.float32)
        got = session.mask_logits(kernels)
        assert got.shape == (count, *session.mask_size)
        np.testing.assert_allclose(got, np.tensordot(kernels, maps, 1), atol=1e-3)


def test_load_frame_equals_preprocess() -> None:
    from tests.support.kernel_bindings import kernels

    weights = random_model(SMALL)
    session = NativeModel(weights, threads=2).session(64, 96)
    rng = np.random.default_rng(0)
    for shape in ((64, 96), (120, 77), (1, 1), (33, 200)):
        frame = rng.integers(0, 256, (*shape, 3), np.uint8)
        for bgr in (False, True):
            session.load_frame(frame, bgr=bgr)
            session.run_features()
            got = session.mask_features()
            session.load_input(kernels.preprocess(frame, 64, 96, weights.mean, weights.std, bgr))
            session.run_features()
            assert np.array_equal(got, session.mask_features())


def test_bad_input_is_named() -> None:
    model = NativeModel(random_model(SMALL), threads=1)
    with pytest.raises(ValueError, match="expected a size of at least 1x1, got 0x5"):
        model.session(0, 5)
    session = model.session(32, 64)
    with pytest.raises(
        ValueError, match=r"input: expected a float32 array of shape \(3, 32, 64\).*\(3, 32, 32\)"
    ):
        session.load_input(np.zeros((3, 32, 32), np.float32))
    with pytest.raises(TypeError, match="got dtype float64"):
        session.load_input(np.zeros((3, 32, 64)))
    x = np.zeros((3, 32, 64), np.float32)
    for position, bad in ((6143, -np.inf), (4096, np.nan), (4095, np.inf), (0, np.nan)):
        x.reshape(-1)[position] = bad  # the later ones stay: the first is named
        with pytest.raises(ValueError, match=f"input: expected finite values, .* at position {position}$"):
            session.load_input(x)
    with pytest.raises(ValueError, match=r"frame: expected a uint8 array of shape \(any, any, 3\)"):
        session.load_frame(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"kernels: expected a float32 array of shape \(any, 20\), got \(2, 19\)"
    ):
        session.mask_logits(np.zeros((2, 19), np.float32))
    wrong, kernels = np.zeros((32, 20), np.float32), np.zeros((2, 20), np.float32)
    plan, mask_map = session._program.plan, session._program.tensors["mask_map"]
    with pytest.raises(ValueError, match=r"projection: expected a float32 array of shape \(33, any\)"):
        plan.mask_logits(mask_map, kernels, wrong)
    with pytest.raises(ValueError, match="threads: expected 1 to 1024, got 0"):
        NativeModel(random_model(SMALL), threads=0)


def test_missing_and_misshapen_tensors_are_named() -> None:
    tensors = random_tensors(SMALL)
    name = "mask_decoder.before.4.conv.weight"
    weights = random_model(SMALL)
    weights.tensors = {key: value for key, value in tensors.items() if key != name}
    with pytest.raises(WeightsError, match=f"1 of {len(tensors)} tensors are missing, first '{name}'"):
        NativeModel(weights, threads=1)
    weights.tensors = {**tensors, name: tensors[name][:3]}
    with pytest.raises(WeightsError, match=rf"'{name}' has shape \(3, 32, 3, 3\), expected \(32, 32, 3, 3\)"):
        NativeModel(weights, threads=1)


def test_profile_names_every_node_of_a_frame_and_counts_its_multiply_adds() -> None:
    size = (192, 320)
    session = NativeModel(random_model(SMALL), threads=1).session(*size)
    session.load_input(random_input(*size))
    profile = session.profile(runs=2)
    assert all(node["milliseconds"] >= 0 and node["bytes"] > 0 for node in profile)
    # Masks are no node, and mask features are computed on demand only.
    left_out = ("masks", "mask_decoder.projection")
    layers = [layer for layer in count_layers(SMALL, *size) if layer.name not in left_out]
    # The query side of the first decoder is computed once, when the plan is made.
    macs = {layer.name: layer.macs for layer in layers if "global.cross.query" not in layer.name}
    assert len({node["name"] for node in profile}) == len(profile)
    assert any(node["op"] == "inverted_residual" for node in profile)
    for node in profile:
        total = 0
        for name in node["name"].split(" + "):  # of a row chain
            if name in macs:
                total += macs.pop(name)
            else:  # an inverted residual is named after the block
                parts = [part for part in macs if part.startswith(name + ".") and macs[part]]
                assert len(parts) in (2, 3)
                total += sum(macs.pop(part) for part in parts)
        assert node["macs"] == total
    assert not any(macs.values())
    with pytest.raises(ValueError, match="runs: expected at least 1, got 0"):
        session.profile(0)


def test_fusions_leave_no_separate_additions_in_the_mask_decoder() -> None:
    session = NativeModel(random_model(SMALL), threads=1).session(64, 64)
    ops = [node["op"] for node in session.profile(1) if node["name"].startswith(("mask_decoder", "backbone"))]
    assert ops.count("resize_add") == 6
    assert ops.count("multiply_add") == 2
    assert ops.count("resize") == 1
    assert not {"add", "multiply", "copy"} & set(ops)


def test_two_python_threads_share_one_model() -> None:
    weights = random_model(SMALL)
    model = NativeModel(weights, threads=3)
    sizes = [(64, 64), (48, 80)]
    expected = [run_model(NativeModel(weights, threads=1), random_input(*size)) for size in sizes]
    failures: list[str] = []

    def work(i: int) -> None:
        for _ in range(20):
            got = run_model(model, random_input(*sizes[i]))
            failures.extend(n for n in OUTPUTS if not np.array_equal(got[n], expected[i][n]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    ("tier", "message"), [("avx9", "unknown tier 'avx9'; supported here: ref"), ("", None)]
)
def test_tier_from_the_environment(tier: str, message: str | None) -> None:
    code = "from mobileinst import _native; print(_native.tier())"
    environment = {**os.environ, "MOBILEINST_TIER": tier}
    root = str(Path(_native.__file__).resolve().parent.parent)
    try:
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        pytest.skip("under emulation this interpreter can't start another")
    if message is None:
        assert result.stdout.strip() == _native.supported_tiers()[-1]
    else:
        assert f"environment variable MOBILEINST_TIER: {message}" in result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_works_and_ends(tmp_path: Path) -> None:
    """It has none of its parent's threads: nothing may wait for them, not even at the end."""
    code = """
import os, sys, time
import numpy as np
from tests.engine.test_session import SMALL
from tests.support.networks import random_model, run_model
from tests.support.random_weights import random_input
from mobileinst.engine import NativeModel
model, x = NativeModel(random_model(SMALL), threads=3), random_input(64, 96)
before = run_model(model, x)
time.sleep(0.2)  # until the threads sleep
child = os.fork()
equal = all(np.array_equal(value, before[name]) for name, value in run_model(model, x).items())
del model
if child:
    sys.exit(os.waitpid(child, 0)[1])
sys.exit(0 if equal else 1)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        cwd=tmp_path,  # not the checkout, whose package may have no extension
        start_new_session=True,
    )
    try:
        assert process.wait(timeout=40) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
