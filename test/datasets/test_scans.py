# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Scans: their pictures, label tables and lists; what is missing is one sentence."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasktp_ros.datasets.scannet.labels import category_masks, graded_categories, graded_names, read_label_map
from tasktp_ros.datasets.scannet.scan import Scan, open_scans
from tasktp_ros.datasets.scannet.sens_writer import SensWriter
from tasktp_ros.errors import DataError
from tasktp_ros.tasks.vocabulary import VOCABULARIES

ROWS = [("id", "raw_category", "category"), (2, "chair", "chair"), (10, "office chair", "office chair"),
        (22, "book", "book"), (22, "books", "book"), (40, "plant", "plant"), (7, "desk", "desk"),
        (1163, "cup", "object"), (1163, "bowl", "stick")]  # fmt: skip


def table(folder: Path, rows=ROWS) -> Path:
    path = folder / "scannetv2-labels.combined.tsv"
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


def scan(folder: Path, name: str = "scene0011_00", frames: int = 2) -> Scan:
    place = folder / "scans" / name
    place.mkdir(parents=True)
    jpeg = cv2.imencode(".jpg", np.zeros((8, 10, 3), np.uint8))[1].tobytes()
    with SensWriter(place / f"{name}.sens", (8, 10), (8, 10), np.eye(4), np.eye(4)) as writer:
        for index in range(frames):
            writer.write(jpeg, np.ones((8, 10), np.uint16), np.eye(4), index * 33333)
    for kind, dtype in (("label", np.uint16), ("instance", np.uint8)):
        with zipfile.ZipFile(place / f"{name}_2d-{kind}-filt.zip", "w") as archive:
            for index in range(frames):
                picture = np.full((8, 10), 300 if kind == "label" else 1 + index, dtype)
                archive.writestr(f"{kind}-filt/{index}.png", cv2.imencode(".png", picture)[1].tobytes())
    (place / f"{name}.txt").write_text("axisAlignment = 1 0 0\nsceneType = Kitchen\nno equals sign\n")
    return Scan(place)


@pytest.mark.parametrize("name", ["coco", "rooms"])
def test_every_mapped_category_is_in_its_vocabulary(name):
    known = graded_categories(name)
    assert {category for category, _ in known.values()} <= set(VOCABULARIES[name])
    assert {grade for _, grade in known.values()} == {"A", "B"}
    assert known["office chair"] == ("chair", "A") and known["books"] == ("book", "B")
    assert not {"desk", "coffee table", "toaster oven", "bag"} & set(known), "look alike, different thing"
    assert graded_names(VOCABULARIES[name]) == known, "the names alone lead to the same map"
    assert graded_names(("mug", "cup"))["mug"] == ("mug", "A") and "chair" not in graded_names(("mug", "cup"))
    if name == "rooms":
        assert {category for category, _ in known.values()} == set(VOCABULARIES["rooms"])


def test_label_numbers_get_categories_and_the_worse_grade(tmp_path):
    found = read_label_map(table(tmp_path), "coco")
    assert found.categories == {2: "chair", 10: "chair", 22: "book", 40: "potted plant"}, "1163 is ambiguous"
    assert found.grades == {2: "A", 10: "A", 22: "B", 40: "B"}
    assert found.of_grade("A").categories == {2: "chair", 10: "chair"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [([("a", "b")], "no label table"), ([("a", "b"), (1, 2)], "no label table"),
     ([("id", "raw_category"), ("x", "chair")], "gives 'chair' the number 'x'")],
)  # fmt: skip
def test_a_foreign_label_table_is_one_sentence(tmp_path, rows, said):
    with pytest.raises(DataError, match=said):
        read_label_map(table(tmp_path, rows), "coco")
    with pytest.raises(DataError, match="cannot be read"):
        read_label_map(tmp_path / "none.tsv", "coco")
    with pytest.raises(DataError, match="no map from ScanNet's categories to the vocabulary 'birds'"):
        read_label_map(table(tmp_path), "birds")


def test_an_instance_has_the_label_of_most_of_its_pixels(tmp_path):
    wanted = read_label_map(table(tmp_path), "coco")
    instances = np.zeros((4, 6), np.uint8)
    instances[:, :3], instances[:, 4:] = 7, 3
    labels = np.full((4, 6), 2, np.uint16)
    labels[0, :3], labels[:, 4:] = 40, 7  # a rough border, and a desk
    (found,) = category_masks(labels, instances, wanted)
    assert found[0] == "chair" and (found[1] == (instances == 7)).all()


def test_a_scan_gives_its_pictures_and_description(tmp_path):
    one = scan(tmp_path)
    assert not one.missing and one.description == {"axisAlignment": "1 0 0", "sceneType": "Kitchen"}
    with one.open() as recording:
        assert len(recording) == 2
    assert (one.labels(1) == 300).all() and one.labels(1).dtype == np.uint16
    assert (one.instances(1) == 2).all() and one.instances(1).dtype == np.uint8
    with pytest.raises(DataError, match=r"has no label-filt/9\.png"):
        one.labels(9)


def test_missing_and_broken_archives_are_one_sentence(tmp_path):
    one = scan(tmp_path)
    archive = one.folder / "scene0011_00_2d-label-filt.zip"
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(DataError, match="cannot be read"):
        one.labels(0)
    archive.unlink()
    assert one.missing == [archive.name]
    with pytest.raises(DataError, match="nothing is known about what is on it"):
        one.labels(0)
    one.recording.unlink()
    with pytest.raises(DataError, match=r"has no scene0011_00\.sens"):
        one.open()


def test_scans_are_found_below_a_root_by_list_or_alone(tmp_path):
    for name in ("scene0011_00", "scene0002_00"):
        scan(tmp_path, name)
    assert [one.name for one in open_scans(tmp_path)] == ["scene0002_00", "scene0011_00"]
    assert [one.name for one in open_scans(tmp_path / "scans" / "scene0011_00")] == ["scene0011_00"]
    (tmp_path / "list.txt").write_text("scene0011_00\n")
    assert [one.name for one in open_scans(tmp_path, "list.txt")] == ["scene0011_00"]
    (tmp_path / "list.txt").write_text("scene0011_00\nscene0099_00\n")
    with pytest.raises(DataError, match=r"names 1 scans that are not in .*, such as scene0099_00"):
        open_scans(tmp_path, "list.txt")
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        open_scans(tmp_path, "list.txt")
    with pytest.raises(DataError, match="is no folder"):
        open_scans(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no scans in"):
        open_scans(tmp_path / "empty")
