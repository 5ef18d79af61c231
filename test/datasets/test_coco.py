# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.errors import DataError

HEIGHT, WIDTH = 20, 30
SQUARE = [[5, 4, 15, 4, 15, 12, 5, 12]]


def square_mask() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[4:12, 5:15] = 1
    return mask


def annotation(**changes) -> dict:
    base = {
        "id": 7,
        "image_id": 1,
        "category_id": 3,
        "bbox": [5, 4, 10, 8],
        "area": 80,
        "iscrowd": 0,
        "segmentation": SQUARE,
    }
    return {key: value for key, value in (base | changes).items() if value is not None}


def write(
    root: Path, *annotations: dict, image: Image.Image | None = None, name: str = "a.jpg", **content
) -> CocoDataset:
    root.mkdir(parents=True, exist_ok=True)
    (image or Image.fromarray(np.full((HEIGHT, WIDTH, 3), 128, np.uint8))).save(root / name)
    base = {"images": [{"id": 1, "file_name": name, "height": HEIGHT, "width": WIDTH}], "annotations": list(annotations),
            "categories": [{"id": 3, "name": "cup"}, {"id": 1, "name": "bed"}]}  # fmt: skip
    (root / "all.json").write_text(json.dumps(base | content))
    return CocoDataset(root, root / "all.json")


def test_an_image_with_its_objects(tmp_path):
    dataset = write(tmp_path, annotation())
    sample = dataset[0]
    assert dataset.vocabulary == ("bed", "cup"), "in order of their numbers"
    assert sample.labels.tolist() == [1] and sample.crowd.tolist() == [False]
    assert sample.boxes.tolist() == [[5, 4, 15, 12]]
    assert np.array_equal(sample.masks[0], square_mask().astype(bool))
    assert sample.image.shape == (HEIGHT, WIDTH, 3) and sample.image.dtype == np.uint8
    again = pickle.loads(pickle.dumps(dataset))[0]
    assert np.array_equal(again.masks, sample.masks)
    assert np.array_equal(dataset[-1].masks, sample.masks)
    with pytest.raises(IndexError):
        dataset[1]


def test_run_lengths_compressed_or_not_are_the_same_mask(tmp_path):
    mask = np.asfortranarray(square_mask())
    packed = coco_mask.encode(mask)
    flat = mask.flatten(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    size = [HEIGHT, WIDTH]
    compressed = {"size": size, "counts": packed["counts"].decode()}
    for number, outline in enumerate((compressed, {"size": size, "counts": counts})):
        sample = write(tmp_path / str(number), annotation(segmentation=outline, iscrowd=1))[0]
        assert np.array_equal(sample.masks[0], square_mask().astype(bool))
        assert sample.crowd.tolist() == [True]


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "I;16"])
def test_pictures_of_every_kind_become_rgb(mode, tmp_path):
    picture = (
        Image.fromarray(np.full((HEIGHT, WIDTH), 128, np.uint16))
        if mode == "I;16"
        else Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 30)).convert(mode)
    )
    sample = write(tmp_path, image=picture, name="a.jpg" if mode in ("L", "CMYK") else "a.png")[0]
    assert sample.image.shape == (HEIGHT, WIDTH, 3) and sample.image.dtype == np.uint8


def test_of_sixteen_bits_the_upper_eight_are_seen(tmp_path):
    ramp = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 109).astype(np.uint16)
    sample = write(tmp_path, image=Image.fromarray(ramp), name="a.png")[0]
    assert np.array_equal(sample.image[..., 1], ramp >> 8)


