"""Which architecture a checkpoint holds, by the names and shapes of its tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobileinst.network import ModelConfig
from mobileinst.network.backbones import ARCHITECTURES
from mobileinst.network.batch_norm import NORM_LEAVES
from mobileinst.network.ops import NORM_EPS
from mobileinst.weights import BACKBONE_PREFIX, required_shapes

Arrays = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]

#: Per family the name of a tensor that only it has, as it stands behind any prefix.
SIGNATURES = {one.family: one.signature for one in ARCHITECTURES.values() if one.signature is not None}
_WHOLE = "instance_decoder.query.weight"
_COUNTER = "num_batches_tracked"


class RecognitionError(ValueError):
    """A checkpoint holds no architecture of this project, or more than one."""


@dataclass
class Match:
    """How a checkpoint fits a configuration.

    Attributes:
        kind: ``model`` or ``backbone``.
        config: The configuration.
        prefix: What stands before the names of the model (of the backbone, if it is one alone).
        tensors: What is used, by the names of a weights file, as float32.
        used: Names in the checkpoint that were used.
        skipped: Names that the configuration has no use for.
        missing: Names of the weights file that nothing was found for.
        misshaped: Per name the shape in the checkpoint and the expected one.
        folded: Batch norms that were made of the biases of folded convolutions.
    """

    kind: str
    config: ModelConfig
    prefix: str
    tensors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    folded: int = 0

    @property
    def problems(self) -> int:
        """Tensors that stand in the way of using it."""
        return len(self.missing) + len(self.misshaped)


def recognise(
    tensors: Arrays, settings: Mapping[str, Any] | None = None, *, prefix: str | None = None
) -> Match:
    """Find the configuration that a checkpoint fits best.

    Args:
        tensors: Named arrays of the checkpoint.
        settings: Fields of :class:`ModelConfig` that are known already.
        prefix: What stands before the names of the network; None finds it.

    Returns:
        The best match, which may still have problems.

    Raises:
        RecognitionError: if no architecture, or more than one, is found.
    """
    settings = dict(settings or {})
    family, root = _find_family(tensors, prefix)
    whole = [name.removesuffix(_WHOLE) for name in tensors if name.endswith(_WHOLE)]
    beside = [start for start in whole if root == f"{start}{BACKBONE_PREFIX}"]
    if whole and not beside and prefix is None:
        raise RecognitionError(
            f"the checkpoint holds a whole model under {whole[0]!r}, but the {family} under {root!r} is not "
            "its backbone; --prefix PREFIX chooses one"
        )
    whole = beside
    kind, start = ("model", whole[0]) if whole else ("backbone", root)
    if kind == "model":
        settings = _decoder_settings(tensors, start) | settings
    members = {name: one for name, one in ARCHITECTURES.items() if one.family == family}
    if "use_sim" not in settings and any(one.injects for one in members.values()):
        settings["use_sim"] = any(name.startswith(f"{root}SIM.") for name in tensors)
    backbones = [settings.pop("backbone")] if "backbone" in settings else []
    backbones = backbones or list(members)
    matches = [_match(tensors, kind, ModelConfig(name, **settings), start) for name in backbones]
    fewest = min(match.problems for match in matches)
    best = [match for match in matches if match.problems == fewest]
    if len(best) > 1:
        names = ", ".join(match.config.backbone for match in best)
        raise RecognitionError(
            f"the checkpoint fits {names} equally badly ({fewest} tensors missing or of another shape); "
            "--config backbone=NAME chooses one"
        )
    return best[0]


def _find_family(tensors: Arrays, prefix: str | None) -> tuple[str, str]:
    """The family and what stands before its names."""
    found = [
        (family, name.removesuffix(signature))
        for family, signature in SIGNATURES.items()
        for name in tensors
        if name == signature or name.endswith(f".{signature}")
    ]
    if prefix is not None:
        dotted = prefix if not prefix or prefix.endswith(".") else f"{prefix}."
        found = [(family, root) for family, root in found if root in (dotted, f"{dotted}{BACKBONE_PREFIX}")]
    if not found:
        some = ", ".join(list(tensors)[:4]) or "nothing"
        raise RecognitionError(
            f"none of {', '.join(SIGNATURES)} in the checkpoint"
            f"{f' under the prefix {prefix!r}' if prefix is not None else ''}; it has {some}, ..."
        )
    if len(found) > 1:
        places = ", ".join(f"{family} under {root!r}" for family, root in found)
        raise RecognitionError(f"ambiguous: the checkpoint holds {places}; --prefix PREFIX chooses one")
    return found[0]


def _decoder_settings(tensors: Arrays, start: str) -> dict[str, int]:
    """What the shapes of a whole model say; heads and the keys' stride don't show in them."""
    sources = {
        "width": ("mask_decoder.lateral.3.conv.weight", 0),
        "classes": ("instance_decoder.class.weight", 0),
        "queries": (_WHOLE, 0),
        "hidden": (_WHOLE, 1),
        "ffn": ("instance_decoder.ffn.linear1.weight", 0),
        "kernel_dim": ("instance_decoder.kernel.weight", 0),
    }
    shown = {
        setting: tensors[f"{start}{name}"].shape[axis]
        for setting, (name, axis) in sources.items()
        if f"{start}{name}" in tensors and tensors[f"{start}{name}"].ndim > axis
    }
    finer = any(name.startswith(f"{start}mask_decoder.detail.") for name in tensors)
    return {**shown, "mask_stride": 4} if finer else shown


def _match(tensors: Arrays, kind: str, config: ModelConfig, start: str) -> Match:
    # a backbone alone has no prefix of this project in its checkpoint
    ours = "" if kind == "model" else BACKBONE_PREFIX
    named = {f"{ours}{name.removeprefix(start)}": name for name in tensors if name.startswith(start)}
    shapes = required_shapes(config, kind, named)
    match = Match(kind, config, start)
    folded = _folded_norms(named, shapes)
    for name, shape in shapes.items():
        norm = name.rpartition(".")[0]
        if name in named and name not in folded:
            _take(match, name, named[name], tensors[named[name]], shape)
        elif norm in folded:
            _take_folded(match, name, tensors, named[folded[norm]], shape)
        else:
            match.missing.append(name)
    used = set(match.used)
    match.skipped = [name for name in tensors if name not in used and not name.endswith(_COUNTER)]
    _refuse_unexpected_biases(match, named, tensors, folded)
    return match


def _take(match: Match, name: str, source: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    match.used.append(source)
    if array.shape != shape or array.dtype.kind != "f":
        match.misshaped[source] = (array.shape, shape)
        return
    match.tensors[name] = np.ascontiguousarray(array, np.float32)


def _convolution_of(norm: str) -> tuple[str, ...]:
    """Names that the convolution before a norm may have."""
    head, _, leaf = norm.rpartition(".")
    return (f"{head}.{int(leaf) - 1}",) if leaf.isdigit() else (f"{head}.c", f"{head}.conv")


def _folded_norms(named: Collection[str], shapes: Shapes) -> dict[str, str]:
    """Norms that are absent because they are folded: their prefix to the name of the convolution's bias."""
    folded = {}
    for name in shapes:
        norm, _, leaf = name.rpartition(".")
        if leaf != "running_var" or any(f"{norm}.{part}" in named for part in NORM_LEAVES):
            continue
        for convolution in _convolution_of(norm):
            if f"{convolution}.weight" in shapes and f"{convolution}.bias" in named:
                folded[norm] = f"{convolution}.bias"
    return folded


def _take_folded(match: Match, name: str, tensors: Arrays, source: str, shape: tuple[int, ...]) -> None:
    """The norm becomes the identity plus the bias: mean 0, variance 1 less eps."""
    leaf = name.rpartition(".")[2]
    if leaf == "bias":
        _take(match, name, source, tensors[source], shape)
        match.folded += 1
        return
    value = {"weight": 1.0, "running_mean": 0.0, "running_var": 1.0 - NORM_EPS}[leaf]
    match.tensors[name] = np.full(shape, value, np.float32)


def _refuse_unexpected_biases(
    match: Match, named: Mapping[str, str], tensors: Arrays, folded: Mapping[str, str]
) -> None:
    """A convolution with a bias that the architecture lacks would compute something else without it."""
    taken = set(folded.values())
    weights = [name for name in match.tensors if name.endswith(".weight") and match.tensors[name].ndim == 4]
    for name in weights:
        bias = f"{name.removesuffix('.weight')}.bias"
        if bias in named and bias not in match.tensors and bias not in taken:
            match.misshaped[named[bias]] = (tensors[named[bias]].shape, ())


def setting_names() -> tuple[str, ...]:
    """Fields of a configuration."""
    return tuple(field.name for field in dataclasses.fields(ModelConfig))
