"""AP of trained weights at several sizes: ``python -m weights_tools.training.measure CONFIG WEIGHTS``."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mobileinst.weights import load_weights
from weights_tools.command import tells_errors
from weights_tools.torch_ops import MobileInst, load_state
from weights_tools.training.checkpoint import load_file
from weights_tools.training.config import TrainingConfig, expand, load_config
from weights_tools.training.initial import TrainedModel
from weights_tools.training.processes import Group, run_processes
from weights_tools.training.validation import Validation


def load_averaged(config: TrainingConfig, path: Path) -> MobileInst:
    """The averaged model of a checkpoint (``.pt``), or that of a weights file.

    Raises:
        ValueError: if there is no such file or it has another configuration.
    """
    if path.suffix != ".pt":
        weights = load_weights(path)
        model = MobileInst(weights.config)
        load_state(model, {name: np.array(tensor) for name, tensor in weights.tensors.items()})
        return model
    state = load_file(path, torch.device("cpu"))
    if state is None:
        raise ValueError(f"{path} does not exist")
    trained = TrainedModel(config.model, config.frozen_norms)
    trained.load_state_dict(state["average"])
    return trained


def _measure(config: TrainingConfig, path: Path, sizes: Sequence[int], limit: int, group: Group) -> None:
    settings = config.validation
    if settings is None:
        raise ValueError("the configuration has no [validation]")
    model = load_averaged(config, path).to(group.device).eval()
    mean, std = (
        torch.tensor(v, device=group.device).reshape(1, 3, 1, 1) for v in (config.data.mean, config.data.std)
    )
    for size in sizes:
        validation = Validation(
            expand(settings.annotations), expand(settings.images), config.classes, size, limit
        )
        table = validation.run(model, mean, std, group, most=100)
        if group.rank == 0:
            cells = "  ".join(f"{name} {value:.3g}" for name, value in table.items())
            print(f"size {size}: {cells}", flush=True)


@tells_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure mask AP and, per class, the best F1 and its score threshold on CONFIG's validation set."""
    name = "python -m weights_tools.training.measure"
    parser = argparse.ArgumentParser(prog=name, description=main.__doc__)
    parser.add_argument("config", type=Path, help="TOML file of the run")
    parser.add_argument("weights", type=Path, help="checkpoint.pt, best.pt, or a weights file")
    parser.add_argument("--size", type=int, nargs="+", help="shorter sides of the input")
    parser.add_argument("--limit", type=int, help="at most so many images")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args(arguments)
    config = load_config(options.config)
    if config.validation is None:
        raise ValueError(f"{options.config} has no [validation]")
    sizes, limit = options.size or [config.validation.size], options.limit or config.validation.limit
    work = functools.partial(_measure, config, options.weights, sizes, limit)
    run_processes(work, options.processes, options.device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
