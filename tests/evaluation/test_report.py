"""Tables and pictures of evaluations."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mobileinst.evaluation.report import evaluation_table, percent, precision_recall_svg
from mobileinst.evaluation.summary import STATISTICS, Evaluation
from mobileinst.evaluation.youtube_vis import evaluate
from tests.support.eval_data import annotations, box, results


@pytest.fixture
def evaluation() -> Evaluation:
    one, other, third = box(20, 30, 0, 0, 8, 8), box(20, 30, 10, 0, 8, 8), box(20, 30, 10, 14, 8, 8)
    gt = annotations([[one] * 4, [other] * 4, [third] * 4])
    gt["categories"] += [{"id": 2, "name": "<dog> & co"}, {"id": 3, "name": "unseen"}]
    gt["annotations"][2]["category_id"] = 2
    found = results([[one] * 4, [other, other, None, None], [third] * 4], [0.9, 0.8, 0.7])
    found[2]["category_id"] = 2
    return evaluate(gt, found)


def test_table(evaluation: Evaluation) -> None:
    lines = evaluation_table(evaluation).splitlines()
    assert lines[0].split() == ["class", "objects", "predicted", *STATISTICS[:9], "F1", "at", "score"]
    assert lines[2].split()[:6] == ["cat", "2", "2", "55.4", "100.0", "50.5"]
    assert lines[-1].split()[:4] == ["all", "3", "3", "77.7"]
    assert not any("unseen" in line for line in lines)
    assert len({line.index("AP50") + 4 for line in lines[:1]} | {lines[2].index("100.0") + 5}) == 1


def test_table_of_one_class() -> None:
    mask = box(20, 30, 0, 0, 8, 8)
    lines = evaluation_table(evaluate(annotations([[mask]]), results([[mask]]))).splitlines()
    assert len(lines) == 3
    assert lines[2].split()[-2:] == ["100.0", "0.90"]


def test_percent() -> None:
    assert (percent(0.12345), percent(-1)) == ("12.3", "-")


def test_picture_is_well_formed(evaluation: Evaluation) -> None:
    picture = precision_recall_svg(evaluation, "a < b")
    root = ElementTree.fromstring(picture)
    texts = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a < b" in texts
    assert "<dog> & co" in texts
    assert "all classes" in texts
    assert "unseen" not in texts
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 3 * 3
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for line in lines:
        points = np.array([[float(v) for v in p.split(",")] for p in line.attrib["points"].split()])
        assert len(points) in (51 + 1, 101)
        assert (points >= 0).all()
        assert (points <= [width, height]).all()


def test_picture_without_anything_to_measure() -> None:
    gt = annotations([[box(20, 30, 0, 0, 8, 8)]]) | {"annotations": []}
    ElementTree.fromstring(precision_recall_svg(evaluate(gt, [])))


def test_curves(evaluation: Evaluation) -> None:
    # At 0.75 only the first of two cats is found well enough: precision 1 up to recall 0.5.
    np.testing.assert_allclose(evaluation.curve("cat", 0.75), np.repeat([1.0, 0.0], [51, 50]))
    assert (evaluation.curve("unseen") == -1).all()
    with pytest.raises(ValueError, match=r"0\.50, 0\.55"):
        evaluation.curve("cat", 0.52)


def test_threshold_of_the_best_f1(evaluation: Evaluation) -> None:
    # Both cats are found at IoU 0.5, the worse one with a score of 0.8; at 0.75 only the one of 0.9.
    assert evaluation.best_f1("cat") == (pytest.approx(1), 0.8)
    assert evaluation.best_f1("cat", 0.75) == (pytest.approx(2 / 3), 0.9)
    assert evaluation.best_f1("unseen") == (-1, -1)
    assert evaluation.to_dict()["per_class"]["cat"]["F1_threshold"] == 0.8


def test_evaluation_is_a_mapping(evaluation: Evaluation) -> None:
    assert list(evaluation) == list(STATISTICS)
    assert dict(evaluation)["AP"] == evaluation["AP"] == pytest.approx((0.1 + 0.9 * 51 / 101 + 1) / 2)
    assert evaluation.to_dict()["per_class"]["cat"]["objects"] == 2
    assert "AP 0.7772" in repr(evaluation)
    with pytest.raises(KeyError):
        evaluation["AP51"]