def test_a_cameras_note_on_turning_the_picture_is_not_followed(tmp_path):
    picture = Image.fromarray(np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    dataset = write(tmp_path, annotation())
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert dataset[0].image.shape == (HEIGHT, WIDTH, 3)


def test_annotations_in_any_order_find_their_image(tmp_path):
    images = [{"id": number, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH} for number in (9, 4, 2)]
    order = [(2, 1), (9, 3), (2, 3), (9, 1)]
    rows = [annotation(id=i, image_id=image, category_id=category) for i, (image, category) in enumerate(order)]
    dataset = write(tmp_path, *rows, images=images)
    assert [dataset[i].labels.tolist() for i in range(3)] == [[1, 0], [], [0, 1]]
    assert [dataset.labels_of(i).tolist() for i in range(3)] == [[1, 0], [], [0, 1]]
    assert [dataset[i].image_id for i in range(3)] == [9, 4, 2]


@pytest.mark.parametrize("seed", range(5))
def test_compressed_run_lengths_of_any_mask_are_read(seed, tmp_path):
    random = np.random.default_rng(seed)
    mask = np.asfortranarray(random.random((HEIGHT, WIDTH)) < (0.02, 0.3, 0.5, 0.9, 0.0)[seed], dtype=np.uint8)
    outline = {"size": [HEIGHT, WIDTH], "counts": coco_mask.encode(mask)["counts"].decode()}
    assert np.array_equal(write(tmp_path, annotation(segmentation=outline))[0].masks[0], mask.astype(bool))


def test_pictures_that_are_missing_are_counted(tmp_path):
    images = [
        {"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(("a.jpg", "b.jpg"))
    ]
    dataset = write(tmp_path, annotation(image_id=0), images=images)
    assert dataset.check() == {"images": 2, "missing": 1, "annotations": 1, "left_out": 0}


def test_an_image_without_objects(tmp_path):
    sample = write(tmp_path)[0]
    assert sample.boxes.shape == (0, 4) and sample.masks.shape == (0, HEIGHT, WIDTH) and sample.labels.shape == (0,)


def test_boxes_are_cut_to_the_image_and_dropped_outside_it(tmp_path):
    sample = write(
        tmp_path,
        annotation(bbox=[-5, -5, 50, 10]),
        annotation(id=8, bbox=[100, 100, 5, 5]),
        annotation(id=9, bbox=[3, 3, 0, 4]),
    )[0]
    assert sample.boxes.tolist() == [[0, 0, WIDTH, 5]]


def test_without_a_segmentation_the_box_is_the_mask(tmp_path):
    sample = write(tmp_path, annotation(segmentation=None))[0]
    assert np.array_equal(sample.masks[0], square_mask().astype(bool))


def test_categories_outside_the_vocabulary_are_left_out_and_counted(tmp_path):
    write(tmp_path, annotation(), annotation(id=8, category_id=1), annotation(id=9, category_id=77))
    dataset = CocoDataset(tmp_path, tmp_path / "all.json", ["cup"])
    assert dataset[0].labels.tolist() == [0] and dataset.left_out == 2
    assert dataset.labels_of(0).tolist() == [0]
    with pytest.raises(DataError, match="has no category 'oven'"):
        CocoDataset(tmp_path, tmp_path / "all.json", ["cup", "oven"])


@pytest.mark.parametrize(
    ("outline", "complaint"),
    [
        ([[1, 2, 3, 4]], "at least three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least three points"),
        ({"size": [5, 5], "counts": [25]}, "mask is for"),
        ([None], "at least three points"),
        ([["a"] * 6], "must be numbers"),
        ([[0, 0, float("nan"), 0, 5, 5]], "finite"),
        ([[0, 0, 1e9, 0, 1e9, 1e9]], "reaches farther"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 5]}, "do not add up"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, 605]}, "fit into the image"),
        ({"size": [HEIGHT, WIDTH], "counts": [0.5, 599.5]}, "whole numbers that fit"),
        ({"size": [HEIGHT, WIDTH], "counts": "12"}, "do not add up"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "damaged"),
        ({"size": [HEIGHT, WIDTH], "counts": "~~zz!"}, "damaged"),
        ({"size": [HEIGHT, WIDTH], "counts": "é"}, "damaged"),
        ({"counts": "abc"}, "unreadable segmentation"),
        ("polygon", "unreadable segmentation"),
    ],
)
def test_a_broken_outline_names_annotation_and_image(outline, complaint, tmp_path):
    dataset = write(tmp_path, annotation(segmentation=outline))
    with pytest.raises(
        DataError, match=rf"annotation 7 of image 1 .*{complaint}|annotation 7 of image 1 has an {complaint}"
    ):
        dataset[0]


