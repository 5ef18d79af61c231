# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How a command hands over what it measured."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def hand_over(
    report: dict[str, Any], table: Callable[[], str], *, as_json: bool, files: tuple[Path | None, ...]
) -> None:
    """Write a report to the files that were asked for, and print it as JSON or as a table.

    Should a file fail to be written after all, the whole report is printed as JSON, so that no measurement is lost.

    Raises:
        OSError: a file could not be written.
    """
    from tasktp_ros.evaluation.results import write_results

    try:
        for path in filter(None, files):
            write_results(path, report)
    except OSError:
        print(json.dumps(report, indent=1))
        raise
    print(json.dumps(report, indent=1) if as_json else table())
