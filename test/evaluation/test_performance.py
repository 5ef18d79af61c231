# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The page on performance says what the result files say."""

from pathlib import Path

import pytest

from tasktp_ros.evaluation.performance import BEGIN, END, renewed

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_are_made_from_the_results():
    page = (ROOT / "docs" / "performance.md").read_text()
    assert page == renewed(page, ROOT / "results")


def test_prose_stays_and_tables_are_replaced(tmp_path):
    assert renewed(f"one\n{BEGIN}old\n{END}two\n", tmp_path) == f"one\n{BEGIN}\n\n{END}two\n"
    with pytest.raises(ValueError, match="the page needs the lines"):
        renewed("one\n", tmp_path)
