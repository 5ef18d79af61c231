# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

from collections import Counter

import torch

from tasktp_ros.training.task_sampling import SET_SIZES, draw_task, draw_tasks, usable_sizes


def test_sizes_are_cut_to_the_vocabulary_and_always_hold_all_of_it():
    assert usable_sizes(SET_SIZES, 80) == SET_SIZES
    assert usable_sizes(SET_SIZES, 20) == (1, 2, 3, 4, 5, 10, 20)
    assert usable_sizes((1, 80), 2) == (1, 2)


def test_sizes_are_uniform_and_the_whole_vocabulary_comes_up():
    torch.manual_seed(0)
    sizes = Counter(int(draw_task(torch.tensor([3, 3, 5]), 20).sum()) for _ in range(1400))
    assert set(sizes) == set(usable_sizes(SET_SIZES, 20))
    assert all(120 < count < 290 for count in sizes.values()), sizes


def test_a_single_category_is_present_half_the_time_and_rare_ones_more_often():
    torch.manual_seed(0)
    labels = torch.tensor([3] * 9 + [5])
    drawn = [int(draw_task(labels, 20, (1,)).nonzero()[0, 0]) for _ in range(4000) if True]
    singles = Counter(drawn[i] for i in range(len(drawn)))
    present = singles[3] + singles[5]
    # Half of the draws are sets of all 20, whose first member is category 0.
    assert 0.4 < present / (4000 - 2000) < 0.6
    assert singles[5] > 5 * singles[3], "weight 1 / instances"


def test_without_objects_or_without_absent_categories_sets_are_still_whole():
    torch.manual_seed(0)
    for labels in (torch.zeros(0, dtype=torch.int64), torch.arange(20)):
        for size in (1, 5, 20):
            assert int(draw_task(labels, 20, (size,)).sum()) in (size, 20)
    assert draw_tasks([torch.tensor([1]), torch.tensor([2])], 20).shape == (2, 20)
