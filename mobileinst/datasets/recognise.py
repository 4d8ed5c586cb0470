"""Which form a path holds."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .coco import is_coco, read_coco
from .images import images_below, part_of
from .labelme import is_labelme, read_labelme
from .model import Collector, Dataset, DatasetError, read_annotation_json
from .png_masks import mask_folders, read_png_masks
from .via import is_via, read_via
from .yolo import read_label_studio, read_yolo

FORMS = (
    "COCO JSON, a YOLO-seg folder (data.yaml), labelme JSONs, VIA JSON, or folders of images and PNG masks"
)

Reader = Callable[[Sequence[Path], Path, Collector], None]
#: Name of a form, and what reads it.
_Form = tuple[str, Callable[[Collector], None]]
_JSON: tuple[tuple[str, Callable[[Any], bool], Reader], ...] = (
    ("COCO", is_coco, read_coco),
    ("labelme", is_labelme, read_labelme),
    ("VIA", is_via, read_via),
)
#: How deep JSON files are looked for, and how many tell the form.
_DEPTH, _LOOKED_AT = 3, 20


def read_dataset(path: str | os.PathLike[str], *, skip_bad: bool = False) -> Dataset:
    """Read annotated images in whichever form they are.

    Args:
        path: A folder, or the file of annotations.
        skip_bad: Leave wrong entries and missing images out, with warnings.

    Raises:
        DatasetError: if no form is recognised, or anything is wrong (the first finding, and how many).
        ImportError: if the form needs a package that is missing.
    """
    return collect(Path(path), skip_bad=skip_bad).dataset()


def collect(path: Path, *, skip_bad: bool = False) -> Collector:
    """Everything that is found at a path, wrong entries as problems.

    Raises:
        DatasetError: if the whole can't be read.
    """
    if not path.exists():
        raise DatasetError(f"{path} does not exist")
    if path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"):
        raise DatasetError(f"{path} is an archive: unpack it first")
    form, read = _form_of_file(path) if path.is_file() else _form_of_folder(path)
    found = Collector(form, skip_bad)
    read(found)
    return found


def _form_of_folder(path: Path) -> _Form:
    config = _yaml_of(path)
    if config is not None:
        return "YOLO", functools.partial(read_yolo, config)
    if (path / "classes.txt").is_file() and any((path / "labels").glob("*.txt")):
        return "YOLO", functools.partial(read_label_studio, path)
    files = _json_files(path)
    for name, fits, reader in _JSON:
        chosen = [file for file, data in files.items() if fits(data)]
        if chosen:
            if name == "labelme":
                # only some were looked at; those that are no files of labelme are said
                chosen = [file for file in sorted(path.rglob("*.json")) if _may_be(file, path)]
            return name, functools.partial(reader, chosen, path)
    if mask_folders(path) or any(part_of(p.name) and mask_folders(p) for p in path.iterdir() if p.is_dir()):
        return "PNG masks", functools.partial(read_png_masks, path)
    broken = next((data for data in files.values() if isinstance(data, DatasetError)), None)
    if broken is not None:
        raise broken
    hint = f"; it holds {len(images_below(path))} images without annotations" if images_below(path) else ""
    raise DatasetError(f"{path}: expected {FORMS}{hint}")


def _form_of_file(path: Path) -> _Form:
    if path.suffix.lower() in (".yaml", ".yml"):
        return "YOLO", functools.partial(read_yolo, path)
    data = read_annotation_json(path)
    for name, fits, reader in _JSON:
        if fits(data):
            return name, functools.partial(reader, [path], path.parent)
    raise DatasetError(f"{path}: expected {FORMS}")


def _yaml_of(folder: Path) -> Path | None:
    """``data.yaml``, or the only YAML file of a folder."""
    found = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    named = [file for file in found if file.stem in ("data", "dataset")]
    return named[0] if named else found[0] if len(found) == 1 else None


def _json_files(folder: Path) -> dict[Path, Any]:
    """JSON files that may be annotations with their values, or the DatasetError of those that can't be read.

    Of files that lie beside each other some tell the form.
    """
    found: dict[Path, Any] = {}
    for depth in range(_DEPTH):
        files = sorted(folder.glob("/".join(["*"] * depth + ["*.json"])))
        looked: dict[Path, int] = {}
        for file in (file for file in files if _may_be(file, folder)):
            looked[file.parent] = looked.get(file.parent, 0) + 1
            if looked[file.parent] <= _LOOKED_AT:
                try:
                    found[file] = read_annotation_json(file)
                except DatasetError as error:
                    found[file] = error
    return found


def _may_be(file: Path, folder: Path) -> bool:
    """Whether a file below a folder is none of a training's own."""
    return not any(part.endswith(".training") for part in file.relative_to(folder).parts[:-1])
