# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.coco_ap import Truth

YAML = "train: images/train\nval: images/val\nnames: [cup, mug]\n"


def picture(path: Path, height: int = 40, width: int = 80) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def yolo(tmp_path):
    """Two parts, described by a `data.yaml`: a box, a polygon, an empty file and a picture without any."""
    write(tmp_path / "data.yaml", YAML)
    labels = {
        "train/a": b"0 0.5 0.5 0.5 0.25\r\n1 0 0 0.5 0 0.25 1\r\n",
        "train/b": b"",
        "val/c": b"\xef\xbb\xbf1 0.5 0.5 1 1\n",
    }
    for name, text in labels.items():
        picture(tmp_path / f"images/{name}.jpg")
        write(tmp_path / f"labels/{name}.txt", text)
    picture(tmp_path / "images/train/d.PNG")
    return tmp_path


def test_boxes_and_polygons_are_shares_of_the_picture_and_line_ends_do_not_matter(yolo):
    dataset = CocoDataset.open(yolo, "train", ("mug", "cup"))
    assert [Path(name).name for name in dataset._files] == ["a.jpg", "b.jpg", "d.PNG"]
    sample = dataset[0]
    assert sample.labels.tolist() == [1, 0]
    assert sample.boxes.tolist() == [[20, 15, 60, 25], [0, 0, 40, 40]]
    assert sample.has_mask.tolist() == [False, True]
    assert 0.4 < sample.masks[1].sum() / (40 * 40) < 0.6, "a triangle"
    assert len(dataset[1].labels) == len(dataset[2].labels) == 0, "pictures without objects"
    assert CocoDataset.open(yolo, "val")[0].boxes.tolist() == [[0, 0, 80, 40]]


def test_ap_is_measured_on_what_was_never_a_file(yolo):
    dataset = CocoDataset.open(yolo, "val")
    found = [{"image_id": 1, "category_id": dataset.category_ids["mug"], "score": 0.9, "bbox": [0, 0, 80, 40]}]
    assert Truth(dataset).precision(found, ["mug"], dataset.image_ids, ["box"])["box"]["AP"] == 100.0


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2 0.5 0.5 0.1 0.1", r"a.txt, line 2 is of class 2, but there are 2 names, of classes 0 to 1"),
        ("0.5 0.5 0.5 0.1 0.1", r"is of class 0.5"),
        ("0 20 15 60 25", r"has the value 20, expected shares .* from 0 to 1"),
        ("0 0.5 -0.1 0.1 0.1", r"has the value -0.1"),
        ("0 0.5 0.5 nan 0.1", r"has the value nan"),
        ("0 0.5 0.5 0.1", r"line 2 has 4 values, expected a class and"),
        ("0 0.5 0.5 0.1 0.1 0.9", r"line 2 has 6 values"),
        ("cup 0.5 0.5 0.1 0.1", r"line 2 holds 'cup 0.5 0.5 0.1 0.1', expected numbers"),
    ],
)
def test_a_wrong_line_is_named(yolo, line, complaint):
    write(yolo / "labels/train/a.txt", f"0 0.5 0.5 0.5 0.25\n{line}\n")
    with pytest.raises(DataError, match=complaint):
        CocoDataset.open(yolo, "train")


def test_what_rounding_put_outside_is_cut_off(yolo):
    write(yolo / "labels/train/a.txt", "0 0.5 0.5 1.0000012 1.0\n1 -0.000001 0 1.001 0 0.5 1\n")
    assert CocoDataset.open(yolo, "train")[0].boxes.tolist() == [[0, 0, 80, 40]] * 2


def test_a_label_file_without_a_picture_is_named(yolo):
    (yolo / "images/train/b.jpg").unlink()
    with pytest.raises(
        DataError, match=r"labels/train/b.txt has no picture: b.jpg, .* is not in .*images/train; put it back"
    ):
        CocoDataset.open(yolo, "train")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("train: images/nowhere\nnames: [cup]\n", r"says that pictures are in 'images/nowhere', which is not there"),
        ("val: images/val\nnames: [cup, mug]\n", r"does not say where its pictures to train on are"),
        ("train: images/train\nnames: 3\n", r"has no names"),
        ("train: [images\nnames: x", r"is not readable YAML"),
    ],
)
def test_a_wrong_description_is_named(yolo, text, complaint):
    write(yolo / "data.yaml", text)
    with pytest.raises(DataError, match=complaint):
        CocoDataset.open(yolo, "train")


def test_pictures_without_any_label_file_are_no_data_set(yolo):
    for label in (yolo / "labels/train").iterdir():
        label.unlink()
    with pytest.raises(DataError, match=r"none of 3 pictures below .* has a label file, such as .*labels/train/a.txt"):
        CocoDataset.open(yolo, "train")


def test_names_by_number_and_folders_as_roboflow_writes_them(tmp_path):
    write(tmp_path / "data.yaml", "train: ../train/images\nval: ../valid/images\nnames: {0: cup, 3: mug}\n")
    for part, label in (("train", 3), ("valid", 0)):
        picture(tmp_path / part / "images/x.jpg")
        write(tmp_path / part / "labels/x.txt", f"{label} 0.5 0.5 0.5 0.5")
    assert CocoDataset.open(tmp_path, "train", ("cup", "mug")).labels_of(0).tolist() == [1]
    assert CocoDataset.open(tmp_path / "data.yaml", "val", ("cup", "mug")).labels_of(0).tolist() == [0]


