# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What is labelled on an image: the file says it, or the caller; and pictures that are turned or squashed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tasktp_ros.datasets.augment import NO_AUGMENT, AugmentConfig, augment
from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.errors import DataError

HEIGHT, WIDTH = 20, 30
WORDS = ("bed", "cup", "oven", "person")
CATEGORIES = [{"id": 3, "name": "cup"}, {"id": 1, "name": "bed"}, {"id": 5, "name": "person"}]


def write(root: Path, *images: dict, info: dict | None = None, annotations: tuple[dict, ...] = ()) -> None:
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 128, np.uint8)).save(root / "a.jpg")
    rows = [
        {"id": number, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH} | image
        for number, image in enumerate(images or ({},), 1)
    ]
    content = {"images": rows, "annotations": list(annotations), "categories": CATEGORIES}
    (root / "a.json").write_text(json.dumps(content | ({} if info is None else {"info": info})))


def scopes(root: Path, **options) -> list[set[str]]:
    dataset = CocoDataset(root, root / "a.json", WORDS, allow_missing=True, **options)
    found = []
    for index in range(len(dataset)):
        labelled = dataset[index].labelled
        assert labelled.shape == (4,) and labelled.dtype == np.bool_
        found.append({name for name, known in zip(WORDS, labelled, strict=True) if known})
    return found


def test_an_image_may_name_its_scope_or_list_it_and_else_has_the_files(tmp_path):
    info = {"label_scopes": {"some": [1, 3], "few": "see the image"}}
    write(tmp_path, {"labelled": "some"}, {"labelled": "few", "labelled_category_ids": [5]}, {}, {"labelled": "few"},
          {"labelled_category_ids": []}, info=info)  # fmt: skip
    whole = {"bed", "cup", "person"}
    assert scopes(tmp_path) == [{"bed", "cup"}, {"person"}, whole, whole, set()], "the file never heard of ovens"
    of_one = CocoDataset(tmp_path, tmp_path / "a.json", ["person"])
    assert [of_one.labelled_on(i).tolist() for i in range(4)] == [[False], [True], [True], [True]]


def test_all_means_whatever_the_vocabulary(tmp_path):
    write(tmp_path, {}, {"labelled_category_ids": [3]}, {"labelled": "all"}, info={"labelled": "all"})
    assert scopes(tmp_path) == [set(WORDS), {"cup"}, set(WORDS)]
    assert scopes(tmp_path, labelled="all") == [set(WORDS)] * 3, "the caller knows better"
    assert scopes(tmp_path, labelled=["oven", "cup"]) == [{"oven", "cup"}] * 3
    assert scopes(tmp_path, labelled=["all"]) == [set(WORDS)] * 3
    assert scopes(tmp_path, labelled=["all", "-oven", "-cup"]) == [{"bed", "person"}] * 3


@pytest.mark.parametrize(
    ("image", "info", "complaint"),
    [
        ({"labelled": "som"}, {"label_scopes": {"some": [1]}}, "image 1 is labelled 'som', which info.label_scopes"),
        ({"labelled": "some"}, None, "image 1 is labelled 'some', which info.label_scopes"),
        ({"labelled": "some"}, {"label_scopes": {"some": [1, 9]}}, "scope 'some' lists category '9'"),
        ({"labelled_category_ids": ["cup"]}, None, "image 1 lists category 'cup'"),
        ({"labelled_category_ids": 3}, None, "image 1 has '3' as labelled categories"),
    ],
)
def test_a_scope_that_does_not_exist_is_named(image, info, complaint, tmp_path):
    write(tmp_path, image, info=info)
    with pytest.raises(DataError, match=complaint):
        CocoDataset(tmp_path, tmp_path / "a.json")


def test_a_vocabulary_that_the_file_lacks_in_part_only_where_that_is_allowed(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="has no category 'oven'"):
        CocoDataset(tmp_path, tmp_path / "a.json", WORDS)
    with pytest.raises(DataError, match="has no category 'oven'"):
        CocoDataset(tmp_path, tmp_path / "a.json", ["oven", "sink"], allow_missing=True)
    with pytest.raises(DataError, match="no category 'boat' that could be labelled"):
        CocoDataset(tmp_path, tmp_path / "a.json", WORDS, allow_missing=True, labelled=["boat"])
    with pytest.raises(DataError, match="all is labelled, so 'cup' is, too"):
        CocoDataset(tmp_path, tmp_path / "a.json", WORDS, allow_missing=True, labelled=["all", "cup"])


def test_a_box_without_an_outline_has_no_mask_though_it_has_something_in_its_place(tmp_path):
    box = {"image_id": 1, "category_id": 3, "bbox": [5, 4, 10, 8]}
    square = [[5, 4, 15, 4, 15, 12, 5, 12]]
    rows = (box | {"id": 1, "segmentation": []}, box | {"id": 2, "segmentation": square}, box | {"id": 3})
    write(tmp_path, annotations=rows)
    sample = CocoDataset(tmp_path, tmp_path / "a.json")[0]
    assert sample.has_mask.tolist() == [False, True, False] and sample.masks.any((1, 2)).all()
    seen = augment(sample, (64, 96), np.random.default_rng(0), replace(NO_AUGMENT, flip=1.0))
    assert seen.has_mask.tolist() == [False, True, False] and np.array_equal(seen.labelled, sample.labelled)


@pytest.mark.parametrize("number", range(1, 9))
def test_pictures_are_turned_only_where_the_file_counts_turned_pixels(number, tmp_path):
    pixels = np.kron(np.random.default_rng(0).integers(0, 255, (5, 6, 3), np.uint8), np.ones((4, 5, 1), np.uint8))
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = number
    for sides in ((HEIGHT, WIDTH), (WIDTH, HEIGHT)):
        write(tmp_path, {"height": sides[0], "width": sides[1]})
        picture.save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
        stored = np.asarray(Image.open(tmp_path / "a.jpg"))
        dataset = CocoDataset(tmp_path, tmp_path / "a.json")
        if sides == (HEIGHT, WIDTH):
            wanted = stored
        elif number < 5:
            with pytest.raises(DataError, match=r"has 20 x 30 px, the annotation file says 30 x 20"):
                dataset.picture(0)
            continue
        else:
            wanted = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
        assert np.abs(dataset.picture(0).astype(int) - wanted).max() <= 2


def test_squashed_images_are_drawn_with_many_aspects_and_others_with_their_own(tmp_path):
    box = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [5, 5, 10, 10]}
    for squashed in (1, 0):
        write(tmp_path, {"aspect_squashed": squashed}, annotations=(box,))
        sample = CocoDataset(tmp_path, tmp_path / "a.json")[0]
        assert sample.squashed == bool(squashed)
        aspects = []
        for seed in range(200):
            config = replace(AugmentConfig(), scale=(0.8, 0.8))
            seen = augment(sample, (400, 600), np.random.default_rng(seed), config)
            width, height = seen.boxes[0, 2:] - seen.boxes[0, :2]
            aspects.append(width / height)
        if squashed:
            assert 0.73 < min(aspects) < 0.8 and 1.25 < max(aspects) < 1.36
            assert abs(np.mean(np.log(aspects))) < 0.03, "as often wider as narrower"
        else:
            assert np.allclose(aspects, 1.0, atol=0.02)
