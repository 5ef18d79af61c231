# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import torch

from tasktp_ros.vision.buckets import padded


def test_few_different_counts_and_never_much_more_than_needed():
    counts = set()
    for count in range(1, 4000):
        index = torch.arange(10, 10 + count)
        more = padded(index, 10_000)
        assert torch.equal(more[:count], index) and (more[count:] == index[-1]).all()
        assert len(more) - count <= max(15, count // 8)
        counts.add(len(more))
    assert len(counts) <= 50


def test_nothing_stays_nothing():
    assert len(padded(torch.zeros(0, dtype=torch.int64), 40)) == 0


def test_never_more_than_there_are():
    assert len(padded(torch.arange(33), 40)) == 40
    assert len(padded(torch.arange(40), 40)) == 40
