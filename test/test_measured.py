# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The page of measured numbers says what the result files say."""

from pathlib import Path

from tasktp_ros.evaluation.tables import page

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_made_from_the_results():
    assert (ROOT / "docs" / "measured.md").read_text() == page(ROOT / "results")


def test_the_office_walk_lost_nothing():
    text = page(ROOT / "results")
    assert "373 frames sent in lock step, 373 results, 0 lost, 0 dropped, order kept, headers equal" in text
