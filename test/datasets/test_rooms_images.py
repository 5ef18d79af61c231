# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.errors import DataError
from tasktp_ros.tasks.vocabulary import COCO, ROOMS

try:
    from tasktp_ros.datasets.rooms.render import Painter, View, load_mujoco

    load_mujoco()
except DataError as error:
    pytest.skip(f"no room was rendered: {error}", allow_module_level=True)

from tasktp_ros.datasets.rooms import images as rooms_images
from tasktp_ros.datasets.rooms.flat import ROOM_KINDS, build_flat
from tasktp_ros.datasets.rooms.images import COCO_IDS, ImageSet, outline_area, write_image_set
from tasktp_ros.datasets.rooms.placement import PROGRAMS, furnish, overlap
from tasktp_ros.datasets.rooms.scene import build_scene

COUNT = 14


def small(folder: Path, **changes) -> ImageSet:
    return replace(ImageSet(folder, "train", COUNT, 48, 64, 3), **changes)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> ImageSet:
    wanted = small(tmp_path_factory.mktemp("rooms"))
    write_image_set(wanted, workers=2)
    return wanted


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(drawn, tmp_path):
    alone = small(tmp_path)
    write_image_set(alone, workers=1)
    assert alone.annotations.read_bytes() == drawn.annotations.read_bytes()
    for picture in sorted((drawn.folder / "train").iterdir()):
        assert (alone.folder / "train" / picture.name).read_bytes() == picture.read_bytes()


def test_the_set_reads_as_coco_and_boxes_hold_their_masks(drawn):
    dataset = CocoDataset.open(drawn.folder, "train", ROOMS)
    assert len(dataset) == COUNT and dataset.left_out == 0
    seen = 0
    for index in range(COUNT):
        sample = dataset[index]
        seen += len(sample.labels)
        for box, mask in zip(sample.boxes, sample.masks, strict=True):
            columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
            assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert sample.masks.sum(0).max(initial=0) <= 1, "only visible parts: no pixel belongs to two objects"
    assert seen > COUNT
    elsewhere = CocoDataset.open(drawn.folder, "train", COCO, allow_missing=True)
    assert elsewhere[0].labelled.all(), "nothing that has another name was drawn"


def test_other_splits_and_seeds_are_other_flats():
    shapes = [build_scene(seed, rooms=2).flat.rooms[0].high for seed in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1))]
    assert len(set(shapes)) == 4


def test_a_broken_off_set_does_not_load_and_continues_to_the_same_bytes(drawn, tmp_path, monkeypatch):
    wanted = small(tmp_path)
    original = rooms_images._render_flat

    def full_disk(job):
        if job[1] == 1:
            raise OSError(28, "No space left on device")
        return original(job)

    monkeypatch.setattr(rooms_images, "_render_flat", full_disk)
    with pytest.raises(DataError, match=r"not finished: .*No space left.*run again"):
        write_image_set(wanted, workers=1)
    with pytest.raises(DataError, match="no annotations of split 'train'"):
        CocoDataset.open(tmp_path, "train")
    assert not list(tmp_path.rglob(".part-*")), "nothing half-written is left"
    monkeypatch.setattr(rooms_images, "_render_flat", original)
    write_image_set(wanted, workers=1)
    assert wanted.annotations.read_bytes() == drawn.annotations.read_bytes()


def test_a_folder_with_another_set_is_refused(drawn):
    with pytest.raises(DataError, match="choose another folder"):
        write_image_set(replace(drawn, seed=4), workers=1)
    with pytest.raises(DataError, match="--split must be one of"):
        write_image_set(replace(drawn, split="dev"), workers=1)


def test_category_numbers_are_cocos():
    assert (COCO_IDS["person"], COCO_IDS["backpack"], COCO_IDS["toothbrush"]) == (1, 27, 90)


@pytest.mark.parametrize("seed", range(12))
def test_furniture_stands_in_its_room_and_not_in_other_furniture(seed):
    random = np.random.default_rng(seed)
    flat = build_flat(random)
    placed = furnish(flat, random)
    standing = [p for p in placed if p.position[2] == 0.0 and p.thing.kind != "rug"]
    for thing in standing:
        room = flat.rooms[thing.room]
        low_x, low_y, high_x, high_y = thing.footprint()
        assert low_x > room.low[0] and low_y > room.low[1] and high_x < room.high[0] and high_y < room.high[1]
    for number, thing in enumerate(standing):
        for other in standing[:number]:
            seats = "chair" in (thing.thing.category, other.thing.category)
            if thing.room == other.room and not seats:
                assert not overlap(thing.footprint(), other.footprint()), (
                    f"{thing.thing.kind} stands in {other.thing.kind}"
                )


