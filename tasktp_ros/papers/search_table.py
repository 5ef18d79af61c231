# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""TaskTP's table II out of the report of `tasktp search` with a bench's models."""

from tasktp_ros.papers.published import TASKTP_2, letter_of
from tasktp_ros.papers.records import Bench, Record
from tasktp_ros.papers.rows import NOTHING, markdown

CRITERION = "verified"


def search_table(bench: Bench, report: Record | None) -> list[str]:
    """What it is about, and the table; nothing where nobody has searched."""
    if report is None:
        return []
    theirs, spread = TASKTP_2[letter_of(bench.size)], report["over_seeds"][CRITERION]
    seed, headline = next(iter(report["seeds"].items()))
    lines = []
    for title, row in headline[CRITERION].items():
        key = title.partition(",")[0]
        first = theirs.get(key) if title in (key, f"{key}, as published") else None
        runs, milliseconds = (spread[title][name] for name in ("runs", "milliseconds"))
        lines.append([title, str(row["runs"]), f"{row['milliseconds']:.0f}", f"{row['milliseconds_per_run']:.1f}", f"{row['success_rate']:.0%}",
                      f"{runs[0]:.1f} ± {runs[1]:.1f}", f"{milliseconds[0]:.0f} ± {milliseconds[1]:.0f}",
                      *(map(str, first) if first else [NOTHING] * 2)])  # fmt: skip
    machine, setting = report["machine"], report["setting"]
    about = (
        f"*{bench.size}, {bench.passes} images; {headline['queries']} searches (seed {seed}) in {report['scans']} walks of {report['data']}, "
        f"{len(report['seeds'])} seeds; {machine['gpu'] or machine['processor']}, {setting['threads'] or 'all but one'} threads.*"
    )
    head = ["", "#Runs", "time ms", "ms/run", "found", "#Runs, all seeds", "time ms", "paper: #Runs", "time ms"]
    return [about, markdown(head, lines)]
