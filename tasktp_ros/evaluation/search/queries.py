# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What is searched for: pairs of a scan and a category that becomes visible in it, drawn by a seed and kept in a file."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.results import write_results

QUERIES = 20
MOST_PER_CATEGORY = 3


@dataclass(frozen=True)
class Query:
    """One search.

    Attributes:
        scan: name of the scan.
        category: what is searched for.
        steps: images of the walk.
        visible: steps at which it is visible; never empty.
    """

    scan: str
    category: str
    steps: int
    visible: tuple[int, ...]

    @property
    def oracle(self) -> int:
        """Images that a perfect detector needs."""
        return self.visible[0] + 1


def draw_queries(
    seen: Mapping[str, tuple[int, Mapping[str, list[int]]]], seed: int, count: int = QUERIES
) -> list[Query]:
    """Draw searches: at most one per scan and three per category.

    Args:
        seen: scan -> its number of steps, and category -> steps at which it is visible.

    Returns:
        Up to `count` queries, sorted by scan; fewer where the scans do not hold more.
    """
    pool = [(scan, category) for scan in sorted(seen) for category in sorted(seen[scan][1])]
    scans: set[str] = set()
    categories: Counter[str] = Counter()
    chosen: list[Query] = []
    for index in np.random.default_rng(seed).permutation(len(pool)):
        scan, category = pool[index]
        if len(chosen) < count and scan not in scans and categories[category] < MOST_PER_CATEGORY:
            scans.add(scan)
            categories[category] += 1
            steps, visible = seen[scan]
            chosen.append(Query(scan, category, steps, tuple(visible[category])))
    return sorted(chosen, key=lambda query: query.scan)


def write_queries(path: Path, vocabulary: str, drawn: Mapping[int, list[Query]]) -> None:
    """Write the queries of several seeds to a JSON file."""
    rows = {str(seed): [asdict(query) for query in queries] for seed, queries in drawn.items()}
    write_results(path, {"vocabulary": vocabulary, "seeds": rows})


def read_queries(path: Path) -> tuple[str, dict[int, list[Query]]]:
    """Vocabulary and queries per seed of a file.

    Raises:
        DataError: missing, or not written by :func:`write_queries`.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        drawn = {int(seed): [Query(**row | {"visible": tuple(row["visible"])}) for row in rows]
                 for seed, rows in content["seeds"].items()}  # fmt: skip
        vocabulary = str(content["vocabulary"])
        complete = all(query.visible for queries in drawn.values() for query in queries)
    except OSError as error:
        raise DataError(f"the queries {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no queries as `tasktp search --write-queries` writes them") from error
    if not complete:
        raise DataError(f"{path} holds a query whose object is never visible")
    return vocabulary, drawn
