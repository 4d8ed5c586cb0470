"""Training configurations: TOML files read into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mobileinst.network import ModelConfig
from weights_tools.training.auxiliary import AuxiliaryWeights
from weights_tools.training.data import DataConfig, data_config
from weights_tools.training.losses import LossWeights
from weights_tools.training.temporal import TemporalConfig

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    try:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise ImportError(
            'reading TOML on Python 3.10 needs tomli: pip install "mobileinst[train]"'
        ) from error

T = TypeVar("T")


@dataclass(frozen=True)
class SetConfig:
    """An annotated set.

    Attributes:
        annotations: COCO JSON file, or an archive (``.npz``), which holds its images.
        images: Folder of the images.
        pseudo: JSON file of a detector's boxes for the classes that are not labelled, or empty.
        repeat: How often its images come per epoch, times what ``[data] repeat`` says of their ``image.set``.
    """

    annotations: str
    images: str = ""
    pseudo: str = ""
    repeat: float = 1.0


@dataclass(frozen=True)
class Phase:
    """Crop sizes used until a share of the training is done; one is drawn per batch."""

    until: float
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW and its schedule.

    Attributes:
        lr: Peak learning rate; that of the backbone is ``lr * backbone_lr``.
        weight_decay: For weights of convolutions and linear layers; none for norms, biases and embeddings.
        warmup: Iterations of linear warm-up from 0.001 of the rate.
        flat: Share of the training before the rate falls by a cosine to ``final`` of it.
        milestones: Shares of the training at which the rate is multiplied by 0.1, instead of the cosine.
        clip: Largest norm of the gradient, 0 for no limit.
        ema: Decay of the averaged weights that are validated and exported.
    """

    lr: float = 5e-5
    backbone_lr: float = 0.5
    weight_decay: float = 0.05
    warmup: int = 1000
    flat: float = 0.4
    final: float = 0.01
    milestones: tuple[float, ...] = ()
    clip: float = 0.0
    ema: float = 0.999


