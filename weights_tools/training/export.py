"""From a training run to a weights file with its model card: ``python -m weights_tools.training.export``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mobileinst import __version__
from mobileinst.io.files import check_outputs, check_writable
from mobileinst.weights import SCORE_POWERS, save_weights
from weights_tools.command import tells_errors
from weights_tools.training.checkpoint import BEST, CHECKPOINT, LOG, load_file, read_log
from weights_tools.training.config import TrainingConfig, expand, load_stages
from weights_tools.training.stages import stage_folder

FORMAT = 1


#: Parts whose convolutions are stored as int8: they see the 1/64 grid only, where rounding matters least.
INT8_PARTS = ("backbone.trans.", "backbone.embed.")


def arrays(
    state: Mapping[str, torch.Tensor], *, half: bool, int8: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """Tensors of a model as arrays for a weights file.

    With ``half``, weights of convolutions and linear layers are stored as float16; norms, biases and
    statistics stay float32 (small variances would not survive). Convolutions below the prefixes ``int8`` are
    rounded to 8 bits with a scale for each output channel.
    """
    found: dict[str, NDArray[Any]] = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        array = tensor.detach().cpu().float().contiguous().numpy()
        if array.ndim == 4 and name.startswith(tuple(int8)):
            found[name], found[f"{name}.scale"] = _rounded(array)
        else:
            found[name] = array.astype(np.float16) if half and array.ndim >= 2 else array
    return found


def _rounded(array: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """An array as int8 with the scale of each output channel."""
    largest = np.abs(array).reshape(len(array), -1).max(1)
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    values = np.rint(array / scale.reshape(-1, 1, 1, 1)).clip(-127, 127)
    return values.astype(np.int8), scale


def blend(
    state: Mapping[str, torch.Tensor], earlier: Mapping[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Weights between two stages of one training: ``share`` of the earlier ones (arXiv 2109.01903).

    A stage at other crop sizes gains there and loses at those of the stage before; weights between the two
    keep most of both.
    """
    return {
        name: torch.lerp(tensor, earlier[name], share) if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def card(
    config: TrainingConfig, state: Mapping[str, Any], log: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a user should know of the weights: data with terms, how long trained, measured AP."""
    validated = [entry["val"] for entry in log if "val" in entry]
    measured: Mapping[str, float] = state.get("val") or (validated[-1] if validated else {})
    sets: dict[str, Any] = {}
    for part in config.train:
        sets |= json.loads(expand(part.annotations).read_text()).get("info", {}).get("sets", {})
    if config.temporal.share > 0 and config.temporal.annotations:
        videos = expand(config.temporal.annotations)
        info = json.loads(videos.read_text()).get("info", {})
        sets |= info.get("sets") or {videos.parent.name: info}
    sizes = sorted({size for phase in config.phases for size in phase.sizes})
    return {
        "images_seen": int(state["images"]),
        "iterations": int(state["step"]),
        "crop_sizes": sizes,
        "initial_backbone": Path(config.backbone or config.init).name,
        "validation": dict(measured),
        "validation_size": config.validation.size if config.validation else None,
        "training_sets": sets,
        "averaged": f"exponential moving average, decay {config.optimiser.ema}",
    }


def export(
    config: TrainingConfig,
    folder: Path,
    output: Path,
    *,
    last: bool = False,
    earlier: tuple[Path, float] | None = None,
    half: bool = True,
    int8: Sequence[str] = (),
    size: int | None = None,
    score_threshold: float | Sequence[float] | None = None,
    score_powers: Sequence[float] = SCORE_POWERS,
    notes: str = "",
) -> dict[str, Any]:
    """Write the averaged weights of a run: the best validated ones, or the last.

    ``earlier`` is the folder of the stage before and the share of its weights to mix in, see `blend`.

    Without ``score_threshold`` each class gets the threshold of its best F1 in the validation, whose scores
    are those of the default ``score_powers`` (class, objectness, maskness).

    Returns:
        The metadata of the file.

    Raises:
        ValueError: if the run has no such weights, or there is no threshold for these scores.
    """
    own_scores = tuple(score_powers) != SCORE_POWERS
    if own_scores and score_threshold is None:
        raise ValueError(f"scores with the powers {tuple(score_powers)} need a score threshold")
    state = _load(folder, last)
    log = read_log(folder / LOG) if (folder / LOG).exists() else []
    described = card(config, state, log)
    weights = state["average"]
    if earlier is not None:
        weights = blend(weights, _load(earlier[0], last)["average"], earlier[1])
        described["share_of_the_stage_before"] = earlier[1]
    if score_threshold is None:
        measured = described["validation"]
        score_threshold = [round(measured.get(f"threshold {name}", 0.3), 3) for name in config.classes]
    default_size = config.validation.size if config.validation else config.phases[-1].sizes[-1]
    metadata = {
        "format": FORMAT,
        "config": config.model.to_dict(),
        "classes": list(config.classes),
        "mean": list(config.data.mean),
        "std": list(config.data.std),
        "color": "rgb",
        "size": size or default_size,
        "score_threshold": list(score_threshold)
        if isinstance(score_threshold, Sequence)
        else score_threshold,
        **({"score_powers": list(score_powers)} if own_scores else {}),
        "version": __version__,
        "card": {**described, **({"notes": notes} if notes else {})},
    }
    save_weights(output, arrays(weights, half=half, int8=int8), metadata)
    return metadata


def _load(folder: Path, last: bool) -> dict[str, Any]:
    """The state of a run: its best, if there is one and not the last is wanted."""
    state = None if last else load_file(folder / BEST, torch.device("cpu"))
    state = state or load_file(folder / CHECKPOINT, torch.device("cpu"))
    if state is None:
        raise ValueError(f"{folder} holds neither {BEST} nor {CHECKPOINT}")
    return state


@tells_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the averaged weights of a training run as a weights file."""
    parser = argparse.ArgumentParser(prog="python -m weights_tools.training.export", description=main.__doc__)
    parser.add_argument("config", type=Path, help="TOML file of the run")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("output", type=Path, help="weights file to write (.safetensors)")
    parser.add_argument("--last", action="store_true", help="the last weights instead of the best validated")
    parser.add_argument(
        "--stage", type=int, metavar="N", help="the weights after stage N instead of the last"
    )
    parser.add_argument(
        "--earlier", type=float, metavar="SHARE", help="share of the weights of the stage before to mix in"
    )
    parser.add_argument("--fp32", action="store_true", help="store everything as float32")
    parser.add_argument("--small", action="store_true", help="8 bits for the convolutions of the 1/64 grid")
    parser.add_argument("--size", type=int, help="default input size (shorter side)")
    parser.add_argument(
        "--score-threshold", type=float, nargs="+", default=[0.3], help="one, or one per class"
    )
    parser.add_argument(
        "--score-powers",
        type=float,
        nargs=3,
        default=SCORE_POWERS,
        metavar=("CLASS", "OBJECTNESS", "MASKNESS"),
        help="powers of the factors of a score (default: %(default)s)",
    )
    parser.add_argument("--notes", default="", help="text for the model card")
    options = parser.parse_args(arguments)
    threshold = options.score_threshold
    if threshold is not None and len(threshold) == 1:
        (threshold,) = threshold
    stages = load_stages(options.config)
    number = len(stages) if options.stage is None else options.stage
    folder = stage_folder(options.run, number, len(stages))
    check_outputs([options.output], [options.config, folder / BEST, folder / CHECKPOINT])
    check_writable(options.output)
    metadata = export(
        _stage(stages, number),
        folder,
        options.output,
        last=options.last,
        earlier=_earlier(options.run, number, len(stages), options.earlier),
        half=not options.fp32,
        int8=INT8_PARTS if options.small else (),
        size=options.size,
        score_threshold=threshold,
        score_powers=options.score_powers,
        notes=options.notes,
    )
    print(json.dumps(metadata["card"], indent=2))
    return 0


def _stage(stages: Sequence[TrainingConfig], number: int) -> TrainingConfig:
    if not 1 <= number <= len(stages):
        raise ValueError(f"--stage: expected 1 to {len(stages)}, got {number}")
    return stages[number - 1]


def _earlier(run: Path, number: int, count: int, share: float | None) -> tuple[Path, float] | None:
    if share is None:
        return None
    if number == 1 or not 0 <= share <= 1:
        raise ValueError(
            f"--earlier: expected a share in 0..1 of a stage before, got {share} at stage {number}"
        )
    return stage_folder(run, number - 1, count), share


if __name__ == "__main__":
    sys.exit(main())
