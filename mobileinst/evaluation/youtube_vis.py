"""Average precision of tracks on YouTube-VIS, equal to the official YTVOSeval.

Own code in NumPy. The IoU of two tracks is the sum of their intersections over all frames by the sum of their
unions; a frame without a mask is an empty mask. A crowd track is ignored but gets no IoU of its own kind.
Areas are the mean over the frames where an object is seen, in ranges 0..128², 128²..256² and above pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import entries
from .entries import DataError
from .files import read_measured
from .matching import MAX_DETECTIONS, Curves, Matches, accumulate, match
from .run_lengths import MaskTrack, mask_ious, mask_track
from .summary import Evaluation

#: Mean area in pixels: all, small, medium, large.
AREA_RANGES = ((0.0, 1e10), (0.0, 128.0**2), (128.0**2, 256.0**2), (256.0**2, 1e10))


def evaluate(
    gt: Any,
    results: Any,
    *,
    classes: Sequence[str] | None = None,
    area_ranges: Sequence[tuple[float, float]] = AREA_RANGES,
) -> Evaluation:
    """Measure results in YouTube-VIS format.

    Args:
        gt: annotations, path of a JSON file or the loaded object. Masks are compressed or uncompressed run
            lengths, polygons, or None where the object is absent.
        results: path or loaded list of {"video_id", "category_id", "score", "segmentations"}, one mask or
            None per frame. Predictions of categories that the annotations don't have don't count.
        classes: measure in these classes; categories become them by name or by supercategory
            (:class:`.files.CategoryMap`). None: the categories of the file.
        area_ranges: four ranges (lowest, highest) of the mean area: all, small, medium, large.

    Returns:
        The statistics; equal to the official evaluator's, but that an annotation of id 0 counts as any other
        (that one takes the id for "no match").

    Raises:
        DataError: if a file isn't what it should be; the message names the entry.

    Example:
        >>> video = {"id": 1, "height": 1, "width": 4, "length": 1}
        >>> mask = {"size": [1, 4], "counts": [1, 2, 1]}
        >>> truth = {"id": 1, "video_id": 1, "category_id": 1, "segmentations": [mask], "areas": [2]}
        >>> gt = {"videos": [video], "categories": [{"id": 1, "name": "cat"}], "annotations": [truth]}
        >>> found = {"video_id": 1, "category_id": 1, "score": 0.5, "segmentations": [mask]}
        >>> round(evaluate(gt, [found])["AP"], 6)
        1.0
    """
    data, predictions = read_measured(gt, results, "videos", classes)
    if not data["categories"]:
        raise DataError("annotations: expected at least one category")
    videos = {video["id"]: video for video in data["videos"]}
    categories = sorted(data["categories"], key=lambda category: category["id"])
    known = {category["id"] for category in categories}
    truths, found = grouped(data["annotations"], known), grouped(predictions, known)
    curves: list[Curves] = []
    objects, numbers = [], []
    for category in categories:
        keys = [(video, category["id"]) for video in sorted(videos)]
        seen = [key for key in keys if key in truths or key in found]
        pairs = [(videos[key[0]], truths.get(key, []), found.get(key, [])) for key in seen]
        curves.append(accumulate([_match_video(*pair, area_ranges) for pair in pairs]))
        objects.append(sum(not truth.get("iscrowd") for _, ts, _ in pairs for truth in ts))
        numbers.append(sum(len(ds) for _, _, ds in pairs))
    return Evaluation(
        "ytvis",
        tuple(str(category["name"]) for category in categories),
        tuple(category["id"] for category in categories),
        tuple(objects),
        tuple(numbers),
        np.stack([c.precision for c in curves], axis=2),
        np.stack([c.recall for c in curves], axis=1),
        np.stack([c.scores for c in curves], axis=2),
    )


def track_of(entry: Mapping[str, Any], video: Mapping[str, Any], name: str) -> MaskTrack:
    """The masks of an annotation or a result; errors name it.

    Raises:
        DataError: if it has no mask per frame of the video, or a mask can't be read.
    """
    if "height" not in video:
        raise DataError(f"video {video.get('id')}: expected height and width, got nothing")
    masks = entry.get("segmentations")
    if not isinstance(masks, list):
        raise DataError(f"{name}: expected a list under 'segmentations', got {type(masks).__name__}")
    length = video.get("length", len(masks))
    if len(masks) != length:
        raise DataError(f"{name}: expected {length} masks, one per frame of the video, got {len(masks)}")
    try:
        return mask_track(masks, video["height"], video["width"])
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None


def grouped(
    entries: Sequence[Mapping[str, Any]], known: set[Any], *, any_class: bool = False
) -> dict[tuple[Any, Any], list[Mapping[str, Any]]]:
    """Entries of the known categories by (video, category), in their order."""
    groups: dict[tuple[Any, Any], list[Mapping[str, Any]]] = {}
    for entry in entries:
        if entry.get("category_id") in known:
            key = (entry["video_id"], 0 if any_class else entry["category_id"])
            groups.setdefault(key, []).append(entry)
    return groups


def _match_video(
    video: Mapping[str, Any],
    truths: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    area_ranges: Sequence[tuple[float, float]],
) -> Matches:
    scores = np.array([result["score"] for result in found], np.float64)
    # Only this many can count; stable, so that equal scores keep the order of the file.
    order = np.argsort(-scores, kind="stable")[: MAX_DETECTIONS[-1]]
    predicted = [track_of(found[i], video, f"result {found[i]['id']}") for i in order]
    objects = [track_of(truth, video, f"annotation {truth['id']}") for truth in truths]
    iou = np.zeros((len(predicted), len(objects)))
    for g, track in enumerate(objects):
        iou[:, g] = mask_ious(track, predicted)
    crowd = np.array([bool(truth.get("iscrowd", 0)) for truth in truths], np.bool_)
    sizes = np.array(list(map(_annotated_area, truths, objects)), np.float64)
    mean_areas = np.array([track.mean_area for track in predicted], np.float64)
    low, high = np.array(area_ranges, np.float64).T[:, :, None]
    return match(
        iou,
        scores[order],
        ignore=crowd | (sizes < low) | (sizes > high),
        crowd=crowd,
        outside=(mean_areas < low) | (mean_areas > high),
    )


def _annotated_area(truth: Mapping[str, Any], track: MaskTrack) -> float:
    """Mean of the annotated areas, which need not be the masks'; of the masks where none are given."""
    given = entries.areas(truth.get("areas"), f"annotation {truth['id']}")
    if given is None:
        return track.mean_area
    seen = [area for area in given if area]
    return float(np.mean(seen)) if seen else 0.0