def test_without_a_part_to_measure_on_every_eighth_picture_is_held_back_and_named(tmp_path):
    write(tmp_path / "classes.txt", "cup\r\nmug\r\n")
    for number in range(17):
        picture(tmp_path / f"images/{number:02}.jpg")
        write(tmp_path / f"labels/{number:02}.txt", "1 0.5 0.5 0.5 0.5")
    train, val = (CocoDataset.open(tmp_path, split) for split in ("train", "val"))
    assert [Path(name).stem for name in val._files] == ["07", "15"]
    assert len(train) == 15 and not set(train._files) & set(val._files)
    assert train.file.note.endswith("2 of 17 images are held back to measure on, every 8th by name: 07.jpg, 15.jpg")
    assert len(val[1].labels) == 1
    with pytest.raises(DataError, match="no annotations of split 'test'"):
        CocoDataset.open(tmp_path, "test")


def coco(folder: Path, file: str, names: list[str], categories: list[dict]) -> Path:
    images = [{"id": n, "file_name": name, "height": 40, "width": 80} for n, name in enumerate(names, 1)]
    rows = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 10, 10], "segmentation": []}
        for n in range(1, len(names) + 1)
    ]
    write(folder / file, json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return folder / file


def test_cocos_json_beside_its_pictures_under_any_name(tmp_path):
    cup = [{"id": 1, "name": "cup"}]
    for number in range(9):
        picture(tmp_path / f"label_studio/images/{number}.jpg")
    file = coco(tmp_path / "label_studio", "result.json", [f"images\\{n}.jpg" for n in range(9)], cup)
    for root in (tmp_path / "label_studio", file):
        assert [len(CocoDataset.open(root, split)) for split in ("train", "val")] == [8, 1]
    assert CocoDataset.open(file, "val")[0].image.shape == (40, 80, 3)
    picture(tmp_path / "cvat/images/default/x.jpg")
    coco(tmp_path / "cvat/annotations", "instances_default.json", ["x.jpg"], cup)
    assert CocoDataset.open(tmp_path / "cvat", "val").labels_of(0).tolist() == [0]


def test_roboflows_folders_and_its_category_without_objects(tmp_path):
    twins = [{"id": 0, "name": "cup"}, {"id": 1, "name": "cup"}, {"id": 2, "name": "mug"}]
    for part in ("train", "valid"):
        picture(tmp_path / part / f"{part}.jpg")
        coco(tmp_path / part, "_annotations.coco.json", [f"{part}.jpg"], twins)
    train, val = (CocoDataset.open(tmp_path, split) for split in ("train", "val"))
    assert train.vocabulary == ("cup", "mug") and train.labels_of(0).tolist() == [0]
    assert [Path(dataset._files[0]).stem for dataset in (train, val)] == ["train", "valid"]


def test_a_picture_that_is_not_there_is_named_before_training(tmp_path):
    coco(tmp_path, "x.json", ["lost.jpg"], [{"id": 1, "name": "cup"}])
    with pytest.raises(
        DataError, match=r"x.json: the picture of image 1, 'lost.jpg', is neither in .* nor in .*images"
    ):
        CocoDataset.open(tmp_path, "train")
    coco(tmp_path, "y.json", ["lost.jpg"], [{"id": 1, "name": "cup"}])
    with pytest.raises(DataError, match=r"several annotation files, x.json and y.json: give the one that counts"):
        CocoDataset.open(tmp_path, "train")


def test_cocos_own_layout_is_never_divided(tiny_set, tmp_path):
    (tmp_path / "train").symlink_to(tiny_set / "train")
    write(tmp_path / "annotations/instances_train.json", (tiny_set / "annotations/instances_train.json").read_bytes())
    assert len(CocoDataset.open(tmp_path, "train")) == 12
    with pytest.raises(DataError, match="no annotations of split 'val'"):
        CocoDataset.open(tmp_path, "val")


def test_only_some_categories_are_read_and_no_other_is_labelled(yolo):
    dataset = CocoDataset.open(yolo, "train", ("book", "cup", "mug"), True, only=("mug",))
    assert dataset.labels_of(0).tolist() == [2] and dataset.left_out == 1
    assert dataset.labelled_on(0).tolist() == [False, False, True]
    assert dataset.category_ids == {"mug": 2}
    with pytest.raises(DataError, match="has no category 'Mug'; it has cup, mug"):
        CocoDataset.open(yolo, "train", ("book", "Mug"), True, only=("Mug",))


def test_a_files_own_scope_may_say_that_less_is_labelled(tiny_set, tmp_path):
    content = json.loads((tiny_set / "annotations/instances_train.json").read_text())
    (tmp_path / "train").symlink_to(tiny_set / "train")
    content["images"][1]["labelled_category_ids"] = [1]
    content["info"] = {"labelled": "all"}
    write(tmp_path / "instances_train.json", json.dumps(content))
    dataset = CocoDataset.open(tmp_path, "train", ("mug", "cup", "bowl"), True, only=("cup",))
    assert [dataset.labelled_on(index).tolist() for index in (0, 1)] == [[False, True, False], [False] * 3]


def test_pictures_are_turned_as_labelling_tools_show_them(yolo):
    from tasktp_ros.datasets.yolo import shown_size

    exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0%c\0\0\0\0\0\0"
    upside_down = np.zeros((40, 80, 3), np.uint8)
    upside_down[:20] = 255
    data = cv2.imencode(".jpg", upside_down)[1].tobytes()
    for number, size in ((3, (40, 80)), (6, (80, 40))):
        write(yolo / "images/train/a.jpg", data[:2] + exif % number + data[2:])
        assert shown_size(yolo / "images/train/a.jpg") == size
        image = CocoDataset.open(yolo, "train").picture(0)
        assert image.shape[:2] == size
        if number == 3:
            assert image[35].mean() > 200 and image[5].mean() < 50