@dataclass(frozen=True)
class ValidationConfig:
    """A set whose AP is measured while training runs.

    Attributes:
        annotations, images: COCO JSON and the folder of its images.
        size: Shorter side of the network's input.
        limit: At most so many images.
        every_minutes: Time between measurements.
        every_share: Share of the schedule between measurements, if that is sooner; 0 for none.
        patience: The run ends after so many measurements without a better AP; 0 for never.
    """

    annotations: str
    images: str
    size: int = 320
    limit: int = 150
    every_minutes: float = 20.0
    every_share: float = 0.0
    patience: int = 0


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that a run depends on.

    Attributes:
        classes: Names of categories or supercategories.
        images: Training images in all; the schedule is a share of them.
        batch: Images per step and process.
        phases: Crop sizes over the run.
        backbone: File of initial backbone weights; environment variables are expanded.
        init: Weights file (safetensors, of any form that ``export`` writes) of a whole model to start from;
            what belongs to other classes starts new.
        frozen_norms: Prefixes of batch norms whose statistics stay as they are.
        frozen: Prefixes of parameters that are not trained; may be changed when a run is resumed.
        fast: Prefixes of the backbone's parameters that are trained at the full rate.
        query_grid: Start queries from a sine grid, query projections equal to the key projections.
        cache: Folder for decoded images, or empty to decode at every access.
        cache_gib: Most that the cache of a set takes; further images are decoded at every access.
        workers: Processes that load data per training process; 0 loads in the training process itself.
        checkpoint_minutes: Time between checkpoints.
        augment: "loader", by processors, or "device", where the model trains and all images stay in memory.
    """

    model: ModelConfig
    classes: tuple[str, ...]
    train: tuple[SetConfig, ...]
    images: int
    batch: int = 8
    phases: tuple[Phase, ...] = (Phase(1.0, (512,)),)
    seed: int = 0
    backbone: str = ""
    init: str = ""
    frozen_norms: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    fast: tuple[str, ...] = ()
    query_grid: bool = False
    cache: str = ""
    cache_gib: float = 16.0
    workers: int = 0
    checkpoint_minutes: float = 5.0
    augment: str = "loader"
    data: DataConfig = field(default_factory=DataConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    auxiliary: AuxiliaryWeights = field(default_factory=AuxiliaryWeights)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    validation: ValidationConfig | None = None

    def __post_init__(self) -> None:
        if self.images < 1 or self.batch < 1:
            raise ValueError(f"images and batch must be positive; got {self.images} and {self.batch}")
        if self.model.classes != len(self.classes):
            raise ValueError(
                f"model.classes is {self.model.classes} but {len(self.classes)} classes are named"
            )
        if self.temporal.share > 0 and self.batch % 2:
            raise ValueError(f"batch must be even to hold clips of two frames; got {self.batch}")
        if not self.train:
            raise ValueError("train needs at least one set")
        if self.augment not in ("loader", "device"):
            raise ValueError(f'augment must be "loader" or "device"; got {self.augment!r}')
        if self.augment == "device" and (self.workers or self.temporal.share > 0):
            raise ValueError('augment = "device" takes no workers and no clips')
        if self.augment == "device" and self.data.augment.blur > 0:
            raise ValueError('augment = "device" takes no blur')
        if not self.phases or self.phases[-1].until < 1.0:
            raise ValueError("phases must reach until = 1.0")
        for phase in self.phases:
            if not phase.sizes or any(size < 32 or size % 32 for size in phase.sizes):
                raise ValueError(f"sizes must be multiples of 32; got {phase.sizes}")


def expand(path: str) -> Path:
    """A path with environment variables and ``~`` replaced.

    Raises:
        ValueError: if a variable is not set.
    """
    expanded = os.path.expandvars(os.path.expanduser(path))
    if "$" in expanded:
        raise ValueError(f"{path}: an environment variable in this path is not set")
    return Path(expanded)


def _build(kind: type[T], values: Mapping[str, Any], table: str) -> T:
    """A dataclass from a TOML table; lists become tuples, unknown keys are refused."""
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown keys {unknown} in [{table}]; known are {sorted(known)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def parse_config(values: Mapping[str, Any]) -> TrainingConfig:
    """Read a configuration from parsed TOML.

    Raises:
        ValueError: for unknown or missing keys and values out of range.
    """
    given = dict(values)
    try:
        given["model"] = ModelConfig.from_dict(given["model"])
        sets = given["train"] if isinstance(given["train"], list) else [given["train"]]
        given["train"] = tuple(_build(SetConfig, values, "train") for values in sets)
        given["data"] = data_config(given.get("data", {}))
        for name, kind in (
            ("optimiser", OptimiserConfig),
            ("losses", LossWeights),
            ("auxiliary", AuxiliaryWeights),
            ("temporal", TemporalConfig),
        ):
            given[name] = _build(kind, given.get(name, {}), name)
        if "phases" in given:
            given["phases"] = tuple(_build(Phase, phase, "phases") for phase in given["phases"])
        if "validation" in given:
            given["validation"] = _build(ValidationConfig, given["validation"], "validation")
        return _build(TrainingConfig, given, "the top level")
    except KeyError as error:
        raise ValueError(f"the configuration lacks {error}") from error
    except TypeError as error:
        raise ValueError(f"the configuration does not fit: {error}") from error


def parse_stages(values: Mapping[str, Any]) -> tuple[TrainingConfig, ...]:
    """The stages of a training: what ``[[stages]]`` sets replaces the rest of the file, key by key.

    Without ``[[stages]]`` there is one stage.

    Raises:
        ValueError: for unknown or missing keys and values out of range.
    """
    given = dict(values)
    stages = given.pop("stages", [{}])
    if not isinstance(stages, list) or not stages or not all(isinstance(s, dict) for s in stages):
        raise ValueError("stages: expected at least one [[stages]] table")
    return tuple(parse_config(_replaced(given, stage)) for stage in stages)


def _replaced(values: Mapping[str, Any], stage: Mapping[str, Any]) -> dict[str, Any]:
    """Values with a stage's in their place; of a table only the keys that the stage names."""
    tables = {k: {**values.get(k, {}), **v} for k, v in stage.items() if isinstance(v, dict)}
    return {**values, **stage, **tables}


def load_stages(path: Path) -> tuple[TrainingConfig, ...]:
    """Read a TOML file.

    Raises:
        ValueError: if it is no valid configuration.
    """
    try:
        return parse_stages(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error


def load_config(path: Path) -> TrainingConfig:
    """The last stage of a TOML file, whose weights are the result.

    Raises:
        ValueError: if it is no valid configuration.
    """
    return load_stages(path)[-1]
