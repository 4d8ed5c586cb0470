"""Reading checkpoints of others: files of several kinds as named arrays, without running anything in them."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mobileinst.weights import WeightsError, load_weights, read_safetensors

#: Entries of a checkpoint that hold tensors, the preferred first: averaged weights, then the usual ones.
ENTRIES = ("state_dict_ema", "model_ema", "average", "state_dict", "model")


#: Parts of names that wrappers add: torch.compile, data parallelism, sharding, activation checkpointing.
WRAPPERS = frozenset({"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


class CheckpointError(ValueError):
    """A checkpoint can't be read, or is not one that this project can use."""


@dataclass
class Checkpoint:
    """Named tensors of a checkpoint.

    Attributes:
        tensors: Arrays by name, as they stand in the file; half and brain floats widened to float32.
        entry: Name of the entry that they come from; empty for the file itself.
        others: Further entries that hold tensors.
        metadata: Metadata of a weights file of this project (configuration, classes, normalisation), or the
            same of its training; empty for checkpoints of others.
    """

    tensors: dict[str, NDArray[Any]]
    entry: str = ""
    others: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path, entry: str | None = None) -> Checkpoint:
    """Read a `.pth`, `.safetensors` or `.npz` file; the content decides, not the name.

    Args:
        path: The file.
        entry: Entry to take from a checkpoint that has several; None takes the first of :data:`ENTRIES`.

    Raises:
        CheckpointError: for a file that is none of these, is damaged, or holds more than tensors and plain
            values.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror or error}") from None
    if _is_npz(path):
        return Checkpoint(_read_npz(path))
    if start.startswith((b"PK", b"\x80")):
        return _select(_read_torch(path), entry, path)
    if start[8:9] == b"{":
        return _read_safetensors(path)
    raise CheckpointError(f"{path}: expected a .pth, .safetensors or .npz checkpoint, got something else")


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # no zip, or a damaged one, of which its own reader tells
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # readers of damaged archives raise nearly everything
        raise CheckpointError(f"{path}: not a readable .npz file: {_reason(error)}") from None


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        tensors, metadata = read_safetensors(path)
        if "mobileinst" not in metadata:
            return Checkpoint(unwrapped(tensors))
        weights = load_weights(path, kind=None)
    except WeightsError as error:
        raise CheckpointError(str(error)) from None
    return Checkpoint(dict(weights.tensors), metadata=json.loads(json.dumps(weights.metadata)))


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line.strip() for line in str(error).splitlines() if "GLOBAL" in line), "")
        raise CheckpointError(
            f"{path}: refused, because it holds Python objects besides tensors and plain values, and loading "
            f"those can run any code{f' ({reason[:160]})' if reason else ''}. If you trust its source, load "
            "it yourself and save the tensors alone: "
            'torch.save(torch.load(PATH, weights_only=False)["state_dict"], "clean.pth")'
        ) from None
    except Exception as error:  # so does PyTorch for damaged pickles
        raise CheckpointError(f"{path}: not a readable PyTorch checkpoint: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _select(loaded: Any, entry: str | None, path: Path) -> Checkpoint:
    if not isinstance(loaded, Mapping):
        raise CheckpointError(
            f"{path}: expected a dictionary of tensors, got {type(loaded).__name__}; save model.state_dict()"
        )
    found = {name: value for name, value in loaded.items() if _holds_tensors(value)}
    if entry is not None:
        if entry not in found:
            raise CheckpointError(
                f"{path}: no entry {entry!r} with tensors; there are {sorted(map(str, found)) or 'none'}"
            )
        chosen = entry
    elif any(isinstance(value, torch.Tensor) for value in loaded.values()):
        return Checkpoint(_arrays(loaded))
    else:
        known = [name for name in ENTRIES if name in found]
        if not known:
            raise CheckpointError(
                f"{path}: no tensors at its top level nor in the entries {', '.join(ENTRIES)}; "
                f"entries with tensors are {sorted(map(str, found)) or 'none'} (--entry NAME takes one)"
            )
        chosen = known[0]
    others = [str(name) for name in found if name != chosen and name in ENTRIES]
    return Checkpoint(_arrays(found[chosen]), chosen, others, _training_metadata(loaded))


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(x, torch.Tensor) for x in value.values())


def _arrays(tensors: Mapping[Any, Any]) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name, value in tensors.items():
        if isinstance(value, torch.Tensor) and isinstance(name, str):
            value = value.detach()
            if value.dtype in (torch.float16, torch.bfloat16):
                value = value.float()
            try:
                arrays[name] = value.contiguous().numpy()
            except Exception as error:  # sparse, quantised and others that NumPy lacks
                raise CheckpointError(f"tensor {name!r} can't be converted: {_reason(error)}") from None
    return unwrapped(arrays)


def unwrapped(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The same arrays without what torch.compile and parallel wrappers put into names.

    Raises:
        CheckpointError: if two names become one.
    """
    plain: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        short = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        if short in plain:
            raise CheckpointError(f"two tensors are {short!r} without their wrappers' names")
        plain[short] = array
    return plain


def _training_metadata(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint of this project's training says of its model."""
    config = loaded.get("config")
    if not isinstance(config, Mapping) or not isinstance(config.get("model"), Mapping):
        return {}
    metadata: dict[str, Any] = {"config": dict(config["model"])}
    if isinstance(config.get("classes"), (list, tuple)):
        metadata["classes"] = [str(name) for name in config["classes"]]
    data = config.get("data")
    if isinstance(data, Mapping):
        for key in ("mean", "std"):
            value = data.get(key)
            if isinstance(value, (list, tuple)) and all(isinstance(v, (int, float)) for v in value):
                metadata[key] = [float(v) for v in value]
    return metadata
