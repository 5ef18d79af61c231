# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What was measured of a model, out of result files that are about its very weights."""

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasktp_ros.errors import DataError, InputError
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.shipped import model_file

PARTS = ("eval", "kept", "calibration", "data", "performance", "sheet")
"""Files of a model in a folder of results are called after these and its name, such as `eval_coco-nano.json`."""
NEEDED = ("eval",)
LARGEST_HEADER = 100_000_000


def weights_mark(model: str | Path) -> str | None:
    """Twelve digits that tell weights from others; what the file says about them (name, score map, ...) does not count. None = no file.

    Raises:
        DataError: not a whole safetensors file.
    """
    file = model_file(model)
    if file is None or not file.is_file():
        return None
    digest = hashlib.sha256()
    with file.open("rb") as stored:
        head = stored.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else LARGEST_HEADER + 1
        if length > LARGEST_HEADER or len(stored.read(length)) != length:
            raise DataError(f"model file {file} is not a whole safetensors file")
        while block := stored.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]


def read_facts(results: Path, name: str, weights: str | None) -> dict[str, dict[str, Any]]:
    """A model's result files by their part of `PARTS`; those that are not there are left out.

    Args:
        results: folder.
        name: of the model.
        weights: from :func:`weights_mark`; files about others are refused. What tells none (data, times of older files) is taken.

    Raises:
        DataError: a file that cannot be read or is about other weights.
    """
    found = {}
    for part in PARTS:
        file = results / f"{part}_{name}.json"
        if not file.is_file():
            continue
        try:
            report = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{file} cannot be read: {error}") from error
        if weights is not None and report.get("weights", weights) != weights:
            raise DataError(f"{file} is about other weights ({report['weights']}) than those of {name} ({weights}): measure again by "
                            f"`{report.get('command', '?')}`")  # fmt: skip
        found[part] = report
    return found


def with_measured(card: ModelCard, facts: dict[str, dict[str, Any]]) -> ModelCard:
    """The card with the headline of what was measured in it.

    Raises:
        InputError: nothing was evaluated.
    """
    if lacking := [part for part in NEEDED if part not in facts]:
        raise InputError(f"there is no {lacking[0]}_{card.name}.json: measure by `tasktp eval --model {card.name} ...`")
    report = facts["eval"]
    box = whole_set(report)["box"]
    whole = report["means"]["all"]["method"]
    validation = {
        "data": report["data"], "split": report["split"], "images": report["images"], "commit": report["commit"],
        **{name: whole[name] for name in ("box_AP", "box_AP50", "mask_AP", "precision_at_0.5", "recall_at_0.5")},
        "box_AP50_of": box["AP50_of"],
    }  # fmt: skip
    measured = card.measured | {"validation": validation}
    if "kept" in facts:
        measured["kept"] = {
            kind: {"kept": row["kept"], "own": row["own"]} for kind, row in facts["kept"]["kinds"].items()
        }
    if scores := facts.get("calibration", {}).get("scores"):
        measured["calibration_error"] = (scores.get("after") or scores["before"])["calibration_error"]
    return replace(card, measured=measured)


def whole_set(report: dict[str, Any]) -> dict[str, Any]:
    """Of a report of `tasktp eval`: the model's scores under all categories.

    Raises:
        InputError: these were not evaluated.
    """
    found = next((entry["method"] for entry in report["sets"] if entry["size"] == "all"), None)
    if found is None:
        raise InputError("the evaluation has no set of all categories: run `tasktp eval` with --subsets ... all")
    return found
