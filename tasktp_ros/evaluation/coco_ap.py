# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""COCO's average precision by pycocotools, for boxes and masks, also on a subset of the categories.

pycocotools needs fields that files in COCO's layout often lack, and takes an annotation numbered 0, or one whose number
occurs twice, for not found. So the truth is completed and numbered anew before it sees it.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.datasets.coco_file import corners, is_crowd, read_annotations, where
from tasktp_ros.datasets.coco_masks import check_outline, decode_outline
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.judged import Judged, judged

NAMES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
KINDS = {"box": "bbox", "mask": "segm"}


class Truth:
    """A data set's annotations as pycocotools holds them; made once, asked often.

    Raises:
        DataError: an annotation that cannot be decoded.
    """

    def __init__(self, dataset: CocoDataset) -> None:
        content = read_annotations(dataset.file)
        sides = {row["id"]: (row["height"], row["width"]) for row in content["images"]}
        rows = content["annotations"]
        content["annotations"] = [
            _completed(row, number, *sides[row["image_id"]]) for number, row in enumerate(rows, 1)
        ]
        self.coco = _indexed(content)
        self.category_ids = dataset.category_ids
        self._uncounted = _unlabelled(dataset)

    def precision(
        self,
        detections: list[dict[str, Any]],
        categories: Sequence[str],
        image_ids: Sequence[int],
        kinds: Sequence[str] = ("box", "mask"),
    ) -> dict[str, dict[str, Any]]:
        """Average precisions of detections, in per cent.

        Args:
            detections: COCO results: image_id, category_id, score, bbox (xywh px), segmentation (run lengths).
            categories: only these count, in truth and detections; on partly labelled images only what is labelled there.
            image_ids: only these images count.

        Returns:
            per kind "box" and "mask": AP, AP50, AP75, AP_small, AP_medium, AP_large (-1 = nothing of that size exists),
            `AP_of` and `AP50_of` per category, and precision and recall at score 0.5 and IoU 0.5; for boxes also `at_half_of`: per
            category the number of `objects`, `precision` and `recall` there.
        """
        wanted = {self.category_ids[name] for name in categories}
        images = set(image_ids)
        counted = [
            each
            for each in detections
            if each["category_id"] in wanted
            and each["image_id"] in images
            and each["category_id"] not in self._uncounted.get(each["image_id"], ())
        ]
        return {kind: self._precision(counted, categories, sorted(images), KINDS[kind]) for kind in kinds}

    def judge(self, detections: list[dict[str, Any]], categories: Sequence[str], image_ids: Sequence[int]) -> Judged:
        """Which detections of these categories and images are right by their boxes; arguments as :meth:`precision`."""
        wanted, images = {self.category_ids[name] for name in categories}, set(image_ids)
        counted = [each for each in detections if each["category_id"] in wanted and each["image_id"] in images]
        return judged(self._evaluated(counted, categories, sorted(images), KINDS["box"]), categories)

    def _evaluated(
        self, detections: list[dict[str, Any]], categories: Sequence[str], image_ids: list[int], iou_type: str
    ) -> COCOeval:
        with contextlib.redirect_stdout(io.StringIO()):
            found = self.coco.loadRes([dict(each) for each in detections]) if detections else _nothing(self.coco)
            evaluation = COCOeval(self.coco, found, iou_type)
            evaluation.params.imgIds = image_ids
            evaluation.params.catIds = [self.category_ids[name] for name in categories]
            evaluation.evaluate()
        return evaluation

    def _precision(
        self, detections: list[dict[str, Any]], categories: Sequence[str], image_ids: list[int], iou_type: str
    ) -> dict[str, Any]:
        if iou_type == "segm":  # else a mask's size, small to large, would be its box's
            detections = [{key: value for key, value in each.items() if key != "bbox"} for each in detections]
        evaluation = self._evaluated(detections, categories, image_ids, iou_type)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
            evaluation.summarize()
        report: dict[str, Any] = dict(zip(NAMES, (_percent(value) for value in evaluation.stats[:6]), strict=True))
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        report["AP_of"] = {name: _percent(_mean(precision[:, :, i])) for i, name in enumerate(categories)}
        report["AP50_of"] = {name: _percent(_mean(precision[0, :, i])) for i, name in enumerate(categories)}
        found = judged(evaluation, categories)
        return report | _at_half(found) | ({"at_half_of": _at_half_of(found)} if iou_type == "bbox" else {})


def _unlabelled(dataset: CocoDataset) -> dict[int, set[int]]:
    """Numbers of the categories that are not labelled on an image, of images where there are such."""
    found = {}
    for index, image_id in enumerate(dataset.image_ids):
        labelled = dataset.labelled_on(index)
        if not labelled.all():
            lacking = (name for name, known in zip(dataset.vocabulary, labelled, strict=True) if not known)
            found[image_id] = {dataset.category_ids[name] for name in lacking if name in dataset.category_ids}
    return found


def _completed(row: dict[str, Any], number: int, height: int, width: int) -> dict[str, Any]:
    """An annotation with its own number, box, outline, area and crowd mark; without a segmentation the box is it."""
    left, top, right, bottom = corners(row)
    outline = row.get("segmentation") or [[left, top, right, top, right, bottom, left, bottom]]
    area = row.get("area")
    try:
        check_outline(outline, height, width)
        area = float(decode_outline(outline, height, width).sum() if area is None else area)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where(row)} has an unreadable segmentation or area: {error}") from error
    return {"id": number, "image_id": row["image_id"], "category_id": row["category_id"], "iscrowd": int(is_crowd(row)),
            "bbox": [left, top, right - left, bottom - top], "segmentation": outline, "area": area}  # fmt: skip


def _nothing(coco: COCO) -> COCO:
    return _indexed({**{key: coco.dataset[key] for key in ("images", "categories")}, "annotations": []})


def _indexed(content: dict[str, Any]) -> COCO:
    found = COCO()
    found.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):
        found.createIndex()
    return found


def _at_half(found: Judged) -> dict[str, float]:
    """Precision and recall, in per cent, of detections that score at least 0.5, matched at IoU 0.5."""
    sure = found.scores >= 0.5
    hits, claims, objects = int((sure & found.right).sum()), int(sure.sum()), int(found.objects.sum())
    return {"precision_at_0.5": _percent(hits / claims) if claims else -1.0,
            "recall_at_0.5": _percent(hits / objects) if objects else -1.0}  # fmt: skip


def _at_half_of(found: Judged) -> dict[str, dict[str, float]]:
    """The same per category, with the number of its objects."""
    sure, rows = found.scores >= 0.5, {}
    for number, name in enumerate(found.names):
        mine = sure & (found.categories == number)
        hits, claims, objects = int((mine & found.right).sum()), int(mine.sum()), int(found.objects[number])
        rows[name] = {"objects": objects, "precision": _percent(hits / claims) if claims else -1.0,
                      "recall": _percent(hits / objects) if objects else -1.0}  # fmt: skip
    return rows


def _mean(values: NDArray) -> float:
    values = values[values > -1]
    return float(values.mean()) if len(values) else -1.0


def _percent(value: float) -> float:
    return round(100 * float(value), 2) if value >= 0 else -1.0
