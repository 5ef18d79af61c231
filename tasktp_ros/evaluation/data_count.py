# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How much a data set in COCO's layout holds, and under which licences: counted from its annotation files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasktp_ros.datasets.coco import find_split
from tasktp_ros.datasets.coco_file import is_crowd, read_annotations
from tasktp_ros.errors import DataError

UNSTATED = "not recorded"


def count_set(root: Path, split: str, vocabulary: Sequence[str] | None = None) -> dict[str, Any]:
    """Count a split.

    Args:
        root: as `CocoDataset.open`.
        vocabulary: only these categories count; None = all.

    Returns:
        images; objects (without crowds) and of them with_mask; licences: how many images each; sources: how many images each, empty where
        the file does not say; squashed: images of another aspect than the camera's; of: objects per category.

    Raises:
        DataError: no such split, or a file that is not COCO's.
    """
    file = find_split(root, split)[1]
    content = read_annotations(file)
    names = {row["id"]: row["name"] for row in content["categories"]}
    licences = {row.get("id"): str(row.get("name")) for row in content["licenses"]}
    images = content["images"]
    rows = [
        row
        for row in content["annotations"]
        if not is_crowd(row) and (vocabulary is None or names[row["category_id"]] in vocabulary)
    ]
    of = Counter(names[row["category_id"]] for row in rows)
    order = vocabulary or [names[number] for number in sorted(names)]
    return {
        "data": root.name,
        "split": split,
        "images": len(images),
        "objects": len(rows),
        "with_mask": sum(bool(row.get("segmentation")) for row in rows),
        "licences": _counted(licences.get(image.get("license"), UNSTATED) for image in images) if licences else {},
        "sources": _counted(str(image["source"]) for image in images if image.get("source")),
        "squashed": sum(bool(image.get("aspect_squashed")) for image in images),
        "of": {name: of[name] for name in order if of[name]},
    }


def count_sets(roots: Sequence[Path], vocabulary: Sequence[str] | None) -> list[dict[str, Any]]:
    """The training and validation split of every data set, of those that it has.

    Raises:
        DataError: a data set that has neither.
    """
    counted = []
    for root in roots:
        found = []
        for split in ("train", "val"):
            try:
                found.append(count_set(root, split, vocabulary))
            except DataError as error:
                missing = error
        if not found:
            raise missing
        counted += found
    return counted


def _counted(values: Any) -> dict[str, int]:
    """How often each occurs, the most frequent first."""
    return dict(Counter(values).most_common())
