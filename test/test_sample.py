"""What must hold for the sample walk: it is drawn the same everywhere, looks like a place, and weighs little."""

from itertools import pairwise

import numpy as np
import pytest

from tasktp_ros.datasets import sample
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.datasets.raycast import Camera, Room, Solid, render


def empty_room(*solids: Solid) -> Room:
    names = ("west", "east", "south", "north", "floor", "ceiling")
    return Room((4.0, 4.0, 2.5), {name: np.full((8, 8, 3), 0.8, np.float32) for name in names}, solids)


def view(eye=(2.0, 0.5, 1.0), target=(2.0, 3.5, 1.0)) -> Camera:
    return Camera(sample.look_at(np.array(eye), np.array(target)), 100.0, (121, 161))


@pytest.mark.parametrize("kind", ["box", "ellipsoid", "cylinder"])
def test_a_solid_appears_where_the_pinhole_camera_puts_it(kind):
    red = Solid(kind, (2.0, 2.5, 1.0), (0.2, 0.2, 0.2), (1.0, 0.0, 0.0), grain=0.0)
    picture = render(empty_room(red), view()).astype(int)
    is_red = picture[..., 0] - picture[..., 1] > 40
    rows, columns = np.nonzero(is_red)
    # The front face of the box is 1.8 m away and 0.4 m wide, the middle of the others 2 m.
    half = 100 * 0.2 / (1.8 if kind == "box" else 2.0)
    assert abs(columns.mean() - 80) < 1
    assert abs((columns.max() - columns.min() + 1) / 2 - half) < 2
    assert abs(rows.mean() - 60) < 3
    assert is_red[60, 80]


def test_the_nearer_solid_hides_the_farther_one_in_any_order():
    near = Solid("box", (2.0, 1.5, 1.0), (0.2, 0.2, 0.2), (0.0, 1.0, 0.0), grain=0.0)
    far = Solid("box", (2.0, 3.0, 1.0), (0.2, 0.2, 0.2), (1.0, 0.0, 0.0), grain=0.0)
    for solids in ((near, far), (far, near)):
        pixel = render(empty_room(*solids), view())[60, 80]
        assert pixel[1] > pixel[0]


def test_what_is_behind_the_camera_is_not_drawn():
    behind = Solid("box", (2.0, 0.1, 1.0), (0.1, 0.1, 0.1), (1.0, 0.0, 0.0))
    np.testing.assert_array_equal(render(empty_room(behind), view()), render(empty_room(), view()))


def test_poses_are_upright_rotations():
    for camera in sample.walk(9):
        rotation = camera.pose[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        assert rotation[2, 1] < -0.8, "the picture's y points down"
        assert abs(rotation[2, 0]) < 1e-12, "the horizon is level"


def test_the_walk_is_a_bag_of_different_bright_pictures_below_5_megabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "FRAMES", 4)
    bag = sample.sample_bag(tmp_path)
    with open_source(bag) as source:
        images = [frame.image for frame in source]
        assert source.problems == []
    assert len(images) == 4
    for image in images:
        assert image.shape == (*sample.SIZE, 3)
        assert 60 < image.mean() < 200
        assert image.std() > 25
    for first, second in pairwise(images):
        assert np.abs(first.astype(int) - second).mean() > 3
    per_frame = sum(file.stat().st_size for file in bag.iterdir()) / 4
    assert per_frame * 64 < 5e6
    before = bag.stat().st_mtime_ns
    assert sample.sample_bag(tmp_path) == bag
    assert bag.stat().st_mtime_ns == before, "a bag that is there is not drawn again"