def test_small_things_stand_on_something():
    random = np.random.default_rng(5)
    placed = furnish(build_flat(random, 6), random)
    tops = [p.to_world(s.centre)[2] for p in placed for s in p.thing.surfaces]
    small_things = [p for p in placed if p.thing.category in ("cup", "bowl", "laptop", "microwave")]
    assert small_things
    assert all(any(abs(p.position[2] - top) < 0.01 for top in tops) for p in small_things)


def test_rooms_hold_what_belongs_there():
    kinds = {kind: set() for kind in ROOM_KINDS}
    for seed in range(25):
        random = np.random.default_rng(seed)
        flat = build_flat(random)
        for thing in furnish(flat, random):
            kinds[flat.rooms[thing.room].kind].add(thing.thing.category)
    assert set(PROGRAMS) == set(ROOM_KINDS)
    assert {"toilet", "sink"} <= kinds["bathroom"] and "toilet" not in kinds["kitchen"] | kinds["living room"]
    assert {"oven", "refrigerator", "microwave", "cup", "dining table"} <= kinds["kitchen"]
    assert {"couch", "tv", "book"} <= kinds["living room"] and "bed" in kinds["bedroom"] and "laptop" in kinds["study"]
    assert set.union(*kinds.values()) - {None} == set(ROOMS)


def test_every_room_can_be_reached():
    for seed in range(40):
        flat = build_flat(np.random.default_rng(seed))
        reached, pending = set(), [0]
        while pending:
            room = pending.pop()
            if room not in reached:
                reached.add(room)
                pending += flat.rooms[room].neighbours
        assert reached == set(range(len(flat.rooms)))


def test_the_pose_projects_a_thing_to_where_it_is_seen():
    scene = build_scene((7,), rooms=1)
    target = max((p for p in scene.placed if p.position[2] == 0.0), key=lambda p: p.thing.size[2])
    index = scene.placed.index(target)
    room = scene.flat.rooms[0]
    x, y = room.middle
    yaw = float(np.arctan2(target.position[1] - y, target.position[0] - x))
    view = View((x, y, 1.2), yaw, -0.2, 1.0, 0)
    with Painter(scene, 96, 128) as painter:
        things, depth = painter.things(view), painter.depth(view)
    rows, columns = np.nonzero(things == index)
    assert len(rows), "the thing that is looked at is seen"
    row, column = int(np.median(rows)), int(np.median(columns))
    if things[row, column] == index:
        focal = 96 / 2 / np.tan(0.5)
        ray = np.array([(column + 0.5 - 64) / focal, (row + 0.5 - 48) / focal, 1.0]) * depth[row, column]
        point = view.camera_to_world() @ [*ray, 1.0]
        low_x, low_y, high_x, high_y = target.footprint()
        assert low_x - 0.05 < point[0] < high_x + 0.05 and low_y - 0.05 < point[1] < high_y + 0.05
        assert -0.05 < point[2] < target.thing.size[2] + 0.05
    assert outline_area(target, view, (96, 128)) >= 0


def test_missing_gl_names_the_packages(tmp_path):
    command = [sys.executable, "-m", "tasktp_ros.cli.main", "rooms", "images", str(tmp_path / "x"), "--count", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"MUJOCO_GL": "nothing"}, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "libosmesa6" in done.stderr


def test_bad_options_are_one_sentence(tmp_path):
    from tasktp_ros.cli.main import main

    assert main(["rooms", "images", str(tmp_path), "--count", "0"]) == 2
    assert main(["rooms", "images", str(tmp_path), "--size", "big"]) == 2


def test_a_data_set_that_was_not_drawn_here_is_left_alone(tmp_path):
    wanted = small(tmp_path)
    wanted.annotations.parent.mkdir(parents=True)
    wanted.annotations.write_text("theirs")
    with pytest.raises(DataError, match="not drawn by this command; choose another folder"):
        write_image_set(wanted, workers=1)
    assert wanted.annotations.read_text() == "theirs"


def test_a_damaged_note_of_the_settings_is_one_sentence(tmp_path):
    wanted = small(tmp_path)
    wanted.parts.mkdir(parents=True)
    (wanted.parts / "settings.json").write_text("{")
    with pytest.raises(DataError, match="settings that cannot be read"):
        write_image_set(wanted, workers=1)
