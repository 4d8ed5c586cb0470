"""YOLO-seg folders: ``data.yaml`` or Label Studio's ``classes.txt``, a text file of polygons per image."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..io.extras import import_extra
from .images import class_names, find_image, images_below, known_size
from .model import Collector, DatasetError, Item

#: Shares may pass 0 and 1 by this: rounding and corners beside the image.
_BEYOND = 0.05


def read_yolo(config: Path, found: Collector) -> None:
    """Read what a ``data.yaml`` describes."""
    data = _read_yaml(config)
    found.names += _names(config, data)
    root = config.parent
    given = data.get("path")
    roots = [root]
    if isinstance(given, str) and given:
        roots = [Path(given) if Path(given).is_absolute() else root / given, root]
    images: dict[str, list[Path]] = {}
    for key, part in (("train", "train"), ("val", "val"), ("valid", "val"), ("test", "test")):
        if data.get(key):
            images[part] = _images(config, key, data[key], roots)
    if not images:
        raise DatasetError(f"{config}: expected 'train', the folder of the images")
    if set(images.get("val", ())) <= set(images.get("train", ())):
        images.pop("val", None)  # a part that repeats another is none
    seen: set[Path] = set()
    for part, paths in images.items():
        for path in paths:
            if path not in seen:
                _read_image(path, part if len(images) > 1 else None, found)
        seen.update(paths)


def read_label_studio(folder: Path, found: Collector) -> None:
    """Read Label Studio's YOLO export: ``classes.txt``, ``images/``, ``labels/``."""
    found.names += class_names(folder)
    for path in images_below(folder / "images"):
        _read_image(path, None, found)


def _read_yaml(config: Path) -> dict[str, Any]:
    yaml = import_extra("yaml", f"reading {config.name} needs PyYAML", "train")
    try:
        data = yaml.safe_load(config.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise DatasetError(f"{config}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DatasetError(f"{config}: not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise DatasetError(f"{config}: expected 'train' and 'names', got {type(data).__name__}")
    return data


def _names(config: Path, data: dict[str, Any]) -> list[str]:
    names = data.get("names")
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DatasetError(f"{config}: expected names numbered from 0, got {sorted(map(str, names))}")
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DatasetError(f"{config}: expected 'names', the classes, got {names!r}")
    found = [str(name) for name in names]
    if len(set(found)) != len(found):
        raise DatasetError(f"{config}: a class is named twice: {', '.join(found)}")
    return found


def _images(config: Path, key: str, value: Any, roots: list[Path]) -> list[Path]:
    """Images of a part: of folders, or of text files that list them."""
    found: list[Path] = []
    for name in value if isinstance(value, list) else [value]:
        # exporters write ../train/images where train/images is meant
        shorter = str(name).replace("\\", "/")
        while shorter.startswith("../"):
            shorter = shorter[3:]
        places = [root / text for text in (str(name), shorter) for root in roots]
        place = next((p for p in places if p.exists()), None)
        if place is None:
            raise DatasetError(f"{config}: {key}: {name} does not exist")
        if place.is_dir():
            found += images_below(place) or images_below(place / "images")
            continue
        for line in place.read_text(encoding="utf-8").splitlines():
            if line.strip():
                listed = find_image(line.strip(), [*roots, place.parent])  # CVAT begins with data/
                found.append(listed or roots[0] / line.strip())
    return found


def _label_file(image: Path) -> Path:
    """``.../labels/...txt`` of ``.../images/...jpg``: the last such folder; or beside the image."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            return Path(*parts[:i], "labels", *parts[i + 1 :]).with_suffix(".txt")
    return image.with_suffix(".txt")


def _read_image(path: Path, part: str | None, found: Collector) -> None:
    size = known_size(found, str(path), path.name, path if path.is_file() else None)
    if size is None:
        return
    labels = _label_file(path)
    items: list[tuple[str, Item] | None] = []
    if labels.is_file():
        try:
            lines = labels.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            found.error(str(labels), "expected lines of numbers, got other bytes")
            return
        items = [
            _item(f"{labels}:{i + 1}", line, size, found) for i, line in enumerate(lines) if line.strip()
        ]
    found.add(path, size, items, part)


def _item(where: str, line: str, size: tuple[int, int], found: Collector) -> tuple[str, Item] | None:
    words = line.split()
    try:
        index, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        found.error(where, f"expected a class and numbers, got {line.strip()[:60]!r}")
        return None
    if not 0 <= index < len(found.names):
        found.error(where, f"class {index} is not among the {len(found.names)} names")
        return None
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        found.error(where, f"expected x and y of 3 or more corners, got {len(values)} numbers")
        return None
    bad = next((v for v in values if not (math.isfinite(v) and -_BEYOND <= v <= 1 + _BEYOND)), None)
    if bad is not None:
        found.error(where, f"expected shares of the image's sides, 0 to 1, got {bad:g}")
        return None
    height, width = size
    if len(values) == 4:
        x, y, w, h = values
        box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        return found.boxed(where, found.names[index], box, size)
    polygon = [v * (height if i % 2 else width) for i, v in enumerate(values)]
    return found.item(where, found.names[index], [polygon], size)
