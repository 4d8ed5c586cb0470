"""The backbones that configurations name: each module registers its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mobileinst.network.backbones.features import BackboneFeatures
from mobileinst.network.ops import Ops, T

if TYPE_CHECKING:
    from mobileinst.network.config import ModelConfig


class Build(Protocol):
    """X3, X4, X5 and X6 of an image, the parameters' names beginning with ``prefix``."""

    def __call__(
        self, ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = ""
    ) -> BackboneFeatures[T]: ...


class Levels(Protocol):
    """All maps of a backbone alone, by name; not ``whole`` where the weights are the official part only."""

    def __call__(
        self, ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "", whole: bool = True
    ) -> dict[str, T]: ...


@dataclass(frozen=True)
class Architecture:
    """A family of backbones.

    Attributes:
        family: Its name in messages.
        signature: Name of a tensor that only this family has, by which checkpoints of others are recognised.
        build: The features that the decoders use.
        levels: The maps that `mobileinst.Backbone` gives; None: x3 to x6.
        detects: Whether it says of each place what object is there (``query_source``).
        injects: Whether it has semantic injection modules (``use_sim``).
        official: What names of official weights begin with, where this project adds a part behind them.
    """

    family: str
    signature: str | None
    build: Build
    levels: Levels | None = None
    detects: bool = False
    injects: bool = False
    official: str | None = None

    def maps(
        self, ops: Ops[T], image: T, config: ModelConfig, *, prefix: str = "", whole: bool = True
    ) -> dict[str, T]:
        """All maps of the backbone alone, by name."""
        if self.levels is not None:
            return self.levels(ops, image, config, prefix=prefix, whole=whole)
        return named("x", self.build(ops, image, config, prefix=prefix))


#: Every backbone by the name that configurations use.
ARCHITECTURES: dict[str, Architecture] = {}


def register(names: Iterable[str], architecture: Architecture) -> None:
    """Make a family's backbones known by their names."""
    for name in names:
        if name in ARCHITECTURES:
            raise ValueError(f"the backbone {name!r} is there already")
        ARCHITECTURES[name] = architecture


def named(prefix: str, features: BackboneFeatures[T]) -> dict[str, T]:
    """The features by name: prefix and 3 to 6."""
    return {f"{prefix}{i}": getattr(features, f"x{i}") for i in (3, 4, 5, 6)}