def test_missing_damaged_and_wrongly_sized_pictures_name_the_image(tmp_path):
    dataset = write(tmp_path, annotation())
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"image 1: .* has 4 x 4 px, the annotation file says 20 x 30"):
        dataset[0]
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(DataError, match=r"image 1: .* cannot be read"):
        dataset[0]
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"image 1: .* does not exist"):
        dataset[0]


def test_broken_annotation_files(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        CocoDataset(tmp_path, tmp_path / "none.json")
    (tmp_path / "broken.json").write_text('{"images": [')
    with pytest.raises(DataError, match="not readable JSON"):
        CocoDataset(tmp_path, tmp_path / "broken.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(DataError, match="must hold an object"):
        CocoDataset(tmp_path, tmp_path / "list.json")
    with pytest.raises(DataError, match="has no list 'images'"):
        write(tmp_path, images=None)
    with pytest.raises(DataError, match="entry 1 in 'images' lacks 'height'"):
        write(tmp_path, images=[{"id": 1, "file_name": "a.jpg", "width": 3}])
    with pytest.raises(DataError, match="annotation 7 is of image 5, which the file lacks"):
        write(tmp_path, annotation(image_id=5))
    image = {"id": 1, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH}
    with pytest.raises(DataError, match="entry 1 in 'images' has height 'None', expected a whole number"):
        write(tmp_path, images=[image | {"height": None}])
    with pytest.raises(DataError, match="has id 1 twice in 'images'"):
        write(tmp_path, images=[image, image])
    with pytest.raises(DataError, match=r"image 1 has 0 x 30 px"):
        write(tmp_path, images=[image | {"height": 0}])
    with pytest.raises(DataError, match="has name 'cup' twice in 'categories'"):
        write(tmp_path, categories=[{"id": 1, "name": "cup"}, {"id": 2, "name": "cup"}])
    with pytest.raises(DataError, match=r"entry 7 of image \[1\] in 'annotations' has image_id"):
        write(tmp_path, annotation(image_id=[1]))
    with pytest.raises(DataError, match="annotation 7 of image 1 has iscrowd '0'"):
        write(tmp_path, annotation(iscrowd="0"))
    write(tmp_path, annotation())
    for names in ("cup", ["cup", "cup"]):
        with pytest.raises(DataError, match="list of different names"):
            CocoDataset(tmp_path, tmp_path / "all.json", names)
    with pytest.raises(DataError, match="annotation 7 of image 1 has no bbox"):
        write(tmp_path, annotation(bbox=[1, 2, 3]))[0]


def test_a_split_that_is_not_there_lists_where_it_was_looked_for(tmp_path):
    with pytest.raises(
        DataError,
        match=r"no annotations of split 'val'; looked for .*annotations/instances_val.json.*instances_val2017.json",
    ):
        CocoDataset.open(tmp_path, "val")


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_coco_files(split, shared):
    from tasktp_ros.tasks.vocabulary import COCO

    dataset = CocoDataset.open(shared / "data" / "coco_subset", split, COCO)
    assert dataset.left_out == 0 and len(dataset) > 10
    objects, apart = 0, []
    for index in range(len(dataset)):
        sample = dataset[index]
        objects += len(sample.labels)
        assert len(sample.boxes) == len(sample.labels) == len(sample.masks) == len(sample.crowd)
        for box, mask, crowd in zip(sample.boxes, sample.masks, sample.crowd, strict=True):
            columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
            if len(rows) and not crowd:
                extent = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
                apart.append(np.abs(extent - box).max())
    assert objects > 50
    assert np.percentile(apart, 95) <= 3, "px between a box and its mask's extent; COCO's own are not exact"
