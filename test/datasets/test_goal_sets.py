# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""RIO and COCO-Tasks are read as their repositories describe them, traps included, from small files of the same schema."""

import json

import cv2
import numpy as np
import pytest

from tasktp_ros.datasets.coco_tasks import TASKS, CocoTasksDataset
from tasktp_ros.datasets.rio import RioDataset
from tasktp_ros.errors import DataError

HEIGHT, WIDTH = 20, 30


def box(x: int, y: int, width: int, height: int) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def picture(folder, split: str, number: int, height: int = HEIGHT) -> None:
    (folder / f"{split}2014").mkdir(exist_ok=True)
    cv2.imwrite(
        str(folder / f"{split}2014/COCO_{split}2014_{number:012d}.jpg"), np.full((height, WIDTH, 3), 90, np.uint8)
    )


def entry(**changes) -> dict:
    return {
        "height": HEIGHT,
        "width": WIDTH,
        "image_id": 5,
        "task_id": 12,
        "expressions": ["you can use the  thing to drink "],
        "bbox_list": [[2, 2, 6, 6]],
        "mask_list": [[box(2, 2, 6, 6), box(4, 4, 6, 6)], [box(20, 10, 5, 5)]],
    } | changes


def rio(tmp_path, content) -> RioDataset:
    path = tmp_path / "RIO.json"
    path.write_text(json.dumps(content))
    return RioDataset(tmp_path, path)


def test_rio_unites_overlapping_polygons_into_one_binary_mask(tmp_path):
    picture(tmp_path, "val", 5)
    data = rio(tmp_path, [entry(), entry(expressions="sit on the thing", task_id="sit", mask_list=[])])
    sample = data[0]
    assert sample.mask.dtype == bool and sample.mask.shape == (HEIGHT, WIDTH)
    assert sample.mask[6, 6] and sample.mask[12, 22] and not sample.mask[12, 12]
    assert sample.sentence == "you can use the thing to drink" and sample.task_id == "12"
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    assert not data[1].mask.any()
    assert data.tasks == {"you can use the thing to drink": "12", "sit on the thing": "sit"}


def test_rio_also_finds_the_images_of_2017(tmp_path):
    (tmp_path / "train2017").mkdir()
    cv2.imwrite(str(tmp_path / f"train2017/{5:012d}.jpg"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert rio(tmp_path, [entry()])[0].image.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"images": []}, "list of entries"),
        (["x"], "entry 0 must be an object"),
        ([entry(), entry(expressions=[])], "entry 1 has expressions"),
        ([entry(expressions=["a", "b"])], "a list of one"),
        ([entry(height=0)], "whole numbers"),
        ([entry(task_id=None)], "task_id None"),
        ([entry(mask_list=None)], "no list mask_list"),
        ([entry(mask_list=[[[1, 2, 3]]])], "entry 0 has a mask .* three points"),
    ],
)
def test_rio_files_that_cannot_be(tmp_path, content, said: str):
    with pytest.raises(DataError, match=said):
        rio(tmp_path, content)


def test_rio_pictures_that_cannot_be(tmp_path):
    data = rio(tmp_path, [entry()])
    with pytest.raises(DataError, match="image 5 is not in"):
        data[0]
    picture(tmp_path, "val", 5, height=HEIGHT + 1)
    with pytest.raises(DataError, match="21 x 30 px"):
        data[0]


def tasks_file(tmp_path, **changes):
    annotation = {"id": 1, "image_id": 7, "category_id": 1, "COCO_category_id": 47, "iscrowd": 0,
                  "bbox": [2, 2, 6, 6], "segmentation": [box(2, 2, 6, 6)]}  # fmt: skip
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": HEIGHT, "width": WIDTH} for n in (7, 8)],
        "annotations": [
            annotation | changes,
            annotation | {"id": 2, "category_id": 0, "segmentation": [box(20, 10, 5, 5)]},
            annotation | {"id": 3, "image_id": 8, "category_id": 0},
        ],
    }
    (tmp_path / "task_10_test.json").write_text(json.dumps(content))


def test_coco_tasks_takes_what_is_preferred_and_keeps_images_without_it(tmp_path):
    tasks_file(tmp_path)
    for number in (7, 8):
        picture(tmp_path, "val", number)
    data = CocoTasksDataset(tmp_path, tmp_path, 10, "test")
    assert TASKS[9] == "serve wine" and len(TASKS) == 14
    assert data[0].sentence == "you can use the thing to serve wine" and data[0].task_id == "10"
    assert data[0].mask.sum() == 36 and data[0].mask[3, 3] and not data[0].mask[12, 22]
    assert len(data) == 2 and not data[1].mask.any()
    assert data.preferred_images() == [0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"category_id": 47}, "category_id 47.* is it a file of COCO's own"),
        ({"image_id": 9}, "not listed"),
        ({"segmentation": [[1, 2]]}, "annotation 1 of image 7 cannot be decoded"),
        ({"segmentation": None}, "cannot be decoded"),
    ],
)
def test_coco_tasks_files_that_cannot_be(tmp_path, changes: dict, said: str):
    tasks_file(tmp_path, **changes)
    with pytest.raises(DataError, match=said):
        CocoTasksDataset(tmp_path, tmp_path, 10, "test")


def test_coco_tasks_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="tasks 1 to 14"):
        CocoTasksDataset(tmp_path, tmp_path, 15)
    with pytest.raises(DataError, match="cannot be read"):
        CocoTasksDataset(tmp_path, tmp_path, 1)
    (tmp_path / "task_1_train.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(DataError, match="git lfs pull"):
        CocoTasksDataset(tmp_path, tmp_path, 1)
