# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Every builder, over many seeds: a thing must fit its own size, stand on the floor and be cheap to draw."""

import dataclasses

import numpy as np
import pytest

from tasktp_ros.datasets.rooms.catalogue import CATEGORIES, DISTRACTORS, WALL_HEIGHTS, build, place_of
from tasktp_ros.datasets.rooms.solids import bounds
from tasktp_ros.datasets.rooms.textures import PATTERNS, SIDE
from tasktp_ros.tasks.vocabulary import ROOMS

SEEDS = 50
KINDS = [*CATEGORIES, *DISTRACTORS]
SMALL = {"bottle": 8, "cup": 8, "bowl": 12, "book": 6, "laptop": 8, "microwave": 10, "clock": 12, "tv": 8, "vase": 16}


def samples(kind):
    return [build(kind, np.random.default_rng(seed)) for seed in range(SEEDS)]


def test_the_catalogue_has_the_vocabularys_categories():
    assert tuple(CATEGORIES) == ROOMS
    assert not set(CATEGORIES) & set(DISTRACTORS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_fits_its_size_and_stands_on_the_floor(kind):
    for thing in samples(kind):
        low, high = bounds(thing.parts)
        width, depth, height = thing.size
        assert low[2] >= -1e-6 and high[2] == pytest.approx(height)
        assert (low[0], high[0]) == pytest.approx((-width / 2, width / 2))
        assert (low[1], high[1]) == pytest.approx((-depth / 2, depth / 2))
        assert max(width, depth) < 3.3 and height < 2.5


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_sound_and_few(kind):
    for thing in samples(kind):
        assert thing.category == (kind if kind in CATEGORIES else None)
        assert 1 <= len(thing.parts) <= SMALL.get(kind, 25)
        for part in thing.parts:
            assert min(part.half) > 0
            assert len(part.colour) == 3 and all(0 <= channel <= 1 for channel in part.colour)
            assert 0 <= part.gloss <= 1 and part.glow >= 0
            assert part.texture == "" or part.texture in PATTERNS
            if part.shape in ("cylinder", "capsule"):
                assert part.half[0] == part.half[1]
            if part.shape == "capsule":
                assert part.half[2] > part.half[0]


@pytest.mark.parametrize("kind", KINDS)
def test_surfaces_are_inside_and_level_with_something(kind):
    for thing in samples(kind):
        for surface in thing.surfaces:
            x, y, z = surface.centre
            assert min(surface.half) > 0 and surface.headroom > 0
            assert abs(x) + surface.half[0] <= thing.size[0] / 2 + 1e-6
            assert abs(y) + surface.half[1] <= thing.size[1] / 2 + 1e-6
            assert 0 < z <= thing.size[2] + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_the_thing(kind):
    things = samples(kind)
    assert things[0] == build(kind, np.random.default_rng(0))
    assert len({repr(dataclasses.astuple(thing)) for thing in things}) == SEEDS


def test_tables_and_shelves_carry_things():
    for kind in ("dining table", "desk", "kitchen counter", "nightstand", "sideboard", "microwave"):
        assert all(len(thing.surfaces) == 1 for thing in samples(kind))
    assert all(len(thing.surfaces) >= 3 for thing in samples("bookshelf"))


def test_every_thing_has_a_place():
    places = {kind: {place_of(thing) for thing in samples(kind)} for kind in KINDS}
    assert places["tv"] == {"surface", "wall"}
    assert places["clock"] == {"surface", "wall"}
    assert places["couch"] == {"floor"}
    kinds = {thing.kind for kind in KINDS for thing in samples(kind)}
    assert set(WALL_HEIGHTS) <= kinds


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_pictures_and_follow_the_seed(name):
    first = PATTERNS[name](np.random.default_rng(1))
    assert first.shape == (SIDE, SIDE, 3) and first.dtype == np.uint8
    assert (first == PATTERNS[name](np.random.default_rng(1))).all()
    assert first.std() > 1


def test_geoms_map_back_to_things():
    mujoco = pytest.importorskip("mujoco", reason="no thing was built: mujoco is not installed")
    from tasktp_ros.datasets.rooms.mujoco_parts import MaterialBook, add_thing, thing_of

    spec = mujoco.MjSpec()
    look = MaterialBook(spec, np.random.default_rng(0), limit=4)
    things = [build(kind, np.random.default_rng(3)) for kind in KINDS]
    names = [add_thing(spec, thing, (index, 0.0, 0.0), 0.5, look) for index, thing in enumerate(things)]
    model = spec.compile()
    for index, (thing, own) in enumerate(zip(things, names, strict=True)):
        assert len(own) == len(thing.parts)
        assert {thing_of(name) for name in own} == {index}
    assert model.ngeom == sum(len(thing.parts) for thing in things)
    assert {thing_of(model.geom(geom).name) for geom in range(model.ngeom)} == set(range(len(things)))
    assert thing_of("floor") == -1 and thing_of("table_1") == -1


def test_rotation_agrees_with_mujoco():
    mujoco = pytest.importorskip("mujoco", reason="no thing was built: mujoco is not installed")
    from tasktp_ros.datasets.rooms.mujoco_parts import quaternion
    from tasktp_ros.datasets.rooms.solids import turned

    angles = (0.3, -0.7, 1.9)
    expected = np.zeros(4)
    mujoco.mju_euler2Quat(expected, np.array(angles), "XYZ")
    assert np.abs(np.dot(expected, quaternion(angles))) == pytest.approx(1.0)
    assert turned((0.0, 0.0, np.pi / 2)) @ (1, 0, 0) == pytest.approx(np.array([0, 1, 0]), abs=1e-9)
