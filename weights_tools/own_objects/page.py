"""A page about a training: what each class reaches, and pictures of what was annotated and what is found."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobileinst import __version__
from mobileinst.drawing import Overlay
from mobileinst.io.files import Output
from mobileinst.report.pictures import FRAME_WIDTH, data_uri, shrink
from mobileinst.results import Instances, encode
from mobileinst.segmenter import Segmenter
from mobileinst.video import read_image
from weights_tools.own_objects.finish import Outcome
from weights_tools.training.source import CocoSource, Instance

#: Pictures on the page.
_PICTURES = 24

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right }
td:first-child, th:first-child { text-align: left } tr + tr td { border-top: 1px solid #8884 }
figure { margin: 1.5rem 0; display: grid; grid-template-columns: 1fr 1fr; gap: .5rem }
figure img { width: 100% } figcaption { grid-column: 1 / 3; color: #777 }
pre { background: #8882; padding: .6rem; overflow: auto }
"""


def write_page(output: Path, weights: Path, annotations: Path, outcome: Outcome, commands: str) -> None:
    """Write one HTML page, which needs no other file.

    Args:
        annotations: COCO file of the prepared images that were measured on.
    """
    segmenter = Segmenter(weights)
    source = CocoSource(annotations, Path("/"), segmenter.classes)
    names = [Path(str(r["file_name"])).name for r in json.loads(annotations.read_text())["images"]]
    chosen = np.unique(np.linspace(0, len(names) - 1, min(_PICTURES, len(names))).round().astype(int))
    figures = []
    for index in chosen.tolist():
        pixels = read_image(Path(source.infos[index].file_name))
        pixels = shrink(pixels, min(1.0, FRAME_WIDTH / pixels.shape[1]))
        truth = _truth(source.instances(index), source.image(index).shape[:2], pixels, segmenter.classes)
        found = segmenter.segment(pixels)
        pair = [data_uri(Overlay().draw(pixels, shown)) for shown in (truth, found)]
        title = escape(f"{names[index]}: annotated {len(truth)}, found {len(found)}")
        images = "".join(f'<img src="{uri}" alt="">' for uri in pair)
        figures.append(f"<figure>{images}<figcaption>{title}</figcaption></figure>\n")
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(output.stem)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(weights.name)}</h1>\n{_table(outcome)}<pre>{escape(commands)}</pre>\n"
        f"<p>Left what was annotated, right what is found, on images that were not trained on.</p>\n"
        f"{''.join(figures)}<p>mobileinst {__version__}</p>\n</body>\n</html>\n"
    )
    with Output(output) as file:
        file.open().write(text)


def _table(outcome: Outcome) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("class", "objects", "AP", "AP50", "best F1", "threshold"))
    rows = ["".join(f"<td>{escape(cell)}</td>" for cell in cells) for cells in class_rows(outcome)]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>\n"


def class_rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """Name, objects, AP, AP50, best F1 and threshold of each class, the mean last, as text."""
    evaluation = outcome.evaluation
    rows = []
    for index, name in enumerate(evaluation.classes):
        values = evaluation.per_class[name]
        numbers = (values["AP"], values["AP50"], evaluation.best_f1(name)[0])
        shown = tuple(f"{100 * v:.1f}" if v >= 0 else "-" for v in numbers)
        rows.append((name, str(evaluation.objects[index]), *shown, f"{outcome.thresholds[index]:g}"))
    mean = tuple(f"{100 * max(evaluation[key], 0.0):.1f}" for key in ("AP", "AP50"))
    return [*rows, ("mean", str(sum(evaluation.objects)), *mean, "", "")]


def _truth(
    items: list[Instance], size: tuple[int, ...], pixels: NDArray[np.uint8], classes: tuple[str, ...]
) -> Instances:
    """Annotated objects as instances of the shrunk picture."""
    height, width = pixels.shape[:2]
    rows = ((np.arange(height) + 0.5) * size[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * size[1] / width).astype(int)
    masks, labels = [], []
    for item in items:
        if item.label < 0:
            continue
        full = np.zeros((size[0] + 2, size[1] + 2), np.bool_)
        y, x = item.y + 1, item.x + 1
        part = full[y : y + item.mask.shape[0], x : x + item.mask.shape[1]]
        part[:] = item.mask[: part.shape[0], : part.shape[1]] > 0
        mask = full[1:-1, 1:-1][rows][:, columns]
        if mask.any():
            masks.append(mask)
            labels.append(item.label)
    runs = encode(np.stack(masks)) if masks else []
    ones = np.ones(len(labels), np.float32)
    names = [classes[label] for label in labels]
    return Instances((height, width), runs, ones, np.array(labels, np.int64), names, None)
