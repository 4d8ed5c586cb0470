"""PyTorch's interpreter of the network."""

from __future__ import annotations

import inspect

import pytest

from mobileinst.network.ops import Operation, Ops, Shape

torch_ops = pytest.importorskip("weights_tools.torch_ops")


def test_pytorch_has_its_own_way_for_every_operation() -> None:
    """It computes none from what `Ops` says of it, so a method left out would show only when it is called."""
    methods = {name for name, _ in inspect.getmembers(Ops, inspect.isfunction) if not name.startswith("_")}
    assert methods - {"shape", "run"} <= set(vars(torch_ops.TorchOps))


def test_an_operation_that_is_missing_is_named() -> None:
    ops = torch_ops.TorchOps(torch_ops.nn.Module())
    with pytest.raises(NotImplementedError, match="TorchOps lacks the operation 'swap'"):
        ops.run(Operation("swap", "x", Shape(1, None, 1)))
