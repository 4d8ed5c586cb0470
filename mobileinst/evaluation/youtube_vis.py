"""Average precision of tracks on YouTube-VIS, equal to the official YTVOSeval.

Own code in NumPy. The IoU of two tracks is the sum of their intersections over all frames by the sum of their
unions; a frame without a mask is an empty mask. A crowd track is ignored but gets no IoU of its own kind.
Areas are the mean over the frames where an object is seen, in ranges 0..128², 128²..256² and above pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import entries
from .entries import DataError
from .files import collapse, read_annotations, read_results
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
    data, predictions = collapse(read_annotations(gt, "videos"), read_results(results), classes)
    if not data["categories"]:
        raise DataError("annotations: expected at least one category")
    videos = {video["id"]: video for video in data["videos"]}
    categories = sorted(data["categories"], key=lambda category: category["id"])
    known = {category["id"] for category in categories}
    truths = _grouped([t for t in data["annotations"] if t.get("video_id") in videos], "annotation", known)
    found = _grouped(check_results(predictions, videos), "result", known)
    curves: list[Curves] = []
    objects, numbers = [], []
    for category in categories:
        keys = [
            key
            for key in ((video, category["id"]) for video in sorted(videos))
            if key in truths or key in found
        ]
        pairs = [(videos[video], truths[video, c], found[video, c]) for video, c in keys]
        curves.append(accumulate([_match_video(*entry, area_ranges) for entry in pairs]))
        objects.append(sum(not truth.get("iscrowd") for _, ts, _ in pairs for _, truth in ts))
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


_Entries = list[tuple[str, Mapping[str, Any]]]


def check_results(
    results: Sequence[Mapping[str, Any]], videos: Mapping[Any, Any]
) -> Sequence[Mapping[str, Any]]:
    """The results themselves, if each has a known video; DataError otherwise."""
    for index, result in enumerate(results):
        if result.get("video_id") not in videos:
            raise DataError(f"result {index}: video_id {result.get('video_id')!r} is not in the annotations")
    return results


def _grouped(
    found: Sequence[Mapping[str, Any]], what: str, known: set[Any]
) -> dict[tuple[Any, Any], _Entries]:
    """Entries of the known categories by (video, category), in their order, with a name for errors."""
    groups: dict[tuple[Any, Any], _Entries] = defaultdict(list)
    for index, entry in enumerate(found):
        if entry.get("category_id") in known:
            name = f"{what} {index if what == 'result' else entry['id']}"
            groups[entry["video_id"], entry["category_id"]].append((name, entry))
    return groups


def _match_video(
    video: Mapping[str, Any],
    truths: _Entries,
    found: _Entries,
    area_ranges: Sequence[tuple[float, float]],
) -> Matches:
    scores = np.array([result["score"] for _, result in found], np.float64)
    # Only this many can count; stable, so that equal scores keep the order of the file.
    order = np.argsort(-scores, kind="stable")[: MAX_DETECTIONS[-1]]
    predicted = [track_of(found[i][1], video, found[i][0]) for i in order]
    objects = [track_of(truth, video, name) for name, truth in truths]
    iou = np.zeros((len(predicted), len(objects)))
    for g, track in enumerate(objects):
        iou[:, g] = mask_ious(track, predicted)
    crowd = np.array([bool(truth.get("iscrowd", 0)) for _, truth in truths], np.bool_)
    sizes = np.array(
        [_annotated_area(*truth, track) for truth, track in zip(truths, objects, strict=True)], np.float64
    )
    mean_areas = np.array([track.mean_area for track in predicted], np.float64)
    low, high = np.array(area_ranges, np.float64).T[:, :, None]
    return match(
        iou,
        scores[order],
        ignore=crowd | (sizes < low) | (sizes > high),
        crowd=crowd,
        outside=(mean_areas < low) | (mean_areas > high),
    )


def _annotated_area(name: str, truth: Mapping[str, Any], track: MaskTrack) -> float:
    """Mean of the annotated areas, which need not be the masks'; of the masks where none are given."""
    given = entries.areas(truth.get("areas"), name)
    if given is None:
        return track.mean_area
    seen = [area for area in given if area]
    return float(np.mean(seen)) if seen else 0.0
