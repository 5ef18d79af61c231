# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A stream chooses which tokens enter: what it must never miss, when it begins anew, and what the detector makes of it."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktp_ros import TaskDetector
from tasktp_ros.runtime.motion import View
from tasktp_ros.runtime.stream import Seen, StreamSettings, TokenStream, difference, filled_up, frames_until_due
from tasktp_ros.tasks.vocabulary import Task
from tasktp_ros.vision.image import InputSize, frame_for

GRID = (12, 20)
FRAME = frame_for(180, 320, InputSize(180, 320))
grids = st.tuples(st.integers(1, 40), st.integers(1, 40))


def seen(stamp: float = 0.0, thumbnail: float | np.ndarray = 0.0, view: View | None = None, **changes) -> Seen:
    picture = np.zeros(GRID, np.float32) + np.asarray(thumbnail, np.float32)
    return replace(Seen(stamp, view, FRAME, Task(("cup",)), picture), **changes)


def kept(*tokens: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(GRID, bool)
    for token in tokens:
        mask[token] = True
    return mask


def started(**settings) -> TokenStream:
    """A stream that has seen an image at time 0 on which one token was kept."""
    stream = TokenStream(StreamSettings(**settings))
    assert stream.entering(seen()) is None, "all tokens of a first image enter"
    stream.remember(seen(), kept((5, 7)))
    return stream


# Refresh


@settings(deadline=None)
@given(grids, st.integers(1, 16), st.integers(1, 4), st.integers(0, 100))
def test_every_token_has_one_turn_in_each_cycle(grid, cycle, block, number):
    turns = [frames_until_due(grid, number * cycle + i, cycle, block) == 0 for i in range(cycle)]
    assert (np.sum(turns, axis=0) == 1).all()


@settings(deadline=None)
@given(grids, st.integers(1, 12), st.integers(1, 3), st.integers(0, 50))
def test_what_is_due_comes_when_it_was_said_to(grid, cycle, block, turn):
    due = frames_until_due(grid, turn, cycle, block)
    assert due.max() <= 2 * cycle - 1
    for later in range(2 * cycle):
        waits = due >= later
        assert np.array_equal((due == later)[waits], (frames_until_due(grid, turn + later, cycle, block) == 0)[waits])


@pytest.mark.parametrize(("cycle", "block"), [(8, 2), (4, 2), (6, 1), (12, 2), (8, 4)])
def test_a_refresh_is_spread_over_the_image(cycle, block):
    shares = []
    for turn in range(cycle):
        entering = frames_until_due((40, 60), turn, cycle, block) == 0
        quarters = [entering[r : r + 20, c : c + 30].mean() for r in (0, 20) for c in (0, 30)]
        shares += quarters
    assert max(shares) <= 1.6 / cycle and min(shares) >= 0.5 / cycle


@settings(deadline=None)
@given(st.integers(0, 240), st.integers(0, 5))
def test_filling_up_adds_what_is_due_next(count, seed):
    random = np.random.default_rng(seed)
    entering = np.zeros(240, bool)
    entering[random.permutation(240)[:count]] = True
    entering, due = entering.reshape(GRID), random.integers(0, 9, GRID)
    full = filled_up(entering, due)
    added = full & ~entering
    assert (full >= entering).all() and added.sum() <= max(15, count // 8)
    if added.any() and not full.all():
        assert due[added].max() <= due[~full].min()


def test_every_token_enters_within_two_cycles_whatever_is_kept():
    stream = started(cycle=5)
    for _ in range(20):
        together = np.zeros(GRID, bool)
        for _ in range(9):
            entering = stream.entering(seen())
            together |= entering
            stream.remember(seen(), kept())
        assert together.all()


# What is followed


def test_kept_tokens_enter_with_a_margin_and_the_rest_waits():
    stream = started(margin=2, cycle=100, block=1)
    entering = stream.entering(seen(0.1))
    assert entering[3:8, 5:10].all()
    assert entering.sum() <= 25 + 240 // 100 + 1 + 15
    stream.remember(seen(0.1), kept())
    assert stream.entering(seen(0.2)).sum() <= 16, "nothing was kept: only the refresh is left"


def test_choosing_changes_nothing_until_it_is_remembered():
    stream = started()
    first = stream.entering(seen(0.1))
    assert np.array_equal(first, stream.entering(seen(0.1))), "a frame that failed is as if it had not been"


def test_known_motion_moves_what_is_followed_and_shows_what_is_new():
    intrinsics = np.array([[160.0, 0, 159.5], [0, 160.0, 89.5], [0, 0, 1]])
    turned = np.eye(4)
    angle = np.arctan(48 / 160)  # the middle of the image moves by three tokens
    turned[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    stream = TokenStream(StreamSettings(margin=0, cycle=1000))
    first = seen(view=View(np.eye(4), intrinsics))
    stream.entering(first)
    stream.remember(first, kept((5, 10)))
    entering = stream.entering(seen(0.1, view=View(turned, intrinsics)))
    assert entering[5, 7] and entering[:11, 18:].all(), (
        "to the left went what was kept, at the right comes something new"
    )
    assert not entering[5, 10]
    still = stream.entering(seen(0.1))
    assert still[5, 10] and not still[5, 7], "without a view nothing is known to have moved"


# Beginning anew


@pytest.mark.parametrize(
    ("reason", "next_image"),
    [
        ("task", seen(0.1, task=Task(("bowl",)))),
        ("task", seen(0.1, task=Task(None))),
        ("task", seen(0.1, task=Task(("cup",), threshold=0.3))),
        ("size", seen(0.1, frame=frame_for(182, 320, InputSize(180, 320)))),
        ("time", seen(0.501)),
        ("time", seen(-0.001)),
        ("cut", seen(0.1, thumbnail=0.5)),
    ],
)
def test_all_tokens_enter_after(reason, next_image):
    stream = started(cut=0.4, longest_gap=0.5)
    assert stream.entering(next_image) is None
    assert stream.resets == {"first": 1, reason: 1}
    stream.remember(next_image, kept())
    assert stream.entering(replace(next_image, stamp=next_image.stamp + 0.1)) is not None


@pytest.mark.parametrize(
    "next_image",
    [
        seen(0.5),
        seen(0.0),
        seen(0.1, thumbnail=0.3),
        seen(0.1, task=Task(("cup",), task_id="another", revision=3)),
    ],
)
def test_no_reason_to_begin_anew(next_image):
    stream = started(cut=0.4, longest_gap=0.5)
    assert stream.entering(next_image) is not None
    assert stream.resets == {"first": 1}


def test_a_stream_that_was_reset_begins_anew():
    stream = started()
    stream.reset()
    assert stream.entering(seen(0.1)) is None


def test_a_turn_of_the_camera_is_no_cut():
    scene = np.kron(np.random.default_rng(0).normal(size=(6, 14)), np.ones((2, 2))).astype(np.float32)
    assert difference(scene[:, :20], scene[:, 3:23]) == 0
    assert difference(scene[:-1, 3:23], scene[1:, :20]) == 0
    assert difference(scene[:, :20], scene[::-1, 6:26]) > 0.4
    assert difference(scene[:1, :1], scene[:1, :1]) == 0, "an image of one token"


# In the detector


@pytest.fixture(scope="module")
def detector():
    return TaskDetector.load("nano-untrained", device="cpu", precision="float32")


def picture(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((20, 20, 1), dtype=np.uint8))


class Chosen(TokenStream):
    """A stream whose choice is given."""

    def __init__(self, mask: np.ndarray | None) -> None:
        super().__init__()
        self.mask = mask

    def entering(self, seen: Seen) -> np.ndarray | None:
        return self.mask


def grid_of(detector: TaskDetector) -> tuple[int, int]:
    height, width = detector.detect(picture()).frame.padded
    return height // 16, width // 16


@pytest.mark.parametrize("reach", ["blocks", "network", "frame"])
def test_all_tokens_entering_is_as_without_a_stream(detector, reach):
    detector.reach = reach
    alone = detector.detect(picture())
    for mask in (None, np.ones(grid_of(detector), bool)):
        streamed = detector.detect(picture(), Chosen(mask).at(0.0))
        assert np.array_equal(streamed.token_masks, alone.token_masks) and streamed.entered == 1
        np.testing.assert_allclose(streamed.boxes, alone.boxes, atol=1e-2)
        np.testing.assert_allclose(streamed.scores, alone.scores, atol=1e-4)
    detector.reach = "blocks"


@pytest.mark.parametrize("reach", ["blocks", "network", "frame"])
def test_no_token_entering_is_no_error(detector, reach):
    detector.reach = reach
    stream = Chosen(np.zeros(grid_of(detector), bool))
    found = detector.detect(picture(), stream.at(0.0))
    assert found.entered == 0 and not found.token_masks.any()
    if reach == "frame":
        assert len(found) == 0
    detector.reach = "blocks"


def test_pruned_for_the_whole_frame(detector):
    mask = np.random.default_rng(0).random(grid_of(detector)) < 0.4
    found = detector.detect(picture(), Chosen(mask).at(0.0))
    assert found.token_masks.any() and not (found.token_masks & ~mask).any()
    assert found.entered == mask.mean() and "stream" in found.timings


def test_a_stream_remembers_what_gates_kept(detector):
    stream = TokenStream(StreamSettings(margin=0, cycle=50))
    first = detector.detect(picture(), stream.at(0.0))
    second = detector.detect(picture(), stream.at(0.1))
    assert first.entered == 1 and second.entered < 1
    assert (second.entering >= first.token_masks.any(0)).all()
    detector.set_task(["cup"])
    assert detector.detect(picture(), stream.at(0.2)).entered == 1
    assert detector.detect(picture()[:100], stream.at(0.3)).entered == 1
    assert detector.detect(picture()[:100], stream.at(0.4)).entered < 1
    assert detector.detect(255 - picture()[:100], stream.at(0.5)).entered == 1
    assert stream.resets == {"first": 1, "task": 1, "size": 1, "cut": 1}
    detector.set_task(None)


def test_a_model_without_gates_takes_no_notice():
    dense = TaskDetector.load("rooms-nano-dense", device="cpu", precision="float32")
    stream = TokenStream()
    for stamp in (0.0, 0.1):
        assert dense.detect(picture(), stream.at(stamp)).entering is None
    assert not stream.resets


def test_cameras_do_not_mix_on_threads(detector):
    def along(seed: int, found: list) -> None:
        stream = TokenStream()
        for index in range(4):
            found.append(detector.detect(picture(seed), stream.at(index / 10)).entering)

    alone: list[list] = [[], []]
    for seed in (0, 1):
        along(seed, alone[seed])
    together: list[list] = [[], []]
    threads = [threading.Thread(target=along, args=(seed, together[seed])) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert one[0] is None and other[0] is None
        assert all(np.array_equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))
